"""A query and points read as whole numbers, and what a direction or weights prove about them without any rounding."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from numerics.hull_certificate import lower_bound
from numerics.hull_points import Array, Cloud, pieces
from numerics.whole_numbers import Whole, exponent_of, products, whole


class WholeHull:
    """The question whether a query is in a span, an affine or a convex hull, in units of 2^exponent.

    Attributes:
        points: As they were given, (N, d).
        given: The query as it was given, (d,).
        kind: span, affine or convex.
        exponent: The largest for which every number is a multiple of the unit.
        query: The query in these units.
    """

    def __init__(self, points: Array, query: Array, kind: str) -> None:
        self.points, self.given, self.kind = points, query, kind
        self.exponent = min(exponent_of(points), exponent_of(query))
        self.query: list[int] = [int(value) for value in whole(query, self.exponent)]

    @property
    def width(self) -> int:
        """The number of features, d."""
        return len(self.query)

    def rows(self, index: Any) -> Whole:
        """Points as integers."""
        return whole(self.points[index], self.exponent)

    def cloud(self) -> Cloud:
        """The points for products in float64, with bounds on their rounding."""
        return Cloud(self.points, float(np.abs(self.given).max()))

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
        largest = max(map(abs, direction))
        if self.points.dtype.kind != "f" and largest < 2**53:
            return max(self.slopes(direction))
        shared = 2 ** max(0, largest.bit_length() - 64)
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
        return Fraction(least, math.isqrt(sum(w * w for w in direction) << 80) + 1) * (2**40 - 1)

    def reaches(self, weights: dict[int, Fraction]) -> bool:
        """Whether rational weights prove the query inside."""
        if self.kind == "convex" and min(weights.values()) < 0:
            return False
        if self.kind != "span" and sum(weights.values()) != 1:
            return False
        shared = math.lcm(*(value.denominator for value in weights.values()))
        scaled = [int(value * shared) for value in weights.values()]
        sums = products(self.rows(list(weights)).T, scaled)
        return all(total == shared * q for total, q in zip(sums, self.query, strict=True))
