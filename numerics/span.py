r"""Distances to the span and the affine hull of points: one decomposition for all queries.

With the modes :math:`\Phi = U\Sigma V^\top` of the points (for the affine hull, of the points less the one nearest to their
mean: such differences lose nothing far from the origin) the distance is that of :math:`(I - UU^\top)q`, formed twice, so that
it is orthogonal to rounding. The rank is decided in :mod:`numerics.spectrum`. Points that are off by the noise of that
decision move a combination with weights w by noise·‖w‖: a query nearer than this counts as inside, one within a few times of
it is undecided. So these verdicts are those of float64 for the decided rank, unlike those about convex hulls; only a rank
that equals the number of features in which anything differs needs no such reading.
"""

import numpy as np

from numerics.arrays import Float
from numerics.hull_points import EPS, Cloud
from numerics.hull_result import One
from numerics.spectrum import spectrum

DOUBT = 4.0  # times the floor, up to which a query is undecided
LOOSEST = 1e-6  # of the query's size: a floor above it decides nothing


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
    agree = (queries[:, ~differs] == points[:1, ~differs]).all(axis=1)
    points -= middle
    if cloud.count > cloud.width:
        thin, triangle = np.linalg.qr(points)
        modes = spectrum(triangle.T[None], noise=cloud.count)
        right = thin @ modes.right[0].T
    else:
        modes = spectrum(points.T[None])
        right = modes.right[0].T
    rank, noise = modes.ranks[0], float(modes.floor[0])
    basis, values, right = modes.left[0][:, :rank], modes.values[0][:rank], right[:, :rank]
    spans = rank == int(differs.sum())
    moved = queries - middle
    inner = moved @ basis
    rest = moved - inner @ basis.T
    rest -= (rest @ basis) @ basis.T
    if spans:  # what is left is in the features that do not vary, and exact
        rest[:, differs] = 0.0
    reached = inner / values
    weights = reached @ right.T
    if affine:
        weights[:, centre] = 0.0  # its difference is 0, and any weight would do
        weights[:, centre] = 1 - weights.sum(axis=1)
    lengths, sizes = np.linalg.norm(rest, axis=1), np.linalg.norm(moved, axis=1)
    floors = 4 * (cloud.width + rank) * EPS * sizes + (0.0 if spans else 1.0) * noise * np.linalg.norm(reached, axis=1)
    support, found = np.arange(cloud.count), []
    for weight, vector, length, size, floor, exactly in zip(weights, rest, lengths, sizes, floors, agree, strict=True):
        still, upper = np.zeros(cloud.width), float(length + floor)
        if spans and exactly:
            found.append(One("inside", 0.0, 0.0, support, weight, still, float(floor)))
        elif (spans and length > floor) or length > DOUBT * floor:
            found.append(One("outside", float(length - floor), upper, support, weight, vector / length, float(floor)))
        elif not spans and length <= floor <= LOOSEST * size:
            found.append(One("inside", 0.0, upper, support, weight, still, float(floor)))
        else:
            reason = "the query is as near as the rounding of the rank decision; exact=True decides small data"
            found.append(One("undecided", 0.0, upper, support, weight, still, float(floor), reason))
    return found, modes.margin
