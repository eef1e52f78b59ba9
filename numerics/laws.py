"""Probability laws of squared errors, frozen: mean, variance, distribution function, quantiles, and how accurate they are."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import brentq

from numerics.arrays import Float, quiet, real_array
from numerics.contour import Sum, Value, density, tail
from theory.component import check_number
from theory.errors import SettingError

# A direction counts as its mean if its weight is below this share of the largest one, or if its noncentrality is so large that
# its standard deviation, 2/√δ of its mean, is below the rounding of that mean.
SMALLEST_SHARE, LARGEST_NONCENTRALITY = 1e-200, 1e60
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class GeneralizedChiSquare:
    r"""The law of :math:`Q = c + \sum_i \lambda_i\,\chi'^2_{h_i}(\delta_i)`, independent noncentral chi-squares.

    Without a positive weight it is the point mass at c; with one it is a scaled noncentral chi-square. Each tail is computed
    on its own side of the mean, with a bound on its error that is computed beside it (:meth:`accuracy`). The bound is relative to
    the tail, far out too, and about 1e-14 of it unless thousands of degrees or rounded cancellation make it larger.

    Args:
        weights: λ, (r,), at least 0, in the unit of Q.
        degrees: h, (r,) or one number, above 0, not necessarily whole.
        noncentralities: δ, (r,) or one number, at least 0: :math:`\chi'^2_h(\delta)` has mean h + δ.
        constant: c, the least value of Q.

    Raises:
        SettingError: If an argument is out of its range, or the arguments differ in length.

    Source:
        :mod:`numerics.contour`.

    Example:
        >>> law = GeneralizedChiSquare(weights=[1.0, 3.0], degrees=2)    # 2·Exp(1) + 6·Exp(1)
        >>> law.mean(), law.var()
        (8.0, 40.0)
        >>> abs(law.sf(12.0) - (1.5 * math.exp(-2) - 0.5 * math.exp(-6))) < 1e-14
        True
    """

    weights: Any
    degrees: Any = 1.0
    noncentralities: Any = 0.0
    constant: float = 0.0

    def __post_init__(self) -> None:
        check_number("constant", self.constant, at_least=0)
        weights = np.atleast_1d(real_array("weights", self.weights))
        if weights.ndim != 1:
            message = f"weights must be a list of numbers, but they have shape {weights.shape}. Flatten them."
            raise SettingError(message)
        object.__setattr__(self, "weights", weights)
        for name in ("degrees", "noncentralities"):
            array = np.atleast_1d(real_array(name, getattr(self, name)))
            if array.shape not in ((1,), weights.shape):
                message = f"{name} must be one number or one for each of the {weights.size} weights, but has shape {array.shape}."
                raise SettingError(message)
            object.__setattr__(self, name, np.broadcast_to(array, weights.shape))
        for name, bad in (
            ("weights", weights < 0),
            ("degrees", self.degrees <= 0),
            ("noncentralities", self.noncentralities < 0),
        ):
            if bad.any():
                must = "above 0" if name == "degrees" else "at least 0"
                message = f"{name} must be {must}, but one is {getattr(self, name)[bad][0]:g}. Drop or mend it."
                raise SettingError(message)

    @classmethod
    def noncentral(cls, scale: float, degrees: float, noncentrality: float = 0.0) -> "GeneralizedChiSquare":
        """The scaled noncentral chi-square, ``scale · χ'²_degrees(noncentrality)``."""
        return cls([scale], [degrees], [noncentrality])

    @cached_property
    def _sum(self) -> tuple[Sum, float, float]:
        """The part that varies, in units of its largest weight; that unit; and the constant with what counts as one."""
        unit = float(self.weights.max(initial=0.0))
        kept = (self.weights > SMALLEST_SHARE * unit) & (self.noncentralities < LARGEST_NONCENTRALITY)
        unit = float(self.weights[kept].max(initial=0.0))
        rest = self.weights * (self.degrees + self.noncentralities) * ~kept
        weights, place = np.unique(self.weights[kept], return_inverse=True)
        degrees, noncentral = np.zeros_like(weights), np.zeros_like(weights)
        np.add.at(degrees, place, self.degrees[kept])
        np.add.at(noncentral, place, self.noncentralities[kept])
        shares = weights / unit if unit else weights
        return Sum(shares, degrees, shares * noncentral), unit, self.constant + float(rest.sum())

    @property
    def point_mass(self) -> bool:
        """Whether Q is one number: no direction varies."""
        return self._sum[1] == 0

    def mean(self) -> float:
        """The mean, c + Σ λ(h + δ)."""
        return self.constant + float((self.weights * (self.degrees + self.noncentralities)).sum())

    def std(self) -> float:
        """The standard deviation."""
        law, unit, _ = self._sum
        return unit * math.sqrt(float((2 * law.weights * (law.degrees * law.weights + 2 * law.shifts)).sum()))

    def var(self) -> float:
        """The variance, Σ 2λ²(h + 2δ).

        Raises:
            SettingError: If float64 cannot hold it.
        """
        std = self.std()
        with quiet():
            square = float((2 * self.weights**2 * (self.degrees + 2 * self.noncentralities)).sum())
        if std > 0 and not TINY <= square < math.inf:
            message = (
                f"the variance must be a float64, but it is the square of {std:g}. Use std(), or rescale the weights."
            )
            raise SettingError(message)
        return square

    def cdf(self, x: Any) -> Any:
        """P(Q ≤ x), of one number or an array of them."""
        return self._each(x, lambda y: self._tail(y, upper=False))

    def sf(self, x: Any) -> Any:
        """P(Q > x)."""
        return self._each(x, lambda y: self._tail(y, upper=True))

    def pdf(self, x: Any) -> Any:
        """The density; 0 below c, inf at the place of a point mass."""

        def at(y: float) -> float:
            law, unit, _ = self._sum
            if unit == 0:
                return math.inf if y == 0 else 0.0
            return density(law, y / unit).number / unit if 0 < y < math.inf else 0.0

        return self._each(x, at)

    def accuracy(self, x: Any) -> Any:
        """A bound on the error of ``cdf(x)`` and ``sf(x)``, absolute; of the smaller of the two it is far below its value."""

        def at(y: float) -> float:
            value = self._own(y)
            return 0.0 if value is None else value.number * value.error + np.finfo(float).eps

        return self._each(x, at)

    def ppf(self, p: Any) -> Any:
        """The quantile: the least x with P(Q ≤ x) ≥ p, to a relative 1e-12 of x − c where the density allows it.

        Raises:
            SettingError: If a p is outside [0, 1].
        """
        p = real_array("p", p)
        if ((p < 0) | (p > 1)).any():
            message = f"p must be between 0 and 1, but one is {p[(p < 0) | (p > 1)].flat[0]:g}. Pass probabilities."
            raise SettingError(message)
        found = np.array([self._quantile(float(value)) for value in p.flat]).reshape(p.shape)
        return float(found) if found.ndim == 0 else found

    def _quantile(self, p: float) -> float:
        law, unit, constant = self._sum
        if unit == 0 or p == 0:
            return constant if unit == 0 else self.constant
        if p == 1:
            return math.inf
        middle = law.slope(0.0)
        upper = p > _number(tail(law, middle, upper=False))
        wanted = math.log1p(-p) if upper else math.log(p)
        step = 1.0 if upper else -1.0

        def gap(exponent: float) -> float:
            value = tail(law, middle * math.exp(exponent), upper=upper)
            return value.logarithm + math.log(max(value.mantissa, 1e-300)) - wanted

        while gap(step) > 0 and abs(step) < 600:
            step *= 2
        return constant + unit * middle * math.exp(brentq(gap, *sorted((0.0, step)), xtol=1e-14, rtol=1e-14))

    def _own(self, y: float) -> Value | None:
        """The tail on the side of the mean where y > 0 is, or None where nothing is left to compute."""
        law, unit, _ = self._sum
        if unit == 0 or not 0 < y < math.inf or not 0 < y / unit < math.inf:
            return None
        with quiet():
            return tail(law, y / unit, upper=law.slope(0.0, y / unit) < 0)

    def _tail(self, y: float, *, upper: bool) -> float:
        value = self._own(y)
        if value is None:
            beyond = y >= 0 if self.point_mass else y > 0  # nothing lies below c, and at c only a point mass
            return float(beyond != upper)
        law, unit, _ = self._sum
        own = _number(value)
        return own if upper == (law.slope(0.0, y / unit) < 0) else 1 - own

    def _each(self, x: Any, function: Any) -> Any:
        array = np.asarray(x, dtype=np.float64)
        if np.isnan(array).any():
            message = "x must be numbers, but one is nan. Drop it."
            raise SettingError(message)
        constant = self._sum[2]
        values: Float = np.array([function(float(value) - constant) for value in array.flat]).reshape(array.shape)
        return float(values) if values.ndim == 0 else values

    def __str__(self) -> str:
        if self.point_mass:
            return f"the point mass at {self._sum[2]:g}"
        law, unit, constant = self._sum
        parts = zip(unit * law.weights, law.degrees, law.shifts / law.weights, strict=True)
        terms = [f"{weight:.4g}·χ'²_{degree:g}({shift:.4g})" for weight, degree, shift in parts]
        shown = terms if len(terms) <= 4 else [*terms[-3:], f"… ({len(terms)} terms)"]
        return " + ".join(([f"{constant:.4g}"] if constant else []) + shown)


def _number(value: Value) -> float:
    return min(max(value.number, 0.0), 1.0)
