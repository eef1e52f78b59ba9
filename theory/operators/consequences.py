r"""Equations that follow from others by a lemma and not by algebra alone: each rule has premises and conclusions.

A certificate that uses a conclusion carries the proofs of its premises, and the kernel adds them up like the claim. With
:math:`E = e^{-tG}`, :math:`\tilde\Phi = \int_0^t e^{-sG} ds`, and :math:`F`, :math:`\tilde\Psi` the same for :math:`H`
(a flow may be transposed or inverted, for :math:`(e^{-tG})^\top = e^{-tG^\top}` and :math:`(e^{-tG})^{-1} = e^{tG}`), the rules are

- ``intertwine`` (L-UNIQUE): :math:`GM = MH \Rightarrow \tilde\Phi M = M\tilde\Psi`;
- ``agree`` (L-UNIQUE): :math:`GM = HM,\ GH = HG \Rightarrow \tilde\Phi M = \tilde\Psi M`;
- ``sum`` (L-UNIQUE): :math:`GH = HG,\ G + H = K \Rightarrow EF = e^{-tK}`, which is I for :math:`K = 0`;
- ``series`` (L-UNIQUE): :math:`G^kM = 0 \Rightarrow \tilde\Phi M = \sum_{j<k} \tfrac{(-1)^j t^{j+1}}{(j+1)!} G^jM`;
- ``pinv`` (L-PINV): :math:`AM = NB,\ A^\top N = MB^\top \Rightarrow A^+N = MB^+`;
- ``square`` (L-SQUARE): :math:`A^\top A = 0 \Rightarrow A = 0`, for what the claim says to be zero, or its transpose.

This module belongs to the trusted base.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import factorial
from typing import NamedTuple

from theory.errors import ClaimError
from theory.operators.algebra import Reading
from theory.operators.axioms import Algebra, Axiom, with_transpose
from theory.operators.cofactors import read_cofactor
from theory.operators.expressions import Integral
from theory.operators.scalars import TIME, Symbol
from theory.operators.words import Polynomial

LONGEST_SERIES = 6


@dataclass(frozen=True)
class Consequence:
    """A rule at work.

    Attributes:
        rule: Its name.
        arguments: What it is applied to, as text.
        premises: What must be proved to be zero.
        axioms: The conclusions, usable when the premises are proved.
    """

    rule: str
    arguments: tuple[str, ...]
    premises: tuple[Polynomial, ...]
    axioms: tuple[Axiom, ...]

    def with_sources(self, sources: Sequence[str]) -> Consequence:
        """The same, its conclusions coming from what the proofs of the premises used as well."""
        every = [replace(axiom, sources=tuple(dict.fromkeys([*axiom.sources, *sources]))) for axiom in self.axioms]
        return replace(self, axioms=tuple(every))


class Flow(NamedTuple):
    """A flow of the statement, or its transpose: itself, its integral and its generator."""

    text: str
    value: Polynomial
    integral: Polynomial
    generator: Polynomial


def flow_of(algebra: Reading, text: str) -> Flow:
    """The flow ``E``, its inverse ``pinv(E)``, which is the flow of -G, or the transpose of one of them.

    Raises:
        ClaimError: If the statement has no such flow.
    """
    plain = text.removesuffix(".T")
    name = plain.removeprefix("pinv(").removesuffix(")") if plain.startswith("pinv(") else plain
    if name not in algebra.generators:
        message = f"a rule must name a flow of its statement, but it names `{text}`. Declare it there."
        raise ClaimError(message)
    flow, integral, generator = algebra.letter(name), algebra.letter(str(Integral(name))), algebra.generators[name]
    if plain != name:
        flow = algebra.letter(plain)
        # The integral of exp(sG) over [0, t] is exp(tG) times that of exp(-sG).
        integral, generator = flow @ integral, generator.scaled(-1)
    return Flow(text, *(part.T if text != plain else part for part in (flow, integral, generator)))


def intertwine(algebra: Algebra, first: Flow, second: Flow, middle: Polynomial) -> Consequence:
    """G M = M H, so the integral of the first flow times M is M times that of the second."""
    premise = first.generator @ middle - middle @ second.generator
    label = f"({first.integral}) @ ({middle}) == ({middle}) @ ({second.integral})"
    pair = f"{first.text} commutes" if first.text == second.text else f"{first.text} and {second.text} intertwine"
    axiom = Axiom(label, first.integral @ middle - middle @ second.integral, (f"{pair} with {middle}",), "L-UNIQUE")
    return _consequence("intertwine", (first.text, second.text, str(middle)), [premise], [axiom])


def agree(algebra: Algebra, first: Flow, second: Flow, middle: Polynomial) -> Consequence:
    """G M = H M for generators that commute, so both integrals times M are the same."""
    g, h = first.generator, second.generator
    label = f"({first.integral}) @ ({middle}) == ({second.integral}) @ ({middle})"
    sources = (f"{first.text} and {second.text} agree on {middle}",)
    axiom = Axiom(label, first.integral @ middle - second.integral @ middle, sources, "L-UNIQUE")
    premises = [g @ middle - h @ middle, g @ h - h @ g]
    return _consequence("agree", (first.text, second.text, str(middle)), premises, [axiom])


def add_up(algebra: Algebra, first: Flow, second: Flow, total: Flow | None) -> Consequence:
    """Generators that commute and add up to a third (or to 0): the product of their flows is the third (or I)."""
    a, b = first.generator, second.generator
    rest = a + b if total is None else a + b - total.generator
    unit = Polynomial(a.shape, {(): algebra.coefficients.one}) if total is None else total.value
    name = "I" if total is None else total.text
    sources = (f"{first.text} and {second.text} have generators that commute",)
    axiom = Axiom(f"{first.text} @ {second.text} == {name}", first.value @ second.value - unit, sources, "L-UNIQUE")
    return _consequence("sum", (first.text, second.text, name), [a @ b - b @ a, rest], [axiom])


def series(algebra: Algebra, flow: Flow, middle: Polynomial, length: int) -> Consequence:
    """A power of the generator vanishes on M: there the integral is a polynomial in t.

    Raises:
        ClaimError: If the statement does not speak of t, or the series is too long.
    """
    if not algebra.timed or not 1 <= length <= LONGEST_SERIES:
        message = f"a series must have 1 to {LONGEST_SERIES} terms in a statement with t, but it has {length}. Prove it again."
        raise ClaimError(message)
    time = algebra.coefficients.read(Symbol(TIME))
    power, total = middle, Polynomial(middle.shape, {})
    factor = algebra.coefficients.one
    for index in range(length):
        factor = factor * time
        share = algebra.coefficients.constant(Fraction((-1) ** index, factorial(index + 1)))
        total = total + power.scaled(share * factor)
        power = flow.generator @ power
    label = f"({flow.integral}) @ ({middle}) == {total}"
    sources = (f"a power of the generator of {flow.text} vanishes on {middle}",)
    axiom = Axiom(label, flow.integral @ middle - total, sources, "L-UNIQUE")
    return _consequence("series", (flow.text, str(middle), str(length)), [power], [axiom])


def move_pinv(algebra: Algebra, first: str, second: str, middle: Polynomial, other: Polynomial) -> Consequence:
    """A M = N B and Aᵀ N = M Bᵀ, so A⁺ N = M B⁺; the pseudo-inverses are named as letters."""
    a, b = (algebra.pseudo_inverses[name] for name in (first, second))
    premises = [a @ middle - other @ b, a.T @ other - middle @ b.T]
    label = f"{first} @ ({other}) == ({middle}) @ {second}"
    sources = (f"{first} passes over {other}",)
    axiom = Axiom(label, algebra.letter(first) @ other - middle @ algebra.letter(second), sources, "L-PINV")
    return _consequence("pinv", (first, second, str(middle), str(other)), premises, [axiom])


def square(algebra: Algebra, *, transposed: bool) -> Consequence:
    """The square of what the claim says to be zero is zero, so it is zero itself."""
    value = algebra.goal.T if transposed else algebra.goal
    sources = ("only 0 has the square 0",)
    axiom = Axiom("the claim, by its square", algebra.goal, sources, "L-SQUARE")
    return Consequence("square", ("transposed" if transposed else "plain",), (value.T @ value,), (axiom,))


def read_consequence(algebra: Algebra, rule: str, arguments: Sequence[str]) -> Consequence:
    """A consequence from the texts of a certificate.

    Raises:
        ClaimError: If there is no such rule, or its arguments do not fit.
    """
    read, count = _RULES.get(rule, (None, 0))
    if read is None or len(arguments) != count:
        message = f"a consequence must be by one of {', '.join(_RULES)} with its arguments, but it is `{rule}` of {list(arguments)}. "
        message += "Prove it again."
        raise ClaimError(message)
    return read(algebra, *arguments)


def _read_intertwine(algebra: Algebra, first: str, second: str, middle: str) -> Consequence:
    one, two = flow_of(algebra, first), flow_of(algebra, second)
    return intertwine(algebra, one, two, read_cofactor(algebra, middle, (one.value.shape[0], two.value.shape[0])))


def _read_agree(algebra: Algebra, first: str, second: str, middle: str) -> Consequence:
    one, two = flow_of(algebra, first), flow_of(algebra, second)
    return agree(algebra, one, two, read_cofactor(algebra, middle, one.value.shape if middle == "I" else None))


def _read_sum(algebra: Algebra, first: str, second: str, total: str) -> Consequence:
    third = None if total == "I" else flow_of(algebra, total)
    return add_up(algebra, flow_of(algebra, first), flow_of(algebra, second), third)


def _read_series(algebra: Algebra, flow: str, middle: str, length: str) -> Consequence:
    read = flow_of(algebra, flow)
    value = read_cofactor(algebra, middle, read.value.shape if middle == "I" else None)
    return series(algebra, read, value, int(length) if length in map(str, range(LONGEST_SERIES + 1)) else 0)


def _read_pinv(algebra: Algebra, first: str, second: str, middle: str, other: str) -> Consequence:
    for name in (first, second):
        if name not in algebra.pseudo_inverses:
            message = f"a rule must name a pseudo-inverse of its statement, but it names `{name}`. State it there."
            raise ClaimError(message)
    a, b = (algebra.pseudo_inverses[name] for name in (first, second))
    one = read_cofactor(algebra, middle, (a.shape[1], b.shape[1]))
    return move_pinv(algebra, first, second, one, read_cofactor(algebra, other, (a.shape[0], b.shape[0])))


def _read_square(algebra: Algebra, side: str) -> Consequence:
    if algebra.about_scalars or side not in ("plain", "transposed"):
        message = f"a square must be that of a matrix claim, plain or transposed, but it is `{side}`. Prove it again."
        raise ClaimError(message)
    return square(algebra, transposed=side == "transposed")


_RULES: dict[str, tuple[Callable[..., Consequence], int]] = {
    "intertwine": (_read_intertwine, 3),
    "agree": (_read_agree, 3),
    "sum": (_read_sum, 3),
    "series": (_read_series, 3),
    "pinv": (_read_pinv, 4),
    "square": (_read_square, 1),
}


def _consequence(
    rule: str, arguments: tuple[str, ...], premises: Sequence[Polynomial], axioms: Sequence[Axiom]
) -> Consequence:
    every = tuple(item for axiom in axioms for item in with_transpose(axiom))
    return Consequence(rule, arguments, tuple(premises), every)
