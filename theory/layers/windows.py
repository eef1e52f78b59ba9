"""What the layers that read their input through windows share: where the taps lie, and what they read."""

import math
from collections.abc import Sequence
from typing import Any

from theory.component import one_of
from theory.errors import SettingError
from theory.geometry import PADDING_MODES, Axis
from theory.layers.layer import Array, Layer, Shape, check_flag, check_images, check_whole


class Windows(Layer, abstract=True):
    """Base of layers with a kernel, in one to three spatial dimensions.

    A subclass is a dataclass with these fields, and says what it does with the windows.
    """

    kernel_size: int | Shape
    stride: int | Shape
    padding: str | int | Shape
    dilation: int | Shape
    padding_mode: str

    def __post_init__(self) -> None:
        for name, least in (("kernel_size", 1), ("stride", 1), ("dilation", 1), ("padding", 0)):
            value = getattr(self, name)
            if name == "padding" and isinstance(value, str):
                one_of("padding", value, ("same", "valid"))
                continue
            value = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
            object.__setattr__(self, name, value)
            for item in value if isinstance(value, tuple) else (value,):
                check_whole(name, item, least)
        check_flag("bias", self.bias)
        one_of("padding_mode", self.padding_mode, PADDING_MODES)
        if self.padding == "same" and set(each(self.stride, 3)) != {1}:
            message = (
                f"stride must be 1 with padding 'same' (torch refuses it too), but it is {self.stride}. "
                "Pass padding as a number of pixels."
            )
            raise SettingError(message)

    def axes(self, input_shape: Shape) -> list[Axis]:
        """The spatial axes of an input of this shape."""
        sizes = input_shape[1:]
        fields = (self.kernel_size, self.stride, self.dilation)
        for name, value in zip(("kernel_size", "stride", "dilation", "padding"), (*fields, self.padding), strict=True):
            if isinstance(value, tuple) and len(value) != len(sizes):
                message = (
                    f"{name} must have one number per spatial axis of the inputs, {len(sizes)}, but it is {value}. "
                    f"Pass one number, or {len(sizes)} of them."
                )
                raise SettingError(message)
        kernels, strides, dilations = (each(field, len(sizes)) for field in fields)
        axes = []
        for index, (size, kernel, stride, dilation) in enumerate(zip(sizes, kernels, strides, dilations, strict=True)):
            left, right = self._padding(index, dilation * (kernel - 1), len(sizes))
            axes.append(Axis(size, kernel, stride, dilation, left, right, self.padding_mode))
        return axes

    def _padding(self, axis: int, reach: int, dimensions: int) -> tuple[int, int]:
        if isinstance(self.padding, str):
            total = reach if self.padding == "same" else 0
            return total // 2, total - total // 2  # an even kernel pads one pixel more at the end, as torch does
        pixels = each(self.padding, dimensions)[axis]
        return pixels, pixels

    def check(self, input_shape: Shape) -> None:
        """Channels, then one to three spatial axes, at least as large as the kernel."""
        check_images(type(self).__name__, input_shape)
        self.axes(input_shape)

    def positions(self, input_shape: Shape) -> Shape:
        """One output per place of the kernel."""
        return tuple(axis.positions for axis in self.axes(input_shape))

    def windows(self, x: Array, xp: Any) -> tuple[Array, list[Axis]]:
        """What each tap reads, (N, C, positions, taps, positions, taps, …) axis by axis, and the axes."""
        axes = self.axes(tuple(x.shape[1:]))
        count, channels = x.shape[:2]
        for number, axis in enumerate(axes, start=2):
            sources = axis.sources()
            lit = [source is not None for source in sources]
            x = x[(slice(None),) * number + ([source or 0 for source in sources],)]
            if not all(lit):
                mask = xp.asarray(lit, dtype=x.dtype, device=x.device)
                x = x * mask.reshape((-1,) + (1,) * (1 + len(axes) - number))
        return x.reshape((count, channels, *(n for axis in axes for n in (axis.positions, axis.kernel)))), axes

    def check_identity(self) -> None:
        """The kernel must have a centre tap."""
        for size in each(self.kernel_size, 1):
            if size % 2 == 0:
                message = (
                    f"target Identity() needs a kernel with a centre tap (odd kernel_size), but kernel_size is "
                    f"{self.kernel_size}. Use {size + 1}, or another target."
                )
                raise SettingError(message)

    def centre_features(self, axes: list[Axis], channels: int) -> list[int]:
        """The centre tap of each channel among the features of one window."""
        self.check_identity()
        centre = 0
        for axis in axes:
            centre = centre * axis.kernel + axis.kernel // 2
        taps = math.prod(axis.kernel for axis in axes)
        return [channel * taps + centre for channel in range(channels)]

    def identity_crop(self, input_shape: Shape) -> list[dict[str, Any]]:
        """The padded image, from the first window's centre on, one pixel per stride."""
        return [axis.crop for axis in self.axes(input_shape)]


def each(value: int | Shape, dimensions: int) -> Shape:
    """One number per spatial axis."""
    return value if isinstance(value, tuple) else (value,) * dimensions
