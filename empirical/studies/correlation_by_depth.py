"""The heat map: what a CNN makes of a picture, by its depth and by the picture's correlation with the training picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from empirical.experiments.train_networks import TrainNetworks, mean_over, unlearned
from empirical.probes import at_correlation
from empirical.studies.drawing import grid
from empirical.studies.finding import above, below
from empirical.studies.one_picture import on_one_picture, relu_cnn
from empirical.studies.samples import mean, trend
from empirical.studies.study import Account, Result, Scale, Study
from theory.component import check_number


@dataclass(frozen=True)
class CorrelationScan(TrainNetworks):
    """Trained networks, shown the training picture turned to chosen correlations in random directions.

    Its numbers and arrays are those of ``TrainNetworks``; the kinds of probes are the correlations, such as "0.5".

    Args:
        correlations: Pearson correlations of the probes with the training picture, in [-1, 1].
    """

    correlations: tuple[float, ...] = (0.0, 0.5, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for rho in self.correlations:
            check_number("correlations", rho, at_least=-1)

    def shown(self, images: Any, examples: Any) -> dict[str, Any]:
        """The same random directions at every correlation."""
        directions = np.random.default_rng(0).standard_normal((self.probe_count, *examples[0].shape))
        return {
            f"{rho:g}": np.array([at_correlation(examples[0], direction, rho) for direction in directions])
            for rho in self.correlations
        }


@dataclass(frozen=True)
class CorrelationByDepth(Study):
    """Depth of a ReLU CNN × correlation of the probe with the one training picture."""

    title = "Correlation with the training picture × depth"
    claim = "Shallow CNNs are the identity on pictures of any correlation with the training picture, deep ones the constant."
    source = "Identity Crisis, heat map over correlation and depth"
    protocol = (
        "One picture, 5×5 kernels, no biases, Xavier start, mean squared error, momentum 0.9 at rate 0.01 (the paper: plain "
        "gradient descent). Probes: the training picture turned in random directions, mean and norm kept. Small: 14×14, 16 "
        "channels. Paper: 28×28, 128 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[CorrelationScan]:
        """One for each depth."""
        depths = scale.pick((1, 3, 5, 7, 10, 14), (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20))
        channels, size = scale.pick(16, 128), scale.pick(14, 28)
        steps = scale.pick(10, 20)
        correlations = tuple(number / steps for number in range(steps + 1))
        return [
            on_one_picture(
                scale, relu_cnn(depth, channels), size, CorrelationScan, probes=(), correlations=correlations
            )
            for depth in depths
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The four corners that tell, and the trend between them."""
        depths, correlations = axes(results)
        identity, constant = heights(results, "identity"), heights(results, "constant")
        first, last = np.argmin(depths), np.argmax(depths)
        half = int(np.argmin(np.abs(correlations - 0.5)))
        deep, gap = f"{depths[last]:g} layers", constant - identity
        findings = [
            # Natural probes of up to 12 layers stay at .8 and above in the published figure.
            above("one layer, identity of probes without correlation", identity[first, 0], 0.8),
            above("one layer, smallest identity over all correlations", identity[first].min(axis=0), 0.8),
            above(f"{deep}, constant less identity without correlation", gap[last, 0], 0.0),
            above(f"{deep}, smallest constant over all correlations", constant[last].min(axis=0), 0.8),
            below("correlation over depths of depth and identity, at 0.5", trend(depths, identity[:, half]), 0.0),
        ]
        columns = ("layers", *(f"{name} at {rho:g}" for name in ("identity", "constant") for rho in (0.0, 0.5, 0.9)))
        chosen = [int(np.argmin(np.abs(correlations - rho))) for rho in (0.0, 0.5, 0.9)]
        rows = [
            (int(depth), *(float(mean(values[row, place])) for values in (identity, constant) for place in chosen))
            for row, depth in enumerate(depths)
        ]
        return Account(findings, columns, rows, unlearned(results))

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Two heat maps with the line where they are equal, and outputs at three depths."""
        left, middle, right = figure.subplots(1, 3, width_ratios=(3, 3, 2.6))
        depths, correlations = axes(results)
        maps = {name: mean(heights(results, name), axis=2) for name in ("identity", "constant")}
        rows = np.arange(len(depths))
        for axis, (name, values) in zip((left, middle), maps.items(), strict=True):
            image = axis.pcolormesh(correlations, rows, values, vmin=0, vmax=1, cmap="viridis", shading="nearest")
            if len(depths) > 1:
                within = np.abs(correlations) < 1  # at 1 the identity is the constant
                gap = (maps["constant"] - maps["identity"])[:, within]
                levels = axis.contour(correlations[within], rows, gap, levels=[0.0], colors="white")
                axis.clabel(levels, fmt={0.0: "equal"}, fontsize=8)
            axis.set_yticks(rows, [f"{depth:g}" for depth in depths])
            axis.set(xlabel="correlation with the training picture", title=f"correlation with the {name}")
        left.set_ylabel("layers")
        figure.colorbar(image, ax=[left, middle], shrink=0.9, label="Pearson correlation of the output")
        kinds = [f"{correlations[int(np.argmin(np.abs(correlations - rho)))]:g}" for rho in (0.0, 0.5, 0.9)]
        chosen = results[:: max(1, (len(results) - 1) // 4)]
        pictures = [[results[0].outcome.arrays[kind][0] for kind in kinds]]
        pictures += [[result.outcome.arrays[kind][1] for kind in kinds] for result in chosen]
        grid(right, pictures, ["probe", *(f"{result.experiment.network.depth}" for result in chosen)], kinds)


def axes(results: Sequence[Result]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The depths and the correlations."""
    depths = [result.experiment.network.depth for result in results]
    return np.array(depths, dtype=float), np.array(results[0].experiment.correlations)


def heights(results: Sequence[Result], name: str) -> NDArray[np.float64]:
    """The correlation with "identity" or "constant", (depths, correlations, seeds); NaN where the picture was not learned."""
    _, correlations = axes(results)
    return np.stack([mean_over(results, name, [f"{rho:g}"]) for rho in correlations], axis=1)
