"""`prove_weight`: equation, start and limit of a weight as one claim, in Python and as a claim file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from closedflow.claims import load_claim
from closedflow.cli import run
from theory.errors import ClaimError
from theory.operators import Budget, check_certificate, prove_weight

SHAPES = {"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")}
RATE = "-(W @ X - Y) @ X.T"
WEIGHT = "W0 @ E + Y @ pinv(X) @ (I - E)"
LIMIT = "Y @ pinv(X) + W0 @ (I - X @ pinv(X))"
DECAYED = {
    "weight": "W0 @ E + c * Y @ X.T @ integral(E)",
    "rate": "-c * (W @ X - Y) @ X.T - mu * W",
    "limit": "c * Y @ X.T @ pinv(c * X @ X.T + mu * I)",
    "scalars": ["c > 0", "mu > 0"],
    "flow": {"E": "c * X @ X.T + mu * I"},
}
FILE = f"""
weight = "{WEIGHT}"
rate = "{RATE}"
limit = "{LIMIT}"
flow = "X"
shapes = {{ X = ["d", "n"], Y = ["q", "n"], W0 = ["q", "d"] }}
"""


def test_a_solution_is_proved_with_its_start_and_limit() -> None:
    proof = prove_weight(WEIGHT, SHAPES, RATE, limit=LIMIT, flow="X")
    assert proof.verdict == "proved"
    assert list(proof.parts) == ["equation", "start", "limit"]
    assert proof.lemmas == ("L-EXP", "L-LIMIT", "L-PINV", "L-UNIQUE")
    assert proof.counterexample is None
    assert proof.residual is None
    assert proof.certificate is not None
    parts = json.loads(proof.certificate)
    assert all(check_certificate(json.dumps(part)) for part in parts.values())
    assert proof.seconds == sum(part.seconds for part in proof.parts.values())
    assert "d(W) ==" in proof.claim


def test_weight_decay_and_its_limit() -> None:
    assert prove_weight(shapes=SHAPES, **DECAYED).verdict == "proved"
    assert list(prove_weight(**{**DECAYED, "limit": None}, shapes=SHAPES).parts) == ["equation", "start"]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"rate": "(W @ X - Y) @ X.T"}, "equation"),
        ({"weight": "W0 @ E + Y @ pinv(X) @ (E - I)"}, "equation"),
        ({"start": "0"}, "start"),
        ({"weight": "2 * W0 @ E + Y @ pinv(X) @ (I - E)"}, "start"),
        ({"limit": "Y @ pinv(X)"}, "limit"),
    ],
)
def test_one_wrong_part_refutes_the_weight(changes: dict[str, str], part: str) -> None:
    options: dict[str, Any] = {"weight": WEIGHT, "rate": RATE, "limit": LIMIT, "flow": "X", "shapes": SHAPES} | changes
    proof = prove_weight(**options)
    assert proof.verdict == "refuted"
    assert proof.parts[part].verdict == "refuted"
    assert proof.counterexample is not None
    assert proof.certificate is None
    assert f"{part} refuted: " in str(proof)


def test_the_weakest_part_decides() -> None:
    spent = prove_weight(WEIGHT, SHAPES, RATE, flow="X", budget=Budget(seconds=0.0))
    assert spent.verdict == "undecided"
    assert {part.verdict for part in spent.parts.values()} == {"undecided"}
    assert spent.residual is not None


def test_definitions_hypotheses_and_other_starts_may_be_used() -> None:
    proof = prove_weight(
        "Wstar + (W0 - Wstar) @ E", {**SHAPES, "Wstar": ("q", "d")}, RATE, assume=["Wstar @ X == Y"], flow="X"
    )
    assert proof.verdict == "proved"
    assert proof.used[0] == "Wstar @ X == Y"
    shifted = prove_weight("A @ E", SHAPES, "-W @ X @ X.T", start="2 * W0", flow="X", where={"A": "2 * W0"})
    assert shifted.verdict == "proved"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": {**SHAPES, "W": ("q", "d")}}, "W must be the weight alone"),
        ({"where": {"W": "W0"}}, "W must be the weight alone"),
        ({"rate": "W == W"}, "rate must be one matrix, but `W == W` is an equation"),
        ({"rate": None}, "rate must be text"),
        ({"start": 3}, "start must be text"),
        ({"weight": "W0 @ X"}, "`W0 @ X` is q×n|q×n"),
        ({"weight": "W @ E"}, "uses `W`"),
        ({"start": "W1"}, r"uses `W1`\. Did you mean `W`"),
        ({"where": ["A"]}, "where must map names to texts"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"weight": WEIGHT, "rate": RATE, "flow": "X", "shapes": SHAPES} | changes
    with pytest.raises(ClaimError, match=message):
        prove_weight(**options)


def in_file(folder: Path, text: str) -> str:
    path = folder / "claim.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_weight_in_a_claim_file_is_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "certificate.json"
    assert run(["prove", in_file(tmp_path, FILE), "--json", str(target)]) == 0
    out = capsys.readouterr().out
    for words in (f"proved: W = {WEIGHT} solves d(W) == {RATE}", "equation proved", "start proved", "limit proved"):
        assert words in out
    assert set(json.loads(target.read_text(encoding="utf-8"))) == {"equation", "start", "limit"}


def test_a_wrong_weight_in_a_claim_file_is_refuted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove", in_file(tmp_path, FILE.replace("(I - E)", "(I + E)"))]) == 1
    out = capsys.readouterr().out
    assert "equation proved" in out
    assert "start refuted" in out
    assert "left side" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'claim = "X == X"\n{FILE}', "'claim' or the key 'weight', .* Remove one"),
        (FILE.replace("weight =", "start ="), "must have the key 'weight'"),
        (FILE.replace("rate =", "start ="), "must have the key 'rate'"),
        ('shapes = { X = ["d", "n"] }', r"must have the key 'claim' \(or 'weight' with 'rate'\)"),
        (FILE.replace(f'"{RATE}"', "3"), "rate must be a text in a claim file"),
        (FILE.replace("flow = ", "flows = "), "Did you mean 'flow'"),
        ("a = " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("#" * 1_000_001, "at most 1000000 bytes"),
        (f'assume = ["{"X" * 5000}"]\nclaim = 3\nshapes = 1', "claim must be a text"),
    ],
)
def test_a_wrong_weight_file_gets_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = in_file(tmp_path, text)
    with pytest.raises(ValueError, match=message):
        load_claim(path)
    assert run(["prove", path]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1


SOLVED = {"weight": "W0 @ E", "shapes": {"X": ("d", "n"), "W0": ("q", "d")}, "rate": "-W @ X @ X.T", "flow": "X"}


def test_the_certificate_of_a_weight_is_checked_as_a_whole(tmp_path):
    text = prove_weight(**SOLVED, limit="W0 @ (I - X @ pinv(X))").certificate
    (tmp_path / "w.json").write_text(text, encoding="utf-8")
    assert check_certificate(text)
    assert check_certificate(json.loads(text))
    assert check_certificate(tmp_path / "w.json")
    for name in ("equation", "start", "limit"):
        table = json.loads(text)
        table[name]["claim"] += " + 0 * W0 + W0"
        assert not check_certificate(table)


def test_parts_about_different_weights_are_refused():
    table = json.loads(prove_weight(**SOLVED).certificate)
    other = json.loads(prove_weight(**SOLVED | {"weight": "W0 @ E + 0 * W0"}).certificate)
    with pytest.raises(ClaimError, match="must be about one weight"):
        check_certificate(table | {"start": other["start"]})
    with pytest.raises(ClaimError, match="must be a claim that begins with"):
        check_certificate(table | {"start": table["equation"]})
    with pytest.raises(ClaimError, match="must be a readable file"):
        check_certificate(Path("nowhere.json"))
