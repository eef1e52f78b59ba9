"""What a worker does: builds an experiment again from plain data, runs it, and writes its folder."""

import importlib
import traceback
from dataclasses import fields
from typing import Any, NamedTuple

from empirical.experiment import Experiment
from empirical.one_thread import one_thread
from empirical.store import RunStore, checked
from theory.component import Component
from theory.errors import DataError, SettingError

DONE, FAILED, REFUSED = "done", "failed", "refused"


class Task(NamedTuple):
    """An experiment as plain data.

    Attributes:
        table: The experiment.
        modules: Where its classes are defined.
        folder: The store.
        device: Where it runs.
        key: Its content hash where it was asked for.
    """

    table: dict[str, Any]
    modules: tuple[str, ...]
    folder: str
    device: str
    key: str

    @classmethod
    def of(cls, experiment: Experiment, store: RunStore, device: str) -> "Task":
        """The task of running an experiment into a store.

        Raises:
            SettingError: If its table does not describe it.
        """
        table, key = experiment.to_table(), experiment.key(device)
        if Experiment.from_table(table).to_toml() != experiment.to_toml():
            message = (
                f"an experiment must be built again from its table, but {experiment} is not the same then. Where None is no "
                "default it cannot be written; use another value."
            )
            raise SettingError(message)
        return cls(table, tuple(sorted(modules(experiment))), str(store.folder), device, key)

    def __str__(self) -> str:
        return str(Experiment.from_table(self.table))


def modules(component: Component) -> set[str]:
    """The modules that define a component's class and those of its parts."""
    parts = [getattr(component, field.name) for field in fields(component)]  # type: ignore[arg-type]
    return {type(component).__module__}.union(*(modules(part) for part in parts if isinstance(part, Component)))


def run_and_store(task: Task) -> tuple[str, str]:
    """Runs a task and writes its folder, in whatever process this is.

    Returns:
        ``("done", "")``; ``("failed", line)`` if the experiment failed, which is noted in the store; ``("refused", line)`` if no
        other would do better here: nothing can be written, or this machine has other code or other data.
    """
    task, store = Task(*task), RunStore(task[2])
    try:
        with one_thread():
            for name in task.modules:
                importlib.import_module(name)
            experiment = Experiment.from_table(task.table)
            if experiment.key(task.device) != task.key:
                message = (
                    "the worker must have the same code and data, but its hash of them is another one. Copy them there."
                )
                return REFUSED, message
            outcome = experiment.run(task.device)
            checked(outcome)
    except SettingError as error:
        return _failed(task, store, str(error))
    except Exception as error:  # of one experiment: the others go on
        place = traceback.extract_tb(error.__traceback__)[-1]
        return _failed(task, store, f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno})")
    try:
        store.put(experiment, outcome, task.device)
    except DataError as error:
        return REFUSED, str(error)
    return DONE, ""


def _failed(task: Task, store: RunStore, line: str) -> tuple[str, str]:
    line = " ".join(line.split())
    try:
        store.put_failure(Experiment.from_table(task.table), line, task.device)
    except DataError as error:
        return REFUSED, str(error)
    except SettingError:
        pass  # not even its table can be read here; the line says so
    return FAILED, line
