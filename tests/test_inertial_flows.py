"""Flows with inertia, and Nesterov's momentum, through proof, prediction, integration, budget and training."""

import itertools
import math
from dataclasses import dataclass, replace

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import closedflow as cf
from empirical.strategies import problems
from numerics.arrays import quiet
from numerics.budget import Budget, gains
from numerics.integrate import integrate, trajectory
from numerics.plan import speeds
from numerics.predictor import Predictor
from numerics.problem import assemble
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import Flow, HeavyBall, HeavyBallFlow, Nesterov, NesterovFlow
from theory.setting import Setting
from theory.setting_proof import prove_setting
from theory.targets import Given
from theory.theorems.momentum_flows import energy

pytest.importorskip("torch", reason="flows are trained by their companions")

FLOWS = (HeavyBallFlow(0.0), HeavyBallFlow(0.7), HeavyBallFlow(6.0), NesterovFlow())


# Predicted, integrated, proved, printed


@pytest.mark.parametrize("optimizer", [*FLOWS, Nesterov(0.02, 0.9)], ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_a_setting_is_proved_integrated_and_pasted(optimizer, decay):
    setting = Setting(Linear(bias=True), optimizer, Given(), weight_decay=decay)
    assert Setting.from_toml(setting.to_toml()) == setting
    solution = cf.solve(setting)
    assert solution.proof.verdict == "proved"
    assert "g(s) = " in str(solution)
    assert r"\begin{aligned}" in solution.latex()
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((3, 2))
    predictor = Predictor(setting, x, y, seed=2)
    times = [30, 0, 7, 7] if optimizer.discrete else [3.0, 0.0, 1e-9, 1e-3, 0.4, 3.0]
    result = trajectory(predictor.problem, times)
    budget, namespace = Budget(predictor), {}
    exec(solution.python(), namespace)
    for index, time in enumerate(times):
        predicted = predictor.theta(time)[0]
        assert np.linalg.norm(result.theta[index] - predicted) <= budget.integration(result, index, float(time))
        problem = predictor.problem
        pasted = namespace["weight"](problem.features[0], problem.columns[0], problem.start[0], time)
        assert np.abs(pasted - predicted[0]).max() < 1e-13  # no root of these modes is near a double one


@given(problems(optimizer_kinds=["nesterov", "heavy_ball_flow", "nesterov_flow"]), st.integers(1, 40))
def test_random_problems_are_predicted_inside_their_budgets(case, reach):
    predictor = Predictor(*case)
    rate = float(max(predictor.rates.max(), predictor.setting.weight_decay)) or 1.0
    time = float(reach)
    if not predictor.setting.optimizer.discrete:
        time = reach / 4 / speeds(predictor.setting.optimizer, rate, math.inf)[1]
    result = trajectory(predictor.problem, [time])
    gap = np.linalg.norm(result.theta[0] - predictor.theta(time)[0])
    assert gap <= Budget(predictor).integration(result, 0, time)


def test_a_ball_without_friction_has_no_limit_and_says_so():
    setting, x = Setting(Linear(), HeavyBallFlow(0.0)), [[2.0, 0.0]]
    predictor = cf.Predictor(setting, x, initial_weight=[[0.0, 5.0], [0.0, 5.0]])
    # One mode of rate 4: cos 2t; at t = π/2 the target is overshot by as much as it was missed.
    np.testing.assert_allclose(predictor.weight([math.pi / 2])[0], [[2, 5], [0, 5]], atol=1e-15)
    for ask in (predictor.weight, predictor.loss, predictor.effective_rank):
        with pytest.raises(SettingError, match=r"must be finite for HeavyBallFlow\(friction=0.0\), which oscillates"):
            ask([1.0, math.inf])
    assert not HeavyBallFlow(0.0).has_limit
    np.testing.assert_array_equal(HeavyBallFlow(0.0).limit_residual(np, np.zeros(2)), [1, 1])
    assert "W(oo) = nan" in str(cf.solve(setting))
    damped_setting = Setting(Linear(), HeavyBallFlow(0.1))
    limit = cf.Predictor(damped_setting, x, initial_weight=[[0.0, 5.0], [0.0, 5.0]]).weight(math.inf)[0]
    np.testing.assert_allclose(limit, [[1, 5], [0, 5]], atol=1e-15)


def test_nesterovs_flow_departs_by_its_series():
    x = np.random.default_rng(3).standard_normal((4, 5))
    problem = assemble(Setting(Linear(), NesterovFlow()), x, initial_weight=np.ones((5, 5)))
    predictor = Predictor(problem.setting, x, initial_weight=np.ones((5, 5)))
    rate = float(np.linalg.norm(x) ** 2)
    for until in (1e-12, 1e-3, 10.0):
        time, (weight, speed) = NesterovFlow().departure(problem.start, problem.gradient, rate, until)
        assert time == min(until, 0.5 / math.sqrt(rate))
        np.testing.assert_allclose(weight, predictor.theta(time)[0], rtol=0, atol=1e-14)
        slope = (predictor.theta(time * (1 + 1e-6))[0] - predictor.theta(time * (1 - 1e-6))[0]) / (2e-6 * time)
        np.testing.assert_allclose(speed, slope, rtol=0, atol=2e-9 / time)  # the quotient's own rounding
    still = NesterovFlow().departure(problem.start, lambda w: 0 * w, 0.0, 2.0)
    np.testing.assert_array_equal(still[1][0], problem.start)
    assert integrate(problem.setting, x, initial_weight=np.ones((5, 5)), times=[0.0]).tolist() == [
        np.ones((5, 5)).tolist()
    ]


def test_a_convolution_flows_with_inertia():
    images = np.random.default_rng(4).random((1, 1, 5, 5))
    for optimizer in (HeavyBallFlow(1.5), NesterovFlow()):
        setting = Setting(Conv(3), optimizer)
        start = np.random.default_rng(5).standard_normal((1, 1, 3, 3))
        predicted = cf.Predictor(setting, images, initial_weight=start).weight([0.5, 2.0])
        solved = cf.integrate(setting, images, initial_weight=start, times=[0.5, 2.0])
        np.testing.assert_allclose(predicted, solved, rtol=0, atol=1e-8)


# Budgets and training


@pytest.mark.parametrize("optimizer", FLOWS, ids=str)
def test_the_gains_bound_every_propagator(optimizer):
    """Between any two times, from either part of the state, by a solver."""
    final = 4.0
    for s in (0.0, 0.5, 9.0):
        g = gains(optimizer, np.array([s]), final)
        total = np.zeros((2, 2))
        begins = np.linspace(0.02, final, 60, endpoint=False)
        for begin in begins:
            columns = [
                solve_ivp(
                    lambda t, z, s=s: optimizer.velocity(tuple(z), lambda u: s * u, t),
                    (begin, final),
                    unit,
                    rtol=1e-9,
                    atol=1e-12,
                ).y
                for unit in ((1.0, 0.0), (0.0, 1.0))
            ]
            for column, path in enumerate(columns):
                assert (np.abs(path).max(axis=1) <= g.peak[0][:, column] + 1e-6).all()
                total[:, column] += np.abs(path[:, -1]) * (begins[1] - begins[0])
        assert (total <= g.total[0] * 1.02 + 1e-6).all()  # a sum of 60 terms for the integral


def test_a_rule_that_changes_with_time_needs_a_bound_of_its_own():
    @dataclass(frozen=True)
    class Hastening(Flow, abstract=True):
        def velocity(self, state, gradient, t):
            return (-t * gradient(state[0]),)

    with pytest.raises(SettingError, match="propagator_bound"):
        gains(Hastening(), np.array([1.0]), 2.0)


def test_the_heavy_balls_companion_approaches_the_flow_at_order_root_of_the_learning_rate():
    flow, gaps = HeavyBallFlow(0.8), []
    for halvings in (10, 12, 14):
        learning_rate = 2.0**-halvings
        descent = flow.companion(learning_rate)
        assert descent == HeavyBall(learning_rate, 1 - 0.8 * math.sqrt(learning_rate))
        steps = 3 * 2 ** (halvings // 2)
        assert flow.companion_time(learning_rate, steps) == 3.0
        with quiet():
            residuals = [
                o.response(np, np.array(1.7), np.array(t))[0] for o, t in ((descent, float(steps)), (flow, 3.0))
            ]
        gaps.append(abs(float(residuals[0] - residuals[1])))
    for coarse, fine in itertools.pairwise(gaps):
        assert coarse / fine == pytest.approx(2, rel=0.1)  # a quarter of the rate, half of its root


def test_training_a_flow_with_inertia_is_not_run_and_says_why():
    inputs = np.random.default_rng(6).random((2, 4))
    for optimizer, why in (
        (HeavyBallFlow(0.0), "give friction above 0"),
        (NesterovFlow(), "no discretisation bound"),
    ):
        (row,) = cf.verify(setting=Setting(Linear(), optimizer), inputs=inputs, device="cpu").rows
        assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "not run")
        assert why in row.training.reason
    with pytest.raises(SettingError, match="Lower it"):
        HeavyBallFlow(2.0).companion(1.0)


def test_a_trained_companion_of_the_heavy_ball_flow_is_compared_at_its_own_time():
    inputs = np.random.default_rng(7).random((2, 3))
    setting = Setting(Linear(), HeavyBallFlow(1.0))
    predictor = cf.Predictor(setting, inputs)
    run = cf.train(setting, inputs, steps=3000, learning_rate=1e-6, device="cpu")
    check = cf.crosscheck(predictor, run.steps, run.weights, learning_rate=1e-6)
    assert check.agrees
    assert 0.1 < check.ratio <= 1  # the bound is sharp, of first order in √η = 0.001
    early = cf.crosscheck(predictor, run.steps[1:] - 30, run.weights[1:], learning_rate=1e-6)
    assert early.verdict == "disagrees"  # 1 % of the time too early


def mode_gap(x, g, steps):
    """The residual of the companion less that of the flow, of one mode in units of a step, in 50 digits."""
    with mpmath.workdps(50):
        x, g = mpmath.mpf(x), mpmath.mpf(g)
        omega = mpmath.sqrt(mpmath.mpc(g * g / 4 - x * x))
        flow = mpmath.exp(-g * steps / 2) * (mpmath.cosh(omega * steps) + g / (2 * omega) * mpmath.sinh(omega * steps))
        step = mpmath.matrix([[1 - x * x, x * (1 - g)], [-x, 1 - g]])
        return float(abs((step**steps)[0, 0] - flow.real))


@given(st.floats(-3, 0), st.floats(-3, 0), st.integers(1, 400))
def test_the_heavy_balls_gap_is_inside_its_bound(rate, friction, steps):
    x, friction = 10**rate, 10**friction
    bound = float(HeavyBallFlow(friction).gap_bound(np, np.array([x * x]), steps)[0])
    assert mode_gap(x, friction, steps) <= bound


def proved_energy(x, g):
    """The matrix of the energy of T20, half of the text that the prover decides, on places and speeds."""

    def of(place, speed):
        u, v = np.array([[place]]), np.array([[speed]])
        return eval(energy("U", "V"), {"U": u, "V": v, "x": x, "g": g, "tr": np.trace}) / 2

    mixed = (of(1.0, 1.0) - of(1.0, 0.0) - of(0.0, 1.0)) / 2
    return np.array([[of(1.0, 0.0), mixed], [mixed, of(0.0, 1.0)]])


@given(st.floats(-3, -0.1), st.floats(-3, -0.1))
def test_the_bound_of_one_step_is_that_of_the_proved_energy(rate, friction):
    """√(d·P·d)·√(P⁻¹)_yy with |d| from Taylor's theorem, both signs of d at their worst; to the rounding of the inverse."""
    x, g = 10**rate, 10**friction
    p = proved_energy(x, g)
    a, b = math.sqrt(g**4 - g**2 * x**2 + x**4), math.hypot(g, x)
    off = np.array([x * (b / 2 + a / 6), a / 2])
    expected = math.sqrt(off @ np.abs(p) @ off * np.linalg.inv(p)[0, 0])
    assert HeavyBallFlow(g).gap_bound(np, np.array([x * x]), 1)[0] == pytest.approx(expected, rel=1e-9)


def test_the_heavy_balls_bound_is_sharp_and_of_first_order():
    for friction in (0.0, 0.5, 1.9):
        flow, bounds = HeavyBallFlow(friction), []
        for step, steps in ((1e-2, 200), (1e-3, 2000)):
            bounds.append(float(flow.gap_bound(np, np.array([step**2]), steps, step**2)[0]))
            assert mode_gap(step, friction * step, steps) > bounds[-1] / 20
        assert bounds[0] == pytest.approx(10 * bounds[1], rel=0.05)
    with pytest.raises(SettingError, match="learning_rate must be below 3/s_max for the bound"):
        HeavyBallFlow(0.5).gap_bound(np, np.array([3.0]), 10, 1.0)


@pytest.mark.parametrize("optimizer", [HeavyBallFlow(0.2), HeavyBallFlow(1.0)], ids=str)
def test_the_flow_with_friction_is_what_torch_trains(optimizer, monkeypatch):
    """Inside a bound that sees 1 %; and a flow that is wrong by 1 % is not."""
    inputs = np.random.default_rng(6).random((2, 4))
    (row,) = cf.verify(setting=Setting(Linear(), optimizer), inputs=inputs, device="cpu").rows
    assert row.training.verdict == "agrees"
    right = HeavyBallFlow.response
    monkeypatch.setattr(HeavyBallFlow, "response", lambda *arguments: [1.01 * part for part in right(*arguments)])
    (row,) = cf.verify(setting=Setting(Linear(), optimizer), inputs=inputs, device="cpu").rows
    assert row.training.verdict == "disagrees"


def test_a_wrong_rule_of_a_second_order_flow_is_never_proved():
    class Leaking(HeavyBallFlow, abstract=True):
        def velocity(self, state, gradient, t):
            return state[1] - state[0] / 7, -self.friction * state[1] - gradient(state[0])

    class Doubled(NesterovFlow, abstract=True):
        def velocity(self, state, gradient, t):
            return state[1], -(4 / t) * state[1] - gradient(state[0])

    assert prove_setting(Setting(Linear(), Leaking(0.5))).verdict == "refuted"
    proof = prove_setting(Setting(Linear(), Doubled()))
    assert proof.verdict == "undecided"
    assert "no ansatz" in proof.reason
    assert replace(proof, reason="").lemmas == proof.lemmas
