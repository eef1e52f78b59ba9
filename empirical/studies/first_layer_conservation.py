"""Does the first layer of a network of any depth stay where the training data do not reach?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.first_layer import FirstLayer
from empirical.experiments.train_networks import per_seed
from empirical.networks import Feedforward
from empirical.studies.finding import above, agreement
from empirical.studies.samples import mean
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Conv, Layer, Linear
from theory.optimizers import Adam, GradientDescent, HeavyBall
from theory.starts import Xavier

TELLING = 0.01  # of the weight: a budget above it could not see a planted error of 1 %


@dataclass(frozen=True)
class FirstLayerConservation(Study):
    """The conservation law of the first layer, on trained networks and outside its hypotheses."""

    title = "What a first layer never learns"
    claim = (
        "At any depth, gradient descent and momentum never move the first layer outside the span of its training features "
        "(images, or padded patches); Adam, weight decay and weights shared with a later layer do."
    )
    source = "theorem T6 (proofs.md)"
    protocol = (
        "Three digits to be repeated, half the sum of squares, Xavier start; fully connected with a blank left quarter, and 3×3 "
        "convolutions on a digit, half of it, and a blank channel. Depths 1 to 6 (paper: 12), linear and ReLU, with and without "
        "bias, float64 and float32. The budget is the rounding of the steps really taken."
    )

    def experiments(self, scale: Scale) -> Sequence[FirstLayer]:
        """The settings inside the hypotheses, then the controls outside."""
        found = []
        for view, layer in (("dead_pixels", Linear()), ("half_and_blank", Conv(3))):
            rate = 0.002 if view == "dead_pixels" else 0.0005
            for activation in ("linear", "relu"):
                for depth in scale.pick((1, 3, 6), (1, 2, 3, 4, 6, 9, 12)):
                    if depth == 1 and activation == "relu":
                        continue  # no activation behind the last layer
                    found += [
                        self._one(scale, view, layer, depth, activation, GradientDescent(rate)),
                        self._one(
                            scale, view, layer.with_values(bias=True), depth, activation, HeavyBall(rate / 4, 0.9)
                        ),
                        self._one(scale, view, layer, depth, activation, HeavyBall(rate / 4, 0.9), dtype="float32"),
                    ]
            one = self._one(scale, view, layer, 3, "relu", GradientDescent(rate))
            found += [
                one.with_values(optimizer=Adam(0.001)),
                one.with_values(weight_decay=0.1),
                one.with_values(shared=True),
            ]
        return found

    def _one(
        self, scale: Scale, view: str, layer: Layer, depth: int, activation: str, optimizer: Any, dtype: str = "float64"
    ) -> FirstLayer:
        # As wide as the input: the smallest width that can be the identity, and the one with which layers can share weights.
        network = Feedforward(
            layer, depth, None if activation == "linear" else _inputs(layer, scale), activation, start=Xavier()
        )
        return FirstLayer(
            network,
            optimizer,
            scale.images(scale.pick(8, 28)),
            tuple(scale.example + number for number in range(3)),
            view,
            scale.seeds(3),
            scale.pick(150, 1000),
            dtype=dtype,
        )

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Inside the hypotheses within the budget, to the last bit where a feature is dead; outside beyond it."""
        ratios = per_seed(results, "drift") / per_seed(results, "budget")
        lawful = np.array([not broken(result.experiment) for result in results])
        narrow = np.array([result.experiment.dtype == "float32" for result in results])
        telling = per_seed(results, "budget") / (TELLING * per_seed(results, "size"))
        findings = [
            agreement(
                f"the first layer stays outside the span, {words}", float(ratios[chosen].max()), "rounding × steps"
            )
            for words, chosen in (("float64", lawful & ~narrow), ("float32", lawful & narrow))
        ]
        dead = per_seed(results, "dead")[lawful].max()
        findings += [
            agreement("weights of dead pixels and blank channels do not change by a bit", np.inf if dead else 0.0, "0"),
            agreement("the budgets can see an error of 1 %", float(telling[lawful].max()), "1 % of the weight outside"),
        ]
        for name in ("Adam", "weight decay", "shared weights"):
            places = [number for number, result in enumerate(results) if broken(result.experiment) == name]
            if places:
                findings.append(
                    above(f"{name}: drift ÷ budget, the least of the layers", ratios[places].min(axis=0), 1.0)
                )
        columns = (
            "network",
            "rule",
            "outside",
            "drift ÷ budget",
            "budget ÷ weight",
            "drift ÷ weight",
            "moved ÷ weight",
            "loss left",
        )
        rows = [
            (
                network_words(result.experiment),
                rule_words(result.experiment),
                result.outcome.numbers["outside"],
                ratios[row].max(),
                mean(per_seed([result], "budget") / per_seed([result], "size")),
                mean(per_seed([result], "drift") / per_seed([result], "size")),
                mean(per_seed([result], "moved") / per_seed([result], "size")),
                mean(per_seed([result], "loss") / per_seed([result], "before")),
            )
            for row, result in enumerate(results)
        ]
        return Account(findings, columns, rows)

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Drift against budget, each as a share of the weight outside: below the line is inside the budget."""
        axes = figure.subplots()
        groups: dict[str, list[Result]] = {}
        for result in results:
            name = broken(result.experiment) or f"inside the hypotheses, {result.experiment.dtype}"
            groups.setdefault(name, []).append(result)
        for (name, members), marker in zip(groups.items(), "osv^D", strict=False):
            size = per_seed(members, "size")
            drift = np.maximum(per_seed(members, "drift") / size, 1e-18)
            axes.loglog(
                (per_seed(members, "budget") / size).ravel(), drift.ravel(), marker, markersize=4, alpha=0.6, label=name
            )
        ends = np.array([1e-15, 1e-1])
        axes.loglog(ends, ends, "-", color="grey", linewidth=1, label="drift = budget")
        axes.set(
            xlabel="rounding budget ÷ weight outside the span",
            ylabel="drift ÷ weight outside the span",
            title=f"first layers after training, {len(results)} settings × {len(results[0].experiment.seeds)} seeds",
        )
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def broken(experiment: FirstLayer) -> str:
    """Which hypothesis of the theorem an experiment breaks, or an empty string."""
    if not experiment.optimizer.linear:
        return type(experiment.optimizer).__name__
    return "weight decay" if experiment.weight_decay else "shared weights" if experiment.shared else ""


def network_words(experiment: FirstLayer) -> str:
    """A network in a few words."""
    network: Any = experiment.network
    kind = "FCN" if network.layer.single_column else "CNN"
    return f"{kind} {network.depth} {network.activation}{', bias' if network.layer.bias else ''}"


def rule_words(experiment: FirstLayer) -> str:
    """How it was trained, in a few words."""
    rule = {"gradient_descent": "GD", "heavy_ball": "momentum", "adam": "Adam"}[experiment.optimizer.kind]
    more = broken(experiment) if experiment.optimizer.linear else ""
    return f"{rule} {experiment.dtype}{f', {more}' if more else ''}"


def _inputs(layer: Layer, scale: Scale) -> int:
    return scale.pick(8, 28) ** 2 if layer.single_column else 3
