"""Keeps the bound fields of proofs.md equal to the code: ``python docs/proofs.py``; ``--check`` only compares.

For each theorem the fields that the machine knows (statement, assumptions, claims with the hypotheses that their proofs
used, scope, false twin, the lemmas it uses) are written anew; the theorems it uses, where it is evaluated and tested, and
the prose stay as they are.
"""

import re
import sys
from pathlib import Path

from theory.operators import LEMMAS
from theory.theorems import Theorem, library

PATH = Path(__file__).parent.parent / "proofs.md"
KEPT = ("Uses", "Proved by", "Evaluated by", "Tested by")


def fields(theorem: Theorem, kept: dict[str, str]) -> str:
    """The bullets of one theorem."""
    measured = f"; measured on real digits by `closedflow verify {theorem.id}`" if theorem.every_case else ""
    claims = []
    for claim, proof in zip(theorem.claims, theorem.proofs, strict=True):
        used = f" Uses: {'; '.join(proof.used)}." if proof.used else ""
        claims.append(f"  - `{claim.equation}`: {claim.says} ({proof.verdict}).{used}")
    bullets = {
        "Statement": theorem.statement,
        "Assumptions": "; ".join(theorem.hypotheses),
        "Claims": "for all dimensions\n" + "\n".join(claims),
        **kept,
        "Scope": f"all dimensions, modulo {', '.join(theorem.lemmas)}{measured}",
        "False twin": f"{theorem.false_twin.says}: `{theorem.false_twin.equation}` ({theorem.false_twin.prove().verdict})",
    }
    return "\n".join(f"- **{name}.** {value}" for name, value in bullets.items())


def renewed(text: str) -> str:
    """The document with every bound field renewed.

    Raises:
        ValueError: If a theorem has no section.
    """
    for theorem in library():
        head = f"## {theorem.id}. {theorem.title}\n\n"
        if head not in text:
            message = f"proofs.md must have the section {head.strip()!r}, but it has none. Write it, with its proof."
            raise ValueError(message)
        start = text.index(head) + len(head)
        end = text.index("\n\n**Proof.**", start)
        kept = {name: re.search(rf"^- \*\*{name}\.\*\* (.*)$", text[start:end], re.MULTILINE) for name in KEPT}
        values = {name: match.group(1) for name, match in kept.items() if match}
        cited = [name for name in values.get("Uses", "").split(", ") if name.startswith("T")]
        values["Uses"] = ", ".join([*cited, *theorem.lemmas])
        text = text[:start] + fields(theorem, values) + text[end:]
    start = text.index("## Lemmas\n\n") + len("## Lemmas\n\n")
    return text[:start] + "\n".join(f"- **{name}.** {says}" for name, says in LEMMAS.items()) + "\n"


def main() -> int:
    """Rewrites or compares the document."""
    before = PATH.read_text(encoding="utf-8")
    after = renewed(before)
    if "--check" in sys.argv:
        print("proofs.md is what the code says" if after == before else "proofs.md differs: run python docs/proofs.py")
        return int(after != before)
    PATH.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
