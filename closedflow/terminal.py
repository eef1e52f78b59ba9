"""What the commands share: lists in options, files written whole, the console and the progress bar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

STDOUT = Path("/dev/stdout")
"""What ``-`` stands for on the command line."""


@contextmanager
def output(path: Path | None) -> Iterator[Callable[[str], object]]:
    """How a command writes JSON: to a file, whole or not at all; to stdout for ``-``; nowhere for None.

    Entered before the work, so that a path that cannot be written is refused at once.
    """
    from numerics.files import whole_file

    if path is None:
        yield lambda text: None
    elif path == STDOUT:
        yield lambda text: print(text.rstrip("\n"))
    else:
        with whole_file(path) as file:
            yield lambda text: file.write((text.rstrip("\n") + "\n").encode())


def save(path: Path, text: str) -> None:
    """Writes a text to a file, whole or not at all, or to stdout for ``-``."""
    with output(path) as write:
        write(text)


def whole_numbers(option: str, text: str) -> list[int]:
    """The whole numbers in a comma-separated list."""
    values = numbers(option, text)
    if any(value != value or value in (float("inf"), -float("inf")) or value != int(value) for value in values):
        raise _bad(option, "whole numbers separated by commas", text, "Write, say, 0,5.")
    return [int(value) for value in values]


def numbers(option: str, text: str) -> list[float]:
    """The numbers in a comma-separated list; inf is allowed, and FIRST:LAST:STEP for a range with its end."""
    try:
        return [number for part in text.split(",") for number in _range(part)]
    except ValueError:
        raise _bad(option, "numbers separated by commas", text, "Write, say, 0,10,inf or 0:200:10.") from None


def _range(part: str) -> list[float]:
    values = [float(value) for value in part.split(":")]
    if len(values) == 1:
        return values
    first, last, step = values
    count = (last - first) / step if step else -1.0
    if not 0 <= count < 1e6:
        raise ValueError
    return [first + index * step for index in range(round(count // 1 + (count % 1 > 1 - 1e-9)) + 1)]


def _bad(option: str, must: str, text: str, repair: str) -> Exception:
    from theory.errors import SettingError

    return SettingError(f"--{option} must be {must}, but it is {text!r}. {repair}")


def console(json: Path | None = None) -> Any:
    """Where results for people go: stdout, or stderr while JSON goes to stdout.

    Colours only on a terminal and without ``NO_COLOR``; room for the table elsewhere.
    """
    from rich.console import Console

    aside = json == STDOUT
    stream = sys.stderr if aside else sys.stdout
    shown = Console(width=None if stream.isatty() else 150, stderr=aside)
    shown.on_broken_pipe = _pipe_is_broken  # type: ignore[method-assign]
    return shown


def _pipe_is_broken() -> None:
    """The reader, such as head, has seen enough: rich would exit with 1, which means refuted."""
    raise BrokenPipeError


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, or in a notebook; silent where there is neither a terminal nor a notebook.

    In a notebook: ``with progress() as report: cf.verify(progress=report)``.
    """
    from rich.console import Console
    from rich.progress import Progress

    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not (screen.is_terminal or screen.is_jupyter)) as bar:
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
