"""From the arguments of `prove` to a statement with every shape known and every derivative carried out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword

from theory.errors import ClaimError
from theory.operators.calculus import Dynamics
from theory.operators.expressions import (
    Derivative,
    Dimension,
    Equation,
    Expression,
    Integral,
    Letter,
    Limit,
    Pinv,
    Scaled,
    Shape,
    Start,
    walk,
)
from theory.operators.functionals import ScalarEquation, check_expectations
from theory.operators.limits import ITEMS, check_size
from theory.operators.parser import Names, check_name, parse_equation, parse_expression, parse_matrix
from theory.operators.scalars import TIME, symbols
from theory.operators.shapes import infer, infer_equation, shape_of, show, sizes_from_use
from theory.operators.sizes import check_value

FIELDS = ("claim", "shapes", "assume", "scalars", "flow", "where")


@dataclass(frozen=True)
class Source:
    """A statement as text, exactly as it stands in a certificate or a claim file."""

    claim: str
    shapes: Mapping[str, Shape]
    assume: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    flow: Mapping[str, str] | None = None
    where: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, object]:
        """Plain data with the keys of `FIELDS`."""
        return json.loads(json.dumps({name: getattr(self, name) for name in FIELDS}))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Hypothesis:
    """An assumed equation: its text, its tree with all sizes filled in, and the tree as it was written."""

    text: str
    equation: Equation
    stated: Equation


@dataclass(frozen=True)
class Statement:
    """A claim that is ready to be proved or refuted.

    Attributes:
        source: The text it was read from.
        claim: The claim after every ``d``, ``start`` and ``limit`` was carried out.
        stated: The claim as it was written, for the lemmas it takes.
        hypotheses: The assumed equations, without the rates.
        rates: For each letter with a hypothesis ``d(W) == ...`` the text of that hypothesis.
        dynamics: Shapes, flows and rates.
        scalars: The declared scalars, in order, without ``t``.
    """

    source: Source
    claim: Equation
    stated: Equation
    hypotheses: tuple[Hypothesis, ...]
    rates: Mapping[str, str]
    dynamics: Dynamics
    scalars: tuple[str, ...]


def source_of(
    claim: str,
    shapes: Mapping[str, Shape],
    assume: Sequence[str] = (),
    scalars: Sequence[str] = (),
    flow: Mapping[str, str] | str | None = None,
    where: Mapping[str, str] | None = None,
) -> Source:
    """The arguments of `prove` as text, checked for their types (ClaimError); ``flow = "X"`` is written out."""
    flows = {"E": f"({flow}) @ ({flow}).T"} if isinstance(flow, str) else table(flow, "flow")
    return Source(claim, shapes, texts(assume, "assume"), texts(scalars, "scalars"), flows, table(where, "where"))


def read_statement(source: Source) -> Statement:
    """Parse, infer the shapes and carry out the calculus.

    Raises:
        ClaimError: If any part of the source is not a statement of the claim language.

    Example:
        >>> statement = read_statement(Source("d(E) == -X @ X.T @ E", {"X": ("d", "n")}, flow={"E": "X @ X.T"}))
        >>> print(statement.claim)
        -X @ X.T @ E == -X @ X.T @ E
    """
    shapes = _read_shapes(source.shapes)
    scalars, positive = _read_scalars(source.scalars)
    flow, where = table(source.flow, "flow"), table(source.where, "where")
    check_size("assume", len(source.assume), ITEMS, "entries")
    _check_distinct(shapes, scalars, flow, where)
    dimensions = frozenset(size for shape in shapes.values() for size in shape if isinstance(size, str))
    names = Names(frozenset(shapes), frozenset(flow), frozenset(scalars) | {TIME}, dimensions=dimensions)
    names = _read_definitions(where, names)

    trees = {name: _read_generator(name, text, names) for name, text in flow.items()}
    equations = [
        parse_equation(source.claim, names),
        *(parse_equation(text, names, "assume") for text in source.assume),
    ]
    sizes = sizes_from_use(trees, equations, shapes)
    generators = {name: _sized_generator(name, tree, shapes, sizes.get(name)) for name, tree in trees.items()}
    shapes |= {name: shape_of(generator, shapes) for name, generator in generators.items()}
    assumed = [_read_hypothesis(text, names, shapes) for text in source.assume]
    still = Dynamics(shapes, generators, {}, positive)
    rates, rate_texts = _read_rates(assumed, still)
    moving = Dynamics(shapes, generators, rates, positive)
    for name, generator in generators.items():
        if moving.moves(generator):
            message = (
                f"flow[{name!r}] must be constant in time, but a hypothesis gives a rate to a letter of `{generator}`."
            )
            message += " Drop that hypothesis."
            raise ClaimError(message)
    dynamics = replace(moving, rates={name: moving.resolve(rate) for name, rate in rates.items()})
    hypotheses = tuple(
        replace(item, equation=_resolve(item.equation, dynamics)) for item in assumed if _rate_letter(item) is None
    )
    stated = infer_equation(parse_equation(source.claim, names), shapes, "claim")
    claim = _resolve(stated, dynamics)
    for side in (claim.left, claim.right):
        check_value(side, "claim")
    _check_random_letters(claim, assumed, dynamics)
    return Statement(source, claim, stated, hypotheses, rate_texts, dynamics, scalars)


def formula(
    text: str,
    shapes: Mapping[str, Shape],
    *,
    scalars: Sequence[str] = (),
    flow: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
) -> Expression:
    """One matrix of the claim language, resolved, for `evaluate` (the size of a lone ``I`` or ``0`` stays open).

    A scalar made of traces gives a 1×1 matrix.

    Raises:
        ClaimError: As for `read_statement`.

    Example:
        >>> print(formula("limit(W0 @ E)", {"W0": ("q", "d"), "X": ("d", "n")}, flow={"E": "X @ X.T"}))
        W0 @ (I - X @ pinv(X))
    """
    # A matrix minus itself is the shortest statement in which every size of the matrix is fixed.
    source = Source(f"{text} == {text}", shapes, (), texts(scalars, "scalars"), flow, where)
    statement = read_statement(source)
    return statement.claim.left


def _read_shapes(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    if not isinstance(shapes, Mapping):
        message = f"shapes must map names to pairs, but it is {shapes!r}. Write {{'X': ('d', 'n')}}."
        raise ClaimError(message)
    check_size("shapes", len(shapes), ITEMS, "entries")
    read: dict[str, Shape] = {}
    for name, shape in shapes.items():
        check_name(name, "shapes")
        pair = tuple(shape) if isinstance(shape, list | tuple) else ()
        if len(pair) != 2 or not all(_is_dimension(size) for size in pair):
            message = (
                f"shapes[{name!r}] must be a pair of dimension names or positive numbers, but it is {_shown(shape)}. "
                "Write for example ('d', 'n') or ('d', 1)."
            )
            raise ClaimError(message)
        read[name] = (pair[0], pair[1])
    return read


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _is_dimension(size: object) -> bool:
    if isinstance(size, str):
        return size.isidentifier() and not iskeyword(size)
    return isinstance(size, int) and not isinstance(size, bool) and size >= 1


def _read_scalars(scalars: Sequence[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    names, positive = [], []
    for text in scalars:
        name, sign, bound = (part.strip() for part in text.partition(">"))
        check_name(name, "scalars")
        if sign and bound != "0":
            message = f"scalars must hold names or `name > 0`, but it holds `{text}`. Only > 0 can be declared."
            raise ClaimError(message)
        names.append(name)
        if sign:
            positive.append(name)
    return tuple(names), frozenset(positive)


def texts(items: Iterable[str], argument: str) -> tuple[str, ...]:
    """The items of a list argument.

    Raises:
        ClaimError: If the argument is one text, which would be split into its characters.
    """
    if isinstance(items, str):
        message = f"{argument} must be a list of texts, but it is the text {items!r}. Put it in brackets."
        raise ClaimError(message)
    listed = tuple(items) if isinstance(items, Iterable) else ()
    if not isinstance(items, Iterable) or not all(isinstance(item, str) for item in listed):
        message = f"{argument} must be a list of texts, but it is {_shown(items)}. Write each as a text."
        raise ClaimError(message)
    check_size(argument, len(listed), ITEMS, "entries")
    return listed


def table(items: Mapping[str, str] | None, argument: str) -> dict[str, str]:
    """The entries of a table argument.

    Raises:
        ClaimError: If the argument is no table from names to texts.
    """
    if items is None:
        return {}
    if not isinstance(items, Mapping) or not all(isinstance(text, str) for pair in items.items() for text in pair):
        message = f"{argument} must map names to texts, but it is {_shown(items)}. Write {{'E': 'X @ X.T'}}, say."
        raise ClaimError(message)
    check_size(argument, len(items), ITEMS, "entries")
    return dict(items)


def _check_distinct(*groups: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in (name for group in groups for name in group):
        if name in seen:
            message = (
                f"every name must be declared once in shapes, scalars, flow and where, but `{name}` is declared twice. "
                "Rename one (the shape of a flow follows from its generator)."
            )
            raise ClaimError(message)
        seen.add(name)


def _read_definitions(where: Mapping[str, str], names: Names) -> Names:
    """Each definition may use those before it."""
    for name, text in where.items():
        check_name(name, "where")
        value = parse_expression(text, names, f"where[{name!r}]")
        names = replace(names, definitions={**names.definitions, name: value})
    return names


def _read_generator(name: str, text: str, names: Names) -> Expression:
    check_name(name, "flow")
    argument = f"flow[{name!r}]"
    tree = parse_matrix(text, names, argument)
    for part in walk(tree):
        flow = isinstance(part, Letter) and part.name in names.flows
        timed = isinstance(part, Scaled) and TIME in symbols(part.factor)
        if flow or timed or isinstance(part, Integral | Derivative | Start | Limit):
            message = f"{argument} must be constant in time, but `{text}` contains `{part}`. Take it out."
            raise ClaimError(message)
    return tree


def _sized_generator(name: str, tree: Expression, shapes: Mapping[str, Shape], size: Dimension | None) -> Expression:
    generator = infer(tree, shapes, None if size is None else (size, size))
    shape = shape_of(generator, shapes)
    if shape[0] != shape[1]:
        message = f"flow[{name!r}] must be square, but `{tree}` is {show(shape)}. Multiply it by its transpose."
        raise ClaimError(message)
    return generator


def _read_hypothesis(text: str, names: Names, shapes: Mapping[str, Shape]) -> Hypothesis:
    equation = parse_equation(text, names, "assume")
    if isinstance(equation, ScalarEquation):
        message = (
            f"assume must hold equations between matrices, but `{text}` equates scalars. Only a claim can do that."
        )
        raise ClaimError(message)
    typed = infer_equation(equation, shapes, "assume")
    return Hypothesis(text, typed, typed)


def _rate_letter(hypothesis: Hypothesis) -> str | None:
    match hypothesis.equation.left:
        case Derivative(Letter(name)):
            return name
    return None


def _read_rates(assumed: Sequence[Hypothesis], dynamics: Dynamics) -> tuple[dict[str, Expression], dict[str, str]]:
    """The hypotheses of the form ``d(W) == ...``; a derivative anywhere else in a hypothesis has no meaning."""
    rates: dict[str, Expression] = {}
    texts: dict[str, str] = {}
    for item in assumed:
        name = _rate_letter(item)
        equation = item.equation
        derivatives = [part for side in (equation.left, equation.right) for part in walk(side)]
        if sum(isinstance(part, Derivative) for part in derivatives) != (name is not None):
            message = (
                f"assume may use d(.) only as `d(W) == ...`, W a letter, but it holds `{item.text}`. Solve for d(W)."
            )
            raise ClaimError(message)
        if name is None:
            continue
        if name in rates or name in dynamics.generators:
            message = f"assume must give one rate for {name}, but `{item.text}` gives a second. Remove one."
            raise ClaimError(message)
        rates[name], texts[name] = equation.right, item.text
    return rates, texts


def _resolve(equation: Equation, dynamics: Dynamics) -> Equation:
    return replace(equation, left=dynamics.resolve(equation.left), right=dynamics.resolve(equation.right))


def _check_random_letters(claim: Equation, assumed: Sequence[Hypothesis], dynamics: Dynamics) -> None:
    parts = [part for side in (claim.left, claim.right) for part in walk(side)]
    hidden = [part.matrix for part in parts if isinstance(part, Pinv)] + [*dynamics.generators.values()]
    stated = [side for item in assumed for side in (item.equation.left, item.equation.right)]
    check_expectations(claim, _letters(stated), _letters(hidden) | set(dynamics.generators))


def _letters(trees: Iterable[Expression]) -> set[str]:
    return {part.name for tree in trees for part in walk(tree) if isinstance(part, Letter)}
