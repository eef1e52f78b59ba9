"""The formulas behind schedules: sympy's, apart from the schedules so that a setting can be read without it."""

import itertools
import math
from collections.abc import Callable
from functools import lru_cache

import mpmath
import sympy
from sympy.integrals.manualintegrate import manualintegrate

from theory.errors import SettingError
from theory.formula_text import parse_formula

t = sympy.Symbol("t", nonnegative=True)
ENDLESS = sympy.oo
EXACT = 2**53  # up to here a whole number is a float
DOUBLINGS = 5  # of the digits that are carried


def parsed(formula: object) -> sympy.Expr:
    """A formula in t from text or from sympy."""
    return parse_formula("formula", formula, t)


def half_wave(end: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """Half a wave from 1 at time 0 to 0 at the end, and its integral."""
    angle = sympy.pi * t / end
    return (1 + sympy.cos(angle)) / 2, t / 2 + end / (2 * sympy.pi) * sympy.sin(angle)


def exactly(number: float) -> sympy.Rational:
    """A number as it is written: 1/10 for 0.1."""
    return sympy.Rational(repr(float(number)))


def joined(parts: list[tuple[sympy.Expr, sympy.Expr]]) -> sympy.Expr:
    """One formula of several pieces."""
    *early, (last, _) = parts
    return sympy.Piecewise(*((formula, t < until) for formula, until in early), (last, True)) if early else last


def compiled(formula: sympy.Expr) -> Callable[[float], float]:
    """The formula as a function of the standard library's numbers."""
    long = {number: sympy.Float(number, 17) for number in formula.atoms(sympy.Rational) if _length(number) > EXACT}
    return sympy.lambdify(t, formula.xreplace(long), modules="math")  # type: ignore[no-any-return]


def _length(number: sympy.Rational) -> int:
    return max(abs(number.p), number.q)  # type: ignore[no-any-return]


def evaluated(function: Callable[[float], float], time: float) -> float:
    """The value, or nan where there is none."""
    try:
        return float(function(time))
    except (ArithmeticError, ValueError, TypeError):  # a pole, a logarithm of 0, a root of a negative number
        return math.nan


@lru_cache(maxsize=256)
def _precise(formula: sympy.Expr) -> Callable[[mpmath.mpf], mpmath.mpf]:
    return sympy.lambdify(t, formula, modules="mpmath")  # type: ignore[no-any-return]


def precisely(formula: sympy.Expr, time: float) -> float:
    """The value in float64, however much cancels: twice as many digits until two values agree to 1e-17; else nan.

    Nothing under- or overflows on the way, as mpmath's exponents have no bounds. The first digits already hold the fourth power
    of the time and of every number in the formula beside 1, so that no 1 + t is taken for 1.
    """
    function, before = _precise(formula), None
    sizes = [_length(number) for number in formula.atoms(sympy.Rational)]
    orders = len(str(max(sizes, default=1))) + (abs(math.log10(time)) if time > 0 else 0.0)
    for power in range(DOUBLINGS):
        with mpmath.workdps((40 + 4 * math.ceil(orders)) * 2**power):
            try:
                value = mpmath.mpf(function(mpmath.mpf(time)))
            except (ArithmeticError, ValueError, TypeError):
                return math.nan
            if before is not None and abs(value - before) <= abs(value) / 10**17:
                return float(value)
            before = value
    return math.nan


@lru_cache(maxsize=256)
def antiderivative(formula: sympy.Expr) -> sympy.Expr:
    """The integral from 0 on.

    Raises:
        SettingError: If sympy finds none.
    """
    found = manualintegrate(formula, t)
    if not found.has(sympy.Integral):
        start = found.subs(t, 0)
        start = sympy.limit(found, t, 0) if start.has(sympy.nan, sympy.zoo) else start
        if not start.has(sympy.oo, sympy.zoo, sympy.nan):
            return found - start
    message = f"schedule must have an antiderivative that sympy finds, but {formula} has none. Use a simpler formula."
    raise SettingError(message)


@lru_cache(maxsize=256)
def limit(formula: sympy.Expr) -> float | None:
    """The limit at infinite time if sympy finds one."""
    try:
        found = sympy.limit(formula, t, sympy.oo)
        return float(found) if found.is_extended_real and found.is_number else None
    except (NotImplementedError, ValueError, TypeError, AttributeError):
        return None


def negative_at(formula: sympy.Expr) -> float | None:
    """A time at which the formula is negative: exactly for a polynomial, else the sign of sympy or a few tries."""
    if formula.is_nonnegative:
        return None
    times = [10.0**power for power in range(-3, 7)]
    if formula.is_polynomial(t) and formula.has(t):
        roots = [float(root) for root in sympy.Poly(formula, t).real_roots() if root >= 0]
        ends = [0.0, *sorted(set(roots))]
        times = [(low + high) / 2 for low, high in itertools.pairwise(ends)] + [2 * ends[-1] + 1]
    value = compiled(formula)
    return next((time for time in times if evaluated(value, time) < 0), None)
