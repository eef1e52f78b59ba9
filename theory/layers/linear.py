"""The fully connected layer."""

from dataclasses import dataclass
from typing import Any

from theory.component import Named
from theory.layers.flat import Flat
from theory.layers.layer import Array, Shape, check_flag, check_flat


@dataclass(frozen=True)
class Linear(Flat):
    """A fully connected layer: φ(x) = x, or [x; 1] with a bias.

    Args:
        bias: Whether there is one.
    """

    bias: bool = False
    repeats_inputs = True

    def __post_init__(self) -> None:
        check_flag("bias", self.bias)

    def check(self, input_shape: Shape) -> None:
        """One axis of features behind the batch."""
        check_flat("Linear", input_shape)

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """(outputs, features)."""
        return (channels, input_shape[0])

    def patches(self, x: Array, xp: Any) -> Array:
        """The examples as columns."""
        return xp.moveaxis(x, 0, 1)[None]

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``torch.nn.Linear``."""
        return Named("torch.nn.Linear", {"in_features": input_shape[0], "out_features": channels, "bias": self.bias})

    def torch_stack(self, input_shape: Shape, channels: int) -> Named:
        """A batched matrix product."""
        return Named("empirical.stacked.LinearStack", {})
