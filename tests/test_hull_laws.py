"""The exact law of Gaussian hulls: against 40-digit quadrature, Wendel, symmetry, and Monte Carlo with distance."""

import math

import mpmath
import numpy as np
import pytest

from closedflow import SettingError, distance
from numerics.hull_laws import hull_probability


def slow_probability(count: int, width: int, variance: float) -> float:
    """The sum as it is printed, with the complex root, by mpmath."""
    with mpmath.workdps(40):
        s = mpmath.mpf(variance)

        def moment(power: int, r: mpmath.mpf) -> mpmath.mpf:
            def integrand(z: mpmath.mpf) -> mpmath.mpf:
                return mpmath.npdf(z) * mpmath.re((mpmath.erfc(-mpmath.sqrt(r) * z / mpmath.sqrt(2)) / 2) ** power)

            return mpmath.quad(integrand, mpmath.linspace(-30, 30, 13))

        total = sum(
            mpmath.binomial(count, k) * moment(k, -s / (1 + k * s)) * moment(count - k, s / (1 + k * s))
            for k in range(width - 1, -1, -2)
            if k <= count
        )
        return float(2 * total)


@pytest.mark.parametrize(("count", "width", "variance"), [(5, 2, 1.0), (8, 3, 2.0), (6, 5, 0.1)])
def test_probability_is_that_of_forty_digits(count, width, variance):
    law = hull_probability(count, width, variance)
    assert abs(law.outside / slow_probability(count, width, variance) - 1) < law.accuracy < 1e-11


@pytest.mark.parametrize(("count", "width"), [(1, 1), (6, 2), (30, 7), (60, 50)])
def test_the_centre_obeys_wendel(count, width):
    wendel = sum(math.comb(count - 1, k) for k in range(width)) / 2 ** (count - 1)
    law = hull_probability(count, width, 0.0)
    assert abs(law.outside / wendel - 1) < law.accuracy < 1e-11


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_on_the_line_the_query_is_an_extreme_value_by_symmetry(count):
    law = hull_probability(count, 1)
    assert abs(law.outside / (2 / (count + 1)) - 1) < law.accuracy


@pytest.mark.parametrize("variance", [0.0, 1e-9, 0.5, 1e2, 1e3, 1e6, 1e9, 1e15, 1e17, 1e40, 1e299])
def test_between_two_points_of_the_line_is_the_angle_of_two_correlated_normals(variance):
    """x − p₁ and x − p₂ have correlation s/(1 + s); x lies between iff their signs differ."""
    law = hull_probability(2, 1, variance)
    inside = math.atan2(math.sqrt(1 + 2 * variance), variance) / math.pi
    # The smaller of the two is the sum of b₂ alone; 1e-320 has few digits left.
    assert abs(law.inside / inside - 1) < law.accuracy < 1e-11
    assert abs(law.outside / (1 - inside) - 1) < law.accuracy


@pytest.mark.parametrize(("count", "width"), [(3, 2), (4, 3), (10, 3), (40, 6)])
def test_far_away_the_inside_falls_as_the_density_at_the_centre(count, width):
    """P(x inside) → E vol · (2πs)^{−d/2}: the law at two variances, and of the triangle E vol = √3/2."""
    near, far = (hull_probability(count, width, s).inside * s ** (width / 2) for s in (1e12, 1e30))
    assert near == pytest.approx(far, rel=1e-9)  # the next term is 1/s
    if (count, width) == (3, 2):
        assert far == pytest.approx(math.sqrt(3) / 2 / (2 * math.pi), rel=1e-11)


def test_far_away_both_halves_still_sum_to_one_to_the_stated_accuracy():
    for count, width, variance in [(8, 3, 1e4), (60, 5, 1e8), (300, 20, 1e3), (12, 2, 1e200)]:
        law = hull_probability(count, width, variance)
        assert abs(law.outside + law.inside - 1) < law.accuracy < 1e-10


def test_counts_and_variances_may_be_numpy_numbers():
    assert hull_probability(np.int64(5), np.float64(2.0), np.float32(1.0)) == hull_probability(5, 2, 1.0)


def test_both_halves_are_positive_and_sum_to_one():
    for width in (1, 5, 19, 49, 60):
        law = hull_probability(50, width, 0.7)
        assert abs(law.outside + law.inside - 1) < law.accuracy < 1e-11
        assert (law.inside > 0) == (width < 50) or width == 49


def test_as_many_features_as_points_leave_every_query_outside():
    for width in (5, 6, 7):
        law = hull_probability(5, width)
        assert abs(law.outside - 1) < law.accuracy
        assert law.inside == 0
    assert 0 < hull_probability(5, 4).inside < 0.01


def test_more_points_and_nearer_queries_are_inside_more_often():
    assert hull_probability(20, 3).inside < hull_probability(40, 3).inside
    assert hull_probability(20, 3, 1.0).inside < hull_probability(20, 3, 0.5).inside


@pytest.mark.parametrize(("count", "width", "variance"), [(5, 2, 1.0), (20, 4, 0.5), (12, 3, 0.0), (4, 4, 1.0)])
def test_distances_count_as_the_law_says(count, width, variance):
    rng = np.random.default_rng(count)
    trials = 800
    names = [
        distance(math.sqrt(variance) * rng.standard_normal(width), rng.standard_normal((count, width))).status
        for _ in range(trials)
    ]
    assert "undecided" not in names
    share = names.count("outside") / trials
    # Hoeffding: farther than this with probability 1e-6 at most.
    assert abs(share - hull_probability(count, width, variance).outside) <= math.sqrt(math.log(2e6) / (2 * trials))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0, 2), "points"),
        ((5, 0), "features"),
        ((5, 2.5), "features"),
        ((5, 2, -1.0), "variance"),
        ((5, 2, 1e300), "variance"),
    ],
)
def test_bad_arguments_are_refused(arguments, says):
    with pytest.raises(SettingError, match=says):
        hull_probability(*arguments)
