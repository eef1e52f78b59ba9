"""Laws that hold the closed form against something that never saw it: a solver, and networks that torch trains."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis.strategies import SearchStrategy

from empirical.crosscheck import DIVERGED
from empirical.device import DEVICES, DTYPES
from empirical.laws.hypotheses import gradient_flow, no_decay, no_preconditioner
from empirical.laws.law import Law, NotMeasured, Term, norm
from empirical.laws.path import unmoved
from empirical.setting_levels import fastest, integrated, trained, untrainable
from empirical.strategies import Case, problems
from empirical.train import Training as Run
from empirical.train import train_problem
from numerics.arrays import Float
from numerics.budget import Budget, unit_roundoff
from numerics.order import halving_bound
from numerics.predictor import Predictor
from theory.component import one_of
from theory.errors import SettingError

HALVED_RATE, HALVED_STEPS = 0.05, 20  # η·s_max at the whole learning rate, for one unit of time of the fastest mode
CLEAR = 10  # a budget above a tenth of the gap says nothing; of another order, half of the gap or more would be left
MOVED_STEPS, MOVING_RATE = 50, 0.01  # of η·s_max, for a flow
SHARE = 0.2  # of the time of a verdict's training: one unit of time of the fastest mode, or 40 steps


@dataclass(frozen=True)
class Integration(Law):
    """The closed form is what an adaptive solver finds for a flow, and the iterated rule for a descent."""

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """The distances of a setting's integration level."""
        try:
            measured = integrated(p)
        except SettingError as error:  # too stiff, or nearer to 0 than the solver can go
            raise NotMeasured(str(error)) from None
        for time, distance, bound, size in zip(*measured, strict=True):
            yield Term(float(distance), float(bound), float(size), f"time {time:g}")


class Trained(Law, abstract=True):
    """Base of the laws that train networks."""

    trained = True
    device: str
    dtype: str

    def __post_init__(self) -> None:
        one_of("device", self.device, DEVICES)
        one_of("dtype", self.dtype, DTYPES)

    def applies(self, predictor: Predictor) -> str:
        """Outside is also what one trained network says nothing about."""
        return super().applies(predictor) or untrainable(predictor)

    def run(self, p: Predictor, steps: int, rate: float | None) -> Run:
        """A network trained from the problem's start.

        Raises:
            NotMeasured: If it diverged, as the law about training itself says.
        """
        run = train_problem(p.problem, steps, record=[steps], learning_rate=rate, device=self.device, dtype=self.dtype)
        if run.diverged:
            raise NotMeasured(DIVERGED)
        return run


def _theta(p: Predictor, run: Run) -> Float:
    """The block weights of a run, (records, blocks, q, d)."""
    biases = None if run.biases is None else run.biases.astype(np.float64)
    return p.problem.to_blocks(run.weights.astype(np.float64), biases)


def _rate(p: Predictor) -> float | None:
    """A learning rate of a flow's companion at which it moves in a few steps; None for a descent."""
    return None if p.setting.optimizer.discrete else MOVING_RATE / fastest(p)


@dataclass(frozen=True)
class Training(Trained):
    """The closed form is what torch trains: a descent itself, a flow by its companion, and by steps half as long.

    Args:
        device: Where: "auto", "cpu" or "cuda".
        dtype: In which arithmetic; each has its own budget.
    """

    device: str = "auto"
    dtype: str = "float64"

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """The distances of a setting's training level, for a fifth of its time."""
        check = trained(p, self.device, self.dtype, SHARE)
        if check.diverged:
            yield Term(np.inf, 0.0, 0.0, DIVERGED)
            return
        sizes = np.maximum.accumulate(check.size)  # weights that have decayed are compared with what they were
        # The start is there untrained, and comparing it says nothing.
        for step, distance, bound, size in zip(check.steps, check.distances, check.budgets, sizes, strict=True):
            if step > 0 or distance > bound:
                yield Term(float(distance), float(bound), float(size), f"step {step:g}")


@dataclass(frozen=True)
class TrainedNullSpace(Trained):
    """A trained network never moves outside the span of its training features, without decay and preconditioner.

    Args:
        device: Where: "auto", "cpu" or "cuda".
        dtype: In which arithmetic; each has its own budget.
    """

    assumes = (no_decay, no_preconditioner)
    device: str = "auto"
    dtype: str = "float64"

    def problems(self) -> SearchStrategy[Case]:
        """Without decay."""
        return problems(decay=False)

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """(W − W0)N after some steps, within the rounding of the training."""
        rate = _rate(p)
        run = self.run(p, MOVED_STEPS, rate)
        bound = Budget(p).rounding(MOVED_STEPS, unit_roundoff(self.dtype), run.optimizer)
        for term in unmoved(p, _theta(p, run), [bound], [float(MOVED_STEPS)]):
            yield Term(term.residual, term.budget, term.size, f"step {MOVED_STEPS}")


@dataclass(frozen=True)
class Halving(Trained):
    """Half the learning rate halves a trained network's distance from gradient flow, at one time and above rounding.

    Args:
        device: Where: "auto", "cpu" or "cuda".
        dtype: In which arithmetic; each has its own budget.
    """

    assumes = (gradient_flow,)
    device: str = "auto"
    dtype: str = "float64"

    def problems(self) -> SearchStrategy[Case]:
        """By gradient flow."""
        return problems(optimizer_kinds=["gradient_flow"])

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """The gap at η less twice that at η/2, within :func:`~numerics.order.halving_bound`; the gap must be clear."""
        rate = HALVED_RATE / fastest(p)
        predicted, budget = p.theta(rate * HALVED_STEPS)[0], Budget(p)
        gaps, rounding = [], 3 * budget.evaluation(rate * HALVED_STEPS)
        for part in (1, 2):
            run = self.run(p, part * HALVED_STEPS, rate / part)
            gaps.append(_theta(p, run)[0] - predicted)
            rounding += part * budget.rounding(part * HALVED_STEPS, unit_roundoff(self.dtype), run.optimizer)
        curved = np.linalg.norm(halving_bound(rate * budget.rates, HALVED_STEPS) * budget.travel)
        where = f"time {rate * HALVED_STEPS:g}"
        size = CLEAR * norm(gaps[0])
        yield Term(norm(gaps[0] - 2 * gaps[1]), budget.stretch * float(curved) + rounding, size, where)
