"""``closedflow doctor``: what is installed here, and whether it will do."""

from dataclasses import asdict
from pathlib import Path

from closedflow.terminal import console, save

COLOURS = {"good": "green", "missing": "yellow", "bad": "bold red"}


def doctor(*, json: Path | None = None) -> int:
    """What is installed here, and whether it will do.

    Exit code 0 if everything that is required is there and arithmetic is as assumed, 1 if not; an extra that is missing is no fault.

    Args:
        json: Also write the findings to this file.
    """
    import json as json_module

    from rich.text import Text

    from closedflow.doctor import examine
    from closedflow.exit_codes import REFUTED

    findings = examine()
    sick = any(finding.state == "bad" for finding in findings)
    if json is not None:
        table = {"exit_code": REFUTED if sick else 0, "findings": [asdict(finding) for finding in findings]}
        save(json, json_module.dumps(table, indent=1, ensure_ascii=False))
    out = console(json)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        line = f" {finding.name:<{width}}  {finding.found}"  # as it is: the brackets of an extra are no markup
        out.print(Text(f"{finding.state:<7}", COLOURS[finding.state]).append(line, "default"), soft_wrap=True)
    return REFUTED if sick else 0
