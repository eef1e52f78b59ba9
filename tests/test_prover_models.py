"""Counterexamples are exact, satisfy the hypotheses, and hold in floating point; flows are real flows."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad_vec
from scipy.linalg import expm

from theory.operators import evaluate, formula, prove
from theory.operators.budget import Budget
from theory.operators.draws import draw_matrix
from theory.operators.exact import flow, identity, integer_spectrum, matrix, pinv, solve
from theory.operators.models import ModelSearch
from theory.operators.statement import Source, read_statement

Array = np.ndarray[Any, np.dtype[np.float64]]
LOG2 = math.log(2)

# Products of a few small integers: double precision is exact to far more digits than these tests ask for.
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def as_array(exact: Any) -> Array:
    """The entries as floats, with t = log 2."""
    return np.array([[_number(value) for value in row] for row in exact.entries])


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float | Fraction) else float(value.as_expr().subs("t", LOG2))


# The first call of a solver is slow, so no example has a deadline.
unhurried = settings(max_examples=30, deadline=None)


def sizes() -> st.SearchStrategy[int]:
    return st.integers(1, 4)


@unhurried
@given(st.integers(0, 10_000), sizes(), sizes())
def test_the_exact_pseudo_inverse_is_numpys(seed: int, rows: int, columns: int) -> None:
    a = draw_matrix(Random(seed), rows, columns)
    np.testing.assert_allclose(as_array(pinv(a)), np.linalg.pinv(as_array(a), rcond=1e-12), **CLOSE)


@unhurried
@given(st.integers(0, 10_000), sizes())
def test_a_rational_flow_is_the_matrix_exponential_and_its_integral(seed: int, size: int) -> None:
    g = draw_matrix(Random(seed), size, size)
    result = flow(g, Fraction(1, 2), LOG2)
    if result is None:
        assert integer_spectrum(g) is None
        return
    exponential, integral = (as_array(part) for part in result)
    np.testing.assert_allclose(exponential, expm(-LOG2 * as_array(g)), rtol=1e-8, atol=1e-8)
    expected, _ = quad_vec(lambda s: expm(-s * as_array(g)), 0, LOG2, epsabs=1e-9)
    np.testing.assert_allclose(integral, expected, rtol=1e-6, atol=1e-6)


def test_a_generator_without_a_basis_of_eigenvectors_has_no_rational_flow() -> None:
    assert flow(matrix([[1, 1], [0, 1]]), Fraction(1, 2), 1) is None


def test_the_flow_of_a_nilpotent_generator_is_its_series() -> None:
    """By hand at t = 2: N² has one entry 1, so E = I - 2 N + 2 N² and the integral is 2 I - 2 N + 4/3 N²."""
    pair = flow(matrix([[0, 1, 3], [0, 0, 1], [0, 0, 0]]), Fraction(1, 2), Fraction(2))
    assert pair is not None
    assert str(pair[0]) == "[1 -2 -4; 0 1 -2; 0 0 1]"
    assert str(pair[1]) == "[2 -2 -14/3; 0 2 -2; 0 0 2]"
    assert flow(matrix([[1, 1], [1, 0]]), Fraction(1, 2), 1) is None
    assert flow(identity(2), Fraction(1, 2), 1) is not None


def test_solving_says_when_there_is_no_solution() -> None:
    assert solve([[Fraction(0)]], [Fraction(1)]) is None


REFUTED: list[tuple[str, dict[str, Any]]] = [
    ("Y @ pinv(X) @ X == Y", {"shapes": {"X": ("d", "n"), "Y": ("q", "n")}}),
    ("W0 @ E == W0", {"shapes": {"X": ("d", "n"), "W0": ("q", "d")}, "flow": "X"}),
    ("E @ X == X", {"shapes": {"X": ("d", "n")}, "flow": {"E": "c * X @ X.T - mu * I"}, "scalars": ["c", "mu"]}),
    ("integral(E) @ X == t * X", {"shapes": {"X": ("d", "n")}, "flow": "X"}),
    ("E @ X @ Z == X @ Z", {"shapes": {"X": ("d", "n"), "Z": ("n", "d")}, "flow": {"E": "X @ Z"}}),
    ("W @ X == 2 * Y", {"shapes": {"W": ("q", "d"), "X": ("d", "n"), "Y": ("q", "n")}, "assume": ["W @ X == Y"]}),
    ("pinv(X) == X.T", {"shapes": {"X": ("d", "n"), "R": ("n", "d")}, "assume": ["X @ R == I"]}),
]


@pytest.mark.parametrize(("claim", "setting"), REFUTED, ids=[claim for claim, _ in REFUTED])
def test_a_counterexample_breaks_the_claim_in_floating_point(claim: str, setting: dict[str, Any]) -> None:
    found = prove(claim, **setting).counterexample
    assert found is not None
    flow_texts = setting.get("flow") or {}
    flow_texts = {"E": f"{flow_texts} @ {flow_texts}.T"} if isinstance(flow_texts, str) else flow_texts
    values: dict[str, Any] = {name: as_array(value) for name, value in found.entries.items() if name not in flow_texts}
    values |= {name: float(value) for name, value in found.scalars.items()} | {"t": LOG2}
    common = {"scalars": setting.get("scalars", ())}

    def value(text: str, **flows: Any) -> Any:
        tree = formula(text, setting["shapes"], flow=flow_texts, **common)
        return evaluate(tree, values, identity=np.eye, pinv=np.linalg.pinv, **flows)

    flows, integrals = {}, {}
    for name, text in flow_texts.items():
        generator = value(text)
        flows[name] = expm(-LOG2 * generator)
        integrals[name], _ = quad_vec(lambda s, g=generator: expm(-s * g), 0, LOG2, epsabs=1e-10)
        np.testing.assert_allclose(as_array(found.entries[name]), flows[name], rtol=1e-7, atol=1e-7)
    left, right = (value(side, flows=flows, integrals=integrals) for side in claim.split(" == "))
    np.testing.assert_allclose(left, as_array(found.left), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(right, as_array(found.right), rtol=1e-6, atol=1e-6)
    assert np.abs(left - right).max() > 1e-3
    for text in setting.get("assume", ()):
        first, second = text.split(" == ")
        difference = value(f"{first} - ({second})")
        np.testing.assert_allclose(difference, 0, atol=1e-9)


@pytest.mark.parametrize(
    "assume",
    [
        ["W @ X == Y"],
        ["W @ X == Y", "V == X @ pinv(X) @ V"],
        ["S.T == S"],
        ["X @ R == I"],
        ["P @ P == P"],
        ["P @ P == P", "P.T == P"],
        ["x.T @ x == s * I"],
        ["S.T @ S == I"],
        ["S.T == S", "S @ V == s * V"],
        ["P @ P == P", "P @ S == S"],
    ],
    ids=lambda items: ", ".join(items),
)
def test_common_hypotheses_have_models_with_nothing_trivial_about_them(assume: list[str]) -> None:
    shapes = {"W": ("q", "d"), "X": ("d", "n"), "Y": ("q", "n"), "V": ("d", "m"), "R": ("n", "d")}
    shapes |= {"S": ("d", "d"), "P": ("d", "d"), "x": ("d", 1)}  # type: ignore[dict-item]
    name = next(letter for letter in ("X", "P", "S", "x") if any(letter in text for text in assume))
    proof = prove(f"{name} == 0", shapes, assume=assume, scalars=["s"])
    assert proof.verdict == "refuted"


def test_a_matrix_that_only_obeys_the_algebra_of_a_flow_refutes_nothing() -> None:
    # X = I, E = 0, integral = I satisfies E = I - X Xᵀ integral and all symmetries, but is no exponential.
    statement = read_statement(Source("E @ pinv(E) == I", {"X": ("d", "n")}, flow={"E": "X @ X.T"}))
    search = ModelSearch(statement, Budget())
    assert search.run(500) is None
    assert search.satisfied
    assert prove("E == 0", {"X": ("d", "n")}, flow="X").verdict == "refuted"


def test_a_hypothesis_that_holds_at_the_trial_time_only_refutes_nothing() -> None:
    # S = 7/5 I fits the rational that stands for t during the search; no rational S fits log 2.
    proof = prove("S == 2 * I", {"S": ("d", "d")}, assume=["S == t * I"], budget=Budget(more_models=50))
    assert proof.verdict == "undecided"


def test_a_letter_with_a_rate_and_a_bound_value_is_not_refuted() -> None:
    # W(t) is bound by its start, so a free value of W would be no solution.
    proof = prove("W == W0", {"W": ("q", "d"), "W0": ("q", "d")}, assume=["d(W) == -W", "start(W) == W0"])
    assert proof.verdict == "undecided"


def test_dimensions_with_a_number_keep_it() -> None:
    found = prove("A @ A.T == I", {"A": (3, "n")}).counterexample
    assert found is not None
    assert found.left.shape == (3, 3)
    assert found.dimensions == {"n": 1}


def test_positive_scalars_are_drawn_positive() -> None:
    for seed in range(20):
        found = prove("c * A == 0", {"A": ("d", "n")}, scalars=["c > 0"], budget=Budget(seed=seed)).counterexample
        assert found is not None
        assert found.scalars["c"] > 0
