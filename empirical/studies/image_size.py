"""Does a CNN learn another map from a larger picture?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.train_networks import TrainNetworks, mean_over, unlearned
from empirical.probes import kinds
from empirical.studies.drawing import curve, gallery
from empirical.studies.finding import above, below
from empirical.studies.one_picture import COLUMNS, on_one_picture, relu_cnn, standings
from empirical.studies.samples import trend
from empirical.studies.study import Account, Result, Scale, Study

LAYERS = 5
FIELD = 1 + LAYERS * 4  # pixels of a side that an output pixel sees through five 5×5 kernels


@dataclass(frozen=True)
class ImageSize(Study):
    """Sizes of the one picture that a ReLU CNN of five layers is trained on."""

    title = "ReLU CNNs by the size of the picture"
    claim = "The larger the picture, the nearer a CNN stands to the identity and the farther from the constant."
    source = "Identity Crisis, effect of the image size; the direction is what the field of view allows, not read off a figure"
    protocol = (
        "One picture resized, five layers of 5×5 kernels (a view of 21×21 pixels), no biases, Xavier start, mean squared "
        "error, momentum 0.9 at rate 0.01 (the paper: plain gradient descent). Small: 16 channels; the 8×8 digits become "
        "blurred where they grow. Paper: 128 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainNetworks]:
        """One for each size."""
        sizes, channels = scale.pick((6, 8, 11, 14, 20), (7, 10, 14, 20, 28, 40, 56)), scale.pick(16, 128)
        return [on_one_picture(scale, relu_cnn(LAYERS, channels), size) for size in sizes]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The ends of the range, and the trends."""
        sizes = picture_sizes(results)
        identity, constant = (mean_over(results, name, kinds()) for name in ("identity", "constant"))
        small, large = np.argmin(sizes), np.argmax(sizes)
        name = f"{sizes[large]:g}×{sizes[large]:g} less {sizes[small]:g}×{sizes[small]:g}"
        findings = [
            above(f"identity, picture {name}", identity[large] - identity[small], 0.0),
            below(f"constant, picture {name}", constant[large] - constant[small], 0.0),
            above("correlation over sizes of log size and identity", trend(np.log(sizes), identity), 0.0),
            below("correlation over sizes of log size and constant", trend(np.log(sizes), constant), 0.0),
        ]
        rows = [(f"{size:g}×{size:g}", *row) for size, row in zip(sizes, standings(results), strict=True)]
        return Account(findings, ("picture", *COLUMNS), rows, unlearned(results))

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The two correlations by size, and what the networks make of probes of their size."""
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        sizes = picture_sizes(results)
        for name, colour in (("identity", "tab:blue"), ("constant", "tab:red")):
            curve(left, sizes, mean_over(results, name, kinds()), color=colour, label=f"{name}, all probes")
        left.axvline(FIELD, color="grey", linestyle=":", label="field of view")
        left.set(xlabel="side of the picture [pixels]", ylabel="Pearson correlation of the output", ylim=(-0.05, 1.02))
        left.legend(fontsize=8, frameon=False)
        labels = [f"{size:g}×{size:g}" for size in sizes]
        gallery(right, results[::-1], labels[::-1], ("digits", "blend", "disc", "coarse_stripes", "noise"))


def picture_sizes(results: Sequence[Result]) -> Any:
    """The side of the picture of each result, in pixels."""
    return np.array([result.experiment.source.size for result in results], dtype=float)
