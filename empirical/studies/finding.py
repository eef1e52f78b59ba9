"""Findings: what a study says of a claim, with the size of the effect and its uncertainty over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from theory.component import one_of

CONFIDENCE = 0.95
CLAIMS = ("replicates", "does not replicate", "unclear")  # of a paper
THEORY = ("agrees", "disagrees", "not run")  # a prediction without free parameters


@dataclass(frozen=True)
class Finding:
    """One claim and what was found.

    Attributes:
        says: The claim, as a sentence about what was measured.
        verdict: "replicates", "does not replicate" or "unclear" for a claim; "agrees", "disagrees" or "not run" for a
            prediction of theory.
        value: The mean over seeds, or residual ÷ budget.
        low: The lower end of its 95 % interval.
        high: The upper end.
        against: What it was compared with.
    """

    says: str
    verdict: str
    value: float
    low: float
    high: float
    against: str

    def __post_init__(self) -> None:
        one_of("verdict", self.verdict, (*CLAIMS, *THEORY))


def interval(samples: Any) -> tuple[float, float, float]:
    r"""Mean and 95 % interval over independent samples, :math:`\bar x \pm t_{0.975,\,n-1}\, s/\sqrt n`.

    What is not finite is left out; with fewer than two samples the interval is the whole line.

    Example:
        >>> mean, low, high = interval([1.0, 2.0, 3.0])   # t = 4.303, s/√n = 0.577
        >>> mean, round(low, 3), round(high, 3)
        (2.0, -0.484, 4.484)
    """
    values = np.asarray(samples, dtype=float).ravel()
    values = values[np.isfinite(values)]
    mean = float(values.mean()) if len(values) else math.nan
    if len(values) < 2:
        return mean, -math.inf, math.inf
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return mean, mean - half, mean + half


def above(says: str, samples: Sequence[float] | Any, threshold: float) -> Finding:
    """Whether a quantity, one sample for each seed, is above a threshold: only where the whole interval is."""
    mean, low, high = interval(samples)
    verdict = "replicates" if low > threshold else "does not replicate" if high < threshold else "unclear"
    return Finding(says, verdict, mean, low, high, f"above {threshold:g}")


def below(says: str, samples: Sequence[float] | Any, threshold: float) -> Finding:
    """Whether a quantity is below a threshold: only where the whole interval is."""
    mean, low, high = interval(samples)
    verdict = "replicates" if high < threshold else "does not replicate" if low > threshold else "unclear"
    return Finding(says, verdict, mean, low, high, f"below {threshold:g}")


def agreement(says: str, ratio: float, against: str) -> Finding:
    """Whether residual ÷ budget is at most 1; what is not finite disagrees."""
    return Finding(says, "agrees" if ratio <= 1 else "disagrees", float(ratio), float(ratio), float(ratio), against)
