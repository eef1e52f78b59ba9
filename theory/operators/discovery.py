"""The untrusted search for consequences: which rules of `consequences` have premises that the axioms prove."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from theory.operators.axioms import Algebra, Axiom
from theory.operators.budget import Budget, Clock
from theory.operators.certificate import Derived
from theory.operators.consequences import Consequence, add_up, agree, flow_of, intertwine, move_pinv, series
from theory.operators.search import Completion
from theory.operators.words import Polynomial, transpose

_OVERLAPS = 60
"""Overlaps that the completion looks at before the premises are reduced."""
_ROUNDS = 2
"""A conclusion may be what the premise of another needs."""
_SERIES = 5
"""The longest series that is tried."""


def consequences(algebra: Algebra, budget: Budget, clock: Clock) -> list[Derived]:
    """Consequences that the axioms do not give by themselves, each provable from those before it.

    Raises:
        BudgetSpentError: If the clock ran out.
    """
    candidates = list(_candidates(algebra))
    found: list[Derived] = []
    for _ in range(_ROUNDS if candidates else 0):
        axioms = [*algebra.axioms.values(), *(axiom for item in found for axiom in item.axioms)]
        new, candidates = _provable(algebra, axioms, candidates, budget, clock)
        found += new
        if not new:
            break
    return found


def needed(derived: Sequence[Derived], axioms: Iterable[Axiom]) -> list[Derived]:
    """Those whose conclusions are among the axioms, and those that their premises need."""
    names = {axiom.name for axiom in axioms}
    kept = []
    for item in reversed(derived):
        if any(axiom.name in names for axiom in item.axioms):
            kept.append(item)
            names |= {step.axiom.name for proof in item.proofs for step in proof}
    return kept[::-1]


def _provable(
    algebra: Algebra, axioms: Sequence[Axiom], candidates: Sequence[Consequence], budget: Budget, clock: Clock
) -> tuple[list[Derived], list[Consequence]]:
    """The candidates whose premises reduce to zero by the rules and whose conclusion does not, and the others."""
    pieces = [(*item.premises, item.axioms[0].polynomial) for item in candidates]
    words = [word for polynomials in pieces for polynomial in polynomials for word in polynomial.terms]
    rules = Completion(algebra, axioms, None, words, budget, clock)
    rules.run(min(_OVERLAPS, budget.overlaps), past_proof=True)
    new, rest = [], []
    for item in candidates:
        proofs = [rules.derivation_of(premise) for premise in item.premises]
        if any(proof is None for proof in proofs):
            rest.append(item)
        elif rules.derivation_of(item.axioms[0].polynomial) is None:
            new.append(Derived(item, tuple(rules.steps(proof) for proof in proofs if proof is not None)))
    return new, rest


def _candidates(algebra: Algebra) -> Iterator[Consequence]:
    plain = [flow_of(algebra, text) for name in algebra.generators for text in (name, f"{name}.T")]
    inverted = [flow_of(algebra, text) for name in algebra.generators for text in (f"pinv({name})", f"pinv({name}).T")]
    flows, middles = [*plain, *inverted], list(_middles(algebra))
    seen: set[str] = set()
    for first, second in itertools.product(plain, flows):
        shape = first.value.shape[0], second.value.shape[0]
        for middle in middles:
            if middle.shape == shape:
                found = intertwine(algebra, first, second, middle)
                # The transposed equation is another candidate's.
                if not any(str(axiom.polynomial) in seen for axiom in found.axioms):
                    yield found
                seen |= {str(axiom.polynomial) for axiom in found.axioms}
    for first, second in itertools.combinations(plain, 2):
        if first.value.shape == second.value.shape:
            yield from (agree(algebra, first, second, m) for m in middles if m.shape[0] == first.value.shape[0])
    for first, second in itertools.product(plain, plain):
        if first.value.shape == second.value.shape:
            totals = [None, *(flow for flow in plain if flow.value.shape == first.value.shape)]
            yield from (add_up(algebra, first, second, total) for total in totals)
    if algebra.timed:
        for flow, middle in itertools.product(plain, middles):
            if middle.shape[0] == flow.value.shape[0]:
                yield from (series(algebra, flow, middle, length) for length in range(1, _SERIES + 1))
    inverses = list(algebra.pseudo_inverses.items())
    for (one, a), (two, b) in itertools.product(inverses, inverses):
        for middle in middles if a.shape[0] == a.shape[1] and b.shape[0] == b.shape[1] else ():
            if middle.shape == (a.shape[0], b.shape[0]):
                yield move_pinv(algebra, one, two, middle, middle)


def _middles(algebra: Algebra) -> Iterator[Polynomial]:
    """What may stand between two flows: I, the letters of the statement, their transposes, square words, and I - A A⁺."""
    one = algebra.coefficients.one
    polynomials = [algebra.goal] if not algebra.about_scalars else []
    polynomials += [*algebra.generators.values(), *(polynomial for _, polynomial in algebra.hypotheses)]
    words = [*algebra.traces.words.values(), *(word for polynomial in polynomials for word in polynomial.terms)]
    factors = dict.fromkeys(factor for word in words for factor in (*word, *transpose(word)))
    sizes = dict.fromkeys(size for factor in factors for size in algebra.factor_shape(factor))
    yield from (Polynomial((size, size), {(): one}) for size in sizes)
    yield from (Polynomial(algebra.factor_shape(factor), {(factor,): one}) for factor in factors)
    pairs = dict.fromkeys(word[i : i + 2] for word in words for i in range(len(word) - 1))
    for first, second in pairs:
        rows, columns = algebra.factor_shape(first)[0], algebra.factor_shape(second)[1]
        if rows == columns:
            yield Polynomial((rows, columns), {(first, second): one})
    stated = {factor.name for factor in factors}
    for name, inner in algebra.pseudo_inverses.items():
        if name in stated:
            projector = inner @ algebra.letter(name)
            yield Polynomial(projector.shape, {(): one}) - projector
