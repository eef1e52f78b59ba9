"""Does the start decide where a network ends between the identity and the constant?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.train_networks import TrainNetworks, mean_over, per_seed, unlearned
from empirical.networks import Feedforward
from empirical.probes import CLASSES, kinds
from empirical.studies.finding import above
from empirical.studies.samples import mean, spread
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Conv
from theory.optimizers import HeavyBall
from theory.starts import Gaussian, Kaiming, NearIdentity, Orthogonal, Start, TorchDefault, Xavier

READING = 0.1  # the published correlations can be read to ±0.05: two curves a tenth apart differ


@dataclass(frozen=True)
class Initialisation(Study):
    """One deep CNN from several starts."""

    title = "Initialisation"
    claim = "The start shifts where a network ends between the identity and the constant; near the identity it ends at the identity."
    source = "the question of Identity Crisis' ablations; the second half is what a start at the answer must do"
    protocol = (
        "ReLU CNNs, 5×5, no biases, trained on one digit, mean squared error, momentum 0.9 at rate 0.01. Small: 8 layers, 14×14, "
        "16 channels. Paper: 12 layers, 28×28, 128 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainNetworks]:
        """One for each start."""
        return [
            TrainNetworks(
                Feedforward(Conv(5), depth=scale.pick(8, 12), width=scale.pick(16, 128), start=start),
                HeavyBall(0.01, 0.9),
                source=scale.images(scale.pick(14, 28)),
                examples=(scale.example,),
                seeds=scale.seeds(3),
                steps=scale.pick(3000, 20000),
                stop_loss=5e-4,
                probes=kinds(),
                probe_count=scale.pick(10, 50),
            )
            for start in starts(scale)
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """How far apart the starts end, seed by seed, and the one near the identity."""
        names = [start_words(result.experiment.network.start) for result in results]
        identity, constant = (mean_over(results, name, kinds()) for name in ("identity", "constant"))
        natural = mean_over(results, "identity", CLASSES["natural"])
        random = [number for number, name in enumerate(names) if not name.startswith("near")]
        standing = (identity - constant)[random]
        findings = [
            above(
                "identity less constant, all probes: the range over the random starts, seed by seed",
                _range(standing),
                READING,
            )
        ]
        if len(random) < len(names):
            near = next(number for number, name in enumerate(names) if name.startswith("near"))
            best = mean(identity[random], axis=1)
            findings += [
                above(f"start {names[near]}: correlation with the identity on natural probes", natural[near], 0.8),
                above(
                    f"start {names[near]}: its lead over the best random start, all probes",
                    identity[near] - np.nanmax([*best, -1.0]),
                    0.0,
                ),
            ]
        columns = (
            "start",
            "σ of a hidden layer",
            "identity",
            "constant",
            "identity, natural",
            "noise",
            "steps",
            "loss",
        )
        rows = [
            (
                name,
                _deviation(results[row]),
                mean(identity[row]),
                mean(constant[row]),
                mean(natural[row]),
                mean(mean_over([results[row]], "noise", kinds())),
                mean(per_seed(results, "steps")[row]),
                mean(per_seed(results, "loss")[row]),
            )
            for row, name in enumerate(names)
        ]
        return Account(findings, columns, rows, unlearned(results))

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The two correlations by start, and what the networks make of a digit."""
        left, right = figure.subplots(1, 2, width_ratios=(3, 4))
        places = np.arange(len(results))
        for which, (name, colour) in enumerate((("identity", "tab:blue"), ("constant", "tab:red"))):
            values = mean_over(results, name, kinds())
            left.barh(
                places + 0.36 * which - 0.18,
                mean(values, 1),
                0.34,
                xerr=spread(values, 1),
                color=colour,
                label=name,
                capsize=2,
            )
        left.set_yticks(places, [start_words(result.experiment.network.start) for result in results], fontsize=7)
        left.set(xlabel="Pearson correlation of the output, all probes", xlim=(0, 1.02))
        left.invert_yaxis()
        left.legend(fontsize=7, loc="lower right")
        shown = ("digits", "square", "coarse_stripes")
        strips = [
            np.concatenate(
                [results[0].outcome.arrays[kind][0, 0], *(result.outcome.arrays[kind][1, 0] for result in results)],
                axis=1,
            )
            for kind in shown
        ]
        right.imshow(np.clip(np.nan_to_num(np.concatenate(strips)), 0, 1), cmap="gray", vmin=0, vmax=1)
        side = strips[0].shape[0]
        labels = ["probe", *(start_words(result.experiment.network.start) for result in results)]
        right.set_xticks(
            [side * (place + 0.5) for place in range(len(labels))], labels, fontsize=7, rotation=40, ha="right"
        )
        right.set_yticks(
            [side * (place + 0.5) for place in range(len(shown))],
            [kind.replace("_", " ") for kind in shown],
            fontsize=7,
        )
        right.set(title="what the networks make of probes")


def starts(scale: Scale) -> tuple[Start, ...]:
    """The starts; the Gaussian is a little larger than Kaiming's, the noise near the identity a little smaller than torch's."""
    return (
        TorchDefault(),
        Xavier(),
        Kaiming(),
        Orthogonal(),
        Gaussian(scale.pick(0.08, 0.03)),
        NearIdentity(scale.pick(0.02, 0.007)),
    )


def start_words(start: Any) -> str:
    """A start in a few words."""
    names = {
        "torch_default": "torch's default",
        "xavier": "Xavier",
        "kaiming": "Kaiming",
        "orthogonal": "orthogonal",
        "gaussian": "Gaussian",
        "near_identity": "near identity",
    }
    std = getattr(start, "std", None)
    return names[start.kind] + ("" if std is None else f" {std:g}")


def _range(values: Any) -> Any:
    """Largest less smallest of what is finite, column by column; NaN with fewer than two."""
    found = [column[np.isfinite(column)] for column in np.asarray(values, dtype=float).T]
    return np.array([np.ptp(column) if len(column) > 1 else np.nan for column in found])


def _deviation(result: Result) -> float:
    """The standard deviation of the entries of a hidden layer at the start, of the first seed."""
    experiment = result.experiment
    shape = experiment.source.images().values.shape[1:]
    drawn = experiment.network.draw(experiment.seeds[0], shape, shape[0])
    return float(drawn[len(drawn) // 2][0].std())
