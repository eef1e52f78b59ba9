"""How large an input may be. A claim file is untrusted: whatever it holds, reading it takes little time and memory.

The limits are far above what a statement about layers needs; certificates keep them too.
"""

from __future__ import annotations

from theory.errors import ClaimError

LENGTH = 20_000
"""Characters of one text."""
DEPTH = 150
"""Operations inside one another, counted after the definitions are put in; a sum of n terms has depth n."""
NODES = 5_000
"""Letters, numbers and operations of one text, counted in the same way."""
ITEMS = 200
"""Entries of shapes, assume, scalars, flow or where."""
DIGITS = 50
"""Characters of one number."""
LARGEST_POWER, SMALLEST_POWER = 300, 1_000
"""The power of ten in a number, up and down."""
EXPONENT = 64
"""The largest exponent."""
DEGREE = 400
"""The degree of a scalar, a number counting as much as a letter."""
WORD = 100
"""Matrices in one product."""
TERMS = 3_000
"""Terms of one expanded scalar or matrix."""
QUOTIENT = 500
"""Terms above and below the bar together, if there is a sum below it: then common factors must be found."""
RANDOM_FACTORS = 8
"""How often a random matrix may stand in one product under an expectation."""


class TooLargeError(ClaimError):
    """An input or a certificate beyond the limits of the claim language."""

    def __init__(self, what: str, limit: int, unit: str) -> None:
        super().__init__(f"{what} must have at most {limit} {unit}, but it has more. Split it, or simplify it.")


def check_size(what: str, size: int, limit: int, unit: str) -> None:
    """Refuse a size above a limit.

    Raises:
        TooLargeError: If it is.

    Example:
        >>> check_size("claim", 30_000, LENGTH, "characters")
        Traceback (most recent call last):
        ...
        theory.operators.limits.TooLargeError: claim must have at most 20000 characters, but it has more. ...
    """
    if size > limit:
        raise TooLargeError(what, limit, unit)
