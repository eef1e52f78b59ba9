"""The point of an affine hull that is nearest to the origin, and Wolfe's way from there back into the convex hull."""

import numpy as np
from scipy.linalg import qr, solve_triangular

from numerics.arrays import Float
from numerics.hull_points import EPS, Index


def settle(offsets: Float, weights: Float) -> tuple[Index, Float, Float, bool]:
    """From weights (k,) on offsets (k, d) down to a set whose affine nearest point has positive weights (Wolfe's minor cycle).

    Returns:
        The rows that are left, their weights, the direction of the nearest point of their affine hull, and whether they are affinely
        independent; if not, the weights are as far as the cycle came.
    """
    rows: Index = np.arange(len(weights))
    for _ in range(len(weights)):
        found = affine_nearest(offsets[rows])
        if found is None:
            break
        wanted, normal = found
        if (wanted > 0).all():
            return rows, wanted / wanted.sum(), normal, True
        below = wanted <= 0
        fall = weights - wanted
        steps = np.where(below, np.where(fall > 0, weights / np.where(fall > 0, fall, 1), 0.0), np.inf)
        weights = np.maximum(weights + steps.min() * (wanted - weights), 0)
        weights[steps.argmin()] = 0
        rows, weights = rows[weights > 0], weights[weights > 0]
        weights = weights / weights.sum()
    return rows, weights, weights @ offsets[rows], False


def affine_nearest(offsets: Float) -> tuple[Float, Float] | None:
    """Weights with sum 1 of the nearest point of the affine hull to the origin, and that point; None for dependent points.

    Example:
        >>> weights, point = affine_nearest(np.array([[1.0, 1.0], [1.0, -3.0]]))
        >>> weights.round(12).tolist(), point.round(12).tolist()
        ([0.75, 0.25], [1.0, 0.0])
    """
    count, width = offsets.shape
    if count > width + 1:
        return None
    first = int(np.einsum("ij,ij->i", offsets, offsets).argmin())
    others = np.arange(count) != first
    base = offsets[first]
    if count == 1:
        return np.ones(1), base
    directions, triangle = qr((offsets[others] - base).T, mode="economic", check_finite=False)
    diagonal = np.abs(np.diag(triangle))
    if diagonal.min() <= count * EPS * diagonal.max():
        return None
    inner = directions.T @ base
    point = base - directions @ inner
    point = point - directions @ (directions.T @ point)
    weights = np.empty(count)
    weights[others] = solve_triangular(triangle, -inner, check_finite=False)
    weights[first] = 1 - weights[others].sum()
    return weights, point
