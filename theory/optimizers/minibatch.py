"""Minibatch descent in expectation: the mean of the weights over all draws of the batches."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from theory.component import Named, check_number
from theory.layers import check_whole
from theory.optimizers.gradient import GradientDescent
from theory.optimizers.optimizer import Array, Descent, Gradient, State


@dataclass(frozen=True)
class MinibatchDescent(Descent):
    r"""The mean of the weights of minibatch descent whose batches of B examples are drawn with replacement.

    A batch's gradient is unbiased: with "mse" it is that of torch's mean over the batch, with "half_sum" that of
    :math:`\tfrac{N}{B}` times the half sum over the batch. It is affine in the weights, and a batch is drawn independently of
    the weights that it meets, so the mean obeys :math:`E W_{k+1} = E W_k - \eta \nabla L(E W_k)`, the recurrence of the whole
    batch, with weight decay too: :math:`g = (1 - \eta s)^k`. The mean says nothing of the spread, which the batch size sets and
    which may grow where the mean converges.

    Args:
        learning_rate: :math:`\eta > 0`; the mean converges below :math:`2/s_{\max}`.
        batch_size: :math:`B \ge 1`.
    """

    learning_rate: float
    batch_size: int
    sampled: ClassVar[str] = (
        "one run is one sample of the weights, and what is predicted is their mean over all draws of the batches"
    )

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_whole("batch_size", self.batch_size, 1)

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """One step of the mean: the whole gradient."""
        (weight,) = state
        return (weight - self.learning_rate * gradient(weight),)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        """That of gradient descent."""
        return GradientDescent(self.learning_rate).response(xp, s, t)

    def max_learning_rate(self, s_max: float) -> float:
        """:math:`2/s_{max}`, of the mean."""
        return 2 / s_max if s_max > 0 else math.inf

    def flow_time(self, steps: float) -> float:
        r""":math:`t = k\eta`."""
        return steps * self.learning_rate

    def torch_optimizer(self) -> Named:
        """Plain SGD, on a batch drawn anew at every step."""
        return Named("torch.optim.SGD", {"lr": self.learning_rate})
