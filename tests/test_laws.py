"""Laws of the closed form, each under its hypotheses, and each seen to fail outside them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space

from empirical import laws
from empirical.strategies import feature_data, images, input_shapes, layers, problems, seeds
from numerics.budget import UNITS, Budget
from numerics.integrate import integrate
from numerics.predictor import Predictor
from theory.layers import Conv, Linear
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.targets import Constant, Given, Identity

FLOW = Setting(Linear(), GradientFlow())
FIRST_ORDER = ("gradient_flow", "gradient_descent")
ALL_TIMES = (0.0, 0.3, 2.0, 40.0, math.inf)


def rounding(*evaluated):
    """The rounding of closed forms, (predictor, time) each."""
    return sum(Budget(p).evaluation(time) for p, time in evaluated)


def assert_close(found, expected, bound):
    assert np.linalg.norm(np.asarray(found) - np.asarray(expected)) <= bound


def times_of(p, units=(0, 0.3, 2, 7)):
    """Times in units of the fastest mode, or whole steps."""
    rate = float(p.rates.max()) or 1.0
    return [math.ceil(unit) if p.setting.optimizer.discrete else unit / rate for unit in units]


@pytest.mark.theorem("T1")
@given(problems(optimizer_kinds=FIRST_ORDER))
def test_a_first_order_rule_forgets_how_it_got_there(case):
    assert laws.check_semigroup(Predictor(*case))


def test_momentum_remembers_how_it_got_there():
    p = Predictor(replace(FLOW, optimizer=HeavyBall(0.1, 0.9)), [[1.0]], initial_weight=[[0.0]])
    onward = p.from_start(p.theta(5)[0])
    assert abs(onward.theta(5)[0] - p.theta(10)[0]).item() > 0.1


@given(problems(optimizer_kinds=FIRST_ORDER))
def test_the_loss_never_rises_under_a_first_order_rule(case):
    """The whole loss, decay included: every mode of the residual shrinks."""
    assert laws.check_loss_falls(Predictor(*case))


def test_the_loss_rises_under_momentum_and_the_data_term_under_decay():
    fast = Predictor(replace(FLOW, optimizer=HeavyBall(0.5, 0.9)), [[1.0]], initial_weight=[[0.0]])
    assert np.diff(fast.loss(range(12))).max() > 0.1
    decayed = Predictor(replace(FLOW, weight_decay=1.0), [[1.0]], initial_weight=[[1.0]])
    assert np.diff(decayed.loss([0, 1, math.inf])).min() > 0
    assert np.diff(decayed.loss([0, 1, math.inf], penalty=True)).max() < 0


@pytest.mark.theorem("T3")
@given(problems(decay=False))
def test_training_conserves_the_null_space(case):
    assert laws.check_null_space(Predictor(*case))


@pytest.mark.theorem("T3")
@given(problems(layers(axes=0, biases=False), optimizer_kinds=["gradient_flow"], examples=1))
def test_under_decay_the_null_space_shrinks_by_the_residual_of_the_decay(case):
    """The false twin of conservation, with what is true instead: W(t)N = g(μ, t) W0 N."""
    setting = replace(case.setting, weight_decay=0.5)
    p = Predictor(setting, *case[1:])
    outside = null_space(p.problem.features[0].T, rcond=1e-12)
    for time in (0.5, 3.0):
        shrunk = math.exp(-0.5 * time) * p.problem.start[0] @ outside
        assert_close(
            p.theta(time)[0, 0] @ outside, shrunk, rounding((p, time)) + 1e-14 * np.linalg.norm(p.problem.start)
        )
        if np.linalg.norm(shrunk) > 0:
            assert np.linalg.norm(shrunk - p.problem.start[0] @ outside) > 0.2 * np.linalg.norm(shrunk)


@pytest.mark.theorem("T4")
@given(feature_data(features=4, examples=1), seeds(), st.sampled_from([0.0, 0.5, 3.0, math.inf]))
def test_one_example_is_learned_on_its_line_and_nowhere_else(x, seed, time):
    """Identity crisis 1: f(z) = z + (W0 - I)v with v = Π⊥z + e^{-t‖x‖²}Π∥z; at t = ∞ Π∥z + W0 Π⊥z."""
    rng = np.random.default_rng(seed)
    w0, z = rng.standard_normal((4, 4)), rng.standard_normal(4)
    p = Predictor(FLOW, x, initial_weight=w0)
    along = x[0] * (x[0] @ z) / (x[0] @ x[0])
    v = z - along + math.exp(-time * (x[0] @ x[0])) * along
    bound = rounding((p, time)) * np.linalg.norm(z) + 1e-14 * np.linalg.norm(w0) * np.linalg.norm(z)
    assert_close(p.predict(z[None], time)[0, 0], z + (w0 - np.eye(4)) @ v, bound)
    assert_close(p.error(z[None], time)[0, 0], ((w0 - np.eye(4)) @ v @ ((w0 - np.eye(4)) @ v)), 100 * bound)


@pytest.mark.theorem("T4")
def test_with_decay_one_example_learns_neither_its_line_nor_keeps_the_rest():
    p = Predictor(replace(FLOW, weight_decay=0.5), [[1.0, 0.0]], initial_weight=np.eye(2))
    np.testing.assert_allclose(p.weight(math.inf)[0], [[1 / 1.5, 0.0], [0.0, 0.0]], atol=1e-15)


@pytest.mark.theorem("T5")
@settings(max_examples=15)
@given(seeds(), st.sampled_from(["zeros", "circular", "reflect", "replicate"]))
def test_a_convolution_learns_the_identity_from_one_full_image_from_any_start(seed, mode):
    """Identity crisis 2: range Φ is everything, so every other image is reproduced exactly."""
    rng = np.random.default_rng(seed)
    image, other = rng.standard_normal((2, 1, 1, 8, 8))
    p = Predictor(Setting(Conv(3, padding_mode=mode), GradientFlow()), image, seed=seed)
    assert p.spectrum.ranks == [9]
    bound = rounding((p, math.inf)) * np.linalg.norm(p.setting.layer.features(other, np)) + 1e-13
    assert_close(p.predict(other, math.inf)[0], other, bound)


@pytest.mark.theorem("T5")
def test_a_convolution_does_not_learn_the_identity_where_its_patches_leave_directions_free():
    """A lit corner pixel (4 of 9 taps seen) and a blank channel: the error is (W0 - W*) on what is not seen."""
    corner = np.zeros((1, 1, 6, 6))
    corner[0, 0, 0, 0] = 1.0
    other = np.random.default_rng(0).standard_normal((1, 1, 6, 6))
    p = Predictor(Setting(Conv(3), GradientFlow()), corner, seed=0)
    assert p.spectrum.ranks == [4]
    centre = np.zeros((1, 9))
    centre[0, 4] = 1.0
    features = p.setting.layer.features(other, np)
    unseen = features - p.spectrum.project(features)
    expected = (((p.problem.start - centre) @ unseen) ** 2).sum()
    assert p.error(other, math.inf)[0, 0] == pytest.approx(expected, rel=1e-12)  # rounding of exact 0/1 features
    assert expected > 0.1
    blank = np.random.default_rng(1).standard_normal((1, 2, 6, 6))
    blank[:, 1] = 0.0
    grouped = [Predictor(Setting(Conv(3, groups=g), GradientFlow()), blank, seed=0).spectrum.ranks for g in (1, 2)]
    assert grouped == [[9], [9, 0]]


@given(problems(kinds=["linear"]), seeds())
def test_a_dense_layer_turns_with_its_inputs(case, seed):
    """Whatever the optimiser, loss and decay; data Qx from W0Qᵀ, and for the identity from QW0Qᵀ."""
    for law in (laws.check_rotation, laws.check_permutation):
        assert law(Predictor(*case), seed)


def test_a_convolution_does_not_turn_with_its_inputs():
    rng = np.random.default_rng(0)
    x, order = rng.standard_normal((1, 1, 6)), rng.permutation(6)
    p, shuffled = (Predictor(Setting(Conv(3), GradientFlow()), data, seed=0) for data in (x, x[:, :, order]))
    assert np.abs(p.predict(x, 0.1)[..., order] - shuffled.predict(x[:, :, order], 0.1)).max() > 0.1


@given(laws.check_scaling.problems(), seeds())
def test_brighter_inputs_are_only_a_faster_clock(case, seed):
    """x → a x is t → a²t: the identity, no bias, no decay, a flow."""
    assert laws.check_scaling(Predictor(*case), seed)


@pytest.mark.parametrize(
    "changes",
    [
        {"layer": Linear(bias=True)},
        {"weight_decay": 0.5},
        {"target": Constant([1.0, 1.0])},
        {"optimizer": GradientDescent(0.1)},
    ],
    ids=["bias", "decay", "fixed target", "descent"],
)
def test_brighter_inputs_are_another_problem_outside_the_hypotheses(changes):
    setting, x = replace(FLOW, **changes), np.array([[1.0, 0.5]])
    plain = Predictor(setting, x, initial_weight=np.zeros((2, 2)))
    bright = Predictor(setting, 2 * x, initial_weight=np.zeros((2, 2)))
    assert np.abs(bright.theta(1)[0] - plain.theta(4)[0]).max() > 0.01


@settings(max_examples=60)
@given(laws.check_patches.problems())
def test_a_convolution_is_a_dense_layer_on_its_patches(case):
    """Always: any option, any optimiser, decay, either loss; weight for weight, by closed form and by the oracle."""
    p = Predictor(*case)
    assert laws.check_patches(p)
    if p.setting.optimizer.discrete:
        dense = replace(p.setting, layer=Linear(), target=Given())
        found = integrate(dense, p.problem.features[0].T, p.problem.columns[0].T, p.problem.start[0], times=[3])[0]
        kernel = found[:, :-1] if p.setting.layer.bias else found
        bound = 2 * Budget(p).rounding(3, UNITS["float64"])  # one sum in two orders
        assert_close(integrate(*case, times=[3])[0].reshape(kernel.shape), kernel, bound)


def test_a_convolution_is_no_dense_layer_on_its_pixels():
    x = np.random.default_rng(0).standard_normal((2, 1, 1, 5))
    conv = Predictor(Setting(Conv(3), GradientFlow()), x[0], seed=0)
    dense = Predictor(FLOW, x[0, 0], seed=0)
    assert np.abs(conv.predict(x[1], math.inf) - dense.predict(x[1, 0], math.inf)[..., None, :]).max() > 0.1


@given(problems(), seeds())
def test_the_path_is_linear_in_start_and_targets_together(case, seed):
    """Superposition: a linear optimiser maps (W0, Y) linearly to W(t)."""
    assert laws.check_superposition(Predictor(*case), seed)


@given(problems(losses=["mse"]), seeds())
def test_the_mean_loss_sees_neither_order_nor_repetition(case, seed):
    assert laws.check_repetition(Predictor(*case), seed)


def test_the_summed_loss_sees_repetition_as_a_faster_clock():
    once, twice = (Predictor(FLOW, [[1.0, 2.0]] * count, seed=0) for count in (1, 2))
    assert np.abs(twice.weight(0.1) - once.weight(0.1)).max() > 0.01
    np.testing.assert_allclose(twice.weight(0.1), once.weight(0.2), atol=1e-14)


@given(problems(optimizer_kinds=["gradient_flow"], losses=["mse"], decay=False))
def test_the_mean_loss_is_a_slower_clock_without_decay(case):
    assert laws.check_mean_clock(Predictor(*case))


def test_the_mean_loss_is_no_slower_clock_under_decay():
    p = Predictor(replace(FLOW, loss="mse", weight_decay=0.5), [[1.0, 2.0, 0.0]], seed=0)
    summed = Predictor(replace(FLOW, weight_decay=0.5), [[1.0, 2.0, 0.0]], seed=0)
    assert np.abs(summed.weight(2 / 3) - p.weight(1)).max() > 0.01


@given(st.data(), seeds())
def test_a_grouped_convolution_is_one_convolution_per_group(data, seed):
    layer = data.draw(layers(axes=data.draw(st.integers(1, 2)), odd=True, kinds=["conv"])).with_values(groups=2)
    x = data.draw(images(data.draw(input_shapes(layer))))
    half, rng = x.shape[1] // 2, np.random.default_rng(seed)
    w0 = rng.standard_normal(layer.weight_shape(x.shape[1:], 2 * half))
    setting = Setting(layer, GradientFlow(), Identity())
    b0 = rng.standard_normal(2 * half) if layer.bias else None
    whole = Predictor(setting, x, None, w0, b0)
    for group in range(2):
        part = slice(group * half, (group + 1) * half)
        alone = replace(setting, layer=layer.with_values(groups=1))
        single = Predictor(alone, x[:, part], None, w0[part], None if b0 is None else b0[part])
        for time in (*times_of(whole), math.inf):
            assert_close(whole.weight(time)[0, part], single.weight(time)[0], rounding((whole, time), (single, time)))


@pytest.mark.theorem("T2")
@given(problems(optimizer_kinds=["gradient_flow"], decay=False, target_kinds=["given"]), seeds())
def test_the_limit_is_a_minimiser_and_no_other_minimiser_is_nearer_to_the_start(case, seed):
    """The gradient vanishes there, and the way from the start is orthogonal to every direction that costs nothing."""
    p = Predictor(*case)
    final = p.theta(math.inf)[0]
    assert laws.check_stationary(p)
    free = np.random.default_rng(seed).standard_normal(final.shape)
    free = free - p.spectrum.project(free.conj().swapaxes(1, 2)).conj().swapaxes(1, 2)
    shift = np.linalg.norm(final + free - p.problem.start) ** 2 - np.linalg.norm(final - p.problem.start) ** 2
    assert shift >= np.linalg.norm(free) ** 2 * (1 - 1e-9) - 1e-9 * np.linalg.norm(final - p.problem.start)


def test_the_limit_is_not_the_pseudo_inverse_solution_unless_the_start_is_zero():
    """The false twin of T2: YΦ⁺ alone."""
    x = np.array([[1.0, 0.0]])
    y, w0 = np.array([[2.0]]), np.array([[0.0, 3.0]])
    p = Predictor(replace(FLOW, target=Given()), x, y, w0)
    assert p.weight(math.inf)[0].tolist() == [[2.0, 3.0]]
    assert (y @ np.linalg.pinv(x.T)).tolist() == [[2.0, 0.0]]
