"""How deep must a convolutional network be to make a picture of a flat input?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.flat_centre import FlatCentre, layers_needed
from empirical.experiments.train_networks import per_seed
from empirical.networks import Feedforward
from empirical.studies.finding import above, agreement, below
from empirical.studies.samples import mean, spread
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Conv
from theory.optimizers import Adam
from theory.starts import Xavier

KERNELS = (3, 5)
FLOAT = 1e-9  # a loss of 64 to 784 squares is rounded in float64 by less than this share
ELSEWHERE = ("circular", "reflect", "replicate")


@dataclass(frozen=True)
class DepthBounds(Study):
    """Flat inputs have flat centres up to the bound, on trained networks; one more layer breaks it."""

    title = "Depth bounds"
    claim = (
        "On a flat input all output pixels with at least L(k − 1)/2 others between them and the border are equal, so a picture "
        "that varies at the centre needs ⌈⌊s/2⌋/((k − 1)/2)⌉ layers; without zeros outside no depth is enough."
    )
    source = "an argument about receptive fields; proofs.md, T23"
    protocol = (
        "ReLU CNNs with biases trained to turn a white picture into a digit (and, without biases, a digit into itself), Xavier "
        "start, Adam at rate 0.003 (the bound is about the map, not the rule). Small: 8×8, 8 channels. Paper: 28×28, 128 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[FlatCentre]:
        """Depths around the bound for each kernel size; other paddings; networks trained on the picture itself."""
        side = scale.pick(8, 28)
        found = []
        for kernel in KERNELS:
            needed = layers_needed(side, kernel)
            depths = range(1, needed + 3) if scale.name == "small" else (1, needed // 2, needed - 1, needed, needed + 1)
            found += [self._one(scale, Conv(kernel, bias=True), depth) for depth in depths]
        found += [
            self._one(scale, Conv(3, bias=True, padding_mode=mode), scale.pick(6, 20)).with_values(
                steps=scale.pick(300, 3000)
            )
            for mode in ELSEWHERE
        ]
        found += [
            self._one(scale, Conv(3), depth).with_values(trained_on="picture")
            for depth in (2, layers_needed(side, 3) - 1)
        ]
        return found

    def _one(self, scale: Scale, layer: Conv, depth: int) -> FlatCentre:
        return FlatCentre(
            Feedforward(layer, depth, scale.pick(8, 128), start=Xavier()),
            Adam(0.003),
            scale.images(scale.pick(8, 28)),
            scale.example,
            seeds=scale.seeds(3),
            steps=scale.pick(1500, 10000),
            stop_loss=1e-4,
        )

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The flatness, the floor of the loss, and what one more layer does to both."""
        side = scale.pick(8, 28)
        zeros = [result for result in results if _layer(result).padding_mode == "zeros"]
        others = [result for result in results if _layer(result).padding_mode != "zeros"]
        flat = [result for result in zeros if result.experiment.trained_on == "flat"]
        findings = []
        for words, members in (
            ("flat centres up to the bound, zeros outside", zeros),
            ("flat everywhere, other paddings", others),
        ):
            if members:
                findings.append(
                    agreement(words, float(_ratio(members, "spread", "budget").max()), "rounding of the forward pass")
                )
        floors = np.array([[result.outcome.numbers["floor"]] for result in flat])
        findings.append(
            agreement(
                "no trained network is below the least loss of its depth",
                float((floors / per_seed(flat, "loss")).max() / (1 + FLOAT)),
                "the loss",
            )
        )
        # Deeper than the bound nothing is left that one layer less would keep flat.
        breaking = [
            result
            for result in flat
            if result.experiment.network.depth <= layers_needed(side, _layer(result).kernel_size)
        ]
        if breaking:
            findings.append(
                above("the last layer breaks the flatness that one layer less would keep: difference ÷ budget, the least of all depths",
                      _ratio(breaking, "edge", "edge_budget").min(axis=0), 1.0)
            )  # fmt: skip
        for kernel in KERNELS:
            needed, by_depth = layers_needed(side, kernel), _by_depth(flat, kernel)
            if needed in by_depth and needed - 1 in by_depth:
                share = per_seed([by_depth[needed]], "loss")[0] / by_depth[needed - 1].outcome.numbers["floor"]
                findings.append(
                    below(f"k = {kernel}: loss with {needed} layers ÷ the least loss with {needed - 1}", share, 1.0)
                )
        columns = (
            "padding",
            "trained on",
            "kernel",
            "layers",
            "needed",
            "spread ÷ budget",
            "edge ÷ budget",
            "least loss",
            "loss",
        )
        rows = [
            (
                _layer(result).padding_mode,
                result.experiment.trained_on,
                _layer(result).kernel_size,
                result.experiment.network.depth,
                layers_needed(side, _layer(result).kernel_size)
                if _layer(result).padding_mode == "zeros"
                else "no depth",
                _ratio([result], "spread", "budget").max(),
                _ratio([result], "edge", "edge_budget").min(),
                result.outcome.numbers["floor"],
                mean(per_seed([result], "loss")),
            )
            for result in results
        ]
        return Account(findings, columns, rows)

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Losses and their floors by depth, and the pictures made of white."""
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        flat = [
            result
            for result in results
            if result.experiment.trained_on == "flat" and _layer(result).padding_mode == "zeros"
        ]
        for kernel, colour in zip(KERNELS, ("tab:blue", "tab:orange"), strict=True):
            by_depth = _by_depth(flat, kernel)
            depths, members = list(by_depth), list(by_depth.values())
            losses = per_seed(members, "loss")
            left.errorbar(
                depths,
                mean(losses, 1),
                spread(losses, 1),
                color=colour,
                marker="o",
                capsize=2,
                label=f"{kernel}×{kernel}, trained",
            )
            floors = [result.outcome.numbers["floor"] for result in members]
            left.plot(depths, floors, "--", color=colour, label=f"{kernel}×{kernel}, least possible")
        left.set(xlabel="layers", ylabel="mean squared error", title="a white input, towards a digit")
        left.set_ylim(bottom=0)
        left.legend(fontsize=7)
        strips = []
        for kernel in KERNELS:
            members = list(_by_depth(flat, kernel).values())
            shown = [
                members[0].outcome.arrays["outputs"][0],
                *(result.outcome.arrays["outputs"][1] for result in members),
            ]
            strips.append(
                (kernel, np.concatenate([np.pad(picture, 1, constant_values=0.5) for picture in shown], axis=1))
            )
        width = max(strip.shape[1] for _, strip in strips)
        rows = [np.pad(strip, ((0, 0), (0, width - strip.shape[1])), constant_values=1.0) for _, strip in strips]
        right.imshow(np.clip(np.concatenate(rows), 0, 1), cmap="gray", vmin=0, vmax=1)
        side = rows[0].shape[0]
        right.set_yticks(
            [side * (place + 0.5) for place in range(len(rows))], [f"{kernel}×{kernel}" for kernel, _ in strips]
        )
        longest = max((list(_by_depth(flat, kernel)) for kernel in KERNELS), key=len)
        right.set_xticks(
            [side * (place + 0.5) for place in range(len(longest) + 1)], ["digit", *map(str, longest)], fontsize=7
        )
        right.set(xlabel="layers", title="what white becomes")


def _layer(result: Result) -> Any:
    return result.experiment.network.layer


def _ratio(results: Sequence[Result], value: str, budget: str) -> Any:
    """A number ÷ its budget, (results, seeds); 0 where both are 0."""
    values, budgets = per_seed(results, value), per_seed(results, budget)
    return np.where(values == 0, 0.0, values / np.where(budgets > 0, budgets, np.nan))


def _by_depth(results: Sequence[Result], kernel: int) -> dict[int, Result]:
    return {result.experiment.network.depth: result for result in results if _layer(result).kernel_size == kernel}
