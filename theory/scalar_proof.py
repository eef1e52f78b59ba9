r"""Decides whether a candidate solves its scalar equation: `proved`, `refuted` with exact numbers, or `undecided`.

The equation is linear, :math:`u_{k+n} = \sum_i a_i u_{k+i} + f` for steps or :math:`u^{(n)} = \sum_i a_i u^{(i)} + f` in
continuous time, with initial values. Candidate and coefficients are brought to the normal form of
:mod:`theory.time_functions`, where substituting is exact algebra. For steps, an equation that holds at every k and the
right initial values make an induction (L-INDUCTION). No simplification is trusted: what is not 0 in normal form is only
refuted when exact numbers, or intervals that do not meet, show it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, product, takewhile
from typing import Any, Literal

import sympy
from mpmath.ctx_iv import MPIntervalContext
from mpmath.libmp import to_rational

from theory.radicals import OutsideError, PoleError
from theory.reading import Reader

Verdict = Literal["proved", "refuted", "undecided"]

VALUES = tuple(sympy.Rational(value) for value in ("1/2", "1/4", "1", "2", "1/3", "3", "-1/2", "-1", "0"))
MAX_POINTS = 64
MAX_STEPS = 16
TIMES = tuple(Fraction(value) for value in ("1", "1/2", "2", "1/4"))
DIGITS = 40


@dataclass(frozen=True)
class ScalarEquation:
    """A linear equation for one unknown.

    Attributes:
        coefficients: a_0, a_1, …: the unknown and what follows it, without the highest.
        start: The first values, or the value and the first derivatives at 0.
        time: An integer symbol counts steps; any other is continuous.
        source: f.

    Example:
        >>> k, r = sympy.Symbol("k", integer=True), sympy.Symbol("r")
        >>> print(ScalarEquation((r,), (sympy.Integer(1),), k))
        u(k + 1) = r*u(k), u(0) = 1
    """

    coefficients: tuple[sympy.Expr, ...]
    start: tuple[sympy.Expr, ...]
    time: sympy.Symbol
    source: sympy.Expr = sympy.Integer(0)

    def following(self, order: int) -> sympy.Expr:
        """The unknown so many steps later, or its derivative of this order."""
        u = sympy.Function("u")
        return u(self.time + order) if self.time.is_integer else u(self.time).diff(self.time, order)

    def initial(self, order: int) -> sympy.Expr:
        """The value at step ``order``, or the derivative of this order at 0."""
        u = sympy.Function("u")
        if self.time.is_integer or order == 0:
            return u(order)
        return sympy.Subs(u(self.time).diff(self.time, order), self.time, 0)

    @property
    def equation(self) -> sympy.Eq:
        """The equation in u."""
        terms = (value * self.following(order) for order, value in enumerate(self.coefficients))
        return sympy.Eq(self.following(len(self.coefficients)), sympy.Add(*terms, self.source))

    @property
    def initial_values(self) -> tuple[sympy.Eq, ...]:
        """The initial values in u."""
        return tuple(sympy.Eq(self.initial(order), value) for order, value in enumerate(self.start))

    @property
    def parameters(self) -> set[sympy.Symbol]:
        """The symbols apart from time."""
        every = (*self.coefficients, *self.start, self.source)
        return set().union(*(sympy.sympify(part).free_symbols for part in every)) - {self.time}

    def __str__(self) -> str:
        return ", ".join(f"{each.lhs} = {each.rhs}" for each in (self.equation, *self.initial_values))


@dataclass(frozen=True)
class Refutation:
    """Numbers at which the candidate fails.

    Attributes:
        numbers: The parameters.
        time: The step (the smallest one) or the time.
        what: What differs there.
        expected: What the equation asks for: exact, or an interval that holds it.
        found: What the candidate gives, likewise.
    """

    numbers: dict[sympy.Symbol, sympy.Rational]
    time: Fraction
    what: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        at = ", ".join(f"{name} = {value}" for name, value in self.numbers.items())
        return f"{f'for {at}: ' if at else ''}{self.what} must be {self.expected}, but it is {self.found}"


@dataclass(frozen=True)
class ScalarProof:
    """What is known of a candidate.

    Attributes:
        verdict: ``proved`` (for all parameters at which no side condition vanishes), ``refuted`` or ``undecided``.
        candidate: The formula.
        equation: What it should solve.
        remainder: What substituting left, 0 if it is proved.
        refutation: The numbers that refute it.
        reason: Why it is undecided, or "".
        side_conditions: What must not be 0.
        lemmas: Names from the closed list.
        seconds: The time it took.
    """

    verdict: Verdict
    candidate: sympy.Expr
    equation: ScalarEquation
    remainder: sympy.Expr = sympy.Integer(0)
    refutation: Refutation | None = None
    reason: str = ""
    side_conditions: tuple[sympy.Expr, ...] = ()
    lemmas: tuple[str, ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"{self.verdict}: u = {self.candidate} solves {self.equation}"]
        if self.side_conditions:
            lines.append("provided: " + ", ".join(f"{condition} != 0" for condition in self.side_conditions))
        if self.lemmas:
            lines.append("modulo: " + ", ".join(self.lemmas))
        lines += [str(extra) for extra in (self.refutation, self.reason) if extra]
        return "\n  ".join(lines)


def prove_solution(candidate: Any, equation: ScalarEquation) -> ScalarProof:
    """Decides whether the candidate solves the equation from its initial values.

    Example:
        >>> k, r = sympy.Symbol("k", integer=True), sympy.Symbol("r", positive=True)
        >>> equation = ScalarEquation((-(r**2), 2 * r), (sympy.Integer(1), r), k)
        >>> prove_solution(r**k, equation).verdict
        'proved'
        >>> print(prove_solution((1 + k) * r**k, equation).refutation)
        for r = 1/2: u(1) must be 1/2, but it is 1
    """
    begin = time.perf_counter()
    candidate = sympy.sympify(candidate)
    parameters = sorted((candidate.free_symbols | equation.parameters) - {equation.time}, key=str)
    proof = ScalarProof("undecided", candidate, equation)
    try:
        reader = Reader(parameters, equation.time)
        vanishes, left = _left_over(candidate, equation, reader)
    except OutsideError as error:
        return replace(proof, remainder=sympy.nan, reason=str(error), seconds=time.perf_counter() - begin)
    proof = replace(proof, remainder=left, side_conditions=tuple(reader.numbers.nonzero))
    if vanishes:
        lemma = "L-INDUCTION" if equation.time.is_integer else "L-EXP"
        return replace(proof, verdict="proved", lemmas=(lemma,), seconds=time.perf_counter() - begin)
    found = next(_refutations(candidate, equation, parameters), None)
    reason = "" if found else f"what is left is not 0 in normal form, but no numbers were found that show it: {left}"
    verdict: Verdict = "refuted" if found else "undecided"
    return replace(proof, verdict=verdict, refutation=found, reason=reason, seconds=time.perf_counter() - begin)


def _left_over(candidate: sympy.Expr, equation: ScalarEquation, reader: Reader) -> tuple[bool, sympy.Expr]:
    """Whether substituting leaves nothing of the equation and of the initial values, and what it leaves, as a formula."""
    left, right = _sides(candidate, equation, reader)
    try:
        values = reader.read(candidate).starts(len(equation.start))
    except PoleError:
        return False, sympy.oo
    gaps = [value - reader.read(wanted).constant for value, wanted in zip(values, equation.start, strict=True)]
    parts = [(left - right).expression(equation.time), *(gap.expression() for gap in gaps)]
    return not ((left - right).terms or any(gaps)), sympy.Add(*(sympy.Abs(part) for part in parts))


def _sides(candidate: sympy.Expr, equation: ScalarEquation, reader: Reader) -> tuple[Any, Any]:
    u, right = reader.read(candidate), reader.read(equation.source)
    for coefficient in equation.coefficients:
        right, u = right + reader.read(coefficient) * u, u.following()
    return u, right


def _refutations(
    candidate: sympy.Expr, equation: ScalarEquation, parameters: list[sympy.Symbol]
) -> Iterator[Refutation]:
    search = _failing_step if equation.time.is_integer else _failing_time
    for numbers in islice(_points(parameters), MAX_POINTS):
        try:
            yield from search(candidate, equation, Reader([], equation.time, numbers), numbers)
        except OutsideError:  # a denominator vanishes at these numbers
            continue


def _points(parameters: list[sympy.Symbol]) -> Iterator[dict[sympy.Symbol, sympy.Rational]]:
    """Rational numbers that the parameters may be, simple ones first."""
    allowed = [[value for value in VALUES if _may_be(parameter, value)] for parameter in parameters]
    for values in product(*allowed):
        yield dict(zip(parameters, values, strict=True))


def _may_be(parameter: sympy.Symbol, value: sympy.Rational) -> bool:
    properties = ("positive", "negative", "nonnegative", "nonpositive", "zero", "integer")
    known = ((getattr(parameter, f"is_{name}"), getattr(value, f"is_{name}")) for name in properties)
    return all(asked is None or asked == has for asked, has in known)


def _failing_step(
    candidate: sympy.Expr, equation: ScalarEquation, reader: Reader, numbers: dict[sympy.Symbol, sympy.Rational]
) -> Iterator[Refutation]:
    """The first step at which the candidate is not what the equation makes of the initial values."""
    u = reader.read(candidate)
    coefficients = [reader.read(coefficient) for coefficient in equation.coefficients]
    source, order = reader.read(equation.source), len(equation.coefficients)
    values = [reader.read(value).constant for value in equation.start]
    for step in range(MAX_STEPS):
        if step >= len(values):
            if len(values) < order:  # no initial values: the candidate's own
                values.append(u.at(step))
            else:
                before = step - order
                past = (a.at(before) * values[before + index] for index, a in enumerate(coefficients))
                values.append(sum(past, source.at(before)))
        if values[step] - u.at(step):
            expected, found = values[step].expression(), u.at(step).expression()
            yield Refutation(numbers, Fraction(step), f"u({step})", expected, found)
            return


def _failing_time(
    candidate: sympy.Expr, equation: ScalarEquation, reader: Reader, numbers: dict[sympy.Symbol, sympy.Rational]
) -> Iterator[Refutation]:
    """The initial value that is wrong, exactly; or a time at which the two sides lie in intervals that do not meet."""
    wanted = [reader.read(value).constant for value in equation.start]
    try:
        starts = reader.read(candidate).starts(len(wanted))
    except PoleError:
        yield Refutation(numbers, Fraction(0), "u(0)", wanted[0].expression(), sympy.zoo)
        return
    for order, (value, right) in enumerate(zip(starts, wanted, strict=True)):
        if value - right:
            what = f"u{chr(39) * order}(0)"
            yield Refutation(numbers, Fraction(0), what, right.expression(), value.expression())
            return
    left, right = _sides(candidate, equation, reader)
    context = MPIntervalContext()
    context.dps = DIGITS
    for moment in TIMES:
        try:
            sides = [side.enclosure(moment, context) for side in (right, left)]
        except OutsideError:
            continue
        gap = sides[0] - sides[1]
        if 0 not in gap.real or 0 not in gap.imag:
            part = "real" if 0 not in gap.real else "imag"
            expected, found = (Interval.of(getattr(side, part)) for side in sides)
            what = f"u{chr(39) * len(equation.coefficients)}({moment})"
            yield Refutation(numbers, moment, what, expected, found)
            return


@dataclass(frozen=True)
class Interval:
    """Two numbers between which a value is known to lie."""

    low: Fraction
    high: Fraction

    @classmethod
    def of(cls, interval: Any) -> Interval:
        """The ends of an interval of mpmath's, exactly."""
        low, high = (to_rational(end) for end in interval._mpi_)
        return cls(Fraction(*map(int, low)), Fraction(*map(int, high)))

    def __str__(self) -> str:
        low, high = (str(sympy.Rational(end.numerator, end.denominator).evalf(DIGITS)) for end in (self.low, self.high))
        shared = takewhile(lambda digits: digits[0] == digits[1], zip(low, high, strict=False))
        return f"{''.join(digit for digit, _ in shared)[:14]}…"
