"""A proof as text: the statement and the cofactors of ``claim = Σ left · axiom · right``, all in the claim language."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from theory.errors import ClaimError
from theory.operators.axioms import Algebra, Axiom
from theory.operators.expressions import Dimension
from theory.operators.parser import Names, parse_matrix
from theory.operators.statement import FIELDS, Source, Statement, read_statement
from theory.operators.words import Polynomial

_STEP = ("left", "axiom", "right")
_KINDS: dict[str, type] = {
    "claim": str,
    "shapes": dict,
    "assume": list,
    "scalars": list,
    "flow": dict,
    "where": dict,
    "cofactors": list,
}


@dataclass(frozen=True)
class Step:
    """One term ``left · axiom · right`` of a certificate."""

    left: Polynomial
    axiom: Axiom
    right: Polynomial

    def __str__(self) -> str:
        return f"({self.left}) @ [{self.axiom.name}] @ ({self.right})"


@dataclass(frozen=True)
class Certificate:
    """A certificate as it was read: the algebra is rebuilt from the statement, nothing else is taken over."""

    algebra: Algebra
    steps: tuple[Step, ...]


def write_certificate(source: Source, steps: Sequence[Step]) -> str:
    """The certificate as JSON text."""
    cofactors = [{"left": str(step.left), "axiom": step.axiom.name, "right": str(step.right)} for step in steps]
    return json.dumps({**source.as_json(), "cofactors": cofactors}, indent=1, ensure_ascii=False)


def read_certificate(text: str) -> Certificate:
    """Rebuild the statement, its axioms and the cofactors from text.

    Raises:
        ClaimError: If the text is not a certificate, names an axiom the statement does not have, or has wrong shapes.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"certificate must be JSON, but it does not parse: {error}. Write it with prove()."
        raise ClaimError(message) from None
    if not isinstance(data, dict) or set(data) != {*FIELDS, "cofactors"}:
        keys = sorted(data) if isinstance(data, dict) else type(data).__name__
        wanted = ", ".join([*FIELDS, "cofactors"])
        message = f"certificate must have exactly the keys {wanted}, but it has {keys}. Write it with prove()."
        raise ClaimError(message)
    statement = read_statement(_read_source(data))
    algebra = Algebra(statement)
    return Certificate(algebra, tuple(_read_step(algebra, item) for item in data["cofactors"]))


def _read_source(data: dict[str, Any]) -> Source:
    for name, kind in _KINDS.items():
        if not isinstance(data[name], kind):
            message = f"certificate[{name!r}] must be of type {kind.__name__}, but it is {data[name]!r}. Correct it."
            raise ClaimError(message)
    return Source(
        data["claim"], data["shapes"], tuple(data["assume"]), tuple(data["scalars"]), data["flow"], data["where"]
    )


def _read_step(algebra: Algebra, item: object) -> Step:
    texts = isinstance(item, dict) and all(isinstance(part, str) for part in item.values())
    if not isinstance(item, dict) or not texts or set(item) != set(_STEP):
        message = f"a cofactor must have the texts {', '.join(_STEP)}, but it is {item!r}. Correct it."
        raise ClaimError(message)
    axiom = algebra.axioms.get(item["axiom"])
    if axiom is None:
        message = f"a cofactor must name an axiom of its statement, but it names `{item['axiom']}`. Assume it there."
        raise ClaimError(message)
    rows, columns = axiom.polynomial.shape
    left = _read_factor(algebra, item["left"], (algebra.goal.shape[0], rows))
    right = _read_factor(algebra, item["right"], (columns, algebra.goal.shape[1]))
    return Step(left, axiom, right)


def _read_factor(algebra: Algebra, text: str, shape: tuple[Dimension, Dimension]) -> Polynomial:
    statement: Statement = algebra.statement
    dynamics = statement.dynamics
    flows = frozenset(dynamics.generators)
    letters = frozenset(dynamics.shapes) - flows
    names = Names(letters, flows, frozenset({*statement.scalars, "t"}))
    return algebra.read(dynamics.resolve(parse_matrix(text, names, "cofactor")), shape)
