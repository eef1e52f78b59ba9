"""Claim files: a claim for the prover, as TOML."""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from theory.component import check_keys
from theory.errors import ClaimError


def _texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


# Each key with what its value must be, in words and as a test.
KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "claim": ("a text", lambda value: isinstance(value, str)),
    "shapes": ("a table of pairs", lambda value: isinstance(value, dict)),
    "assume": ("a list of texts", lambda value: isinstance(value, list) and _texts(value)),
    "scalars": ("a list of texts", lambda value: isinstance(value, list) and _texts(value)),
    "flow": (
        "a text or a table of texts",
        lambda value: isinstance(value, str) or (isinstance(value, dict) and _texts(value.values())),
    ),
    "where": ("a table of texts", lambda value: isinstance(value, dict) and _texts(value.values())),
}


def load_claim(path: str | Path) -> dict[str, Any]:
    """The arguments of ``prove`` in a claim file.

    Raises:
        ClaimError: If the file is missing, is not TOML, lacks the claim, or has a value of the wrong type.
        SettingError: If a key is unknown.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        message = f"the claim must be a readable TOML file, but {path} is not: {reason}. Check the path."
        raise ClaimError(message) from None
    except tomllib.TOMLDecodeError as error:
        message = f"the claim must be TOML, but {path} is not: {error}. Mend that line."
        raise ClaimError(message) from None
    check_keys("the claim file", table, KEYS)
    for name, example in (("claim", '"X @ pinv(X) @ X == X"'), ("shapes", '{ X = ["d", "n"] }')):
        if name not in table:
            message = f"the claim file must have the key {name!r}, but {path} has {', '.join(table) or 'none'}. Add {name} = {example}."
            raise ClaimError(message)
    for name, value in table.items():
        must, fits = KEYS[name]
        if not fits(value):
            message = f"{name} must be {must} in a claim file, but in {path} it is {value!r}. Mend that line."
            raise ClaimError(message)
    return table
