"""Where the outcomes of experiments are kept: one folder for each, under its content hash."""

import json
import math
import numbers
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from empirical.experiment import Experiment, Outcome, code_version
from empirical.run_folder import FORMAT, NewerFormatError, RunFolder, check_format, read_run
from numerics.files import whole_file, writable_folder
from theory.errors import DataError, SettingError

MARK = "closedflow.json"  # says that a folder is a store, and of which format
FAILED = "failed"  # the folder of experiments that have failed so far
STALE = 3600  # seconds after which a folder that never got its name is left over from a run that was killed


class RunStore:
    """The runs in a folder, ``FOLDER/KEY`` each; experiments that failed stand in ``FOLDER/failed/KEY`` until they succeed.

    Args:
        folder: Made by :meth:`prepare` if it is not there.

    Example:
        >>> import tempfile
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Half(Experiment, abstract=True):
        ...     of: int
        >>> store = RunStore(tempfile.mkdtemp())
        >>> store.get(Half(of=3)) is None
        True
        >>> store.put(Half(of=3), Outcome({"half": 1.5}))
        >>> store.get(Half(of=3)).numbers, store.get(Half(of=4))
        ({'half': 1.5}, None)
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    def prepare(self) -> None:
        """Makes the folder, and sees to it that results can be written to it.

        Raises:
            DataError: If it cannot be written to, or a newer version of closedflow has written to it.
        """
        writable_folder(self.folder)
        self.check()
        with whole_file(self.folder / MARK) as file:
            file.write(json.dumps({"format": FORMAT, "holds": "runs of experiments"}).encode() + b"\n")
        self._sweep_up()

    def check(self) -> None:
        """Refuses a folder that a newer version has written to.

        Raises:
            NewerFormatError: If that is so.
        """
        try:
            version = json.loads((self.folder / MARK).read_text(encoding="utf-8"))["format"]
        except (OSError, ValueError, KeyError, TypeError):  # no mark, or half of one: it is written again
            return
        check_format(self.folder, version)

    def _sweep_up(self) -> None:
        """Removes what runs that were killed have left half written."""
        for left in [*self.folder.glob(".*.*"), *(self.folder / FAILED).glob(".*.*")]:
            with suppress(OSError):
                if left.is_dir() and time.time() - left.stat().st_mtime > STALE:
                    shutil.rmtree(left, ignore_errors=True)

    def path(self, experiment: Experiment, device: str = "cpu") -> Path:
        """The folder of an experiment's run, there or not."""
        return self.folder / experiment.key(device)

    def get(self, experiment: Experiment, device: str = "cpu") -> Outcome | None:
        """What an experiment found, or None if it has not run; a broken folder is none.

        Raises:
            NewerFormatError: If a newer version wrote it.
        """
        return read_outcome(self.path(experiment, device))

    def put(self, experiment: Experiment, outcome: Outcome, device: str = "cpu") -> None:
        """Stores what an experiment found, whole or not at all; what is there already and whole stays.

        Raises:
            SettingError: If the outcome holds what JSON and .npz cannot.
            DataError: If the folder cannot be written.
        """
        folder = self.path(experiment, device)
        run = RunFolder(experiment.to_toml(), _origin(device) | {"numbers": checked(outcome)}, outcome.arrays)
        if folder.exists() and read_outcome(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                folder.unlink(missing_ok=True)  # a file of that name
        run.write(folder)
        shutil.rmtree(self.folder / FAILED / folder.name, ignore_errors=True)

    def put_failure(self, experiment: Experiment, line: str, device: str = "cpu") -> None:
        """Notes why an experiment failed, in place of what was noted before; it still counts as not run.

        Raises:
            DataError: If the folder cannot be written.
        """
        folder = self.folder / FAILED / experiment.key(device)
        shutil.rmtree(folder, ignore_errors=True)
        RunFolder(experiment.to_toml(), _origin(device) | {"numbers": {"failed": line}}).write(folder)


def read_outcome(folder: Path) -> Outcome | None:
    """The outcome in a run's folder, or None if that is not there or broken.

    Raises:
        NewerFormatError: If a newer version wrote it.
    """
    if not folder.exists():
        return None
    try:
        run = read_run(folder)
    except NewerFormatError:
        raise
    except DataError:
        return None
    values = run.result.get("numbers")
    return Outcome(values, run.arrays) if isinstance(values, dict) else None


def checked(outcome: Any) -> dict[str, Any]:
    """The numbers of an outcome as JSON holds them; what is not finite is None.

    Raises:
        SettingError: If it is no outcome, or holds something else than numbers, words, truth values, lists of them and arrays.

    Example:
        >>> checked(Outcome({"mse": float("nan"), "worst": np.float64(0.5), "layers": (1, 2)}))
        {'mse': None, 'worst': 0.5, 'layers': [1, 2]}
    """
    if not isinstance(outcome, Outcome):
        message = f"an experiment's run must return an Outcome, but it returned {type(outcome).__name__}. Return Outcome(numbers)."
        raise SettingError(message)
    for name, array in outcome.arrays.items():
        if np.asarray(array).dtype.hasobject:
            message = f"an outcome's arrays must hold numbers, but {name!r} holds objects. Give it a dtype."
            raise SettingError(message)
    return {str(name): _plain(str(name), value) for name, value in outcome.numbers.items()}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(name, value.tolist())
    if value is None or isinstance(value, (str, bool, np.bool_)):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    message = (
        f"an outcome's numbers must be numbers, words, truth values or lists of them, but {name!r} is a {type(value).__name__}. "
        "Put arrays into arrays."
    )
    raise SettingError(message)


def _origin(device: str) -> dict[str, Any]:
    return {"device": device, "code": code_version()}
