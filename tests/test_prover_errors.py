"""Every error of the prover: one line that names the argument, what it must be, what it is, and the repair."""

from __future__ import annotations

from typing import Any

import pytest

from theory.errors import ClaimError, SettingError
from theory.operators import Identity, Letter, Symbol, evaluate, formula, prove

SHAPES = {"X": ("d", "n"), "W": ("q", "d"), "S": ("d", "d"), "x": ("d", 1)}

CASES: list[tuple[str, str, dict[str, Any], str]] = [
    ("unknown name", "Wo @ X == X", {}, r"uses `Wo`\. Did you mean `W`\?"),
    ("unknown name without a neighbour", "X == Theta", {}, r"uses `Theta`\. Give its shape in shapes"),
    ("unknown function", "pnv(X) == X", {}, r"calls `pnv`\. Did you mean `pinv`\?"),
    ("trace against a matrix", "tr(S) == S", {}, r"the scalar `tr\(S\)`\. Take the trace of the other side"),
    ("no equation", "X", {}, r"must be one equation `left == right`"),
    ("two equations", "X == X == X", {}, r"must be one equation"),
    ("syntax", "X @@ X == X", {}, r"does not parse"),
    ("not text", 3, {}, r"does not parse|one equation"),
    ("inner sizes", "X @ W == X", {}, r"`X` is d×n and `W` is q×d"),
    ("sum of shapes", "X + X.T == X", {}, r"`X` is d×n and `X\.T` is n×d"),
    ("sides of shapes", "W @ X == X", {}, r"`W @ X` is q×n and `X` is d×n"),
    ("a 1×1 matrix is no scalar", "x.T @ x == S", {}, r"is 1×1 and `S` is d×d"),
    ("product with *", "X * X == X", {}, r"Multiply with `@`"),
    ("scalar with @", "X @ t == X", {}, r"the scalar `t`"),
    ("division by a matrix", "X / S == X", {}, r"Multiply by pinv"),
    ("scalar plus matrix", "X + 1 == X", {}, r"Write `1 \* I`"),
    ("two scalars", "t == t", {}, r"both sides of `t == t` are scalars"),
    ("power of a matrix", "S**2 == S", {}, r"from a scalar to a whole number"),
    ("indexing", "X[0] == X", {}, r"has `X\[0\]`"),
    ("attribute", "X.shape == X", {}, r"has `X\.shape`"),
    ("size of I", "I == I", {}, r"the size of every `I`"),
    ("division by zero", "X / 0 == X", {}, r"divides by 0"),
    ("division by a hidden zero", "X / (c - c) == X", {"scalars": ["c"]}, r"divides by 0"),
    ("division by zero at the start", "start(X / t) == X", {}, r"divides by 0"),
    ("integral of no flow", "integral(X) == X", {"flow": "X"}, r"the name of a flow .*here: E"),
    ("limit of an integral", "limit(integral(E)) == S", {"flow": "X"}, r"meets `integral\(E\)`"),
    ("limit of the time", "limit(t * X) == X", {}, r"meets `t \* X`"),
    ("limit of a general flow", "limit(E) == S", {"flow": {"E": "S"}}, r"of the form `A @ A\.T`"),
    (
        "limit with a scalar of unknown sign",
        "limit(E) == S",
        {"flow": {"E": "c * X @ X.T"}, "scalars": ["c"]},
        r"declare scalars as \"c > 0\"",
    ),
    ("derivative of a pseudo-inverse", "d(pinv(E + I)) == S", {"flow": "X"}, r"meets `pinv\(E \+ I\)`"),
    ("flow that is not square", "E == S", {"flow": {"E": "X"}}, r"flow\['E'\] must be square, but `X` is d×n"),
    ("flow that moves", "E == S", {"flow": {"E": "t * S"}}, r"must be constant in time"),
    ("flow with a moving letter", "E == S", {"flow": {"E": "S"}, "assume": ["d(S) == S"]}, r"gives a rate"),
    ("flow of a flow", "F == S", {"flow": {"E": "S", "F": "E"}}, r"must be constant in time"),
    ("derivative in a hypothesis", "W == W", {"assume": ["d(W) @ X == W @ X"]}, r"only as `d\(W\) == \.\.\.`"),
    ("two rates", "W == W", {"assume": ["d(W) == W", "d(W) == 0"]}, r"gives a second"),
    ("name declared twice", "X == X", {"scalars": ["X"]}, r"`X` is declared twice"),
    ("reserved name", "X == X", {"scalars": ["t"]}, r"must not be a word of the language"),
    ("keyword", "X == X", {"scalars": ["lambda"]}, r"must be an identifier"),
    ("bound of a scalar", "X == X", {"scalars": ["c > 1"]}, r"Only > 0 can be declared"),
    ("scalars as text", "X == X", {"scalars": "c"}, r"scalars must be a list"),
    ("hypotheses as text", "X == X", {"assume": "X == X"}, r"assume must be a list"),
    ("shape of a hypothesis", "X == X", {"assume": ["X == W"]}, r"assume `X == W`: .*d×n.*q×d"),
    ("definition used before it is made", "A == A", {"where": {"A": "B @ X", "B": "S"}}, r"where\['A'\].*uses `B`"),
]


@pytest.mark.parametrize(("claim", "options", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_bad_statement_is_refused_with_one_clear_line(claim: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ClaimError, match=message) as caught:
        prove(claim, SHAPES, **options)
    assert isinstance(caught.value, SettingError)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith((".", "?"))


@pytest.mark.parametrize("shape", ["dn", ("d",), ("d", 0), ("d", -1), ("d", 1.5), ("d", True), ("", "n"), None])
def test_a_shape_must_be_two_dimensions(shape: Any) -> None:
    with pytest.raises(ClaimError, match=r"shapes\['X'\] must be a pair"):
        prove("X == X", {"X": shape})


def test_shapes_must_be_a_mapping() -> None:
    with pytest.raises(ClaimError, match="shapes must map names to pairs"):
        prove("X == X", [("X", "d", "n")])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("assume", "guilty"),
    [
        (["X @ R == I", "X == 0"], ["X @ R == I", "X == 0"]),
        (["X @ R == I", "R @ X == 2 * I"], ["X @ R == I", "R @ X == 2 * I"]),
        (["pinv(R) == 0", "X @ R == I"], ["pinv(R) == 0", "X @ R == I"]),
    ],
)
def test_contradictory_hypotheses_are_refused_with_their_names(assume: list[str], guilty: list[str]) -> None:
    with pytest.raises(ClaimError, match="contradict each other") as caught:
        prove("X == X", {"X": ("d", "n"), "R": ("n", "d")}, assume=assume)
    for text in guilty:
        assert f"`{text}`" in str(caught.value)
    assert caught.value.__notes__[0].startswith("I = ")


def test_a_hypothesis_that_fixes_a_scalar_is_refused() -> None:
    with pytest.raises(ClaimError, match="forces s - 2 == 0"):
        prove("x == x", {"x": ("d", 1)}, assume=["x.T @ x == s * I", "x.T @ x == 2 * I"], scalars=["s"])


def test_python_arithmetic_refuses_what_the_language_refuses() -> None:
    x, c = Letter("X"), Symbol("c")
    with pytest.raises(ClaimError, match=r"float 0\.5"):
        0.5 * x
    with pytest.raises(ClaimError, match="Multiply with `@`"):
        x * x  # type: ignore[operator]
    with pytest.raises(ClaimError, match=r"Write c \* I"):
        x + c  # type: ignore[operator]
    with pytest.raises(ClaimError, match="exponent"):
        c**-1


def test_evaluation_asks_for_what_is_missing() -> None:
    tree = formula("W @ X", {"W": ("q", "d"), "X": ("d", "n")})
    with pytest.raises(ClaimError, match=r"`X` has none \(given: W\)"):
        evaluate(tree, {"W": 1.0}, identity=lambda n: n, pinv=lambda a: a)
    with pytest.raises(ClaimError, match="multiple of I"):
        evaluate(Identity(), {}, identity=lambda n: n, pinv=lambda a: a)
