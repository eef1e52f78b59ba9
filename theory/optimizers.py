r"""Optimisers that are linear in the weights: each one is a scalar equation, and what follows from it.

On a quadratic loss such an optimiser acts on each eigen-direction of :math:`S = c\,\Phi\Phi^\top + \mu I` separately.
Its *residual* :math:`g(s, t)` is what is left of a unit error in a mode of eigenvalue :math:`s`; :math:`g(s, 0) = 1`,
and always :math:`g(0, t) = 1`.

An optimiser says its rule once, as code that only adds and scales (``step`` for a descent, ``velocity`` for a flow):
run on numbers the rule is the oracle that iterates or integrates, run on symbols it is the scalar equation from which
``theory.scalar`` derives the residual, run on the prover's letters it is the claim that is proved. The form of the
residual that stays accurate in floating point (``response``) stands beside it and is tested against the derived one.
To add an optimiser, subclass :class:`Descent` or :class:`Flow`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from theory.component import Component, Named, check_number
from theory.errors import SettingError
from theory.recurrence import second_order

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

    def companion(self, learning_rate: float) -> Descent:
        """The descent whose steps follow this flow."""
        raise NotImplementedError

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


@dataclass(frozen=True)
class GradientFlow(Flow):
    r"""Gradient flow, :math:`\dot W = -\nabla L(W)`: :math:`\dot u = -su`, :math:`g = e^{-st}`."""

    def velocity(self, state: State, gradient: Gradient, t: Any) -> State:
        """Downhill."""
        return (-gradient(state[0]),)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        r""":math:`e^{-st}` and :math:`-\mathrm{expm1}(-st)`."""
        return xp.exp(-s * t), -xp.expm1(-s * t)

    def companion(self, learning_rate: float) -> Descent:
        """Gradient descent."""
        return GradientDescent(learning_rate)

    def gap_bound(self, xp: Any, rate: Array, steps: int) -> Array | None:
        r""":math:`0 \le e^{-xk} - (1 - x)^k \le \tfrac{k x^2}{2} e^{-x(k-1)}` for :math:`x = \eta s \in [0, 1]`.

        Source: telescoped difference of powers with :math:`e^{-x} - (1 - x) \le x^2/2`.

        Raises:
            SettingError: If a rate is above 1, where the bound does not hold.
        """
        if float(rate.max()) > 1:
            message = (
                f"learning_rate must be at most 1/s_max for the descent-against-flow bound, but learning_rate·s_max is "
                f"{float(rate.max()):.3g}. Lower it."
            )
            raise SettingError(message)
        return steps * rate**2 / 2 * xp.exp(-rate * max(steps - 1, 0))


@dataclass(frozen=True)
class GradientDescent(Descent):
    r"""Gradient descent, :math:`W_{k+1} = W_k - \eta \nabla L(W_k)`: :math:`g = (1 - \eta s)^k`.

    Args:
        learning_rate: :math:`\eta > 0`; converges below :math:`2/s_{\max}`.
    """

    learning_rate: float

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """One step downhill."""
        (weight,) = state
        return (weight - self.learning_rate * gradient(weight),)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        r""":math:`(1 - x)^k` by logarithms that keep their digits near x = 0 and x = 2; the sign apart."""
        x = self.learning_rate * s
        overshoots = x > 1
        # |1 - x| = 1 - x or 1 + (x - 2); where it is 0, any start of the logarithm would do: the power is put right below.
        shift = xp.where(overshoots, x - 2, -x)
        vanishes = shift <= -1
        exponent = t * xp.log1p(xp.where(vanishes, xp.zeros_like(shift), shift))
        exponent = xp.where(vanishes, xp.where(t > 0, -math.inf, 0.0), exponent)
        sign = xp.where(overshoots, 1 - 2 * (t % 2), xp.ones_like(exponent))
        residual = sign * xp.exp(exponent)
        return residual, xp.where(overshoots, 1 - residual, -xp.expm1(exponent))

    def max_learning_rate(self, s_max: float) -> float:
        """:math:`2/s_{max}`."""
        return 2 / s_max if s_max > 0 else math.inf

    def flow_time(self, steps: float) -> float:
        r""":math:`t = k\eta`."""
        return steps * self.learning_rate

    def torch_optimizer(self) -> Named:
        """Plain SGD."""
        return Named("torch.optim.SGD", {"lr": self.learning_rate})


@dataclass(frozen=True)
class HeavyBall(Descent):
    r"""Momentum as torch's SGD: :math:`v_{k+1} = \beta v_k + \nabla L(W_k)`, :math:`W_{k+1} = W_k - \eta v_{k+1}`.

    In one mode :math:`u_{k+2} = (1 + \beta - \eta s) u_{k+1} - \beta u_k`, :math:`u_1 = (1 - \eta s) u_0`.

    Args:
        learning_rate: :math:`\eta > 0`; converges below :math:`2(1 + \beta)/s_{\max}`.
        momentum: :math:`\beta \in [0, 1)`.
    """

    learning_rate: float
    momentum: float

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("momentum", self.momentum, at_least=0, below=1)

    def initial_state(self, weight: Any) -> State:
        """The buffer starts at zero."""
        return weight, 0 * weight

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """The buffer first, then the weight."""
        weight, buffer = state
        buffer = self.momentum * buffer + gradient(weight)
        return weight - self.learning_rate * buffer, buffer

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        """Two roots; the discriminant from its factors, so that the double roots are met exactly."""
        if self.momentum == 0:
            return GradientDescent(self.learning_rate).response(xp, s, t)
        x, root = self.learning_rate * s, math.sqrt(self.momentum)
        low, high = ((1 - self.momentum) / (1 + root)) ** 2, (1 + root) ** 2
        return second_order(
            xp,
            t + xp.zeros_like(x),
            rate=x,
            trace=1 + self.momentum - x,
            determinant=self.momentum * xp.ones_like(x),
            discriminant=(low - x) * (high - x),
            drop=x,
        )

    def max_learning_rate(self, s_max: float) -> float:
        r""":math:`2(1 + \beta)/s_{max}`."""
        return 2 * (1 + self.momentum) / s_max if s_max > 0 else math.inf

    def flow_time(self, steps: float) -> float:
        r""":math:`t = k\eta/(1 - \beta)`."""
        return steps * self.learning_rate / (1 - self.momentum)

    def torch_optimizer(self) -> Named:
        """SGD with momentum, no dampening."""
        return Named("torch.optim.SGD", {"lr": self.learning_rate, "momentum": self.momentum})


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: it can be trained, never predicted, because its step is not linear in the weights.

    Args:
        learning_rate: Torch's ``lr``.
    """

    learning_rate: float
    discrete = True
    linear = False

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)

    def flow_time(self, steps: float) -> float:
        """Adam follows no gradient flow.

        Raises:
            SettingError: Always.
        """
        message = f"optimizer must be linear in the weights to have a flow time, but it is {self}. Use GradientDescent or HeavyBall."
        raise SettingError(message)

    def torch_optimizer(self) -> Named:
        """Adam with torch's other defaults."""
        return Named("torch.optim.Adam", {"lr": self.learning_rate})
