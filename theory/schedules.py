r"""Learning-rate schedules: a multiplier :math:`m(t) \ge 0` of the rate, of flow time or of the number of steps.

What a schedule does is said by formulas, piece by piece: the multiplier and its integral :math:`\tau(t) = \int_0^t m`. The
formulas are what is proved (:mod:`theory.varying`), and what is evaluated: m in float64 by the standard library alone, τ by mpmath.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from theory.component import Component, check_number
from theory.errors import SettingError

if TYPE_CHECKING:
    import sympy

LATEST = 1e300
BETWEEN = 32  # times before the one asked for at which the sign is looked at, where no formula says it


class Piece(NamedTuple):
    """A stretch of time with one formula.

    Attributes:
        until: Where it ends; oo for the last.
        multiplier: m(t).
        integral: τ(t), from time 0 on.
    """

    until: sympy.Expr
    multiplier: sympy.Expr
    integral: sympy.Expr


class Schedule(Component):
    """Base of the schedules. A subclass gives ``pieces``; what is asked of it is derived from them."""

    monotone: ClassVar[bool] = True
    settles: float = math.inf  # the time from which the multiplier no longer changes

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The formulas, in the order of time."""
        raise NotImplementedError

    @property
    def final(self) -> float | None:
        """What the multiplier tends to; None where that is not known."""
        raise NotImplementedError

    @property
    def total(self) -> float | None:
        """τ at infinite time, inf where it grows for ever; None where that is not known."""
        raise NotImplementedError

    def scaled(self, pace: float) -> Schedule:
        """The schedule of time pace·t: what a descent sees at step t if each step takes so much time."""
        raise NotImplementedError

    def __call__(self, time: Any) -> Any:
        """The multiplier at one time: a number, or a formula for a sympy symbol.

        Raises:
            SettingError: If it is negative or not finite there.
        """
        if not isinstance(time, numbers.Real) and not hasattr(time, "dtype"):
            return self.multiplier.subs(_formulas().t, time)
        time = float(time)
        value: float = _formulas().evaluated(_multiplier(self), time)
        if not 0 <= value < math.inf:
            what = "negative" if value < 0 else "not finite"
            message = (
                f"schedule must be a finite number at least 0 at every time, but {self} is {what}, {value:g}, at {time:g}. "
                "Change it, or ask for earlier times."
            )
            raise SettingError(message)
        return value

    def values(self, times: Any) -> list[float]:
        """The multiplier at each of the times."""
        return list(map(self, times))

    def integral(self, time: float) -> float:
        r""":math:`\tau(t)` at one finite time, to the last digit: as many digits are carried as its terms cancel.

        Raises:
            SettingError: If m is negative or not finite at that time, or τ is.
        """
        self(time)
        value: float = _integral(self, float(time))
        if not 0 <= value < math.inf:
            message = (
                f"schedule must be finite and at least 0 at every time, but the integral of {self} up to {time:g} is {value:g}. "
                "Use a formula without poles, or ask for earlier times."
            )
            raise SettingError(message)
        return value

    def reach(self, flow_time: float) -> float:
        """The time at which τ reaches ``flow_time``, by bisection; inf where it never does, or beyond 1e300."""
        if self.total is not None and flow_time >= self.total:
            return math.inf
        low, high, factor = 0.0, 1.0, 2.0
        while self.integral(high) < flow_time:  # ever larger strides: from 1 to 1e300 in ten
            if high >= LATEST:
                return math.inf
            low, high, factor = high, min(high * factor, LATEST), min(factor * factor, LATEST)
        while low == 0 and high > 1 / LATEST and self.integral(high / factor) >= flow_time:
            high, factor = high / factor, min(factor * factor, high * LATEST)
        low = max(low, high / factor)
        while high > 2 * low:  # in ratio, then in distance
            middle = math.sqrt(low) * math.sqrt(high)
            low, high = (middle, high) if self.integral(middle) < flow_time else (low, middle)
        for _ in range(54):
            middle = low + (high - low) / 2
            low, high = (middle, high) if self.integral(middle) < flow_time else (low, middle)
        return high

    @property
    def multiplier(self) -> sympy.Expr:
        """m(t)."""
        return _formulas().joined([(piece.multiplier, piece.until) for piece in self.pieces])

    @property
    def integral_formula(self) -> sympy.Expr:
        """τ(t)."""
        return _formulas().joined([(piece.integral, piece.until) for piece in self.pieces])


@dataclass(frozen=True)
class Timed(Schedule, abstract=True):
    """Base of schedules that change up to a time and are constant from there on.

    Args:
        duration: T > 0, in flow time or steps.
    """

    duration: float

    def __post_init__(self) -> None:
        check_number("duration", self.duration, above=0)

    @property
    def settles(self) -> float:  # type: ignore[override]
        """T."""
        return float(self.duration)

    def scaled(self, pace: float) -> Schedule:
        """The same of T/pace."""
        return self.with_values(duration=self.duration / pace)


@dataclass(frozen=True)
class LinearWarmup(Timed):
    r"""From 0 to the whole rate on a line: :math:`m = \min(t/T, 1)`. At step 0 of a descent nothing moves.

    Args:
        duration: :math:`T > 0`, in flow time or steps.

    Example:
        >>> warmup = LinearWarmup(4)
        >>> warmup.values([0, 1, 4, 9]), warmup.integral(4), warmup.integral(6)
        ([0.0, 0.25, 1.0, 1.0], 2.0, 4.0)
    """

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The line, then 1."""
        t, end = _formulas().t, _formulas().exactly(self.duration)
        return Piece(end, t / end, t**2 / (2 * end)), Piece(_formulas().ENDLESS, 0 * t + 1, t - end / 2)

    @property
    def final(self) -> float:
        """The whole rate."""
        return 1.0

    @property
    def total(self) -> float:
        """It grows for ever."""
        return math.inf


@dataclass(frozen=True)
class LinearDecay(Timed):
    r"""From the whole rate to 0 on a line, then 0: :math:`m = \max(1 - t/T, 0)`.

    Training stops at T: the limit is the weight at that time, at :math:`\tau(\infty) = T/2`, not that of the flow.

    Args:
        duration: :math:`T > 0`, in flow time or steps.

    Example:
        >>> decay = LinearDecay(4)
        >>> decay.values([0, 1, 4, 9]), decay.integral(2), decay.total
        ([1.0, 0.75, 0.0, 0.0], 1.5, 2.0)
    """

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The line, then 0."""
        t, end = _formulas().t, _formulas().exactly(self.duration)
        return Piece(end, 1 - t / end, t - t**2 / (2 * end)), Piece(_formulas().ENDLESS, 0 * t, end / 2 + 0 * t)

    @property
    def final(self) -> float:
        """Nothing moves any more."""
        return 0.0

    @property
    def total(self) -> float:
        """The triangle under the line."""
        return self.duration / 2


@dataclass(frozen=True)
class Cosine(Timed):
    r"""Half a wave from 1 down to ``final``, then constant: :math:`m = f + (1 - f)\tfrac{1 + \cos(\pi t/T)}2`.

    With final 0 training stops at T: the limit is the weight at that time, not that of the flow.

    Args:
        duration: :math:`T > 0`, in flow time or steps.
        final: :math:`f \in [0, 1]`.

    Example:
        >>> cosine = Cosine(8)
        >>> [round(value, 12) for value in cosine.values([0, 4, 8, 99])], cosine.total
        ([1.0, 0.5, 0.0, 0.0], 4.0)
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("final", self.final, at_least=0)
        if self.final > 1:
            message = f"final must be at most 1, the multiplier that the wave starts from, but it is {self.final:g}. Choose one in [0, 1]."
            raise SettingError(message)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The wave, then the final multiplier."""
        t, end, last = _formulas().t, _formulas().exactly(self.duration), _formulas().exactly(self.final)
        half, area = _formulas().half_wave(end)
        wave, risen = last + (1 - last) * half, last * t + (1 - last) * area
        return Piece(end, wave, risen), Piece(_formulas().ENDLESS, last, (1 + last) / 2 * end + last * (t - end))

    @property
    def total(self) -> float:
        """T/2 if it ends at 0."""
        return math.inf if self.final > 0 else self.duration / 2


@dataclass(frozen=True)
class Expression(Schedule):
    r"""A formula in t, such as ``"1/(1 + t)"`` or ``"exp(-t/10)"``; its integral is what sympy finds.

    Args:
        formula: A string in numbers, t, pi, + - * / ** and exp, log, sqrt, sin, cos, tanh; or a sympy expression in the
            symbol t. It is read by a whitelist, never evaluated as Python.

    It must be finite and at least 0 at every time. That is decided for products and powers of polynomials and of what sympy
    knows to be positive, up to 60 operations; of other formulas the sign, and that of what is divided by, is looked at at some
    1450 times from 1e-3 to 1e6, and at 32 more before the time of every integral: a pole or a dip in between is not seen.

    Raises:
        SettingError: If it is not such a formula, or is seen to be negative, infinite or not real at some time.

    Example:
        >>> decay = Expression("1/(1 + t)")
        >>> decay(3), decay.integral_formula, decay.total
        (0.25, log(t + 1), inf)
    """

    formula: str

    def __post_init__(self) -> None:
        parsed = _formulas().parsed(self.formula)
        object.__setattr__(self, "formula", str(parsed))
        self(0)
        _formulas().check_real(parsed)
        negative = _formulas().negative_at(parsed)
        if negative is not None:
            message = (
                f"schedule must be at least 0 at every time, but {self} is {float(parsed.subs(_formulas().t, negative)):.3g} at "
                f"{negative:.6g}. Use a formula that stays positive, such as exp(-t/10) or 1/(1 + t)."
            )
            raise SettingError(message)

    @property
    def multiplier(self) -> sympy.Expr:
        """The formula as sympy's."""
        return _formulas().parsed(self.formula)

    @property
    def monotone(self) -> bool:  # type: ignore[override]
        """Whether the sign of its derivative is known to stay the same."""
        found: bool = _formulas().keeps_its_sign(self.multiplier.diff(_formulas().t))
        return found

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The formula and its integral.

        Raises:
            SettingError: If sympy finds no antiderivative.
        """
        return (Piece(_formulas().ENDLESS, self.multiplier, _formulas().antiderivative(self.multiplier)),)

    @property
    def final(self) -> float | None:
        """Sympy's limit."""
        found: float | None = _formulas().limit(self.multiplier)
        return found

    @property
    def total(self) -> float | None:
        """Sympy's limit of the integral."""
        found: float | None = _formulas().limit(self.integral_formula)
        return found

    def integral(self, time: float) -> float:
        """As for every schedule; the sign of m is looked at at 32 times before, too."""
        for index in range(BETWEEN):
            self(time / BETWEEN * index)
        return super().integral(time)

    def scaled(self, pace: float) -> Schedule:
        """The formula of pace·t."""
        return Expression(self.multiplier.subs(_formulas().t, _formulas().exactly(pace) * _formulas().t))


@dataclass(frozen=True)
class Held(Schedule, abstract=True):
    """A multiplier that is one value at all times, whatever that is: a symbol in a proof."""

    value: Any

    def __call__(self, time: Any) -> Any:
        """The value."""
        return self.value


def _formulas() -> ModuleType:
    """Sympy's part, loaded when a formula is asked for."""
    from theory import schedule_formulas

    return schedule_formulas


@lru_cache(maxsize=256)
def _multiplier(schedule: Schedule) -> Callable[[float], float]:
    return _formulas().compiled(schedule.multiplier)  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _integral(schedule: Schedule, time: float) -> float:
    return _formulas().precisely(schedule.integral_formula, time)  # type: ignore[no-any-return]
