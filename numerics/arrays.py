"""Arrays from outside: checked once, promoted to float64, named in every error."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.errors import SettingError

Float = NDArray[np.float64]


def real_array(argument: str, value: Any) -> Float:
    """A finite float64 copy of a numpy array, a torch tensor or nested lists.

    Raises:
        SettingError: If it is complex, of objects or strings, or holds a NaN or an infinity.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.double() if value.is_floating_point() else value).numpy()  # numpy has no bfloat16
    try:
        array = np.asarray(value)
    except ValueError:
        message = (
            f"{argument} must be an array of real numbers, but its rows differ in length. Pass a rectangular array."
        )
        raise SettingError(message) from None
    if array.dtype.kind not in "fiub":
        message = f"{argument} must be an array of real numbers, but its dtype is {array.dtype}. Pass float64."
        raise SettingError(message)
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        message = f"{argument} must be finite, but entry {where} is {array[where]}. Replace or drop that example."
        raise SettingError(message)
    return array


def check_times(times: Any, *, discrete: bool, allow_infinity: bool = True) -> Float:
    """Times as a one-dimensional float64 array; step counts are whole.

    Raises:
        SettingError: If a time is negative or not a number, a step count is not whole, or infinity is not allowed.
    """
    name = "steps" if discrete else "times"
    try:
        array = np.atleast_1d(np.asarray(times))
    except ValueError:  # rows of different lengths
        array = np.empty((0, 0))
    if array.dtype.kind not in "fiu" or array.ndim != 1:
        message = f"{name} must be one number or a list of numbers, but it is {times!r}. Pass, say, [0, 10, math.inf]."
        raise SettingError(message)
    array = array.astype(np.float64)
    allowed = (array >= 0) & (np.isfinite(array) | allow_infinity)
    if not allowed.all():
        wrong = array[~allowed][0]
        message = f"{name} must be at least 0{'' if allow_infinity else ' and finite'}, but one is {wrong:g}. Drop it."
        raise SettingError(message)
    fractional = array[np.isfinite(array) & (array != np.floor(array))]
    if discrete and fractional.size:
        message = (
            f"steps must be whole numbers for a descent, but one is {fractional[0]:g}. Pass {round(fractional[0])}, "
            "or use GradientFlow for continuous times."
        )
        raise SettingError(message)
    return array


def check_shape(argument: str, array: Float, shape: tuple[int, ...], what: str) -> None:
    """Refuses an array of another shape, and says how to reshape it if that is all it takes (SettingError)."""
    if array.shape != shape:
        repair = (
            f"Pass {argument}.reshape{shape}." if array.size == math.prod(shape) else "Pass an array of that shape."
        )
        message = f"{argument} must have shape {shape} for {what}, but it has {array.shape}. {repair}"
        raise SettingError(message)


def adjoint(array: Float) -> Float:
    """The conjugate transpose of the last two axes; the transpose, without a copy, where the numbers are real."""
    return array.conj().swapaxes(-1, -2)


def squares(array: Float) -> Float:
    """The squared modulus of each entry, real."""
    return (array.conj() * array).real


@contextmanager
def quiet() -> Iterator[None]:
    """Underflow to 0 and overflow to infinity are the right limits of exponentials; they need no warning."""
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        yield
