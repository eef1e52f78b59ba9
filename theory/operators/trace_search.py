r"""The untrusted search for claims about traces.

The rules of the completion hold inside a trace: if ``lead → tail`` is a rule and the cyclic word ``lead · rest`` occurs,
then :math:`\operatorname{tr}(\text{rest} \cdot \text{lead}) = \operatorname{tr}(\text{rest} \cdot \text{tail})`. Every such
equation that can be reached from the claim is collected; no rewriting makes a word heavier, so they are finitely many.
Whether the claim is a combination of them is then a question of linear algebra over ℚ(scalars).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from theory.operators.axioms import Algebra, Axiom
from theory.operators.budget import Budget, Clock
from theory.operators.certificate import TraceStep
from theory.operators.search import Completion, Derivation
from theory.operators.traces import SCALAR, rotations, show_scalar
from theory.operators.words import Coefficient, Factor, Polynomial, Word, product, transpose

_ROUNDS = (0, 8, 32, 128, 512)
"""Overlaps that the completion looks at before each attempt; the last attempt has the whole budget."""
_PRODUCTS = 2_000
"""Products of traces that one attempt may meet."""
_TERMS_PER_STEP = 30


@dataclass(frozen=True)
class _Relation:
    """``factor · tr(left · equation) = 0``; the equation is numbered as in the rules."""

    factor: Word
    left: str
    equation: int
    value: Polynomial


Combination: TypeAlias = dict[int, Coefficient]
"""How often each relation is taken."""

_Pivot: TypeAlias = tuple[Polynomial, Combination]
"""A relation with coefficient 1 at its greatest product, and what it is made of."""


class TraceSearch:
    """The search for one claim.

    Attributes:
        rules: The rules.
        residual: What is left of the claim after the last attempt.
        proof: The relations that add up to the claim, once they are found.
    """

    def __init__(self, algebra: Algebra, axioms: list[Axiom], budget: Budget, clock: Clock) -> None:
        self.algebra = algebra
        self.budget = budget
        self.clock = clock
        words = [algebra.traces.words[factor.name] for monomial in algebra.goal.terms for factor in monomial]
        self.rules = Completion(algebra, axioms, None, words, budget, clock)
        self.residual = algebra.goal
        self.proof: Combination | None = None
        self._relations: list[_Relation] = []
        self._of_product: dict[Word, list[int]] = {}

    @property
    def proved(self) -> bool:
        """Whether the claim is a combination of the relations."""
        return self.proof is not None

    def run(self, overlaps: int) -> None:
        """Attempts with more and more rules, until one succeeds or there are no more."""
        for count in [*(count for count in _ROUNDS if count < overlaps), overlaps]:
            self.rules.run(count, past_proof=True)
            self._attempt()
            if self.proved or self.rules.completed or self.rules.contradiction is not None:
                return

    def show_residual(self) -> str:
        """What is left of the claim."""
        return show_scalar(self.residual)

    def proof_steps(self) -> list[TraceStep]:
        """The proof down to the axioms, with what is to the right of an axiom turned to its left."""
        gathered: dict[tuple[Word, str], tuple[Axiom, dict[Word, Coefficient]]] = {}
        for number, value in (self.proof or {}).items():
            relation = self._relations[number]
            for step in self.rules.steps([Derivation(value, relation.left, relation.equation, "")]):
                _, lefts = gathered.setdefault((relation.factor, step.axiom.name), (step.axiom, {}))
                self.clock.check()
                for left, a in step.left.terms.items():
                    for right, b in step.right.terms.items():
                        lefts[right + left] = lefts.get(right + left, 0) + a * b
        steps: list[TraceStep] = []
        for (monomial, _), (axiom, lefts) in gathered.items():
            multiple = Polynomial(SCALAR, {monomial: self.rules.one})
            items = [(word, value) for word, value in lefts.items() if value != 0]
            rows, columns = axiom.polynomial.shape
            for start in range(0, len(items), _TERMS_PER_STEP):
                part = Polynomial((columns, rows), dict(items[start : start + _TERMS_PER_STEP]))
                steps.append(TraceStep(multiple, part, axiom))
        return steps

    def _attempt(self) -> None:
        """Rewrite the claim product by product; if that leaves something, solve for it among all relations."""
        self._relations, self._of_product = [], {}
        self._settle(*self._reduced(self.algebra.goal, self._rewriting))
        if not self.proved:
            pivots = self._eliminated()
            self._settle(*self._reduced(self.algebra.goal, pivots.get))

    def _settle(self, residual: Polynomial, used: Combination) -> None:
        self.residual = residual
        if not residual.terms:
            self.proof = {index: count for index, count in used.items() if count != 0}

    def _rewriting(self, lead: Word) -> _Pivot | None:
        """A relation whose greatest product is this one."""
        for number in self._numbers(lead):
            value = self._relations[number].value
            if max(value.terms, key=self._key) == lead:
                scale = self.rules.one / value.terms[lead]
                return value.scaled(scale), {number: scale}
        return None

    def _eliminated(self) -> dict[Word, _Pivot]:
        """All relations that can be reached, in triangular form: by greatest product."""
        pivots: dict[Word, _Pivot] = {}
        for number in self._reachable():
            value, used = self._reduced(self._relations[number].value, pivots.get)
            if value.terms:
                lead = max(value.terms, key=self._key)
                scale = self.rules.one / value.terms[lead]
                parts = {index: -product(count, scale) for index, count in used.items()}
                parts[number] = parts.get(number, 0) + scale
                pivots[lead] = value.scaled(scale), parts
        return pivots

    def _reduced(self, value: Polynomial, pivot: Callable[[Word], _Pivot | None]) -> tuple[Polynomial, Combination]:
        """The value without the greatest products of relations, and the combination that was subtracted."""
        used: Combination = {}
        kept: dict[Word, Coefficient] = {}
        while value.terms:
            self.clock.check()
            lead = max(value.terms, key=self._key)
            count = value.terms[lead]
            found = pivot(lead)
            if found is None:
                kept[lead] = count
                value = value - Polynomial(SCALAR, {lead: count})
                continue
            value = value - found[0].scaled(count)
            for index, share in found[1].items():
                used[index] = used.get(index, 0) + product(count, share)
        return Polynomial(SCALAR, kept), used

    def _reachable(self) -> Iterator[int]:
        """The relations of the products of the claim and of the rules, of the products in those, and so on."""
        todo = [*self.algebra.goal.terms, *self._leads()]
        seen = set(todo)
        while todo and len(seen) <= _PRODUCTS:
            for number in self._numbers(todo.pop()):
                yield number
                words = self._relations[number].value.terms.keys()
                todo += [word for word in words if word not in seen]
                seen |= words

    def _leads(self) -> list[Word]:
        """The traces of the square leads: a detour over a greater word may join two smaller ones."""
        shape, traces = self.algebra.factor_shape, self.algebra.traces
        words = [self.rules.encoding.word(rule.lead) for rule in self.rules.living_rules()]
        square = [word for word in words if word and shape(word[0])[0] == shape(word[-1])[1]]
        return [lead for word in square for lead in traces.of_word(word, 0).terms]

    def _numbers(self, monomial: Word) -> list[int]:
        """The relations that rewrite one trace of a product of traces."""
        if monomial not in self._of_product:
            self._of_product[monomial] = []
            for factor in dict.fromkeys(monomial):
                rest = list(monomial)
                rest.remove(factor)
                for relation in self._of_word(self.algebra.traces.words[factor.name], tuple(rest)):
                    self._of_product[monomial].append(len(self._relations))
                    self._relations.append(relation)
        return self._of_product[monomial]

    def _of_word(self, word: Word, factor: Word) -> Iterator[_Relation]:
        traces, rules = self.algebra.traces, self.rules
        others = Polynomial(SCALAR, {factor: rules.one})
        for turned in dict.fromkeys((*rotations(word), *rotations(transpose(word)))):
            code = rules.encoding.code(turned)
            for rule in rules.living_rules():
                self.clock.check()
                if not code.startswith(rule.lead):
                    continue
                rest = code[len(rule.lead) :]
                terms = {rule.lead: rules.one, **rule.tail}
                size = self.algebra.factor_shape(turned[len(rule.lead)] if rest else turned[0])[0]
                words = {rules.encoding.word(rest + part): value for part, value in terms.items()}
                value = traces.times(others, traces.of(Polynomial((size, size), words)))
                if value.terms:
                    yield _Relation(factor, rest, rule.number, value)

    def _key(self, monomial: Word) -> tuple[int, int, tuple[Factor, ...]]:
        encoding = self.rules.encoding
        keys = [encoding.key(encoding.code(self.algebra.traces.words[factor.name])) for factor in monomial]
        return sum(key[0] for key in keys), sum(key[1] for key in keys), monomial
