r"""The closed form at scale: weights, predictions, loss and error at any time, infinity included.

With :math:`\Phi = U\Sigma V^\top`, :math:`s_i = c\sigma_i^2 + \mu` and the optimiser's residual :math:`g`,

.. math::
    W(t) = g(\mu) W_0 + \big[\,W_0 U\,(g(s) - g(\mu)) + Y V\,(1 - g(s))\,c\sigma/s\,\big]\,U^\top .

With a preconditioner :math:`P = R^2` these are the modes of :math:`R\Phi`: :math:`W_0U` is :math:`W_0R^{-1}U` and the last
factor :math:`U^\top R`. Nothing but :math:`1 - g`, which every optimiser computes without cancellation, is divided by
anything, and a mode of :math:`\sigma = 0` drops out by itself, so that singular data need no special case.
"""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from numerics.arrays import Float, quiet, squares
from numerics.cosine import expected_cosine
from numerics.error import law, moments
from numerics.evaluation import Array, Backend, Factors, combine, pieces
from numerics.files import whole_file
from numerics.laws import GeneralizedChiSquare
from numerics.modes import Modes
from numerics.problem import Problem, assemble
from theory.component import check_number
from theory.errors import DataError, SettingError
from theory.setting import Setting
from theory.starts import Gaussian, Start

FORMAT = 1  # of the saved file


class Predictor(Modes):
    r"""The closed-form solution of a setting on data.

    Args:
        setting: A setting whose optimiser is linear in the weights.
        inputs: (N, features) or (N, C, \*spatial).
        targets: (N, \*output_shape), with ``Given()`` only.
        initial_weight: Torch's weight; drawn from ``setting.start`` with ``seed`` if None.
        initial_bias: Torch's bias.
        seed: Seed of the draw.
        device: Where weights and outputs are formed: None for numpy, or a device of torch ("cpu", "cuda"), which then gives tensors.
        dtype: "float64", or "float32" to form them in; the modes are found in float64 either way.

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

    backend = Backend()

    def __init__(
        self,
        setting: Setting,
        inputs: Any,
        targets: Any = None,
        initial_weight: Any = None,
        initial_bias: Any = None,
        seed: int = 0,
        *,
        device: str | None = None,
        dtype: str = "float64",
    ) -> None:
        self.backend = Backend(device, dtype)
        if not setting.optimizer.linear:
            message = (
                f"optimizer must be linear in the weights for a closed form, but it is {setting.optimizer} (the flow of a "
                "linear layer, theorem T1, is false for it). Train it with train(); there is no prediction."
            )
            raise SettingError(message)
        self._set(assemble(setting, inputs, targets, initial_weight, initial_bias, seed))

    def on(self, device: str | None = None, dtype: str = "float64") -> "Predictor":
        """The same prediction, formed elsewhere or in another arithmetic."""
        other = object.__new__(Predictor)
        other.__dict__.update(self.__dict__)
        other.backend = Backend(device, dtype)
        return other

    def _factors(self, times: Any, features: Array | None = None, backend: Backend | None = None) -> Factors:
        """The weights, or the outputs on features (blocks, d, n), as the formula of :mod:`numerics.evaluation`."""
        backend = backend or self.backend
        backend.check(self.problem.inputs)
        _, progress = self.response(times)
        decay = self.setting.weight_decay
        kept, still = self.response(times, np.array([decay]))
        with quiet():
            targets = self._gain[:, None, :] * self._target_modes - self._start_modes
        complex_numbers = np.iscomplexobj(self.problem.start)
        start, modes, begin, targets = (
            backend.array(value, complex_numbers=complex_numbers)
            for value in (self.problem.start, self.writing, self._start_modes, targets)
        )
        base = start if features is None else start @ features
        modes = modes if features is None else modes @ features
        aside = begin @ modes if decay > 0 else None
        numbers = (backend.array(value) for value in (kept[:, 0], still[:, 0], progress))
        return Factors(base, aside, targets, modes, *numbers)

    def theta(self, times: Any) -> Float:
        """The weights as blocks with the bias as last column, (T, blocks, q, d), by numpy in float64."""
        theta: Float = self._whole(Backend(), self._factors(times, backend=Backend()), None)
        return theta

    def _whole(self, backend: Backend, factors: Factors, max_memory: float | None) -> Array:
        count = len(factors.kept)
        needed = count * factors.size + factors.scratch
        if max_memory is not None:
            check_number("max_memory", max_memory, above=0)
        if max_memory is not None and needed > max_memory:
            message = (
                f"max_memory must be at least {needed} bytes for this result, but it is {max_memory:g}. Raise it, or ask for fewer "
                "times at once; predict and weight also take out=, an array of yours, a memory map say."
            )
            raise SettingError(message)
        result = backend.empty((count, *factors.base.shape), factors.base)
        combine(backend, factors, slice(None), result)
        return result

    def weight(self, times: Any, *, out: Any = None, max_memory: float | None = None) -> Array:
        """Torch's weight, (T, *weight shape), at flow times or step counts; ``math.inf`` is the limit.

        Args:
            times: Flow times or step counts.
            out: An array for the result, filled a few times at a time and returned.
            max_memory: Bytes that may be used at once, beside ``out`` and the modes.
        """
        factors, xp = self._factors(times), self.backend.namespace
        shape = (len(factors.kept), *self.problem.to_torch(self.problem.start)[0].shape)
        if out is None:
            return self.problem.to_torch(self._whole(self.backend, factors, max_memory), xp)[0]
        _check_out(out, shape, self.backend.device)
        for piece, theta in pieces(self.backend, factors, max_memory):
            out[piece] = self.problem.to_torch(theta, xp)[0]
        return out

    def bias(self, times: Any) -> Array | None:
        """Torch's bias, (T, channels), or None for a layer without."""
        theta = self._whole(self.backend, self._factors(times), None)
        return self.problem.to_torch(theta, self.backend.namespace)[1]

    def predict(self, x: Any, times: Any, *, out: Any = None, max_memory: float | None = None) -> Array:
        """The network's outputs on examples, (T, N, *output shape); no weight is formed.

        Args:
            x: Examples, (N, *input_shape).
            times: Flow times or step counts.
            out: An array for the result, filled a few times at a time and returned.
            max_memory: Bytes that may be used at once, beside ``out``, the examples and the modes.
        """
        factors, finish = self._outputs(x, times)
        if out is None:
            return finish(self._whole(self.backend, factors, max_memory))
        for piece, columns in pieces(self.backend, factors, max_memory):
            outputs = finish(columns)
            _check_out(out, (len(factors.kept), *outputs.shape[1:]), self.backend.device)
            out[piece] = outputs
        return out

    def _outputs(self, x: Any, times: Any) -> tuple[Factors, Callable[[Array], Array]]:
        """The factors of the outputs on examples, and what makes outputs of columns."""
        layer, xp, shape = self.setting.layer, self.backend.namespace, self.problem.input_shape
        checked = self.problem.check_examples(x)
        self.backend.check(checked)
        x = self.backend.array(checked)
        offset = layer.offset(x, xp)

        def finish(columns: Array) -> Array:
            outputs = layer.from_columns(columns, shape, xp)
            return outputs if offset is None else outputs + offset

        return self._factors(times, layer.features(x, xp)), finish

    def error(self, x: Any, times: Any, *, max_memory: float | None = None) -> Float:
        """The squared error ‖f(x) − target(x)‖² of each example, (T, N); the outputs are formed a few times at a time.

        Raises:
            SettingError: If the target is not a function of the input (``Given()``).
        """
        x = self.problem.check_examples(x)
        target = self.backend.array(self.setting.target.values(self.setting.layer, x, np))
        factors, finish = self._outputs(x, times)
        errors = np.empty((len(factors.kept), len(x)))
        if max_memory is not None:
            check_number("max_memory", max_memory, above=0)
        # The gap and its square are as large as a piece itself.
        for piece, columns in pieces(self.backend, factors, None if max_memory is None else max_memory / 3):
            gap = finish(columns) - target
            errors[piece] = self.backend.numbers((gap * gap).reshape((len(gap), len(x), -1 if len(x) else 1)).sum(-1))
        return errors

    def loss(self, times: Any, *, penalty: bool = False) -> Float:
        r"""The training loss, (T,), in the setting's own scale; with ``penalty`` the decay's :math:`\tfrac{\mu}{2}\|W\|^2` too.

        Mode by mode, from numbers alone: with :math:`a = \sigma W_0u - Yv` the residual is :math:`g\,a - (1 - g)\tfrac{\mu}{s}Yv`.
        """
        left, progress = self.response(times)
        with quiet():
            stays = np.where(self.rates > 0, self.setting.weight_decay / np.where(self.rates > 0, self.rates, 1), 0.0)
        begin = self.spectrum.values[:, None, :] * self._start_modes - self._target_modes
        products = (begin.conj() * self._target_modes).real.sum(axis=1)
        short = progress * stays
        explained = left**2 * squares(begin).sum(axis=1) - 2 * left * short * products
        explained = explained + short**2 * squares(self._target_modes).sum(axis=1)
        loss = self.problem.scale / 2 * (explained.sum(axis=(1, 2)) + self._unexplained)
        if penalty:
            factors = self._factors(times, backend=Backend())
            for piece, theta in pieces(Backend(), factors, None):
                loss[piece] += self.setting.weight_decay / 2 * squares(theta).sum(axis=(1, 2, 3))
        return loss  # type: ignore[no-any-return]

    def expected_error(self, x: Any, times: Any, init_std: float) -> Float:
        r"""The mean squared error over random starts :math:`W_0 \sim N(0, \sigma^2)`, (T, N), for each example.

        Args:
            x: Examples, (N, *input_shape).
            times: Flow times or step counts.
            init_std: σ, of every entry of the start, the bias included.
        """
        return moments(self, x, times, Gaussian(init_std), (1,))[0]

    def error_variance(self, x: Any, times: Any, init_std: float) -> Float:
        """The variance of the squared error over the same starts, (T, N)."""
        return moments(self, x, times, Gaussian(init_std), (2,))[0]

    def error_moments(self, x: Any, times: Any, start: Start | None = None) -> tuple[Float, Float]:
        """Mean and variance of the squared error over random starts, each (T, N); formulas in :mod:`numerics.error`.

        Args:
            x: Examples, (N, *input_shape).
            times: Flow times or step counts.
            start: Independent symmetric entries (``Gaussian``, ``TorchDefault``, ``Zeros``) or ``Orthogonal``; None for the
                setting's own.

        Raises:
            SettingError: If nothing is derived for the start, the target is not a function, or float64 cannot hold a result.

        Example:
            >>> import math
            >>> from theory.layers import Linear
            >>> from theory.optimizers import GradientFlow
            >>> p = Predictor(Setting(Linear(), GradientFlow()), [[2.0, 0.0]])
            >>> [m.tolist() for m in p.error_moments([[0.0, 3.0]], math.inf, Gaussian(1.0))]   # ‖(W0 − I)x‖² = 9 χ'²₂(1)
            [[[27.0]], [[648.0]]]
        """
        mean, variance = moments(self, x, times, start)
        return mean, variance

    def error_law(self, x: Any, time: float, init_std: float | None = None) -> GeneralizedChiSquare:
        r"""The law of one example's squared error over starts :math:`W_0 \sim N(0, \sigma^2)`, a frozen distribution.

        With :math:`V = \sum_i s_i u_i r_i^\top` per block it is :math:`\sum_i \sigma^2 s_i^2\,\chi'^2_q(\|br_i\|^2/\sigma^2s_i^2)`
        plus the part of ‖b‖² outside the r_i; a point mass for V = 0 or σ = 0.

        Args:
            x: One example.
            time: One flow time or step count.
            init_std: σ, of every entry of the start, the bias included; None for that of the setting's Gaussian start.

        Raises:
            SettingError: If it is None and the setting's start is not Gaussian (nor zero).
        """
        return law(self, x, time, init_std)

    def expected_cosine(self, x: Any, reference: Any, times: Any, init_std: float) -> Float:
        r"""The mean cosine of f(x) with a reference over starts :math:`W_0 \sim N(0, \sigma^2)`, (T, N).

        Args:
            x: Examples, (N, features).
            reference: What the outputs are compared with, (q,) or one row per example, (N, q): x itself for the identity, the
                training example for the constant.
            times: Flow times or step counts.
            init_std: σ, of every entry of the start, the bias included.

        Returns:
            Closed form in :mod:`numerics.cosine`; nan where f(x) is 0 for certain, or the reference is 0.

        Raises:
            SettingError: If the layer has several output columns, or the reference's shape does not fit.
        """
        return expected_cosine(self, x, reference, times, init_std, centred=False)

    def expected_correlation(self, x: Any, reference: Any, times: Any, init_std: float) -> Float:
        """The mean Pearson correlation of f(x) with a reference, over the entries of both; as :meth:`expected_cosine`."""
        return expected_cosine(self, x, reference, times, init_std, centred=True)

    def __repr__(self) -> str:
        inputs, ranks = self.problem.inputs, self.spectrum.ranks
        count, features = len(inputs), self.problem.features.shape[1]
        rank = f"{ranks[0]}" if len(set(ranks)) == 1 else f"{min(ranks)} to {max(ranks)}"
        blocks = "" if len(ranks) == 1 else f" in each of {len(ranks)} blocks"
        examples = f"{count} example{'' if count == 1 else 's'} of shape {tuple(inputs.shape[1:])}"
        return f"Predictor({self.setting}; {examples}, rank {rank} of {features}{blocks})"

    def save(self, path: str | Path) -> None:
        """Writes setting, data and start to one ``.npz`` file, without pickle; a write that fails leaves nothing behind."""
        problem = self.problem
        arrays = {"inputs": problem.inputs, "targets": problem.targets, "start": problem.start}
        with whole_file(path) as file:
            np.savez(file, setting=np.array(self.setting.to_toml()), format=np.array(FORMAT), **arrays)  # type: ignore[arg-type]


def _check_out(out: Any, shape: tuple[int, ...], device: str | None = None) -> None:
    if device is None and out is not None and not isinstance(out, np.ndarray):
        message = f"out must be a numpy array for device None, but it is {type(out).__name__}. Make it one, or use on(device)."
        raise SettingError(message)
    if "float" not in str(getattr(out, "dtype", "float")) or "16" in str(getattr(out, "dtype", "")):
        message = f"out must be an array of float64 or float32, but its dtype is {out.dtype}. Make it so."
        raise SettingError(message)
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        message = "out must be writable, but it is read-only. Open the memory map with mode 'r+' or 'w+'."
        raise SettingError(message)
    if tuple(getattr(out, "shape", ())) != shape:
        message = f"out must be an array of shape {shape} for these times, but it has {getattr(out, 'shape', None)}. Make it so."
        raise SettingError(message)


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
