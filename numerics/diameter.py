"""The diameter of a point set."""

import numpy as np

from numerics.arrays import Float

ALL_PAIRS = 6000  # points, up to which every pair is looked at
BLOCK = 1000
SWEEPS = 12
LARGEST = 1e300


def diameter(points: Float) -> tuple[float, bool]:
    """The largest distance between two points (N, d), to about 1e-7 of itself, and whether every pair was looked at.

    Of more than 6000 points it is a lower bound: the farthest point from the farthest point, again and again.

    Example:
        >>> diameter(np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]]))
        (5.0, True)
    """
    largest = float(np.abs(points).max())
    exponent = int(np.frexp(largest)[1]) if largest > LARGEST else 0  # so that no sum overflows
    points = np.ldexp(points, -exponent)
    middle = points.mean(axis=0)
    unit = float(np.abs(points - middle).max())
    if unit == 0:
        return 0.0, True
    moved = (points - middle) / unit
    squares = np.einsum("ij,ij->i", moved, moved)
    best, pair = 0.0, (0, 0)
    whole = len(points) <= ALL_PAIRS
    here = int(squares.argmax())
    for start in range(0, len(points), BLOCK) if whole else range(SWEEPS):
        chosen = np.arange(start, min(start + BLOCK, len(points))) if whole else np.array([here])
        gaps = squares[chosen, None] + squares - 2 * moved[chosen] @ moved.T
        row, here = divmod(int(gaps.argmax()), len(points))
        if gaps[row, here] > best:
            best, pair = float(gaps[row, here]), (int(chosen[row]), here)
    length = unit * float(np.linalg.norm(moved[pair[0]] - moved[pair[1]]))
    with np.errstate(over="ignore"):  # then it is inf
        return float(np.ldexp(length, exponent)), whole
