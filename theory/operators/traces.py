r"""Scalars made of traces in normal form: polynomials in letters ``tr(word)`` that commute.

The trace of a word is the same for every rotation of the word, :math:`\operatorname{tr} AB = \operatorname{tr} BA`, and
for its transpose, :math:`\operatorname{tr} A = \operatorname{tr} A^\top`: one word stands for all of them. The trace of
the identity is its size, ``dim(d)``. Where a word passes through a dimension of size 1 twice, the trace is the product
of the traces of the 1×1 pieces. This module belongs to the trusted base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from theory.errors import ClaimError
from theory.operators.expressions import Dimension, Shape
from theory.operators.functionals import dimension_symbol
from theory.operators.limits import TERMS, check_size
from theory.operators.scalars import Number
from theory.operators.shapes import show
from theory.operators.words import Coefficient, Coefficients, Factor, Polynomial, Word, transpose

SCALAR: Shape = (1, 1)
"""The shape of a polynomial in traces."""


class Traces:
    """The traces of the words of one statement.

    Attributes:
        words: For each letter ``tr(...)`` met so far the word it stands for.
        one: The scalar 1.
    """

    def __init__(self, factor_shape: Callable[[Factor], Shape], coefficients: Coefficients) -> None:
        self._factor_shape = factor_shape
        self._coefficients = coefficients
        self.words: dict[str, Word] = {}
        self._normal: dict[Word, Factor] = {}
        self.one = self.constant(coefficients.one)

    def constant(self, value: Coefficient) -> Polynomial:
        """A scalar without traces."""
        return Polynomial(SCALAR, {(): value} if value != 0 else {})

    def of(self, polynomial: Polynomial) -> Polynomial:
        """The trace of a matrix.

        Raises:
            ClaimError: If the matrix is not square.
        """
        rows, columns = polynomial.shape
        if rows != columns:
            message = f"the matrix in a trace must be square, but it is {show(polynomial.shape)}. Correct the shapes."
            raise ClaimError(message)
        total = Polynomial(SCALAR, {})
        for word, value in polynomial.terms.items():
            total = total + self.of_word(word, rows).scaled(value)
        return total

    def of_word(self, word: Word, size: Dimension) -> Polynomial:
        """The trace of a product of letters; the size is that of the product, for the empty one."""
        if not word:
            scalar = Number(Fraction(size)) if isinstance(size, int) else dimension_symbol(size)
            return self.constant(self._coefficients.read(scalar))
        letters = sorted(self._letter(piece) for piece in self._pieces(word))
        return Polynomial(SCALAR, {tuple(letters): self._coefficients.one})

    def _letter(self, word: Word) -> Factor:
        """The letter of the least of all words with this trace."""
        if word not in self._normal:
            normal = min((*rotations(word), *rotations(transpose(word))))
            name = f"tr({' @ '.join(str(factor) for factor in normal)})"
            self.words[name] = normal
            self._normal[word] = Factor(name)
        return self._normal[word]

    def times(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """The product of two scalars.

        Raises:
            TooLargeError: If it has too many terms.
        """
        check_size("a product of scalars", len(left.terms) * len(right.terms), TERMS, "terms")
        total = Polynomial(SCALAR, {})
        for word, value in (left @ right).terms.items():
            total = total + Polynomial(SCALAR, {tuple(sorted(word)): value})
        return total

    def _pieces(self, word: Word) -> Iterable[Word]:
        """The word cut at every dimension of size 1, the last piece going on at the beginning."""
        cuts = [place for place, factor in enumerate(word) if self._factor_shape(factor)[0] == 1]
        if not cuts:
            return [word]
        turned = word[cuts[0] :] + word[: cuts[0]]
        ends = [cut - cuts[0] for cut in cuts[1:]] + [len(word)]
        return [turned[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def rotations(word: Word) -> list[Word]:
    """The word begun at each of its letters.

    Example:
        >>> [" ".join(map(str, word)) for word in rotations((Factor("A"), Factor("B"), Factor("C")))]
        ['A B C', 'B C A', 'C A B']
    """
    return [word[place:] + word[:place] for place in range(len(word))]


def show_scalar(polynomial: Polynomial) -> str:
    """A polynomial in traces as text of the claim language.

    Example:
        >>> print(show_scalar(Polynomial(SCALAR, {(Factor("tr(A)"), Factor("tr(B)")): Fraction(-2), (): Fraction(1)})))
        1 - 2 * tr(A) * tr(B)
    """
    text = ""
    for word, value in sorted(polynomial.terms.items(), key=lambda item: (len(item[0]), item[0])):
        negative = str(value).startswith("-")
        size = -value if negative else value
        factors = [f"({size})" if " " in str(size) else str(size)] if size != 1 or not word else []
        joint = (" - " if negative else " + ") if text else ("-" if negative else "")
        text += joint + " * ".join([*factors, *(factor.name for factor in word)])
    return text or "0"
