r"""Layers that are linear in their parameters, each one declared by its feature map φ.

A layer's output is :math:`W \varphi(x)`, one column of φ(x) per output position. Some layers split into independent
problems of the same form, so everything carries a leading *block* axis (1 for plain layers, one block per group of a
grouped convolution): features are ``(blocks, d, columns)`` and weights are ``(blocks, q, d)``, with
``columns = examples × positions``, examples slowest. A bias is one more feature that is always 1.

A layer is declarative: ``features`` receives its array namespace (numpy or torch), so nothing here imports either, and
the torch module that training runs is named, not built. The reshaping between torch's weight layout and blocks stands
beside it. To add a layer, subclass :class:`Layer`, or :class:`Conv` for another way of reading patches.
"""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from theory.component import Component, Named, check_number, one_of
from theory.errors import SettingError
from theory.geometry import PADDING_MODES, Axis

Shape = tuple[int, ...]
Array = Any  # a numpy array or a torch tensor; theory imports neither


class Layer(Component):
    """Base of all layers; the methods without a body are what a new layer must say."""

    bias: bool
    single_column: ClassVar[bool] = False  # whether an example is one column of features

    def check(self, input_shape: Shape) -> None:
        """Refuses examples of a shape that the layer cannot take (SettingError); ``input_shape`` has no batch axis."""
        raise NotImplementedError

    def positions(self, input_shape: Shape) -> Shape:
        """The spatial shape of the output; ``()`` for a fully connected layer."""
        raise NotImplementedError

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """The shape of torch's weight for ``channels`` output channels."""
        raise NotImplementedError

    def patches(self, x: Array, xp: Any) -> Array:
        """The feature map without the bias: (N, *input_shape) to (blocks, d, N × positions)."""
        raise NotImplementedError

    def check_identity(self) -> None:
        """Refuses a layer in which no feature is the input itself (SettingError)."""

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """For each block and output, the feature that is the input itself."""
        raise NotImplementedError

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """The torch module that computes this layer."""
        raise NotImplementedError

    def blocks(self) -> int:
        """Number of independent problems."""
        return 1

    def arrange(self, images: Array) -> Array:
        """Images (N, C, *spatial) in the shape that the layer takes."""
        return images

    def bias_shape(self, channels: int) -> Shape | None:
        """The shape of torch's bias, or ``None``."""
        return (channels,) if self.bias else None

    def fan_in(self, input_shape: Shape) -> int:
        """Inputs of one output unit, as torch counts them for its default start."""
        return math.prod(self.weight_shape(input_shape, self.blocks())[1:])

    def features(self, x: Array, xp: Any) -> Array:
        r"""The feature map :math:`\varphi`.

        Args:
            x: (N, \*input_shape), real floating point.
            xp: The array namespace of ``x``: numpy or torch.

        Returns:
            (blocks, d, N × positions); with a bias the last of the d features is 1.

        Raises:
            SettingError: If the layer cannot take examples of this shape.

        Example:
            >>> import numpy as np
            >>> Linear(bias=True).features(np.array([[2.0, 3.0]]), np)[0].tolist()
            [[2.0], [3.0], [1.0]]
            >>> Conv(3).features(np.array([[[1.0, 2.0, 3.0]]]), np)[0].tolist()   # zero padding, taps down, positions across
            [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 0.0]]
        """
        self.check(tuple(x.shape[1:]))
        patches = self.patches(x, xp)
        return xp.concatenate((patches, xp.ones_like(patches[:, :1])), axis=1) if self.bias else patches

    def output_shape(self, input_shape: Shape, channels: int) -> Shape:
        """The shape of one output."""
        return (channels, *self.positions(input_shape))

    def to_columns(self, outputs: Array, xp: Any) -> Array:
        """Outputs (N, channels, *positions) as columns (blocks, q, N × positions)."""
        count, channels = outputs.shape[:2]
        q, positions = channels // self.blocks(), math.prod(outputs.shape[2:])
        split = outputs.reshape((count, self.blocks(), q, positions))
        return xp.moveaxis(split, 0, 2).reshape((self.blocks(), q, count * positions))

    def from_columns(self, columns: Array, input_shape: Shape, xp: Any) -> Array:
        """Columns (..., blocks, q, N × positions) as outputs (..., N, channels, *positions)."""
        *lead, blocks, q, total = columns.shape
        positions = self.positions(input_shape)
        split = columns.reshape((*lead, blocks, q, total // math.prod(positions), math.prod(positions)))
        return xp.moveaxis(split, -2, -4).reshape((*lead, total // math.prod(positions), blocks * q, *positions))

    def to_blocks(self, weight: Array, bias: Array | None, xp: Any, *, lead: int = 0) -> Array:
        """Torch's weight and bias as (blocks, q, d), behind ``lead`` batch axes."""
        front, channels = tuple(weight.shape[:lead]), weight.shape[lead]
        matrix = weight.reshape((*front, self.blocks(), channels // self.blocks(), -1))
        if bias is None:
            return matrix
        return xp.concatenate((matrix, bias.reshape((*front, self.blocks(), -1, 1))), axis=-1)

    def from_blocks(self, theta: Array, input_shape: Shape) -> tuple[Array, Array | None]:
        """The inverse of :meth:`to_blocks`: (..., blocks, q, d) as torch's weight and bias (``None`` without)."""
        *lead, blocks, q, _ = theta.shape
        shape = (*lead, *self.weight_shape(input_shape, blocks * q))
        if not self.bias:
            return theta.reshape(shape), None
        return theta[..., :-1].reshape(shape), theta[..., -1].reshape((*lead, blocks * q))


@dataclass(frozen=True)
class Linear(Layer):
    """A fully connected layer: φ(x) = x, or [x; 1] with a bias.

    Args:
        bias: Whether there is one.
    """

    bias: bool = False
    single_column = True

    def __post_init__(self) -> None:
        check_flag("bias", self.bias)

    def check(self, input_shape: Shape) -> None:
        """One axis of features behind the batch."""
        if len(input_shape) != 1:
            message = (
                f"inputs must have shape (N, features) for a Linear layer, but an example has shape {input_shape}. "
                "Pass inputs.reshape(len(inputs), -1)."
            )
            raise SettingError(message)

    def arrange(self, images: Array) -> Array:
        """Each image as one row."""
        return images.reshape((len(images), -1))

    def positions(self, input_shape: Shape) -> Shape:
        """None: one output per example."""
        return ()

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """(outputs, features)."""
        return (channels, input_shape[0])

    def patches(self, x: Array, xp: Any) -> Array:
        """The examples as columns."""
        return xp.moveaxis(x, 0, 1)[None]

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """Every feature is an input."""
        return [list(range(input_shape[0]))]

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``torch.nn.Linear``."""
        return Named("torch.nn.Linear", {"in_features": input_shape[0], "out_features": channels, "bias": self.bias})


@dataclass(frozen=True)
class Conv(Layer):
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
        for name, least in (("kernel_size", 1), ("stride", 1), ("dilation", 1), ("padding", 0)):
            value = getattr(self, name)
            if name == "padding" and isinstance(value, str):
                one_of("padding", value, ("same", "valid"))
                continue
            value = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
            object.__setattr__(self, name, value)
            for item in value if isinstance(value, tuple) else (value,):
                check_whole(name, item, least)
        check_whole("groups", self.groups, 1)
        check_flag("bias", self.bias)
        one_of("padding_mode", self.padding_mode, PADDING_MODES)
        if self.padding == "same" and set(_spread(self.stride, 3)) != {1}:
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
        kernels, strides, dilations = (_spread(field, len(sizes)) for field in fields)
        axes = []
        for index, (size, kernel, stride, dilation) in enumerate(zip(sizes, kernels, strides, dilations, strict=True)):
            left, right = self._padding(index, dilation * (kernel - 1), len(sizes))
            axes.append(Axis(size, kernel, stride, dilation, left, right, self.padding_mode))
        return axes

    def _padding(self, axis: int, reach: int, dimensions: int) -> tuple[int, int]:
        if isinstance(self.padding, str):
            total = reach if self.padding == "same" else 0
            return total // 2, total - total // 2  # an even kernel pads one pixel more at the end, as torch does
        pixels = _spread(self.padding, dimensions)[axis]
        return pixels, pixels

    def check(self, input_shape: Shape) -> None:
        """Channels, then one to three spatial axes, at least as large as the kernel."""
        if not 2 <= len(input_shape) <= 4 or 0 in input_shape:
            message = (
                "inputs must have shape (N, C, *spatial) with one to three spatial axes for a Conv layer, but an "
                f"example has shape {input_shape}. Pass, say, inputs.reshape(-1, 1, 28, 28)."
            )
            raise SettingError(message)
        if input_shape[0] % self.groups:
            message = (
                f"groups must divide the input channels, {input_shape[0]}, but it is {self.groups}. "
                f"Use groups={math.gcd(self.groups, input_shape[0])}."
            )
            raise SettingError(message)
        self.axes(input_shape)

    def blocks(self) -> int:
        """One per group."""
        return self.groups

    def positions(self, input_shape: Shape) -> Shape:
        """One output per place of the kernel."""
        return tuple(axis.positions for axis in self.axes(input_shape))

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """(output channels, input channels per group, *kernel)."""
        return (channels, input_shape[0] // self.groups, *(axis.kernel for axis in self.axes(input_shape)))

    def patches(self, x: Array, xp: Any) -> Array:
        """The patch matrix, axis by axis: each axis is gathered by the pixels that its taps read."""
        axes = self.axes(tuple(x.shape[1:]))
        count, channels = x.shape[:2]
        for number, axis in enumerate(axes, start=2):
            sources = axis.sources()
            lit = [source is not None for source in sources]
            x = x[(slice(None),) * number + ([source or 0 for source in sources],)]
            if not all(lit):
                mask = xp.asarray(lit, dtype=x.dtype, device=x.device)
                x = x * mask.reshape((-1,) + (1,) * (1 + len(axes) - number))
        split = (self.groups, channels // self.groups, *(n for axis in axes for n in (axis.positions, axis.kernel)))
        taps = tuple(range(4, 4 + 2 * len(axes), 2))
        # (N, group, channel, positions and taps interleaved) to (group, channel, taps, N, positions)
        ordered = xp.moveaxis(x.reshape((count, *split)), (1, 2, *taps, 0), tuple(range(len(taps) + 3)))
        rows = channels // self.groups * math.prod(axis.kernel for axis in axes)
        return ordered.reshape((self.groups, rows, count * math.prod(axis.positions for axis in axes)))

    def check_identity(self) -> None:
        """The kernel must have a centre tap."""
        for size in _spread(self.kernel_size, 1):
            if size % 2 == 0:
                message = (
                    f"target Identity() needs a kernel with a centre tap (odd kernel_size), but kernel_size is "
                    f"{self.kernel_size}. Use {size + 1}, or another target."
                )
                raise SettingError(message)

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """The centre tap of each channel of the group."""
        self.check_identity()
        axes = self.axes(input_shape)
        centre = 0
        for axis in axes:
            centre = centre * axis.kernel + axis.kernel // 2
        taps = math.prod(axis.kernel for axis in axes)
        return [[channel * taps + centre for channel in range(input_shape[0] // self.groups)]] * self.groups

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``torch.nn.Conv1d``, ``Conv2d`` or ``Conv3d``."""
        arguments = {
            "in_channels": input_shape[0],
            "out_channels": channels,
            "kernel_size": _spread(self.kernel_size, len(input_shape) - 1),
            "stride": _spread(self.stride, len(input_shape) - 1),
            "padding": self.padding if isinstance(self.padding, str) else _spread(self.padding, len(input_shape) - 1),
            "dilation": _spread(self.dilation, len(input_shape) - 1),
            "groups": self.groups,
            "padding_mode": self.padding_mode,
            "bias": self.bias,
        }
        return Named(f"torch.nn.Conv{len(input_shape) - 1}d", arguments)


def _spread(value: int | Shape, dimensions: int) -> Shape:
    return value if isinstance(value, tuple) else (value,) * dimensions


def check_whole(argument: str, value: Any, least: int) -> None:
    """Refuses what is not a whole number of at least ``least`` (SettingError)."""
    check_number(argument, value, at_least=least)
    if not isinstance(value, numbers.Integral):
        message = f"{argument} must be a whole number, but it is {value!r}. Pass {int(value)}."
        raise SettingError(message)


def check_flag(argument: str, value: Any) -> None:
    """Refuses what is neither true nor false (SettingError)."""
    if not isinstance(value, bool):
        message = f"{argument} must be true or false, but it is {value!r}. Pass {argument}={bool(value)}."
        raise SettingError(message)
