r"""Exact numbers with square roots: :math:`\mathbb{Q}(\text{parameters})[\sqrt{d_1}, \sqrt{d_2}, \dots]`, in normal form.

The roots are adjoined as they are met, with nothing assumed of them but their squares; :math:`i = \sqrt{-1}` is one of
them. So what is 0 here is 0 for every value of the parameters at which no recorded denominator vanishes, whichever branch
the roots are on. Roots of rational numbers are taken prime by prime; without parameters these are independent, and then
what is not 0 here is not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy
from sympy.polys.fields import FracField

MAX_ROOTS = 8


class OutsideError(Exception):
    """An expression that the exact arithmetic cannot hold; it says which and why."""


class PoleError(OutsideError):
    """A function has no value at time 0."""


class Radicals:
    """The numbers over given parameters.

    Attributes:
        nonzero: What was divided by: the numbers are only meant where none of these vanishes.
        pitch: The one z of the letters J0(zt) and J1(zt), if they occur.

    Example:
        >>> x = sympy.Symbol("x")
        >>> numbers = Radicals([x])
        >>> root = numbers.root(numbers.symbol(x))
        >>> root * root - numbers.symbol(x), (root + root) * root.inverse()
        (0, 2)
    """

    def __init__(self, parameters: Sequence[sympy.Symbol]) -> None:
        # A field needs a generator; a dummy that nothing mentions does no harm.
        self._field = FracField(tuple(parameters) or (sympy.Dummy(),), sympy.QQ)
        self._squares: list[Any] = []
        self._known: dict[Any, Element] = {}
        self.nonzero: dict[sympy.Expr, None] = {}
        self.pitch: Element | None = None

    def number(self, value: Any) -> Element:
        """A rational number."""
        if value not in self._known:
            self._known[value] = self._element({0: self._rational(Fraction(str(value)))})
        return self._known[value]

    def _rational(self, value: Fraction) -> Any:
        return self._field(sympy.QQ(value.numerator, value.denominator))

    def symbol(self, parameter: sympy.Symbol) -> Element:
        """A parameter.

        Raises:
            OutsideError: If it is none of this field.
        """
        if parameter not in self._field.symbols:
            message = f"{parameter} is not a parameter"
            raise OutsideError(message)
        return self._element({0: self._field.from_expr(parameter)})

    @property
    def imaginary(self) -> Element:
        """The imaginary unit."""
        return self.root(self.number(-1))

    def root(self, value: Element) -> Element:
        """The principal square root of a number without roots.

        Raises:
            OutsideError: If there is a root inside, or there are too many roots.
        """
        terms = dict(value.terms)
        if not terms:
            return value
        if list(terms) != [0]:
            message = f"sqrt({value.expression()}) is a root of a root"
            raise OutsideError(message)
        square = terms[0]
        content = abs(Fraction(str(square.numer.content())) / Fraction(str(square.denom.content())))
        rest = square / self._rational(content)
        result = self.number(1)
        # √(a/b) = √(ab)/b, prime by prime.
        for prime, exponent in sympy.factorint(content.numerator * content.denominator).items():
            result = result * self.number(prime ** (exponent // 2))
            if exponent % 2:
                result = result * self._adjoined(self._rational(Fraction(prime)))
        result = result * self.number(Fraction(1, content.denominator))
        return result if rest == 1 else result * self._adjoined(rest)

    def _adjoined(self, square: Any) -> Element:
        if square not in self._squares:
            if len(self._squares) >= MAX_ROOTS:
                message = f"there are more than {MAX_ROOTS} different roots"
                raise OutsideError(message)
            self._squares.append(square)
        return self._element({1 << self._squares.index(square): self._field.one})

    def _element(self, terms: dict[int, Any]) -> Element:
        return Element(tuple(sorted((mask, value) for mask, value in terms.items() if value)), self)

    def _without_squares(self, value: Any, roots: int) -> Any:
        """A coefficient times the squares of a set of roots."""
        for index, square in enumerate(self._squares):
            if roots >> index & 1:
                value = value * square
        return value


@dataclass(frozen=True)
class Element:
    """One number: a coefficient for each set of roots, 0 left out.

    Attributes:
        terms: Sets of roots as bit masks, with their coefficients.
        numbers: Where it lives.
    """

    terms: tuple[tuple[int, Any], ...]
    numbers: Radicals = field(compare=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __add__(self, other: Element) -> Element:
        total = dict(self.terms)
        for mask, value in other.terms:
            total[mask] = total[mask] + value if mask in total else value
        return self.numbers._element(total)

    def __neg__(self) -> Element:
        return Element(tuple((mask, -value) for mask, value in self.terms), self.numbers)

    def __sub__(self, other: Element) -> Element:
        return self + -other

    def __mul__(self, other: Element) -> Element:
        one = self.numbers.number(1)
        if one in (self, other):
            return other if self == one else self
        total: dict[int, Any] = {}
        for left, a in self.terms:
            for right, b in other.terms:
                mask, value = left ^ right, self.numbers._without_squares(a * b, left & right)
                total[mask] = total[mask] + value if mask in total else value
        return self.numbers._element(total)

    def __pow__(self, exponent: int) -> Element:
        base = self.inverse() if exponent < 0 else self
        result = self.numbers.number(1)
        for _ in range(abs(exponent)):
            result = result * base
        return result

    def inverse(self) -> Element:
        """One over it: multiplied by its conjugates it loses its roots one by one.

        Raises:
            OutsideError: If it is 0, or a conjugate times it is.
        """
        top = max((mask for mask, _ in self.terms), default=0).bit_length()
        if top == 0:
            if not self:
                message = "it divides by 0"
                raise OutsideError(message)
            ((_, value),) = self.terms
            for factor, _ in sympy.factor_list(value.numer.as_expr())[1]:
                self.numbers.nonzero[factor] = None
            return self.numbers._element({0: 1 / value})
        last = 1 << (top - 1)
        conjugate = Element(tuple((mask, -value if mask & last else value) for mask, value in self.terms), self.numbers)
        return conjugate * (self * conjugate).inverse()

    def expression(self) -> sympy.Expr:
        """The number as a formula."""
        total = sympy.Integer(0)
        for mask, value in self.terms:
            roots = [sympy.sqrt(square.as_expr()) for i, square in enumerate(self.numbers._squares) if mask >> i & 1]
            total += sympy.Mul(value.as_expr(), *roots)
        return total

    def enclosure(self, context: Any) -> Any:
        """An interval, complex where it must be, that holds the number; for numbers without parameters.

        Args:
            context: mpmath's interval arithmetic.
        """
        total = context.mpc(0)
        for mask, value in self.terms:
            ratio = Fraction(str(value.as_expr()))
            term = context.mpc(context.mpf(ratio.numerator) / ratio.denominator)
            for index, square in enumerate(self.numbers._squares):
                if mask >> index & 1:
                    number = int(square.as_expr())
                    size = context.sqrt(context.mpf(abs(number)))
                    term = term * (context.mpc(size) if number > 0 else context.mpc(0, size))
            total = total + term
        return total

    def __repr__(self) -> str:
        return str(self.expression())
