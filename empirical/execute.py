"""Many experiments: what is not stored yet is run, here, in processes, or through any executor."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor, as_completed
from importlib.util import find_spec

from empirical.device import DEVICES, resolve
from empirical.experiment import Experiment, Outcome
from empirical.one_thread import one_thread
from empirical.run_experiment import DONE, FAILED, REFUSED, Task, run_and_store
from empirical.store import RunStore
from empirical.worker_processes import TRIES, cores, in_processes
from theory.component import one_of
from theory.errors import DataError, SettingError
from theory.layers import check_whole

Answers = Iterator[tuple[Task, tuple[str, str]]]

log = logging.getLogger("closedflow")


def execute(
    experiments: Iterable[Experiment],
    store: RunStore,
    executor: Executor | None = None,
    device: str = "cpu",
    workers: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Outcome]:
    """Runs the experiments that a store does not have yet, and reads them all.

    Each run is written by the worker when it ends, so that whatever stops this function loses at most the runs in flight. An
    experiment that fails stops no other: its outcome has nothing but ``failed``, a line that says why (see
    :attr:`~empirical.experiment.Outcome.failed`); it is noted in the store and tried again the next time. One whose worker
    dies is given to another, three times in all. What dies and where is told to the logger "closedflow", that is, on stderr.

    Args:
        experiments: What to run; the same one twice runs once.
        store: Where the outcomes are.
        executor: Any ``concurrent.futures.Executor``; its workers must see the store's folder, and be able to import the
            experiments' modules. Processes of our own if None.
        device: "cpu", "cuda" or "auto".
        workers: Processes of our own; one for each core if None, one on cuda. A single one is this process.
        progress: Called with a name, how many runs are done, and of how many.

    Returns:
        The outcomes, in the order of the experiments.

    Raises:
        SettingError: If an experiment cannot be sent to a worker, or the workers cannot go on.
        DataError: If the store cannot be written to, before anything runs or because the disk is full, or is of a newer version.

    Example:
        >>> import tempfile
        >>> from empirical.experiments import Predict
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientDescent
        >>> store = RunStore(tempfile.mkdtemp())
        >>> runs = [Predict(Linear(), GradientDescent(0.1), seed=seed, times=(0, 10)) for seed in (0, 1)]
        >>> [round(outcome.numbers["training_loss"][-1], 3) for outcome in execute(runs, store, workers=1)]
        [0.0, 0.0]
    """
    wanted = list(experiments)
    if workers is not None:
        check_whole("workers", workers, 1)
    device = device_of_runs(device, executor)
    store.prepare()
    outcomes, tasks = {}, {}
    keys = [experiment.key(device) for experiment in wanted]
    for key, experiment in zip(keys, wanted, strict=True):
        if key not in outcomes and key not in tasks:
            if (found := store.get(experiment, device)) is not None:
                outcomes[key] = found
            else:
                tasks[key] = Task.of(experiment, store, device)
    workers = min(workers or (1 if device == "cuda" else cores()), len(tasks))
    failures: dict[str, str] = {}
    with one_thread():
        answers = _answers(list(tasks.values()), executor, workers)
        for done, (task, (status, line)) in enumerate(answers, start=1):
            if status == REFUSED:
                answers.close()  # type: ignore[attr-defined]
                message = f"{line} {done - 1} of {len(tasks)} runs are stored; the same again goes on from there."
                raise DataError(message)
            if status == FAILED:
                failures[task.key] = line
            if progress is not None:
                progress("runs", done, len(tasks))
    for key, experiment in zip(keys, wanted, strict=True):
        if key not in outcomes:
            outcomes[key] = _outcome(experiment, store, device, failures.get(key))
    return [outcomes[key] for key in keys]


def device_of_runs(device: str, executor: Executor | None = None) -> str:
    """The device that a name means for runs; whether the workers of an executor have it is seen there.

    Raises:
        SettingError: If the name is unknown, or cuda is asked for and absent.
    """
    one_of("device", device, DEVICES)
    if device == "cpu" or (device == "auto" and find_spec("torch") is None):
        return "cpu"
    return device if executor is not None and device == "cuda" else resolve(device)


def _outcome(experiment: Experiment, store: RunStore, device: str, failure: str | None) -> Outcome:
    if failure is None and (found := store.get(experiment, device)) is not None:
        return found
    return Outcome(
        {"failed": failure or f"its folder is not in {store.folder} here; workers must write to the same file system"}
    )


def _answers(tasks: Sequence[Task], executor: Executor | None, workers: int) -> Answers:
    here = workers <= 1 if executor is None else isinstance(executor, ThreadPoolExecutor)
    if not here and any("__main__" in task.modules for task in tasks):
        message = (
            "experiments must be of classes that a worker can import, but one is defined in __main__. Move it to a file of its "
            "own and import it, or pass workers=1."
        )
        raise SettingError(message)
    if executor is not None:
        return _through(executor, tasks)
    if here:
        return ((task, run_and_store(task)) for task in tasks)
    return in_processes(tasks, workers)


def _through(executor: Executor, tasks: Sequence[Task]) -> Answers:
    """The answers of an executor of the user's.

    A lost answer is asked for again alone: dask blames a death on every task that waited at the same worker.
    """
    batches = [list(tasks)]
    futures: dict[Future[tuple[str, str]], Task] = {}
    try:
        for batch in batches:  # grows while it is gone through
            futures = {executor.submit(run_and_store, tuple(task)): task for task in batch}  # type: ignore[arg-type]
            for future in as_completed(futures):
                task = futures[future]
                try:
                    answer = future.result()
                except BrokenExecutor as error:
                    raise _broken(error, [task for future, task in futures.items() if not _ended(future)]) from None
                except Exception as error:  # the experiment's own are answers: this is the worker's
                    tried = task.tried + 1
                    line = f"its worker died or could not run it ({type(error).__name__}) {tried} of {TRIES} times"
                    log.warning("%s: %s", task, line)
                    if tried < TRIES:
                        batches.append([task._replace(tried=tried)])
                        continue
                    answer = FAILED, line
                yield task, answer
    finally:
        for future in futures:
            future.cancel()


def _ended(future: Future[tuple[str, str]]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None and future.result()[0] == DONE


def _broken(error: BrokenExecutor, tasks: Sequence[Task]) -> SettingError:
    shown = "; ".join(map(str, tasks[:3])) + (f" and {len(tasks) - 3} more" if len(tasks) > 3 else "")
    message = (
        f"executor must be one that works, but a worker of it died ({type(error).__name__}) while it had {shown}. What ended before "
        "is stored; pass a new executor to run the rest, or none: processes of our own are replaced."
    )
    return SettingError(message)
