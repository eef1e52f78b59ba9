r"""One ReLU layer trained on one example: the exact solution, unit by unit and piece by piece.

f(x) = relu(Wx) is not linear in its weights, but on one example x̂ each unit's :math:`u = w\cdot\hat x` obeys an equation of its own,

.. math::
    \dot u = -\|\hat x\|^2\,(u - y)\,[u > 0] ,

and w moves along x̂ only. A unit with :math:`u(0) \le 0` never moves (torch's derivative of relu at 0 is 0). One with
:math:`u(0) > 0` relaxes, :math:`u = y + (u(0) - y)e^{-\|\hat x\|^2t}`, to y ≥ 0; if y < 0 it dies on the way, at
:math:`t^* = \ln\frac{u(0) - y}{-y} / \|\hat x\|^2`, and stays at 0. Gradient descent with :math:`x = \eta\|\hat x\|^2` follows
:math:`u_k = y + (u_0 - y)(1 - x)^k` until the first step at which that is not positive, and stays there: below 0, unlike the flow;
with x > 1 a unit can overshoot and die although y > 0.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.arrays import Float, check_shape, check_times, quiet, real_array
from theory.component import check_number
from theory.errors import SettingError
from theory.layers import check_whole
from theory.optimizers import GradientDescent, GradientFlow
from theory.starts import Start, TorchDefault

SMALLEST, LARGEST = 1e-150, 1e150  # of ‖x̂‖, whose square float64 holds
EPS = float(np.finfo(np.float64).eps)


class ReLUExample:
    r"""The training of relu(Wx) on one example, under the half sum of squares, by gradient flow or gradient descent.

    Args:
        example: x̂, (d,).
        target: y, (q,); None is the example itself, the identity.
        initial_weight: (q, d); drawn from ``start`` with ``seed`` if None.
        learning_rate: None for the flow, η for gradient descent; times are then step counts.
        start: Where training starts if no weight is passed.
        seed: Seed of the draw.
        weight_decay: Must be 0: with decay the units that are off move too, and none of this holds.

    Raises:
        SettingError: If a shape does not fit, the example's norm leaves float64, or there is weight decay.

    Example:
        >>> p = ReLUExample([1.0, 0.0], target=[2.0, -1.0, 3.0], initial_weight=[[1.0, 5.0], [1.0, 5.0], [-1.0, 5.0]])
        >>> p.death_times.tolist()                        # the second unit falls from 1 towards -1: dead at ln 2
        [inf, 0.6931471805599453, inf]
        >>> p.weight(math.inf)[0].tolist()
        [[2.0, 5.0], [0.0, 5.0], [-1.0, 5.0]]
    """

    def __init__(
        self,
        example: Any,
        target: Any = None,
        initial_weight: Any = None,
        *,
        learning_rate: float | None = None,
        start: Start | None = None,
        seed: int = 0,
        weight_decay: float = 0.0,
    ) -> None:
        self.example = real_array("example", example)
        if self.example.ndim != 1 or self.example.size == 0:
            message = (
                f"example must have shape (d,), one example, but it has {self.example.shape}. Pass one row, flattened."
            )
            raise SettingError(message)
        self.target = self.example.copy() if target is None else real_array("target", target)
        if self.target.ndim != 1 or self.target.size == 0:
            message = (
                f"target must have shape (q,), but it has {self.target.shape}. Pass the target of the one example."
            )
            raise SettingError(message)
        if weight_decay != 0:
            message = (
                f"weight_decay must be 0 for the piecewise solution, but it is {weight_decay!r}: units that are off would move too. "
                "Drop it, or use a linear layer."
            )
            raise SettingError(message)
        shape = (self.target.size, self.example.size)
        if initial_weight is None:
            check_whole("seed", seed, 0)
            rng = np.random.default_rng(seed)
            initial_weight, _ = (start or TorchDefault()).draw(rng, shape, None, shape[1])
        self.start = real_array("initial_weight", initial_weight)
        check_shape("initial_weight", self.start, shape, "this example and target")
        if learning_rate is not None:
            check_number("learning_rate", learning_rate, above=0)
        self.learning_rate = learning_rate
        largest = float(np.abs(self.example).max())
        self.norm = largest * float(np.linalg.norm(self.example / (largest or 1)))
        if not (self.norm == 0 or SMALLEST < self.norm < LARGEST):
            message = (
                f"example must have a norm between {SMALLEST:g} and {LARGEST:g}, but it is {self.norm:g}. Rescale it."
            )
            raise SettingError(message)
        self.initial = np.array([math.fsum(row * self.example) for row in self.start])
        self._find_deaths()

    @property
    def rate(self) -> float:
        """‖x̂‖², at which a live unit relaxes."""
        return self.norm**2

    @property
    def uncertain(self) -> NDArray[np.bool_]:
        """Whether rounding hides the sign of u(0), and so whether the unit lives at all, (q,)."""
        size = np.abs(self.start) @ np.abs(self.example)
        return (self.initial != 0) & (np.abs(self.initial) <= (self.example.size + 2) * EPS * size)  # type: ignore[no-any-return]

    def _find_deaths(self) -> None:
        """When each unit dies, in units of its relaxation time or in steps, as a real number (root) and as what happens (deaths)."""
        u, y = self.initial, self.target
        self._alive = (u > 0) & (self.norm > 0)
        falls = self._alive & (y < 0)
        with quiet():
            ratio = u / -y
            far = np.log(u) - np.log(-y)  # the ratio may overflow
            self._root = np.where(falls, np.where(ratio < 1e16, np.log1p(ratio), far), math.inf)
        if self.learning_rate is None:
            self._deaths = self._root
            return
        x = self.learning_rate * self.rate
        steps = [
            _death_step(float(start), float(end), x) if on else math.inf
            for start, end, on in zip(u, y, self._alive, strict=True)
        ]
        self._deaths = np.array(steps)
        if x < 1:
            self._root = self._root / -math.log1p(-x)
            self._deaths = np.where(falls, np.maximum(np.ceil(self._root), 1), math.inf)
        else:
            self._root = np.full_like(u, math.inf)

    @property
    def death_times(self) -> Float:
        """When each unit is switched off, (q,): flow time, or step count for a descent; inf for never, and for the never alive."""
        return self._deaths if self.learning_rate is not None or self.norm == 0 else self._deaths / self.rate

    def preactivation(self, times: Any) -> Float:
        """The preactivation W x̂ at each time, (T, q).

        Raises:
            SettingError: For infinitely many steps of a descent that goes on oscillating.
        """
        discrete = self.learning_rate is not None
        t = check_times(times, discrete=discrete)[:, None]
        y, u = self.target, self.initial
        optimizer = GradientFlow() if self.learning_rate is None else GradientDescent(self.learning_rate)
        x = self.rate if self.learning_rate is None else self.learning_rate * self.rate
        if discrete and x >= 2 and np.isinf(t).any() and (self._alive & np.isinf(self._deaths) & (u != y)).any():
            message = (
                f"learning_rate must be below 2/‖x̂‖² = {2 / self.rate:.6g} for a limit, but it is {self.learning_rate:g}: a unit goes on "
                "oscillating. Lower it, or ask for finite steps."
            )
            raise SettingError(message)
        with quiet():
            reached = t if discrete else np.where(np.isinf(t), np.inf, t * self.rate)
            reached = np.minimum(reached, self._deaths)  # from its death on a unit stays where it is
            own = np.where(np.isfinite(reached), reached, 0.0)
            left, done = optimizer.response(np, np.float64(self.rate if discrete else 1.0), own)
            left, done = np.where(np.isinf(reached), 0.0, left), np.where(np.isinf(reached), 1.0, done)
            value = u * left + y * done
            # Close to the death the two parts cancel; the same number from the time that is left does not.
            per = -math.log1p(-x) if discrete and x < 1 else 1.0
            remains = np.where(np.isfinite(self._root), per * (self._root - reached), np.inf)
            value = np.where(remains < 1, -y * np.expm1(np.minimum(remains, 1.0)), value)
        if not discrete:
            value = np.where(np.isfinite(self._deaths) & (reached >= self._deaths), 0.0, value)
        return np.where(self._alive, value, u)

    def weight(self, times: Any) -> Float:
        """W, (T, q, d): the start, moved along the example."""
        moved = self.preactivation(times) - self.initial
        if self.norm == 0:
            return np.broadcast_to(self.start, (len(moved), *self.start.shape)).copy()
        along: Float = self.start + (moved / self.norm)[..., None] * (self.example / self.norm)
        return along

    @property
    def limit(self) -> Float:
        """W at infinite time, (q, d)."""
        return self.weight(math.inf)[0]  # type: ignore[no-any-return]

    def predict(self, x: Any, times: Any) -> Float:
        """relu(Wx) on examples (N, d), (T, N, q)."""
        x = real_array("x", x)
        check_shape("x", x, (len(x) if x.ndim else 0, self.example.size), "this example")
        return np.maximum(x @ self.weight(times).swapaxes(-1, -2), 0.0)  # type: ignore[no-any-return]

    def loss(self, times: Any) -> Float:
        """Half the squared error on the example, (T,)."""
        gap = np.maximum(self.preactivation(times), 0.0) - self.target
        return (gap**2).sum(axis=1) / 2  # type: ignore[no-any-return]

    def from_start(self, weight: Any, learning_rate: float | None) -> "ReLUExample":
        """The same example from another start, by the flow (None) or by gradient descent."""
        return ReLUExample(self.example, self.target, weight, learning_rate=learning_rate)


def _death_step(u: float, y: float, x: float) -> float:
    """The first step k ≥ 1 with y + (u − y)(1 − x)^k ≤ 0, for x ≥ 1 and u > 0; inf if there is none."""
    if x <= 1:
        return 1.0 if x == 1 and y <= 0 else math.inf
    first = u > y  # the odd steps are below y, or else the even ones
    if y - (u - y) * (x - 1) <= 0 and first:
        return 1.0
    if x <= 2 or u == y:
        return math.inf  # the swings do not grow, and the first was the largest
    least = math.log(y / abs(u - y)) / math.log(x - 1)
    step = max(1 if first else 2, math.floor(least) - 2)
    step += (step % 2 == 0) == first
    while y - abs(u - y) * (x - 1) ** step > 0:
        step += 2
    return float(step)
