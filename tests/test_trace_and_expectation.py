"""Traces up to rotation and transposition, means over a Gaussian matrix by pairings, and their certificates."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.errors import ClaimError
from theory.operators import Budget, check_certificate, evaluate, formula, prove, recheck
from theory.operators.algebra import Reading
from theory.operators.draws import draw_matrix
from theory.operators.exact import ExactMatrix, identity, matrix
from theory.operators.moments import random_matrix
from theory.operators.statement import Source, read_statement
from theory.operators.words import Factor

SHAPES: dict[str, Any] = {
    **{name: ("d", "d") for name in ("A", "B", "C")},
    "P": ("q", "q"),
    "W": ("q", "d"),
    "Wstar": ("q", "d"),
    "V": ("d", "m"),
    "X": ("d", "n"),
    "x": ("d", 1),
}
ERROR = "(W - Wstar) @ V"
SQUARE = f"tr({ERROR} @ ({ERROR}).T)"
SPREAD = "2 * dim(q) * s**4 * tr(V.T @ V @ V.T @ V)"

TRUE: list[tuple[str, dict[str, Any]]] = [
    ("tr(A @ B) == tr(B @ A)", {}),
    ("tr(A) == tr(A.T)", {}),
    ("tr(A @ B @ C) == tr(C.T @ B.T @ A.T)", {}),
    ("tr((A + B) @ (A - B)) == tr(A @ A) - tr(B @ B)", {}),
    ("(tr(A) + tr(B))**2 == tr(A)**2 + 2 * tr(A) * tr(B) + tr(B)**2", {}),
    ("tr(c * A @ B) / c == tr(B @ A)", {"scalars": ["c"]}),
    ("tr(A - A) == 0", {}),
    ("tr(A @ B) == tr(A.T @ B)", {"assume": ["A.T == A"]}),
    ("tr(A @ B) == 0", {"assume": ["A.T == A", "B.T == -B"]}),
    ("tr((A @ B - B @ A) @ C) == 0", {"assume": ["A @ C == C @ A"]}),
    ("tr(C) == tr(A)", {"assume": ["B @ A == C @ B", "B @ pinv(B) == I", "pinv(B) @ B == I"]}),
    ("tr(A @ A @ B) == tr(B)", {"assume": ["A @ B @ A == B"]}),
    ("tr(X @ pinv(X)) == tr(pinv(X) @ X)", {}),
    ("tr(X @ pinv(X)) == dim(n)", {"assume": ["pinv(X) @ X == I"]}),
    ("tr(X @ pinv(X) @ A @ X @ pinv(X)) == tr(X @ pinv(X) @ A)", {}),
    ("tr(I - X @ pinv(X)) == dim(d) - tr(X @ pinv(X))", {}),
    ("tr(x.T @ A @ x @ x.T @ x) == tr(x.T @ x) * tr(x.T @ A @ x)", {}),
    ("d(tr(W @ E @ (W @ E).T)) == -2 * tr(X.T @ (W @ E).T @ W @ E @ X)", {"flow": "X"}),
    ("d(tr(B @ B.T)**2) == -4 * tr(B @ B.T) * tr(B @ A @ B.T)", {"assume": ["d(B) == -B @ A"]}),
    ("d(t * tr(A)) == tr(A)", {}),
    ("start(t * tr(A) + tr(E)) == dim(d)", {"flow": "X"}),
    ("limit(tr(W @ E @ W.T)) == tr(W @ (I - X @ pinv(X)) @ W.T)", {"flow": "X"}),
    ("dim(d) * A == A * dim(d)", {}),
    ("expect(tr(A @ W.T @ P @ W), W, v) == v * tr(A) * tr(P)", {"scalars": ["v"]}),
    ("expect(tr(W @ V)**2 , W, v) == v * tr(V @ V.T)", {"scalars": ["v"], "shapes": {**SHAPES, "V": ("d", "q")}}),
    ("expect(tr(A @ C @ A), A, v) == v * tr(C)", {"scalars": ["v"]}),
    ("expect(tr(A @ B @ A @ A), A, v) == 0", {"scalars": ["v"]}),
    ("expect(tr(A @ A.T @ A @ A.T), A, v) == v**2 * (2 * dim(d)**3 + dim(d)**2)", {"scalars": ["v"]}),
    ("expect(expect(tr(A @ B @ B.T @ A.T), A, 2), B, 3) == 6 * dim(d)**3", {}),
    ("expect(tr(W @ E @ E @ W.T), W, s**2) == dim(q) * s**2 * tr(E @ E)", {"scalars": ["s"], "flow": "X"}),
    ("d(expect(tr(W @ E @ W.T), W, 1)) == -dim(q) * tr(X @ X.T @ E)", {"flow": "X"}),
    (f"expect({SQUARE}, W, s**2) == dim(q) * s**2 * tr(V.T @ V) + tr(Wstar @ V @ V.T @ Wstar.T)", {"scalars": ["s"]}),
    (f"var({SQUARE}, W, s**2) == {SPREAD} + 4 * s**2 * tr(Wstar @ V @ V.T @ (Wstar @ V @ V.T).T)", {"scalars": ["s"]}),
    ("var(tr(W @ x @ x.T @ W.T), W, 1 / dim(d)) == 2 * dim(q) * tr(x.T @ x)**2 / dim(d)**2", {}),
]
FALSE: list[tuple[str, dict[str, Any]]] = [
    ("tr(A @ B) == tr(A) * tr(B)", {}),
    ("tr(A @ B) == tr(A.T @ B)", {}),
    ("tr(A @ B @ C) == tr(A @ C @ B)", {}),
    ("tr(A)**2 == tr(A @ A)", {}),
    ("tr(X @ pinv(X)) == dim(d)", {}),
    ("tr(x.T @ A @ x) == tr(x.T @ x) * tr(A)", {}),
    ("tr(X @ X.T) == 0", {}),
    ("d(tr(E)) == tr(X @ X.T @ E)", {"flow": "X"}),
    ("limit(tr(E)) == 0", {"flow": "X"}),
    ("dim(d) == dim(n) + tr(0 * X @ X.T)", {}),
    ("dim(d) * A == A", {}),
    ("expect(tr(A @ W.T @ P @ W), W, v) == v * tr(A @ A) * tr(P)", {"scalars": ["v"]}),
    ("expect(tr(A @ C @ A), A, v) == v * tr(C) * dim(d)", {"scalars": ["v"]}),
    ("expect(tr(A @ A), A, v) == v * dim(d)**2", {"scalars": ["v"]}),
    ("expect(tr(A)**4, A, v) == v**2 * dim(d)**2", {"scalars": ["v"]}),
    (f"expect({SQUARE}, W, s**2) == dim(d) * s**2 * tr(V.T @ V) + tr(Wstar @ V @ V.T @ Wstar.T)", {"scalars": ["s"]}),
    (f"expect({SQUARE}, W, s**2) == dim(q) * s**2 * tr(V.T @ V) - tr(Wstar @ V @ V.T @ Wstar.T)", {"scalars": ["s"]}),
    (f"var({SQUARE}, W, s**2) == {SPREAD} + 2 * s**2 * tr(Wstar @ V @ V.T @ (Wstar @ V @ V.T).T)", {"scalars": ["s"]}),
    (f"var({SQUARE}, W, s**2) == {SPREAD}", {"scalars": ["s"]}),
    ("var(tr(W @ x @ x.T @ W.T), W, 1 / dim(d)) == 2 * dim(q) * tr(x.T @ x) / dim(d)**2", {}),
]


def names(cases: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [claim for claim, _ in cases]


@pytest.mark.parametrize(("claim", "options"), TRUE, ids=names(TRUE))
def test_a_true_equation_between_traces_is_proved(claim: str, options: dict[str, Any]) -> None:
    proof = prove(claim, **{"shapes": SHAPES, **options})
    assert proof.verdict == "proved"
    assert proof.certificate is not None
    assert check_certificate(proof.certificate)
    assert ("L-WICK" in proof.lemmas) == ("expect" in claim or "var" in claim)
    assert prove(claim, **{"shapes": SHAPES, **options}).certificate == proof.certificate


@pytest.mark.parametrize(("claim", "options"), FALSE, ids=names(FALSE))
def test_a_false_equation_between_traces_is_refuted(claim: str, options: dict[str, Any]) -> None:
    proof = prove(claim, SHAPES, **options)
    assert proof.verdict == "refuted"
    assert proof.counterexample is not None
    assert proof.counterexample.left != proof.counterexample.right
    if "expect" in claim or "var" in claim:
        assert "W" not in proof.counterexample.entries


def test_the_hypotheses_that_a_trace_uses_are_named() -> None:
    proof = prove("tr(A @ B) == tr(A.T @ B)", SHAPES, ["A.T == A", "C @ C == C"])
    assert proof.used == ("A.T == A",)
    rate = prove("d(tr(B @ B.T)) == -2 * tr(B @ A @ B.T)", SHAPES, ["d(B) == -B @ A", "C @ C == C"])
    assert rate.used == ("d(B) == -B @ A",)


def test_a_trace_that_is_not_decided_says_so() -> None:
    proof = prove("tr(A) == 0", SHAPES, ["A @ A @ A == 2 * I"], budget=Budget(overlaps=5, models=20, more_models=20))
    assert proof.verdict == "undecided"
    assert not proof.completed
    assert proof.residual == "tr(A)"
    assert proof.reason


def test_contradictory_hypotheses_are_refused_for_traces_too() -> None:
    with pytest.raises(ClaimError, match="contradict each other"):
        prove("tr(A) == 0", SHAPES, ["A == 2 * I", "A == 3 * I"])


def test_hypotheses_that_contradict_each_other_by_traces_only_are_refused() -> None:
    with pytest.raises(ClaimError, match=r"dim\(d\) == 0 follows by traces from `A @ B - B @ A == I`"):
        prove("dim(d) == 0 * tr(A)", SHAPES, ["A @ B - B @ A == I"])


@pytest.mark.parametrize("variance", ["-1", "-s**2 - 1", "-dim(d)"])
def test_a_negative_variance_is_refused(variance: str) -> None:
    with pytest.raises(ClaimError, match=r"variance .* must be at least 0"):
        prove(f"expect(tr(A @ A), A, {variance}) == 0", SHAPES, scalars=["s"])


@pytest.mark.parametrize(
    ("variance", "conditions"),
    [("v", ("v >= 0",)), ("v**2", ()), ("p", ()), ("1 / dim(d)", ()), ("v - p", ("v - p >= 0",))],
)
def test_a_variance_that_may_be_negative_is_a_side_condition(variance: str, conditions: tuple[str, ...]) -> None:
    proof = prove(f"expect(tr(A @ A), A, {variance}) == ({variance}) * dim(d)", SHAPES, scalars=["v", "p > 0"])
    assert proof.verdict == "proved"
    assert proof.side_conditions == conditions


def test_a_counterexample_to_a_trace_holds_in_floating_point() -> None:
    proof = prove("tr(A @ B @ C) == tr(A @ C @ B)", SHAPES)
    assert proof.counterexample is not None
    arrays = {
        name: np.array([[float(x) for x in row] for row in value.entries])
        for name, value in proof.counterexample.entries.items()
    }
    tree = formula("tr(A @ B @ C) + 0 * dim(d)", SHAPES)
    arrays["dim(d)"] = np.array(float(len(arrays["A"])))
    value = evaluate(tree, arrays, identity=np.eye, pinv=np.linalg.pinv)
    assert value == pytest.approx(np.trace(arrays["A"] @ arrays["B"] @ arrays["C"]))
    assert value == pytest.approx(float(proof.counterexample.left.entries[0][0]))


def test_the_trace_of_a_batch_is_that_of_each_matrix() -> None:
    batch = np.random.default_rng(0).normal(size=(4, 3, 3))
    value = evaluate(formula("tr(A @ A)", SHAPES), {"A": batch}, identity=np.eye, pinv=np.linalg.pinv)
    assert value.shape == (4, 1, 1)
    np.testing.assert_allclose(value[:, 0, 0], [np.trace(a @ a) for a in batch], rtol=1e-12)


# The tests below compare three ways to the mean: pairings, polynomials in the entries, and a sum over five points.

POINTS = [(Fraction(-2), Fraction(1, 12)), (Fraction(-1), Fraction(1, 6)), (Fraction(0), Fraction(1, 2))]
POINTS += [(Fraction(1), Fraction(1, 6)), (Fraction(2), Fraction(1, 12))]
"""Values and probabilities with the moments 0, 1, 0, 3 of a standard normal variable."""


def monomials() -> st.SearchStrategy[list[list[Factor]]]:
    """Products of traces of words over Z and two square matrices, of degree 2 or 4 in Z."""
    random = st.sampled_from([Factor("Z"), Factor("Z", True)])
    fixed = st.lists(st.sampled_from([Factor("A"), Factor("B"), Factor("A", True)]), max_size=2)

    def cut(pieces: list[tuple[Factor, list[Factor]]], places: set[int]) -> list[list[Factor]]:
        words: list[list[Factor]] = [[]]
        for index, (letter, others) in enumerate(pieces):
            if index in places:
                words.append([])
            words[-1] += [letter, *others]
        return [word for word in words if word]

    pieces = st.sampled_from([2, 4]).flatmap(
        lambda count: st.lists(st.tuples(random, fixed), min_size=count, max_size=count)
    )
    return st.builds(cut, pieces, st.sets(st.integers(1, 3), max_size=2))


def times(words: list[list[Factor]], values: dict[str, ExactMatrix]) -> Any:
    """The product of the traces of the words."""
    total: Any = Fraction(1)
    for word in words:
        product = identity(2)
        for factor in word:
            value = values[factor.name]
            product = product @ (value.swapaxes(-1, -2) if factor.transposed else value)
        total = total * product.trace()
    return total


@settings(max_examples=25, deadline=None)
@given(monomials(), st.integers(0, 1000))
def test_pairings_give_the_mean_of_every_product_of_traces(words: list[list[Factor]], seed: int) -> None:
    random = Random(seed)
    values = {name: draw_matrix(random, 2, 2) for name in "AB"}
    text = " * ".join(f"tr({' @ '.join(map(str, word))})" for word in words)
    shapes = {name: ("d", "d") for name in "ABZ"}
    reading = Reading(read_statement(Source(f"expect({text}, Z, 1) == 0", shapes)))
    paired = Fraction(0)
    for monomial, coefficient in reading.goal.terms.items():
        scale = Fraction(str(coefficient.as_expr().subs("dim(d)", 2)))
        paired += scale * times([list(reading.traces.words[factor.name]) for factor in monomial], values)
    entries = times(words, {**values, "Z": random_matrix("Z", 2, 2)})
    assert paired == entries.mean("Z", Fraction(1)).constant()
    total = Fraction(0)
    for draw in itertools.product(POINTS, repeat=4):
        (a, p), (b, q), (c, r), (d, s) = draw
        total += p * q * r * s * times(words, {**values, "Z": matrix([[a, b], [c, d]])})
    assert paired == total


@pytest.fixture(scope="module")
def certificate() -> str:
    proof = prove(
        "2 * tr(B) * tr(X @ pinv(X) @ A @ X @ pinv(X)) + tr(A @ B) == 2 * tr(X @ pinv(X) @ A) * tr(B) + tr(A.T @ B)",
        SHAPES,
        ["A.T == A"],
    )
    assert proof.certificate is not None
    return proof.certificate


def tampered(certificate: str, place: int, **changes: str) -> str:
    data = json.loads(certificate)
    data["cofactors"][place].update(changes)
    return json.dumps(data)


def test_every_step_of_a_trace_certificate_matters(certificate: str) -> None:
    steps = json.loads(certificate)["cofactors"]
    assert len(steps) > 1
    assert recheck(certificate).verdict == "proved"
    for place, step in enumerate(steps):
        assert not check_certificate(tampered(certificate, place, factor=f"2 * ({step['factor']})"))
        assert not check_certificate(tampered(certificate, place, factor=f"({step['factor']}) * tr(C)"))
        assert not check_certificate(tampered(certificate, place, left=f"-({step['left']})"))
        data = json.loads(certificate)
        del data["cofactors"][place]
        assert not check_certificate(json.dumps(data))


@pytest.mark.parametrize(
    ("old", "new"), [("tr(A @ B)", "tr(A @ A)"), ("2 * tr(B)", "3 * tr(B)"), ("tr(A.T @ B)", "tr(A) * tr(B)")]
)
def test_an_altered_trace_claim_is_rejected(certificate: str, old: str, new: str) -> None:
    assert old in certificate
    assert not check_certificate(certificate.replace(old, new, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"factor": "A"},
        {"factor": "expect(tr(A), A, 1)"},
        {"factor": "d(tr(A))"},
        {"factor": "tr(X)"},
        {"left": "tr(A)"},
        {"left": "d(A)"},
        {"left": "X"},
        {"axiom": "tr(A) == 0"},
        {"right": "I"},
    ],
)
def test_a_malformed_trace_step_is_an_error(certificate: str, changes: dict[str, str]) -> None:
    with pytest.raises(ClaimError):
        check_certificate(tampered(certificate, 0, **changes))


def test_steps_for_matrices_and_for_traces_do_not_mix(certificate: str) -> None:
    with pytest.raises(ClaimError, match="texts factor, left, axiom"):
        check_certificate(
            json.dumps({**json.loads(certificate), "cofactors": [{"left": "I", "axiom": "A.T == A", "right": "I"}]})
        )
    proof = prove("A == A.T", SHAPES, ["A.T == A"])
    assert proof.certificate is not None
    with pytest.raises(ClaimError, match="texts left, axiom, right"):
        check_certificate(
            json.dumps(
                {**json.loads(proof.certificate), "cofactors": [{"factor": "1", "left": "I", "axiom": "A.T == A"}]}
            )
        )


def test_the_mean_that_a_certificate_claims_is_computed_again() -> None:
    proof = prove("expect(tr(A @ A), A, 2) == 2 * dim(d)", SHAPES)
    assert proof.certificate is not None
    assert check_certificate(proof.certificate)
    assert not check_certificate(proof.certificate.replace("tr(A @ A)", "tr(A @ A.T)"))
    assert not check_certificate(proof.certificate.replace("A, 2)", "A, 3)"))


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("tr(W) == 0", {}, r"trace must be square, but `W` is q×d"),
    ("tr(A) == A", {}, r"has the scalar `tr\(A\)`\. Take the trace of the other side"),
    ("x.T @ A @ x == tr(A)", {}, r"must have a matrix here, but has the scalar `tr\(A\)`"),
    ("tr(A) * B == B", {}, r"no trace in a factor of a matrix .* has `tr\(A\)`"),
    ("A / tr(A) == B", {}, r"no trace in a denominator"),
    ("tr(A) / tr(B) == 1", {}, r"no trace in a denominator"),
    ("tr(I) == dim(d)", {}, r"write dim\(d\) for tr\(I\)"),
    ("dim(e) == 2", {}, r"a dimension name inside dim\(\.\.\.\) \(here: d, m, n, q\)"),
    ("tr(2) == 2", {}, r"must have a matrix here, but has the scalar `2`"),
    ("tr(A, B) == 0", {}, r"one argument in tr"),
    ("pinv(tr(A)) == 0", {}, r"must have a matrix here, but has the scalar `tr\(A\)`"),
    ("tr(B) == 0", {"assume": ["tr(A) == 0"]}, r"assume must hold equations between matrices"),
    ("expect(tr(A), A) == 0", {}, r"three arguments in expect\(value, W, variance\)"),
    ("expect(A, A, 1) == 0", {}, r"a scalar in expect\(\.\.\.\) .* Take its trace"),
    ("expect(tr(A), B @ A, 1) == 0", {}, r"a matrix name as the second of expect"),
    ("expect(tr(A), A, tr(B)) == 0", {}, r"variance .* must be a constant scalar, but it is `tr\(B\)`"),
    ("expect(tr(A), A, t) == 0", {}, r"variance .* must be a constant scalar, but it is `t`"),
    ("expect(tr(A), A, 1) == tr(A)", {}, r"`A` also stands outside"),
    ("expect(tr(pinv(A)), A, 1) == 0", {}, r"`A` stands inside pinv"),
    ("expect(tr(A @ A), A, 1) == 0", {"assume": ["A.T == A"]}, r"`A` stands in a hypothesis"),
    ("expect(tr(A @ A), A, 1) == 0", {"assume": ["d(A) == A"]}, r"`A` stands in a hypothesis"),
    ("expect(tr(E @ X @ X.T), X, 1) == 0", {"flow": "X"}, r"`X` stands inside pinv\(\.\.\.\) or in a flow"),
    ("expect(tr(A)**9, A, 1) == 0", {}, r"at most 8 times A"),
]


@pytest.mark.parametrize(("claim", "options", "message"), ERRORS, ids=[claim for claim, _, _ in ERRORS])
def test_a_bad_claim_about_traces_gets_one_clear_line(claim: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ClaimError, match=message) as caught:
        prove(claim, SHAPES, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))
