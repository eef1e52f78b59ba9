r"""Matrices over an exact field, and real flows that are rational.

The entries are `Fraction`, or fractions of polynomials in a symbol t. A generator :math:`G` with integer eigenvalues
and a basis of eigenvectors has a flow that is rational at the time :math:`t = -\log r`, r rational in (0, 1):
:math:`e^{-tG} = \sum_\lambda r^\lambda P_\lambda` with Lagrange's projectors
:math:`P_\lambda = \prod_{\mu \ne \lambda} (G - \mu I)/(\lambda - \mu)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

LARGEST_EIGENVALUE = 40


@dataclass(frozen=True)
class ExactMatrix:
    """A matrix with exact entries and the operators that `evaluate` needs.

    Example:
        >>> a = matrix([[1, 2], [3, 4]])
        >>> print(a @ a.swapaxes(-1, -2))
        [5 11; 11 25]
    """

    entries: tuple[tuple[Any, ...], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns; there is at least one of each."""
        return len(self.entries), len(self.entries[0])

    def map(self, function: Callable[[Any], Any]) -> ExactMatrix:
        """The matrix with a function applied to every entry."""
        return ExactMatrix(tuple(tuple(function(value) for value in row) for row in self.entries))

    def swapaxes(self, _first: int, _second: int) -> ExactMatrix:
        """The transpose, by the name that numpy and torch share."""
        return ExactMatrix(tuple(zip(*self.entries, strict=True)))

    def conj(self) -> ExactMatrix:
        """The complex conjugate, by the name that numpy and torch share; rational numbers are real."""
        return self

    def trace(self) -> Any:
        """The sum of the diagonal."""
        return sum((row[place] for place, row in enumerate(self.entries)), 0 * self.entries[0][0])

    def __add__(self, other: ExactMatrix) -> ExactMatrix:
        pairs = zip(self.entries, other.entries, strict=True)
        return ExactMatrix(tuple(tuple(a + b for a, b in zip(x, y, strict=True)) for x, y in pairs))

    def scaled(self, factor: Any) -> ExactMatrix:
        """The matrix times a number or a field element, which may be zero and so may the matrix."""
        return self.map(lambda value: factor * value)

    def __rmul__(self, factor: Any) -> ExactMatrix:
        return self.scaled(factor)

    def __matmul__(self, other: ExactMatrix) -> ExactMatrix:
        columns = list(zip(*other.entries, strict=True))
        return ExactMatrix(
            tuple(
                tuple(sum((a * b for a, b in zip(row, column, strict=True)), 0 * row[0]) for column in columns)
                for row in self.entries
            )
        )

    def __bool__(self) -> bool:
        return any(value != 0 for row in self.entries for value in row)

    def __str__(self) -> str:
        return "[" + "; ".join(" ".join(str(value) for value in row) for row in self.entries) + "]"


def matrix(rows: Iterable[Iterable[int | Fraction]]) -> ExactMatrix:
    """A matrix of fractions."""
    return ExactMatrix(tuple(tuple(Fraction(value) for value in row) for row in rows))


def identity(size: int) -> ExactMatrix:
    """The identity over the rationals."""
    return matrix([[int(i == j) for j in range(size)] for i in range(size)])


def zeros(rows: int, columns: int) -> ExactMatrix:
    """The zero matrix over the rationals."""
    return matrix([[0] * columns] * rows)


def row_reduce(a: ExactMatrix) -> tuple[list[list[Any]], list[int]]:
    """The reduced row echelon form without zero rows, and its pivot columns.

    Example:
        >>> row_reduce(matrix([[2, 4], [1, 2]]))
        ([[Fraction(1, 1), Fraction(2, 1)]], [0])
    """
    rows = [list(row) for row in a.entries]
    pivots: list[int] = []
    for column in range(a.shape[1]):
        top = len(pivots)
        found = next((i for i in range(top, len(rows)) if rows[i][column] != 0), None)
        if found is None:
            continue
        rows[top], rows[found] = rows[found], rows[top]
        pivot = rows[top][column]
        rows[top] = [value / pivot for value in rows[top]]
        for i, row in enumerate(rows):
            if i != top and row[column] != 0:
                factor = row[column]
                rows[i] = [value - factor * other for value, other in zip(row, rows[top], strict=True)]
        pivots.append(column)
    return rows[: len(pivots)], pivots


def solve(a: Sequence[Sequence[Any]], b: Sequence[Any]) -> list[Any] | None:
    """One solution of a x = b with the free unknowns 0, or None if there is none.

    Example:
        >>> solve([[Fraction(2), Fraction(2)]], [Fraction(4)])
        [Fraction(2, 1), 0]
    """
    unknowns = len(a[0])
    rows, pivots = row_reduce(ExactMatrix(tuple((*row, value) for row, value in zip(a, b, strict=True))))
    if unknowns in pivots:
        return None
    solution: list[Any] = [0] * unknowns
    for row, pivot in zip(rows, pivots, strict=True):
        solution[pivot] = row[-1]
    return solution


def inverse(a: ExactMatrix) -> ExactMatrix:
    """The inverse of an invertible matrix."""
    size = a.shape[0]
    wide = ExactMatrix(tuple((*row, *one) for row, one in zip(a.entries, identity(size).entries, strict=True)))
    return ExactMatrix(tuple(tuple(row[size:]) for row in row_reduce(wide)[0]))


def pinv(a: ExactMatrix) -> ExactMatrix:
    r"""The pseudo-inverse by a full-rank factorisation, :math:`(CF)^+ = F^\top (FF^\top)^{-1} (C^\top C)^{-1} C^\top`.

    Example:
        >>> print(pinv(matrix([[1, 1], [1, 1]])))
        [1/4 1/4; 1/4 1/4]
    """
    rows, pivots = row_reduce(a)
    if not pivots:
        return 0 * a.swapaxes(-1, -2)
    f = ExactMatrix(tuple(tuple(row) for row in rows))
    c = ExactMatrix(tuple(tuple(row[pivot] for pivot in pivots) for row in a.entries))
    ft, ct = f.swapaxes(-1, -2), c.swapaxes(-1, -2)
    return ft @ inverse(f @ ft) @ inverse(ct @ c) @ ct


def integer_spectrum(g: ExactMatrix) -> list[int] | None:
    """The distinct eigenvalues, if all are integers of moderate size and the eigenvectors form a basis; else None.

    Example:
        >>> integer_spectrum(matrix([[2, 1], [1, 2]])), integer_spectrum(matrix([[0, 1], [0, 0]]))
        ([1, 3], None)
    """
    size = g.shape[0]
    # Faddeev and LeVerrier: the characteristic polynomial, highest power first.
    coefficients, power = [Fraction(1)], identity(size)
    for k in range(1, size + 1):
        power = g @ power
        coefficients.append(-sum((power.entries[i][i] for i in range(size)), Fraction(0)) / k)
        power = power + coefficients[-1] * identity(size)
    denominator = math.lcm(*(coefficient.denominator for coefficient in coefficients))
    whole = [int(coefficient * denominator) for coefficient in coefficients]
    roots = []
    for candidate in range(-LARGEST_EIGENVALUE, LARGEST_EIGENVALUE + 1):
        value = 0
        for coefficient in whole:
            value = value * candidate + coefficient
        if value == 0:
            roots.append(candidate)
    annihilated = identity(size)
    for root in roots:
        annihilated = annihilated @ (g + -root * identity(size))
    return None if annihilated else roots


def flow(g: ExactMatrix, base: Fraction, time: Any) -> tuple[ExactMatrix, ExactMatrix] | None:
    r"""The flow :math:`e^{-tG}` at :math:`e^{-t} =` base and its integral over [0, t]; None if they are not rational.

    Args:
        g: The generator.
        base: :math:`e^{-t}`, in (0, 1).
        time: What stands for t itself, which is transcendental; it appears where G is 0 or nilpotent only.
    """
    spectrum = integer_spectrum(g)
    if spectrum is None:
        return _series(g, time)
    one = identity(g.shape[0])
    exponential, integral = 0 * one, 0 * one
    for root in spectrum:
        projector = one
        for other in spectrum:
            if other != root:
                projector = Fraction(1, root - other) * (projector @ (g + -other * one))
        decay = base**root
        exponential = exponential + decay * projector
        integral = integral + projector.scaled(time if root == 0 else (1 - decay) / root)
    return exponential, integral


def _series(g: ExactMatrix, time: Any) -> tuple[ExactMatrix, ExactMatrix] | None:
    """The same for a nilpotent generator, whose series ends; None if it is not nilpotent."""
    term = identity(g.shape[0])
    exponential, integral = 0 * term, 0 * term
    for index in range(g.shape[0]):
        exponential = exponential + term
        integral = integral + term.scaled(time * Fraction(1, index + 1))
        term = (g @ term).scaled(time * Fraction(-1, index + 1))
    return None if term else (exponential, integral)
