"""docs/*.md are true: every block of code runs, in order, in one folder for each document; every link leads somewhere."""

import re
import shlex
import tomllib

import pytest

from closedflow.claims import load_claim
from closedflow.cli import run
from tests.blocks import ROOT, run_as_script
from theory.setting import Setting

# docs/cluster.md needs clusters; tests/test_cluster_document.py runs what can run here.
DOCUMENTS = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "cluster.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def run_block(kind: str, text: str, name: str, monkeypatch) -> None:
    """A script runs; a TOML block is written to the file that its first line names and is read; commands exit with the code they say."""
    if kind == "python":
        run_as_script(text, name, monkeypatch)
    elif kind == "toml":
        path = re.match(r"# (\w+\.toml)\n", text).group(1)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        (load_claim if "claim" in tomllib.loads(text) else Setting.load)(path)
    elif kind == "sh":
        for line in text.splitlines():
            program, *arguments = shlex.split(line, comments=True)
            code = re.search(r"# exit (\d+)", line)
            assert program == "closedflow"
            assert run(arguments) == (int(code.group(1)) if code else 0), line
    else:
        pytest.fail(f"{name} has a block of an unknown kind {kind!r}")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_block_of_a_document_runs(path, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    for number, (kind, text) in enumerate(FENCE.findall(path.read_text(encoding="utf-8"))):
        run_block(kind, text, f"{path.stem}_{number}", monkeypatch)
        if kind == "python":
            assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "docs" / "cluster.md"], ids=lambda path: path.stem)
def test_links_lead_to_files_and_every_document_is_in_the_index(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", FENCE.sub("", path.read_text(encoding="utf-8"))):
        assert (path.parent / target).exists(), target
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert path.stem == "index" or f"({path.name})" in index


def test_the_exit_codes_of_the_document_are_those_of_the_code():
    from closedflow import exit_codes

    text = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    assert listed == {0, *(value for name, value in vars(exit_codes).items() if name.isupper())}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("python", "assert 1 == 2"),
        ("sh", "closedflow solve missing.toml"),
        ("toml", "# bad.toml\nlayer = 1\n"),
        ("rust", "fn main() {}"),
    ],
)
def test_a_wrong_block_is_found(kind, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        run_block(kind, text, "planted", monkeypatch)
