"""Linear algebra modulo a prime: exact ranks, and an array namespace whose Fourier transform is exact as well."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**31 - 1  # products of two residues fit in 64 bits


def prime_for(order: int) -> int:
    """The largest prime below 2³¹ that is 1 modulo ``order``: there are roots of unity of that order modulo it.

    Example:
        >>> prime_for(1), prime_for(28) % 28
        (2147483647, 1)
    """
    return next(number for number in range(LARGEST - (LARGEST - 1) % order, 1, -order) if _is_prime(number))


def namespace(prime: int) -> Any:
    """Numpy for arrays of Python's whole numbers, with ``fft.fftn`` modulo a prime."""

    def fftn(x: NDArray[Any], _sizes: None, axes: tuple[int, ...]) -> NDArray[Any]:
        for axis in axes:
            x = np.moveaxis(np.moveaxis(x, axis, -1) @ _transform(x.shape[axis], prime) % prime, -1, axis)
        return x

    known = {name: getattr(np, name) for name in ("moveaxis", "concatenate", "ones_like", "asarray")}
    return SimpleNamespace(**known, fft=SimpleNamespace(fftn=fftn))


class Span:
    """The span of vectors over the residues modulo a prime, which grows.

    Args:
        prime: Below 2³¹.

    Example:
        >>> span = Span(7)
        >>> span.add(np.array([[1, 2], [3, 6]])), span.add(np.array([[1, 3]]))     # 3·(1, 2) = (3, 6)
        (1, 2)
        >>> Span(7).extend(np.array([[0, 0], [1, 2], [3, 6], [1, 3]]))
        [1, 3]
    """

    def __init__(self, prime: int) -> None:
        self.prime = prime
        self.basis: list[tuple[int, NDArray[np.int64]]] = []  # with the place of its first entry, which is 1

    @property
    def places(self) -> list[int]:
        """Entries in which the vectors that were taken are independent already."""
        return [place for place, _ in self.basis]

    def add(self, vectors: NDArray[np.int64]) -> int:
        """The dimension after some vectors, (m, d), have been added."""
        self.extend(vectors)
        return len(self.basis)

    def extend(self, vectors: NDArray[np.int64]) -> list[int]:
        """Which of some vectors, (m, d), are independent of those before them; the span then holds them all."""
        rest, taken = vectors % self.prime, list[int]()
        for place, row in self.basis:
            rest = self._without(rest, place, row)
        start = 0
        while len(self.basis) < vectors.shape[1] and rest.any():
            at = int(np.flatnonzero(rest.any(axis=1))[0])
            place = int(np.flatnonzero(rest[at])[0])
            row = rest[at] * pow(int(rest[at, place]), -1, self.prime) % self.prime
            self.basis.append((place, row))
            taken.append(start + at)
            rest, start = self._without(rest[at + 1 :], place, row), start + at + 1
        return taken

    def _without(self, vectors: NDArray[np.int64], place: int, row: NDArray[np.int64]) -> NDArray[np.int64]:
        """The vectors less the multiple of a row that makes their entry at a place 0."""
        return (vectors - vectors[:, place : place + 1] * row) % self.prime


def _transform(size: int, prime: int) -> NDArray[Any]:
    """The matrix ζ^{jk} of a root of unity ζ of order ``size``, as Python's whole numbers."""
    factors = [number for number in range(2, size + 1) if size % number == 0 and _is_prime(number)]
    candidates = (pow(base, (prime - 1) // size, prime) for base in range(1, prime))
    root = next(one for one in candidates if all(pow(one, size // factor, prime) != 1 for factor in factors))
    return np.array([[pow(root, j * k, prime) for k in range(size)] for j in range(size)], dtype=object)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, math.isqrt(number) + 1))
