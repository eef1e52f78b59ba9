"""The oracle: the flow by an adaptive solver, the descent by its own recurrence. It knows no closed form."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import DOP853, Radau

from numerics.arrays import Float, check_times, quiet
from numerics.plan import StiffError, check_state, fastest_rate, plan, speeds
from numerics.problem import Problem, assemble
from numerics.rows import RowRadau, row_jacobian
from numerics.slope import Function, Slope
from numerics.states import STATES, State
from theory.component import check_number
from theory.errors import SettingError
from theory.schedules import Schedule
from theory.setting import Setting

MAX_STEPS = 10**7
MAX_CALLS = 50_000  # of a slope of the user's, by the explicit solver
MAX_DENSE = 300  # unknowns of an implicit solver that has no better Jacobian than differences of such a slope
STEP_ROUNDING = 64 * float(np.finfo(np.float64).eps)  # of the sums of a step with at most 12 stages


@dataclass(frozen=True)
class Integration:
    """A trajectory and what the solver claims of it.

    Attributes:
        theta: Block weights at the times asked for, (T, blocks, q, d).
        local_error: Up to each time, the sum of bounds on the errors made on the way, Frobenius norm of the weights: the solver's
            local errors, and the rounding of the dual state. 0 for a descent of the weights themselves.
        residual_error: Up to each time, a bound on the rounding of a reduced state's residual at any time, Frobenius norm.
        gradient_error: Likewise of its gradient, in any direction.
        method: The solver's name.
        state: What was integrated: "full", "dual" or "gram".
    """

    theta: Float
    local_error: Float
    residual_error: Float
    gradient_error: Float
    method: str
    state: str


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
    state: str = "auto",
    slope: Function | None = None,
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
        state: What is carried: "full", the weights; "dual", their coordinates in the start and the features of the examples;
            "gram", the weights with the Gram matrix of the features; "auto" takes the cheapest.
        slope: Another loss, or a nonlinearity after the layer: a function of the layer's outputs (N, \*output shape) and the
            targets that returns the gradient of the whole loss in the outputs, in their shape. The setting's own loss is then not
            used; its weight decay is. None is the squared error.

    Returns:
        (T, \*weight shape).

    Raises:
        SettingError: If a time is negative or infinite, the slope is not what it must be, or ``state`` is none of these.
        StiffError: If the equation is too stiff for its size.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientDescent
        >>> setting = Setting(Linear(), GradientDescent(0.25))
        >>> integrate(setting, [[1.0]], initial_weight=[[0.0]], times=[0, 1, 2]).ravel().tolist()
        [0.0, 0.25, 0.4375]
        >>> integrate(setting, [[1.0]], initial_weight=[[0.0]], times=[1], slope=lambda y, target: 0 * y - 1).tolist()
        [[[0.25]]]
    """
    problem = assemble(setting, inputs, targets, initial_weight, initial_bias, seed)
    weight: Float = problem.to_torch(trajectory(problem, times, rtol, state=state, slope=slope).theta)[0]
    return weight


def trajectory(
    problem: Problem, times: Any, rtol: float = 1e-10, *, state: str = "auto", slope: Function | None = None
) -> Integration:
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
    if optimizer.discrete and times.size and times.max() > MAX_STEPS:
        message = (
            f"steps must be at most {MAX_STEPS} to be iterated, but one is {times.max():g}. Use Predictor for so many."
        )
        raise SettingError(message)
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    if slope is not None:
        result = _sloped(problem, ordered, rtol, state, slope)
    else:
        way = plan(problem, float(times.max(initial=0.0)), state)
        chosen = STATES[way.state](problem)
        result = _iterate(chosen, ordered) if optimizer.discrete else _solve(chosen, ordered, rtol, way.implicit)
    back = np.argsort(order, kind="stable")
    errors = result.local_error[back], result.residual_error[back], result.gradient_error[back]
    return Integration(result.theta[back], *errors, result.method, result.state)


def _sloped(problem: Problem, times: Float, rtol: float, state: str, slope: Function) -> Integration:
    """By another loss: its stiffness is not known before, and no row is like another."""
    check_state(state)
    if state == "gram":
        message = (
            "state must be full or dual with a slope, but it is gram, which is for the squared error. Use state='auto'."
        )
        raise SettingError(message)
    features, columns = problem.features.shape[-2:]
    name = state if state != "auto" else "dual" if columns < features else "full"
    chosen, rule = STATES[name](problem, Slope(problem, slope)), problem.setting.optimizer.rule
    if rule.discrete:
        return _iterate(chosen, times)
    if rule.departure(chosen.start, chosen.gradient, 1.0, 1.0)[0] > 0:  # type: ignore[attr-defined]
        message = (
            f"optimizer must have a rule that is regular at time 0 with a slope, but that of {rule} leaves it by a power series for "
            "affine gradients. Use GradientFlow, HeavyBallFlow or a descent."
        )
        raise SettingError(message)
    try:
        return _solve(chosen, times, rtol, implicit=False, calls=MAX_CALLS)
    except StiffError:
        if chosen.start.size * len(rule.initial_state(0.0)) > MAX_DENSE:
            raise
        return _solve(chosen, times, rtol, implicit=True, dense=True)


class _Watched:
    """A state's gradient, which remembers the worst rounding of any call, and refuses too many."""

    def __init__(self, state: State, calls: int | None) -> None:
        self.state, self.left = state, calls
        self.worst = 0.0, 0.0

    def __call__(self, vector: Float) -> Float:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                message = (
                    f"times must be reachable in {MAX_CALLS} calls of slope by the explicit solver, but they are not, and the state "
                    f"has more than {MAX_DENSE} unknowns, {vector.size}. Use earlier times, a larger rtol, or fewer examples."
                )
                raise StiffError(message)
        found = self.state.residual_error(vector), self.state.gradient_error(vector)
        self.worst = max(self.worst[0], found[0]), max(self.worst[1], found[1])
        return self.state.gradient(vector)


def _iterate(state: State, steps: Float) -> Integration:
    problem = state.problem
    optimizer: Any = problem.setting.optimizer.rule
    gradient = _Watched(state, None)
    vectors, done, spent = optimizer.initial_state(state.start), 0, 0.0
    theta, errors, worst = [], [], []
    with quiet():
        for target in steps.astype(int):
            for index in range(done, target):
                vectors = optimizer.step(vectors, gradient, index)
                spent += state.step_error(vectors)
            done = target
            theta.append(state.weight(vectors[0]) if done else problem.start)
            errors.append(spent + (state.lifting_error(vectors[0]) if done else 0.0))
            worst.append(gradient.worst)
    return _integration(state, theta, errors, worst, "recurrence")


def _integration(state: State, theta: Any, errors: Any, worst: Any, method: str) -> Integration:
    theta = np.array(theta).reshape((-1, *state.problem.start.shape))
    residual, gradient = np.array(worst, dtype=np.float64).reshape((-1, 2)).T
    return Integration(theta, np.array(errors, dtype=np.float64), residual, gradient, method, state.name)


def _corners(schedule: Schedule | None) -> list[float]:
    """The times at which a schedule goes over from one formula to another."""
    return [] if schedule is None else [float(piece.until) for piece in schedule.pieces[:-1]]


def _solve(
    state: State, times: Float, rtol: float, implicit: bool, *, dense: bool = False, calls: int | None = None
) -> Integration:
    problem = state.problem
    optimizer: Any = problem.setting.optimizer.rule
    watched = _Watched(state, calls)
    parts = len(optimizer.initial_state(state.start))
    numbers = state.start.dtype

    def rule(t: float, flat: Float, gradient: Any) -> Float:
        vectors = tuple(flat.view(numbers).reshape((parts, -1)))
        moved: Float = np.concatenate(optimizer.velocity(vectors, gradient, t)).view(np.float64)
        return moved

    def velocity(ticks: float, flat: Float) -> Float:
        return rule(ticks / clock, flat, watched) / clock

    def rows(ticks: float) -> Any:
        return row_jacobian(state, optimizer, lambda t, flat: rule(t, flat, state.gradient), ticks / clock).slower(
            clock
        )

    solver: Any = DOP853 if not implicit else Radau if dense else RowRadau
    options: dict[str, Any] = {"rows": rows} if implicit and not dense else {}
    rate = fastest_rate(problem)
    # The solver's clock ticks about once in the fastest mode's time: scipy squares velocities, which must not underflow.
    fastest = max(speeds(optimizer, rate, float(times[-1]) or 1.0)) if times.size else 0.0
    clock = 2.0 ** round(math.log2(fastest)) if fastest > 0 else 1.0
    # A flow whose velocity is singular at 0 says how to get away from there.
    until = next((float(time) for time in times if time > 0), 0.0)
    done, vectors = (
        optimizer.departure(state.start, watched, rate, until) if until else (0.0, optimizer.initial_state(state.start))
    )
    flat = np.concatenate(vectors).view(np.float64)
    # The absolute tolerance follows the size of the weights, or of the first move where they start at zero.
    lead = np.arange(flat.size) % (flat.size // parts) < state.lead * numbers.itemsize // 8
    moved = np.abs(state.gradient(state.start)).max(initial=0.0)
    size = max(float(np.abs(problem.start).max()), float(moved) / max(rate, np.finfo(float).tiny))
    absolute = np.where(lead, float(np.linalg.norm(problem.start)) or 1.0, size if size > 0 else 1.0) * rtol
    # What is before the rows moves by decay only, and a step of it is 0 without.
    counted = [lead, ~lead] if state.lead and problem.setting.weight_decay > 0 else [~lead]
    theta, errors, worst, spent = [], [], [], 0.0
    for time in times:
        # No step goes across a corner of the schedule, where the solver's estimate of its error would be wrong.
        for stop in [*(corner for corner in _corners(optimizer.schedule) if done < corner < time), float(time)]:
            if stop <= done:
                continue
            run = solver(velocity, done * clock, flat, stop * clock, rtol=rtol, atol=absolute, **options)
            while run.status == "running":
                message = run.step()
                largest = np.maximum(np.abs(run.y), np.abs(flat))
                # An accepted step keeps the RMS of error/(atol + rtol·|y|) below 1: at most √n (atol + rtol·max|y|) in norm.
                allowed = absolute + (rtol + STEP_ROUNDING) * largest
                spent += np.sqrt(flat.size) * sum(float(allowed[part].max()) for part in counted)
                flat = run.y
            if run.status == "failed":
                message = f"times must be reachable by the solver, but it stopped at {run.t / clock:g}: {message} Use earlier times."
                raise SettingError(message)
            flat, done = run.y, stop
        final = flat.view(numbers).reshape((parts, -1))[0]
        theta.append(state.weight(final) if time > 0 else problem.start)
        errors.append(spent + (state.lifting_error(final) if time > 0 else 0.0))
        worst.append(watched.worst)
    return _integration(state, theta, errors, worst, "Radau" if implicit else "DOP853")
