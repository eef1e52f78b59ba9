"""Torch modules for the layers that torch does not have. None of them calls a feature map of ``theory``."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from empirical.device import construct
from empirical.networks import Network
from theory.component import Named
from theory.layers.features import feature_rows

PAD_MODES = {"zeros": "constant"}  # torch's name where it is not the layer's


def pad(x: Any, pads: Sequence[tuple[int, int]], mode: str) -> Any:
    """Pads the spatial axes, the first axis first (torch counts them from the last).

    By slices where torch's own padding has a backward pass that adds up in any order on a GPU: results repeat bit by bit.
    """
    if mode in BORDERS:
        for axis, (before, after) in enumerate(pads, start=x.ndim - len(pads)):
            x = torch.cat(BORDERS[mode](x, axis, before, after), dim=axis) if before or after else x
        return x
    flat = [pixels for pair in reversed(list(pads)) for pixels in pair]
    return functional.pad(x, flat, mode=PAD_MODES.get(mode, mode)) if any(flat) else x


def _reflected(x: Any, axis: int, before: int, after: int) -> list[Any]:
    size = x.shape[axis]
    first, last = x.narrow(axis, 1, before), x.narrow(axis, size - 1 - after, after)
    return [first.flip(axis), x, last.flip(axis)]


def _replicated(x: Any, axis: int, before: int, after: int) -> list[Any]:
    def repeat(place: int, count: int) -> Any:
        return x.narrow(axis, place, 1).expand(*x.shape[:axis], count, *x.shape[axis + 1 :])

    return [repeat(0, before), x, repeat(x.shape[axis] - 1, after)]


BORDERS = {"reflect": _reflected, "replicate": _replicated}


class LocallyConnected(torch.nn.Module):  # type: ignore[misc]
    """An unshared convolution: windows by ``Tensor.unfold`` axis by axis, then one product per position.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        positions: Output positions per axis.
        kernel_size: Taps per axis.
        stride: Pixels between positions, per axis.
        padding: Pixels before and after, per axis.
        dilation: Pixels between taps, per axis.
        padding_mode: As in torch's convolutions.
        bias: Whether each position has one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        positions: Sequence[int],
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[tuple[int, int]],
        dilation: Sequence[int],
        padding_mode: str = "zeros",
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(out_channels, *positions, in_channels, *kernel_size))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels, *positions)) if bias else None
        self.geometry = list(zip(kernel_size, stride, dilation, strict=True))
        self.padding, self.padding_mode = padding, padding_mode

    def forward(self, x: Any) -> Any:
        """(N, channels, *spatial) to (N, outputs, *positions)."""
        x = pad(x, self.padding, self.padding_mode)
        for axis, (kernel, stride, dilation) in enumerate(self.geometry, start=2):
            x = x.unfold(axis, dilation * (kernel - 1) + 1, stride)[..., ::dilation]
        # x is (N, C, *positions, *taps), the weight (O, *positions, C, *taps)
        axes = len(self.geometry)
        windows = x.movedim(1, 1 + axes).flatten(1 + axes).flatten(1, axes)  # (N, P, C·taps)
        weight = self.weight.flatten(1 + axes).flatten(1, axes)  # (O, P, C·taps)
        outputs = torch.einsum("npd,opd->nop", windows, weight)
        outputs = outputs.reshape(len(x), len(weight), *self.weight.shape[1 : 1 + axes])
        return outputs if self.bias is None else outputs + self.bias


class Polynomial(torch.nn.Linear):  # type: ignore[misc]
    """A linear map of the monomials, built from those of one degree less.

    In graded lexicographic order the monomials of degree k that begin with factor i are that factor times the monomials of
    degree k - 1 in the inputs from i on, and those are the last ones of their list.

    Args:
        in_features: Inputs.
        out_features: Outputs.
        degree: The largest degree.
        monomials: How many there are.
        bias: Whether there is a constant.
    """

    def __init__(self, in_features: int, out_features: int, degree: int, monomials: int, bias: bool = False) -> None:
        super().__init__(monomials, out_features, bias=bias)
        self.degree = degree

    def forward(self, x: Any) -> Any:
        """(N, inputs) to (N, outputs)."""
        inputs = x.shape[1]
        groups = [x[:, i : i + 1] for i in range(inputs)]  # by first factor
        parts = list(groups)
        for _ in range(1, self.degree):
            groups = [x[:, i : i + 1] * torch.cat(groups[i:], dim=1) for i in range(inputs)]
            parts += groups
        return super().forward(torch.cat(parts, dim=1))


class Features(torch.nn.Linear):  # type: ignore[misc]
    """A linear map of what a function makes of the input.

    Args:
        function: Takes (x, torch) and returns (N, in_features).
        in_features: How many features it returns.
        out_features: Outputs.
        bias: Whether there is one.
    """

    def __init__(self, function: Callable[..., Any], in_features: int, out_features: int, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.function = function

    def forward(self, x: Any) -> Any:
        """(N, *input_shape) to (N, outputs)."""
        return super().forward(feature_rows(self.function, x, torch, self.in_features))


class Residual(torch.nn.Module):  # type: ignore[misc]
    """A module plus its input, cropped to the output's positions.

    Args:
        module: The module inside, named.
        crop: For each spatial axis: ``pad`` (before, after), ``mode``, and ``take`` (first, end, step) of the padded axis.
    """

    def __init__(self, module: Named, crop: Sequence[dict[str, Any]]) -> None:
        super().__init__()
        self.module, self.crop = construct(module), list(crop)

    @property
    def weight(self) -> Any:
        """That of the module inside."""
        return self.module.weight

    @property
    def bias(self) -> Any:
        """That of the module inside."""
        return self.module.bias

    def forward(self, x: Any) -> Any:
        """f(x) = x + module(x)."""
        skip = x
        if self.crop:
            skip = pad(x, [axis["pad"] for axis in self.crop], self.crop[0]["mode"])
        for number, axis in enumerate(self.crop, start=2):
            skip = skip[(slice(None),) * number + (slice(*axis["take"]),)]
        return skip + self.module(x)


class NetworkModule(torch.nn.Module):  # type: ignore[misc]
    """A network of layers, each one torch's own module.

    Args:
        network: The network.
        input_shape: The shape of one example.
        channels: Channels of the output.
    """

    def __init__(self, network: Network, input_shape: Sequence[int], channels: int) -> None:
        super().__init__()
        self.network = network
        named = [
            part.layer.torch_module(part.input_shape, part.channels)
            for part in network.parts(tuple(input_shape), channels)
        ]
        self.layers = torch.nn.ModuleList(construct(module) for module in named)

    def forward(self, x: Any) -> Any:
        """(N, *input_shape) to (N, channels, *positions)."""
        return self.network.forward(list(self.layers), x)
