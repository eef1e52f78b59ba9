"""The bases of the optimisers: what each one says of itself."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

from theory.component import Component, Named
from theory.errors import SettingError

Array = Any
State = tuple[Any, ...]  # the weight first, then whatever the optimiser remembers
Gradient = Callable[[Any], Any]


class Optimizer(Component):
    """Base of all optimisers; subclass :class:`Descent` or :class:`Flow`."""

    discrete: ClassVar[bool]
    linear: ClassVar[bool] = True

    def initial_state(self, weight: Any) -> State:
        """The state at rest at a weight."""
        return (weight,)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        r"""The residual and the progress, :math:`(g(s, t), 1 - g(s, t))`, for finite times, broadcast.

        The progress is computed without cancellation: it is proportional to :math:`s` as :math:`s \to 0`.
        """
        raise NotImplementedError

    def limit_residual(self, xp: Any, s: Array) -> Array:
        """The residual at infinite time: 0 in every mode that converges, 1 in the null space."""
        return xp.where(s > 0, xp.zeros_like(s), xp.ones_like(s))

    @property
    def has_limit(self) -> bool:
        """Whether every mode of positive rate comes to rest (for a descent, below its largest learning rate)."""
        return True

    def propagator_bound(self, xp: Any, s: Array, time: float) -> list[list[Array]] | None:
        """Bounds on how much of each part of the state is left in each, from any time to any later one, up to ``time``.

        A rule that changes with time must have them; for others the powers of the rule say it.

        Returns:
            Rows of arrays like s, or ``None`` where nothing better than those powers is known.
        """
        return None

    def max_learning_rate(self, s_max: float) -> float:
        """The learning rate at which the mode of the largest eigenvalue stops converging; inf for a flow."""
        return math.inf

    def flow_time(self, steps: float) -> float:
        """The gradient-flow time that a number of steps approximates, at fixed momentum and small learning rate."""
        raise NotImplementedError

    def torch_optimizer(self) -> Named:
        """The torch optimiser that runs this rule, with its arguments."""
        raise NotImplementedError


class Descent(Optimizer, abstract=True):
    """Base of the discrete optimisers; time is a number of steps."""

    discrete = True
    learning_rate: float

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """The state after one more step; ``index`` counts from 0."""
        raise NotImplementedError


class Flow(Optimizer, abstract=True):
    """Base of the continuous optimisers; trained by a discrete companion."""

    discrete = False

    def velocity(self, state: State, gradient: Gradient, t: Any) -> State:
        """The time derivative of the state."""
        raise NotImplementedError

    def departure(self, weight: Any, gradient: Gradient, rate: float, until: float) -> tuple[float, State]:
        """A time of at most ``until`` from which a solver can go on, and the state there; 0 unless the velocity is singular.

        Args:
            weight: Where it starts, at rest.
            gradient: The gradient, affine in the weight.
            rate: At least the fastest rate of a mode.
            until: The first time that is asked for, above 0.
        """
        return 0.0, self.initial_state(weight)

    def companion(self, learning_rate: float) -> Descent:
        """The descent whose steps follow this flow."""
        raise NotImplementedError

    def companion_time(self, learning_rate: float, steps: Any) -> Any:
        """The time at which the companion is after so many steps."""
        return steps * learning_rate

    def gap_bound(self, xp: Any, rate: Array, steps: int) -> Array | None:
        r"""How far the companion can be from the flow in one mode, in units of the initial error.

        Args:
            xp: The array namespace.
            rate: :math:`\eta s`, learning rate times eigenvalue.
            steps: Number of steps.

        Returns:
            The bound, or ``None`` where none is derived (training is then ``not run``).
        """
        return None

    def flow_time(self, steps: float) -> float:
        """A flow has no steps.

        Raises:
            SettingError: Always.
        """
        message = (
            f"optimizer must be a descent to count steps, but it is {self}. Multiply by its companion's learning rate."
        )
        raise SettingError(message)

    def torch_optimizer(self) -> Named:
        """A flow is trained through its companion.

        Raises:
            SettingError: Always.
        """
        message = f"optimizer must be a descent to be trained, but it is {self}. Pass learning_rate=… to train it by its companion."
        raise SettingError(message)
