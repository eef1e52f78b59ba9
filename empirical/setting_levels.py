"""A user's own setting through integration and training, against its closed form."""

import math
from typing import Any

import numpy as np

from empirical.crosscheck import CrossCheck, train_and_check
from empirical.levels import Level, judge
from empirical.train import fine_rate, obstacle
from numerics.arrays import Float
from numerics.budget import Budget
from numerics.integrate import trajectory
from numerics.plan import StiffError, speeds
from numerics.predictor import Predictor

REACH = 5.0  # flow time, in units of that of the fastest mode: 1/s_max for a gradient flow
STEPS = 200
MOST_STEPS = 20_000  # of a flow's companion, where a schedule is slow
SAMPLES = 100  # times at which a schedule is looked at for its largest multiplier


def integration_level(predictor: Predictor) -> Level:
    """The closed form against the setting's equation, integrated or iterated."""
    try:
        _, distances, bounds, sizes = integrated(predictor)
    except StiffError as error:
        return Level("not run", 0.0, str(error))
    return judge(distances, bounds, sizes)


def integrated(predictor: Predictor) -> tuple[Float, Float, Float, Float]:
    """Times, and at each the distance from the oracle, its bound, and the size of the weights.

    Raises:
        StiffError: If the equation is too stiff for its size.
    """
    budget = Budget(predictor)
    if predictor.setting.optimizer.discrete:
        times = np.array([1.0, STEPS / 10, STEPS])
    else:
        rule: Any = predictor.setting.optimizer.rule
        slowest, _ = speeds(rule.steady(1.0)[0], fastest(predictor), math.inf)
        times = np.array([rule.duration(share * REACH / slowest) for share in (0.2, 1.0)])
    result = trajectory(predictor.problem, times)
    predicted = predictor.theta(times).reshape(len(times), -1)
    distances = np.linalg.norm(result.theta.reshape(len(times), -1) - predicted, axis=1)
    bounds = np.array([budget.integration(result, index, float(time)) for index, time in enumerate(times)])
    return times, distances, bounds, np.linalg.norm(predicted, axis=1)


def training_level(predictor: Predictor, device: str = "auto", dtype: str = "float64") -> Level:
    """The closed form against torch: a descent itself, a flow's companion, and by steps half as long."""
    if reason := untrainable(predictor):
        return Level("not run", 0.0, reason)
    check = trained(predictor, device, dtype)
    return Level(check.verdict, check.ratio, check.reason)


def untrainable(predictor: Predictor) -> str:
    """Why a trained network says nothing about the closed form, or ""."""
    rule = predictor.setting.optimizer.rule
    return obstacle(rule, 0.0 if rule.discrete else fine_rate(rule, fastest(predictor)))


def trained(predictor: Predictor, device: str = "auto", dtype: str = "float64", share: float = 1.0) -> CrossCheck:
    """The closed form against the network that torch trains, for a share of the time of a verdict."""
    rule: Any = predictor.setting.optimizer.rule
    if rule.discrete:
        return train_and_check(predictor, round(share * STEPS), device=device, dtype=dtype)
    slowest, _ = speeds(rule.steady(1.0)[0], fastest(predictor), math.inf)
    time = rule.duration(share * REACH / slowest)
    quickest = 1.0 if rule.schedule is None else max(1.0, *rule.schedule.values(np.linspace(0, time, SAMPLES)))
    rate = fine_rate(rule, fastest(predictor)) / quickest
    steps = min(round(time / rule.companion_time(rate, 1)), round(share * MOST_STEPS))
    return train_and_check(predictor, steps, learning_rate=rate, device=device, dtype=dtype)


def fastest(predictor: Predictor) -> float:
    """The largest rate of a mode, or 1 where nothing moves."""
    return max(float(predictor.rates.max()), predictor.setting.weight_decay) or 1.0
