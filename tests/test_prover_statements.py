"""What the prover says about statements whose truth is known, and about their false twins."""

from __future__ import annotations

from typing import Any

import pytest

from theory.operators import LEMMAS, Budget, Equation, Letter, Symbol, check_certificate, prove

X, Y, W0, SQUARE = ("d", "n"), ("q", "n"), ("q", "d"), ("d", "d")
DATA = {"X": X, "Y": Y, "W0": W0}

FLOW: dict[str, Any] = {
    "shapes": DATA,
    "flow": {"E": "X @ X.T"},
    "where": {"W": "W0 @ E + Y @ pinv(X) @ (I - E)"},
}
DECAY: dict[str, Any] = {
    "shapes": DATA,
    "scalars": ["c", "mu"],
    "flow": {"E": "c * X @ X.T + mu * I"},
    "where": {"W": "W0 @ E + c * Y @ X.T @ integral(E)"},
}
DUAL: dict[str, Any] = {
    "shapes": DATA,
    "flow": {"g": "X.T @ X"},
    "where": {"W": "W0 + (Y - W0 @ X) @ integral(g) @ X.T"},
}
IDENTITY: dict[str, Any] = {
    "shapes": {"X": X, "W0": SQUARE, "x": ("d", "m")},
    "flow": "X",
    "where": {"W": "W0 @ E + X @ pinv(X) @ (I - E)"},
}
REALIZABLE: dict[str, Any] = {
    "shapes": {**DATA, "Wstar": W0, "V": ("d", "m")},
    "where": {"Winf": "Y @ pinv(X) + W0 @ (I - X @ pinv(X))"},
}
TWO_FLOWS: dict[str, Any] = {
    "shapes": {"X": X},
    "scalars": ["c", "mu"],
    "flow": {"E": "c * X @ X.T + mu * I", "g": "c * X.T @ X + mu * I"},
}
SEMIGROUP: dict[str, Any] = {"shapes": {"S": SQUARE}, "flow": {"E": "S", "F": "2 * S", "G": "3 * S", "H": "-S"}}
MOVING: dict[str, Any] = {"shapes": {**DATA, "W": W0}, "assume": ["d(W) == -(W @ X - Y) @ X.T"]}

RIDGE: dict[str, Any] = {
    "shapes": DATA,
    "scalars": ["c > 0", "mu > 0"],
    "flow": {"E": "c * X @ X.T + mu * I"},
    "where": {
        "S": "c * X @ X.T + mu * I",
        "W": "W0 @ E + c * Y @ X.T @ integral(E)",
        "V": "c * Y @ X.T @ pinv(S) + (W0 - c * Y @ X.T @ pinv(S)) @ E",
    },
}

TRUE: list[tuple[str, dict[str, Any]]] = [
    ("Y @ pinv(X) @ X @ X.T == Y @ X.T", {"shapes": DATA}),
    ("pinv(X.T) == pinv(X).T", {"shapes": DATA}),
    ("pinv(pinv(X)) == X", {"shapes": DATA}),
    ("X.T @ pinv(X @ X.T) == pinv(X)", {"shapes": DATA}),
    ("pinv(X @ X.T) @ X == pinv(X).T", {"shapes": DATA}),
    ("pinv(c * X) == 1/c * pinv(X)", {"shapes": DATA, "scalars": ["c"]}),
    ("d(W) == -(W @ X - Y) @ X.T", FLOW),
    ("start(W) == W0", FLOW),
    ("limit(W) == Y @ pinv(X) + W0 @ (I - X @ pinv(X))", FLOW),
    ("W @ (I - X @ pinv(X)) == W0 @ (I - X @ pinv(X))", FLOW),
    ("E @ pinv(E) == I", FLOW),
    ("E.T == E", FLOW),
    ("integral(E) == pinv(X @ X.T) @ (I - E) + t * (I - X @ pinv(X))", FLOW),
    ("d(W) == -c * (W @ X - Y) @ X.T - mu * W", DECAY),
    ("start(W) == W0", DECAY),
    ("d(W) == -(W @ X - Y) @ X.T", DUAL),
    ("start(W) == W0", DUAL),
    ("X @ integral(g) @ X.T == X @ (I - g) @ pinv(X)", DUAL),
    ("limit(W) @ x == X @ pinv(X) @ x + W0 @ (I - X @ pinv(X)) @ x", IDENTITY),
    ("W @ x == X @ pinv(X) @ x + W0 @ (I - X @ pinv(X)) @ x + (W0 - I) @ E @ X @ pinv(X) @ x", IDENTITY),
    ("W @ x == x + (W0 - I) @ E @ x", IDENTITY),
    ("(Winf - Wstar) @ V == (W0 - Wstar) @ (I - X @ pinv(X)) @ V", REALIZABLE | {"assume": ["Wstar @ X == Y"]}),
    ("Winf @ V == Wstar @ V", REALIZABLE | {"assume": ["Wstar @ X == Y", "V == X @ pinv(X) @ V"]}),
    ("Winf @ X @ X.T == Y @ X.T", REALIZABLE),
    ("(Winf - W0) @ (I - X @ pinv(X)) == 0", REALIZABLE),
    ("X @ g == E @ X", TWO_FLOWS),
    ("X @ integral(g) == integral(E) @ X", TWO_FLOWS),
    ("g @ X.T == X.T @ E", TWO_FLOWS),
    ("E @ F == G", SEMIGROUP),
    ("E @ H == I", SEMIGROUP),
    ("d(E @ F) == -3 * S @ E @ F", SEMIGROUP),
    ("E.T == E", {"shapes": {"S": SQUARE}, "flow": {"E": "S"}, "assume": ["S.T == S"]}),
    ("A == 0", {"shapes": {"A": W0, "X": X}, "flow": "X", "assume": ["A @ E == 0"]}),
    ("A == 0", {"shapes": {"A": X}, "assume": ["A.T @ A == 0"]}),
    ("x.T @ y == y.T @ x", {"shapes": {"x": ("d", 1), "y": ("d", 1)}}),
    ("x @ x.T @ x == s * x", {"shapes": {"x": ("d", 1)}, "scalars": ["s"], "assume": ["x.T @ x == s * I"]}),
    ("pinv(P) == P", {"shapes": {"P": SQUARE}, "assume": ["P @ P == P", "P.T == P"]}),
    ("X @ pinv(X) == I", {"shapes": {"X": X, "R": ("n", "d")}, "assume": ["X @ R == I"]}),
    ("d(W @ (I - X @ pinv(X))) == 0", MOVING),
    ("d(d(W)) == (W @ X - Y) @ X.T @ X @ X.T", MOVING),
    ("d(V @ pinv(E)) == 0", {"shapes": {"V": W0, "X": X}, "flow": "X", "assume": ["d(V) == -V @ X @ X.T"]}),
    ("S @ pinv(S) == I", RIDGE),
    ("limit(W) == c * Y @ X.T @ pinv(S)", RIDGE),
    ("limit(integral(E)) @ S == I", RIDGE),
    ("d(V) == -c * (V @ X - Y) @ X.T - mu * V", RIDGE),
    ("limit(E) == I - X @ pinv(X)", {"shapes": DATA, "scalars": ["c > 0"], "flow": {"E": "c * X @ X.T"}}),
]

FALSE: list[tuple[str, dict[str, Any]]] = [
    ("Y @ pinv(X) @ X == Y", {"shapes": DATA}),
    ("pinv(X) @ X == I", {"shapes": DATA}),
    ("X @ X.T == X.T @ X", {"shapes": {"X": SQUARE}}),
    ("pinv(A @ B) == pinv(B) @ pinv(A)", {"shapes": {"A": ("p", "q"), "B": ("q", "r")}}),
    ("d(W) == (W @ X - Y) @ X.T", FLOW),
    ("limit(W) == Y @ pinv(X)", FLOW),
    ("W @ X @ pinv(X) == W0 @ X @ pinv(X)", FLOW),
    ("d(E) == X @ X.T @ E", FLOW),
    ("integral(E) == pinv(X @ X.T) @ (I - E)", FLOW),
    ("integral(E) == t * I", FLOW),
    ("W @ (I - X @ pinv(X)) == W0 @ (I - X @ pinv(X))", DECAY),
    ("d(W) == -c * (W @ X - Y) @ X.T - mu * W", DECAY | {"where": {"W": "W0 + c*(Y - W0 @ X) @ X.T @ integral(E)"}}),
    ("d(W) == -(W @ X - Y) @ X.T", DUAL | {"where": {"W": "W0 + (Y - W0 @ X) @ X.T"}}),
    ("limit(W) @ x == (I - X @ pinv(X)) @ x + W0 @ X @ pinv(X) @ x", IDENTITY),
    ("W @ x == x + (W0 - I) @ x", IDENTITY),
    ("Winf @ V == Wstar @ V", REALIZABLE | {"assume": ["Wstar @ X == Y"]}),
    ("Winf @ X == Y", REALIZABLE),
    ("E @ X == X @ g", TWO_FLOWS | {"flow": {"E": "c * X @ X.T + mu * I", "g": "X.T @ X + mu * I"}}),
    ("E @ F == H", SEMIGROUP),
    ("limit(W) == Y @ pinv(X)", RIDGE),
    ("S @ pinv(S) == I", {**RIDGE, "scalars": ["c > 0", "mu"]}),
    ("S @ pinv(S) == I", {"shapes": DATA, "where": {"S": "X @ X.T"}}),
    ("S @ pinv(S) == I", {"shapes": DATA, "where": {"S": "X @ X.T - I"}}),
    ("E @ F == F @ E", {"shapes": {"A": SQUARE, "B": SQUARE}, "flow": {"E": "A", "F": "B"}}),
    ("E.T == E", {"shapes": {"S": SQUARE}, "flow": {"E": "S"}}),
    ("P.T == P", {"shapes": {"P": SQUARE}, "assume": ["P @ P == P"]}),
    ("A == 2 * I", {"shapes": {"A": SQUARE}, "assume": ["A @ A == 4 * I"]}),
    ("x @ x.T == s * I", {"shapes": {"x": ("d", 1)}, "scalars": ["s"], "assume": ["x.T @ x == s * I"]}),
    ("R @ X == I", {"shapes": {"X": X, "R": ("n", "d")}, "assume": ["X @ R == I"]}),
    ("pinv(X) == R", {"shapes": {"X": X, "R": ("n", "d")}, "assume": ["X @ R == I"]}),
    ("d(W) == 0", MOVING),
]


@pytest.mark.parametrize(("claim", "setting"), TRUE, ids=[claim for claim, _ in TRUE])
def test_a_true_statement_is_proved_with_a_certificate_that_checks(claim: str, setting: dict[str, Any]) -> None:
    proof = prove(claim, **setting)
    assert proof.verdict == "proved", str(proof)
    assert proof.certificate is not None
    assert check_certificate(proof.certificate)
    assert set(proof.lemmas) <= set(LEMMAS)
    assert proof.counterexample is None


@pytest.mark.parametrize(("claim", "setting"), FALSE, ids=[claim for claim, _ in FALSE])
def test_a_false_statement_is_refuted_by_a_small_example(claim: str, setting: dict[str, Any]) -> None:
    proof = prove(claim, **setting)
    assert proof.verdict == "refuted", str(proof)
    assert proof.certificate is None
    assert proof.counterexample is not None
    assert max(proof.counterexample.dimensions.values()) <= 2
    assert proof.counterexample.left != proof.counterexample.right


@pytest.mark.parametrize(
    ("name", "residual"),
    [
        ("gradient descent", "W0 @ (I - eta * S) + eta * c * Y @ X.T"),
        ("two steps", "W0 @ (I - eta * S) @ (I - eta * S) + eta * c * Y @ X.T @ (2 * I - eta * S)"),
    ],
)
def test_an_update_rule_run_on_letters_expands_without_axioms(name: str, residual: str) -> None:
    def step(weight: Any, data: Any, target: Any, rate: Any, scale: Any, decay: Any) -> Any:
        return weight - rate * (scale * (weight @ data - target) @ data.T + decay * weight)

    rest = (Letter("X"), Letter("Y"), Symbol("eta"), Symbol("c"), Symbol("mu"))
    updated = step(Letter("W0"), *rest)
    if name == "two steps":
        updated = step(updated, *rest)
    proof = prove(
        f"{updated} == {residual}",
        DATA,
        scalars=["eta", "c", "mu"],
        where={"S": "c * X @ X.T + mu * I"},
    )
    assert proof.verdict == "proved"
    assert proof.used == ()
    assert proof.lemmas == ()


def test_a_claim_can_be_a_tree() -> None:
    x = Letter("X")
    assert prove(Equation((x @ x.T).T, x @ x.T), {"X": X}).verdict == "proved"


def test_used_names_only_the_hypotheses_that_were_needed() -> None:
    proof = prove("R.T @ X.T == I", {"X": X, "R": ("n", "d"), "A": X}, assume=["X @ R == I", "A == 2 * X"])
    assert proof.used == ("X @ R == I",)


def test_a_denominator_is_recorded_even_if_it_cancels() -> None:
    assert prove("c / c * X == X", {"X": X}, scalars=["c"]).side_conditions == ("c != 0",)


def test_a_denominator_of_the_proof_is_recorded() -> None:
    proof = prove("X == Y", {"X": X, "Y": X}, assume=["(c - 1) * X == (c - 1) * Y"], scalars=["c"])
    assert proof.verdict == "proved"
    assert proof.side_conditions == ("c - 1 != 0",)


def test_a_counterexample_at_special_values_only_becomes_a_side_condition() -> None:
    shapes = {"X": X, "Y": X}
    assert prove("X == Y", shapes, assume=["c * X == c * Y"], scalars=["c"]).side_conditions == ("c != 0",)
    assert prove("X == Y", shapes, assume=["c * X == c * Y"], scalars=["c > 0"]).side_conditions == ()
    assert prove("X == 2 * Y", shapes, assume=["c * X == c * Y"], scalars=["c"]).verdict == "refuted"


def test_a_letter_times_a_scalar_that_may_vanish_is_not_taken_for_symmetric() -> None:
    proof = prove("E.T == E", {"S": SQUARE}, assume=["c * S.T == c * S"], scalars=["c"], flow={"E": "S"})
    assert proof.verdict != "proved" or "c != 0" in proof.side_conditions


def test_a_denominator_declared_positive_is_no_side_condition() -> None:
    assert prove("X / (c + 1) * (c + 1) == X", {"X": X}, scalars=["c > 0"]).side_conditions == ()


def test_an_equation_that_only_the_theory_of_odes_decides_stays_undecided() -> None:
    proof = prove("W == 0", {"W": W0}, assume=["d(W) == W", "start(W) == 0"])
    assert proof.verdict == "undecided"
    assert proof.completed
    assert proof.residual == "W"


def test_a_spent_budget_is_said() -> None:
    claim = "X.T @ pinv(X @ X.T) == pinv(X)"
    proof = prove(claim, {"X": X}, budget=Budget(models=4, more_models=4, overlaps=3))
    assert proof.verdict == "undecided"
    assert not proof.completed
    assert "budget" in str(proof)


def test_hypotheses_without_a_rational_model_are_not_called_contradictory() -> None:
    proof = prove("A @ A @ A == 2 * A", {"A": (1, 1)}, assume=["A @ A == 2 * I"])
    assert proof.verdict == "proved"


def test_the_verdict_reads_well() -> None:
    text = str(prove("Y @ pinv(X) @ X == Y", {"X": X, "Y": Y}))
    assert text.startswith("refuted: Y @ pinv(X) @ X == Y\n")
    assert "left side" in text
    text = str(prove("pinv(c * X) == 1/c * pinv(X)", {"X": X}, scalars=["c"]))
    assert "provided: c != 0" in text
    assert "modulo: L-PINV" in text


def test_no_lemma_mentions_a_network() -> None:
    for statement in LEMMAS.values():
        words = statement.replace(",", " ").replace(".", " ").split()
        assert not {"W", "Φ", "X", "layer", "weights", "data"} & set(words)


def test_a_proof_does_not_depend_on_the_run() -> None:
    first, second = (prove("X.T @ pinv(X @ X.T) == pinv(X)", {"X": X}).certificate for _ in range(2))
    assert first == second
