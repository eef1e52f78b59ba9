"""An experiment's key changes with everything that its numbers depend on, and with nothing else."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import empirical.experiment as experiment_module
from empirical.experiment import Experiment, Outcome, modules
from empirical.experiments import Predict
from empirical.sources import ImageFile
from numerics.predictor import Predictor
from tests.experiment_kinds import NormalDrawer, TestedMean, TestedPair, TestedUnwritable
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.starts import Gaussian

ONE = Predict(Linear(), GradientDescent(0.1))
OTHERS = [
    Predict(Linear(bias=True), GradientDescent(0.1)),
    Predict(Conv(kernel_size=3), GradientDescent(0.1)),
    Predict(Linear(), GradientDescent(0.2)),
    Predict(Linear(), HeavyBall(0.1, 0.0)),
    Predict(Linear(), GradientDescent(0.1), seed=1),
    Predict(Linear(), GradientDescent(0.1), start=Gaussian(0.1)),
    Predict(Linear(), GradientDescent(0.1), times=(0.0, 10.0)),
    Predict(Linear(), GradientDescent(0.1), weight_decay=0.1),
]


def test_experiments_that_differ_in_anything_have_other_keys_and_equal_ones_the_same():
    assert len({run.key() for run in [ONE, *OTHERS]}) == 1 + len(OTHERS)
    assert ONE.key() == Predict(Linear(), GradientDescent(0.1)).key()
    assert ONE.key("cpu") == ONE.key() != ONE.key("cuda")
    for run in [ONE, *OTHERS]:
        assert Experiment.from_table(run.to_table()) == run


def test_the_key_is_the_same_in_another_process():
    code = "from tests.test_experiment import ONE; print(ONE.key())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ONE.key()


def test_the_key_changes_with_the_data(tmp_path):
    keys = set()
    for value in (0.0, 1.0):
        np.save(tmp_path / f"{value}.npy", np.full((4, 2, 2), value))
        (tmp_path / f"{value}.npy").replace(tmp_path / "data.npy")
        keys.add(Predict(Linear(), GradientFlow(), source=ImageFile(str(tmp_path / "data.npy"))).key())
    assert len(keys) == 2


def test_the_key_changes_with_the_code_of_the_project_and_of_the_users_module(monkeypatch):
    mine, shipped = TestedMean(), ONE
    before = mine.key(), shipped.key()
    monkeypatch.setattr(experiment_module, "code_of", lambda module: "edited")
    assert mine.key() != before[0]
    assert shipped.key() == before[1]
    monkeypatch.setattr(experiment_module, "code_version", lambda: "edited")
    assert shipped.key() != before[1]


def test_the_code_version_sees_every_source_file(tmp_path, monkeypatch):
    for package in experiment_module.PACKAGES:
        (tmp_path / package / "deep").mkdir(parents=True)
        (tmp_path / package / "deep" / "a.py").write_text("a = 1")
    monkeypatch.setattr(experiment_module, "__file__", str(tmp_path / "empirical" / "experiment.py"))
    seen = set()
    for package in ("", *experiment_module.PACKAGES):
        if package:
            (tmp_path / package / "deep" / "a.py").write_text("a = 2")
        experiment_module.code_version.cache_clear()
        seen.add(experiment_module.code_version())
    (tmp_path / "theory" / "deep" / "a.py").rename(tmp_path / "theory" / "deep" / "b.py")
    experiment_module.code_version.cache_clear()
    seen.add(experiment_module.code_version())
    experiment_module.code_version.cache_clear()
    assert len(seen) == 5


def test_the_modules_of_an_experiment_are_those_of_its_parts_too():
    assert modules(TestedMean(drawer=NormalDrawer())) == {"tests.experiment_kinds"}
    assert modules(ONE) >= {"empirical.experiments.predict", "theory.layers.linear", "empirical.sources"}


def test_predict_says_what_the_predictor_says():
    run = Predict(
        Conv(kernel_size=3), GradientDescent(0.005), train=(0, 4), test=(5, 6, 7), times=(0.0, 7.0), seed=3, loss="mse"
    )
    images = run.source.images().values
    predictor = Predictor(Setting(Conv(kernel_size=3), GradientDescent(0.005), loss="mse"), images[[0, 4]], seed=3)
    outcome = run.run()
    errors = predictor.error(images[5:8], [0, 7])
    np.testing.assert_array_equal(outcome.arrays["errors"], errors)
    assert outcome.numbers["training_loss"] == predictor.loss([0, 7]).tolist()
    assert outcome.numbers["test_error"] == [
        sum(row) / 3 for row in errors
    ]  # three terms: numpy adds them in this order
    assert outcome.numbers["rank"] == 9


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Predict(Linear(), GradientFlow(), times=(-1.0,)), "times must be a number at least 0"),
        (lambda: Predict(Linear(), GradientFlow(), seed=-1), "seed must be a number at least 0"),
        (lambda: Predict(Linear(), GradientFlow(), loss="l1"), "loss must be one of"),
        (lambda: Predict(Linear(), "flow"), "optimizer must be a Optimizer"),
        (lambda: TestedUnwritable().key(), "must hold plain values and components, but TestedUnwritable does not"),
        (lambda: Unfinished().run(), "experiment must have the method run, which does the work, but Unfinished has"),
    ],
)
def test_bad_experiments_are_refused(make, says):
    with pytest.raises(SettingError, match=says):
        make()


@dataclass(frozen=True)
class Unfinished(Experiment, abstract=True):
    """No run."""


def test_an_outcome_says_why_it_failed():
    assert Outcome({"failed": "too hot"}).failed == "too hot"
    assert Outcome({"mse": 0.0}).failed == ""
    assert Path(experiment_module.__file__).name == "experiment.py"


def test_parts_under_names_of_their_own_are_built_again_by_their_types():
    for run in (TestedPair(NormalDrawer(3.0)), TestedPair(NormalDrawer(3.0), NormalDrawer(2.0))):
        again = Experiment.from_table(run.to_table())
        assert again == run
        assert again.run().numbers == run.run().numbers
    with pytest.raises(SettingError, match=r"\[drawer\] of kind 'normal_drawer' .* Did you mean 'std'"):
        Experiment.from_table({"kind": "tested_pair", "second": {"kind": "normal_drawer", "sdt": 1.0}})
