"""docs/cluster.md is true: its sweeps run, its command answers, and what it imports exists."""

import ast
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from closedflow.cli import run
from empirical.sweep import read_sweep

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)


def test_the_first_sweep_runs_and_the_commands_below_it_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("sweep.toml").write_text(blocks("toml")[0], encoding="utf-8")
    for line in blocks("sh")[0].splitlines():
        _, *arguments = shlex.split(line, comments=True)
        assert run([*arguments, *(["--device", "cpu", "--workers", "1"] if "results" not in arguments else [])]) == 0
    rows = capsys.readouterr().out.splitlines()[-5:]
    assert rows[0].split() == ["layer.kernel_size", "seed", "rank"]
    assert [row.split()[:2] for row in rows[1:]] == [["3", "1"], ["3", "2"], ["5", "1"], ["5", "2"]]
    assert len(read_sweep(blocks("toml")[0])) == 9


def test_the_experiment_of_ones_own_runs_in_worker_processes(tmp_path):
    (tmp_path / "my_experiments.py").write_text(blocks("python")[-1], encoding="utf-8")
    (tmp_path / "sweep.toml").write_text(blocks("toml")[1], encoding="utf-8")
    command = [sys.executable, "-m", "closedflow", "sweep", "sweep.toml", "--workers", "2", "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "9 experiments on cpu in runs: 9 new, 0 there already, 0 failed" in done.stderr


@pytest.mark.parametrize("block", blocks("python"), ids=range(len(blocks("python"))))
def test_what_the_document_imports_from_the_project_exists(block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in ("empirical", "closedflow"):
            for name in node.names:
                assert hasattr(importlib.import_module(node.module), name.name)


def test_it_names_no_registry():
    assert "://" not in re.sub(r"tcp://SCHEDULER", "", TEXT)
