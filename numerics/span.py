r"""Distances to the span and the affine hull of points: one decomposition for all queries.

With the modes :math:`\Phi = U\Sigma V^\top` of the points (for the affine hull, of the points less their mean) the distance is
that of :math:`(I - UU^\top)q`, formed twice, so that it is orthogonal to rounding. The rank is decided in
:mod:`numerics.spectrum`; the verdicts hold for that rank, and its margin is reported. A rank that equals the number of features in
which anything differs spans them all: then a query that agrees in the other features is inside. With a lower rank a
query within rounding of the span is undecided.
"""

import numpy as np

from numerics.arrays import Float
from numerics.hull_points import EPS, Cloud
from numerics.hull_result import One
from numerics.spectrum import regression


def distances(cloud: Cloud, queries: Float, *, affine: bool) -> tuple[list[One], float]:
    """The answers for queries (m, d) in the units of the cloud, and the margin of the rank.

    Example:
        >>> found, _ = distances(Cloud(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])), np.array([[5.0, 3.0, 4.0]]), affine=False)
        >>> found[0].status, round(found[0].lower, 12), found[0].weights.round(12).tolist()
        ('outside', 4.0, [2.0, 3.0])
    """
    points = cloud.scaled(cloud.given)
    middle = points.mean(axis=0) if affine else np.zeros(cloud.width)
    points = points - middle
    differs = cloud.varying if affine else (cloud.given != 0).any(axis=0)
    modes = regression(points.T[None], np.zeros((1, 0, cloud.count))).spectrum
    rank = modes.ranks[0]
    basis, values = modes.left[0][:, :rank], modes.values[0][:rank]
    moved = queries - middle
    rest = moved - (moved @ basis) @ basis.T
    rest = rest - (rest @ basis) @ basis.T
    agree = (queries[:, ~differs] == cloud.scaled(cloud.given[:1])[:, ~differs]).all(axis=1)
    spans = rank == int(differs.sum())
    angle = float(modes.floor[0] / values[-1]) if rank else 0.0
    found = []
    for query, vector, inner, exactly in zip(moved, rest, moved @ basis, agree, strict=True):
        if spans:  # what is left is in the features that do not vary, and exact
            vector = np.where(differs, 0.0, vector)
        length = float(np.linalg.norm(vector))
        size = float(np.linalg.norm(query)) + float(np.abs(middle).max())
        floor = 4 * (cloud.width + rank) * EPS * size + (0.0 if spans else 4 * angle * size)
        inside = spans and bool(exactly)
        weights = points @ (basis @ (inner / values / values))
        weights += points @ (basis @ ((inner - (weights @ points) @ basis) / values / values))
        if affine:
            weights += (1 - weights.sum()) / cloud.count
        support = np.arange(cloud.count)
        if inside:
            found.append(One("inside", 0.0, 0.0, support, weights, np.zeros(cloud.width), floor))
        elif length > floor:
            normal = vector / length
            found.append(One("outside", length - floor, length + floor, support, weights, normal, floor))
        else:
            reason = "the query is within rounding of the span; exact=True decides small data"
            found.append(One("undecided", 0.0, length + floor, support, weights, np.zeros(cloud.width), floor, reason))
    return found, modes.margin
