"""Does the kernel size move a CNN between the identity and the constant?"""

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


@dataclass(frozen=True)
class KernelSize(Study):
    """Kernel sizes of a ReLU CNN of five layers trained on one picture."""

    title = "ReLU CNNs by kernel size"
    claim = (
        "The kernel size shifts the bias of a CNN: small kernels towards the identity, large ones towards the constant."
    )
    source = "Identity Crisis, effect of the kernel size; the direction is what a larger field of view allows"
    protocol = (
        "One picture, five layers, no biases, Xavier start, mean squared error, momentum 0.9 at rate 0.01 (the paper: plain "
        "gradient descent). Small: the digits' own 8×8, 16 channels. Paper: 28×28, 128 channels. The largest kernel sees "
        "the whole picture from every pixel."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainNetworks]:
        """One for each kernel size."""
        sizes = scale.pick((3, 5, 7, 9, 15), (3, 5, 7, 9, 15, 27, 55))
        channels, size = scale.pick(16, 128), scale.pick(8, 28)
        return [on_one_picture(scale, relu_cnn(LAYERS, channels, kernel), size) for kernel in sizes]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The ends of the range, and the trend."""
        kernels = kernel_sizes(results)
        identity, constant = (mean_over(results, name, kinds()) for name in ("identity", "constant"))
        small, large = np.argmin(kernels), np.argmax(kernels)
        name = f"{kernels[small]:g}×{kernels[small]:g} less {kernels[large]:g}×{kernels[large]:g}"
        findings = [
            above(f"identity, kernel {name}", identity[small] - identity[large], 0.0),
            below(f"constant, kernel {name}", constant[small] - constant[large], 0.0),
            below("correlation over kernel sizes of log size and identity", trend(np.log(kernels), identity), 0.0),
            above("largest kernel, constant less identity", (constant - identity)[large], 0.0),
        ]
        rows = [(f"{kernel:g}×{kernel:g}", *row) for kernel, row in zip(kernels, standings(results), strict=True)]
        return Account(findings, ("kernel", *COLUMNS), rows, unlearned(results))

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The two correlations by kernel size, and what the networks make of probes."""
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        kernels = kernel_sizes(results)
        for name, colour in (("identity", "tab:blue"), ("constant", "tab:red")):
            curve(left, kernels, mean_over(results, name, kinds()), color=colour, label=f"{name}, all probes")
        left.set_xscale("log")
        left.set_xticks(kernels, [f"{kernel:g}" for kernel in kernels], minor=False)
        left.set_xticks([], minor=True)
        left.set(xlabel="kernel size [pixels]", ylabel="Pearson correlation of the output", ylim=(-0.05, 1.02))
        left.legend(fontsize=8, frameon=False)
        labels = [f"{kernel:g}×{kernel:g}" for kernel in kernels]
        gallery(right, results, labels, ("digits", "blend", "disc", "coarse_stripes", "noise"))


def kernel_sizes(results: Sequence[Result]) -> Any:
    """The kernel size of each result."""
    return np.array([result.experiment.network.layer.kernel_size for result in results], dtype=float)
