"""Mean, spread and law of the error of one-layer CNNs whose training picture does not reach all of their taps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.sample_networks import SampleNetworks
from empirical.studies.chance import LEVEL
from empirical.studies.error_laws import compare, draw_laws, label, law_findings
from empirical.studies.finding import agreement
from empirical.studies.samples import largest
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Conv
from theory.optimizers import HeavyBall
from theory.starts import Gaussian, Orthogonal, TorchDefault

VIEWS = {"blank_channel": 2, "corner_pixel": 1, "grey_as_rgb": 3}  # to the channels that a network sees


@dataclass(frozen=True)
class RankDeficientCnns(Study):
    """The error of trained convolutions that keep part of their start, against its generalized chi-square."""

    title = "The error of rank-deficient CNNs"
    claim = "Where the patches of the training picture do not span, the error keeps a random part whose mean, variance and law are known."
    source = "Identity Crisis, theorem 2, as proofs.md T5 and T17 have it"
    protocol = (
        "One picture, identity target, one layer by momentum 0.9 at the rate 1/s_max; a second channel that is blank, one lit pixel "
        "in the corner, and grey shown as three channels. Gaussian start with variance 1/fan in (mean, variance, law), torch's "
        "default and orthogonal starts (mean, variance). Errors early and at the limit. Small: 8×8, 3×3 kernels, 8000 networks, "
        "2000 of the other starts. Paper: 28×28, 5×5."
    )

    def experiments(self, scale: Scale) -> Sequence[SampleNetworks]:
        """One for each way of showing the picture and each start."""
        kernel, count = scale.pick(3, 5), scale.pick(8000, 20000)
        return [
            SampleNetworks(
                Conv(kernel),
                start,
                HeavyBall(1.0, 0.9),
                source=scale.images(scale.pick(8, 28)),
                example=scale.example,
                view=view,
                tests=(scale.example + 1, scale.example + 2),
                steps=(5, scale.pick(600, 6000)),
                count=count if isinstance(start, Gaussian) else count // 4,
                seed=scale.seed,
            )
            for view, channels in VIEWS.items()
            for start in (Gaussian(1 / math.sqrt(channels * kernel**2)), TorchDefault(), Orthogonal())
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Mean, variance and law over all views, starts, times and test pictures."""
        comparisons = sum(result.outcome.arrays["error"][..., 0].size for result in results)
        found = [compare(result, comparisons) for result in results]
        against = f"central limit theorem, level {LEVEL:g} over all comparisons"
        counts = [result.experiment.count for result in results if isinstance(result.experiment.start, Gaussian)]
        findings = [
            agreement("the mean of the error, every start", largest(one.mean_ratio.max() for one in found), against),
            agreement(
                "the variance of the error, every start", largest(one.variance_ratio.max() for one in found), against
            ),
            *(law_findings(found, counts[0], LEVEL) if counts else []),
        ]
        columns = ("shown as", "start", "time", "mean", "predicted", "spread", "predicted", "distance ÷ critical")
        rows = [
            (
                result.experiment.view.replace("_", " "),
                result.experiment.start.kind.replace("_", " "),
                label(time),
                one.mean[row, 0],
                one.mean_predicted[row, 0],
                one.spread[row, 0],
                one.spread_predicted[row, 0],
                one.law_ratio[row].max(),
            )
            for result, one in zip(results, found, strict=True)
            for row, time in enumerate(one.times)
        ]
        early = [
            result.experiment.view for result, one in zip(results, found, strict=True) if not np.isinf(one.times[-1])
        ]
        notes = [
            f"{view}: training has not arrived at its limit; compared at its last step" for view in dict.fromkeys(early)
        ]
        return Account(findings, columns, rows, notes)

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Errors at the limit with their law, for each way of showing the picture."""
        gaussian = [result for result in results if isinstance(result.experiment.start, Gaussian)]
        draw_laws(figure, [(result, -1, result.experiment.view.replace("_", " ")) for result in gaussian])
