"""An index of a store's runs in sqlite: a cache of their folders, made again when it is missing or broken."""

import json
import re
import sqlite3
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from empirical.run_folder import ARRAYS, RESULT, SETTING, NewerFormatError, read_run
from empirical.run_table import Record, RunTable, record
from empirical.store import FAILED, MARK, RunStore
from theory.component import one_of
from theory.errors import DataError, SettingError

FILE = "index.sqlite"
VERSION = 1  # of the tables below
TABLES = """
CREATE TABLE runs (key TEXT PRIMARY KEY, stamp TEXT);
CREATE TABLE cells (key TEXT, place INTEGER, name TEXT, value, json TEXT);
CREATE INDEX cell_names ON cells (name, value);
CREATE INDEX cell_keys ON cells (key, place);
"""
CONDITION = re.compile(r"\s*(.+?)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*")


class RunIndex:
    """Answers questions about the runs in a store.

    Args:
        store: Where the runs are.

    Example:
        >>> import tempfile
        >>> from empirical.execute import execute
        >>> from empirical.experiments import Predict
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow
        >>> store = RunStore(tempfile.mkdtemp())
        >>> _ = execute([Predict(Linear(), GradientFlow(), train=tuple(range(n))) for n in (1, 2, 5)], store, workers=1)
        >>> RunIndex(store).table(where="rank >= 2", columns=("train", "rank")).records()
        [{'train': [0, 1], 'rank': 2}, {'train': [0, 1, 2, 3, 4], 'rank': 5}]
    """

    def __init__(self, store: RunStore) -> None:
        self.store = store

    def table(self, where: str = "", columns: Sequence[str] = ()) -> RunTable:
        """The runs that meet a condition, sorted by the chosen columns, then by all; failed ones have a column ``failed``.

        Args:
            where: Comparisons joined by ``and``, such as ``network.depth >= 3 and kind = predict``; values as in TOML, words
                also without quotes. A run without the column does not meet it.
            columns: Fields by dotted names, numbers by their own, ``device`` and ``code``; all of them if none is given.

        Raises:
            SettingError: If a condition cannot be read, or no run has such a column.
            DataError: If the folder is no store, or a newer version wrote to it.
        """
        conditions = list(_conditions(where))
        if not self.store.folder.is_dir():
            message = f"the results folder must be one that a sweep has written, but {self.store.folder} is no folder. Check the path."
            raise DataError(message)
        self.store.check()
        with closing(self._fresh()) as base:
            known = [name for (name,) in base.execute("SELECT name FROM cells GROUP BY name ORDER BY MIN(place), name")]
            for name in (*(name for name, _, _ in conditions), *columns) if known else ():
                one_of("a column", name, known)
            query, values = "SELECT key, name, json FROM cells", []
            for number, (name, relation, value) in enumerate(conditions):
                typed = "" if relation == "!=" else f" AND typeof(value) {_types(value)}"
                query += " AND" if number else " WHERE"
                query += f" key IN (SELECT key FROM cells WHERE name = ? AND value {relation} ?{typed})"
                values += [name, value]
            found: dict[str, Record] = {}
            for key, name, text in base.execute(f"{query} ORDER BY key, place", values):
                found.setdefault(key, {})[name] = json.loads(text)
        rows = [row for _, row in sorted(found.items(), key=lambda item: (item[1]["kind"], item[0]))]
        names = list(dict.fromkeys(name for row in rows for name in row))
        rows.sort(key=lambda row: [_order(row.get(name)) for name in (*columns, *names)])
        return RunTable.of(rows, columns)

    def _fresh(self) -> sqlite3.Connection:
        """The index, brought up to date; in memory if the folder cannot be written to."""
        path = self.store.folder / FILE
        if not (self.store.folder / MARK).exists():  # no store of ours: nothing is written to it
            return self._opened(":memory:")
        for place in (path, path, ":memory:"):
            with suppress(sqlite3.Error):  # it is broken, or cannot be written
                return self._opened(place)
            with suppress(OSError):
                path.unlink()
        raise AssertionError  # a base in memory can always be made

    def _opened(self, place: str | Path) -> sqlite3.Connection:
        base = sqlite3.connect(place)
        try:
            if base.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                base.executescript("DROP TABLE IF EXISTS runs; DROP TABLE IF EXISTS cells;" + TABLES)
                base.execute(f"PRAGMA user_version = {VERSION}")
            self._update(base)
        except BaseException:
            base.close()
            raise
        return base

    def _update(self, base: sqlite3.Connection) -> None:
        known = dict(base.execute("SELECT key, stamp FROM runs"))
        found = dict(_stamps(self.store.folder))
        with base:
            for key in known:
                if known[key] != found.get(key):
                    base.execute("DELETE FROM runs WHERE key = ?", (key,))
                    base.execute("DELETE FROM cells WHERE key = ?", (key,))
            for key, stamp in found.items():
                if known.get(key) != stamp and (row := _read(self.store.folder / key)) is not None:
                    base.execute("INSERT INTO runs VALUES (?, ?)", (key, stamp))
                    cells = [
                        (key, place, name, _value(item), json.dumps(item))
                        for place, (name, item) in enumerate(row.items())
                    ]
                    base.executemany("INSERT INTO cells VALUES (?, ?, ?, ?, ?)", cells)


def _stamps(folder: Path) -> Iterator[tuple[str, str]]:
    """The run folders, and what changes when one of their files does."""
    for part in (folder, folder / FAILED):
        for run in part.iterdir() if part.is_dir() else ():
            if run.is_dir() and not run.name.startswith(".") and run != folder / FAILED:
                with suppress(OSError):
                    files = [(run / name).stat() for name in (SETTING, RESULT, ARRAYS)]
                    yield run.relative_to(folder).as_posix(), repr([(file.st_mtime_ns, file.st_size) for file in files])


def _read(folder: Path) -> Record | None:
    """A run's row, or None if its folder is broken or not an experiment's."""
    try:
        run = read_run(folder)
        row = record(tomllib.loads(run.setting)["experiment"], run.result["numbers"])
        row["kind"]
    except NewerFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return {"device": run.result.get("device"), "code": str(run.result.get("code"))[:12]} | row


def _conditions(where: str) -> Iterator[tuple[str, str, Any]]:
    for part in re.split(r"\s+and\s+", where.strip()) if where.strip() else ():
        found = CONDITION.fullmatch(part)
        if found is None:
            message = f"where must be comparisons such as network.depth >= 3, joined by and, but one is {part!r}. Write NAME = VALUE."
            raise SettingError(message)
        name, relation, text = found.groups()
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        yield name, relation, _value(value)


def _value(item: Any) -> Any:
    """A value as sqlite compares it: truth values are 0 and 1, lists their JSON."""
    if isinstance(item, int):
        return item if abs(item) < 2**63 else float(item)
    return item if item is None or isinstance(item, (str, float)) else json.dumps(item)


def _types(value: Any) -> str:
    return "= 'text'" if isinstance(value, str) else "IN ('integer', 'real')"


def _order(value: Any) -> Any:
    """A key by which values of any kinds can be sorted: nothing, numbers, words, lists."""
    if isinstance(value, list):
        return 3, len(value), [_order(item) for item in value]
    return (0, 0, 0) if value is None else (2, 0, value) if isinstance(value, str) else (1, 0, value)
