"""Which map does a ReLU convolutional network learn from one picture, by its depth?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.train_networks import TrainNetworks, mean_over, per_seed, unlearned
from empirical.networks import Feedforward
from empirical.probes import CLASSES, kinds
from empirical.studies.finding import above, below
from empirical.studies.samples import crossing, mean, spread, trend
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Conv
from theory.optimizers import HeavyBall
from theory.starts import Xavier

# Read off the published figure, ±0.05: depth, correlation with the identity, with the constant; means of twelve probes.
PUBLISHED = (
    (1, 0.98, 0.28), (3, 0.96, 0.29), (5, 0.90, 0.29), (7, 0.83, 0.29), (9, 0.72, 0.28), (11, 0.67, 0.30), (12, 0.69, 0.31),
    (14, 0.54, 0.32), (15, 0.48, 0.48), (16, 0.43, 0.50), (18, 0.32, 0.55), (19, 0.33, 0.62), (20, 0.28, 0.95),
)  # fmt: skip
SHALLOW = 5
GENERALISES = 10  # the paper: CNNs of up to about ten layers generalise from one example


@dataclass(frozen=True)
class DepthOfReluCnns(Study):
    """Depth sweep of ReLU CNNs trained on one picture."""

    title = "ReLU CNNs by depth"
    claim = "Shallow CNNs learn the identity from one picture; deep ones learn the constant."
    source = "Identity Crisis, figure of the correlations by depth"
    protocol = (
        "One picture, 5×5 kernels, no biases, Xavier start, mean squared error, momentum 0.9 at rate 0.01 (the paper: plain "
        "gradient descent). Small: 14×14, 16 channels. Paper: 28×28, 128 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainNetworks]:
        """One for each depth."""
        depths = scale.pick((1, 3, 5, 7, 9, 11, 14, 17, 20), tuple(depth for depth, *_ in PUBLISHED))
        return [
            TrainNetworks(
                Feedforward(Conv(5), depth=depth, width=scale.pick(16, 128) if depth > 1 else None, start=Xavier()),
                HeavyBall(0.01, 0.9),
                source=scale.images(scale.pick(14, 28)),
                examples=(scale.example,),
                seeds=scale.seeds(3),
                steps=scale.pick(5000, 10000),
                stop_loss=1e-4,
                probes=kinds(),
                probe_count=scale.pick(20, 50),
            )
            for depth in depths
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The two ends, the trend, and where the two curves cross."""
        depths = np.array([result.experiment.network.depth for result in results])
        identity, constant = (mean_over(results, name, kinds()) for name in ("identity", "constant"))
        natural = mean_over(results, "identity", CLASSES["natural"])
        differing = mean_over(results, "constant", CLASSES["natural"]) - natural
        shallow, deepest = depths <= SHALLOW, depths == depths.max()
        findings = [
            above(
                f"up to {SHALLOW} layers, correlation with the identity on natural probes",
                mean(natural[shallow], axis=0),
                0.8,
            ),
            above(f"{depths.max()} layers, constant less identity, all probes", (constant - identity)[deepest][0], 0.0),
            below("correlation over depths of depth and identity", trend(depths, identity), 0.0),
            above(
                "layers at which the constant overtakes the identity on natural probes",
                crossing(depths, differing),
                GENERALISES,
            ),
        ]
        columns = ("layers", "identity", "constant", "identity, natural", "constant, natural", "steps", "loss", "paper")
        published = {depth: f"{one:.2f}/{other:.2f}" for depth, one, other in PUBLISHED}
        rows = [
            (
                int(depth),
                mean(identity[row]),
                mean(constant[row]),
                mean(natural[row]),
                mean(differing[row] + natural[row]),
                mean(per_seed(results, "steps")[row]),
                mean(per_seed(results, "loss")[row]),
                published.get(int(depth), ""),
            )
            for row, depth in enumerate(depths)
        ]
        return Account(findings, columns, rows, unlearned(results))

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The two correlations by depth, ours and the published ones, and what the networks make of a digit."""
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        depths = [result.experiment.network.depth for result in results]
        for name, colour in (("identity", "tab:blue"), ("constant", "tab:red")):
            for chosen, style in ((kinds(), "-"), (CLASSES["natural"], ":")):
                values = mean_over(results, name, chosen)
                label = f"{name}, {'all probes' if style == '-' else 'natural ones'}"
                left.errorbar(
                    depths,
                    mean(values, 1),
                    spread(values, 1),
                    color=colour,
                    linestyle=style,
                    label=label,
                    capsize=2,
                )
            column = 1 if name == "identity" else 2
            left.plot([row[0] for row in PUBLISHED], [row[column] for row in PUBLISHED], ".", color=colour, alpha=0.4)
        left.plot([], [], ".", color="grey", label="published, twelve probes")
        left.set(xlabel="layers", ylabel="Pearson correlation of the output", ylim=(-0.05, 1.02))
        left.legend(fontsize=7)
        shown = [result.outcome.arrays["digits"] for result in results]
        pictures = np.concatenate([np.concatenate([picture[0, 0], picture[1, 0]], axis=1) for picture in shown[::2]])
        right.imshow(np.clip(pictures, 0, 1), cmap="gray")
        right.set(title="a digit, and the output", xticks=[])
        side = pictures.shape[1] // 2
        right.set_yticks([side * (row + 0.5) for row in range(len(shown[::2]))], [f"{depth}" for depth in depths[::2]])
