"""Numbers over seeds: means, intervals and trends in which what was not measured (NaN) is left out, not guessed."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95


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


def worst(results: Sequence[Any], name: str) -> float:
    """The largest of a number over the results of a study; infinite where it is not finite or there is none."""
    found = [result.outcome.numbers[name] for result in results]
    return max((math.inf if one is None or math.isnan(one) else float(one) for one in found), default=math.inf)


def largest(values: Iterable[Any]) -> float:
    """The largest of numbers; NaN if one of them is: Python's own ``max`` may pass over it.

    Example:
        >>> max([1.0, math.nan]), largest([1.0, math.nan]), largest([1.0, 2.0])
        (1.0, nan, 2.0)
    """
    return float(np.max([float(value) for value in values]))


def mean(values: Any, axis: int | None = None) -> Any:
    """The mean of what is finite; NaN where nothing is.

    Example:
        >>> mean([[1.0, np.nan], [3.0, np.nan]], axis=0).tolist()
        [2.0, nan]
    """
    values = np.asarray(values, dtype=float)
    seen = np.isfinite(values)
    count = seen.sum(axis=axis)
    total = np.where(seen, values, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)[()]


def spread(values: Any, axis: int | None = None) -> Any:
    """The standard deviation of what is finite; NaN where nothing is."""
    centre = mean(values, axis)
    return np.sqrt(
        mean((np.asarray(values, dtype=float) - (centre if axis is None else np.expand_dims(centre, axis))) ** 2, axis)
    )


def trend(x: Any, columns: Any) -> NDArray[np.float64]:
    """Pearson's correlation of x, (n,), with each column of (n, seeds), over what is finite; NaN with fewer than two points.

    Example:
        >>> trend([1.0, 2.0, 3.0], [[5.0, np.nan], [4.0, 1.0], [3.0, np.nan]]).tolist()
        [-1.0, nan]
    """
    x, found = np.asarray(x, dtype=float), []
    for column in np.asarray(columns, dtype=float).T:
        seen = np.isfinite(column)
        moves = seen.sum() > 1 and np.ptp(column[seen]) > 0 and np.ptp(x[seen]) > 0
        found.append(np.corrcoef(x[seen], column[seen])[0, 1].round(12) if moves else np.nan)
    return np.array(found)


def crossing(x: Any, columns: Any) -> NDArray[np.float64]:
    """Where each column of (n, seeds) first becomes positive, by linear interpolation in x.

    Where it never does, the last x that was measured: the crossing is beyond it, and leaving it out would bias the mean.

    Example:
        >>> crossing([1.0, 3.0], [[-1.0, -1.0], [1.0, -0.5]]).tolist()
        [2.0, 3.0]
    """
    found = []
    for column in np.asarray(columns, dtype=float).T:
        seen = np.isfinite(column)
        places, values = np.asarray(x, dtype=float)[seen], column[seen]
        positive = np.flatnonzero(values > 0)
        if len(positive) == 0 or positive[0] == 0:
            found.append(np.nan if len(places) == 0 else places[0] if len(positive) else places[-1])
            continue
        at = positive[0]
        share = -values[at - 1] / (values[at] - values[at - 1])
        found.append(places[at - 1] + (places[at] - places[at - 1]) * share)
    return np.array(found)
