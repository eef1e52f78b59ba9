"""Averaged iterates: Polyak's mean in steps and in time, against sums, solvers and torch's own averaging."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import closedflow as cf
from empirical.strategies import problems
from numerics.arrays import quiet
from numerics.budget import UNITS, Budget
from numerics.integrate import trajectory
from numerics.predictor import Predictor
from theory.layers import Linear
from theory.optimizers import AveragedDescent, AveragedFlow, GradientDescent, Preconditioned
from theory.scalar import mode_solution
from theory.setting import Setting
from theory.setting_proof import prove_setting
from theory.targets import Given

torch = pytest.importorskip("torch", reason="averages are trained by torch's own")

U = UNITS["float64"]
RATES = (0.0, 1e-300, 1e-16, 1e-8, 1e-3, 0.49, 0.5, 0.999999, 1.0, 1.5, 1.9999999, 2.0)
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3, 4)) / 2, RNG.standard_normal((3, 2))


def setting(optimizer, decay=0.0):
    return Setting(Linear(bias=True), optimizer, Given(), "half_sum", decay)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 10, 1000, 10**6])
def test_the_mean_of_the_powers_in_fifty_digits(steps):
    for xp, s in ((np, np.array(RATES)), (torch, torch.tensor(RATES, dtype=torch.float64))):
        with quiet():
            found = AveragedDescent(1.0).response(xp, s, xp.asarray(float(steps), dtype=xp.float64))
        with mpmath.workdps(700):  # 1 - x is seen at x = 1e-300, and its square
            for row, x in enumerate(map(mpmath.mpf, RATES)):
                g = mpmath.mpf(1)
                if steps and x:
                    g = (1 - x) * (1 - (1 - x) ** steps) / (steps * x)
                residual, progress = (mpmath.mpf(float(part[row])) for part in found)
                # Each part is a few operations on numbers of its own size, the power included: at x near 2 that of (1 - x)^k.
                power = steps * abs(mpmath.log(abs(1 - x))) * abs(1 - x) ** steps if steps and x not in (0, 1) else 0
                assert abs(residual - g) <= 16 * U * (abs(g) + power / max(steps, 1))
                assert abs(progress - (1 - g)) <= 16 * U * (abs(1 - g) + power / max(steps, 1))


@given(st.floats(1e-12, 2.0), st.integers(1, 60))
def test_the_mean_is_a_sum_of_powers(x, steps):
    found, progress = AveragedDescent(1.0).response(np, np.array(x), np.array(float(steps)))
    powers = [(1 - x) ** index for index in range(1, steps + 1)]
    assert abs(found - math.fsum(powers) / steps) <= 64 * U * steps  # each power is off by as many roundings
    assert abs(progress - math.fsum(1 - power for power in powers) / steps) <= 64 * U * steps


@pytest.mark.parametrize("time", [0.0, 1e-300, 1e-9, 0.5, 1.0, 7.0, 1e9])
def test_the_mean_of_the_exponential_in_fifty_digits(time):
    rates = (0.0, 1e-200, 1e-9, 1.0, 1e5)
    with quiet():
        found = AveragedFlow().response(np, np.array(rates), np.array(time))
    with mpmath.workdps(700):
        for row, s in enumerate(map(mpmath.mpf, rates)):
            y = s * mpmath.mpf(time)
            g = (1 - mpmath.exp(-y)) / y if y else mpmath.mpf(1)
            tiny = mpmath.mpf(2) ** -1022
            assert abs(mpmath.mpf(float(found[0][row])) - g) <= 8 * U * g + tiny
            assert abs(mpmath.mpf(float(found[1][row])) - (1 - g)) <= 8 * U * (1 - g) + tiny


def test_the_rule_is_the_mean_of_the_iterates_of_descent():
    """Numbers by hand: the average of what gradient descent visits."""
    state, plain, visited = (2.0, 0.0), (2.0,), []
    for index in range(7):
        state = AveragedDescent(0.3).step(state, lambda u: u - 1, index)
        plain = GradientDescent(0.3).step(plain, lambda u: u - 1, index)
        visited.append(plain[0])
        assert state[0] == pytest.approx(sum(visited) / len(visited), rel=8 * U)


def pasted_bound(predictor: Predictor, time: float) -> float:
    """Rounding of the plain formula: (1 - e^-z)/z, or its power, loses the digits of 1 where z is small, four units of them."""
    reach = np.linalg.norm(predictor.problem.start) + np.linalg.norm(predictor.theta(math.inf))
    rates = np.append(predictor.rates.ravel(), predictor.setting.weight_decay)
    slowest = rates[rates > 0].min() * getattr(predictor.setting.optimizer, "learning_rate", 1.0)
    cancelled = 4 * U / (slowest * time) if time else 0.0
    return (cancelled + Budget(predictor).evaluation(time) / reach + 100 * U) * reach * len(rates)


@pytest.mark.parametrize("optimizer", [AveragedDescent(0.3), AveragedFlow()], ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_an_average_is_proved_integrated_and_pasted(optimizer, decay):
    chosen = setting(optimizer, decay)
    assert Setting.from_toml(chosen.to_toml()) == chosen
    solution = cf.solve(chosen)
    assert solution.proof.verdict == "proved"
    predictor = Predictor(chosen, X, Y, seed=2)
    times = [20, 0, 1, 7] if optimizer.discrete else [9.0, 0.0, 1e-9, 1e-3, 3.3]
    result, budget, pasted = trajectory(predictor.problem, times), Budget(predictor), {}
    exec(solution.python(), pasted)
    problem = predictor.problem
    for index, time in enumerate(times):
        predicted = predictor.theta(time)[0]
        allowed = budget.integration(result, index, float(time))
        assert np.linalg.norm(result.theta[index] - predicted) <= allowed < 0.01 * np.linalg.norm(predicted)
        found = pasted["weight"](problem.features[0], problem.columns[0], problem.start[0], time)
        assert np.linalg.norm(found - predicted[0]) <= pasted_bound(predictor, time)
    late = pasted["weight"](problem.features[0], problem.columns[0], problem.start[0], math.inf)
    assert np.abs(late - predictor.theta(math.inf)[0, 0]).max() < 1e-13


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_torchs_averaged_model_agrees_and_a_planted_error_does_not(dtype, decay):
    chosen = setting(AveragedDescent(0.3), decay)
    predictor = Predictor(chosen, X, Y, seed=2)
    run = cf.train(chosen, X, Y, seed=2, steps=40, device="cpu", dtype=dtype)
    assert cf.crosscheck(predictor, run.steps, run.weights, run.biases, dtype=dtype).agrees
    planted = cf.crosscheck(predictor, run.steps, 1.01 * run.weights, run.biases, dtype=dtype)
    assert planted.verdict == "disagrees"
    last = cf.train(setting(GradientDescent(0.3), decay), X, Y, seed=2, steps=40, device="cpu", dtype=dtype)
    assert cf.crosscheck(predictor, last.steps, last.weights, last.biases, dtype=dtype).verdict == "disagrees"
    relative = 1e-12 if dtype == "float64" else 1e-4  # the loss is a sum of a few squares of outputs of size one
    np.testing.assert_allclose(run.losses, predictor.loss(run.steps), rtol=relative)


def test_an_averaged_flow_is_trained_by_averaged_descent_of_first_order():
    predictor = Predictor(setting(AveragedFlow()), X, Y, seed=2)
    time, gaps = 3.0, []
    for rate in (0.02, 0.01, 0.005):
        run = cf.train(predictor.setting, X, Y, seed=2, steps=round(time / rate), learning_rate=rate, device="cpu")
        check = cf.crosscheck(predictor, run.steps, run.weights, run.biases, learning_rate=rate)
        assert check.verdict != "disagrees"
        assert check.ratio > 0.1  # the bound is no more than ten times what it bounds
        gaps.append(check.distances[-1])
    for coarse, fine in itertools.pairwise(gaps):
        assert coarse / fine == pytest.approx(2.0, rel=0.1)  # the next order: rate·s_max < 0.06


@pytest.mark.parametrize(("rate", "steps"), [(1.0, 1), (0.3, 5), (0.01, 1000), (1e-6, 3)])
def test_the_gap_of_every_mode_is_below_its_bound(rate, steps):
    s = np.array([0.0, 1e-8, 0.3, 1.0])
    bound = AveragedFlow().gap_bound(np, rate * s, steps)
    flow, _ = AveragedFlow().response(np, s, np.array(steps * rate))
    descent, _ = AveragedDescent(rate).response(np, s, np.array(float(steps)))
    assert (np.abs(flow - descent) <= bound + 16 * U).all()
    assert bound[0] == 0


@given(problems(optimizer_kinds=["averaged_descent", "averaged_flow"]), st.integers(1, 30))
def test_random_averages_are_predicted_inside_their_budgets(case, reach):
    predictor = Predictor(*case)
    fastest = float(predictor.rates.max()) or 1.0
    time = float(reach) if case.setting.optimizer.discrete else reach / 10 / fastest
    result = trajectory(predictor.problem, [time])
    gap = np.linalg.norm(result.theta[0] - predictor.theta(time)[0])
    assert gap <= Budget(predictor).integration(result, 0, time)


def test_the_derived_residuals_are_these():
    assert str(mode_solution(AveragedDescent(0.1)).residual) == "(1 - (-eta*s + 1)**k)*(-eta*s + 1)/(eta*k*s)"
    assert str(mode_solution(AveragedFlow()).residual) == "(1 - exp(-s*t))/(s*t)"


def test_a_rule_that_is_no_average_is_not_proved_to_be_one():
    class Half(AveragedDescent, abstract=True):
        def step(self, state, gradient, index):
            mean, ahead = state
            iterate = mean + ahead - self.learning_rate * gradient(mean + ahead)
            moved = mean + (iterate - mean) / (index + 2)
            return moved, iterate - moved

    class Slower(AveragedFlow, abstract=True):
        def velocity(self, state, gradient, t):
            mean, ahead = state
            return 2 * ahead / t, -gradient(mean + ahead) - 2 * ahead / t

    for wrong in (Half(0.1), Slower()):
        proof = prove_setting(Setting(Linear(), wrong))
        assert proof.verdict == "undecided"
        assert "no scalar equation is known" in proof.reason


def test_an_average_of_a_preconditioned_descent_is_proved_and_trained():
    matrix = np.diag([1.0, 2.0, 3.0, 1.0, 0.5])
    chosen = setting(Preconditioned(AveragedDescent(0.1), matrix), 0.1)
    (row,) = cf.verify(setting=Setting(Linear(bias=True), chosen.optimizer), inputs=X, device="cpu").rows
    assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "agrees")


@pytest.mark.parametrize("rule", [AveragedFlow(), AveragedDescent(0.5)], ids=str)
@pytest.mark.parametrize("decay", [1e-13, 1e-9, 1e-3])
def test_the_pasted_mean_keeps_its_digits_in_slow_modes(rule, decay):
    """One slow mode of rate μ, off the range of the inputs, and one of rate 1."""
    p = Predictor(Setting(Linear(), rule, weight_decay=decay), [[1.0, 0.0]], initial_weight=[[0.3, 2.0], [0.1, -5.0]])
    pasted: dict = {}
    exec(cf.solve(p.setting).python(), pasted)
    for time in (1, 3, 700):
        found = pasted["weight"](p.problem.features[0], p.problem.columns[0], p.problem.start[0], time)
        np.testing.assert_allclose(found, p.theta(time)[0, 0], rtol=0, atol=2e-14)  # 20 roundings of numbers up to 5
