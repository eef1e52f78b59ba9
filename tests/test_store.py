"""The store: what is there is read, what is broken is rewritten, what is newer is refused, and a full disk loses nothing."""

import json
import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from empirical.experiment import Outcome
from empirical.run_folder import FORMAT, NewerFormatError, RunFolder, read_run
from empirical.store import MARK, RunStore, checked
from tests.experiment_kinds import NormalDrawer, TestedMean
from theory.errors import DataError, SettingError

RUN, OUTCOME = TestedMean(seed=1), Outcome({"mean": 0.5}, {"values": np.ones(3)})


@pytest.fixture
def store(tmp_path):
    store = RunStore(tmp_path / "deep" / "runs")
    store.prepare()
    return store


def names(store):
    return sorted(path.name for path in store.folder.iterdir())


def test_an_outcome_is_found_again_under_its_own_experiment_and_device_only(store):
    assert store.get(RUN) is None
    store.put(RUN, OUTCOME)
    found = RunStore(store.folder).get(RUN)
    assert found.numbers == OUTCOME.numbers
    np.testing.assert_array_equal(found.arrays["values"], np.ones(3))
    assert store.get(RUN, "cuda") is None
    assert store.get(TestedMean(seed=2)) is None
    assert store.get(TestedMean(seed=1, drawer=NormalDrawer(2.0))) is None
    assert names(store) == sorted([MARK, RUN.key()])


@pytest.mark.parametrize("name", ["setting.toml", "result.json", "arrays.npz"])
def test_half_a_folder_counts_as_absent_and_is_rewritten(store, name):
    store.put(RUN, OUTCOME)
    (store.path(RUN) / name).unlink()
    assert store.get(RUN) is None
    store.put(RUN, Outcome({"mean": 0.75}))
    assert store.get(RUN).numbers == {"mean": 0.75}
    assert names(store) == sorted([MARK, RUN.key()])


def test_a_file_in_the_place_of_a_folder_counts_as_absent_and_is_replaced(store):
    store.path(RUN).write_text("no folder")
    assert store.get(RUN) is None
    store.put(RUN, OUTCOME)
    assert store.get(RUN).numbers == OUTCOME.numbers


def test_a_result_without_numbers_counts_as_absent(store):
    RunFolder(RUN.to_toml(), {"device": "cpu"}).write(store.path(RUN))
    assert store.get(RUN) is None


def test_what_is_there_and_whole_stays(store):
    store.put(RUN, OUTCOME)
    store.put(RUN, Outcome({"mean": 9.0}))
    assert store.get(RUN).numbers == OUTCOME.numbers


def test_a_newer_run_is_refused_and_not_touched(store):
    store.put(RUN, OUTCOME)
    path = store.path(RUN) / "result.json"
    path.write_text(json.dumps({"format": FORMAT + 1, "numbers": {}}))
    for act in (lambda: store.get(RUN), lambda: store.put(RUN, OUTCOME)):
        with pytest.raises(NewerFormatError, match="or choose another folder"):
            act()
    assert json.loads(path.read_text())["format"] == FORMAT + 1


def test_a_newer_store_is_refused_before_any_work_and_half_a_mark_is_written_again(store):
    (store.folder / MARK).write_text('{"format"')
    store.prepare()
    assert json.loads((store.folder / MARK).read_text())["format"] == FORMAT
    (store.folder / MARK).write_text(json.dumps({"format": FORMAT + 3}))
    for act in (store.prepare, store.check):
        with pytest.raises(NewerFormatError, match=f"at most {FORMAT}, but it has {FORMAT + 3}"):
            act()


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(DataError, match="results folder must be one that can be written to, but") as caught:
            RunStore(path).prepare()
        assert "Choose another one." in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    (tmp_path / "runs").mkdir(mode=0o500)
    with pytest.raises(DataError, match="Permission denied"):
        RunStore(tmp_path / "runs").prepare()


def test_failures_are_noted_apart_and_go_when_the_experiment_succeeds(store):
    store.put_failure(RUN, "too hot")
    store.put_failure(RUN, "too cold")
    noted = store.folder / "failed" / RUN.key()
    assert read_run(noted).result["numbers"] == {"failed": "too cold"}
    assert store.get(RUN) is None
    store.put(RUN, OUTCOME)
    assert not noted.exists()


def test_what_killed_runs_left_is_removed_when_it_is_old(store):
    for part in (store.folder, store.folder / "failed"):
        for name in (".key.old", ".key.new"):
            (part / name).mkdir(parents=True)
        os.utime(part / ".key.old", (0, time.time() - 4000))
    store.prepare()
    assert names(store) == [".key.new", MARK, "failed"]
    assert [path.name for path in (store.folder / "failed").iterdir()] == [".key.new"]


def test_numbers_are_stored_as_json_holds_them_and_never_nan():
    numbers = {"a": math.nan, "b": [np.float32(0.5), -math.inf], "c": np.bool_(True), "d": np.arange(2), "e": None}
    assert checked(Outcome(numbers)) == {"a": None, "b": [0.5, None], "c": True, "d": [0, 1], "e": None}
    assert json.dumps(checked(Outcome(numbers))) == '{"a": null, "b": [0.5, null], "c": true, "d": [0, 1], "e": null}'


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (None, "must return an Outcome, but it returned NoneType"),
        (Outcome({"a": {1}}), "'a' is a set. Put arrays into arrays"),
        (Outcome({"a": [1j]}), "'a' is a complex"),
        (Outcome({}, {"a": np.array([None])}), "'a' holds objects. Give it a dtype"),
    ],
)
def test_outcomes_that_cannot_be_stored_are_refused(store, outcome, says):
    with pytest.raises(SettingError, match=says):
        store.put(RUN, outcome)
    assert names(store) == [MARK]


def test_a_full_disk_is_an_error_that_leaves_the_runs_before_it(store):
    # A limit on the size of a file stands in for the full disk: writing then fails in the middle of a file, for real.
    code = f"""
import resource, signal
import numpy as np
from empirical.experiment import Outcome
from empirical.store import RunStore
from tests.experiment_kinds import TestedMean
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = RunStore({str(store.folder)!r})
store.put(TestedMean(seed=1), Outcome({{"mean": 0.5}}))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    store.put(TestedMean(seed=2), Outcome({{}}, {{"values": np.random.default_rng(0).normal(size=10_000)}}))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("DataError the run's folder must be one that can be written")
    assert names(store) == sorted([MARK, TestedMean(seed=1).key()])
    assert store.get(TestedMean(seed=1)).numbers == {"mean": 0.5}
