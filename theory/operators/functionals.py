r"""Scalars made of matrices: traces, and expectations over a Gaussian matrix.

``tr(A)`` is a trace, ``dim(d)`` the size :math:`d` (the trace of an identity of that size), and
``expect(value, W, v)`` the mean of a polynomial in traces over a matrix ``W`` with independent :math:`N(0, v)` entries.
Traces may be added and multiplied with scalars and with each other; equations between them are claims of their own kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from theory.errors import ClaimError
from theory.operators.expressions import Dimension, Equation, Expression, Identity, Letter, Scaled, walk
from theory.operators.scalars import TIME, Operation, Power, Scalar, Symbol, symbols


def dimension_symbol(name: str) -> Symbol:
    """The size of a named dimension as a scalar.

    Example:
        >>> print(dimension_symbol("d") ** 2)
        dim(d)**2
    """
    return Symbol(f"dim({name})")


@dataclass(frozen=True)
class Trace(Scalar):
    """The trace of a square matrix; its size is known once the shapes are inferred."""

    matrix: Expression
    size: Dimension | None = None

    @property
    def matrices(self) -> tuple[Expression, ...]:
        """The matrix."""
        return (self.matrix,)

    @property
    def is_functional(self) -> bool:
        """True."""
        return True

    def __str__(self) -> str:
        return f"tr({self.matrix})"


@dataclass(frozen=True)
class Expectation(Scalar):
    """The mean of a scalar over a matrix with independent normal entries of mean 0."""

    value: Scalar
    letter: str
    variance: Scalar

    @property
    def parts(self) -> tuple[Scalar, ...]:
        """The scalar and the variance."""
        return self.value, self.variance

    @property
    def is_functional(self) -> bool:
        """True."""
        return True

    def __str__(self) -> str:
        return f"expect({self.value}, {self.letter}, {self.variance})"


@dataclass(frozen=True)
class Ruled(Scalar):
    """A scalar inside ``d``, ``start`` or ``limit``; `scalar_calculus` carries it out."""

    rule: str
    value: Scalar

    @property
    def parts(self) -> tuple[Scalar, ...]:
        """The scalar."""
        return (self.value,)

    def __str__(self) -> str:
        return f"{self.rule}({self.value})"


@dataclass(frozen=True)
class ScalarEquation(Equation):
    """Two scalars made of matrices, said to be equal; kept as multiples of the 1×1 identity."""

    @property
    def factors(self) -> tuple[Scalar, Scalar]:
        """The two scalars."""
        assert isinstance(self.left, Scaled)
        assert isinstance(self.right, Scaled)
        return self.left.factor, self.right.factor

    def __str__(self) -> str:
        left, right = self.factors
        return f"{left} == {right}"


def scalar_equation(left: Scalar, right: Scalar) -> ScalarEquation:
    """An equation between two scalars.

    Example:
        >>> print(scalar_equation(Trace(Letter("A") @ Letter("B")), Trace(Letter("B") @ Letter("A"))))
        tr(A @ B) == tr(B @ A)
    """
    return ScalarEquation(Scaled(left, Identity(1)), Scaled(right, Identity(1)))


def rebuilt(scalar: Scalar, change: Callable[[Trace], Scalar]) -> Scalar:
    """The same scalar with every trace changed."""
    match scalar:
        case Trace():
            return change(scalar)
        case Operation(left, _, right):
            return replace(scalar, left=rebuilt(left, change), right=rebuilt(right, change))
        case Power(base):
            return replace(scalar, base=rebuilt(base, change))
        case Expectation(value) | Ruled(value=value):
            return replace(scalar, value=rebuilt(value, change))
    return scalar


def walk_scalar(scalar: Scalar) -> Iterator[Scalar]:
    """The scalar and the scalars below it, outside of its matrices."""
    yield scalar
    for part in scalar.parts:
        yield from walk_scalar(part)


def expectations(equation: Equation) -> list[Expectation]:
    """Every expectation in an equation."""
    factors = equation.factors if isinstance(equation, ScalarEquation) else ()
    return [part for factor in factors for part in walk_scalar(factor) if isinstance(part, Expectation)]


def check_expectations(equation: Equation, fixed: set[str], inside: set[str]) -> None:
    """Refuse an expectation that is not that of a polynomial in a free random matrix.

    Args:
        equation: The claim.
        fixed: Letters that a hypothesis or a rate speaks about.
        inside: Letters inside a pseudo-inverse or the generator of a flow.

    Raises:
        ClaimError: If the random matrix is one of these, stands outside of its expectation, or the variance is no constant.
    """
    for part in (found := expectations(equation)):
        random, variance = part.letter, part.variance
        if variance.is_functional or TIME in symbols(variance):
            message = (
                f"the variance in expect(...) must be a constant scalar, but it is `{variance}`. Write sigma**2, say."
            )
            raise ClaimError(message)
        for names, place in ((fixed, "in a hypothesis"), (inside, "inside pinv(...) or in a flow")):
            if random in names:
                message = (
                    f"a random matrix must enter as a polynomial and freely, but `{random}` stands {place}. "
                    "Give the two roles two names."
                )
                raise ClaimError(message)
    if found:
        assert isinstance(equation, ScalarEquation)
        outside = {name for factor in equation.factors for name in _free(factor)}
        for part in found:
            if part.letter in outside:
                message = (
                    f"a random matrix must stand inside its expectation only, but `{part.letter}` also stands outside. "
                    "Give the two roles two names."
                )
                raise ClaimError(message)


def _free(scalar: Scalar) -> set[str]:
    names = {part.name for matrix in scalar.matrices for part in walk(matrix) if isinstance(part, Letter)}
    names |= {name for part in scalar.parts for name in _free(part)}
    return names - {scalar.letter} if isinstance(scalar, Expectation) else names
