"""Shapes by dimension name: the sizes of ``I`` and ``0`` are inferred, everything else is checked."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from theory.errors import ClaimError
from theory.operators.expressions import (
    Dimension,
    Equation,
    Expression,
    Identity,
    Integral,
    Letter,
    Pinv,
    Product,
    Scaled,
    Shape,
    Sum,
    Transpose,
    Unary,
    Zero,
    children,
    walk,
)
from theory.operators.functionals import Trace, rebuilt
from theory.operators.scalars import Scalar

_TRIALS = 200
"""Combinations of sizes that are tried for flows whose generator is a multiple of ``I``."""

_Slot = int  # a dimension under inference: an index into `_Inference.parents`


def show(shape: Shape) -> str:
    """A shape in words, such as d×n."""
    return f"{shape[0]}×{shape[1]}"


def infer(expression: Expression, shapes: Mapping[str, Shape], expected: Shape | None = None) -> Expression:
    """Fill in the sizes of every ``I`` and ``0``.

    Args:
        expression: A tree as it was parsed.
        shapes: The shape of every letter, flows included.
        expected: The shape the whole must have, if that is known.

    Raises:
        ClaimError: If two shapes do not fit (the message names both), or a size stays unknown.

    Example:
        >>> shapes = {"X": ("d", "n")}
        >>> infer(Letter("X") @ Letter("X").T + Identity(), shapes).right
        Identity(size='d')
    """
    return _Inference(shapes).run(expression, expected)


def infer_equation(equation: Equation, shapes: Mapping[str, Shape], argument: str) -> Equation:
    """Fill in the sizes on both sides, which must have the same shape.

    Raises:
        ClaimError: As for `infer`.
    """
    # Inferring the difference lets each side fix the sizes of the other.
    try:
        typed = infer(Sum(equation.left, equation.right), shapes)
    except ClaimError as error:
        message = f"{argument} `{equation}`: {error}"
        raise ClaimError(message) from None
    assert isinstance(typed, Sum)
    return replace(equation, left=typed.left, right=typed.right)


def sizes_from_use(
    generators: Mapping[str, Expression], equations: Sequence[Equation], shapes: Mapping[str, Shape]
) -> dict[str, Dimension]:
    """The sizes of the flows whose generator is a multiple of ``I``: they follow from where the flows stand.

    Raises:
        ClaimError: If several sizes fit.

    Example:
        >>> claim = Equation(Letter("M") @ Letter("X"), Letter("X") @ Letter("M"))
        >>> sizes_from_use({"M": Identity()}, [claim], {"X": ("d", "d"), "Y": ("n", "n")})
        {'M': 'd'}
    """
    unsized = [name for name, tree in generators.items() if not any(isinstance(part, Letter) for part in walk(tree))]
    parts = [part for equation in equations for side in (equation.left, equation.right) for part in walk(side)]
    used = {
        part.name if isinstance(part, Letter) else part.flow for part in parts if isinstance(part, Letter | Integral)
    }
    dimensions = list(dict.fromkeys(size for shape in shapes.values() for size in shape))
    known = dict(shapes)
    for name in generators.keys() - unsized:
        size = shape_of(infer(generators[name], shapes), shapes)[0]
        known[name] = size, size
    wanted = [name for name in unsized if name in used]
    fitting = []
    for sizes in itertools.islice(itertools.product(dimensions, repeat=len(wanted)), _TRIALS):
        trial = known | {name: (size, size) for name, size in zip(wanted, sizes, strict=True)}
        with contextlib.suppress(ClaimError):
            for equation in equations:
                infer_equation(equation, trial, "claim")
            fitting.append(sizes)
    if len(fitting) > 1:
        choices = " or ".join(str(size) for size in dict.fromkeys(sizes[0] for sizes in fitting))
        message = f"the size of flow[{wanted[0]!r}] must follow from where it stands, but it may be {choices}. Add 0 * A @ A.T."
        raise ClaimError(message)
    found = fitting[0] if fitting else dimensions[:1] * len(wanted)
    return dict.fromkeys(unsized, dimensions[0]) | dict(zip(wanted, found, strict=True)) if dimensions else {}


def shape_of(expression: Expression, shapes: Mapping[str, Shape]) -> Shape:
    """The shape of a tree whose sizes are all filled in.

    Example:
        >>> shape_of(Letter("X").T, {"X": ("d", "n")})
        ('n', 'd')
    """
    match expression:
        case Letter(name) | Integral(name):
            return shapes[name]
        case Identity(size) if size is not None:
            return size, size
        case Zero(shape) if shape is not None:
            return shape
        case Product(left, right):
            return shape_of(left, shapes)[0], shape_of(right, shapes)[1]
        case Transpose(matrix) | Pinv(matrix):
            rows, columns = shape_of(matrix, shapes)
            return columns, rows
    return shape_of(children(expression)[0], shapes)


@dataclass(frozen=True)
class _Unknown:
    """A dimension that is not known yet; it stands in the tree until the inference ends."""

    slot: _Slot


class _Inference:
    """Unification of dimensions; every slot is a name, a number, or equal to another slot."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes
        self.parents: list[_Slot] = []
        self.values: list[Dimension | None] = []
        self.of_dimension: dict[Dimension, _Slot] = {}

    def run(self, expression: Expression, expected: Shape | None) -> Expression:
        tree, (rows, columns) = self.visit(expression)
        if expected is not None:
            wanted = self.known(expected[0]), self.known(expected[1])
            if not self.unify_all((rows, wanted[0]), (columns, wanted[1])):
                message = (
                    f"`{expression}` must be {show(expected)}, but it is {self.text((rows, columns))}. "
                    "Correct the shapes or the expression."
                )
                raise ClaimError(message)
        return self.fill(tree)

    def fresh(self, value: Dimension | None = None) -> _Slot:
        self.parents.append(len(self.parents))
        self.values.append(value)
        return len(self.parents) - 1

    def known(self, dimension: Dimension) -> _Slot:
        if dimension not in self.of_dimension:
            self.of_dimension[dimension] = self.fresh(dimension)
        return self.of_dimension[dimension]

    def root(self, slot: _Slot) -> _Slot:
        while self.parents[slot] != slot:
            slot = self.parents[slot]
        return slot

    def unify(self, first: _Slot, second: _Slot) -> bool:
        a, b = self.root(first), self.root(second)
        if a == b:
            return True
        if self.values[a] is not None and self.values[b] is not None:
            return False
        if self.values[a] is None:
            a, b = b, a
        self.parents[b] = a
        return True

    def unify_all(self, *pairs: tuple[_Slot, _Slot]) -> bool:
        return all([self.unify(a, b) for a, b in pairs])

    def text(self, shape: tuple[_Slot, _Slot]) -> str:
        first, second = (self.values[self.root(slot)] for slot in shape)
        return f"{'?' if first is None else first}×{'?' if second is None else second}"

    def visit(self, node: Expression) -> tuple[Expression, tuple[_Slot, _Slot]]:
        match node:
            case Letter(name) | Integral(name):
                rows, columns = self.shapes[name]
                return node, (self.known(rows), self.known(columns))
            case Identity(None):
                size = self.fresh()
                return Identity(_Unknown(size)), (size, size)  # type: ignore[arg-type]
            case Identity(dimension) if dimension is not None:
                return node, (self.known(dimension), self.known(dimension))
            case Zero(None):
                shape = self.fresh(), self.fresh()
                return Zero((_Unknown(shape[0]), _Unknown(shape[1]))), shape  # type: ignore[arg-type]
            case Zero(known) if known is not None:
                return node, (self.known(known[0]), self.known(known[1]))
            case Sum(left, right):
                first, a = self.visit(left)
                second, b = self.visit(right)
                if not self.unify_all((a[0], b[0]), (a[1], b[1])):
                    message = "added or equated matrices must have one shape"
                    raise self.mismatch(message, left, a, right, b)
                return Sum(first, second), a
            case Product(left, right):
                first, a = self.visit(left)
                second, b = self.visit(right)
                if not self.unify(a[1], b[0]):
                    message = "the inner sizes of a product must agree"
                    raise self.mismatch(message, left, a, right, b)
                return Product(first, second), (a[0], b[1])
            case Scaled(factor, matrix):
                inner, shape = self.visit(matrix)
                return Scaled(rebuilt(factor, self.visit_trace), inner), shape
            case Unary(matrix):
                inner, shape = self.visit(matrix)
                flipped = isinstance(node, Transpose | Pinv)
                return replace(node, matrix=inner), (shape[1], shape[0]) if flipped else shape
        raise TypeError(node)

    def visit_trace(self, trace: Trace) -> Scalar:
        inner, (rows, columns) = self.visit(trace.matrix)
        if not self.unify(rows, columns):
            message = (
                f"the matrix in a trace must be square, but `{trace.matrix}` is {self.text((rows, columns))}. "
                "Correct the shapes or the expression."
            )
            raise ClaimError(message)
        return Trace(inner, _Unknown(rows))  # type: ignore[arg-type]

    def mismatch(
        self, rule: str, left: Expression, a: tuple[_Slot, _Slot], right: Expression, b: tuple[_Slot, _Slot]
    ) -> ClaimError:
        found = f"`{left}` is {self.text(a)} and `{right}` is {self.text(b)}"
        return ClaimError(f"{rule}, but {found}. Transpose one of them or correct the shapes.")

    def fill(self, node: Expression) -> Expression:
        match node:
            case Identity(_Unknown() as size):
                return Identity(self.settled(size, node))
            case Zero((_Unknown() as rows, _Unknown() as columns)):
                return Zero((self.settled(rows, node), self.settled(columns, node)))
            case Sum(left, right):
                return Sum(self.fill(left), self.fill(right))
            case Product(left, right):
                return Product(self.fill(left), self.fill(right))
            case Scaled(factor, matrix):
                return Scaled(rebuilt(factor, self.fill_trace), self.fill(matrix))
            case Unary(matrix):
                return replace(node, matrix=self.fill(matrix))
        return node

    def fill_trace(self, trace: Trace) -> Scalar:
        return Trace(self.fill(trace.matrix), self.settled(trace.size, trace.matrix))

    def settled(self, unknown: object, node: Expression) -> Dimension:
        assert isinstance(unknown, _Unknown)
        value = self.values[self.root(unknown.slot)]
        if value is None:
            message = f"the size of every `{node}` must follow from its place, but one does not. Leave it out, or write dim(d) for tr(I)."
            raise ClaimError(message)
        return value
