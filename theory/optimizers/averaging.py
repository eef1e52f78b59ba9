"""Averaged iterates, Polyak's: the weight that is used is the mean of all weights so far."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import Named, check_number
from theory.optimizers.gradient import GradientDescent, GradientFlow
from theory.optimizers.optimizer import Array, Descent, Flow, Gradient, State
from theory.oscillation import lag, mean_decay


@dataclass(frozen=True)
class AveragedDescent(Descent):
    r"""The mean of the weights :math:`W_1 \dots W_k` of gradient descent, :math:`W_0` at k = 0: torch's ``AveragedModel``.

    With :math:`x = \eta s`, :math:`g = \frac1k\sum_{j=1}^k (1 - x)^j = \frac{(1 - x)(1 - (1 - x)^k)}{kx}`: it falls as 1/k.

    Args:
        learning_rate: :math:`\eta > 0`; converges below :math:`2/s_{\max}`.

    Example:
        >>> state = (1.0, 0.0)      # ηs = 1/2: the weights 1/2, 1/4, 1/8 and their means
        >>> for index in range(3):
        ...     state = AveragedDescent(0.5).step(state, lambda u: u, index)
        ...     print(round(state[0], 12))
        0.5
        0.375
        0.291666666667
    """

    learning_rate: float
    averages = True

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)

    def initial_state(self, weight: Any) -> State:
        """The mean, and how far the iterate is from it."""
        return weight, 0 * weight

    def step(self, state: State, gradient: Gradient, index: int) -> State:
        """The iterate moves, and the mean a share of the way to it."""
        mean, ahead = state
        iterate = mean + ahead
        iterate = iterate - self.learning_rate * gradient(iterate)
        moved = mean + (iterate - mean) / (index + 1)
        return moved, iterate - moved

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        r""":math:`g = (1 - x)\,p_k/(kx)` with the progress :math:`p_k` of the iterate; :math:`1 - g` by a series where kx is small.

        Otherwise :math:`1 - g = 1 - p_k/(kx) + p_k/k`, whose terms do not cancel: :math:`kx > 1/2`.
        """
        x = self.learning_rate * s
        _, gone = GradientDescent(self.learning_rate).response(xp, s, t)
        started = t > 0
        k, x = xp.where(started, t, 1.0) + 0 * x, x + 0 * xp.asarray(t)
        moved = k * x
        small = moved < 0.5
        share = gone / xp.where(moved > 0, moved, xp.ones_like(moved))  # p/(kx), 1 as x → 0
        # 1 - g = Σ_n (-1)^{n+1} C(k+1, n+1) xⁿ/k, from ((1 - x)^{k+1} - 1 + (k + 1)x - kx)/(kx).
        near = xp.where(small, x, xp.zeros_like(x))
        term = (k + 1) * near / 2
        series = term
        for n in range(2, 17):
            term = -term * (k + 1 - n) * near / (n + 1)
            series = series + term
        progress = xp.where(small, series, 1 - share + gone / k)
        residual = xp.where(small, 1 - series, (1 - x) * share)
        rest = xp.where(started, 0.0, 1.0) + 0 * x
        return xp.where(started, residual, rest), xp.where(started, progress, 1 - rest)

    def propagator_bound(self, xp: Any, s: Array, time: float) -> list[list[Array]] | None:
        """A mean of values of modulus up to 1 has one up to 1, and is at most 2 away from any of them."""
        if self.learning_rate * float(s.max()) > 2:
            return None
        one = xp.ones_like(s)
        return [[one, one], [2 * one, 2 * one]]

    def max_learning_rate(self, s_max: float) -> float:
        """:math:`2/s_{max}`, where the iterates stop converging."""
        return 2 / s_max if s_max > 0 else math.inf

    def flow_time(self, steps: float) -> float:
        r""":math:`t = k\eta`, of the averaged flow."""
        return steps * self.learning_rate

    def torch_optimizer(self) -> Named:
        """Plain SGD."""
        return Named("torch.optim.SGD", {"lr": self.learning_rate})

    def torch_average(self) -> Named | None:
        """Torch's own, updated after each step."""
        return Named("torch.optim.swa_utils.AveragedModel", {})


@dataclass(frozen=True)
class AveragedFlow(Flow):
    r"""The mean of gradient flow's weights, :math:`\frac1t\int W`: :math:`g = \frac{1 - e^{-st}}{st}`, falling as 1/t."""

    averages = True

    def initial_state(self, weight: Any) -> State:
        """The mean, and how far the flow is from it."""
        return weight, 0 * weight

    def velocity(self, state: State, gradient: Gradient, t: Any) -> State:
        """The mean follows the flow, ever slower; for t > 0."""
        mean, ahead = state
        return ahead / t, -gradient(mean + ahead) - ahead / t

    def departure(self, weight: Any, gradient: Gradient, rate: float, until: float) -> tuple[float, State]:
        r"""The power series at t = 0, up to :math:`st = 1/2` in the fastest mode.

        :math:`W = W_0 + \sum_n \frac{(-t)^n}{n!} S^{n-1} \nabla L(W_0)`, and the mean has :math:`(n + 1)!`. 24 terms are enough.
        """
        time = until if rate <= 0 else min(until, 0.5 / rate)
        slope = gradient(weight)
        term, iterate, mean = -time * slope, weight, weight
        for n in range(1, 25):
            iterate, mean = iterate + term, mean + term / (n + 1)
            term = (slope - gradient(weight + term)) * (time / (n + 1))
        return time, (mean, iterate - mean)

    def propagator_bound(self, xp: Any, s: Array, time: float) -> list[list[Array]]:
        """A mean of decaying values lies between them: none of the entries is above 1 in modulus."""
        one = xp.ones_like(s)
        return [[one, one], [one, one]]

    def response(self, xp: Any, s: Array, t: Array) -> tuple[Array, Array]:
        """Without cancellation as s → 0."""
        return mean_decay(xp, s * t), lag(xp, s * t)

    def companion(self, learning_rate: float) -> Descent:
        """Averaged descent."""
        return AveragedDescent(learning_rate)

    def gap_bound(self, xp: Any, rate: Array, steps: int, learning_rate: float = 1.0) -> Array | None:
        r"""The iterates' gaps, averaged, and the Riemann sum of a monotone function.

        :math:`\frac1k\sum_{j \le k} \frac{j x^2}{2} e^{-x(j-1)} \le \frac{x^2}{2k}\min\big(\frac{k(k+1)}2, (1 - e^{-x})^{-2}\big)`, and
        :math:`\big|\frac1k\sum_{j \le k} e^{-xj} - \frac1k\int_0^k e^{-xj}dj\big| \le (1 - e^{-xk})/k`.

        Raises:
            SettingError: If a rate is above 1.
        """
        GradientFlow().gap_bound(xp, rate, steps)
        if steps == 0:
            return 0 * rate
        least = xp.where(rate > 0, -xp.expm1(-rate), xp.ones_like(rate))
        ratio = xp.where(rate > 0, rate / least, xp.ones_like(rate))  # x/(1 - e^{-x})
        early, late = rate**2 * (steps + 1) / 4, ratio**2 / (2 * steps)
        return xp.where(early < late, early, late) - xp.expm1(-rate * steps) / steps
