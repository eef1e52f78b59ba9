"""The corpus of claims whose truth is known: the TOML files of the folder ``corpus``, read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "corpus"

EXPECTED = ("true", "false", "error", "vacuous")
_STATEMENT = ("claim", "shapes", "assume", "scalars", "flow", "where")
_MERGED = ("shapes", "flow", "where", "extra", "sizes")


@dataclass(frozen=True)
class Entry:
    """One claim, with its truth and how to draw numbers that satisfy its hypotheses.

    Attributes:
        id: Unique in the corpus.
        claim: The claim, in the claim language; ``shapes`` to ``where`` are the arguments of ``prove``.
        expected: ``true``; ``false``; ``error``: no statement, or its hypotheses contradict each other by algebra alone;
            ``vacuous``: no real matrices satisfy the hypotheses, for a reason that algebra alone does not see.
        why: The mathematical reason.
        provided: Side conditions that a proof must state.
        uses: Hypotheses that a proof must list among those it used.
        lemmas: Lemmas that a proof must list.
        model: How to get letters and scalars from the random ones, in order, in the claim language and ``orth(A)``
            (orthonormal columns); the other letters are random, of every rank.
        extra: The shapes of further random letters that ``model`` uses.
        sizes: Choices for a dimension; the others are 1 to 4.
        full: Letters that are drawn of full rank.
        numeric: Whether floating-point numbers can see the truth of the claim.
        open: Why the prover is known not to decide it (it must still not be wrong), or "".
    """

    id: str
    claim: str
    expected: str
    why: str
    shapes: Mapping[str, Any]
    assume: list[str] = field(default_factory=list)
    scalars: list[str] = field(default_factory=list)
    flow: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    provided: list[str] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)
    lemmas: list[str] = field(default_factory=list)
    model: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, list[int]] = field(default_factory=dict)
    full: list[str] = field(default_factory=list)
    numeric: bool = True
    open: str = ""

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of ``prove``."""
        return {name: getattr(self, name) for name in _STATEMENT}


@cache
def entries() -> tuple[Entry, ...]:
    """Every claim of the corpus.

    Raises:
        ValueError: If a file has an unknown key or setting, or an id twice.
    """
    found: dict[str, Entry] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        settings = table.get("settings", {})
        for item in table["claims"]:
            entry = _entry(item, settings, path.name)
            if entry.id in found or entry.expected not in EXPECTED:
                message = f"{path.name}: `{entry.id}` must be a new id with one of {EXPECTED}, not {entry.expected!r}."
                raise ValueError(message)
            found[entry.id] = entry
    return tuple(found.values())


def _entry(item: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]], file: str) -> Entry:
    values = dict(item)
    base = settings[values.pop("use")] if "use" in values else {}
    merged = {name: {**base.get(name, {}), **values.get(name, {})} for name in _MERGED}
    try:
        return Entry(**{**base, **values, **merged})
    except TypeError as error:
        message = f"{file}: the claim {item.get('id')!r} has a wrong or missing key: {error}."
        raise ValueError(message) from None
