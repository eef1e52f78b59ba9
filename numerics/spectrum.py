r"""The spectrum of a feature matrix. The only place of the project that decides a rank.

One thin singular value decomposition :math:`\Phi = U \Sigma V^\top` of each block serves every question. Its cost is
that of the smaller side: with fewer columns than features LAPACK works in the dual (columns × columns), otherwise in the
primal (features × features). The Gram matrix is never formed: it would square the condition number, and a mode with
:math:`\sigma_i = 10^{-4}\sigma_1` would lose half its digits. A block with one column or one feature has one mode, its norm
and its direction, and needs no LAPACK. Complex features have complex modes; V\ :sup:`T` is then V\ :sup:`H`.
"""

from dataclasses import dataclass

import numpy as np

from numerics.arrays import Float, adjoint, squares

UNIT = float(np.finfo(np.float64).eps) / 2
TALL = 2  # columns per feature, from which on the triangle is cheaper than the decomposition
CHUNK = 6  # rows of a chunk, in units of the width of the triangle


@dataclass(frozen=True)
class Spectrum:
    """The modes of each block's feature matrix.

    Attributes:
        left: U, (blocks, d, r) with r = min(d, M): the modes in feature space.
        values: σ, (blocks, r), descending; values at or below the floor are exactly 0.
        floor: (blocks,), below which a singular value is rounding: max(d, M)·eps·σ_1, or that of the features if it is more.
        margin: How many times the smallest kept value exceeds the floor, at worst; inf if nothing is kept.
    """

    left: Float
    values: Float
    floor: Float
    margin: float

    @property
    def ranks(self) -> list[int]:
        """The rank of each block."""
        return [int(rank) for rank in (self.values > 0).sum(axis=-1)]

    def project(self, features: Float) -> Float:
        """The part of feature columns (blocks, d, N) inside the range of Φ."""
        basis = self.left * (self.values > 0)[:, None, :]
        return basis @ (adjoint(basis) @ features)


@dataclass(frozen=True)
class Decomposition(Spectrum):
    """The same with the modes in the space of the columns.

    Attributes:
        right: Vᵀ, (blocks, r, M).
    """

    right: Float

    def pseudo_inverse(self) -> Float:
        """Φ⁺, (blocks, M, d)."""
        kept = self.values > 0
        inverse = np.where(kept, 1 / np.where(kept, self.values, 1), 0)
        return (adjoint(self.right) * inverse[:, None, :]) @ adjoint(self.left)


def spectrum(features: Float, noise: float = 0.0, error: Float | float = 0.0) -> Decomposition:
    """The modes of Φ, (blocks, d, M).

    Args:
        features: Φ.
        noise: The rounding error that the features come with, in units of eps times the norm of all blocks together.
        error: Bound on the norm of the error that each block comes with, broadcast to (blocks,): no singular value below it counts.

    Example:
        >>> modes = spectrum(np.array([[[3.0, 0.0], [0.0, 0.0]]]))      # rank 1 of 2
        >>> modes.values.tolist(), modes.ranks
        ([[3.0, 0.0]], [1])
    """
    left, values, right = _one_mode(features) if min(features.shape[-2:]) == 1 else _modes(features)
    return Decomposition(left, *_ruled(values, max(features.shape[-2:]), noise, error), right)


@dataclass(frozen=True)
class Regression:
    """The modes of Φ, and the targets seen in them.

    Attributes:
        spectrum: Of Φ.
        targets: Y V, (blocks, q, r).
        unexplained: ‖Y‖² − ‖Y V‖², of all blocks together: what no weight can fit, whatever its modes.
    """

    spectrum: Spectrum
    targets: Float
    unexplained: float


def regression(features: Float, columns: Float, weight: Float | None = None, error: Float | float = 0.0) -> Regression:
    r"""The modes of Φ, (blocks, d, M), and of the targets Y, (blocks, q, M), at the cost of the smaller side.

    With many more columns than features V is never formed: the triangle of :math:`[\Phi^\top\,Y^\top] = QR`, found chunk by
    chunk, says it all. With :math:`R_{11}^\top = U\Sigma Z^\top` it is :math:`V = Q_1Z`, hence :math:`YV = R_{12}^\top Z`, and
    :math:`\|R_{22}\|^2` is left. The triangle is backward stable, unlike a Gram matrix. A weight known to fit gives
    :math:`YV = WU\Sigma`; then Y is not needed.

    Args:
        features: Φ.
        columns: Y.
        weight: A weight that represents the targets, WΦ = Y, (blocks, q, d), if one is known.
        error: As for :func:`spectrum`.

    Example:
        >>> found = regression(np.array([[[3.0, 0.0, 0.0]]]), np.array([[[6.0, 1.0, 2.0]]]))
        >>> float(abs(found.targets).item()), round(found.unexplained, 12)
        (6.0, 5.0)
    """
    d, count = features.shape[-2:]
    if count <= TALL * d or d == 1:
        whole = spectrum(features, error=error)
        if weight is not None:
            return Regression(whole, weight @ whole.left * whole.values[:, None, :], 0.0)
        targets = columns @ adjoint(whole.right)
        return Regression(whole, targets, float(squares(columns - targets @ whole.right).sum()))
    triangle = _triangle(features, columns[:, :0] if weight is not None else columns)
    left, values, right = np.linalg.svd(adjoint(triangle[:, :d, :d]))
    modes = Spectrum(left, *_ruled(values, count, 0.0, error))
    if weight is not None:
        return Regression(modes, weight @ left * modes.values[:, None, :], 0.0)
    return Regression(modes, adjoint(triangle[:, :d, d:]) @ adjoint(right), float(squares(triangle[:, d:, d:]).sum()))


def _triangle(features: Float, columns: Float) -> Float:
    """R of [Φᴴ Yᴴ] = QR, from chunks of its rows: the memory is that of a chunk."""
    d, q = features.shape[1], columns.shape[1]
    triangle: Float = np.zeros((len(features), 0, d + q), dtype=features.dtype)
    chunk = CHUNK * (d + q)
    for start in range(0, features.shape[-1], chunk):
        piece = slice(start, start + chunk)
        rows = np.concatenate((adjoint(features[..., piece]), adjoint(columns[..., piece])), axis=-1)
        triangle = np.asarray(np.linalg.qr(np.concatenate((triangle, rows), axis=1), mode="r"))
    return triangle


def _ruled(values: Float, longest: int, noise: float, error: Float | float = 0.0) -> tuple[Float, Float, float]:
    """The singular values without those that are rounding, the floor, and the margin above it."""
    floor = longest * 2 * UNIT * values[:, 0]
    floor = np.maximum(floor, error)
    if noise:
        floor = np.maximum(floor, noise * 2 * UNIT * _norm(values))
    kept = values > floor[:, None]
    margins = np.where(kept, values / np.where(floor > 0, floor, 1)[:, None], np.inf)
    return np.where(kept, values, 0.0), floor, float(margins.min())


def _modes(features: Float) -> tuple[Float, Float, Float]:
    left, values, right = np.linalg.svd(features, full_matrices=False)
    return left, values, right


def _one_mode(features: Float) -> tuple[Float, Float, Float]:
    """The thin decomposition of blocks with one column or one feature: σ is the norm, the direction is the mode."""
    blocks, _, columns = features.shape
    flat = features.reshape((blocks, -1))
    largest = np.abs(flat).max(axis=1, keepdims=True)
    scaled = flat / np.where(largest > 0, largest, 1)  # so that no square overflows or underflows
    scaled[:, 0] += largest[:, 0] == 0  # a block of zeros has a direction too, any one
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    direction, one = scaled / length, np.ones((blocks, 1, 1))
    values = largest * length
    if columns == 1:
        return direction[:, :, None], values, one
    return one, values, direction[:, None, :]


def _norm(values: Float) -> float:
    """The Frobenius norm, without overflow."""
    largest = float(values.max(initial=0.0))
    return largest * float(np.linalg.norm(values / largest)) if largest > 0 else 0.0
