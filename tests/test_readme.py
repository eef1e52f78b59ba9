"""The README is true: its Python runs, its settings and claims are read, its pictures exist."""

import re
import tomllib

import pytest

from closedflow.claims import KEYS
from tests.blocks import ROOT, blocks, run_as_script
from theory.operators import prove
from theory.setting import Setting

README = ROOT / "README.md"


@pytest.mark.parametrize("block", blocks(README, "python"), ids=range(len(blocks(README, "python"))))
def test_every_python_block_runs(block, capsys, monkeypatch):
    pytest.importorskip("torch")
    run_as_script(block, "readme", monkeypatch)
    assert capsys.readouterr().out.strip()


def test_the_prove_example_prints_what_its_comments_say(capsys):
    exec(compile(blocks(README, "python")[0], "README.md", "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    assert out.startswith("refuted")
    assert out.strip().endswith("proved")


def test_every_toml_block_is_a_setting_or_a_claim_that_holds():
    kinds = []
    for block in blocks(README, "toml"):
        table = tomllib.loads(block)
        if "claim" in table:
            assert set(table) <= set(KEYS)
            assert prove(**table).verdict == "proved"
        else:
            assert Setting.from_toml(Setting.from_toml(block).to_toml()) == Setting.from_toml(block)
        kinds.append("claim" in table)
    assert sorted(kinds) == [False, True]


def test_linked_files_and_make_targets_exist():
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", text, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
