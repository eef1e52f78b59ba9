"""Draws the pictures in the README from fresh runs: ``python docs/picture.py`` (or ``make picture``).

docs/verdicts.svg always; docs/report.png, a page of the report, where Chromium is installed.
"""

import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

import closedflow as cf
from closedflow.cli import run
from closedflow.table import print_table


def main() -> None:
    """Both pictures."""
    draw_table()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is not None:
        draw_report(browser)


def draw_report(browser: str) -> None:
    """A report as a browser shows it, below its table of contents."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        run(["verify", "T4", "--device", "cpu", "--report", str(page)])
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("<nav", "<nav hidden").replace(f"{folder}/", ""), encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking"]
        flags += ["--disable-sync", f"--user-data-dir={folder}/profile", "--window-size=1000,1900"]
        picture = Path(__file__).with_name("report.png").resolve()
        subprocess.run([browser, *flags, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)


def draw_table() -> None:
    """Runs `verify` and writes its table; fonts are the reader's own, nothing is loaded from a network."""
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
