"""The oracle: the flow by an adaptive solver, the descent by its own recurrence. It knows no closed form."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from numerics.arrays import Float, adjoint, check_times, quiet
from numerics.problem import Problem, assemble
from theory.component import check_number
from theory.errors import SettingError
from theory.rule import transition
from theory.setting import Setting

MAX_STIFFNESS = 2e4  # fastest rate × time, above which the explicit solver would crawl
MAX_IMPLICIT = 1000  # unknowns, above which the implicit solver's dense factorisation would
MAX_STEPS = 10**7
STEP_ROUNDING = 64 * float(np.finfo(np.float64).eps)  # of the sums of a step with at most 12 stages


class StiffError(SettingError):
    """The equation is too stiff for its size to be solved up to the time asked for."""


@dataclass(frozen=True)
class Integration:
    """A trajectory and what the solver claims of it.

    Attributes:
        theta: Block weights at the times asked for, (T, blocks, q, d).
        local_error: Up to each time, the sum of the solver's bounds on its local errors, Frobenius norm; 0 for a descent.
        method: The solver's name.
    """

    theta: Float
    local_error: Float
    method: str


def integrate(
    setting: Setting,
    inputs: Any,
    targets: Any = None,
    initial_weight: Any = None,
    initial_bias: Any = None,
    *,
    times: Any,
    rtol: float = 1e-10,
    seed: int = 0,
) -> Float:
    r"""Torch's weight at the given times, by solving the training equation itself.

    Args:
        setting: The setting; a flow is solved by an adaptive Runge–Kutta method, a descent by iterating its rule.
        inputs: (N, features) or (N, C, \*spatial).
        targets: With ``Given()`` only.
        initial_weight: Torch's weight; drawn from ``setting.start`` with ``seed`` if None.
        initial_bias: Torch's bias.
        times: Finite flow times, or step counts for a descent, in any order.
        rtol: The solver's relative tolerance per step.
        seed: Seed of the draw.

    Returns:
        (T, \*weight shape).

    Raises:
        SettingError: If a time is negative or infinite, or the problem is too stiff for its size.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientDescent
        >>> setting = Setting(Linear(), GradientDescent(0.25))
        >>> integrate(setting, [[1.0]], initial_weight=[[0.0]], times=[0, 1, 2]).ravel().tolist()
        [0.0, 0.25, 0.4375]
    """
    problem = assemble(setting, inputs, targets, initial_weight, initial_bias, seed)
    weight: Float = problem.to_torch(trajectory(problem, times, rtol).theta)[0]
    return weight


def trajectory(problem: Problem, times: Any, rtol: float = 1e-10) -> Integration:
    """The trajectory of an assembled problem; see :func:`integrate`.

    Raises:
        SettingError: As :func:`integrate`, or if the optimiser is neither a linear descent nor a flow.
    """
    optimizer = problem.setting.optimizer.rule
    if not optimizer.linear:
        message = (
            f"optimizer must be linear in the weights to be integrated, but it is {optimizer} (the flow of a linear "
            "layer, theorem T1, is false for it). Train it with train()."
        )
        raise SettingError(message)
    times = check_times(times, discrete=optimizer.discrete, allow_infinity=False)
    check_number("rtol", rtol, above=0, below=1)
    order = np.argsort(times, kind="stable")
    result = (_iterate if optimizer.discrete else _solve)(problem, times[order], rtol)
    back = np.argsort(order, kind="stable")
    return Integration(result.theta[back], result.local_error[back], result.method)


def _iterate(problem: Problem, steps: Float, rtol: float) -> Integration:
    optimizer: Any = problem.setting.optimizer.rule
    if steps.size and steps[-1] > MAX_STEPS:
        message = (
            f"steps must be at most {MAX_STEPS} to be iterated, but one is {steps[-1]:g}. Use Predictor for so many."
        )
        raise SettingError(message)
    state, done, theta = optimizer.initial_state(problem.start), 0, []
    with quiet():
        for target in steps.astype(int):
            for index in range(done, target):
                state = optimizer.step(state, problem.gradient, index)
            done = target
            theta.append(state[0])
    return Integration(np.array(theta).reshape((-1, *problem.start.shape)), np.zeros(len(steps)), "recurrence")


def _solve(problem: Problem, times: Float, rtol: float) -> Integration:
    optimizer: Any = problem.setting.optimizer.rule
    shape = (len(optimizer.initial_state(problem.start)), *problem.start.shape)

    def velocity(t: float, flat: Float) -> Float:
        state = tuple(flat.reshape(shape))
        return np.array(optimizer.velocity(state, problem.gradient, t)).ravel()

    pushed = adjoint(problem.setting.optimizer.precondition(np, adjoint(problem.features)))
    # The trace of S, which for complex features is real.
    trace = (problem.features.conj() * pushed).real.sum(axis=(1, 2))
    rate = problem.scale * float(trace.max()) + problem.setting.weight_decay
    last = float(times[-1]) if times.size else 0.0
    fastest = max(speeds(optimizer, rate, last or 1.0))
    stiff = fastest * last > MAX_STIFFNESS
    if stiff and math.prod(shape) > MAX_IMPLICIT:
        message = (
            f"times must be at most {MAX_STIFFNESS / fastest:.3g} to be integrated with {math.prod(shape)} unknowns and a "
            f"fastest rate near {fastest:.3g}, but one is {last:g}. Use earlier times, or fewer unknowns."
        )
        raise StiffError(message)
    method = "Radau" if stiff else "DOP853"
    options: dict[str, Any] = {"jac": lambda t, y: _jacobian(velocity, t, y.size)} if stiff else {}
    # A flow whose velocity is singular at 0 says how to get away from there.
    until = next((float(time) for time in times if time > 0), 0.0)
    done, state = optimizer.departure(problem.start, problem.gradient, rate, until) if until else (0.0, ())
    flat = np.array(state).ravel()
    # The absolute tolerance follows the size of the weights, or of the first move where they start at zero.
    first = float(np.abs(problem.gradient(problem.start)).max()) / max(rate, np.finfo(float).tiny)
    size = max(float(np.abs(problem.start).max()), first)
    absolute = rtol * size if size > 0 else rtol
    theta, errors, spent = [], [], 0.0
    for time in times:
        if time > done:
            solution = solve_ivp(velocity, (done, time), flat, method=method, rtol=rtol, atol=absolute, **options)
            if not solution.success:
                stop = f"it stopped at {solution.t[-1]:g}: {solution.message}"
                message = f"times must be reachable by the solver, but {stop} Use earlier times."
                raise SettingError(message)
            # Every accepted step keeps the RMS of error/(atol + rtol·|y|) below 1: at most √n (atol + rtol·max|y|) in norm.
            largest = float(np.abs(solution.y).max())
            allowed = absolute + (rtol + STEP_ROUNDING) * largest
            spent += (len(solution.t) - 1) * np.sqrt(flat.size) * allowed
            flat, done = solution.y[:, -1], float(time)
        theta.append(flat.reshape(shape)[0] if time > 0 else problem.start)
        errors.append(spent)
    return Integration(np.array(theta).reshape((-1, *problem.start.shape)), np.array(errors), method)


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
    matrix = np.array(rows, dtype=float)
    if not np.isfinite(matrix).all():
        message = f"optimizer must have a rule that stays finite, but that of {optimizer} is not at time {time:g}. Bound its rate."
        raise SettingError(message)
    values = np.abs(np.linalg.eigvals(matrix))
    return float(values[values > 0].min(initial=values.max())), float(values.max())


def _jacobian(velocity: Any, t: float, size: int) -> Float:
    """The Jacobian of an affine velocity, column by column, exactly."""
    still = velocity(t, np.zeros(size))
    return np.stack([velocity(t, column) - still for column in np.eye(size)], axis=1)
