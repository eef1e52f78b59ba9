"""Linear systems and inequalities in whole numbers, without any rounding: simplex for small ones, Dixon's lifting for large ones."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[Any]  # int64 where no sum can overflow, else Python's integers

PRIME = 67_108_859  # below 2^26: products of residues, 2048 of them summed, fit in int64
TERMS = 2048
PIVOTS = 4_000_000_000  # entries times bits changed, after which a simplex gives up: some seconds


def exponent_of(array: NDArray[Any]) -> int:
    """The largest e for which every entry is a multiple of 2^e; 0 for whole types and for zeros.

    Example:
        >>> exponent_of(np.array([0.75, 2.0]))
        -2
    """
    if array.dtype.kind != "f":
        return 0
    mantissas, exponents = np.frexp(array[array != 0].astype(np.float64))
    if not mantissas.size:
        return 0
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    lowest = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    return int((exponents - 53 + lowest).min())


def whole(array: NDArray[Any], exponent: int) -> Whole:
    """array·2^-exponent as integers, exactly; int64 if they stay below 2^53.

    Example:
        >>> whole(np.array([0.75, 2.0]), -2).tolist()
        [3, 8]
    """
    if array.dtype.kind != "f":
        found: Whole = array.astype(np.int64)
        if exponent:
            found = found.astype(object) * 2**-exponent
        return found
    wide = array.astype(np.float64)
    largest = float(np.abs(wide).max(initial=0.0))
    if largest == 0 or math.frexp(largest)[1] - exponent <= 53:
        found = np.ldexp(wide, -exponent).astype(np.int64)
        return found
    mantissas, exponents = np.frexp(wide)
    shifts = np.maximum(exponents - 53 - exponent, -53)  # a 0 has exponent 0; what is shifted down ends in zeros
    down = np.ldexp(mantissas, 53 + np.minimum(shifts, 0)).astype(np.int64).astype(object)
    lifted: Whole = down << np.maximum(shifts, 0).astype(object)
    return lifted


def products(rows: Whole, vector: list[int]) -> list[int]:
    """Rows times a vector, exactly: in int64 if the sum of the absolute values proves that nothing overflows."""
    if rows.dtype != object:
        largest = int(np.abs(rows).max(initial=0))
        if largest * sum(abs(value) for value in vector) < 2**62 and max(map(abs, vector), default=0) < 2**62:
            return [int(value) for value in rows @ np.array(vector, dtype=np.int64)]
    used = [index for index, value in enumerate(vector) if value]
    return [int(value) for value in rows[:, used].astype(object) @ np.array([vector[i] for i in used], dtype=object)]


def feasible(matrix: Whole, target: list[int]) -> tuple[dict[int, Fraction] | None, list[int] | None]:
    """Whether some a ≥ 0 gives matrix·a = target: those weights, or a y with y·matrix ≤ 0 and y·target > 0, or neither (too large).

    The first phase of the simplex method with integer-preserving pivots (Edmonds, Bareiss) and Bland's rule, which cannot cycle.
    Columns that are likely to be used should come first.

    Example:
        >>> feasible(np.array([[1, 0], [1, 1]], dtype=object), [1, 3])[0]
        {0: Fraction(1, 1), 1: Fraction(2, 1)}
        >>> feasible(np.array([[1, 0], [1, 1]], dtype=object), [1, 0])[1]
        [1, -1]
    """
    rows, columns = matrix.shape
    signs = [-1 if value < 0 else 1 for value in target]
    table = np.zeros((rows + 1, columns + rows + 1), dtype=object)
    table[:rows, :columns] = matrix.astype(object) * np.array(signs, dtype=object)[:, None]
    table[:rows, columns:-1] = np.eye(rows, dtype=np.int64).astype(object)
    table[:rows, -1] = [abs(value) for value in target]
    table[rows] = -table[:rows].sum(axis=0)
    table[rows, columns:-1] = 0
    held, divisor, spent = list(range(columns, columns + rows)), 1, 0
    while True:
        entering = next((j for j in range(columns) if table[rows, j] < 0), None)
        if entering is None:
            break
        up = [i for i in range(rows) if table[i, entering] > 0]
        leaving = min(up, key=lambda i: (Fraction(table[i, -1], table[i, entering]), held[i]))
        pivot = table[leaving, entering]
        kept = table[leaving].copy()
        table = (table * pivot - np.outer(table[:, entering], kept)) // divisor
        table[leaving] = kept
        held[leaving], divisor = entering, pivot
        spent += table.size * (64 + pivot.bit_length())
        if spent > PIVOTS:
            return None, None
    if table[rows, -1] == 0:
        weights = {held[i]: Fraction(table[i, -1], divisor) for i in range(rows) if held[i] < columns and table[i, -1]}
        return weights, None
    dual = [int(divisor - value) * sign for value, sign in zip(table[rows, columns:-1], signs, strict=True)]
    shared = math.gcd(*dual)
    return None, [value // shared for value in dual]


def solve(matrix: Whole, target: list[int]) -> list[Fraction] | None:
    """The solution of a square system of whole numbers by Dixon's p-adic lifting; None if it is singular (or seems so modulo p).

    The inverse modulo a prime is found once; each step then gives the next digit of every unknown by two products. The digits
    end where the Hadamard bound says that numerators and denominators are determined (Dixon, Numer. Math. 40, 1982).

    Example:
        >>> solve(np.array([[2, 1], [1, 3]]), [1, 1])
        [Fraction(2, 5), Fraction(1, 5)]
    """
    size = len(target)
    if size > TERMS:
        return None
    inverse = _inverse(np.array(matrix % PRIME, dtype=np.int64))
    if inverse is None:
        return None
    norms = [math.isqrt(int((row.astype(object) ** 2).sum())) + 1 for row in matrix.T]
    bits = sum(norm.bit_length() for norm in norms) + max(map(abs, target)).bit_length() + size.bit_length()
    rest = np.array(target, dtype=object)
    small = matrix.dtype != object and int(np.abs(matrix).max()) < 2**24 and max(map(abs, target)) < 2**52
    rest = rest.astype(np.int64) if small else rest
    wide = matrix if small else matrix.astype(object)
    digits = []
    for _ in range((2 * bits + 2) // 25 + 1):
        digit = inverse @ np.array(rest % PRIME, dtype=np.int64) % PRIME
        digits.append(digit)
        rest = (rest - wide @ (digit if small else digit.astype(object))) // PRIME
    modulus = PRIME ** len(digits)
    found, shared = [], 1
    for values in zip(*digits, strict=True):
        number = _assemble([int(value) for value in values])
        scaled = number * shared % modulus
        scaled = scaled - modulus if scaled > modulus // 2 else scaled
        if abs(scaled) >> bits:  # the denominators so far do not suffice
            top, bottom = _rational(scaled, modulus, bits)
            scaled, shared = top, shared * bottom
        found.append((scaled, shared))
    return [Fraction(top, bottom) for top, bottom in found]


def _assemble(digits: list[int]) -> int:
    """Σ digits[k]·PRIME^k, by halves."""
    if len(digits) == 1:
        return digits[0]
    half = len(digits) // 2
    power: int = PRIME**half
    return _assemble(digits[:half]) + power * _assemble(digits[half:])


def _rational(number: int, modulus: int, bits: int) -> tuple[int, int]:
    """The fraction with numerator below 2^bits that is this number modulo the modulus (Wang)."""
    above, below, first, second = modulus, number % modulus, 0, 1
    while below >> bits:
        quotient = above // below
        above, below, first, second = below, above - quotient * below, second, first - quotient * second
    return (below, second) if second > 0 else (-below, -second)


def _inverse(matrix: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The inverse modulo PRIME by Gauss and Jordan."""
    size = len(matrix)
    table = np.concatenate((matrix, np.eye(size, dtype=np.int64)), axis=1)
    for column in range(size):
        below = np.flatnonzero(table[column:, column])
        if not below.size:
            return None
        other = column + int(below[0])
        table[[column, other]] = table[[other, column]]
        table[column] = table[column] * pow(int(table[column, column]), -1, PRIME) % PRIME
        factors = table[:, column].copy()
        factors[column] = 0
        table = (table - np.outer(factors, table[column])) % PRIME
    return table[:, size:]
