"""The text that is proved is the formula that is evaluated: on random problems it is what the Predictor says."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad_vec
from scipy.linalg import expm

from empirical.strategies import feature_data, problems, seeds
from numerics.budget import Budget
from numerics.formula import exponential, letters, value
from numerics.predictor import Predictor
from numerics.problem import assemble
from theory.errors import ClaimError, SettingError
from theory.layers import Conv, Linear
from theory.optimizers import GradientDescent, GradientFlow
from theory.setting import Setting
from theory.targets import Given
from theory.theorems import identity_crisis_linear as t4
from theory.theorems import library
from theory.theorems import limit as t2
from theory.theorems import linear_flow as t1

STEADY = st.sampled_from([0.0, 0.3, 2.0, 20.0])  # flow times, in units of the fastest mode


def norm(array) -> float:
    return float(np.linalg.norm(array))


# T1


@pytest.mark.theorem("T1")
@given(case=problems(optimizer_kinds=["gradient_flow"]), reach=STEADY)
def test_the_flow_is_the_formula_of_the_theorem(case, reach):
    predictor = Predictor(*case)
    time = reach / (predictor.rates.max() or 1.0)
    expected = value(t1.WEIGHT, letters(predictor.problem), flow=t1.FLOW, time=time)
    # Both sides are backward stable in Φ: each has the error of its evaluation.
    assert norm(predictor.theta(time)[0] - expected) <= 2 * Budget(predictor).evaluation(time)


@pytest.mark.theorem("T1")
@given(case=problems(optimizer_kinds=["gradient_flow"], decay=False), reach=st.sampled_from([0.3, 2.0]))
def test_the_flow_with_the_sign_of_the_data_term_flipped_is_another(case, reach):
    predictor = Predictor(*case)
    time = reach / (predictor.rates.max() or 1.0)
    pull = norm(
        predictor.problem.scale * predictor.problem.columns @ predictor.problem.features.conj().swapaxes(-1, -2)
    )
    assume(pull > 1e-6 * (1 + norm(predictor.problem.start)) * predictor.rates.max() > 0)
    wrong = value(t1.WEIGHT.replace("+", "-"), letters(predictor.problem), flow=t1.FLOW, time=time)
    assert norm(predictor.theta(time)[0] - wrong) > 2 * Budget(predictor).evaluation(time)


# T2


@pytest.mark.theorem("T2")
@given(case=problems(optimizer_kinds=["gradient_flow", "gradient_descent", "heavy_ball"], decay=False), seed=seeds())
def test_the_limit_is_the_minimiser_nearest_to_the_start(case, seed):
    predictor = Predictor(*case)
    problem, bound = predictor.problem, 2 * Budget(predictor).evaluation(math.inf)
    limit = predictor.theta(math.inf)[0]
    assert norm(limit - value(t2.LIMIT, letters(problem))) <= bound
    assert norm(problem.gradient(limit)) <= bound * predictor.rates.max() + 1e-300
    outside = np.eye(problem.features.shape[1]) - value("X @ pinv(X)", letters(problem))
    drawn = np.random.default_rng(seed).standard_normal(limit.shape)
    other = limit + drawn @ outside
    size = (norm(limit) + norm(drawn)) * norm(problem.features)
    assert norm((other - limit) @ problem.features) <= 1e-9 * size  # a minimiser too
    assert norm(other - problem.start) >= norm(limit - problem.start) - bound


@pytest.mark.theorem("T2")
def test_the_limit_under_decay_is_another_one():
    x = np.array([[1.0, 0.0]])
    start = np.ones((2, 2))
    setting = Setting(Linear(), GradientFlow(), weight_decay=0.5)
    limit = Predictor(setting, x, initial_weight=start).weight(math.inf)[0]
    assert np.allclose(limit, [[1 / 1.5, 0], [0, 0]], rtol=0, atol=1e-15)  # by hand: c Y Φᵀ S⁻¹, two roundings
    kept = Predictor(replace(setting, weight_decay=0.0), x, initial_weight=start).weight(math.inf)[0]
    assert np.allclose(kept, [[1, 1], [0, 1]], rtol=0, atol=1e-15)


# T4


@pytest.mark.theorem("T4")
@given(x=feature_data(), start=seeds(), reach=STEADY)
def test_theorem_one_of_identity_crisis_holds_at_every_time_and_in_the_limit(x, start, reach):
    features = x.shape[1]
    predictor = Predictor(Setting(Linear(), GradientFlow()), x, seed=start)
    weight, probes = predictor.weight(0)[0], np.random.default_rng(start).standard_normal((3, features))
    time = reach / (predictor.rates.max() or 1.0)
    size, budget = norm(probes), Budget(predictor)
    inside = np.linalg.pinv(x.T, rcond=1e-13) @ probes.T  # the data's condition is at most 1e3
    left = np.linalg.multi_dot([x.T, np.eye(len(x)) - expm(-time * (x @ x.T)), inside])
    finite = probes.T + (weight - np.eye(features)) @ (probes.T - left)
    bound = 2 * (budget.evaluation(time) + budget.evaluation(math.inf)) * size  # the pseudo-inverse is the limit's
    assert norm(predictor.predict(probes, time)[0].T - finite) <= bound
    parallel = x.T @ inside
    limit = parallel + weight @ (probes.T - parallel)
    assert norm(predictor.predict(probes, math.inf)[0].T - limit) <= bound
    texts = letters(predictor.problem, probes)
    assert norm(value(t4.FINITE, texts, flow=t4.FLOW, time=time, shapes=t4.MEASURED)[0] - finite) <= bound
    assert norm(value(t4.LIMIT, texts, shapes=t4.MEASURED)[0] - limit) <= bound


@pytest.mark.theorem("T4")
def test_theorem_one_by_hand_for_one_example():
    """x̂ = (2, 0), rate 4: at time log(2)/4 half of the way on the example, nothing beside it."""
    start = np.array([[3.0, 5.0], [7.0, 11.0]])
    predictor = Predictor(Setting(Linear(), GradientFlow()), [[2.0, 0.0]], initial_weight=start)
    half, limit = predictor.predict([[1.0, 1.0]], [math.log(2) / 4, math.inf])[:, 0]
    assert np.allclose(half, [2 + 5, 3.5 + 11], rtol=0, atol=1e-14)  # (W0 + I)/2 on x̂: a few roundings
    assert np.allclose(limit, [1 + 5, 0 + 11], rtol=0, atol=1e-14)


@pytest.mark.theorem("T4")
def test_theorem_one_is_false_with_a_bias():
    """By hand: on [x̂; 1] = (1, 0, 1) the projector moves (0, 1, 1) to (1/2, 0, 1/2), so f = 1/2 x̂ from a zero start."""
    predictor = Predictor(Setting(Linear(bias=True), GradientFlow()), [[1.0, 0.0]], initial_weight=np.zeros((2, 2)))
    assert np.allclose(predictor.predict([[0.0, 1.0]], math.inf), [[[0.5, 0.0]]], rtol=0, atol=1e-15)


# The evaluation itself


def test_letters_are_the_problems_blocks_and_the_centre_taps():
    x, test = np.random.default_rng(0).standard_normal((2, 2, 2, 4, 4))
    setting = Setting(Conv(3, groups=2), GradientFlow(), loss="mse", weight_decay=0.25)
    problem = assemble(setting, x, seed=1)
    found = letters(problem, test)
    assert {name: np.shape(item) for name, item in found.items()} == {
        "X": (2, 9, 32), "Y": (2, 1, 32), "W0": (2, 1, 9), "V": (2, 9, 32), "Wstar": (2, 1, 9), "c": (), "mu": (),
    }  # fmt: skip
    assert (found["c"], found["mu"]) == (2 / 64, 0.25)
    assert np.array_equal(found["Wstar"] @ found["X"], found["Y"])  # W* represents the target
    assert found["Wstar"].sum() == 2
    assert set(letters(problem)) == {"X", "Y", "W0", "c", "mu"}


def test_a_layer_without_a_centre_tap_has_no_representing_weight():
    problem = assemble(Setting(Conv(2), GradientFlow(), Given()), np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)))
    with pytest.raises(SettingError, match="centre tap"):
        letters(problem, np.ones((1, 1, 3, 3)))


@pytest.mark.parametrize("time", [0.0, 1e-9, 0.7, 3.0, 1e6])
def test_the_exponential_and_its_integral_are_scipys(time):
    rng = np.random.default_rng(1)
    root = rng.standard_normal((2, 4, 2))  # rank 2 of 4: the integral grows like t on the null space
    generator = root @ root.swapaxes(-1, -2)
    flow, area = exponential(generator, time)
    for block in range(2):
        # eigh is backward stable: it finds the exponential of a generator that is off by n·eps‖G‖, and time multiplies that.
        bound = 16 * np.finfo(float).eps * (1 + time * norm(generator[block]))
        assert norm(flow[block] - (expm(-time * generator[block]) if time < 100 else limit_of(root[block]))) <= bound
        assert norm(np.eye(4) - generator[block] @ area[block] - flow[block]) <= bound
        if 0 < time < 100:
            slow = quad_vec(lambda s, g=generator[block]: expm(-s * g), 0, time, epsabs=1e-13 * time)[0]
            assert norm(area[block] - slow) <= (bound + 1e-12) * time  # the integral is at most t, and so is its error


def limit_of(root):
    return np.eye(len(root)) - root @ np.linalg.pinv(root)


def test_a_formula_is_evaluated_by_hand():
    x = np.array([[[1.0], [2.0]]])
    start = np.array([[[3.0, 4.0]]])
    values = {"X": x, "W0": start, "c": 0.5, "mu": 2.0}
    assert value("2 * W0 @ X @ X.T - c * mu * W0 / 4", values).tolist() == [[[22 - 0.75, 44 - 1.0]]]
    assert value("101/100 * W0", values).tolist() == (1.01 * start).tolist()
    slow = value("W0 @ E", values, flow={"E": "mu * I + 0 * X @ X.T"}, time=1.0)
    assert np.allclose(slow, math.exp(-2) * start, rtol=1e-15, atol=0)  # one exponential, one product
    assert np.allclose(value("X @ pinv(X)", values)[0], [[0.2, 0.4], [0.4, 0.8]], rtol=0, atol=1e-15)


def test_the_rank_of_a_formula_is_the_rank_of_the_spectrum():
    """A repeated example is no new direction: a naive inverse of tiny singular values would be far off."""
    x = np.array([[[1.0, 1.0 + 1e-16], [2.0, 2.0]]])
    assert np.allclose(value("X @ pinv(X)", {"X": x})[0], [[0.2, 0.4], [0.4, 0.8]], rtol=0, atol=1e-14)


@pytest.mark.parametrize("text", ["X @ X", "Nobody @ X", "X @", "W0 @ X == 0"])
def test_a_formula_that_is_none_is_refused(text):
    with pytest.raises(ClaimError):
        value(text, {"X": np.ones((1, 2, 3)), "W0": np.ones((1, 1, 2))})


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{t.id} {case.name}") for t in library() for case in t.cases])
def test_every_measured_formula_can_be_evaluated_and_has_the_shape_of_the_probed_weight(case):
    layer = case.setting.layer
    channels = 6 // layer.channel_groups() * layer.channel_groups()
    x, test = np.random.default_rng(2).random((2, 2, channels, 6, 6))
    optimizer = GradientFlow() if case.setting.optimizer.discrete else case.setting.optimizer
    problem = assemble(replace(case.setting, optimizer=optimizer), layer.arrange(x))
    values = {**letters(problem, layer.arrange(test)), "W": problem.start}
    probed = value(f"W @ ({case.probe})", values, shapes=case.shapes)
    if case.value:
        assert value(case.value, values, flow=case.flow, time=0.5, shapes=case.shapes).shape == probed.shape
    if case.vanishing:
        assert value(case.vanishing, values, shapes=case.shapes).shape == values["V"].shape


def test_a_planted_sign_in_a_formula_is_seen():
    """The comparison of this file can fail: descent is not flow, and ``-`` is not ``+``."""
    x = np.random.default_rng(3).standard_normal((3, 5))
    flow = Predictor(Setting(Linear(), GradientFlow()), x)
    time = 1 / flow.rates.max()
    bound = 2 * Budget(flow).evaluation(time)
    good = value(t1.WEIGHT, letters(flow.problem), flow=t1.FLOW, time=time)
    bad = value(t1.WEIGHT.replace("+", "-"), letters(flow.problem), flow=t1.FLOW, time=time)
    descent = Predictor(Setting(Linear(), GradientDescent(time / 10)), x)
    assert norm(flow.theta(time)[0] - good) <= bound
    assert norm(flow.theta(time)[0] - bad) > 1e6 * bound
    assert norm(descent.theta(10)[0] - good) > 1e6 * bound
