r"""The error between multiples of the distance to the data, for networks trained towards a target that their layer represents.

With :math:`V(t) = g(S)\varphi(x)`, the part of a test example that training has not yet learned, the error is :math:`(W_0 - W_*)V(t)`
per block, hence

.. math:: \sigma_{\min}(W_0 - W_*)\,\|V(t)\| \le \|f(x) - x\| \le \sigma_{\max}(W_0 - W_*)\,\|V(t)\| .

In the limit V is what is outside the range of Φ: :math:`\|V\|` is the distance of x to the span of the examples (fully connected), or
of its patches to the span of theirs, and no more than that to their convex hull. The smallest gain counts all d directions: with fewer
outputs than features, as in a convolution, it is 0 and only the upper bound speaks. False under weight decay, which is refused.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from numerics.arrays import Float, check_times, squares
from numerics.error import carried
from numerics.hulls import distance
from numerics.predictor import Predictor
from theory.errors import SettingError


@dataclass(frozen=True, eq=False)
class Sandwich:
    """The bounds of T13; errors are ‖f(x) − target(x)‖, not squared.

    Attributes:
        errors: Of the prediction, (T, N).
        lower: σ_min·‖V(t)‖, over the blocks, (T, N).
        upper: σ_max·‖V(t)‖, likewise.
        lengths: ‖V(t)‖, in the limit the distance to the span, (T, N).
        gains: σ_min and σ_max of W0 − W* in each block, two arrays (blocks,).
        hull: σ_max·d_hull, (N,), which bounds the limit only; None if not asked for.
        hull_distances: d_hull as an upper bound, over columns and blocks, (N,); likewise.
    """

    errors: Float
    lower: Float
    upper: Float
    lengths: Float
    gains: tuple[Float, Float]
    hull: Float | None = None
    hull_distances: Float | None = None

    def __str__(self) -> str:
        times, count = self.errors.shape
        ratios = self.errors[self.upper > 0] / self.upper[self.upper > 0]
        shares = f"{ratios.min():.3g} to {ratios.max():.3g} of their upper bounds" if ratios.size else "all 0"
        return f"errors of {count} {'example' if count == 1 else 'examples'} at {times} {'time' if times == 1 else 'times'}: {shares}"

    __repr__ = __str__


def sandwich(predictor: Predictor, x: Any, times: Any = math.inf, *, hull: bool = False) -> Sandwich:
    r"""Lower and upper bounds on the error of test examples, from their distance to the data.

    Args:
        predictor: A setting with target ``Identity()`` and no weight decay, on its data and from its start.
        x: Test examples, (N, \*input_shape).
        times: Flow times or step counts; ``math.inf`` is the limit.
        hull: Whether to measure the distance to the convex hull of the training columns too (milliseconds for each column).

    Returns:
        A :class:`Sandwich`.

    Raises:
        SettingError: If there is weight decay or no test example, no weight represents the target, or the hull is asked for where
            features are complex or the limit leaves something of the data unlearned.

    Source:
        Theorem T13.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow
        >>> from theory.setting import Setting
        >>> p = Predictor(Setting(Linear(), GradientFlow()), [[1.0, 0.0]], initial_weight=[[1.0, 0.0], [0.0, 4.0]])
        >>> found = sandwich(p, [[7.0, 2.0]], hull=True)        # W0 − I = diag(0, 3); 2 from the span, √40 from the hull
        >>> found.lower.tolist(), found.errors.tolist(), found.upper.tolist(), found.hull.round(9).tolist()
        ([[0.0]], [[6.0]], [[6.0]], [18.973665961])
    """
    problem, layer = predictor.problem, predictor.setting.layer
    if predictor.setting.weight_decay > 0:
        message = (
            f"weight_decay must be 0 for the distance to bound the error (theorem T13 is false with decay), but it is "
            f"{predictor.setting.weight_decay:g}. Use weight_decay=0."
        )
        raise SettingError(message)
    star = problem.known_weight
    if star is None:
        message = (
            f"target must be one that the layer represents by a known weight, but it is {predictor.setting.target}. "
            "Use target=Identity()."
        )
        raise SettingError(message)
    x = problem.check_examples(x)
    if len(x) == 0:
        message = "x must hold at least one example, but it holds none. Pass one, with its batch axis."
        raise SettingError(message)
    features = layer.features(x, np)
    smallest, largest = _gains(problem.start - star)
    squared = [
        squares(v).sum(axis=1).reshape((len(v), len(x), -1)).sum(axis=2) for v in carried(predictor, features, times)
    ]
    lengths = np.array(squared).reshape((len(squared), len(smallest), len(x)))
    lower, upper = (np.sqrt((gain[:, None] ** 2 * lengths).sum(axis=1)) for gain in (smallest, largest))
    away = _hull_distances(predictor, features, len(x), times) if hull else None
    return Sandwich(
        errors=np.sqrt(predictor.error(x, times)),
        lower=lower,
        upper=upper,
        lengths=np.sqrt(lengths.sum(axis=1)),
        gains=(smallest, largest),
        hull=None if away is None else np.sqrt((largest[:, None] ** 2 * away).sum(axis=0)),
        hull_distances=None if away is None else np.sqrt(away.sum(axis=0)),
    )


def _gains(gap: Float) -> tuple[Float, Float]:
    """The smallest and the largest factor by which each block's matrix, (blocks, q, d), stretches a vector."""
    values = np.asarray(np.linalg.svd(gap, compute_uv=False), dtype=np.float64)
    thin = gap.shape[-2] < gap.shape[-1]  # some direction is lost
    return values[:, -1] * (not thin), values[:, 0]


def _hull_distances(predictor: Predictor, features: Float, count: int, times: Any) -> Float:
    """The squared distance of each example's columns to the convex hull of the training columns, at most, (blocks, N)."""
    problem = predictor.problem
    if np.iscomplexobj(features):
        message = f"layer must have real features for a convex hull, but those of {predictor.setting.layer} are complex. Use hull=False."
        raise SettingError(message)
    at_limit = np.isinf(check_times(times, discrete=predictor.setting.optimizer.rule.discrete)).all()
    left = predictor.response(times)[0] * (predictor.spectrum.values > 0) if at_limit else np.ones(1)
    if left.any():
        message = f"times must be math.inf, and training converge, for the hull to bound the error, but they are {times}. Use hull=False."
        raise SettingError(message)
    found = [distance(v.T, points.T).upper for v, points in zip(features, problem.features, strict=True)]
    squared: Float = np.square(np.array(found)).reshape((len(features), count, -1)).sum(axis=2)
    return squared
