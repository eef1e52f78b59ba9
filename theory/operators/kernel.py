r"""The kernel: the only place that says "proved".

A certificate is an identity :math:`\text{claim} = \sum_i \text{left}_i \cdot \text{axiom}_i \cdot \text{right}_i` of
noncommutative polynomials with coefficients in ℚ(scalars); every axiom is a polynomial that equals zero. For a claim about
scalars it is :math:`\text{claim} = \sum_i \text{factor}_i \cdot \operatorname{tr}(\text{left}_i \cdot \text{axiom}_i)`.
The kernel multiplies out, adds up and compares, first for every premise of a consequence by a lemma, then for the claim.
It trusts the statement builder (`statement`, `axioms`, `consequences`, and for scalars `traces` and `wick`) and the
arithmetic of `words`, which checks the shape of every sum and product; it does not trust the search.
"""

from __future__ import annotations

from theory.operators.budget import Clock, ticking
from theory.operators.certificate import Certificate, Step, TraceStep, read_certificate
from theory.operators.words import Polynomial


def adds_up(certificate: Certificate, clock: Clock | None = None) -> bool:
    """Whether the steps add up to the claim, and those of every premise to that.

    Raises:
        BudgetSpentError: If there is a clock and it ran out.
        ClaimError: If the shapes of a step do not fit.
    """
    traces, goals = certificate.algebra.traces, [(certificate.algebra.goal, certificate.steps)]
    for derived in certificate.derived:
        goals += zip(derived.consequence.premises, derived.proofs, strict=True)
    for goal, steps in goals:
        total = Polynomial(goal.shape, {})
        for step in ticking(steps, clock):
            match step:
                case Step():
                    total = total + step.left @ step.axiom.polynomial @ step.right
                case TraceStep():
                    total = total + traces.times(step.factor, traces.of(step.left @ step.axiom.polynomial))
        if total != goal:
            return False
    return True


def check_certificate(text: str) -> bool:
    r"""Whether a certificate, given as JSON text, proves the claim it contains.

    Raises:
        ClaimError: If the text is not a certificate, names an axiom its statement does not have, or has wrong shapes.

    Example:
        >>> from theory.operators import prove
        >>> text = prove("X @ pinv(X) @ X == X", {"X": ("d", "n")}).certificate
        >>> check_certificate(text), check_certificate(text.replace("== X", "== 2 * X", 1))
        (True, False)
    """
    return adds_up(read_certificate(text))
