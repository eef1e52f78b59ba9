"""Arrays of floats as whole numbers, their products without any rounding, and linear systems of them by Dixon's lifting."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.modular import Span

Whole = NDArray[Any]  # int64 where no sum can overflow, else Python's integers

PRIMES = 67_108_859, 67_108_837  # below 2^26: products of residues, 2048 of them summed, fit in int64
TERMS = 2048
LIMB, DIGIT = 24, 25  # bits of a matrix that are multiplied at once, and at least in a digit
PANEL = 48  # columns that are eliminated at once
PART = 1 << 22  # numbers that are looked at at once
OVERHEAD = 200  # products that what Python does with one number is worth
EFFORT = 10_000_000_000  # products of int64 that a decision may cost: some ten seconds


def exponent_of(array: NDArray[Any]) -> int:
    """The largest e for which every entry is a multiple of 2^e; 0 for whole types and for zeros.

    Example:
        >>> exponent_of(np.array([0.75, 2.0]))
        -2
    """
    if array.dtype.kind != "f":
        return 0
    found = [_exponent(part) for part in np.array_split(array.reshape(-1), array.size // PART + 1)]
    return min((exponent for exponent in found if exponent is not None), default=0)


def _exponent(numbers: NDArray[Any]) -> int | None:
    """The same of some numbers; None if they are all 0."""
    mantissas, exponents = np.frexp(numbers[numbers != 0].astype(np.float64))
    if not mantissas.size:
        return None
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
            small = int(np.abs(found).max(initial=0)) << -exponent < 2**53
            found = found << -exponent if small else found.astype(object) * 2**-exponent
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


def solve(matrix: Whole, target: list[int]) -> list[Fraction] | None:
    """The solution of a square system of whole numbers by Dixon's p-adic lifting.

    The inverse modulo a prime is found once; each step then gives the next digit of every unknown by two products. The digits
    end where the Hadamard bound says that numerators and denominators are determined (Dixon, Numer. Math. 40, 1982).

    Returns:
        The unknowns; None if the system is singular (or seems so modulo two primes), or has more than 2048 of them.

    Example:
        >>> solve(np.array([[2, 1], [1, 3]]), [1, 1])
        [Fraction(2, 5), Fraction(1, 5)]
    """
    size = len(target)
    if size == 0 or size > TERMS:
        return None if size else []
    bits, steps = _lifting(matrix, target)
    limbs = _limbs(matrix)
    for prime in PRIMES:
        inverse = _inverse(np.array(matrix % prime, dtype=np.int64), prime)
        if inverse is not None:
            break
    else:
        return None
    rest = np.array(target, dtype=object)
    small = len(limbs) == 1 and max(map(abs, target)) < 2**52
    rest = rest.astype(np.int64) if small else rest
    digits: list[NDArray[np.int64]] = []
    for _ in range(steps):
        digit = inverse @ np.array(rest % prime, dtype=np.int64) % prime
        digits.append(digit)
        for place, limb in enumerate(limbs):
            product = limb @ digit
            rest = rest - (product if small else product.astype(object) << LIMB * place)
        rest = rest // prime
    modulus = prime ** len(digits)
    found, shared = [], 1
    for values in zip(*digits, strict=True):
        number = _assemble([int(value) for value in values], prime)
        scaled = number * shared % modulus
        scaled = scaled - modulus if scaled > modulus // 2 else scaled
        if abs(scaled) >> bits:  # the denominators so far do not suffice
            top, bottom = _rational(scaled, modulus, bits)
            scaled, shared = top, shared * bottom
        found.append((scaled, shared))
    return [Fraction(top, bottom) for top, bottom in found]


def effort(matrix: Whole, target: list[int]) -> int:
    """About how many products of int64 :func:`solve` takes."""
    size = len(target)
    bits, steps = _lifting(matrix, target)
    each = size * (size + OVERHEAD) * (len(_limbs(matrix)) + 1)
    return size**3 + steps * each + size * (bits // 15) ** 2


def gram(rows: Whole) -> Whole:
    """rows·rowsᵀ.

    Example:
        >>> gram(np.array([[1, 2], [2**40, 0]])).tolist()
        [[5, 1099511627776], [1099511627776, 1208925819614629174706176]]
    """
    total: Whole = np.zeros((len(rows), len(rows)), dtype=object)
    limbs = _limbs(rows)
    for high, first in enumerate(limbs):
        for low, second in enumerate(limbs):
            total = total + ((first @ second.T).astype(object) << LIMB * (high + low))
    return total


def _lifting(matrix: Whole, target: list[int]) -> tuple[int, int]:
    """Bits that hold every numerator and denominator of a solution, by Hadamard's bound, and the digits that determine it."""
    norms = [math.isqrt(sum(value * value for value in column)) + 1 for column in matrix.T.tolist()]
    bits = (
        sum(norm.bit_length() for norm in norms)
        + max(map(abs, target), default=0).bit_length()
        + len(target).bit_length()
    )
    return bits, (2 * bits + 2) // DIGIT + 1


def _limbs(matrix: Whole) -> list[NDArray[np.int64]]:
    """The matrix as Σ limbs[k]·2^{24k}, each below 2^24 in absolute value: 2048 products with a digit add up in int64."""
    signs, rest = np.sign(matrix), np.abs(matrix)
    found: list[NDArray[np.int64]] = []
    while not found or rest.any():
        found.append((signs * (rest & (1 << LIMB) - 1)).astype(np.int64))
        rest = rest >> LIMB
    return found


def _assemble(digits: list[int], prime: int) -> int:
    """Σ digits[k]·prime^k, by halves."""
    if len(digits) == 1:
        return digits[0]
    half = len(digits) // 2
    power: int = prime**half
    return _assemble(digits[:half], prime) + power * _assemble(digits[half:], prime)


def _rational(number: int, modulus: int, bits: int) -> tuple[int, int]:
    """The fraction with numerator below 2^bits that is this number modulo the modulus (Wang)."""
    above, below, first, second = modulus, number % modulus, 0, 1
    while below >> bits:
        quotient = above // below
        above, below, first, second = below, above - quotient * below, second, first - quotient * second
    return (below, second) if second > 0 else (-below, -second)


def _inverse(matrix: NDArray[np.int64], prime: int) -> NDArray[np.int64] | None:
    """The inverse modulo a prime by Gauss and Jordan, a panel of columns at a time; None if it is singular."""
    size = len(matrix)
    table = np.concatenate((matrix % prime, np.eye(size, dtype=np.int64)), axis=1)
    for begin in range(0, size, PANEL):
        end = min(begin + PANEL, size)
        chosen = Span(prime).extend(table[begin:, begin:end])
        if len(chosen) < end - begin:
            return None
        order = np.concatenate((chosen, np.setdiff1d(np.arange(size - begin), chosen)))
        table[begin:] = table[begin:][order]
        top = _small_inverse(table[begin:end, begin:end], prime) @ table[begin:end] % prime
        table = (table - table[:, begin:end] @ top) % prime
        table[begin:end] = top
    return table[:, size:]


def _small_inverse(matrix: NDArray[np.int64], prime: int) -> NDArray[np.int64]:
    """The inverse modulo a prime of a regular matrix, column by column."""
    size = len(matrix)
    table = np.concatenate((matrix, np.eye(size, dtype=np.int64)), axis=1)
    for column in range(size):
        other = column + int(np.flatnonzero(table[column:, column])[0])
        table[[column, other]] = table[[other, column]]
        row = table[column] * pow(int(table[column, column]), -1, prime) % prime
        table = (table - np.outer(table[:, column], row)) % prime
        table[column] = row
    return table[:, size:]
