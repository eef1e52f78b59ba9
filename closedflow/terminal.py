"""What the commands share: lists in options, files written whole, the console and the progress bar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO


def save(path: Path, text: str) -> None:
    """Writes a text whole or not at all."""
    from numerics.files import whole_file

    with whole_file(path) as file:
        file.write(text.encode())


def whole_numbers(option: str, text: str) -> list[int]:
    """The whole numbers in a comma-separated list."""
    values = numbers(option, text)
    if any(value != value or value in (float("inf"), -float("inf")) or value != int(value) for value in values):
        raise _bad(option, "whole numbers separated by commas", text, "Write, say, 0,5.")
    return [int(value) for value in values]


def numbers(option: str, text: str) -> list[float]:
    """The numbers in a comma-separated list; inf is allowed."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise _bad(option, "numbers separated by commas", text, "Write, say, 0,10,inf.") from None


def _bad(option: str, must: str, text: str, repair: str) -> Exception:
    from theory.errors import SettingError

    return SettingError(f"--{option} must be {must}, but it is {text!r}. {repair}")


def console() -> Any:
    """Where results go: colours only on a terminal, room for the table elsewhere."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 150)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, silent when that is not a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda name, number, total: bar.update(task, description=name, completed=number, total=total)


COMMAND: ContextVar[tuple[str, ...]] = ContextVar("COMMAND", default=())  # what was typed after the program's name


@contextmanager
def report_file(path: Path | None) -> Iterator[BinaryIO | None]:
    """The file of a report, or None without a path; what a report needs is looked for before any work.

    Raises:
        SettingError: If jinja2 or matplotlib is not installed.
        DataError: If the file cannot be written.
    """
    if path is None:
        yield None
        return
    from closedflow.plot import drawing
    from closedflow.report.document import Document
    from numerics.files import whole_file

    Document("", {}, []).to_html()
    with drawing({}), whole_file(path) as file:
        yield file
