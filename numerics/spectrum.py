r"""The spectrum of a feature matrix. The only place of the project that decides a rank.

One thin singular value decomposition :math:`\Phi = U \Sigma V^\top` of each block serves every question. Its cost is
that of the smaller side: with fewer columns than features LAPACK works in the dual (columns × columns), otherwise in the
primal (features × features). The Gram matrix is never formed: it would square the condition number, and a mode with
:math:`\sigma_i = 10^{-4}\sigma_1` would lose half its digits.
"""

from dataclasses import dataclass

import numpy as np

from numerics.arrays import Float

UNIT = float(np.finfo(np.float64).eps) / 2


@dataclass(frozen=True)
class Spectrum:
    """The modes of each block's feature matrix.

    Attributes:
        left: U, (blocks, d, r) with r = min(d, M): the modes in feature space.
        values: σ, (blocks, r), descending; values at or below the floor are exactly 0.
        right: Vᵀ, (blocks, r, M).
        floor: (blocks,), below which a singular value is rounding: max(d, M)·eps·σ_1.
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
        return basis @ (basis.swapaxes(-1, -2) @ features)

    def pseudo_inverse(self) -> Float:
        """Φ⁺, (blocks, M, d)."""
        kept = self.values > 0
        inverse = np.where(kept, 1 / np.where(kept, self.values, 1), 0)
        return (self.right.swapaxes(-1, -2) * inverse[:, None, :]) @ self.left.swapaxes(-1, -2)


def spectrum(features: Float) -> Spectrum:
    """The modes of Φ, (blocks, d, M).

    Example:
        >>> modes = spectrum(np.array([[[3.0, 0.0], [0.0, 0.0]]]))      # rank 1 of 2
        >>> modes.values.tolist(), modes.ranks
        ([[3.0, 0.0]], [1])
    """
    left, values, right = np.linalg.svd(features, full_matrices=False)
    floor = max(features.shape[-2:]) * 2 * UNIT * values[:, 0]
    kept = values > floor[:, None]
    margins = np.where(kept, values / np.where(floor > 0, floor, 1)[:, None], np.inf)
    return Spectrum(left, np.where(kept, values, 0.0), right, floor, float(margins.min()))
