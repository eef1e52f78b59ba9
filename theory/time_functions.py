r"""Functions of time in normal form: sums of number × power of time × letters, with a rule for the next step or the derivative.

Of steps: letters :math:`r^k` and :math:`[k = j]`. Of time: :math:`e^{rt}` and :math:`J_0(zt)^a J_1(zt)^b`, where the Bessel
functions are what :math:`J_0' = -J_1`, :math:`J_1' = J_0 - J_1/x`, :math:`J_0(0) = 1`, :math:`J_1(0) = 0` define. The
numbers :math:`c, r, z` have square roots in them (:mod:`theory.radicals`). Different letters are linearly independent, so a function is 0
exactly when all its coefficients are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, Self

import sympy

from theory.radicals import Element, OutsideError, PoleError, Radicals

MAX_POWER = 64


class Monomial(NamedTuple):
    """A power of time and letters.

    Attributes:
        power: Of time.
        rate: r in the letter :math:`r^k` or :math:`e^{rt}`.
        letters: Of steps, () or (j,) for the letter [k = j]; of time, the powers of J0 and of J1.
    """

    power: int
    rate: Element
    letters: tuple[int, ...]


@dataclass(frozen=True)
class TimeFunction:
    """A sum of coefficients times monomials; subclasses say what the letters are.

    Attributes:
        numbers: Where coefficients and rates live.
        terms: No coefficient is 0.
    """

    numbers: Radicals
    terms: dict[Monomial, Element]

    @classmethod
    def one(cls, numbers: Radicals) -> Monomial:
        """The monomial 1."""
        raise NotImplementedError

    def _times(self, left: Monomial, right: Monomial) -> tuple[Monomial, Element]:
        raise NotImplementedError

    def _inverse(self, monomial: Monomial) -> Monomial:
        raise NotImplementedError

    def made(self, terms: Iterable[tuple[Monomial, Element]]) -> Self:
        """A function of the same kind, terms collected."""
        total: dict[Monomial, Element] = {}
        for monomial, value in terms:
            total[monomial] = total[monomial] + value if monomial in total else value
        return type(self)(self.numbers, {monomial: value for monomial, value in total.items() if value})

    def __add__(self, other: Self) -> Self:
        return self.made([*self.terms.items(), *other.terms.items()])

    def __neg__(self) -> Self:
        return self.made((monomial, -value) for monomial, value in self.terms.items())

    def __sub__(self, other: Self) -> Self:
        return self + -other

    def __mul__(self, other: Self) -> Self:
        products = []
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                monomial, factor = self._times(left, right)
                if abs(monomial.power) > MAX_POWER:
                    message = f"a power of time is above {MAX_POWER}"
                    raise OutsideError(message)
                products.append((monomial, a * b * factor))
        return self.made(products)

    def __pow__(self, exponent: int) -> Self:
        if abs(exponent) > MAX_POWER:
            message = f"a power is above {MAX_POWER}"
            raise OutsideError(message)
        base = self.inverse() if exponent < 0 else self
        result = self.made([(self.one(self.numbers), self.numbers.number(1))])
        for _ in range(abs(exponent)):
            result = result * base
        return result

    def inverse(self) -> Self:
        """One over a single term.

        Raises:
            OutsideError: If there are more, or it has no inverse here.
        """
        if len(self.terms) != 1:
            message = f"it divides by {self.expression(sympy.Symbol('time'))}"
            raise OutsideError(message)
        ((monomial, value),) = self.terms.items()
        return self.made([(self._inverse(monomial), value.inverse())])

    @property
    def constant(self) -> Element:
        """The value of a function that does not change.

        Raises:
            OutsideError: If it does.
        """
        if not self.terms:
            return self.numbers.number(0)
        if list(self.terms) != [self.one(self.numbers)]:
            message = f"{self.expression(sympy.Symbol('time'))} changes with time"
            raise OutsideError(message)
        return self.terms[self.one(self.numbers)]

    def following(self) -> Self:
        """The function a step later, or its derivative."""
        raise NotImplementedError

    def starts(self, count: int) -> list[Element]:
        """The function and what follows, so many, at time 0."""
        raise NotImplementedError

    def letter(self, monomial: Monomial, time: sympy.Symbol) -> sympy.Expr:
        """The letters of a monomial as a formula."""
        raise NotImplementedError

    def expression(self, time: sympy.Symbol) -> sympy.Expr:
        """The function as a formula."""
        parts = (
            value.expression() * time**monomial.power * self.letter(monomial, time)
            for monomial, value in self.terms.items()
        )
        return sympy.Add(*parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.expression(sympy.Symbol('time'))})"


class Steps(TimeFunction):
    """A function of the number of steps, a whole number of at least 0."""

    @classmethod
    def one(cls, numbers: Radicals) -> Monomial:
        """The monomial 1."""
        return Monomial(0, numbers.number(1), ())

    def _times(self, left: Monomial, right: Monomial) -> tuple[Monomial, Element]:
        one = self.numbers.number(1)
        if left.letters and right.letters:
            return left, self.numbers.number(int(left.letters == right.letters))
        if left.letters or right.letters:  # a function times [k = j] is its value at j
            spike, other = (left, right) if left.letters else (right, left)
            (j,) = spike.letters
            return spike, self.numbers.number(j**other.power) * other.rate**j
        return Monomial(left.power + right.power, left.rate * right.rate, ()), one

    def _inverse(self, monomial: Monomial) -> Monomial:
        if monomial.power or monomial.letters:
            message = "it divides by the number of steps"
            raise OutsideError(message)
        return Monomial(0, monomial.rate.inverse(), ())

    def following(self) -> Steps:
        """The function one step later."""
        moved = []
        for (power, rate, letters), value in self.terms.items():
            if not letters:
                binomial = ((math.comb(power, lower), lower) for lower in range(power + 1))
                moved += [
                    (Monomial(lower, rate, ()), value * rate * self.numbers.number(count)) for count, lower in binomial
                ]
            elif letters[0] > 0:
                moved.append((Monomial(power, rate, (letters[0] - 1,)), value))
        return self.made(moved)

    def at(self, step: int) -> Element:
        """The value at a step."""
        total = self.numbers.number(0)
        for (power, rate, letters), value in self.terms.items():
            if not letters or letters[0] == step:
                total = total + value * self.numbers.number(step**power) * rate**step
        return total

    def starts(self, count: int) -> list[Element]:
        """The values at the first steps."""
        return [self.at(step) for step in range(count)]

    def letter(self, monomial: Monomial, time: sympy.Symbol) -> sympy.Expr:
        """The letters of a monomial as a formula."""
        if monomial.letters:
            return sympy.KroneckerDelta(time, monomial.letters[0])
        return monomial.rate.expression() ** time


class Curve(TimeFunction):
    """A function of continuous time."""

    @classmethod
    def one(cls, numbers: Radicals) -> Monomial:
        """The monomial 1."""
        return Monomial(0, numbers.number(0), (0, 0))

    def _times(self, left: Monomial, right: Monomial) -> tuple[Monomial, Element]:
        letters = left.letters[0] + right.letters[0], left.letters[1] + right.letters[1]
        return Monomial(left.power + right.power, left.rate + right.rate, letters), self.numbers.number(1)

    def _inverse(self, monomial: Monomial) -> Monomial:
        if monomial.letters != (0, 0):
            message = "it divides by a Bessel function"
            raise OutsideError(message)
        return Monomial(-monomial.power, -monomial.rate, (0, 0))

    def following(self) -> Curve:
        """The derivative."""
        moved = []
        for (power, rate, (j0, j1)), value in self.terms.items():
            moved.append((Monomial(power - 1, rate, (j0, j1)), value * self.numbers.number(power - j1)))
            moved.append((Monomial(power, rate, (j0, j1)), value * rate))
            if self.numbers.pitch is not None:
                up, down = (
                    value * self.numbers.pitch * self.numbers.number(j1),
                    value * self.numbers.pitch * self.numbers.number(-j0),
                )
                moved += [
                    (Monomial(power, rate, (j0 + 1, j1 - 1)), up),
                    (Monomial(power, rate, (j0 - 1, j1 + 1)), down),
                ]
        return self.made(moved)

    def starts(self, count: int) -> list[Element]:
        """The values of the function and of its derivatives at 0, from its power series.

        Raises:
            PoleError: If it has none.
        """
        lowest = min((monomial.power for monomial in self.terms), default=0)
        length = count - min(lowest, 0)
        total = [self.numbers.number(0)] * length
        for (power, rate, (j0, j1)), value in self.terms.items():
            series = [value, *[self.numbers.number(0)] * (length - 1)]
            factors = [self._exponential_series(rate, length)]
            factors += [self._bessel_series(0, length)] * j0 + [self._bessel_series(1, length)] * j1
            for factor in factors:
                series = [
                    sum((series[i] * factor[n - i] for i in range(n + 1)), self.numbers.number(0))
                    for n in range(length)
                ]
            for index in range(length):
                place = index + power - min(lowest, 0)
                if place < length:
                    total[place] = total[place] + series[index]
        if any(total[: length - count]):
            message = "it has a pole at time 0"
            raise PoleError(message)
        return [total[length - count + n] * self.numbers.number(math.factorial(n)) for n in range(count)]

    def _exponential_series(self, rate: Element, length: int) -> list[Element]:
        return [rate**n * self.numbers.number(Fraction(1, math.factorial(n))) for n in range(length)]

    def _bessel_series(self, order: int, length: int) -> list[Element]:
        coefficients = [self.numbers.number(0)] * length
        for m in range(length):
            n = 2 * m + order
            if n < length and self.numbers.pitch is not None:
                share = Fraction((-1) ** m, 2**n * math.factorial(m) * math.factorial(m + order))
                coefficients[n] = self.numbers.pitch**n * self.numbers.number(share)
        return coefficients

    def enclosure(self, time: Fraction, context: Any) -> Any:
        """An interval that holds the value at a positive rational time; for numbers without parameters.

        Raises:
            OutsideError: If the Bessel functions' argument is above 2.
        """
        moment = context.mpf(time.numerator) / time.denominator
        total = context.mpc(0)
        for (power, rate, (j0, j1)), value in self.terms.items():
            term = value.enclosure(context) * moment**power * context.exp(rate.enclosure(context) * moment)
            if self.numbers.pitch is not None and j0 + j1:
                argument = (self.numbers.pitch.enclosure(context) * moment).real
                term = term * _bessel_enclosure(0, argument, context) ** j0
                term = term * _bessel_enclosure(1, argument, context) ** j1
            total = total + term
        return total

    def letter(self, monomial: Monomial, time: sympy.Symbol) -> sympy.Expr:
        """The letters of a monomial as a formula."""
        result = sympy.exp(monomial.rate.expression() * time)
        for order, power in enumerate(monomial.letters):
            if power and self.numbers.pitch is not None:
                result *= sympy.besselj(order, self.numbers.pitch.expression() * time) ** power
        return result


def _bessel_enclosure(order: int, argument: Any, context: Any) -> Any:
    """J0 or J1 by its alternating series; what is left out is below the first term left out."""
    if not argument.b <= 2:
        message = "the argument of a Bessel function is above 2"
        raise OutsideError(message)
    term, total = (argument / 2) ** order, context.mpf(0)
    for m in range(40):
        total = total + term
        term = -term * (argument / 2) ** 2 / ((m + 1) * (m + 1 + order))
    rest = abs(term)
    return total + context.mpf([-rest.b, rest.b])
