"""Determinacy and the distance sandwich on real images: networks trained to their limit, against what the theorems allow.

T12: two networks from different starts must agree at determined points and differ at free ones by exactly (W0 − W0')U. T13: the error
must lie between σ_min·d_span and σ_max·d_span; a start with W0 − I orthogonal leaves no room between them, so that an error of 1 % shows.
"""

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np

from empirical.levels import Level, judge, worst_of
from empirical.measure import STILL, integrated_limit, trained_limit
from numerics.arrays import Float
from numerics.budget import Budget
from numerics.extrapolation import judged
from numerics.predictor import Predictor
from numerics.sandwich import sandwich
from theory.layers import Linear
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.theorems import OwnCase

Route = Callable[[Budget], tuple[Float, Float] | Level]


class LimitMeasurement:
    """Networks that differ in their start only, taken to the limit by the solver or by torch.

    Args:
        case: What is measured.
        train: Training images, (N, C, *spatial), shown flat to a fully connected layer.
        test: Test images.
        seed: Seed of the starts.
    """

    def __init__(self, case: OwnCase, train: Float, test: Float, seed: int) -> None:
        layer = Linear()
        self.train, self.others = layer.arrange(train), layer.arrange(test)
        self.first = Predictor(Setting(layer, GradientFlow()), self.train, seed=seed)
        self.seed = seed

    @cached_property
    def networks(self) -> list[Predictor]:
        """One for each start; the spectrum is shared."""
        raise NotImplementedError

    def judge(self, weights: list[Float], bounds: list[float]) -> Level:
        """The verdict on the weights (blocks, q, d) of the networks, each with its bound."""
        raise NotImplementedError

    def _measured(self, route: Route) -> Level:
        budgets = [Budget(network) for network in self.networks]
        if not (budgets[0].rates > 0).any():
            return Level("not run", 0.0, STILL)
        found = [route(budget) for budget in budgets]
        failed = [level for level in found if isinstance(level, Level)]
        if failed:
            return worst_of(failed)
        reached = [one for one in found if not isinstance(one, Level)]
        evaluated = [budget.evaluation(math.inf) for budget in budgets]
        bounds = [float(bound[0]) + more for (_, bound), more in zip(reached, evaluated, strict=True)]
        return self.judge([theta[0] for theta, _ in reached], bounds)

    def integration(self) -> Level:
        """By the adaptive solver."""
        return self._measured(integrated_limit)

    def training(self, device: str, dtype: str) -> Level:
        """By torch."""
        return self._measured(lambda budget: trained_limit(budget, device, dtype))


class DeterminacyMeasurement(LimitMeasurement):
    """Two random starts: test images, which real data leave free, and combinations of the examples far outside their hull."""

    @cached_property
    def networks(self) -> list[Predictor]:
        """The second start is drawn from the next seed."""
        other = Predictor(self.first.setting, self.train, seed=self.seed + 1)
        return [self.first, self.first.from_start(other.problem.start)]

    @cached_property
    def points(self) -> Float:
        """The test images; then differences of examples, magnified: in the span."""
        return np.concatenate([self.others, 5 * self.train[:1] - 4 * self.train[-1:], -3 * self.train[:1]])

    def judge(self, weights: list[Float], bounds: list[float]) -> Level:
        """How far the networks are apart at each point; what they were apart at their starts is the size that must be seen."""
        found = judged(self.first, self.points)
        starts = self.networks[0].problem.start - self.networks[1].problem.start
        features = self.first.setting.layer.features(self.points, np)
        gaps = (weights[0] - weights[1]) @ features - starts @ found.free
        sizes = np.linalg.norm(starts @ features, axis=(0, 1))
        budgets = sum(bounds) * np.linalg.norm(features, axis=(0, 1))
        combinations = found.status[len(self.others) :]
        reason = "" if (combinations == "determined").all() else f"points of the span are said to be {combinations}"
        return judge(np.linalg.norm(gaps, axis=(0, 1)), budgets, sizes, reason)


class SandwichMeasurement(LimitMeasurement):
    """A random start, and one with W0 − I orthogonal, whose error is the distance to the span itself."""

    @cached_property
    def networks(self) -> list[Predictor]:
        """The orthogonal matrix is that of a random one's triangle."""
        width = self.train.shape[1]
        rotation = np.linalg.qr(np.random.default_rng(self.seed).standard_normal((width, width)))[0]
        return [self.first, self.first.from_start((np.eye(width) + rotation)[None])]

    def judge(self, weights: list[Float], bounds: list[float]) -> Level:
        """How far each error is outside its bounds, in the limit."""
        levels = []
        for network, weight, bound in zip(self.networks, weights, bounds, strict=True):
            allowed = sandwich(network, self.others)
            errors = np.linalg.norm((weight[0] - np.eye(len(weight[0]))) @ self.others.T, axis=0)
            outside = np.maximum(np.maximum(allowed.lower[0] - errors, errors - allowed.upper[0]), 0.0)
            levels.append(judge(outside, bound * np.linalg.norm(self.others, axis=1), errors))
        return worst_of(levels)
