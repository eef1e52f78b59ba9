"""What layers, optimisers, targets and starts share: a name, plain fields, a TOML table.

A component is a frozen dataclass. Its fields are its TOML keys, its class name in snake case is its ``kind``, and
defining the class is all the registration there is: one small class in one file.
"""

import difflib
import math
import numbers
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, NoReturn, Self, get_args, get_type_hints

from theory.errors import SettingError

LONG = 60  # characters of a field that is printed in full
MANY = 24  # names that a message still lists


@dataclass(frozen=True)
class Named:
    """A constructor of another library, named but not imported: ``Named("torch.nn.Linear", {"in_features": 3})``."""

    path: str
    arguments: Mapping[str, Any]


class Component:
    """Base of the four families that make a setting; each direct subclass is a family with its own kinds.

    A subclass that is only a base for others is declared with ``abstract=True``: it is no kind. A field that holds another
    component bears the name of its family (``schedule`` for a ``Schedule``): in TOML it is a table inside the table, such as
    ``[optimizer.schedule]``, or its bare kind. Under another name its type says the family, and it is always a table.

    Example:
        >>> from theory.optimizers import HeavyBall, Optimizer
        >>> HeavyBall(learning_rate=0.1, momentum=0.9).to_table()
        {'kind': 'heavy_ball', 'learning_rate': 0.1, 'momentum': 0.9}
        >>> Optimizer.from_table({"kind": "heavy_ball", "learning_rate": 0.1, "momentum": 0.9})
        HeavyBall(learning_rate=0.1, momentum=0.9)
    """

    kind: ClassVar[str]
    family: ClassVar[str]
    kinds: ClassVar[dict[str, type["Component"]]]
    families: ClassVar[dict[str, type["Component"]]] = {}

    def __init_subclass__(cls, *, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if Component in cls.__bases__:
            cls.family, cls.kinds = cls.kind, {}
            Component.families[cls.kind] = cls
        elif not abstract:
            cls.kinds[cls.kind] = cls

    def __str__(self) -> str:
        """As ``repr``, without the numbers of large arrays."""
        names: list[str] = [field.name for field in fields(self)] if is_dataclass(self) else []
        values = {name: getattr(self, name) for name in names}
        if not any(isinstance(value, tuple) and len(str(value)) > LONG for value in values.values()):
            return repr(self)
        return f"{type(self).__name__}({', '.join(f'{name}={_short(value)}' for name, value in values.items())})"

    def to_table(self) -> dict[str, Any]:
        """The component as a TOML table, with tables inside; ``None`` is left out because TOML has no null."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        values = {key: value.to_table() if isinstance(value, Component) else value for key, value in values.items()}
        return {"kind": self.kind} | {key: value for key, value in values.items() if value is not None}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """The component that a TOML table describes.

        Raises:
            SettingError: If the kind or a key is unknown (the nearest known one is named), or a key is missing.
        """
        check_keys(f"[{cls.family}]", table, None)
        chosen = cls.kinds[one_of(f"[{cls.family}] kind", table.get("kind"), cls.kinds)]
        known = {field.name: field for field in fields(chosen)}  # type: ignore[arg-type]
        given = {key: _part(chosen, key, value) for key, value in table.items() if key != "kind"}
        check_keys(f"[{cls.family}] of kind {chosen.kind!r}", given, known)
        for name, field in known.items():
            if name not in given and field.default is MISSING:
                message = (
                    f"[{cls.family}] of kind {chosen.kind!r} must have the key {name!r}, but it has "
                    f"{', '.join(map(repr, given)) or 'none'}. Add {name} = …"
                )
                raise SettingError(message)
        return chosen(**given)  # type: ignore[return-value]

    def with_values(self, **values: Any) -> Self:
        """A copy with other field values, checked again."""
        return replace(self, **values)  # type: ignore[type-var]

    def lacks(self, method: str, what: str) -> NoReturn:
        """Refuses a class without a method that is needed.

        Raises:
            SettingError: Always.
        """
        message = f"{self.family} must have the method {method}, {what}, but {type(self).__name__} has none. Define it in the class."
        raise SettingError(message)

    def symbolic(self, **values: Any) -> Self:
        """A copy that holds symbols instead of numbers, unchecked: the rules of the class then act on formulas."""
        copy = object.__new__(type(self))
        for field in fields(self):  # type: ignore[arg-type]
            object.__setattr__(copy, field.name, values.get(field.name, getattr(self, field.name)))
        return copy


def _short(value: Any) -> str:
    """A value as text; a large array by its shape."""
    if not isinstance(value, tuple) or len(str(value)) <= LONG:
        return str(value) if isinstance(value, Component) else repr(value)
    shape = []
    while isinstance(value, tuple) and value:
        shape.append(str(len(value)))
        value = value[0]
    return f"<array of shape ({', '.join(shape)}{',' if len(shape) == 1 else ''})>"


def _part(owner: type[Component], key: str, value: Any) -> Any:
    """A field's value from TOML: a component where the key is the name of a family or the field's type is one, else plain."""
    if isinstance(value, (str, Mapping)) and (family := _family(owner, key, value)) is not None:
        return family.from_table({"kind": value} if isinstance(value, str) else value)
    return _frozen(value)


def _family(owner: type[Component], key: str, value: str | Mapping[str, Any]) -> type[Component] | None:
    """The family of a field that holds a component."""
    if key in Component.families:
        return Component.families[key]
    if isinstance(value, str):  # most often just a word
        return None
    hint = get_type_hints(owner).get(key)
    parts = (part for part in (hint, *get_args(hint)) if isinstance(part, type) and issubclass(part, Component))
    return next((Component.families[part.family] for part in parts if part is not Component), None)


def _frozen(value: Any) -> Any:
    """TOML arrays are lists; fields are hashable, so they hold tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def nearest(name: object, known: Iterable[str]) -> str:
    """The repair of a misspelt name: the nearest known one, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Use one of: {', '.join(known)}."


def one_of(argument: str, value: Any, known: Iterable[str]) -> str:
    """The value, if it is one of the known names.

    Raises:
        SettingError: If it is not; the nearest known name is suggested.
    """
    known = list(known)
    if value not in known:
        shown = (
            ", ".join(map(repr, known))
            if len(known) <= MANY
            else f"{', '.join(map(repr, known[:6]))} … ({len(known)} in all)"
        )
        message = f"{argument} must be one of {shown}, but it is {value!r}. {nearest(value, known)}"
        raise SettingError(message)
    return str(value)


def check_keys(where: str, table: Any, known: Iterable[str] | None) -> None:
    """Refuses a table that is not one, or that has a key nobody reads.

    Raises:
        SettingError: With the nearest known key.
    """
    if not isinstance(table, Mapping):
        message = f"{where} must be a table, but it is {table!r}. Write its keys as key = value lines."
        raise SettingError(message)
    for key in table if known is not None else ():
        if key not in (known := list(known or ())):
            message = f"{where} must have only the keys {', '.join(known) or '(none)'}, but it has {key!r}. {nearest(key, known)}"
            raise SettingError(message)


def check_number(
    argument: str, value: Any, *, above: float | None = None, at_least: float | None = None, below: float | None = None
) -> None:
    """Refuses what is not a finite real number inside the stated range.

    Raises:
        SettingError: With the range and the value.
    """
    inside = _is_real(value)
    number = float(value) if inside else 0.0  # a narrow float of numpy would narrow the bounds
    inside = inside and (above is None or number > above) and (at_least is None or number >= at_least)
    if not (inside and (below is None or number < below)):
        bounds = [
            f"above {above:g}" if above is not None else "",
            f"at least {at_least:g}" if at_least is not None else "",
        ]
        bounds.append(f"below {below:g}" if below is not None else "")
        must = " and ".join(filter(None, bounds)) or "that is finite"
        message = f"{argument} must be a number {must}, but it is {value!r}. Choose one in that range."
        raise SettingError(message)


def _is_real(value: Any) -> bool:
    """Whether a value is a number that float64 holds: a Python or numpy integer or float, finite."""
    exact = isinstance(value, numbers.Rational) and not isinstance(value, numbers.Integral)
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or exact:
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
