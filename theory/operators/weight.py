"""`prove_weight`: "this W(t) solves the flow from W0, and tends to that limit" as one claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from theory.errors import ClaimError
from theory.notebook import proof_listing
from theory.operators.budget import Budget
from theory.operators.expressions import Shape
from theory.operators.models import Counterexample
from theory.operators.proof import Proof, Verdict
from theory.operators.prover import prove
from theory.operators.statement import Statement, read_statement, source_of, table

WEIGHT = "W"
"""The name of the weight in its rate, and in a hypothesis about it."""


@dataclass(frozen=True)
class WeightProof:
    """What is known about a weight that is said to solve a flow.

    Attributes:
        weight: The weight as text.
        rate: What its time derivative must be.
        parts: The proof of the ``equation``, of the ``start``, and of the ``limit`` if one was given.
        seconds: The time it took.
    """

    weight: str
    rate: str
    parts: Mapping[str, Proof]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The weakest verdict of the parts."""
        found = {proof.verdict for proof in self.parts.values()}
        return "refuted" if "refuted" in found else "undecided" if "undecided" in found else "proved"

    @property
    def claim(self) -> str:
        """The claim as text."""
        return "; ".join([f"{WEIGHT} = {self.weight}", *(proof.claim for proof in self.parts.values())])

    @property
    def certificate(self) -> str | None:
        """The certificates of the parts as one JSON object; None unless all are proved."""
        texts = {name: proof.certificate for name, proof in self.parts.items()}
        if any(text is None for text in texts.values()):
            return None
        return json.dumps({name: json.loads(text or "") for name, text in texts.items()}, indent=1, ensure_ascii=False)

    @property
    def counterexample(self) -> Counterexample | None:
        """The counterexample to the first part that is refuted."""
        return next((proof.counterexample for proof in self.parts.values() if proof.counterexample is not None), None)

    @property
    def residual(self) -> str | None:
        """What is left of the first part that is undecided."""
        return next((proof.residual for proof in self.parts.values() if proof.residual is not None), None)

    @property
    def used(self) -> tuple[str, ...]:
        """The hypotheses and defining equations that the proofs use."""
        return tuple(dict.fromkeys(item for proof in self.parts.values() for item in proof.used))

    @property
    def side_conditions(self) -> tuple[str, ...]:
        """What must not be zero, for the parts and their proofs to have a meaning."""
        return tuple(dict.fromkeys(item for proof in self.parts.values() for item in proof.side_conditions))

    @property
    def lemmas(self) -> tuple[str, ...]:
        """Names from `LEMMAS`."""
        return tuple(sorted({name for proof in self.parts.values() for name in proof.lemmas}))

    def _repr_html_(self) -> str:
        return proof_listing(self)

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {WEIGHT} = {self.weight} solves d({WEIGHT}) == {self.rate}"]
        for name, proof in self.parts.items():
            first, *rest = str(proof).splitlines()
            lines += [f"{name} {first}", *rest]
        return "\n  ".join(lines)


def prove_weight(
    weight: str,
    shapes: Mapping[str, Shape],
    rate: str,
    start: str = "W0",
    limit: str | None = None,
    assume: Sequence[str] = (),
    scalars: Sequence[str] = (),
    flow: Mapping[str, str] | str | None = None,
    where: Mapping[str, str] | None = None,
    *,
    budget: Budget | None = None,
) -> WeightProof:
    r"""Prove or refute that :math:`W(t)` solves :math:`\dot W = \text{rate}` from its start and tends to its limit.

    Args:
        weight: :math:`W(t)` in the claim language.
        shapes: The shape of each matrix; ``W`` itself is not among them.
        rate: The right-hand side, in which ``W`` is the weight.
        start: :math:`W(0)`.
        limit: :math:`W(\infty)`; None if it is not claimed.
        assume: As in `prove`.
        scalars: As in `prove`.
        flow: As in `prove`.
        where: As in `prove`.
        budget: How much work to put in; its ceiling in seconds is for all parts together.

    Raises:
        ClaimError: If the arguments are no statement, or the hypotheses contradict each other.

    Example:
        >>> shapes = {"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")}
        >>> weight = "W0 @ E + Y @ pinv(X) @ (I - E)"
        >>> print(prove_weight(weight, shapes, "-(W @ X - Y) @ X.T", limit="Y @ pinv(X)", flow="X"))
        refuted: W = W0 @ E + Y @ pinv(X) @ (I - E) solves d(W) == -(W @ X - Y) @ X.T
          equation proved: d(W) == -(W @ X - Y) @ X.T
            uses: Penrose equations of pinv(X), E = exp(-t (X @ X.T)), E commutes with X @ X.T
            modulo: L-EXP, L-PINV, L-UNIQUE
          start proved: start(W) == W0
            modulo: L-EXP, L-PINV
          limit refuted: limit(W) == Y @ pinv(X)
            q = 1, d = 2, n = 1
            ...
    """
    definitions = table(where, "where")
    if WEIGHT in definitions or (isinstance(shapes, Mapping) and WEIGHT in shapes):
        message = f"{WEIGHT} must be the weight alone, but shapes or where declares it too. Rename the other one."
        raise ClaimError(message)
    for name, text in (("weight", weight), ("rate", rate), ("start", start), ("limit", limit)):
        if not isinstance(text, str) and not (name == "limit" and text is None):
            message = f"{name} must be text, but it is of type {type(text).__name__}. Pass a string."
            raise ClaimError(message)
        # Else a text such as "A == B" would become part of an equation that nobody wrote.
        if isinstance(text, str) and "==" in text:
            message = f"{name} must be one matrix, but `{text}` is an equation. Give its right-hand side."
            raise ClaimError(message)
    claims = {"equation": f"d({WEIGHT}) == {rate}", "start": f"start({WEIGHT}) == {start}"}
    if limit is not None:
        claims["limit"] = f"limit({WEIGHT}) == {limit}"
    definitions[WEIGHT] = weight
    _check_always(read_statement(source_of(claims["equation"], shapes, assume, scalars, flow, definitions)))
    budget = budget or Budget()
    parts: dict[str, Proof] = {}
    for name, claim in claims.items():
        left = budget.seconds - sum(proof.seconds for proof in parts.values())
        work = replace(budget, seconds=max(left, 0.0))
        parts[name] = prove(claim, shapes, assume, scalars, flow, definitions, budget=work)
    return WeightProof(weight, rate, parts, sum(proof.seconds for proof in parts.values()))


def _check_always(statement: Statement) -> None:
    """Refuse hypotheses that speak of one time: a solution is one at all times."""
    for item in statement.hypotheses:
        if any(statement.dynamics.moves(side) for side in (item.equation.left, item.equation.right)):
            message = (
                f"assume must hold at all times for a weight that solves a flow, but `{item.text}` speaks of one time. Assume what "
                "is constant, or the rate of what moves."
            )
            raise ClaimError(message)
