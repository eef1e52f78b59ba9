r"""What every layer says of itself: its feature map φ, its shapes, and the torch module that it stands for.

A layer's output is :math:`W \varphi(x)`, one column of φ(x) per output position. Some layers split into independent
problems of the same form, so everything carries a leading *block* axis (1 for plain layers; groups, positions or
frequencies for others): features are ``(blocks, d, columns)`` and weights are ``(blocks, q, d)``, the columns of one
example side by side, examples slowest. A bias is one more feature that is always 1.

A layer is declarative: ``features`` receives its array namespace (numpy or torch), so nothing here imports either, and
the torch module that training runs is named, not built. The reshaping between torch's weight layout and blocks stands
beside it. It is an isometry, complex blocks included, so that a descent on the blocks is the descent on torch's weight.
To add a layer, subclass :class:`Layer`, or :class:`~theory.layers.windows.Windows` for another way of using patches.
"""

import math
import numbers
from typing import Any, ClassVar

from theory.component import Component, Named, check_number
from theory.errors import SettingError

Shape = tuple[int, ...]
Array = Any  # a numpy array or a torch tensor; theory imports neither


class Layer(Component):
    """Base of all layers; the methods without a body are what a new layer must say."""

    bias: bool
    single_column: ClassVar[bool] = False  # whether an example is one column of features
    repeats_inputs: ClassVar[bool] = False  # whether that column, without a bias, is the example itself
    block_name: ClassVar[str] = "group"  # what a block is, where there are several
    complex_features: ClassVar[bool] = False  # whether ᵀ is ᴴ in every formula
    skips: ClassVar[bool] = False  # whether something is added to the outputs untrained

    def check(self, input_shape: Shape) -> None:
        """Refuses examples of a shape that the layer cannot take (SettingError); ``input_shape`` has no batch axis."""
        self.lacks("check", "which refuses inputs of a wrong shape")

    def positions(self, input_shape: Shape) -> Shape:
        """The spatial shape of the output; ``()`` for a fully connected layer."""
        self.lacks("positions", "the spatial shape of an output")

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """The shape of torch's weight for ``channels`` output channels."""
        self.lacks("weight_shape", "the shape of torch's weight")

    def patches(self, x: Array, xp: Any) -> Array:
        """The feature map without the bias: (N, *input_shape) to (blocks, d, N × columns)."""
        self.lacks("patches", "the feature map")

    def check_identity(self) -> None:
        """Refuses a layer in which no feature is the input itself (SettingError)."""

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """For each block and output, the feature that is the input itself."""
        self.lacks("identity_features", "which features are the input itself")

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """The torch module that computes this layer."""
        self.lacks("torch_module", "the torch module that computes it")

    def torch_stack(self, input_shape: Shape, channels: int) -> Named | None:
        """What computes many independent copies of the torch module at once, or None; see ``empirical.stacked``."""
        return None

    def resolve(self, inputs: Array, xp: Any) -> "Layer":
        """The layer with what it takes from the training examples filled in."""
        return self

    def channel_groups(self) -> int:
        """The number of groups of channels: input and output channels are multiples of it."""
        return 1

    def blocks(self, input_shape: Shape) -> int:
        """Number of independent problems."""
        return self.channel_groups()

    def columns(self, input_shape: Shape) -> int:
        """The columns of features that one example gives each block."""
        return math.prod(self.positions(input_shape))

    def weight_uses(self, input_shape: Shape) -> int:
        """How often the torch module uses one weight on one example: so many products its gradient sums."""
        return self.columns(input_shape)

    def feature_noise(self, input_shape: Shape) -> float:
        """The rounding error of computed features, in units of eps times the norm of all blocks; 0 if they are copies."""
        return 0.0

    def offset(self, x: Array, xp: Any) -> Array | None:
        """What is added to the outputs and never trained, (N, channels, *positions); None for nothing."""
        return None

    def arrange(self, images: Array) -> Array:
        """Images (N, C, *spatial) in the shape that the layer takes."""
        return images

    def bias_shape(self, input_shape: Shape, channels: int) -> Shape | None:
        """The shape of torch's bias, or ``None``."""
        return (channels,) if self.bias else None

    def fan_in(self, input_shape: Shape) -> int:
        """Inputs of one output unit, as torch counts them for its default start."""
        return math.prod(self.weight_shape(input_shape, self.channel_groups())[1:])

    def features(self, x: Array, xp: Any) -> Array:
        r"""The feature map :math:`\varphi`.

        Args:
            x: (N, \*input_shape), real floating point.
            xp: The array namespace of ``x``: numpy or torch.

        Returns:
            (blocks, d, N × columns); with a bias the last of the d features is 1.

        Raises:
            SettingError: If the layer cannot take examples of this shape.

        Example:
            >>> import numpy as np
            >>> from theory.layers import Conv, Linear
            >>> Linear(bias=True).features(np.array([[2.0, 3.0]]), np)[0].tolist()
            [[2.0], [3.0], [1.0]]
            >>> Conv(3).features(np.array([[[1.0, 2.0, 3.0]]]), np)[0].tolist()   # zero padding, taps down, positions across
            [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 0.0]]
        """
        self.check(tuple(x.shape[1:]))
        patches = self.patches(x, xp)
        if len(patches.shape) != 3:
            message = (
                f"{self} must give patches of shape (blocks, features, columns), but it gave {tuple(patches.shape)}. "
                "Correct patches; one block is [None]. A layer on flat inputs also needs arrange, which makes each image one row."
            )
            raise SettingError(message)
        return xp.concatenate((patches, xp.ones_like(patches[:, :1])), axis=1) if self.bias else patches

    def identity_values(self, x: Array, xp: Any) -> Array:
        """The input itself at the output's positions, (N, C, *positions): what the identity's target is."""
        shape = tuple(x.shape[1:])
        rows = self.identity_features(shape)
        features = self.features(x, xp)
        index = [[block] * len(row) for block, row in enumerate(rows)], rows
        return self.from_columns(features[index], shape, xp)

    def identity_gain(self, input_shape: Shape) -> float:
        """The weight that :meth:`identity_features` need for the layer to be the identity."""
        return 1.0

    def identity_crop(self, input_shape: Shape) -> list[dict[str, Any]]:
        """How each spatial axis is padded and sampled to the output's positions; empty if they are the input's own."""
        return []

    def output_shape(self, input_shape: Shape, channels: int) -> Shape:
        """The shape of one output."""
        return (channels, *self.positions(input_shape))

    def to_columns(self, outputs: Array, xp: Any) -> Array:
        """Outputs (N, channels, *positions) as columns (blocks, q, N × columns)."""
        count, channels = outputs.shape[:2]
        blocks, positions = self.channel_groups(), math.prod(outputs.shape[2:])
        split = outputs.reshape((count, blocks, channels // blocks, positions))
        return xp.moveaxis(split, 0, 2).reshape((blocks, channels // blocks, count * positions))

    def from_columns(self, columns: Array, input_shape: Shape, xp: Any) -> Array:
        """Columns (..., blocks, q, N × columns) as outputs (..., N, channels, *positions)."""
        *lead, blocks, q, total = columns.shape
        positions = self.positions(input_shape)
        split = columns.reshape((*lead, blocks, q, total // math.prod(positions), math.prod(positions)))
        return xp.moveaxis(split, -2, -4).reshape((*lead, total // math.prod(positions), blocks * q, *positions))

    def to_blocks(self, weight: Array, bias: Array | None, xp: Any, *, lead: int = 0) -> Array:
        """Torch's weight and bias as (blocks, q, d), behind ``lead`` batch axes."""
        front, blocks = tuple(weight.shape[:lead]), self.channel_groups()
        matrix = weight.reshape((*front, blocks, weight.shape[lead] // blocks, -1))
        if bias is None:
            return matrix
        return xp.concatenate((matrix, bias.reshape((*front, blocks, -1, 1))), axis=-1)

    def from_blocks(self, theta: Array, input_shape: Shape, xp: Any) -> tuple[Array, Array | None]:
        """The inverse of :meth:`to_blocks`: (..., blocks, q, d) as torch's weight and bias (``None`` without)."""
        *lead, blocks, q, _ = theta.shape
        shape = (*lead, *self.weight_shape(input_shape, blocks * q))
        if not self.bias:
            return theta.reshape(shape), None
        return theta[..., :-1].reshape(shape), theta[..., -1].reshape((*lead, blocks * q))


def check_flat(layer: str, input_shape: Shape) -> None:
    """Refuses examples with other than one axis of features (SettingError)."""
    if len(input_shape) != 1:
        message = (
            f"inputs must have shape (N, features) for a {layer} layer, but an example has shape {input_shape}. "
            "Pass inputs.reshape(len(inputs), -1)."
        )
        raise SettingError(message)


def check_images(layer: str, input_shape: Shape) -> None:
    """Refuses examples without channels or with other than one to three spatial axes (SettingError)."""
    if not 2 <= len(input_shape) <= 4 or 0 in input_shape:
        message = (
            f"inputs must have shape (N, C, *spatial) with one to three spatial axes for a {layer} layer, but an "
            f"example has shape {input_shape}. Pass, say, inputs.reshape(-1, 1, 28, 28)."
        )
        raise SettingError(message)


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
