"""What studies of the error over random starts share: trained networks against mean, variance and law, test by test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from empirical.studies.chance import WRONG, law_ratio, moments, refusal_ratio
from empirical.studies.finding import Finding, agreement
from empirical.studies.samples import largest
from empirical.studies.study import Result
from numerics.arrays import Float
from numerics.predictor import Predictor
from theory.starts import Gaussian

CONVERGED = 1e-6  # share by which mean and spread of the last step's errors may be off their limits and count as them

POINTS = 40  # at which a density is drawn


@dataclass
class Comparison:
    """The errors of one experiment's networks against what is predicted, each (steps, tests).

    Attributes:
        times: Steps, the last one infinite where training has arrived.
        mean: Of the errors.
        mean_predicted: Their mean over the start.
        spread: Their standard deviation.
        spread_predicted: That of their law.
        mean_ratio: Gap of the means ÷ what chance allows.
        variance_ratio: Gap of the variances ÷ what chance allows.
        law_ratio: Kolmogorov's distance ÷ its critical value; NaN where no law is known.
        refusals: For each wrong law the critical value ÷ its distance, likewise.
    """

    times: Sequence[float]
    mean: Float
    mean_predicted: Float
    spread: Float
    spread_predicted: Float
    mean_ratio: Float
    variance_ratio: Float
    law_ratio: Float
    refusals: dict[str, Float] = field(default_factory=dict)


def compare(result: Result, comparisons: int) -> Comparison:
    """An experiment's networks against the predictor: moments for every start, the law for a Gaussian one.

    Args:
        result: A ``SampleNetworks`` and its outcome.
        comparisons: How many samples the study compares in all.
    """
    experiment, errors = result.experiment, result.outcome.arrays["error"]
    predictor, (_, tests) = experiment.predictor(), experiment.shown()
    times = times_of(predictor, tests, experiment.steps)
    found = moments(errors, comparisons)
    mean, variance = (np.asarray(part) for part in predictor.error_moments(tests, times))
    shape = errors.shape[:2]
    ratios, refusals = np.full(shape, np.nan), {name: np.full(shape, np.nan) for name in WRONG}
    if isinstance(experiment.start, Gaussian):
        for row, column in np.ndindex(shape):
            samples, std = errors[row, column], experiment.start.std
            ratios[row, column] = law_ratio(samples, predictor.error_law(tests[column], times[row], std), comparisons)
            for name, (factor, change) in WRONG.items():
                wrong = change(predictor.error_law(tests[column], times[row], factor * std))
                refusals[name][row, column] = refusal_ratio(samples, wrong, comparisons)
    return Comparison(
        times,
        found.mean,
        mean,
        np.sqrt(found.variance),
        np.sqrt(variance),
        np.abs(found.mean - mean) / found.mean_room,
        np.abs(found.variance - variance) / found.variance_room,
        ratios,
        refusals,
    )


def times_of(predictor: Predictor, tests: Any, steps: Sequence[int]) -> list[float]:
    """The steps, the last one as infinity where the predicted errors there are those of the limit."""
    (last, limit), (near, far) = predictor.error_moments(tests, [float(steps[-1]), math.inf])
    arrived = np.allclose(last, limit, rtol=CONVERGED, atol=0) and np.allclose(
        np.sqrt(near), np.sqrt(far), rtol=CONVERGED, atol=0
    )
    return [*map(float, steps[:-1]), math.inf if arrived else float(steps[-1])]


def law_findings(found: Sequence[Comparison], networks: int, level: float) -> list[Finding]:
    """The laws agree, and each wrong one is refused on a sample: where it is next to the right one, no test can tell."""
    known = [comparison for comparison in found if np.isfinite(comparison.law_ratio).any()]
    against = f"Kolmogorov–Smirnov, {networks} networks, critical value at level {level:g} over all comparisons"
    findings = [agreement("the law of the error", largest(np.max(one.law_ratio) for one in known), against)]
    for name in WRONG:
        ratios = np.concatenate([one.refusals[name].ravel() for one in known])
        says = f"{name} is refused by the same test, on {(ratios < 1).sum()} of {len(ratios)} samples"
        findings.append(agreement(says, ratios.min(), "critical value ÷ largest distance"))
    return findings


def label(time: float) -> str:
    """A time for a table."""
    return "limit" if math.isinf(time) else f"{time:.0f} steps"


def draw_laws(figure: Any, panels: Sequence[tuple[Result, int, str]]) -> None:
    """Histograms of the errors on the first test image, with the predicted density and that of a wrong law.

    Args:
        figure: Matplotlib's.
        panels: For each an experiment and its outcome, which of its steps, and a title.
    """
    for axes, (result, row, name) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        experiment, errors = result.experiment, result.outcome.arrays["error"][row, 0]
        predictor, (_, tests) = experiment.predictor(), experiment.shown()
        axes.hist(errors, bins=60, density=True, color="lightgrey", label=f"{len(errors)} trained networks")
        across = np.linspace(errors.min(), errors.max(), POINTS)
        for factor, style, words in ((1.0, "-", "predicted law"), (1.05, ":", "start 5 % wider")):
            law = predictor.error_law(tests[0], experiment.steps[row], factor * experiment.start.std)
            axes.plot(across, law.pdf(across), style, color="tab:blue" if factor == 1 else "tab:red", label=words)
        axes.set(xlabel="squared error, summed over the pixels", yticks=[])
        axes.set_title(name, fontsize=9)
    figure.axes[0].set_ylabel("density")
    figure.axes[0].legend(fontsize=7)
