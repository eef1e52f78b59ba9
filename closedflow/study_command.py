"""The arguments of ``closedflow study``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from closedflow.data_options import AS_THEY_ARE, Data
from closedflow.terminal import COMMAND, console, output, progress, report_file, whole_numbers


def study(
    *names: str,
    all_studies: Annotated[bool, Parameter(name="--all", negative="")] = False,
    list_studies: Annotated[bool, Parameter(name="--list", negative="")] = False,
    scale: Literal["small", "paper"] = "small",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    out: Path = Path("results"),
    runs: Path = Path("runs"),
    json: Path | None = None,
    workers: int | None = None,
    data: Path | None = None,
    seed: int = 0,
    report: Path | None = None,
    options: Data = AS_THEY_ARE,
) -> int:
    """Experiments of the papers: claims, verdicts, pictures.

    Verdicts come with their uncertainty. What ran before is not run again.

    Args:
        names: Studies by name.
        all_studies: All of them.
        list_studies: Only list them.
        scale: small, up to two minutes each on two CPU cores, or paper, for a GPU.
        device: Where networks are trained.
        out: Folder for result files and pictures.
        runs: Folder where single runs are stored; a study that was stopped goes on from there.
        json: Also write the results of all of them to this file.
        workers: Processes; one for each core on a CPU.
        data: Images instead of scikit-learn's digits.
        seed: The first of the seeds.
        report: Also write a report of all of them to this .html file.
        options: Which images; --examples the training picture.
    """
    import json as json_module

    from closedflow.studies import StudyReport
    from empirical.device import resolve
    from empirical.sources import Digits, ImageFile
    from empirical.store import RunStore
    from empirical.studies import Scale, Study, run_study
    from numerics.files import writable_folder
    from theory.component import one_of
    from theory.errors import SettingError

    out_console = console(json)
    if list_studies:
        for kind, found in Study.kinds.items():
            out_console.print(f"[bold]{kind}[/]  {found.claim}", highlight=False)  # type: ignore[attr-defined]
        return 0
    chosen = list(Study.kinds) if all_studies else [one_of("study", name, Study.kinds) for name in names]
    if not chosen:
        message = "study must have a name, or --all, but it has none. See closedflow study --list."
        raise SettingError(message)
    shape = None if options.image_shape is None else tuple(whole_numbers("image-shape", options.image_shape))
    source = Digits() if data is None else ImageFile(str(data), options.key, shape)
    source.images()  # refused before any work
    first = whole_numbers("examples", options.examples)[0] if options.examples else (7 if data is None else 0)
    place, store, done = resolve(device), RunStore(runs), []
    writable_folder(out)
    try:
        with output(json) as write, report_file(report) as page, progress() as tell:
            for kind in chosen:
                run = run_study(
                    Study.kinds[kind](),  # type: ignore[arg-type]
                    Scale(scale, source, first, seed),
                    store,
                    device=place,
                    workers=workers,
                    progress=lambda name, number, total, kind=kind: tell(f"{kind} {name}", number, total),  # type: ignore[misc]
                )
                done.append(StudyReport(run, place))
                done[-1].show(out_console)
                for path in done[-1].save(out):
                    out_console.print(f"[dim]{path}[/]", highlight=False)
            write(json_module.dumps([json_module.loads(one.to_json()) for one in done], indent=1, ensure_ascii=False))
            if page:
                from closedflow.report.study_report import study_report

                page.write(study_report(done, COMMAND.get()).to_html().encode())
    except KeyboardInterrupt:
        message = f"what had ended is in {runs}, and the same command goes on from there"
        raise KeyboardInterrupt(message) from None
    return max(one.exit_code for one in done)
