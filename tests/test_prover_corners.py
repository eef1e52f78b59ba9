"""Corners where the prover once said too much, too little, or broke: each is a claim with a known truth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from theory.errors import ClaimError
from theory.operators import Budget, check_certificate, prove, prove_weight

SQUARE = ("d", "d")
AB = {"A": SQUARE, "B": SQUARE}
WORK = Budget(seconds=10)


def empty_certificate(claim: str, shapes: dict[str, Any], scalars: list[str]) -> str:
    return json.dumps(
        {"claim": claim, "shapes": shapes, "assume": [], "scalars": scalars, "flow": {}, "where": {}, "cofactors": []}
    )


@pytest.mark.parametrize(
    ("claim", "shapes"),
    [
        ("tr(pinv(mu*I) + 0*X@X.T) == tr(pinv(mu*I) + 0*X.T@X)", {"X": [14, 13]}),
        (
            "tr(A@pinv(mu*I)@B@pinv(mu*I) + C@pinv(mu*I)@D) == tr(A@pinv(mu*I))*tr(B@pinv(mu*I)) + tr(C@pinv(mu*I)@D)",
            {"A": [13, 13], "B": [13, 13], "C": [13, 1], "D": [1, 13]},
        ),
    ],
)
def test_a_multiple_of_the_identity_has_an_inverse_of_its_own_size(claim, shapes):
    assert not check_certificate(empty_certificate(claim, shapes, ["mu > 0"]))
    assert prove(claim, shapes, scalars=["mu > 0"], budget=WORK).verdict != "proved"


@pytest.mark.parametrize("factor", ["mu", "dim(d)"])
def test_the_inverse_of_a_multiple_of_the_identity_stands_at_any_size(factor):
    proof = prove(f"pinv({factor}*I) @ X @ pinv({factor}*I) == 1/{factor}**2 * X", {"X": ("d", "n")}, scalars=["mu"])
    assert proof.verdict == "proved"
    assert proof.side_conditions == (("mu != 0",) if factor == "mu" else ())


@pytest.mark.parametrize(("rate", "assume"), [("t*B", "A == t*B"), ("1/t*B", "t*A == B")])
def test_a_solution_needs_hypotheses_that_hold_at_all_times(rate, assume):
    shapes = {"W0": ("q", "d"), "A": ("q", "d"), "B": ("q", "d")}
    with pytest.raises(ClaimError, match="must hold at all times"):
        prove_weight("W0 + t*A", shapes, rate, assume=[assume])


HALL = "((A@B-B@A)@(A@B-B@A)@C-C@(A@B-B@A)@(A@B-B@A))"  # 0 for 2×2 matrices, which the axioms do not know


@pytest.mark.parametrize(
    ("claim", "more"),
    [
        (f"d(A/(c-2)) == K + {HALL}", {"assume": ["(c-2)*K==0"]}),
        (f"K + {HALL} == 0", {"assume": ["(c-2)*K==0"], "flow": {"E": "A/(c-2)"}}),
        (f"d(d(W)) == K + {HALL}", {"assume": ["(c-2)*K==0", "d(W)==A/(c-2)"]}),
        (f"K + {HALL} == 0", {"assume": ["(c-2)*K==0", "d(W)==A/(c-2)"]}),
    ],
)
def test_no_counterexample_breaks_a_side_condition(claim, more):
    shapes = {name: (2, 2) for name in "ABCKW"}
    proof = prove(claim, shapes, scalars=["c"], budget=Budget(seconds=2), **more)
    assert proof.verdict == "undecided"
    assert "c - 2 != 0" in proof.side_conditions


@pytest.mark.parametrize(
    ("claim", "more"),
    [
        ("t*(A-A) == B", {}),
        ("(t-t)*A == B", {}),
        ("B == t*A@A", {"assume": ["A@A==0"]}),
        ("t*A == B", {"assume": ["2*A==A"]}),
        ("tr(B) == t*tr(A)", {"assume": ["A.T==-A"]}),
        ("tr(B) == tr(B@integral(E)@pinv(A))", {"assume": ["A@A==0"], "flow": {"E": "A"}}),
        ("E == I-t*A+B+t**2*A@A", {"assume": ["A@A==0"], "flow": {"E": "A"}}),
    ],
)
def test_zero_matrices_and_zero_factors_of_t_are_counterexamples_too(claim, more):
    assert prove(claim, AB, budget=WORK, **more).verdict == "refuted"


def test_a_claim_that_holds_at_one_time_only_is_refuted_at_another():
    proof = prove("E == 1/2*I + 0*A", AB, flow={"E": "I + 0*A"})
    assert proof.verdict == "refuted"
    assert "at time t = log 3" in str(proof)


@pytest.mark.parametrize(
    ("claim", "arguments", "lemmas", "used"),
    [
        ("A@pinv(A)==I", {"assume": ["limit(E)==0"], "flow": {"E": "A@A.T"}}, {"L-LIMIT", "L-EXP"}, "limit(E)==0"),
        ("B==A", {"assume": ["start(E)@B==A"], "flow": {"E": "A"}}, {"L-EXP"}, "start(E)@B==A"),
        ("(A@A.T+mu*I)@pinv(A@A.T+mu*I)==I", {"scalars": ["mu > 0"]}, {"L-SQUARE"}, "mu > 0"),
        ("1/mu*A*mu==A", {"scalars": ["mu > 0"]}, set(), "mu > 0"),
        ("limit(E)==0", {"scalars": ["mu > 0"], "flow": {"E": "A@A.T+mu*I"}}, {"L-LIMIT"}, "mu > 0"),
    ],
)
def test_what_a_proof_rests_on_is_listed(claim, arguments, lemmas, used):
    proof = prove(claim, AB, **arguments)
    assert proof.verdict == "proved"
    assert lemmas <= set(proof.lemmas)
    assert used in proof.used


@pytest.mark.parametrize(
    ("claim", "arguments"),
    [
        ("E==0", {"assume": ["E==0"], "flow": {"E": "A"}}),
        ("A == B", {"assume": ["A.T@A==-I"]}),
        ("A == B", {"assume": ["A@A.T+I==0"]}),
        ("A == B", {"assume": ["-2*A@A.T-3*I==B@B.T"]}),
    ],
)
def test_hypotheses_that_cannot_hold_are_refused(claim, arguments):
    with pytest.raises(ClaimError, match="contradict each other"):
        prove(claim, AB, budget=WORK, **arguments)


def test_squares_that_add_up_to_zero_are_zero():
    assert prove("A@B == 0", AB, ["A@A.T + 2*B.T@B == 0"], budget=WORK).verdict == "proved"
    assert prove("A == 0", AB, ["A@A.T - B@B.T == 0"], budget=WORK).verdict == "refuted"
    weighed = prove("A == 0", AB, ["c*A@A.T + B@B.T == 0"], scalars=["c > 0"], budget=WORK)
    assert weighed.verdict == "proved"
    assert "c > 0" in weighed.used


def test_a_mean_of_what_is_not_random_is_itself():
    shapes = {"A": SQUARE, "Z": ("q", "d")}
    assert prove("expect(tr(A),Z,v)==tr(A)", shapes, scalars=["v"]).verdict == "proved"
    assert prove("expect(tr(A),Z,v)==2*tr(A)", shapes, scalars=["v"]).verdict == "refuted"


@pytest.mark.parametrize(
    ("claim", "assume", "flow"),
    [
        ("E.T@B==B@F", "A.T@B==-B@A", {"E": "A", "F": "-A"}),
        ("E.T@B@E==B", "A.T@B==-B@A", {"E": "A"}),
        ("E@B@E==B", "A@B==-B@A", {"E": "A"}),
    ],
)
def test_conservation_laws_of_inverse_and_transposed_flows_are_proved(claim, assume, flow):
    proof = prove(claim, AB, [assume], flow=flow, budget=WORK)
    assert proof.verdict == "proved"
    assert check_certificate(proof.certificate or "")
    assert prove(claim, AB, [assume.replace("-B", "B")], flow=flow, budget=WORK).verdict == "refuted"


@pytest.mark.parametrize("matrix", ["d(A)", "limit(A)", "d(E)", "start(A@A)", "start(start(A))", "pinv(start(A@B))"])
def test_a_forged_factor_is_refused_in_words(matrix):
    text = {
        "claim": "tr(A@B) == tr(B@A)",
        "shapes": {"A": ["d", "d"], "B": ["d", "d"]},
        "assume": ["A@B==B@A"],
        "scalars": [],
        "flow": {"E": "A"},
        "where": {},
        "cofactors": [{"factor": f"tr({matrix})", "left": "A", "axiom": "A@B==B@A"}],
    }
    with pytest.raises(ClaimError, match="must be a polynomial in traces"):
        check_certificate(json.dumps(text))


def test_a_word_of_python_is_no_dimension():
    with pytest.raises(ClaimError, match="pair of dimension names"):
        prove("A == A", {"A": ("class", "class")})
