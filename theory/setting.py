"""A setting: what is trained, how, towards what, and from where. One frozen, validated description."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from theory.component import Component, check_keys, check_number, one_of
from theory.errors import SettingError
from theory.layers import Layer
from theory.notebook import code, listing
from theory.optimizers import Optimizer
from theory.paths import path_repair
from theory.starts import Start, TorchDefault
from theory.targets import Identity, Target
from theory.toml_text import tables, value_text
from theory.user_modules import import_modules

LOSSES = ("half_sum", "mse")


@dataclass(frozen=True)
class Setting:
    r"""One training problem, before any data.

    Args:
        layer: A layer that is linear in its parameters.
        optimizer: A flow or a descent.
        target: What the outputs are trained towards.
        loss: "half_sum", :math:`\tfrac12\|W\Phi - Y\|^2`, or "mse", torch's mean over all entries of the output.
        weight_decay: :math:`\mu \ge 0`, torch's: it adds :math:`\mu W` to the gradient, bias included.
        start: Where training starts if no weight is passed.

    Raises:
        SettingError: If a part is of the wrong kind or the parts do not fit.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientDescent
        >>> print(Setting(Linear(), GradientDescent(0.1)).to_toml())
        target = "identity"
        loss = "half_sum"
        weight_decay = 0.0
        <BLANKLINE>
        [layer]
        kind = "linear"
        bias = false
        <BLANKLINE>
        [optimizer]
        kind = "gradient_descent"
        learning_rate = 0.1
        <BLANKLINE>
        [start]
        kind = "torch_default"
        <BLANKLINE>
    """

    layer: Layer
    optimizer: Optimizer
    target: Target = Identity()
    loss: str = "half_sum"
    weight_decay: float = 0.0
    start: Start = TorchDefault()

    def __post_init__(self) -> None:
        for name, family in FAMILIES.items():
            part = getattr(self, name)
            if not isinstance(part, family):
                example = next(iter(family.kinds.values())).__name__
                message = f"{name} must be a {family.__name__}, but it is {part!r}. Pass one, such as {example}(…)."
                raise SettingError(message)
        one_of("loss", self.loss, LOSSES)
        check_number("weight_decay", self.weight_decay, at_least=0)
        self.target.check(self.layer)

    def loss_scale(self, entries: int) -> float:
        r"""The factor :math:`c` between the loss and the half sum, for targets with so many entries in all.

        Returns:
            1 for "half_sum", 2/entries for "mse".
        """
        return 1.0 if self.loss == "half_sum" else 2.0 / entries

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "Setting":
        """The setting that a parsed TOML table describes; a part without options may be written as its bare kind.

        Raises:
            SettingError: With the nearest known key or kind.
        """
        check_keys("the setting", table, [field.name for field in fields(cls)])
        values = dict(table)
        for name, family in FAMILIES.items():
            if name in values:
                part = values[name]
                values[name] = family.from_table({"kind": part} if isinstance(part, str) else part)
            elif name in ("layer", "optimizer"):
                message = f"the setting must have a table [{name}], but it has none. Add [{name}] with a kind."
                raise SettingError(message)
        return cls(**values)

    @classmethod
    def from_toml(cls, text: str, name: str = "the setting", folder: Path | None = None) -> "Setting":
        """The setting that a TOML text describes.

        Args:
            text: TOML. With a folder it may have a line such as ``modules = ["my_layers"]``, for kinds of your own.
            name: What errors call it.
            folder: Where such modules are looked for, besides the installed ones.

        Raises:
            SettingError: If the text is not TOML or not a setting, or a module cannot be imported.
        """
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message = f"{name} must be TOML, but it is not: {error}. Mend that line."
            raise SettingError(message) from None
        if folder is not None:
            import_modules(table.pop("modules", []), name, folder)
        return cls.from_table(table)

    @classmethod
    def load(cls, path: str | Path) -> "Setting":
        """The setting in a file, which may name modules beside it that define kinds of your own.

        Raises:
            SettingError: If the file cannot be read as text, or is not a setting.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            message = f"the setting must be a readable TOML file, but {path} is not: {reason}. {path_repair(path)}"
            raise SettingError(message) from None
        return cls.from_toml(text, str(path), Path(path).absolute().parent)

    def to_toml(self) -> str:
        """The setting as TOML; ``from_toml`` reads it back to an equal setting."""
        plain, nested = [], []
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Component):
                plain.append(f"{field.name} = {value_text(value)}")
            elif field.name == "target" and len(value.to_table()) == 1:
                plain.append(f"{field.name} = {value_text(value.kind)}")
            else:
                nested += tables(field.name, value.to_table())
        return "\n".join(plain) + "\n\n" + "\n\n".join(nested) + "\n"

    def _repr_html_(self) -> str:
        return listing("Setting", [(field.name, code(str(getattr(self, field.name)))) for field in fields(self)])

    def __str__(self) -> str:
        decay = f", weight decay {self.weight_decay:g}" if self.weight_decay else ""
        return f"{self.layer} by {self.optimizer} towards {self.target}, loss {self.loss}{decay}, start {self.start}"


FAMILIES: dict[str, type[Component]] = {"layer": Layer, "optimizer": Optimizer, "target": Target, "start": Start}
