"""The closed form of one layer against training and integration, with every kind of optimiser: for the tests of layers."""

import math

import numpy as np

from empirical.crosscheck import check_training
from empirical.train import train_problem
from numerics.budget import Budget
from numerics.integrate import trajectory
from numerics.predictor import Predictor
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall, Nesterov
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given

STEPS = 40
DECAYS = {"half_sum": (0.0, 0.2), "mse": (0.0, 0.05)}


def predictors(layer, x, target, y=None, optimizers=None):
    """Predictors of a layer for both losses, with and without decay."""
    for loss, decays in DECAYS.items():
        for decay in decays:
            flow = Predictor(Setting(layer, GradientFlow(), target, loss, decay, Gaussian(0.5)), x, y, seed=1)
            rate = 0.4 / (float(flow.rates.max()) + decay)
            for optimizer in optimizers or (GradientDescent(rate), HeavyBall(rate, 0.5), Nesterov(rate, 0.3)):
                yield Predictor(Setting(layer, optimizer, target, loss, decay, Gaussian(0.5)), x, y, seed=1)


def assert_training_agrees(layer, x, target=Given(), y=None, dtype="float64"):  # noqa: B008  (frozen)
    """Torch's trained weights inside the budget, torch's loss the predicted one, and an error of 1 % outside."""
    for p in predictors(layer, x, target, y):
        run = train_problem(p.problem, STEPS, record=[0, 1, 7, STEPS], device="cpu", dtype=dtype)
        check = check_training(p, run)
        assert check.agrees, f"{p.setting}: {check}"
        if dtype == "float64":
            # The loss of weights that are off by the budget: Cauchy–Schwarz, and the square.
            off = check.budgets * np.linalg.norm(p.problem.features)
            slack = p.problem.scale * (off * np.sqrt(2 * run.losses / p.problem.scale) + off**2)
            assert (np.abs(run.losses - p.loss(run.steps)) <= slack + 1e-13 * run.losses[0]).all()  # torch's own sum
        planted = check_training(p, type(run)(**{**vars(run), "weights": 1.01 * run.weights}))
        assert planted.verdict == "disagrees", f"{p.setting}: {planted}"


def assert_integration_agrees(layer, x, target=Given(), y=None):  # noqa: B008  (frozen)
    """The flow solved by the adaptive solver, and the descents iterated, inside their budgets."""
    for p in [*predictors(layer, x, target, y, [GradientFlow()]), *predictors(layer, x, target, y)]:
        fastest = float(p.rates.max()) or 1.0
        times = np.array([0.0, 3.0, 20.0]) / (1.0 if p.setting.optimizer.discrete else 4 * fastest)
        found, budget, predicted = trajectory(p.problem, times), Budget(p), p.theta(times)
        for index, time in enumerate(times):
            bound = budget.integration(found, index, float(time))
            assert np.linalg.norm(found.theta[index] - predicted[index]) <= bound
            assert bound < 1e-6 * (1 + np.linalg.norm(predicted[index]))  # and it would see a mistake


def assert_limit_is_stationary(layer, x, target=Given(), y=None):  # noqa: B008  (frozen)
    """No gradient is left at infinite time, and prediction is finite there."""
    for p in predictors(layer, x, target, y, [GradientFlow()]):
        final, bound = p.theta(math.inf)[0], Budget(p).evaluation(math.inf)
        size = p.problem.scale * np.linalg.norm(p.problem.features) ** 2 + p.setting.weight_decay
        assert np.linalg.norm(p.problem.gradient(final)) <= 2 * size * bound
        assert np.isfinite(p.predict(x, math.inf)).all()
