"""A certificate that was changed by hand is rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from theory.errors import ClaimError
from theory.operators import check_certificate, prove, recheck

Data = dict[str, Any]


@pytest.fixture(scope="module")
def certificate() -> str:
    proof = prove(
        "W @ (I - X @ pinv(X)) == W0 @ (I - X @ pinv(X))",
        {"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")},
        flow="X",
        where={"W": "W0 @ E + Y @ pinv(X) @ (I - E)"},
    )
    assert proof.certificate is not None
    return proof.certificate


def _tampered(certificate: str, change: Callable[[Data], object]) -> str:
    data = json.loads(certificate)
    change(data)
    assert data != json.loads(certificate)
    return json.dumps(data)


def test_the_certificate_itself_checks(certificate: str) -> None:
    assert check_certificate(certificate)
    assert recheck(certificate).certificate == certificate


def test_every_coefficient_matters(certificate: str) -> None:
    count = len(json.loads(certificate)["cofactors"])
    assert count > 1
    for index in range(count):

        def double(data: Data, index: int = index) -> None:
            data["cofactors"][index]["left"] = f"2 * ({data['cofactors'][index]['left']})"

        assert not check_certificate(_tampered(certificate, double))


def test_every_term_is_needed(certificate: str) -> None:
    for index in range(len(json.loads(certificate)["cofactors"])):
        assert not check_certificate(_tampered(certificate, lambda data, index=index: data["cofactors"].pop(index)))


@pytest.mark.parametrize(
    "claim",
    [
        "W @ (I - X @ pinv(X)) == 2 * W0 @ (I - X @ pinv(X))",
        "W @ (I - X @ pinv(X)) == 0",
        "W == W0",
        "W @ X @ pinv(X) == W0 @ X @ pinv(X)",
    ],
)
def test_an_altered_claim_is_rejected(certificate: str, claim: str) -> None:
    tampered = _tampered(certificate, lambda data: data.update(claim=claim))
    assert not check_certificate(tampered)
    with pytest.raises(ClaimError, match="add up to its claim"):
        recheck(tampered)


def test_an_altered_definition_or_flow_is_rejected(certificate: str) -> None:
    assert not check_certificate(_tampered(certificate, lambda data: data["where"].update(W="W0 + Y @ pinv(X)")))
    with pytest.raises(ClaimError, match="axiom"):
        check_certificate(_tampered(certificate, lambda data: data["flow"].update(E="2 * X @ X.T")))


def test_wrong_shapes_are_rejected(certificate: str) -> None:
    with pytest.raises(ClaimError, match="`W0` is q×n and `E` is d×d"):
        check_certificate(_tampered(certificate, lambda data: data["shapes"].update(W0=["q", "n"])))

    def widen(data: Data) -> None:
        data["cofactors"][0]["left"] = "W0 @ X"

    with pytest.raises(ClaimError, match="×"):
        check_certificate(_tampered(certificate, widen))


def test_an_axiom_that_the_statement_does_not_have_is_rejected(certificate: str) -> None:
    def invent(data: Data) -> None:
        data["cofactors"][0]["axiom"] = "X @ pinv(X) == I"

    with pytest.raises(ClaimError, match="must name an axiom"):
        check_certificate(_tampered(certificate, invent))
    with pytest.raises(ClaimError, match="keys"):
        check_certificate(_tampered(certificate, lambda data: data.update(axioms=["X @ pinv(X) == I"])))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(shapes=[]),
        lambda data: data.update(cofactors={}),
        lambda data: data.update(flow=None),
        lambda data: data.pop("assume"),
        lambda data: data["cofactors"].append({"left": "I"}),
        lambda data: data["cofactors"].append("I"),
        lambda data: data["cofactors"][0].update(right=1),
        lambda data: data["cofactors"][0].update(left="__import__('os')"),
    ],
)
def test_a_malformed_certificate_is_an_error(certificate: str, change: Callable[[Data], object]) -> None:
    with pytest.raises(ClaimError):
        check_certificate(_tampered(certificate, change))


def test_text_that_is_no_json_is_an_error() -> None:
    with pytest.raises(ClaimError, match="JSON"):
        check_certificate("proved")


def test_a_hypothesis_added_to_a_certificate_shows_in_what_it_uses() -> None:
    proof = prove("X == Y", {"X": ("d", "n"), "Y": ("d", "n")}, assume=["X == Y"])
    assert proof.certificate is not None
    assert recheck(proof.certificate).used == ("X == Y",)
    with pytest.raises(ClaimError, match="must name an axiom"):
        check_certificate(_tampered(proof.certificate, lambda data: data.update(assume=[])))


def test_the_cofactors_of_a_certificate_may_hold_fractions_of_scalars() -> None:
    proof = prove(
        "X == 2 * Y", {"X": ("d", "n"), "Y": ("d", "n")}, assume=["(c + 1) * X / 2 == (c + 1) * Y"], scalars=["c"]
    )
    assert proof.verdict == "proved"
    assert proof.certificate is not None
    assert check_certificate(proof.certificate)
    assert proof.side_conditions == ("c + 1 != 0",)
