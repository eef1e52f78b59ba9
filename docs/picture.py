"""Draws docs/verdicts.svg, the picture in the README, from a fresh run: ``python docs/picture.py`` (or ``make picture``)."""

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

import closedflow as cf
from closedflow.table import print_table


def main() -> None:
    """Runs `verify` and writes the picture; fonts are the reader's own, nothing is loaded from a network."""
    console = Console(record=True, width=156, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ closedflow verify", style="bold"))
    print_table(cf.verify(device="cpu"), console)
    svg = console.export_svg(title="closedflow verify", clear=False)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    Path(__file__).with_name("verdicts.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
