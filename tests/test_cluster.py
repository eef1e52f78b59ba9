"""Sweeps on a real dask cluster of two worker processes, one of which is killed in the middle."""

import json
import os
import signal
import threading
import time

import pytest

from closedflow.cli import run
from empirical.cluster import dask_executor
from empirical.execute import execute
from empirical.store import RunStore
from tests.experiment_kinds import TestedDeath, TestedMean, TestedTrouble
from theory.errors import SettingError

distributed = pytest.importorskip("distributed", reason="distributed is not installed")


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes, restarted by their nannies when they die."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50, host="127.0.0.1"
    ) as cluster:
        yield cluster


def processes(log):
    return [int(line.split()[1]) for line in log.read_text().splitlines()] if log.exists() else []


class Killer(threading.Thread):
    """Kills the process that has ended a run when three runs have ended."""

    def __init__(self, log):
        super().__init__(daemon=True)
        self.log, self.killed = log, None
        self.start()

    def run(self):
        deadline = time.monotonic() + 60
        while len(processes(self.log)) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        self.killed = processes(self.log)[-1]
        os.kill(self.killed, signal.SIGKILL)


def test_a_sweep_with_a_killed_worker_ends_with_the_identical_table(cluster, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "log"
    (tmp_path / "sweep.toml").write_text(
        f'modules = ["tests.experiment_kinds"]\n[experiment]\nkind = "tested_mean"\nseconds = 0.2\nlog = "{log}"\n'
        f"[grid]\nseed = {list(range(12))}"
    )
    killer = Killer(log)
    arguments = ["sweep", "sweep.toml", "--device", "cpu"]
    assert run([*arguments, "--executor", f"dask:{cluster.scheduler_address}", "--out", "a", "--json", "a.json"]) == 0
    killer.join()
    workers = processes(log)
    assert killer.killed in workers
    assert os.getpid() not in workers
    assert len(set(workers)) >= 2
    assert run([*arguments, "--executor", "serial", "--out", "b", "--json", "b.json"]) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert len(json.loads((tmp_path / "a.json").read_text())) == 12
    assert "12 new, 0 there already, 0 failed" in capsys.readouterr().err


def test_an_experiment_that_kills_every_worker_is_failed_and_the_others_are_not(cluster, tmp_path):
    (tmp_path / "deaths").mkdir()
    runs = [
        TestedDeath(str(tmp_path / "deaths"), times=99),
        *(TestedMean(seed=seed) for seed in range(3)),
        TestedTrouble("refuses"),
    ]
    with distributed.Client(cluster, set_as_default=False) as client:
        cluster.scheduler.allowed_failures = 0  # one death is enough for dask; it is asked three times
        outcomes = execute(runs, RunStore(tmp_path / "runs"), client.get_executor())
    assert outcomes[0].failed == "its worker died or could not run it (KilledWorker) 3 of 3 times"
    assert [outcome.failed for outcome in outcomes[1:4]] == ["", "", ""]
    assert outcomes[4].failed.startswith("seed must be lucky")
    assert len(list((tmp_path / "deaths").iterdir())) == 3


def test_a_scheduler_that_does_not_answer_is_told():
    with pytest.raises(SettingError, match=r"executor must be the address of a dask scheduler, but .* does not answer"):
        with dask_executor("tcp://127.0.0.1:1", timeout=0.5):
            pass
    with pytest.raises(SettingError, match="does not answer"):
        with dask_executor("nonsense://x", timeout=0.5):
            pass


def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(SettingError, match="pip install 'closedflow\\[cluster\\]'"), dask_executor("tcp://127.0.0.1:1"):
        pass
