"""The settings × evidence matrix is computed, and says of every kind what it is known by."""

import pytest

from theory.layers import Layer
from theory.optimizers import Optimizer

pytest.importorskip("torch", reason="the matrix trains")

from closedflow.evidence import settings_matrix


@pytest.fixture(scope="module")
def rows():
    return settings_matrix("cpu").rows


def test_every_shipped_kind_has_its_rows(rows):
    named = {(row.title, row.case) for row in rows}
    for kind in Optimizer.kinds.values():
        if kind.__module__.startswith("theory."):
            assert {(kind.__name__, "no decay"), (kind.__name__, "weight decay")} <= named
    for kind in Layer.kinds.values():
        if kind.__module__.startswith("theory."):
            assert (kind.__name__, "gradient descent") in named


def test_nothing_disagrees_and_every_rule_is_proved_and_integrated(rows):
    for row in rows:
        if row.case != "gradient descent" and row.title != "Adam":
            assert (row.proof, row.integration.verdict) == ("proved", "agrees"), row
        assert "disagrees" not in (row.integration.verdict, row.training.verdict)


def test_what_is_not_trained_or_refused_says_why(rows):
    reasons = {row.title: row.training.reason for row in rows if row.training.verdict == "not run"}
    assert "one run is one sample" in reasons["MinibatchDescent"]
    assert "no discretisation bound" in reasons["NesterovFlow"]
    (adam, _) = [row for row in rows if row.title == "Adam"]
    assert adam.proof == "refused"
    assert "theorem T1 is false" in adam.proof_reason


def test_the_command_prints_it(capsys):
    from closedflow.cli import run

    assert run(["theorems", "--settings", "--device", "cpu"]) == 0
    assert "AveragedFlow" in capsys.readouterr().out
