"""A run on disk: one folder with setting.toml, result.json and arrays.npz, there whole or not at all."""

import io
import json
import os
import secrets
import shutil
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.errors import DataError

FORMAT = 1
SETTING, RESULT, ARRAYS = "setting.toml", "result.json", "arrays.npz"


class NewerFormatError(DataError):
    """A folder that a newer version wrote."""


@dataclass(frozen=True)
class RunFolder:
    """What a run's folder holds.

    Attributes:
        setting: What was run, as TOML.
        result: What came out, as JSON holds it.
        arrays: What came out, as arrays.
    """

    setting: str
    result: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def write(self, folder: str | Path) -> None:
        """Writes the folder; it takes its name when everything is in it, and one that is there already stays as it is.

        Raises:
            DataError: If the folder cannot be written.
            ValueError: If a result is not finite or no JSON, or an array holds objects.

        Example:
            >>> import tempfile
            >>> folder = Path(tempfile.mkdtemp()) / "run"
            >>> RunFolder('target = "identity"', {"mse": 0.5}, {"w": np.ones(2)}).write(folder)
            >>> read_run(folder).result["mse"], read_run(folder).arrays["w"].tolist()
            (0.5, [1.0, 1.0])
        """
        folder = Path(folder)
        temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        try:
            temporary.mkdir(parents=True)
            (temporary / SETTING).write_text(self.setting, encoding="utf-8")
            with zipfile.ZipFile(temporary / ARRAYS, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, array in self.arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                        np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
            text = json.dumps({"format": FORMAT, **self.result}, indent=1, ensure_ascii=False, allow_nan=False)
            (temporary / RESULT).write_text(text + "\n", encoding="utf-8")
            if not folder.is_dir():
                os.rename(temporary, folder)
        except OSError as error:
            if not folder.is_dir():  # else another process was first with the same run
                message = f"the run's folder must be one that can be written, but {folder} is not: {error.strerror}. Choose another path."
                raise DataError(message) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def read_run(folder: str | Path) -> RunFolder:
    """Reads a run's folder.

    Raises:
        DataError: If a file is missing or broken.
        NewerFormatError: If it was written by a newer version.
    """
    folder = Path(folder)
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        check_format(folder, version := result.pop("format"))
        setting = (folder / SETTING).read_text(encoding="utf-8")
        with np.load(io.BytesIO((folder / ARRAYS).read_bytes()), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except NewerFormatError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"a run's folder must hold {SETTING}, {RESULT} and {ARRAYS}, but {folder} does not: {reason}. Delete it and run again."
        raise DataError(message) from None
    if version != FORMAT:
        message = (
            f"a run's folder must have the format {FORMAT}, but {folder} has {version!r}. Delete it and run again."
        )
        raise DataError(message)
    return RunFolder(setting, result, arrays)


def check_format(folder: Path, version: object) -> None:
    """Refuses a newer format.

    Raises:
        NewerFormatError: With both numbers.
    """
    if isinstance(version, int) and version > FORMAT:
        message = (
            f"{folder} must have a format that this version of closedflow knows, at most {FORMAT}, but it has {version}. "
            "Use the version that wrote it, or choose another folder."
        )
        raise NewerFormatError(message)
