r"""Deciding hull questions in whole numbers, for the exact value of the data.

Floats are integers times one power of two. Outside: a direction in integers w with :math:`w\cdot q > w\cdot x_i` for all i
(equality for span and affine hull, where it must vanish on differences). Inside: rational weights that give q exactly. The
float answer proposes; if its proposal fails, a simplex method in integers decides, with the columns (points) and rows
(features) that it turns out to need.
"""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from numerics.arrays import Float
from numerics.hull_certificate import lower_bound
from numerics.hull_points import Array, Cloud, basis, pieces
from numerics.hull_result import One
from numerics.whole_numbers import Whole, exponent_of, feasible, products, solve, whole

BITS = (10, 16, 24, 32, 48, 64)  # of the directions that are tried
LARGE = 120_000  # entries of a simplex table, above which a problem on the boundary stays undecided
PROJECTED = 2_000_000  # products of a projection in integers, at most
NEARLY = Fraction(1, 10**9)  # relative
COLUMNS = 64  # points at the start of the simplex


def decide(points: Array, query: Array, one: One, kind: str, unit: int = 0) -> One:
    """The exact answer, from the float answer in units of 2^unit."""
    exponent = min(exponent_of(points), exponent_of(query))
    problem = _Problem(points, query, exponent, kind)
    found = problem.separated(one, unit) or problem.combined(one) or problem.projected(one) or problem.searched(one)
    if found is not None and found.integers is not None:
        return replace(found, lower=min(shown(points, query, found, kind, unit), found.upper))
    if found is not None:
        return found
    reason = f"the query is on the boundary up to float64's floor, and {points.shape} points are too many to decide it in integers"
    return replace(one, status="undecided", lower=0.0, reason=reason)


def holds(points: Array, query: Array, one: One, kind: str) -> bool:
    """Whether the exact certificate of an answer is one."""
    problem = _Problem(points, query, min(exponent_of(points), exponent_of(query)), kind)
    if one.status == "outside" and one.integers is not None:
        return problem.separates(list(one.integers))
    if one.status == "inside" and one.rationals is not None:
        return problem.reaches(dict(zip(map(int, one.support), one.rationals, strict=True)))
    return False


def shown(points: Array, query: Array, one: One, kind: str, unit: int) -> float:
    """The distance that the integer direction of an answer shows, in units of 2^unit."""
    exponent = min(exponent_of(points), exponent_of(query))
    gap = _Problem(points, query, exponent, kind).gap(list(one.integers or ()))
    return float(gap * Fraction(2) ** (exponent - unit))


class _Problem:
    """A query and points, read as integers."""

    def __init__(self, points: Array, query: Array, exponent: int, kind: str) -> None:
        self.points, self.given, self.exponent, self.kind = points, query, exponent, kind
        self.query: list[int] = [int(value) for value in whole(query, exponent)]

    def rows(self, index: Any) -> Whole:
        """Points as integers."""
        return whole(self.points[index], self.exponent)

    def floats(self, index: Any) -> Float:
        """Points in float64, divided by a power of two near the largest."""
        rows = self.points[index].astype(np.float64)
        found: Float = np.ldexp(rows, -int(np.frexp(np.abs(rows).max())[1]))
        return found

    def highest(self, direction: list[int]) -> int:
        """The largest w·x_i; floats with a bound on their rounding sort out the points that need integers."""
        largest = max(map(abs, direction))
        if self.points.dtype.kind != "f" and largest < 2**53:
            return max(self.slopes(direction))
        shared = 2 ** max(0, largest.bit_length() - 64)
        towards = -np.array([value / shared for value in direction])
        cloud = Cloud(self.points, float(np.abs(self.given).max()))
        query = cloud.scaled(self.given)
        parts = [lower_bound(towards, cloud.rows(piece, query)) for piece in pieces(self.points)]
        gains, errors = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        near = np.flatnonzero(gains - errors <= (gains + errors).min())
        return max(products(self.rows(near), direction))

    def slopes(self, direction: list[int]) -> list[int]:
        """w·x_i of all points."""
        found: list[int] = []
        for piece in pieces(self.points):
            found += products(self.rows(piece), direction)
        return found

    def separates(self, direction: list[int]) -> bool:
        """Whether a direction proves the query outside."""
        height = sum(w * q for w, q in zip(direction, self.query, strict=True))
        if self.kind == "convex":
            return self.highest(direction) < height
        slopes = self.slopes(direction)
        level = slopes[0] if self.kind == "affine" else 0
        return all(slope == level for slope in slopes) and height != level

    def gap(self, direction: list[int]) -> Fraction:
        """The distance that a separating direction shows, in units of 2^exponent, rounded down."""
        height = sum(w * q for w, q in zip(direction, self.query, strict=True))
        if self.kind == "convex":
            least = height - self.highest(direction)
        else:
            least = abs(height - (self.slopes(direction)[0] if self.kind == "affine" else 0))
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

    def separated(self, one: One, unit: int = 0) -> One | None:
        """The float direction, rounded to integers: to as few bits as show the distance that it shows itself, or nearly."""
        if one.status == "inside" or self.kind != "convex" or not one.normal.any():
            return None
        best, most = None, Fraction(0)
        for bits in BITS:
            direction = [int(value) for value in np.rint(np.ldexp(one.normal, bits)).astype(object)]
            gap = self.gap(direction) * Fraction(2) ** (self.exponent - unit) if any(direction) else most
            if gap > most:
                best, most = direction, gap
            if most > 0 and most >= Fraction(one.lower) * (1 - NEARLY):
                break
        return None if best is None else self._outside(one, best)

    def projected(self, one: One) -> One | None:
        """The direction from the nearest point of a span or affine hull, exactly, from the normal equations of independent points."""
        if self.kind == "convex":
            return None
        affine, floats = self.kind == "affine", self.floats(slice(None))
        floats = floats - floats[0] if affine else floats
        chosen = basis(floats.T, self.points.shape[1])
        if len(chosen) ** 2 * self.points.shape[1] > PROJECTED:
            return None
        rows = self.rows(slice(None)).astype(object)
        origin = rows[0] if affine else rows[0] * 0
        rows, moved = rows[chosen] - origin, np.array(self.query, dtype=object) - origin
        weights = solve(rows @ rows.T, [int(value) for value in rows @ moved]) if len(rows) else []
        if weights is None:
            return None
        shared = math.lcm(*(value.denominator for value in weights))
        rest = shared * moved - np.array([int(value * shared) for value in weights], dtype=object) @ rows
        common = math.gcd(*rest)
        direction = [int(value) // common for value in rest] if common else []
        return self._outside(one, direction) if direction and self.separates(direction) else None

    def combined(self, one: One) -> One | None:
        """The float weights, repaired exactly on as many points as there are features that differ."""
        support = one.support[one.weights > 0] if self.kind == "convex" else one.support[:0]
        same = [i for i in support if [int(v) for v in self.rows(int(i))] == self.query]
        if same:
            return self._inside(one, {int(same[0]): Fraction(1)})
        if one.status != "inside" or not support.size:
            return None
        weights = one.weights[one.weights > 0]
        rows = self.rows(support)
        differs = [j for j in range(rows.shape[1]) if any(value != self.query[j] for value in rows[:, j])]
        size = len(differs) + 1
        columns = np.column_stack((self.points[support][:, differs].astype(np.float64), np.ones(len(support)))).T
        columns[:-1] -= columns[:-1].mean(axis=1, keepdims=True)
        columns[:-1] /= np.abs(columns[:-1]).max() or 1.0
        chosen = basis(columns * weights, size)
        if len(chosen) < size:
            return None
        others = np.setdiff1d(np.arange(len(support)), chosen)
        fixed = {int(i): Fraction(round(float(weights[i]) * 2**40), 2**40) for i in others}
        system = np.vstack((rows[chosen][:, differs].T, np.ones((1, size), dtype=np.int64)))
        targets = [2**40 * self.query[j] for j in differs] + [2**40]
        scaled = [int(fixed[int(i)] * 2**40) for i in others]
        if scaled:
            parts = [*products(rows[others][:, differs].T, scaled), sum(scaled)]
            targets = [target - part for target, part in zip(targets, parts, strict=True)]
        found = solve(system, targets)
        if found is None:
            return None
        exact = {int(support[i]): value for i, value in fixed.items() if value}
        exact |= {int(support[i]): value / 2**40 for i, value in zip(chosen, found, strict=True)}
        exact = {index: value for index, value in exact.items() if value}
        return self._inside(one, exact) if self.reaches(exact) else None

    def searched(self, one: One) -> One | None:
        """The answer of the simplex method in integers."""
        count, width = self.points.shape
        order = one.support[np.argsort(-np.abs(one.weights), kind="stable")]
        columns = [int(i) for i in order[:COLUMNS]]
        columns += [i for i in range(count) if i not in set(columns)][: max(0, COLUMNS - len(columns))]
        features = self._telling(columns)
        while True:
            extra = int(self.kind != "span")
            system = np.ones((len(features) + extra, len(columns)), dtype=object)
            system[: len(features)] = self.rows(columns).astype(object)[:, features].T
            if self.kind != "convex":
                system = np.concatenate((system, -system), axis=1)
            if system.size + len(system) ** 2 > LARGE:
                return None
            weights, dual = feasible(system, [self.query[j] for j in features] + [1] * extra)
            if weights is not None:
                exact: dict[int, Fraction] = {}
                for place, value in weights.items():
                    sign, index = divmod(place, len(columns))
                    exact[columns[index]] = exact.get(columns[index], Fraction(0)) + (-value if sign else value)
                missed = self._missed(exact, set(features))
                if missed is None:
                    return self._inside(one, exact or {columns[0]: Fraction(0)})
                features.append(missed)
            elif dual is not None:
                direction = [0] * width
                for feature, slope in zip(features, dual, strict=False):
                    direction[feature] = slope
                level = -dual[-1] if extra else 0
                above = [slope - level for slope in self.slopes(direction)]
                wrong = [i for i, value in enumerate(above) if value > 0 or (value < 0 and self.kind != "convex")]
                if not wrong:
                    return self._outside(one, direction)
                wrong.sort(key=lambda i: -abs(above[i]))
                columns += wrong[:COLUMNS]
            else:
                return None

    def _telling(self, columns: list[int]) -> list[int]:
        """Features in which these points differ most independently of each other."""
        rows = self.floats(columns)
        rows = rows - (rows.mean(axis=0) if self.kind != "span" else 0)
        largest = np.abs(rows).max()
        return sorted(int(j) for j in basis(rows / largest, rows.shape[1])) if largest > 0 else [0]

    def _missed(self, weights: dict[int, Fraction], known: set[int]) -> int | None:
        """A feature in which the weights do not give the query."""
        total = np.zeros(len(self.query), dtype=object) + Fraction(0)
        for index, value in weights.items():
            total = total + self.rows(index).astype(object) * value
        return next((j for j, q in enumerate(self.query) if j not in known and total[j] != q), None)

    def _outside(self, one: One, direction: list[int]) -> One:
        return replace(one, status="outside", reason="", integers=tuple(direction), rationals=None)

    def _inside(self, one: One, weights: dict[int, Fraction]) -> One:
        support = np.array(sorted(weights), dtype=np.intp)
        values = tuple(weights[int(i)] for i in support)
        return replace(
            one,
            status="inside",
            lower=0.0,
            upper=0.0,
            reason="",
            support=support,
            weights=np.array([float(value) for value in values]),
            normal=np.zeros_like(one.normal),
            rationals=values,
            integers=None,
        )
