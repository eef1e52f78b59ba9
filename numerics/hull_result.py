"""The answer about a distance, and its check from the points, the query, the weights and the direction alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from numerics.arrays import Float
from numerics.hull_certificate import inside, lower_bound, upper_bound
from numerics.hull_points import EPS, Array, Cloud, Index, pieces
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

    def _each(self, values: list[Any], *, lengths: bool = False) -> Any:
        if lengths:
            values = [float(np.ldexp(value, self.exponent)) for value in values]
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
        return self._each([one.lower for one in self.found], lengths=True)

    @property
    def upper(self) -> Any:
        """An upper bound on the distance, with rounding."""
        return self._each([one.upper for one in self.found], lengths=True)

    @property
    def floor(self) -> Any:
        """The rounding that the bounds allow for: below it float64 cannot tell outside from inside."""
        return self._each([one.floor for one in self.found], lengths=True)

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
        values = one.rationals
        if values is None:
            values = tuple(Fraction(float(weight)) for weight in one.weights)
            total = sum(values) if self.kind != "span" else 1
            values = tuple(value / total for value in values)
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
        rows = np.atleast_2d(self.queries)
        cloud = Cloud(self.points, float(np.abs(rows).max()))
        for number, (query, one) in enumerate(zip(cloud.scaled(rows), self.found, strict=True)):
            for fault in self._faults(cloud, rows[number], query, one):
                message = (
                    f"the answer for query {number} must follow from its certificate, but {fault}. Do not trust it."
                )
                raise SettingError(message)
        return True

    def _faults(self, cloud: Cloud, given: Array, query: Float, one: One) -> Iterator[str]:
        from numerics import hull_exact

        offsets = cloud.rows(one.support, query)
        tolerance = 1 + 1e-12
        rounding = len(one.weights) * EPS * float(np.abs(one.weights).sum())
        if self.kind != "span" and one.rationals is None and abs(one.weights.sum() - 1) > 1e-9 + rounding:
            yield f"its weights sum to {one.weights.sum():.17g}"
        if self.kind == "convex" and (one.weights < 0).any():
            yield f"a weight is {one.weights.min():g}"
        if not 0 <= one.lower <= one.upper:
            yield f"its bounds are {one.lower:g} and {one.upper:g}"
        if one.integers is not None or one.rationals is not None:
            if not hull_exact.holds(self.points, given, one, self.kind):
                yield "its exact certificate fails"
            elif one.integers is not None:
                seen = hull_exact.shown(self.points, given, one, self.kind, self.exponent)
                if not 0 < one.lower <= seen:
                    yield f"its direction shows a distance of {seen:g}, not {one.lower:g}"
        elif self.kind != "convex":
            yield from self._flat_faults(cloud, query, one)
            return
        elif one.status == "inside" and not inside(one.weights, offsets):
            yield "its weights do not prove it inside"
        if self.kind == "convex" and one.status != "inside":
            if upper_bound(one.weights, offsets) > one.upper * tolerance:
                yield f"its point is {upper_bound(one.weights, offsets):g} away, not {one.upper:g}"
            if one.lower > 0 and one.integers is None:
                seen = separation(cloud, query, -one.normal)
                if not one.lower - one.floor <= seen > 0:
                    yield f"its direction shows a distance of {seen:g}, not {one.lower:g}"

    def _flat_faults(self, cloud: Cloud, query: Float, one: One) -> Iterator[str]:
        """The direction must be orthogonal to the points up to the floor, and the weights must lead to the nearest point."""
        origin = query * 0 if self.kind == "span" else cloud.scaled(cloud.given[0])
        reached = np.zeros_like(query)
        squares = 0.0
        for piece in pieces(cloud.given):
            rows = cloud.scaled(cloud.given[piece])
            inner, near = np.searchsorted(one.support, (piece.start, piece.stop))
            part = one.weights[inner:near, None] * rows[one.support[inner:near] - piece.start]
            reached += part.sum(axis=0)
            squares += float((rows**2).sum())
            slope = np.abs((rows - origin) @ one.normal)
            allowed = (
                64 * (cloud.width + cloud.count) * EPS * float(np.linalg.norm(rows - origin, axis=1).max()) + one.floor
            )
            if one.status == "outside" and slope.max() > allowed:
                yield f"its direction is not orthogonal to a point, by {slope.max():g}"
        gap = float(np.linalg.norm(reached - query))
        size = float(np.sqrt(squares) * np.linalg.norm(one.weights))
        slack = 4 * (cloud.width + cloud.count) * EPS * (size + float(np.linalg.norm(query))) + one.floor
        if gap > one.upper + slack:
            yield f"its weights lead {gap:g} away, not {one.upper:g}"
        if one.status == "outside" and abs((query - origin) @ one.normal) < one.lower - slack:
            yield f"its direction shows {(query - origin) @ one.normal:g}, not {one.lower:g}"

    def __str__(self) -> str:
        names = [one.status for one in self.found]
        counts = ", ".join(f"{names.count(name)} {name}" for name in ("outside", "inside", "undecided"))
        upper = np.atleast_1d(self.upper)[[name == "outside" for name in names]]
        return f"{self.kind}: {counts}" + (f"; distances {upper.min():.4g} to {upper.max():.4g}" if upper.size else "")

    __repr__ = __str__


def separation(cloud: Cloud, query: Float, towards: Float) -> float:
    """The distance that a direction from the query towards the hull proves, over all points, in float64 with its rounding."""
    length = float(np.linalg.norm(towards)) * (1 + (cloud.width + 4) * EPS)
    if length == 0:
        return 0.0
    least = np.inf
    for piece in pieces(cloud.given):
        products, errors = lower_bound(towards, cloud.rows(piece, query))
        least = min(least, float((products - errors).min()))
    return least / length
