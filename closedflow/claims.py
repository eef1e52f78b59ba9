"""Claim files: a claim for the prover, as TOML."""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from theory.component import check_keys
from theory.errors import ClaimError
from theory.paths import path_repair

BYTES = 1_000_000
"""The largest claim file that is read."""


def _texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _text(value: Any) -> bool:
    return isinstance(value, str)


# Each key with what its value must be, in words and as a test.
KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "claim": ("a text", _text),
    "shapes": ("a table of pairs", lambda value: isinstance(value, dict)),
    "assume": ("a list of texts", lambda value: isinstance(value, list) and _texts(value)),
    "scalars": ("a list of texts", lambda value: isinstance(value, list) and _texts(value)),
    "flow": (
        "a text or a table of texts",
        lambda value: isinstance(value, str) or (isinstance(value, dict) and _texts(value.values())),
    ),
    "where": ("a table of texts", lambda value: isinstance(value, dict) and _texts(value.values())),
}
# The second form says of a weight that it solves a flow; these keys stand there instead of the claim.
WEIGHT_KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "weight": ("a text", _text),
    "rate": ("a text", _text),
    "start": ("a text", _text),
    "limit": ("a text", _text),
}


def load_claim(path: str | Path) -> dict[str, Any]:
    """The arguments of ``prove`` in a claim file, or those of ``prove_weight`` if it has the key ``weight``.

    Raises:
        ClaimError: If the file is missing, too large or not TOML, is of neither form or of both, or has a value of the wrong
            type.
        SettingError: If a key is unknown.
    """
    table = _read(Path(path))
    kinds = KEYS | WEIGHT_KEYS
    check_keys("the claim file", table, kinds)
    claims, weights = "claim" in table, [name for name in WEIGHT_KEYS if name in table]
    if claims and weights:
        message = (
            f"the claim file must have the key 'claim' or the key 'weight', but {path} has 'claim' and {weights[0]!r}. "
            "Remove one; a weight has a rate, and may have a start and a limit."
        )
        raise ClaimError(message)
    needed = {"weight": '"W0 @ E"', "rate": '"-W @ X @ X.T"'} if weights else {"claim": '"X @ pinv(X) @ X == X"'}
    for name, example in (needed | {"shapes": '{ X = ["d", "n"] }'}).items():
        if name not in table:
            have = ", ".join(table) or "none"
            either = " (or 'weight' with 'rate')" if name == "claim" else ""
            message = (
                f"the claim file must have the key {name!r}{either}, but {path} has {have}. Add {name} = {example}."
            )
            raise ClaimError(message)
    for name, value in table.items():
        must, fits = kinds[name]
        if not fits(value):
            message = f"{name} must be {must} in a claim file, but in {path} it is {_shown(value)}. Mend that line."
            raise ClaimError(message)
    return table


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > BYTES:
            message = f"the claim file must have at most {BYTES} bytes, but {path} has more. Split it."
            raise ClaimError(message)
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        message = f"the claim must be a readable TOML file, but {path} is not: {reason}. {path_repair(path)}"
    except RecursionError:
        message = f"the claim must be TOML of a few levels, but {path} is nested too deeply. Flatten it."
    except tomllib.TOMLDecodeError as error:
        message = f"the claim must be TOML, but {path} is not: {error}. Mend that line."
    raise ClaimError(message)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
