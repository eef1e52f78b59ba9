"""Which map does a fully connected network learn from one picture, by its depth, linear and ReLU?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.train_networks import TrainNetworks, mean_over, unlearned
from empirical.networks import ACTIVATIONS, Feedforward
from empirical.probes import kinds
from empirical.studies.drawing import curve, gallery
from empirical.studies.finding import above, below
from empirical.studies.one_picture import COLUMNS, on_one_picture, standings
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Linear
from theory.starts import Xavier

# Read off the published figure, ±0.05: activation, layers, correlation with the identity, with the constant.
PUBLISHED = {
    ("linear", 1): (0.13, 0.19),
    ("linear", 2): (0.17, 0.34),
    ("relu", 2): (0.22, 0.65),
    ("linear", 6): (0.18, 0.47),
    ("relu", 6): (0.25, 0.87),
}
READING = 0.05  # how well the figure can be read
DEEP = 6


@dataclass(frozen=True)
class DepthOfFcns(Study):
    """Depth sweep of fully connected networks trained on one picture."""

    title = "Fully connected networks by depth"
    claim = "From one picture no fully connected network learns the identity; with depth, and with ReLU, they learn the constant."
    source = "Identity Crisis, figure of the correlations of fully connected networks"
    protocol = (
        "One picture, as many units as pixels, no biases, Xavier start, mean squared error, momentum 0.9 at rate 0.01 (the "
        "paper: plain gradient descent). Small: 14×14. Paper: 28×28, 784 units. One layer has no activation."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainNetworks]:
        """One for each activation and depth."""
        size, depths = scale.pick(14, 28), (1, 2, 3, 4, DEEP)
        width = size * size
        return [
            on_one_picture(
                scale, Feedforward(Linear(), depth=depth, width=width, activation=activation, start=Xavier()), size
            )
            for activation in reversed(ACTIVATIONS)
            for depth in depths
            if depth > 1 or activation == "linear"
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """No identity, more of the constant than of it, and the constant for many layers with ReLU."""
        identity, constant = (mean_over(results, name, kinds()) for name in ("identity", "constant"))
        deep, one = deepest(results, "relu"), [named(result) == ("linear", 1) for result in results]
        linear = deepest(results, "linear")
        most = max(found for found, _ in PUBLISHED.values()) + READING
        least = PUBLISHED["relu", DEEP][1] - READING
        findings = [
            # The largest published value, .25, and the error of reading it.
            below("largest correlation with the identity of all networks", largest(identity), most),
            above("smallest of constant less identity of all networks", -largest(identity - constant), 0.0),
            above(f"{DEEP} ReLU layers, correlation with the constant", constant[deep].ravel(), least),
            above(f"{DEEP} layers, constant with ReLU less without", (constant[deep] - constant[linear]).ravel(), 0.0),
            # Published: .13 and .18; two readings off a figure cannot be told apart below .1.
            below(
                f"identity of {DEEP} linear layers less that of one",
                (identity[linear] - identity[one]).ravel(),
                2 * READING,
            ),
        ]
        published = {key: f"{found:.2f}/{other:.2f}" for key, (found, other) in PUBLISHED.items()}
        rows = [
            (f"{named(result)[1]} {named(result)[0]}", *row, published.get(named(result), ""))
            for result, row in zip(results, standings(results), strict=True)
        ]
        return Account(findings, ("layers", *COLUMNS, "paper"), rows, unlearned(results))

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The two correlations by depth, ours and the published ones, and what the networks make of probes."""
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        for activation, style in zip(ACTIVATIONS, ("-", ":"), strict=True):
            chosen = [result for result in results if named(result) in ((activation, named(result)[1]), ("linear", 1))]
            depths = [named(result)[1] for result in chosen]
            order = np.argsort(depths)
            for column, (name, colour) in enumerate((("identity", "tab:blue"), ("constant", "tab:red"))):
                values = mean_over(chosen, name, kinds())[order]
                curve(
                    left,
                    np.array(depths)[order],
                    values,
                    color=colour,
                    linestyle=style,
                    label=f"{name}, {activation.replace('relu', 'ReLU')}",
                )
                places = [key for key in PUBLISHED if key[0] == activation]
                marks = [PUBLISHED[key][column] for key in places]
                marker = "o" if activation == "relu" else "s"
                left.plot([depth for _, depth in places], marks, marker, color=colour, alpha=0.4, markersize=5)
        left.plot([], [], "s", color="grey", alpha=0.6, label="published, linear")
        left.plot([], [], "o", color="grey", alpha=0.6, label="published, ReLU")
        left.set(xlabel="layers", ylabel="Pearson correlation of the output", ylim=(-0.05, 1.02))
        left.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.16), frameon=False)
        shown = [result for result in results if named(result) in PUBLISHED]
        labels = [f"{depth} {activation}" for activation, depth in map(named, shown)]
        gallery(right, shown, labels, ("digits", "blend", "disc", "coarse_stripes", "noise"))


def named(result: Result) -> tuple[str, int]:
    """Activation and depth."""
    return result.experiment.network.activation, result.experiment.network.depth


def deepest(results: Sequence[Result], activation: str) -> list[bool]:
    """Where the deep network with an activation is."""
    return [named(result) == (activation, DEEP) for result in results]


def largest(values: Any) -> Any:
    """For each seed the largest of (results, seeds); NaN as soon as one is: what was not learned decides nothing."""
    return np.max(values, axis=0)
