"""Learning-rate schedules: the formulas, the stable residuals, the limits, real torch schedulers, and bad input."""

import itertools
import math
import tracemalloc

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import null_space

import closedflow as cf
from empirical.optimizer_strategies import scheduled_problems
from numerics.arrays import quiet
from numerics.budget import UNITS, Budget, gains
from numerics.integrate import trajectory
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import GradientDescent, GradientFlow
from theory.scalar import mode_solution
from theory.schedules import Cosine, Expression, LinearDecay, LinearWarmup, Piece
from theory.setting import Setting
from theory.setting_proof import prove_setting
from theory.targets import Given
from theory.varying import scheduled_flow

torch = pytest.importorskip("torch", reason="schedules are trained by torch's own")

U = UNITS["float64"]
SCHEDULES = (
    LinearWarmup(4),
    LinearDecay(8),
    Cosine(8),
    Cosine(8, 0.25),
    Expression("1/(1 + t)"),
    Expression("exp(-t/5)"),
)
RATES = (0.0, 1e-300, 1e-12, 0.3, 0.999, 1.5, 1.9)  # ηs
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3, 4)) / 2, RNG.standard_normal((3, 2))


def setting(optimizer, decay=0.0, loss="half_sum"):
    return Setting(Linear(bias=True), optimizer, Given(), loss, decay)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("steps", [0, 1, 2, 7, 60])
def test_the_product_is_that_of_its_factors_in_fifty_digits(schedule, steps):
    rates = np.array(RATES)
    for xp, s, k in ((np, rates, np.array(float(steps))), (torch, torch.tensor(rates), torch.tensor(float(steps)))):
        with quiet():
            found = GradientDescent(1.0, schedule).response(xp, s, k)
        with mpmath.workdps(350):
            formula = [mpmath.mpf(schedule(index)) for index in range(steps)]
            for row, x in enumerate(map(mpmath.mpf, RATES)):
                factors = [1 - m * x for m in formula]
                g = mpmath.fprod(factors)
                # Each factor is off by a few roundings of m·x, relative to itself; the logarithms by one of their sum each.
                off = sum(abs(m * x / f) + abs(mpmath.log(abs(f))) for m, f in zip(formula, factors, strict=True))
                bound = 8 * U * abs(g) * (1 + off)
                assert abs(mpmath.mpf(float(found[0][row])) - g) <= bound
                small = 8 * U * abs(1 - g) if x < 0.5 else bound + U * abs(1 - g)
                assert abs(mpmath.mpf(float(found[1][row])) - (1 - g)) <= small + bound * (x >= 0.3)


def test_a_factor_of_zero_ends_a_mode_for_ever():
    residual, progress = GradientDescent(1.0, LinearWarmup(4)).response(np, np.array([1.0]), np.array([3.0, 5.0, 9.0]))
    np.testing.assert_array_equal(residual[1:], 0.0)
    np.testing.assert_array_equal(progress[1:], 1.0)
    assert residual[0] == pytest.approx(0.75 * 0.5, rel=8 * U)


def test_a_million_steps_and_hundreds_of_modes_take_no_table_of_both():
    """The oracle: an exactly rounded sum of a million logarithms."""
    schedule, count = Cosine(10**6), 10**6
    rates = np.linspace(1e-6, 1.9e-6, 200)
    tracemalloc.start()
    residual, progress = GradientDescent(1.0, schedule).response(np, rates, np.array(float(count)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6  # a table would take 1.6e9 bytes
    multipliers = schedule.values(range(count))
    for row in (0, 199):
        exponent = math.fsum(math.log1p(-rates[row] * m) for m in multipliers)
        # Sums of 1310 blocks, each summed in pairs: at most 1310 + 11 roundings of the exponent, which is below 1.
        assert abs(residual[row] - math.exp(exponent)) <= 1400 * U
        assert abs(progress[row] + math.expm1(exponent)) <= 1400 * U


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("time", [0.0, 1e-9, 0.7, 4.0, 7.9, 8.0, 50.0])
def test_the_clock_of_the_flow_is_the_integral_of_the_multiplier(schedule, time):
    with mpmath.workdps(30):
        ends = sorted({0.0, time, *(end for end in (4.0, 8.0) if end < time)})
        multiplier = lambda at: mpmath.mpf(schedule(float(at)))  # noqa: E731
        exact = mpmath.quad(multiplier, ends)
        found = schedule.integral(time)
    assert abs(found - exact) <= 64 * U * max(time, float(exact))  # the multipliers in it are float64, at most 1
    residual, progress = GradientFlow(schedule).response(np, np.array(1e-12), np.array(time))
    assert progress == pytest.approx(1e-12 * found, rel=1e-11)  # 1 - e^{-y} = y(1 - y/2 + …)
    assert residual + progress == pytest.approx(1.0, abs=2 * U)


def test_an_integral_whose_terms_cancel_keeps_its_digits():
    """τ = (1 - e^{-at})/a with at = 1e-13: a difference of terms of size 1e9."""
    schedule = Expression("exp(-t/1000000000)")
    assert schedule.integral(1e-4) == pytest.approx(1e-4 * (1 - 0.5e-13), rel=4 * U)


def test_where_the_multipliers_add_up_to_little_the_limit_is_no_projector():
    stopped = Predictor(setting(GradientFlow(Cosine(2.0))), X, Y, seed=1)
    plain = Predictor(setting(GradientFlow()), X, Y, seed=1)
    np.testing.assert_allclose(stopped.theta(math.inf), plain.theta(1.0), atol=1e-14)  # τ(∞) = 1
    np.testing.assert_allclose(stopped.theta(math.inf), stopped.theta(2.0), atol=1e-14)
    assert np.abs(stopped.theta(math.inf) - plain.theta(math.inf)).max() > 0.01
    for schedule in (LinearWarmup(2.0), Cosine(2.0, 0.5), Expression("1/(1 + t)")):
        going_on = Predictor(setting(GradientFlow(schedule)), X, Y, seed=1)
        np.testing.assert_allclose(going_on.theta(math.inf), plain.theta(math.inf), atol=1e-14)
    descent = Predictor(setting(GradientDescent(0.1, Cosine(5))), X, Y, seed=1)
    np.testing.assert_array_equal(descent.theta(math.inf), descent.theta(5))


def test_the_progress_at_the_end_keeps_its_digits():
    progress = GradientFlow(Cosine(2.0)).limit_response(np, np.array([1e-20]))[1]
    assert progress[0] == pytest.approx(1e-20, rel=4 * U)


@pytest.mark.parametrize("schedule", ["exp(-t/5)", "1 + cos(t)"])
def test_a_limit_that_is_not_known_is_refused(schedule):
    predictor = Predictor(setting(GradientDescent(0.01, Expression(schedule))), X, Y)
    assert np.isfinite(predictor.theta(100)).all()
    with pytest.raises(SettingError, match="steps must be finite for GradientDescent"):
        predictor.theta(math.inf)


def test_the_convergence_limit_is_that_of_the_rate_it_tends_to():
    s_max = 4.0
    assert GradientDescent(1.0, LinearWarmup(5)).max_learning_rate(s_max) == 0.5
    assert GradientDescent(1.0, Cosine(5, 0.25)).max_learning_rate(s_max) == 2.0
    assert GradientDescent(1.0, Cosine(5)).max_learning_rate(s_max) == math.inf
    with pytest.raises(SettingError, match=r"learning_rate must be below 0\.5 for these inputs \(largest rate .* 4\)"):
        Predictor(Setting(Linear(), GradientDescent(0.6, LinearWarmup(5))), [[2.0]])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["flow", "descent"])
def test_a_schedule_is_proved_integrated_and_pasted(schedule, decay, kind):
    chosen = setting(GradientFlow(schedule) if kind == "flow" else GradientDescent(0.2, schedule), decay, "mse")
    assert Setting.from_toml(chosen.to_toml()) == chosen
    solution = cf.solve(chosen)
    assert solution.proof.verdict == "proved"
    predictor = Predictor(chosen, X, Y, seed=2)
    times = [9, 0, 3, 3] if kind == "descent" else [9.0, 0.0, 1e-3, 3.3]
    result, budget, pasted = trajectory(predictor.problem, times), Budget(predictor), {}
    exec(solution.python(), pasted)
    problem = predictor.problem
    for index, time in enumerate(times):
        predicted = predictor.theta(time)[0]
        allowed = budget.integration(result, index, float(time))
        assert np.linalg.norm(result.theta[index] - predicted) <= allowed
        if time:
            assert np.linalg.norm(result.theta[index] - 1.01 * predicted) > allowed
        found = pasted["weight"](problem.features[0], problem.columns[0], problem.start[0], time)
        assert np.abs(found - predicted[0]).max() < 1e-13  # well-conditioned modes


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_torchs_sgd_with_its_own_scheduler_agrees_and_a_planted_error_does_not(schedule, dtype):
    chosen = setting(GradientDescent(0.2, schedule), 0.05)
    predictor = Predictor(chosen, X, Y, seed=2)
    run = cf.train(chosen, X, Y, seed=2, steps=40, device="cpu", dtype=dtype)
    assert cf.crosscheck(predictor, run.steps, run.weights, run.biases, dtype=dtype).agrees
    planted = cf.crosscheck(predictor, run.steps, 1.01 * run.weights, run.biases, dtype=dtype)
    assert planted.verdict == "disagrees"


def test_a_step_late_in_the_schedule_is_seen():
    chosen = setting(GradientDescent(0.2, Cosine(30)))
    late = setting(GradientDescent(0.2, Expression("(1 + cos(pi*(t + 1)/30))/2")))
    run = cf.train(late, X, Y, seed=2, steps=20, device="cpu")
    check = cf.crosscheck(Predictor(chosen, X, Y, seed=2), run.steps, run.weights, run.biases)
    assert check.verdict == "disagrees"


@pytest.mark.parametrize("schedule", [LinearWarmup(2.0), Cosine(3.0), Expression("1/(1 + t)")], ids=str)
def test_a_scheduled_flow_is_trained_by_a_scheduled_descent_of_first_order(schedule):
    predictor = Predictor(setting(GradientFlow(schedule)), X, Y, seed=2)
    time, gaps = 4.0, []
    for rate in (0.02, 0.01, 0.005):
        run = cf.train(predictor.setting, X, Y, seed=2, steps=round(time / rate), learning_rate=rate, device="cpu")
        check = cf.crosscheck(predictor, run.steps, run.weights, run.biases, learning_rate=rate)
        assert check.verdict != "disagrees"
        assert check.ratio > 0.01  # the bound is no more than 100 times what it bounds
        gaps.append(check.distances[-1])
    for coarse, fine in itertools.pairwise(gaps):
        assert coarse / fine == pytest.approx(2.0, rel=0.1)  # the next order: rate·s_max < 0.06


@pytest.mark.parametrize("schedule", [LinearWarmup(2.0), Cosine(3.0), Expression("1/(1 + t)")], ids=str)
@pytest.mark.parametrize(("rate", "steps"), [(0.5, 1), (0.1, 7), (0.01, 900)])
def test_the_gap_of_every_mode_is_below_its_bound(schedule, rate, steps):
    s = np.array([0.0, 1e-8, 0.3, 1 / rate])
    bound = GradientFlow(schedule).gap_bound(np, rate * s, steps, rate)
    with quiet():
        flow, _ = GradientFlow(schedule).response(np, s, np.array(steps * rate))
        descent, _ = GradientFlow(schedule).companion(rate).response(np, s, np.array(float(steps)))
    assert (np.abs(flow - descent) <= bound + 4 * U * steps).all()


def test_a_schedule_that_is_not_monotone_has_no_bound():
    assert GradientFlow(Expression("1 + sin(t)")).gap_bound(np, np.array([0.1]), 3, 0.1) is None
    (row,) = cf.verify(setting=Setting(Linear(), GradientFlow(Expression("1 + sin(t)"))), inputs=X, device="cpu").rows
    assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "not run")


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_steps_become_time_by_the_sum_of_the_multipliers(schedule):
    optimizer = GradientDescent(0.5, schedule)
    for steps in (0, 1, 5, 40):
        assert optimizer.flow_time(steps) == pytest.approx(0.5 * sum(map(schedule, range(steps))), rel=64 * U)
    assert cf.time_from_steps(Setting(Linear(), optimizer), 9) == optimizer.flow_time(9)


def test_the_gains_of_a_changing_descent_are_the_sums_of_its_products():
    optimizer, rates = GradientDescent(1.0, LinearWarmup(3)), np.array([1.5, 0.2])
    found = gains(optimizer, rates, 6)
    for row, s in enumerate(rates):
        factors = [1 - s * min(j / 3, 1) for j in range(6)]
        forwards = sum(abs(math.prod(factors[:j])) for j in range(6))
        backwards = sum(abs(math.prod(factors[j + 1 :])) for j in range(6))
        assert found.total[row, 0, 0] == pytest.approx(max(forwards, backwards), rel=1e-14)
    long = gains(optimizer, rates, 10**5)  # by the bound of the rule: every factor is at most 1
    assert long.total[0, 0, 0] == 10**5


@given(scheduled_problems(), st.integers(1, 30))
def test_random_scheduled_problems_are_predicted_inside_their_budgets(case, reach):
    predictor = Predictor(*case)
    fastest = float(predictor.rates.max()) or 1.0
    time = float(reach) if case.setting.optimizer.discrete else reach / 10 / fastest
    result = trajectory(predictor.problem, [time])
    gap = np.linalg.norm(result.theta[0] - predictor.theta(time)[0])
    assert gap <= Budget(predictor).integration(result, 0, time)


@given(scheduled_problems(decay=False))
def test_a_schedule_conserves_the_null_space_and_never_raises_the_loss(case):
    """Laws of gradient flow and of descent below its limit, whose multipliers are at most 1."""
    predictor = Predictor(*case)
    times = (
        [0, 1, 2, 30] if case.setting.optimizer.discrete else np.array([0, 0.1, 1, 30]) / (predictor.rates.max() or 1)
    )
    losses = predictor.loss(times)
    off = (1 + np.linalg.norm(predictor.problem.features)) * math.sqrt(predictor.problem.scale)
    slack = [
        2 * off * math.sqrt(2 * losses[0]) * Budget(predictor).evaluation(time) + 1e-14 * losses[0] for time in times
    ]
    assert (np.diff(losses) <= np.array(slack[1:]) + slack[:-1]).all()
    for block, features in enumerate(predictor.problem.features):
        outside = null_space(features.T, rcond=max(features.shape) * np.finfo(float).eps)
        moved = (predictor.theta(times) - predictor.problem.start)[:, block] @ outside
        kept = predictor.spectrum.values[predictor.spectrum.values > 0]
        # The range that the closed form uses and this one differ by max(d, M)·eps·κ in angle.
        angle = 16 * max(features.shape) * np.finfo(float).eps * (kept.max() / kept.min() if kept.size else 1)
        size = np.linalg.norm(predictor.theta(times) - predictor.problem.start)
        assert np.linalg.norm(moved) <= len(times) * Budget(predictor).evaluation(times[-1]) + angle * size


@pytest.mark.theorem("T10")
def test_a_wrong_integral_is_not_proved():
    class Wrong(LinearWarmup, abstract=True):
        @property
        def pieces(self):
            line, rest = super().pieces
            return line, Piece(rest.until, rest.multiplier, rest.integral + 1)

    class Steeper(LinearWarmup, abstract=True):
        @property
        def pieces(self):
            line, rest = super().pieces
            return Piece(line.until, line.multiplier, 2 * line.integral), rest

    assert all(proof.verdict == "proved" for proof in scheduled_flow(GradientFlow(LinearWarmup(2)))[2])
    for wrong in (Wrong, Steeper):
        proof = prove_setting(Setting(Linear(), GradientFlow(wrong(2))))
        assert proof.verdict == "undecided"
        assert "not seen to be 0" in proof.reason


def test_the_derived_residuals_are_these():
    assert str(mode_solution(GradientFlow(Expression("1/(1 + t)"))).residual) == "exp(-s*log(t + 1))"
    assert str(mode_solution(GradientDescent(0.1, Expression("1/(1 + t)"))).residual) == (
        "Product(-eta*s/(j + 1) + 1, (j, 0, k - 1))"
    )
    assert str(mode_solution(GradientFlow(Cosine(4))).final) == "exp(-2*s)"


def test_a_linear_decay_stops_where_half_its_time_of_flow_has_passed():
    stopped = Predictor(setting(GradientFlow(LinearDecay(3.0))), X, Y, seed=1)
    plain = Predictor(setting(GradientFlow()), X, Y, seed=1)
    np.testing.assert_allclose(stopped.theta(math.inf), plain.theta(1.5), atol=1e-14)
    np.testing.assert_array_equal(stopped.theta(math.inf), stopped.theta(9.0))
    descent = Predictor(setting(GradientDescent(0.1, LinearDecay(5))), X, Y, seed=1)
    np.testing.assert_array_equal(descent.theta(math.inf), descent.theta(5))
