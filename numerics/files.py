"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from theory.errors import DataError


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file that takes its name only when everything is in it; after an error nothing is left behind.

    Raises:
        DataError: If the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with whole_file(folder / "a.txt") as file:
        ...     _ = file.write(b"all of it")
        >>> [found.name for found in folder.iterdir()]
        ['a.txt']
    """
    path = Path(path)
    if not path.name:
        message = f"the output must be a file, but it is {str(path)!r}. Give it a name."
        raise DataError(message)
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe is written to, never replaced
        with _writing(path), path.open("wb") as file:
            yield file
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with _writing(path):
            with temporary.open("xb") as file:
                yield file
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # most often it has its name by now, or was never made
            temporary.unlink()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What goes wrong while a file is written, as an error of the project."""
    try:
        yield
    except OSError as error:
        message = (
            f"the output must be a file that can be written, but {path} is not: {error.strerror}. Choose another path."
        )
        raise DataError(message) from None


def check_writable(folder: str | Path) -> None:
    """Refuses a folder in which nothing can be written, before there is anything to write; it is not made.

    Raises:
        DataError: If it, or the nearest folder above it that is there, is no folder or cannot be written to.
    """
    folder = Path(folder)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    probe = there / f".{secrets.token_hex(8)}"
    try:
        probe.touch(exist_ok=False)
    except OSError as error:
        message = f"the output must be a folder that can be written to, but {folder} is not: {error.strerror}. Choose another path."
        raise DataError(message) from None
    probe.unlink()


def writable_folder(folder: str | Path) -> Path:
    """A folder for results, made if it is not there.

    Raises:
        DataError: If it cannot be written to.

    Example:
        >>> import tempfile
        >>> writable_folder(Path(tempfile.mkdtemp()) / "results").name
        'results'
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{secrets.token_hex(4)}"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        message = f"the results folder must be one that can be written to, but {folder} is not: {error.strerror}. Choose another one."
        raise DataError(message) from None
    return folder
