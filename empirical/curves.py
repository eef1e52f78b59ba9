"""The course of a training run, three ways: predicted densely, integrated and trained at a few times, with the budget."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.setting_levels import MOST_STEPS
from empirical.train import companion, fine_rate, obstacle, train_problem
from numerics.arrays import Float
from numerics.budget import Budget, unit_roundoff
from numerics.integrate import trajectory
from numerics.plan import StiffError, speeds
from numerics.predictor import Predictor
from theory.errors import SettingError

REACH = 5.0  # of a flow: time in units of the time of its fastest mode
STEPS = 60  # of a descent
DENSE, MARKS = 120, 8  # times of the curve, and of the points on it


@dataclass(frozen=True)
class Points:
    """Points beside a curve.

    Attributes:
        times: Where.
        errors: The measured error there.
        bands: How far from the curve the budget allows it to be.
        reason: Why there are none, or "".
    """

    times: Float
    errors: Float
    bands: Float
    reason: str = ""


@dataclass(frozen=True)
class Curves:
    r"""The error :math:`\|f(x) - y\|` on one image, three ways.

    Attributes:
        times: Dense times (flow times or steps).
        predicted: The closed form there.
        integrated: By the solver that never saw it.
        trained: By torch.
        unit: What time is counted in.
        pictures: The image, then what the network makes of it at ``shown`` times, in the image's shape; empty for other outputs.
        shown: Those times.
    """

    times: Float
    predicted: Float
    integrated: Points
    trained: Points
    unit: str
    pictures: Float
    shown: Float


def curves(predictor: Predictor, x: Any, y: Any, device: str = "auto", dtype: str = "float64") -> Curves:
    r"""The course of the error on one image.

    The error moves with the weight by at most :math:`\|\delta W\|_F\,\|\varphi(x)\|_2`: that is the budget of a point.

    Args:
        predictor: The closed form.
        x: One image, (1, *input_shape).
        y: What the network should make of it, (1, *output_shape).
        device: Where training runs.
        dtype: The arithmetic of the training.
    """
    setting, problem, budget = predictor.setting, predictor.problem, Budget(predictor)
    rule: Any = setting.optimizer.rule
    fastest = max(float(predictor.rates.max()), setting.weight_decay) or 1.0
    if rule.discrete:
        dense, marks = np.arange(STEPS + 1.0), np.unique(np.linspace(0, STEPS, MARKS).round())
    else:
        end = rule.duration(REACH / speeds(rule.steady(1.0)[0], fastest, np.inf)[0])
        dense, marks = np.linspace(0, end, DENSE), np.linspace(0, end, MARKS)
    gain = float(np.linalg.norm(setting.layer.features(x, np), 2, axis=(-2, -1)).max())

    def errors(theta: Any) -> Float:
        outputs = _outputs(predictor, theta, x)
        return np.asarray(np.sqrt(((outputs - y) ** 2).reshape(len(outputs), -1).sum(axis=1)))

    def integrated() -> Points:
        try:
            result = trajectory(problem, marks[1:])
        except StiffError as error:
            return _nothing(str(error))
        bounds = [budget.integration(result, index, float(time)) for index, time in enumerate(marks[1:])]
        return Points(marks[1:], errors(result.theta), gain * np.array(bounds))

    def trained() -> Points:
        rate = None if rule.discrete else fine_rate(rule, fastest)
        if reason := obstacle(setting.optimizer, rate or 0.0):
            return _nothing(reason)
        steps = marks if rate is None else np.minimum(marks / rule.companion_time(rate, 1), MOST_STEPS)
        steps = np.unique(steps.round().astype(int))
        try:
            run = train_problem(
                problem, int(steps[-1]), record=steps.tolist(), learning_rate=rate, device=device, dtype=dtype
            )
            done = companion(setting.optimizer, rate)
        except SettingError as error:
            return _nothing(str(error))
        if run.diverged:
            return _nothing("the training diverged")
        times = steps.astype(float) if rate is None else rule.companion_time(rate, steps)
        unit = unit_roundoff(dtype)
        bounds = [
            (budget.gap(rate or 0.0, int(step)) or 0.0) + budget.rounding(float(step), unit, done) for step in steps
        ]
        biases = None if run.biases is None else run.biases.astype(float)
        return Points(
            np.asarray(times), errors(problem.to_blocks(run.weights.astype(float), biases)), gain * np.array(bounds)
        )

    shown = np.array([dense[0], dense[len(dense) // 8], dense[-1], np.inf])
    shown = shown if setting.optimizer.has_limit and setting.optimizer.converges else shown[:-1]
    pictures = predictor.predict(x, shown)[:, 0]
    same = pictures[0].shape == x[0].shape
    return Curves(
        dense,
        errors(predictor.theta(dense)),
        integrated(),
        trained(),
        "steps" if rule.discrete else "flow time",
        np.concatenate([x, pictures]) if same else np.empty(0),
        shown,
    )


def _outputs(predictor: Predictor, theta: Any, x: Any) -> Float:
    """Outputs of block weights, (T, 1, *output_shape)."""
    layer, problem = predictor.setting.layer, predictor.problem
    columns = theta @ layer.features(x, np)
    outputs: Float = layer.from_columns(columns, problem.input_shape, np)
    offset = problem.offset(x)
    return outputs if offset is None else outputs + offset


def _nothing(reason: str) -> Points:
    return Points(np.empty(0), np.empty(0), np.empty(0), reason)
