"""``closedflow prove`` and ``closedflow check``: a claim file to a verdict, and a certificate to the kernel."""

from pathlib import Path

from closedflow.exit_codes import REFUTED, UNDECIDED
from closedflow.terminal import save


def prove(claim: Path, *, seconds: float = 20.0, json: Path | None = None) -> int:
    """A proof for all dimensions, an exact counterexample, or an honest "undecided".

    Args:
        claim: A TOML file with claim, shapes, and if needed assume, scalars, flow and where; or with weight, rate, and if
            needed start and limit instead of claim: that W(t) solves d(W) == rate.
        seconds: When to give up; more than 20 also searches further.
        json: Write the certificate to this file if the claim is proved.
    """
    from closedflow.claims import load_claim
    from theory.component import check_number
    from theory.operators import Budget, prove_weight
    from theory.operators import prove as prove_claim

    check_number("seconds", seconds, above=0)
    table, budget = load_claim(claim), Budget.of(seconds)
    proof = prove_weight(**table, budget=budget) if "weight" in table else prove_claim(**table, budget=budget)
    print(f"{proof}\n  in {proof.seconds:.3f} s")
    if json is not None and proof.certificate is not None:
        save(json, proof.certificate + "\n")
    return {"proved": 0, "refuted": REFUTED}.get(proof.verdict, UNDECIDED)


def check(certificate: Path) -> int:
    """Check a certificate that prove wrote, by the kernel alone.

    Args:
        certificate: The JSON file.
    """
    from theory.operators import check_certificate

    holds = check_certificate(certificate)
    print(f"{'proved' if holds else 'not a proof'}: {certificate}")
    return 0 if holds else REFUTED
