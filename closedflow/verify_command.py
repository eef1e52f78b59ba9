"""The arguments of ``closedflow verify``; what it does is in :mod:`closedflow.verdicts`, which is imported when it runs."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from closedflow.data_options import AS_THEY_ARE, Data
from closedflow.terminal import COMMAND, console, output, progress, report_file, whole_numbers


def verify(
    *theorems: str,
    all_cases: Annotated[bool, Parameter(name="--all", negative="")] = False,
    setting: Path | None = None,
    data: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    dtype: Literal["float64", "float32"] = "float64",
    seed: int = 0,
    json: Path | None = None,
    report: Path | None = None,
    options: Data = AS_THEY_ARE,
) -> int:
    """Prove, integrate and train: the verdict table.

    Args:
        theorems: Names or ids (see `closedflow theorems`); all of them if none is given.
        all_cases: Every case, not only the most telling ones.
        setting: A TOML file with a setting of your own, or a folder that `closedflow properties` kept, instead of the theorems.
        data: Images to train on: .npy, .npz or IDX, or a .gz of it. Default: scikit-learn's digits.
        device: Where training runs.
        dtype: The arithmetic of the training.
        seed: Seed of the starts.
        json: Also write the table to this file; - is stdout, as in every command.
        report: Also write a report to this .html file: the table, every proof, and pictures of every case.
        options: Which images.
    """
    from closedflow.table import print_table
    from closedflow.verdicts import verify as run_verify
    from empirical.data import digits
    from theory.errors import SettingError
    from theory.setting import Setting

    if setting is not None and theorems:
        message = f"theorems must be left out with --setting, but they are {', '.join(theorems)}. Run them apart."
        raise SettingError(message)
    if setting is not None and setting.is_dir():
        if report is not None:
            message = f"report must be left out with a run's folder, but it is {report}. Pass {setting / 'setting.toml'} for a report."
            raise SettingError(message)
        return _verify_kept(setting, data, device, dtype, json, options)
    chosen = None if setting is None else Setting.load(setting)
    images = digits() if data is None else options.read(data)
    first = whole_numbers("examples", options.examples or "0")
    trained = images.take(first)
    # Cases that need more examples, and the test images, take the others in their order.
    others = [index for index in range(len(images.values)) if index not in set(first)]
    images = type(images)(images.take([*first, *others]).values, trained.source)
    with output(json) as write, report_file(report) as page, progress() as tell:
        table = run_verify(
            list(theorems) or None,
            chosen,
            trained if chosen else images,
            device,
            seed,
            every_case=all_cases,
            dtype=dtype,
            progress=tell,
        )
        write(table.to_json())
        if page:
            from closedflow.report.verdict_report import setting_report, verdict_report

            tell("report", 0, 1)
            document = (
                verdict_report(table, images, device, seed, COMMAND.get())
                if chosen is None
                else setting_report(table, chosen, images, len(first), device, seed, COMMAND.get())
            )
            page.write(document.to_html().encode())
    print_table(table, console(json))
    return table.exit_code


def _verify_kept(folder: Path, data: Path | None, device: str, dtype: str, json: Path | None, options: Data) -> int:
    from closedflow.kept_problem import verify_kept
    from closedflow.table import print_table
    from theory.errors import SettingError

    if data is not None or options != AS_THEY_ARE:
        message = f"data and its options must be left out with a run's folder, which has its own, but they are given with {folder}. "
        raise SettingError(message + "Drop them, or pass the folder's setting.toml.")
    with output(json) as write, progress() as report:
        table = verify_kept(folder, device, dtype, progress=report)
        write(table.to_json())
    print_table(table, console(json))
    return table.exit_code
