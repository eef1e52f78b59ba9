r"""One ReLU layer on one example in torch, against its exact piecewise solution.

Rounding: a step computes :math:`\eta(u - y)\hat x` with the relative error of products of length d, and adds it. After k steps in
arithmetic of unit roundoff ε the weight of a unit is off by at most
:math:`r = k\varepsilon\,[(d + 8)\,\eta\|\hat x\|(w\|\hat x\| + |y|) + 4w]`, with w the largest norm on the way: for
:math:`x = \eta\|\hat x\|^2 \le 2` a step enlarges no error that it is given.

The flow, trained at η with :math:`x \le 1`: a unit with y ≥ 0 is off by the bound of descent against flow,
:math:`(kx^2/2)e^{-x(k-1)}|u_0 - y|`. With y < 0 the descent is below the flow, so it dies first, at a value in [xy, 0]; the flow is
then at most :math:`e = (x/2)(u_0 - y)` above 0. From then on both are within max(e, x|y|) of each other, whenever the deaths are.

A unit whose fate hangs on rounding is left out, and the level says so: a start whose sign rounding hides, or a descent that passes
closer to 0 than r.
"""

import math
from collections.abc import Sequence

import numpy as np

from empirical.device import DTYPES, few_threads, full_precision, import_torch, resolve
from empirical.levels import Level, judge, worst_of
from numerics.arrays import Float, check_times
from numerics.budget import unit_roundoff
from numerics.relu import ReLUExample
from numerics.relu_flow import integrate_relu
from theory.component import check_number, one_of
from theory.errors import SettingError
from theory.theorems import OwnCase


def train_relu(
    problem: ReLUExample,
    steps: Sequence[int],
    learning_rate: float | None = None,
    *,
    device: str = "auto",
    dtype: str = "float64",
) -> Float:
    """Trains torch's Linear and relu by its SGD and returns the weight at each step count, (K, q, d).

    Args:
        problem: The example, its target and the start; its own learning rate if it is a descent.
        steps: Step counts to record.
        learning_rate: For a flow only.
        device: "auto", "cpu" or "cuda".
        dtype: "float64" or "float32".
    """
    torch = import_torch()
    one_of("dtype", dtype, DTYPES)
    rate = _learning_rate(problem, learning_rate)
    marks = check_times(steps, discrete=True, allow_infinity=False).astype(int)
    kind = {"device": resolve(device), "dtype": getattr(torch, dtype)}
    q, d = problem.start.shape
    module = torch.nn.Linear(d, q, bias=False, **kind)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(problem.start))
    x, y = torch.tensor(problem.example[None], **kind), torch.tensor(problem.target[None], **kind)
    algorithm = torch.optim.SGD(module.parameters(), lr=rate)
    found: dict[int, Float] = {}
    with full_precision(), few_threads(q * d):
        for step in range(int(marks.max(initial=0)) + 1):
            if step in marks:
                found[step] = module.weight.detach().cpu().numpy().astype(np.float64)
            algorithm.zero_grad()
            loss = 0.5 * ((torch.relu(module(x)) - y) ** 2).sum()
            loss.backward()
            algorithm.step()
    return np.array([found[int(step)] for step in marks]).reshape((len(marks), q, d))


def integrate_and_check(problem: ReLUExample, reach: float = 5.0) -> Level:
    """The flow's closed form against the solver that looks for the deaths, up to ``reach`` relaxation times.

    Raises:
        SettingError: If the problem is a descent, which has its own recurrence.
    """
    if problem.learning_rate is not None:
        message = f"learning_rate must be None to integrate the flow, but it is {problem.learning_rate}. Train the descent instead."
        raise SettingError(message)
    times = reach / (problem.rate or 1.0) * np.array([0.02, 0.2, 1.0])
    found = integrate_relu(problem.start, problem.example, problem.target, times)
    predicted = problem.weight(times)
    distances, sizes = (np.linalg.norm(part, axis=(1, 2)) for part in (found.weights - predicted, predicted))
    return judge(distances, np.full(len(times), found.local_error), sizes)


def check_relu(
    problem: ReLUExample,
    steps: Sequence[int],
    learning_rate: float | None = None,
    *,
    device: str = "auto",
    dtype: str = "float64",
) -> Level:
    """Trained against predicted: a descent to rounding, a flow inside its discretisation bound as well.

    Raises:
        SettingError: If η‖x̂‖² is above 2 for a descent or above 1 for a flow, where no bound is derived.
    """
    rate = _learning_rate(problem, learning_rate)
    x, largest = rate * problem.rate, 2.0 if learning_rate is None else 1.0
    if x > largest:
        limit = largest / problem.rate
        message = (
            f"learning_rate must be at most {largest:g}/‖x̂‖² = {limit:.6g} for a bound, but it is {rate:g}. Lower it."
        )
        raise SettingError(message)
    marks = check_times(steps, discrete=True, allow_infinity=False)
    trained = train_relu(problem, steps, learning_rate, device=device, dtype=dtype)
    predicted = problem.weight(marks if learning_rate is None else marks * rate)
    rounding = _rounding(problem, rate, marks, unit_roundoff(dtype))
    hidden = _hidden(problem, rate, rounding[-1] if len(marks) else rounding, marks, flow=learning_rate is not None)
    gap = 0.0 if learning_rate is None else _gap(problem, x, marks) / (problem.norm or 1.0)
    budgets = rounding + gap
    distances = np.linalg.norm(trained - predicted, axis=2)
    seen = ~hidden
    level = judge(
        np.linalg.norm(distances[:, seen], axis=1),
        np.linalg.norm(budgets[:, seen], axis=1),
        np.linalg.norm(predicted[:, seen], axis=(1, 2)),
    )
    if level.verdict == "disagrees" or not hidden.any():
        return level
    names = ", ".join(map(str, np.flatnonzero(hidden)[:4]))
    return Level("not run", level.ratio, f"{int(hidden.sum())} unit(s) live or die by rounding: {names}")


def _learning_rate(problem: ReLUExample, learning_rate: float | None) -> float:
    if (learning_rate is None) == (problem.learning_rate is None):
        must = "be given to train a flow" if learning_rate is None else "be left out for a descent, which has its own"
        message = f"learning_rate must {must}, but it is {learning_rate}. Mend that."
        raise SettingError(message)
    if learning_rate is None:
        return float(problem.learning_rate)  # type: ignore[arg-type]
    check_number("learning_rate", learning_rate, above=0)
    return float(learning_rate)


def _rounding(problem: ReLUExample, rate: float, steps: Float, unit: float) -> Float:
    """The module's r for each step count and unit, (K, q), with the evaluation of the closed form."""
    swing = 2 * np.abs(problem.initial - problem.target) / (problem.norm or 1.0)
    size = np.linalg.norm(problem.start, axis=1) + swing
    d = problem.example.size
    step = (d + 8) * rate * problem.norm * (size * problem.norm + np.abs(problem.target)) + 4 * size
    return unit * ((steps + 1)[:, None] * step + 16 * size)  # type: ignore[no-any-return]


def _gap(problem: ReLUExample, x: float, steps: Float) -> Float:
    """How far the preactivations of descent and flow can be apart at the same time, (K, q)."""
    k = steps[:, None]
    live = (problem.initial > 0).astype(float)
    distance = np.abs(problem.initial - problem.target) * live
    relaxing = k * x**2 / 2 * np.exp(-x * np.maximum(k - 1, 0)) * distance
    dying = np.maximum(x / 2 * distance, x * np.abs(problem.target) * live)
    return np.where(problem.target < 0, dying, relaxing)  # type: ignore[no-any-return]


def _hidden(
    problem: ReLUExample, rate: float, rounding: Float, steps: Float, *, flow: bool
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """The units whose fate hangs on rounding, (q,)."""
    room = rounding * problem.norm
    started = (problem.initial != 0) & (np.abs(problem.initial) <= room)
    if flow:
        return started  # type: ignore[no-any-return]
    last = int(steps.max(initial=0))
    way = np.abs(problem.preactivation(np.arange(1, last + 1))) if last else np.full((1, len(room)), math.inf)
    # With y = 0 and no overshoot the unit tends to 0, and it does not matter when it gets there.
    fading = (problem.target == 0) & (rate * problem.rate <= 1)
    close = (way <= room).any(axis=0) & (problem.initial > 0) & ~fading
    return started | close  # type: ignore[no-any-return]


class ReLUMeasurement:
    """The theorem on a real image: towards targets of both signs, so that some units live, some die and some never move.

    Args:
        case: What is measured.
        train: Training images, of which the first is taken, (1, C, *spatial).
        test: Not used.
        seed: Seed of the start.
    """

    UNITS = 16  # the solver begins anew whenever one dies
    RATE, STEPS = 0.002, 2500  # of η‖x̂‖², and so many of them: five relaxation times

    def __init__(self, case: OwnCase, train: Float, test: Float, seed: int) -> None:
        image = train[0].ravel()
        target = image - image.mean()
        shown = np.linspace(0, len(image) - 1, min(self.UNITS, len(image))).astype(int)
        self.problem = ReLUExample(image, target[shown], seed=seed)

    def integration(self) -> Level:
        """By a solver that looks for the deaths."""
        return integrate_and_check(self.problem)

    def training(self, device: str, dtype: str) -> Level:
        """By torch, at a small step and at half of it."""
        rate = self.RATE / (self.problem.rate or 1.0)
        runs = ((rate, self.STEPS), (rate / 2, 2 * self.STEPS))
        return worst_of(
            check_relu(self.problem, [0, count // 10, count], eta, device=device, dtype=dtype) for eta, count in runs
        )
