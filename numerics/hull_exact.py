r"""Deciding hull questions in whole numbers, for the exact value of the data.

Floats are integers times one power of two. Outside: a direction in integers w with :math:`w\cdot q > w\cdot x_i` for all i
(equality for span and affine hull, where it must vanish on differences). Inside: rational weights that give q exactly. The
float answer proposes; if its proposal fails, Wolfe's method goes on in rational numbers (:mod:`numerics.hull_walk`).
"""

import math
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np

from numerics.hull_certificate import upper_bound
from numerics.hull_points import basis
from numerics.hull_result import One
from numerics.hull_walk import walk
from numerics.hull_whole import WholeHull
from numerics.whole_numbers import EFFORT, effort, products, solve

BITS = (10, 16, 24, 32, 48, 64)  # of the float directions that are tried
MORE_BITS = (64, 128, 256, 512, 1024)  # of exact directions
NEARLY = Fraction(1, 10**9)  # relative


def decide(hull: WholeHull, one: One, unit: int = 0) -> One:
    """The exact answer, from the float answer in units of 2^unit."""
    found = _separated(hull, one, unit) or _combined(hull, one) or _walked(hull, one)
    if found is None:
        shape = hull.points.shape
        reason = f"the query is on the boundary up to float64's floor, and {shape} points would take too long to decide in integers"
        return replace(one, status="undecided", lower=0.0, upper=_upper(hull, one, unit), reason=reason)
    if found.integers is None:
        return found
    return replace(found, lower=min(shown(hull, found, unit), found.upper))


def holds(hull: WholeHull, one: One) -> bool:
    """Whether the exact certificate of an answer is one."""
    if one.status == "outside" and one.integers is not None:
        return hull.gap(list(one.integers)) > 0
    if one.status == "inside" and one.rationals is not None:
        return hull.reaches(dict(zip(map(int, one.support), one.rationals, strict=True)))
    return False


def shown(hull: WholeHull, one: One, unit: int) -> float:
    """The distance that the integer direction of an answer shows, in units of 2^unit, rounded down."""
    length = hull.gap(list(one.integers or ())) * Fraction(2) ** (hull.exponent - unit)
    found = float(length)
    return found if found <= length else math.nextafter(found, 0.0)


def _upper(hull: WholeHull, one: One, unit: int) -> float:
    """What the weights of an answer show that stays open: they have proved less than that the query is inside."""
    if hull.kind != "convex":
        return one.upper
    cloud = hull.cloud()
    away = upper_bound(one.weights, cloud.rows(one.support, cloud.scaled(hull.given)))
    return max(one.upper, float(np.ldexp(away, cloud.exponent - unit)))


def rounded(value: Fraction) -> float:
    """The float nearest to a fraction, however large that is.

    Example:
        >>> rounded(Fraction(1, 4)), rounded(Fraction(10) ** 400) == sys.float_info.max
        (0.25, True)
    """
    most = Fraction(sys.float_info.max)
    return float(min(max(value, -most), most))


def _separated(hull: WholeHull, one: One, unit: int) -> One | None:
    """The float direction, rounded to integers: to as few bits as show the distance that it shows itself, or nearly."""
    if one.status == "inside" or hull.kind != "convex" or not one.normal.any():
        return None
    best, most = None, Fraction(0)
    for bits in BITS:
        direction = [int(value) for value in np.rint(np.ldexp(one.normal, bits)).astype(object)]
        gap = hull.gap(direction) * Fraction(2) ** (hull.exponent - unit) if any(direction) else most
        if gap > most:
            best, most = direction, gap
        if most > 0 and most >= Fraction(one.lower) * (1 - NEARLY):
            break
    return None if best is None else _outside(one, best)


def _combined(hull: WholeHull, one: One) -> One | None:
    """The float weights, repaired exactly on as many points as there are features that differ."""
    support = one.support[one.weights > 0] if hull.kind == "convex" else one.support[:0]
    same = [i for i in support if [int(v) for v in hull.rows(int(i))] == hull.query]
    if same:
        return _inside(one, {int(same[0]): Fraction(1)})
    if one.status != "inside" or not support.size:
        return None
    weights = one.weights[one.weights > 0]
    rows = hull.rows(support)
    differs = [j for j in range(rows.shape[1]) if any(value != hull.query[j] for value in rows[:, j])]
    size = len(differs) + 1
    columns = np.column_stack((hull.points[support][:, differs].astype(np.float64), np.ones(len(support)))).T
    columns[:-1] -= columns[:-1].mean(axis=1, keepdims=True)
    columns[:-1] /= np.abs(columns[:-1]).max() or 1.0
    chosen = basis(columns * weights, size)
    if len(chosen) < size:
        return None
    others = np.setdiff1d(np.arange(len(support)), chosen)
    fixed = {int(i): Fraction(round(float(weights[i]) * 2**40), 2**40) for i in others}
    system = np.vstack((rows[chosen][:, differs].T, np.ones((1, size), dtype=np.int64)))
    targets = [2**40 * hull.query[j] for j in differs] + [2**40]
    scaled = [int(fixed[int(i)] * 2**40) for i in others]
    if scaled:
        parts = [*products(rows[others][:, differs].T, scaled), sum(scaled)]
        targets = [target - part for target, part in zip(targets, parts, strict=True)]
    found = solve(system, targets) if effort(system, targets) < EFFORT else None
    if found is None:
        return None
    exact = {int(support[i]): value for i, value in fixed.items() if value}
    exact |= {int(support[i]): value / 2**40 for i, value in zip(chosen, found, strict=True)}
    exact = {index: value for index, value in exact.items() if value}
    return _inside(one, exact) if hull.reaches(exact) else None


def _walked(hull: WholeHull, one: One) -> One | None:
    """The answer of Wolfe's method in rational numbers."""
    found = walk(hull, one.support, one.weights)
    if found is None:
        return None
    weights, direction = found
    if not any(direction):
        return _inside(one, {index: value for index, value in weights.items() if value} or {0: Fraction(0)})
    if hull.kind == "convex":
        direction = _shortened(hull, direction)
    return _outside(one, direction)


def _shortened(hull: WholeHull, direction: list[int]) -> list[int]:
    """As few bits of a direction as show its distance, or nearly."""
    wanted, length = hull.gap(direction) * (1 - NEARLY), max(map(abs, direction)).bit_length()
    for bits in MORE_BITS:
        if bits >= length:
            break
        fewer = [value >> length - bits for value in direction]
        if hull.gap(fewer) >= wanted:
            return fewer
    return direction


def _outside(one: One, direction: list[int]) -> One:
    return replace(one, status="outside", reason="", integers=tuple(direction), rationals=None)


def _inside(one: One, weights: dict[int, Fraction]) -> One:
    support = np.array(sorted(weights), dtype=np.intp)
    values = tuple(weights[int(i)] for i in support)
    return replace(
        one,
        status="inside",
        lower=0.0,
        upper=0.0,
        reason="",
        support=support,
        weights=np.array([rounded(value) for value in values]),
        normal=np.zeros_like(one.normal),
        rationals=values,
        integers=None,
    )
