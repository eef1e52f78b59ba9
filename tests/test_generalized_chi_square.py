"""The law of a weighted sum of noncentral chi-squares against independent oracles, always inside its own stated accuracy."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedflow import GeneralizedChiSquare, SettingError

EPS = np.finfo(float).eps


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mpmath.workdps(50):
        yield


def assert_inside(law, x, exact):
    """|cdf − exact| within the stated accuracy; the smaller tail relative to its own size, to 1e-12."""
    cdf, sf = law.cdf(x), law.sf(x)
    assert abs(mpmath.mpf(cdf) - exact) <= law.accuracy(x)
    assert abs(mpmath.mpf(sf) - (1 - exact)) <= law.accuracy(x)
    assert law.accuracy(x) <= 1e-12
    own, small = (cdf, exact) if x < law.mean() else (sf, 1 - exact)
    assert abs(own - small) <= 1e-12 * small + 1e-300


def noncentral_cdf(x, degrees, noncentrality):
    """Poisson mixture of chi-squares in 60 digits."""
    with mpmath.workdps(60):
        x, half = mpmath.mpf(x) / 2, mpmath.mpf(noncentrality) / 2
        lower, upper = max(0, int(half - 40 * mpmath.sqrt(half) - 60)), int(half + 40 * mpmath.sqrt(half) + 60)
        return mpmath.fsum(
            mpmath.exp(
                -half + k * mpmath.log(half) - mpmath.loggamma(k + 1) if half else (0 if k == 0 else -mpmath.inf)
            )
            * mpmath.gammainc(mpmath.mpf(degrees) / 2 + k, 0, x, regularized=True)
            for k in range(lower, upper + 1)
        )


def ruben(weights, degrees, noncentralities, x, terms=400):
    """Ruben's mixture of chi-squares (1962), and the bound on what its truncation leaves out: weights are ≥ 0 and sum to 1."""
    with mpmath.workdps(50):
        w, h, nc = ([mpmath.mpf(float(v)) for v in values] for values in (weights, degrees, noncentralities))
        least = min(w)
        theta = [1 - least / v for v in w]
        first = mpmath.exp(-sum(nc) / 2) * mpmath.fprod((least / v) ** (k / 2) for v, k in zip(w, h, strict=True))
        powers = [[t**k for t in theta] for k in range(terms + 1)]
        g = [
            (sum(a * b for a, b in zip(h, powers[k], strict=True)) if k else 0) / 2
            + (k * sum(n * t * (1 - s) for n, t, s in zip(nc, powers[k - 1], theta, strict=True)) if k else 0) / 2
            for k in range(terms + 1)
        ]
        mix = [first]
        for k in range(1, terms + 1):
            mix.append(mpmath.fsum(g[k - r] * mix[r] for r in range(k)) / k)
        y, shape = mpmath.mpf(x) / (2 * least), sum(h) / 2
        # χ²_{n+2} from χ²_n: one incomplete gamma function, then a falling factor.
        lower, jump, total = (
            mpmath.gammainc(shape, 0, y, regularized=True),
            mpmath.exp(shape * mpmath.log(y) - y) / mpmath.gamma(shape + 1),
            mpmath.mpf(0),
        )
        for k, share in enumerate(mix):
            total += share * lower
            lower -= jump
            jump *= y / (shape + k + 1)
        return total, (1 - mpmath.fsum(mix)) * max(lower, 0)


def two_each(weights, x):
    """P(Q > x) for 2 degrees of freedom each and distinct weights: a sum of exponentials of mean 2λ."""
    with mpmath.workdps(80):
        w = [mpmath.mpf(float(v)) for v in weights]
        return mpmath.fsum(
            mpmath.exp(-mpmath.mpf(x) / (2 * v)) / mpmath.fprod(1 - other / v for other in w if other != v) for v in w
        )


@pytest.mark.parametrize(
    ("degrees", "noncentrality"), [(1, 0.0), (1, 3.0), (2, 0.5), (3, 1e-9), (10, 40.0), (784, 100.0), (0.3, 2.0)]
)
@pytest.mark.parametrize("place", [-0.999, -0.5, -0.01, 0.01, 1.0, 6.0])
def test_one_direction_is_the_noncentral_chi_square(degrees, noncentrality, place):
    law = GeneralizedChiSquare.noncentral(1.0, degrees, noncentrality)
    x = law.mean() * (1 + place) if place < 0 else law.mean() + place * law.std()
    assert_inside(law, x, noncentral_cdf(x, degrees, noncentrality))


@pytest.mark.parametrize("noncentrality", [1.0, 1e4, 1e8, 1e12, 1e20])
@pytest.mark.parametrize("place", [-6, -1, 0.5, 4])
def test_one_square_is_a_difference_of_normal_probabilities_up_to_huge_noncentralities(noncentrality, place):
    law = GeneralizedChiSquare.noncentral(1.0, 1, noncentrality)
    x = noncentrality + 1 + place * law.std()
    if x <= 0:
        x = 0.3
    with mpmath.workdps(60):
        root, shift = mpmath.sqrt(x), mpmath.sqrt(noncentrality)
        exact = mpmath.ncdf(root - shift) - mpmath.ncdf(-root - shift)
    assert_inside(law, x, exact)


@pytest.mark.parametrize(
    ("weights", "degrees", "noncentralities"),
    [
        ([1.0, 2.0, 3.0], [1, 1, 1], [0.0, 0.0, 0.0]),
        ([1.0, 0.4], [1, 2], [0.0, 5.0]),
        ([0.3, 1.0, 1.0, 0.5], [3, 1, 2, 8], [1.0, 0.0, 2.0, 0.1]),
    ],
)
@pytest.mark.parametrize("place", [0.05, 0.5, 0.97, 1.03, 2.0, 5.0])
def test_several_directions_agree_with_rubens_series(weights, degrees, noncentralities, place):
    law = GeneralizedChiSquare(weights, degrees, noncentralities, constant=2.0)
    x = place * (law.mean() - 2.0)
    exact, left_out = ruben(weights, degrees, noncentralities, x)
    assert left_out < 1e-20
    assert_inside(law, x + 2.0, exact) if place < 1 else assert_upper(law, x + 2.0, exact)


def assert_upper(law, x, exact):
    assert abs(mpmath.mpf(law.sf(x)) - (1 - exact)) <= law.accuracy(x) + 4 * EPS * x * law.pdf(x)  # x + 2 is rounded


@pytest.mark.parametrize("place", [1e-9, 1e-3, 0.3, 0.99, 1.01, 3.0, 30.0])
def test_weights_from_1e_minus_12_to_1_with_two_degrees_each_are_elementary(place):
    weights = np.logspace(-12, 0, 9)
    law = GeneralizedChiSquare(weights, 2)
    x = place * law.mean()
    assert_inside(law, x, 1 - two_each(weights, x))


@pytest.mark.parametrize("x", [0.2, 1.0, 5.0, 30.0])
def test_tiny_directions_shift_a_single_square_by_no_more_than_they_can(x):
    """P(A ≤ x − r) P(R ≤ r) ≤ P(A + R ≤ x) ≤ P(A ≤ x), with R ≤ r = 1e-9 but for e^-400."""
    law = GeneralizedChiSquare([1.0, *np.logspace(-30, -12, 20)], 1)
    low, high = (float(noncentral_cdf(y, 1, 0)) for y in (x - 1e-9, x))
    assert low - law.accuracy(x) <= law.cdf(x) <= high + law.accuracy(x)


def test_equal_weights_are_one_chi_square():
    together, apart = GeneralizedChiSquare([0.7], 6, 3.0), GeneralizedChiSquare([0.7] * 3, [1, 2, 3], [0.0, 2.0, 1.0])
    assert together.cdf([0.1, 3.0, 40.0]).tolist() == apart.cdf([0.1, 3.0, 40.0]).tolist()


@pytest.mark.parametrize(
    ("weights", "degrees", "noncentralities"),
    [(np.logspace(-12, 0, 25), 1, 0.5), ([1.0, 1e-6], 1, [0.0, 4e6]), ([1.0] + [0.01] * 40, 8, 3.0)],
)
def test_a_sample_stays_inside_the_band_of_dvoretzky_kiefer_and_wolfowitz(weights, degrees, noncentralities):
    law, rng, count = GeneralizedChiSquare(weights, degrees, noncentralities), np.random.default_rng(0), 20_000
    sample = sum(
        w * rng.noncentral_chisquare(h, nc, count) if nc else w * rng.chisquare(h, count)
        for w, h, nc in zip(law.weights, law.degrees, law.noncentralities, strict=True)
    )
    points = np.quantile(sample, np.linspace(0.01, 0.99, 60))
    gaps = np.abs(np.searchsorted(np.sort(sample), points, side="right") / count - law.cdf(points))
    assert gaps.max() <= math.sqrt(math.log(2 / 1e-9) / (2 * count))  # 0.023, exceeded once in 1e9
    assert abs(sample.mean() - law.mean()) <= 6 * law.std() / math.sqrt(count)
    assert abs(sample.std() / law.std() - 1) <= 0.1  # the kurtosis of a chi-square of 1 degree, 15: 6·√(14/4n) = 0.08


laws = st.builds(
    lambda parts, constant: GeneralizedChiSquare(*map(list, zip(*parts, strict=True)), constant),
    st.lists(
        st.tuples(
            st.integers(-12, 0).map(lambda power: 10.0**power),
            st.sampled_from([1, 2, 5, 64]),
            st.sampled_from([0.0, 1e-3, 2.0, 1e4, 1e9]),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([0.0, 3.0]),
)


@settings(max_examples=25)
@given(laws, st.floats(1e-3, 0.999))
def test_the_quantile_is_the_inverse_of_the_distribution_function(law, p):
    x = law.ppf(p)
    slack = 8 * EPS * x * law.pdf(x) + 1e-12  # x is rounded, and found to 1e-12 of its tail
    assert abs(law.cdf(x) - p) <= slack + law.accuracy(x)


@settings(max_examples=15)
@given(laws)
def test_a_distribution_function_rises_from_0_to_1_and_the_tails_add_up(law):
    points = law.constant + (law.mean() - law.constant) * np.array(
        [-1.0, 0.0, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 50.0, math.inf]
    )
    cdf = law.cdf(points)
    assert (np.diff(cdf) >= -1e-12).all()
    assert cdf[0] == cdf[1] == 0
    assert cdf[-1] == 1
    np.testing.assert_allclose(cdf + law.sf(points), 1, atol=4 * EPS)


@pytest.mark.parametrize("scale", [1e-250, 1e-100, 1.0, 1e100, 1e250])
def test_a_law_of_any_unit_is_the_same_law(scale):
    law = GeneralizedChiSquare([1.0, 0.25], [1, 3], [2.0, 0.0])
    scaled = GeneralizedChiSquare([scale, 0.25 * scale], [1, 3], [2.0, 0.0])
    assert scaled.cdf(3.0 * scale) == pytest.approx(law.cdf(3.0), rel=1e-13)
    assert scaled.std() == pytest.approx(law.std() * scale, rel=1e-13)
    assert scaled.ppf(0.2) == pytest.approx(law.ppf(0.2) * scale, rel=1e-11)
    if not 1e-150 < scale < 1e150:
        with pytest.raises(SettingError, match=r"Use std\(\)"):
            scaled.var()


def test_the_density_is_the_derivative_of_elementary_cases():
    law = GeneralizedChiSquare([1.0, 3.0], 2)
    for x in (0.1, 2.0, 30.0):
        exact = (math.exp(-x / 6) - math.exp(-x / 2)) / 4
        assert law.pdf(x) == pytest.approx(exact, rel=1e-12)
    assert law.pdf([-1.0, 0.0]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("law", [GeneralizedChiSquare([], constant=2.0), GeneralizedChiSquare([0.0, 0.0], 3, 5.0, 2.0)])
def test_without_a_positive_weight_it_is_a_point_mass(law):
    assert law.point_mass
    assert law.cdf([1.9, 2.0, 2.1]).tolist() == [0.0, 1.0, 1.0]
    assert law.sf([1.9, 2.0, 2.1]).tolist() == [1.0, 0.0, 0.0]
    assert (law.mean(), law.var(), law.ppf(0.3), law.accuracy(2.0)) == (2.0, 0.0, 2.0, 0.0)
    assert str(law) == "the point mass at 2"


def test_mean_and_variance_are_those_of_the_sum():
    law = GeneralizedChiSquare([2.0, 3.0], [1, 4], [5.0, 0.0], 7.0)
    assert law.mean() == 7 + 2 * 6 + 3 * 4
    assert law.var() == 2 * 4 * (1 + 10) + 2 * 9 * 4
    assert law.std() == pytest.approx(math.sqrt(law.var()), rel=1e-15)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([-1.0],), "weights must be at least 0, but one is -1"),
        (([1.0], 0), "degrees must be above 0, but one is 0"),
        (([1.0], 1, -2.0), "noncentralities must be at least 0"),
        (([1.0], [1, 2]), "one for each of the 1 weights"),
        (([1.0], 1, 0.0, -1.0), "constant must be a number at least 0"),
        (([math.nan],), "weights must be finite"),
        (([[1.0]],), "list of numbers"),
    ],
)
def test_bad_arguments_are_refused_with_the_number(arguments, words):
    with pytest.raises(SettingError, match=words):
        GeneralizedChiSquare(*arguments)


def test_bad_questions_are_refused():
    law = GeneralizedChiSquare([1.0])
    with pytest.raises(SettingError, match=r"between 0 and 1, but one is 1\.5"):
        law.ppf(1.5)
    with pytest.raises(SettingError, match="nan"):
        law.cdf(math.nan)
