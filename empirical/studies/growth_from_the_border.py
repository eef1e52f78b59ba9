"""Where, and in which layers, does a deep convolutional network put the picture it has memorised?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.picture_by_layer import PictureByLayer
from empirical.experiments.train_networks import UNLEARNED, mean_over, per_seed, unlearned
from empirical.networks import Feedforward
from empirical.probes import kinds
from empirical.studies.finding import above
from empirical.studies.samples import crossing, mean, trend
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Conv
from theory.optimizers import HeavyBall
from theory.starts import Xavier


@dataclass(frozen=True)
class GrowthFromTheBorder(Study):
    """The memorised picture, layer by layer and by the distance from the border."""

    title = "The memorised picture grows from the border"
    claim = "Deeper CNNs memorise by growing the picture from the image boundary, in the last layers."
    source = "Identity Crisis, visualisation of the layers of deep CNNs"
    protocol = (
        "ReLU CNNs, 5×5, no biases, Xavier start, momentum 0.9 at rate 0.01, trained on one digit and shown a white picture. Of "
        "each layer the digit is read out by least squares; what is left is measured ring by ring from the border. And as the paper "
        "shows it: the map of the channels' root mean square, its correlation with the digit. Small: 14×14, 16 channels. Paper: "
        "28×28, 128 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[PictureByLayer]:
        """One for each depth."""
        return [
            PictureByLayer(
                Feedforward(Conv(5), depth=depth, width=scale.pick(16, 128), start=Xavier()),
                HeavyBall(0.01, 0.9),
                source=scale.images(scale.pick(14, 28)),
                examples=(scale.example,),
                seeds=scale.seeds(3),
                steps=scale.pick(3000, 10000),
                stop_loss=1e-4,
                probes=kinds(),
                probe_count=scale.pick(5, 50),
            )
            for depth in scale.pick((5, 10, 16), (5, 10, 15, 20))
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """In the deepest networks: near the border first, in space and by layers, and late."""
        deepest = max(results, key=lambda result: result.experiment.network.depth)
        depth, left = deepest.experiment.network.depth, _left(deepest)
        half = left.shape[2] // 2
        centre, border = (halfway(mean(part, axis=2)) for part in (left[:, :, half:], left[:, :, :half]))
        findings = [
            above(
                f"{depth} layers, white picture: correlation of distance from the border and what the output leaves",
                trend(np.arange(left.shape[2]), left[:, -1].T),
                0.0,
            ),
            # "In the last layers": in the second half of them.
            above(
                f"{depth} layers: share of the layers before half of the picture is there",
                halfway(mean(left, axis=2)) / depth,
                0.5,
            ),
            # The eye's measure, added after the first run, when the maps showed late what a read-out from all channels finds early.
            above(
                f"{depth} layers: share of the layers before the map of the channels is half way to the digit",
                halfway(_unseen(deepest)) / depth,
                0.5,
            ),
            above(f"{depth} layers: layers by which the centre comes after the border", centre - border, 0.0),
        ]
        columns = (
            "layers",
            "constant",
            "left at the border",
            "left at the centre",
            "half there at layer",
            "border",
            "centre",
            "map half there",
            "loss",
        )
        rows = []
        for result in results:
            left = _left(result)
            half = left.shape[2] // 2
            rows.append(
                (
                    result.experiment.network.depth,
                    mean(mean_over([result], "constant", kinds())),
                    mean(left[:, -1, 0]),
                    mean(left[:, -1, -1]),
                    *(mean(halfway(mean(part, axis=2))) for part in (left, left[:, :, :half], left[:, :, half:])),
                    mean(halfway(_unseen(result))),
                    mean(per_seed([result], "loss")),
                )
            )
        started = mean(mean(deepest.outcome.arrays["started"], axis=2), axis=0)
        note = f"{depth} layers before training: least left in any layer {started.min():.2f}, in the last {started[-1]:.2f}"
        return Account(findings, columns, rows, [note, *unlearned(results)])

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """What each layer of the deepest network has of the digit, ring by ring, and its maps of a white picture and a digit."""
        deepest = max(results, key=lambda result: result.experiment.network.depth)
        arrays, depth = deepest.outcome.arrays, deepest.experiment.network.depth
        grid = figure.add_gridspec(2, 2, height_ratios=(3, 2))
        left, right, below = (
            figure.add_subplot(grid[0, 0]),
            figure.add_subplot(grid[0, 1]),
            figure.add_subplot(grid[1, :]),
        )
        for result in results:
            found = mean(_left(result)[:, -1], axis=0)
            right.plot(range(len(found)), found, "o-", markersize=3, label=f"{result.experiment.network.depth} layers")
        right.set(xlabel="pixels from the border", ylabel="left of the digit", title="in the output for a white input")
        right.legend(fontsize=7)
        shades = left.imshow(mean(_left(deepest), axis=0).T, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        left.set(xlabel="layer", ylabel="pixels from the border", title=f"left of the digit, read out, {depth} layers")
        left.set_xticks(range(0, depth, 3), [str(layer + 1) for layer in range(0, depth, 3)])
        figure.colorbar(shades, ax=left)
        rows = [np.concatenate([_to_one(picture) for picture in arrays[name]], axis=1) for name in ("white", "other")]
        below.imshow(np.concatenate(rows), cmap="gray")
        side = len(arrays["picture"])
        below.set_xticks([side * (layer + 0.5) for layer in range(depth)], [str(layer + 1) for layer in range(depth)])
        below.set_yticks([side * 0.5, side * 1.5], ["white", "a digit"])
        below.set(xlabel="layer", title="root mean square of the channels")


def halfway(left: Any) -> Any:
    """The layer, counted from 1 and interpolated, at which half of what is left after layer 1 and not at the end has gone, (seeds,).

    Args:
        left: What is left, (seeds, layers).

    Example:
        >>> halfway(np.array([[1.0, 1.0, 0.6, 0.2]])).tolist()     # 0.6 is half way from 1 to 0.2
        [3.0]
    """
    left = np.asarray(left, dtype=float)
    middle = (left[:, :1] + left[:, -1:]) / 2
    return crossing(np.arange(1, left.shape[1] + 1), np.nextafter((middle - left).T, np.inf))


def _left(result: Result) -> Any:
    """What is left, (seeds, layers, rings); NaN for a network that has not learned its example."""
    learned = per_seed([result], "unexplained")[0] <= UNLEARNED
    return np.where(learned[:, None, None], result.outcome.arrays["left"], np.nan)


def _unseen(result: Result) -> Any:
    """What the maps of the layers lack of the digit, 1 less their correlation with it, (seeds, layers)."""
    learned = per_seed([result], "unexplained")[0] <= UNLEARNED
    return np.where(learned[:, None], 1 - result.outcome.arrays["seen"], np.nan)


def _to_one(picture: Any) -> Any:
    return picture / max(float(picture.max()), 1e-300)
