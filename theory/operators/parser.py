"""From the text of the claim language to expression trees, by way of Python's own grammar; nothing is evaluated."""

from __future__ import annotations

import ast
import difflib
import keyword
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from theory.errors import ClaimError
from theory.operators.expressions import (
    Derivative,
    Equation,
    Expression,
    Identity,
    Integral,
    Letter,
    Limit,
    Pinv,
    Start,
    Zero,
)
from theory.operators.scalars import Number, Scalar, Symbol

Value = Expression | Scalar

RESERVED = frozenset({"I", "t", "pinv", "tr", "d", "integral", "start", "limit"})
_FUNCTIONS: dict[str, Callable[[Expression], Expression]] = {
    "pinv": Pinv,
    "d": Derivative,
    "start": Start,
    "limit": Limit,
}


@dataclass(frozen=True)
class Names:
    """What the names in a text stand for: matrices, flows (also matrices), scalars, and local definitions."""

    matrices: frozenset[str] = frozenset()
    flows: frozenset[str] = frozenset()
    scalars: frozenset[str] = frozenset({"t"})
    definitions: Mapping[str, Value] = field(default_factory=dict)


def parse_equation(text: str, names: Names, argument: str = "claim") -> Equation:
    """Read ``left == right``.

    Raises:
        ClaimError: If the text is not one equation between matrices over the known names.

    Example:
        >>> print(parse_equation("W@X - Y == 0", Names(frozenset("WXY"))))
        W @ X - Y == 0
    """
    tree = _syntax(text, argument)
    if not (isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Eq)):
        message = f"{argument} must be one equation `left == right`, but it is `{text}`. Write a single `==`."
        raise ClaimError(message)
    reader = _Reader(names, argument, text)
    left, right = reader.read(tree.left), reader.read(tree.comparators[0])
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        problem = f"{argument} must equate matrices, but both sides of `{text}` are scalars."
        message = f"{problem} Multiply each by I."
        raise ClaimError(message)
    return Equation(reader.matrix(left), reader.matrix(right))


def parse_expression(text: str, names: Names, argument: str = "expression") -> Value:
    """Read one matrix or scalar.

    Raises:
        ClaimError: If the text is not an expression over the known names.

    Example:
        >>> print(parse_expression("1/2 * (X @ X.T + I)", Names(frozenset("X"))))
        1/2 * (X @ X.T + I)
    """
    return _Reader(names, argument, text).read(_syntax(text, argument))


def parse_matrix(text: str, names: Names, argument: str = "expression") -> Expression:
    """Read one matrix; a lone ``0`` is the zero matrix.

    Raises:
        ClaimError: If the text is not a matrix over the known names.
    """
    reader = _Reader(names, argument, text)
    return reader.matrix(reader.read(_syntax(text, argument)))


def check_name(name: str, argument: str) -> None:
    """Refuse what cannot name a matrix or a scalar.

    Raises:
        ClaimError: If the name is not an identifier or is a word of the language.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        message = f"a name in {argument} must be an identifier, but it is {name!r}. Use letters and digits."
        raise ClaimError(message)
    if name in RESERVED:
        message = f"a name in {argument} must not be a word of the language, but it is {name!r}. Rename it."
        raise ClaimError(message)


def _syntax(text: str, argument: str) -> ast.expr:
    if not isinstance(text, str):
        message = f"{argument} must be text, but it is of type {type(text).__name__}. Pass a string."
        raise ClaimError(message)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        reason = getattr(error, "message", str(error))
        message = f"{argument} must be written in the claim language, but `{text}` does not parse: {reason}."
        message = f"{message} Write for example `W @ X == Y`."
        raise ClaimError(message) from None


class _Reader:
    """Turns a syntax tree into a value; knows the argument it reads only for the sake of its errors."""

    def __init__(self, names: Names, argument: str, text: str) -> None:
        self.names = names
        self.argument = argument
        self.text = text

    def read(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as value):
                return Number(Fraction(repr(value)))
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.Attribute(value=value, attr="T"):
                return self.matrix(self.read(value)).T
            case ast.BinOp(left=left, op=operator, right=right):
                return self.binary(self.read(left), operator, self.read(right))
            case ast.Call(func=ast.Name(id=function), args=[argument], keywords=[]):
                return self.call(function, argument)
        message = "only names, numbers, `+ - * / @`, `.T` and the named functions"
        raise self.error(message, f"`{ast.unparse(node)}`")

    def name(self, name: str) -> Value:
        names = self.names
        if name == "I":
            return Identity()
        if name in names.definitions:
            return names.definitions[name]
        if name in names.scalars:
            return Symbol(name)
        if name in names.matrices or name in names.flows:
            return Letter(name)
        known = sorted({*names.definitions, *names.scalars, *names.matrices, *names.flows, "I"})
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        repair = f"Did you mean `{near[0]}`?" if near else "Give its shape in shapes, or list it in scalars."
        problem = f"{self.argument} must use known names ({', '.join(known)}), but it uses `{name}`."
        message = f"{problem} {repair}"
        raise ClaimError(message)

    def call(self, function: str, argument: ast.expr) -> Value:
        if function in _FUNCTIONS:
            return _FUNCTIONS[function](self.matrix(self.read(argument)))
        if function == "integral":
            if isinstance(argument, ast.Name) and argument.id in self.names.flows:
                return Integral(argument.id)
            flows = ", ".join(sorted(self.names.flows)) or "none"
            message = f"the name of a flow inside integral(...) (here: {flows})"
            raise self.error(message, f"`{ast.unparse(argument)}`")
        if function == "tr":
            message = "equations between matrices"
            raise self.error(message, "`tr(...)`, which the prover does not read", "Drop the trace")
        known = [*_FUNCTIONS, "integral"]
        near = difflib.get_close_matches(function, known, n=1, cutoff=0.3)
        repair = f"Did you mean `{near[0]}`" if near else "Use one of them"
        end = "?" if near else "."
        message = f"{self.argument} must use the functions {', '.join(known)}, but it calls `{function}`. {repair}{end}"
        raise ClaimError(message)

    def binary(self, left: Value, operator: ast.operator, right: Value) -> Value:
        match operator:
            case ast.MatMult():
                if isinstance(left, Scalar) or isinstance(right, Scalar):
                    if Number(Fraction(0)) in (left, right):
                        return Zero()
                    scalar = left if isinstance(left, Scalar) else right
                    message = "a matrix on both sides of `@`"
                    raise self.error(message, f"the scalar `{scalar}`", "Multiply it with `*`")
                return left @ right
            case ast.Mult():
                if isinstance(left, Scalar):
                    return left * right
                return left * self.scalar(right)
            case ast.Div():
                if isinstance(right, Expression):
                    message = "a scalar below `/`"
                    raise self.error(message, f"the matrix `{right}`", "Multiply by pinv(...)")
                return left / right
            case ast.Add() | ast.Sub():
                if isinstance(left, Scalar) and isinstance(right, Scalar):
                    return left + right if isinstance(operator, ast.Add) else left - right
                first, second = self.matrix(left), self.matrix(right)
                return first + second if isinstance(operator, ast.Add) else first - second
            case ast.Pow() if isinstance(left, Scalar) and isinstance(right, Number) and right.value.denominator == 1:
                return left ** int(right.value)
        message = "only `+ - * / @`, and `**` from a scalar to a whole number"
        raise self.error(message, f"`{self.text}`")

    def matrix(self, value: Value) -> Expression:
        if isinstance(value, Expression):
            return value
        if value == Number(Fraction(0)):
            return Zero()
        message = "a matrix"
        raise self.error(message, f"the scalar `{value}`", f"Write `{value} * I`")

    def scalar(self, value: Value) -> Scalar:
        if isinstance(value, Scalar):
            return value
        message = "a scalar on one side of `*`"
        raise self.error(message, f"two matrices, one of them `{value}`", "Multiply with `@`")

    def error(self, wanted: str, found: str, repair: str = "Rewrite it") -> ClaimError:
        return ClaimError(f"{self.argument} `{self.text}` must have {wanted} here, but has {found}. {repair}.")
