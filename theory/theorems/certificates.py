"""Stored certificates: what the kernel alone can check again, without any search.

``python -m theory.theorems.certificates`` (``make certificates``) searches the proofs of the whole library again and writes
them to the folder beside this module; the tests check the stored ones by the kernel and compare their claims with the library.
"""

import json
from pathlib import Path

from theory.theorems import Theorem, library

FOLDER = Path(__file__).with_name("stored")


def stored(theorem: Theorem) -> list[str]:
    """The stored certificates of a theorem, in the order of its claims."""
    path = FOLDER / f"{theorem.id}.json"
    return [json.dumps(item) for item in json.loads(path.read_text(encoding="utf-8"))]


def found(theorem: Theorem) -> list[str]:
    """The certificates of a theorem, searched again."""
    return [text for claim in theorem.claims for text in claim.certificates()]


def main() -> None:
    """Writes every theorem's certificates."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for theorem in library():
        items = [json.loads(text) for text in found(theorem)]
        (FOLDER / f"{theorem.id}.json").write_text(
            json.dumps(items, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        print(f"{theorem.id} {theorem.title}: {len(items)} certificates")


if __name__ == "__main__":
    main()
