"""Momentum as torch's SGD has it, plain and Nesterov's."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import Named, check_number
from theory.optimizers.gradient import GradientDescent
from theory.optimizers.optimizer import Array, Descent, Gradient, State
from theory.recurrence import second_order


@dataclass(frozen=True)
class Momentum(Descent, abstract=True):
    r"""Base of the two: a buffer that starts at zero, :math:`v_{k+1} = \beta v_k + \nabla L(W_k)`.

    Args:
        learning_rate: :math:`\eta > 0`.
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

    def flow_time(self, steps: float) -> float:
        r""":math:`t = k\eta/(1 - \beta)`: every gradient counts so many times."""
        return steps * self.learning_rate / (1 - self.momentum)


@dataclass(frozen=True)
class HeavyBall(Momentum):
    r"""Momentum as torch's SGD: :math:`v_{k+1} = \beta v_k + \nabla L(W_k)`, :math:`W_{k+1} = W_k - \eta v_{k+1}`.

    In one mode :math:`u_{k+2} = (1 + \beta - \eta s) u_{k+1} - \beta u_k`, :math:`u_1 = (1 - \eta s) u_0`.

    Args:
        learning_rate: :math:`\eta > 0`; converges below :math:`2(1 + \beta)/s_{\max}`.
        momentum: :math:`\beta \in [0, 1)`.
    """

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
            shrink=(1 - self.momentum) * xp.ones_like(x),
            lean=(1 - self.momentum) - x,
        )

    def max_learning_rate(self, s_max: float) -> float:
        r""":math:`2(1 + \beta)/s_{max}`."""
        return 2 * (1 + self.momentum) / s_max if s_max > 0 else math.inf

    def torch_optimizer(self) -> Named:
        """SGD with momentum, no dampening."""
        return Named("torch.optim.SGD", {"lr": self.learning_rate, "momentum": self.momentum})


def look_ahead(state: State, gradient: Gradient, learning_rate: float, momentum: float) -> State:
    """One step of Nesterov's momentum as torch has it: the buffer first, then the weight by the gradient and the new buffer."""
    weight, buffer = state
    slope = gradient(weight)
    buffer = momentum * buffer + slope
    return weight - learning_rate * (slope + momentum * buffer), buffer


@dataclass(frozen=True)
class Nesterov(Momentum):
    r"""Nesterov momentum as torch's SGD: :math:`v_{k+1} = \beta v_k + \nabla_k`, :math:`W_{k+1} = W_k - \eta(\nabla_k + \beta v_{k+1})`.

    In one mode :math:`u_{k+2} = (1 - \eta s)\big((1 + \beta) u_{k+1} - \beta u_k\big)`,
    :math:`u_1 = (1 - (1 + \beta)\eta s) u_0`. Where :math:`\eta s = 1` it stands still from the second step on.

    Args:
        learning_rate: :math:`\eta > 0`; converges below :math:`2(1 + \beta)/((1 + 2\beta)s_{\max})`.
        momentum: :math:`\beta \in [0, 1)`.

    Example:
        >>> state = (1.0, 0.0)      # ηs = 1, β = 1/2: u_1 = 1 - 3/2, then 0
        >>> for index in range(3):
        ...     state = Nesterov(0.5, 0.5).step(state, lambda u: 2 * u, index)
        ...     print(state[0])
        -0.5
        0.0
        0.0
    """

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """The buffer first; then the weight moves by the gradient and the new buffer."""
        return look_ahead(state, gradient, self.learning_rate, self.momentum)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        """Two roots, real for x > 1 with one of each sign; the discriminant from its factors."""
        if self.momentum == 0:
            return GradientDescent(self.learning_rate).response(xp, s, t)
        x, beta = self.learning_rate * s, self.momentum
        return second_order(
            xp,
            t + xp.zeros_like(x),
            rate=x,
            trace=(1 - x) * (1 + beta),
            determinant=beta * (1 - x),
            discriminant=(1 - x) * (1 + beta) ** 2 * (((1 - beta) / (1 + beta)) ** 2 - x),
            drop=(1 + beta) * x,
            shrink=(1 - beta) + beta * x,
            lean=(1 - beta) - (1 + beta) * x,
        )

    def max_learning_rate(self, s_max: float) -> float:
        r""":math:`2(1 + \beta)/((1 + 2\beta)s_{max})`."""
        return 2 * (1 + self.momentum) / (1 + 2 * self.momentum) / s_max if s_max > 0 else math.inf

    def torch_optimizer(self) -> Named:
        """SGD with ``nesterov=True``, which torch refuses without momentum: then plain SGD."""
        momentum = {"momentum": self.momentum, "nesterov": True} if self.momentum > 0 else {}
        return Named("torch.optim.SGD", {"lr": self.learning_rate, **momentum})
