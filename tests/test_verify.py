"""`verify`: the table as data; every row holds, every kind of failure has its exit code, and a plant is found."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

import closedflow as cf
from closedflow import verdicts
from closedflow.table import cell, notes, shown_ratio, text
from closedflow.verdicts import Row, VerdictTable, as_images, split
from empirical import crosscheck, setting_levels
from empirical.data import digits
from empirical.levels import Level
from empirical.train import obstacle
from numerics.predictor import Predictor
from theory.errors import DataError, SettingError
from theory.operators import LEMMAS
from theory.theorems import Claim, find, library

torch = pytest.importorskip("torch", reason="verification trains networks")

GOOD = Level("agrees", 0.5)
SETTINGS = {
    "flow": cf.Setting(cf.Linear(), cf.GradientFlow()),
    "flow with decay on the mean": cf.Setting(cf.Conv(3, bias=True), cf.GradientFlow(), loss="mse", weight_decay=0.1),
    "descent": cf.Setting(cf.Conv(3), cf.GradientDescent(0.03), start=cf.Gaussian(0.1)),
    "momentum with decay": cf.Setting(cf.Linear(bias=True), cf.HeavyBall(0.02, 0.9), weight_decay=0.2),
    "momentum on the mean": cf.Setting(cf.Linear(), cf.HeavyBall(0.5, 0.5), cf.Constant(), "mse"),
}


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks: threads that wait for each other would take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def default():
    """The table that ``closedflow verify`` prints."""
    torch.set_num_threads(1)
    return cf.verify(device="cpu")


def row(proof="proved", integration=GOOD, training=GOOD, **more) -> Row:
    fields = {"id": "T1", "title": "a title", "case": "a case", "proof_reason": "", "seconds": 0.1, "lemmas": ()}
    return Row(**{**fields, "device": "cpu", **more}, proof=proof, integration=integration, training=training)


# The default table


def test_by_default_everything_is_proved_and_agrees(default):
    assert default.exit_code == 0
    for found in default.rows:
        case = next((case for case in find(found.id).cases if case.name == found.case), None)
        own = next((own for own in find(found.id).own_cases if own.name == found.case), None)
        trained = own is not None or (case is not None and not obstacle(case.setting.optimizer, 1e-3))
        assert found.proof == "proved"
        assert found.integration.verdict == ("agrees" if case or (own and own.integrated) else "not run")
        assert found.training.verdict == ("agrees" if trained else "not run")
        assert set(found.lemmas) <= set(LEMMAS)


def test_the_default_table_has_every_theorem_and_every_telling_case_once(default):
    expected = [
        (theorem.id, case.name if case else "for all dimensions")
        for theorem in library()
        for case in [case for case in theorem.every_case if case.telling] or [None]
    ]
    assert [(found.id, found.case) for found in default.rows] == expected
    assert len({found.id for found in default.rows}) == len(library())


def test_the_header_says_what_was_used(default):
    assert set(default.header) >= {"data", "device", "arithmetic", "versions"}
    assert "scikit-learn digits" in default.header["data"]
    assert default.header["arithmetic"] == "float64, seed 0"
    assert np.__version__ in default.header["versions"]


def test_the_table_as_json_is_the_table(default):
    read = json.loads(default.to_json())
    assert read["exit_code"] == 0
    assert read["header"] == default.header
    for found, back in zip(default.rows, read["rows"], strict=True):
        assert {**asdict(found), "lemmas": list(found.lemmas)} == back


def test_the_table_as_text_has_every_theorem_and_level(default):
    page = str(default)
    for theorem in library():
        assert theorem.title.split()[0] in page
    levels = [level for found in default.rows for level in (found.integration, found.training)]
    assert page.count("agrees") == sum(level.verdict == "agrees" for level in levels)
    assert "\x1b" not in page


def test_chosen_theorems_and_seeds_are_those_of_the_rows():
    table = cf.verify(["limit", "T3"], device="cpu", seed=7)
    assert list(dict.fromkeys(found.id for found in table.rows)) == ["T2", "T3"]
    assert table.header["arithmetic"] == "float64, seed 7"
    assert table.exit_code == 0
    again, other = cf.verify(["T2"], device="cpu", seed=7), cf.verify(["T2"], device="cpu", seed=8)
    ratio = table.rows[0].integration.ratio
    assert again.rows[0].integration.ratio == ratio != other.rows[0].integration.ratio


def test_all_cases_are_run_when_asked_and_progress_is_told():
    heard = []
    table = cf.verify(["T2"], device="cpu", every_case=True, progress=lambda *step: heard.append(step))
    assert [found.case for found in table.rows] == [case.name for case in find("T2").cases]
    assert [number for _, number, _ in heard] == list(range(len(table.rows)))
    assert {total for *_, total in heard} == {len(table.rows)}


# Exit codes


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], 0),
        ([row()], 0),
        ([row(training=Level("not run", 0.0, "no bound"))], 0),
        ([row(proof="undecided")], 3),
        ([row(proof="refuted")], 1),
        ([row(integration=Level("disagrees", 2.0))], 1),
        ([row(), row(training=Level("disagrees", math.inf))], 1),
        ([row(proof="undecided"), row(training=Level("disagrees", 2.0))], 1),
        ([row(proof="undecided"), row(proof="refuted")], 1),
    ],
)
def test_the_exit_code_is_that_of_the_weakest_row(rows, code):
    assert VerdictTable(tuple(rows)).exit_code == code


def test_an_infinite_ratio_is_valid_json():
    table = VerdictTable((row(training=Level("disagrees", math.inf)),))

    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(table.to_json(), parse_constant=refuse)
    assert read["rows"][0]["training"]["ratio"] == "inf"
    assert read["exit_code"] == 1


def planted_theorem(monkeypatch, **changes):
    theorem = replace(find("T3"), **changes)
    monkeypatch.setattr(verdicts, "find", lambda name: theorem)
    return cf.verify(["T3"], device="cpu")


def test_an_undecided_claim_makes_its_rows_undecided_and_says_why(monkeypatch):
    unknown = Claim("an equation of analysis", "W == 0", {"W": ("q", "d")}, ("d(W) == W", "start(W) == 0"))
    table = planted_theorem(monkeypatch, claims=(*find("T3").claims, unknown))
    assert table.exit_code == 3
    assert {found.proof for found in table.rows} == {"undecided"}
    assert any("T3 proof: W" in line for line in notes(table))
    assert "undecided" in str(table)


def test_a_false_claim_makes_its_rows_refuted(monkeypatch):
    table = planted_theorem(monkeypatch, claims=(*find("T3").claims, find("T3").false_twin))
    assert table.exit_code == 1
    assert {found.proof for found in table.rows} == {"refuted"}


def test_a_theorem_without_cases_is_proved_and_not_run(monkeypatch):
    table = planted_theorem(monkeypatch, cases=())
    (found,) = table.rows
    assert (found.proof, found.integration.verdict, found.training.verdict) == ("proved", "not run", "not run")
    assert table.exit_code == 0


# A setting of one's own


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_goes_through_all_three_levels(name, dtype):
    table = cf.verify(setting=SETTINGS[name], device="cpu", dtype=dtype)
    (found,) = table.rows
    assert (found.id, found.proof) == ("setting", "proved")
    assert found.integration.verdict == "agrees"
    assert found.training.verdict == "agrees"
    assert table.header["setting"] == str(SETTINGS[name])
    assert table.header["arithmetic"].startswith(dtype)
    assert table.exit_code == 0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SETTINGS)
def test_one_per_cent_disagrees_at_the_level_where_it_is_planted(name, dtype, monkeypatch):
    train, solve, theta = crosscheck.train_problem, setting_levels.trajectory, Predictor.theta

    def found():
        table = cf.verify(setting=SETTINGS[name], device="cpu", dtype=dtype)
        assert table.exit_code == 1
        return table.rows[0].proof, table.rows[0].integration.verdict, table.rows[0].training.verdict

    def trained(*arguments, **options):
        run = train(*arguments, **options)
        return replace(run, weights=(1.01 * run.weights).astype(dtype))

    def integrated(*arguments):
        result = solve(*arguments)
        return replace(result, theta=1.01 * result.theta)

    with monkeypatch.context() as plant:
        plant.setattr(crosscheck, "train_problem", trained)
        assert found() == ("proved", "agrees", "disagrees")
    with monkeypatch.context() as plant:
        plant.setattr(setting_levels, "trajectory", integrated)
        assert found() == ("proved", "disagrees", "agrees")
    with monkeypatch.context() as plant:
        plant.setattr(Predictor, "theta", lambda self, times: 1.01 * theta(self, times))
        assert found() == ("proved", "disagrees", "disagrees")


def test_a_setting_is_trained_on_all_inputs_that_are_passed_and_on_the_first_digit_otherwise():
    assert cf.verify(setting=SETTINGS["flow"], device="cpu").rows[0].case == "1 example"
    x = digits().values[:3]
    table = cf.verify(setting=SETTINGS["flow"], inputs=x, device="cpu")
    assert table.rows[0].case == "3 examples"
    assert "inputs, 1×8×8" in table.header["data"]


# Data


def test_inputs_become_images_with_a_channel():
    assert as_images(np.ones((2, 5))).values.shape == (2, 1, 5)
    assert as_images(np.ones((2, 3, 4, 4), np.float32)).values.shape == (2, 3, 4, 4)
    assert as_images(torch.ones(2, 1, 4, 4)).values.dtype == np.float64
    kept = digits().take([0])
    assert as_images(kept) is kept


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.ones(4), ["(4,)", "(N, …)"]),
        (np.ones((0, 4)), ["(0, 4)"]),
        (np.full((2, 4), np.nan), ["finite", "nan"]),
        (np.ones((2, 4), complex), ["real", "complex128"]),
        (np.array([["a", "b"]], object), ["real", "object"]),
    ],
)
def test_inputs_that_are_no_images_are_refused_in_one_line(inputs, words):
    with pytest.raises(SettingError) as error:
        cf.verify(["T1"], inputs=inputs, device="cpu")
    assert "\n" not in str(error.value)
    assert " must " in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_tests_are_other_images_and_mirrored_ones_where_there_are_no_others():
    images = np.arange(24.0).reshape(4, 1, 2, 3)
    train, test = split(images, 1)
    assert np.array_equal(train, images[:1])
    assert [int(image.min()) for image in test] == [6, 12, 18]
    _, mirrored = split(images, 4)
    assert np.array_equal(mirrored[0], images[0, ..., ::-1])
    assert len(split(images, 3)[1]) == len(mirrored) == 3


def test_real_digits_hold_too(mnist):
    images = mnist[:12].reshape(-1, 1, 28, 28)[..., ::2, ::2]
    table = cf.verify(["T3", "T4", "T5"], inputs=images, device="cpu")
    assert table.exit_code == 0
    assert all(found.integration.verdict != "disagrees" for found in table.rows)
    assert sum(found.training.verdict == "agrees" for found in table.rows) >= 5


@pytest.mark.parametrize("bad", [{"theorems": ["T99"]}, {"device": "gpu"}, {"seed": -1}, {"dtype": "float16"}])
def test_bad_arguments_are_refused(bad):
    with pytest.raises(SettingError) as error:
        cf.verify(**{"theorems": ["T4"], "device": "cpu", **bad})
    assert next(iter(bad)).removesuffix("s") in str(error.value)
    assert not isinstance(error.value, DataError)


# Printing


def test_a_ratio_is_never_rounded_up_to_the_limit_that_it_keeps():
    assert [shown_ratio(ratio) for ratio in (0.9996, 1.0, 1.004, 0.5, 1e-7)] == ["0.999", "0.999", "1", "0.5", "1e-07"]
    assert cell(Level("not run", 0.0, "why")) == "[yellow]not run[/]"
    assert cell(Level("disagrees", 12.345)) == "[bold red]disagrees[/] 12.3"


def test_notes_give_every_reason_once():
    loose = Level("not run", 0.0, "too loose")
    table = VerdictTable((row(training=loose), row(training=loose), row(proof_reason="W is left", proof="undecided")))
    assert notes(table) == ["T1 a case, training not run: too loose", "T1 proof: W is left"]
    assert "T1 proof: W is left" in text(table)
