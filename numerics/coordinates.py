r"""The coordinates in which a preconditioned problem is plain: :math:`\tilde\Phi = R\Phi`, :math:`\tilde W = WR^{-1}`, :math:`P = R^2`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from numerics.arrays import Float, adjoint, squares
from theory.errors import SettingError
from theory.setting import Setting

if TYPE_CHECKING:
    from numerics.problem import Problem

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Coordinates:
    """A problem in the coordinates of its modes.

    Attributes:
        features: RΦ, (blocks, d, M).
        start: W0 R⁻¹, (blocks, q, d).
        root: R, (d, d), or None where nothing changes.
        inverse: R⁻¹, likewise.
        stretch: The largest singular value of R.
        condition: The ratio of its largest and smallest singular value.
    """

    features: Float
    start: Float
    root: Float | None = None
    inverse: Float | None = None
    stretch: float = 1.0
    condition: float = 1.0

    def errors(self, features: Float, examples: int, noise: float) -> Float:
        """Bound on the norm of the error of R times each feature column.

        Args:
            features: Of so many examples, (blocks, d, examples × columns).
            examples: How many.
            noise: The error they come with, in units of eps times the norm of the whole example; the product adds that of its column.

        Returns:
            (blocks, examples × columns).
        """
        largest = float(np.abs(features).max(initial=0.0)) or 1.0
        squared = squares(features / largest).sum(axis=1)  # so that none overflows
        whole = squared.sum(axis=0).reshape((examples, -1)).sum(axis=1).repeat(squared.shape[1] // examples)
        product = 0 if self.root is None else 2 * len(self.root)
        bound: Float = EPS * self.stretch * largest * (noise * np.sqrt(whole) + product * np.sqrt(squared))
        return bound

    def writing(self, modes: Float) -> Float:
        """From amplitudes of modes (blocks, d, r) to weights: Uᵀ R, (blocks, r, d)."""
        rows = adjoint(modes)
        return rows if self.root is None else rows @ self.root

    def reading(self, modes: Float) -> Float:
        """From weights to amplitudes of modes: R⁻¹ U, (blocks, d, r)."""
        return modes if self.inverse is None else self.inverse @ modes

    def from_weight(self, weight: Float) -> Float:
        """A weight of the original coordinates in these, W R⁻¹."""
        return weight if self.inverse is None else weight @ self.inverse

    def from_start(self, start: Float) -> Coordinates:
        """The same coordinates with another start, given in the original ones."""
        return replace(self, start=self.from_weight(start))


def coordinates(problem: Problem) -> Coordinates:
    """The coordinates of a problem's modes.

    Example:
        >>> from numerics.problem import assemble
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow, Preconditioned
        >>> setting = Setting(Linear(), Preconditioned(GradientFlow(), [[4.0, 0.0], [0.0, 1.0]]))
        >>> coordinates(assemble(setting, [[1.0, 1.0]])).features.ravel().round(12).tolist()
        [2.0, 1.0]
    """
    matrix = preconditioner(problem.setting, problem.start.shape[-1])
    if matrix is None:
        return Coordinates(problem.features, problem.start)
    values, vectors = np.linalg.eigh(matrix)
    scales = np.sqrt(values)
    root, inverse = ((vectors * scale) @ vectors.T for scale in (scales, 1 / scales))
    condition = float(scales[-1] / scales[0])
    return Coordinates(root @ problem.features, problem.start @ inverse, root, inverse, float(scales[-1]), condition)


def preconditioner(setting: Setting, size: int) -> Float | None:
    """The preconditioner of a setting on so many features, or None.

    Raises:
        SettingError: If it has another size, or is not positive definite.
    """
    if setting.optimizer.rule is setting.optimizer:
        return None
    matrix = np.asarray(setting.optimizer.matrix, dtype=np.float64)  # type: ignore[attr-defined]
    if matrix.shape != (size, size):
        message = (
            f"matrix must have shape ({size}, {size}) for {setting.layer} on these inputs, one row per feature, the bias last, "
            f"but it has {matrix.shape}. Pass a matrix of that shape."
        )
        raise SettingError(message)
    matrix = (matrix + matrix.T) / 2
    values = np.linalg.eigvalsh(matrix)
    if values[0] <= size * np.finfo(float).eps * values[-1]:
        message = (
            f"matrix must be positive definite, but its smallest eigenvalue is {values[0]:.3g} and its largest {values[-1]:.3g}. "
            "Add a multiple of the identity."
        )
        raise SettingError(message)
    return matrix
