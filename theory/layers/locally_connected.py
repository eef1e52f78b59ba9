"""The locally connected layer: a convolution whose positions share nothing."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import Named
from theory.layers.layer import Array, Shape
from theory.layers.windows import Windows, each


@dataclass(frozen=True)
class LocallyConnected(Windows):
    r"""An unshared convolution: each output position has taps (and a bias) of its own, so each is a block of its own.

    :math:`f(x)_p = W_p\,\varphi_p(x)` with φ_p(x) the window at position p, in the row order of torch's ``unfold``. The
    weight is (channels out, \*positions, channels in, \*kernel), the bias (channels out, \*positions). Torch has no such
    module; ``empirical.modules.LocallyConnected`` is one by ``unfold``. In one to three spatial dimensions.

    Args:
        kernel_size: Taps per axis; one number, or one per axis.
        stride: Pixels from one output position to the next.
        padding: "same", "valid", or pixels on each side.
        dilation: Pixels from one tap to the next.
        padding_mode: What lies outside the image: zeros, reflect, replicate or circular.
        bias: Whether there is one per position.

    Example:
        >>> import numpy as np
        >>> LocallyConnected(2, padding="valid").features(np.array([[[1.0, 2.0, 3.0]]]), np).tolist()  # two blocks
        [[[1.0], [2.0]], [[2.0], [3.0]]]
    """

    kernel_size: int | Shape
    stride: int | Shape = 1
    padding: str | int | Shape = "same"
    dilation: int | Shape = 1
    padding_mode: str = "zeros"
    bias: bool = False
    block_name = "position"

    def blocks(self, input_shape: Shape) -> int:
        """One per position."""
        return math.prod(self.positions(input_shape))

    def columns(self, input_shape: Shape) -> int:
        """One: its window."""
        return 1

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """(output channels, *positions, input channels, *kernel)."""
        return (
            channels,
            *self.positions(input_shape),
            input_shape[0],
            *(axis.kernel for axis in self.axes(input_shape)),
        )

    def bias_shape(self, input_shape: Shape, channels: int) -> Shape | None:
        """(output channels, *positions), or ``None``."""
        return self.output_shape(input_shape, channels) if self.bias else None

    def fan_in(self, input_shape: Shape) -> int:
        """Inputs of one position."""
        return input_shape[0] * math.prod(axis.kernel for axis in self.axes(input_shape))

    def patches(self, x: Array, xp: Any) -> Array:
        """The window of each position, (positions, channels × taps, N)."""
        windows, axes = self.windows(x, xp)
        count, channels = windows.shape[:2]
        places, taps = (tuple(range(first, 2 + 2 * len(axes), 2)) for first in (2, 3))
        ordered = xp.moveaxis(windows, (*places, 1, *taps, 0), tuple(range(2 + 2 * len(axes))))
        rows = channels * math.prod(axis.kernel for axis in axes)
        return ordered.reshape((math.prod(axis.positions for axis in axes), rows, count))

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """The centre tap of each channel, at every position."""
        return [self.centre_features(self.axes(input_shape), input_shape[0])] * self.blocks(input_shape)

    def to_columns(self, outputs: Array, xp: Any) -> Array:
        """Outputs (N, channels, *positions) as (positions, channels, N)."""
        count, channels = outputs.shape[:2]
        return xp.moveaxis(outputs.reshape((count, channels, math.prod(outputs.shape[2:]))), (2, 1, 0), (0, 1, 2))

    def from_columns(self, columns: Array, input_shape: Shape, xp: Any) -> Array:
        """(..., positions, channels, N) as outputs (..., N, channels, *positions)."""
        *lead, _, channels, count = columns.shape
        moved = xp.moveaxis(columns, (-1, -2, -3), (-3, -2, -1))
        return moved.reshape((*lead, count, channels, *self.positions(input_shape)))

    def to_blocks(self, weight: Array, bias: Array | None, xp: Any, *, lead: int = 0) -> Array:
        """Torch's weight and bias as (positions, channels, d), behind ``lead`` batch axes."""
        front, channels = tuple(weight.shape[:lead]), weight.shape[lead]
        axes = (weight.ndim - lead - 2) // 2
        places = math.prod(weight.shape[lead + 1 : lead + 1 + axes])
        matrix = xp.moveaxis(weight.reshape((*front, channels, places, -1)), -2, -3)
        if bias is None:
            return matrix
        return xp.concatenate((matrix, xp.moveaxis(bias.reshape((*front, channels, places, 1)), -2, -3)), axis=-1)

    def from_blocks(self, theta: Array, input_shape: Shape, xp: Any) -> tuple[Array, Array | None]:
        """The inverse of :meth:`to_blocks`."""
        *lead, _, channels, _ = theta.shape
        moved = xp.moveaxis(theta, -3, -2)
        shape = (*lead, *self.weight_shape(input_shape, channels))
        if not self.bias:
            return moved.reshape(shape), None
        return moved[..., :-1].reshape(shape), moved[..., -1].reshape(
            (*lead, *self.output_shape(input_shape, channels))
        )

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``empirical.modules.LocallyConnected``."""
        axes = self.axes(input_shape)
        dimensions = len(axes)
        arguments = {
            "in_channels": input_shape[0],
            "out_channels": channels,
            "positions": self.positions(input_shape),
            "kernel_size": each(self.kernel_size, dimensions),
            "stride": each(self.stride, dimensions),
            "padding": [(axis.left, axis.right) for axis in axes],
            "dilation": each(self.dilation, dimensions),
            "padding_mode": self.padding_mode,
            "bias": self.bias,
        }
        return Named("empirical.modules.LocallyConnected", arguments)
