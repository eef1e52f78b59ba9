"""A proof as text: the statement, and how its claim is a sum of multiples of axioms, all in the claim language.

The multiples are ``left · axiom · right``, for a claim about scalars ``factor · tr(left · axiom)``; that is all a cyclic
word needs, for what stands to the right of an axiom can be turned to its left. Axioms that are consequences by a lemma
come with the proofs of their premises, each from axioms and earlier consequences.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from theory.errors import ClaimError
from theory.operators.axioms import Algebra, Axiom
from theory.operators.budget import Clock, ticking
from theory.operators.cofactors import names_of, read_cofactor
from theory.operators.consequences import Consequence, read_consequence
from theory.operators.expressions import Derivative, Letter, Limit, Shape, Start, walk
from theory.operators.functionals import Trace, walk_scalar
from theory.operators.parser import parse_scalar
from theory.operators.scalars import Number, Operation, Power, Symbol, matrices_in
from theory.operators.statement import FIELDS, Source, read_statement, texts
from theory.operators.traces import show_scalar
from theory.operators.words import Polynomial

_STEP = ("left", "axiom", "right")
_TRACE_STEP = ("factor", "left", "axiom")
_DERIVED = ("rule", "arguments", "premises")
_KINDS: dict[str, type] = {
    "claim": str,
    "shapes": dict,
    "assume": list,
    "scalars": list,
    "flow": dict,
    "where": dict,
    "cofactors": list,
    "consequences": list,
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
class Derived:
    """A consequence with the proof of each of its premises."""

    consequence: Consequence
    proofs: tuple[Sequence[Step], ...]

    @property
    def axioms(self) -> tuple[Axiom, ...]:
        """Its conclusions, with the sources of what the proofs used."""
        sources = [source for proof in self.proofs for step in proof for source in step.axiom.sources]
        return self.consequence.with_sources(sources).axioms


@dataclass(frozen=True)
class Certificate:
    """A certificate as it was read: the algebra is rebuilt from the statement, nothing else is taken over."""

    algebra: Algebra
    derived: Sequence[Derived]
    steps: Sequence[Step | TraceStep]


def write_certificate(
    source: Source, derived: Sequence[Derived], steps: Sequence[Step | TraceStep], clock: Clock | None = None
) -> str:
    """The certificate as JSON text.

    Raises:
        BudgetSpentError: If there is a clock and it ran out.
    """
    cofactors = [_written(step) for step in ticking(steps, clock)]
    consequences = [
        {
            "rule": item.consequence.rule,
            "arguments": item.consequence.arguments,
            "premises": [[_written(step) for step in ticking(proof, clock)] for proof in item.proofs],
        }
        for item in derived
    ]
    extra = {"consequences": consequences} if consequences else {}
    return json.dumps({**source.as_json(), **extra, "cofactors": cofactors}, indent=1, ensure_ascii=False)


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
    if not isinstance(data, dict) or set(data) - {"consequences"} != {*FIELDS, "cofactors"}:
        keys = sorted(data) if isinstance(data, dict) else type(data).__name__
        wanted = ", ".join([*FIELDS, "cofactors"])
        message = f"certificate must have exactly the keys {wanted}, but it has {keys}. Write it with prove()."
        raise ClaimError(message)
    algebra = Algebra(read_statement(_read_source(data)))
    derived = []
    for item in ticking(data.get("consequences", []), clock):
        derived.append(_read_derived(algebra, item, clock))
        # Only what comes later may use it.
        algebra.axioms.update({axiom.name: axiom for axiom in derived[-1].axioms if axiom.name not in algebra.axioms})
    read = _read_trace_step if algebra.about_scalars else _read_goal_step
    return Certificate(algebra, derived, tuple(read(algebra, item) for item in ticking(data["cofactors"], clock)))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table whose keys differ: of two equal ones a reader and a program may see different ones."""
    table = dict(pairs)
    if len(table) != len(pairs):
        message = "a key stands in it twice"
        raise ValueError(message)
    return table


def _read_source(data: dict[str, Any]) -> Source:
    for name, kind in _KINDS.items():
        if name in data and not isinstance(data[name], kind):
            message = f"certificate[{name!r}] must be of type {kind.__name__}, but it is {data[name]!r}. Correct it."
            raise ClaimError(message)
    shapes, assume, scalars = data["shapes"], texts(data["assume"], "assume"), texts(data["scalars"], "scalars")
    return Source(data["claim"], shapes, assume, scalars, data["flow"], data["where"])


def _read_derived(algebra: Algebra, item: object, clock: Clock | None) -> Derived:
    rule, arguments, premises = _parts(item, _DERIVED, "a consequence")
    if not isinstance(rule, str) or not isinstance(premises, list) or not all(isinstance(p, list) for p in premises):
        message = f"a consequence must have a rule and a list of proofs, but it is {item!r}. Correct it."
        raise ClaimError(message)
    consequence = read_consequence(algebra, rule, texts(arguments, "arguments"))
    if len(premises) != len(consequence.premises):
        message = f"a consequence by `{rule}` must have {len(consequence.premises)} proofs, but it has {len(premises)}. Correct it."
        raise ClaimError(message)
    pairs = zip(consequence.premises, premises, strict=True)
    proofs = [tuple(_read_step(algebra, step, goal.shape) for step in ticking(proof, clock)) for goal, proof in pairs]
    return Derived(consequence, tuple(proofs))


def _parts(item: object, keys: Sequence[str], what: str) -> list[Any]:
    if not isinstance(item, dict) or set(item) != set(keys):
        message = f"{what} must have the texts {', '.join(keys)}, but it is {item!r}. Correct it."
        raise ClaimError(message)
    return [item[key] for key in keys]


def _read_goal_step(algebra: Algebra, item: object) -> Step:
    return _read_step(algebra, item, algebra.goal.shape)


def _read_step(algebra: Algebra, item: object, goal: Shape) -> Step:
    left, name, right = _texts(item, _STEP)
    axiom = _axiom(algebra, name)
    rows, columns = axiom.polynomial.shape
    return Step(read_cofactor(algebra, left, (goal[0], rows)), axiom, read_cofactor(algebra, right, (columns, goal[1])))


def _read_trace_step(algebra: Algebra, item: object) -> TraceStep:
    text, left, name = _texts(item, _TRACE_STEP)
    axiom = _axiom(algebra, name)
    factor = parse_scalar(text, names_of(algebra.statement), "cofactor")
    inside = [part for matrix in matrices_in(factor) for part in walk(matrix)]
    if not all(isinstance(part, Trace | Number | Symbol | Operation | Power) for part in walk_scalar(factor)) or any(
        isinstance(part, Derivative | Limit) or (isinstance(part, Start) and not isinstance(part.matrix, Letter))
        for part in inside
    ):
        message = f"a factor must be a polynomial in traces, but it is `{text}`. Carry the rest out."
        raise ClaimError(message)
    rows, columns = axiom.polynomial.shape
    return TraceStep(algebra.read_scalar(factor), read_cofactor(algebra, left, (columns, rows)), axiom)


def _texts(item: object, keys: Sequence[str]) -> list[str]:
    parts = _parts(item, keys, "a cofactor")
    if not all(isinstance(part, str) for part in parts):
        message = f"a cofactor must have the texts {', '.join(keys)}, but it is {item!r}. Correct it."
        raise ClaimError(message)
    return parts


def _axiom(algebra: Algebra, name: str) -> Axiom:
    axiom = algebra.axioms.get(name)
    if axiom is None:
        message = f"a cofactor must name an axiom of its statement, but it names `{name}`. Assume it there."
        raise ClaimError(message)
    return axiom
