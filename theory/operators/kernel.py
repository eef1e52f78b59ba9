r"""The kernel: the only place that says "proved".

A certificate is an identity :math:`\text{claim} = \sum_i \text{left}_i \cdot \text{axiom}_i \cdot \text{right}_i` of
noncommutative polynomials with coefficients in ℚ(scalars); every axiom is a polynomial that equals zero. The kernel
multiplies out, adds up and compares. It trusts the statement builder (`statement`, `axioms`) and the arithmetic of
`words`, which checks the shape of every sum and product; it does not trust the search.
"""

from __future__ import annotations

from collections.abc import Iterable

from theory.operators.certificate import Step, read_certificate
from theory.operators.words import Polynomial


def expands_to(goal: Polynomial, steps: Iterable[Step]) -> bool:
    """Whether the steps add up to the goal.

    Raises:
        ClaimError: If the shapes of a step do not fit.
    """
    total = Polynomial(goal.shape, {})
    for step in steps:
        total = total + step.left @ step.axiom.polynomial @ step.right
    return total == goal


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
    certificate = read_certificate(text)
    return expands_to(certificate.algebra.goal, certificate.steps)
