"""Experiments are run once each, wherever they run; what dies or fails is told and stops no other."""

import logging
import os
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pytest

from empirical.execute import device_of_runs, execute
from empirical.experiment import Experiment, Outcome
from empirical.one_thread import one_thread
from empirical.run_experiment import REFUSED, Task, run_and_store
from empirical.store import RunStore
from tests.experiment_kinds import (
    NormalDrawer,
    TestedDeath,
    TestedMean,
    TestedNone,
    TestedTrouble,
    TestedUnnamed,
    TestedUnwritable,
)
from theory.errors import DataError, SettingError


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def means(count, log=""):
    return [TestedMean(seed=seed, drawer=NormalDrawer(2.0), log=str(log)) for seed in range(count)]


def numbers(outcomes):
    return [outcome.numbers for outcome in outcomes]


def lines(log):
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def test_outcomes_come_in_the_order_given_and_say_what_a_plain_loop_says(store):
    runs = means(4)
    outcomes = execute([runs[2], runs[0], runs[2], runs[3]], store, workers=1)
    for run, outcome in zip((runs[2], runs[0], runs[2], runs[3]), outcomes, strict=True):
        expected = run.run()
        assert outcome.numbers == expected.numbers
        np.testing.assert_array_equal(outcome.arrays["values"], expected.arrays["values"])


def test_only_what_is_absent_runs_and_the_same_one_runs_once(store, tmp_path):
    log = tmp_path / "log"
    runs = means(4, log)
    first = execute([*runs[:2], runs[0]], store, workers=1)
    assert [seed for seed, _ in lines(log)] == ["0", "1"]
    again = execute(runs, store, workers=1)
    assert [seed for seed, _ in lines(log)] == ["0", "1", "2", "3"]
    assert numbers(again)[:2] == numbers(first)[:2]
    told = []
    execute(runs, store, workers=1, progress=lambda *said: told.append(said))
    assert told == []
    (store.path(runs[3]) / "result.json").unlink()
    execute(runs, store, workers=1, progress=lambda *said: told.append(said))
    assert told == [("runs", 1, 1)]


def test_processes_threads_and_this_process_give_the_same_bits(tmp_path):
    log = tmp_path / "log"
    ways = {
        "here": {"workers": 1},
        "processes": {"workers": 2},
        "threads": {"executor": ThreadPoolExecutor(2)},
        "pool": {"executor": ProcessPoolExecutor(1, get_context("spawn"))},
    }
    found, processes = {}, {}
    for name, options in ways.items():
        log.unlink(missing_ok=True)
        found[name] = numbers(execute(means(5, log), RunStore(tmp_path / name), **options))
        processes[name] = {process for _, process in lines(log)}
        if "executor" in options:
            options["executor"].shutdown()
    assert found["here"] == found["processes"] == found["threads"] == found["pool"]
    assert processes["here"] == processes["threads"] == {str(os.getpid())}
    assert str(os.getpid()) not in processes["processes"] | processes["pool"]


def test_a_worker_that_dies_is_told_replaced_and_its_experiment_tried_again(store, tmp_path, caplog):
    (tmp_path / "deaths").mkdir()
    runs = [*means(3), TestedDeath(str(tmp_path / "deaths"), times=2), *means(5)[3:]]
    with caplog.at_level(logging.WARNING, "closedflow"):
        outcomes = execute(runs, store, workers=2)
    assert outcomes[3].numbers == {"attempts": 2}
    assert not any(outcome.failed for outcome in outcomes)
    assert [record.getMessage() for record in caplog.records] == [
        f"{runs[3]}: its worker died (by SIGKILL) {count} of 3 times" for count in (1, 2)
    ]


def test_an_experiment_that_always_kills_its_worker_is_given_up_and_the_others_are_not(store, tmp_path):
    (tmp_path / "deaths").mkdir()
    runs = [TestedDeath(str(tmp_path / "deaths"), times=99), *means(3)]
    outcomes = execute(runs, store, workers=2)
    assert outcomes[0].failed == "its worker died (by SIGKILL) 3 of 3 times"
    assert [outcome.failed for outcome in outcomes[1:]] == ["", "", ""]
    assert len(list((tmp_path / "deaths").iterdir())) == 3


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("refuses", "seed must be lucky, but it is 13. Choose another."),
        ("mistake", "KeyError: 'absent' ("),
        ("memory", "MemoryError: ("),
        ("leaves", "SystemExit: 2 ("),
        ("nothing", "an experiment's run must return an Outcome, but it returned NoneType"),
        ("objects", "an outcome's arrays must hold numbers, but 'a' holds objects"),
        ("words", "an outcome's numbers must be numbers, words, truth values"),
    ],
)
def test_an_experiment_that_fails_is_noted_and_stops_no_other(store, way, says):
    runs = [TestedTrouble(way), *means(1)]
    outcomes = execute(runs, store, workers=1)
    assert outcomes[0].failed.startswith(says)
    assert "\n" not in outcomes[0].failed
    assert outcomes[1].failed == ""
    assert (store.folder / "failed" / runs[0].key() / "result.json").exists()
    assert store.get(runs[0]) is None  # so that it is tried again


def test_a_diverged_run_is_stored_as_such_without_nan(store):
    (outcome,) = execute([TestedTrouble("nan")], store)
    assert outcome.numbers == {"diverged": True, "mse": None, "losses": [1.0, None]}
    assert outcome.failed == ""


def test_an_interrupt_keeps_what_had_ended(store):
    runs = [*means(2), TestedTrouble("interrupt"), *means(4)[2:]]
    with pytest.raises(KeyboardInterrupt):
        execute(runs, store, workers=1)
    assert [store.get(run) is not None for run in runs] == [True, True, False, False, False]


def test_nothing_runs_if_the_store_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    log = tmp_path / "log"
    with pytest.raises(DataError, match="results folder must be one that can be written to"):
        execute(means(2, log), RunStore(tmp_path / "file"), workers=1)
    assert lines(log) == []


def test_a_full_disk_stops_the_rest_and_says_what_is_stored(store, monkeypatch, tmp_path):
    log, write = tmp_path / "log", RunStore.put

    def put(self, experiment, outcome, device="cpu"):
        if experiment.seed == 2:
            message = "the run's folder must be one that can be written, but it is not: No space left on device."
            raise DataError(message)
        write(self, experiment, outcome, device)

    monkeypatch.setattr(RunStore, "put", put)
    with pytest.raises(DataError, match=r"No space left on device. 2 of 5 runs are stored; the same again goes on"):
        execute(means(5, log), store, workers=1)
    assert len(lines(log)) == 3


def test_a_worker_with_other_code_or_data_refuses(store):
    store.prepare()
    task = Task.of(means(1)[0], store, "cpu")
    assert run_and_store(task)[0] == "done"
    status, line = run_and_store(task._replace(key="0" * 32))
    assert status == REFUSED
    assert "must have the same code and data" in line


def test_a_class_of_another_file_is_found_by_workers_and_one_of_main_is_refused(tmp_path):
    (tmp_path / "my_experiments.py").write_text(
        "from dataclasses import dataclass\n"
        "from empirical.experiment import Experiment, Outcome\n"
        "@dataclass(frozen=True)\n"
        "class MineAlone(Experiment):\n"
        "    seed: int = 0\n"
        "    def run(self, device='cpu'):\n"
        "        return Outcome({'seed': self.seed})\n"
    )
    (tmp_path / "script.py").write_text(
        "from my_experiments import MineAlone, dataclass, Experiment, Outcome\n"
        "from empirical.execute import execute\n"
        "from empirical.store import RunStore\n"
        "class InMain(MineAlone): pass\n"
        "if __name__ == '__main__':\n"
        "    print([outcome.numbers for outcome in execute([MineAlone(0), MineAlone(1)], RunStore('runs'), workers=2)])\n"
        "    print([outcome.numbers for outcome in execute([InMain(0), InMain(1)], RunStore('runs'), workers=1)])\n"
        "    execute([InMain(0), InMain(3), InMain(4)], RunStore('runs'), workers=2)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[{'seed': 0}, {'seed': 1}]"] * 2
    assert "one is defined in __main__. Move it to a file of its own and import it, or pass workers=1." in done.stderr


def test_a_script_without_a_guard_is_told_so(tmp_path):
    (tmp_path / "script.py").write_text(
        "from empirical.execute import execute\n"
        "from empirical.store import RunStore\n"
        "from tests.experiment_kinds import TestedMean\n"
        "execute([TestedMean(0), TestedMean(1)], RunStore('runs'), workers=2)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert "worker processes must start, but one ended at once (with exit code 1)" in done.stderr
    assert 'if __name__ == "__main__":' in done.stderr


def test_a_task_that_comes_twice_is_not_run_twice(store, tmp_path):
    store.prepare()
    log = tmp_path / "log"
    task = Task.of(means(1, log)[0], store, "cpu")
    assert run_and_store(task) == run_and_store(task) == ("done", "")
    assert len(lines(log)) == 1


class Fragile(ThreadPoolExecutor):
    """Its first answers are lost on the way, as those of a worker that dies."""

    def __init__(self, losses, error):
        super().__init__(1)
        self.losses, self.error = losses, error

    def submit(self, function, *arguments):
        if self.losses:
            self.losses -= 1
            future = Future()
            future.set_exception(self.error)
            return future
        return super().submit(function, *arguments)


def test_an_answer_that_an_executor_loses_is_asked_for_again_three_times_in_all(store, caplog):
    with Fragile(2, RuntimeError("lost")) as pool:
        assert execute(means(1), store, pool)[0].failed == ""
    assert "could not run it (RuntimeError) 2 of 3 times" in caplog.messages[-1]
    with Fragile(3, RuntimeError("lost")) as pool:
        (outcome,) = execute([TestedMean(seed=9)], store, pool)
    assert outcome.failed == "its worker died or could not run it (RuntimeError) 3 of 3 times"


def test_a_broken_pool_of_the_users_is_told_with_what_it_had_and_the_rest_resumes(store, tmp_path):
    (tmp_path / "deaths").mkdir()
    deadly, fine = TestedDeath(str(tmp_path / "deaths"), times=1), means(2)
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    with pool, pytest.raises(SettingError, match=r"a worker of it died .*while it had TestedDeath") as caught:
        execute([*fine, deadly], store, pool)
    assert "pass a new executor to run the rest" in str(caught.value)
    assert "TestedMean" not in str(caught.value)
    assert [outcome.failed for outcome in execute([*fine, deadly], store, workers=1)] == ["", "", ""]


def test_an_executor_whose_workers_write_elsewhere_is_told(store):
    class Elsewhere(ThreadPoolExecutor):
        def submit(self, function, *arguments):
            return super().submit(lambda: ("done", ""))

    with Elsewhere(1) as pool:
        (outcome,) = execute(means(1), store, pool)
    assert "workers must write to the same file system" in outcome.failed


@dataclass(frozen=True)
class ThreadCount(Experiment):
    """How many threads numpy and torch use where it runs."""

    seed: int = 0

    def run(self, device="cpu"):
        from threadpoolctl import threadpool_info

        torch = sys.modules.get("torch")
        time.sleep(0.05)
        threads = [pool["num_threads"] for pool in threadpool_info()]
        return Outcome({"threads": max(threads), "torch": torch.get_num_threads() if torch else 1})


def test_every_worker_has_one_thread_and_this_process_its_own_again(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(3) as pool:
            ways = [{"workers": 1}, {"workers": 2}, {"executor": pool}]
            for number, way in enumerate(ways):
                outcomes = execute(map(ThreadCount, range(4)), RunStore(tmp_path / str(number)), **way)
                assert numbers(outcomes) == [{"threads": 1, "torch": 1}] * 4
        assert torch.get_num_threads() == 2
        assert "OMP_NUM_THREADS" not in os.environ
    finally:
        torch.set_num_threads(before)
    with one_thread(), one_thread():
        pass
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda store: execute(means(1), store, workers=0), "workers must be a number at least 1"),
        (lambda store: execute(means(1), store, device="abacus"), "device must be one of 'auto', 'cpu', 'cuda'"),
        (lambda store: execute([TestedUnwritable()], store), "TestedUnwritable does not"),
        (
            lambda store: execute([TestedUnnamed(NormalDrawer())], store),
            "name a field that holds a component after its",
        ),
        (lambda store: execute([TestedNone(None)], store), r"TestedNone\(size=None\) is not. Leave no field None"),
    ],
)
def test_bad_arguments_are_refused(store, call, says):
    with pytest.raises(SettingError, match=says):
        call(store)


def test_the_device_is_looked_for_here_or_left_to_the_executors_workers(monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of_runs("auto") == device_of_runs("cpu") == "cpu"
    with pytest.raises(SettingError, match=r"'cuda' is not. Use device='cpu'"):
        device_of_runs("cuda")
    with ThreadPoolExecutor(1) as pool:
        assert device_of_runs("cuda", pool) == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of_runs("auto") == "cuda"
    monkeypatch.setattr("empirical.execute.find_spec", lambda name: None)
    assert device_of_runs("auto") == "cpu"
