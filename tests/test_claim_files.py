"""Claim files: what a good one proves or refutes, and one clear line for each way in which one can be wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedflow.claims import KEYS, load_claim
from closedflow.cli import run
from theory.errors import ClaimError, SettingError
from theory.operators import check_certificate
from theory.operators.statement import FIELDS

SHAPES = 'shapes = { X = ["d", "n"] }\n'
PROVED = f'claim = "X @ pinv(X) @ X == X"\n{SHAPES}'
REFUTED = f'claim = "pinv(X) @ X == I"\n{SHAPES}'
# Equal Gram entries make two vectors equal, but no algebra of words says so: that takes "a square is at least 0".
UNDECIDED = (
    'claim = "x @ y.T == y @ x.T"\n'
    'shapes = { x = ["d", 1], y = ["d", 1] }\n'
    'assume = ["x.T @ x == y.T @ y", "x.T @ y == x.T @ x"]\n'
)
FLOW = (
    'claim = "d(W) == -(W @ X - Y) @ X.T - mu * W"\n'
    'shapes = { X = ["d", "n"], Y = ["q", "n"], W0 = ["q", "d"] }\n'
    'scalars = ["mu"]\n'
    'flow = { E = "X @ X.T + mu * I" }\n'
    'where = { W = "W0 @ E + Y @ X.T @ integral(E)" }\n'
)


def in_file(folder, text: str) -> str:
    path = folder / "claim.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(capsys, arguments: list[str]) -> str:
    """The one line of a refused command; exit code, streams and form are checked."""
    code = run(arguments)
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.startswith("closedflow: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_the_keys_of_a_claim_file_are_the_arguments_of_prove():
    assert tuple(KEYS) == FIELDS


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (PROVED, 0, ["proved: X @ pinv(X) @ X == X", "Penrose equations of pinv(X)", "modulo: L-PINV"]),
        (REFUTED, 1, ["refuted: pinv(X) @ X == I", "d = 1, n = 2", "left side", "right side"]),
        (
            UNDECIDED,
            3,
            [
                "undecided: x @ y.T == y @ x.T",
                "left over (the completion ended: it is not derivable from these axioms)",
            ],
        ),
        (FLOW, 0, ["proved: d(W) == -(W @ X - Y) @ X.T - mu * W", "L-EXP"]),
        (f'claim = "d(E) == -X @ X.T @ E"\nflow = "X"\n{SHAPES}', 0, ["proved"]),
        (f'claim = "X / c * c == X"\nscalars = ["c"]\n{SHAPES}', 0, ["provided: c != 0"]),
        ('claim = "X @ X.T == I"\nshapes = { X = ["d", "d"] }\nassume = ["X.T @ X == I"]\n', 0, ["modulo: L-DIM"]),
    ],
    ids=["proved", "refuted", "undecided", "flow and where", "flow in short", "side condition", "one-sided inverse"],
)
def test_prove_prints_the_verdict_and_exits_with_its_code(tmp_path, capsys, text, code, words):
    assert run(["prove", in_file(tmp_path, text)]) == code
    out, err = capsys.readouterr()
    assert err == ""
    for word in words:
        assert word in out


def test_json_is_the_certificate_of_a_proof_and_else_what_is_known(tmp_path, capsys):
    target = tmp_path / "certificate.json"
    assert run(["prove", in_file(tmp_path, REFUTED), "--json", str(target)]) == 1
    known = json.loads(target.read_text(encoding="utf-8"))
    assert (known["verdict"], known["counterexample"].split(",")[0]) == ("refuted", "d = 1")
    assert run(["check", str(target)]) == 2  # what is no certificate is refused
    assert run(["prove", in_file(tmp_path, FLOW), "--json", str(target)]) == 0
    text = target.read_text(encoding="utf-8")
    assert check_certificate(text)
    table = json.loads(text)
    table["claim"] = table["claim"].replace("- mu", "+ mu")
    assert not check_certificate(json.dumps(table))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate.json", "claim.toml"]


def test_a_claim_file_is_read_as_it_stands(tmp_path):
    table = load_claim(in_file(tmp_path, FLOW))
    assert table["scalars"] == ["mu"]
    assert table["flow"] == {"E": "X @ X.T + mu * I"}
    assert set(table) == {"claim", "shapes", "scalars", "flow", "where"}


WRONG = {
    "no claim": (SHAPES, ["'claim'", "Add claim ="]),
    "no shapes": ('claim = "X == X"', ["'shapes'", "Add shapes ="]),
    "empty": ("", ["'claim'", "none"]),
    "misspelt key": ('clam = "X == X"', ["'clam'", "Did you mean 'claim'?"]),
    "unknown key": (f"shape = 1\n{PROVED}", ["'shape'", "Did you mean 'shapes'?"]),
    "not TOML": ("claim == 1", ["must be TOML", "line 1"]),
    "a number for the claim": (f"claim = 3\n{SHAPES}", ["claim must be a text", "it is 3"]),
    "a number for the shapes": ('claim = "X == X"\nshapes = 3', ["shapes must be a table", "it is 3"]),
    "a number for assume": (f"assume = 3\n{PROVED}", ["assume must be a list of texts", "it is 3"]),
    "a text for assume": (f'assume = "X == X"\n{PROVED}', ["assume must be a list of texts", "'X == X'"]),
    "numbers in assume": (f"assume = [3]\n{PROVED}", ["assume must be a list of texts", "[3]"]),
    "a number for the scalars": (f"scalars = 3\n{PROVED}", ["scalars must be a list of texts"]),
    "numbers in the scalars": (f"scalars = [3]\n{PROVED}", ["scalars must be a list of texts", "[3]"]),
    "a list for the flow": (f'flow = ["X"]\n{PROVED}', ["flow must be a text or a table of texts", "['X']"]),
    "a number in the flow": (f"flow = {{ E = 3 }}\n{PROVED}", ["flow must be a text or a table of texts"]),
    "a number for where": (f"where = 3\n{PROVED}", ["where must be a table of texts"]),
    "a list in where": (f"where = {{ A = [] }}\n{PROVED}", ["where must be a table of texts"]),
    "one size": ('claim = "X == X"\nshapes = { X = ["d"] }', ["shapes['X'] must be a pair", "['d']"]),
    "size zero": ('claim = "X == X"\nshapes = { X = ["d", 0] }', ["shapes['X'] must be a pair", "0"]),
    "half a size": ('claim = "X == X"\nshapes = { X = ["d", 1.5] }', ["shapes['X'] must be a pair", "1.5"]),
    "a syntax error": (f'claim = "X @ (X == X"\n{SHAPES}', ["claim", "does not parse"]),
    "no equation": (f'claim = "X"\n{SHAPES}', ["one equation", "`X`"]),
    "shapes that do not fit": (f'claim = "X @ X == X"\n{SHAPES}', ["`X` is d×n and `X` is d×n"]),
    "an unknown letter": (f'claim = "Z == X"\n{SHAPES}', ["`Z`", "shapes"]),
    "Python in the claim": (f'claim = "__import__(1) == X"\n{SHAPES}', ["functions", "`__import__`"]),
    "a trace": ('claim = "tr(A) * I == A"\nshapes = { A = ["d", "d"] }', ["trace"]),
    "a scalar above 1": (f'scalars = ["c > 1"]\n{PROVED}', ["> 0"]),
    "a name twice": (f'scalars = ["X"]\n{PROVED}', ["`X` is declared twice"]),
    "a hypothesis of wrong shape": (f'assume = ["X == X + I"]\n{PROVED}', ["assume `X == X + I`", "d×n"]),
    "contradicting hypotheses": (
        'claim = "A == 0"\nshapes = { A = ["d", "d"] }\nassume = ["A == 2 * I", "A == 3 * I"]',
        ["contradict", "`A == 2 * I`", "`A == 3 * I`", "Remove one"],
    ),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_claim_file_gets_one_clear_line_and_writes_nothing(tmp_path, capsys, text, words):
    err = refusal(capsys, ["prove", in_file(tmp_path, text), "--json", str(tmp_path / "out.json")])
    for word in words:
        assert word in err
    assert [path.name for path in tmp_path.iterdir()] == ["claim.toml"]


def test_a_claim_file_that_cannot_be_read_gets_one_clear_line(tmp_path, capsys):
    assert "No such file" in refusal(capsys, ["prove", str(tmp_path / "none.toml")])
    assert "Is a directory" in refusal(capsys, ["prove", str(tmp_path)])
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text" in refusal(capsys, ["prove", str(tmp_path / "bytes.toml")])


def test_a_certificate_that_cannot_be_written_gets_one_clear_line(tmp_path, capsys):
    code = run(["prove", in_file(tmp_path, PROVED), "--json", str(tmp_path / "none" / "c.json")])
    err = capsys.readouterr().err
    assert code == 2
    assert "No such file or directory" in err
    assert err.count("\n") == 1


JUNK = st.recursive(
    st.one_of(st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.text("XYI @=.T+*()'", max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("XYE"), inner, max_size=2)),
    max_leaves=4,
)


def as_toml(value) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value)


@given(key=st.sampled_from(list(KEYS)), value=JUNK)
def test_no_value_of_any_key_ends_in_a_traceback(tmp_path_factory, key, value):
    lines = {"claim": '"X == X"', "shapes": '{ X = ["d", "d"] }'} | {key: as_toml(value)}
    path = in_file(tmp_path_factory.mktemp("junk"), "\n".join(f"{name} = {text}" for name, text in lines.items()))
    assert run(["prove", path]) in {0, 1, 2, 3}


@pytest.mark.parametrize(("text", "error"), [("claim = 3\nshapes = {}", ClaimError), ("clam = 3", SettingError)])
def test_reading_a_wrong_claim_file_raises_the_errors_it_documents(tmp_path, text, error):
    with pytest.raises(error):
        load_claim(in_file(tmp_path, text))
