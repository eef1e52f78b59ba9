"""What a convolutional network makes of flat pictures, pixel by pixel, by the distance from the border."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from empirical.backends import grouped
from empirical.batch import Stop
from empirical.device import few_threads, full_precision, import_torch
from empirical.ensemble import Ensemble, check_optimizer, train_ensemble
from empirical.experiment import Experiment, Outcome
from empirical.networks import Feedforward, Network
from empirical.sources import Digits, Source
from numerics.budget import unit_roundoff
from numerics.network_budget import forward_bound
from theory.component import one_of
from theory.errors import SettingError
from theory.layers import Conv, check_whole
from theory.optimizers import Optimizer

SHADES = (0.25, 0.5, 1.0)
INPUTS = ("flat", "picture")


@dataclass(frozen=True)
class FlatCentre(Experiment):
    r"""Trains a convolutional network towards one picture, and compares the pixels of its outputs for flat inputs.

    With L layers of k × k taps, stride 1, zeros outside, an output pixel with at least :math:`L(k - 1)/2` pixels between
    it and the border sees only the flat input: all of these are equal. Where the padding continues a flat picture
    (circular, reflect, replicate), all pixels are.

    Its numbers, one for each seed: ``spread``, the largest difference of such a pixel from the centre, and ``budget``, what
    rounding explains of it (the worst ratio of several shades of grey; evaluated in float64); ``edge``, the same difference over the pixels
    that one layer less would leave flat, and ``edge_budget``; ``loss``, mean squared, and ``floor``, the least loss that a
    map with such a flat region can have for a flat input; ``steps``. Its array: ``outputs`` for the lightest shade,
    (1 + seeds, s, s), the target first.

    Args:
        network: Feedforward, of convolutions of stride 1 with padding "same".
        optimizer: A descent, or Adam.
        source: The images.
        example: The picture.
        trained_on: "flat", a white picture is to become the picture, or "picture", the picture itself is.
        seeds: One network for each.
        steps: At most so many.
        stop_loss: Training ends at this mean squared error.

    Example:
        >>> from theory.optimizers import HeavyBall
        >>> found = FlatCentre(Feedforward(Conv(3), depth=3, width=4), HeavyBall(0.01, 0.9), seeds=(0,), steps=50).run().numbers
        >>> bool(found["spread"][0] <= found["budget"][0] < 1e-10 < found["edge"][0]), bool(found["loss"][0] >= found["floor"])
        (True, True)
    """

    network: Network
    optimizer: Optimizer
    source: Source = Digits()
    example: int = 7
    trained_on: str = "flat"
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 1000
    stop_loss: float = 1e-4

    def __post_init__(self) -> None:
        check_optimizer(self.optimizer)
        one_of("trained_on", self.trained_on, INPUTS)
        check_whole("steps", self.steps, 1)
        layer: Any = self.network.layer
        if not (isinstance(self.network, Feedforward) and layer.kind == "conv" and _plain(layer)):
            message = (
                f"network must have convolutions of an odd kernel_size, stride 1 and padding 'same', but it is {self.network}. "
                "Use Feedforward(Conv(3), depth=5), say."
            )
            raise SettingError(message)

    def quick(self) -> Self:
        """Three steps of two networks."""
        return self.with_values(steps=min(self.steps, 3), seeds=self.seeds[:2])

    def run(self, device: str = "cpu") -> Outcome:
        """Trains in float32, then looks in float64: the bound holds for whatever weights there are."""
        picture = self.source.images().take((self.example,)).values
        shown = np.ones_like(picture) if self.trained_on == "flat" else picture
        ensemble = train_ensemble(
            self.network,
            shown,
            picture,
            seeds=self.seeds,
            optimizer=self.optimizer,
            stop=Stop(self.steps, self.stop_loss),
            loss="mse",
            device=device,
        )
        flats = np.concatenate([np.full_like(picture, shade) for shade in SHADES])
        outputs, sizes = self._exactly(ensemble, flats)  # (K, shades, s, s)
        layer: Any = self.network.layer
        side, depth, radius = picture.shape[-1], self.network.depth, layer.kernel_size // 2
        reach = radius if layer.padding_mode == "zeros" else 0
        lengths = max(int(np.prod(value.shape[2:])) for value in ensemble.parameters) + 1
        numbers: dict[str, Any] = {"steps": ensemble.steps, "diverged": bool(ensemble.diverged.any())}
        for name, layers in (("", depth), ("edge", depth - 1)):
            region = flat_region(side, layers * reach)
            spread = _spread(outputs, region)
            budget = 2 * forward_bound(depth, lengths, unit_roundoff("float64"), _largest(sizes, region))
            worst = np.argmax(np.divide(spread, budget, out=np.zeros_like(spread), where=budget > 0), axis=1)[:, None]
            numbers[name or "spread"] = np.take_along_axis(spread, worst, 1)[:, 0]
            numbers[f"{name}_budget" if name else "budget"] = np.take_along_axis(budget, worst, 1)[:, 0]
        left = self._exactly(ensemble, shown)[0][:, 0] - picture[0, 0]
        numbers["loss"] = (left**2).mean(axis=(1, 2))
        numbers["floor"] = (
            least_loss(picture[0, 0], flat_region(side, depth * reach)) if self.trained_on == "flat" else 0.0
        )
        return Outcome(numbers, {"outputs": np.concatenate([picture[0], outputs[:, -1]]).astype(np.float32)})

    def _exactly(self, ensemble: Ensemble, x: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Outputs in float64, (K, N, s, s), and those of the moduli of all weights and inputs: the sizes that rounding scales with."""
        torch = import_torch()
        forward = grouped(self.network, ensemble.input_shape, ensemble.channels)
        with torch.no_grad(), full_precision(), few_threads(0):
            parameters = [torch.tensor(value, dtype=torch.float64) for value in ensemble.parameters]
            inputs = torch.tensor(x, dtype=torch.float64)
            outputs = forward(parameters, inputs)
            sizes = forward([value.abs() for value in parameters], inputs.abs())
        return outputs[:, :, 0].numpy(), sizes[:, :, 0].numpy()


def flat_region(side: int, border: int) -> NDArray[np.bool_]:
    """The pixels of a square picture with at least so many others between them and the border, (side, side).

    Example:
        >>> flat_region(5, 2).sum().item(), flat_region(6, 2).sum().item(), flat_region(5, 3).sum().item()
        (1, 4, 0)
    """
    place = np.minimum(np.arange(side), np.arange(side)[::-1])
    return np.minimum.outer(place, place) >= border


def least_loss(picture: Any, region: NDArray[np.bool_]) -> float:
    r"""The least mean squared error of an output that is flat in a region: :math:`\sum_{region}(y - \bar y)^2/p`, p pixels in all.

    Example:
        >>> least_loss(np.array([[0.0, 2.0], [5.0, 5.0]]), np.array([[True, True], [False, False]]))     # (1 + 1)/4
        0.5
    """
    inside = np.asarray(picture, dtype=float)[region]
    return float(((inside - inside.mean()) ** 2).sum() / np.size(picture)) if inside.size else 0.0


def layers_needed(side: int, kernel_size: int) -> int:
    r"""The least depth at which a flat input can become a picture that varies at the centre.

    It is :math:`\lceil\lfloor s/2\rfloor/((k-1)/2)\rceil`.

    Example:
        >>> [layers_needed(28, kernel_size) for kernel_size in (3, 5, 9)]
        [14, 7, 4]
    """
    return -(-(side // 2) // (kernel_size // 2))


def _plain(layer: Conv) -> bool:
    """Whether a convolution keeps the picture's size about a centre tap."""
    odd = isinstance(layer.kernel_size, int) and layer.kernel_size % 2 == 1
    return odd and layer.stride == 1 and layer.dilation == 1 and layer.padding == "same"


def _spread(outputs: Any, region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The largest difference in a region from its first pixel, (K, N)."""
    inside = outputs[..., region]
    return np.abs(inside - inside[..., :1]).max(axis=-1, initial=0.0) if inside.size else np.zeros(outputs.shape[:2])


def _largest(sizes: Any, region: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(sizes[..., region].max(axis=-1, initial=0.0))
