"""A proof as text: the statement, and how its claim is a sum of multiples of axioms, all in the claim language.

The multiples are ``left · axiom · right``, for a claim about scalars ``factor · tr(left · axiom)``; that is all a cyclic
word needs, for what stands to the right of an axiom can be turned to its left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from theory.errors import ClaimError
from theory.operators.axioms import Algebra, Axiom
from theory.operators.budget import Clock, ticking
from theory.operators.expressions import Derivative, Dimension, Limit, walk
from theory.operators.functionals import Trace, walk_scalar
from theory.operators.parser import Names, parse_matrix, parse_scalar
from theory.operators.scalars import Number, Operation, Power, Symbol
from theory.operators.statement import FIELDS, Source, Statement, read_statement, texts
from theory.operators.traces import show_scalar
from theory.operators.words import Polynomial

_STEP = ("left", "axiom", "right")
_TRACE_STEP = ("factor", "left", "axiom")
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
class TraceStep:
    """One term ``factor · tr(left · axiom)`` of a certificate for scalars; the factor is a polynomial in traces."""

    factor: Polynomial
    left: Polynomial
    axiom: Axiom

    def __str__(self) -> str:
        return f"({show_scalar(self.factor)}) * tr(({self.left}) @ [{self.axiom.name}])"


@dataclass(frozen=True)
class Certificate:
    """A certificate as it was read: the algebra is rebuilt from the statement, nothing else is taken over."""

    algebra: Algebra
    steps: Sequence[Step | TraceStep]


def write_certificate(source: Source, steps: Sequence[Step | TraceStep], clock: Clock | None = None) -> str:
    """The certificate as JSON text.

    Raises:
        BudgetSpentError: If there is a clock and it ran out.
    """
    cofactors = [_written(step) for step in ticking(steps, clock)]
    return json.dumps({**source.as_json(), "cofactors": cofactors}, indent=1, ensure_ascii=False)


def _written(step: Step | TraceStep) -> dict[str, str]:
    match step:
        case Step(left, axiom, right):
            return {"left": str(left), "axiom": axiom.name, "right": str(right)}
        case TraceStep(factor, left, axiom):
            return {"factor": show_scalar(factor), "left": str(left), "axiom": axiom.name}


def read_certificate(text: str, clock: Clock | None = None) -> Certificate:
    """Rebuild the statement, its axioms and the cofactors from text.

    Args:
        text: The certificate.
        clock: Looked at before each step.

    Raises:
        BudgetSpentError: If the clock ran out.
        ClaimError: If the text is not a certificate, names an axiom the statement does not have, or has wrong shapes.
    """
    try:
        data = json.loads(text, object_pairs_hook=_without_duplicates)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"certificate must be JSON, but it does not parse: {error}. Write it with prove()."
        raise ClaimError(message) from None
    if not isinstance(data, dict) or set(data) != {*FIELDS, "cofactors"}:
        keys = sorted(data) if isinstance(data, dict) else type(data).__name__
        wanted = ", ".join([*FIELDS, "cofactors"])
        message = f"certificate must have exactly the keys {wanted}, but it has {keys}. Write it with prove()."
        raise ClaimError(message)
    statement = read_statement(_read_source(data))
    algebra = Algebra(statement)
    return Certificate(algebra, tuple(_read_step(algebra, item) for item in ticking(data["cofactors"], clock)))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table whose keys differ: of two equal ones a reader and a program may see different ones."""
    table = dict(pairs)
    if len(table) != len(pairs):
        message = "a key stands in it twice"
        raise ValueError(message)
    return table


def _read_source(data: dict[str, Any]) -> Source:
    for name, kind in _KINDS.items():
        if not isinstance(data[name], kind):
            message = f"certificate[{name!r}] must be of type {kind.__name__}, but it is {data[name]!r}. Correct it."
            raise ClaimError(message)
    shapes, assume, scalars = data["shapes"], texts(data["assume"], "assume"), texts(data["scalars"], "scalars")
    return Source(data["claim"], shapes, assume, scalars, data["flow"], data["where"])


def _read_step(algebra: Algebra, item: object) -> Step | TraceStep:
    keys = _TRACE_STEP if algebra.about_scalars else _STEP
    if not isinstance(item, dict) or set(item) != set(keys) or not all(isinstance(part, str) for part in item.values()):
        message = f"a cofactor must have the texts {', '.join(keys)}, but it is {item!r}. Correct it."
        raise ClaimError(message)
    axiom = algebra.axioms.get(item["axiom"])
    if axiom is None:
        message = f"a cofactor must name an axiom of its statement, but it names `{item['axiom']}`. Assume it there."
        raise ClaimError(message)
    rows, columns = axiom.polynomial.shape
    if algebra.about_scalars:
        factor = parse_scalar(item["factor"], _names(algebra.statement), "cofactor")
        if not all(isinstance(part, Trace | Number | Symbol | Operation | Power) for part in walk_scalar(factor)):
            message = f"a factor must be a polynomial in traces, but it is `{item['factor']}`. Carry the rest out."
            raise ClaimError(message)
        return TraceStep(algebra.read_scalar(factor), _read_factor(algebra, item["left"], (columns, rows)), axiom)
    left = _read_factor(algebra, item["left"], (algebra.goal.shape[0], rows))
    right = _read_factor(algebra, item["right"], (columns, algebra.goal.shape[1]))
    return Step(left, axiom, right)


def _read_factor(algebra: Algebra, text: str, shape: tuple[Dimension, Dimension]) -> Polynomial:
    tree = parse_matrix(text, _names(algebra.statement), "cofactor")
    if any(isinstance(part, Derivative | Limit) for part in walk(tree)):
        message = f"a cofactor must be free of d and limit, but it is `{text}`. Carry them out."
        raise ClaimError(message)
    return algebra.read(algebra.statement.dynamics.resolve(tree), shape)


def _names(statement: Statement) -> Names:
    dynamics = statement.dynamics
    flows = frozenset(dynamics.generators)
    sizes = frozenset(size for shape in dynamics.shapes.values() for size in shape if isinstance(size, str))
    return Names(frozenset(dynamics.shapes) - flows, flows, frozenset({*statement.scalars, "t"}), dimensions=sizes)
