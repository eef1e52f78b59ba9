"""The answer about a distance, and its check from the points, the query, the weights and the direction alone."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from numerics.arrays import Float
from numerics.hull_points import Array, Cloud, Index, largest
from theory.errors import SettingError


@dataclass(frozen=True, eq=False)
class One:
    """The answer for one query, in the units of the cloud.

    Attributes:
        status: outside, inside or undecided.
        lower: A lower bound on the distance.
        upper: An upper bound.
        support: Indices of the points with weight.
        weights: Of those points.
        normal: From the hull towards the query, length 1; zeros if inside.
        floor: The rounding in the bounds.
        reason: Why it is undecided.
        rationals: Exact weights of the support, if they decided.
        integers: A direction in whole numbers, if it decided.
    """

    status: str
    lower: float
    upper: float
    support: Index
    weights: Float
    normal: Float
    floor: float
    reason: str = ""
    rationals: tuple[Fraction, ...] | None = None
    integers: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Distance:
    """Distances of queries to a span or hull; every field is that of the one query, or one for each of m queries.

    Attributes:
        kind: span, affine or convex.
        exact: Whether integers decided.
        points: The points, (N, d), as given.
        queries: The queries, (d,) or (m, d), as given.
        found: The answers, one for each query, with sparse weights; in units of 2^exponent.
        margin: For span and affine: how many times the smallest singular value that counts exceeds the rounding floor; the
            verdicts hold for this rank. None for convex hulls, which need no rank.
        exponent: Of the unit.
    """

    kind: str
    exact: bool
    points: Array
    queries: Array
    found: tuple[One, ...]
    margin: float | None
    exponent: int = 0

    def _each(self, values: list[Any]) -> Any:
        return values[0] if self.queries.ndim == 1 else np.array(values)

    @property
    def status(self) -> Any:
        """``outside``, ``inside`` or ``undecided``."""
        return self._each([one.status for one in self.found])

    @property
    def reason(self) -> Any:
        """Why a query is undecided; empty for the others."""
        return self._each([one.reason for one in self.found])

    @property
    def lower(self) -> Any:
        """A lower bound on the distance, with rounding."""
        return self._each([_unscaled(one.lower, self.exponent, up=False) for one in self.found])

    @property
    def upper(self) -> Any:
        """An upper bound on the distance, with rounding."""
        return self._each([_unscaled(one.upper, self.exponent, up=True) for one in self.found])

    @property
    def floor(self) -> Any:
        """The rounding that the bounds allow for: below it float64 cannot tell outside from inside."""
        return self._each([_unscaled(one.floor, self.exponent, up=True) for one in self.found])

    @property
    def weights(self) -> Any:
        """Of the nearest point found, (N,) or (m, N); fractions if exact. ``found[i].support`` says which are not 0."""
        return self._each([self._weights(one) for one in self.found])

    @property
    def normal(self) -> Any:
        """From the hull towards the query, (d,) or (m, d): a separating direction if outside, zeros if inside; integers if exact."""
        if not self.exact:
            return self._each([one.normal for one in self.found])
        zero = (0,) * self.points.shape[1]
        return self._each([np.array(one.integers or zero, dtype=object) for one in self.found])

    def _weights(self, one: One) -> Array:
        if not self.exact:
            dense = np.zeros(len(self.points))
            dense[one.support] = one.weights
            return dense
        dense = np.full(len(self.points), Fraction(0), dtype=object)
        values = list(one.rationals or map(Fraction, one.weights.tolist()))
        if one.rationals is None and self.kind != "span":
            most = max(range(len(values)), key=lambda place: abs(values[place]))
            values[most] += 1 - sum(values)
        for index, value in zip(one.support, values, strict=True):
            dense[index] = value
        return dense

    def verify(self) -> bool:
        """Checks every answer again, with no other knowledge than points, query, weights and direction.

        Returns:
            True.

        Raises:
            SettingError: If a bound or a verdict does not follow from its weights or direction; the message names the query.
        """
        from numerics.hull_check import faults

        rows = np.atleast_2d(self.queries)
        cloud = Cloud(self.points, largest(rows))
        if len(self.found) != len(rows) or self.exponent != cloud.exponent:
            message = (
                f"there must be {len(rows)} answers in units of 2^{cloud.exponent}, but there are {len(self.found)} of "
                f"2^{self.exponent}. Do not trust them."
            )
            raise SettingError(message)
        for number, (query, one) in enumerate(zip(rows, self.found, strict=True)):
            for fault in faults(cloud, query, one, self.kind, self.exact):
                message = (
                    f"the answer for query {number} must follow from its certificate, but {fault}. Do not trust it."
                )
                raise SettingError(message)
        return True

    def __str__(self) -> str:
        names = [one.status for one in self.found]
        counts = ", ".join(f"{names.count(name)} {name}" for name in ("outside", "inside", "undecided"))
        upper = np.atleast_1d(self.upper)[[name == "outside" for name in names]]
        return f"{self.kind}: {counts}" + (f"; distances {upper.min():.4g} to {upper.max():.4g}" if upper.size else "")

    __repr__ = __str__


def _unscaled(length: float, exponent: int, *, up: bool) -> float:
    """length·2^exponent, rounded up or down where it cannot be exact."""
    with np.errstate(over="ignore", under="ignore"):
        found = float(np.ldexp(length, exponent))
        again = float(np.ldexp(found, -exponent))
    if again == length or (again > length) == up:
        return found
    return math.nextafter(found, math.inf if up else 0.0)
