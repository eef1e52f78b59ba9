"""The law of the error over Gaussian starts, and the expected cosines, against networks from drawn starts."""

import math

import mpmath
import numpy as np
import pytest
from scipy import stats

from closedflow import (
    Constant,
    Conv,
    Gaussian,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    Identity,
    Linear,
    LinearMap,
    Nesterov,
    Preconditioned,
    Predictor,
    Setting,
    SettingError,
    TorchDefault,
)
from numerics.cosine import mean_resultant

DRAWS = 2000
BAND = math.sqrt(math.log(2 / 1e-9) / (2 * DRAWS))  # Dvoretzky, Kiefer, Wolfowitz: 0.0732, exceeded once in 1e9
SIGMAS = 6


def predictor(layer, optimizer, shape, outputs, decay=0.0, seed=0, examples=1):
    rng = np.random.default_rng(seed)
    target = Constant(rng.standard_normal((outputs, *layer.positions(shape))))
    setting = Setting(layer, optimizer, target, weight_decay=decay)
    return Predictor(setting, rng.standard_normal((examples, *shape))), rng.standard_normal(shape)


def drawn_errors(p, x, time, std, rng, count=DRAWS):
    """Errors of networks from drawn starts, each through its own trained weights."""
    draws = std * rng.standard_normal((count, *p.problem.start.shape))
    return np.array([p.from_start(draw).error(x[None], time).item() for draw in draws])


def largest_gap(sample, law):
    """sup |F_n − F| over 60 points, a lower bound of the statistic of Kolmogorov and Smirnov."""
    points = np.quantile(sample, np.linspace(0.01, 0.99, 60))
    return np.abs(np.searchsorted(np.sort(sample), points, side="right") / len(sample) - law.cdf(points)).max()


@pytest.mark.theorem("T17")
@pytest.mark.parametrize(
    ("layer", "optimizer", "shape", "outputs", "decay", "time", "examples"),
    [
        (Linear(), GradientFlow(), (5,), 3, 0.0, 0.5, 1),
        (Linear(bias=True), GradientFlow(), (3,), 4, 0.3, math.inf, 2),
        (Linear(), HeavyBall(0.05, 0.5), (4,), 2, 0.0, 7, 2),
        (Conv(3), GradientFlow(), (1, 6), 1, 0.0, 0.3, 1),
        (Conv(3, bias=True), Nesterov(0.02, 0.3), (2, 5), 2, 0.1, 5, 1),
        (Conv(3, groups=2), GradientDescent(0.05), (2, 6), 4, 0.0, 3, 1),
    ],
)
def test_drawn_networks_stay_inside_the_band_of_the_law(layer, optimizer, shape, outputs, decay, time, examples):
    p, x = predictor(layer, optimizer, shape, outputs, decay, examples=examples)
    if decay and math.isinf(time):
        time = 1.0  # with decay nothing random is left at the end
    law, sample = p.error_law(x, time, 0.6), drawn_errors(p, x, time, 0.6, np.random.default_rng(1))
    assert largest_gap(sample, law) <= BAND
    assert abs(sample.mean() - law.mean()) <= SIGMAS * law.std() / math.sqrt(DRAWS)
    mean, variance = p.error_moments(x[None], time, Gaussian(0.6))
    assert law.mean() == pytest.approx(mean.item(), rel=1e-12)
    assert law.var() == pytest.approx(variance.item(), rel=1e-12)


@pytest.mark.theorem("T17")
def test_the_law_for_one_example_and_the_identity_is_the_one_of_the_notes():
    """‖f(x) − x‖² ~ σ²‖v‖² χ'²_d(1/σ²), v = Π⊥x + gΠ∥x, here by scipy's own noncentral chi-square."""
    rng = np.random.default_rng(0)
    inputs, x, std, time = rng.standard_normal((1, 6)), rng.standard_normal(6), 0.5, 0.2
    p = Predictor(Setting(Linear(), GradientFlow()), inputs)
    along = inputs[0] * (inputs[0] @ x) / (inputs[0] @ inputs[0])
    v = x - along + math.exp(-(inputs[0] @ inputs[0]) * time) * along
    exact = stats.ncx2(6, 1 / std**2, scale=std**2 * (v @ v))
    law = p.error_law(x, time, std)
    for q in (1e-6, 0.1, 0.5, 0.999):
        assert law.cdf(exact.ppf(q)) == pytest.approx(q, rel=1e-9)
    assert law.mean() == pytest.approx((v @ v) * (1 + 6 * std**2), rel=1e-13)


@pytest.mark.parametrize("wrong", ["degrees", "constant", "noncentralities"])
def test_the_band_can_fail(wrong):
    p, x = predictor(Linear(), GradientFlow(), (5,), 3)
    law = p.error_law(x, 0.5, 0.2)
    sample = drawn_errors(p, x, 0.5, 0.2, np.random.default_rng(1))
    object.__setattr__(law, wrong, law.mean() / 4 if wrong == "constant" else 2.0 * getattr(law, wrong))
    assert largest_gap(sample, law) > BAND


def test_without_spread_the_law_is_the_point_mass_at_the_error_of_a_zero_start():
    p, x = predictor(Linear(), GradientFlow(), (4,), 2)
    law = p.error_law(x, 0.5, 0.0)
    assert law.point_mass
    assert law.mean() == p.from_start(0 * p.problem.start).error(x[None], 0.5).item()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("condition", [1.0, 1e4, 1e10])
def test_it_is_a_point_mass_under_an_ill_conditioned_preconditioner_too(condition, seed):
    """What the trip through R and back leaves is √condition roundings of an example; an example not learned has a spread."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    matrix = (basis * np.geomspace(1, 1 / condition, 6)) @ basis.T
    x = rng.standard_normal((3, 6))
    optimizer = Preconditioned(GradientFlow(), ((matrix + matrix.T) / 2).tolist())
    p = Predictor(Setting(Linear(), optimizer, Identity()), x)
    assert p.error_law(x[0], math.inf, 1.0).point_mass
    assert not p.error_law(rng.standard_normal(6), math.inf, 1.0).point_mass


def test_what_is_learned_for_certain_is_a_point_mass():
    p = Predictor(Setting(Linear(), GradientFlow()), [[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]])
    law = p.error_law([1.0, 5.0, 0.0], math.inf, 1.0)  # 1·first + 3·second
    assert law.point_mass
    assert law.mean() <= 1e-28  # rounding of an output of size 5
    assert not p.error_law([1.0, 5.0, 0.1], math.inf, 1.0).point_mass


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_scaled_data_scale_the_law(scale):
    def law(a):
        p = Predictor(Setting(Linear(), GradientFlow()), [[a, 2 * a, 0.0]], initial_weight=np.zeros((3, 3)))
        return p.error_law(a * np.array([1.0, 0.5, 1.0]), math.inf, 0.7)

    assert law(scale).cdf(3 * scale**2) == pytest.approx(law(1.0).cdf(3.0), rel=1e-12)
    assert law(scale).ppf(0.9) == pytest.approx(law(1.0).ppf(0.9) * scale**2, rel=1e-10)


def test_data_whose_errors_float64_cannot_hold_are_refused():
    p = Predictor(Setting(Linear(), GradientFlow()), [[1.0, 0.0]])
    for x in ([0.0, 1e-160], [0.0, 1e160]):
        with pytest.raises(SettingError, match="square float64 holds"):
            p.error_law(x, 0, 1.0)


def test_a_law_is_asked_for_one_example_at_one_time():
    p, x = predictor(Linear(), GradientFlow(), (4,), 2)
    assert p.error_law(x[None], 0.5, 1.0).mean() == p.error_law(x, 0.5, 1.0).mean()
    for ask in (lambda: p.error_law([x, x], 0.5, 1.0), lambda: p.error_law(x, [0.5, 1.0], 1.0)):
        with pytest.raises(SettingError, match="one example and one time"):
            ask()
    with pytest.raises(SettingError, match="init_std must be a number at least 0"):
        p.error_law(x, 0.5, -1.0)


@pytest.mark.parametrize("dimension", [1, 2, 3, 10, 784, 5000])
def test_the_mean_direction_is_kummers_function(dimension):
    for z in (0.0, 1e-12, 0.3, 1.0, 20.0, 1e3):
        with mpmath.workdps(40):
            half = mpmath.mpf(dimension) / 2
            exact = mpmath.gamma(half + 0.5) / mpmath.gamma(half + 1) * mpmath.sqrt(z)
            exact *= mpmath.exp(-z) * mpmath.hyp1f1(half + 0.5, half + 1, z)
        assert abs(mean_resultant(dimension, z) - exact) <= 1e-14
    assert mean_resultant(dimension, math.inf) == 1


@pytest.mark.parametrize("std", [0.1, 0.4, 2.0])
@pytest.mark.parametrize("bias", [False, True])
def test_expected_cosine_and_correlation_are_the_averages_over_drawn_starts(std, bias):
    rng, count, time = np.random.default_rng(2), 20_000, 0.4
    inputs, x, reference = rng.standard_normal((2, 5)), rng.standard_normal((2, 5)), rng.standard_normal((2, 4)) + 1
    matrix = rng.standard_normal((4, 5))
    p = Predictor(Setting(Linear(bias), GradientFlow(), LinearMap(matrix)), inputs)
    # f = W0 k + f_0 with k from trained unit starts.
    d = p.problem.start.shape[2]
    features = Linear(bias).features(x, np)[0]
    still = p.from_start(0 * p.problem.start).theta(time)[0, 0]
    rows = [np.eye(d)[row] * (np.arange(4) == 0)[:, None] for row in range(d)]
    kernel = np.array([p.from_start(row[None]).theta(time)[0, 0, 0] - still[0] for row in rows])
    outputs = std * rng.standard_normal((count, 4, d)) @ (kernel @ features) + still @ features  # (count, 4, N)
    for found, centred in (
        (p.expected_cosine(x, reference, time, std), False),
        (p.expected_correlation(x, reference, time, std), True),
    ):
        for index in range(len(x)):
            f, r = outputs[:, :, index], reference[index]
            if centred:
                f, r = f - f.mean(axis=1, keepdims=True), r - r.mean()
            cosines = (f @ r) / np.linalg.norm(f, axis=1) / np.linalg.norm(r)
            error = cosines.std() / math.sqrt(count)
            assert abs(cosines.mean() - found[0, index]) <= SIGMAS * error
            assert SIGMAS * error < 0.05


def identity_crisis(dimension, rho, std):
    """Cosines with the constant and with the identity at infinite time; x̂ and x of mean 0 at cosine ρ."""
    first, second = np.zeros(dimension), np.zeros(dimension)
    first[:2], second[2:4] = (1, -1), (1, -1)
    x = rho * first + math.sqrt(1 - rho**2) * second
    p = Predictor(Setting(Linear(), GradientFlow()), first[None], initial_weight=np.zeros((dimension, dimension)))
    return [p.expected_cosine(x[None], reference, math.inf, std).item() for reference in (first, x)]


@pytest.mark.parametrize("rho", [0.1, 0.34, 0.6, 0.95])
def test_with_variance_1_over_d_the_cosines_tend_to_rho_and_its_square(rho):
    for dimension in (100, 400):
        constant, identity = identity_crisis(dimension, rho, 1 / math.sqrt(dimension))
        assert abs(constant - rho) <= 1 / dimension
        assert abs(identity - rho**2) <= 1 / dimension


def test_with_torchs_variance_they_are_larger():
    """R² → ρ²/(ρ² + (1 − ρ²)/3) for σ² = 1/(3d): .792 and .475 at ρ = .6, where 1/d gives .6 and .36."""
    constant, identity = identity_crisis(900, 0.6, 1 / math.sqrt(2700))
    limit = 0.6 / math.sqrt(0.36 + 0.64 / 3)
    assert constant == pytest.approx(limit, abs=1 / 900)
    assert identity == pytest.approx(0.6 * limit, abs=1 / 900)
    assert round(limit, 3) == 0.792


def test_a_correlation_is_not_a_cosine_where_the_pictures_share_their_mean():
    p = Predictor(Setting(Linear(), GradientFlow()), [[1.0, 2.0, 3.0, 2.0]])
    x = np.array([[2.0, 1.0, 4.0, 0.0]])
    cosine, correlation = (
        ask(x, p.problem.inputs[0], math.inf, 0.5).item() for ask in (p.expected_cosine, p.expected_correlation)
    )
    assert correlation < cosine - 0.1
    shifted = p.expected_correlation(x, p.problem.inputs[0] + 100, math.inf, 0.5).item()
    assert shifted == pytest.approx(correlation, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_cosines_do_not_depend_on_the_units_of_the_data(scale):
    def cosines(a):
        p = Predictor(Setting(Linear(), GradientFlow()), [[a, 2 * a, 0.0]], initial_weight=np.zeros((3, 3)))
        x = a * np.array([[1.0, 0.5, 1.0]])
        return [ask(x, x, [0, math.inf], 0.7).ravel().tolist() for ask in (p.expected_cosine, p.expected_correlation)]

    np.testing.assert_allclose(cosines(scale), cosines(1.0), rtol=1e-13)


def test_a_certain_output_has_its_own_cosine_and_a_zero_one_none():
    p = Predictor(Setting(Linear(), GradientFlow()), [[1.0, 0.0]])
    x = [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    found = p.expected_cosine(x, [1.0, 1.0], math.inf, 0.0)[0]
    assert found[0] == pytest.approx(1 / math.sqrt(2), rel=1e-15)
    assert np.isnan(found[1:]).all()
    assert p.expected_cosine(x[1:2], [1.0, 1.0], math.inf, 1.0).item() == 0
    assert np.isnan(p.expected_cosine(x[:1], [0.0, 0.0], math.inf, 1.0)).all()


def test_cosines_of_several_columns_and_odd_references_are_refused():
    p, x = predictor(Conv(3), GradientFlow(), (1, 6), 1)
    with pytest.raises(SettingError, match=r"one output column.*6 positions"):
        p.expected_cosine(x[None], x, 0, 1.0)
    p, x = predictor(Linear(), GradientFlow(), (4,), 2)
    with pytest.raises(SettingError, match=r"reference must have shape \(2,\)"):
        p.expected_cosine(x[None], x, 0, 1.0)
    p, x = predictor(Linear(), GradientFlow(), (4,), 1)
    with pytest.raises(SettingError, match="at least 2 outputs"):
        p.expected_correlation(x[None], [1.0], 0, 1.0)


def test_the_law_of_a_start_that_is_not_given_is_that_of_the_settings_gaussian():
    x = np.array([[2.0, 0.0, 1.0]])
    p = Predictor(Setting(Linear(), GradientFlow(), start=Gaussian(0.7)), x)
    assert p.error_law(x, 0.3).mean() == p.error_law(x, 0.3, 0.7).mean() != p.error_law(x, 0.3, 0.6).mean()
    assert p.error_law(x, 0.3).mean() == pytest.approx(float(p.error_moments(x, 0.3)[0][0, 0]), rel=1e-13)
    with pytest.raises(SettingError, match=r"init_std must be given .* TorchDefault.* error_moments"):
        Predictor(Setting(Linear(), GradientFlow(), start=TorchDefault()), x).error_law(x, 0.3)
