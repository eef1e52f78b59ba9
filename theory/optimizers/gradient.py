"""The gradient itself: as a flow, and in steps; with a learning-rate schedule if wanted."""

import math
from dataclasses import dataclass, fields
from typing import Any

from theory.component import Named, check_number
from theory.errors import SettingError
from theory.iteration import scheduled_descent
from theory.optimizers.optimizer import Array, Descent, Flow, Gradient, Optimizer, State
from theory.schedules import Schedule

LOOKED_AT = 2000  # steps of a schedule, in search of growth
LARGEST_LOG = 700.0  # of a growth that float64 holds


def shown(optimizer: Optimizer) -> str:
    """The constructor's call, without a schedule that is None."""
    values = [(field.name, getattr(optimizer, field.name)) for field in fields(optimizer)]  # type: ignore[arg-type]
    return (
        f"{type(optimizer).__name__}({', '.join(f'{name}={value!r}' for name, value in values if value is not None)})"
    )


def check_schedule(schedule: Any) -> None:
    """Refuses what is no schedule.

    Raises:
        SettingError: With what it is.
    """
    if schedule is not None and not isinstance(schedule, Schedule):
        message = f"schedule must be a Schedule or None, but it is {schedule!r}. Pass, say, LinearWarmup(10) or Expression('1/(1 + t)')."
        raise SettingError(message)


@dataclass(frozen=True)
class GradientFlow(Flow):
    r"""Gradient flow, :math:`\dot W = -m(t)\nabla L(W)`: :math:`\dot u = -m(t)su`, :math:`g = e^{-s\tau(t)}`, :math:`\tau = \int_0^t m`.

    Args:
        schedule: m; None is 1, for :math:`g = e^{-st}`. Where τ stays finite the limit is :math:`e^{-s\tau(\infty)}`.

    Raises:
        SettingError: If the schedule has no antiderivative that is known.

    Example:
        >>> import numpy as np
        >>> from theory.schedules import LinearWarmup
        >>> residual, _ = GradientFlow(LinearWarmup(2)).response(np, np.array(1.0), np.array(2.0))     # τ(2) = 1
        >>> round(float(residual), 12)
        0.367879441171
    """

    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        check_schedule(self.schedule)
        if self.schedule is not None:
            _ = self.schedule.integral_formula

    def __repr__(self) -> str:
        return shown(self)

    def velocity(self, state: State, gradient: Gradient, t: Any) -> State:
        """Downhill."""
        downhill = -gradient(state[0])
        return (downhill if self.schedule is None else self.schedule(t) * downhill,)

    def _clock(self, xp: Any, t: Array) -> Array:
        """τ at each time."""
        if self.schedule is None:
            return t
        t = xp.asarray(t)
        times = [self.schedule.integral(time) for time in t.reshape(-1).tolist()]
        return xp.asarray(times, dtype=t.dtype).reshape(t.shape)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        r""":math:`e^{-s\tau}` and :math:`-\mathrm{expm1}(-s\tau)`."""
        flow = s * self._clock(xp, t)
        return xp.exp(-flow), -xp.expm1(-flow)

    @property
    def has_limit(self) -> bool:
        """Whether τ(∞) is known."""
        return self.schedule is None or self.schedule.total is not None

    @property
    def converges(self) -> bool:
        """Whether τ grows for ever."""
        return self.schedule is None or self.schedule.total == math.inf

    def limit_residual(self, xp: Any, s: Array) -> Array:
        r"""0 in every mode of positive rate; :math:`e^{-s\tau(\infty)}` where that is finite.

        Raises:
            SettingError: If τ(∞) is not known.
        """
        return self.limit_response(xp, s)[0]

    def limit_response(self, xp: Any, s: Array) -> tuple[Array, Array]:
        """The residual and the progress at infinite time."""
        if self.converges:
            moving = xp.where(s > 0, xp.ones_like(s), xp.zeros_like(s))
            return 1 - moving, moving
        if self.schedule is None or self.schedule.total is None:
            message = f"times must be finite for {self}, whose schedule has an integral of unknown limit, but one is inf. Use a large time."
            raise SettingError(message)
        return xp.exp(-s * self.schedule.total), -xp.expm1(-s * self.schedule.total)

    def steady(self, time: float) -> tuple[Optimizer, float]:
        """The flow of constant rate at the time τ."""
        if self.schedule is None:
            return self, time
        total = self.schedule.total
        return GradientFlow(), self.schedule.integral(time) if math.isfinite(
            time
        ) else math.inf if total is None else total

    def duration(self, units: float) -> float:
        """The time at which τ is so much, or 1000 times as much time if it grows slowly; if it ends before, some time after that."""
        if self.schedule is None:
            return units
        total = self.schedule.total
        if total is not None and total <= units:
            return 10 * self.schedule.reach(total / 2)
        return min(self.schedule.reach(units), 1000 * units)

    def companion(self, learning_rate: float) -> Descent:
        """Gradient descent, whose step j has the rate of the time jη."""
        return GradientDescent(learning_rate, None if self.schedule is None else self.schedule.scaled(learning_rate))

    def gap_bound(self, xp: Any, rate: Array, steps: int, learning_rate: float = 1.0) -> Array | None:
        r""":math:`0 \le e^{-xk} - (1 - x)^k \le \tfrac{k x^2}{2} e^{-x(k-1)}` for :math:`x = \eta s \in [0, 1]`.

        With a schedule, :math:`x_j = m(j\eta)x`: :math:`0 \le \prod e^{-x_j} - \prod(1 - x_j) \le
        \sum_j \tfrac{x_j^2}{2}e^{x_j}\,e^{-\sum x_j}`, and the sum :math:`\eta\sum_j m(j\eta)` is off the integral by at most η times
        the change of m, if m is monotone: :math:`|e^{-s\tau} - e^{-\sum x_j}| \le \delta e^{\delta - \sum x_j}`, :math:`\delta =
        x\,|m(k\eta) - m(0)|`.

        Source: telescoped difference of products with :math:`e^{-x} - (1 - x) \le x^2/2`; Riemann sums of monotone functions.

        Returns:
            The bound; None for a schedule that is not known to be monotone.

        Raises:
            SettingError: If a rate is above 1, where the bound does not hold.
        """
        multipliers = [1.0] if self.schedule is None else self.schedule.scaled(learning_rate).values(range(steps + 1))
        fastest = float(rate.max()) * max(multipliers)
        if fastest > 1:
            message = (
                f"learning_rate must be at most 1/s_max for the descent-against-flow bound, but learning_rate·s_max is "
                f"{fastest:.3g}. Lower it."
            )
            raise SettingError(message)
        if self.schedule is None:
            return steps * rate**2 / 2 * xp.exp(-rate * max(steps - 1, 0))
        if not self.schedule.monotone:
            return None
        total, squares = math.fsum(multipliers[:steps]), math.fsum(m * m for m in multipliers[:steps])
        drift = rate * abs(multipliers[-1] - multipliers[0])
        kept = xp.exp(-rate * total)
        return rate**2 / 2 * squares * xp.exp(rate * max(multipliers)) * kept + drift * xp.exp(drift) * kept


@dataclass(frozen=True)
class GradientDescent(Descent):
    r"""Gradient descent, :math:`W_{k+1} = W_k - \eta m_k \nabla L(W_k)`: :math:`g = \prod_{j<k}(1 - \eta m_j s)`.

    Without a schedule :math:`g = (1 - \eta s)^k`.

    Args:
        learning_rate: :math:`\eta > 0`; converges below :math:`2/(m_\infty s_{\max})`.
        schedule: :math:`m_k` at step k, counted from 0; None is 1. Torch's ``LambdaLR``.
    """

    learning_rate: float
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_schedule(self.schedule)

    def __repr__(self) -> str:
        return shown(self)

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """One step downhill."""
        (weight,) = state
        rate = self.learning_rate if self.schedule is None else self.learning_rate * self.schedule(index)
        return (weight - rate * gradient(weight),)

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        r""":math:`(1 - x)^k` by logarithms that keep their digits near x = 0 and x = 2; the sign apart."""
        x = self.learning_rate * s
        if self.schedule is not None:
            return scheduled_descent(xp, x, t, self.schedule)
        overshoots = x > 1
        # |1 - x| = 1 - x or 1 + (x - 2); where it is 0, any start of the logarithm would do: the power is put right below.
        shift = xp.where(overshoots, x - 2, -x)
        vanishes = shift <= -1
        exponent = t * xp.log1p(xp.where(vanishes, xp.zeros_like(shift), shift))
        exponent = xp.where(vanishes, xp.where(t > 0, -math.inf, 0.0), exponent)
        sign = xp.where(overshoots, 1 - 2 * (t % 2), xp.ones_like(exponent))
        size = xp.exp(exponent)
        return sign * size, xp.where(sign < 0, 1 + size, -xp.expm1(exponent))

    @property
    def has_limit(self) -> bool:
        """Whether it is known how the product ends."""
        return self.converges or self._stops

    @property
    def converges(self) -> bool:
        """Whether the multipliers are known to add up to infinity: they tend to something else than 0, or fall too slowly."""
        if self.schedule is None:
            return True
        final = self.schedule.final
        if final is None or final > 0:
            return final is not None
        return not self._stops and self.schedule.monotone and _total(self.schedule) == math.inf

    @property
    def _stops(self) -> bool:
        return self.schedule is not None and self.schedule.final == 0 and math.isfinite(self.schedule.settles)

    def steady(self, time: float) -> tuple[Optimizer, float]:
        """At infinity, the last step that moves if there is one."""
        if math.isinf(time) and self._stops and self.schedule is not None:
            return self, math.ceil(self.schedule.settles)
        return self, time

    def propagator_bound(self, xp: Any, s: Array, time: float) -> list[list[Array]] | None:
        """1 where a monotone schedule never overshoots by more than it corrects: no factor is above 1 in modulus."""
        if self.schedule is None or not self.schedule.monotone:
            return None
        most = self.learning_rate * max(self.schedule(0), self.schedule(time)) * float(s.max())
        return [[xp.ones_like(s)]] if most <= 2 else None

    def limit_residual(self, xp: Any, s: Array) -> Array:
        """0 in every mode of positive rate; the product of all steps if a schedule ends with 0.

        Raises:
            SettingError: If it is not known how the product ends.
        """
        return self.limit_response(xp, s)[0]

    def limit_response(self, xp: Any, s: Array) -> tuple[Array, Array]:
        """The residual and the progress after infinitely many steps."""
        if self._stops and self.schedule is not None:
            return self.response(xp, s, xp.asarray(float(math.ceil(self.schedule.settles)), dtype=s.dtype))
        if not self.converges:
            message = (
                f"steps must be finite for {self}, whose multipliers are not known to add up to infinity nor to end with 0, but "
                "one is inf. Use a large number of steps."
            )
            raise SettingError(message)
        moving = xp.where(s > 0, xp.ones_like(s), xp.zeros_like(s))
        return 1 - moving, moving

    def max_learning_rate(self, s_max: float) -> float:
        r""":math:`2/(m_\infty s_{max})`; no limit where :math:`m_\infty` is 0 or unknown.

        Raises:
            SettingError: If the multiplier grows for ever.
        """
        final = 1.0 if self.schedule is None else self.schedule.final or 0.0
        if s_max > 0 and math.isinf(final):
            message = (
                f"schedule must stay bounded, but the multiplier of {self.schedule} grows for ever: {self} would diverge in the mode "
                f"of eigenvalue {s_max:.6g}, and in every other. Use a schedule with a limit, such as LinearWarmup(10)."
            )
            raise SettingError(message)
        return 2 / s_max / final if s_max > 0 and final > 0 else math.inf

    def growth(self, xp: Any, s: Array) -> Array:
        """By any run of the first steps whose factors are above 1, not only from the start: rounding on the way grows too."""
        worst = xp.zeros_like(s)
        if self.schedule is None:
            return xp.exp(worst)
        multipliers = self.schedule.values(range(math.ceil(min(self.schedule.settles, LOOKED_AT))))
        overshoots = self.learning_rate * s * max(multipliers, default=0.0) > 2  # no factor of the others is above 1
        rates, so_far = self.learning_rate * s[overshoots], xp.zeros_like(s[overshoots])
        peak = xp.zeros_like(so_far)
        for multiplier in multipliers if len(rates) else ():
            factor = abs(1 - multiplier * rates)
            vanishes = factor == 0
            step = xp.where(vanishes, -math.inf, xp.log(xp.where(vanishes, xp.ones_like(factor), factor)))
            so_far = xp.where(so_far > 0, so_far, xp.zeros_like(so_far)) + step
            peak = xp.where(so_far > peak, so_far, peak)
        worst[overshoots] = xp.where(peak < LARGEST_LOG, peak, LARGEST_LOG + 0 * peak)
        return xp.exp(worst)

    def flow_time(self, steps: float) -> float:
        r""":math:`t = \eta\sum_{j<k} m_j`."""
        if self.schedule is None:
            return steps * self.learning_rate
        moving = min(int(steps), math.ceil(min(self.schedule.settles, steps)))
        rest = (steps - moving) * self.schedule(moving) if steps > moving else 0.0
        return self.learning_rate * (math.fsum(self.schedule.values(range(moving))) + rest)

    def torch_optimizer(self) -> Named:
        """Plain SGD."""
        return Named("torch.optim.SGD", {"lr": self.learning_rate})

    def torch_scheduler(self) -> Named | None:
        """Torch's ``LambdaLR``, if there is a schedule."""
        return (
            None if self.schedule is None else Named("torch.optim.lr_scheduler.LambdaLR", {"lr_lambda": self.schedule})
        )


def _total(schedule: Schedule) -> float | None:
    try:
        return schedule.total
    except SettingError:  # no antiderivative
        return None
