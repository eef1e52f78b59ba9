"""Laws of the path from the start to the limit: where it begins and ends, and what it keeps on the way."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from hypothesis.strategies import SearchStrategy
from scipy.linalg import null_space

from empirical.laws.hypotheses import converging, memoryless, no_decay, no_preconditioner
from empirical.laws.law import Law, NotMeasured, Term, compare, norm
from empirical.strategies import Case, problems
from numerics.arrays import Float
from numerics.budget import UNITS, Budget
from numerics.predictor import Predictor
from theory.targets import Given

EPS = 2 * UNITS["float64"]
UNITS_OF_TIME = (0.0, 0.3, 2.0, 7.0)  # of the fastest mode
LATE = 1e-14  # of the way: what may be left of it at a late time, so that rounding is what is seen
LATEST = 2**60  # units of time of the slowest mode
LATEST_STEP = 2**12  # of a rule whose residual is found step by step


def times_of(p: Predictor, units: tuple[float, ...] = UNITS_OF_TIME) -> list[float]:
    """Times in units of the fastest mode, or whole steps."""
    rate = float(p.rates.max()) or 1.0
    return [float(math.ceil(unit)) if p.setting.optimizer.discrete else unit / rate for unit in units]


@dataclass(frozen=True)
class AtZero(Law):
    """At time 0 the weights are the start, bit for bit."""

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """W(0) against W0, without a budget."""
        yield compare(p.theta(0)[0], p.problem.start, 0.0, "time 0")


@dataclass(frozen=True)
class AtInfinity(Law):
    """The weights at late times approach those at infinite time."""

    assumes = (converging,)

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """W(t) against W(∞) when next to nothing of the way is left, or as late as the rule lets us look."""
        budget = Budget(p)
        moving = budget.rates[budget.rates > 0]
        rule = p.setting.optimizer.rule
        unit = 1.0 if rule.discrete else 1 / float(moving.min(initial=np.inf)) or 1.0
        stepwise = rule.recurrent or (rule.discrete and rule.schedule is not None)
        latest = LATEST_STEP if stepwise else LATEST
        time, doublings = unit, 0
        while budget.truncation(time) > LATE * norm(budget.travel) and 2**doublings < latest:
            time, doublings = 2 * time, doublings + 1
        bound = budget.truncation(time) + budget.evaluation(time) + budget.evaluation(math.inf)
        yield compare(p.theta(time)[0], p.theta(math.inf)[0], bound, f"time {time:g}")


@dataclass(frozen=True)
class Stationary(Law):
    r"""At infinite time no gradient of the loss is left.

    An error δ of the weights changes the gradient by at most :math:`s_{\max}\|\delta\|`; the gradient itself is rounded as
    in training, :mod:`numerics.budget`.
    """

    assumes = (converging,)

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """c(WΦ − Y)ΦᵀP + μW at W(∞), against 0; its size is that of the terms that cancel."""
        problem, final = p.problem, p.theta(math.inf)[0]
        d, columns = problem.features.shape[1:]
        pushed = np.linalg.norm(p.setting.optimizer.precondition(np, np.eye(d)), 2)  # ‖P‖, 1 without
        features, decay = norm(problem.features), p.setting.weight_decay
        c = problem.scale * float(pushed)
        summed = c * (norm(final) * features + norm(problem.columns)) * features + decay * norm(final)
        rounding = (2 * d + columns + 8) * UNITS["float64"] * summed
        fastest = c * features**2 + decay
        budget = fastest * Budget(p).evaluation(math.inf) + rounding
        yield Term(norm(problem.gradient(final)), budget, summed, "time inf")


@dataclass(frozen=True)
class Semigroup(Law):
    """Training on from W(t) for r is training for t + r."""

    assumes = (memoryless,)

    def problems(self) -> SearchStrategy[Case]:
        """Without schedules."""
        return problems()

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """Three pairs of times; what is wrong with W(t) is carried on, and shrinks."""
        times, budget = times_of(p), Budget(p)
        for early, late in ((0, 2), (1, 2), (2, 3)):
            t, r = times[early], times[late]
            onward = p.from_start(p.theta(t)[0])
            bound = budget.evaluation(t) + budget.evaluation(t + r) + Budget(onward).evaluation(r)
            yield compare(onward.theta(r)[0], p.theta(t + r)[0], bound, f"times {t:g} and {r:g}")


@dataclass(frozen=True)
class LossFalls(Law):
    r"""The loss, with the penalty of the decay, never rises.

    An error δ of the weights changes a loss L of curvature at most s by at most
    :math:`\sqrt{2sL}\,\|\delta\| + \tfrac s2\|\delta\|^2`; the loss is a sum of squares, rounded as one.
    """

    assumes = (memoryless, no_preconditioner)

    def problems(self) -> SearchStrategy[Case]:
        """Without schedules."""
        return problems()

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """The rise between neighbouring times, infinity the last."""
        times = [*times_of(p, (0, 1, 2, 3, 8, 50)), math.inf]
        times = times if not converging(p) else times[:-1]
        losses, budget, problem = p.loss(times, penalty=True), Budget(p), p.problem
        d, columns = problem.features.shape[1:]
        fastest = max(float(p.rates.max()), p.setting.weight_decay)
        whole = problem.scale / 2 * (norm(problem.start @ problem.features) + 2 * norm(problem.columns)) ** 2
        whole += p.setting.weight_decay / 2 * norm(problem.start) ** 2
        slack = []
        for time, loss in zip(times, losses, strict=True):
            off = budget.evaluation(time)
            rounding = 4 * (d + columns + 8) * UNITS["float64"] * (whole + loss)
            slack.append(math.sqrt(2 * fastest * max(loss, 0.0)) * off + fastest / 2 * off**2 + rounding)
        for index in range(1, len(times)):
            rise = max(float(losses[index] - losses[index - 1]), 0.0)
            size = float(losses[0])
            yield Term(rise, slack[index] + slack[index - 1], size, f"times {times[index - 1]:g} to {times[index]:g}")


@dataclass(frozen=True)
class NullSpace(Law):
    r"""Outside the span of the training features the weights never move.

    The directions are those of scipy's null space. Two computed ranges of Φ differ in angle by
    :math:`16\max(d, M)\,\mathrm{eps}\,\kappa(\Phi)` at most (Wedin, with the backward error of each decomposition).
    """

    assumes = (no_decay, no_preconditioner)

    def problems(self) -> SearchStrategy[Case]:
        """Without decay."""
        return problems(decay=False)

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """(W(t) − W0)N in each block; its size is that of the way itself."""
        times = [*times_of(p), *([] if converging(p) else [math.inf])]
        yield from unmoved(p, p.theta(times), [Budget(p).evaluation(time) for time in times], times)


def unmoved(p: Predictor, thetas: Float, bounds: list[float], times: list[float]) -> Iterator[Term]:
    """How far weights have moved outside the span of the training features."""
    outside = [
        null_space(features.conj().T, rcond=max(features.shape) * EPS) if features.any() else np.eye(len(features))
        for features in p.problem.features
    ]
    if not any(directions.shape[1] for directions in outside):
        message = "the features span everything: nothing is outside"
        raise NotMeasured(message)
    kept = p.spectrum.values[p.spectrum.values > 0]
    condition = float(kept.max() / kept.min()) if kept.size else 1.0
    angle = 16 * max(p.problem.features.shape[1:]) * EPS * condition
    for theta, bound, time in zip(thetas, bounds, times, strict=True):
        way = theta - p.problem.start
        moved = math.hypot(*(norm(part @ directions) for part, directions in zip(way, outside, strict=True)))
        yield Term(moved, bound + angle * norm(way), norm(way), f"time {time:g}")


@dataclass(frozen=True)
class Superposition(Law):
    """The weights are linear in start and targets together."""

    assumes = ()

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """2·(one start and its targets) − 3·(another), in the blocks; what a layer adds untrained counts as a target."""
        problem, layer = p.problem, p.setting.layer
        setting = replace(p.setting, target=Given())
        start = problem.to_blocks(*_drawn_like(p, rng))[0]
        offset = problem.offset(problem.inputs)
        drawn = rng.standard_normal(problem.targets.shape)
        plain = problem.targets if offset is None else problem.targets - offset
        shift = 0.0 if offset is None else offset

        def made(targets: Float, theta: Float) -> Predictor:
            return Predictor(
                setting, problem.inputs, targets + shift, *layer.from_blocks(theta, problem.input_shape, np)
            )

        first = made(plain, problem.start)
        other, both = made(drawn, start), made(2 * plain - 3 * drawn, 2 * problem.start - 3 * start)
        times = [*times_of(p), *([] if converging(p) else [math.inf])]
        for time in times:
            bound = 2 * Budget(first).evaluation(time) + 3 * Budget(other).evaluation(time)
            bound += Budget(both).evaluation(time)
            expected = 2 * first.theta(time)[0] - 3 * other.theta(time)[0]
            yield compare(both.theta(time)[0], expected, bound, f"time {time:g}")


def _drawn_like(p: Predictor, rng: np.random.Generator) -> tuple[Float, Float | None]:
    """Another weight and bias in torch's layout, with one leading axis."""
    weight, bias = p.problem.to_torch(p.problem.start)
    drawn = rng.standard_normal((1, *weight.shape))
    return drawn, None if bias is None else rng.standard_normal((1, *bias.shape))
