r"""What is integrated or iterated: the weights, or one of the two reduced states that the same rule carries (theorem T22).

- *full*: W itself, its gradient through Φ.
- *dual*, smaller where there are fewer columns M than features d: :math:`W = a\hat W_0 + \zeta\,\Phi^\top P/\nu`. Every rule adds and
  scales weights and gradients only, so no weight ever leaves these; the gradient has the coordinates :math:`\mu a` and
  :math:`\nu R + \mu\zeta` with the residual :math:`R = c(a\hat W_0\Phi + \zeta K/\nu - Y)` and :math:`K = \Phi^\top P\Phi`, (M, M).
- *Gram*, for :math:`M \ge d`: W itself with :math:`c(WG - H) + \mu W`, where :math:`G = \Phi\Phi^\top P`, :math:`H = Y\Phi^\top P`.

:math:`\hat W_0 = W_0/\|W_0\|` and the power of two :math:`\nu \ge \|\Phi^\top P\|` put a and ζ in units of weights: an error of
each is at most as large in W. What is rounded when K, G and H are formed and used is bounded here
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.5) and carried to the weights by
``Budget.integration``. A preconditioner P is 1 where there is none.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from numerics.arrays import Float, adjoint
from numerics.problem import Problem

UNIT = 2.0**-53
Residual = Callable[[Float], Float]  # the outputs WΦ as columns to c(WΦ − Y), or to another slope of the loss


class State(ABC):
    """Base of the three; vectors are flat: first what is no row, then ``rows`` of all blocks.

    Args:
        problem: The problem.
        residual: The slope of the loss in the outputs' columns; None for the squared error's.
    """

    name: ClassVar[str]
    lead = 0  # entries before the rows
    start: Float
    rows: tuple[int, int, int]  # blocks, outputs, entries of a row

    def __init__(self, problem: Problem, residual: Residual | None = None) -> None:
        self.problem = problem
        self.decay = problem.setting.weight_decay
        self.residual = residual or (lambda columns: problem.scale * (columns - problem.columns))
        features, target = problem.features, problem.columns
        self.push = problem.setting.optimizer.precondition(np, adjoint(features))  # ΦᴴP, (blocks, M, d)
        self.sizes = float(np.linalg.norm(features)), float(np.linalg.norm(target)), float(np.linalg.norm(self.push))
        self.products = sum(features.shape[-2:]) + features.shape[-2] + 5  # summed in any entry, at most
        optimizer = problem.setting.optimizer
        # ‖Φ‖‖P‖ over ‖ΦᵀP‖, at most.
        self.condition = 1.0 if optimizer.rule is optimizer else _condition(problem)

    @abstractmethod
    def gradient(self, vector: Float) -> Float:
        """The coordinates of the gradient, a vector like the state."""

    @abstractmethod
    def linear(self, rows: Float) -> Float:
        """The gradient of the squared error without its constant, on any number of rows (blocks, n, entries)."""

    @abstractmethod
    def weight(self, vector: Float) -> Float:
        """The block weights (blocks, q, d)."""

    def lifting_error(self, vector: Float) -> float:
        """Rounding of :meth:`weight`, Frobenius norm."""
        return 0.0

    def step_error(self, vectors: tuple[Float, ...]) -> float:
        """Rounding of the update of a descent beyond that of the weights' own, which ``Budget`` counts."""
        return 0.0

    def residual_error(self, vector: Float) -> float:
        """Rounding in the gradient that enters through ΦᵀP, as an error of the residual; 0 for the full state, see ``Budget``."""
        return 0.0

    def gradient_error(self, vector: Float) -> float:
        """Rounding in the gradient in any direction."""
        return 0.0


class FullState(State):
    """The weights."""

    name = "full"

    def __init__(self, problem: Problem, residual: Residual | None = None) -> None:
        super().__init__(problem, residual)
        self.start, self.rows = problem.start.ravel(), problem.start.shape

    def gradient(self, vector: Float) -> Float:
        """Through Φ, without forming a Gram matrix."""
        theta = vector.reshape(self.rows)
        slope: Float = self.residual(theta @ self.problem.features) @ self.push + self.decay * theta
        return slope.ravel()

    def linear(self, rows: Float) -> Float:
        """The same without Y."""
        moved: Float = self.problem.scale * (rows @ self.problem.features) @ self.push + self.decay * rows
        return moved

    def weight(self, vector: Float) -> Float:
        """Itself."""
        return vector.reshape(self.rows)


class DualState(State):
    r"""The coordinates (a, ζ) of :math:`W = a\hat W_0 + \zeta\,\Phi^\top P/\nu`."""

    name = "dual"
    lead = 1

    def __init__(self, problem: Problem, residual: Residual | None = None) -> None:
        super().__init__(problem, residual)
        blocks, outputs, _ = problem.start.shape
        self.rows = blocks, outputs, problem.features.shape[-1]
        size = float(np.linalg.norm(problem.start))
        self.direction = problem.start / (size or 1.0)
        self.unit = 2.0 ** np.ceil(np.log2(self.sizes[2])) if self.sizes[2] > 0 else 1.0
        self.writing = self.push / self.unit
        self.kernel = self.writing @ problem.features  # K/ν
        self.outputs = self.direction @ problem.features
        self.start = np.zeros(1 + int(np.prod(self.rows)), dtype=problem.start.dtype)
        self.start[0] = size

    def gradient(self, vector: Float) -> Float:
        """μa and νR + μζ."""
        rows = vector[1:].reshape(self.rows)
        residual = self.residual(vector[0] * self.outputs + rows @ self.kernel)
        return np.concatenate([self.decay * vector[:1], (self.unit * residual + self.decay * rows).ravel()])

    def linear(self, rows: Float) -> Float:
        """Of the rows alone: cζK + μζ."""
        moved: Float = (self.problem.scale * self.unit) * (rows @ self.kernel) + self.decay * rows
        return moved

    def weight(self, vector: Float) -> Float:
        """aŴ0 + ζΦᵀP/ν; the start itself where nothing has moved."""
        theta: Float = vector[0] * self.direction + vector[1:].reshape(self.rows) @ self.writing
        return theta

    def lifting_error(self, vector: Float) -> float:
        """Of two products and their sum; P's own product beside."""
        return _gamma(self.products) * self._size(vector)

    def step_error(self, vectors: tuple[Float, ...]) -> float:
        """Of at most four sums and multiples in each part."""
        return 4 * UNIT * sum(self._size(vector) for vector in vectors)

    def residual_error(self, vector: Float) -> float:
        """Of ζK/ν, where K is formed and used, of the start's outputs, and of the difference with Y."""
        features, targets, _ = self.sizes
        return _gamma(self.products) * (self._size(vector) * features + targets)

    def _size(self, vector: Float) -> float:
        return float(abs(vector[0]) + self.condition * np.linalg.norm(vector[1:]))


class GramState(State):
    """The weights, with the Gram matrix of the features."""

    name = "gram"

    def __init__(self, problem: Problem, residual: Residual | None = None) -> None:
        super().__init__(problem, residual)
        self.start, self.rows = problem.start.ravel(), problem.start.shape
        self.matrix = problem.scale * (problem.features @ self.push)
        self.drive = problem.scale * (problem.columns @ self.push)

    def gradient(self, vector: Float) -> Float:
        """c(WG − H) + μW."""
        theta = vector.reshape(self.rows)
        slope: Float = theta @ self.matrix - self.drive + self.decay * theta
        return slope.ravel()

    def linear(self, rows: Float) -> Float:
        """The same without H."""
        moved: Float = rows @ self.matrix + self.decay * rows
        return moved

    def weight(self, vector: Float) -> Float:
        """Itself."""
        return vector.reshape(self.rows)

    def gradient_error(self, vector: Float) -> float:
        """Of G and H, formed and used: it does not fade with the residual."""
        features, targets, pushed = self.sizes
        size = float(np.linalg.norm(vector))
        pushed *= self.problem.scale * self.condition
        return _gamma(self.products) * ((size * features + targets) * pushed + self.decay * size)


STATES: dict[str, type[State]] = {kind.name: kind for kind in (FullState, DualState, GramState)}


def _gamma(count: int) -> float:
    """The relative error of a sum of so many products."""
    return count * UNIT / (1 - count * UNIT)


def _condition(problem: Problem) -> float:
    """The condition number of P."""
    matrix = problem.setting.optimizer.precondition(np, np.eye(problem.start.shape[-1]))
    return float(np.linalg.cond(matrix))
