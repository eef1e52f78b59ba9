r"""The mean over a Gaussian matrix by explicit sums over its entries: the independent route of the counterexamples.

Each entry :math:`z_i` of the random matrix is a symbol, the scalar is multiplied out to a polynomial in all of them, and
:math:`E\,z_1^{k_1} z_2^{k_2} \cdots = m_{k_1} m_{k_2} \cdots` with :math:`m_k = 0` for odd k and
:math:`m_2 = v,\ m_4 = 3v^2,\ m_k = (k - 1)\,v\,m_{k-2}`. No pairing, no trace identity is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from theory.operators.exact import ExactMatrix

Entries: TypeAlias = tuple[tuple[str, int], ...]
"""A product of entries, in order: for each the name of its matrix and its place in there."""


@dataclass(frozen=True)
class EntryPolynomial:
    """A polynomial in the entries of random matrices, with exact coefficients."""

    terms: Mapping[Entries, Any]

    def __add__(self, other: Any) -> EntryPolynomial:
        terms = dict(self.terms)
        for key, value in self._lifted(other).terms.items():
            terms[key] = terms[key] + value if key in terms else value
        return EntryPolynomial(terms)

    def __mul__(self, other: Any) -> EntryPolynomial:
        terms: dict[Entries, Any] = {}
        for first, a in self.terms.items():
            for second, b in self._lifted(other).terms.items():
                key = tuple(sorted(first + second))
                terms[key] = terms[key] + a * b if key in terms else a * b
        return EntryPolynomial(terms)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> EntryPolynomial:
        return self * -1

    def __sub__(self, other: Any) -> EntryPolynomial:
        return self + self._lifted(other) * -1

    def __rsub__(self, other: Any) -> EntryPolynomial:
        return -self + self._lifted(other)

    def __pow__(self, exponent: int) -> EntryPolynomial:
        power = self._lifted(Fraction(1))
        for _ in range(exponent):
            power = power * self
        return power

    def __truediv__(self, other: Any) -> EntryPolynomial:
        return EntryPolynomial({key: value / other for key, value in self.terms.items()})

    def mean(self, letter: str, variance: Any) -> EntryPolynomial:
        """The expectation over one of the matrices, with independent entries of mean 0; the others stay.

        Example:
            >>> z = random_matrix("Z", 1, 2).entries[0]
            >>> [str(power.mean("Z", 2).constant()) for power in (z[0] * z[0] * z[1] * z[1], z[0] ** 4, z[0] ** 3)]
            ['4', '12', '0']
        """
        total = EntryPolynomial({})
        for entries, value in self.terms.items():
            for exponent in Counter(entry for entry in entries if entry[0] == letter).values():
                value = value * _moment(exponent, variance)
            total = total + EntryPolynomial({tuple(entry for entry in entries if entry[0] != letter): value})
        return total

    def constant(self) -> Any:
        """The value of a polynomial in which no entry is left."""
        assert not any(self.terms)
        return self.terms.get((), Fraction(0))

    def _lifted(self, other: Any) -> EntryPolynomial:
        if isinstance(other, EntryPolynomial):
            return other
        return EntryPolynomial({(): other})


def random_matrix(letter: str, rows: int, columns: int) -> ExactMatrix:
    """A matrix in which every entry is a symbol."""

    def entry(place: int) -> EntryPolynomial:
        return EntryPolynomial({((letter, place),): Fraction(1)})

    return ExactMatrix(tuple(tuple(entry(row * columns + column) for column in range(columns)) for row in range(rows)))


def _moment(exponent: int, variance: Any) -> Any:
    moment: Any = Fraction(1)
    for power in range(exponent, 0, -2):
        moment = moment * (power - 1) * variance  # at power 1 the factor is 0: an odd moment
    return moment
