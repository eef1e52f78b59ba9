"""What became of the laws, as a table on a terminal and as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from closedflow.table import shown_ratio
from empirical.laws import Law
from empirical.properties import Finding, every_law

COLOURS = {"holds": "green", "broken": "bold red"}
KEY = (
    "Holds: on what was tried, which is no proof. The number is the worst residual ÷ budget: 1 is the computed limit. "
    "Untold: the budget was\nabove 1 % of what is measured, or nothing could be measured."
)


def print_findings(findings: Sequence[Finding], kept: Mapping[str, Path], console: Console) -> None:
    """One line for each law, then its counterexample and where it is kept."""
    shown = Table(box=None, padding=(0, 1), header_style="bold")
    for name in ("law", "examples", "untold", "outside its hypotheses", "worst ratio", "verdict"):
        shown.add_column(name, justify="left" if name in ("law", "verdict") else "right")
    for finding in findings:
        ratio = shown_ratio(finding.ratio) if finding.tried else ""
        verdict = f"[{COLOURS.get(finding.verdict, 'yellow')}]{finding.verdict}[/]"
        counts = map(str, (finding.tried, finding.untold, finding.outside))
        shown.add_row(finding.law.name, *counts, ratio, verdict)
    console.print(shown)
    console.print()
    for finding in findings:
        if finding.reason:
            console.print(f"{finding.law.name} not run: {finding.reason}", highlight=False, markup=False)
        if finding.case is not None:
            console.print(f"{finding.check}", highlight=False, markup=False)
            console.print(f"  {finding.case.setting}", highlight=False, markup=False)
            console.print(
                f"  Kept: closedflow verify --setting {kept[finding.law.name]}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    console.print(f"[dim]{KEY}[/]", highlight=False)


def to_json(findings: Sequence[Finding], kept: Mapping[str, Path]) -> str:
    """The findings as JSON text."""
    rows = [
        finding.to_table() | ({"kept": str(kept[finding.law.name])} if finding.law.name in kept else {})
        for finding in findings
    ]
    return json.dumps({"exit_code": 1 if kept else 0, "laws": rows}, indent=1, ensure_ascii=False) + "\n"


def list_laws(laws: Sequence[Law], console: Console) -> None:
    """Each law: its name, what it says, what it assumes."""
    for law in laws or every_law():
        says = " ".join((type(law).__doc__ or "").split("\n\n")[0].split())
        assumed = [(hypothesis.__doc__ or hypothesis.__name__).strip().rstrip(".") for hypothesis in law.assumes]
        console.print(f"[bold]{law.name}[/]{'  (trains networks)' if law.trained else ''}", highlight=False)
        console.print(f"  {says}", highlight=False, markup=False)
        console.print(f"  Assumes: {'; '.join(assumed) or 'nothing'}.\n", highlight=False, markup=False)
