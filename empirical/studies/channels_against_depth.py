"""The same number of parameters, put into channels or into layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.train_networks import TrainNetworks, mean_over, unlearned
from empirical.probes import kinds
from empirical.studies.drawing import curve, gallery
from empirical.studies.finding import above, below
from empirical.studies.one_picture import COLUMNS, on_one_picture, relu_cnn, standings
from empirical.studies.study import Account, Result, Scale, Study

LAYERS = 5  # of the network that is made larger
# Channels and layers with the same number of parameters to 3 %; the first channels are those of all the deep networks.
SMALL = ((8, 5), (12, 9), (16, 14), (24, None))
PAPER = ((64, 5), (91, 8), (111, 11), (128, 14), (512, None))


@dataclass(frozen=True)
class ChannelsAgainstDepth(Study):
    """ReLU CNNs made larger by channels or by layers, trained on one picture."""

    title = "Channels against depth"
    claim = "More channels are much safer than more layers: wide CNNs stay near the identity, deep ones do not."
    source = "Identity Crisis, effect of the number of channels"
    protocol = (
        "One picture, 5×5 kernels, no biases, Xavier start, mean squared error, momentum 0.9 at rate 0.01 (the paper: plain "
        "gradient descent). A network of five layers gets more channels, or more layers until it has as many parameters, to "
        "3 %. Small: 14×14, from 8 channels. Paper: 28×28, from 64 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainNetworks]:
        """The smallest, the wider ones, the deeper ones."""
        pairs, size = scale.pick(SMALL, PAPER), scale.pick(14, 28)
        shapes = [(LAYERS, channels) for channels, _ in pairs]
        shapes += [(depth, pairs[0][0]) for _, depth in pairs[1:] if depth is not None]
        return [on_one_picture(scale, relu_cnn(*shape), size) for shape in shapes]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Wide against deep with the same number of parameters, and the widest against the narrowest."""
        pairs = scale.pick(SMALL, PAPER)
        shapes = [shape(result) for result in results]
        identity, constant = (mean_over(results, name, kinds()) for name in ("identity", "constant"))
        narrow = pairs[0][0]
        findings = [
            above(
                f"identity, {channels} channels × {LAYERS} layers less {narrow} × {depth}",
                at(shapes, identity, (LAYERS, channels)) - at(shapes, identity, (depth, narrow)),
                0.0,
            )
            for channels, depth in pairs[1:]
            if depth is not None
        ]
        widest = pairs[-1][0]
        fall = at(shapes, identity, (LAYERS, narrow)) - at(shapes, identity, (LAYERS, widest))
        # The published correlations can be read to ±.05: two readings that differ by less than .1 are the same.
        findings.append(below(f"identity lost from {narrow} to {widest} channels", fall, 0.1))
        rise = at(shapes, constant, (LAYERS, widest)) - at(shapes, constant, (LAYERS, narrow))
        findings.append(below(f"constant won from {narrow} to {widest} channels", rise, 0.1))
        sizes = parameters(results)
        rows = [
            (f"{depth} × {channels}", int(size), *row)
            for (depth, channels), size, row in zip(shapes, sizes, standings(results), strict=True)
        ]
        return Account(findings, ("layers × channels", "parameters", *COLUMNS), rows, unlearned(results))

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The two correlations by the number of parameters, along both ways, and what the networks make of probes."""
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        narrow = scale.pick(SMALL, PAPER)[0][0]
        ways = {"more channels": ("-", "o", [r for r in results if shape(r)[0] == LAYERS])}
        ways["more layers"] = (":", "s", [r for r in results if shape(r)[1] == narrow])
        for way, (style, marker, chosen) in ways.items():
            for name, colour in (("identity", "tab:blue"), ("constant", "tab:red")):
                values = mean_over(chosen, name, kinds())
                curve(
                    left,
                    parameters(chosen),
                    values,
                    color=colour,
                    linestyle=style,
                    marker=marker,
                    markersize=4,
                    label=f"{name}, {way}",
                )
        left.set(
            xscale="log",
            xlabel="parameters",
            ylabel="Pearson correlation of the output, all probes",
            ylim=(-0.05, 1.02),
        )
        left.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.13), frameon=False)
        labels = [f"{depth} × {channels}" for depth, channels in map(shape, results)]
        gallery(right, results, labels, ("digits", "blend", "disc", "coarse_stripes", "noise"))
        right.set_ylabel("layers × channels", fontsize=7)


def shape(result: Result) -> tuple[int, int]:
    """Layers and channels."""
    return result.experiment.network.depth, result.experiment.network.width


def parameters(results: Sequence[Result]) -> Any:
    """The number of parameters of each."""
    return np.array([result.outcome.numbers["parameters"] for result in results], dtype=float)


def at(shapes: Sequence[tuple[int, int]], values: Any, wanted: tuple[int, int]) -> Any:
    """The values (seeds,) of one shape; NaN if it is missing."""
    return values[shapes.index(wanted)] if wanted in shapes else np.full(values.shape[1], np.nan)
