"""Random exact matrices: of every rank, and of the kinds that hypotheses ask for."""

from __future__ import annotations

from random import Random

from theory.operators.exact import ExactMatrix, matrix, pinv

_KINDS = 8
_ATTEMPTS_TO_AVOID_ZERO = 3


def draw_matrix(random: Random, rows: int, columns: int) -> ExactMatrix:
    """A small matrix; zero is possible but rare, for it makes dull counterexamples.

    Example:
        >>> print(draw_matrix(Random(2), 2, 2))
        [-1 0; 0 -1]
    """
    for _ in range(_ATTEMPTS_TO_AVOID_ZERO):
        drawn = _draw(random, rows, columns)
        if drawn:
            return drawn
    return drawn


def _draw(random: Random, rows: int, columns: int) -> ExactMatrix:
    kind = random.randrange(_KINDS)
    if kind == 0:
        # Part of a signed permutation: orthogonal if it is square.
        size = max(rows, columns)
        order = random.sample(range(size), size)
        return matrix([[(order[i] == j) * random.choice([1, -1]) for j in range(columns)] for i in range(rows)])
    rank = random.randint(1, min(rows, columns))
    left, right = _entries(random, rows, rank), _entries(random, rank, columns)
    if rows == columns:
        if kind == 1:
            return left @ pinv(left)  # an orthogonal projector
        if kind == 2:
            return left @ left.swapaxes(-1, -2)  # symmetric and at least 0
        if kind == 3:
            return left @ pinv(right @ left) @ right  # idempotent
        if kind == 4:
            return left @ right + right.swapaxes(-1, -2) @ left.swapaxes(-1, -2)  # symmetric
    return _entries(random, rows, columns) if rank == min(rows, columns) else left @ right


def _entries(random: Random, rows: int, columns: int) -> ExactMatrix:
    return matrix([[random.randint(-2, 2) for _ in range(columns)] for _ in range(rows)])
