"""The arguments of ``closedflow properties``; the laws are in :mod:`empirical.laws`, which is imported when it runs."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from closedflow.terminal import console, progress

KEPT = Path("broken")


def properties(
    *laws: str,
    examples: int = 100,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    dtype: Literal["float64", "float32"] = "float64",
    seed: int = 0,
    json: Path | None = None,
    out: Path = KEPT,
    list: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Every law on random settings, trained networks included.

    A law that is broken is shown with a small counterexample, kept as a folder for `closedflow verify --setting`.

    Args:
        laws: Names of laws; all of them if none is given.
        examples: How many random problems for each law, inside its hypotheses.
        device: Where networks are trained.
        dtype: The arithmetic of that training.
        seed: Seed of everything that is drawn.
        json: Also write the findings to this file.
        out: The folder for counterexamples.
        list: Only list the laws with their hypotheses.
    """
    from closedflow.findings import list_laws, print_findings, to_json
    from empirical.properties import check_properties, find_law, keep
    from numerics.files import check_writable, whole_file

    if list:
        list_laws([find_law(law) for law in laws], console())
        return 0
    check_writable(out)
    with whole_file(json) if json else nullcontext() as file, progress() as report:
        found = check_properties(
            laws or None, examples=examples, seed=seed, device=device, dtype=dtype, progress=report
        )
        kept = {finding.law.name: keep(finding, out) for finding in found if finding.verdict == "broken"}
        if file:
            file.write(to_json(found, kept).encode())
    print_findings(found, kept, console())
    return 1 if kept else 0
