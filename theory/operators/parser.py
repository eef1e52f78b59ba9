"""From the text of the claim language to expression trees.

Matrices: names with shapes, ``I``, ``0``, ``A @ B``, ``A + B``, ``A - B``, ``c * A``, ``A / c``, ``A.T``, ``pinv(A)``, flows,
``integral(E)``. In time: ``d(A)``, ``start(A)``, ``limit(A)``. Scalars: names, rational constants, ``t``, ``dim(d)``,
``+ - * / **``. Scalars made of matrices: ``tr(A)``, ``expect(s, W, v)``, ``var(s, W, v)``, and ``d``, ``start``, ``limit`` of
them; they may be added and multiplied, but be no factor of a matrix and no denominator. ``==`` joins two matrices, or two
scalars made of matrices.
"""

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
from theory.operators.functionals import Expectation, Ruled, Trace, dimension_symbol, scalar_equation
from theory.operators.limits import EXPONENT, NODES, check_size
from theory.operators.scalars import Number, Scalar, Symbol
from theory.operators.sizes import Value, check_value, nodes
from theory.operators.syntax import check_letters, number, short, syntax

_FUNCTIONS: dict[str, Callable[[Expression], Expression]] = {
    "pinv": Pinv,
    "d": Derivative,
    "start": Start,
    "limit": Limit,
}
_OTHERS = ("integral", "tr", "dim", "expect", "var")
RESERVED = frozenset({"I", "t", *_FUNCTIONS, *_OTHERS})


@dataclass(frozen=True)
class Names:
    """What the names in a text stand for: matrices, flows (also matrices), scalars, and local definitions."""

    matrices: frozenset[str] = frozenset()
    flows: frozenset[str] = frozenset()
    scalars: frozenset[str] = frozenset({"t"})
    definitions: Mapping[str, Value] = field(default_factory=dict)
    dimensions: frozenset[str] = frozenset()


def parse_equation(text: str, names: Names, argument: str = "claim") -> Equation:
    """Read ``left == right``, between matrices or between scalars made of traces.

    Raises:
        ClaimError: If the text is not one equation over the known names.

    Example:
        >>> print(parse_equation("W@X - Y == 0", Names(frozenset("WXY"))))
        W @ X - Y == 0
    """
    tree = syntax(text, argument)
    if not (isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Eq)):
        message = f"{argument} must be one equation `left == right`, but it is `{short(text)}`. Write a single `==`."
        raise ClaimError(message)
    reader = _Reader(names, argument, text)
    left, right = reader.read(tree.left), reader.read(tree.comparators[0])
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        if not left.is_functional and not right.is_functional:
            message = f"{argument} must equate matrices or traces, but both sides of `{short(text)}` are scalars. Multiply each by I."
            raise ClaimError(message)
        check_value(left, argument)
        check_value(right, argument)
        return scalar_equation(left, right)
    equation = Equation(reader.matrix(left), reader.matrix(right))
    check_value(equation.left, argument)
    check_value(equation.right, argument)
    return equation


def parse_expression(text: str, names: Names, argument: str = "expression") -> Value:
    """Read one matrix or scalar.

    Raises:
        ClaimError: If the text is not an expression over the known names.

    Example:
        >>> print(parse_expression("1/2 * (X @ X.T + I)", Names(frozenset("X"))))
        1/2 * (X @ X.T + I)
    """
    value = _Reader(names, argument, text).read(syntax(text, argument))
    check_value(value, argument)
    return value


def parse_matrix(text: str, names: Names, argument: str = "expression") -> Expression:
    """Read one matrix; a lone ``0`` is the zero matrix.

    Raises:
        ClaimError: If the text is not a matrix over the known names.
    """
    value = parse_expression(text, names, argument)
    return _Reader(names, argument, text).matrix(value)


def parse_scalar(text: str, names: Names, argument: str = "expression") -> Scalar:
    """Read one scalar.

    Raises:
        ClaimError: If the text is not a scalar over the known names.
    """
    value = parse_expression(text, names, argument)
    if isinstance(value, Expression):
        message = f"{argument} must be a scalar, but `{short(text)}` is a matrix. Take its trace."
        raise ClaimError(message)
    return value


def check_name(name: str, argument: str) -> None:
    """Refuse what cannot name a matrix or a scalar.

    Raises:
        ClaimError: If the name is not an identifier or is a word of the language.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        message = f"a name in {argument} must be an identifier, but it is {name!r}. Use letters and digits."
        raise ClaimError(message)
    check_letters(name, f"a name in {argument}")
    if name in RESERVED:
        message = f"a name in {argument} must not be a word of the language, but it is {name!r}. Rename it."
        raise ClaimError(message)


class _Reader:
    """Turns a syntax tree into a value; knows the argument it reads only for the sake of its errors."""

    def __init__(self, names: Names, argument: str, text: str) -> None:
        self.names = names
        self.argument = argument
        self.text = text
        self.quoted = short(text)
        self.nodes = 0

    def read(self, node: ast.expr) -> Value:
        constant = number(node, self.text)
        if constant is not None:
            return Number(constant)
        match node:
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
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
                return self.call(function, arguments)
        message = "only names, numbers, `+ - * / @`, `.T` and the named functions"
        raise self.error(message, f"{self.shown(node)} at column {node.col_offset + 1}")

    def name(self, name: str) -> Value:
        names = self.names
        if name == "I":
            return Identity()
        if name in names.definitions:
            self.nodes += nodes(names.definitions[name])
            check_size(self.argument, self.nodes, NODES, "letters and operations")
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

    def call(self, function: str, arguments: list[ast.expr]) -> Value:
        if function not in _FUNCTIONS and function not in _OTHERS:
            known = [*_FUNCTIONS, *_OTHERS]
            near = difflib.get_close_matches(function, known, n=1, cutoff=0.3)
            repair = f"Did you mean `{near[0]}`?" if near else "Use one of them."
            problem = f"{self.argument} must use the functions {', '.join(known)}, but it calls `{function}`."
            message = f"{problem} {repair}"
            raise ClaimError(message)
        if function in ("expect", "var"):
            return self.moment(function, arguments)
        if len(arguments) != 1:
            message = f"one argument in {function}(...)"
            raise self.error(message, str(len(arguments)))
        argument = arguments[0]
        if function == "integral":
            return Integral(self.listed(argument, self.names.flows, "the name of a flow inside integral(...)"))
        if function == "dim":
            return dimension_symbol(self.listed(argument, self.names.dimensions, "a dimension name inside dim(...)"))
        value = self.read(argument)
        if function == "tr":
            return Trace(self.matrix(value))
        if isinstance(value, Scalar) and value.is_functional and function != "pinv":
            return Ruled(function, value)
        return _FUNCTIONS[function](self.matrix(value))

    def listed(self, node: ast.expr, names: frozenset[str], wanted: str) -> str:
        if isinstance(node, ast.Name) and node.id in names:
            return node.id
        known = ", ".join(sorted(names)) or "none"
        message = f"{wanted} (here: {known})"
        raise self.error(message, self.shown(node))

    def moment(self, function: str, arguments: list[ast.expr]) -> Scalar:
        """``expect(value, W, variance)``, and ``var`` as a combination of two of them."""
        if len(arguments) != 3:
            form = f"{function}(value, W, variance)"
            message = f"three arguments in {form}"
            repair = "The entries of W are independent, of mean 0 and of that variance: sigma**2, say, or 1"
            raise self.error(message, str(len(arguments)), repair)
        value, variance = self.read(arguments[0]), self.read(arguments[2])
        letter = self.listed(arguments[1], self.names.matrices, f"a matrix name as the second of {function}(...)")
        if isinstance(value, Expression) or isinstance(variance, Expression):
            matrix = value if isinstance(value, Expression) else variance
            message = f"a scalar in {function}(...)"
            raise self.error(message, f"the matrix `{matrix}`", "Take its trace")
        if function == "expect":
            return Expectation(value, letter, variance)
        return Expectation(value * value, letter, variance) - Expectation(value, letter, variance) ** 2

    def shown(self, node: ast.expr) -> str:
        try:
            return f"`{short(ast.unparse(node))}`"
        except RecursionError:
            return "something deeply nested"

    def binary(self, left: Value, operator: ast.operator, right: Value) -> Value:
        match operator:
            case ast.MatMult():
                if isinstance(left, Scalar) or isinstance(right, Scalar):
                    if Number(Fraction(0)) in (left, right):
                        return self.matrix(left) @ self.matrix(right)
                    scalar = left if isinstance(left, Scalar) else right
                    message = "a matrix on both sides of `@`"
                    raise self.error(message, f"the scalar `{scalar}`", "Multiply it with `*`")
                return left @ right
            case ast.Mult():
                if isinstance(left, Scalar) and isinstance(right, Scalar):
                    return left * right
                factor, matrix = (left, right) if isinstance(left, Scalar) else (self.scalar(right), left)
                self.constant(factor, "a factor of a matrix")
                return factor * matrix
            case ast.Div():
                if isinstance(right, Expression):
                    message = "a scalar below `/`"
                    raise self.error(message, f"the matrix `{right}`", "Multiply by pinv(...)")
                self.constant(right, "a denominator")
                return left / right
            case ast.Add() | ast.Sub():
                if isinstance(left, Scalar) and isinstance(right, Scalar):
                    return left + right if isinstance(operator, ast.Add) else left - right
                first, second = self.matrix(left), self.matrix(right)
                return first + second if isinstance(operator, ast.Add) else first - second
            case ast.Pow() if isinstance(left, Scalar) and isinstance(right, Number) and right.value.denominator == 1:
                check_size("an exponent", int(right.value), EXPONENT, "as its value")
                return left ** int(right.value)
        message = "only `+ - * / @`, and `**` from a scalar to a whole number"
        raise self.error(message, f"`{self.quoted}`")

    def matrix(self, value: Value) -> Expression:
        if isinstance(value, Expression):
            return value
        if value == Number(Fraction(0)):
            return Zero()
        message = "a matrix"
        repair = "Take the trace of the other side" if value.is_functional else f"Write `{value} * I`"
        raise self.error(message, f"the scalar `{value}`", repair)

    def constant(self, value: Scalar, role: str) -> None:
        if value.is_functional:
            message = f"no trace in {role}"
            repair = "Declare a scalar s, and assume what it is: `x.T @ x == s * I`, say"
            raise self.error(message, f"`{value}`", repair)

    def scalar(self, value: Value) -> Scalar:
        if isinstance(value, Scalar):
            return value
        message = "a scalar on one side of `*`"
        raise self.error(message, f"two matrices, one of them `{value}`", "Multiply with `@`")

    def error(self, wanted: str, found: str, repair: str = "Rewrite it") -> ClaimError:
        return ClaimError(f"{self.argument} `{self.quoted}` must have {wanted} here, but has {found}. {repair}.")
