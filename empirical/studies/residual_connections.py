"""Do residual connections remove the noise that a network adds to pictures it was not trained on?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.train_networks import TrainNetworks, mean_over, per_seed, unlearned
from empirical.networks import Feedforward
from empirical.probes import kinds
from empirical.studies.finding import above, agreement
from empirical.studies.samples import mean, spread
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Conv, Layer, Linear
from theory.optimizers import HeavyBall
from theory.starts import Xavier

REMOVED = 0.1  # noise counts as removed when a tenth of it is left; the paper gives no number
EXACT = 1e-20  # the loss to which one layer is trained, in float64


@dataclass(frozen=True)
class ResidualConnections(Study):
    """The noise of networks with and without residual connections, from the same starts."""

    title = "Residual connections"
    claim = "Residual connections do not remove the noise."
    source = "Identity Crisis, residual networks"
    protocol = (
        "One digit, Xavier start, mean squared error, momentum 0.9, no biases; FCNs as wide as the input, so that every layer has a "
        "connection, and 5×5 CNNs, all layers but the first and the last. Noise is the mean square of what is no combination of "
        "the input, the training picture and a flat one. Small: 14×14, 16 channels. Paper: 28×28, 128 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainNetworks]:
        """Each network without and with residual connections, from the same seeds."""
        found = []
        for layer, depths in ((Linear(), (1, 3, 6)), (Conv(5), scale.pick((5, 10), (5, 10, 20)))):
            for depth in depths:
                found += [self._one(scale, layer, depth, residual) for residual in (False, True)]
        return found

    def _one(self, scale: Scale, layer: Layer, depth: int, residual: bool) -> TrainNetworks:
        size = scale.pick(14, 28)
        width = size**2 if layer.single_column else scale.pick(16, 128)
        one = TrainNetworks(
            Feedforward(layer, depth, width if depth > 1 else None, residual=residual, start=Xavier()),
            HeavyBall(0.02 if layer.single_column else 0.005, 0.9),
            source=scale.images(size),
            examples=(scale.example,),
            seeds=scale.seeds(3),
            steps=scale.pick(3000, 10000),
            stop_loss=1e-4,
            probes=kinds(),
            probe_count=scale.pick(10, 50),
        )
        return one if depth > 1 else one.with_values(stop_loss=EXACT, dtype="float64")

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Noise with residual connections ÷ noise without, network by network; for one layer it is the same, exactly."""
        pairs = _pairs(results)
        noise = {name: [mean_over([one], "noise", kinds())[0] for one in pair] for name, pair in pairs.items()}
        findings = []
        for name, (plain, residual) in pairs.items():
            without, having = noise[name]
            if plain.experiment.network.depth == 1:
                gap = np.abs(np.sqrt(having) - np.sqrt(without))
                budget = _one_layer_budget(plain, residual)
                findings.append(
                    agreement(
                        f"{name}: the same noise with and without", float((gap / budget).max()), "the loss that is left"
                    )
                )
            else:
                findings.append(above(f"{name}: noise with residual connections ÷ without", having / without, REMOVED))
        columns = (
            "network",
            "noise without",
            "noise with",
            "identity without",
            "identity with",
            "constant without",
            "constant with",
            "steps with",
        )
        rows = [
            (
                name,
                *map(mean, noise[name]),
                *(mean(mean_over([one], which, kinds())) for which in ("identity", "constant") for one in pair),
                mean(per_seed([pair[1]], "steps")),
            )
            for name, pair in pairs.items()
        ]
        return Account(findings, columns, rows, unlearned(results))

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The noise by network, and what the networks make of a digit."""
        left, right = figure.subplots(1, 2, width_ratios=(1, 1))
        pairs = _pairs(results)
        for which, (words, colour) in enumerate((("without", "tab:blue"), ("with residual connections", "tab:red"))):
            values = np.array([mean_over([pair[which]], "noise", kinds())[0] for pair in pairs.values()])
            places = np.arange(len(pairs)) + 0.3 * which - 0.15
            left.bar(places, mean(values, 1), 0.28, yerr=spread(values, 1), color=colour, label=words, capsize=2)
        left.set_xticks(range(len(pairs)), list(pairs), fontsize=7)
        left.set(
            ylabel="mean square of the noise (white is 1)",
            title="what is neither input nor training picture",
            yscale="log",
        )
        left.legend(fontsize=7)
        shown = [
            np.concatenate([pair[which].outcome.arrays["digits"][1, 0] for pair in pairs.values()], axis=1)
            for which in (0, 1)
        ]
        digit = next(iter(pairs.values()))[0].outcome.arrays["digits"][0, 0]
        side = len(digit)
        rows = [np.concatenate([digit, row], axis=1) for row in shown]
        right.imshow(np.clip(np.concatenate(rows), 0, 1), cmap="gray", vmin=0, vmax=1)
        right.set_xticks([side * (place + 0.5) for place in range(len(pairs) + 1)], ["digit", *pairs], fontsize=7)
        right.set_yticks([side * 0.5, side * 1.5], ["without", "with"])
        right.set(title="another digit, and the outputs")


def _pairs(results: Sequence[Result]) -> dict[str, tuple[Result, Result]]:
    """The results without and with residual connections, by network; only whole pairs."""
    found: dict[str, dict[bool, Result]] = {}
    for result in results:
        network: Any = result.experiment.network
        name = f"{'FCN' if network.layer.single_column else 'CNN'} {network.depth}"
        found.setdefault(name, {})[network.residual] = result
    return {name: (pair[False], pair[True]) for name, pair in found.items() if len(pair) == 2}


def _one_layer_budget(plain: Result, residual: Result) -> Any:
    r"""How far the roots of the two noises can be apart, (seeds,).

    Without, the error on x is :math:`(W_0 - I)v`, with, it is :math:`W_0 v`, where v, and so the difference, is a combination of x and x̂:
    the noise is the same. What is left of the training, :math:`\|r\|^2 = p\ell`, adds at most
    :math:`\|r\|\|x\|/\|\hat x\|` to an output of either; probes have :math:`\|x\|^2 \le p`. Rounding is far below it.
    """
    experiment = plain.experiment
    picture = experiment.source.images().take(experiment.examples).values
    losses = [per_seed([one], "loss")[0] for one in (plain, residual)]
    return sum(np.sqrt(loss * picture.size) for loss in losses) / np.linalg.norm(picture)
