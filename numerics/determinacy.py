"""The answer about determinacy: verdicts, free dimensions, intervals, and what each regime of training picks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.arrays import Float, adjoint, check_shape, real_array, squares
from numerics.membership import DOUBT
from numerics.predictor import Predictor
from numerics.spectrum import spectrum
from theory.component import check_number
from theory.errors import SettingError


@dataclass(frozen=True, eq=False)
class Determinacy:
    """What all least-squares minimisers share on test examples, and what is left free; see :func:`numerics.extrapolation.determinacy`.

    Attributes:
        predictor: The setting on its data; its start is W0.
        test: The test examples, (N, *input_shape).
        columns: "determined", "free" or "undecided", (N, blocks, columns): column j of φ(x) in block b.
        lengths: How far each column is outside the range of Φ, (N, blocks, columns); in a preconditioner's coordinates, if any.
        floors: What rounding can have made of that, likewise.
        free: U, (blocks, d, N × columns): what multiplies a start; exactly 0 where determined.
    """

    predictor: Predictor
    test: Float
    columns: NDArray[np.str_]
    lengths: Float
    floors: Float
    free: Float

    def __str__(self) -> str:
        counts = {name: int((self.status == name).sum()) for name in ("determined", "free", "undecided")}
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        dimensions = self.free_dimensions
        return f"of {len(self.test)} predictions: {shown}; free dimensions {dimensions.min()} to {dimensions.max()} of each"

    __repr__ = __str__

    @property
    def margin(self) -> float:
        """How many times the smallest singular value that counts exceeds the rounding floor: the verdicts hold for this rank."""
        return self.predictor.spectrum.margin

    @cached_property
    def status(self) -> NDArray[np.str_]:
        """Of each example, (N,): free if a column is, else undecided if one is, else determined."""
        flat = self.columns.reshape((len(self.test), -1))
        free, undecided = (flat == "free").any(axis=1), (flat == "undecided").any(axis=1)
        return np.where(free, "free", np.where(undecided, "undecided", "determined"))

    @property
    def _by_example(self) -> Float:
        """U of each example and block, (N, blocks, d, columns)."""
        blocks, d, _ = self.free.shape
        shape: Float = np.moveaxis(self.free.reshape((blocks, d, len(self.test), -1)), 2, 0)
        return shape

    @cached_property
    def _modes(self) -> Any:
        """The decomposition of every U, ruled by the error that it comes with."""
        parts, errors = self._by_example, np.linalg.norm(self.floors, axis=-1)
        return spectrum(parts.reshape((-1, *parts.shape[2:])), error=DOUBT * errors.ravel() * self._shrink)

    @property
    def _shrink(self) -> float:
        """How much longer U may be than what is outside in the coordinates of the modes: ‖R⁻¹‖."""
        coordinates = self.predictor.coordinates
        return coordinates.condition / coordinates.stretch

    @cached_property
    def free_dimensions(self) -> NDArray[np.int64]:
        """How many dimensions of each prediction are free, (N,): outputs × rank U, summed over blocks; only sure ones count."""
        ranks = np.array(self._modes.ranks).reshape((len(self.test), -1))
        return self.predictor.problem.start.shape[1] * ranks.sum(axis=1)  # type: ignore[no-any-return]

    @cached_property
    def minimum_norm(self) -> Float:
        """YΦ⁺φ(x), (N, *output shape): the zero start's limit, the limit of ever weaker decay, and the middle of every interval."""
        p, layer = self.predictor, self.predictor.setting.layer
        return self._outputs(self._least @ (p.writing @ layer.features(self.test, np)))

    @property
    def _least(self) -> Float:
        """YΦ⁺ in the modes, (blocks, q, r)."""
        values, targets = self.predictor.spectrum.values, self.predictor._target_modes
        least: Float = targets * np.where(values > 0, 1 / np.where(values > 0, values, 1), 0.0)[:, None, :]
        return least

    @property
    def least_weight(self) -> float:
        r"""‖YΦ⁺‖; minimisers of norm at most B are those of a budget :math:`R = \sqrt{B^2 - \|Y\Phi^+\|^2}` (no preconditioner)."""
        return float(np.linalg.norm(self._least @ self.predictor.writing))

    def _outputs(self, columns: Float) -> Float:
        """Columns as outputs, with what the layer adds untrained."""
        problem = self.predictor.problem
        outputs: Float = problem.setting.layer.from_columns(columns, problem.input_shape, np)
        offset = problem.offset(self.test)
        return outputs if offset is None else outputs + offset

    @cached_property
    def gains(self) -> Float:
        """How far a start of norm 1 moves each output entry at most, (N, *output shape): ‖u‖, 0 where determined."""
        problem = self.predictor.problem
        layer, shape = problem.setting.layer, problem.input_shape
        sizes = squares(self.free).sum(axis=1)[:, None, :]  # (blocks, 1, N × columns)
        if layer.complex_features:
            # Entries mix the blocks by an isometry T: the square is Σ |T|²‖u‖², with |T|² from one unit output per entry.
            units = np.eye(math.prod(layer.positions(shape))).reshape((-1, 1, *layer.positions(shape)))
            shares = squares(layer.to_columns(units, np)).reshape((len(self.free), len(units), -1))
            found = np.einsum("bpc,bnc->np", shares, sizes.reshape((len(self.free), len(self.test), -1)))
            moved = found.reshape((len(self.test), 1, *layer.positions(shape)))
        else:
            moved = layer.from_columns(sizes, shape, np)  # a reordering
        repeated: Float = np.repeat(np.sqrt(moved), problem.targets.shape[1] // moved.shape[1], axis=1)
        return repeated

    def interval(self, budget: float) -> tuple[Float, Float]:
        """The least and the largest value of each output entry over all minimisers YΦ⁺ + Z(I − ΦΦ⁺) with ‖Z‖ ≤ budget.

        The same over all limits of training from starts with ‖W0‖ ≤ budget (Frobenius norm, the bias included): exact, each end
        attained by :meth:`extremal_start`, and every value between. Where a column is undecided it is that of the U found.

        Args:
            budget: R, at least 0.

        Returns:
            Two arrays (N, *output shape).
        """
        check_number("budget", budget, at_least=0)
        return self.minimum_norm - budget * self.gains, self.minimum_norm + budget * self.gains

    def extremal_start(self, example: int, entry: Sequence[int], budget: float = 1.0, *, lowest: bool = False) -> Any:
        """The start of norm ``budget`` from which training gives an output entry its largest (or lowest) value.

        Args:
            example: Which test example.
            entry: Index of the output entry, (channel, *position).
            budget: R.
            lowest: The other end of the interval.

        Returns:
            Torch's weight and bias (None without); zeros where the entry is determined.

        Raises:
            SettingError: If there is no such example or entry.
        """
        check_number("budget", budget, at_least=0)
        problem, shape = self.predictor.problem, self.minimum_norm.shape
        unit = np.zeros((1, *shape[1:]))
        whole = isinstance(example, (int, np.integer)) and isinstance(entry, Sequence)
        if not whole or not 0 <= example < len(self.test) or len(entry) != unit.ndim - 1:
            message = f"example and entry must be an index into outputs of shape {shape}, but they are {example} and {entry}. Pass others."
            raise SettingError(message)
        try:
            unit[(0, *entry)] = -1.0 if lowest else 1.0
        except IndexError:
            message = f"entry must be an index into an output of shape {shape[1:]}, but it is {tuple(entry)}. Pass a smaller one."
            raise SettingError(message) from None
        theta = problem.setting.layer.to_columns(unit, np) @ adjoint(self._by_example[example])
        size = float(np.linalg.norm(theta))
        return problem.to_torch(theta * (budget / size if size else 0.0))

    def least_start(self, outputs: Any) -> tuple[Float, Float]:
        """How large a start must be for training to predict given outputs, and what no start can give.

        The outputs that starts of norm at most R reach are those that miss nothing and need at most R: an ellipsoid, of which
        :meth:`interval` is the shadow on each entry.

        Args:
            outputs: (N, *output shape), one for each test example, each asked for alone.

        Returns:
            The least ‖Z‖ that comes nearest, ‖ΔU⁺‖ with Δ = outputs − YΦ⁺φ(x), (N,); and how far the nearest is, ‖Δ(I − U⁺U)‖, (N,).

        Raises:
            SettingError: If the outputs have another shape, or are not finite.
        """
        wanted = real_array("outputs", outputs)
        check_shape("outputs", wanted, self.minimum_norm.shape, "these test examples")
        modes, problem = self._modes, self.predictor.problem
        gap = problem.setting.layer.to_columns(wanted - self.minimum_norm, np)
        blocks, q, _ = gap.shape
        gap = np.moveaxis(gap.reshape((blocks, q, len(self.test), -1)), 2, 0).reshape((-1, q, self.columns.shape[-1]))
        kept = modes.values > 0
        along = (gap @ adjoint(modes.right)) * kept[:, None, :]
        needed = along * np.where(kept, 1 / np.where(kept, modes.values, 1), 0.0)[:, None, :]
        missed = gap - along @ modes.right
        return self._norms(needed), self._norms(missed)

    def _norms(self, parts: Float) -> Float:
        """The norm over the blocks of each example, (N,)."""
        return np.linalg.norm(parts.reshape((len(self.test), -1)), axis=1)  # type: ignore[no-any-return]

    def prediction(self, times: Any = math.inf, weight_decay: float = 0.0) -> Float:
        """What training from the predictor's start picks, (T, N, *output shape).

        Without decay in the limit: the minimiser with Z = W0. Earlier: Z = W0 already, and not yet a minimiser inside the range.
        With decay: Z = :meth:`share` · W0, and inside the range the ridge solution's way.

        Args:
            times: Flow times or step counts.
            weight_decay: μ, instead of the setting's.
        """
        found: Float = self.predictor.with_decay(weight_decay).predict(self.test, times)
        return found

    def share(self, times: Any = math.inf, weight_decay: float = 0.0) -> Float:
        """How much of the start counts in the free directions, (T,): 1 without decay, the residual g(μ, t) with it."""
        p = self.predictor.with_decay(weight_decay)
        left: Float = p.response(times, np.array([weight_decay]))[0][:, 0]
        return left
