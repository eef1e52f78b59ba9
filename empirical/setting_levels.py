"""A user's own setting through integration and training, against its closed form."""

import math

import numpy as np

from empirical.crosscheck import train_and_check
from empirical.levels import Level, judge
from empirical.measure import LOW_RATE
from empirical.train import obstacle
from numerics.budget import Budget
from numerics.integrate import StiffError, speeds, trajectory
from numerics.predictor import Predictor

REACH = 5.0  # flow time, in units of that of the fastest mode: 1/s_max for a gradient flow
STEPS = 200


def integration_level(predictor: Predictor) -> Level:
    """The closed form against the setting's equation, integrated or iterated."""
    budget = Budget(predictor)
    if predictor.setting.optimizer.discrete:
        times = np.array([1.0, STEPS / 10, STEPS])
    else:
        slowest, _ = speeds(predictor.setting.optimizer, fastest(predictor), math.inf)
        times = np.array([0.2, 1.0]) * REACH / slowest
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
    if predictor.setting.optimizer.discrete:
        check = train_and_check(predictor, STEPS, device=device, dtype=dtype)
    else:
        rate = LOW_RATE / fastest(predictor)
        if reason := obstacle(predictor.setting.optimizer, rate):
            return Level("not run", 0.0, reason)
        check = train_and_check(predictor, round(REACH / LOW_RATE), learning_rate=rate, device=device, dtype=dtype)
    return Level(check.verdict, check.ratio, check.reason)


def fastest(predictor: Predictor) -> float:
    """The largest rate of a mode, or 1 where nothing moves."""
    return max(float(predictor.rates.max()), predictor.setting.weight_decay) or 1.0
