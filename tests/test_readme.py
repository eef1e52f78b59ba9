"""The README is true: its Python runs, its settings and claims are read, its pictures exist."""

import re
import sys
import tomllib
import types
from pathlib import Path

import pytest

from closedflow.claims import KEYS
from empirical.laws import Law
from theory.layers import Layer
from theory.operators import prove
from theory.optimizers import Optimizer
from theory.setting import Setting

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks("python"), ids=range(len(blocks("python"))))
def test_every_python_block_runs(block, capsys, monkeypatch):
    pytest.importorskip("torch")
    # A block may define an optimiser; definition is registration, and other tests draw from the registered kinds.
    monkeypatch.setattr(Optimizer, "kinds", dict(Optimizer.kinds))
    monkeypatch.setattr(Layer, "kinds", dict(Layer.kinds))
    monkeypatch.setattr(Law, "kinds", dict(Law.kinds))
    script = types.ModuleType("readme")  # a module that can be imported by its name, as a script is
    monkeypatch.setitem(sys.modules, "readme", script)
    exec(compile(block, "README.md", "exec"), script.__dict__)
    assert capsys.readouterr().out.strip()


def test_the_prove_example_prints_what_its_comments_say(capsys):
    exec(compile(blocks("python")[0], "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert out.startswith("refuted")
    assert out.strip().endswith("proved")


def test_every_toml_block_is_a_setting_or_a_claim_that_holds():
    kinds = []
    for block in blocks("toml"):
        table = tomllib.loads(block)
        if "claim" in table:
            assert set(table) <= set(KEYS)
            assert prove(**table).verdict == "proved"
        else:
            assert Setting.from_toml(Setting.from_toml(block).to_toml()) == Setting.from_toml(block)
        kinds.append("claim" in table)
    assert sorted(kinds) == [False, True]


def test_linked_files_and_make_targets_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
