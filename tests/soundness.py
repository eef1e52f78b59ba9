"""Soundness and completeness of the prover as figures, over the corpus of claims whose truth is known.

    python tests/soundness.py [WORDS…]      only the claims whose id contains one of the words; lists every miss

Required: no false claim proved, no true claim refuted, at least 95 % of the false ones refuted by a counterexample and at
least 95 % of the true ones proved, every meaningless or contradictory statement refused. Exit 1 otherwise.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from tests.corpus_reader import Entry, entries
from theory.errors import ClaimError
from theory.operators import Budget, Proof, check_certificate, prove

REQUIRED = 0.95
VERDICTS = ("proved", "refuted", "undecided", "error", "crash")
BUDGET = Budget(seconds=2.0)
"""What is not decided by then counts as undecided."""


@dataclass(frozen=True)
class Outcome:
    """What the prover said about one claim.

    Attributes:
        entry: The claim.
        verdict: One of `VERDICTS`; ``crash`` is an exception that is not the project's own.
        seconds: The time it took.
        complaint: What is wrong with the answer beside the verdict, or "".
        message: The text of an error.
    """

    entry: Entry
    verdict: str
    seconds: float
    complaint: str = ""
    message: str = ""

    @property
    def lies(self) -> bool:
        """Whether a false claim was proved, a true one refuted or refused, or a statement without meaning answered."""
        wrong = {
            "true": ("refuted", "error", "crash"),
            "false": ("proved", "crash"),
            "error": ("proved", "refuted", "undecided", "crash"),
            "vacuous": ("refuted", "crash"),
        }
        return self.verdict in wrong[self.entry.expected] or bool(self.complaint)

    @property
    def found(self) -> bool:
        """Whether the truth was found."""
        wanted = {"true": "proved", "false": "refuted", "error": "error"}
        return self.verdict == wanted.get(self.entry.expected, self.verdict) and not self.complaint

    def __str__(self) -> str:
        note = self.complaint or self.message
        text = f"{self.entry.id}: {self.entry.expected}, but {self.verdict} ({self.seconds:.2f} s): {self.entry.claim}"
        return f"{text}\n    {note}" if note else text


def outcome(entry: Entry, budget: Budget = BUDGET) -> Outcome:
    """The prover's answer to one claim."""
    begin = time.perf_counter()
    try:
        proof = prove(**entry.arguments, budget=budget)
    except ClaimError as error:
        return Outcome(entry, "error", time.perf_counter() - begin, message=str(error))
    except Exception as error:
        return Outcome(entry, "crash", time.perf_counter() - begin, message=f"{type(error).__name__}: {error}")
    return Outcome(entry, proof.verdict, time.perf_counter() - begin, _complaint(entry, proof))


def _complaint(entry: Entry, proof: Proof) -> str:
    if proof.verdict == "refuted" and proof.counterexample is None:
        return "refuted without a counterexample"
    if proof.verdict != "proved":
        return ""
    if proof.certificate is None or not check_certificate(proof.certificate):
        return "proved without a certificate that checks"
    for name, wanted, listed in (
        ("side conditions", entry.provided, proof.side_conditions),
        ("hypotheses used", entry.uses, proof.used),
        ("lemmas", entry.lemmas, proof.lemmas),
    ):
        missing = [text for text in wanted if text not in listed]
        if missing:
            return f"the {name} {list(listed)} lack {missing}"
    return ""


def _share(outcomes: Sequence[Outcome]) -> float:
    return sum(item.found for item in outcomes) / len(outcomes) if outcomes else 1.0


def report(outcomes: Sequence[Outcome]) -> bool:
    """Print the figures, and whether they are what is required."""
    print(f"{'expected':<10}{'claims':>7}" + "".join(f"{verdict:>11}" for verdict in VERDICTS) + f"{'as wanted':>11}")
    groups = {name: [item for item in outcomes if item.entry.expected == name] for name in ("true", "false", "error")}
    groups["vacuous"] = [item for item in outcomes if item.entry.expected == "vacuous"]
    for name, group in groups.items():
        counts = Counter(item.verdict for item in group)
        shown = "".join(f"{counts[verdict]:>11}" for verdict in VERDICTS)
        share = "" if name == "vacuous" else f"{_share(group):>10.1%}"
        print(f"{name:<10}{len(group):>7}{shown}{share:>11}")
    for verdict in VERDICTS[:3]:
        times = sorted(item.seconds for item in outcomes if item.verdict == verdict)
        if len(times) > 1:
            cuts = statistics.quantiles(times, n=100)
            quantiles = ", ".join(f"{name} {cuts[i]:.3f}" for name, i in (("median", 49), ("90 %", 89), ("99 %", 98)))
            print(f"seconds, {verdict}: {quantiles}, longest {times[-1]:.3f}, sum {sum(times):.1f}")
    lies = [item for item in outcomes if item.lies]
    misses = [item for item in outcomes if not item.found and not item.lies]
    for title, items in (("WRONG", lies), ("missed", misses)):
        print(f"\n{title}: {len(items)}")
        for item in items:
            print(f"  {item}")
    return not lies and all(_share(groups[name]) >= REQUIRED for name in ("true", "false"))


def main(words: Sequence[str]) -> int:
    """Run the corpus and print the figures."""
    chosen = [entry for entry in entries() if not words or any(word in entry.id for word in words)]
    with ProcessPoolExecutor() as pool:
        outcomes = list(pool.map(partial(outcome, budget=BUDGET), chosen))
    print(f"the prover on {len(chosen)} claims, at most {BUDGET.seconds} s for each")
    holds = report(outcomes)
    print("\nthe required figures hold" if holds else "\nthe required figures do NOT hold")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
