"""The expression tree: matrices and scalars that stay symbolic under ordinary Python arithmetic.

Generic code such as ``w - eta * (c * (w @ X - Y) @ X.T + mu * w)`` runs on these objects as it runs on arrays.
Nothing is expanded, and no shape is known here: `str` gives back the text of the claim language.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from theory.errors import ClaimError
from theory.operators.scalars import (
    ATOM,
    PRODUCT,
    SUM,
    Exact,
    Number,
    Scalar,
    as_scalar,
    matrices_in,
    without_sign,
    wrap,
)

Dimension: TypeAlias = str | int
Shape: TypeAlias = tuple[Dimension, Dimension]


class Expression:
    """A matrix; the leaves are `Letter`, `Identity`, `Zero` and `Integral`.

    Example:
        >>> from theory.operators import Symbol
        >>> w, X, Y, eta = Letter("w"), Letter("X"), Letter("Y"), Symbol("eta")
        >>> print(w - eta * (w @ X - Y) @ X.T)
        w - eta * (w @ X - Y) @ X.T
    """

    level = ATOM

    @property
    def T(self) -> Expression:
        """The transpose."""
        return self.matrix if isinstance(self, Transpose) else Transpose(self)

    def __add__(self, other: Expression | Exact) -> Expression:
        term = _as_matrix(other)
        return NotImplemented if term is None else Sum(self, term)

    def __radd__(self, other: Exact) -> Expression:
        term = _as_matrix(other)
        return NotImplemented if term is None else Sum(term, self)

    def __sub__(self, other: Expression | Exact) -> Expression:
        term = _as_matrix(other)
        return NotImplemented if term is None else Sum(self, -term)

    def __rsub__(self, other: Exact) -> Expression:
        term = _as_matrix(other)
        return NotImplemented if term is None else Sum(term, -self)

    def __neg__(self) -> Expression:
        return -1 * self

    def __matmul__(self, other: Expression) -> Expression:
        if not isinstance(other, Expression):
            return NotImplemented
        # Scalars move to the front, so that `c * X @ X.T` and `c * (X @ X.T)` are the same tree.
        if isinstance(self, Scaled):
            return self.factor * (self.matrix @ other)
        if isinstance(other, Scaled):
            return other.factor * (self @ other.matrix)
        return Product(self, other)

    def __rmul__(self, other: Scalar | Exact) -> Expression:
        factor = as_scalar(other)
        if factor is None:
            return NotImplemented
        if isinstance(self, Scaled):
            return Scaled(factor * self.factor, self.matrix)
        return Scaled(factor, self)

    def __mul__(self, other: Scalar | Exact) -> Expression:
        if isinstance(other, Expression):
            message = f"`*` must have a scalar on one side, but `{self}` and `{other}` are matrices. Multiply with `@`."
            raise ClaimError(message)
        return self.__rmul__(other)

    def __truediv__(self, other: Scalar | Exact) -> Expression:
        factor = as_scalar(other)
        return NotImplemented if factor is None else (1 / factor) * self


@dataclass(frozen=True)
class Letter(Expression):
    """A matrix known only by its name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Identity(Expression):
    """The identity; its size is inferred from where it stands."""

    size: Dimension | None = None

    def __str__(self) -> str:
        return "I"


@dataclass(frozen=True)
class Zero(Expression):
    """The zero matrix; its shape is inferred from where it stands."""

    shape: Shape | None = None

    def __str__(self) -> str:
        return "0"


@dataclass(frozen=True)
class Sum(Expression):
    """Two matrices added."""

    left: Expression
    right: Expression

    level = SUM

    def __str__(self) -> str:
        positive = without_sign(self.right.factor) if isinstance(self.right, Scaled) else None
        if isinstance(self.right, Scaled) and positive is not None:
            return f"{self.left} - {wrap(positive * self.right.matrix, PRODUCT)}"
        return f"{self.left} + {wrap(self.right, PRODUCT)}"


@dataclass(frozen=True)
class Product(Expression):
    """Two matrices multiplied."""

    left: Expression
    right: Expression

    level = PRODUCT

    def __str__(self) -> str:
        return f"{wrap(self.left, PRODUCT)} @ {wrap(self.right, ATOM)}"


@dataclass(frozen=True)
class Scaled(Expression):
    """A scalar times a matrix."""

    factor: Scalar
    matrix: Expression

    @property
    def level(self) -> int:  # type: ignore[override]
        """Binding strength of the printed form."""
        return PRODUCT if without_sign(self.factor) is None else SUM

    def __str__(self) -> str:
        positive = without_sign(self.factor)
        if positive is not None:
            return f"-{wrap(positive * self.matrix, PRODUCT)}"
        matrix = wrap(self.matrix, PRODUCT)
        return matrix if self.factor == Number(Fraction(1)) else f"{wrap(self.factor, PRODUCT)} * {matrix}"


@dataclass(frozen=True)
class Unary(Expression):
    """A function of one matrix."""

    matrix: Expression


@dataclass(frozen=True)
class Transpose(Unary):
    """The transpose."""

    def __str__(self) -> str:
        return f"{wrap(self.matrix, ATOM)}.T"


@dataclass(frozen=True)
class Pinv(Unary):
    """The Moore–Penrose pseudo-inverse."""

    def __str__(self) -> str:
        return f"pinv({self.matrix})"


@dataclass(frozen=True)
class Integral(Expression):
    r""":math:`\int_0^t e^{-sG} ds` for the flow of that name, :math:`e^{-tG}`."""

    flow: str

    def __str__(self) -> str:
        return f"integral({self.flow})"


@dataclass(frozen=True)
class Derivative(Unary):
    """The time derivative."""

    def __str__(self) -> str:
        return f"d({self.matrix})"


@dataclass(frozen=True)
class Start(Unary):
    """The value at time 0."""

    def __str__(self) -> str:
        return f"start({self.matrix})"


@dataclass(frozen=True)
class Limit(Unary):
    """The limit for time to infinity."""

    def __str__(self) -> str:
        return f"limit({self.matrix})"


@dataclass(frozen=True)
class Equation:
    """Two matrices said to be equal.

    Example:
        >>> print(Equation(Letter("W") @ Letter("X"), Letter("Y")))
        W @ X == Y
    """

    left: Expression
    right: Expression

    def __str__(self) -> str:
        return f"{self.left} == {self.right}"


def children(node: Expression) -> tuple[Expression, ...]:
    """The matrices directly below a node; those inside the traces of a scalar come last."""
    match node:
        case Sum(left, right) | Product(left, right):
            return left, right
        case Scaled(factor, matrix):
            return (matrix, *matrices_in(factor))
        case Unary(matrix):
            return (matrix,)
    return ()


def walk(node: Expression) -> Iterator[Expression]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def _as_matrix(value: object) -> Expression | None:
    if isinstance(value, Expression):
        return value
    if value == 0 and isinstance(value, int):
        return Zero()
    if isinstance(value, int | Fraction | Scalar):
        message = f"`+` and `-` must join two matrices, but one side is the scalar {value}. Write {value} * I."
        raise ClaimError(message)
    return None
