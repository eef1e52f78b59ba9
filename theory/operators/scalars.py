"""Symbolic scalars: arithmetic stays a tree, so that no denominator is lost before it is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from theory.errors import ClaimError

Exact: TypeAlias = int | Fraction

TIME = "t"
"""The name of the scalar that is always declared."""

SUM, PRODUCT, ATOM = 1, 2, 3
"""How strongly a printed node binds."""


class Scalar:
    """A real scalar; the leaves are `Number` and `Symbol`, and the scalars made of matrices of `functionals`."""

    level = ATOM

    @property
    def parts(self) -> tuple[Scalar, ...]:
        """The scalars directly below."""
        return ()

    @property
    def matrices(self) -> tuple[Any, ...]:
        """The matrices directly below: `expressions` builds on this module, so their type is not known here."""
        return ()

    @property
    def is_functional(self) -> bool:
        """Whether the scalar is made of matrices, so that it is no element of ℚ(scalars)."""
        return any(part.is_functional for part in self.parts)

    def __add__(self, other: Scalar | Exact) -> Scalar:
        value = as_scalar(other)
        return NotImplemented if value is None else _fold(self, "+", value)

    def __radd__(self, other: Exact) -> Scalar:
        value = as_scalar(other)
        return NotImplemented if value is None else _fold(value, "+", self)

    def __sub__(self, other: Scalar | Exact) -> Scalar:
        value = as_scalar(other)
        return NotImplemented if value is None else _fold(self, "-", value)

    def __rsub__(self, other: Exact) -> Scalar:
        value = as_scalar(other)
        return NotImplemented if value is None else _fold(value, "-", self)

    def __mul__(self, other: Scalar | Exact) -> Scalar:
        value = as_scalar(other)
        return NotImplemented if value is None else _fold(self, "*", value)

    def __rmul__(self, other: Exact) -> Scalar:
        value = as_scalar(other)
        return NotImplemented if value is None else _fold(value, "*", self)

    def __truediv__(self, other: Scalar | Exact) -> Scalar:
        value = as_scalar(other)
        return NotImplemented if value is None else _fold(self, "/", value)

    def __rtruediv__(self, other: Exact) -> Scalar:
        value = as_scalar(other)
        return NotImplemented if value is None else _fold(value, "/", self)

    def __neg__(self) -> Scalar:
        return _fold(Number(Fraction(-1)), "*", self)

    def __pow__(self, exponent: int) -> Scalar:
        if not isinstance(exponent, int) or exponent < 0:
            message = f"an exponent must be a whole number of at least 0, but it is {exponent}. Divide instead."
            raise ClaimError(message)
        return Power(self, exponent)


@dataclass(frozen=True)
class Number(Scalar):
    """An exact rational constant."""

    value: Fraction

    @property
    def level(self) -> int:  # type: ignore[override]
        """Binding strength of the printed form."""
        if self.value < 0:
            return SUM
        return ATOM if self.value.denominator == 1 else PRODUCT

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Symbol(Scalar):
    """A declared real scalar, such as a learning rate; ``t`` is the time."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Operation(Scalar):
    """Two scalars joined by ``+ - *`` or ``/``."""

    left: Scalar
    sign: str
    right: Scalar

    @property
    def parts(self) -> tuple[Scalar, ...]:
        """The two scalars."""
        return self.left, self.right

    @property
    def level(self) -> int:  # type: ignore[override]
        """Binding strength of the printed form."""
        return SUM if self.sign in "+-" or self.left == Number(Fraction(-1)) else PRODUCT

    def __str__(self) -> str:
        if self.sign == "*" and self.left == Number(Fraction(-1)):
            return f"-{wrap(self.right, PRODUCT)}"
        level = SUM if self.sign in "+-" else PRODUCT
        return f"{wrap(self.left, level)} {self.sign} {wrap(self.right, level + (self.sign in '-/'))}"


@dataclass(frozen=True)
class Power(Scalar):
    """A scalar to a whole exponent."""

    base: Scalar
    exponent: int

    level = PRODUCT

    @property
    def parts(self) -> tuple[Scalar, ...]:
        """The base."""
        return (self.base,)

    def __str__(self) -> str:
        return f"{wrap(self.base, ATOM)}**{self.exponent}"


def symbols(scalar: Scalar) -> set[str]:
    """The names of the scalars in a scalar, outside of its matrices."""
    if isinstance(scalar, Symbol):
        return {scalar.name}
    return {name for part in scalar.parts for name in symbols(part)}


def matrices_in(scalar: Scalar) -> tuple[Any, ...]:
    """Every matrix that a scalar is made of."""
    return (*scalar.matrices, *(matrix for part in scalar.parts for matrix in matrices_in(part)))


def as_scalar(value: object) -> Scalar | None:
    """The value as a scalar, or None for something else.

    Raises:
        ClaimError: For a float, which is not the number it prints.
    """
    if isinstance(value, Scalar):
        return value
    if isinstance(value, int | Fraction):
        return Number(Fraction(value))
    if isinstance(value, float):
        message = f"a constant must be exact, but it is the float {value!r}. Use Fraction, or a Symbol."
        raise ClaimError(message)
    return None


def time_derivative(scalar: Scalar) -> Scalar:
    """The time derivative of a scalar.

    Example:
        >>> print(time_derivative(Symbol("t") * Symbol("c")))
        c
    """
    if TIME not in symbols(scalar):
        return Number(Fraction(0))
    match scalar:
        case Operation(left, "*", right) if TIME not in symbols(left):
            return left * time_derivative(right)
        case Operation(left, "*", right) if TIME not in symbols(right):
            return time_derivative(left) * right
        case Operation(left, "*", right):
            return time_derivative(left) * right + left * time_derivative(right)
        case Operation(left, "/", right):
            return (time_derivative(left) * right - left * time_derivative(right)) / right**2
        case Operation(left, sign, right):
            first, second = time_derivative(left), time_derivative(right)
            return first + second if sign == "+" else first - second
        case Power(base, exponent):
            return exponent * base ** max(exponent - 1, 0) * time_derivative(base)
    return Number(Fraction(1))


def at_time_zero(scalar: Scalar) -> Scalar:
    """The scalar with ``t`` replaced by 0."""
    match scalar:
        case Symbol("t"):
            return Number(Fraction(0))
        case Operation(left, sign, right):
            first, second = at_time_zero(left), at_time_zero(right)
            if sign == "/":
                return first / second
            if sign == "*":
                return first * second
            return first + second if sign == "+" else first - second
        case Power(base, exponent):
            return at_time_zero(base) ** exponent
    return scalar


def is_positive(scalar: Scalar, positive: frozenset[str]) -> bool:
    """Whether a scalar is a sum, product, quotient or power of positive things."""
    match scalar:
        case Number(value):
            return value > 0
        case Symbol(name):
            return name in positive
        case Operation(left, "+" | "*" | "/", right):
            return is_positive(left, positive) and is_positive(right, positive)
        case Power(base, _):
            return is_positive(base, positive)
    return False


def without_sign(scalar: Scalar) -> Scalar | None:
    """The scalar that is printed after a minus sign, or None if there is no such sign."""
    match scalar:
        case Number(value) if value < 0:
            return Number(-value)
        case Operation(left, "*" | "/" as sign, right):
            positive = without_sign(left)
            return None if positive is None else _fold(positive, sign, right)
    return None


def _fold(left: Scalar, sign: str, right: Scalar) -> Scalar:
    """Join two scalars; constants are computed at once, except a division by zero, which the reader must report."""
    if isinstance(left, Number) and isinstance(right, Number) and not (sign == "/" and right.value == 0):
        a, b = left.value, right.value
        return Number({"+": a + b, "-": a - b, "*": a * b}[sign] if sign != "/" else a / b)
    if sign == "*" and left == Number(Fraction(1)):
        return right
    if sign in "*/" and right == Number(Fraction(1)):
        return left
    return Operation(left, sign, right)


def wrap(node: Any, level: int) -> str:
    """The printed node, in parentheses if it binds less strongly than the level."""
    return str(node) if node.level >= level else f"({node})"
