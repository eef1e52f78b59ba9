"""The index is a cache: without it, with half of it, or with an old one, the answers are the same."""

import csv
import io
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

import empirical.run_index
from empirical.execute import execute
from empirical.experiment import Outcome
from empirical.run_index import FILE, RunIndex
from empirical.run_table import RunTable, record, table_of
from empirical.store import MARK, RunStore
from tests.experiment_kinds import NormalDrawer, TestedMean, TestedTrouble
from theory.errors import DataError, SettingError

RUNS = [
    TestedMean(seed=seed, drawer=NormalDrawer(std, shape))
    for seed in (0, 1, 2)
    for std, shape in ((1.0, (2,)), (0.5, (3,)))
]


@pytest.fixture
def store(tmp_path):
    store = RunStore(tmp_path / "runs")
    execute([*RUNS, TestedTrouble("refuses"), TestedTrouble("nan")], store, workers=1)
    return store


def rows(store, where="", columns=()):
    return RunIndex(store).table(where, columns).records()


def loop(runs, meets):
    """What a plain loop over the experiments says, in the order of drawer and seed."""
    chosen = [run for run in runs if meets(run)]
    chosen.sort(key=lambda run: (run.seed, run.drawer.std))  # the order of the columns asked for
    return [{"seed": run.seed, "drawer.std": run.drawer.std, "mean": run.run().numbers["mean"]} for run in chosen]


@pytest.mark.parametrize(
    ("where", "meets"),
    [
        ("kind = tested_mean", lambda run: True),
        ('kind = "tested_mean" and seed = 1', lambda run: run.seed == 1),
        ("kind = tested_mean and seed >= 1", lambda run: run.seed >= 1),
        ("kind = tested_mean and seed > 1", lambda run: run.seed > 1),
        ("seed<=0 and drawer.std < 1", lambda run: run.seed <= 0 and run.drawer.std < 1),
        ("drawer.kind = normal_drawer and seed != 1", lambda run: run.seed != 1),
        ("mean > 0", lambda run: run.run().numbers["mean"] > 0),
        ("drawer.shape = [3]", lambda run: run.drawer.shape == (3,)),
        ("drawer.shape = [9]", lambda run: False),
        ("drawer.kind > 3", lambda run: False),  # words are not compared with numbers
    ],
)
def test_questions_are_answered_as_by_a_plain_loop(store, where, meets):
    assert rows(store, where, ("seed", "drawer.std", "mean")) == loop(RUNS, meets)


def test_truth_values_can_be_asked_for_and_a_run_without_the_column_does_not_meet_it(store):
    assert [row["way"] for row in rows(store, "diverged = true")] == ["nan"]
    assert rows(store, "diverged = false") == []
    assert rows(store, "diverged != true") == []


def test_names_of_numbers_may_hold_spaces(store):
    store.put(TestedMean(seed=11), Outcome({"identity digits": 0.25}))
    assert rows(store, "identity digits >= 0.2", ("seed", "identity digits")) == [{"seed": 11, "identity digits": 0.25}]


def test_failed_runs_are_rows_that_say_why_until_they_succeed(store):
    assert [row["way"] for row in rows(store, "failed != none")] == ["refuses"]
    store.put(TestedTrouble("refuses"), Outcome({"fine": True}))
    assert [row["fine"] for row in rows(store, "way = refuses")] == [True]


def changed_later(store):
    with sqlite3.connect(store.folder / FILE) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()


def halved(store):
    path = store.folder / FILE
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    "harm",
    [
        lambda store: (store.folder / FILE).unlink(),
        lambda store: (store.folder / FILE).write_bytes(b"no database at all" * 100),
        lambda store: (store.folder / FILE).write_bytes(b""),
        halved,
        changed_later,
    ],
)
def test_the_answers_are_the_same_when_the_index_is_deleted_or_broken(store, harm):
    before = rows(store)
    assert len(before) == len(RUNS) + 2
    harm(store)
    assert rows(store) == before
    assert (store.folder / FILE).exists()
    assert rows(store) == before


def test_a_folder_of_results_that_cannot_be_written_is_read_all_the_same(store, monkeypatch):
    before = rows(store)
    (store.folder / FILE).unlink()
    (store.folder / FILE).mkdir()  # sqlite cannot open it, and it cannot be unlinked
    assert rows(store) == before


def test_the_index_follows_what_is_added_changed_and_removed_and_reads_nothing_twice(store, monkeypatch):
    read, reader = [], empirical.run_index.read_run
    monkeypatch.setattr(empirical.run_index, "read_run", lambda path: read.append(path) or reader(path))
    first = rows(store)
    assert len(read) == len(first)
    rows(store)
    assert len(read) == len(first)
    execute([TestedMean(seed=7)], store, workers=1)
    assert len(rows(store)) == len(first) + 1
    assert len(read) == len(first) + 1
    shutil.rmtree(store.path(TestedMean(seed=7)))
    assert rows(store) == first
    (store.path(RUNS[0]) / "arrays.npz").write_bytes(b"half")  # a broken run is none
    assert len(rows(store)) == len(first) - 1


def test_folders_that_are_no_experiments_are_passed_over(store):
    before = rows(store)
    (store.folder / "notes").mkdir()
    shutil.copytree(store.path(RUNS[0]), store.folder / "copy")
    (store.folder / "copy" / "setting.toml").write_text('target = "identity"')
    assert rows(store) == before


def test_rows_are_sorted_by_their_fields_whatever_the_hashes_are(store):
    chosen = RunIndex(store).table("kind = tested_mean", ("drawer.std", "seed")).rows
    assert list(chosen) == sorted(chosen)
    table = RunIndex(store).table("kind = tested_mean")
    seeds = [row["seed"] for row in table.records()]
    assert seeds == sorted(seeds)
    assert {"device", "code", "drawer.shape"} <= set(table.columns)


def test_what_newer_versions_wrote_is_refused(store):
    path = store.path(RUNS[0]) / "result.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DataError, match="Use the version that wrote it"):
        rows(store)
    path.unlink()
    (store.folder / MARK).write_text('{"format": 2}')
    with pytest.raises(DataError, match="Use the version that wrote it"):
        rows(store)


@pytest.mark.parametrize(
    ("where", "columns", "says"),
    [
        ("sed = 1", (), "a column must be one of .* but it is 'sed'. Did you mean 'seed'"),
        ("", ("drawer.sdt",), "Did you mean 'drawer.std'"),
        ("seed", (), "where must be comparisons such as network.depth >= 3, joined by and, but one is 'seed'"),
        ("seed ~ 3", (), "one is 'seed ~ 3'. Write NAME = VALUE"),
        ("seed = 1; DROP TABLE runs", ("sed",), "a column must be one of"),
    ],
)
def test_questions_that_cannot_be_read_are_refused(store, where, columns, says):
    with pytest.raises(SettingError, match=says):
        rows(store, where, columns)


def test_a_folder_that_is_not_there_is_refused_and_an_empty_one_has_no_rows(tmp_path):
    with pytest.raises(DataError, match=r"is no folder. Check the path"):
        rows(RunStore(tmp_path / "absent"))
    assert rows(RunStore(tmp_path), "seed = 1", ("seed",)) == []
    assert RunIndex(RunStore(tmp_path)).table().text() == "no runs"
    assert list(tmp_path.iterdir()) == []  # a folder of somebody else's: nothing is written to it


def test_whole_numbers_of_any_size_can_be_stored_and_asked_for(tmp_path):
    store = RunStore(tmp_path)
    store.put(TestedMean(seed=2**70), Outcome({"count": 10**30}))
    assert [row["seed"] for row in rows(store, f"seed = {2**70}")] == [2**70]


TABLE = RunTable(
    ("kind", "a.kind", "a.b", "size", "x"), (("k", "one", 3, None, 1 / 3), ("k", "two", None, 1, [True, "ä,b"]))
)


def test_csv_and_json_hold_every_digit_and_no_pandas():
    found = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert found[0] == {"kind": "k", "a.kind": "one", "a.b": "3", "size": "", "x": repr(1 / 3)}
    assert json.loads(found[1]["x"]) == [True, "ä,b"]
    assert json.loads(TABLE.json()) == TABLE.records()
    assert TABLE.records()[1] == {"kind": "k", "a.kind": "two", "a.b": None, "size": 1, "x": [True, "ä,b"]}


def test_the_text_says_once_what_every_row_says_and_what_a_kind_implies():
    assert TABLE.text().splitlines() == [
        "in every row: kind = k",
        "where there is one: a.b = 3",
        "",
        "a.kind  size            x",
        "   one           0.333333",
        "   two     1  [true, ä,b]",
    ]
    one = RunTable(("kind", "word"), (("k", "w" * 100),))
    assert one.text().splitlines()[1].split() == ["k", "w" * 59 + "…"]


def test_a_number_never_hides_a_field():
    assert record({"kind": "k", "loss": "mse"}, {"loss": 1.0}) == {"kind": "k", "loss": "mse", "result.loss": 1.0}
    table = table_of(RUNS[:1], [Outcome({"seed": 5})])
    assert table.records()[0]["seed"] == 0
    assert table.records()[0]["result.seed"] == 5


def test_the_project_uses_no_pandas():
    root = Path(empirical.run_index.__file__).parents[1]
    packages = ("theory", "numerics", "empirical", "closedflow")
    files = [file for package in packages for file in (root / package).rglob("*.py")]
    assert not [file for file in files if "import pandas" in file.read_text(encoding="utf-8")]
