"""Hypothesis strategies for what goes around an optimiser: learning-rate schedules and preconditioners."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from empirical.strategies import Case, problems, seeds
from numerics.arrays import Float
from theory.optimizers import GradientDescent, GradientFlow, Preconditioned
from theory.schedules import Cosine, Expression, LinearWarmup, Schedule

FORMULAS = ("1/(1 + t)", "exp(-t/10)", "1/sqrt(1 + t)", "1/2", "t*exp(-t)")


def schedules() -> SearchStrategy[Schedule]:
    """Multipliers between 0 and 1: a warm-up, a cosine, a formula.

    Example:
        >>> from hypothesis import find
        >>> find(schedules(), lambda schedule: schedule.total == 1.0 and schedule.kind == "cosine").duration
        2.0
    """
    durations = st.one_of(st.sampled_from([1.0, 2.0, 7.0]), st.floats(0.25, 50))
    return st.one_of(
        st.builds(LinearWarmup, durations),
        st.builds(Cosine, durations, st.one_of(st.sampled_from([0.0, 0.5]), st.floats(0, 1))),
        st.sampled_from(FORMULAS).map(Expression),
    )


@st.composite
def preconditioners(draw: DrawFn, size: int, condition: float = 10.0) -> Float:
    """Symmetric positive definite matrices with eigenvalues from 1/condition to 1.

    Example:
        >>> from hypothesis import find
        >>> find(preconditioners(1), lambda matrix: True).tolist()
        [[1.0]]
    """
    powers = draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))
    basis = np.linalg.qr(np.random.default_rng(draw(seeds())).standard_normal((size, size)))[0]
    matrix = (basis * np.array([condition**-power for power in powers])) @ basis.T
    return np.asarray((matrix + matrix.T) / 2)


@st.composite
def scheduled_problems(draw: DrawFn, *, decay: bool = True) -> Case:
    """The problems of ``problems()`` under gradient flow or descent, with a schedule; a flow's in units of its fastest mode.

    Example:
        >>> from hypothesis import find
        >>> find(scheduled_problems(), lambda case: case.setting.optimizer.discrete).setting.optimizer.schedule is None
        False
    """
    case = draw(problems(optimizer_kinds=["gradient_flow", "gradient_descent"], decay=decay))
    schedule, optimizer = draw(schedules()), case.setting.optimizer
    rate = getattr(optimizer, "learning_rate", None)
    chosen = GradientFlow(schedule) if rate is None else GradientDescent(rate, schedule)
    return case._replace(setting=replace(case.setting, optimizer=chosen))


@st.composite
def preconditioned_problems(draw: DrawFn) -> Case:
    """The problems of ``problems()`` with a preconditioner whose eigenvalues are at most 1, so that they still converge.

    Example:
        >>> from hypothesis import find
        >>> find(preconditioned_problems(), lambda case: True).setting.optimizer.kind
        'preconditioned'
    """
    case = draw(problems())
    size = case.setting.layer.features(case.inputs, np).shape[1]
    optimizer = Preconditioned(case.setting.optimizer, draw(preconditioners(size)))
    return case._replace(setting=replace(case.setting, optimizer=optimizer))
