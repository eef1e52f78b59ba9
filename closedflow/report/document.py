"""A report as data: sections of text, formulas, tables and figures; and the page that is made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numerics.files import whole_file
from theory.errors import SettingError


@dataclass(frozen=True)
class Text:
    """A paragraph; ``kind`` is "plain", "note" or "code"."""

    text: str
    kind: str = "plain"
    block: str = "text"


@dataclass(frozen=True)
class Items:
    """A list under a heading of its own."""

    heading: str
    items: Sequence[str]
    block: str = "items"


@dataclass(frozen=True)
class Formulas:
    """Formulas, each with what it says: pairs of (words, MathML)."""

    heading: str
    formulas: Sequence[tuple[str, str]]
    block: str = "formulas"


@dataclass(frozen=True)
class Grid:
    """A table; a cell that is a :class:`Verdict` is coloured."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    block: str = "grid"


@dataclass(frozen=True)
class Verdict:
    """A verdict with a number or a remark behind it, and where it leads."""

    verdict: str
    remark: str = ""
    link: str = ""

    @property
    def tone(self) -> str:
        """good, bad or open."""
        good = ("proved", "agrees", "replicates", "holds")
        return "good" if self.verdict in good else "bad" if self.verdict in ("refuted", "disagrees") else "open"


@dataclass(frozen=True)
class Picture:
    """A figure as inline SVG, with words for those who do not see it."""

    svg: str
    alt: str
    caption: str
    block: str = "picture"


@dataclass(frozen=True)
class Section:
    """A part of the report with its own place in the table of contents."""

    id: str
    heading: str
    blocks: Sequence[Text | Items | Formulas | Grid | Picture]


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: Its title.
        header: What was run, on what, with what: names to words.
        sections: Its parts, the verdicts first.
    """

    title: str
    header: dict[str, str]
    sections: Sequence[Section]

    def to_html(self) -> str:
        """The page, complete in itself: no script, no font, no picture is loaded from anywhere.

        Raises:
            SettingError: If jinja2 is not installed.
        """
        try:
            from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
        except ModuleNotFoundError:
            message = (
                "jinja2 must be installed to write a report, but it is not. Run: pip install 'closedflow[report]'."
            )
            raise SettingError(message) from None
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template("page.html.j2").render(document=self, is_verdict=is_verdict)

    def save(self, path: str | Path) -> None:
        """Writes the page whole or not at all.

        Raises:
            DataError: If the file cannot be written.
        """
        text = self.to_html()
        with whole_file(path) as file:
            file.write(text.encode())


def is_verdict(value: Any) -> bool:
    """Whether a cell of a table is a verdict."""
    return isinstance(value, Verdict)
