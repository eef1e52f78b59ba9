"""The certificate of an exact hull answer, checked by a program of a few lines."""

from fractions import Fraction

import numpy as np


def fractions(row: np.ndarray) -> list[Fraction]:
    return [Fraction(value) for value in row.tolist()]


def follows(found, query: np.ndarray, points: np.ndarray, kind: str) -> bool:
    """The certificate of an exact answer for one query, in nothing but fractions and loops."""
    rows, wanted = [fractions(row) for row in points], fractions(query)
    if found.status == "inside":
        weights = found.weights.tolist()
        reached = [
            sum((a * row[j] for a, row in zip(weights, rows, strict=True)), Fraction(0)) for j in range(len(wanted))
        ]
        fine = reached == wanted and (kind == "span" or sum(weights) == 1)
        return fine and (kind != "convex" or min(weights) >= 0)
    normal = [int(value) for value in found.normal]
    heights = [sum(w * x for w, x in zip(normal, row, strict=True)) for row in rows]
    height = sum(w * x for w, x in zip(normal, wanted, strict=True))
    if kind == "convex":
        return found.status == "outside" and height > max(heights)
    level = heights[0] if kind == "affine" else 0
    return found.status == "outside" and set(heights) == {level} != {height}
