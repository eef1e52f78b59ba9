r"""The probability that a Gaussian point is outside the convex hull of Gaussian points: the exact law, by quadrature.

For N independent points N(0, I_d) and an independent x ~ N(0, s·I_d) (Kabluchko and Zaporozhets, Absorption probabilities for
Gaussian polytopes and regular spherical simplices, Adv. Appl. Probab. 52, 2020)

.. math:: P(x \notin \text{hull}) = 2 (b_{d-1} + b_{d-3} + \dots), \qquad P(x \in \text{hull}) = 2 (b_{d+1} + b_{d+3} + \dots),
          \qquad b_k = \binom{N}{k}\, g_k\!\Big({-\frac{s}{1 + ks}}\Big)\, g_{N-k}\!\Big(\frac{s}{1 + ks}\Big),

with :math:`g_n(r) = E[\Phi(\sqrt r Z)^n]`, Z standard normal, and b = 0 outside 0..N. At s = 0 it is Wendel's theorem.

For r < 0 the root is imaginary. With :math:`a^2 = s/(1+ks)` and the Faddeeva function w the integrand is
:math:`e^{-z^2/(2(1+ks))} (\tfrac12 w(az/\sqrt2))^k`, entire in z; it is integrated along the horizontal line through its saddle on
the imaginary axis, where nothing cancels. Both integrals are trapezoidal sums, which converge faster than any power of the
step for such functions (Trefethen and Weideman, SIAM Review 56, 2014). A point far away makes the integrand as narrow as
:math:`1/\sqrt s` on one side and leaves it as wide as 1 on the other: the sums are taken in u, :math:`z = z_0 + h\sinh u` with
h the narrower width, so that every scale between gets its nodes.
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
SPAN = 8.0  # of u, that these nodes are for; a longer range gets more
FARTHEST = 1e300  # variance, below which N of them are a number of float64
FAR = 1e4  # above it 2/(√π erfcx(y)) − 2y is 1/y to its square, and cancels


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
        variance: s, of x relative to that of the points, at least 0 and below 1e300.

    Raises:
        SettingError: If an argument is out of its range.

    Example:
        >>> round(hull_probability(2, 1).outside, 12)      # of three numbers the last is the middle one in a third
        0.666666666667
        >>> round(hull_probability(4, 2, 0.0).outside, 12)          # Wendel: (1 + 3) / 8
        0.5
        >>> round(1e6 * hull_probability(2, 1, 1e12).inside, 6)     # far away: √(2/s)/π
        0.450158
    """
    check_number("variance", variance, at_least=0, below=FARTHEST)
    for name, value in (("points", points), ("features", features)):
        if value != int(value) or value < 1:
            message = f"{name} must be a whole number, at least 1, but it is {value!r}. Pass a count."
            raise SettingError(message)
    points, features, variance = int(points), int(features), float(variance)
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
        y = root * z
        return -z + power * root * math.exp(-y * y / 2 - math.log(2 * math.pi) / 2 - float(log_ndtr(y)))

    peak = _root(slope, -1.0) if power and root else 0.0
    return _sum(exponent, peak, 1.0, nodes)


def _imaginary(power: int, ratio: float, left: float, nodes: int) -> float:
    """Log E[Φ(√r Z)^n] for r = −ratio, with 1 − n·ratio = ``left``, without the cancellation of computing that."""
    root = math.sqrt(ratio / 2)

    def slope(c: float) -> Any:  # of the exponent along the imaginary axis, less its factor i
        y = root * c
        above = 1 / y if y > FAR else 2 / math.sqrt(math.pi) / wofz(1j * y).real - 2 * y
        return left * c - power * root * above

    height = _root(slope, 1.0) if power and root else 0.0

    def exponent(x: Float) -> Float:
        z = x + 1j * height
        value: Float = -left * z * z / 2 + power * (np.log(wofz(root * z)) - math.log(2))
        return value

    return _sum(exponent, 0.0, 1 / math.sqrt(left), nodes)


def _root(slope: Callable[[float], float], sign: float) -> float:
    """Where a function on the half line takes its last sign, relative to 1e-12: a good place for a sum, whose value it does not change."""
    high = 1.0
    while sign * slope(high) < 0:
        high *= 2
    return float(brentq(slope, 0.0, high, xtol=1e-12))


def _sum(exponent: Callable[[Float], Float], peak: float, width: float, nodes: int) -> float:
    """Log of ∫ e^exponent(x) dx / √(2π) by the trapezoidal rule in u, x = peak + h sinh u, between the places where it has dropped.

    Args:
        exponent: Of the integrand.
        peak: Of its real part.
        width: At least that of the peak; halved until the exponent drops by less than 1 within it.
        nodes: For a range of ``SPAN``.
    """

    def height(x: float) -> float:
        return float(exponent(np.array([x]))[0].real)

    top = height(peak)
    while max(top - height(peak - width), top - height(peak + width)) > 1:
        width /= 2
    ends: list[float] = []
    for side in (-1.0, 1.0):
        reach = 1.0
        while height(peak + side * width * math.sinh(reach)) > top - DROP:
            reach += 0.5
        ends.append(side * reach)
    count = nodes * math.ceil((ends[1] - ends[0]) / SPAN)
    u = np.linspace(ends[0], ends[1], count + 1)
    values = np.exp(exponent(peak + width * np.sinh(u)) - top) * (width * np.cosh(u))
    return top + math.log(float(values.sum().real) * (u[1] - u[0])) - math.log(2 * math.pi) / 2
