"""The list of planted mistakes fits the code; `make mutations` plants them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("replant", Path(__file__).with_name("replant.py"))
assert _spec is not None
replant = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(replant)
ALL = replant.mutations()


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.name)
def test_mistake_can_be_planted(mutation) -> None:
    assert mutation.fault == ""


def test_list_is_long_and_without_repeats() -> None:
    assert len(ALL) >= 40
    assert len({mutation.name for mutation in ALL}) == len(ALL)
    assert len({(mutation.file, mutation.old, mutation.new) for mutation in ALL}) == len(ALL)
    assert {mutation.file.partition("/")[0] for mutation in ALL} >= {"theory", "numerics", "empirical"}


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.name)
def test_planted_mistake_is_still_python(mutation) -> None:
    text = (replant.ROOT / mutation.file).read_text(encoding="utf-8")
    compile(text.replace(mutation.old, mutation.new), mutation.file, "exec")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": "theory/absent.py"}, "does not exist"),
        ({"old": "nowhere in the file"}, "occurs 0 times"),
        ({"old": "e"}, "times in"),
        ({"tests": ("tests/absent.py",)}, "tests are missing"),
        ({"tests": ()}, "none is named"),
        ({"new": ALL[0].old}, "the old one"),
    ],
)
def test_mistake_that_cannot_be_planted_is_told(change: dict, words: str) -> None:
    assert words in replace(ALL[0], **change).fault
