"""The oracle for one ReLU layer on one example: an adaptive solver that looks for the deaths as events. It knows no closed form."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from numerics.arrays import Float, check_times


@dataclass(frozen=True)
class ReLUTrajectory:
    """What the solver found.

    Attributes:
        weights: (T, q, d).
        death_times: (q,), inf for a unit that was not switched off before the last time.
        local_error: Up to the last time, the sum of the solver's bounds on its local errors, Frobenius norm.
    """

    weights: Float
    death_times: Float
    local_error: float


def integrate_relu(weight: Float, example: Float, target: Float, times: Any, rtol: float = 1e-11) -> ReLUTrajectory:
    r"""Integrates :math:`\dot W = -(\mathrm{relu}(W\hat x) - y)\,[W\hat x > 0]\,\hat x^\top`, restarted at each unit's zero.

    The flow contracts (each unit's rate is at least 0), so that the error at the end is at most the sum of the local ones.

    Args:
        weight: The start, (q, d).
        example: x̂, (d,).
        target: y, (q,).
        times: Finite times.
        rtol: Relative tolerance of each step; the absolute one is the same share of the largest entry of the start.
    """
    marks = check_times(times, discrete=False, allow_infinity=False)
    q, d = weight.shape
    atol = rtol * max(float(np.abs(weight).max()), 1e-300)
    on = weight @ example > 0
    deaths = np.full(q, math.inf)
    state, now, error = weight.ravel().copy(), 0.0, 0.0
    found = np.empty((len(marks), q, d))
    order = np.argsort(marks)
    waiting = list(order)

    while waiting:
        end = float(marks[waiting[-1]])
        if end > now and on.any():
            result = _until_a_zero(state, now, end, on.copy(), example, target, rtol, atol)
            error += len(result.t) * math.sqrt(state.size) * (atol + rtol * float(np.abs(result.y).max()))
            reached = float(result.t[-1])
            inside = [index for index in waiting if marks[index] <= reached]
            for index in inside:
                found[index] = result.sol(marks[index]).reshape((q, d))
            waiting = waiting[len(inside) :]
            state, now = result.y[:, -1], reached
            if result.status == 1:  # an event: switch off the unit that came down to 0
                live = np.flatnonzero(on)
                first = next(unit for unit, found_at in zip(live, result.t_events, strict=True) if len(found_at))
                on[first], deaths[first] = False, now
        else:
            for index in waiting:
                found[index] = state.reshape((q, d))
            waiting = []
    return ReLUTrajectory(found, deaths, error)


def _until_a_zero(
    state: Float, now: float, end: float, on: Any, example: Float, target: Float, rtol: float, atol: float
) -> Any:
    """One run of the solver with the live units fixed, stopped where one of them comes down to 0."""
    q, d = len(target), len(example)

    def velocity(_: float, flat: Float) -> Float:
        outputs = np.maximum(flat.reshape((q, d)) @ example, 0.0)
        return -np.outer((outputs - target) * on, example).ravel()

    def event(index: int) -> Any:
        def height(_: float, flat: Float) -> float:
            return float(flat[index * d : (index + 1) * d] @ example)

        height.terminal, height.direction = True, -1.0  # type: ignore[attr-defined]
        return height

    events = [event(index) for index in range(q) if on[index]]
    return solve_ivp(
        velocity, (now, end), state, method="DOP853", rtol=rtol, atol=atol, events=events, dense_output=True
    )
