"""Theorems T17 to T20 on numbers: the moments of the error, the frequencies of a circulant, the momentum family."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import circulant, expm

from numerics.budget import UNITS, Budget
from numerics.integrate import trajectory
from numerics.predictor import Predictor
from theory.layers import Linear
from theory.optimizers import HeavyBallFlow, Nesterov, NesterovFlow
from theory.setting import Setting

SAMPLES = 20_000


@pytest.mark.theorem("T17")
def test_the_error_over_gaussian_starts_has_the_stated_mean_and_variance():
    rng = np.random.default_rng(0)
    d, q, m, std = 4, 3, 2, 0.7
    v, star = rng.standard_normal((d, m)), rng.standard_normal((q, d))
    starts = std * rng.standard_normal((SAMPLES, q, d))
    errors = (((starts - star) @ v) ** 2).sum(axis=(1, 2))
    mean = q * std**2 * (v**2).sum() + ((star @ v) ** 2).sum()
    variance = 2 * q * std**4 * ((v.T @ v) ** 2).sum() + 4 * std**2 * ((star @ v @ v.T) ** 2).sum()
    # Six standard errors of the sample mean and of the sample variance (from the sample's own fourth moment).
    assert abs(errors.mean() - mean) <= 6 * np.sqrt(variance / SAMPLES)
    fourth = ((errors - errors.mean()) ** 4).mean()
    assert abs(errors.var() - variance) <= 6 * np.sqrt((fourth - variance**2) / SAMPLES)


@pytest.mark.theorem("T18")
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_each_frequency_of_a_circulant_relaxes_at_its_own_rate(seed, size):
    rng = np.random.default_rng(seed)
    x, start = rng.standard_normal(size), rng.standard_normal(size)
    matrix, unit, t = circulant(x), np.eye(size)[0], 0.3
    kernel = unit + expm(-t * matrix.T @ matrix) @ (start - unit)
    predicted = 1 + (np.fft.fft(start) - 1) * np.exp(-(np.abs(np.fft.fft(x)) ** 2) * t)
    # Scaling and squaring of a matrix of norm ‖C‖²t, and two transforms of length N.
    slack = 100 * size * 2 * UNITS["float64"] * (1 + t * np.linalg.norm(matrix, 2) ** 2) * (1 + np.linalg.norm(start))
    assert np.abs(np.fft.fft(kernel) - predicted).max() <= slack


@pytest.mark.theorem("T19")
def test_nesterov_is_its_own_recurrence_and_not_the_heavy_ball():
    rng = np.random.default_rng(1)
    x, start = rng.standard_normal((3, 5)), rng.standard_normal((5, 5))
    p = Predictor(Setting(Linear(), Nesterov(0.02, 0.9)), x, initial_weight=start)
    result = trajectory(p.problem, [1, 40])
    budget = Budget(p)
    for index, step in enumerate((1, 40)):
        bound = budget.integration(result, index, step)
        assert np.linalg.norm(result.theta[index] - p.theta(step)[0]) <= bound < 1e-6 * np.linalg.norm(start)


@pytest.mark.theorem("T20")
@pytest.mark.parametrize("optimizer", [HeavyBallFlow(0.0), HeavyBallFlow(2.0), NesterovFlow()], ids=str)
def test_the_second_order_flows_are_what_the_solver_finds(optimizer):
    rng = np.random.default_rng(2)
    x, start = rng.standard_normal((3, 5)), rng.standard_normal((5, 5))
    p = Predictor(Setting(Linear(), optimizer), x, initial_weight=start)
    times = [0.0, 0.5, 3.0]
    result, budget = trajectory(p.problem, times), Budget(p)
    for index, time in enumerate(times):
        bound = budget.integration(result, index, time)
        assert np.linalg.norm(result.theta[index] - p.theta(time)[0]) <= bound < 1e-3 * np.linalg.norm(start)
