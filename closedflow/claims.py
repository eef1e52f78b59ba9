"""Claim files: a claim for the prover, as TOML."""

import tomllib
from pathlib import Path
from typing import Any

from theory.component import check_keys
from theory.errors import ClaimError

KEYS = ("claim", "shapes", "assume", "scalars", "flow", "where")


def load_claim(path: str | Path) -> dict[str, Any]:
    """The arguments of ``prove`` in a claim file.

    Raises:
        ClaimError: If the file is missing, is not TOML, or lacks the claim.
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
    return table
