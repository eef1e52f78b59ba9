"""The settings × evidence matrix: every optimiser and every layer through proof, integration and training, computed."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from functools import partial
from typing import Any

import numpy as np

from closedflow.verdicts import Row, VerdictTable, describe_run, setting_row
from empirical.data import Images, digits
from empirical.device import resolve
from empirical.levels import Level
from numerics.predictor import Predictor
from theory.component import Component
from theory.errors import SettingError
from theory.layers import Layer, Linear
from theory.optimizers import GradientDescent, GradientFlow, Optimizer
from theory.schedules import Cosine, LinearWarmup
from theory.setting import Setting
from theory.targets import Constant, Identity, Target


def _with_squares(x: Any, xp: Any) -> Any:
    """A fixed feature map: the pixels and their squares."""
    flat = x.reshape((len(x), -1))
    return xp.concatenate((flat, flat * flat), axis=1)


SHARE = 0.25  # of the learning rate at which a descent stops converging
DECAY = 0.05  # of the fastest rate
# What a part is made with, by the names of its parameters; a part that needs another one is listed without evidence.
VALUES: dict[str, Any] = {
    "learning_rate": 0.1,
    "momentum": 0.5,
    "friction": 1.0,
    "batch_size": 2,
    "kernel_size": 3,
    "degree": 2,
    "optimizer": GradientFlow(),
    "layer": Linear(),
    "function": _with_squares,
}


def settings_matrix(
    device: str = "auto", seed: int = 0, progress: Callable[[str, int, int], None] | None = None
) -> VerdictTable:
    """One row per optimiser (on a fully connected layer, without and with weight decay) and per layer (under descent).

    Args:
        device: Where training runs.
        seed: Seed of the starts.
        progress: Called before each row with its name, its number and the number of rows.

    Returns:
        The verdicts, computed on three small digits. What is refused says why.
    """
    values = digits().values[:3, :, ::2, ::2]
    images = Images(values, "three of scikit-learn's digits, every other pixel")
    chosen, rows = resolve(device), []
    cases = list(_cases(images))
    for number, (name, case, make) in enumerate(cases):
        if progress:
            progress(name, number, len(cases))
        try:
            row = setting_row(make(), images, chosen, "float64", seed)
        except SettingError as error:
            nothing = Level("not run", 0.0)
            row = Row("", name, case, "refused", str(error), 0.0, (), nothing, nothing, chosen)
        rows.append(replace(row, id=f"S{number + 1}", title=name, case=case))
    return VerdictTable(tuple(rows), describe_run(images, chosen, "float64", seed))


def _cases(images: Images) -> Iterator[tuple[str, str, Callable[[], Setting]]]:
    """Name, case and setting of each row; a setting is made when its row is computed."""
    made: list[tuple[str, Callable[[], Optimizer]]] = []
    made += [(kind.__name__, partial(_example, kind, images)) for kind in _shipped(Optimizer)]
    for schedule in (LinearWarmup(5.0), Cosine(20.0)):
        name = type(schedule).__name__
        made.append((f"GradientFlow({name})", partial(GradientFlow, schedule)))
        made.append((f"GradientDescent({name})", partial(GradientDescent, 0.05, schedule)))
    for name, optimizer in made:
        for case, share in (("no decay", 0.0), ("weight decay", DECAY)):
            yield name, case, partial(_scaled, Linear, optimizer, share, images)
    for kind in _shipped(Layer):
        layer = partial(_example, kind, images)
        yield kind.__name__, "gradient descent", partial(_scaled, layer, partial(GradientDescent, 0.1), 0.0, images)


def _shipped(family: type[Component]) -> list[type[Component]]:
    """The kinds of a family that closedflow brings along."""
    return [kind for kind in family.kinds.values() if kind.__module__.startswith("theory.")]


def _example(kind: type[Component], images: Images) -> Any:
    """A part of a kind, made of the values for its parameters.

    Raises:
        SettingError: If there is no value for one that it needs.
    """
    size = images.flat.shape[1]
    shared = np.full((size, size), 0.5 / size) + np.eye(size)
    known = VALUES | {"matrix": shared}
    needed = [
        field.name
        for field in fields(kind)  # type: ignore[arg-type]
        if (field.default is MISSING and field.default_factory is MISSING) or field.name == "function"
    ]
    if missing := [name for name in needed if name not in known]:
        message = f"{kind.__name__} must be given {', '.join(missing)} by its user, but there is no example of it here. See its docstring."
        raise SettingError(message)
    return kind(**{name: known[name] for name in needed})


def _scaled(
    make_layer: Callable[[], Layer], make_optimizer: Callable[[], Optimizer], decay: float, images: Images
) -> Setting:
    """The setting with weight decay and learning rate in the scale of the data."""
    layer, optimizer = make_layer(), make_optimizer()
    plain, target = optimizer.rule is optimizer, _target(layer)
    flow = Setting(layer, GradientFlow() if plain else optimizer.with_values(optimizer=GradientFlow()), target)
    fastest = float(Predictor(flow, layer.arrange(images.values)).rates.max()) or 1.0
    setting = Setting(layer, optimizer, target, weight_decay=decay * fastest)
    if optimizer.linear and "learning_rate" in inspect.signature(type(optimizer)).parameters:
        limit = optimizer.max_learning_rate(fastest * (1 + decay))
        rate = SHARE * limit if np.isfinite(limit) else SHARE / fastest
        return replace(setting, optimizer=optimizer.with_values(learning_rate=rate))
    return setting


def _target(layer: Layer) -> Target:
    """The identity, or for a layer that cannot be it a constant."""
    try:
        layer.check_identity()
    except SettingError:
        return Constant((1.0, -1.0))
    return Identity()
