"""From a sympy formula in time to its normal form, or the reason why it has none."""

from collections.abc import Mapping
from typing import Any

import sympy

from theory.radicals import Element, OutsideError, Radicals
from theory.time_functions import Curve, Steps, TimeFunction


class Reader:
    """Reads formulas over the same parameters and time.

    Args:
        parameters: The symbols that stay symbols.
        time: The symbol of time; if it is an integer it counts steps.
        values: Rational numbers to put in for other symbols.

    Example:
        >>> k, x = sympy.Symbol("k", integer=True), sympy.Symbol("x")
        >>> reader = Reader([x], k)
        >>> reader.read((1 - x) ** (k + 1)) - reader.read((1 - x) ** k) + reader.read(x * (1 - x) ** k)
        Steps(0)
    """

    def __init__(
        self,
        parameters: list[sympy.Symbol],
        time: sympy.Symbol,
        values: Mapping[sympy.Symbol, sympy.Rational] | None = None,
    ) -> None:
        self.numbers = Radicals(parameters)
        self.time = time
        self.values = values or {}
        self.kind: type[TimeFunction] = Steps if time.is_integer else Curve
        self.zero = self.kind(self.numbers, {})
        self._known: dict[sympy.Expr, Any] = {}

    def read(self, formula: Any) -> Any:
        """The normal form.

        Raises:
            OutsideError: If there is none; it names the part that has none.
        """
        formula = sympy.sympify(formula)
        if formula not in self._known:
            self._known[formula] = self._read(formula)
        return self._known[formula]

    def _read(self, formula: sympy.Expr) -> Any:
        if formula.is_Rational:
            return self.constant(self.numbers.number(formula))
        if formula == self.time:
            return self.monomial(power=1)
        if formula.is_Symbol:
            return (
                self.read(self.values[formula])
                if formula in self.values
                else self.constant(self.numbers.symbol(formula))
            )
        if formula is sympy.I:
            return self.constant(self.numbers.imaginary)
        if formula.is_Add:
            return sum((self.read(term) for term in formula.args), self.zero)
        if formula.is_Mul:
            product = self.monomial()
            for factor in formula.args:
                product = product * self.read(factor)
            return product
        if formula.is_Pow and formula.base is not sympy.E:
            return self.power(formula)
        reading = {
            sympy.exp: self.exponential,
            sympy.cosh: self.hyperbolic,
            sympy.sinh: self.hyperbolic,
            sympy.cos: self.trigonometric,
            sympy.sin: self.trigonometric,
            sympy.besselj: self.bessel,
            sympy.KroneckerDelta: self.spike,
        }.get(formula.func)
        if reading is None:
            raise _outside(formula)
        return reading(formula)

    def monomial(self, value: Element | None = None, **parts: Any) -> Any:
        """One term; without arguments the function 1."""
        one = self.numbers.number(1)
        return self.zero.made([(self.kind.one(self.numbers)._replace(**parts), one if value is None else value)])

    def constant(self, value: Element) -> Any:
        """A function that does not change."""
        return self.monomial(value)

    def power(self, formula: sympy.Expr) -> Any:
        """A whole or half power, or a number to the power of the steps."""
        base, exponent = formula.base, sympy.expand(formula.exp)
        slope = exponent.coeff(self.time) if exponent.has(self.time) else sympy.Integer(0)
        rest = sympy.expand(exponent - slope * self.time)
        if not all((2 * part).is_Integer for part in (slope, rest)) or (slope != 0 and self.kind is Curve):
            raise _outside(formula)
        read = self.read(base)
        result = self.to_half_power(read, rest)
        if slope == 0:
            return result
        rate = self.to_half_power(read, slope).constant
        if not rate:  # 0^0 = 1
            return result * self.monomial(letters=(0,))
        return result * self.monomial(rate=rate)

    def to_half_power(self, function: Any, exponent: sympy.Rational) -> Any:
        """A function to a whole power, a number to half of one."""
        if exponent.is_Integer:
            return function ** int(exponent)
        return self.constant(self.numbers.root(function.constant)) ** int(2 * exponent)

    def rate(self, argument: sympy.Expr) -> Element:
        """r, if the argument is r times continuous time."""
        read = self.read(argument)
        linear = self.kind.one(self.numbers)._replace(power=1)
        if self.kind is Steps or set(read.terms) - {linear}:
            raise _outside(argument)
        return read.terms.get(linear, self.numbers.number(0))  # type: ignore[no-any-return]

    def exponential(self, formula: sympy.Expr) -> Any:
        """The letter exp(rt)."""
        return self.letter(formula.args[0])

    def letter(self, argument: sympy.Expr, factor: Element | None = None) -> Any:
        """exp(factor·argument)."""
        rate = self.rate(argument)
        return self.monomial(rate=rate if factor is None else rate * factor)

    def hyperbolic(self, formula: sympy.Expr) -> Any:
        """The hyperbolic cosine or sine by exponentials."""
        sign = self.numbers.number(1 if formula.func is sympy.cosh else -1)
        half = self.constant(self.numbers.number(sympy.Rational(1, 2)))
        up, down = self.letter(formula.args[0]), self.letter(formula.args[0], self.numbers.number(-1))
        return half * (up + self.constant(sign) * down)

    def trigonometric(self, formula: sympy.Expr) -> Any:
        """Cosine or sine by exponentials."""
        i = self.numbers.imaginary
        up, down = self.letter(formula.args[0], i), self.letter(formula.args[0], -i)
        half = self.constant(self.numbers.number(sympy.Rational(1, 2)))
        if formula.func is sympy.cos:
            return half * (up + down)
        return half * self.constant(-i) * (up - down)

    def bessel(self, formula: sympy.Expr) -> Any:
        """J of any order by J0 and J1."""
        order, argument = formula.args
        if not (order.is_Integer and 0 <= order <= 16):
            raise _outside(formula)
        rate = self.rate(argument)
        self.numbers.pitch = self.numbers.pitch or rate
        if rate != self.numbers.pitch or not rate:
            message = f"{formula} is a second kind of Bessel function beside those of {self.numbers.pitch.expression()}"
            raise OutsideError(message)
        lower, upper = self.monomial(letters=(1, 0)), self.monomial(letters=(0, 1))
        for n in range(1, int(order) + 1):
            factor = self.monomial(self.numbers.number(2 * n) * rate.inverse(), power=-1)
            lower, upper = upper, factor * upper - lower
        return lower

    def spike(self, formula: sympy.Expr) -> Any:
        """1 at one step and 0 at all others."""
        others = [argument for argument in formula.args if argument != self.time]
        if self.kind is not Steps or len(others) != 1 or not (others[0].is_Integer and others[0] >= 0):
            raise _outside(formula)
        return self.monomial(letters=(int(others[0]),))


def _outside(formula: sympy.Expr) -> OutsideError:
    return OutsideError(f"{formula} is not a sum of numbers times powers of time times the letters that are known here")
