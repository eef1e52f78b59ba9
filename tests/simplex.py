"""An oracle for hull questions that shares nothing with the package: a simplex method in Python's integers."""

import math
from fractions import Fraction

import numpy as np


def feasible(matrix: np.ndarray, target: list[int]):
    """Whether some a ≥ 0 gives matrix·a = target: those weights, or a y with y·matrix ≤ 0 and y·target > 0.

    The first phase of the simplex method with integer-preserving pivots (Edmonds, Bareiss) and Bland's rule, which cannot cycle.
    Example:
        >>> feasible(np.array([[1, 0], [1, 1]], dtype=object), [1, 3])[0]
        {0: Fraction(1, 1), 1: Fraction(2, 1)}
        >>> feasible(np.array([[1, 0], [1, 1]], dtype=object), [1, 0])[1]
        [1, -1]
    """
    rows, columns = matrix.shape
    signs = [-1 if value < 0 else 1 for value in target]
    table = np.zeros((rows + 1, columns + rows + 1), dtype=object)
    table[:rows, :columns] = matrix.astype(object) * np.array(signs, dtype=object)[:, None]
    table[:rows, columns:-1] = np.eye(rows, dtype=np.int64).astype(object)
    table[:rows, -1] = [abs(value) for value in target]
    table[rows] = -table[:rows].sum(axis=0)
    table[rows, columns:-1] = 0
    held, divisor = list(range(columns, columns + rows)), 1
    while True:
        entering = next((j for j in range(columns) if table[rows, j] < 0), None)
        if entering is None:
            break
        up = [i for i in range(rows) if table[i, entering] > 0]
        leaving = min(up, key=lambda i: (Fraction(table[i, -1], table[i, entering]), held[i]))
        pivot = table[leaving, entering]
        kept = table[leaving].copy()
        table = (table * pivot - np.outer(table[:, entering], kept)) // divisor
        table[leaving] = kept
        held[leaving], divisor = entering, pivot
    if table[rows, -1] == 0:
        weights = {held[i]: Fraction(table[i, -1], divisor) for i in range(rows) if held[i] < columns and table[i, -1]}
        return weights, None
    dual = [int(divisor - value) * sign for value, sign in zip(table[rows, columns:-1], signs, strict=True)]
    shared = math.gcd(*dual)
    return None, [value // shared for value in dual]


def is_inside(query, points) -> bool:
    """Whether a query is in the convex hull of points, for the exact value of floats or integers."""
    rows = [[Fraction(value) for value in row] for row in np.asarray(points).tolist()]
    wanted = [Fraction(value) for value in np.asarray(query).tolist()]
    shared = math.lcm(*(value.denominator for row in [*rows, wanted] for value in row))
    columns = np.array([[int(value * shared) for value in row] + [1] for row in rows], dtype=object)
    return feasible(columns.T, [*(int(value * shared) for value in wanted), 1])[0] is not None
