"""`prove`: a counterexample, a checked certificate, or an honest "undecided"."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from theory.errors import ClaimError
from theory.operators.axioms import Algebra, Axiom
from theory.operators.budget import Budget
from theory.operators.certificate import Step, read_certificate, write_certificate
from theory.operators.expressions import (
    Derivative,
    Equation,
    Expression,
    Integral,
    Letter,
    Limit,
    Pinv,
    Shape,
    walk,
)
from theory.operators.kernel import expands_to
from theory.operators.models import Counterexample, ModelSearch
from theory.operators.search import Completion
from theory.operators.statement import Source, Statement, read_statement, texts

Verdict: TypeAlias = Literal["proved", "refuted", "undecided"]

_SHORT = 100
"""Overlaps looked at when a counterexample is already known."""


@dataclass(frozen=True)
class Proof:
    """What is known about a claim.

    Attributes:
        verdict: ``proved`` (the kernel re-checked the certificate from its text, and the claim holds wherever the
            side conditions do), ``refuted`` or ``undecided``.
        claim: The claim as text.
        certificate: The proof as JSON text.
        counterexample: Exact matrices that break the claim.
        used: The hypotheses and defining equations that the proof uses.
        side_conditions: What must not be zero, for the statement and its proof to have a meaning.
        lemmas: Names from `LEMMAS`.
        residual: What is left of the claim when it is undecided.
        completed: For an undecided claim: true if the search ended, so that the claim does not follow from these
            axioms; false if the budget was spent.
        seconds: The time it took.
    """

    verdict: Verdict
    claim: str
    certificate: str | None = None
    counterexample: Counterexample | None = None
    used: tuple[str, ...] = ()
    side_conditions: tuple[str, ...] = ()
    lemmas: tuple[str, ...] = ()
    residual: str | None = None
    completed: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.claim}"]
        if self.counterexample is not None:
            lines += str(self.counterexample).splitlines()
        for name, items in (("uses", self.used), ("provided", self.side_conditions), ("modulo", self.lemmas)):
            if items:
                lines.append(f"{name}: {', '.join(items)}")
        if self.residual is not None:
            reason = "it does not follow from these axioms" if self.completed else "the budget was spent"
            lines.append(f"left over ({reason}): {self.residual}")
        return "\n  ".join(lines)


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
    """Prove or refute an equation between matrices, for all dimensions.

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
        >>> print(prove("pinv(X) @ X == I", {"X": ("d", "n")}).counterexample)
        d = 1, n = 2
        X = [0 2]
        left side  = [0 0; 0 1]
        right side = [1 0; 0 1]
    """
    begin = time.perf_counter()
    budget = budget or Budget()
    flows = {"E": f"{flow} @ {flow}.T"} if isinstance(flow, str) else dict(flow or {})
    source = Source(str(claim), shapes, texts(assume, "assume"), texts(scalars, "scalars"), flows, dict(where or {}))
    statement = read_statement(source)
    algebra = Algebra(statement)

    models = ModelSearch(statement, budget)
    conditions = tuple(algebra.coefficients.nonzero)
    found = models.run(budget.models)
    if found is not None and not found.scalars:
        return _timed(Proof("refuted", source.claim, counterexample=found, side_conditions=conditions), begin)
    # With scalars, a counterexample may sit on special values only; a short search then looks for a generic proof.
    work = budget if found is None else replace(budget, overlaps=min(budget.overlaps, _SHORT))
    completion = _complete(algebra, work, consistent=models.satisfied)
    if completion.proved:
        proof = recheck(write_certificate(source, completion.steps(completion.proof)))
        if found is not None:
            _require_special_values(found, proof)
        return _timed(proof, begin)
    found = found or models.run(budget.more_models)
    if found is not None:
        return _timed(Proof("refuted", source.claim, counterexample=found, side_conditions=conditions), begin)
    residual = str(completion.residual_polynomial())
    return _timed(
        Proof("undecided", source.claim, side_conditions=conditions, residual=residual, completed=completion.completed),
        begin,
    )


def recheck(certificate: str) -> Proof:
    """The proof that a stored certificate holds, by the kernel alone.

    Raises:
        ClaimError: If the certificate cannot be read, or does not add up to its claim.

    Example:
        >>> text = prove("(X @ pinv(X)).T == X @ pinv(X)", {"X": ("d", "n")}).certificate
        >>> recheck(text).used
        ('Penrose equations of pinv(X)',)
    """
    read = read_certificate(certificate)
    statement = read.algebra.statement
    if not expands_to(read.algebra.goal, read.steps):
        message = f"certificate must add up to its claim `{statement.source.claim}`, but it does not. Prove it again."
        raise ClaimError(message)
    axioms = [step.axiom for step in read.steps]
    used = dict.fromkeys([*_rates_used(statement), *(source for axiom in axioms for source in axiom.sources)])
    return Proof(
        "proved",
        statement.source.claim,
        certificate=certificate,
        used=tuple(used),
        side_conditions=tuple(read.algebra.coefficients.nonzero),
        lemmas=_lemmas(statement, axioms),
    )


def _require_special_values(found: Counterexample, proof: Proof) -> None:
    """A counterexample to a proved claim must break one of its side conditions; anything else is a bug in here."""
    if not any(found.breaks(condition) for condition in proof.side_conditions):
        message = f"`{proof.claim}` is proved and has a counterexample: the prover contradicts itself."
        raise RuntimeError(message)


def _complete(algebra: Algebra, budget: Budget, *, consistent: bool) -> Completion:
    """Try the axioms of the statement's own letters first, then all."""
    every = list(algebra.axioms.values())
    basic = [axiom for axiom in every if axiom.basic]
    for axioms in [basic] if len(basic) == len(every) else [basic, every]:
        completion = Completion(algebra, axioms, budget)
        completion.run()
        if completion.proved and not consistent and algebra.statement.hypotheses:
            completion.run(past_proof=True)
        _refuse_contradiction(algebra, completion)
        if completion.proved:
            break
    return completion


def _refuse_contradiction(algebra: Algebra, completion: Completion) -> None:
    if completion.contradiction is None:
        return
    steps = completion.steps(completion.contradiction)
    hypotheses = {item.text for item in algebra.statement.hypotheses}
    guilty = dict.fromkeys(source for step in steps for source in step.axiom.sources if source in hypotheses)
    listed = ", ".join(f"`{text}`" for text in guilty)
    if algebra.coefficients.is_constant(completion.constraint):
        error = ClaimError(
            "assume must hold for some matrices, but its equations contradict each other: "
            f"I == 0 follows from {listed}. Remove one."
        )
    else:
        error = ClaimError(
            f"assume must leave the scalars free, but it forces {completion.constraint} == 0 by {listed}. "
            "Put the value in, and drop the scalar."
        )
    error.add_note("I = " + _derivation(steps))
    raise error


def _derivation(steps: Iterable[Step]) -> str:
    return " + ".join(str(step) for step in steps)


def _rates_used(statement: Statement) -> list[str]:
    """The hypotheses ``d(W) == ...`` by which a derivative in the claim was carried out."""
    derivatives = [part for part in _parts(statement.stated) if isinstance(part, Derivative)]
    names = {part.name for tree in derivatives for part in walk(tree) if isinstance(part, Letter)}
    return [text for name, text in statement.rates.items() if name in names]


def _lemmas(statement: Statement, axioms: Sequence[Axiom]) -> tuple[str, ...]:
    """The lemmas behind the axioms used, and those without which the claim would have no meaning."""
    names = {axiom.lemma for axiom in axioms if axiom.lemma}
    claim = statement.claim
    if any(isinstance(part, Pinv) for part in _parts(claim)):
        names.add("L-PINV")
    flows = statement.dynamics.generators
    stated = _parts(statement.stated)
    if any(isinstance(part, Integral) or (isinstance(part, Letter) and part.name in flows) for part in stated):
        names.add("L-EXP")
    if any(isinstance(part, Limit) for part in stated):
        names.add("L-LIMIT")
    return tuple(sorted(names))


def _parts(equation: Equation) -> list[Expression]:
    return [*walk(equation.left), *walk(equation.right)]


def _timed(proof: Proof, begin: float) -> Proof:
    return replace(proof, seconds=time.perf_counter() - begin)
