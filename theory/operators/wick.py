r"""The mean of a polynomial in traces over a Gaussian matrix, by pairings (lemma L-WICK).

For Z with independent :math:`N(0, v)` entries, :math:`E\,Z_{ij}Z_{kl} = v\,\delta_{ik}\delta_{jl}`; so a pair of Z turns

- :math:`\operatorname{tr}(Z P Z^\top Q)` into :math:`v \operatorname{tr}(P)\operatorname{tr}(Q)`,
- :math:`\operatorname{tr}(Z P Z Q)` into :math:`v \operatorname{tr}(P Q^\top)`,
- :math:`\operatorname{tr}(Z P)\operatorname{tr}(Z Q)` into :math:`v \operatorname{tr}(P Q^\top)`,

and the mean of a product is the sum over all ways to pair its Z. This module belongs to the trusted base.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from theory.operators.expressions import Dimension, Shape
from theory.operators.limits import RANDOM_FACTORS, check_size
from theory.operators.traces import SCALAR, Traces
from theory.operators.words import Coefficient, Polynomial, Word, transpose

_Loop: TypeAlias = tuple[Word, Dimension]
"""The trace of a word, with its size: the word may be empty."""


def mean(value: Polynomial, letter: str, shape: Shape, variance: Coefficient, traces: Traces) -> Polynomial:
    """The expectation of a polynomial in traces.

    Args:
        value: The polynomial.
        letter: The random matrix.
        shape: Its shape.
        variance: The variance of each entry.
        traces: Writes traces in normal form.

    Raises:
        TooLargeError: If the matrix stands too often in one product of traces.
    """
    total = Polynomial(SCALAR, {})
    for monomial, coefficient in value.terms.items():
        # The size is used for empty words only; a word of a normal form is not empty.
        loops: list[_Loop] = [(traces.words[factor.name], 0) for factor in monomial]
        count = sum(part.name == letter for word, _ in loops for part in word)
        check_size(f"a product under the expectation over {letter}", count, RANDOM_FACTORS, f"times {letter}")
        total = total + _paired(loops, letter, shape, variance, traces).scaled(coefficient)
    return total


def _paired(loops: list[_Loop], letter: str, shape: Shape, variance: Coefficient, traces: Traces) -> Polynomial:
    """The sum over all pairings: the first Z is paired with each of the others, and so on."""
    first = next((index for index, (word, _) in enumerate(loops) if _places(word, letter)), None)
    if first is None:
        product = traces.one
        for word, size in loops:
            product = traces.times(product, traces.of_word(word, size))
        return product
    rest = loops[:first] + loops[first + 1 :]
    word = loops[first][0]
    tail = _after(word, _places(word, letter)[0])
    total = Polynomial(SCALAR, {})
    for left in _partners(tail, rest, letter, shape):
        total = total + _paired(left, letter, shape, variance, traces).scaled(variance)
    return total


def _partners(tail: Word, rest: list[_Loop], letter: str, shape: Shape) -> Iterator[list[_Loop]]:
    """What is left of tr(Z tail) and the other loops when this Z is paired with each other Z in turn."""
    rows, columns = shape
    for place in _places(tail, letter):
        before, after = tail[:place], tail[place + 1 :]
        if tail[place].transposed:
            yield [(before, columns), (after, rows), *rest]
        else:
            yield [(before + transpose(after), columns), *rest]
    for index, (word, _) in enumerate(rest):
        others = rest[:index] + rest[index + 1 :]
        for place in _places(word, letter):
            yield [(tail + transpose(_after(word, place)), columns), *others]


def _places(word: Word, letter: str) -> list[int]:
    return [place for place, factor in enumerate(word) if factor.name == letter]


def _after(word: Word, place: int) -> Word:
    """The P of tr(Z P), the word turned (and transposed if it holds Zᵀ there) so that it begins with this Z."""
    following = word[place + 1 :] + word[:place]
    return transpose(following) if word[place].transposed else following
