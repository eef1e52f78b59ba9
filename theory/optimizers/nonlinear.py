"""What can be trained and never predicted: its step is not linear in the weights."""

from dataclasses import dataclass

from theory.component import Named, check_number
from theory.errors import SettingError
from theory.optimizers.optimizer import Optimizer


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
