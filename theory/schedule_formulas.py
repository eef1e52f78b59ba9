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
MOST_OPERATIONS, MOST_DEGREE = 60, 30  # of a formula whose factors are looked for
TRIES = tuple(
    sorted([index * math.pi / 100 for index in range(1, 1000)] + [10 ** (index / 50) for index in range(-150, 301)])
)
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


def check_real(formula: sympy.Expr) -> None:
    """Refuses poles, roots and logarithms of what is negative, wherever their arguments' signs are known, or seen to change.

    Raises:
        SettingError: With the place.
    """
    for part in sympy.preorder_traversal(formula):
        if not (part.is_Pow or part.func is sympy.log):
            continue
        base, exponent = part.as_base_exp() if part.is_Pow else (part.args[0], sympy.Integer(0))
        if not base.has(t) or not exponent.is_number or (exponent.is_Integer and exponent > 0):
            continue
        places = turns(base, even=True)
        if places is None:
            places = _seen_turns(base)
        fine = exponent.is_positive and all(evaluated(compiled(base), time) >= 0 for time in _between(places))
        if places and not fine:
            message = (
                f"schedule must be finite and real at every time, but {part} in {formula} is not at t = {places[0]:.6g}, or not on "
                "both sides of it. Use a formula without poles, and without roots and logarithms of negative numbers."
            )
            raise SettingError(message)


def negative_at(formula: sympy.Expr) -> float | None:
    """A time at which the formula is negative: exactly where its turns are known, else by :data:`TRIES`; None if there is none."""
    if formula.is_nonnegative:
        return None
    places = turns(formula)
    value = compiled(formula)
    return next((time for time in (TRIES if places is None else _between(places)) if evaluated(value, time) < 0), None)


def keeps_its_sign(formula: sympy.Expr) -> bool:
    """Whether a formula is known to be at least 0 at all times, or at most 0."""
    for same in (formula, formula.rewrite(sympy.exp)):  # 1 - tanh² is a product of exponentials
        if same.is_nonnegative or same.is_nonpositive or turns(same) == []:
            return True
    return False


@lru_cache(maxsize=256)
def turns(formula: sympy.Expr, *, even: bool = False) -> list[float] | None:
    """The times above 0 at which the sign may change: roots of polynomial factors, all others of known sign; None if not known.

    Args:
        formula: Not looked at if it has more than so many operations, as factoring may take for ever.
        even: Also where it is 0 without changing its sign, and time 0.
    """
    powers = sum(abs(power.exp) for power in formula.atoms(sympy.Pow) if power.exp.is_number)
    if sympy.count_ops(formula) > MOST_OPERATIONS or powers > MOST_OPERATIONS:
        return None
    # Functions are letters of their own: exp(100t) written as exp(t)^100 would take factoring for ever.
    letters = {part: _letter(part) for part in formula.atoms(sympy.Function)}
    found: set[float] = set()
    for factor in sympy.Mul.make_args(sympy.factor(sympy.together(formula.xreplace(letters)))):
        base, _ = factor.as_base_exp()
        if (factor.is_positive or factor.is_negative) or (
            not even and (factor.is_nonnegative or factor.is_nonpositive)
        ):
            continue
        if base.free_symbols != {t} or not base.is_polynomial(t) or sympy.degree(base, t) > MOST_DEGREE:
            return None
        found |= {root for root in _real_roots(base) if root > 0 or (even and root == 0)}
    return sorted(found)


def _letter(function: sympy.Expr) -> sympy.Dummy:
    if function.is_positive:
        return sympy.Dummy(positive=True)
    return sympy.Dummy(nonnegative=True) if function.is_nonnegative else sympy.Dummy(real=True)


def _real_roots(polynomial: sympy.Expr) -> list[float]:
    """Its real roots; a pair that numbers alone do not tell from a double root counts as one."""
    poly = sympy.Poly(polynomial, t)
    try:
        return [float(root) for root in poly.real_roots()]
    except NotImplementedError:  # irrational coefficients
        close = 10.0**-8
        return [float(sympy.re(root)) for root in poly.nroots(n=30) if abs(sympy.im(root)) <= close * max(1, abs(root))]


def _seen_turns(formula: sympy.Expr) -> list[float]:
    """Times between which the sign of a formula is seen to change, as that of a continuous one does at a root."""
    value = compiled(formula)
    seen = [(time, found) for time in TRIES if not math.isnan(found := evaluated(value, time))]
    return [time for (time, one), (_, other) in itertools.pairwise(seen) if one * other < 0 or one == 0]


def _between(places: list[float]) -> list[float]:
    """A time in each stretch between the places and after them."""
    ends = [0.0, *places]
    return [(low + high) / 2 for low, high in itertools.pairwise(ends)] + [2 * ends[-1] + 1]
