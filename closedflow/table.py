"""The verdict table on a terminal."""

import io
from html import escape

from rich.console import Console
from rich.table import Table

from closedflow.verdicts import VerdictTable
from empirical.levels import Level
from theory import notebook

COLOURS = {"proved": "green", "agrees": "green", "refuted": "bold red", "disagrees": "bold red"}


def render(table: VerdictTable) -> Table:
    """The table for rich."""
    shown = Table(box=None, padding=(0, 1), header_style="bold", title_justify="left")
    for name in ("theorem", "case", "proof", "modulo", "integration", "training"):
        shown.add_column(name, overflow="fold")
    last = ""
    for row in table.rows:
        new = row.id != last
        last = row.id
        proof = f"[{COLOURS.get(row.proof, 'yellow')}]{row.proof}[/] {row.seconds:.1f} s" if new else ""
        lemmas = " ".join(name.removeprefix("L-") for name in row.lemmas) if new else ""
        title = f"{row.id} {row.title}" if new else ""
        shown.add_row(title, row.case, proof, lemmas, cell(row.integration), cell(row.training))
    return shown


def cell(level: Level) -> str:
    """A verdict with its residual ÷ budget."""
    ratio = "" if level.verdict == "not run" else f" {shown_ratio(level.ratio)}"
    return f"[{COLOURS.get(level.verdict, 'yellow')}]{level.verdict}[/]{ratio}"


def shown_ratio(ratio: float) -> str:
    """A ratio in three digits, never rounded up to the 1 that it does not reach."""
    return "0.999" if 0.999 < ratio <= 1 else f"{ratio:.3g}"


def notes(table: VerdictTable) -> list[str]:
    """One line for everything that was not run, is undecided or disagrees."""
    lines = []
    for row in table.rows:
        if row.proof_reason:
            lines.append(f"{row.id} proof: {row.proof_reason}")
        for name, level in (("integration", row.integration), ("training", row.training)):
            if level.reason:
                lines.append(f"{row.id} {row.case}, {name} {level.verdict}: {level.reason}")
    return list(dict.fromkeys(lines))


def html(table: VerdictTable) -> str:
    """The table for a notebook, with its header and notes."""
    rows = []
    for row in table.rows:
        levels = [
            notebook.verdict(level.verdict) + ("" if level.verdict == "not run" else f" {shown_ratio(level.ratio)}")
            for level in (row.integration, row.training)
        ]
        names = [escape(f"{row.id} {row.title}"), escape(row.case), notebook.verdict(row.proof)]
        rows.append([*names, escape(" ".join(row.lemmas)), *levels])
    head = ("theorem", "case", "proof", "modulo", "integration", "training")
    caption = "; ".join(table.header.values()) or "Verdicts"
    more = "".join(f"<li>{escape(line)}</li>" for line in (*map(str, table.laws), *notes(table)))
    return notebook.grid(caption, head, rows) + (f"<ul>{more}</ul>" if more else "")


def print_table(table: VerdictTable, console: Console) -> None:
    """Header, table, notes and the key to the numbers."""
    for name, value in table.header.items():
        console.print(f"[dim]{name:<12}[/] {value}", highlight=False)
    console.print()
    console.print(render(table))
    console.print()
    for line in (*map(str, table.laws), *notes(table)):
        console.print(line, highlight=False, markup=False)
    console.print(
        "[dim]Numbers are the worst residual ÷ budget: 1 is the computed limit. Flows are trained by small steps, whose bound is "
        "sharp: just below 1 is right.\nWithout a number nothing was measured. Lemmas are stated in proofs.md.[/]",
        highlight=False,
    )


def text(table: VerdictTable) -> str:
    """The table as plain text."""
    page = io.StringIO()
    print_table(table, Console(width=150, no_color=True, force_terminal=False, file=page))
    return page.getvalue()
