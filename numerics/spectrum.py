r"""The spectrum of a feature matrix. The only place of the project that decides a rank.

One thin singular value decomposition :math:`\Phi = U \Sigma V^\top` of each block serves every question. Its cost is
that of the smaller side: with fewer columns than features LAPACK works in the dual (columns × columns), otherwise in the
primal (features × features). The Gram matrix is never formed: it would square the condition number, and a mode with
:math:`\sigma_i = 10^{-4}\sigma_1` would lose half its digits. A block with one column or one feature has one mode, its norm
and its direction, and needs no LAPACK. Complex features have complex modes; V\ :sup:`T` is then V\ :sup:`H`.
"""

from dataclasses import dataclass

import numpy as np

from numerics.arrays import Float, adjoint

UNIT = float(np.finfo(np.float64).eps) / 2


@dataclass(frozen=True)
class Spectrum:
    """The modes of each block's feature matrix.

    Attributes:
        left: U, (blocks, d, r) with r = min(d, M): the modes in feature space.
        values: σ, (blocks, r), descending; values at or below the floor are exactly 0.
        right: Vᵀ, (blocks, r, M).
        floor: (blocks,), below which a singular value is rounding: max(d, M)·eps·σ_1, or that of the features if it is more.
        margin: How many times the smallest kept value exceeds the floor, at worst; inf if nothing is kept.
    """

    left: Float
    values: Float
    right: Float
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

    def pseudo_inverse(self) -> Float:
        """Φ⁺, (blocks, M, d)."""
        kept = self.values > 0
        inverse = np.where(kept, 1 / np.where(kept, self.values, 1), 0)
        return (adjoint(self.right) * inverse[:, None, :]) @ adjoint(self.left)


def spectrum(features: Float, noise: float = 0.0) -> Spectrum:
    """The modes of Φ, (blocks, d, M).

    Args:
        features: Φ.
        noise: The rounding error that the features come with, in units of eps times the norm of all blocks together.

    Example:
        >>> modes = spectrum(np.array([[[3.0, 0.0], [0.0, 0.0]]]))      # rank 1 of 2
        >>> modes.values.tolist(), modes.ranks
        ([[3.0, 0.0]], [1])
    """
    left, values, right = _one_mode(features) if min(features.shape[-2:]) == 1 else _modes(features)
    floor = max(features.shape[-2:]) * 2 * UNIT * values[:, 0]
    if noise:
        floor = np.maximum(floor, noise * 2 * UNIT * _norm(values))
    kept = values > floor[:, None]
    margins = np.where(kept, values / np.where(floor > 0, floor, 1)[:, None], np.inf)
    return Spectrum(left, np.where(kept, values, 0.0), right, floor, float(margins.min()))


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
