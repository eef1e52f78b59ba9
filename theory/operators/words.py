"""Typed noncommutative polynomials: sums of words of letters, with rational functions of the scalars in front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import sympy
from sympy.polys.domains import QQ
from sympy.polys.fields import field

from theory.errors import ClaimError
from theory.operators.expressions import Shape
from theory.operators.scalars import Number, Operation, Power, Scalar, Symbol
from theory.operators.shapes import show

Coefficient: TypeAlias = Any
"""An element of ℚ(scalars): a `Fraction` if there are no scalars, else a fraction of sympy polynomials."""


NOT_ZERO, AT_LEAST_ZERO = " != 0", " >= 0"
"""How a side condition ends."""


def product(a: Coefficient, b: Coefficient) -> Coefficient:
    """The product of two elements of one field; most are ±1, and sympy is slow to find out that there is nothing to cancel."""
    if a == 1 or b == 1:
        return b if a == 1 else a
    if a == -1 or b == -1:
        return -b if a == -1 else -a
    return a * b


class Factor(NamedTuple):
    """One letter of a word: the name of a generator, and whether it is transposed."""

    name: str
    transposed: bool = False

    @property
    def T(self) -> Factor:
        """The transpose."""
        return Factor(self.name, not self.transposed)

    def __str__(self) -> str:
        return f"{self.name}.T" if self.transposed else self.name


Word: TypeAlias = tuple[Factor, ...]


def transpose(word: Word) -> Word:
    """The transposed word; transposition reverses products."""
    return tuple(factor.T for factor in reversed(word))


@dataclass(frozen=True)
class Polynomial:
    """A sum of words of one shape; the empty word is the identity. Zero coefficients are never stored."""

    shape: Shape
    terms: Mapping[Word, Coefficient]

    def __add__(self, other: Polynomial) -> Polynomial:
        if self.shape != other.shape:
            message = (
                f"added matrices must have one shape, but they are {show(self.shape)} and {show(other.shape)}. "
                "Correct the shapes."
            )
            raise ClaimError(message)
        terms = dict(self.terms)
        for word, coefficient in other.terms.items():
            terms[word] = terms[word] + coefficient if word in terms else coefficient
        return Polynomial(self.shape, {word: value for word, value in terms.items() if value != 0})

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + other.scaled(-1)

    def __matmul__(self, other: Polynomial) -> Polynomial:
        if self.shape[1] != other.shape[0]:
            message = (
                f"the inner sizes of a product must agree, but they are {show(self.shape)} and {show(other.shape)}. "
                "Correct the shapes."
            )
            raise ClaimError(message)
        terms: dict[Word, Coefficient] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                word, value = left + right, product(a, b)
                terms[word] = terms[word] + value if word in terms else value
        return Polynomial((self.shape[0], other.shape[1]), {word: value for word, value in terms.items() if value != 0})

    def scaled(self, factor: Coefficient) -> Polynomial:
        """The polynomial times a coefficient, or a plain 1 or -1."""
        if factor == 1:
            return self
        if factor == -1:
            return Polynomial(self.shape, {word: -value for word, value in self.terms.items()})
        terms = {word: product(value, factor) for word, value in self.terms.items()} if factor != 0 else {}
        return Polynomial(self.shape, terms)

    @property
    def T(self) -> Polynomial:
        """The transpose."""
        return Polynomial((self.shape[1], self.shape[0]), {transpose(word): a for word, a in self.terms.items()})

    def __str__(self) -> str:
        return render(self.terms)


def render(terms: Mapping[Word, Coefficient]) -> str:
    """A sum of words as text of the claim language.

    Example:
        >>> print(render({(Factor("X"), Factor("X", True)): Fraction(1), (): Fraction(-2)}))
        -2 * I + X @ X.T
    """
    text = ""
    for word, coefficient in sorted(terms.items(), key=lambda item: (len(item[0]), item[0])):
        product = " @ ".join(str(factor) for factor in word) or "I"
        negative = str(coefficient).startswith("-")
        size = -coefficient if negative else coefficient
        number = str(size)
        plain = number.replace("*", "").replace("/", "").isalnum()
        shown = product if size == 1 else f"{number if plain else f'({number})'} * {product}"
        joint = (" - " if negative else " + ") if text else ("-" if negative else "")
        text += joint + shown
    return text or "0"


class Coefficients:
    """The field ℚ(scalars), with a record of what was divided by.

    A denominator is recorded when it is met, before it can cancel.

    Attributes:
        conditions: What must hold for the coefficients met so far to have a meaning, in order: no denominator is zero, no
            variance negative.
        relied: The declarations ``c > 0`` without which there would be more conditions.
    """

    def __init__(self, scalars: Iterable[str], positive: frozenset[str] = frozenset()) -> None:
        self._positive = positive
        self._symbols: dict[str, Coefficient] = {}
        self._constants: dict[Fraction, Coefficient] = {}
        names = list(scalars)
        self._field: Any = None
        if names:
            # As symbols, for sympy would read the text "dim(d)" as something else.
            self._field, *generators = field([sympy.Symbol(name) for name in names], QQ)
            self._symbols = dict(zip(names, generators, strict=True))
        self.one: Coefficient = self.constant(Fraction(1))
        self.conditions: dict[str, None] = {}
        self.relied: dict[str, None] = {}

    def constant(self, value: Fraction) -> Coefficient:
        """A rational number as an element of the field."""
        if self._field is None:
            return value
        if value not in self._constants:
            self._constants[value] = self._field(QQ(value.numerator, value.denominator))
        return self._constants[value]

    def is_constant(self, value: Coefficient) -> bool:
        """Whether a coefficient is a rational number."""
        return self._field is None or (value.numer.is_ground and value.denom.is_ground)

    def is_positive(self, value: Coefficient) -> bool:
        """Whether a coefficient is visibly positive: sums of products of positive numbers, above and below."""
        if self._field is None:
            return bool(value > 0)
        return self._has_positive_terms(value.numer) and self._has_positive_terms(value.denom)

    def is_at_least_zero(self, value: Coefficient) -> bool:
        """Whether a coefficient is visibly ≥ 0: as before, and even powers count as well."""
        if self._field is None:
            return bool(value >= 0)
        return self._has_terms_at_least_zero(value.numer) and self._has_terms_at_least_zero(value.denom)

    def is_not_zero(self, value: Coefficient) -> bool:
        """Whether a coefficient or its negative is visibly ≥ 0 with a positive term."""
        if self._field is None:
            return bool(value != 0)
        one_signed = self._has_terms_at_least_zero(value.numer) or self._has_terms_at_least_zero(-value.numer)
        return one_signed and any(
            all(not power or name in self._positive for name, power in zip(self._symbols, powers, strict=True))
            for powers in value.numer.monoms()
        )

    def require_at_least_zero(self, value: Coefficient, what: str) -> None:
        """Record that a coefficient must be ≥ 0, unless that is visible.

        Raises:
            ClaimError: If it is visibly negative.
        """
        if self.is_at_least_zero(value):
            return
        if self.is_not_zero(value) and self.is_at_least_zero(-value):
            message = f"{what} must be at least 0, but it is {value}. Change its sign."
            raise ClaimError(message)
        self.conditions[f"{value}{AT_LEAST_ZERO}"] = None

    def _has_terms_at_least_zero(self, polynomial: Any) -> bool:
        return all(
            value > 0
            and all(power % 2 == 0 or name in self._positive for name, power in zip(self._symbols, powers, strict=True))
            for powers, value in polynomial.terms()
        )

    def declared(self, value: Coefficient) -> tuple[str, ...]:
        """The declarations ``c > 0`` of the scalars in a coefficient."""
        return () if self._field is None else (*self._declared(value.numer), *self._declared(value.denom))

    def _declared(self, polynomial: Any) -> tuple[str, ...]:
        names = sorted(str(symbol) for symbol in polynomial.as_expr().free_symbols)
        return tuple(f"{name} > 0" for name in names if name in self._positive and not name.startswith("dim("))

    def _has_positive_terms(self, polynomial: Any) -> bool:
        mentioned = {str(symbol) for symbol in polynomial.as_expr().free_symbols}
        return mentioned <= self._positive and all(value > 0 for value in polynomial.coeffs())

    def inverse(self, value: Coefficient) -> Coefficient:
        """One over a coefficient, which must not be zero."""
        self._record(value)
        return self.one / value

    def read(self, scalar: Scalar) -> Coefficient:
        """A scalar as an element of the field.

        Raises:
            ClaimError: If it divides by zero, or holds another scalar than those of the field.

        Example:
            >>> numbers = Coefficients(["c"])
            >>> c = Symbol("c")
            >>> numbers.read(c / c), list(numbers.conditions)
            (1, ['c != 0'])
        """
        match scalar:
            case Number(value):
                return self.constant(value)
            case Symbol(name) if name in self._symbols:
                return self._symbols[name]
            case Symbol(name):
                message = (
                    f"a certificate must use the scalars of its statement only, but it uses `{name}`. Prove it again."
                )
                raise ClaimError(message)
            case Power(base, exponent):
                # The exponent is applied by products: sympy refuses 0**0, which is 1 here.
                value, factor = self.one, self.read(base)
                for _ in range(exponent):
                    value = value * factor
                return value
            case Operation(left, sign, right):
                a, b = self.read(left), self.read(right)
                if sign == "/":
                    if b == 0:
                        message = f"a denominator must not be zero, but `{scalar}` divides by 0. Remove it."
                        raise ClaimError(message)
                    return product(a, self.inverse(b))
                return a + b if sign == "+" else a - b if sign == "-" else product(a, b)
        raise TypeError(scalar)

    def _record(self, denominator: Coefficient) -> None:
        if self._field is None:
            return
        for polynomial, _ in denominator.numer.factor_list()[1]:
            if not self._has_positive_terms(polynomial):
                self.conditions[f"{polynomial.as_expr()}{NOT_ZERO}"] = None
            else:
                self.relied |= dict.fromkeys(self._declared(polynomial))
