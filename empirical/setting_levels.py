"""A user's own setting through integration and training, against its closed form."""

import math
from typing import Any

import numpy as np

from empirical.crosscheck import train_and_check
from empirical.levels import Level, judge
from empirical.measure import LOW_RATE
from empirical.train import obstacle
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
    budget = Budget(predictor)
    if predictor.setting.optimizer.discrete:
        times = np.array([1.0, STEPS / 10, STEPS])
    else:
        rule: Any = predictor.setting.optimizer.rule
        slowest, _ = speeds(rule.steady(1.0)[0], fastest(predictor), math.inf)
        times = np.array([rule.duration(share * REACH / slowest) for share in (0.2, 1.0)])
    try:
        result = trajectory(predictor.problem, times)
    except StiffError as error:
        return Level("not run", 0.0, str(error))
    predicted = predictor.theta(times).reshape(len(times), -1)
    distances = np.linalg.norm(result.theta.reshape(len(times), -1) - predicted, axis=1)
    bounds = np.array([budget.integration(result, index, float(time)) for index, time in enumerate(times)])
    return judge(distances, bounds, np.linalg.norm(predicted, axis=1))


def training_level(predictor: Predictor, device: str = "auto", dtype: str = "float64") -> Level:
    """The closed form against torch: a descent itself, a flow's companion at η and η/2."""
    rule: Any = predictor.setting.optimizer.rule
    if reason := obstacle(rule, LOW_RATE / fastest(predictor)):
        return Level("not run", 0.0, reason)
    if rule.discrete:
        check = train_and_check(predictor, STEPS, device=device, dtype=dtype)
    else:
        time = rule.duration(REACH / fastest(predictor))
        quickest = 1.0 if rule.schedule is None else max(1.0, *rule.schedule.values(np.linspace(0, time, SAMPLES)))
        rate = LOW_RATE / fastest(predictor) / quickest
        steps = min(round(time / rate), MOST_STEPS)
        check = train_and_check(predictor, steps, learning_rate=rate, device=device, dtype=dtype)
    return Level(check.verdict, check.ratio, check.reason)


def fastest(predictor: Predictor) -> float:
    """The largest rate of a mode, or 1 where nothing moves."""
    return max(float(predictor.rates.max()), predictor.setting.weight_decay) or 1.0
