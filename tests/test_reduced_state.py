"""The reduced states against the weights themselves: same rule, same trajectory, errors inside what is claimed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical.strategies import problems
from numerics import integrate, states
from numerics.budget import Budget
from numerics.integrate import trajectory
from numerics.plan import MAX_STIFFNESS, plan
from numerics.predictor import Predictor
from numerics.problem import assemble
from numerics.rows import row_jacobian
from numerics.states import STATES
from theory.layers import CircularConv, Conv, Linear
from theory.optimizers import (
    AveragedFlow,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    HeavyBallFlow,
    NesterovFlow,
    Preconditioned,
)
from theory.schedules import LinearWarmup
from theory.setting import Setting
from theory.targets import Given

FLOWS = (GradientFlow(), GradientFlow(LinearWarmup(2)), HeavyBallFlow(0.5), NesterovFlow(), AveragedFlow())
TIMES = np.array([0.0, 1.0, 3.0])


def drawn(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def with_condition(examples, features, condition):
    """Inputs with singular values from 1 down to 1/condition."""
    left, right = (np.linalg.qr(drawn((size, examples), size))[0] for size in (examples, features))
    return (left * np.geomspace(1, 1 / condition, examples)) @ right.T


@pytest.mark.theorem("T22")
@settings(max_examples=40)
@given(problems(), st.sampled_from(sorted(STATES)))
def test_every_state_follows_the_closed_form_inside_its_budget(case, state):
    """All layers, complex ones included, and all rules, with decay and preconditioner."""
    p = Predictor(*case)
    fastest = max(float(p.rates.max()), p.setting.weight_decay) or 1.0
    times = [0, 1, 20] if p.setting.optimizer.discrete else [0, 1 / fastest, 5 / fastest]
    found, budget = trajectory(p.problem, times, 1e-8, state=state), Budget(p)
    assert found.state == state
    for index, time in enumerate(times):
        gap = np.linalg.norm(found.theta[index] - p.theta(time)[0])
        assert gap <= budget.integration(found, index, time)
    np.testing.assert_array_equal(found.theta[0], p.problem.start)


@pytest.mark.theorem("T22")
@pytest.mark.parametrize("rule", [GradientDescent(0.1), HeavyBall(0.05, 0.9)])
def test_a_step_of_the_dual_state_is_a_step_of_the_weights_written_out(rule):
    """Five steps by loops over numbers, with decay: what no matrix product of ours takes part in."""
    x, y, start = drawn((2, 3)), drawn((2, 2), 1), drawn((2, 3), 2)
    problem = assemble(Setting(Linear(), rule, Given(), weight_decay=0.3), x, y, start)
    weight, buffer = start.tolist(), np.zeros((2, 3)).tolist()
    for _ in range(5):
        outputs = [[sum(w * v for w, v in zip(row, example, strict=True)) for row in weight] for example in x]
        for i in range(2):
            for j in range(3):
                slope = sum((outputs[n][i] - y[n][i]) * x[n][j] for n in range(2)) + 0.3 * weight[i][j]
                buffer[i][j] = getattr(rule, "momentum", 0.0) * buffer[i][j] + slope
        weight = [
            [w - rule.learning_rate * b for w, b in zip(*rows, strict=True)]
            for rows in zip(weight, buffer, strict=True)
        ]
    found = trajectory(problem, [5], state="dual").theta[0, 0]
    # Some hundred roundings of numbers below 10.
    np.testing.assert_allclose(found, weight, rtol=0, atol=1e3 * 10 * np.finfo(float).eps)


@pytest.mark.theorem("T22")
def test_a_start_that_does_not_decay_leaves_the_trajectory():
    """The false twin: K kept as it is."""
    p = Predictor(Setting(Linear(), GradientFlow(), weight_decay=0.3), drawn((2, 4)))
    state = STATES["dual"](p.problem)
    time = 2.0
    found = trajectory(p.problem, [time], state="dual")
    kept = found.theta[0] + (1 - np.exp(-0.3 * time)) * p.problem.start
    assert np.linalg.norm(found.theta[0] - p.theta(time)[0]) <= Budget(p).integration(found, 0, time)
    assert np.linalg.norm(kept - p.theta(time)[0]) > 1e3 * Budget(p).integration(found, 0, time)
    assert state.gradient(state.start)[0] == 0.3 * state.start[0]


@given(problems(), st.sampled_from(["dual", "gram"]), st.integers(0, 99))
def test_an_error_of_a_reduced_state_is_as_large_in_the_weights_at_most(case, name, seed):
    state = STATES[name](assemble(*case))
    rng = np.random.default_rng(seed)
    vector, error = (rng.standard_normal(state.start.size) for _ in range(2))
    moved = np.linalg.norm(state.weight(vector + error) - state.weight(vector))
    lead = state.lead
    size = np.linalg.norm(error[:lead]) + np.linalg.norm(error[lead:])
    assert moved <= size * (1 + 1e-9)


@pytest.mark.parametrize("name", ["dual", "gram"])
@pytest.mark.parametrize("precondition", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-80, 1e80])
def test_the_rounding_of_a_reduced_gradient_is_inside_its_bound(name, precondition, scale):
    """In 80-bit arithmetic the gradient of the weights of the state is what the state's gradient should be."""
    x, rule = scale * with_condition(6, 9, 1e5), GradientFlow()
    optimizer = Preconditioned(rule, drawn((9, 9)) @ drawn((9, 9)).T + np.eye(9)) if precondition else rule
    problem = assemble(Setting(Linear(), optimizer, weight_decay=0.1), x, seed=1)
    state = STATES[name](problem)
    vector = drawn(state.start.size, 5) * (np.linalg.norm(problem.start) if name == "dual" else 1)
    long = np.longdouble
    features, columns = problem.features.astype(long), problem.columns.astype(long)
    matrix = np.array(getattr(optimizer, "matrix", np.eye(9)), dtype=long)
    push = features.swapaxes(-1, -2) @ matrix

    def weight(flat):
        if name == "gram":
            return flat.astype(long).reshape(problem.start.shape)
        rows = flat[1:].astype(long).reshape(state.rows)
        return long(flat[0]) * state.direction + rows @ push / long(state.unit)

    theta = weight(vector)
    truth = (theta @ features - columns) @ push + long(0.1) * theta
    gap = float(np.linalg.norm((weight(state.gradient(vector)) - truth).astype(float)))
    pushed = float(np.linalg.norm(push.astype(float)))
    bound = state.residual_error(vector) * pushed + state.gradient_error(vector)
    decayed = 4 * np.finfo(float).eps * (np.linalg.norm(vector) + float(np.linalg.norm(theta.astype(float))))
    assert gap <= bound + decayed
    size = np.linalg.norm(vector) + float(np.linalg.norm(problem.start))
    # Not absurd: 32 products in a sum, and P's condition number of some hundred.
    assert bound <= 1e-11 * size * (0.1 + pushed * float(np.linalg.norm(x)))


@pytest.mark.parametrize("layer", [Linear(bias=True), Conv(3, groups=2), CircularConv()])
@pytest.mark.parametrize("rule", FLOWS, ids=str)
@pytest.mark.parametrize("name", sorted(STATES))
def test_the_jacobian_of_a_row_solves_for_the_whole_state(layer, rule, name):
    """Against the Jacobian of the whole state, column by column."""
    x = drawn((2, 3)) if isinstance(layer, Linear) else drawn((1, 2, 4))
    state = STATES[name](assemble(Setting(layer, rule, weight_decay=0.2), x, seed=1))
    parts, numbers = len(rule.initial_state(state.start)), state.start.dtype

    def velocity(time, flat):
        vectors = tuple(flat.view(numbers).reshape((parts, -1)))
        return np.concatenate(rule.velocity(vectors, state.gradient, time)).view(float)

    size = parts * state.start.size * numbers.itemsize // 8
    still = velocity(1.5, np.zeros(size))
    whole = np.stack([velocity(1.5, unit) - still for unit in np.eye(size)], axis=1)
    rows = row_jacobian(state, rule, velocity, 1.5)
    right = drawn(size) + 1j * drawn(size, 1)
    real = np.zeros(size, dtype=bool)
    if state.lead and np.iscomplexobj(state.start):  # the imaginary part of a is 0 for ever
        real.reshape((parts, -1))[:, 1] = True
        right[real] = 0
    for shift, given_ in ((3.0, right.real), (2.0 + 1.0j, right)):
        solved = rows.resolvent(shift)(given_)
        back = shift * solved - whole @ solved
        np.testing.assert_allclose(back, given_, rtol=0, atol=1e-11 * np.abs(whole).max() * np.abs(solved).max())


@pytest.mark.parametrize("rule", FLOWS, ids=str)
@pytest.mark.parametrize("name", sorted(STATES))
@pytest.mark.parametrize("layer", [Linear(), CircularConv()])
def test_the_implicit_solver_is_inside_the_budget_for_every_flow(layer, rule, name, monkeypatch):
    x = drawn((2, 3)) if isinstance(layer, Linear) else drawn((1, 2, 3))
    p = Predictor(Setting(layer, rule, weight_decay=0.1), x, seed=1)
    monkeypatch.setattr(integrate, "plan", lambda *given_: replace(plan(*given_), implicit=True))
    found, budget = trajectory(p.problem, TIMES, 1e-6, state=name), Budget(p)
    assert found.method == "Radau"
    for index, time in enumerate(TIMES):
        assert np.linalg.norm(found.theta[index] - p.theta(time)[0]) <= budget.integration(found, index, time)


@pytest.mark.parametrize("condition", [10.0, 1e3])
def test_stiff_data_with_many_outputs_are_solved_by_rows(condition):
    """22 500 unknowns, whose own Jacobian would have 4 GB, up to a stiffness of 5e6."""
    p = Predictor(Setting(Linear(), GradientFlow()), with_condition(3, 150, condition), seed=1)
    time = 5 * condition**2
    found = trajectory(p.problem, [time], 1e-8)
    assert (found.state, found.method) == ("dual", "DOP853" if condition < 100 else "Radau")
    bound = Budget(p).integration(found, 0, time)
    assert np.linalg.norm(found.theta[0] - p.theta(time)[0]) <= bound <= 0.01 * np.linalg.norm(found.theta[0])


def test_the_state_is_chosen_by_cost_and_not_where_its_rounding_shows():
    def chosen(examples, features, last, rule=None):
        x = drawn((examples, features)) / np.sqrt(examples * features)
        return plan(assemble(Setting(Linear(), rule or GradientFlow()), x), last)

    assert chosen(5, 200, 1.0).state == "dual"
    assert chosen(400, 50, 1.0).state == "gram"
    assert chosen(3, 4, 1.0).state == "full"  # too small for anything to matter
    assert chosen(5, 200, 1.0, GradientDescent(0.1)).state == "full"  # one step: K would cost more
    assert chosen(5, 200, 100.0, GradientDescent(0.1)).state == "dual"
    assert chosen(5, 200, MAX_STIFFNESS * 1e4).state == "full"  # rounding in K would be carried so long
    assert not chosen(5, 200, 100.0).implicit
    assert chosen(5, 200, 1e6).implicit


@pytest.mark.parametrize(
    "rule", [GradientFlow(), HeavyBallFlow(0.5), GradientDescent(0.5), HeavyBall(0.5, 0.5)], ids=str
)
@pytest.mark.parametrize("name", ["dual", "gram"])
def test_a_kernel_in_single_precision_is_inside_the_budget_of_that_precision_and_not_of_double(rule, name, monkeypatch):
    """The rounding of K and G made so large that it is seen through the whole budget, over a long time."""

    class Single(STATES[name]):
        def __init__(self, problem, residual=None):
            super().__init__(problem, residual)
            for matrix in ("kernel", "outputs") if name == "dual" else ("matrix", "drive"):
                setattr(self, matrix, getattr(self, matrix).astype(np.float32).astype(float))

    p = Predictor(Setting(Linear(), rule), with_condition(4, 6, 5.0), seed=1)
    monkeypatch.setitem(STATES, name, Single)
    time, budget = 100.0, Budget(p)

    def found():
        return trajectory(p.problem, [time], 1e-13, state=name)

    gap = np.linalg.norm(found().theta[0] - p.theta(time)[0])
    assert gap > budget.integration(found(), 0, time)
    monkeypatch.setattr(states, "UNIT", 2.0**-24)
    assert gap <= budget.integration(found(), 0, time)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
@pytest.mark.parametrize("name", sorted(STATES))
@pytest.mark.parametrize("implicit", [False, True])
def test_data_of_any_scale_are_integrated(scale, name, implicit, monkeypatch):
    """Rates of 1e-200 and 1e200: the solver's squares of velocities would underflow or overflow."""
    p = Predictor(Setting(Linear(), GradientFlow()), scale * drawn((3, 5)), seed=1)
    monkeypatch.setattr(integrate, "plan", lambda *given_: replace(plan(*given_), implicit=implicit))
    time = 3 / float(p.rates.max())
    found = trajectory(p.problem, [time], 1e-8, state=name)
    assert np.linalg.norm(found.theta[0] - p.theta(time)[0]) <= Budget(p).integration(found, 0, time)
