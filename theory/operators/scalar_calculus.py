r"""The time derivative, the value at time 0 and the limit of scalars made of traces: the trace is linear.

:math:`\tfrac{d}{dt}\operatorname{tr} A = \operatorname{tr} \dot A`, and the same for the other two and for expectations
of polynomials, where sums are finite. Products and quotients follow the usual rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from theory.errors import ClaimError
from theory.operators.expressions import Expression
from theory.operators.functionals import Expectation, Ruled, Trace, rebuilt
from theory.operators.scalars import (
    TIME,
    Number,
    Operation,
    Power,
    Scalar,
    at_time_zero,
    symbols,
    time_derivative,
)
from theory.operators.sizes import check_value

Rule = Callable[[Expression], Expression]
"""One of `Dynamics.derivative`, `Dynamics.start` and `Dynamics.limit`."""


def carried_out(scalar: Scalar, rules: Mapping[str, Rule], resolve: Rule) -> Scalar:
    """Carry out every ``d``, ``start`` and ``limit`` in a scalar.

    Args:
        scalar: The scalar.
        rules: For each of the three names what it does to a resolved matrix.
        resolve: Carries out those inside a matrix.
    """
    match scalar:
        case Ruled(rule, value):
            inner = carried_out(value, rules, resolve)
            result = _derivative(inner, rules["d"]) if rule == "d" else _value_at(inner, rule, rules[rule])
            check_value(result, f"{rule}(...)")
            return result
        case Trace(matrix):
            return replace(scalar, matrix=resolve(matrix))
        case Operation(left, _, right):
            return replace(scalar, left=carried_out(left, rules, resolve), right=carried_out(right, rules, resolve))
        case Power(base):
            return replace(scalar, base=carried_out(base, rules, resolve))
        case Expectation(value):
            return replace(scalar, value=carried_out(value, rules, resolve))
    return scalar


def _derivative(scalar: Scalar, rule: Rule) -> Scalar:
    if not scalar.is_functional:
        return time_derivative(scalar)
    match scalar:
        case Operation(left, "*", right):
            return _derivative(left, rule) * right + left * _derivative(right, rule)
        case Operation(left, "/", right):
            return (_derivative(left, rule) * right - left * _derivative(right, rule)) / right**2
        case Operation(left, sign, right):
            first, second = _derivative(left, rule), _derivative(right, rule)
            return first + second if sign == "+" else first - second
        case Power(_, 0):
            return Number(Fraction(0))
        case Power(base, exponent):
            return exponent * base ** (exponent - 1) * _derivative(base, rule)
        case Trace(matrix):
            return replace(scalar, matrix=rule(matrix))
        case Expectation(value):
            return replace(scalar, value=_derivative(value, rule))
    raise TypeError(scalar)


def _value_at(scalar: Scalar, name: str, rule: Rule) -> Scalar:
    moved = rebuilt(scalar, lambda trace: replace(trace, matrix=rule(trace.matrix)))
    if name == "start":
        return _at_time_zero(moved)
    if TIME in symbols(scalar):
        message = f"limit(...) must contain only flows and constants, but it meets `{scalar}`. Take it out."
        raise ClaimError(message)
    return moved


def _at_time_zero(scalar: Scalar) -> Scalar:
    match scalar:
        case Trace():
            return scalar
        case Expectation(value):
            return replace(scalar, value=_at_time_zero(value))
        case Operation(left, _, right) if scalar.is_functional:
            return replace(scalar, left=_at_time_zero(left), right=_at_time_zero(right))
        case Power(base) if scalar.is_functional:
            return replace(scalar, base=_at_time_zero(base))
    return at_time_zero(scalar)
