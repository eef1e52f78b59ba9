"""The arguments of ``closedflow hull``; what it does is in :mod:`closedflow.hull`, which is imported when it runs."""

from os.path import realpath
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from closedflow.data_options import AS_THEY_ARE, Data
from closedflow.exit_codes import UNDECIDED
from closedflow.terminal import console, output, progress, whole_numbers


def hull(
    *,
    train: Path,
    test: Path,
    kind: Literal["span", "affine", "convex"] = "convex",
    exact: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    plot: Path | None = None,
    json: Path | None = None,
    device: str | None = None,
    options: Data = AS_THEY_ARE,
) -> int:
    """How far test images are outside a hull of others.

    The span, the affine hull or the convex hull of the training images, with a certificate for each distance.

    Args:
        train: Training images; all of them, unless --examples chooses.
        test: Test images.
        kind: Of what: span, affine (hull) or convex (hull).
        exact: Decide in integers and rationals.
        out: Also write a table with one line for each test image to this .csv file.
        plot: Also draw a histogram of distance over diameter to this picture.
        json: Also write summary and table to this file.
        device: Where the products are formed: cpu or cuda by torch; numpy if left out.
        options: Which images.
    """
    from closedflow.hull import Study
    from theory.errors import SettingError

    taken = dict.fromkeys((realpath(train), realpath(test)), "the images")
    for name, path in (("out", out), ("plot", plot), ("json", json)):
        if path is None:
            continue
        if other := taken.get(realpath(path)):
            message = f"--{name} must be another file than {other}, but it is {path}. Choose another path."
            raise SettingError(message)
        taken[realpath(path)] = f"--{name}"
    if out is not None and out.suffix != ".csv":
        call = out.parent / f"{out.stem or 'table'}.csv"
        message = f"--out must be a .csv file, but it is {out}. Call it {call}, or use --json for JSON."
        raise SettingError(message)
    images = options.read(train)
    if options.examples:
        images = images.take(whole_numbers("examples", options.examples))
    with output(json) as write, progress() as report:
        study = Study.of(images, options.read(test), kind, exact, device, report)
        study.write(out, plot)
        write(study.to_json())
    console(json).print(str(study), highlight=False, markup=False)
    return UNDECIDED if study.counts["undecided"] else 0
