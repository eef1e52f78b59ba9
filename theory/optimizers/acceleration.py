"""Nesterov's acceleration in steps: a momentum that grows with them."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import Named, check_number
from theory.iteration import accelerated_descent
from theory.optimizers.momentum import look_ahead
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
        return look_ahead(state, gradient, self.learning_rate, (index + 1) / (index + 4))

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        """The recurrence itself, for all modes at once, the steps multiplied in pairs; linear in the largest step."""
        return accelerated_descent(xp, self.learning_rate * s, t, lambda index: 3 / (index + 4))

    def response_error(self, xp: Any, s: Array, time: float) -> Array:
        r"""Twenty-four roundings a step, each at most of the way moved so far, :math:`1 - g \le \min(1, xk^2)` up to a constant.

        A step or pair rounds four times four numbers, one step in 32 moves the state, and the propagator carries an error on by at
        most 3. What is older than :math:`8/x + 8/(4 - 3x)` steps has decayed: :math:`\sqrt{1 - x}` a step up to :math:`x = 1`, then
        at most :math:`1 - \tfrac34(4 - 3x)`.
        """
        x = self.learning_rate * s
        moving = (x > 0) & (x < 4 / 3)
        memory = xp.where(moving, 8 / xp.where(moving, x, 1.0) + 8 / xp.where(moving, 4 - 3 * x, 1.0), math.inf)
        return 8 + 24 * xp.minimum(memory, time + 0 * x) * xp.minimum(x * time**2, 1 + 0 * x)

    def propagator_bound(self, xp: Any, s: Array, time: float) -> list[list[Array]]:
        r"""From an energy of the look-ahead point :math:`y_j = u_j + \beta_j V_j`, with :math:`x = \eta s` and :math:`V = \eta v`.

        :math:`E_j = x y_j^2 + (1 - x)V_j^2`, with :math:`x \le 1` and :math:`\delta_j = \beta_{j+1} - \beta_j = 3/((j+3)(j+4))`,
        has :math:`\sqrt{E_{j+1}} \le (\sqrt{1 - x} + \delta_j\sqrt x)\sqrt{E_j} \le \sqrt{1 + \delta_j^2}\sqrt{E_j}`, so it
        never rises by more than 1.06 in all; and :math:`|V_{j+1}| \le \sqrt{E_j} + \delta_j\sqrt x|V_j|`, :math:`\delta_j \le 1/4`,
        so :math:`|V| \le 1.42\sqrt{E}`. Beyond, with :math:`a = x - 1 \le 1/3`, :math:`y_{j+1} = a(\beta_j V_j - y_j)` and
        :math:`V_{j+1} = x y_j + (\delta_j - a\beta_j)V_j` leave :math:`|y| \le 1, |V| \le 2` invariant. :math:`|u| \le |y| + |V|`.
        """
        eta, root = self.learning_rate, xp.sqrt(self.learning_rate * s)
        far = 1.5 / xp.where(root > 0, root, 1.0)
        reach = xp.where(root * (1 + 2 * time) > 1.5, far, 1 + 2 * time + 0 * root) + 2
        return [[1.06 + 2 * root, eta * reach], [2 * root / eta, 2 + 0 * root]]

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
