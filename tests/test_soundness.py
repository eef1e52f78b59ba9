"""The prover on the corpus: never wrong, and right on all but the few claims that are listed as open.

The truth in the corpus is checked first, by floating-point matrices that share no code with the prover.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.claim_oracle import TOLERANCE, Unfit, disagreement
from tests.corpus_reader import Entry, entries
from tests.soundness import REQUIRED, outcome
from theory.errors import ClaimError
from theory.operators import Budget, check_certificate

ALL = entries()
DRAWS = 4
CLEAR = 1e-4
"""A false claim must be off by this much on some draw: a thousand times the rounding that a true one is allowed."""
HASTY = Budget(seconds=0.5)
"""For open claims, of which only wrong answers matter here."""


def _named(entry: Entry) -> str:
    return entry.id


def _gaps(entry: Entry, seeds: Iterable[int]) -> list[float]:
    """How far the claim is off on each draw; draws that are no model are left out if the entry gives no model."""
    gaps = []
    for seed in seeds:
        try:
            gaps.append(disagreement(entry, seed))
        except Unfit:
            if entry.model:
                raise
    return gaps


@pytest.mark.parametrize("entry", [item for item in ALL if item.expected == "true" and item.numeric], ids=_named)
def test_a_true_claim_holds_on_random_matrices(entry: Entry) -> None:
    gaps = _gaps(entry, range(DRAWS))
    assert gaps, "no draw satisfies the hypotheses"
    assert max(gaps) < TOLERANCE


@pytest.mark.parametrize("entry", [item for item in ALL if item.expected == "false" and item.numeric], ids=_named)
def test_a_false_claim_fails_on_random_matrices(entry: Entry) -> None:
    assert any(max(_gaps(entry, [seed]), default=0.0) > CLEAR for seed in range(3 * DRAWS))


@pytest.mark.parametrize("entry", ALL, ids=_named)
def test_the_prover_is_right(entry: Entry) -> None:
    found = outcome(entry, HASTY) if entry.open else outcome(entry, Budget())
    assert not found.lies, str(found)
    assert found.found or entry.open, str(found)


@pytest.mark.parametrize("entry", [item for item in ALL if item.expected in ("false", "error")], ids=_named)
def test_a_short_budget_is_no_excuse(entry: Entry) -> None:
    """What could not be checked in time is not proved: also not when the time ran out after a proof was found."""
    for seconds in (0.002, 0.02):
        assert outcome(entry, Budget(seconds=seconds)).verdict != "proved"


@pytest.mark.parametrize("entry", [item for item in ALL if item.expected != "true"], ids=_named)
def test_nothing_false_is_an_identity(entry: Entry) -> None:
    """The certificate without steps proves what the statement builder alone makes of a claim: its normal form is 0."""
    try:
        accepted = check_certificate(json.dumps({**entry.arguments, "cofactors": []}))
    except ClaimError:
        return
    assert not accepted


@pytest.mark.parametrize("expected", ["true", "false"])
def test_few_claims_are_open(expected: str) -> None:
    group = [entry for entry in ALL if entry.expected == expected]
    assert sum(not entry.open for entry in group) >= REQUIRED * len(group)


def test_the_corpus_is_large_and_without_repeats() -> None:
    counts = Counter(entry.expected for entry in ALL)
    assert counts["true"] >= 90
    assert counts["false"] >= 90
    texts = [json.dumps(entry.arguments, sort_keys=True) for entry in ALL]
    assert not [text for text, count in Counter(texts).items() if count > 1]
    assert all(entry.why for entry in ALL)
