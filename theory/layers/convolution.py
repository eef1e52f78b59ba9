"""The convolution, grouped and depthwise included."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import Named
from theory.errors import SettingError
from theory.layers.layer import Array, Shape, check_whole
from theory.layers.windows import Windows, each


@dataclass(frozen=True)
class Conv(Windows):
    """A convolution as torch computes it (a cross-correlation), in one to three spatial dimensions.

    φ(x) is the patch matrix in the row order of torch's ``unfold``: channel, then the taps row by row. The number of
    dimensions and of input channels comes from the data: (N, C, length), (N, C, height, width) or one axis more.

    Args:
        kernel_size: Taps per axis; one number, or one per axis.
        stride: Pixels from one output position to the next.
        padding: "same", "valid", or pixels on each side.
        dilation: Pixels from one tap to the next.
        groups: Independent blocks of channels.
        padding_mode: What lies outside the image: zeros, reflect, replicate or circular.
        bias: Whether there is one.
    """

    kernel_size: int | Shape
    stride: int | Shape = 1
    padding: str | int | Shape = "same"
    dilation: int | Shape = 1
    groups: int = 1
    padding_mode: str = "zeros"
    bias: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("groups", self.groups, 1)

    def check(self, input_shape: Shape) -> None:
        """Windows that fit, and groups that divide the channels."""
        super().check(input_shape)
        if input_shape[0] % self.groups:
            message = (
                f"groups must divide the input channels, {input_shape[0]}, but it is {self.groups}. "
                f"Use groups={math.gcd(self.groups, input_shape[0])}."
            )
            raise SettingError(message)

    def channel_groups(self) -> int:
        """The groups."""
        return self.groups

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """(output channels, input channels per group, *kernel)."""
        return (channels, input_shape[0] // self.groups, *(axis.kernel for axis in self.axes(input_shape)))

    def patches(self, x: Array, xp: Any) -> Array:
        """The patch matrix of each group."""
        windows, axes = self.windows(x, xp)
        count, channels = windows.shape[0], windows.shape[1] // self.groups
        taps = tuple(range(4, 4 + 2 * len(axes), 2))
        # (N, group, channel, positions and taps interleaved) to (group, channel, taps, N, positions)
        split = windows.reshape((count, self.groups, channels, *windows.shape[2:]))
        ordered = xp.moveaxis(split, (1, 2, *taps, 0), tuple(range(len(taps) + 3)))
        rows = channels * math.prod(axis.kernel for axis in axes)
        return ordered.reshape((self.groups, rows, count * math.prod(axis.positions for axis in axes)))

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """The centre tap of each channel of the group."""
        return [self.centre_features(self.axes(input_shape), input_shape[0] // self.groups)] * self.groups

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``torch.nn.Conv1d``, ``Conv2d`` or ``Conv3d``."""
        dimensions = len(input_shape) - 1
        arguments = {
            "in_channels": input_shape[0],
            "out_channels": channels,
            "kernel_size": each(self.kernel_size, dimensions),
            "stride": each(self.stride, dimensions),
            "padding": self.padding if isinstance(self.padding, str) else each(self.padding, dimensions),
            "dilation": each(self.dilation, dimensions),
            "groups": self.groups,
            "padding_mode": self.padding_mode,
            "bias": self.bias,
        }
        return Named(f"torch.nn.Conv{dimensions}d", arguments)

    def torch_stack(self, input_shape: Shape, channels: int) -> Named:
        """One convolution with a group for each copy and group."""
        axes = self.axes(input_shape)
        arguments = {
            "stride": each(self.stride, len(axes)),
            "dilation": each(self.dilation, len(axes)),
            "groups": self.groups,
            "pads": tuple((axis.left, axis.right) for axis in axes),
            "padding_mode": self.padding_mode,
        }
        return Named("empirical.stacked.ConvStack", arguments)
