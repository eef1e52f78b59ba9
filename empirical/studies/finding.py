"""Findings: what a study says of a claim, with the size of the effect and its uncertainty over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from empirical.levels import SENSITIVITY
from empirical.studies.samples import interval
from theory.component import one_of

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


def agreement(says: str, ratio: float, against: str, slack: float = 0.0) -> Finding:
    """Whether residual ÷ budget is at most 1; what is not finite disagrees.

    Args:
        says: The prediction.
        ratio: Residual ÷ budget.
        against: What the budget is.
        slack: The budget as a share of what is measured; where an error of 1 % would pass, nothing is said.
    """
    verdict = "agrees" if ratio <= 1 else "disagrees"
    if verdict == "agrees" and not slack <= SENSITIVITY:
        verdict, against = "not run", f"{against}, which are {slack:.2g} of what is measured: too much to tell"
    return Finding(says, verdict, float(ratio), float(ratio), float(ratio), against)
