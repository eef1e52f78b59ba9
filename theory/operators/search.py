r"""The untrusted search: noncommutative completion (Knuth–Bendix, Buchberger) that remembers where a rule came from.

Every axiom becomes a rule that rewrites its greatest word into smaller ones. Two rules whose greatest words overlap
give a new equation; it is reduced by the rules known so far and, unless it vanishes, becomes a rule. The claim is
proved when the rules reduce it to zero. Each equation records its derivation, from which the cofactors are multiplied
out at the end.

Source:
    T. Mora, "An introduction to commutative and noncommutative Gröbner bases", Theoret. Comput. Sci. 134 (1994);
    C. Hofstadler, C. G. Raab, G. Regensburger, "Certifying operator identities via noncommutative Gröbner bases",
    ACM Commun. Comput. Algebra 53 (2019).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from theory.operators.axioms import Algebra, Axiom
from theory.operators.budget import Budget
from theory.operators.certificate import Step
from theory.operators.orders import Code, encode
from theory.operators.words import Coefficient, Polynomial, Word

Terms = dict[Code, Coefficient]


@dataclass(frozen=True)
class Derivation:
    """One term ``coefficient · left · equation · right`` of a derivation; equations are numbered."""

    coefficient: Coefficient
    left: Code
    equation: int
    right: Code


@dataclass
class _Rule:
    number: int
    lead: Code
    tail: Terms
    alive: bool = True


class Completion:
    """A growing set of rules for the axioms of one statement, and the claim reduced by them."""

    def __init__(self, algebra: Algebra, axioms: Sequence[Axiom], budget: Budget) -> None:
        self.budget = budget
        self.axioms = axioms
        self.algebra = algebra
        self.encoding = encode([axiom.polynomial for axiom in axioms], algebra.goal)
        self.one = algebra.coefficients.one
        self.rules: list[_Rule] = []
        self.history: list[list[Derivation] | None] = [None] * len(axioms)
        self.residual: Terms = self._encoded(algebra.goal)
        self.proof: list[Derivation] = []
        self.contradiction: list[Derivation] | None = None
        self.constraint: Coefficient = None
        self.completed = False
        self._queue: list[tuple[tuple[int, int, Code], int, int, int]] = []
        self._looked = 0
        self._terms = 0
        self._deadline = time.monotonic() + budget.seconds
        for number in sorted(range(len(axioms)), key=lambda index: self._size(axioms[index].polynomial)):
            self._add(self._encoded(axioms[number].polynomial), [Derivation(self.one, "", number, "")])

    @property
    def proved(self) -> bool:
        """Whether the claim is reduced to zero."""
        return not self.residual

    def run(self, *, past_proof: bool = False) -> None:
        """Complete until the claim is proved, the rules are complete, or the budget is spent.

        Args:
            past_proof: Go on after the claim is proved, in search of a contradiction between the axioms.
        """
        while self._queue and self.contradiction is None and (past_proof or not self.proved):
            spent = self._looked >= self.budget.overlaps or self._terms > self.budget.terms
            if spent or time.monotonic() > self._deadline:
                return
            _, first, second, overlap = heapq.heappop(self._queue)
            a, b = self._rule(first), self._rule(second)
            if a is not None and b is not None:
                self._looked += 1
                self._resolve(a, b, overlap)
        self.completed = not self._queue

    def steps(self, derivation: Iterable[Derivation]) -> list[Step]:
        """A derivation multiplied out down to the axioms, with the left factors of equal right sides gathered."""
        open_terms: dict[int, dict[tuple[Code, Code], Coefficient]] = {}

        def put(item: Derivation) -> None:
            place = open_terms.setdefault(item.equation, {})
            key = item.left, item.right
            place[key] = place[key] + item.coefficient if key in place else item.coefficient

        for item in derivation:
            put(item)
        # An equation is derived from earlier ones only, so the latest can always be replaced first.
        while (latest := max(open_terms, default=-1)) >= len(self.axioms):
            for (left, right), coefficient in open_terms.pop(latest).items():
                for item in self.history[latest] or ():
                    product = coefficient * item.coefficient
                    if product != 0:
                        put(Derivation(product, left + item.left, item.equation, item.right + right))
        gathered = (self._gathered(self.axioms[number], open_terms[number]) for number in sorted(open_terms))
        return [step for steps in gathered for step in steps]

    def residual_polynomial(self) -> Polynomial:
        """What is left of the claim."""
        return Polynomial(
            self.algebra.goal.shape, {self.encoding.word(code): value for code, value in self.residual.items()}
        )

    def _gathered(self, axiom: Axiom, terms: Mapping[tuple[Code, Code], Coefficient]) -> list[Step]:
        by_right: dict[Code, dict[Word, Coefficient]] = {}
        for (left, right), coefficient in terms.items():
            if coefficient != 0:
                by_right.setdefault(right, {})[self.encoding.word(left)] = coefficient
        rows, columns = axiom.polynomial.shape
        steps = []
        for right, lefts in by_right.items():
            last, first = self.encoding.word(right), next(iter(lefts))
            shape = self.algebra.factor_shape(first[0])[0] if first else rows, rows
            end = self.algebra.factor_shape(last[-1])[1] if last else columns
            steps.append(Step(Polynomial(shape, lefts), axiom, Polynomial((columns, end), {last: self.one})))
        return steps

    def _size(self, polynomial: Polynomial) -> tuple[int, int]:
        return max(len(word) for word in polynomial.terms), len(polynomial.terms)

    def _encoded(self, polynomial: Polynomial) -> Terms:
        return {self.encoding.code(word): value for word, value in polynomial.terms.items()}

    def _rule(self, number: int) -> _Rule | None:
        rule = self.rules[number]
        return rule if rule.alive else None

    def _resolve(self, a: _Rule, b: _Rule, overlap: int) -> None:
        """The two ways to rewrite a word that begins with a's lead and ends with b's."""
        right, left = b.lead[overlap:], a.lead[: len(a.lead) - overlap]
        terms: Terms = {}
        # The words a.lead·right = left·b.lead cancel: the equations differ by the difference of their tails.
        _accumulate(terms, a.tail, self.one, "", right)
        _accumulate(terms, b.tail, -self.one, left, "")
        self._add(terms, [Derivation(self.one, "", a.number, right), Derivation(-self.one, left, b.number, "")])

    def _add(self, terms: Terms, derivation: list[Derivation]) -> None:
        pending = [(terms, derivation)]
        while pending:
            terms, derivation = pending.pop()
            reduced, used = self._reduce(terms)
            if not reduced:
                continue
            lead = max(reduced, key=self.encoding.key)
            scale = self.one / reduced[lead]
            derivation = [
                Derivation(item.coefficient * scale, item.left, item.equation, item.right)
                for item in [*derivation, *used]
            ]
            self.history.append(derivation)
            number = len(self.history) - 1
            if not lead:
                self.contradiction, self.constraint = derivation, reduced[lead]
                return
            tail = {code: value * scale for code, value in reduced.items() if code != lead}
            rule = _Rule(number, lead, tail)
            for old in self.rules:
                if old.alive and lead in old.lead:
                    old.alive = False
                    self._terms -= 1 + len(old.tail)
                    pending.append(({old.lead: self.one, **old.tail}, [Derivation(self.one, "", old.number, "")]))
            self._insert(rule)
            if any(lead in code for code in self.residual):
                self.residual, steps = self._reduce(self.residual)
                # The proof reads claim = Σ …, so the terms that were subtracted enter with the opposite sign.
                self.proof += [Derivation(-item.coefficient, item.left, item.equation, item.right) for item in steps]

    def _insert(self, rule: _Rule) -> None:
        self.rules.append(rule)
        self._terms += 1 + len(rule.tail)
        index = len(self.rules) - 1
        for other, old in enumerate(self.rules):
            if old.alive:
                self._enqueue(index, other)
                if other != index:
                    self._enqueue(other, index)

    def _enqueue(self, first: int, second: int) -> None:
        a, b = self.rules[first].lead, self.rules[second].lead
        for overlap in range(1, min(len(a), len(b))):
            if a.endswith(b[:overlap]):
                heapq.heappush(self._queue, (self.encoding.key(a + b[overlap:]), first, second, overlap))

    def _reduce(self, terms: Terms) -> tuple[Terms, list[Derivation]]:
        """The normal form, and what was added to reach it."""
        todo, done = dict(terms), {}
        used: list[Derivation] = []
        while todo:
            code = max(todo, key=self.encoding.key)
            value = todo.pop(code)
            if value == 0:
                continue
            rule = next((rule for rule in self.rules if rule.alive and rule.lead in code), None)
            if rule is None:
                done[code] = value
                continue
            place = code.index(rule.lead)
            left, right = code[:place], code[place + len(rule.lead) :]
            _accumulate(todo, rule.tail, -value, left, right)
            used.append(Derivation(-value, left, rule.number, right))
        return done, used


def _accumulate(target: Terms, terms: Terms, factor: Coefficient, left: Code, right: Code) -> None:
    for code, value in terms.items():
        word = left + code + right
        target[word] = target[word] + value * factor if word in target else value * factor
