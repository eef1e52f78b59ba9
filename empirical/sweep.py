"""A sweep: one experiment and a grid of what is varied in it, as a TOML file.

::

    modules = ["my_experiments"]       # only for kinds of your own: files beside this one, or installed

    [experiment]
    kind = "predict"
    layer = "linear"
    [experiment.optimizer]
    kind = "gradient_descent"
    learning_rate = 0.1

    [grid]                             # every combination; the last one changes fastest
    "optimizer.learning_rate" = [0.01, 0.1]
    layer = ["linear", {kind = "linear", bias = true}]

    [zip]                              # these change together
    seed = [0, 1, 2]
    train = [[0], [1], [2]]

Instead of ``[grid]`` or beside it, ``[[grids]]`` are several grids, one after the other.
"""

import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import empirical.experiments  # noqa: F401  its kinds are then known
from empirical.experiment import Experiment
from theory.component import check_keys
from theory.errors import SettingError
from theory.user_modules import import_modules

KEYS = ("modules", "experiment", "grid", "grids", "zip")
MOST = 10**6  # experiments of one sweep

Axis = list[dict[str, Any]]  # the choices of one axis: what each sets, by dotted names


def load_sweep(path: str | Path) -> list[Experiment]:
    """The experiments of a sweep file, in order, each one once.

    Raises:
        SettingError: If the file cannot be read, a key is unknown (the nearest known one is named), or a grid is empty.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        message = f"a sweep must be a readable TOML file, but {path} is not: {reason}. Check the path."
        raise SettingError(message) from None
    return read_sweep(text, str(path), path.absolute().parent)


def read_sweep(text: str, name: str = "the sweep", folder: Path | None = None) -> list[Experiment]:
    """The experiments of a sweep's text.

    Args:
        text: TOML.
        name: What errors call it.
        folder: Where modules of the user's are looked for too.

    Raises:
        SettingError: As :func:`load_sweep`.

    Example:
        >>> sweep = '''
        ... [experiment]
        ... kind = "predict"
        ... layer = "linear"
        ... optimizer = "gradient_flow"
        ... [grid]
        ... "layer.bias" = [false, true]
        ... seed = [0, 1]'''
        >>> [(run.layer.bias, run.seed) for run in read_sweep(sweep)]
        [(False, 0), (False, 1), (True, 0), (True, 1)]
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{name} must be TOML, but it is not: {error}. Mend that line."
        raise SettingError(message) from None
    check_keys(name, table, KEYS)
    if "experiment" not in table:
        message = f"{name} must have a table [experiment], but it has none. Add [experiment] with a kind."
        raise SettingError(message)
    import_modules(table.get("modules", []), name, folder)
    found: dict[str, Experiment] = {}
    for choice in _choices(table, name):
        try:
            experiment = Experiment.from_table(_changed(table["experiment"], choice))
        except SettingError as error:
            where = ", ".join(f"{key} = {value!r}" for key, value in choice.items())
            message = f"{name} at {where}: {error}"
            raise SettingError(message) from None
        found.setdefault(experiment.to_toml(), experiment)
    return list(found.values())


def _choices(table: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """What each experiment of the sweep sets, by dotted names."""
    grids = table.get("grids", [{}])
    if not isinstance(grids, list):
        message = (
            f"[[grids]] of {name} must be a list of tables, but it is {grids!r}. Write [[grids]] before each of them."
        )
        raise SettingError(message)
    shared = _axes(table["grid"], f"[grid] of {name}") if "grid" in table else []
    zipped = [_zipped(table["zip"], name)] if "zip" in table else []
    every = [
        [*shared, *(_axes(grid, f"[[grids]] {number} of {name}") if "grids" in table else []), *zipped]
        for number, grid in enumerate(grids, start=1)
    ]
    if not every or not every[0]:
        message = f"{name} must have a [grid] of what is varied, but it has none. Add [grid] with lists, such as seed = [0, 1, 2]."
        raise SettingError(message)
    for axes in every:
        names = [key for axis in axes for key in axis[0]]
        if twice := [key for key in dict.fromkeys(names) if names.count(key) > 1]:
            message = f"{name} must vary each field in one place, but {twice[0]} stands in two tables. Leave out one."
            raise SettingError(message)
    if (count := sum(math.prod(map(len, axes)) for axes in every)) > MOST:
        message = f"{name} must have at most {MOST} experiments, but it has {count}. Split it."
        raise SettingError(message)
    for axes in every:
        for parts in itertools.product(*axes):
            yield {key: value for part in parts for key, value in part.items()}


def _axes(grid: Any, where: str) -> list[Axis]:
    """The axes of one grid."""
    return [[{key: value} for value in values] for key, values in _lists(grid, where).items()]


def _zipped(table: Any, name: str) -> Axis:
    """The one axis of lists that change together."""
    lists = _lists(table, f"[zip] of {name}")
    if len({len(values) for values in lists.values()}) > 1:
        lengths = ", ".join(f"{key} {len(values)}" for key, values in lists.items())
        message = (
            f"[zip] of {name} must have lists of one length, but they have {lengths}. Use [grid] for all combinations."
        )
        raise SettingError(message)
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _lists(grid: Any, where: str, prefix: str = "") -> dict[str, list[Any]]:
    """The lists of a grid by dotted names; ``network.depth`` without quotes is a table in TOML."""
    check_keys(where, grid, None)
    found: dict[str, list[Any]] = {}
    for key, values in grid.items():
        if isinstance(values, Mapping):
            found |= _lists(values, where, f"{prefix}{key}.")
        elif isinstance(values, list) and values:
            found[f"{prefix}{key}"] = values
        else:
            message = f"{where} must have lists of at least one value, but {prefix}{key} is {values!r}. Write {prefix}{key} = [1, 2]."
            raise SettingError(message)
    if not found:
        message = f"{where} must vary something, but it is empty. Add lists, such as seed = [0, 1, 2]."
        raise SettingError(message)
    return found


def _changed(experiment: Any, choice: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment's table with the chosen values put in; whole components before what is inside them."""
    check_keys("[experiment]", experiment, None)
    result: dict[str, Any] = _copied(experiment)
    for key in sorted(choice, key=lambda key: key.count(".")):
        *parents, last = key.split(".")
        place = result
        for parent in parents:
            part = place.get(parent, {})
            place[parent] = {"kind": part} if isinstance(part, str) else part
            place = place[parent]
            if not isinstance(place, dict):
                message = f"{key} must be a field of a component, but {parent} is {place!r}. Vary {parent} itself."
                raise SettingError(message)
        place[last] = _copied(choice[key])
    return result


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, Mapping) else value
