"""Consequences by a lemma: proved with their premises, and worth nothing without them."""

from __future__ import annotations

import contextlib
import json
from functools import cache
from typing import Any

import pytest

from theory.errors import ClaimError
from theory.operators import Budget, check_certificate, prove

SQUARE = ("d", "d")
A, AB = {"A": SQUARE}, {"A": SQUARE, "B": SQUARE}
COMMUTE = ["A @ B == B @ A"]

# One claim for each rule; the last entry is a claim of the same form that lacks what the premise needs.
RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "intertwine": (
        {"claim": "E @ B == B @ E", "shapes": AB, "assume": COMMUTE, "flow": {"E": "A"}},
        {"assume": ["A @ B == B @ A.T"]},
    ),
    "agree": (
        {
            "claim": "E @ P == D @ P",
            "shapes": {"A": SQUARE, "P": ("d", "k")},
            "assume": ["A @ P == 0"],
            "flow": {"E": "A + I", "D": "I + 0 * A"},
        },
        {"assume": ["P.T @ A == 0"]},
    ),
    "sum": (
        {"claim": "E.T @ E == I", "shapes": A, "assume": ["A.T == -A"], "flow": {"E": "A"}},
        {"assume": ["A.T == A"]},
    ),
    "series": (
        {"claim": "E == I - t * A", "shapes": A, "assume": ["A @ A == 0"], "flow": {"E": "A"}},
        {"assume": ["A @ A @ A == 0"]},
    ),
    "pinv": (
        {
            "claim": "pinv(A @ B) == pinv(A) @ pinv(B)",
            "shapes": AB,
            "assume": [*COMMUTE, "A.T == A", "B.T == B"],
        },
        {"assume": COMMUTE},
    ),
    "square": (
        {"claim": "A == B", "shapes": AB, "assume": ["(A - B).T @ (A - B) == 0"]},
        {"assume": ["(A - B) @ (A - B) == 0"]},
    ),
}


@cache
def text_of(rule: str) -> str:
    """The certificate of the claim of a rule."""
    proof = prove(**RULES[rule][0])
    assert proof.certificate is not None, str(proof)
    return proof.certificate


def certificate_of(rule: str) -> dict[str, Any]:
    return json.loads(text_of(rule))


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_proves_what_follows_by_it(rule):
    assert rule in {item["rule"] for item in certificate_of(rule)["consequences"]}
    assert check_certificate(json.dumps(certificate_of(rule)))


@pytest.mark.parametrize("rule", RULES)
def test_without_its_premise_the_claim_is_refuted(rule):
    right, change = RULES[rule]
    assert prove(**right | change).verdict == "refuted"


@pytest.mark.parametrize("rule", RULES)
def test_a_premise_that_is_not_proved_is_rejected(rule):
    data = certificate_of(rule)
    for item in data["consequences"]:
        for premise in range(len(item["premises"])):
            if item["premises"][premise]:  # the others hold for all matrices, with nothing to add up
                damaged = json.loads(json.dumps(data))
                damaged["consequences"][data["consequences"].index(item)]["premises"][premise] = []
                assert not check_certificate(json.dumps(damaged))


@pytest.mark.parametrize("rule", RULES)
def test_a_certificate_does_not_prove_the_claim_without_the_premise(rule):
    data = certificate_of(rule) | RULES[rule][1]
    accepted = False
    with contextlib.suppress(ClaimError):
        accepted = check_certificate(json.dumps(data))
    assert not accepted


def test_a_conclusion_cannot_prove_its_own_premise():
    data = certificate_of("square")
    own = [{"left": "(A - B).T", "axiom": "the claim, by its square", "right": "I"}]
    data["consequences"][0]["premises"] = [own]
    data["assume"] = []
    with pytest.raises(ClaimError, match="must name an axiom of its statement"):
        check_certificate(json.dumps(data))


def test_a_consequence_cannot_use_a_later_one():
    claim = {"claim": "E @ F == F @ E", "shapes": AB, "assume": COMMUTE, "flow": {"E": "A", "F": "B"}}
    data = json.loads(prove(**claim).certificate or "")
    assert len(data["consequences"]) > 1
    data["consequences"].reverse()
    with pytest.raises(ClaimError, match="must name an axiom of its statement"):
        check_certificate(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rule": "magic"}, "must be by one of intertwine, agree, sum, series, pinv, square"),
        ({"arguments": ["E", "F"]}, "with its arguments"),
        ({"arguments": ["E", "Q", "B"]}, "must name a flow of its statement"),
        ({"arguments": ["E", "E", "B @"]}, "cofactor"),
        ({"arguments": "EEB"}, "must be a list of texts"),
        ({"premises": []}, "must have 1 proofs, but it has 0"),
        ({"premises": [[], []]}, "must have 1 proofs, but it has 2"),
        ({"premises": "none"}, "a list of proofs"),
        ({"more": 1}, "must have the texts rule, arguments, premises"),
    ],
)
def test_a_damaged_consequence_is_refused_in_words(change, words):
    data = certificate_of("intertwine")
    data["consequences"][0] |= change
    with pytest.raises(ClaimError, match=words):
        check_certificate(json.dumps(data))


@pytest.mark.parametrize(("arguments", "words"), [(["E", "I", "7"], "1 to 6 terms"), (["E", "I", "x"], "1 to 6 terms")])
def test_a_series_of_another_length_is_refused(arguments, words):
    data = certificate_of("series")
    data["consequences"][0]["arguments"] = arguments
    with pytest.raises(ClaimError, match=words):
        check_certificate(json.dumps(data))


def test_the_hypotheses_of_a_premise_are_among_those_used():
    proof = prove(**RULES["intertwine"][0])
    assert "A @ B == B @ A" in proof.used
    assert "L-UNIQUE" in proof.lemmas


def test_hypotheses_that_contradict_each_other_by_their_traces_are_refused_for_any_claim():
    with pytest.raises(ClaimError, match="follows by traces from `P @ Q - Q @ P == I`"):
        prove("P == Q", {"P": SQUARE, "Q": SQUARE}, ["P @ Q - Q @ P == I"], budget=Budget(seconds=5, overlaps=50))


def test_a_proof_about_nothing_says_so():
    """A @ A == -I has real models in even sizes only; over the rational draws none of odd size is met."""
    proof = prove("A @ A @ A == 2 * A", {"A": (3, 3)}, ["A @ A == 2 * I"])
    assert proof.verdict == "proved"
    assert not proof.model_met
    assert "no matrices that satisfy the hypotheses were met" in str(proof)
    assert "caution" not in str(prove("A @ A @ A == A", {"A": ("d", "d")}, ["A @ A == I"]))
