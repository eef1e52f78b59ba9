"""The bases of the optimisers: what each one says of itself."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

from theory.component import Component, Named
from theory.errors import SettingError
from theory.schedules import Schedule

Array = Any
State = tuple[Any, ...]  # the weight first, then whatever the optimiser remembers
Gradient = Callable[[Any], Any]


class Optimizer(Component):
    """Base of all optimisers; subclass :class:`Descent` or :class:`Flow`."""

    discrete: ClassVar[bool]
    linear: ClassVar[bool] = True
    schedule: Schedule | None = None
    averages: ClassVar[bool] = False  # whether the weight is the mean of the iterates of a plain rule so far
    recurrent: ClassVar[bool] = False  # whether the residual is known by its recurrence only
    time_order: ClassVar[int] = (
        1  # of the flow that is followed: the loss scale c makes its time t·c, or t·√c for order 2
    )
    sampled: ClassVar[str] = ""  # why one run is not what is predicted, or ""
    batch: int | None = None  # how many examples, drawn anew with replacement, training takes at each step; None is all

    def initial_state(self, weight: Any) -> State:
        """The state at rest at a weight."""
        return (weight,)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        r"""The residual and the progress, :math:`(g(s, t), 1 - g(s, t))`, for finite times, broadcast.

        The progress is computed without cancellation: it is proportional to :math:`s` as :math:`s \to 0`.

        Raises:
            SettingError: If the class has none.
        """
        self.lacks("response", "the residual and the progress in floating point")

    def response_error(self, xp: Any, s: Array, time: float) -> Array:
        """The error of ``response`` in units of rounding of 1, beside that of a relative rounding of s; of each mode."""
        return 4 + 0 * s

    def limit_residual(self, xp: Any, s: Array) -> Array:
        """The residual at infinite time: 0 in every mode that converges, 1 in the null space."""
        return xp.where(s > 0, xp.zeros_like(s), xp.ones_like(s))

    def limit_response(self, xp: Any, s: Array) -> tuple[Array, Array]:
        """The residual and the progress at infinite time."""
        residual = self.limit_residual(xp, s)
        return residual, 1 - residual

    @property
    def has_limit(self) -> bool:
        """Whether every mode of positive rate comes to rest (for a descent, below its largest learning rate)."""
        return True

    @property
    def converges(self) -> bool:
        """Whether the limit is where no gradient is left; False if a schedule ends training before."""
        return self.has_limit

    def steady(self, time: float) -> tuple["Optimizer", float]:
        """The rule of constant rate, and its time, that is at ``time`` where this one is; itself if it is none."""
        return self, time

    def precondition(self, xp: Any, gradient: Array) -> Array:
        """What the optimiser is handed instead of the gradient of the data, (…, d); decay is added afterwards."""
        return gradient

    @property
    def rule(self) -> "Optimizer":
        """The rule that acts on the modes: the optimiser itself, or what a preconditioner wraps."""
        return self

    def propagator_bound(self, xp: Any, s: Array, time: float) -> list[list[Array]] | None:
        """Bounds on how much of each part of the state is left in each, from any time to any later one, up to ``time``.

        A flow whose rule changes with time must have them; for others the products of the rule say it.

        Returns:
            Rows of arrays like s, or ``None`` where nothing better than those products is known.
        """
        return None

    def max_learning_rate(self, s_max: float) -> float:
        """The learning rate at which the mode of the largest eigenvalue stops converging; inf for a flow."""
        return math.inf

    def growth(self, xp: Any, s: Array) -> Array:
        """At least how much an error in each mode can become before it shrinks; 1 where it never grows beyond itself for long."""
        return xp.ones_like(s)

    def flow_time(self, steps: float) -> float:
        """The time of the flow that a number of steps approximates, at fixed momentum and small learning rate.

        Raises:
            SettingError: If the class does not say.
        """
        self.lacks("flow_time", "the flow time of a number of steps")

    def torch_optimizer(self) -> Named:
        """The torch optimiser that runs this rule, with its arguments.

        Raises:
            SettingError: If the class names none.
        """
        self.lacks("torch_optimizer", 'the torch optimiser, such as Named("torch.optim.SGD", {"lr": …})')

    def torch_scheduler(self) -> Named | None:
        """The torch scheduler of the learning rate, with its arguments, or None."""
        return None

    def torch_average(self) -> Named | None:
        """The torch class that averages the module's weights after each step, or None."""
        return None

    def torch_options(self, step: int) -> dict[str, float]:
        """The other options of the torch optimiser that change, at a step counted from 0."""
        return {}


class Descent(Optimizer, abstract=True):
    """Base of the discrete optimisers; time is a number of steps."""

    discrete = True
    learning_rate: float

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """The state after one more step; ``index`` counts from 0.

        Raises:
            SettingError: If the class has none.
        """
        self.lacks("step", "the rule")


class Flow(Optimizer, abstract=True):
    """Base of the continuous optimisers; trained by a discrete companion.

    Attributes:
        fineness: How long a step of the companion is in a check, in units of the time of the fastest mode: its gap bound is then
            well below 1 %.
    """

    discrete = False
    fineness: ClassVar[float] = 0.01

    def velocity(self, state: State, gradient: Gradient, t: Any) -> State:
        """The time derivative of the state.

        Raises:
            SettingError: If the class has none.
        """
        self.lacks("velocity", "the rule")

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
        """The descent whose steps follow this flow.

        Raises:
            SettingError: If the class names none.
        """
        self.lacks("companion", "the descent whose steps follow the flow")

    def companion_time(self, learning_rate: float, steps: Any) -> Any:
        """The time at which the companion is after so many steps."""
        return steps * learning_rate

    def learning_rate_for(self, step: float) -> float:
        """The learning rate at which a step of the companion takes so much time: the inverse of :meth:`companion_time`."""
        return step

    def duration(self, units: float) -> float:
        """The time in which a flow of constant rate 1 covers so many units of time."""
        return units

    def gap_bound(self, xp: Any, rate: Array, steps: int, learning_rate: float = 1.0) -> Array | None:
        r"""How far the companion can be from the flow in one mode, in units of the initial error.

        Args:
            xp: The array namespace.
            rate: :math:`\eta s`, learning rate times eigenvalue.
            steps: Number of steps.
            learning_rate: :math:`\eta`, the time of a step; only a rule that changes with time asks for it.

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
