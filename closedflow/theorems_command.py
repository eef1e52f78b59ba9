"""``closedflow theorems``: the library as a list, or the settings with their evidence."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from closedflow.terminal import console, progress, save


def theorems(
    *, settings: Annotated[bool, Parameter(negative="")] = False, device: str = "auto", json: Path | None = None
) -> int:
    """The library: statements, hypotheses, false twins and cases; or which settings have which evidence.

    Args:
        settings: Instead, take every optimiser and every layer through proof, integration and training.
        device: Where training runs then: auto, cpu or cuda.
        json: Write the list to this file instead.
    """
    if settings:
        return _settings(device, json)
    import json as json_module

    from theory.theorems import library

    if json is not None:
        rows = [
            {
                "id": theorem.id,
                "name": theorem.name,
                "title": theorem.title,
                "statement": theorem.statement,
                "hypotheses": theorem.hypotheses,
                "claims": [{"says": claim.says, "claim": claim.equation} for claim in theorem.claims],
                "false_twin": {"says": theorem.false_twin.says, "claim": theorem.false_twin.equation},
                "cases": [case.name for case in theorem.every_case],
            }
            for theorem in library()
        ]
        save(json, json_module.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return 0
    out = console()
    for theorem in library():
        out.print(f"[bold]{theorem.id} {theorem.title}[/]  ({theorem.name})", highlight=False)
        out.print(f"  {theorem.statement}", highlight=False, markup=False)
        out.print(f"  Assumes: {'; '.join(theorem.hypotheses)}.", highlight=False, markup=False)
        out.print(f"  False twin: {theorem.false_twin.says}.", highlight=False, markup=False)
        out.print(
            f"  Cases: {'; '.join(case.name for case in theorem.every_case) or 'none, it is about all dimensions'}.\n",
            highlight=False,
            markup=False,
        )
    return 0


def _settings(device: str, json: Path | None) -> int:
    from closedflow.evidence import settings_matrix
    from closedflow.table import print_table

    with progress() as report:
        table = settings_matrix(device, progress=report)
    if json is not None:
        save(json, f"{table.to_json()}\n")
    else:
        print_table(table, console())
    return table.exit_code
