r"""How far queries are from the span, the affine hull or the convex hull of points, with certificates that can be checked again.

Every answer is ``outside``, ``inside`` or ``undecided`` with its reason; float64 never turns rounding into a verdict
(:mod:`numerics.hull_certificate`). ``exact=True`` decides in whole numbers (:mod:`numerics.hull_exact`).
"""

from typing import Any

import numpy as np

from numerics import hull_exact, span
from numerics.arrays import Float
from numerics.hull_certificate import inside, upper_bound
from numerics.hull_points import EPS, Array, Cloud, Index, checked, largest
from numerics.hull_result import Distance, One
from numerics.hull_search import Search, nearest
from numerics.hull_whole import WholeHull
from numerics.whole_numbers import exponent_of
from theory.component import one_of
from theory.errors import SettingError

KINDS = ("span", "affine", "convex")
NUDGES = (1e-2, 1e-5, 1e-8)


def distance(
    queries: Any, points: Any, kind: str = "convex", exact: bool = False, *, device: str | None = None
) -> Distance:
    r"""The distance of queries to the span, the affine hull or the convex hull of points.

    .. math:: d(q) = \min_a \Big\|\sum_i a_i x_i - q\Big\|, \qquad
              \text{convex: } a \ge 0,\ \sum a_i = 1;\quad \text{affine: } \sum a_i = 1;\quad \text{span: any } a.

    Convex hulls are searched by column generation, a few milliseconds for 5000 points with 784 features; duplicates, flat or
    collinear points, more features than points and any scale and offset of the data are allowed. float32 and 8- or 16-bit data
    are priced as they are, and everything that is concluded is computed in float64 with a bound on its rounding. For span and
    affine hull one decomposition serves all queries; their verdicts hold for the rank that it decides (see ``margin``).

    Args:
        queries: q, (d,) or (m, d), numpy or torch.
        points: The x_i, (N, d).
        kind: "convex", "affine" or "span".
        exact: Decide in integers and rationals, for the exact value of the data: weights are then fractions and the normal is
            whole numbers. What would take more than some ten seconds stays undecided: faces of hundreds of points in float64.
        device: Where the convex search multiplies: None for numpy, or a device of torch such as "cpu" or "cuda".

    Returns:
        A :class:`~numerics.hull_result.Distance`; for one query (d,) its fields are those of one query.

    Raises:
        SettingError: If an array is empty, not finite, not real, or of another width, or ``kind`` is unknown.

    Accuracy:
        lower ≤ d ≤ upper hold with rounding. The gap is about EPS·R/d of the distance d, where R is the size of the data around
        the query; ``floor`` is the distance below which float64 could not tell.

    Source:
        Certificate and direction: first-order optimality; Wolfe, Finding the nearest point in a polytope (1976).

    Example:
        >>> found = distance([2.0, 0.5], [[0, 0], [1, 0], [0, 1], [1, 1]])
        >>> found.status, round(found.lower, 12), round(found.upper, 12), abs(found.normal).round(12).tolist()
        ('outside', 1.0, 1.0, [1.0, 0.0])
        >>> distance([0.5, 0.25], [[0, 0], [1, 0], [0, 1], [1, 1]]).status
        'inside'
        >>> found.verify()
        True
    """
    one_of("kind", kind, KINDS)
    given, asked = checked("points", points, (2,)), checked("queries", queries, (1, 2))
    rows = np.atleast_2d(asked)
    if rows.shape[1] != given.shape[1]:
        message = f"queries must have {given.shape[1]} features like the points, but they have {rows.shape[1]}. Pass the same features."
        raise SettingError(message)
    cloud = Cloud(given, largest(rows), device)
    wide = cloud.scaled(rows)
    if kind == "convex":
        found, margin = [_convex(cloud, *each) for each in zip(rows, nearest(cloud, wide), strict=True)], None
    else:
        found, margin = span.distances(cloud, wide, affine=kind == "affine")
    if exact:
        smallest = exponent_of(given)
        found = [
            hull_exact.decide(WholeHull(given, query, kind, smallest), one, cloud.exponent)
            for query, one in zip(rows, found, strict=True)
        ]
    return Distance(kind, exact, given, asked, tuple(found), margin, cloud.exponent)


def _convex(cloud: Cloud, given: Array, search: Search) -> One:
    """The verdict on a search that has ended."""
    offsets = cloud.rows(search.support, search.query)
    weights = np.maximum(search.weights, 0)
    floor = max(search.error, 4 * EPS * float(np.linalg.norm(weights @ np.abs(offsets))))
    lower = search.lowest * (1 - (cloud.width + 4) * EPS)
    if lower > 0:
        upper = upper_bound(weights, offsets)
        return One("outside", lower, upper, search.support, weights, -search.best, floor)
    proof = _inside(cloud, search)
    if proof is not None and cloud.keeps(given) and cloud.keeps(cloud.given[proof[0]]):
        return One("inside", 0.0, 0.0, *proof, np.zeros(cloud.width), floor)
    upper = upper_bound(weights, offsets)
    at_rounding = upper <= 8 * cloud.width * floor
    reason = (
        "the query is within rounding of the hull's boundary, or of a hull of lower dimension"
        if at_rounding
        else f"the search came to float64's floor after {search.rounds} rounds"
    )
    return One(
        "undecided", 0.0, upper, search.support, weights, -search.best, floor, f"{reason}; exact=True decides it"
    )


def _inside(cloud: Cloud, search: Search) -> tuple[Index, Float] | None:
    """Points and weights that prove the query inside, if float64 finds them.

    The nearest point found has as few points with weight as possible, perhaps not enough to span the space. Then the same is asked
    a little farther away from the middle b of a simplex of points: q' = q + ε(q − b) gives
    q = (q' + εb)/(1 + ε), with a positive weight on every point of the simplex.
    """
    offsets = cloud.rows(search.support, search.query)
    if inside(search.weights, offsets):
        return search.support, search.weights
    if search.distance > 1e-6 * float(np.linalg.norm(offsets, axis=1).max(initial=0)):
        return None
    simplex = cloud.simplex
    if simplex is None:
        return None
    middle = cloud.rows(simplex, search.query).mean(axis=0)
    for nudge in NUDGES:
        (beyond,) = nearest(cloud, (search.query - nudge * middle)[None])
        if beyond.lowest > 0:
            continue
        weights = np.zeros(cloud.count)
        weights[beyond.support] = beyond.weights / (1 + nudge)
        weights[simplex] += nudge / (1 + nudge) / len(simplex)
        support = np.flatnonzero(weights)
        if inside(weights[support], cloud.rows(support, search.query)):
            return support, weights[support]
    return None
