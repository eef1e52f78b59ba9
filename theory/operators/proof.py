"""What is known about a claim, and how a stored certificate becomes a proof again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from theory.errors import ClaimError
from theory.notebook import proof_listing
from theory.operators.axioms import Axiom
from theory.operators.budget import Clock
from theory.operators.certificate import read_certificate
from theory.operators.expressions import Derivative, Equation, Expression, Integral, Letter, Limit, Pinv, children, walk
from theory.operators.functionals import Ruled, ScalarEquation, expectations, walk_scalar
from theory.operators.kernel import adds_up
from theory.operators.models import Counterexample
from theory.operators.scalars import matrices_in
from theory.operators.statement import Statement

Verdict: TypeAlias = Literal["proved", "refuted", "undecided"]


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
        side_conditions: What must hold (a denominator is not zero, a variance not negative) for the statement and its proof to
            have a meaning.
        lemmas: Names from `LEMMAS`.
        residual: What is left of the claim when it is undecided.
        completed: For an undecided claim: true if the completion ended, so that the claim is not derivable from these
            axioms; false if the budget was spent, or for traces, where the end of the search says less.
        seconds: The time it took.
        reason: Why an undecided claim is undecided.
        model_met: False if no matrices that satisfy the hypotheses were met: the claim may then speak of nothing.
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
    reason: str = ""
    model_met: bool = True

    def _repr_html_(self) -> str:
        return proof_listing(self)

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.claim}"]
        if self.counterexample is not None:
            lines += str(self.counterexample).splitlines()
        for name, items in (("uses", self.used), ("provided", self.side_conditions), ("modulo", self.lemmas)):
            if items:
                lines.append(f"{name}: {', '.join(items)}")
        if not self.model_met:
            lines.append("caution: no matrices that satisfy the hypotheses were met")
        if self.residual is not None:
            lines.append(f"left over ({self.reason}): {self.residual}")
        return "\n  ".join(lines)


def recheck(certificate: str, clock: Clock | None = None) -> Proof:
    """The proof that a stored certificate holds, by the kernel alone.

    Args:
        certificate: Its text.
        clock: A ceiling on the time.

    Raises:
        BudgetSpentError: If the clock ran out.
        ClaimError: If the certificate cannot be read, or does not add up to its claim.

    Example:
        >>> from theory.operators import prove
        >>> text = prove("(X @ pinv(X)).T == X @ pinv(X)", {"X": ("d", "n")}).certificate
        >>> recheck(text).used
        ('Penrose equations of pinv(X)',)
    """
    read = read_certificate(certificate, clock)
    statement = read.algebra.statement
    if not adds_up(read, clock):
        message = f"certificate must add up to its claim `{statement.source.claim}`, but it does not. Prove it again."
        raise ClaimError(message)
    proofs = [read.steps, *(proof for item in read.derived for proof in item.proofs)]
    axioms = [step.axiom for steps in proofs for step in steps]
    used = dict.fromkeys([*_rates_used(statement), *(source for axiom in axioms for source in axiom.sources)])
    lemmas = _lemmas(statement, axioms, used)
    used |= read.algebra.coefficients.relied
    if "L-LIMIT" in lemmas:
        generators = read.algebra.generators.values()
        values = [value for generator in generators for value in generator.terms.values()]
        used |= dict.fromkeys(name for value in values for name in read.algebra.coefficients.declared(value))
    return Proof(
        "proved",
        statement.source.claim,
        certificate=certificate,
        used=tuple(used),
        side_conditions=tuple(read.algebra.coefficients.conditions),
        lemmas=lemmas,
    )


def _rates_used(statement: Statement) -> list[str]:
    """The hypotheses ``d(W) == ...`` by which a derivative in the claim was carried out."""
    derivatives = [part for part in _parts(statement.stated) if isinstance(part, Derivative)]
    derivatives += [matrix for part in _ruled(statement.stated, "d") for matrix in matrices_in(part)]
    names = _letters(derivatives)
    # A derivative of a derivative also takes the rates of what stands in the first rate.
    orders = [_order(tree) for tree in derivatives]
    orders += [_scalar_order(part) for part in _ruled(statement.stated, "d")]
    for _ in range(max(orders, default=0) - 1):
        names |= _letters([statement.dynamics.rates[name] for name in names & statement.rates.keys()])
    return [text for name, text in statement.rates.items() if name in names]


def _lemmas(statement: Statement, axioms: Sequence[Axiom], used: Collection[str]) -> tuple[str, ...]:
    """The lemmas behind the axioms used, and those without which the claim would have no meaning."""
    names = {axiom.lemma for axiom in axioms if axiom.lemma}
    claim = statement.claim
    if any(isinstance(part, Pinv) for part in _parts(claim)):
        names.add("L-PINV")
    flows = statement.dynamics.generators
    rates = {text: statement.dynamics.rates[name] for name, text in statement.rates.items()}
    stated = [*_parts(statement.stated), *(part for text in _rates_used(statement) for part in walk(rates[text]))]
    stated += [part for item in statement.hypotheses if item.text in used for part in _parts(item.stated)]
    if any(isinstance(part, Integral) or (isinstance(part, Letter) and part.name in flows) for part in stated):
        names.add("L-EXP")
    if any(isinstance(part, Limit) for part in stated) or _ruled(statement.stated, "limit"):
        names.add("L-LIMIT")
    if expectations(claim):
        names.add("L-WICK")
    return tuple(sorted(names))


def _letters(trees: Iterable[Expression]) -> set[str]:
    return {part.name for tree in trees for part in walk(tree) if isinstance(part, Letter)}


def _order(tree: Expression) -> int:
    """How many derivatives are taken inside one another."""
    return isinstance(tree, Derivative) + max((_order(child) for child in children(tree)), default=0)


def _scalar_order(part: Ruled) -> int:
    """How many derivatives are taken inside one another in the derivative of a scalar."""
    nested = sum(isinstance(inner, Ruled) and inner.rule == "d" for inner in walk_scalar(part))
    return nested + max((_order(matrix) for matrix in matrices_in(part)), default=0)


def _parts(equation: Equation) -> list[Expression]:
    return [*walk(equation.left), *walk(equation.right)]


def _ruled(equation: Equation, rule: str) -> list[Ruled]:
    factors = equation.factors if isinstance(equation, ScalarEquation) else ()
    parts = [part for factor in factors for part in walk_scalar(factor)]
    return [part for part in parts if isinstance(part, Ruled) and part.rule == rule]
