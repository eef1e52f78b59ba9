"""The gradient itself: as a flow, and in steps."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import Named, check_number
from theory.errors import SettingError
from theory.optimizers.optimizer import Array, Descent, Flow, Gradient, State


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
