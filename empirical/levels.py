"""The verdict of one level: a residual, its budget, and whether the budget could have seen an error at all."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from numerics.arrays import Float

SENSITIVITY = 0.01  # a budget above this share of what is measured could not see a planted error of 1 %
TOO_LOOSE = "the budget is above 1 % of what is measured and could not see a planted error of 1 %"
ORDER = ("agrees", "not run", "disagrees")


@dataclass(frozen=True)
class Level:
    """The verdict of one level on one case.

    Attributes:
        verdict: ``agrees``, ``disagrees`` or ``not run``.
        ratio: The worst residual ÷ budget.
        reason: Why it was not run, or what disagrees beyond the ratio; or "".
    """

    verdict: str
    ratio: float
    reason: str = ""


def judge(distances: Float, budgets: Float, sizes: Float, reason: str = "") -> Level:
    """The verdict on distances within budgets.

    Args:
        distances: Norms of the residuals.
        budgets: What is allowed for each.
        sizes: Norms of what is measured; a budget above 1 % of it says nothing.
        reason: What disagrees apart from the distances, or "".

    Example:
        >>> judge(np.array([1.0]), np.array([2.0]), np.array([1000.0])).verdict
        'agrees'
        >>> judge(np.array([1.0]), np.array([2.0]), np.array([3.0])).verdict
        'not run'
    """
    ratios = np.where(distances == 0, 0.0, distances / np.where(budgets > 0, budgets, np.finfo(float).tiny))
    worst = float(np.where(np.isnan(ratios), np.inf, ratios).max())
    if worst > 1:
        return Level("disagrees", worst, reason)
    if (budgets > SENSITIVITY * sizes).any():
        return Level("not run", worst, TOO_LOOSE)
    return Level("disagrees" if reason else "agrees", worst, reason)


def worst_of(levels: Iterable[Level]) -> Level:
    """The weakest verdict, and of equal ones the largest ratio."""
    return max(levels, key=lambda level: (ORDER.index(level.verdict), level.ratio))
