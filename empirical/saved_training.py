"""Trainings in one ``.npz`` file, without pickle."""

import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from numerics.files import whole_file
from theory.errors import DataError
from theory.optimizers import Optimizer
from theory.toml_text import tables

if TYPE_CHECKING:
    from empirical.train import Training

FORMAT = 1  # of the saved file
_ARRAYS = ("steps", "weights", "losses")
_KEYS = (*_ARRAYS, "training_format", "diverged", "optimizer", "device", "dtype")


def save_training(run: "Training", path: str | Path) -> None:
    """Writes a training to one file, whole or not at all; its optimiser as TOML."""
    values = {name: getattr(run, name) for name in (*_ARRAYS, "diverged", "device", "dtype")}
    if run.biases is not None:
        values["biases"] = run.biases
    text = "\n".join(tables("optimizer", run.optimizer.to_table()))
    with whole_file(path) as file:
        np.savez(file, training_format=FORMAT, optimizer=text, **values)


def holds_training(path: str | Path) -> bool:
    """Whether a file is an .npz with a training in it."""
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return "training_format" in archive.files
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile):
        return False


def load_training(path: str | Path) -> "Training":
    """The training that :func:`save_training` wrote, bit for bit.

    Raises:
        DataError: If the file is missing, is not such a file, or is of a newer format.
    """
    from empirical.train import Training

    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found = {key: archive[key] for key in _KEYS}
            biases = archive["biases"] if "biases" in archive.files else None
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        message = f"path must be a file written by Training.save, but {path} is not: {error}. Save it again."
        raise DataError(message) from None
    if int(found["training_format"]) > FORMAT:
        message = f"path must be a file of format at most {FORMAT}, but {path} has {int(found['training_format'])}. Update closedflow."
        raise DataError(message)
    optimizer = Optimizer.from_table(tomllib.loads(str(found["optimizer"]))["optimizer"])
    steps, weights, losses = (found[name] for name in _ARRAYS)
    device, dtype = str(found["device"]), str(found["dtype"])
    return Training(steps, weights, biases, losses, bool(found["diverged"]), optimizer, device, dtype)
