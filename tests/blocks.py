"""Code in documents and examples, run as a user would: in a module that can be imported by its name, and nothing left behind."""

import re
import sys
import types
from pathlib import Path

from empirical.laws import Law
from theory.layers import Layer
from theory.optimizers import Optimizer

ROOT = Path(__file__).parents[1]


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of one language in a Markdown file."""
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def run_as_script(text: str, name: str, monkeypatch, main: bool = False) -> None:
    """Runs Python text; ``main`` also runs what stands under ``if __name__ == "__main__"``.

    A text may define a layer, an optimiser or a law; definition is registration, and other tests draw from the registered kinds.
    """
    for family in (Optimizer, Layer, Law):
        monkeypatch.setattr(family, "kinds", dict(family.kinds))
    module = types.ModuleType(
        "__main__" if main else name
    )  # torch modules are constructed by its name, as a script's are
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(text, name, "exec"), module.__dict__)
