"""Nesterov's acceleration in steps: a momentum that grows with them."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import Named, check_number
from theory.iteration import accelerated_descent
from theory.optimizers.optimizer import Array, Descent, Gradient, State


@dataclass(frozen=True)
class AcceleratedDescent(Descent):
    r"""Nesterov's: torch's SGD with ``nesterov=True`` whose momentum is :math:`\beta_j = j/(j + 3)` at step j = 1, 2 and so on.

    :math:`v_j = \beta_j v_{j-1} + \nabla_{j-1}`, :math:`W_j = W_{j-1} - \eta(\nabla_{j-1} + \beta_j v_j)`: the companion of
    ``NesterovFlow``, which it follows at :math:`t = k\sqrt\eta`. (Nesterov's own sequence has two neighbouring momenta in these
    places; torch has one per step. With the momentum 0 torch would keep no buffer, so there is no step j = 0.) The residual is a
    polynomial in s, known by its recurrence and by no shorter formula.

    Args:
        learning_rate: :math:`\eta > 0`; converges below :math:`4/(3 s_{\max})`, as Nesterov's at :math:`\beta = 1`.

    Example:
        >>> state = (1.0, 0.0)      # ηs = 1/2: β is 1/4, then 2/5
        >>> for index in range(2):
        ...     state = AcceleratedDescent(0.5).step(state, lambda u: u, index)
        ...     print(round(state[0], 12))
        0.375
        0.0325
    """

    learning_rate: float
    recurrent = True
    time_order = 2

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)

    def initial_state(self, weight: Any) -> State:
        """The buffer starts at zero."""
        return weight, 0 * weight

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """The buffer first; then the weight moves by the gradient and the new buffer."""
        weight, buffer = state
        momentum = (index + 1) / (index + 4)
        slope = gradient(weight)
        buffer = momentum * buffer + slope
        return weight - self.learning_rate * (slope + momentum * buffer), buffer

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        """The recurrence itself, for all modes at once; linear in the largest step."""
        return accelerated_descent(xp, self.learning_rate * s, t, lambda index: (index + 1) / (index + 4))

    def max_learning_rate(self, s_max: float) -> float:
        r""":math:`4/(3 s_{max})`: the momentum tends to 1, and Nesterov's limit is :math:`2(1 + \beta)/((1 + 2\beta)s_{max})`."""
        return 4 / (3 * s_max) if s_max > 0 else math.inf

    def flow_time(self, steps: float) -> float:
        r""":math:`t = k\sqrt\eta`, of Nesterov's flow."""
        return steps * math.sqrt(self.learning_rate)

    def torch_optimizer(self) -> Named:
        """SGD with ``nesterov=True``, with the first step's momentum."""
        return Named("torch.optim.SGD", {"lr": self.learning_rate, "momentum": 0.25, "nesterov": True})

    def torch_options(self, step: int) -> dict[str, float]:
        """The momentum of the step."""
        return {"momentum": (step + 1) / (step + 4)}
