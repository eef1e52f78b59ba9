"""From the trees of a statement to polynomials; a product or sum that is too large is refused before it is formed.

This module belongs to the trusted base.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from theory.errors import ClaimError
from theory.operators.expressions import (
    Equation,
    Expression,
    Identity,
    Integral,
    Letter,
    Pinv,
    Product,
    Scaled,
    Shape,
    Start,
    Sum,
    Transpose,
    Zero,
    walk,
)
from theory.operators.functionals import Expectation, ScalarEquation, Trace, dimension_symbol, walk_scalar
from theory.operators.limits import QUOTIENT, TERMS, WORD, check_size
from theory.operators.scalars import TIME, Operation, Power, Scalar, symbols
from theory.operators.shapes import infer, show
from theory.operators.statement import Statement
from theory.operators.traces import Traces
from theory.operators.wick import mean
from theory.operators.words import Coefficient, Coefficients, Factor, Polynomial


class Reading:
    """The polynomials of one statement: its letters and its coefficients.

    Attributes:
        goal: What the claim says to be zero: a matrix, or a polynomial in traces if the claim is about scalars.
        hypotheses: The assumed equations as text, each with what it says to be zero.
        pseudo_inverses: For each letter ``pinv(...)`` the matrix it belongs to.
        timed: Whether the time t is one of the scalars.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.timed = any(_mentions_time(side) for side in _sides(statement))
        sizes = _dimensions(statement)
        self.coefficients = Coefficients(
            [*statement.scalars, *([TIME] if self.timed else []), *sizes], statement.dynamics.positive | {*sizes}
        )
        self.shapes: dict[str, Shape] = dict(statement.dynamics.shapes)
        self.traces = Traces(self.factor_shape, self.coefficients)
        self.pseudo_inverses: dict[str, Polynomial] = {}
        self.generators = {
            name: self.polynomial(generator) for name, generator in statement.dynamics.generators.items()
        }
        self.shapes |= {str(Integral(name)): self.shapes[name] for name in self.generators}
        self._record_denominators()
        self.about_scalars = isinstance(statement.claim, ScalarEquation)
        self.goal = self._goal(statement.claim)
        self.hypotheses = [(item.text, self.difference(item.equation)) for item in statement.hypotheses]

    def read(self, tree: Expression, shape: Shape | None) -> Polynomial:
        """A tree without sizes as a polynomial of the given shape, or of its own.

        Raises:
            ClaimError: If the shapes do not fit.
        """
        return self.polynomial(infer(tree, self.shapes, shape))

    def read_scalar(self, tree: Scalar) -> Polynomial:
        """A scalar without sizes as a polynomial in traces.

        Raises:
            ClaimError: If the shapes do not fit.
        """
        typed = infer(Scaled(tree, Identity(1)), self.shapes)
        assert isinstance(typed, Scaled)
        return self.scalar(typed.factor)

    def _record_denominators(self) -> None:
        """Meet every denominator of the statement as it was written: a derivative or a limit may drop it."""
        stated = self.statement.stated
        for tree in (stated.left, stated.right, *self.statement.dynamics.rates.values()):
            for part in walk(tree):
                for scalar in walk_scalar(part.factor) if isinstance(part, Scaled) else ():
                    if not scalar.is_functional:
                        self.coefficients.read(scalar)

    def _goal(self, claim: Equation) -> Polynomial:
        if isinstance(claim, ScalarEquation):
            left, right = claim.factors
            return self.scalar(left) - self.scalar(right)
        return self.difference(claim)

    def difference(self, equation: Equation) -> Polynomial:
        """Left side minus right side."""
        return self.polynomial(equation.left) - self.polynomial(equation.right)

    def polynomial(self, node: Expression) -> Polynomial:
        """A resolved tree with all sizes as a polynomial; a pseudo-inverse becomes a letter of its own."""
        match node:
            case Letter() | Integral() | Start():
                return self.letter(str(node))
            case Identity(size) if size is not None:
                return Polynomial((size, size), {(): self.coefficients.one})
            case Zero(shape) if shape is not None:
                return Polynomial(shape, {})
            case Sum(left, right):
                first, second = self.polynomial(left), self.polynomial(right)
                _check_sum(first, second)
                return first + second
            case Product(left, right):
                first, second = self.polynomial(left), self.polynomial(right)
                _check_product(first, second)
                return first @ second
            case Scaled(factor, matrix):
                return self.polynomial(matrix).scaled(self.coefficients.read(factor))
            case Transpose(matrix):
                return self.polynomial(matrix).T
            case Pinv(matrix):
                inner = self.polynomial(matrix)
                if set(inner.terms) <= {()}:
                    # By L-PINV; as a letter it would be the same one for every size.
                    terms = {word: self.coefficients.inverse(value) for word, value in inner.terms.items()}
                    return Polynomial((inner.shape[1], inner.shape[0]), terms)
                name = f"pinv({inner})"
                shape = inner.shape[1], inner.shape[0]
                if self.shapes.setdefault(name, shape) != shape:
                    message = f"`{name}` must have one shape, but it is {show(self.shapes[name])} and {show(shape)}. Rename a letter."
                    raise ClaimError(message)
                self.pseudo_inverses[name] = inner
                return self.letter(name)
        raise TypeError(node)

    def scalar(self, node: Scalar) -> Polynomial:
        """A resolved scalar with all sizes as a polynomial in traces, its expectations carried out."""
        if not node.is_functional:
            return self.traces.constant(self.coefficients.read(node))
        match node:
            case Trace(matrix):
                return self.traces.of(self.polynomial(matrix))
            case Expectation(value, letter, variance):
                spread = self.coefficients.read(variance)
                self.coefficients.require_at_least_zero(spread, "the variance in expect(...)")
                return mean(self.scalar(value), letter, self.shapes[letter], spread, self.traces)
            case Operation(left, "*", right):
                return self.traces.times(self.scalar(left), self.scalar(right))
            case Operation(left, "/", right):
                return self.scalar(left).scaled(self.coefficients.read(1 / right))
            case Operation(left, sign, right):
                return self.scalar(left) + self.scalar(right).scaled(1 if sign == "+" else -1)
            case Power(base, exponent):
                power, factor = self.traces.one, self.scalar(base)
                for _ in range(exponent):
                    power = self.traces.times(power, factor)
                return power
        raise TypeError(node)

    def letter(self, name: str) -> Polynomial:
        """A letter as a polynomial."""
        if name not in self.shapes:  # start(W) of a letter W with a rate
            self.shapes[name] = self.shapes[name.removeprefix("start(").removesuffix(")")]
        return Polynomial(self.shapes[name], {(Factor(name),): self.coefficients.one})

    def factor_shape(self, factor: Factor) -> Shape:
        """The shape of one letter of a word."""
        rows, columns = self.shapes[factor.name]
        return (columns, rows) if factor.transposed else (rows, columns)


def _check_product(left: Polynomial, right: Polynomial) -> None:
    """Refuse a product that is too large to write down: counting terms, those of the coefficients, and letters."""
    longest = [max((len(word) for word in polynomial.terms), default=0) for polynomial in (left, right)]
    check_size("a product of matrices", sum(longest), WORD, "factors")
    extents = [sum(_extent(value) for value in polynomial.terms.values()) for polynomial in (left, right)]
    check_size("a product of matrices", extents[0] * extents[1], TERMS, "terms")


def _check_sum(left: Polynomial, right: Polynomial) -> None:
    """Refuse a sum of quotients whose common denominator is too large to find."""
    for word in left.terms.keys() & right.terms.keys():
        first, second = left.terms[word], right.terms[word]
        if not isinstance(first, Fraction) and len(first.denom) > 1 and len(second.denom) > 1:
            check_size("a sum of quotients", _extent(first) * _extent(second), QUOTIENT, "terms")


def _extent(value: Coefficient) -> int:
    return 1 if isinstance(value, Fraction) else len(value.numer) + len(value.denom) - 1


def _dimensions(statement: Statement) -> list[str]:
    """The sizes that are scalars of a statement: those it names, and for traces those of its letters."""
    named = {
        name
        for side in _sides(statement)
        for part in walk(side)
        if isinstance(part, Scaled)
        for name in symbols(part.factor)
    }
    known = [size for shape in statement.dynamics.shapes.values() for size in shape if isinstance(size, str)]
    every = isinstance(statement.claim, ScalarEquation)
    sizes = [dimension_symbol(size).name for size in dict.fromkeys(known)]
    return [name for name in sizes if every or name in named]


def _sides(statement: Statement) -> Iterator[Expression]:
    equations = [statement.stated, statement.claim, *(item.equation for item in statement.hypotheses)]
    for equation in equations:
        yield from (equation.left, equation.right)


def _mentions_time(tree: Expression) -> bool:
    return any(isinstance(part, Scaled) and TIME in symbols(part.factor) for part in walk(tree))
