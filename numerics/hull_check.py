"""The check of an answer about a distance, from the points, the query, the weights and the direction alone.

Nothing that the answer says about itself is believed: what rounding allows is found again, and not read from it.
"""

from collections.abc import Iterator
from numbers import Rational

import numpy as np

from numerics import hull_exact
from numerics.arrays import Float
from numerics.hull_certificate import inside, lower_bound, upper_bound
from numerics.hull_points import EPS, Array, Cloud, pieces
from numerics.hull_result import One
from numerics.hull_whole import WholeHull

STATUSES = ("outside", "inside", "undecided")
AGAIN = 1 + 1e-12  # relative: how far off a bound can be that is formed again
SUMS = 1e-9  # how far off 1 a sum of weights or a length may be


def faults(cloud: Cloud, given: Array, one: One, kind: str, exact: bool) -> Iterator[str]:
    """What does not follow, one sentence each; nothing for an answer that does.

    Args:
        cloud: The points.
        given: The query, (d,), as it was given.
        one: Its answer, in the units of the cloud.
        kind: span, affine or convex.
        exact: Whether whole numbers decided.
    """
    malformed = _malformed(cloud, one)
    if malformed:
        yield malformed
        return
    query = cloud.scaled(given)
    offsets = cloud.rows(one.support, query)
    if not 0 <= one.lower <= one.upper:
        yield f"its bounds are {one.lower:g} and {one.upper:g}"
    if one.status != "outside" and one.lower > 0:
        yield f"it is {one.status} with a lower bound of {one.lower:g}"
    if one.status == "inside" and one.normal.any():
        yield "it is inside with a direction"
    if kind != "span" and one.rationals is None:
        rounding = len(one.weights) * EPS * float(np.abs(one.weights).sum())
        if abs(one.weights.sum() - 1) > SUMS + rounding:
            yield f"its weights sum to {one.weights.sum():.17g}"
    if kind == "convex" and (one.weights < 0).any():
        yield f"a weight is {one.weights.min():g}"
    if exact and one.status != "undecided":
        yield from _exact_faults(cloud, given, one, kind)
    elif one.integers is not None or one.rationals is not None:
        yield "it has an exact certificate and is no exact answer"
    elif kind == "convex" and one.status == "inside":
        if not (inside(one.weights, offsets) and cloud.keeps(given) and cloud.keeps(cloud.given[one.support])):
            yield "its weights do not prove it inside"
    elif kind == "convex" and one.status == "outside":
        yield from _separation_faults(cloud, query, one)
    if kind == "convex" and one.status != "inside":
        away = upper_bound(one.weights, offsets)
        if away > one.upper * AGAIN:
            yield f"its point is {away:g} away, not {one.upper:g}"
    elif kind != "convex" and one.rationals is None:
        yield from _flat_faults(cloud, query, one, kind, exact)


def _malformed(cloud: Cloud, one: One) -> str:
    """Why an answer cannot be read, if so."""
    support, weights, direction = np.asarray(one.support), np.asarray(one.weights), np.asarray(one.normal)
    whole = support.dtype.kind in "iu" and support.ndim == 1
    if one.status not in STATUSES:
        return f"its status is {one.status!r}"
    if not (whole and len(np.unique(support)) == len(support) and ((support >= 0) & (support < cloud.count)).all()):
        return "its support is not made of different points"
    if weights.shape != support.shape or direction.shape != (cloud.width,):
        return f"it has {weights.shape} weights for {support.shape} points and a direction of shape {direction.shape}"
    if not np.isfinite([*weights, *direction, one.lower, one.upper, one.floor]).all():
        return "it holds numbers that are not finite"
    if one.rationals is not None and not (
        len(one.rationals) == len(support) and all(isinstance(value, Rational) for value in one.rationals)
    ):
        return f"it has not one fraction for each of {len(support)} points"
    if one.integers is not None and not (
        len(one.integers) == cloud.width and all(isinstance(value, int) for value in one.integers)
    ):
        return f"it has not one integer for each of {cloud.width} features"
    return ""


def _exact_faults(cloud: Cloud, given: Array, one: One, kind: str) -> Iterator[str]:
    """An integer direction must show the lower bound, rational weights must give the query."""
    hull = WholeHull(cloud.given, given, kind)
    if not hull_exact.holds(hull, one):
        yield "its exact certificate fails"
    elif one.integers is not None:
        seen = hull_exact.shown(hull, one, cloud.exponent)
        if one.lower > seen or (one.lower == 0) != (seen == 0):
            yield f"its direction shows a distance of {seen:g}, not {one.lower:g}"
    elif list(map(hull_exact.rounded, one.rationals or ())) != one.weights.tolist():
        yield "its weights are not its fractions"


def _separation_faults(cloud: Cloud, query: Float, one: One) -> Iterator[str]:
    """The direction must prove that the query is outside, and show the lower bound up to the rounding of forming it again."""
    length = float(np.linalg.norm(one.normal))
    parts = [lower_bound(-one.normal, cloud.rows(piece, query)) for piece in pieces(cloud.given)]
    proved = min(float((products - errors).min()) for products, errors in parts)
    shown = min(float(products.min()) for products, _ in parts)
    if not proved > 0 or one.lower * length > shown * AGAIN:
        yield f"its direction shows a distance of {shown / length if length else 0.0:g}, not {one.lower:g}"


def _flat_faults(cloud: Cloud, query: Float, one: One, kind: str, exact: bool) -> Iterator[str]:
    """The weights must lead as near as they say, and the direction be orthogonal to the points, up to rounding.

    For an affine hull all is seen from the point nearest to the query, so that no distance from the origin enters.
    """
    origin = 0 * query if kind == "span" else _nearest_point(cloud, query)
    wanted = query - origin
    weights = np.zeros(cloud.count)
    weights[one.support] = one.weights
    reached, squares, slope = 0 * query, 0.0, 0.0
    for piece in pieces(cloud.given):
        rows = cloud.rows(piece, origin)
        reached += weights[piece] @ rows
        squares += float(np.square(rows).sum())
        slope = max(slope, float(np.abs(rows @ one.normal).max()))
    size, far = float(np.sqrt(squares)), float(np.linalg.norm(wanted))
    eps = 4 * (cloud.width + cloud.count) * EPS
    slack = eps * (size * max(1.0, _length(weights)) + far)
    gap = _length(reached - wanted)
    if gap > one.upper + slack or (one.status == "inside" and gap > slack):
        yield f"its weights lead {gap:g} away, not {0.0 if one.status == 'inside' else one.upper:g}"
    if one.status != "outside" or exact:
        return
    if abs(_length(one.normal) - 1) > SUMS:
        yield f"its direction has length {_length(one.normal):g}"
    if slope > eps * size:
        yield f"its direction is not orthogonal to a point, by {slope:g}"
    shown, blur = abs(float(wanted @ one.normal)), (cloud.width + 4) * EPS * float(np.abs(wanted) @ np.abs(one.normal))
    if not shown > blur or not 0 < one.lower <= shown + blur + eps * size:
        yield f"its direction shows {shown:g}, not {one.lower:g}"


def _nearest_point(cloud: Cloud, query: Float) -> Float:
    """The point nearest to a query, in the units of the cloud."""
    lengths = np.concatenate([np.linalg.norm(cloud.rows(piece, query), axis=1) for piece in pieces(cloud.given)])
    found: Float = cloud.scaled(cloud.given[int(lengths.argmin())])
    return found


def _length(vector: Float) -> float:
    """‖v‖ without overflow of its squares."""
    largest = float(np.abs(vector).max(initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if largest else 0.0
