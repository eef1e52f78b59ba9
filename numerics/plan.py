"""Which state is integrated, and explicitly or implicitly: chosen by the cost, from bounds on the spectrum."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from numerics.arrays import Float
from numerics.problem import Problem
from numerics.states import STATES, UNIT
from theory.component import one_of
from theory.errors import SettingError
from theory.rule import transition

MAX_STIFFNESS = 1e6  # fastest rate × time, above which the explicit solver would crawl: half a minute of calls
MAX_IMPLICIT = 1000  # entries of one row, above which its factorisations would: two minutes of them
TRUSTED = 1e-6  # of the weights: rounding in a Gram matrix below which the choice is by cost alone
# Measured at a relative tolerance of 1e-10, condition numbers 3 to 1000, with flows of first and second order.
OVERHEAD = 5e4  # products in the time of one call of a gradient, 15 µs
EXPLICIT = (500.0, 1.6)  # gradients in all, and per unit of stiffness
IMPLICIT = 1000  # steps of Radau's method, each of two iterations of three gradients and two solves; 500 to 2900
STEP = 8 * OVERHEAD, 500.0  # of such a step itself: in all, and per entry of the state
INVERSES = 0.1  # pairs of matrices, a real and a complex one, to be inverted a step
WORTH = 0.5  # a reduced state must cost at most this share of the full one


class StiffError(SettingError):
    """The equation is too stiff for its size to be solved up to the time asked for."""


@dataclass(frozen=True)
class Plan:
    """How a problem is integrated or iterated.

    Attributes:
        state: "full", "dual" or "gram".
        implicit: Whether by Radau's method.
        products: Multiplications in all, about; a call's overhead counts as ``OVERHEAD`` of them.
    """

    state: str
    implicit: bool
    products: float


def plan(problem: Problem, last: float, state: str = "auto") -> Plan:
    """The cheapest way to the last time.

    Rounding in K or G grows with the square of Φ's condition number where a mode is slow; where its bound is above ``TRUSTED``, the
    full state is taken if it can be.

    Args:
        problem: With a linear rule and the squared error.
        last: The last time or step.
        state: "full", "dual", "gram" or "auto".

    Raises:
        StiffError: If no way is short enough.
        SettingError: If there is no such state.

    Example:
        >>> from numerics.problem import assemble
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow
        >>> from theory.setting import Setting
        >>> problem = assemble(Setting(Linear(), GradientFlow()), np.eye(500)[:2])
        >>> [(found.state, found.implicit) for found in (plan(problem, 1.0), plan(problem, 1e5))]
        [('dual', False), ('dual', True)]
    """
    rule: Any = problem.setting.optimizer.rule
    chosen = check_state(state)
    rate = fastest_rate(problem)
    stiffness = 0.0 if rule.discrete else max(speeds(rule, rate, last or 1.0)) * last
    ways = [way for name in chosen for way in _ways(problem, name, last, stiffness)]
    if not ways:
        entries, fastest = min(_sizes(problem, name)[0] for name in chosen), stiffness / last
        message = (
            f"times must be at most {MAX_STIFFNESS / fastest:.3g} to be integrated with {entries} entries in a row of the state "
            f"and a fastest rate near {fastest:.3g}, but one is {last:g}. Use earlier times, or fewer features or examples, "
            "whichever are fewer already, and state='auto'."
        )
        raise StiffError(message)
    units = 2 * last if rule.discrete else stiffness
    features, columns = problem.features.shape[-2:]
    if (2 * features + columns) * UNIT * units > TRUSTED and any(way.state == "full" for way in ways):
        ways = [way for way in ways if way.state == "full"]
    return min(ways, key=lambda way: way.products * (WORTH if way.state == "full" else 1.0))


def check_state(state: str) -> tuple[str, ...]:
    """The states to choose from.

    Raises:
        SettingError: If there is no such state.
    """
    chosen = one_of("state", state, ["auto", *STATES])
    return tuple(STATES) if chosen == "auto" else (chosen,)


def fastest_rate(problem: Problem) -> float:
    """At least the fastest rate of a mode: the trace of cΦΦᵀP, plus decay."""
    features = problem.features
    pushed = problem.setting.optimizer.precondition(np, features.conj().swapaxes(-1, -2)).swapaxes(-1, -2)
    # The sum of the eigenvalues, real for complex features too.
    trace = (features * pushed).real.sum(axis=(1, 2))
    return problem.scale * float(trace.max()) + problem.setting.weight_decay


def _sizes(problem: Problem, name: str) -> tuple[int, float, float]:
    """The entries of a row of the whole state, and the products to form the state and of one gradient."""
    blocks, q, d = problem.start.shape
    columns = problem.features.shape[-1]
    width = 2 if np.iscomplexobj(problem.start) else 1
    row = len(problem.setting.optimizer.rule.initial_state(0.0)) * width
    form, gradient, entries = {
        "full": (0, 2 * q * d * columns, d),
        "dual": (columns * columns * d + 2 * q * d * columns, q * columns * columns, columns),
        "gram": (d * d * columns + q * d * columns, q * d * d, d),
    }[name]
    return row * entries, blocks * form, blocks * gradient


def _ways(problem: Problem, name: str, last: float, stiffness: float) -> list[Plan]:
    blocks, q, _ = problem.start.shape
    entries, form, gradient = _sizes(problem, name)
    if problem.setting.optimizer.rule.discrete:
        return [Plan(name, False, form + last * (gradient + OVERHEAD))]
    ways = []
    if stiffness <= MAX_STIFFNESS:
        ways.append(Plan(name, False, form + (EXPLICIT[0] + EXPLICIT[1] * stiffness) * (gradient + OVERHEAD)))
    if entries <= MAX_IMPLICIT:
        # A complex product is four real ones, so that a pair is five.
        size = blocks * q * entries
        matrices = 5 * (2.5 * size * entries + INVERSES * blocks * entries**3)
        step = 7 * (gradient + OVERHEAD) + matrices + STEP[0] + STEP[1] * size
        ways.append(Plan(name, True, form + IMPLICIT * step))
    return ways


def speeds(optimizer: Any, rate: float, time: float) -> tuple[float, float]:
    """The slowest and the fastest eigenvalue of a flow's rule on a mode of this rate, in modulus, at a time; zeros do not count.

    Raises:
        SettingError: If the rule is not finite then.

    Example:
        >>> from theory.optimizers import GradientFlow, HeavyBallFlow
        >>> speeds(GradientFlow(), 4.0, 1.0)
        (4.0, 4.0)
        >>> [round(speed, 12) for speed in speeds(HeavyBallFlow(0.0), 4.0, 1.0)]
        [2.0, 2.0]
    """
    rows, _ = transition(optimizer, rate, time)
    matrix: Float = np.array(rows, dtype=float)
    if not np.isfinite(matrix).all():
        message = f"optimizer must have a rule that stays finite, but that of {optimizer} is not at time {time:g}. Bound its rate."
        raise SettingError(message)
    values = np.abs(np.linalg.eigvals(matrix))
    return float(values[values > 0].min(initial=values.max())), float(values.max())
