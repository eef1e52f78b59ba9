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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from theory.operators.axioms import Algebra, Axiom
from theory.operators.budget import Budget, Clock
from theory.operators.certificate import Step
from theory.operators.limits import TooLargeError
from theory.operators.orders import Code, encode
from theory.operators.words import Coefficient, Polynomial, Word, product

Terms = dict[Code, Coefficient]

_TERMS_PER_STEP = 30
"""A longer cofactor would be nested too deeply to be read back."""


@dataclass(frozen=True)
class Derivation:
    """One term ``coefficient · left · equation · right`` of a derivation; equations are numbered."""

    coefficient: Coefficient
    left: Code
    equation: int
    right: Code


@dataclass
class Rule:
    """The word ``lead`` is minus the sum of the words of ``tail``; the number is that of the equation it comes from."""

    number: int
    lead: Code
    tail: Terms
    alive: bool = True


class Completion:
    """A growing set of rules for the axioms of one statement, and a matrix reduced by them.

    Args:
        algebra: Of the statement.
        axioms: Those of its axioms to use.
        goal: The matrix to reduce to zero; None if only the rules are wanted.
        words: Other words that the rules will be applied to.
        budget: Its limits on work hold here.
        clock: The ceiling on the time; `BudgetSpentError` passes through every method.
    """

    def __init__(
        self,
        algebra: Algebra,
        axioms: Sequence[Axiom],
        goal: Polynomial | None,
        words: Iterable[Word],
        budget: Budget,
        clock: Clock,
    ) -> None:
        self.budget = budget
        self.clock = clock
        self.axioms = axioms
        self.algebra = algebra
        goal = goal or Polynomial(algebra.goal.shape, {})
        self.encoding = encode([axiom.polynomial for axiom in axioms], [*goal.terms, *words])
        self.one = algebra.coefficients.one
        self._rules: list[Rule] = []
        self.history: list[list[Derivation] | None] = [None] * len(axioms)
        self.residual: Terms = self._encoded(goal)
        self.proof: list[Derivation] = []
        self.contradiction: list[Derivation] | None = None
        self.constraint: Coefficient = None
        self.completed = False
        self._queue: list[tuple[tuple[int, int, Code], int, int, int]] = []
        self._looked = 0
        self._terms = 0
        for number in sorted(range(len(axioms)), key=lambda index: self._size(axioms[index].polynomial)):
            self._add(self._encoded(axioms[number].polynomial), [Derivation(self.one, "", number, "")])

    @property
    def proved(self) -> bool:
        """Whether the claim is reduced to zero."""
        return not self.residual

    def run(self, overlaps: int, *, past_proof: bool = False) -> None:
        """Complete until the goal is reduced to zero, the rules are complete, or the work is done.

        Args:
            overlaps: How many overlaps may have been looked at in the end.
            past_proof: Go on after the goal is zero, for more rules or a contradiction between the axioms.
        """
        while self._queue and self.contradiction is None and (past_proof or not self.proved):
            if self._looked >= overlaps or self._terms > self.budget.terms:
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
                    share = product(coefficient, item.coefficient)
                    self.clock.check()
                    if share != 0:
                        put(Derivation(share, left + item.left, item.equation, item.right + right))
            if sum(len(place) for place in open_terms.values()) > self.budget.terms:
                message, unit = "a certificate", "terms"
                raise TooLargeError(message, self.budget.terms, unit)
        gathered = (self._gathered(self.axioms[number], open_terms[number]) for number in sorted(open_terms))
        return [step for steps in gathered for step in steps]

    def living_rules(self) -> list[Rule]:
        """The rules that no other rule replaced."""
        return [rule for rule in self._rules if rule.alive]

    @property
    def rules(self) -> Completion:
        """Itself, for whoever also deals with a `TraceSearch`."""
        return self

    def proof_steps(self) -> list[Step]:
        """The proof of the goal down to the axioms."""
        return self.steps(self.proof)

    def derivation_of(self, polynomial: Polynomial) -> list[Derivation] | None:
        """How the rules reduce a matrix to zero; None if they do not. Its words must be among those given at the start."""
        rest, used = self._reduce(self._encoded(polynomial))
        return None if rest else [Derivation(-step.coefficient, step.left, step.equation, step.right) for step in used]

    def show_residual(self) -> str:
        """What is left of the goal."""
        terms = {self.encoding.word(code): value for code, value in self.residual.items()}
        return str(Polynomial(self.algebra.goal.shape, terms))

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
            items = list(lefts.items())
            for start in range(0, len(items), _TERMS_PER_STEP):
                part = Polynomial(shape, dict(items[start : start + _TERMS_PER_STEP]))
                steps.append(Step(part, axiom, Polynomial((columns, end), {last: self.one})))
        return steps

    def _size(self, polynomial: Polynomial) -> tuple[int, int]:
        return max(len(word) for word in polynomial.terms), len(polynomial.terms)

    def _encoded(self, polynomial: Polynomial) -> Terms:
        return {self.encoding.code(word): value for word, value in polynomial.terms.items()}

    def _rule(self, number: int) -> Rule | None:
        rule = self._rules[number]
        return rule if rule.alive else None

    def _resolve(self, a: Rule, b: Rule, overlap: int) -> None:
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
            self.clock.check()
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
            rule = Rule(number, lead, tail)
            for old in self._rules:
                if old.alive and lead in old.lead:
                    old.alive = False
                    self._terms -= 1 + len(old.tail)
                    pending.append(({old.lead: self.one, **old.tail}, [Derivation(self.one, "", old.number, "")]))
            self._insert(rule)
            if any(lead in code for code in self.residual):
                self.residual, steps = self._reduce(self.residual)
                # The proof reads claim = Σ …, so the terms that were subtracted enter with the opposite sign.
                self.proof += [Derivation(-item.coefficient, item.left, item.equation, item.right) for item in steps]

    def _insert(self, rule: Rule) -> None:
        self._rules.append(rule)
        self._terms += 1 + len(rule.tail)
        index = len(self._rules) - 1
        for other, old in enumerate(self._rules):
            self.clock.check()
            if old.alive:
                self._enqueue(index, other)
                if other != index:
                    self._enqueue(other, index)

    def _enqueue(self, first: int, second: int) -> None:
        a, b = self._rules[first].lead, self._rules[second].lead
        if b[0] not in a:
            return
        for overlap in range(1, min(len(a), len(b))):
            if a.endswith(b[:overlap]):
                heapq.heappush(self._queue, (self.encoding.key(a + b[overlap:]), first, second, overlap))

    def _reduce(self, terms: Terms) -> tuple[Terms, list[Derivation]]:
        """The normal form, and what was added to reach it."""
        todo, done = dict(terms), {}
        used: list[Derivation] = []
        while todo:
            self.clock.check()
            code = max(todo, key=self.encoding.key)
            value = todo.pop(code)
            if value == 0:
                continue
            rule = next((rule for rule in self._rules if rule.alive and rule.lead in code), None)
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
        word, share = left + code + right, product(value, factor)
        target[word] = target[word] + share if word in target else share
