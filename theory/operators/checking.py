"""`check_certificate` for people: a certificate as text, as a parsed table or as a file, of a claim or of a weight."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from theory.errors import ClaimError
from theory.operators import kernel

_PARTS = {"equation": "d(W) ==", "start": "start(W) ==", "limit": "limit(W) =="}
_OWN = ("claim", "cofactors", "consequences")


def check_certificate(certificate: str | Mapping[str, Any] | Path) -> bool:
    """Whether a certificate proves the claim it contains; the kernel says so, from its text alone.

    Args:
        certificate: JSON text, the table it holds, or the path of a file with it. The certificate of a weight has one part for
            its equation, its start and, if claimed, its limit: all must hold, of one and the same weight.

    Raises:
        ClaimError: If it is not a certificate, names an axiom its statement does not have, or has wrong shapes.

    Example:
        >>> from theory.operators import prove, prove_weight
        >>> check_certificate(prove("X @ pinv(X) @ X == X", {"X": ("d", "n")}).certificate)
        True
        >>> solved = prove_weight("W0 @ E", {"X": ("d", "n"), "W0": ("q", "d")}, "-W @ X @ X.T", flow="X")
        >>> check_certificate(solved.certificate), check_certificate(solved.certificate.replace("-W @ X", "W @ X"))
        (True, False)
    """
    text = _text(certificate)
    try:
        table = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return kernel.check_certificate(text)  # which says what is wrong with it
    if not isinstance(table, dict) or not {"equation", "start"} <= set(table) <= set(_PARTS):
        return kernel.check_certificate(text)
    _check_parts(table)
    return all(kernel.check_certificate(json.dumps(part)) for part in table.values())


def _check_parts(table: Mapping[str, Any]) -> None:
    """Refuse parts that speak of different weights."""
    statements = []
    for name, part in table.items():
        if not isinstance(part, dict) or not str(part.get("claim", "")).startswith(_PARTS[name]):
            message = (
                f"the {name} of a certificate must be a claim that begins with `{_PARTS[name]}`, but it is not. "
                "Write it with prove_weight()."
            )
            raise ClaimError(message)
        statements.append({key: value for key, value in part.items() if key not in _OWN})
    if any(statement != statements[0] for statement in statements):
        message = "the parts of a certificate must be about one weight, but their statements differ. Write it with prove_weight()."
        raise ClaimError(message)


def _text(certificate: str | Mapping[str, Any] | Path) -> str:
    if isinstance(certificate, Mapping):
        return json.dumps(certificate)
    if not isinstance(certificate, Path):
        return certificate
    try:
        return certificate.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        message = f"the certificate must be a readable file, but {certificate} is not: {reason}. Check the path."
        raise ClaimError(message) from None
