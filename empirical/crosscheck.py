"""Trained weights against predicted ones, inside a budget that is computed."""

from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np

from empirical.device import DTYPES
from empirical.levels import ORDER, SENSITIVITY, TOO_LOOSE
from empirical.train import Training, companion, halved, train_problem
from numerics.arrays import Float, check_shape, check_times, real_array
from numerics.budget import Budget, unit_roundoff
from numerics.predictor import Predictor
from theory.component import one_of
from theory.errors import SettingError
from theory.notebook import listing, verdict

DIVERGED = "the training diverged: its weights were no longer finite"


@dataclass(frozen=True)
class CrossCheck:
    """Trained against predicted.

    Attributes:
        steps: The step counts compared.
        distances: ‖trained − predicted‖ at each, Frobenius norm of weight and bias.
        budgets: What rounding (and for a flow its discretisation) explains at each.
        size: ‖predicted‖ at each.
        reason: Why nothing could be said, or what happened; or an empty string.
        unbounded: Whether there is no bound to compare with.
        diverged: Whether the training stopped because its weights were no longer finite.
    """

    steps: Float
    distances: Float
    budgets: Float
    size: Float
    reason: str = ""
    unbounded: bool = False
    diverged: bool = False

    @property
    def ratios(self) -> Float:
        """Distance ÷ budget at each step; 0 where both are 0, inf where either is not a number."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(self.distances == 0, 0.0, self.distances / self.budgets)
        return np.where(np.isnan(ratios), np.inf, ratios)

    @property
    def ratio(self) -> float:
        """The largest ratio."""
        return float(self.ratios.max())

    @property
    def worst(self) -> int:
        """The step count where the ratio is largest."""
        return int(self.steps[int(np.argmax(self.ratios))])

    @property
    def budget(self) -> float:
        """The budget at the worst step."""
        return float(self.budgets[int(np.argmax(self.ratios))])

    @property
    def verdict(self) -> str:
        """``agrees``, ``disagrees``, or ``not run`` with its reason."""
        if self.diverged:
            return "disagrees"
        if self.unbounded:
            return "not run"
        return "disagrees" if self.ratio > 1 else "not run" if self.reason else "agrees"

    @property
    def agrees(self) -> bool:
        """Whether every distance is inside its budget and the budget is telling."""
        return self.verdict == "agrees"

    def __bool__(self) -> bool:
        return self.agrees

    def _repr_html_(self) -> str:
        rows = [
            ("verdict", verdict(self.verdict)),
            ("distance ÷ budget", f"at most {self.ratio:.3g}, at step {self.worst}"),
            ("budget there", f"{self.budget:.3g}"),
            ("steps compared", str(len(self.steps))),
        ]
        return listing("Trained against predicted", rows + ([("reason", escape(self.reason))] if self.reason else []))

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.verdict}{reason}: distance ÷ budget at most {self.ratio:.3g}, at step {self.worst}, budget {self.budget:.3g}"


def crosscheck(
    predictor: Predictor,
    steps: Any,
    weights: Any,
    biases: Any = None,
    *,
    dtype: str | None = None,
    learning_rate: float | None = None,
) -> CrossCheck:
    r"""Compares weights of anybody's training loop with the closed form of the same optimiser.

    A descent is compared with its own discrete closed form, to rounding. A flow is compared at its companion's time
    (``steps·learning_rate`` for a gradient flow), inside rounding plus the bound on the distance between the companion
    descent and the flow.

    Args:
        predictor: The prediction, made with the loop's setting, data and start.
        steps: The step counts at which the weights were taken, (K,).
        weights: Torch's weight at each, (K, \*weight shape).
        biases: Torch's bias at each, (K, channels), for a layer with bias.
        dtype: The arithmetic of the loop: "float64" or "float32"; None means that of the weights.
        learning_rate: The loop's learning rate, for a flow only.

    Raises:
        SettingError: If shapes do not fit, or a weight is not finite.
    """
    dtype = one_of("dtype", dtype or dtype_of(weights), DTYPES)
    problem, setting = predictor.problem, predictor.setting
    steps = check_times(steps, discrete=True, allow_infinity=False)
    if steps.size == 0:
        message = (
            "steps must hold at least one step count, but they are empty. Pass those at which the weights were taken."
        )
        raise SettingError(message)
    optimizer = companion(setting.optimizer, learning_rate)
    shapes = problem.to_torch(problem.start)
    stacked = _stacked(weights)
    if len(stacked) == len(steps) and (lost := _first_lost(stacked)) is not None:
        nothing = np.zeros(1)
        message = f"the loop diverged: its weights are not finite from step {int(steps[lost])} on"
        return CrossCheck(steps[lost : lost + 1], nothing, nothing, nothing, message, diverged=True)
    weights = real_array("weights", stacked)
    check_shape("weights", weights, (len(steps), *shapes[0].shape), f"{len(steps)} step counts")
    if (biases is None) != (shapes[1] is None):
        have = "left out" if shapes[1] is None else "given"
        message = f"biases must be {have} for {setting.layer}, but they are {'None' if biases is None else 'given'}. Mend that."
        raise SettingError(message)
    if biases is not None and shapes[1] is not None:
        biases = real_array("biases", _stacked(biases))
        check_shape("biases", biases, (len(steps), *shapes[1].shape), f"{len(steps)} step counts")
    times = steps if learning_rate is None else setting.optimizer.rule.companion_time(learning_rate, steps)  # type: ignore[attr-defined]
    predicted = predictor.theta(times)
    trained = problem.to_blocks(weights, biases)
    bounds = Budget(predictor)
    unit, budgets = unit_roundoff(dtype), []
    for step, time in zip(steps, times, strict=True):
        gap = bounds.gap(learning_rate or 0.0, int(step))
        rounding = bounds.rounding(float(step), unit, optimizer) + bounds.evaluation(float(time))
        budgets.append(np.inf if gap is None else gap + rounding)
    size = np.linalg.norm(predicted.reshape(len(steps), -1), axis=1)
    distances = np.linalg.norm((trained - predicted).reshape(len(steps), -1), axis=1)
    unbounded = bool(np.isinf(budgets).any())
    trained_at_all = steps > 0  # at the start there is nothing yet that training could get wrong
    reason = ""
    if setting.optimizer.rule.sampled:
        reason, unbounded = setting.optimizer.rule.sampled, True
    elif unbounded:
        reason = f"no discretisation bound is derived for {setting.optimizer}"
    elif not trained_at_all.any():
        reason = "only step 0 was given, where nothing has been trained"
    else:
        reason = _unseen(steps, np.array(budgets), size) or _hint(steps, weights, distances, np.array(budgets), dtype)
    return CrossCheck(steps, distances, np.array(budgets), size, reason, unbounded)


def _first_lost(weights: Any) -> int | None:
    """Where weights of a loop stop being finite; None if they do not, or are no numbers at all."""
    array = np.asarray(weights.detach().cpu() if hasattr(weights, "detach") else weights)
    if array.dtype.kind != "f" or array.ndim < 2:
        return None
    lost = ~np.isfinite(array.reshape((len(array), -1))).all(axis=1)
    return int(np.argmax(lost)) if lost.any() else None


def _unseen(steps: Float, budgets: Float, size: Float) -> str:
    """At which steps an error of 1 % could not be seen, or "". Weights that have decayed are compared with what they were."""
    order = np.argsort(steps, kind="stable")
    largest = np.empty_like(size)
    largest[order] = np.maximum.accumulate(size[order])
    blind = (budgets > SENSITIVITY * largest) & (steps > 0)
    if not blind.any():
        return ""
    return (
        f"{TOO_LOOSE}: at {int(blind.sum())} of {int((steps > 0).sum())} steps, first at step {int(steps[blind].min())}"
    )


def _hint(steps: Float, weights: Float, distances: Float, budgets: Float, dtype: str) -> str:
    """What a disagreement looks like, or ""."""
    wrong = distances > budgets
    if not wrong.any():
        return ""
    first = int(steps[wrong].min())
    if dtype == "float64" and (weights == weights.astype(np.float32)).all():
        return f"first at step {first}; if the loop ran in float32, pass dtype='float32'"
    if first == 0:
        return "the start differs: pass the loop's as initial_weight"
    if len(steps) > 1 and (weights == weights[0]).all():
        return "all weights are the same: were they copied at each step?"
    return f"first at step {first}"


def dtype_of(weights: Any) -> str:
    """The arithmetic of weights: "float32" for arrays and tensors of that type, "float64" for everything else.

    Example:
        >>> dtype_of(np.ones(2, np.float32)), dtype_of([1.0])
        ('float32', 'float64')
    """
    first = weights[0] if isinstance(weights, (list, tuple)) and weights else weights
    return "float32" if str(getattr(first, "dtype", "")).removeprefix("torch.") == "float32" else "float64"


def _stacked(weights: Any) -> Any:
    """A list of tensors, parameters among them, as a list of arrays."""
    if not isinstance(weights, (list, tuple)):
        return weights
    return [weight.detach().cpu().numpy() if hasattr(weight, "detach") else weight for weight in weights]


def check_training(predictor: Predictor, run: Training, learning_rate: float | None = None) -> CrossCheck:
    """Compares a :class:`~empirical.train.Training` of the same problem with its prediction."""
    if run.diverged and len(run.steps) == 0:
        nothing = np.zeros(1)
        return CrossCheck(nothing, nothing, nothing, nothing, DIVERGED, diverged=True)
    check = crosscheck(predictor, run.steps, run.weights, run.biases, dtype=run.dtype, learning_rate=learning_rate)
    return replace(check, diverged=True, reason=DIVERGED) if run.diverged else check


def train_and_check(
    predictor: Predictor,
    steps: int,
    *,
    learning_rate: float | None = None,
    device: str = "auto",
    dtype: str = "float64",
) -> CrossCheck:
    """Trains the predictor's own problem and compares: a descent once, a flow once more by twice as many steps, half as long."""
    runs: list[tuple[float | None, int]] = [(learning_rate, steps)]
    if learning_rate is not None:
        runs.append((halved(predictor.setting.optimizer, learning_rate), 2 * steps))
    checks = []
    for rate, count in runs:
        run = train_problem(predictor.problem, count, learning_rate=rate, device=device, dtype=dtype)
        checks.append(check_training(predictor, run, rate))
    return max(checks, key=lambda check: (ORDER.index(check.verdict), check.ratio))
