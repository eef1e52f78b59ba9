"""Every axiom that the statement builder hands to the kernel holds in floating point, for real flows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from theory.operators import evaluate, formula
from theory.operators.axioms import Algebra
from theory.operators.statement import Source, read_statement

Array = np.ndarray[Any, np.dtype[np.float64]]

SIZES = {"d": 4, "n": 3, "q": 2, 1: 1}
TIME = 0.6
VALUES = {"c": 0.8, "mu": 0.5, "t": TIME}
X, SQUARE = ("d", "n"), ("d", "d")

SOURCES = {
    "pseudo-inverses": Source("pinv(X) @ pinv(X @ X.T) == pinv(X)", {"X": X}),
    "a singular square is not inverted": Source("pinv(X @ X.T) == 0", {"X": X}),
    "an indefinite sum is not inverted": Source("pinv(X @ X.T - X @ X.T @ X @ X.T) == 0", {"X": X}),
    "a definite sum is inverted": Source("pinv(c * X @ X.T + mu * I) == 0", {"X": X}, (), ("c > 0", "mu > 0")),
    "one flow": Source("t * E @ pinv(X).T == X", {"X": X}, flow={"E": "X @ X.T"}),
    "decay": Source("E == I", {"X": X}, (), ("c", "mu"), {"E": "c * X @ X.T + mu * I"}),
    "two sums": Source("E == I", {"X": X, "Z": X}, flow={"E": "X @ X.T + Z @ Z.T", "F": "X @ X.T"}),
    "primal and dual": Source("E @ X == X @ g", {"X": X}, flow={"E": "2 * X @ X.T", "g": "2 * X.T @ X"}),
    "primal and another dual": Source("E @ X == X @ g", {"X": X}, flow={"E": "X @ X.T", "g": "2 * X.T @ X"}),
    "flows that do not commute": Source("E @ F == F @ E", {"A": SQUARE, "B": SQUARE}, flow={"E": "A", "F": "B"}),
    "sums of generators": Source("E @ F == G", {"A": SQUARE}, flow={"E": "A", "F": "2 * A", "G": "3 * A", "H": "-A"}),
    "sums that do not commute": Source("E == G", {"A": SQUARE, "B": SQUARE}, flow={"E": "A", "F": "B", "G": "A + B"}),
    "vectors": Source("x.T @ A @ y == y.T @ x", {"x": ("d", 1), "y": ("d", 1), "A": SQUARE}),
}


def letters(source: Source) -> dict[str, Array]:
    """Matrices that are not symmetric, not invertible and not of full rank where their shape allows it."""
    random = np.random.default_rng(0)
    drawn = {}
    for name, shape in source.shapes.items():
        rows, columns = (SIZES[size] for size in shape)
        rank = max(1, min(rows, columns) - 1)
        drawn[name] = random.normal(size=(rows, rank)) @ random.normal(size=(rank, columns)) / 2
    return drawn


def numeric(coefficient: Any) -> float:
    expression = coefficient.as_expr() if hasattr(coefficient, "as_expr") else coefficient
    return float(expression.subs(VALUES)) if hasattr(expression, "subs") else float(expression)


@pytest.mark.parametrize("name", SOURCES)
def test_every_axiom_is_true(name: str) -> None:
    source = SOURCES[name]
    algebra = Algebra(read_statement(source))
    arrays: dict[str, Any] = letters(source) | VALUES
    flows: dict[str, Array] = {}
    integrals: dict[str, Array] = {}

    def value(text: str) -> Any:
        tree = formula(text, source.shapes, scalars=source.scalars, flow=source.flow)
        pinv = lambda a: np.linalg.pinv(a, rcond=1e-9)  # noqa: E731 (the rank of these matrices is known)
        return evaluate(tree, arrays, identity=np.eye, pinv=pinv, flows=flows, integrals=integrals)

    for flow, text in (source.flow or {}).items():
        generator = value(text)
        size = len(generator)
        block = expm(TIME * np.block([[-generator, np.eye(size)], [np.zeros((size, 2 * size))]]))
        flows[flow], integrals[flow] = block[:size, :size], block[:size, size:]

    assert algebra.axioms
    for axiom in algebra.axioms.values():
        rows, columns = (SIZES[size] for size in axiom.polynomial.shape)
        total = np.zeros((rows, columns))
        for word, coefficient in axiom.polynomial.terms.items():
            product = np.eye(rows)
            for factor in word:
                matrix = value(factor.name)
                product = product @ (matrix.T if factor.transposed else matrix)
            total += numeric(coefficient) * product
        np.testing.assert_allclose(total, 0, atol=1e-8, err_msg=axiom.name)
