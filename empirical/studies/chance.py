r"""How far a sample may be from what is predicted, by chance alone, when several such comparisons are made at once.

All comparisons of a family hold together with probability at least 1 − ``LEVEL`` where the prediction is true
(Bonferroni: each is made at ``LEVEL`` divided by their number).
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from numerics.arrays import Float
from numerics.kolmogorov import critical_distance, kolmogorov_distance
from numerics.laws import GeneralizedChiSquare

LEVEL = 0.01
BRACKET = 0.02  # a distance is found to this share of the critical one


class Moments(NamedTuple):
    """Mean and variance of samples along the last axis, and what chance allows each to be off by."""

    mean: Float
    variance: Float
    mean_room: Float
    variance_room: Float


def moments(samples: Any, comparisons: int) -> Moments:
    r"""Sample mean and variance with :math:`z\sqrt{s^2/n}` and :math:`z\sqrt{(m_4 - s^4)/n}`, by the central limit theorem.

    Args:
        samples: (..., n), independent along the last axis; n in the thousands, or the normal law is not near.
        comparisons: In the family; z is the normal quantile at ``LEVEL`` shared among them, on two sides.

    Example:
        >>> found = moments(np.array([1.0, -1.0] * 50), comparisons=1)     # s² = 100/99, z = 2.576
        >>> float(found.mean), round(float(found.mean_room), 4)
        (0.0, 0.2589)
    """
    samples = np.asarray(samples, dtype=float)
    count = samples.shape[-1]
    z = NormalDist().inv_cdf(1 - LEVEL / comparisons / 2)
    mean, variance = samples.mean(axis=-1), samples.var(axis=-1, ddof=1)
    fourth = ((samples - mean[..., None]) ** 4).mean(axis=-1)
    return Moments(
        mean, variance, z * np.sqrt(variance / count), z * np.sqrt(np.maximum(fourth - variance**2, 0.0) / count)
    )


def law_ratio(samples: Any, law: GeneralizedChiSquare, comparisons: int) -> float:
    """Kolmogorov's distance of samples to a law ÷ its critical value: at most 1 where the law is theirs."""
    return _distance(samples, law, comparisons)[1]


def refusal_ratio(samples: Any, law: GeneralizedChiSquare, comparisons: int) -> float:
    """The critical value ÷ Kolmogorov's distance: below 1 where the same test refuses the law."""
    low = _distance(samples, law, comparisons)[0]
    return 1 / low if low > 0 else np.inf


def _distance(samples: Any, law: GeneralizedChiSquare, comparisons: int) -> tuple[float, float]:
    critical = critical_distance(np.size(samples), LEVEL / comparisons)
    found = kolmogorov_distance(samples, law.cdf, BRACKET * critical)
    return found.low / critical, found.high / critical


def central(law: GeneralizedChiSquare) -> GeneralizedChiSquare:
    """A wrong law with the right mean: its noncentral part left out, its weights larger for it.

    Example:
        >>> wrong = central(GeneralizedChiSquare([2.0], [3.0], [3.0]))
        >>> float(wrong.weights[0]), wrong.mean()
        (4.0, 12.0)
    """
    factor = (law.mean() - law.constant) / float((law.weights * law.degrees).sum())
    return GeneralizedChiSquare(factor * law.weights, law.degrees, 0.0, law.constant)


WRONG: dict[str, tuple[float, Callable[[GeneralizedChiSquare], GeneralizedChiSquare]]] = {
    "a start that is 5 % wider": (1.05, lambda law: law),
    "a central law of the right mean": (1.0, central),
}
"""Laws that the test must refuse: by what the start's spread is multiplied, and what is made of the law."""
