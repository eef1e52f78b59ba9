r"""Kolmogorov's distance of a sample to a law that is expensive to evaluate, and how large chance makes it.

Between two sample points the law is between its values there, so that a stretch of the sample in which nothing can exceed
what was found already is never looked at: about a hundred evaluations do for thousands of points.
"""

import heapq
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from numerics.arrays import real_array
from theory.component import check_number
from theory.errors import SettingError


class Distance(NamedTuple):
    """Bounds on a distance."""

    low: float
    high: float


def kolmogorov_distance(samples: object, cdf: Callable[[float], float], tolerance: float = 0.0) -> Distance:
    r""":math:`D_n = \sup_x |F_n(x) - F(x)|` of n samples to a continuous law, between two bounds.

    Args:
        samples: (n,), in any order.
        cdf: F, of one number.
        tolerance: How far apart the bounds may be; 0 for D itself.

    Raises:
        SettingError: If there are no samples, or not one list of finite numbers.

    Example:
        >>> kolmogorov_distance([0.5, 0.9], lambda x: x)     # F_n is still 0 just below 0.5
        Distance(low=0.5, high=0.5)
    """
    x = np.sort(real_array("samples", samples))
    if x.ndim != 1 or len(x) == 0:
        message = f"samples must be a list of at least one number, but they have shape {x.shape}. Flatten them."
        raise SettingError(message)
    check_number("tolerance", tolerance, at_least=0)
    count, low = len(x), 0.0

    def seen(place: int) -> float:
        nonlocal low
        value = float(cdf(float(x[place])))
        low = max(low, (place + 1) / count - value, value - place / count)
        return value

    # A stretch (i, F(x_i), j, F(x_j)) of points not looked at: F_n is between (i + 1)/n and j/n on it.
    whole = (0, seen(0), count - 1, seen(count - 1))
    waiting = [(-_most(*whole, count), *whole)]
    while waiting and -waiting[0][0] > low + tolerance:
        _, left, under, right, over = heapq.heappop(waiting)
        middle = (left + right) // 2
        value = seen(middle)
        for stretch in ((left, under, middle, value), (middle, value, right, over)):
            if stretch[2] - stretch[0] > 1:
                heapq.heappush(waiting, (-_most(*stretch, count), *stretch))
    return Distance(low, max(low, -waiting[0][0] if waiting else low))


def critical_distance(count: int, level: float) -> float:
    """What the distance of so many independent draws from the law itself exceeds with probability ``level``, exactly.

    Raises:
        SettingError: If the level is not between 0 and 1.

    Example:
        >>> round(critical_distance(1, 0.1), 12)     # one uniform point: D = max(x, 1 - x), above 0.95 in a tenth of the cases
        0.95
    """
    check_number("level", level, above=0)
    if level >= 1:
        message = f"level must be a probability below 1, but it is {level:g}. Pass 0.01, say."
        raise SettingError(message)
    return float(stats.kstwo.isf(level, count))


def _most(left: int, under: float, right: int, over: float, count: int) -> float:
    """The largest distance that the points strictly between two others can have."""
    return max(right / count - under, over - (left + 1) / count)
