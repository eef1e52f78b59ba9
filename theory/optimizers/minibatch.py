"""Minibatch descent in expectation: the mean of the weights over all draws of the batches."""

from dataclasses import dataclass
from typing import ClassVar

from theory.component import check_number
from theory.layers import check_whole
from theory.optimizers.gradient import GradientDescent
from theory.optimizers.optimizer import Descent


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

    @property
    def batch(self) -> int:  # type: ignore[override]
        """What training draws at each step."""
        return self.batch_size

    # The mean moves as gradient descent does, and its batches are torch's plain SGD.
    step, response, flow_time = GradientDescent.step, GradientDescent.response, GradientDescent.flow_time
    max_learning_rate, torch_optimizer = GradientDescent.max_learning_rate, GradientDescent.torch_optimizer
