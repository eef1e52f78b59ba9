"""`closedflow study`: a table, a result file and a picture; the same numbers again; mistakes in one line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from closedflow.cli import run
from empirical.experiments import TrainNetworks
from empirical.experiments.train_networks import mean_over, unlearned
from empirical.networks import Feedforward
from empirical.studies import Account, Result, Study, above, agreement
from theory.layers import Linear
from theory.optimizers import GradientDescent
from theory.starts import Gaussian

pytest.importorskip("torch", reason="studies train networks")
pytest.importorskip("matplotlib", reason="studies are drawn by matplotlib")


@dataclass(frozen=True)
class TinyStudy(Study, abstract=True):
    """A claim that holds, one that does not, and a prediction."""

    title = "tiny"
    claim = "One picture is learned."
    source = "a test"
    protocol = "one layer"
    ratio = 0.5

    def experiments(self, scale):
        return [
            TrainNetworks(
                Feedforward(Linear(), start=Gaussian(0.1)),
                GradientDescent(rate),
                source=scale.images(),
                examples=(scale.example,),
                seeds=scale.seeds(3),
                steps=200,
                loss="half_sum",
                probes=("digits",),
                probe_count=3,
            )
            for rate in (0.01, 0.02)
        ]

    def account(self, scale, results: Sequence[Result]):
        identity = mean_over(results, "identity", ("digits",))
        findings = [
            above("digits are passed on", identity[0], -0.5),
            above("digits are passed on exactly", identity[0], 0.999),
            agreement("a ratio", self.ratio, "a budget"),
        ]
        rows = [
            (result.experiment.optimizer.learning_rate, row.mean())
            for result, row in zip(results, identity, strict=True)
        ]
        return Account(findings, ("rate", "identity"), rows, unlearned(results))

    def draw(self, figure, scale, results):
        figure.subplots().plot([0, 1])


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(Study, "kinds", {"tiny_study": TinyStudy})


def study(tmp_path, *more):
    return run(
        [
            "study",
            "tiny_study",
            "--device",
            "cpu",
            "--workers",
            "1",
            "--out",
            str(tmp_path / "out"),
            "--runs",
            str(tmp_path / "runs"),
            *more,
        ]
    )


def test_a_study_prints_its_verdicts_and_leaves_a_result_file_and_a_picture(tmp_path, capsys):
    assert study(tmp_path) == 0
    shown = capsys.readouterr().out
    assert "replicates  digits are passed on:" in shown
    assert "does not replicate  digits are passed on exactly:" in shown
    assert "agrees  a ratio: 0.5 of the budget" in shown
    result = json.loads((tmp_path / "out" / "tiny_study-small.json").read_text(encoding="utf-8"))
    assert [finding["verdict"] for finding in result["findings"]] == ["replicates", "does not replicate", "agrees"]
    assert {"claim", "source", "protocol", "versions", "device", "data", "command"} <= set(result)
    assert (tmp_path / "out" / "tiny_study-small.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_study_again_gives_the_same_file_from_the_store_or_from_new_runs(tmp_path):
    study(tmp_path)
    path = tmp_path / "out" / "tiny_study-small.json"
    first = path.read_bytes()
    study(tmp_path)
    assert path.read_bytes() == first
    for folder in (tmp_path / "runs").iterdir():
        if folder.is_dir():
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
    study(tmp_path)
    assert path.read_bytes() == first


def test_a_prediction_that_disagrees_fails_the_command_and_a_claim_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyStudy, "ratio", 1.5)
    assert study(tmp_path) == 1


def test_a_report_of_studies_has_a_page_for_each(tmp_path):
    pytest.importorskip("jinja2", reason="reports are made by jinja2")
    assert study(tmp_path, "--report", str(tmp_path / "out.html")) == 0
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert 'id="tiny_study"' in text
    assert "does not replicate" in text
    assert text.count("<svg") == 1


def test_networks_that_have_not_learned_are_left_out_and_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyStudy, "experiments", lambda self, scale: [
        TrainNetworks(Feedforward(Linear(), start=Gaussian(0.1)), GradientDescent(1e-9), steps=1, probes=("digits",), probe_count=2)
    ])  # fmt: skip
    assert study(tmp_path) == 0
    result = json.loads((tmp_path / "out" / "tiny_study-small.json").read_text(encoding="utf-8"))
    assert result["notes"] == [
        "3 of 3 networks have not learned their examples (5% of the squares left) and are left out"
    ]
    assert result["rows"][0][1] is None
    assert result["findings"][0]["verdict"] == "unclear"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["study"], "study must have a name, or --all"),
        (["study", "tiny_studi"], "Did you mean 'tiny_study'?"),
        (["study", "tiny_study", "--data", "missing.npy"], "data must be a readable file"),
        (
            ["study", "tiny_study", "--examples", "5000", "--runs", "RUNS", "--device", "cpu"],
            "examples must be indices",
        ),
        (
            ["study", "tiny_study", "--out", "FILE", "--runs", "RUNS", "--device", "cpu"],
            "results folder must be one that can be written to",
        ),
        (["study", "tiny_study", "--scale", "huge"], "scale"),
    ],
)
def test_mistakes_are_one_clear_line(arguments, words, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    named = {"FILE": str(tmp_path / "file"), "RUNS": str(tmp_path / "runs")}
    assert run([named.get(word, word) for word in arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") <= 2


def test_the_list_names_every_study(capsys):
    assert run(["study", "--list"]) == 0
    assert "tiny_study  One picture is learned." in capsys.readouterr().out
