"""Kolmogorov's distance by looking at few points is the one by looking at all; its critical value is the exact one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from numerics.kolmogorov import critical_distance, kolmogorov_distance
from theory.errors import SettingError


@given(st.integers(1, 300), st.floats(-0.5, 0.5), st.integers(0, 2**32 - 1))
def test_the_distance_is_scipys_which_looks_at_every_point(count, shift, seed):
    samples = np.random.default_rng(seed).normal(shift, 1.0, count)
    low, high = kolmogorov_distance(samples, stats.norm.cdf)
    assert (
        low == high == pytest.approx(stats.kstest(samples, "norm").statistic, abs=1e-12)
    )  # a few roundings of numbers below 1


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_samples_that_are_equal_count_as_often_as_they_come(count, seed):
    samples = np.random.default_rng(seed).integers(0, 4, count) / 4
    assert kolmogorov_distance(samples, stats.norm.cdf).low == pytest.approx(
        stats.kstest(samples, "norm").statistic, abs=1e-12
    )


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_bounds_enclose_the_distance_and_few_points_are_looked_at(tolerance):
    samples, looked = np.random.default_rng(0).standard_normal(5000), []

    def cdf(x: float) -> float:
        looked.append(x)
        return float(stats.norm.cdf(x, scale=1.02))

    low, high = kolmogorov_distance(samples, cdf, tolerance)
    exact = stats.kstest(samples, lambda x: stats.norm.cdf(x, scale=1.02)).statistic
    assert low <= exact + 1e-12
    assert exact <= high + 1e-12
    assert high - low <= tolerance
    assert len(looked) < 1000


def test_the_critical_value_is_exceeded_as_often_as_the_level_says():
    """4000 samples of 20 uniform points: the number above is binomial, inside its own 99.9 % interval."""
    critical, draws = critical_distance(20, 0.1), np.sort(np.random.default_rng(0).uniform(size=(4000, 20)), axis=1)
    steps = np.arange(20) / 20
    distances = np.maximum(steps + 1 / 20 - draws, draws - steps).max(axis=1)
    low, high = stats.binom.interval(0.999, 4000, 0.1)
    assert low <= (distances > critical).sum() <= high


def test_bad_arguments_are_refused():
    with pytest.raises(SettingError, match="samples must be a list"):
        kolmogorov_distance([], stats.norm.cdf)
    with pytest.raises(SettingError, match="level must be"):
        critical_distance(10, 1.0)
    with pytest.raises(SettingError, match="tolerance must be"):
        kolmogorov_distance([1.0], stats.norm.cdf, -1.0)
