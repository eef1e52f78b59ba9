"""Plain values and tables as TOML text; ``tomllib`` reads it back."""

import numbers
from collections.abc import Mapping
from typing import Any

CONTROL = {chr(code): f"\\u{code:04x}" for code in (*range(32), 127)}
ESCAPES = CONTROL | {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def tables(name: str, table: Mapping[str, Any]) -> list[str]:
    r"""A table as TOML, then the tables inside it under dotted names; ``name`` "" is the top of a file.

    Example:
        >>> print("\n".join(tables("layer", {"kind": "conv", "size": (3, 5), "inner": {"bias": False}})))
        [layer]
        kind = "conv"
        size = [3, 5]
        [layer.inner]
        bias = false
    """
    rows = [f"{key} = {value_text(item)}" for key, item in table.items() if not isinstance(item, Mapping)]
    nested = [(f"{name}.{key}" if name else key, item) for key, item in table.items() if isinstance(item, Mapping)]
    head = "\n".join([f"[{name}]", *rows] if name else rows)
    return [head, *(text for key, item in nested for text in tables(key, item))]


def value_text(value: Any) -> str:
    """A value that is no table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(ESCAPES.get(character, character) for character in value) + '"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(value_text, value)) + "]"
    return repr(int(value) if isinstance(value, numbers.Integral) else float(value))
