"""In a notebook: what objects show is well-formed and escaped, LaTeX is balanced and explains its letters, saved things come back."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from rich.progress import Progress

import closedflow as cf
from closedflow.terminal import progress
from closedflow.verdicts import Row, VerdictTable
from empirical.laws import Check
from empirical.laws.law import Term
from empirical.levels import Level
from empirical.train import Training
from numerics.predictor import load as load_predictor
from tests.test_solution import check_latex
from theory.errors import DataError

SHAPES = {"X": ("d", "n")}
SETTINGS = [
    cf.Setting(cf.Linear(), cf.GradientFlow()),
    cf.Setting(cf.Linear(bias=True), cf.GradientFlow(cf.Cosine(10.0)), weight_decay=0.5, loss="mse"),
    cf.Setting(cf.Conv(5), cf.HeavyBall(0.01, 0.9), weight_decay=0.1, loss="mse"),
    cf.Setting(cf.Linear(), cf.AcceleratedDescent(0.1)),
    cf.Setting(cf.Residual(cf.Linear()), cf.AveragedDescent(0.1)),
    cf.Setting(cf.CircularConv(), cf.GradientDescent(0.1, cf.LinearWarmup(4.0))),
    cf.Setting(cf.LocallyConnected(3), cf.NesterovFlow()),
    cf.Setting(cf.Linear(), cf.HeavyBallFlow(0.0)),
    cf.Setting(cf.Linear(), cf.Preconditioned(cf.GradientFlow(), ((1.0, 0.0), (0.0, 2.0)))),
]


def parsed(html: str) -> ElementTree.Element:
    """The HTML as a tree: every tag is closed, every < is escaped."""
    return ElementTree.fromstring(f"<div>{html.replace('<br>', '<br/>')}</div>")


def words(html: str) -> str:
    return " ".join(parsed(html).itertext())


def table() -> VerdictTable:
    level, none = Level("agrees", 0.25), Level("not run", float("inf"), "no < bound")
    row = Row("T1", "Flow <of> a layer", "1 example", "proved", "", 0.5, ("L-EXP", "L-ZERO"), level, none, "cpu")
    law = Check("semigroup", (Term(0.5, 1.0, 200.0, "at t = 1"), Term(float("inf"), 1.0, 1.0, "at t = 2")))
    return VerdictTable((row,), {"data": "digits", "device": "cpu"}, (law,))


# HTML


@pytest.mark.parametrize("setting", SETTINGS, ids=range(len(SETTINGS)))
def test_a_setting_shows_its_parts(setting):
    text = words(setting._repr_html_())
    for part in ("layer", "optimizer", "target", "start", setting.layer.__class__.__name__):
        assert part in text


def test_what_looks_like_html_in_a_setting_is_escaped():
    setting = cf.Setting(cf.Features(lambda x, xp: x), cf.GradientFlow(), cf.Constant([1.0]))
    assert "<lambda>" in words(setting._repr_html_())


@pytest.mark.parametrize(
    ("claim", "verdict", "more"),
    [
        ("X @ pinv(X) @ X == X", "proved", "re-checked"),
        ("pinv(X) @ X == I", "refuted", "d = 1, n = 2"),
    ],
)
def test_a_proof_shows_verdict_claim_and_evidence(claim, verdict, more):
    proof = cf.prove(claim, SHAPES)
    text = words(proof._repr_html_())
    assert verdict in text
    assert claim in text
    assert more in text


def test_the_proof_of_a_weight_shows_its_verdict():
    proof = cf.prove_weight("W0 @ E", SHAPES | {"W0": ("q", "d")}, "-W @ X @ X.T", flow="X")
    assert "proved" in words(proof._repr_html_())


def test_a_crosscheck_shows_its_verdict_and_why():
    predictor = cf.Predictor(cf.Setting(cf.Linear(), cf.GradientDescent(0.1)), [[1.0, 2.0]], seed=0)
    steps = [0, 5]
    right = cf.crosscheck(predictor, steps, predictor.weight(steps))
    wrong = cf.crosscheck(predictor, steps, 1.01 * predictor.weight(steps))
    assert "agrees" in words(right._repr_html_())
    text = words(wrong._repr_html_())
    assert "disagrees" in text
    assert wrong.reason in text


def test_a_verdict_table_shows_every_row_and_escapes_what_is_not_html():
    found = table()
    tree = parsed(found._repr_html_())
    assert next(cell.text for cell in tree.iter("td")) == "T1 Flow <of> a layer"
    assert {cell.get("scope") for cell in tree.iter("th")} == {"col"}
    text = words(found._repr_html_())
    for word in ("proved", "agrees", "0.25", "not run", "no < bound", "semigroup", "digits"):
        assert word in text


# LaTeX and Markdown


@pytest.mark.parametrize("setting", SETTINGS, ids=range(len(SETTINGS)))
def test_latex_is_whole_and_in_no_notation_but_its_own(setting):
    solution = cf.solve(setting)
    latex = solution.latex()
    if "cases" not in latex and "prod" not in latex:
        check_latex(latex)
    assert not re.search(r"\*|nan|oo", latex.replace("mathbb", ""))
    assert solution._repr_latex_() == f"$$\n{latex}\n$$"


@pytest.mark.parametrize("setting", SETTINGS, ids=range(len(SETTINGS)))
def test_markdown_explains_every_letter_of_its_formulas(setting):
    solution = cf.solve(setting)
    text = solution.markdown()
    explained = " ".join(re.findall(r"^- \$(.*?)\$:", text, flags=re.MULTILINE))
    explained += " ".join(re.findall(r"^- .*\\times (\w)", text, flags=re.MULTILINE)) + " M p"
    latex = re.sub(r"\\text\{[^}]*\}|\\(?:begin|end)\{\w+\}", "", solution.latex())
    for letter in (r"\Phi", r"\eta", r"\beta", r"\mu", r"\lambda", r"\Pi", r"\delta", "Y", "R", "n", r"\phi"):
        if re.search(re.escape(letter) + r"(?![A-Za-z])", latex):
            assert letter in explained, letter
    assert solution._repr_markdown_() == text
    assert text.count("$$") == 2


def test_a_recurrence_and_a_double_root_are_printed_too():
    assert r"u{\left(k + 2 \right)} &=" in cf.solve(cf.Setting(cf.Linear(), cf.AcceleratedDescent(0.1))).latex()
    assert r"\text{where }" in cf.solve(cf.Setting(cf.Linear(), cf.HeavyBall(0.1, 0.9))).latex()


# Words in a console


def test_reprs_say_what_matters_in_one_line():
    predictor = cf.Predictor(
        cf.Setting(cf.Conv(3), cf.GradientDescent(0.001)), np.random.default_rng(0).random((2, 1, 4, 4))
    )
    assert repr(predictor).endswith("; 2 examples of shape (1, 4, 4), rank 9 of 9)")
    text = repr(training())
    assert text == (
        "Training(GradientDescent(learning_rate=0.1), steps 0 to 10 (3 recorded), loss 2 to 0.5, "
        "weights (1, 2), cpu float64)"
    )
    assert len(text.splitlines()) == 1


# Saved and loaded


def training(**values) -> Training:
    arrays = {
        "steps": np.array([0, 5, 10]),
        "weights": np.arange(6, dtype=np.float32).reshape(3, 1, 2) / 3,
        "biases": None,
        "losses": np.array([2.0, 1.0, 0.5]),
        "diverged": False,
        "optimizer": cf.GradientDescent(0.1),
        "device": "cpu",
        "dtype": "float64",
    }
    return Training(**(arrays | values))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"biases": np.ones((3, 1)), "diverged": True, "dtype": "float32"},
        {"optimizer": cf.HeavyBall(0.1, 0.9)},
        {"optimizer": cf.GradientDescent(0.1, cf.Cosine(10.0))},
        {"steps": np.zeros(0, int), "weights": np.zeros((0, 1, 2)), "losses": np.zeros(0), "diverged": True},
    ],
)
def test_a_training_comes_back_bit_for_bit(tmp_path, values):
    run = training(**values)
    run.save(tmp_path / "run.npz")
    back = cf.load(tmp_path / "run.npz")
    assert type(back) is Training
    for name in ("steps", "weights", "losses", "biases"):
        before, after = getattr(run, name), getattr(back, name)
        assert (before is None and after is None) or (before.dtype == after.dtype and np.array_equal(before, after))
    for name in ("diverged", "optimizer", "device", "dtype"):
        assert getattr(back, name) == getattr(run, name)


def test_a_verdict_table_comes_back_equal_with_its_infinite_numbers(tmp_path):
    found = table()
    found.save(tmp_path / "t.json")
    assert cf.load(tmp_path / "t.json") == found
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))["rows"][0]["training"]["ratio"] == "inf"


def test_a_predictor_comes_back_through_the_same_door(tmp_path):
    predictor = cf.Predictor(SETTINGS[0], [[1.0, 2.0]], seed=3)
    predictor.save(tmp_path / "p.npz")
    for load in (cf.load, load_predictor):
        assert np.array_equal(load(tmp_path / "p.npz").weight([0.3]), predictor.weight([0.3]))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"{}", b'{"rows": [{}], "header": {}}', b'{"rows": NaN}', b"PK\x03\x04", b"\x93NUMPY", b"\xff"]
)
def test_other_files_are_refused_in_one_line(tmp_path, text):
    (tmp_path / "f").write_bytes(text)
    with pytest.raises(DataError, match=r"path must be a file written by .*f is not") as caught:
        cf.load(tmp_path / "f")
    assert len(str(caught.value).splitlines()) == 1


def test_a_training_of_a_newer_format_and_a_missing_file_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("empirical.saved_training.FORMAT", 2)
    training().save(tmp_path / "run.npz")
    monkeypatch.setattr("empirical.saved_training.FORMAT", 1)
    with pytest.raises(DataError, match="format at most 1"):
        cf.load(tmp_path / "run.npz")
    with pytest.raises(DataError, match="No such file"):
        cf.load(tmp_path / "none.npz")


# Progress


@pytest.mark.parametrize(("notebook", "silent"), [(True, False), (False, True)])
def test_progress_is_shown_in_a_notebook_and_not_in_a_pipe(monkeypatch, notebook, silent):
    seen = []

    class Recorder(Progress):
        def __init__(self, **options):
            seen.append(options["disable"])
            super().__init__(**(options | {"disable": True}))  # what IPython would draw is not here

    monkeypatch.setattr("rich.console._is_jupyter", lambda: notebook)
    monkeypatch.setattr("rich.progress.Progress", Recorder)
    with progress() as report:
        report("a row", 0, 2)
    assert seen == [silent]
