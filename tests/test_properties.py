"""closedflow properties: deterministic, able to fail, and what breaks a law is kept as a folder that verify reproduces."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import strategies as st

from closedflow.cli import run
from closedflow.verdicts import VerdictTable
from empirical import device as devices
from empirical.laws import Check, Law, Term, check_at_zero, compare
from empirical.laws.hypotheses import identity_target, no_decay
from empirical.properties import Finding, check_properties, every_law, find_law, keep, kept_case, try_law
from empirical.run_folder import RunFolder, read_run
from empirical.strategies import Case, problems
from numerics.budget import Budget
from theory.component import Named
from theory.errors import DataError, SettingError
from theory.layers import Layer, Linear
from theory.optimizers import Descent, GradientDescent, GradientFlow, Optimizer
from theory.setting import Setting
from theory.targets import Given


@pytest.fixture(autouse=True)
def kinds(monkeypatch):
    """Definition is registration: what a test defines is gone after it."""
    for family in (Optimizer, Layer, Law):
        monkeypatch.setattr(family, "kinds", dict(family.kinds))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plant_optimizer():
    """Gradient descent whose closed form is that of a rate 1 % too large."""

    @dataclass(frozen=True)
    class Hasty(Descent):
        learning_rate: float

        def step(self, state, gradient, index):
            (weight,) = state
            return (weight - self.learning_rate * gradient(weight),)

        def response(self, xp, s, t):
            residual = (1 - 1.01 * self.learning_rate * s) ** t
            return residual, 1 - residual

        def max_learning_rate(self, s_max):
            return 2 / s_max if s_max else float("inf")

        def torch_optimizer(self):
            return Named("torch.optim.SGD", {"lr": self.learning_rate})

    return Hasty


def plant_layer():
    """A fully connected layer whose feature map sees its inputs 1 % brighter than torch's does."""

    @dataclass(frozen=True)
    class Glaring(Linear):
        def patches(self, x, xp):
            return 1.01 * super().patches(x, xp)

    return Glaring


@pytest.fixture
def only_hasty(monkeypatch):
    """Problems are drawn with the wrong optimiser alone, without schedules and preconditioners."""
    kind = plant_optimizer().kind
    monkeypatch.setattr("empirical.strategies._drawable", lambda cls: cls.kind == kind)
    monkeypatch.setattr(Law, "problems", lambda self: problems())


def test_a_wrong_optimizer_breaks_the_laws_and_verify_reproduces_it(folder, capsys, only_hasty, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr("empirical.properties.SHRINKING", 40)
    names = ["at-zero", "integration", "training"]
    assert run(["properties", *names, "--examples", "10", "--device", "cpu", "--json", "found.json"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    assert [row["verdict"] for row in found["laws"]] == ["holds", "broken", "broken"]
    assert found["exit_code"] == 1
    for row in found["laws"][1:]:
        kept = row["kept"]
        assert f"closedflow verify --setting {kept}" in " ".join(out.split())
        assert read_run(kept).result["law"] == row["law"]
        assert run(["verify", "--setting", kept, "--device", "cpu", "--json", "table.json"]) == 1
        table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
        assert [table["rows"][0][level]["verdict"] for level in ("integration", "training")] == ["disagrees"] * 2
        assert table["laws"] == [row["counterexample"]]  # the same numbers again
        assert f"{row['law']} broken" in capsys.readouterr().out


def test_a_counterexample_is_shrunk(only_hasty):
    finding = try_law(find_law("integration"), examples=10)
    assert finding.verdict == "broken"
    case = finding.case
    assert case.inputs.size == 1  # one example of one feature
    assert (case.setting.weight_decay, case.setting.loss, case.initial_bias) == (0.0, "half_sum", None)
    assert finding.ratio == finding.check.ratio > 1


def test_a_wrong_layer_breaks_the_law_of_training_and_verify_reproduces_it(folder, capsys):
    """The oracle shares its features with the closed form, and agrees: only torch can tell."""
    pytest.importorskip("torch")
    layer = plant_layer()()

    @dataclass(frozen=True)
    class OnGlaring(type(find_law("training"))):
        """The law of training, on one layer."""

        def problems(self):
            return problems(st.just(layer), target_kinds=["given"], optimizer_kinds=["gradient_descent"])

    (finding,) = check_properties([OnGlaring()], examples=5, device="cpu")
    assert finding.verdict == "broken"
    kept = keep(finding, folder / "broken")
    assert run(["verify", "--setting", str(kept), "--device", "cpu", "--json", "table.json"]) == 1
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert table["rows"][0]["integration"]["verdict"] == "agrees"
    assert table["rows"][0]["training"]["verdict"] == "disagrees"
    assert table["laws"][0]["verdict"] == "broken"


def test_a_law_of_ones_own_that_is_false_is_broken_and_one_that_is_true_is_not(folder):
    @dataclass(frozen=True)
    class TwiceAsFar(Law):
        """Twice as long, twice as far."""

        def terms(self, p, rng):
            way = p.theta([1, 2]) - p.problem.start
            yield compare(way[1], 2 * way[0], 1e-9, "t = 2")

    false, true = check_properties(["twice-as-far", check_at_zero], examples=10)
    assert (false.verdict, true.verdict) == ("broken", "holds")
    kept = keep(false, folder / "mine")
    run_folder = read_run(kept)
    assert run_folder.result["law"] == "twice-as-far"
    case = kept_case(run_folder, kept)
    assert case.setting == false.case.setting
    for mine, its in zip(case[1:], false.case[1:], strict=True):
        np.testing.assert_array_equal(mine, its)


def test_the_same_seed_gives_the_same_findings_and_another_one_others():
    names = ["semigroup", "superposition"]
    first, again, other = ([*check_properties(names, examples=6, seed=seed)] for seed in (3, 3, 4))
    timeless = [[replace(finding, seconds=0.0) for finding in found] for found in (first, again)]
    assert timeless[0] == timeless[1]
    assert [finding.ratio for finding in first] != [finding.ratio for finding in other]


def test_every_law_is_tried_on_as_many_problems_as_asked_for(folder, capsys):
    pytest.importorskip("torch")
    assert run(["properties", "--examples", "2", "--device", "cpu", "--json", "found.json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = json.loads((folder / "found.json").read_text(encoding="utf-8"))["laws"]
    assert [row["law"] for row in rows] == [law.name for law in every_law()]
    assert all(row["tried"] == 2 and row["verdict"] != "broken" for row in rows)
    assert all(row["law"] in out for row in rows)
    assert "proved" not in out
    assert not (folder / "broken").exists()


def test_networks_are_trained_in_float32_within_its_own_budget():
    pytest.importorskip("torch")
    names = ["halving", "trained-null-space"]
    whole, half = (check_properties(names, examples=6, device="cpu", dtype=dtype) for dtype in ("float64", "float32"))
    for law, (wide, narrow) in zip(names, zip(whole, half, strict=True), strict=True):
        assert (wide.verdict, narrow.verdict) == ("holds", "holds"), law
        assert narrow.law.dtype == "float32"
        assert narrow.ratio != wide.ratio


def test_the_list_names_each_law_with_its_hypotheses(capsys):
    assert run(["properties", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(law.name in out for law in every_law())
    assert "No weight decay" in out
    assert run(["properties", "semigroup", "--list"]) == 0
    assert "null-space" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["semigrup"], "Did you mean 'semigroup'?"),
        (["semigroup", "--examples", "0"], "examples must be a number at least 1, but it is 0"),
        (["semigroup", "--examples", "-3"], "examples must be a number at least 1, but it is -3"),
        (["semigroup", "--seed", "-1"], "seed must be a number at least 0, but it is -1"),
        (["semigroup", "--out", "file/inside"], "output must be a folder that can be written to"),
        (["semigroup", "--json", "nowhere/found.json"], "output must be a file that can be written"),
        (["semigroup", "--dtype", "float16"], "float16"),
    ],
)
def test_bad_input_is_one_clear_line(folder, capsys, arguments, says):
    (folder / "file").write_text("", encoding="utf-8")
    assert run(["properties", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_without_torch_laws_about_training_are_not_run_and_naming_one_is_an_error(capsys, folder, monkeypatch):
    def missing():
        raise SettingError("torch must be installed")

    monkeypatch.setattr(devices, "import_torch", missing)
    found = {finding.law.name: finding for finding in check_properties(examples=1)}
    assert found["training"].verdict == "not run"
    assert "torch must be installed" in found["training"].reason
    assert found["at-zero"].verdict == "holds"
    assert [finding.verdict for finding in check_properties(["at-zero"], examples=1)] == ["holds"]
    assert run(["properties", "training", "--examples", "1"]) == 2
    assert "torch must be installed" in capsys.readouterr().err


def test_a_law_that_nothing_can_be_said_about_is_not_run():
    @dataclass(frozen=True)
    class Vague(Law):
        """Nothing would show."""

        def problems(self):
            return problems(kinds=["linear"], target_kinds=["identity"])

        def terms(self, p, rng):
            yield Term(1.0, 2.0, 3.0, "anywhere")

    finding = try_law(Vague(), examples=3)
    assert (finding.verdict, finding.tried, finding.untold) == ("not run", 3, 3)
    assert "no problem" in finding.reason

    @dataclass(frozen=True)
    class Nowhere(Vague):
        """Outside everywhere."""

        def problems(self):
            return st.just(Case(Setting(Linear(), GradientFlow()), np.ones((1, 1)), None, np.ones((1, 1)), None))

        def applies(self, predictor):
            return "never"

    finding = try_law(Nowhere(), examples=3)
    assert (finding.verdict, finding.tried) == ("not run", 0)
    assert finding.outside >= 1


def test_a_law_that_needs_arguments_is_not_among_every_law():
    @dataclass(frozen=True)
    class Needs(Law):
        """An argument."""

        factor: float

    assert "needs" not in [law.name for law in every_law()]


# verify --setting FOLDER


@pytest.fixture
def kept(folder):
    """A kept problem that breaks nothing: targets that are given, and a bias."""
    rng = np.random.default_rng(0)
    text = Setting(Linear(bias=True), GradientDescent(0.1)).to_toml().replace('"identity"', '"given"')
    arrays = {"inputs": rng.standard_normal((2, 3)), "targets": rng.standard_normal((2, 2))}
    arrays |= {"initial_weight": rng.standard_normal((2, 3)), "initial_bias": rng.standard_normal(2)}
    RunFolder(text, {"law": "semigroup", "seed": 3}, arrays).write(folder / "run")
    return folder / "run"


def test_a_runs_folder_is_verified_with_its_own_data_and_start(kept, capsys, folder):
    pytest.importorskip("torch")
    assert run(["verify", "--setting", "run", "--device", "cpu", "--json", "table.json"]) == 0
    out = capsys.readouterr().out
    assert "semigroup holds" in out
    assert "start and data as kept" in out
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert table["rows"][0]["case"] == "2 examples"
    assert table["laws"][0]["verdict"] == "holds"


@pytest.mark.parametrize("options", [["--data", "a.npy"], ["--examples", "0"], ["--image-shape", "1,3,1"]])
def test_data_are_refused_with_a_runs_folder(kept, capsys, options):
    assert run(["verify", "--setting", "run", *options]) == 2
    assert "must be left out with a run's folder" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["setting.toml", "result.json", "arrays.npz"])
def test_a_broken_runs_folder_is_refused(kept, capsys, missing):
    pytest.importorskip("torch")
    (kept / missing).write_text("{" if missing != "setting.toml" else "[[", encoding="utf-8")
    assert run(["verify", "--setting", "run"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "run" in err


def test_a_runs_folder_without_inputs_is_refused(folder, capsys):
    pytest.importorskip("torch")
    RunFolder(Setting(Linear(), GradientFlow()).to_toml(), {}, {"mse": np.ones(2)}).write(folder / "other")
    assert run(["verify", "--setting", "other"]) == 2
    assert "must have the arrays inputs and initial_weight" in capsys.readouterr().err


def test_a_law_that_is_not_defined_here_is_said_so(kept, capsys, folder):
    pytest.importorskip("torch")
    found = read_run(kept)
    RunFolder(found.setting, found.result | {"law": "of-somebody"}, found.arrays).write(folder / "foreign")
    assert run(["verify", "--setting", "foreign", "--device", "cpu"]) == 0
    assert "of-somebody not run (this law is not defined here" in capsys.readouterr().out


def test_a_broken_law_of_a_kept_problem_fails_the_table_by_itself():
    broken, fine = (Check("mine", (Term(residual, 1.0, 1e3, "time 1"),)) for residual in (2.0, 0.5))
    assert [VerdictTable((), {}, (check,)).exit_code for check in (broken, fine)] == [1, 0]


def test_a_kept_setting_that_no_file_can_hold_is_an_error_that_names_it(folder):
    from theory.layers import Features

    case = Case(Setting(Features(np.sin), GradientFlow(), Given()), np.ones((1, 1)), None, np.ones((1, 1)), None)
    check = Check("at-zero", (Term(1.0, 0.0, 1.0, "time 0"),))
    with pytest.raises(DataError, match="one that a file can hold"):
        keep(Finding(check_at_zero, 1, 0, 0, 1.0, 0.0, case=case, check=check), folder / "x")
    with pytest.raises(SettingError, match="a law that is broken"):
        keep(Finding(check_at_zero, 1, 0, 0, 1.0, 0.0), folder / "x")


def test_shrinking_ends_after_a_bounded_number_of_problems(monkeypatch):
    monkeypatch.setattr("empirical.properties.SHRINKING", 5)
    seen = []

    @dataclass(frozen=True)
    class False_(Law):
        """Always broken."""

        def problems(self):
            return problems(kinds=["linear"])

        def terms(self, p, rng):
            seen.append(p)
            yield Term(1.0, 0.0, 1.0, "everywhere")

    finding = try_law(False_(), examples=50)
    assert finding.verdict == "broken"
    assert finding.tried == 1
    assert len(seen) <= 1 + 5


def test_the_documented_law_of_ones_own_holds():
    """The README's: towards the identity, without decay, a network that is the identity stays."""

    @dataclass(frozen=True)
    class IdentityStays(Law):
        """Towards the identity, without decay, a network that is the identity stays."""

        assumes = (identity_target, no_decay)

        def terms(self, p, rng):
            there = p.from_start(p.problem.known_weight)
            yield compare(there.theta(7)[0], there.problem.start, Budget(there).evaluation(7), "t = 7")

    (finding,) = check_properties([IdentityStays()], examples=10)
    assert (finding.verdict, finding.tried) == ("holds", 10)
    assert finding.outside > 0


def test_strategies_of_laws_are_strategies():
    assert all(isinstance(law.problems(), st.SearchStrategy) for law in every_law())
