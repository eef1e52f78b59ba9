"""Experiments and what they found as rows of a table: text, CSV, and JSON records."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from empirical.experiment import Experiment, Outcome

LONG = 60  # characters of a word that a line for people still holds

Record = dict[str, Any]


@dataclass(frozen=True)
class RunTable:
    """Rows with named columns; a run without a column's value has None there.

    Attributes:
        columns: Their names.
        rows: Their values: numbers, words, truth values, lists or None.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, records: Iterable[Record], columns: Sequence[str] = ()) -> "RunTable":
        """The table of records, with the chosen columns, or all in the order in which they come up."""
        records = list(records)
        names = tuple(columns) or tuple(dict.fromkeys(name for record in records for name in record))
        return cls(names, tuple(tuple(record.get(name) for name in names) for record in records))

    def records(self) -> list[Record]:
        """One dictionary for each row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def json(self) -> str:
        """The records as JSON."""
        return json.dumps(self.records(), indent=1, ensure_ascii=False)

    def csv(self) -> str:
        """The table as CSV: lists as JSON, None as nothing, numbers with all their digits."""
        page = io.StringIO()
        writer = csv.writer(page, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_cell(value) for value in row] for row in self.rows)
        return page.getvalue()

    def text(self) -> str:
        """The table for people: six digits, and a column that says the same in every row in a line above.

        Example:
            >>> print(RunTable(("kind", "depth", "mse"), (("cnn", 1, 0.25), ("cnn", 12, None))).text())
            in every row: kind = cnn
            <BLANKLINE>
            depth   mse
                1  0.25
               12
        """
        if not self.rows:
            return "no runs"
        same, fixed = [], []
        for place in range(len(self.columns)):
            if len(self.rows) > 1 and all(row[place] == self.rows[0][place] for row in self.rows):
                same.append(place)
            elif self._follows_from_kind(place):
                fixed.append(place)
        lines = [
            f"{where}: {', '.join(f'{self.columns[place]} = {_short(self._first(place))}' for place in places)}"
            for where, places in (("in every row", same), ("where there is one", fixed))
            if places
        ]
        lines += [""] if lines else []
        kept = [place for place in range(len(self.columns)) if place not in (*same, *fixed)]
        shown = [
            [self.columns[place] for place in kept],
            *([_short(row[place]) for place in kept] for row in self.rows),
        ]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        for row in shown:
            lines.append("  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)).rstrip())
        return "\n".join(lines)

    def _first(self, place: int) -> Any:
        return next((row[place] for row in self.rows if row[place] is not None), None)

    def _follows_from_kind(self, place: int) -> bool:
        """Whether a column says nothing but what the kind of its component says: the same wherever that has it."""
        kind = f"{self.columns[place].rpartition('.')[0]}.kind"
        if kind not in self.columns or kind == self.columns[place]:
            return False
        pairs = {(row[self.columns.index(kind)], row[place] is None) for row in self.rows}
        values = [row[place] for row in self.rows if row[place] is not None]
        return len(pairs) == len(dict(pairs)) and all(value == values[0] for value in values)


def record(experiment: Mapping[str, Any], numbers: Mapping[str, Any]) -> Record:
    """A run's row: its fields under dotted names, then its numbers; a number with the name of a field is ``result.NAME``.

    Example:
        >>> record({"kind": "predict", "layer": {"kind": "conv"}, "loss": "mse"}, {"loss": 0.5})
        {'kind': 'predict', 'layer.kind': 'conv', 'loss': 'mse', 'result.loss': 0.5}
    """
    fields = _flat(experiment)
    return fields | {f"result.{name}" if name in fields else name: value for name, value in numbers.items()}


def table_of(experiments: Sequence[Experiment], outcomes: Sequence[Outcome]) -> RunTable:
    """The table of experiments and their outcomes, in their order."""
    pairs = zip(experiments, outcomes, strict=True)
    return RunTable.of(record(experiment.to_table(), outcome.numbers) for experiment, outcome in pairs)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Record:
    result: Record = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return result


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple, bool)):
        return json.dumps(value)
    return "" if value is None else repr(value) if isinstance(value, float) else value


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_short, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and len(value) > LONG:
        return value[: LONG - 1] + "…"
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
