"""closedflow sweep: what it prints, writes and exits with, and that nothing but time is lost when it is killed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from closedflow.cli import run
from empirical.store import RunStore

ROOT = Path(__file__).parents[1]
SWEEP = """
modules = ["tests.experiment_kinds"]
[experiment]
kind = "tested_mean"
seconds = {seconds}
[experiment.drawer]
kind = "normal_drawer"
[grid]
"drawer.std" = [0.5, 2.0]
seed = {seeds}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.toml").write_text(SWEEP.format(seconds=0.0, seeds=[0, 1]))
    return tmp_path


def start(folder, *arguments):
    """closedflow sweep in a process group of its own."""
    command = [sys.executable, "-m", "closedflow", "sweep", "sweep.toml", "--device", "cpu", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored in what a shell runs in the background
    )


def finished(store):
    return [path for path in store.iterdir() if len(path.name) == 32] if store.is_dir() else []


def stopped_in_the_middle(folder, sent, *arguments):
    """Starts a sweep, sends the whole group a signal when two runs are stored, and returns the process and how many were."""
    process = start(folder, *arguments)
    deadline = time.monotonic() + 60
    while len(finished(folder / "runs")) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, sent)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err, len(finished(folder / "runs"))


def test_a_sweep_killed_in_the_middle_resumes_to_the_identical_table(tmp_path):
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.toml").write_text(SWEEP.format(seconds=0.15, seeds=list(range(5))))
    code, _, _, stored = stopped_in_the_middle(tmp_path / "killed", signal.SIGKILL, "--workers", "2")
    assert code == -signal.SIGKILL
    assert 2 <= stored < 10  # it really was in the middle
    outputs = {}
    for name in ("killed", "whole"):
        process = start(tmp_path / name, "--workers", "2", "--csv", "table.csv")
        outputs[name], err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        known = stored if name == "killed" else 0
        assert f"10 experiments on cpu in runs: {10 - known} new, {known} there already, 0 failed" in err
    assert outputs["killed"] == outputs["whole"]
    tables = [(tmp_path / name / "table.csv").read_bytes() for name in ("killed", "whole")]
    assert tables[0] == tables[1]
    results = []
    for name in ("killed", "whole"):
        assert run(["sweep", "results", str(tmp_path / name / "runs"), "--csv", str(tmp_path / "r.csv")]) == 0
        results.append((tmp_path / "r.csv").read_bytes())
    assert results[0] == results[1]
    assert not list((tmp_path / "whole" / "runs").glob(".*"))


@pytest.mark.parametrize("way", [["--workers", "2"], ["--executor", "serial"]])
def test_an_interrupt_says_how_to_go_on_and_leaves_no_process(tmp_path, way):
    (tmp_path / "sweep.toml").write_text(SWEEP.format(seconds=0.15, seeds=list(range(10))))
    code, out, err, stored = stopped_in_the_middle(tmp_path, signal.SIGINT, *way, "--csv", "t.csv", "--json", "t.json")
    assert (code, out) == (130, "")
    assert err == "closedflow: interrupted; what had ended is in runs, and the same command goes on from there\n"
    time.sleep(0.4)
    assert len(finished(tmp_path / "runs")) == stored < 20
    assert not list(tmp_path.glob("*t.*s*"))  # no table of half the rows


def test_a_larger_grid_adds_only_what_is_new(folder, capsys):
    assert run(["sweep", "sweep.toml", "--workers", "1", "--device", "cpu"]) == 0
    small, err = capsys.readouterr()
    assert err == "4 experiments on cpu in runs: 4 new, 0 there already, 0 failed\n"
    before = {path.name: path.stat().st_mtime_ns for path in finished(folder / "runs")}
    (folder / "sweep.toml").write_text(SWEEP.format(seconds=0.0, seeds=[0, 1, 2]))
    assert run(["sweep", "sweep.toml", "--workers", "1", "--device", "cpu"]) == 0
    large, err = capsys.readouterr()
    assert err == "6 experiments on cpu in runs: 2 new, 4 there already, 0 failed\n"
    after = {path.name: path.stat().st_mtime_ns for path in finished(folder / "runs")}
    assert {name: after[name] for name in before} == before
    assert len(after) == 6
    assert set(words(small)) < set(words(large))


def words(text):
    """The rows of a printed table."""
    return [tuple(line.split()) for line in text.splitlines()[2:]]


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_every_executor_prints_the_same_table(folder, capsys, executor):
    assert (
        run(["sweep", "sweep.toml", "--executor", executor, "--out", "a", "--device", "cpu", "--json", "t.json"]) == 0
    )
    with open("t.json", encoding="utf-8") as file:
        table = json.load(file)
    assert [(row["drawer.std"], row["seed"]) for row in table] == [(0.5, 0), (0.5, 1), (2.0, 0), (2.0, 1)]
    # Draws of one seed differ by the factor of their deviations, a power of 2: exact in floating point.
    assert [row["mean"] * 4 for row in table[:2]] == [row["mean"] for row in table[2:]]


def test_results_are_shown_chosen_and_written(folder, capsys):
    run(["sweep", "sweep.toml", "--workers", "1", "--device", "cpu"])
    capsys.readouterr()
    assert run(["sweep", "results", "runs", "--where", "seed = 1", "--columns", "drawer.std,mean"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.split()[0] for line in out.splitlines()] == ["drawer.std", "0.5", "2"]
    assert run(["sweep", "results", "runs", "--csv", "r.csv", "--json", "r.json"]) == 0
    assert capsys.readouterr() == ("", "")
    with open("r.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open("r.json", encoding="utf-8") as file:
        records = json.load(file)
    assert [float(row["mean"]) for row in rows] == [record["mean"] for record in records]
    assert len(rows) == 4
    (folder / "runs" / "index.sqlite").unlink()
    assert run(["sweep", "results", "runs", "--json", "again.json"]) == 0
    assert (folder / "again.json").read_text() == (folder / "r.json").read_text()


def test_what_fails_is_told_and_the_exit_code_is_2(folder, capsys):
    (folder / "sweep.toml").write_text(
        'modules = ["tests.experiment_kinds"]\n[experiment]\nkind = "tested_trouble"\n[grid]\nway = ["fine", "refuses"]'
    )
    for there in (0, 1):
        assert run(["sweep", "sweep.toml", "--workers", "1", "--device", "cpu"]) == 2
        out, err = capsys.readouterr()
        assert "failed: row 2: seed must be lucky, but it is 13. Choose another.\n" in err
        assert f"{1 - there} new, {there} there already, 1 failed" in err
        assert "refuses" in out
    assert run(["sweep", "results", "runs", "--columns", "way,fine,failed"]) == 0
    assert "lucky" in capsys.readouterr().out


ERRORS = [
    (["absent.toml"], "a sweep must be a readable TOML file, but absent.toml is not"),
    (["sweep.toml", "--executor", "magic"], "executor must be processes, threads, serial or dask:ADDRESS"),
    (["sweep.toml", "--executor", "dask"], "executor must be processes, threads, serial or dask:ADDRESS"),
    (["sweep.toml", "--executor", "serial", "--workers", "2"], "workers must be at least 1, and left out for serial"),
    (["sweep.toml", "--workers", "0"], "workers must be at least 1"),
    (["sweep.toml", "--out", "sweep.toml"], "results folder must be one that can be written to"),
    (["sweep.toml", "--csv", "absent/t.csv"], "the output must be a file that can be written"),
    (["sweep.toml", "--json", "absent/t.json"], "the output must be a file that can be written"),
    (["sweep.toml", "--device", "abacus"], "abacus"),
    (["results", "absent"], "is no folder. Check the path"),
    (["results", ".", "--where", "seed"], "where must be comparisons"),
    ([], "--sweep"),
]


@pytest.mark.parametrize(("arguments", "says"), ERRORS)
def test_bad_input_is_one_line_and_exit_2_before_any_work(folder, capsys, arguments, says):
    assert run(["sweep", *arguments]) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (folder / "runs").exists()


def test_a_newer_results_folder_is_refused(folder, capsys):
    RunStore(folder / "runs").prepare()
    (folder / "runs" / "closedflow.json").write_text('{"format": 2}')
    for arguments in (["sweep.toml"], ["results", "runs"]):
        assert run(["sweep", *arguments]) == 2
        assert "Use the version that wrote it, or choose another folder" in capsys.readouterr().err


def test_help_needs_nothing_heavy():
    code = (
        "from closedflow.cli import run; run(['sweep', '--help']); run(['sweep', 'results', '--help'])\n"
        "import sys; print('HEAVY', *sorted({'numpy', 'torch', 'sympy', 'sqlite3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY"
    assert "--executor" in done.stdout
    assert "--where" in done.stdout
