"""Mean and variance of the error over random starts, against exact averages over every start of a finite rule.

The squared error is a polynomial of degree 2 in the start, its square of degree 4. Averages of such polynomials are exact
sums: three nodes of Gauss for each independent entry, and for orthogonal matrices of side 2 or 3 a rule in their angles.
"""

import itertools
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedflow import (
    Constant,
    Conv,
    Fixed,
    Gaussian,
    Given,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    Linear,
    LinearMap,
    Orthogonal,
    Predictor,
    Setting,
    SettingError,
    Start,
    TorchDefault,
    Zeros,
)
from empirical.strategies import problems, times
from numerics.error import affine_parts
from theory import error_law

EPS = np.finfo(float).eps
ROUNDING = 1e-12  # averages of a few thousand values of size 1


def entry_rule(start, fan_in):
    """Nodes and weights that average polynomials of degree 5 in one entry exactly."""
    if isinstance(start, Gaussian):
        nodes, weights = np.polynomial.hermite_e.hermegauss(3)
        return start.std * nodes, weights / weights.sum()
    nodes, weights = np.polynomial.legendre.leggauss(3)
    return nodes / math.sqrt(fan_in), weights / 2


def rotations(n):
    """Matrices and weights that average polynomials of degree 4 over the orthogonal group of side 1, 2 or 3 exactly."""
    if n == 1:
        return [(np.array([[sign]]), 0.5) for sign in (1.0, -1.0)]
    turns = [2 * math.pi * index / 8 for index in range(8)]
    flips = [np.eye(n), np.diag([-1.0, *[1.0] * (n - 1)])]
    if n == 2:
        turned = [(np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]), 1 / 16) for a in turns]
    else:
        nodes, weights = np.polynomial.legendre.leggauss(5)
        turned = [
            (about_z(a) @ tilt(math.acos(z)) @ about_z(c), weight / 2 / 64 / 2)
            for a, c, (z, weight) in itertools.product(turns, turns, zip(nodes, weights, strict=True))
        ]
    return [(flip @ matrix, weight) for matrix, weight in turned for flip in flips]


def about_z(angle):
    return np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]])


def tilt(angle):
    return np.array([[1.0, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])


def every_start(p, start):
    """Every block weight of the rule and its probability."""
    blocks, q, d = p.problem.start.shape
    layer = p.setting.layer
    rows, *rest = layer.weight_shape(p.problem.input_shape, blocks * q)
    if isinstance(start, Orthogonal):
        columns = math.prod(rest)
        for matrix, weight in rotations(max(rows, columns)):
            torch_weight = matrix[:rows, :columns].reshape((rows, *rest))
            yield layer.to_blocks(torch_weight, np.zeros(rows) if layer.bias else None, np), weight
        return
    nodes, weights = entry_rule(start, layer.fan_in(p.problem.input_shape))
    for chosen in itertools.product(range(3), repeat=blocks * q * d):
        yield nodes[list(chosen)].reshape((blocks, q, d)), math.prod(weights[list(chosen)])


CASES = {
    "square": (Linear(), GradientFlow(), (2, 2), 2),
    "wide": (Linear(), GradientDescent(0.1), (1, 3), 2),
    "tall": (Linear(), GradientFlow(), (2, 2), 3),
    "one output": (Linear(), HeavyBall(0.1, 0.5), (1, 3), 1),
    "one input": (Linear(), GradientFlow(), (1, 1), 2),
    "bias": (Linear(bias=True), GradientFlow(), (2, 2), 2),
    "convolution": (Conv(3), GradientFlow(), (1, 1, 4), 2),
    "groups": (Conv(3, groups=2), GradientFlow(), (1, 2, 4), 2),
    "groups with bias": (Conv(1, groups=2, bias=True), GradientFlow(), (1, 2, 3), 2),
    "three groups of two": (Conv(1, groups=3), GradientFlow(), (1, 3, 3), 3),
    "tall groups": (Conv(1, groups=1), GradientFlow(), (2, 1, 3), 3),
    "a number": (Linear(), GradientFlow(), (1, 1), 1),
}


def predictor(case, start, decay=0.0):
    layer, optimizer, shape, outputs = CASES[case]
    rng = np.random.default_rng(3)
    constant = Constant(rng.standard_normal((outputs, *layer.positions(shape[1:]))))
    setting = Setting(layer, optimizer, constant, weight_decay=decay, start=start)
    return Predictor(setting, rng.standard_normal(shape)), rng.standard_normal((2, *shape[1:]))


@pytest.mark.theorem("T17")
@pytest.mark.parametrize("decay", [0.0, 0.4])
@pytest.mark.parametrize("start", [Gaussian(0.7), TorchDefault(), Orthogonal()], ids=lambda start: start.kind)
@pytest.mark.parametrize("case", CASES)
def test_mean_and_variance_are_those_of_every_start_of_an_exact_rule(case, start, decay):
    p, x = predictor(case, start, decay)
    times = [0, 2, math.inf]
    blocks, q, d = p.problem.start.shape
    if not isinstance(start, Orthogonal) and blocks * q * d > 6:
        pytest.skip("3^entries starts are too many")
    # The error is ‖W V + b‖² with V and b from the trained weights of unit starts: nothing of numerics.error.
    features = p.setting.layer.features(x, np)
    still = p.from_start(0 * p.problem.start).theta(times)
    units = np.zeros((d, blocks, q, d))
    for row in range(d):
        units[row, :, 0, row] = 1
    kernel = np.stack([p.from_start(unit).theta(times)[:, :, 0] - still[:, :, 0] for unit in units], axis=2)
    target = p.setting.layer.to_columns(p.setting.target.values(p.setting.layer, x, np), np)
    first = second = 0.0
    total = 0.0
    for theta, weight in every_start(p, start):
        gap = (theta @ kernel + still) @ features - target  # (T, blocks, q, N·P)
        errors = (gap**2).sum(axis=(1, 2)).reshape((len(times), len(x), -1)).sum(axis=2)
        total, first, second = total + weight, first + weight * errors, second + weight * errors**2
    assert total == pytest.approx(1, abs=1e-13)
    mean, variance = p.error_moments(x, times)
    np.testing.assert_allclose(mean, first, rtol=ROUNDING)
    np.testing.assert_allclose(variance, second - first**2, rtol=1e-10, atol=ROUNDING * second.max())


@hypothesis.settings(max_examples=60)
@given(problems(target_kinds=["identity", "constant", "linear_map"]), st.data())
def test_the_error_is_affine_in_the_start_for_every_setting(case, data):
    """W0 V + b, against the predictions from three starts; outputs of the same size cancel, so to rounding of the largest."""
    p = Predictor(*case)
    layer, problem = p.setting.layer, p.problem
    finite = data.draw(times(p.setting.optimizer, float(p.rates.max()), infinity=p.setting.optimizer.has_limit))
    x = np.concatenate([problem.inputs[:1], np.random.default_rng(0).standard_normal((1, *problem.input_shape))])
    target = p.setting.target.values(layer, x, np)
    for theta in (problem.start, 0 * problem.start + 1.0, 0 * problem.start):
        outputs = p.from_start(theta).predict(x, finite)
        for index, (v, b) in enumerate(affine_parts(p, x, finite)):
            found = np.moveaxis(theta @ v + b, 0, 2)  # (blocks, q, N, P)
            expected = layer.to_columns(outputs[index] - target, np).reshape(found.shape)
            sizes = [
                np.linalg.norm(theta) * np.linalg.norm(layer.features(x, np)),
                np.abs(target).sum(),
                np.abs(b).sum(),
            ]
            assert np.abs(found - expected).max() <= 64 * max(problem.features.shape) * EPS * sum(sizes)


def test_the_gaussian_shortcuts_are_the_gaussian_moments():
    p, x = predictor("bias", Gaussian(0.3))
    mean, variance = p.error_moments(x, [0, 1.0])
    np.testing.assert_array_equal(p.expected_error(x, [0, 1.0], 0.3), mean)
    np.testing.assert_array_equal(p.error_variance(x, [0, 1.0], 0.3), variance)
    np.testing.assert_array_equal(p.error_moments(x, [0, 1.0], Gaussian(0.3))[1], variance)


def test_an_orthogonal_start_varies_by_4_over_d_where_the_gaussian_formula_gives_6():
    """Identity, d = 5, a unit vector outside the span at infinite time."""
    p = Predictor(Setting(Linear(), GradientFlow()), np.eye(5)[:1])
    x = np.eye(5)[1:2]
    assert p.error_moments(x, math.inf, Orthogonal())[1].item() == pytest.approx(4 / 5, rel=1e-14)
    assert p.error_variance(x, math.inf, math.sqrt(1 / 5)).item() == pytest.approx(6 / 5, rel=1e-14)


def test_a_start_of_zeros_has_no_variance_and_the_error_itself_as_mean():
    p, x = predictor("wide", Zeros())
    mean, variance = p.error_moments(x, [0, 3, math.inf])
    np.testing.assert_allclose(mean, p.from_start(0 * p.problem.start).error(x, [0, 3, math.inf]), rtol=1e-14)
    assert not variance.any()


@pytest.mark.parametrize(
    ("law", "start", "numbers"),
    [
        (error_law.GAUSSIAN, Gaussian(0.7), {error_law.SIGMA: 0.7}),
        (error_law.INDEPENDENT, TorchDefault(), {error_law.SIGMA: 1 / math.sqrt(9), error_law.KAPPA: 1.8}),
        (error_law.ORTHOGONAL, Orthogonal(), {error_law.N: 3}),
    ],
)
def test_the_formulas_of_the_theory_are_the_numbers(law, start, numbers):
    p, x = predictor("wide", start)
    x = x[:1]
    v = x[0]  # at time 0 V is φ(x)
    b = -p.setting.target.values(Linear(), x, np)[0]
    values = {
        error_law.Q: 2,
        error_law.V2: (v**2).sum(),
        error_law.V4: (v**2).sum() ** 2,
        error_law.DIAGONAL: (v**4).sum(),
        error_law.B2: (b**2).sum(),
        error_law.MIXED: (b**2).sum() * (v**2).sum(),
    } | numbers
    mean, variance = p.error_moments(x, 0)
    assert float(law.mean.subs(values)) == pytest.approx(mean.item(), rel=1e-14)
    assert float(law.variance.subs(values)) == pytest.approx(variance.item(), rel=1e-13)


@pytest.mark.theorem("T17")
def test_the_cumulants_of_one_direction_are_the_proved_moments():
    K, theta = error_law.cumulants(), error_law.THETA
    one = {error_law.V2: error_law.S**2, error_law.V4: error_law.S**4, error_law.B2: error_law.BETA}
    one[error_law.MIXED] = error_law.S**2 * error_law.BETA
    assert (K.diff(theta).subs(theta, 0) - error_law.GAUSSIAN.mean.subs(one)).expand() == 0
    assert (K.diff(theta, 2).subs(theta, 0) - error_law.GAUSSIAN.variance.subs(one)).expand() == 0


def test_a_kurtosis_of_3_is_the_gaussian_and_every_law_prints_its_theorems():
    assert (error_law.INDEPENDENT.variance.subs(error_law.KAPPA, 3) - error_law.GAUSSIAN.variance).expand() == 0
    assert str(error_law.GAUSSIAN).endswith("(T17)")


@pytest.mark.parametrize("scale", [1e-70, 1e70])
def test_scaled_data_scale_the_moments(scale):
    """At time 0 and ∞ nothing depends on the rates: the error scales with the square of x."""
    w0 = np.zeros((3, 3))
    one = Predictor(Setting(Linear(), GradientFlow()), [[1.0, 2.0, 0.0]], initial_weight=w0)
    other = Predictor(Setting(Linear(), GradientFlow()), [[scale, 2 * scale, 0.0]], initial_weight=w0)
    x = np.array([[1.0, 0.5, 1.0]])
    mean, variance = one.error_moments(x, [0, math.inf])
    scaled_mean, scaled_variance = other.error_moments(scale * x, [0, math.inf])
    np.testing.assert_allclose(scaled_mean, mean * scale**2, rtol=1e-13)
    np.testing.assert_allclose(scaled_variance, variance * scale**4, rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_a_variance_that_float64_cannot_hold_is_refused_and_its_root_is_not(scale):
    p = Predictor(Setting(Linear(), GradientFlow()), [[scale, 0.0]], initial_weight=np.zeros((2, 2)))
    x = [[0.0, scale]]
    assert p.expected_error(x, 0, 1.0).item() == pytest.approx(3 * scale**2, rel=1e-14)
    with pytest.raises(SettingError, match=r"variance float64 holds.*error_law\(x, time, init_std\)\.std"):
        p.error_variance(x, 0, 1.0)
    assert p.error_law(x, 0, 1.0).std() == pytest.approx(math.sqrt(2 * 2 + 4) * scale**2, rel=1e-13)


def test_an_error_that_has_decayed_below_float64_is_zero():
    p = Predictor(Setting(Linear(), GradientFlow(), LinearMap(np.zeros((2, 2)))), [[1.0, 0.0]])
    assert p.error_moments([[1.0, 0.0]], [0, 500.0], Gaussian(1.0))[1].ravel().tolist() == [4.0, 0.0]


class Lopsided(Start):
    """A start without stated moments."""


del Start.kinds["lopsided"]  # it belongs to this test only


@pytest.mark.parametrize(
    ("start", "words"),
    [(Lopsided(), "none are derived"), (Fixed(), "start must be random"), ("gaussian", "start must be a Start")],
)
def test_starts_without_moments_are_refused(start, words):
    p, x = predictor("wide", Zeros())
    with pytest.raises(SettingError, match=words):
        p.error_moments(x, 0, start)


def test_targets_that_are_no_function_have_no_error_law():
    p = Predictor(Setting(Linear(), GradientFlow(), Given()), [[1.0]], [[2.0]])
    for ask in (lambda: p.error_moments([[1.0]], 0, Gaussian(1.0)), lambda: p.error_law([1.0], 0, 1.0)):
        with pytest.raises(SettingError, match="function of the input"):
            ask()
