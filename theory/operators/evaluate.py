"""Evaluate a formula on arrays of any library: numpy, torch, or the exact matrices of the counterexamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from theory.errors import ClaimError
from theory.operators.expressions import (
    Dimension,
    Expression,
    Identity,
    Integral,
    Letter,
    Pinv,
    Product,
    Scaled,
    Start,
    Sum,
    Transpose,
    Zero,
)
from theory.operators.functionals import Expectation, Trace, dimension_symbol
from theory.operators.scalars import Number, Operation, Power, Scalar, Symbol

_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Multiple:
    """A multiple of an identity whose size is not known yet; None stands for the zero matrix of any shape."""

    factor: Any


def evaluate(
    expression: Expression,
    arrays: Mapping[str, Any],
    *,
    identity: Callable[[int], Any],
    pinv: Callable[[Any], Any],
    flows: Mapping[str, Any] = _NONE,
    integrals: Mapping[str, Any] = _NONE,
    number: Callable[[Fraction], Any] = float,
) -> Any:
    """The value of a formula; leading axes are batches, as in numpy's and torch's ``@``.

    Args:
        expression: A tree without ``d``, ``start`` and ``limit``, such as `formula` returns.
        arrays: The value of each letter and each scalar (scalars of a batch need two trailing axes of length 1),
            and of each size ``dim(d)`` that the formula needs.
        identity: The identity matrix of a given size, such as ``numpy.eye``.
        pinv: The pseudo-inverse; the caller decides the rank.
        flows: For each flow its exponential at the time wanted.
        integrals: For each flow the integral of the exponential from 0 to that time.
        number: Turns an exact constant into the number type of the arrays.

    Raises:
        ClaimError: If a value is missing, the formula is a multiple of ``I`` of unknown size, or it has an expectation.

    Example:
        >>> import numpy as np
        >>> from theory.operators import formula
        >>> tree = formula("X @ (I - E)", {"X": ("q", "d"), "S": ("d", "d")}, flow={"E": "S"})
        >>> x, decay = np.array([[2.0]]), np.array([[0.25]])
        >>> evaluate(tree, {"X": x}, identity=np.eye, pinv=np.linalg.pinv, flows={"E": decay})
        array([[1.5]])
    """
    result = Evaluation(arrays, identity, pinv, flows, integrals, number).value(expression)
    if isinstance(result, Multiple):
        message = f"expression must contain a matrix, but `{expression}` is a multiple of I. Add its size."
        raise ClaimError(message)
    return result


def diagonal_sum(array: Any) -> Any:
    """The trace over the last two axes, which stay with length 1 if there are others; for numpy and torch."""
    total = sum(array[..., place, place] for place in range(array.shape[-1]))
    return total if len(array.shape) == 2 else total[..., None, None]


@dataclass(frozen=True)
class Evaluation:
    """The values of the letters; `value` walks the tree, and keeps multiples of ``I`` until they meet a matrix.

    Attributes:
        mean: The mean of a scalar over a random matrix, given its name, how to evaluate the scalar for one value of it,
            the value that stands for it, and the variance; None if means cannot be evaluated.
    """

    arrays: Mapping[str, Any]
    identity: Callable[[int], Any]
    pinv: Callable[[Any], Any]
    flows: Mapping[str, Any]
    integrals: Mapping[str, Any]
    number: Callable[[Fraction], Any]
    trace: Callable[[Any], Any] = diagonal_sum
    mean: Callable[[str, Callable[[Any], Any], Any, Any], Any] | None = None

    def value(self, node: Expression) -> Any:
        """The value of a tree, or a `Multiple`."""
        match node:
            case Letter(name):
                return self._named(name, self.flows if name in self.flows else self.arrays)
            case Integral(name):
                return self._named(name, self.integrals)
            case Start():
                return self._named(str(node), self.arrays)
            case Identity(int(size)):
                return self.identity(size)
            case Identity():
                return Multiple(self.number(Fraction(1)))
            case Zero():
                return Multiple(None)
            case Sum(left, right):
                return self._sum(self.value(left), self.value(right))
            case Product(left, right):
                return self._product(self.value(left), self.value(right))
            case Scaled(factor, matrix):
                return self._product(Multiple(self.scalar(factor)), self.value(matrix))
            case Transpose(matrix):
                inner = self.value(matrix)
                return inner if isinstance(inner, Multiple) else inner.conj().swapaxes(-1, -2)
            case Pinv(matrix):
                inner = self.value(matrix)
                if isinstance(inner, Multiple):
                    return inner if inner.factor is None else Multiple(1 / inner.factor)
                return self.pinv(inner)
        message = f"expression must be free of d, start and limit, but it has `{node}`. Take it from formula()."
        raise ClaimError(message)

    def scalar(self, scalar: Scalar) -> Any:
        """The value of a scalar."""
        match scalar:
            case Number(value):
                return self.number(value)
            case Symbol(name):
                return self._named(name, self.arrays)
            case Power(base, exponent):
                return self.scalar(base) ** exponent
            case Operation(left, sign, right):
                a, b = self.scalar(left), self.scalar(right)
                if sign == "/":
                    return a / b
                return a + b if sign == "+" else a - b if sign == "-" else a * b
            case Trace(matrix, size):
                return self._trace(self.value(matrix), size)
            case Expectation(value, letter, variance) if self.mean is not None:

                def at(array: Any) -> Any:
                    return replace(self, arrays={**self.arrays, letter: array}).scalar(value)

                return self.mean(letter, at, self._named(letter, self.arrays), self.scalar(variance))
        message = f"expression must be free of expectations and derivatives, but it has `{scalar}`. Evaluate its value."
        raise ClaimError(message)

    def _trace(self, value: Any, size: Dimension | None) -> Any:
        if not isinstance(value, Multiple):
            return self.trace(value)
        if value.factor is None:
            return self.number(Fraction(0))
        if isinstance(size, int):
            return self.number(Fraction(size)) * value.factor
        return self._named(dimension_symbol(str(size)).name, self.arrays) * value.factor

    def _named(self, name: str, values: Mapping[str, Any]) -> Any:
        if name not in values:
            known = ", ".join(values) or "none"
            message = f"every letter must have a value, but `{name}` has none (given: {known}). Pass it."
            raise ClaimError(message)
        return values[name]

    def _sum(self, left: Any, right: Any) -> Any:
        if isinstance(left, Multiple) and isinstance(right, Multiple):
            if left.factor is None or right.factor is None:
                return right if left.factor is None else left
            return Multiple(left.factor + right.factor)
        if isinstance(left, Multiple):
            left, right = right, left
        if isinstance(right, Multiple):
            return left if right.factor is None else left + self.identity(left.shape[-1]).__rmul__(right.factor)
        return left + right

    def _product(self, left: Any, right: Any) -> Any:
        if not isinstance(left, Multiple) and not isinstance(right, Multiple):
            return left @ right
        if isinstance(right, Multiple):
            left, right = right, left
        if left.factor is None:
            return left
        if isinstance(right, Multiple):
            return right if right.factor is None else Multiple(left.factor * right.factor)
        return right.__rmul__(left.factor)  # a field element on the left would take a zero matrix for the number 0
