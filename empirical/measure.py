"""One case of a theorem on real data: the formula that was proved, against the integrated and the trained network."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from empirical.crosscheck import DIVERGED
from empirical.levels import Level, judge, worst_of
from empirical.relative_rate import fastest_heavy_ball, with_relative_rate
from empirical.train import fine_rate, halved, obstacle, train_problem
from empirical.views import show
from numerics.arrays import Float
from numerics.budget import Budget, unit_roundoff
from numerics.formula import letters, value
from numerics.integrate import trajectory
from numerics.plan import StiffError, plan, speeds
from numerics.predictor import Predictor
from theory.optimizers import HeavyBall
from theory.setting import Setting
from theory.theorems import Case

TRUNCATION = 1e-6  # how near to its limit a run is taken, as a share of the way; the rest is in the budget
MAX_STEPS = 20_000
MAX_WORK = 2e10  # products in one integration: about ten seconds
INFINITE = np.array([math.inf])
STILL = "the data move nothing: every feature is 0"


@dataclass(frozen=True)
class Measurement:
    """A case with its data.

    Args:
        case: The case.
        train: Training images, (N, C, *spatial).
        test: Test images, likewise.
        seed: Seed of the start.
    """

    case: Case
    train: Float
    test: Float
    seed: int = 0

    @cached_property
    def predictor(self) -> Predictor:
        """The closed form of the case; a descent's learning rate is put in units of 1/s_max."""
        setting = self.case.setting
        train, _ = show(self.case.view, self.train, self.test)
        inputs = setting.layer.arrange(train)
        if setting.optimizer.discrete:
            setting = with_relative_rate(setting, inputs, self.seed)
        return Predictor(setting, inputs, seed=self.seed)

    @cached_property
    def budget(self) -> Budget:
        """The bounds of the case."""
        return Budget(self.predictor)

    @cached_property
    def values(self) -> dict[str, Float]:
        """The values of the formula's letters."""
        _, test = show(self.case.view, self.train, self.test)
        return letters(self.predictor.problem, self.predictor.setting.layer.arrange(test))

    @cached_property
    def rates(self) -> tuple[float, float]:
        """The slowest and the fastest rate of a mode that moves; with decay, that of the null space is one of them."""
        return moving_rates(self.budget)

    @cached_property
    def gain(self) -> float:
        """The largest factor by which the probe magnifies an error of the weight."""
        if self.case.probe == "I":
            return 1.0
        return float(np.linalg.norm(self._value(self.case.probe), 2, axis=(-2, -1)).max())

    def _value(self, text: str, time: float = 0.0) -> Float:
        return value(text, self.values, flow=self.case.flow, time=time, shapes=self.case.shapes)

    def compare(self, theta: Float, times: Float, bounds: Float) -> Level:
        """The verdict on measured block weights at times, each with its error bound."""
        distances, budgets, sizes = [], [], []
        for weight, time, bound in zip(theta, times, bounds, strict=True):
            measured = value(f"W @ ({self.case.probe})", {**self.values, "W": weight}, shapes=self.case.shapes)
            if self.case.value:
                expected = self._value(self.case.value, float(time))
            else:
                closed = self.predictor.theta(float(time))[0]
                expected = value(f"W @ ({self.case.probe})", {**self.values, "W": closed}, shapes=self.case.shapes)
            distances.append(np.linalg.norm(measured - expected))
            # The formula is evaluated by a route of its own, with the same sensitivity to rounding as the closed form.
            budgets.append(self.gain * (bound + self.budget.evaluation(float(time))))
            sizes.append(max(float(np.linalg.norm(expected)), float(np.linalg.norm(measured))))
        reason = self._dichotomy(theta[-1], budgets[-1]) if self.case.vanishing else ""
        return judge(np.array(distances), np.array(budgets), np.array(sizes), reason)

    def _dichotomy(self, weight: Float, budget: float) -> str:
        """Whether the network is exact on the test examples exactly when the theorem's condition holds."""
        spread = self.predictor.spectrum
        condition = max(float(row[row > 0].max() / row[row > 0].min()) for row in spread.values if (row > 0).any())
        size = float(np.linalg.norm(self.values["V"]))
        floor = 4 * max(self.values["X"].shape[-2:]) * unit_roundoff("float64") * condition * size
        condition_holds = float(np.linalg.norm(self._value(self.case.vanishing))) <= floor
        error = float(np.linalg.norm((weight - self.values["Wstar"]) @ self.values["V"]))
        if condition_holds == (error <= budget):
            return ""
        return f"the range condition {'holds' if condition_holds else 'fails'} and the error is {error:.3g}"

    @property
    def still(self) -> bool:
        """Whether the data move nothing: every feature is 0 and there is no decay."""
        return not (self.budget.rates > 0).any()

    def integration(self) -> Level:
        """The formula against the equation solved by the adaptive solver, or the descent's own recurrence."""
        if self.still:
            return Level("not run", 0.0, STILL)
        problem, discrete = self.predictor.problem, self.predictor.setting.optimizer.discrete
        if not discrete and self.case.at_limit:
            found = integrated_limit(self.budget)
            return found if isinstance(found, Level) else self.compare(found[0], INFINITE, found[1])
        if discrete:
            times = np.array([1.0, self.case.reach])
        else:
            times = (
                np.array([0.2, 1.0]) * self.case.reach / speeds(problem.setting.optimizer, self.rates[1], math.inf)[0]
            )
        result = trajectory(problem, times)
        bounds = np.array([self.budget.integration(result, index, float(time)) for index, time in enumerate(times)])
        return self.compare(result.theta, times, bounds)

    def training(self, device: str = "auto", dtype: str = "float64") -> Level:
        """The formula against torch: a descent itself, a flow by short and half as short steps, a limit by momentum until it is near."""
        if self.still:
            return Level("not run", 0.0, STILL)
        if self.predictor.setting.optimizer.discrete:
            return self._trained(None, int(self.case.reach), device, dtype)
        if self.case.at_limit:
            found = trained_limit(self.budget, device, dtype)
            return found if isinstance(found, Level) else self.compare(found[0], INFINITE, found[1])
        rule: Any = self.predictor.setting.optimizer.rule
        rate = fine_rate(rule, self.rates[1])
        if reason := obstacle(rule, rate):
            return Level("not run", 0.0, reason)
        steps = round(self.case.reach / rule.fineness)
        runs = ((rate, steps), (halved(rule, rate), 2 * steps))
        return worst_of([self._trained(learning_rate, count, device, dtype) for learning_rate, count in runs])

    def _trained(self, rate: float | None, steps: int, device: str, dtype: str) -> Level:
        marks = [steps // 5, steps]
        run = train_problem(self.predictor.problem, steps, record=marks, learning_rate=rate, device=device, dtype=dtype)
        if run.diverged:
            return Level("disagrees", math.inf, DIVERGED)
        gaps = [self.budget.gap(rate or 0.0, step) for step in marks]
        unit = unit_roundoff(dtype)
        rounding = np.array([self.budget.rounding(float(step), unit, run.optimizer) for step in marks])
        bounds = np.array(gaps, dtype=np.float64) + rounding
        theta = self.predictor.problem.to_blocks(run.weights.astype(np.float64), _double(run.biases))
        times = np.array(marks, dtype=np.float64)
        rule: Any = self.predictor.setting.optimizer.rule
        return self.compare(theta, times if rate is None else rule.companion_time(rate, times), bounds)


def moving_rates(budget: Budget) -> tuple[float, float]:
    """The slowest and the fastest rate of a mode that moves."""
    rates = budget.rates[budget.rates > 0]
    return float(rates.min()), float(rates.max())


def integrated_limit(budget: Budget) -> tuple[Float, Float] | Level:
    """The weights (1, blocks, q, d) near the end of the flow by the adaptive solver, and their bound (1,); or why there are none."""
    problem = budget.problem
    time = math.log(1 / TRUNCATION) / moving_rates(budget)[0]
    try:
        work = plan(problem, time).products
    except StiffError:
        return Level("not run", 0.0, "the equation is too stiff for its size to be integrated to its limit")
    if work > MAX_WORK:
        return Level("not run", 0.0, f"integrating to the limit would take about {work:.0e} products")
    result = trajectory(problem, np.array([time]))
    return result.theta, np.array([budget.integration(result, 0, time) + budget.truncation(time)])


def quickest(budget: Budget) -> tuple[HeavyBall, int]:
    """Momentum at its best rate for these modes, and how many steps it needs to its limit; one that is too many if there are too many."""
    optimizer = fastest_heavy_ball(*moving_rates(budget))
    travelled = float(np.linalg.norm(budget.travel))
    steps = 16
    while budget.truncation(steps, optimizer) > TRUNCATION * travelled and steps <= MAX_STEPS:
        steps *= 2
    return optimizer, steps


def trained_limit(budget: Budget, device: str, dtype: str) -> tuple[Float, Float] | Level:
    """The same by torch, with momentum at its best rate for these modes: the limit is that of every optimiser that converges."""
    optimizer, steps = quickest(budget)
    if steps > MAX_STEPS:
        return Level("not run", 0.0, f"the slowest mode would need more than {MAX_STEPS} steps")
    setting: Setting = replace(budget.predictor.setting, optimizer=optimizer)
    problem = replace(budget.problem, setting=setting)
    run = train_problem(problem, steps, record=[steps], device=device, dtype=dtype)
    if run.diverged:
        return Level("disagrees", math.inf, DIVERGED)
    bound = budget.truncation(steps, optimizer) + budget.rounding(steps, unit_roundoff(dtype), optimizer)
    theta = problem.to_blocks(run.weights.astype(np.float64), _double(run.biases))
    return theta, np.array([bound])


def _double(array: Float | None) -> Float | None:
    return None if array is None else array.astype(np.float64)
