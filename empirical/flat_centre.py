r"""What trained convolution networks make of a flat picture: equal pixels, farther from the border than their layers reach.

Rounding: the sum of the d features of a pixel is off by at most :math:`(d + 1)\varepsilon` times the sum of their absolute values,
whatever the order, and an error of the input is passed on by at most the absolute weights. So a pixel of the output is off by at
most :math:`L(d + 1)\varepsilon\,(1 + (d + 1)\varepsilon)^L` times what the network with absolute weights, and no activation, makes of
the picture; two equal pixels differ by at most twice that. The activation must not enlarge differences (relu does not).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from empirical.batch import Stop
from empirical.ensemble import Ensemble, train_ensemble
from empirical.levels import Level, judge, worst_of
from empirical.networks import Feedforward
from numerics.arrays import Float
from numerics.budget import unit_roundoff
from theory.theorems import OwnCase

STEPS = 100
RATE = 0.02  # of 1/‖x‖²
SEEDS = (0, 1, 2)
SHADE = 0.5  # of the flat picture
NO_CENTRE = "the picture has no pixels so far from its border"
CANNOT_TELL = "with one more layer no network's centre varies by more than rounding: nothing is shown"


class FlatCentreMeasurement:
    """Networks of several depths, trained on a real image and shown a flat one.

    Args:
        case: Its options: ``layer``, ``depths`` (all from the first to the last), ``optimizer`` (its rate is set from the data).
        train: Training images, (N, C, *spatial).
        test: Not used.
        seed: Added to the networks' seeds.
    """

    def __init__(self, case: OwnCase, train: Float, test: Float, seed: int) -> None:
        self.layer, self.optimizer = case.options["layer"], case.options["optimizer"]
        first, last = case.options["depths"]
        self.depths, self.inputs, self.seed = range(first, last + 1), train, seed

    def integration(self) -> Level:
        """There is nothing to integrate."""
        return Level(
            "not run", 0.0, "the statement is about every network, trained or not: there is no motion to integrate"
        )

    def training(self, device: str, dtype: str) -> Level:
        """The spread of the centre of what trained networks make of a flat picture."""
        return worst_of(self.level(depth, device, dtype) for depth in self.depths)

    def level(self, depth: int, device: str, dtype: str) -> Level:
        """The verdict on one depth, with one layer more as the control."""
        centre: Any = (Ellipsis, *(self.centre(depth, size) for size in self.inputs.shape[2:]))
        outputs, budgets = self.flat(depth, device, dtype)
        if outputs[centre].size == 0:
            return Level("not run", 0.0, NO_CENTRE)
        level = judge(
            spread(outputs[centre]), budgets[centre].max(axis=(1, 2, 3)), np.abs(outputs[centre]).max(axis=(1, 2, 3))
        )
        deeper, room = self.flat(depth + 1, device, dtype)
        told = spread(deeper[centre]) > room[centre].max(axis=(1, 2, 3))
        return level if level.verdict != "agrees" or told.any() else Level("not run", level.ratio, CANNOT_TELL)

    def centre(self, depth: int, size: int) -> slice:
        """The pixels of an axis that are farther than L(k - 1)/2 from both ends."""
        reach = depth * (self.layer.kernel_size // 2)
        return slice(reach, max(size - reach, reach))

    def flat(self, depth: int, device: str, dtype: str) -> tuple[Float, Float]:
        """What each trained network makes of the flat picture, (networks, C, *spatial), and how far two equal pixels may differ."""
        ensemble = self.train(depth, device, dtype)
        picture = np.full_like(self.inputs[:1], SHADE)
        absolute = replace(
            ensemble,
            network=ensemble.network.with_values(activation="linear"),
            parameters=[np.abs(value) for value in ensemble.parameters],
        )
        parts = ensemble.network.parts(self.inputs.shape[1:], self.inputs.shape[1])
        longest = max(part.layer.fan_in(part.input_shape) for part in parts) + 2
        unit = longest * unit_roundoff(dtype)
        share = 2 * depth * unit * (1 + unit) ** depth
        return ensemble.outputs(picture)[:, 0].astype(float), share * absolute.outputs(picture)[:, 0].astype(float)

    def train(self, depth: int, device: str, dtype: str) -> Ensemble:
        """The networks, side by side."""
        rate = RATE / max(float((self.inputs**2).sum()), 1e-300)
        return train_ensemble(
            Feedforward(self.layer, depth=depth, width=max(8, 2 * self.inputs.shape[1])),
            self.inputs,
            self.inputs,
            seeds=[self.seed + seed for seed in SEEDS],
            optimizer=self.optimizer.with_values(learning_rate=rate),
            stop=Stop(STEPS, every=STEPS),
            device=device,
            dtype=dtype,
        )


def spread(pixels: Float) -> Float:
    """The largest difference between two pixels of a channel, for each network: (networks, C, *spatial) to (networks,)."""
    flat = pixels.reshape((*pixels.shape[:2], -1))
    return np.asarray(np.ptp(flat, axis=-1).max(axis=-1))
