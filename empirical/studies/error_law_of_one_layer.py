"""Is the error of a fully connected layer, over its random start, the scaled noncentral chi-square that theory says?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from empirical.experiments.sample_networks import SampleNetworks
from empirical.studies.chance import LEVEL
from empirical.studies.error_laws import compare, draw_laws, label, law_findings
from empirical.studies.finding import agreement
from empirical.studies.study import Account, Result, Scale, Study
from theory.layers import Linear
from theory.optimizers import GradientDescent
from theory.starts import Gaussian

TESTS = 3


@dataclass(frozen=True)
class ErrorLawOfOneLayer(Study):
    r"""The error of thousands of trained one-layer networks against :math:`\sigma^2\|v\|^2\,\chi'^2_d(1/\sigma^2)`."""

    title = "The law of the error of one layer"
    claim = (
        "The error of a fully connected layer trained on one picture is a scaled noncentral chi-square, at every step."
    )
    source = "proofs.md T4 and T17; beyond Identity Crisis, which gives the form of the map"
    protocol = (
        "One picture, identity target, d = q pixels, start N(0, 1/d), gradient descent at half the rate 1/s_max; errors after one "
        "step and at the limit on other pictures. Small: 8×8, 8000 networks. Paper: 28×28, 2000."
    )

    def experiments(self, scale: Scale) -> Sequence[SampleNetworks]:
        """One sample of networks."""
        size = scale.pick(8, 28)
        tests = tuple(scale.example + shift for shift in range(1, TESTS + 1))
        return [
            SampleNetworks(
                Linear(),
                Gaussian(1 / size),
                GradientDescent(0.5),
                source=scale.images(size),
                example=scale.example,
                tests=tests,
                steps=(1, 40),
                count=scale.pick(8000, 2000),
                seed=scale.seed,
            )
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The law, wrong laws, and mean and variance."""
        (result,) = results
        comparisons = result.outcome.arrays["error"][..., 0].size
        found = compare(result, comparisons)
        against = f"central limit theorem, level {LEVEL:g} over all comparisons"
        findings = [
            *law_findings([found], result.experiment.count, LEVEL),
            agreement("the mean of the error", found.mean_ratio.max(), against),
            agreement("the variance of the error", found.variance_ratio.max(), against),
        ]
        columns = ("time", "test", "mean", "predicted", "spread", "predicted", "distance ÷ critical")
        rows = [
            (
                label(time),
                test,
                found.mean[row, column],
                found.mean_predicted[row, column],
                found.spread[row, column],
                found.spread_predicted[row, column],
                found.law_ratio[row, column],
            )
            for row, time in enumerate(found.times)
            for column, test in enumerate(result.experiment.tests)
        ]
        return Account(findings, columns, rows)

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Histograms of the errors on one picture, with the predicted density and a wrong one."""
        (result,) = results
        draw_laws(figure, [(result, 0, "after one step"), (result, -1, "at the limit")])
