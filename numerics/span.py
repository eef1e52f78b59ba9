r"""Distances to the span and the affine hull of points: one decomposition for all queries.

With the modes :math:`\Phi = U\Sigma V^\top` of the points (for the affine hull, of the points less the one nearest to their
mean: such differences lose nothing far from the origin) the distance is that of :math:`(I - UU^\top)q`, found and judged in
:mod:`numerics.membership`: these verdicts are those of float64 for the decided rank, unlike those about convex hulls.
"""

import numpy as np

from numerics.arrays import Float
from numerics.hull_points import NOTHING, Cloud
from numerics.hull_result import One
from numerics.membership import DOUBT, membership
from numerics.spectrum import spectrum


def distances(cloud: Cloud, queries: Float, *, affine: bool) -> tuple[list[One], float]:
    """The answers for queries (m, d) in the units of the cloud, and the margin of the rank.

    Example:
        >>> found, _ = distances(Cloud(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])), np.array([[5.0, 3.0, 4.0]]), affine=False)
        >>> found[0].status, round(found[0].lower, 12), found[0].weights.round(12).tolist()
        ('outside', 4.0, [2.0, 3.0])
    """
    points = cloud.scaled(cloud.given)
    centre = int(np.square(points - points.mean(axis=0)).sum(axis=1).argmin())
    middle = points[centre].copy() if affine else np.zeros(cloud.width)
    differs = cloud.varying if affine else (cloud.given != 0).any(axis=0)
    points -= middle
    if cloud.count > cloud.width:
        thin, triangle = np.linalg.qr(points)
        modes = spectrum(triangle.T[None], noise=cloud.count)
        right = thin @ modes.right[0].T
    else:
        modes = spectrum(points.T[None])
        right = modes.right[0].T
    moved = queries - middle
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # weights beyond float64 are left out below
        near = membership(modes, moved.T[None], differs[None])
    rest, reached = near.rest[0].T, near.reached[0].T
    with np.errstate(over="ignore", invalid="ignore"):
        weights = reached @ right.T
    lost = ~np.isfinite(weights).all(axis=1)
    weights[lost] = 0.0
    if affine:
        weights[:, centre] = 0.0  # its difference is 0, and any weight would do
        weights[:, centre] = 1 - weights.sum(axis=1)
    # A point itself may be as far as this from what the decided rank leaves of the set.
    blind = 0.0 if modes.ranks[0] == min(cloud.count - affine, int(differs.sum())) else DOUBT * float(modes.floor[0])
    lengths = np.where(lost, np.linalg.norm(moved, axis=1), near.lengths[0])
    floors = np.where(lost, 0.0, near.floors[0])
    status = np.where(lost | ((near.status[0] == "outside") & (lengths <= blind)), "undecided", near.status[0])
    support, found = np.arange(cloud.count), []
    for verdict, weight, vector, length, floor in zip(status, weights, rest, lengths, floors, strict=True):
        still, upper = np.zeros(cloud.width), float(length + floor) + NOTHING
        if verdict == "outside":
            found.append(One("outside", float(length - floor), upper, support, weight, vector / length, float(floor)))
        elif verdict == "inside":
            exactly = modes.ranks[0] == int(differs.sum())
            found.append(One("inside", 0.0, 0.0 if exactly else upper, support, weight, still, float(floor)))
        else:
            reason = "the query is as near as the rounding of the rank decision; exact=True decides small data"
            found.append(One("undecided", 0.0, upper, support, weight, still, float(floor), reason))
    return found, modes.margin
