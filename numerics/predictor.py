r"""The closed form at scale: weights, predictions, loss and error at any time, infinity included.

With :math:`\Phi = U\Sigma V^\top`, :math:`s_i = c\sigma_i^2 + \mu` and the optimiser's residual :math:`g`,

.. math::
    W(t) = g(\mu) W_0 + \big[\,W_0 U\,(g(s) - g(\mu)) + Y V\,(1 - g(s))\,c\sigma/s\,\big]\,U^\top .

With a preconditioner :math:`P = R^2` these are the modes of :math:`R\Phi`: :math:`W_0U` is :math:`W_0R^{-1}U` and the last
factor :math:`U^\top R`. Nothing but :math:`1 - g`, which every optimiser computes without cancellation, is divided by
anything, and a mode of :math:`\sigma = 0` drops out by itself, so that singular data need no special case.
"""

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from numerics.arrays import Float, check_times, quiet
from numerics.coordinates import Coordinates, coordinates
from numerics.files import whole_file
from numerics.problem import Problem, assemble
from numerics.spectrum import Spectrum, spectrum
from theory.component import check_number
from theory.errors import DataError, SettingError
from theory.rule_check import check_limit, check_rule, stated_limit
from theory.setting import Setting

FORMAT = 1  # of the saved file
SMALLEST, LARGEST = 1e-150, 1e150


class Predictor:
    r"""The closed-form solution of a setting on data.

    Args:
        setting: A setting whose optimiser is linear in the weights.
        inputs: (N, features) or (N, C, \*spatial).
        targets: (N, \*output_shape), with ``Given()`` only.
        initial_weight: Torch's weight; drawn from ``setting.start`` with ``seed`` if None.
        initial_bias: Torch's bias.
        seed: Seed of the draw.

    Raises:
        SettingError: If the data do not fit, the optimiser is not linear in the weights, or the descent would diverge.

    Example:
        >>> import math
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow
        >>> p = Predictor(Setting(Linear(), GradientFlow()), [[2.0, 0.0]], initial_weight=[[0.0, 5.0], [0.0, 5.0]])
        >>> p.weight([0, math.inf]).tolist()        # the span of the input is learned, its complement never moves
        [[[0.0, 5.0], [0.0, 5.0]], [[1.0, 5.0], [0.0, 5.0]]]
    """

    def __init__(
        self,
        setting: Setting,
        inputs: Any,
        targets: Any = None,
        initial_weight: Any = None,
        initial_bias: Any = None,
        seed: int = 0,
    ) -> None:
        if not setting.optimizer.linear:
            message = (
                f"optimizer must be linear in the weights for a closed form, but it is {setting.optimizer} (the flow of a "
                "linear layer, theorem T1, is false for it). Train it with train(); there is no prediction."
            )
            raise SettingError(message)
        self._set(assemble(setting, inputs, targets, initial_weight, initial_bias, seed))

    def _set(self, problem: Problem) -> None:
        self.problem = problem
        self.setting = problem.setting
        self.coordinates: Coordinates = coordinates(problem)
        with quiet():
            self.spectrum: Spectrum = spectrum(self.coordinates.features)
            self.rates: Float = problem.scale * self.spectrum.values**2 + self.setting.weight_decay
            self.writing: Float = self.coordinates.writing(self.spectrum.left)  # modes to weights, (blocks, r, d)
            self.reading: Float = self.coordinates.reading(self.spectrum.left)  # weights to modes, (blocks, d, r)
            self._start_modes: Float = problem.start @ self.reading
            self._target_modes: Float = problem.columns @ self.spectrum.right.swapaxes(-1, -2)
        largest = float(self.spectrum.values.max())
        if not (largest == 0 or SMALLEST < largest < LARGEST):
            message = (
                f"inputs must have singular values between {SMALLEST:g} and {LARGEST:g}, whose squares float64 holds, but the "
                f"largest is {largest:g}. Rescale the inputs."
            )
            raise SettingError(message)
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

    def _coefficients(self, times: Any) -> tuple[Float, Float]:
        """g(μ), (T, 1, 1, 1), and the bracket of the module's formula, (T, blocks, q, r)."""
        _, progress = self.response(times)
        kept, still = self.response(times, np.array([self.setting.weight_decay]))
        with quiet():
            positive = self.rates > 0
            gain = np.where(positive, self.problem.scale * self.spectrum.values / np.where(positive, self.rates, 1), 0)
        moved = (still[:, :, None] - progress)[:, :, None, :] * self._start_modes
        return kept[:, :, None, None], moved + (progress * gain)[:, :, None, :] * self._target_modes

    def theta(self, times: Any) -> Float:
        """The weights as blocks with the bias as last column, (T, blocks, q, d)."""
        kept, coefficients = self._coefficients(times)
        return kept * self.problem.start + coefficients @ self.writing

    def weight(self, times: Any) -> Float:
        """Torch's weight, (T, *weight shape), at flow times or step counts; ``math.inf`` is the limit."""
        return self.problem.to_torch(self.theta(times))[0]

    def bias(self, times: Any) -> Float | None:
        """Torch's bias, (T, channels), or None for a layer without."""
        return self.problem.to_torch(self.theta(times))[1]

    def predict(self, x: Any, times: Any) -> Float:
        """The network's outputs on examples, (T, N, *output shape); no weight is formed."""
        features = self.setting.layer.features(self.problem.check_examples(x), np)
        kept, coefficients = self._coefficients(times)
        columns = kept * (self.problem.start @ features) + coefficients @ (self.writing @ features)
        return self.setting.layer.from_columns(columns, self.problem.input_shape, np)  # type: ignore[no-any-return]

    def error(self, x: Any, times: Any) -> Float:
        """The squared error ‖f(x) − target(x)‖² of each example, (T, N).

        Raises:
            SettingError: If the target is not a function of the input (``Given()``).
        """
        x = self.problem.check_examples(x)
        target = self.setting.target.values(self.setting.layer, x, np)
        gap = self.predict(x, times) - target
        return (gap**2).sum(axis=tuple(range(2, gap.ndim)))  # type: ignore[no-any-return]

    def loss(self, times: Any, *, penalty: bool = False) -> Float:
        r"""The training loss, (T,), in the setting's own scale; with ``penalty`` the decay's :math:`\tfrac{\mu}{2}\|W\|^2` too."""
        kept, coefficients = self._coefficients(times)
        modes = kept * self._start_modes + coefficients
        explained = ((modes * self.spectrum.values[:, None, :] - self._target_modes) ** 2).sum(axis=(1, 2, 3))
        rest = self.problem.columns - self._target_modes @ self.spectrum.right
        loss = self.problem.scale / 2 * (explained + (rest**2).sum())
        if penalty:
            loss = loss + self.setting.weight_decay / 2 * (self.theta(times) ** 2).sum(axis=(1, 2, 3))
        return loss  # type: ignore[no-any-return]

    def effective_rank(self, times: Any) -> Float:
        """How many modes are learned, (T,): the sum of 1 − g, clipped to [0, 1], over the modes in the range of Φ."""
        _, progress = self.response(times)
        return (np.clip(progress, 0, 1) * (self.spectrum.values > 0)).sum(axis=(1, 2))  # type: ignore[no-any-return]

    def expected_error(self, x: Any, times: Any, init_std: float) -> Float:
        r"""The mean squared error over random starts :math:`W_0 \sim N(0, \sigma^2)`, (T, N), for each example.

        With :math:`V = g(S)\varphi(x)`: :math:`q\sigma^2\|V\|^2` from the start plus the squared error from a zero start.

        Args:
            x: Examples, (N, *input_shape).
            times: Flow times or step counts.
            init_std: σ, of every entry of the start, the bias included.
        """
        check_number("init_std", init_std, at_least=0)
        x = self.problem.check_examples(x)
        layer = self.setting.layer
        features = layer.features(x, np)
        channels = self.problem.columns.shape[1]
        _, progress = self.response(times)
        kept, still = self.response(times, np.array([self.setting.weight_decay]))
        modes = self.writing @ features
        change = (still[:, :, None] - progress)[..., None] * modes
        v = kept[:, :, None, None] * features + self.reading @ change
        positions = math.prod(layer.positions(self.problem.input_shape))
        spread = (v**2).sum(axis=2).reshape((len(v), layer.blocks(), len(x), positions)).sum(axis=(1, 3))
        return channels * init_std**2 * spread + self.from_start(0 * self.problem.start).error(x, times)  # type: ignore[no-any-return]

    def from_start(self, start: Float) -> "Predictor":
        """The same problem from another start, (blocks, q, d); the spectrum is shared."""
        other = object.__new__(Predictor)
        other.__dict__.update(self.__dict__)
        other.problem = Problem(self.setting, self.problem.inputs, self.problem.targets, start)
        other.coordinates = self.coordinates.from_start(start)
        other._start_modes = start @ self.reading
        return other

    def save(self, path: str | Path) -> None:
        """Writes setting, data and start to one ``.npz`` file, without pickle; a write that fails leaves nothing behind."""
        problem = self.problem
        arrays = {"inputs": problem.inputs, "targets": problem.targets, "start": problem.start}
        with whole_file(path) as file:
            np.savez(file, setting=np.array(self.setting.to_toml()), format=np.array(FORMAT), **arrays)  # type: ignore[arg-type]


def load(path: str | Path) -> Predictor:
    """The predictor that :meth:`Predictor.save` wrote; its results are bit for bit the same.

    Raises:
        DataError: If the file is missing, is not such a file, or is of a newer format.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("setting", "format", "inputs", "targets", "start")}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        message = f"path must be a file written by Predictor.save, but {path} is not: {error}. Save it again."
        raise DataError(message) from None
    if int(arrays["format"]) > FORMAT:
        message = f"path must be a file of format at most {FORMAT}, but {path} has {int(arrays['format'])}. Update closedflow."
        raise DataError(message)
    predictor = object.__new__(Predictor)
    setting = Setting.from_toml(str(arrays["setting"]), str(path))
    predictor._set(Problem(setting, arrays["inputs"], arrays["targets"], arrays["start"]))
    return predictor
