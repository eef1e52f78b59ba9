"""`verify --setting FOLDER`: a problem that was kept with its data and its start, and the law that it broke."""

from collections.abc import Callable
from pathlib import Path

from closedflow.verdicts import VerdictTable, describe_run, predictor_row
from empirical.data import Images
from empirical.device import resolve
from empirical.laws import Check, Law
from empirical.properties import find_law, kept_case, placed
from empirical.run_folder import RunFolder, read_run
from numerics.predictor import Predictor


def verify_kept(
    folder: str | Path,
    device: str = "auto",
    dtype: str = "float64",
    progress: Callable[[str, int, int], None] | None = None,
) -> VerdictTable:
    """Takes the problem in a run's folder through proof, integration and training, and measures its law again.

    Args:
        folder: One that `closedflow properties` kept, or any run's folder whose arrays are inputs and initial weight.
        device: Where training runs: "auto", "cpu" or "cuda".
        dtype: The arithmetic of the training; the law keeps that in which it was broken.
        progress: Called before each part with its name, its number and how many there are.

    Raises:
        DataError: If the folder is no such run.
    """
    run, chosen = read_run(folder), resolve(device)
    case = kept_case(run, folder)
    report = progress or (lambda name, number, total: None)
    report("the setting", 0, 2)
    predictor = Predictor(*case)
    row = predictor_row(predictor, chosen, dtype)
    report("its law", 1, 2)
    seed = run.result.get("seed", 0)
    shape = "×".join(map(str, case.inputs.shape[1:]))
    images = Images(case.inputs, f"{folder}, {shape}, start and data as kept")
    header = describe_run(images, chosen, dtype, seed) | {"setting": str(case.setting)}
    return VerdictTable((row,), header, _law(run, predictor, chosen, seed))


def _law(run: RunFolder, predictor: Predictor, device: str, seed: int) -> tuple[Check, ...]:
    """The folder's law on its problem, if it names one."""
    name = run.result.get("law")
    if name is None:
        return ()
    if str(name).replace("-", "_") not in Law.kinds:
        return (Check(str(name), (), "this law is not defined here: import the module that defines it"),)
    law = placed(find_law(str(name)), device, run.result.get("dtype", "float64"))
    if reason := law.applies(predictor):
        return (Check(law.name, (), reason),)
    return (law.measured(predictor, seed),)
