r"""Discrete Fourier transforms, exactly: at a given size by arithmetic in :math:`\mathbb{Q}[x]/(\Phi_N)`, at every size by a lemma.

With :math:`\zeta = e^{-2\pi i/N}` a sum :math:`\sum_j c_j\zeta^j` with rational c is 0 exactly when the N-th cyclotomic
polynomial divides :math:`\sum_j c_j x^j`: that decides any identity between such numbers. At every N at once,
:math:`FF^* = F^*F = NI` and :math:`F\,C(a) = \operatorname{diag}(Fa)\,F` are lemma L-DFT; the claims below stand on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Literal

import sympy

from theory.component import check_number
from theory.theorems.theorem import Claim, Shapes

MAX_ORDER = 128
Key = tuple[tuple[int, ...], int]  # which letters a_j, and the power of ζ
Exact = int | Fraction


@lru_cache(maxsize=MAX_ORDER)
def _powers(order: int) -> tuple[tuple[int, ...], ...]:
    """x^j modulo the cyclotomic polynomial, for every j < N, as coefficients from the lowest."""
    modulus = [
        int(value) for value in reversed(sympy.Poly(sympy.cyclotomic_poly(order, sympy.Symbol("x"))).all_coeffs())
    ]
    degree = len(modulus) - 1
    current, rows = [1] + [0] * (degree - 1), []
    for _ in range(order):
        rows.append(tuple(current))
        carried, shifted = current[-1], [0, *current[:-1]]
        current = [low - carried * m for low, m in zip(shifted, modulus, strict=False)]
    return tuple(rows)


@dataclass(frozen=True)
class CyclotomicSum:
    """A sum of rational multiples of powers of ζ and products of the free letters a_j.

    Attributes:
        order: N.
        terms: The coefficients; powers are below N and not yet reduced.
    """

    order: int
    terms: Mapping[Key, Exact]

    def __add__(self, other: CyclotomicSum) -> CyclotomicSum:
        total = dict(self.terms)
        for key, value in other.terms.items():
            total[key] = total.get(key, 0) + value
        return CyclotomicSum(self.order, {key: value for key, value in total.items() if value})

    def __mul__(self, other: CyclotomicSum) -> CyclotomicSum:
        return _summed(self.order, [(self, other)])

    def conjugate(self) -> CyclotomicSum:
        """The complex conjugate, for real letters."""
        return CyclotomicSum(self.order, {(key[0], -key[1] % self.order): value for key, value in self.terms.items()})

    def reduced(self) -> dict[Key, Exact]:
        """The normal form: powers below the degree of the cyclotomic polynomial; empty exactly for 0.

        Example:
            >>> CyclotomicSum(3, {((), j): 1 for j in range(3)}).reduced()     # 1 + ζ + ζ² = 0
            {}
        """
        return _reduced(self.order, frozenset(self.terms.items()))

    def __str__(self) -> str:
        zeta = sympy.Symbol("zeta")
        parts = [
            sympy.Mul(
                sympy.Rational(value.numerator, value.denominator),
                *(sympy.Symbol(f"a_{j}") for j in letters),
                zeta**power,
            )
            for (letters, power), value in self.reduced().items()
        ]
        return str(sympy.Add(*parts))


def _summed(order: int, pairs: Iterable[tuple[CyclotomicSum, CyclotomicSum]]) -> CyclotomicSum:
    """The sum of products."""
    total: dict[Key, Exact] = {}
    for left, right in pairs:
        for (letters, power), a in left.terms.items():
            for (more, further), b in right.terms.items():
                every = tuple(sorted(letters + more)) if letters and more else letters or more
                key = every, (power + further) % order
                value = b if a == 1 else a if b == 1 else a * b
                total[key] = total[key] + value if key in total else value
    return CyclotomicSum(order, total)


@lru_cache(maxsize=4096)
def _reduced(order: int, terms: frozenset[tuple[Key, Exact]]) -> dict[Key, Exact]:
    total: dict[Key, Exact] = {}
    for (letters, power), value in terms:
        for lower, share in enumerate(_powers(order)[power]):
            if share:
                total[letters, lower] = total.get((letters, lower), 0) + value * share
    return {key: value for key, value in total.items() if value}


@dataclass(frozen=True)
class CyclotomicMatrix:
    """A square matrix of such sums.

    Attributes:
        rows: The entries.
    """

    rows: tuple[tuple[CyclotomicSum, ...], ...]

    @property
    def order(self) -> int:
        """N, the size."""
        return len(self.rows)

    def __matmul__(self, other: CyclotomicMatrix) -> CyclotomicMatrix:
        columns = list(zip(*other.rows, strict=True))
        return CyclotomicMatrix(
            tuple(tuple(_summed(self.order, zip(row, column, strict=True)) for column in columns) for row in self.rows)
        )

    def __rmul__(self, factor: Exact) -> CyclotomicMatrix:
        scaled = CyclotomicSum(self.order, {((), 0): factor})
        return CyclotomicMatrix(tuple(tuple(scaled * entry for entry in row) for row in self.rows))

    @property
    def H(self) -> CyclotomicMatrix:
        """The conjugate transpose."""
        return CyclotomicMatrix(
            tuple(tuple(entry.conjugate() for entry in column) for column in zip(*self.rows, strict=True))
        )


@dataclass(frozen=True)
class RootsOfUnity:
    """The matrices of one size.

    Args:
        order: N, from 1 to 128.

    Example:
        >>> roots = RootsOfUnity(5)
        >>> decide(roots.fourier @ roots.fourier.H, 5 * roots.identity).verdict
        'proved'
        >>> print(decide(roots.fourier @ roots.fourier, 5 * roots.identity))
        refuted at N = 5: entry (1, 1) is 0 on the left and 5 on the right
    """

    order: int

    def __post_init__(self) -> None:
        check_number("order", self.order, above=0, below=MAX_ORDER + 1)

    def _matrix(self, key: Callable[[int, int], Key | None]) -> CyclotomicMatrix:
        size = range(self.order)
        keys = [[key(row, column) for column in size] for row in size]
        return CyclotomicMatrix(
            tuple(tuple(CyclotomicSum(self.order, {k: 1} if k else {}) for k in row) for row in keys)
        )

    @cached_property
    def fourier(self) -> CyclotomicMatrix:
        r"""F, :math:`F_{kn} = \zeta^{kn}`."""
        return self._matrix(lambda row, column: ((), row * column % self.order))

    @cached_property
    def identity(self) -> CyclotomicMatrix:
        """I."""
        return self._matrix(lambda row, column: ((), 0) if row == column else None)

    @cached_property
    def circulant(self) -> CyclotomicMatrix:
        """C(a) for free letters: circular convolution with a, whose origin is a_0."""
        return self._matrix(lambda row, column: (((row - column) % self.order,), 0))

    @cached_property
    def spectrum(self) -> CyclotomicMatrix:
        """diag(Fa)."""
        size = range(self.order)
        values: list[dict[Key, Exact]] = [{((j,), row * j % self.order): 1 for j in size} for row in size]
        rows = [[CyclotomicSum(self.order, values[row] if row == column else {}) for column in size] for row in size]
        return CyclotomicMatrix(tuple(tuple(row) for row in rows))


@dataclass(frozen=True)
class SizedProof:
    """The verdict on an identity at one size.

    Attributes:
        verdict: ``proved``, ``refuted`` or ``undecided``.
        order: N.
        entry: The first entry that differs, counted from 0, or None.
        left: That entry on the left, in normal form.
        right: And on the right.
        reason: Why it is undecided, or "".
        seconds: The time it took.
    """

    verdict: Literal["proved", "refuted", "undecided"]
    order: int
    entry: tuple[int, int] | None = None
    left: str = ""
    right: str = ""
    reason: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        detail = f": entry {self.entry} is {self.left} on the left and {self.right} on the right" if self.entry else ""
        return f"{self.verdict} at N = {self.order}{detail}{self.reason and f': {self.reason}'}"


def decide(left: CyclotomicMatrix, right: CyclotomicMatrix) -> SizedProof:
    """Whether two matrices are equal, entry by entry in normal form."""
    begin = time.perf_counter()
    order = left.order
    if right.order != order:
        reason = f"the sizes differ, {order} and {right.order}"
        return SizedProof("undecided", order, reason=reason)
    for row, (ours, theirs) in enumerate(zip(left.rows, right.rows, strict=True)):
        for column, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            minus = CyclotomicSum(order, {key: -value for key, value in b.terms.items()})
            if (a + minus).reduced():
                spent = time.perf_counter() - begin
                return SizedProof("refuted", order, (row, column), str(a), str(b), seconds=spent)
    return SizedProof("proved", order, seconds=time.perf_counter() - begin)


def prove_dft(order: int) -> dict[str, SizedProof]:
    """What lemma L-DFT says, decided at one size; undecided above 128.

    Example:
        >>> {claim: proof.verdict for claim, proof in prove_dft(6).items()}
        {'F F* = N I': 'proved', 'F* F = N I': 'proved', 'F C(a) = diag(Fa) F': 'proved'}
    """
    names = ("F F* = N I", "F* F = N I", "F C(a) = diag(Fa) F")
    if order > MAX_ORDER:
        reason = f"N is above {MAX_ORDER}"
        return {name: SizedProof("undecided", order, reason=reason) for name in names}
    roots = RootsOfUnity(order)
    f, unit = roots.fourier, order * roots.identity
    sides = ((f @ f.H, unit), (f.H @ f, unit), (f @ roots.circulant, roots.spectrum @ f))
    return {name: decide(*pair) for name, pair in zip(names, sides, strict=True)}


# The flow of a one-channel circular convolution, for every N. Read .T as the conjugate transpose: F and D are
# complex. The prover's rules for matrices hold for it as for the transpose, but for one (a 1×1 matrix is its own
# transpose), and no certificate here uses that one, nor a trace or an expectation; `tests/test_roots_of_unity.py`
# sees to it. C = C(x̂) is the circulant of the example, D the diagonal matrix of its transform, T0 the start, e the
# kernel that repeats its input (1 at the origin), one = Fe.
_SHAPES: Shapes = {"F": ("N", "N"), "C": ("N", "N"), "D": ("N", "N"), "T0": ("N", 1), "e": ("N", 1), "one": ("N", 1)}
_DFT = ("F @ F.T == n * I", "F.T @ F == n * I", "F @ C == D @ F")
_FLOW = {"E": "D.T @ D"}
_KERNEL = {"T": "e + 1 / n * F.T @ E @ F @ (T0 - e)"}


def _claim(says: str, equation: str, assume: tuple[str, ...] = _DFT, lemmas: tuple[str, ...] = ()) -> Claim:
    return Claim(says, equation, _SHAPES, assume, ("n",), _FLOW, _KERNEL, ("L-DFT", *lemmas))


FREQUENCY_CLAIMS = (
    _claim("the kernel θ(t) solves the flow of ½‖Cθ - Ce‖²", "d(T) == -C.T @ (C @ T - C @ e)"),
    _claim("from its start", "start(T) == T0"),
    _claim(
        "its transform relaxes to 1 by exp(-tD*D), a diagonal matrix: θ̂(ω;t) = 1 + (θ̂0(ω) - 1)exp(-|x̂(ω)|²t)",
        "F @ T == one + E @ (F @ T0 - one)",
        (*_DFT, "F @ e == one"),
        ("L-CALCULUS",),
    ),
)
FALSE_FREQUENCY_CLAIM = _claim(
    "the same with the transform of the kernel itself relaxing to 0",
    "F @ T == E @ F @ T0",
    (*_DFT, "F @ e == one"),
)
