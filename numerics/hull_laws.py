r"""The probability that a Gaussian point is outside the convex hull of Gaussian points: the exact law, by quadrature.

For N independent points N(0, I_d) and an independent x ~ N(0, s·I_d) (Kabluchko and Zaporozhets, Absorption probabilities for
Gaussian polytopes and regular spherical simplices, Adv. Appl. Probab. 52, 2020)

.. math:: P(x \notin \text{hull}) = 2 (b_{d-1} + b_{d-3} + \dots), \qquad P(x \in \text{hull}) = 2 (b_{d+1} + b_{d+3} + \dots),
          \qquad b_k = \binom{N}{k}\, g_k\!\Big({-\frac{s}{1 + ks}}\Big)\, g_{N-k}\!\Big(\frac{s}{1 + ks}\Big),

with :math:`g_n(r) = E[\Phi(\sqrt r Z)^n]`, Z standard normal, and b = 0 outside 0..N. At s = 0 it is Wendel's theorem.

For r < 0 the root is imaginary. With :math:`a^2 = s/(1+ks)` and the Faddeeva function w the integrand is
:math:`e^{-z^2/(2(1+ks))} (\tfrac12 w(az/\sqrt2))^k`, entire in z; it is integrated along the horizontal line through its saddle on
the imaginary axis, where nothing cancels. Both integrals are trapezoidal sums, which converge faster than any power of the
step for such functions (Trefethen and Weideman, SIAM Review 56, 2014).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, log_ndtr, wofz

from numerics.arrays import Float
from theory.component import check_number
from theory.errors import SettingError

DROP = 50.0  # in the exponent, from the peak to the ends of the sum
NODES = 256


@dataclass(frozen=True)
class HullProbability:
    """The probability that x is outside, and that it is inside; each is exact to ``accuracy`` relative to itself.

    Attributes:
        outside: P(x ∉ hull).
        inside: P(x ∈ hull).
        accuracy: Relative: how far the two halves of the sum of all b_k are from 1/2, and half the steps from the whole ones.
    """

    outside: float
    inside: float
    accuracy: float


def hull_probability(points: int, features: int, variance: float = 1.0) -> HullProbability:
    """The law of the module.

    Args:
        points: N, at least 1.
        features: d, at least 1.
        variance: s, of x relative to that of the points, at least 0.

    Raises:
        SettingError: If an argument is out of its range.

    Example:
        >>> round(hull_probability(2, 1).outside, 12)      # of three numbers the last is the middle one in a third
        0.666666666667
        >>> round(hull_probability(4, 2, 0.0).outside, 12)          # Wendel: (1 + 3) / 8
        0.5
    """
    check_number("variance", variance, at_least=0)
    for name, value in (("points", points), ("features", features)):
        if value != int(value) or value < 1:
            message = f"{name} must be a whole number, at least 1, but it is {value!r}. Pass a count."
            raise SettingError(message)
    fine = _logarithms(points, variance, NODES)
    coarse = _logarithms(points, variance, NODES // 2)
    faces = np.exp(fine)
    kinds = np.arange(points + 1)
    same = (kinds - features) % 2 == 1
    outside = 2 * float(faces[same & (kinds < features)].sum())
    inside = 2 * float(faces[same & (kinds > features)].sum())
    halves = abs(2 * float(faces[same].sum()) - 1)
    step = float(np.abs(np.expm1(coarse - fine)).max())
    accuracy = max(halves, step, 64 * points * float(np.finfo(np.float64).eps))
    return HullProbability(min(outside, 1.0), min(inside, 1.0), accuracy)


def _logarithms(count: int, variance: float, nodes: int) -> Float:
    """The logarithm of every b_k, k = 0..N."""
    found = []
    for k in range(count + 1):
        ratio = variance / (1 + k * variance)
        binomial = gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1)
        found.append(
            float(binomial) + _imaginary(k, ratio, 1 / (1 + k * variance), nodes) + _real(count - k, ratio, nodes)
        )
    return np.array(found)


def _real(power: int, ratio: float, nodes: int) -> float:
    """Log E[Φ(√r Z)^n], r ≥ 0."""
    root = math.sqrt(ratio)

    def exponent(z: Float) -> Float:
        value: Float = -z * z / 2 + power * log_ndtr(root * z)
        return value

    def slope(z: float) -> float:
        return -z + power * root * math.exp(
            -((root * z) ** 2) / 2 - math.log(2 * math.pi) / 2 - float(log_ndtr(root * z))
        )

    peak = 0.0 if power == 0 or root == 0 else brentq(slope, 0.0, 1.0 + power * root, xtol=1e-12)
    return _sum(exponent, peak, 1.0, nodes)


def _imaginary(power: int, ratio: float, left: float, nodes: int) -> float:
    """Log E[Φ(√r Z)^n] for r = −ratio, with 1 − n·ratio = ``left``, without the cancellation of computing that."""
    root = math.sqrt(ratio / 2)

    def slope(c: float) -> Any:  # of the exponent along the imaginary axis, less its factor i
        scaled = wofz(1j * root * c).real
        return left * c - power * root * (2 / math.sqrt(math.pi) / scaled - 2 * root * c)

    high = 1.0
    while power and root and slope(high) < 0:
        high *= 2
    height = brentq(slope, 0.0, high, xtol=1e-12) if power and root else 0.0

    def exponent(x: Float) -> Float:
        z = x + 1j * height
        value: Float = -left * z * z / 2 + power * (np.log(wofz(root * z)) - math.log(2))
        return value

    return _sum(exponent, 0.0, 1 / math.sqrt(left), nodes)


def _sum(exponent: Callable[[Float], Float], peak: float, width: float, nodes: int) -> float:
    """Log of ∫ e^exponent(x) dx / √(2π) by the trapezoidal rule between the places where it has dropped far below its peak."""
    top = float(exponent(np.array([peak]))[0].real)
    ends: list[float] = []
    for side in (-1.0, 1.0):
        reach = width
        while float(exponent(np.array([peak + side * reach]))[0].real) > top - DROP:
            reach *= 1.25
        ends.append(peak + side * reach)
    x = np.linspace(ends[0], ends[1], nodes + 1)
    values = np.exp(exponent(x) - top)
    return top + math.log(float(values.sum().real) * (x[1] - x[0])) - math.log(2 * math.pi) / 2
