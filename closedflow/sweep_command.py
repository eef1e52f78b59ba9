"""``closedflow sweep``: runs the experiments of a sweep file, and shows what has been found."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from closedflow.exit_codes import BAD_INPUT, INTERRUPTED
from closedflow.terminal import progress, save

app = App(name="sweep", help="Run a grid of experiments, each stored; or show their results.", version_flags=[])


@app.default
def sweep(
    sweep: Path,
    *,
    out: Path = Path("runs"),
    executor: str = "processes",
    workers: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    csv: Path | None = None,
    json: Path | None = None,
) -> int:
    """Run a grid of experiments. What is stored already is not run again, so the same command goes on with what was interrupted.

    Args:
        sweep: A TOML file with [experiment] and [grid].
        out: The folder of the results.
        executor: processes, threads, serial, or dask:ADDRESS of a scheduler.
        workers: How many processes or threads; one for each core, and one on cuda, if left out.
        device: Where experiments run.
        csv: Also write the table to this file.
        json: Also write the table to this file.
    """
    from empirical.execute import device_of_runs, execute
    from empirical.run_table import table_of
    from empirical.store import RunStore
    from empirical.sweep import load_sweep
    from numerics.files import whole_file

    experiments, store = load_sweep(sweep), RunStore(out)
    # Opened before the work, so that a path that cannot be written is refused at once.
    with (
        whole_file(csv) if csv else nullcontext() as csv_file,
        whole_file(json) if json else nullcontext() as json_file,
        _executor(executor, workers) as (pool, count),
        progress() as report,
    ):
        chosen = device_of_runs(device, pool)
        before = sum(store.get(experiment, chosen) is not None for experiment in experiments)
        try:
            outcomes = execute(experiments, store, pool, chosen, count, report)
        except KeyboardInterrupt:
            _say(f"interrupted; what had ended is in {out}, and the same command goes on from there")
            return INTERRUPTED
        table = table_of(experiments, outcomes)
        if csv_file:
            csv_file.write(table.csv().encode())
        if json_file:
            json_file.write(f"{table.json()}\n".encode())
    failed = [(row, outcome.failed) for row, outcome in enumerate(outcomes, start=1) if outcome.failed]
    for row, line in failed:
        _say(f"failed: row {row}: {line}")
    new = len(experiments) - before - len(failed)
    _say(
        f"{len(experiments)} experiments on {chosen} in {out}: {new} new, {before} there already, {len(failed)} failed"
    )
    print(table.text())
    return BAD_INPUT if failed else 0


@app.command
def results(
    folder: Path,
    *,
    where: str = "",
    columns: Annotated[str, Parameter(negative="")] = "",
    csv: Path | None = None,
    json: Path | None = None,
) -> int:
    """What the runs in a folder have found.

    Args:
        folder: The results of sweeps and studies.
        where: Comparisons joined by and, such as "layer.kernel_size >= 3 and seed = 0".
        columns: Which columns, such as seed,rank; all of them if left out.
        csv: Write the table to this file instead.
        json: Write the table to this file instead.
    """
    from empirical.run_index import RunIndex
    from empirical.store import RunStore

    names = [name.strip() for name in columns.split(",") if name.strip()]
    table = RunIndex(RunStore(folder)).table(where, names)
    for path, text in ((csv, table.csv), (json, table.json)):
        if path is not None:
            save(path, text().rstrip("\n") + "\n")
    if csv is None and json is None:
        print(table.text())
    return 0


@contextmanager
def _executor(name: str, workers: int | None) -> Iterator[tuple[Any, int | None]]:
    """The executor of a name (None for processes of our own), and how many of those."""
    from concurrent.futures import ThreadPoolExecutor

    from empirical.cluster import dask_executor
    from empirical.worker_processes import cores
    from theory.errors import SettingError

    kind, _, address = name.partition(":")
    if kind not in ("processes", "threads", "serial", "dask") or (kind == "dask") != bool(address):
        message = f"executor must be processes, threads, serial or dask:ADDRESS, but it is {name!r}. Write, say, dask:tcp://10.0.0.1:8786."
        raise SettingError(message)
    if workers is not None and (workers < 1 or kind in ("serial", "dask")):
        message = f"workers must be at least 1, and left out for serial and dask, but it is {workers} for {kind}. Leave it out."
        raise SettingError(message)
    if kind == "dask":
        with dask_executor(address) as pool:
            yield pool, None
    elif kind == "threads":
        with ThreadPoolExecutor(workers or cores()) as pool:
            yield pool, None
    else:
        yield None, 1 if kind == "serial" else workers


def _say(line: str) -> None:
    print(line, file=sys.stderr)
