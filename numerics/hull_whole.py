"""A query and points read as whole numbers, and what a direction or weights prove about them without any rounding."""

import math
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from numerics.hull_certificate import lower_bound
from numerics.hull_points import Array, Cloud, largest, pieces
from numerics.whole_numbers import Whole, exponent_of, products, whole


class WholeHull:
    """The question whether a query is in a span, an affine or a convex hull, in units of 2^exponent.

    Attributes:
        points: As they were given, (N, d).
        given: The query as it was given, (d,).
        kind: span, affine or convex.
        exponent: The largest for which every number is a multiple of the unit.
        query: The query in these units.

    Args:
        points: (N, d).
        query: (d,).
        kind: Of hull.
        exponent: That of the points alone, if it is known.
    """

    def __init__(self, points: Array, query: Array, kind: str, exponent: int | None = None) -> None:
        self.points, self.given, self.kind = points, query, kind
        self.exponent = min(exponent_of(points) if exponent is None else exponent, exponent_of(query))
        self.query: list[int] = [int(value) for value in whole(query, self.exponent)]

    @property
    def width(self) -> int:
        """The number of features, d."""
        return len(self.query)

    def rows(self, index: Any) -> Whole:
        """Points as integers."""
        return whole(self.points[index], self.exponent)

    @cached_property
    def magnitude(self) -> int:
        """The largest absolute value in the points, which are of a whole type."""
        return int(largest(self.points)) << -self.exponent

    def cloud(self) -> Cloud:
        """The points for products in float64, with bounds on their rounding."""
        return Cloud(self.points, largest(self.given))

    def slopes(self, direction: list[int], index: Any = None) -> list[int]:
        """w·x_i of some points, or of all."""
        if index is not None:
            return products(self.rows(index), direction)
        found: list[int] = []
        for piece in pieces(self.points):
            found += products(self.rows(piece), direction)
        return found

    def highest(self, direction: list[int]) -> int:
        """The largest w·x_i; floats with a bound on their rounding sort out the points that need integers."""
        most = max(map(abs, direction))
        if self.points.dtype.kind != "f" and most * self.width * self.magnitude < 2**62:
            return max(self.slopes(direction))
        shared = 2 ** max(0, most.bit_length() - 64)
        towards = -np.array([value / shared for value in direction])
        cloud = self.cloud()
        query = cloud.scaled(self.given)
        parts = [lower_bound(towards, cloud.rows(piece, query)) for piece in pieces(self.points)]
        gains, errors = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        near = np.flatnonzero(gains - errors <= (gains + errors).min())
        return max(self.slopes(direction, near))

    def gap(self, direction: list[int]) -> Fraction:
        """The distance that a direction w proves, in units of 2^exponent, rounded down; 0 or less if it proves none."""
        height = sum(w * q for w, q in zip(direction, self.query, strict=True))
        if self.kind == "convex":
            least = height - self.highest(direction)
        else:
            slopes = self.slopes(direction)
            level = slopes[0] if self.kind == "affine" else 0
            least = abs(height - level) if all(slope == level for slope in slopes) else 0
        square = sum(w * w for w in direction) << 80
        root = math.isqrt(square)
        return Fraction(least << 40, max(root + (root * root < square), 1))

    def reaches(self, weights: dict[int, Fraction]) -> bool:
        """Whether rational weights prove the query inside."""
        if self.kind == "convex" and min(weights.values(), default=0) < 0:
            return False
        if self.kind != "span" and sum(weights.values()) != 1:
            return False
        shared = math.lcm(*(value.denominator for value in weights.values()))
        scaled = [int(value * shared) for value in weights.values()]
        sums = products(self.rows(list(weights)).T, scaled)
        return all(total == shared * q for total, q in zip(sums, self.query, strict=True))
