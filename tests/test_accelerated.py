"""Nesterov's acceleration with a momentum that grows with the steps, and its flow."""

import itertools

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import closedflow as cf
from empirical.strategies import problems
from numerics.budget import UNITS, Budget
from numerics.integrate import trajectory
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import AcceleratedDescent, Nesterov, NesterovFlow
from theory.rule import k, s, symbols_of, transition
from theory.scalar import mode_solution
from theory.setting import Setting
from theory.setting_proof import prove_setting
from theory.targets import Given

torch = pytest.importorskip("torch", reason="acceleration is trained by torch")

U = UNITS["float64"]
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3, 4)) / 2, RNG.standard_normal((3, 2))


def setting(optimizer, decay=0.0, loss="half_sum"):
    return Setting(Linear(bias=True), optimizer, Given(), loss, decay)


def exact(x, steps):
    """The residual from the two-step equation of the look-ahead points, in high precision."""
    u, v = mpmath.mpf(1), mpmath.mpf(0)
    for j in range(1, steps + 1):
        beta = mpmath.mpf(j) / (j + 3)
        v = beta * v + x * u
        u = u - x * u - beta * v
    return u


@pytest.mark.parametrize("x", [0.0, 1e-300, 1e-13, 1e-10, 1e-6, 0.01, 0.5, 1.0, 1.2, 1.33])
def test_the_residual_is_its_recurrence_in_many_digits(x):
    steps = np.array([0, 1, 2, 3, 31, 32, 33, 65, 400, 3000])
    residuals, progresses = AcceleratedDescent(1.0).response(np, np.array(x), steps.astype(float))
    with mpmath.workdps(350 if x == 1e-300 else 60):
        for step, residual, progress in zip(steps.tolist(), residuals, progresses, strict=True):
            g, bound = (
                exact(mpmath.mpf(x), step),
                U * float(AcceleratedDescent(1.0).response_error(np, np.array(x), step)),
            )
            assert abs(mpmath.mpf(float(residual)) - g) <= bound
            # As x → 0 the progress is a sum of positive terms: each pairing, and each 32 steps, rounds it once.
            assert abs(mpmath.mpf(float(progress)) - (1 - g)) <= min(
                bound, (16 + step) * U * abs(1 - g) if x < 1e-6 else bound
            )
            assert abs(residual + progress - 1) <= 2 * U  # the larger is one minus the smaller


def test_a_weight_that_hardly_moves_stays_inside_a_budget_of_few_roundings():
    """ηs = 1e-13: the start is kept, and the target learned, in parts that add up to one."""
    p = Predictor(Setting(Linear(), AcceleratedDescent(1.0), Given(), weight_decay=1e-13), [[1.0]], [[1.0]], [[1.0]])
    for steps in (30, 3000, 30000):
        with mpmath.workdps(40):
            decay = mpmath.mpf(1e-13)
            g, limit = exact(1 + decay, 60) if steps > 60 else exact(1 + decay, steps), 1 / (1 + decay)
            expected = limit + (1 - limit) * g  # at s = 1 + μ; after 60 steps g is below 1e-30
        assert abs(mpmath.mpf(p.theta(steps).item()) - expected) <= Budget(p).evaluation(steps) <= 1e-12


def test_a_million_steps_of_a_slow_mode_follow_the_bessel_function():
    """At t = k√η = 10 with η s = 1e-10; the gap is of the order of √(ηs) = 1e-5."""
    x, steps = 1e-10, 10**6
    found, progress = AcceleratedDescent(1.0).response(np, np.array([x]), np.array(float(steps)))
    flow, _ = NesterovFlow().response(np, np.array([x]), np.array(float(steps)))
    assert abs(found[0] - flow[0]) < 1e-5
    assert abs(found[0] + progress[0] - 1) <= 2 * U  # one is one minus the other


@pytest.mark.parametrize("eta", [1.0, 0.25])
@pytest.mark.parametrize("x", [0.0, 1e-8, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.999, 1.0, 1.001, 1.1, 1.25, 1.333])
def test_the_propagator_stays_below_its_bound_from_any_step_to_any_later_one(x, eta):
    rule, steps = AcceleratedDescent(eta), 300
    matrices = [np.array(transition(rule, x / eta, index)[0], dtype=float) for index in range(steps)]
    for begin in (0, 1, 2, 5, 20, 100):
        product = np.eye(2)
        for index in range(begin, steps):
            product = matrices[index] @ product
            bound = np.array(rule.propagator_bound(np, np.array(x / eta), index + 1 - begin), dtype=float)
            assert (np.abs(product) <= bound * (1 + 1e-12)).all()  # rounding of 300 products


def test_the_budget_of_a_million_steps_multiplies_no_matrices():
    p = Predictor(setting(AcceleratedDescent(0.3)), X, Y, seed=2)
    assert 0 < Budget(p).evaluation(10**6) < 1e-3 * np.linalg.norm(p.theta(10**6))


def test_halving_the_learning_rate_at_a_fixed_time_brings_it_nearer_to_the_flow():
    for s_mode, time in ((1.0, 3.0), (0.3, 6.0)):
        gaps = []
        for halvings in range(4):
            root = 0.01 / 2**halvings  # √η, so that t = k√η is met exactly
            found, _ = AcceleratedDescent(root**2).response(np, np.array(s_mode), np.array(round(time / root)))
            gaps.append(abs(float(found) - float(NesterovFlow().response(np, np.array(s_mode), np.array(time))[0])))
        for coarse, fine in itertools.pairwise(gaps):
            assert coarse / fine == pytest.approx(2.0, rel=0.1)  # first order in √η, which is at most 0.01


def test_no_constant_momentum_follows_the_bessel_flow():
    time, gaps = 3.0, []
    for root in (0.01, 0.005):
        found, _ = Nesterov(root**2, 0.9).response(np, np.array(1.0), np.array(round(time / root)))
        gaps.append(abs(float(found) - float(NesterovFlow().response(np, np.array(1.0), np.array(time))[0])))
    assert min(gaps) > 0.1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_torchs_nesterov_with_a_momentum_set_at_every_step_agrees(dtype, decay):
    """A loop as anybody would write it, and the toolkit's own."""
    chosen, kind = setting(AcceleratedDescent(0.3), decay), {"dtype": getattr(torch, dtype)}
    predictor = Predictor(chosen, X, Y, seed=2)
    start = predictor.problem.to_torch(predictor.problem.start)
    weight, bias = (torch.tensor(value, requires_grad=True, **kind) for value in start)
    algorithm = torch.optim.SGD([weight, bias], lr=0.3, momentum=0.25, nesterov=True, weight_decay=decay)
    weights, biases = [], []
    for j in range(1, 32):
        weights.append(weight.detach().clone())
        biases.append(bias.detach().clone())
        algorithm.zero_grad()
        (0.5 * ((torch.tensor(X, **kind) @ weight.T + bias - torch.tensor(Y, **kind)) ** 2).sum()).backward()
        algorithm.param_groups[0]["momentum"] = j / (j + 3)
        algorithm.step()
    assert cf.crosscheck(predictor, range(31), weights, biases, dtype=dtype).agrees
    planted = cf.crosscheck(predictor, range(31), [1.01 * value for value in weights], biases, dtype=dtype)
    assert planted.verdict == "disagrees"
    run = cf.train(chosen, X, Y, seed=2, steps=30, record=range(31), device="cpu", dtype=dtype)
    np.testing.assert_allclose(run.weights, np.array([value.numpy() for value in weights]), rtol=2e-4, atol=1e-5)
    assert cf.crosscheck(predictor, run.steps, run.weights, run.biases).agrees
    constant = cf.train(setting(Nesterov(0.3, 0.9), decay), X, Y, seed=2, steps=30, device="cpu", dtype=dtype)
    assert cf.crosscheck(predictor, constant.steps, constant.weights, constant.biases).verdict == "disagrees"


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_it_is_proved_as_its_recurrence_and_iterated(decay):
    chosen = setting(AcceleratedDescent(0.3), decay, "mse")
    proof = prove_setting(chosen)
    assert proof.verdict == "proved"
    assert str(proof.mode.residual) == "g(s, k)"
    assert Setting.from_toml(chosen.to_toml()) == chosen
    assert "u(k + 2) = " in str(cf.solve(chosen))
    predictor = Predictor(chosen, X, Y, seed=2)
    steps = [40, 0, 1, 2]
    result, budget = trajectory(predictor.problem, steps), Budget(predictor)
    for index, step in enumerate(steps):
        predicted, allowed = predictor.theta(step)[0], budget.integration(result, index, float(step))
        assert np.linalg.norm(result.theta[index] - predicted) <= allowed < 0.01 * np.linalg.norm(predicted)
    with pytest.raises(SettingError, match="must have a residual with a formula to be pasted"):
        cf.solve(chosen).python()


def test_the_printed_two_step_equation_holds_at_every_step():
    mode, eta = mode_solution(AcceleratedDescent(0.1)), mpmath.mpf("0.7")
    for rate in (mpmath.mpf("0.3"), mpmath.mpf("1.7")):
        values = [exact(eta * rate, step) for step in range(12)]
        for step in range(10):
            numbers = {s: rate, k: step, symbols_of(AcceleratedDescent(0.1))["learning_rate"]: eta}
            left = mode.equation.rhs
            u = {
                call: values[step + int(call.args[0] - k)]
                for call in left.atoms(type(mode.equation.lhs))
                if call.func.__name__ == "u"
            }
            assert abs(left.subs(u).subs(numbers) - values[step + 2]) < 1e-12


@given(problems(optimizer_kinds=["accelerated_descent"]), st.integers(1, 30))
def test_random_problems_are_predicted_inside_their_budgets(case, steps):
    predictor = Predictor(*case)
    result = trajectory(predictor.problem, [steps])
    gap = np.linalg.norm(result.theta[0] - predictor.theta(steps)[0])
    assert gap <= Budget(predictor).integration(result, 0, float(steps))


@pytest.mark.parametrize("s_max", [1e-3, 1.0, 400.0])
def test_the_largest_learning_rate_is_where_the_spectral_radius_of_late_steps_reaches_one(s_max):
    def radius(share):
        rows, _ = transition(AcceleratedDescent(share * AcceleratedDescent(1.0).max_learning_rate(s_max)), s_max, 10**9)
        return np.abs(np.linalg.eigvals(np.array(rows, dtype=float))).max()

    assert radius(0.999) < 1 < radius(1.001)


def test_its_flow_is_trained_by_it_without_a_verdict():
    flow = setting(NesterovFlow())
    predictor = Predictor(flow, X, Y, seed=2)
    run = cf.train(flow, X, Y, seed=2, steps=300, learning_rate=0.01**2, device="cpu")
    check = cf.crosscheck(predictor, run.steps, run.weights, run.biases, learning_rate=0.01**2)
    assert check.verdict == "not run"
    assert cf.time_from_steps(setting(AcceleratedDescent(0.01)), 50) == pytest.approx(5.0)
    assert cf.time_from_steps(setting(AcceleratedDescent(0.01), loss="mse"), 50, 4, 2) == pytest.approx(2.5)  # √c = 1/2
