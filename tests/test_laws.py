"""Laws of the closed form, each under its hypotheses, and each seen to fail outside them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space

from empirical.layer_strategies import EXACT
from empirical.strategies import feature_data, images, input_shapes, layers, problems, seeds
from numerics.budget import Budget
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
    """Semigroup: going on from W(t) for r is W(t + r)."""
    p = Predictor(*case)
    for early, late in ((0, 2), (1, 2), (2, 3)):
        t, r = times_of(p)[early], times_of(p)[late]
        middle = p.theta(t)[0]
        onward = p.from_start(middle)
        assert_close(onward.theta(r)[0], p.theta(t + r)[0], rounding((p, t), (p, t + r), (onward, r)))


def test_momentum_remembers_how_it_got_there():
    p = Predictor(replace(FLOW, optimizer=HeavyBall(0.1, 0.9)), [[1.0]], initial_weight=[[0.0]])
    onward = p.from_start(p.theta(5)[0])
    assert abs(onward.theta(5)[0] - p.theta(10)[0]).item() > 0.1


@given(problems(optimizer_kinds=FIRST_ORDER))
def test_the_loss_never_rises_under_a_first_order_rule(case):
    """The whole loss, decay included: every mode of the residual shrinks."""
    p = Predictor(*case)
    times = [*times_of(p, (0, 1, 2, 3, 8, 50)), math.inf]
    losses = p.loss(times, penalty=True)
    size = max(float(losses[0]), p.problem.scale / 2 * float(np.linalg.norm(p.problem.columns)) ** 2)
    # The loss is a square of what is off by the weights' rounding, times the features.
    off = math.sqrt(p.problem.scale + p.setting.weight_decay) * (1 + np.linalg.norm(p.problem.features))
    slack = [2 * off * math.sqrt(2 * size) * Budget(p).evaluation(t) + 1e-14 * size for t in times]
    assert (np.diff(losses) <= np.array(slack[1:]) + slack[:-1]).all()


def test_the_loss_rises_under_momentum_and_the_data_term_under_decay():
    fast = Predictor(replace(FLOW, optimizer=HeavyBall(0.5, 0.9)), [[1.0]], initial_weight=[[0.0]])
    assert np.diff(fast.loss(range(12))).max() > 0.1
    decayed = Predictor(replace(FLOW, weight_decay=1.0), [[1.0]], initial_weight=[[1.0]])
    assert np.diff(decayed.loss([0, 1, math.inf])).min() > 0
    assert np.diff(decayed.loss([0, 1, math.inf], penalty=True)).max() < 0


@pytest.mark.theorem("T3")
@given(problems(decay=False))
def test_training_conserves_the_null_space(case):
    """W(t)N = W0 N for N orthogonal to all features, from scipy's own null space; t = ∞ included."""
    p = Predictor(*case)
    for time in (*times_of(p), math.inf):
        theta = p.theta(time)[0]
        for block, features in enumerate(p.problem.features):
            outside = null_space(features.conj().T, rcond=max(features.shape) * np.finfo(float).eps)
            moved = (theta - p.problem.start)[block] @ outside
            # The range that the closed form uses and this one differ by max(d, M)·eps·κ in angle.
            kept = p.spectrum.values[p.spectrum.values > 0]
            angle = 16 * max(features.shape) * np.finfo(float).eps * (kept.max() / kept.min() if kept.size else 1)
            assert np.linalg.norm(moved) <= rounding((p, time)) + angle * np.linalg.norm(theta - p.problem.start)


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


@given(feature_data(features=4), seeds(), st.sampled_from([False, True]))
def test_a_dense_layer_turns_with_its_inputs(x, seed, bias):
    """Rotation and permutation equivariance: data Qx from QW0Qᵀ gives QW(t)Qᵀ."""
    rng = np.random.default_rng(seed)
    w0, b0 = rng.standard_normal((4, 4)), rng.standard_normal(4) if bias else None
    for q in (np.linalg.qr(rng.standard_normal((4, 4)))[0], np.eye(4)[rng.permutation(4)]):
        setting = replace(FLOW, layer=Linear(bias=bias))
        plain = Predictor(setting, x, None, w0, b0)
        turned = Predictor(setting, x @ q.T, None, q @ w0 @ q.T, None if b0 is None else q @ b0)
        for time in ALL_TIMES:
            bound = rounding((plain, time), (turned, time)) + 1e-13
            assert_close(turned.weight(time)[0], q @ plain.weight(time)[0] @ q.T, bound)


def test_a_convolution_does_not_turn_with_its_inputs():
    rng = np.random.default_rng(0)
    x, order = rng.standard_normal((1, 1, 6)), rng.permutation(6)
    p, shuffled = (Predictor(Setting(Conv(3), GradientFlow()), data, seed=0) for data in (x, x[:, :, order]))
    assert np.abs(p.predict(x, 0.1)[..., order] - shuffled.predict(x[:, :, order], 0.1)).max() > 0.1


@pytest.mark.parametrize("factor", [0.5, 3.0])
@given(
    case=problems(
        layers(odd=True, biases=False, kinds=["linear", "conv", "locally_connected", "circular_conv"]),
        optimizer_kinds=["gradient_flow"],
        target_kinds=["identity"],
        decay=False,
    )
)
def test_brighter_inputs_are_only_a_faster_clock(factor, case):
    """x → a x is t → a²t: the identity, no bias, no decay, a flow."""
    p = Predictor(*case)
    bright = Predictor(case.setting, factor * case.inputs, *case[2:])
    for time in (*times_of(p), math.inf):
        bound = rounding((p, time), (bright, time / factor**2))
        assert_close(bright.theta(time / factor**2)[0], p.theta(time)[0], bound)


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
@given(st.data())
def test_a_convolution_is_a_dense_layer_on_its_patches(data):
    """Always: any option, any optimiser, decay, either loss; weight for weight, by closed form and by the oracle."""
    layer = data.draw(layers(axes=data.draw(st.integers(1, 3)), biases=False, kinds=["conv"]))
    layer = layer.with_values(groups=1)
    x = data.draw(images(data.draw(input_shapes(layer))))
    decay, loss = data.draw(st.sampled_from([0.0, 0.3])), data.draw(st.sampled_from(["half_sum", "mse"]))
    rng = np.random.default_rng(data.draw(seeds()))
    features = layer.features(x, np)
    rate = 1 / (np.linalg.norm(features) ** 2 + decay or 1.0)
    optimizer = data.draw(st.sampled_from([GradientFlow(), GradientDescent(rate), HeavyBall(rate, 0.8)]))
    setting = Setting(Linear(), optimizer, Given(), loss, decay)
    y = rng.standard_normal((len(x), *layer.output_shape(x.shape[1:], 2)))
    w0 = rng.standard_normal(layer.weight_shape(x.shape[1:], 2))
    conv = Predictor(replace(setting, layer=layer), x, y, w0)
    dense = Predictor(setting, features[0].T, layer.to_columns(y, np)[0].T, w0.reshape(2, -1))
    for time in (*times_of(conv), math.inf):
        bound = rounding((conv, time), (dense, time))
        assert_close(conv.weight(time)[0].reshape(2, -1), dense.weight(time)[0], bound)
    if optimizer.discrete:
        np.testing.assert_array_equal(
            integrate(replace(setting, layer=layer), x, y, w0, times=[3])[0].ravel(),
            integrate(setting, features[0].T, layer.to_columns(y, np)[0].T, w0.reshape(2, -1), times=[3])[0].ravel(),
        )


def test_a_convolution_is_no_dense_layer_on_its_pixels():
    x = np.random.default_rng(0).standard_normal((2, 1, 1, 5))
    conv = Predictor(Setting(Conv(3), GradientFlow()), x[0], seed=0)
    dense = Predictor(FLOW, x[0, 0], seed=0)
    assert np.abs(conv.predict(x[1], math.inf) - dense.predict(x[1, 0], math.inf)[..., None, :]).max() > 0.1


@given(problems(kinds=(*EXACT, "circular_conv"), target_kinds=["given"]), seeds())
def test_the_path_is_linear_in_start_and_targets_together(case, seed):
    """Superposition: a linear optimiser maps (W0, Y) linearly to W(t)."""
    rng = np.random.default_rng(seed)
    p = Predictor(*case)
    other_y, other_w = rng.standard_normal(case.targets.shape), rng.standard_normal(case.initial_weight.shape)
    other_b = None if case.initial_bias is None else rng.standard_normal(case.initial_bias.shape)
    other = Predictor(*case[:2], other_y, other_w, other_b)
    both_b = None if case.initial_bias is None else 2 * case.initial_bias - 3 * other_b
    both = Predictor(*case[:2], 2 * case.targets - 3 * other_y, 2 * case.initial_weight - 3 * other_w, both_b)
    for time in (*times_of(p), math.inf):
        bound = 2 * rounding((p, time)) + 3 * rounding((other, time)) + rounding((both, time))
        assert_close(both.theta(time)[0], 2 * p.theta(time)[0] - 3 * other.theta(time)[0], bound)


@given(problems(losses=["mse"], target_kinds=["identity"]), seeds())
def test_the_mean_loss_sees_neither_order_nor_repetition(case, seed):
    p = Predictor(*case)
    order = np.random.default_rng(seed).permutation(len(case.inputs))
    doubled = Predictor(
        case.setting, np.concatenate([case.inputs, case.inputs])[[*order, *(order + len(order))]], *case[2:]
    )
    for time in (*times_of(p), math.inf):
        assert_close(doubled.theta(time)[0], p.theta(time)[0], rounding((p, time), (doubled, time)))


def test_the_summed_loss_sees_repetition_as_a_faster_clock():
    once, twice = (Predictor(FLOW, [[1.0, 2.0]] * count, seed=0) for count in (1, 2))
    assert np.abs(twice.weight(0.1) - once.weight(0.1)).max() > 0.01
    np.testing.assert_allclose(twice.weight(0.1), once.weight(0.2), atol=1e-14)


@given(problems(optimizer_kinds=["gradient_flow"], losses=["mse"], decay=False))
def test_the_mean_loss_is_a_slower_clock_without_decay(case):
    p = Predictor(*case)
    summed = Predictor(replace(case.setting, loss="half_sum"), *case[1:])
    c = 2 / p.problem.targets.size
    for time in (*times_of(p), math.inf):
        assert_close(summed.theta(c * time)[0], p.theta(time)[0], rounding((p, time), (summed, c * time)))


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
    size = p.problem.scale * np.linalg.norm(p.problem.features) ** 2
    assert np.linalg.norm(p.problem.gradient(final)) <= 2 * size * rounding((p, math.inf)) + 1e-13 * size
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
