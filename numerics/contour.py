r"""Tails and density of a weighted sum of noncentral chi-squares: Imhof's integral on a bent contour.

With the cumulant function :math:`K(s) = \sum_i -\tfrac{h_i}{2}\log(1 - 2\lambda_i s) + \tfrac{\beta_i s}{1 - 2\lambda_i s}`,

.. math::
    P(Q > y) = \frac{1}{2\pi i}\int_{c - i\infty}^{c + i\infty} e^{K(s) - sy}\,\frac{ds}{s}, \qquad 0 < c < \frac{1}{2\max\lambda},

and minus the same with :math:`c < 0` is :math:`P(Q < y)`. On the vertical line through the saddle point Imhof's integrand
decays like a power only; a branch of a hyperbola through the same point, bent to the right as the steepest descent is,
crosses no singularity and makes it decay exponentially. The trapezoidal rule then converges geometrically.

Three errors are bounded, relative to the value. *Truncation*: beyond ``reach`` by :math:`|1 - 2\lambda_i s| \ge
2\lambda_i\,\mathrm{dist}(\text{contour}, 1/2\lambda_i)`; before it, where nodes are left out because nothing is there, by the
quadrature of the modulus. *Discretisation*: for an integrand that is analytic between the displaced contours :math:`u + ia` and
:math:`u - ib`, at most :math:`M_a/(e^{2\pi a/h} - 1) + M_b/(e^{2\pi b/h} - 1)` with M the integral of the modulus there, which
is itself evaluated by quadrature and doubled. *Rounding*: unit roundoff times the size of the terms of the exponent, node by node.

Sources: Imhof (Biometrika 48, 1961); Rice (SIAM J. Sci. Stat. Comput. 1, 1980) for the saddle point; Trefethen and Weideman
(SIAM Review 56, 2014), theorem 5.1, for the trapezoidal rule.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.arrays import Float, quiet
from theory.errors import SettingError

EPS = float(np.finfo(np.float64).eps)
ANGLE = math.pi / 3  # of the asymptotes with the real axis
TARGET = 1e-15  # relative, of truncation and of discretisation
MAX_NODES = 400_000
UNDERFLOW = -760.0  # e^-760 is 0 in float64
DEPTH = 45.0  # e^-45 = 3e-20: nothing is there
SAMPLES = 240  # for the moduli
CHUNK = 2**19


@dataclass(frozen=True)
class Sum:
    """The sum without its constant, in units of its largest weight.

    Attributes:
        weights: λ, (r,), ascending, the last is 1.
        degrees: h, (r,), above 0.
        shifts: β = λ·noncentrality, (r,), at least 0.
    """

    weights: Float
    degrees: Float
    shifts: Float

    def slope(self, s: float, y: float = 0.0) -> float:
        """K'(s) − y; what is near the mean is subtracted before it is lost."""
        z = 1 - 2 * self.weights * s
        near = 2 * self.weights * abs(s) < 1
        bent = self.shifts / z**2 * np.where(near, 4 * self.weights * s * (1 - self.weights * s), 1)
        drift = math.fsum([*self.shifts[near], -y])
        return float((self.degrees * self.weights / z + bent).sum()) + drift

    def exponent(self, s: NDArray[np.complex128], y: float) -> tuple[NDArray[np.complex128], Float]:
        r"""K(s) − sy, and the size of the terms that it was added from.

        Of a shifted direction with :math:`2\lambda|s| < 1` the linear part βs is added to −sy before it is multiplied by s: near
        the mean of a law of large shifts little is left of that sum.
        """
        total, size = np.empty(len(s), dtype=np.complex128), np.empty(len(s))
        drifts = np.array([math.fsum([*self.shifts[:near], -y]) for near in range(len(self.weights) + 1)])
        step = max(1, CHUNK // len(self.weights))
        for first in range(0, len(s), step):
            part = s[first : first + step, None]
            z = 1 - 2 * self.weights * part
            near = 2 * self.weights * np.abs(part) < 1
            logs = -self.degrees / 2 * np.log(z)
            bent = self.shifts * (part / z) * np.where(near, 2 * self.weights * part, 1)
            linear = part[:, 0] * drifts[near.sum(axis=1)]
            total[first : first + step] = linear + (logs + bent).sum(axis=1)
            size[first : first + step] = np.abs(linear) + (np.abs(logs) + np.abs(bent)).sum(axis=1)
        return total, size


@dataclass(frozen=True)
class Value:
    """A positive number as ``mantissa · e^logarithm``, and the bound on its relative error."""

    mantissa: float
    logarithm: float
    error: float

    @property
    def number(self) -> float:
        """The number; 0 if float64 has no smaller one."""
        return self.mantissa * math.exp(self.logarithm) if self.logarithm > UNDERFLOW else 0.0


@dataclass(frozen=True)
class Hyperbola:
    """s(u) = centre + r (cosh u cos α + i sinh u sin α), through the saddle at u = 0; u + iy turns α into α + y."""

    saddle: float
    radius: float

    def at(self, u: Float, turn: float = 0.0) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """The points and the derivative in u."""
        angle = ANGLE + turn
        # cosh u cos(α + y) − cos α, without cancellation near the vertex
        real = 2 * np.sinh(u / 2) ** 2 * math.cos(angle) - 2 * math.sin(ANGLE + turn / 2) * math.sin(turn / 2)
        points = self.saddle + self.radius * (real + 1j * np.sinh(u) * math.sin(angle))
        return points, self.radius * (np.sinh(u) * math.cos(angle) + 1j * np.cosh(u) * math.sin(angle))

    def turns(self, low: float, high: float) -> tuple[float, float]:
        """How far α may grow and shrink before the vertex meets ``low`` or ``high``, or the asymptotes the axes."""
        return self._turn((self.saddle - low) / self.radius), -self._turn((self.saddle - high) / self.radius)

    @staticmethod
    def _turn(moved: float) -> float:
        """The a with cos(α + a) = cos α − moved, without cancellation; at most up to π/2 or down to 0."""
        cosine, sine = math.cos(ANGLE), math.sin(ANGLE)
        if not cosine - 1 < moved < cosine:
            return math.pi / 2 - ANGLE if moved > 0 else -ANGLE
        other = math.sqrt((1 - cosine + moved) * (1 + cosine - moved))
        return math.asin(moved * (cosine * (2 * cosine - moved) / (other + sine) + sine))


def tail(law: Sum, y: float, *, upper: bool) -> Value:
    """P(Q > y), or P(Q < y); accurate relative to the value on its own side of the mean.

    Example:
        >>> law = Sum(np.array([1.0]), np.array([2.0]), np.array([0.0]))       # P(χ²₂ > 2) = 1/e
        >>> abs(tail(law, 2.0, upper=True).number * math.e - 1) < 1e-14
        True
    """
    return _integral(law, y, 1 if upper else -1)


def density(law: Sum, y: float) -> Value:
    """The density of Q at y > 0."""
    return _integral(law, y, 0)


def _integral(law: Sum, y: float, side: int) -> Value:
    """Upper tail (1), lower tail (−1) or density (0)."""
    with quiet():
        saddle = _saddle(law, y, side)
        z = 1 - 2 * law.weights * saddle
        inverse, shifts = law.weights / z, law.shifts / z**2
        unit = float(inverse.max())  # of 1/s: the derivatives alone would under- and overflow in the far tails
        inverse, shifts = inverse / unit, shifts / unit
        second = float((2 * law.degrees * inverse**2 + 4 * shifts * inverse).sum())
        third = float((8 * law.degrees * inverse**3 + 24 * shifts * inverse**2).sum())
        # The steepest descent bends with the third over three times the second derivative; the hyperbola with cos α/(r sin²α).
        radius = math.cos(ANGLE) / math.sin(ANGLE) ** 2 * 3 * second / third
        path = Hyperbola(saddle, radius / unit)
        curvature = second + (1 / (saddle * unit) ** 2 if side else 0.0)
        width = 1 / (radius * math.sin(ANGLE) * math.sqrt(curvature))
        limits = {1: (0.0, 0.5), -1: (-math.inf, 0.0), 0: (-math.inf, 0.5)}[side]
        integrand = _Integrand(law, y, side, path)
        if side and integrand.peak < UNDERFLOW:  # Chernoff: the tail is at most e^peak, which float64 holds as 0
            return Value(1.0, integrand.peak, 1.0)
        return _trapezoid(integrand, width, path.turns(*limits))


def _saddle(law: Sum, y: float, side: int) -> float:
    """Where K(s) − sy − log|s| (without the logarithm for the density) is least on its side of the pole."""

    def falls(s: float) -> bool:
        return law.slope(s, y) - (side != 0 and 1 / s) < 0

    if side == 1 or (side == 0 and falls(0.0)):
        if not falls(0.25):
            return _bisect(falls, 0.25)
        return 0.5 - _bisect(lambda gap: not falls(0.5 - gap), 0.25)  # in the far tail the gap is small
    return -_bisect(lambda size: not falls(-size), math.inf)


def _bisect(holds: Callable[[float], bool], top: float) -> float:
    """The largest positive number below ``top`` at which a property that is lost on the way up still holds."""
    low, high = (2.0**-1000, top) if math.isfinite(top) else (2.0**-1000, 2.0**1000)
    for _ in range(90):
        middle = math.sqrt(low) * math.sqrt(high)
        low, high = (middle, high) if holds(middle) else (low, middle)
        if high / low < 1 + 1e-9:
            break
    return low


@dataclass(frozen=True)
class _Integrand:
    law: Sum
    y: float
    side: int
    path: Hyperbola

    @property
    def peak(self) -> float:
        """K(s) − sy at the saddle."""
        total, _ = self.law.exponent(np.array([self.path.saddle + 0j]), self.y)
        return float(total[0].real)

    def at(self, u: Float, turn: float = 0.0) -> tuple[NDArray[np.complex128], Float]:
        """The integrand of u relative to e^peak, and the size of its exponent."""
        s, moved = self.path.at(u, turn)
        total, size = self.law.exponent(s, self.y)
        values = np.exp(total - self.peak) * moved
        return (values / s if self.side else values), size

    def reach(self) -> tuple[float, float]:
        """The u beyond which the modulus is bounded by hand, and that bound on its integral, both sides, over e^peak."""
        law, path = self.law, self.path
        cosine, sine = math.cos(ANGLE), math.sin(ANGLE)
        centre = path.saddle - path.radius * cosine
        shifted = law.weights[law.shifts > 0]
        # Beyond the largest 1/(2λ) of a shifted direction, Re β s/(1 − 2λs) < 0.
        least = float((0.5 / shifted).max()) if shifted.size else max(0.0, path.saddle)
        # The contour's distance to the branch point at p = 1/(2λ).
        p = 0.5 / law.weights - centre
        vertex = p * cosine <= path.radius
        distance = np.where(
            vertex, p - path.radius * cosine, sine * np.sqrt(np.abs(p - path.radius)) * np.sqrt(p + path.radius)
        )
        logs = -float((law.degrees / 2 * np.log(2 * law.weights * distance)).sum()) - self.peak
        real = max(least, (logs + DEPTH + 5) / self.y, path.saddle + path.radius)
        u = math.asinh(math.sqrt((real - centre) / (path.radius * cosine)) / math.sqrt(2)) * 2 + 1
        real = centre + path.radius * cosine * math.cosh(u)
        around = 1 / math.tanh(u) / sine if self.side else path.radius * math.cosh(u)
        rest = 2 * around * math.exp(min(700.0, logs - self.y * real)) / (self.y * path.radius * cosine * math.sinh(u))
        return u, rest


def _trapezoid(integrand: _Integrand, width: float, turns: tuple[float, float]) -> Value:
    """The rule with the longest step that the strip allows, and its bounds."""
    reach, beyond = integrand.reach()
    stretched = np.linspace(0, math.asinh(reach / width), SAMPLES)
    grid, weights = width * np.sinh(stretched), width * np.cosh(stretched) * (stretched[1] - stretched[0])
    weights[[0, -1]] /= 2

    def moduli(turn: float) -> Float:
        found: Float = np.nan_to_num(np.abs(integrand.at(grid, turn)[0]) * weights, nan=math.inf)
        return found

    along = moduli(0.0)
    scale = float(along.sum())  # about π times the value, on the steepest descent
    if not 0 < scale < math.inf:
        message = (
            f"the law must have directions whose scales differ less for its tail to be computed at {integrand.y:g} times its largest "
            "weight, but the integrand overflows there. Drop the directions that hardly vary, or take their means as constant."
        )
        raise SettingError(message)
    steps = []
    for sign, limit in zip((1, -1), turns, strict=True):
        options = []
        narrow = (width * wide for wide in (2, 4, 6, 8, 11))  # best where the saddle is that of a Gaussian
        for room in {min(room, 0.95 * limit) for room in (0.8 * limit, 0.5 * limit, 0.2 * limit, *narrow)}:
            mass = 2 * float(moduli(sign * room).sum())
            options.append((2 * math.pi * room / math.log1p(4 * mass / (TARGET * scale)), room, mass))
        steps.append(max(options))
    step = min(steps)[0]
    left = np.cumsum(along[::-1])[::-1]  # what is left from each node on
    small = left < 1e-18 * scale
    last = int(np.argmax(small)) if small.any() else SAMPLES - 1
    count = min(MAX_NODES, math.ceil(float(grid[last]) / step))
    step = max(step, float(grid[last]) / count)
    nodes: Float = step * np.arange(count + 1, dtype=np.float64)
    values, sizes = integrand.at(nodes)
    values[0] /= 2
    mantissa = (1 if integrand.side >= 0 else -1) * step / math.pi * float(values.imag.sum())
    cut = (2 * float(left[last]) if last < SAMPLES - 1 else 0.0) + beyond
    rule = sum(2 * mass / math.expm1(min(700.0, 2 * math.pi * room / step)) for _, room, mass in steps)
    rounding = EPS * step * float((np.abs(values) * (16 + sizes)).sum()) + EPS * float(sizes[0]) * scale
    return Value(mantissa, integrand.peak, (cut + rule + rounding) / math.pi / max(mantissa, 1e-300))
