"""A study's table, result file and picture."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from closedflow.plot import figure, write
from empirical.device import describe, versions
from empirical.studies import Finding, StudyRun
from numerics.files import whole_file

COLOURS = {"replicates": "green", "agrees": "green", "does not replicate": "yellow", "disagrees": "bold red"}
WIDTH, HEIGHT = 10.0, 4.2  # inches


@dataclass(frozen=True)
class StudyReport:
    """A study that was run, ready to be shown.

    Attributes:
        run: The study's findings and results.
        device: Where it ran.
    """

    run: StudyRun
    device: str

    @property
    def exit_code(self) -> int:
        """1 if a prediction of theory disagrees; 0 otherwise: a claim that does not replicate is a result."""
        return 1 if any(finding.verdict == "disagrees" for finding in self.run.account.findings) else 0

    @property
    def header(self) -> dict[str, str]:
        """What was run, on what, with what; the same command gives the same words."""
        study, scale = self.run.study, self.run.scale
        return {
            "study": f"{study.kind}: {study.title}",
            "claim": study.claim,
            "source": study.source,
            "protocol": study.protocol,
            "scale": f"{scale.name}, seeds from {scale.seed}",
            "data": f"{scale.source}, example {scale.example}",
            "device": describe(self.device),
            "versions": versions(),
            "command": f"closedflow study {study.kind} --scale {scale.name} --device {self.device} --seed {scale.seed}",
        }

    def to_json(self) -> str:
        """Header, findings, table and notes as JSON text; what is not finite is null."""
        account = self.run.account
        values = {
            **self.header,
            "findings": [asdict(finding) for finding in account.findings],
            "columns": account.columns,
            "rows": account.rows,
            "notes": account.notes,
        }
        return json.dumps(plain(values), indent=1, ensure_ascii=False, allow_nan=False)

    def save(self, folder: Path) -> list[Path]:
        """Writes the result file and, where matplotlib is, the picture; returns their paths."""
        stem = f"{self.run.study.kind}-{self.run.scale.name}"
        with whole_file(folder / f"{stem}.json") as file:
            file.write(f"{self.to_json()}\n".encode())
        picture = folder / f"{stem}.png"
        page = figure(picture, WIDTH, HEIGHT)
        self.run.draw(page)
        write(picture, page)
        return [folder / f"{stem}.json", picture]

    def show(self, console: Console) -> None:
        """Prints claim, table, findings and notes."""
        account, study = self.run.account, self.run.study
        console.print(f"[bold]{study.kind}[/]  {study.claim}", highlight=False)
        console.print(f"[dim]{study.source}. {study.protocol}[/]\n", highlight=False)
        table = Table(box=None, padding=(0, 1), header_style="bold")
        for number, name in enumerate(account.columns):
            table.add_column(name, justify="left" if number == 0 else "right")
        for row in account.rows:
            table.add_row(*map(cell, row))
        console.print(table)
        console.print()
        for finding in account.findings:
            colour = COLOURS.get(finding.verdict, "yellow")
            console.print(f"[{colour}]{finding.verdict}[/]  {finding.says}: {effect(finding)}", highlight=False)
        for note in account.notes:
            console.print(f"note: {note}", highlight=False, markup=False)
        console.print(f"[dim]{self.run.seconds:.0f} s[/]\n", highlight=False)


def effect(finding: Finding) -> str:
    """The size of an effect, its interval, and what it is compared with."""
    if finding.verdict in ("agrees", "disagrees"):
        return f"{cell(finding.value)} of the budget ({finding.against})"
    if not math.isfinite(finding.low):
        return f"{cell(finding.value)}, no interval ({finding.against})"
    return f"{cell(finding.value)} [{cell(finding.low)}, {cell(finding.high)}] ({finding.against})"


def cell(value: Any) -> str:
    """A value as text, numbers in three digits."""
    if isinstance(value, float) or hasattr(value, "dtype"):
        if not math.isfinite(value):
            return "–"
        return f"{float(value):.0f}" if 1000 <= abs(value) < 1e7 else f"{float(value):.3g}"
    return str(value)


def plain(value: Any) -> Any:
    """What JSON can hold: numpy's numbers as Python's, what is not finite as None."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
