"""A formula of one variable from text, by a whitelist over Python's syntax tree: nothing is ever evaluated as Python."""

import ast
import math
import operator
from typing import Any

import sympy

from theory.errors import SettingError

FUNCTIONS = {name: getattr(sympy, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tanh")}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
MAX_LENGTH = 500
MAX_EXPONENT = 64
MAX_DIGITS = 200  # of a number that a power makes


def parse_formula(argument: str, formula: Any, variable: sympy.Symbol) -> sympy.Expr:
    """The formula as sympy's, decimal numbers exactly as they are written.

    Args:
        argument: Its name in errors.
        formula: Text, or a sympy expression of the same kind.
        variable: What it may depend on; a symbol of its name in a sympy expression is taken for it.

    Raises:
        SettingError: With the part that is none of numbers, the variable, pi, + - * / ** and the known functions.

    Example:
        >>> parse_formula("formula", "0.5*exp(-t/10)", sympy.Symbol("t"))
        exp(-t/10)/2
    """
    if isinstance(formula, sympy.Expr):
        formula = str(formula)
    if not isinstance(formula, str) or len(formula) > MAX_LENGTH:
        found = f"{len(formula)} characters" if isinstance(formula, str) else repr(formula)
        message = (
            f"{argument} must be a formula in {variable} of at most {MAX_LENGTH} characters, but it is {found}. "
            f"Write, say, '1/(1 + {variable})'."
        )
        raise SettingError(message)
    try:
        read = _Reading(variable).visit(ast.parse(formula, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, ZeroDivisionError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        message = (
            f"{argument} must be a formula in {variable} made of numbers, pi, + - * / ** and {', '.join(FUNCTIONS)}, but "
            f"{formula!r} is not: {reason}. Write, say, '1/(1 + {variable})'."
        )
        raise SettingError(message) from None
    if read.has(sympy.nan, sympy.zoo, sympy.oo, sympy.I):
        message = f"{argument} must be finite and real, but {formula!r} is {read}. Write, say, '1/(1 + {variable})'."
        raise SettingError(message)
    return read


class _Reading(ast.NodeVisitor):
    """Each node of the tree as sympy's; ValueError for what is not on the list."""

    def __init__(self, variable: sympy.Symbol) -> None:
        self.names = {variable.name: variable, "pi": sympy.pi, "E": sympy.E}

    def visit_Constant(self, node: ast.Constant) -> sympy.Expr:
        """A number."""
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            raise ValueError(f"{node.value!r} is no number")  # noqa: EM102, a reason inside an error
        return sympy.Rational(str(node.value)) if math.isfinite(node.value) else sympy.oo

    def visit_Name(self, node: ast.Name) -> sympy.Expr:
        """The variable or pi."""
        if node.id not in self.names:
            raise ValueError(f"{node.id} is unknown")  # noqa: EM102
        return self.names[node.id]

    def visit_UnaryOp(self, node: ast.UnaryOp) -> sympy.Expr:
        """A sign."""
        if not isinstance(node.op, (ast.USub, ast.UAdd)):
            return self.generic_visit(node)
        value = self.visit(node.operand)
        return -value if isinstance(node.op, ast.USub) else value

    def visit_BinOp(self, node: ast.BinOp) -> sympy.Expr:
        """A sum, a product, or a power with a small exponent."""
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Pow):
            big = right.is_number and abs(right) > MAX_EXPONENT
            if big or (left.is_Rational and right.is_number and abs(right) * len(str(left)) > MAX_DIGITS):
                raise ValueError("a power is too large")  # noqa: EM101
            return left**right
        if type(node.op) not in OPERATORS:
            return self.generic_visit(node)
        return OPERATORS[type(node.op)](left, right)

    def visit_Call(self, node: ast.Call) -> sympy.Expr:
        """A known function of one argument."""
        name = node.func.id if isinstance(node.func, ast.Name) else "that"
        if name not in FUNCTIONS or len(node.args) != 1 or node.keywords:
            raise ValueError(f"{name} is not one of its functions of one argument")  # noqa: EM102
        return FUNCTIONS[name](self.visit(node.args[0]))

    def generic_visit(self, node: ast.AST) -> sympy.Expr:
        """Everything else."""
        raise ValueError(f"it holds a {type(node).__name__}")  # noqa: EM102
