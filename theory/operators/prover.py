"""`prove`: a counterexample, a checked certificate, or an honest "undecided"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from theory.errors import ClaimError
from theory.operators.axioms import Algebra, Axiom
from theory.operators.budget import Budget, BudgetSpentError, Clock
from theory.operators.certificate import Derived, Step, TraceStep, write_certificate
from theory.operators.consequences import Consequence, square
from theory.operators.discovery import consequences, needed
from theory.operators.expressions import Equation, Shape
from theory.operators.limits import TooLargeError
from theory.operators.models import Counterexample, ModelSearch
from theory.operators.proof import Proof, recheck
from theory.operators.search import Completion
from theory.operators.statement import Statement, read_statement, source_of
from theory.operators.trace_search import TraceSearch
from theory.operators.words import Polynomial

_FIRST_MODELS = 12
"""Matrices drawn before the first attempt at a proof; fewer if so many do not satisfy the hypotheses:"""
_PATIENCE = 3
_SHORT = 100
"""Overlaps that the first attempt looks at; the only one if a counterexample is known already."""

_LONGER = 400
"""The next step, so that a search that ends soon is not kept waiting by one that does not."""

_SPENT = "the budget was spent, of time or of work"
_UNCHECKED = "a proof was found, but it is too large to be checked within the budget"
_ENDED = "the completion ended: it is not derivable from these axioms"
_TRACES = "the search for traces ended without a proof"


def prove(
    claim: str | Equation,
    shapes: Mapping[str, Shape],
    assume: Sequence[str] = (),
    scalars: Sequence[str] = (),
    flow: Mapping[str, str] | str | None = None,
    where: Mapping[str, str] | None = None,
    *,
    budget: Budget | None = None,
) -> Proof:
    """Prove or refute an equation between matrices, or between scalars made of traces, for all dimensions.

    Matrices are real, and so are scalars; t is any time from 0 on.

    Args:
        claim: The equation, as text of the claim language or as a tree.
        shapes: The shape of each matrix by dimension names; a number is a fixed size.
        assume: Hypotheses, equations in the same language; they speak about the same time t as the claim.
        scalars: The names of real scalars; ``"c > 0"`` declares a positive one.
        flow: For each name E a square G, which makes E = exp(-t G); ``"X"`` is short for ``{"E": "X @ X.T"}``.
        where: Local definitions, each over those before it.
        budget: How much work to put in.

    Raises:
        ClaimError: If the arguments are no statement, or the hypotheses contradict each other.

    Example:
        >>> prove("Y @ pinv(X) @ X @ X.T == Y @ X.T", {"X": ("d", "n"), "Y": ("q", "n")}).verdict
        'proved'
        >>> mean = "expect(tr(Z @ A @ Z.T), Z, v) == v * dim(q) * tr(A)"
        >>> prove(mean, {"A": ("d", "d"), "Z": ("q", "d")}, scalars=["v"]).verdict
        'proved'
        >>> print(prove("pinv(X) @ X == I", {"X": ("d", "n")}).counterexample)
        d = 1, n = 2
        X = [2 -2]
        left side  = [1/2 -1/2; -1/2 1/2]
        right side = [1 0; 0 1]
    """
    budget = budget or Budget()
    clock = Clock(budget.seconds)
    search = _Search(read_statement(source_of(str(claim), shapes, assume, scalars, flow, where)), budget, clock)
    try:
        proof = search.run()
    except BudgetSpentError:
        proof = search.undecided(_SPENT)
    return replace(proof, seconds=clock.seconds)


@dataclass
class _Attempt:
    """One search for a proof; of the claim itself, or of the premise of a consequence that is the claim."""

    search: Completion | TraceSearch
    square: Consequence | None = None


class _Search:
    """One claim on its way to a verdict: cheap draws and a short completion first, then more of each in turn."""

    def __init__(self, statement: Statement, budget: Budget, clock: Clock) -> None:
        self.statement = statement
        self.budget = budget
        self.clock = clock
        self.algebra = Algebra(statement)
        self.models = ModelSearch(statement, budget, clock)
        # Before the search meets more denominators: those of the statement.
        self.conditions = tuple(self.algebra.coefficients.conditions)
        self.models.conditions = self.conditions
        self.found: Counterexample | None = None
        self.attempts: list[_Attempt] = []
        self.derived: list[Derived] = []

    def run(self) -> Proof:
        """The verdict.

        Raises:
            BudgetSpentError: If the clock ran out before there was one.
        """
        short = min(self.budget.overlaps, _SHORT)
        self.found = self.models.run(_FIRST_MODELS, _PATIENCE)
        # With scalars, a counterexample may sit on special values only; a short completion then looks for a generic proof.
        if self.found is None or self.found.scalars:
            self._start()
            proof = self._attempt(short)
            if proof is not None:
                return proof
        self.found = self.found or self.models.run(self.budget.models)
        if self.found is None:
            self._refuse_trace_contradiction()
            self._widen()
            for overlaps in (short, min(self.budget.overlaps, _LONGER), self.budget.overlaps):
                proof = self._attempt(overlaps)
                if proof is not None:
                    return proof
        self.found = self.found or self.models.run(self.budget.more_models)
        if self.found is not None:
            return Proof(
                "refuted", self.statement.source.claim, counterexample=self.found, side_conditions=self.conditions
            )
        ended = all(attempt.search.rules.completed for attempt in self.attempts if attempt.square is None)
        return self.undecided(_SPENT if not ended else _TRACES if self.algebra.about_scalars else _ENDED)

    def undecided(self, reason: str) -> Proof:
        """What is left when nothing was decided."""
        plain = [attempt.search for attempt in self.attempts if attempt.square is None]
        residual = plain[-1].show_residual() if plain else "the whole claim"
        if any(attempt.search.proved for attempt in self.attempts):
            reason = _UNCHECKED
        return Proof(
            "undecided",
            self.statement.source.claim,
            side_conditions=self.conditions,
            residual=residual,
            completed=reason == _ENDED,
            reason=reason,
            model_met=self.models.satisfied or not self.statement.hypotheses,
        )

    def _start(self) -> None:
        """Searches by the axioms of the statement's own letters, then by all axioms."""
        every = list(self.algebra.axioms.values())
        basic = [axiom for axiom in every if axiom.basic]
        for axioms in [basic] if len(basic) == len(every) else [basic, every]:
            self._add(axioms, self.algebra.goal)

    def _widen(self) -> None:
        """Searches by the consequences of the axioms as well, for the claim and for its square."""
        self.derived = consequences(self.algebra, self.budget, self.clock)
        axioms = [*self.algebra.axioms.values(), *(axiom for item in self.derived for axiom in item.axioms)]
        if self.derived:
            self._add(axioms, self.algebra.goal)
        if not self.algebra.about_scalars:
            for transposed in (False, True):
                rule = square(self.algebra, transposed=transposed)
                self._add(axioms, rule.premises[0], rule)

    def _add(self, axioms: Sequence[Axiom], goal: Polynomial, rule: Consequence | None = None) -> None:
        if self.algebra.about_scalars:
            search: Completion | TraceSearch = TraceSearch(self.algebra, list(axioms), self.budget, self.clock)
        else:
            search = Completion(self.algebra, axioms, goal, (), self.budget, self.clock)
        self.attempts.append(_Attempt(search, rule))

    def _attempt(self, overlaps: int) -> Proof | None:
        """Each search in turn; later attempts go on where earlier ones stopped."""
        for attempt in self.attempts:
            attempt.search.run(overlaps if attempt.square is None else min(overlaps, _SHORT))
            self._refuse_contradiction(attempt.search.rules)
            proof = self._proof(attempt) if attempt.search.proved else None
            if proof is not None:
                return proof
        return None

    def _proof(self, attempt: _Attempt) -> Proof | None:
        """The proof that the kernel confirms; None if it is too large to be written down."""
        try:
            steps: Sequence[Step | TraceStep] = attempt.search.proof_steps()
            derived = needed(self.derived, [step.axiom for step in steps])
            self._refuse_sizes_of_zero(steps)
            if attempt.square is not None:
                matrix_steps = [step for step in steps if isinstance(step, Step)]
                derived.append(Derived(attempt.square, (matrix_steps,)))
                one = self.algebra.coefficients.one
                left, right = (Polynomial((size, size), {(): one}) for size in self.algebra.goal.shape)
                steps = [Step(left, derived[-1].axioms[0], right)]
            proof = recheck(write_certificate(self.statement.source, derived, steps, self.clock), self.clock)
        except TooLargeError:
            return None
        met = self._meet_model(attempt.search.rules, proof.side_conditions)
        # A counterexample to a proved claim must break one of its side conditions; anything else is a bug in here.
        found = self.found
        if found is not None and not any(found.breaks(condition) for condition in proof.side_conditions):
            message = f"`{proof.claim}` is proved and has a counterexample: the prover contradicts itself."
            raise RuntimeError(message)
        return replace(proof, model_met=met)

    def _meet_model(self, rules: Completion, conditions: Sequence[str]) -> bool:
        """Whether a model of the hypotheses and side conditions is met; if not, a contradiction between them is looked for.

        Raises:
            BudgetSpentError: If the clock ran out before that was settled; nothing is then called proved.
        """
        if not self.statement.hypotheses or self.models.satisfy(self.budget.models, conditions):
            return True
        for other in (rules, *(attempt.search.rules for attempt in self.attempts if attempt.square is None)):
            other.run(self.budget.overlaps, past_proof=True)
            self._refuse_contradiction(other)
        self._refuse_trace_contradiction()
        return False

    def _refuse_trace_contradiction(self) -> None:
        """Refuse hypotheses that contradict each other by their traces, as A B - B A = I does."""
        if self.models.satisfied or not self.statement.hypotheses or self.algebra.about_scalars:
            return
        letter = next(iter(self.statement.source.shapes))
        source = replace(self.statement.source, claim=f"tr({letter} @ {letter}.T) + 1 == tr({letter} @ {letter}.T)")
        inner = _Search(read_statement(source), self.budget, self.clock)
        inner._start()
        for attempt in inner.attempts:
            attempt.search.run(_SHORT)
            if attempt.search.proved:
                inner._refuse_sizes_of_zero(attempt.search.proof_steps())

    def _refuse_sizes_of_zero(self, steps: Sequence[Step | TraceStep]) -> None:
        """Refuse hypotheses by whose traces a positive number would be zero, as those of A B - B A = I."""
        value = self.algebra.goal.terms.get(())
        constant = self.algebra.about_scalars and self.algebra.goal.terms.keys() == {()}
        if constant and value is not None and self.algebra.coefficients.is_not_zero(value):
            used = dict.fromkeys(source for step in steps for source in step.axiom.sources)
            message = (
                f"assume must hold for some matrices, but {value} == 0 follows by traces from "
                f"{', '.join(f'`{text}`' for text in used)}. Remove one."
            )
            raise ClaimError(message)

    def _refuse_contradiction(self, rules: Completion) -> None:
        if rules.contradiction is None:
            return
        steps = rules.steps(rules.contradiction)
        hypotheses = {item.text for item in self.statement.hypotheses}
        guilty = dict.fromkeys(source for step in steps for source in step.axiom.sources if source in hypotheses)
        listed = ", ".join(f"`{text}`" for text in guilty)
        if self.algebra.coefficients.is_constant(rules.constraint):
            error = ClaimError(
                "assume must hold for some matrices, but its equations contradict each other: "
                f"I == 0 follows from {listed}. Remove one."
            )
        else:
            error = ClaimError(
                f"assume must leave the scalars free, but it forces {rules.constraint} == 0 by {listed}. "
                "Put the value in, and drop the scalar."
            )
        error.add_note("I = " + " + ".join(str(step) for step in steps))
        raise error
