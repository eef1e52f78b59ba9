"""How far the first layer of a network moves where it may not: outside the span of the training features."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from empirical.backends import layer_by_layer
from empirical.device import DTYPES, construct, few_threads, full_precision, import_torch, quiet_padding
from empirical.ensemble import check_optimizer
from empirical.experiment import Experiment, Outcome
from empirical.networks import Network, draw_stack
from empirical.slopes import losses_of
from empirical.sources import Digits, Source
from empirical.views import VIEWS, show
from numerics.budget import unit_roundoff
from numerics.network_budget import drift_bound
from numerics.spectrum import spectrum
from theory.component import check_number, one_of
from theory.errors import SettingError
from theory.layers import check_flag, check_whole
from theory.optimizers import Optimizer


@dataclass(frozen=True)
class FirstLayer(Experiment):
    r"""Trains networks to repeat a few images, and compares :math:`W_1(I - \Phi\Phi^+)` before and after.

    Φ holds the features of the first layer: the images, or their padded patches. Theorem T6: nothing moves outside its
    range, under (stochastic) gradient descent with or without momentum.

    Its numbers, one for each seed: ``drift``, :math:`\|(W_1 - W_1(0))(I - \Phi\Phi^+)\|`; ``budget``, what rounding explains
    of it (:func:`numerics.network_budget.drift_bound`, for the gradients and weights that the training really had);
    ``size``, :math:`\|W_1(0)(I - \Phi\Phi^+)\|`; ``moved``, :math:`\|W_1 - W_1(0)\|`; ``dead``, the largest change of a weight
    whose feature is 0 in every example; ``before`` and ``loss``, the loss at both ends. ``outside`` is the dimension of the complement.

    Args:
        network: Which network.
        optimizer: A descent, or Adam.
        source: The images.
        examples: Which of them are trained on.
        view: How they are shown; see :mod:`empirical.views`.
        seeds: One network for each.
        steps: So many.
        weight_decay: Torch's.
        shared: Whether the second layer has the weights of the first.
        dtype: "float64" or "float32".

    Example:
        >>> from empirical.networks import Feedforward
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientDescent
        >>> found = FirstLayer(Feedforward(Linear()), GradientDescent(0.01), seeds=(0,), steps=5).run().numbers
        >>> found["outside"], bool(found["drift"][0] <= found["budget"][0] < 1e-12), found["dead"].tolist()     # 64 - 1
        (63, True, [0.0])
    """

    network: Network
    optimizer: Optimizer
    source: Source = Digits()
    examples: tuple[int, ...] = (0,)
    view: str = "dead_pixels"
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 200
    weight_decay: float = 0.0
    shared: bool = False
    dtype: str = "float64"

    def __post_init__(self) -> None:
        check_optimizer(self.optimizer)
        one_of("view", self.view, VIEWS)
        one_of("dtype", self.dtype, DTYPES)
        check_whole("steps", self.steps, 1)
        check_number("weight_decay", self.weight_decay, at_least=0)
        check_flag("shared", self.shared)
        if self.shared and (self.network.layer.bias or self.network.depth < 2):
            message = (
                f"network must have two layers and no bias for shared weights, but it is {self.network}. Change it."
            )
            raise SettingError(message)

    def quick(self) -> Self:
        """Three steps of two networks."""
        return self.with_values(steps=min(self.steps, 3), seeds=self.seeds[:2])

    def run(self, device: str = "cpu") -> Outcome:
        """Trains in a loop of its own that sees the slope of the loss in the first layer's outputs.

        Raises:
            SettingError: If the layer has no stacked form.
        """
        torch, layer = import_torch(), self.network.layer
        chosen = self.source.images().take(self.examples).values
        x = layer.arrange(show(self.view, chosen, chosen)[0]).astype(self.dtype)  # rounded before the span is decided
        shape, channels = x.shape[1:], x.shape[1]
        features = layer.with_values(bias=False).features(x.astype(float), np)
        modes = spectrum(features)
        kind = {"device": device, "dtype": getattr(torch, self.dtype)}
        inputs = torch.tensor(x, **kind)
        drawn = draw_stack(self.network, self.seeds, shape, channels)
        parameters = [torch.tensor(value, **kind, requires_grad=True) for value in drawn]
        forward = layer_by_layer(self.network, shape, channels)
        algorithm = construct(
            self.optimizer.torch_optimizer(), params=self._own(parameters), weight_decay=self.weight_decay
        )
        sums, losses = np.zeros((3, len(self.seeds))), []
        start = parameters[0].detach().cpu().numpy().copy()
        with quiet_padding(), full_precision(), few_threads(0):
            for _ in range(self.steps):
                outputs, seen = forward(self._used(parameters), inputs)
                loss = losses_of(outputs, inputs, "half_sum")
                *gradients, slope = torch.autograd.grad(loss.sum(), [*self._own(parameters), seen[0]])
                for parameter, gradient in zip(self._own(parameters), gradients, strict=True):
                    parameter.grad = gradient
                algorithm.step()
                losses.append(loss.detach().cpu().numpy().astype(float))
                sums += [_norms(slope.transpose(0, 1)), _norms(gradients[0]), _norms(parameters[0])]
            losses.append(
                losses_of(forward(self._used(parameters), inputs)[0], inputs, "half_sum").detach().cpu().numpy()
            )
        end = parameters[0].detach().cpu().numpy()
        moved = layer.to_blocks(end.astype(float) - start, None, np, lead=1)
        before = layer.to_blocks(start.astype(float), None, np, lead=1)
        dead = ~features.any(axis=-1)  # (blocks, d)
        budget = drift_bound(
            modes,
            unit_roundoff(self.dtype),
            features=features,
            gain=self.optimizer.learning_rate,  # type: ignore[attr-defined]
            memory=1 / (1 - getattr(self.optimizer, "momentum", 0.0)),
            slopes=sums[0],
            gradients=sums[1],
            weights=sums[2],
            moved=_norms(moved),
        )
        numbers = {
            "drift": _norms(_outside(moved, modes)),
            "budget": budget,
            "size": _norms(_outside(before, modes)),
            "moved": _norms(moved),
            "dead": np.abs(np.where(dead[:, None, :], moved, 0.0)).max(axis=(1, 2, 3)),
            "before": losses[0],
            "loss": losses[-1],
            "outside": math.prod(features.shape[:2]) - sum(modes.ranks),
        }
        return Outcome(numbers, {"before": _outside(before, modes)[0], "moved": moved[0]})

    def _own(self, parameters: list[Any]) -> list[Any]:
        """The parameters that are trained."""
        return [value for place, value in enumerate(parameters) if not (self.shared and place == 1)]

    def _used(self, parameters: list[Any]) -> list[Any]:
        """The parameters as the layers use them."""
        return [parameters[0], parameters[0], *parameters[2:]] if self.shared else parameters


def _outside(theta: Any, modes: Any) -> Any:
    """The part of weights (K, blocks, q, d) outside the range of the features, taken off twice: once leaves rounding."""
    for _ in range(2):
        theta = theta - modes.project(theta.swapaxes(-1, -2)).swapaxes(-1, -2)
    return theta


def _norms(values: Any) -> Any:
    """The norm of each network's part, (K, …) to (K,), summed in float64."""
    values = values.detach().cpu().numpy() if hasattr(values, "detach") else values
    return np.sqrt(np.square(values.astype(float)).reshape((len(values), -1)).sum(axis=1))
