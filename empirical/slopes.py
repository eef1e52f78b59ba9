"""The gradients of many networks' losses at once: by autograd, or by the formula for one linear layer."""

from collections.abc import Callable, Sequence
from typing import Any

from empirical.backends import Forward
from empirical.device import import_torch
from empirical.networks import Part

Slope = Callable[[Sequence[Any]], None]
"""Puts into ``grad`` of each stacked parameter the gradient of the sum of the networks' losses."""


def losses_of(outputs: Any, targets: Any, loss: str) -> Any:
    """The loss of each network, (K,), from outputs (K, N, *output shape)."""
    squares = (outputs - targets).flatten(1).square()
    return 0.5 * squares.sum(dim=1) if loss == "half_sum" else squares.mean(dim=1)


def autograd_slope(forward: Forward, x: Any, y: Any, loss: str) -> Slope:
    """By autograd of the summed losses: each network's gradient is that of its own loss."""
    torch = import_torch()

    def slope(parameters: Sequence[Any]) -> None:
        total = losses_of(forward(parameters, x), y, loss).sum()
        for parameter, gradient in zip(parameters, torch.autograd.grad(total, parameters), strict=True):
            parameter.grad = gradient

    return slope


def linear_slope(part: Part, x: Any, y: Any, loss: str) -> Slope:
    r"""Of one layer that is linear in its parameters: :math:`c(W\Phi - Y)\Phi^\top`, without autograd.

    With fewer features than columns by the moments, :math:`c(W\,\Phi\Phi^\top - Y\Phi^\top)`, formed once.
    """
    torch = import_torch()
    layer = part.layer
    features, columns = layer.features(x, torch), layer.to_columns(y, torch)
    scale = 1.0 if loss == "half_sum" else 2.0 / y.numel()
    few = features.shape[1] < features.shape[2]
    moment, target = scale * features @ features.mT, scale * columns @ features.mT

    def slope(parameters: Sequence[Any]) -> None:
        with torch.no_grad():
            theta = layer.to_blocks(parameters[0], parameters[1] if layer.bias else None, torch, lead=1)
            gradient = theta @ moment - target if few else scale * (theta @ features - columns) @ features.mT
            for parameter, value in zip(parameters, layer.from_blocks(gradient, part.input_shape, torch), strict=False):
                parameter.grad = value

    return slope
