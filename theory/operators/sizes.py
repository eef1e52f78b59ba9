"""How large a parsed value is, before it is expanded; see `limits`."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from theory.operators.expressions import Expression, Scaled, children
from theory.operators.limits import DEGREE, DEPTH, NODES, QUOTIENT, TERMS, check_size
from theory.operators.scalars import Operation, Power, Scalar

Value = Expression | Scalar


def nodes(value: Value) -> int:
    """Letters and operations in a value that was checked before."""
    return sum(len(level) for level in _levels(value))


def check_value(value: Value, argument: str) -> None:
    """Refuse a value that is too large, too deep, or that expands to too much.

    Raises:
        TooLargeError: If it is.
    """
    total = depth = 0
    for level in _levels(value):
        total, depth = total + len(level), depth + 1
        check_size(argument, total, NODES, "letters and operations")
        check_size(argument, depth, DEPTH, "operations inside one another")
    for level in _levels(value):
        for part in level:
            if isinstance(part, Scaled) or (isinstance(part, Scalar) and part is value):
                check_scalar(part.factor if isinstance(part, Scaled) else part, argument)


def check_scalar(scalar: Scalar, argument: str) -> None:
    """Refuse a scalar that expands to a quotient of polynomials with too many terms.

    Raises:
        TooLargeError: If it does.

    Example:
        >>> from theory.operators.scalars import Symbol
        >>> a, b, c = Symbol("a"), Symbol("b"), Symbol("c")
        >>> check_scalar((a + b + c) ** 20, "claim")
        >>> check_scalar(((a + b + c) ** 20) ** 20, "claim")
        Traceback (most recent call last):
        ...
        theory.operators.limits.TooLargeError: claim must have at most 3000 terms in an expanded scalar, but it has more. ...
    """
    size = _extent(scalar)
    limit = TERMS if size.below == 1 else QUOTIENT
    check_size(argument, size.terms + size.below, limit, "terms in an expanded scalar")
    check_size(argument, size.degree + size.degree_below, DEGREE, "as the degree of a scalar")


def _levels(value: Value) -> list[list[Value]]:
    """The nodes of a value by their depth; not deeper and not more than the limits, by one."""
    levels: list[list[Value]] = [[value]]
    total = 1
    while levels[-1] and len(levels) <= DEPTH + 1 and total <= NODES:
        levels.append([child for node in levels[-1] for child in _below(node)])
        total += len(levels[-1])
    return levels if levels[-1] else levels[:-1]


def _below(node: Value) -> tuple[Value, ...]:
    if isinstance(node, Scaled):
        return (node.matrix, node.factor)
    if isinstance(node, Expression):
        return children(node)
    return (*node.parts, *node.matrices)


@dataclass(frozen=True)
class _Extent:
    """Bounds on the numbers of terms and the degrees of a quotient, above and below."""

    terms: int = 1
    below: int = 1
    degree: int = 1
    degree_below: int = 0


def _extent(scalar: Scalar) -> _Extent:
    match scalar:
        case Operation(left, sign, right):
            a, b = _extent(left), _extent(right)
            if sign == "/":
                b = _Extent(b.below, b.terms, b.degree_below, b.degree)
            below, degree_below = a.below * b.below, a.degree_below + b.degree_below
            if sign in "*/":
                return _Extent(a.terms * b.terms, below, a.degree + b.degree, degree_below)
            terms = a.terms * b.below + b.terms * a.below
            return _Extent(terms, below, max(a.degree + b.degree_below, b.degree + a.degree_below), degree_below)
        case Power(base, exponent):
            a = _extent(base)
            above, below = (_power(size, exponent) for size in (a.terms, a.below))
            return _Extent(above, below, exponent * a.degree, exponent * a.degree_below)
    return _Extent()


def _power(terms: int, exponent: int) -> int:
    """Terms of a power of a sum; the bound itself is cut off, for it is only compared with a limit."""
    return comb(min(terms, TERMS + 1) + exponent - 1, exponent) if terms else 0
