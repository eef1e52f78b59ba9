r"""A problem in its modes: the eigenvalues of its features, what the start and the targets are in them, and how each one moves.

Shared by everything that is predicted; :mod:`numerics.predictor` has the formula.
"""

from dataclasses import replace
from typing import Any, Self

import numpy as np

from numerics.arrays import Float, check_times, quiet
from numerics.coordinates import Coordinates, coordinates
from numerics.problem import Problem
from numerics.spectrum import Spectrum, regression
from theory.errors import SettingError
from theory.rule_check import check_limit, check_rule, stated_limit
from theory.setting import Setting

SMALLEST, LARGEST = 1e-150, 1e150
GROWTH = 1e6  # of a mode on the way, above which rounding would be what is seen


class Modes:
    """The modes of an assembled problem.

    Attributes:
        problem: The problem.
        setting: Its setting.
        coordinates: Those in which a preconditioner is plain.
        spectrum: Of the features in them.
        rates: s = cσ² + μ of each mode, (blocks, r).
        reading: From weights to modes, (blocks, d, r).
        writing: From modes to weights, (blocks, r, d).
    """

    problem: Problem
    setting: Setting

    def _set(self, problem: Problem) -> None:
        """Finds the modes, and refuses what would overflow or diverge (SettingError)."""
        self.problem = problem
        self.setting = problem.setting
        self.coordinates: Coordinates = coordinates(problem)
        with quiet():
            noise = problem.setting.layer.feature_noise(problem.input_shape)
            known = problem.known_weight
            known = None if known is None else self.coordinates.from_weight(known)
            # A mode as small as what the features are off by is none of the data.
            error = np.linalg.norm(self.coordinates.errors(problem.features, len(problem.inputs), noise), axis=1)
            found = regression(self.coordinates.features, problem.columns, known, error)
            self.spectrum: Spectrum = found.spectrum
            self.writing: Float = self.coordinates.writing(self.spectrum.left)  # modes to weights, (blocks, r, d)
            self.reading: Float = self.coordinates.reading(self.spectrum.left)  # weights to modes, (blocks, d, r)
            self._start_modes: Float = problem.start @ self.reading
            self._target_modes: Float = found.targets
            self._unexplained = found.unexplained
        largest = float(self.spectrum.values.max())
        if not (largest == 0 or SMALLEST < largest < LARGEST):
            message = (
                f"inputs must have singular values between {SMALLEST:g} and {LARGEST:g}, whose squares float64 holds, but the "
                f"largest is {largest:g}. Rescale the inputs."
            )
            raise SettingError(message)
        self._move()

    def _move(self) -> None:
        """Finds how fast each mode moves, and refuses what would diverge (SettingError)."""
        with quiet():
            self.rates: Float = self.problem.scale * self.spectrum.values**2 + self.setting.weight_decay
            positive = self.rates > 0
            # What a mode of the target adds to the weight when it is learned.
            self._gain: Float = np.where(
                positive, self.problem.scale * self.spectrum.values / np.where(positive, self.rates, 1), 0
            )
        optimizer = self.setting.optimizer.rule
        check_rule(optimizer)
        limit = self.max_learning_rate
        rate = getattr(self.setting.optimizer.rule, "learning_rate", 0.0)
        if rate >= limit:
            message = (
                f"learning_rate must be below {limit:.6g} for these inputs (largest rate s_max = c·λ + weight_decay = "
                f"{self.rates.max():.6g}), but it is {rate:g}: {self.setting.optimizer} would diverge. Lower it, or use GradientFlow."
            )
            raise SettingError(message)
        rates = np.append(self.rates.ravel(), self.setting.weight_decay)
        with quiet():
            growth = optimizer.growth(np, rates)
        if growth.max() > GROWTH:
            message = (
                f"learning_rate must be small enough that no mode grows by more than {GROWTH:g}, and rounding with it, but the mode of "
                f"eigenvalue {rates[growth.argmax()]:.6g} grows by at least {growth.max():.1g} on the way with {self.setting.optimizer}. "
                "Lower it."
            )
            raise SettingError(message)
        check_limit(optimizer, max(float(self.rates.max()), self.setting.weight_decay))

    @property
    def max_learning_rate(self) -> float:
        """The learning rate at which the fastest mode stops converging; inf for a flow."""
        fastest = max(float(self.rates.max()), self.setting.weight_decay)
        return stated_limit(self.setting.optimizer.rule, fastest)

    @property
    def side(self) -> str:
        """The side on which the modes were computed: "primal" (features) or "dual" (columns), whichever is smaller."""
        return "dual" if self.problem.features.shape[-1] < self.problem.features.shape[-2] else "primal"

    def response(self, times: Any, rates: Float | None = None) -> tuple[Float, Float]:
        """The residual and the progress of each mode, each (T, *rates.shape); rates default to those of the modes.

        Raises:
            SettingError: If a time is negative, not whole for a descent, or infinite for a flow without a limit.
        """
        optimizer = self.setting.optimizer.rule
        times = check_times(times, discrete=optimizer.discrete)
        s = self.rates if rates is None else np.asarray(rates, dtype=np.float64)
        t = times.reshape((-1,) + (1,) * s.ndim)
        at_infinity = np.isinf(t)
        with quiet():
            residual, progress = optimizer.response(np, s, np.where(at_infinity, 0, t))
            # A mode of rate 0 never moves: this is g(0, t) = 1, exactly.
            residual, progress = np.where(s > 0, residual, 1.0), np.where(s > 0, progress, 0.0)
            final, reached = optimizer.limit_response(np, s) if at_infinity.any() else (residual, progress)
        return np.where(at_infinity, final, residual), np.where(at_infinity, reached, progress)

    def effective_rank(self, times: Any) -> Float:
        """How many modes are learned, (T,): the sum of 1 − g, clipped to [0, 1], over the modes in the range of Φ."""
        _, progress = self.response(times)
        return (np.clip(progress, 0, 1) * (self.spectrum.values > 0)).sum(axis=(1, 2))  # type: ignore[no-any-return]

    def with_decay(self, weight_decay: float) -> Self:
        """The same problem under another weight decay; the spectrum is shared.

        Raises:
            SettingError: If it is negative, or the descent would diverge.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.setting = replace(self.setting, weight_decay=weight_decay)
        other.problem = Problem(other.setting, self.problem.inputs, self.problem.targets, self.problem.start)
        other._move()
        return other

    def from_start(self, start: Float) -> Self:
        """The same problem from another start, (blocks, q, d); the spectrum is shared."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.problem = Problem(self.setting, self.problem.inputs, self.problem.targets, start)
        other.coordinates = self.coordinates.from_start(start)
        other._start_modes = start @ self.reading
        return other
