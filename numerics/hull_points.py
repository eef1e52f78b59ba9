r"""Points for questions about hulls: checked, kept in their own precision, and priced by one matrix product with an error bound.

Data of 8 or 16 bits and float32 are priced in float32, everything else in float64. A price is :math:`v\cdot x_i` up to the
rounding of a product, :math:`|\mathrm{fl}(v\cdot x) - v\cdot x| \le \gamma_d \|v\|\|x\|` (Higham, Accuracy and Stability,
section 3.1). Whoever asks for the least price gets every point that can have it, and compares those in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from numerics.arrays import Float
from numerics.evaluation import Backend
from theory.errors import SettingError

EPS32 = float(np.finfo(np.float32).eps)
WHOLE = 2**53  # larger integers are not all float64
EPS = float(np.finfo(np.float64).eps)
LARGEST, SMALLEST = 1e100, 1e-100  # outside, squares of features would leave the range of float64
FLOAT32_REACH = 1e15  # likewise of float32
FAR = 8.0  # points this many times their spread away from the origin are moved before they are priced
TORCH_EPS = {"highest": 2.0**-23, "high": 2.0**-10, "medium": 2.0**-7}
NOTHING = 1e-150  # what underflow can take away
SAMPLED = 1 << 24  # numbers among which a simplex is looked for
CHUNK = 1 << 23  # numbers in a temporary array

Array = NDArray[Any]
Index = NDArray[np.intp]


def checked(argument: str, value: Any, ndim: Sequence[int]) -> Array:
    """A finite real array (…, features) in its own precision, of at most float64.

    Raises:
        SettingError: If it is empty, of another dimension, not of finite real numbers, or holds integers beyond 2^53.
    """
    if hasattr(value, "detach"):
        value = _from_torch(argument, value)
    try:
        array = np.asarray(value)
    except (TypeError, RuntimeError) as error:
        message = f"{argument} must be numbers that numpy can read, but it cannot: {error} Pass an array."
        raise SettingError(message) from None
    except ValueError:
        message = f"{argument} must be rows of one length, but they differ. Pass a rectangular array."
        raise SettingError(message) from None
    if array.ndim not in ndim or array.size == 0:
        shape = "(count, features)" if 1 not in ndim else "(features,) or (count, features)"
        message = f"{argument} must have shape {shape}, with at least one of each, but it has {array.shape}. Reshape or fill it."
        raise SettingError(message)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        message = f"{argument} must be real numbers of at most 64 bits, but the dtype is {array.dtype}. Pass float64."
        raise SettingError(message)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and max(int(array.max()), -int(array.min())) > WHOLE:
        message = f"{argument} must be integers of at most 2^53, but one is {max(int(array.max()), -int(array.min()))}. Rescale them."
        raise SettingError(message)
    if not (np.isfinite(array.max()) and np.isfinite(array.min())):
        rows = np.atleast_2d(array)
        bad = int(np.argmin(np.isfinite(rows).all(axis=1)))
        found = rows[bad][~np.isfinite(rows[bad])][0]
        message = f"{argument} must be finite, but row {bad} holds {found}. Replace or drop that row."
        raise SettingError(message)
    return array


def _from_torch(argument: str, tensor: Any) -> Array:
    """A tensor of torch as an array."""
    try:
        tensor = tensor.detach().cpu()
        found: Array = tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy()
    except (TypeError, RuntimeError) as error:
        message = f"{argument} must be a dense tensor that numpy can read, but it cannot: {error} Pass float64."
        raise SettingError(message) from None
    return found


def largest(array: Array) -> float:
    """The largest absolute value.

    Example:
        >>> largest(np.array([-128, 3], dtype=np.int8))     # whose own absolute value is -128
        128.0
    """
    return max(abs(float(array.max())), abs(float(array.min())))


def pieces(rows: Array) -> list[slice]:
    """Slices of the rows, each small enough for a temporary copy."""
    step = max(1, CHUNK // rows.shape[1])
    return [slice(start, min(start + step, len(rows))) for start in range(0, len(rows), step)]


def spread(count: int, size: int) -> Index:
    """Evenly spread indices below count, among which a simplex of so many points is looked for: four times as many.

    Example:
        >>> spread(10, 1).tolist(), spread(2, 1).tolist()
        ([0, 3, 6, 9], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, min(count, 4 * size)).astype(np.intp))


@dataclass(eq=False)
class Cloud:
    """Points, (N, d), as they were given.

    Attributes:
        given: The points in their own precision.
        reach: The largest absolute value in the queries.
        device: None for numpy, or a device of torch, which then forms the prices.
        exponent: The data are read as x·2^-exponent; 0 unless squares would leave the range of float64.
    """

    given: Array
    reach: float = 0.0
    device: str | None = None
    exponent: int = field(init=False)

    def __post_init__(self) -> None:
        reach = max(self.magnitude, self.reach)
        self.exponent = int(np.frexp(reach)[1]) if reach and not SMALLEST < reach < LARGEST else 0

    @property
    def count(self) -> int:
        """The number of points, N."""
        return len(self.given)

    @property
    def width(self) -> int:
        """The number of features, d."""
        return int(self.given.shape[1])

    @cached_property
    def magnitude(self) -> float:
        """The largest absolute value in the points."""
        return largest(self.given)

    def scaled(self, rows: Array) -> Float:
        """Rows in float64, in the units of the cloud; exact unless something underflows (see :meth:`keeps`)."""
        wide = rows.astype(np.float64)
        return np.ldexp(wide, -self.exponent) if self.exponent else wide

    def keeps(self, rows: Array) -> bool:
        """Whether nothing underflows when these rows are brought to the units of the cloud."""
        return self.exponent <= 0 or bool((np.ldexp(self.scaled(rows), self.exponent) == rows).all())

    def rows(self, index: Any, query: Float) -> Float:
        """x_i − q, in the units of the cloud, each entry correct to a relative EPS/2."""
        found: Float = self.scaled(self.given[index]) - query
        return found

    @cached_property
    def varying(self) -> NDArray[np.bool_]:
        """(d,), the features that are not the same number at every point."""
        found: NDArray[np.bool_] = (self.given != self.given[0]).any(axis=0)
        return found

    @cached_property
    def simplex(self) -> Index | None:
        """Points whose differences span every feature that varies, or None if none are found."""
        size = int(self.varying.sum()) + 1
        for index in (spread(self.count, size), np.arange(self.count)):
            if len(index) < size or len(index) * size > SAMPLED:
                continue
            rows = self.rows(index, self.scaled(self.given[0]))[:, self.varying]
            chosen = basis(np.column_stack((rows / (np.abs(rows).max() or 1.0), np.ones(len(rows)))).T, size)
            if len(chosen) == size:
                return index[chosen]
        return None

    @cached_property
    def _priced(self) -> tuple[Any, Float, Float, float]:
        """What prices are formed with: the array, the point subtracted from it, the norms of its rows, the roundoff of a product."""
        narrow = self.given.dtype.itemsize <= 2 or self.given.dtype == np.float32
        narrow = (
            narrow
            and self.reach < FLOAT32_REACH
            and (self.magnitude == 0 or 1 / FLOAT32_REACH < self.magnitude < FLOAT32_REACH)
        )
        dtype: np.dtype[Any] = np.dtype(np.float32 if narrow else np.float64)
        centre, array = np.zeros(self.width), self.given
        if not self.exponent:
            array = array.astype(dtype, copy=False)
            middle = (np.full(self.count, 1 / self.count, dtype) @ array).astype(np.float64)
            spread = float(np.ptp(array[:: max(1, self.count // 1000)], axis=0).max())
        if self.exponent or np.abs(middle).max() > FAR * spread:
            centre = self.scaled(array[:1])[0] if self.exponent else middle
            array = np.empty(self.given.shape, dtype)
            for piece in pieces(self.given):
                array[piece] = self.scaled(self.given[piece]) - centre
        eps, least = (EPS32, 1e-20) if narrow else (EPS, 1e-150)  # squares of less underflow
        norms = np.sqrt(np.einsum("ij,ij->i", array, array)).astype(np.float64)
        norms = np.maximum(norms * (1 + (self.width + 4) * eps), least)
        if self.device is None:
            return array, centre, norms, (self.width + 8) * eps
        backend = Backend(self.device, dtype.name)
        if narrow:  # torch may have been told to round the factors to fewer bits
            eps = TORCH_EPS[backend.namespace.get_float32_matmul_precision()]
        return backend.array(array), centre, norms, (self.width + 8) * eps

    def _product(self, directions: Float) -> Array:
        """Directions (m, d) times points, (m, N), in the precision of the prices."""
        array = self._priced[0]
        if self.device is None:
            found: Array = directions.astype(array.dtype) @ array.T
            return found
        backend = Backend(self.device, str(array.dtype).removeprefix("torch."))
        found = (backend.array(directions) @ array.T).cpu().numpy()
        return found

    def prices(self, directions: Float, queries: Float) -> tuple[Array, Float, Float]:
        """v·(x_i − q) for unit vectors v, and how far off they can be: a number for each point, and one for each query.

        Args:
            directions: v, (m, d).
            queries: q, (m, d).

        Returns:
            The prices (m, N) in the precision they were formed in, and the two bounds, (N,) and (m,), which add.
        """
        _, centre, norms, roundoff = self._priced
        products = self._product(directions)
        moved = queries - centre
        offset = np.einsum("ij,ij->i", directions, moved)
        products -= offset[:, None].astype(products.dtype)
        slack = 4 * EPS * (self.width + 4) * (np.linalg.norm(moved, axis=1) + np.linalg.norm(queries, axis=1))
        return products, roundoff * norms, roundoff * np.abs(offset) + slack + NOTHING

    def nearness(self, queries: Float) -> Array:
        """‖x_i − q‖² up to a constant for each query, (m, N), roughly: good for choosing where to begin, and for nothing else."""
        _, centre, norms, _ = self._priced
        products = self._product(queries - centre)
        products *= -2
        products += (norms**2).astype(products.dtype)
        return products


def basis(columns: Float, size: int) -> Index:
    """Up to ``size`` columns that are far from dependent, by a pivoted QR decomposition."""
    _, triangle, order = qr(columns, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(triangle))
    rank = int((diagonal > max(columns.shape) * EPS * diagonal[0]).sum()) if diagonal[0] > 0 else 0
    chosen: Index = order[: min(rank, size)]
    return chosen
