"""Matrices that stand as text in a certificate, read back in the letters of its statement.

This module belongs to the trusted base.
"""

from __future__ import annotations

from theory.errors import ClaimError
from theory.operators.algebra import Reading
from theory.operators.expressions import Derivative, Limit, Shape, walk
from theory.operators.parser import Names, parse_matrix
from theory.operators.statement import Statement
from theory.operators.words import Polynomial


def read_cofactor(algebra: Reading, text: str, shape: Shape | None) -> Polynomial:
    """A matrix of the given shape, or of its own.

    Raises:
        ClaimError: If the text is no matrix of that shape in the letters of the statement.
    """
    if text == "I" and shape is not None and shape[0] == shape[1]:
        return Polynomial(shape, {(): algebra.coefficients.one})  # most cofactors
    tree = parse_matrix(text, names_of(algebra.statement), "cofactor")
    if any(isinstance(part, Derivative | Limit) for part in walk(tree)):
        message = f"a cofactor must be free of d and limit, but it is `{text}`. Carry them out."
        raise ClaimError(message)
    return algebra.read(algebra.statement.dynamics.resolve(tree), shape)


def names_of(statement: Statement) -> Names:
    """The names that a cofactor may use."""
    dynamics = statement.dynamics
    flows = frozenset(dynamics.generators)
    sizes = frozenset(size for shape in dynamics.shapes.values() for size in shape if isinstance(size, str))
    return Names(frozenset(dynamics.shapes) - flows, flows, frozenset({*statement.scalars, "t"}), dimensions=sizes)
