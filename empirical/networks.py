"""Networks of any depth: layers of ``theory`` one after another, with an activation between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from empirical.device import import_torch
from theory.component import Component, one_of
from theory.errors import SettingError
from theory.layers import Layer, Shape, check_flag, check_whole
from theory.starts import Start, TorchDefault

ACTIVATIONS = ("relu", "linear")


class Part(NamedTuple):
    """One layer of a network: the layer, the shape of its input, its output channels."""

    layer: Layer
    input_shape: Shape
    channels: int


class Network(Component):
    """Base of all networks."""

    layer: Layer
    depth: int

    def parts(self, input_shape: Shape, channels: int) -> list[Part]:
        """The layers, for inputs of a shape and so many output channels."""
        self.lacks("parts", "its layers in their order")

    def forward(self, maps: Sequence[Callable[[Any], Any]], x: Any) -> Any:
        """The output, given what each layer computes."""
        self.lacks("forward", "how its layers are put together")

    def check_inputs(self, inputs: NDArray[Any]) -> None:
        """Refuses inputs, (N, *input_shape), on which the network could not be the identity."""

    def draw(self, seed: int, input_shape: Shape, channels: int) -> list[tuple[Any, Any]]:
        """Initial weights and biases (None without), layer by layer, in torch's shapes."""
        self.lacks("draw", "which draws a start")

    def size(self, input_shape: Shape, channels: int) -> int:
        """The number of parameters."""
        shapes = [
            part.layer.weight_shape(part.input_shape, part.channels) for part in self.parts(input_shape, channels)
        ]
        biases = [
            part.layer.bias_shape(part.input_shape, part.channels) or (0,) for part in self.parts(input_shape, channels)
        ]
        return sum(int(np.prod(shape)) for shape in (*shapes, *biases))


@dataclass(frozen=True)
class Feedforward(Network):
    r"""``depth`` layers of one kind: :math:`f(x) = W_L\,\sigma(W_{L-1} \cdots \sigma(W_1 x))`, no activation at the end.

    Args:
        layer: Each of the layers; its ``bias`` is the network's.
        depth: How many layers, at least 1.
        width: Channels (or units) between them; None: enough for the identity, twice the input's with a ReLU
            (:math:`x = \sigma(x) - \sigma(-x)`), as many as the input's without, and around layers with a skip of their own.
        activation: "relu" or "linear".
        residual: Whether a layer's input is added to its output wherever the two have the same shape.
        start: How every layer starts.

    Example:
        >>> from theory.layers import Conv
        >>> network = Feedforward(Conv(5), depth=3, width=16)
        >>> [(part.input_shape, part.channels) for part in network.parts((1, 28, 28), 1)]
        [((1, 28, 28), 16), ((16, 28, 28), 16), ((16, 28, 28), 1)]
        >>> network.size((1, 28, 28), 1)   # 25·(16 + 16·16 + 16)
        7200
    """

    layer: Layer
    depth: int = 1
    width: int | None = None
    activation: str = "relu"
    residual: bool = False
    start: Start = TorchDefault()

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Layer):
            message = f"layer must be a Layer, but it is {self.layer!r}. Pass one, such as Linear()."
            raise SettingError(message)
        if not isinstance(self.start, Start):
            message = f"start must be a Start, but it is {self.start!r}. Pass one, such as TorchDefault()."
            raise SettingError(message)
        check_whole("depth", self.depth, 1)
        if self.width is not None:
            check_whole("width", self.width, 1)
        one_of("activation", self.activation, ACTIVATIONS)
        check_flag("residual", self.residual)

    def parts(self, input_shape: Shape, channels: int) -> list[Part]:
        """The layers.

        Raises:
            SettingError: If the width is below the input's: the network could not be the identity. If a layer that adds its
                input would have other outputs than inputs.
        """
        needed = input_shape[0]
        double = self.activation == "relu" and not self.layer.skips
        width = (needed * (2 if double else 1)) if self.width is None else self.width
        if self.depth > 1 and width < needed:
            message = (
                f"width must be at least the input's {needed} for the network to be able to be the identity, but it is {width}. "
                f"Use {needed} (inputs without negative numbers, or linear), or {2 * needed}."
            )
            raise SettingError(message)
        parts, shape = [], input_shape
        for number in range(self.depth):
            out = channels if number == self.depth - 1 else width
            self.layer.check(shape)
            if self.layer.skips and out != shape[0]:
                what = "targets' channels" if number == self.depth - 1 else "width"
                message = f"{what} must be the input's {shape[0]} for a layer that adds its input, but it is {out}. Use {shape[0]}."
                raise SettingError(message)
            parts.append(Part(self.layer, shape, out))
            shape = self.layer.output_shape(shape, out)
        return parts

    def check_inputs(self, inputs: NDArray[Any]) -> None:
        """Refuses negative inputs where a ReLU would cut them off: without bias, skip or doubled width.

        Raises:
            SettingError: With the width that would do.
        """
        needed = 2 * inputs.shape[1]
        cut = self.depth > 1 and self.activation == "relu" and not (self.residual or self.layer.bias)
        narrow = self.layer.skips or (self.width is not None and self.width < needed)
        if cut and narrow and (least := float(inputs.min())) < 0:
            repair = "Use residual=True instead." if self.layer.skips else f"Use width={needed}."
            message = (
                f"inputs must not be negative for a ReLU network of this width without biases to be able to be the identity, "
                f"but one is {least:.3g}. {repair}"
            )
            raise SettingError(message)

    def forward(self, maps: Sequence[Callable[[Any], Any]], x: Any) -> Any:
        """Layer, activation, skip."""
        for number, apply in enumerate(maps, start=1):
            output = apply(x)
            if number < len(maps) and self.activation == "relu":
                output = output.relu()
            x = x + output if self.residual and output.shape == x.shape else output
        return x

    def draw(self, seed: int, input_shape: Shape, channels: int) -> list[tuple[Any, Any]]:
        """One stream of numpy's generator for all layers; with one layer the start of a ``Predictor`` with this seed."""
        check_whole("seed", seed, 0)
        rng = np.random.default_rng(seed)
        return [
            self.start.draw(rng, layer.weight_shape(shape, out), layer.bias_shape(shape, out), layer.fan_in(shape))
            for layer, shape, out in self.parts(input_shape, channels)
        ]


def draw_stack(network: Network, seeds: Sequence[int], input_shape: Shape, channels: int) -> list[NDArray[np.float64]]:
    """The parameters of a network from each seed, stacked (K, *shape): weight, then bias where there is one, layer by layer."""
    starts = [network.draw(seed, input_shape, channels) for seed in seeds]
    layers = [[start[number] for start in starts] for number in range(len(starts[0]))]
    return [np.stack(values) for drawn in layers for values in zip(*drawn, strict=True) if values[0] is not None]


def build(network: Network, input_shape: Shape, channels: int) -> Any:
    """The network as one plain torch module, its parameters in the order of :func:`draw_stack`."""
    import_torch()
    from empirical.modules import NetworkModule

    return NetworkModule(network, input_shape, channels)
