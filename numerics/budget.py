r"""Every tolerance of the project, computed.

All bounds are on the Frobenius norm of an error of the block weights. An error made on the way is carried on by the same
linear rule that carries the weights, so its effect is the rule's response, mode by mode: ``Gains`` sums that response.
Rounding enters in three ways (unit roundoff u, :math:`\gamma_n = nu/(1 - nu)` for an inner product of length n):

- in the residual :math:`W\Phi - Y`: at most :math:`\gamma_{d+3}(\|W\|\|\Phi\| + \|Y\|)`; multiplied by :math:`c\Phi^\top`
  it stays in the range of Φ, where it decays with its mode;
- in the product with :math:`\Phi^\top`: at most :math:`\gamma_{M+5}\,c\|R\|\|\Phi\|`, in any direction, but as small as
  the residual is by then;
- in the update of the state: at most :math:`3u` of its size.

Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 3.1 and 3.5, applied step by step.
The solver's bound on its local error (``Integration.local_error``) is taken at its word.
What a reduced state (``numerics.states``) rounds in K, G and H is bounded there, enters like the first two, and does not fade.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import expm

from numerics.arrays import Float, adjoint, quiet
from numerics.integrate import Integration
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.optimizers import Optimizer
from theory.rule import transition

UNITS = {"float64": 2.0**-53, "float32": 2.0**-24}
VARYING_STEPS = 4096  # of a rule that changes, multiplied one by one even where the optimiser has a bound
EXACT_STEPS = 256  # powers summed one by one before the bound goes on by doubling


@dataclass(frozen=True)
class Gains:
    """Bounds on the response of each mode's state up to a time.

    Attributes:
        total: (r, m, m), the sum over steps (integral over time) of the modulus of each entry of the propagator.
        peak: (r, m, m), the largest modulus of each entry.
        gradient: (r, m), the modulus with which a unit error of the gradient enters the state.
    """

    total: Float
    peak: Float
    gradient: Float


def gains(optimizer: Optimizer, rates: Float, time: float) -> Gains:
    r"""Sums :math:`|A^j|` over the steps j < time, or integrates :math:`|e^{A\tau}|` over τ < time, for each rate.

    The first steps are summed one by one; then :math:`\sum_{j<2n}|A^j| \le (1 + |A^n|)\sum_{j<n}|A^j|`. Where the optimiser
    bounds its propagator, that counts if it is less; a flow that changes with time has nothing else. The rules of a descent that
    changes are multiplied one by one: forwards from the start and backwards from the end, whichever is more.

    Raises:
        SettingError: If a flow changes with time and the optimiser does not bound its propagator.

    Example:
        >>> from theory.optimizers import GradientDescent       # 1 + 1/2 + 1/4
        >>> gains(GradientDescent(0.5), np.array([1.0]), 3).total.item()
        1.75
    """
    optimizer, time = optimizer.steady(time)
    matrix, gradient = _matrices(optimizer, rates, max(float(time), 1.0))
    others = (2 * max(float(time), 1.0), *((0.0, 1.0) if optimizer.discrete else ()))
    changes = any(not np.array_equal(matrix, _matrices(optimizer, rates, other)[0]) for other in others)
    changes |= optimizer.schedule is not None
    rows = optimizer.propagator_bound(np, rates, time)
    if optimizer.discrete and changes and (rows is None or time <= VARYING_STEPS):
        return _multiplied(optimizer, rates, round(time))
    if rows is None and changes:
        message = (
            f"optimizer must have a propagator_bound, because its rule changes with time, but {optimizer} has none. "
            "Add that method; without it no error can be bounded."
        )
        raise SettingError(message)
    bound = np.full_like(matrix, np.inf) if rows is None else _stacked(rows, rates)
    if changes:
        return Gains(time * bound, bound, gradient)
    if optimizer.discrete:
        total, peak, _ = _summed(matrix, round(time))
        return Gains(np.minimum(total, round(time) * bound) if time else total, np.minimum(peak, bound), gradient)
    # A short step of the flow: |e^{Aτ}| ≤ e^{|A|h} for τ ≤ h; the rest is powers of the propagator over h.
    speed = float(np.abs(matrix).sum(axis=-1).max(initial=0.0))
    count = max(1, math.ceil(128 * speed * time))
    step = time / count
    cover = expm(np.abs(matrix) * step)
    total, peak, _ = _summed(expm(matrix * step), count)
    total, peak = step * total @ cover, peak @ cover
    return Gains(np.minimum(total, time * bound) if time else total, np.minimum(peak, bound), gradient)


def _multiplied(optimizer: Optimizer, rates: Float, steps: int) -> Gains:
    """The gains of a descent whose rule changes, from the products of its matrices."""
    first, gradient = _matrices(optimizer, rates, 0)
    total, peak = np.zeros((2, *first.shape)), np.broadcast_to(np.eye(first.shape[-1]), first.shape)
    for way, order in enumerate((range(steps), range(steps - 1, -1, -1))):
        product = np.broadcast_to(np.eye(first.shape[-1]), first.shape)
        for index in order:
            total[way] += np.abs(product)
            matrix, pushed = _matrices(optimizer, rates, index)
            product = product @ matrix if way else matrix @ product
            peak, gradient = np.maximum(peak, np.abs(product)), np.maximum(gradient, pushed)
    return Gains(total.max(axis=0), peak, gradient)


def _matrices(optimizer: Optimizer, rates: Float, time: float) -> tuple[Float, Float]:
    """The rule of each mode at a time, (r, m, m), and the modulus with which the gradient enters it, (r, m)."""
    rows, pushed = transition(optimizer, rates, time)
    return _stacked(rows, rates), np.abs(np.array([np.broadcast_to(entry, np.shape(rates)) for entry in pushed]).T)


def _stacked(rows: Any, rates: Float) -> Float:
    """Rows of entries for each rate as matrices, (r, m, m)."""
    entries = np.array([[np.broadcast_to(entry, np.shape(rates)) for entry in row] for row in rows], dtype=np.float64)
    return np.moveaxis(entries, -1, 0)


def _summed(matrix: Float, count: int) -> tuple[Float, Float, Float]:
    """The sum and the peak of |A^j| over j < count, and A^count."""
    identity = np.broadcast_to(np.eye(matrix.shape[-1]), matrix.shape)
    if count <= EXACT_STEPS:
        total, peak, power = np.zeros_like(matrix), np.abs(identity), identity
        for _ in range(count):
            total, peak, power = total + np.abs(power), np.maximum(peak, np.abs(power)), matrix @ power
        return total, peak, power
    half, half_peak, half_power = _summed(matrix, count // 2)
    total, peak = half + np.abs(half_power) @ half, np.maximum(half_peak, np.abs(half_power) @ half_peak)
    power = half_power @ half_power
    if count % 2:
        total, peak, power = total + np.abs(power), np.maximum(peak, np.abs(power)), matrix @ power
    return total, peak, power


class Budget:
    """The bounds of one prediction; each method answers for one kind of error.

    Args:
        predictor: The closed form whose modes and sizes the bounds are made of.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.problem = predictor.problem
        # The null space is one more mode, of rate μ; it has no residual to learn.
        decay = predictor.setting.weight_decay
        coordinates = predictor.coordinates
        self.features, self.start = coordinates.features, coordinates.start
        self.stretch, self.condition = coordinates.stretch, coordinates.condition
        self.rates: Float = np.append(predictor.rates.ravel(), decay)
        self.sigma: Float = np.append(predictor.spectrum.values.ravel(), 0.0)
        self.sizes = {
            "features": float(np.linalg.norm(self.features)),
            "targets": float(np.linalg.norm(self.problem.columns)) + 2 * self._untrained,
            "start": float(np.linalg.norm(self.start)),
        }

    @property
    def _untrained(self) -> float:
        """The size of what the layer adds untrained: torch adds it to the outputs, and subtracts targets as large."""
        offset = self.problem.offset(self.problem.inputs)
        return 0.0 if offset is None else float(np.linalg.norm(offset))

    @cached_property
    def travel(self) -> Float:
        """How far each mode moves until the end of time, ‖(W0 − W∞)u‖, the null space last; (r + 1,)."""
        final = self._final
        modes = np.linalg.norm((self.start - final) @ self.predictor.spectrum.left, axis=1).ravel()
        start_modes = self.start @ self.predictor.spectrum.left @ adjoint(self.predictor.spectrum.left)
        still = float(np.linalg.norm(self.start - start_modes)) if self.rates[-1] > 0 else 0.0
        moving = np.where(self.rates[:-1] > 0, modes, 0.0)
        return np.append(moving, still)

    @cached_property
    def _final(self) -> Float:
        """Where the weights would end if every mode of positive rate converged."""
        p = self.predictor
        learned = p._gain[:, None, :] * p._target_modes
        kept = np.where(p.rates > 0, 0.0, 1.0)[:, None, :] * p._start_modes
        inside = (learned + kept) @ adjoint(p.spectrum.left)
        if p.setting.weight_decay > 0:
            return inside
        return inside + self.start - p._start_modes @ adjoint(p.spectrum.left)

    def _propagated(
        self, optimizer: Optimizer, time: float, forward: float, product: float, state: float, *, iterated: bool = True
    ) -> float:
        """The effect up to a time of relative errors in the residual, in the product with Φᵀ, and in the state.

        A formula is not ``iterated``: no step rounds its weight, but what a rule remembers has rounded factors.
        """
        optimizer, time = optimizer.steady(time)
        g = gains(optimizer, self.rates, time)
        c, decay = self.problem.scale, self.predictor.setting.weight_decay
        into_weight = (g.total @ g.gradient[..., None])[:, 0, 0]  # a gradient error at every step, (r + 1,)
        worst = (g.peak @ g.gradient[..., None])[:, 0, 0]  # one gradient error, at its worst
        once = float(worst.max())
        moved = float(np.linalg.norm(self.travel))
        weight = self.sizes["start"] + (1 + float(g.peak[:, 0, 0].max())) * moved
        # The residual in mode i is r_∞ + (r_0 - r_∞) g, of size σ·travel·g around its end.
        ending = float(np.linalg.norm(self._final @ self.features - self.problem.columns))
        residuals = float((self.sigma * self.travel * g.total[:, 0, 0]).sum()) + time * ending
        residual_error = forward * (weight * self.sizes["features"] + self.sizes["targets"])
        total = _gathered(c * self.sigma * into_weight, c * self.sigma * worst, time) * residual_error
        total += product * c * self.sizes["features"] * residuals * once
        total += product * decay * weight * _gathered(into_weight, worst, time)
        memory = [weight] + [float(g.peak[:, row, 0].max()) * moved for row in range(1, g.peak.shape[1])]
        columns = list(enumerate(memory))[0 if iterated else 1 :]
        carried = sum(size * _gathered(g.total[:, 0, column], g.peak[:, 0, column], time) for column, size in columns)
        return self.stretch * (total + (state * carried if optimizer.discrete else 0.0) + state * weight)

    def rounding(self, steps: float, unit: float, optimizer: Optimizer | None = None) -> float:
        """Rounding of a training of so many steps in arithmetic of unit roundoff ``unit``."""
        features, columns = self.problem.lengths
        if self.predictor.coordinates.root is not None:
            columns += features  # the product with P
        forward, product = ((n * unit) / (1 - n * unit) for n in (features + 3, columns + 5))
        # What is rounded in the original coordinates: ‖W‖‖Φ‖ ≤ κ‖W̃‖‖Φ̃‖, ‖Φ‖‖P‖‖R⁻¹‖ ≤ κ²‖Φ̃‖, ‖W‖‖R⁻¹‖ ≤ κ‖W̃‖.
        forward, product, state = forward * self.condition, product * self.condition**2, 3 * unit * self.condition
        return self._propagated(optimizer or self.predictor.setting.optimizer.rule, steps, forward, product, state)

    def evaluation(self, time: float, optimizer: Optimizer | None = None) -> float:
        """Rounding of the closed form itself in float64: a backward-stable SVD, a relative error max(d, M)·eps of Φ, and Φ's own."""
        noise = self.problem.setting.layer.feature_noise(self.problem.input_shape)
        unit = (4 * max(self.problem.lengths) + 2 * noise) * UNITS["float64"]
        chosen, time = (optimizer or self.predictor.setting.optimizer.rule).steady(time)
        if math.isinf(time):
            return self._at_infinity(unit)
        relative = unit * self.condition**2
        on_the_way = self._propagated(chosen, time, relative, relative, relative, iterated=False)
        # W(t) is the limit plus what is left of the way; of the latter at most all of it, and of its computed value, is wrong.
        found = min(on_the_way, self._at_infinity(unit) + 2 * self.truncation(time, chosen))
        lost = np.where(self.rates > 0, chosen.response_error(np, self.rates, time), 0.0) * self.travel
        return found + UNITS["float64"] * self.stretch * float(np.linalg.norm(lost))

    def _at_infinity(self, unit: float) -> float:
        r"""The limit's sensitivity to a relative error of Φ.

        It is the least-squares solution of :math:`A = [\sqrt c\,\tilde\Phi^\top; \sqrt\mu I]`.
        Wedin's: :math:`\|A^+\|\|\delta A\|(\|W\| + \|A^+\|\|r\|)`, r what is left of the targets and of the penalty. Decay
        bounds :math:`\|A^+\|` by :math:`1/\sqrt\mu`, the kept modes by :math:`1/(\sqrt c\,\sigma_{\min})`: whichever says less.
        The rounding of RΦ is :math:`\kappa(R)` units of its size. That of R multiplies it from the left by
        :math:`I + E`, :math:`\|E\| \le \kappa(R)^2` units, for which the solution has condition 1.
        """
        values = self.predictor.spectrum.values
        kept = values[values > 0]
        if kept.size == 0:
            return unit * self.stretch * self.condition**2 * self.sizes["start"]
        c, decay = self.problem.scale, self.predictor.setting.weight_decay
        size, final = math.sqrt(c * float(kept.max()) ** 2 + decay), float(np.linalg.norm(self._final))
        ending = float(np.linalg.norm(self._final @ self.features - self.problem.columns))
        weight = self.sizes["start"] + 2 * float(np.linalg.norm(self.travel)) + final
        # (inverse in the original coordinates, in these, r): ‖A⁺R‖ is often far less than ‖A⁺‖‖R‖.
        inverse, written = np.where(values > 0, 1 / np.where(values > 0, values, 1), 0), self.predictor.writing
        reach = min(float(np.linalg.norm(inverse[..., None] * written)), self.stretch / float(kept.min()))
        cases = [(reach / math.sqrt(c), 1 / (math.sqrt(c) * float(kept.min())), math.sqrt(c) * ending)]
        if decay > 0:
            left = math.hypot(math.sqrt(c) * ending, math.sqrt(decay) * final)
            cases.append((self.stretch / math.sqrt(decay), 1 / math.sqrt(decay), left))
        known = weight + math.sqrt(c) * self.sizes["targets"] / size
        sensitivity = min(outer * size * (known + inner * left) for outer, inner, left in cases)
        return unit * (self.condition * sensitivity + self.stretch * self.condition**2 * known)

    def gap(self, learning_rate: float, steps: int) -> float | None:
        """How far the companion descent can be from the flow at the same time; None where no bound is derived.

        Raises:
            SettingError: If the learning rate is outside the bound's range.
        """
        optimizer: Any = self.predictor.setting.optimizer.rule
        if optimizer.discrete:
            return 0.0
        with quiet():
            bound = optimizer.gap_bound(np, learning_rate * self.rates, steps, learning_rate)
        return None if bound is None else self.stretch * float(np.linalg.norm(bound * self.travel))

    def truncation(self, time: float, optimizer: Optimizer | None = None) -> float:
        """How far the weights still are from their limit at a finite time."""
        chosen = optimizer or self.predictor.setting.optimizer.rule
        with quiet():
            residual, _ = chosen.response(np, self.rates, np.float64(time))
        return self.stretch * float(np.linalg.norm(np.where(self.rates > 0, residual, 0.0) * self.travel))

    def integration(self, result: Integration, index: int, time: float) -> float:
        """The solver's errors carried to the time, with the rounding of its oracle and of the closed form."""
        optimizer = self.predictor.setting.optimizer.rule
        g = gains(optimizer, self.rates, time)
        solver = self.condition * float(result.local_error[index]) * float(g.peak.sum(axis=-1)[:, 0].max())
        rounding = self.rounding(time, UNITS["float64"]) if optimizer.discrete else 0.0
        return solver + rounding + self._reduced(result, index, time) + self.evaluation(time)

    def _reduced(self, result: Integration, index: int, time: float) -> float:
        """What a reduced state rounds in its residual, which enters with Φᵀ, and in its gradient."""
        residual, gradient = float(result.residual_error[index]), float(result.gradient_error[index])
        if residual == gradient == 0:
            return 0.0
        optimizer, time = self.predictor.setting.optimizer.rule.steady(time)
        g = gains(optimizer, self.rates, time)
        into_weight = (g.total @ g.gradient[..., None])[:, 0, 0]
        worst = (g.peak @ g.gradient[..., None])[:, 0, 0]
        pushed = self.problem.scale * self.sigma
        fading = self.stretch * residual * _gathered(pushed * into_weight, pushed * worst, time)
        return fading + self.condition * gradient * _gathered(into_weight, worst, time)


def _gathered(total: Float, peak: Float, time: float) -> float:
    r"""The norm of the sum over time of errors that each have norm 1 over all modes together.

    With the response :math:`a_{ij}` of mode i to time j, :math:`\big(\sum_i(\sum_j a_{ij}x_{ij})^2\big)^{1/2}` under
    :math:`\sum_i x_{ij}^2 \le 1` is at most :math:`\sqrt{r}\,\max_i\sum_j a_{ij}` and at most :math:`\sum_j\max_i a_{ij}`.
    """
    moving = int((total > 0).sum())
    return min(math.sqrt(moving) * float(total.max()), time * float(peak.max()))


def unit_roundoff(dtype: Any) -> float:
    """The unit roundoff of "float64" or "float32"."""
    return UNITS[str(dtype).removeprefix("torch.")]
