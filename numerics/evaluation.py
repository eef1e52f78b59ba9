r"""The closed form on arrays: many times at once, without an array that nobody asked for.

Weights and outputs are all of the form

.. math::
    \text{out}_t = a_t B + b_t A + T\,\operatorname{diag}(p_t)\,M ,

with :math:`B` the start's own outputs, :math:`A` their part in the modes, :math:`T` and :math:`M` two thin factors, and at
each time one number :math:`p_t` per mode. ``combine`` forms that in pieces that stay in the cache, on numpy or torch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from theory.component import check_number, one_of
from theory.errors import SettingError

Array = Any  # of the backend's namespace
DTYPES = ("float64", "float32")
SINGLE = 1e18  # what can be squared and added up in float32; one over it, what is not lost
CACHE = 2**20  # bytes of a piece of the result that is written twice while it is still near
DEVICE_CACHE = 2**28  # the same on an accelerator, where large pieces pay
BUFFER = 2**25  # bytes of results that are reduced at once, where no limit is set


@dataclass(frozen=True)
class Backend:
    """Where the evaluation runs. The factors are found in float64 by numpy, whatever it is.

    Attributes:
        device: None for numpy, or a device of torch such as "cpu" or "cuda".
        dtype: "float64" or "float32".
    """

    device: str | None = None
    dtype: str = "float64"

    def __post_init__(self) -> None:
        one_of("dtype", self.dtype, DTYPES)
        if self.device is None:
            return
        try:
            self.namespace.empty(0, device=self.device)
        except ImportError:
            message = f"device must be None without torch, but it is {self.device!r}. Install closedflow[train], or leave it out."
            raise SettingError(message) from None
        except (RuntimeError, AssertionError, TypeError) as error:
            reason = str(error).splitlines()[0]
            message = f"device must be one that torch can use, but {self.device!r} is not: {reason}. Use 'cpu', or None for numpy."
            raise SettingError(message) from None

    @property
    def namespace(self) -> Any:
        """numpy, or torch, which is imported for this alone."""
        return np if self.device is None else import_module("torch")

    def array(self, value: Any, *, complex_numbers: bool = False) -> Array:
        """A numpy array in the backend's arithmetic; torch multiplies no real by a complex matrix, so the caller says which."""
        name = {"float64": "complex128", "float32": "complex64"}[self.dtype] if complex_numbers else self.dtype
        if self.device is None:
            return np.asarray(value, dtype=name)
        torch = self.namespace
        return torch.as_tensor(value).to(device=self.device, dtype=getattr(torch, name))

    def check(self, data: Any) -> None:
        """Refuses data that the arithmetic cannot hold, or whose squares it cannot (SettingError)."""
        largest = float(np.abs(data).max(initial=0.0))
        if self.dtype == "float32" and (largest > SINGLE or 0 < largest < 1 / SINGLE):
            message = (
                f"dtype must be float64 for data of size {largest:.3g}, whose squares float32 cannot hold, but it is float32. "
                "Leave it out, or rescale the data."
            )
            raise SettingError(message)

    def numbers(self, value: Array) -> Any:
        """A result as a numpy array of float64."""
        return np.asarray(value if self.device is None else value.cpu().numpy(), dtype=np.float64)

    def empty(self, shape: tuple[int, ...], like: Array) -> Array:
        """Room for a result of the type of another array."""
        options: dict[str, Any] = {"dtype": like.dtype} | ({} if self.device is None else {"device": self.device})
        return self.namespace.empty(shape, **options)


@dataclass(frozen=True)
class Factors:
    """What is the same at all times: B, A, T and M of the module's formula, per block, and what the times bring.

    Attributes:
        base: B, (blocks, q, n).
        aside: A, (blocks, q, n), or None where its share is 0 at all times.
        targets: T, (blocks, q, r).
        modes: M, (blocks, r, n).
        kept: a_t, (times,).
        still: b_t, (times,).
        progress: p_t, (times, blocks, r).
    """

    base: Array
    aside: Array | None
    targets: Array
    modes: Array
    kept: Array
    still: Array
    progress: Array

    @property
    def size(self) -> int:
        """Bytes of the result at one time."""
        return int(math.prod(self.base.shape)) * self.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one entry."""
        size: int = self.base.dtype.itemsize
        return size

    @property
    def scratch(self) -> int:
        """Bytes of the scaled factor at one time."""
        return int(min(math.prod(self.targets.shape), math.prod(self.modes.shape))) * self.itemsize


def combine(backend: Backend, factors: Factors, times: slice, out: Array) -> None:
    """Writes the result at these times into ``out``, (times, blocks, q, n)."""
    xp = backend.namespace
    first, last, _ = times.indices(len(factors.kept))
    near = CACHE if backend.device in (None, "cpu") else DEVICE_CACHE
    step = max(1, near // max(factors.size, 1))
    narrow = factors.targets.shape[-2] < factors.modes.shape[-1]
    for begin in range(first, last, step):
        piece = slice(begin, min(begin + step, last))
        result = out[piece.start - first : piece.stop - first]
        progress = factors.progress[piece]
        if narrow:
            xp.matmul(factors.targets * progress[:, :, None, :], factors.modes, out=result)
        else:
            xp.matmul(factors.targets, progress[..., None] * factors.modes, out=result)
        if factors.aside is None:
            result += factors.base
        else:
            result += factors.kept[piece, None, None, None] * factors.base
            result += factors.still[piece, None, None, None] * factors.aside


def pieces(backend: Backend, factors: Factors, max_memory: float | None) -> Iterator[tuple[slice, Array]]:
    """The result a few times at a time, as many as fit; one buffer is used again and again.

    Raises:
        SettingError: If not even one time fits.
    """
    count = len(factors.kept)
    if max_memory is not None:
        check_number("max_memory", max_memory, above=0)
    room = BUFFER if max_memory is None else max_memory
    per_time = factors.size + factors.scratch
    if max_memory is not None and room < per_time:
        message = (
            f"max_memory must be at least {per_time} bytes for one time of this result, but it is {max_memory:g}. "
            "Raise it, or pass fewer examples at once."
        )
        raise SettingError(message)
    step = max(1, min(count, int(room // max(per_time, 1))))
    buffer = backend.empty((step, *factors.base.shape), factors.base)
    for begin in range(0, count, step):
        piece = slice(begin, min(begin + step, count))
        combine(backend, factors, piece, buffer[: piece.stop - begin])
        yield piece, buffer[: piece.stop - begin]
