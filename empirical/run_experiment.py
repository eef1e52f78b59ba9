"""What a worker does: builds an experiment again from plain data, runs it, and writes its folder."""

import importlib
import sys
import traceback
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from empirical.experiment import Experiment, modules
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
        paths: The folders that those modules were imported from.
        folder: The store.
        device: Where it runs.
        key: Its content hash where it was asked for.
        tried: How often before; to dask a call that differs in nothing has the same answer.
    """

    table: dict[str, Any]
    modules: tuple[str, ...]
    paths: tuple[str, ...]
    folder: str
    device: str
    key: str
    tried: int = 0

    @classmethod
    def of(cls, experiment: Experiment, store: RunStore, device: str) -> "Task":
        """The task of running an experiment into a store.

        Raises:
            SettingError: If its table does not describe it.
        """
        table, key = experiment.to_table(), experiment.key(device)
        again = Experiment.from_table(table)
        if again.to_toml() != experiment.to_toml() or dict(_parts(again)) != dict(_parts(experiment)):
            message = (
                f"an experiment must be the same when it is built again from its table, but {experiment} is not. Leave no field "
                "None whose default is something else, and name a field that holds a component after its family."
            )
            raise SettingError(message)
        names = sorted(modules(experiment))
        paths = dict.fromkeys(path for path in map(_home, names) if path)
        return cls(table, tuple(names), tuple(paths), str(store.folder), device, key)

    def __str__(self) -> str:
        return str(Experiment.from_table(self.table))


def _parts(component: Component, name: str = "") -> Iterator[tuple[str, type]]:
    """The classes of a component and of those inside it, by dotted names."""
    yield name, type(component)
    for field in fields(component):  # type: ignore[arg-type]
        if isinstance(value := getattr(component, field.name), Component):
            yield from _parts(value, f"{name}.{field.name}")


def _home(module: str) -> str:
    """The folder from which a module is imported, or an empty string."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or module == "__main__":
        return ""
    depth = module.count(".") + (Path(file).name == "__init__.py")
    return str(Path(file).absolute().parents[depth])


def run_and_store(task: Task) -> tuple[str, str]:
    """Runs a task and writes its folder, in whatever process this is.

    Returns:
        ``("done", "")``; ``("failed", line)`` if the experiment failed, which is noted in the store; ``("refused", line)`` if no
        other would do better here: nothing can be written, or this machine has other code or other data.
    """
    task = Task(*task)
    store = RunStore(task.folder)
    try:
        with one_thread():
            sys.path += [path for path in task.paths if path not in sys.path]
            for name in task.modules:
                importlib.import_module(name)
            experiment = Experiment.from_table(task.table)
            if experiment.key(task.device) != task.key:
                message = (
                    "the worker must have the same code and data, but its hash of them is another one. Copy them there."
                )
                return REFUSED, message
            if store.get(experiment, task.device) is not None:  # it was done, and the answer lost with its worker
                return DONE, ""
            outcome = experiment.run(task.device)
            checked(outcome)
    except SettingError as error:
        return _failed(task, store, str(error))
    except (Exception, SystemExit) as error:  # of one experiment: the others go on
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
