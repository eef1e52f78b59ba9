"""Flows of second order: a ball with inertia, under constant friction and under Nesterov's, which fades as 3/t."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import check_number
from theory.errors import SettingError
from theory.optimizers.acceleration import AcceleratedDescent
from theory.optimizers.momentum import HeavyBall
from theory.optimizers.optimizer import Array, Descent, Flow, Gradient, State
from theory.oscillation import bessel_response, damped_response


class InertialFlow(Flow, abstract=True):
    r"""Base of :math:`\ddot W = -f(t)\dot W - \nabla L(W)` with friction :math:`f \ge 0`, from rest."""

    fineness = 0.001

    def companion_time(self, learning_rate: float, steps: Any) -> Any:
        r""":math:`t = k\sqrt\eta`."""
        return steps * math.sqrt(learning_rate)

    def learning_rate_for(self, step: float) -> float:
        r""":math:`\eta = t^2`."""
        return step**2

    def initial_state(self, weight: Any) -> State:
        """The weight and its velocity, 0."""
        return weight, 0 * weight

    def propagator_bound(self, xp: Any, s: Array, time: float) -> list[list[Array]]:
        r"""The energy :math:`s u^2 + \dot u^2` never rises, so :math:`|u|` stays below what it starts with; and it moves no faster."""
        one, root = xp.ones_like(s), xp.sqrt(s)
        reach = xp.where(root * time > 1, 1 / xp.where(root > 0, root, one), time * one)
        return [[one, reach], [root, one]]


@dataclass(frozen=True)
class HeavyBallFlow(InertialFlow):
    r"""A ball with friction, from rest: :math:`\ddot W = -\gamma \dot W - \nabla L(W)`.

    In one mode :math:`g = e^{-\gamma t/2}\big(\cosh\omega t + \tfrac{\gamma}{2\omega}\sinh\omega t\big)` with
    :math:`\omega^2 = \gamma^2/4 - s`; cosine and sine where that is negative. The loss scale c makes it :math:`t\sqrt c` and
    :math:`\gamma/\sqrt c`.

    Args:
        friction: :math:`\gamma \ge 0`. At 0 every mode oscillates for ever, and there is no limit in time.
    """

    friction: float

    def __post_init__(self) -> None:
        check_number("friction", self.friction, at_least=0)

    def velocity(self, state: State, gradient: Gradient, t: Any) -> State:
        """Velocity and acceleration."""
        weight, speed = state
        return speed, -self.friction * speed - gradient(weight)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        """Exponentials combined, so that nothing overflows; the progress from terms of one sign."""
        return damped_response(xp, s, t, self.friction)

    @property
    def has_limit(self) -> bool:
        """Whether every mode of positive rate comes to rest."""
        return self.friction > 0

    def limit_residual(self, xp: Any, s: Array) -> Array:
        """0 in every mode of positive rate, if there is friction.

        Raises:
            SettingError: Without friction, if there is such a mode.
        """
        if not self.has_limit and bool((s > 0).any()):
            message = (
                f"times must be finite for {self}, which oscillates for ever, but one is inf. Use friction above 0."
            )
            raise SettingError(message)
        return super().limit_residual(xp, s)

    def companion(self, learning_rate: float) -> Descent:
        r"""The heavy ball with :math:`\beta = 1 - \gamma\sqrt\eta`; step k is time :math:`k\sqrt\eta`.

        Raises:
            SettingError: If there is no friction (β would be 1), or the learning rate is above :math:`1/\gamma^2`.
        """
        momentum = 1 - self.friction * math.sqrt(learning_rate)
        if not 0 <= momentum < 1:
            message = (
                f"learning_rate must be in (0, 1/friction²] for the companion of {self}, whose momentum is "
                f"1 - friction·√learning_rate = {momentum:g}, but it is {learning_rate:g}. Lower it, or give friction above 0."
            )
            raise SettingError(message)
        return HeavyBall(learning_rate, momentum)

    def gap_bound(self, xp: Any, rate: Array, steps: int, learning_rate: float = 1.0) -> Array | None:
        r"""First order in the time of a step, for :math:`x = \sqrt{\eta s}`, :math:`g = \gamma\sqrt\eta`, :math:`x^2 < 2(2 - g)`.

        In units of a step the flow is :math:`\dot y = xv,\ \dot v = -gv - xy` with y = u, and a step of the companion
        :math:`v_+ = (1 - g)v - xy,\ y_+ = y + xv_+`. On the flow's own path, with z = (y, v), :math:`|\ddot v| \le a\|z\|` for
        :math:`a^2 = g^4 - g^2x^2 + x^4` and :math:`|\dot v| \le b\|z\|` for :math:`b^2 = g^2 + x^2`, so that (Taylor) a step is off by
        :math:`|d_v| \le \tfrac a2\|z\|` and :math:`|d_y| \le x(\tfrac b2 + \tfrac a6)\|z\|`. The companion never raises the energy
        :math:`P = \tfrac12[(2 - g)y^2 - 2x(1 - g)yv + (2 - x^2g)v^2]`: a step takes :math:`\tfrac g2(4 - 2g - x^2)v^2` from it (T20).
        So the gap is at most the P-norm of d, times :math:`(P^{-1})_{yy}^{1/2}`, times :math:`\sum_{j<k}\|z(j)\|`. Along the flow
        :math:`\|z\| \le 1`, and :math:`y^2 + v^2 + \tfrac gx yv` falls exactly as :math:`e^{-gt}` (T20): where g < 2x,
        :math:`\|z(j)\| \le e^{-gj/2}/\sqrt{1 - g/2x}`.

        Raises:
            SettingError: If a mode of the companion does not converge.
        """
        friction = self.friction * math.sqrt(learning_rate)
        room = 2 * (2 - friction) - rate
        if not bool((room > 0).all()):
            message = (
                f"learning_rate must be below {2 * (2 - friction):g}/s_max for the bound between {self} and its companion, but "
                f"learning_rate·s_max is {float(rate.max()):.3g}. Lower it."
            )
            raise SettingError(message)
        x = xp.sqrt(rate)
        jerk = xp.sqrt(friction**4 - friction**2 * rate + rate**2)
        off_speed = jerk / 2
        off_place = x * (xp.sqrt(friction**2 + rate) / 2 + jerk / 6)
        energy = (2 - friction) * off_place**2 + 2 * x * (1 - friction) * off_place * off_speed
        energy = (energy + (2 - rate * friction) * off_speed**2) / 2
        seen = 2 * (2 - rate * friction) / room
        tilt = friction / xp.where(x > 0, 2 * x, 1.0)
        swinging = (x > 0) & (tilt < 1)
        fading = steps if friction == 0 else -math.expm1(-friction * steps / 2) / -math.expm1(-friction / 2)
        path = xp.where(swinging, fading / xp.sqrt(xp.where(swinging, 1 - tilt, 1.0)), 1.0 * steps)
        return xp.where(path < steps, path, 1.0 * steps) * xp.sqrt(energy * seen)


@dataclass(frozen=True)
class NesterovFlow(InertialFlow):
    r"""The limit of Nesterov's method with momentum j/(j + 3): :math:`\ddot W = -\tfrac3t\dot W - \nabla L(W)`, from rest.

    In one mode :math:`g = 2J_1(z)/z` with :math:`z = \sqrt s\,t`: it oscillates, and :math:`|g| \le 2/z` and later about
    :math:`1.6\,z^{-3/2}`. The loss scale c makes it :math:`t\sqrt c`.

    Source: Su, Boyd, Candès, A differential equation for modeling Nesterov's accelerated gradient method (2014).
    """

    def velocity(self, state: State, gradient: Gradient, t: Any) -> State:
        """Velocity and acceleration, for t > 0."""
        weight, speed = state
        return speed, -(3 / t) * speed - gradient(weight)

    def departure(self, weight: Any, gradient: Gradient, rate: float, until: float) -> tuple[float, State]:
        r"""The power series at t = 0, where the velocity is 0/0, up to :math:`\sqrt s\,t = 1/2` in the fastest mode.

        With :math:`u = \sum_n u_n t^{2n}` the equation says :math:`(2n + 2)(2n + 4)\,u_{n+1} = -S u_n`; for an affine
        gradient, :math:`S u_0` is the gradient and :math:`S u_n` its change by :math:`u_n`. Twelve terms leave :math:`10^{-30}`.
        """
        time = until if rate <= 0 else min(until, 0.5 / math.sqrt(rate))
        slope = gradient(weight)
        term, moved, speed = -slope * (time**2 / 8), 0 * weight, 0 * weight
        for n in range(1, 13):
            moved, speed = moved + term, speed + term * (2 * n / time)
            term = (slope - gradient(weight + term)) * (time**2 / ((2 * n + 2) * (2 * n + 4)))
        return time, (weight + moved, speed)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        """Poisson's integral by Gauss's rule, and Hankel's expansion for late times."""
        return bessel_response(xp, xp.sqrt(s) * t)

    def companion(self, learning_rate: float) -> Descent:
        """Accelerated descent, whose momentum grows with the steps."""
        return AcceleratedDescent(learning_rate)
