"""``closedflow prove`` and ``closedflow check``: a claim file to a verdict, and a certificate to the kernel."""

from pathlib import Path
from typing import Any

from closedflow.exit_codes import REFUTED, UNDECIDED
from closedflow.terminal import console, save


def prove(claim: Path, *, seconds: float = 20.0, json: Path | None = None) -> int:
    """A proof, an exact counterexample, or an honest undecided.

    A proof is for all dimensions, by a certificate that `closedflow check` multiplies out again.

    Args:
        claim: A TOML file with claim, shapes, and if needed assume, scalars, flow and where; or with weight, rate, and if
            needed start and limit instead of claim: that W(t) solves d(W) == rate.
        seconds: When to give up; more than 20 also searches further.
        json: Write the certificate to this file if the claim is proved, else what is known.
    """
    from closedflow.claims import load_claim
    from theory.component import check_number
    from theory.operators import Budget, prove_weight
    from theory.operators import prove as prove_claim

    check_number("seconds", seconds, above=0)
    table, budget = load_claim(claim), Budget.of(seconds)
    proof = prove_weight(**table, budget=budget) if "weight" in table else prove_claim(**table, budget=budget)
    console(json).print(f"{proof}\n  in {proof.seconds:.3f} s", highlight=False, markup=False, soft_wrap=True)
    if json is not None:
        save(json, proof.certificate or _known(proof))
    return {"proved": 0, "refuted": REFUTED}.get(proof.verdict, UNDECIDED)


def _known(proof: Any) -> str:
    """What is known about a claim that is not proved, as JSON."""
    import json

    names = ("verdict", "claim", "counterexample", "residual", "reason", "side_conditions", "seconds")
    values = {name: getattr(proof, name, None) for name in names}
    return json.dumps(values, indent=1, ensure_ascii=False, default=str)


def check(certificate: Path, *, json: Path | None = None) -> int:
    """Check a certificate that prove wrote, by the kernel alone.

    Args:
        certificate: The JSON file.
        json: Also write the answer to this file.
    """
    import json as json_module

    from theory.operators import check_certificate

    holds = check_certificate(certificate)
    verdict = "proved" if holds else "not a proof"
    if json is not None:
        save(json, json_module.dumps({"certificate": str(certificate), "verdict": verdict}))
    console(json).print(f"{verdict}: {certificate}", highlight=False, markup=False, soft_wrap=True)
    return 0 if holds else REFUTED
