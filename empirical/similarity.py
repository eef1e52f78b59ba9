r"""How alike two pictures are, and where a network's output stands between the identity and the constant.

Everything is per picture: arrays (..., *shape) with ``axes`` trailing axes of one picture.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numerics.spectrum import spectrum

Float = NDArray[np.float64]


class Standing(NamedTuple):
    """Outputs against the two end states, each (...): Pearson correlation, mean squared error, and what is neither of the two."""

    identity: Float
    constant: Float
    identity_mse: Float
    constant_mse: Float
    noise: Float


def correlation(a: Any, b: Any, axes: int = 1) -> Float:
    r"""Pearson's correlation of the pixels, :math:`\langle a - \bar a, b - \bar b\rangle / (\|a - \bar a\|\,\|b - \bar b\|)`.

    Args:
        a: (..., *shape).
        b: The same, or one that broadcasts.
        axes: How many axes one picture has.

    Returns:
        (...); NaN where a picture is flat to rounding, because there is no correlation with a flat picture.

    Example:
        >>> correlation([1.0, 2.0, 3.0], [2.0, 4.0, 7.0]).item()   # 5/sqrt(2·38/3)
        0.9933992677987828
    """
    return cosine(_centred(a, axes), _centred(b, axes), axes)


def cosine(a: Any, b: Any, axes: int = 1) -> Float:
    r"""The cosine of the angle, :math:`\langle a, b\rangle / (\|a\|\,\|b\|)`; NaN where a picture is 0.

    Example:
        >>> cosine([3.0, 4.0], [4.0, 3.0]).item()
        0.96
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    over = tuple(range(-axes, 0))
    size = np.sqrt((a * a).sum(axis=over) * (b * b).sum(axis=over))
    product = (a * b).sum(axis=over)
    return np.asarray(np.divide(product, size, out=np.full(np.shape(size), np.nan), where=size > 0))


def multiple_correlation(a: Any, pictures: Any, axes: int = 1) -> Float:
    r"""The correlation of a picture with the nearest combination of others, :math:`\|\Pi(a - \bar a)\|/\|a - \bar a\|`.

    :math:`\Pi` projects onto the span of the others, each less its mean. With a single other it is the size of the Pearson
    correlation.

    Args:
        a: (..., *shape).
        pictures: (n, *shape).
        axes: How many axes one picture has.

    Returns:
        (...), in [0, 1]; NaN where a picture is flat to rounding.

    Example:
        >>> round(multiple_correlation([1.0, 2.0, 3.0], [[1.0, 1.0, 4.0]]).item(), 12)   # 3/sqrt(2·6)
        0.866025403784
    """
    centred, others = _centred(a, axes), _centred(pictures, axes)
    flat = centred.reshape((-1, int(np.prod(centred.shape[centred.ndim - axes :]))))
    inside = spectrum(others.reshape((1, len(others), -1)).swapaxes(1, 2)).project(flat.T[None])[0].T
    size = np.linalg.norm(flat, axis=1)
    ratio = np.divide(np.linalg.norm(inside, axis=1), size, out=np.full(len(flat), np.nan), where=size > 0)
    return np.asarray(np.minimum(ratio, 1.0).reshape(centred.shape[: centred.ndim - axes]))


def mean_squared_error(a: Any, b: Any, axes: int = 1) -> Float:
    """The mean over the pixels of the squared difference.

    Example:
        >>> mean_squared_error([1.0, 2.0], [1.0, 4.0]).item()
        2.0
    """
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    return np.asarray((difference * difference).mean(axis=tuple(range(-axes, 0))))


def standing(outputs: Any, inputs: Any, constant: Any, axes: int) -> Standing:
    """Outputs (..., N, *shape) against their inputs (N, *shape), the identity, and against one picture, the constant."""
    return Standing(
        correlation(outputs, inputs, axes),
        correlation(outputs, constant, axes),
        mean_squared_error(outputs, inputs, axes),
        mean_squared_error(outputs, constant, axes),
        noise(outputs, inputs, constant, axes),
    )


def noise(outputs: Any, inputs: Any, constant: Any, axes: int = 1) -> Float:
    r"""The mean square of what is no combination of the input, of one picture and of a flat one, :math:`\|(I - P)f(x)\|^2/p`.

    P projects on the span of the three; p is the number of pixels. The identity, the constant, and every blend of them
    with any contrast have none.

    Example:
        >>> noise([1.0, 0.0, 0.0, 0.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]).round(12).item()   # 1/4 of 1, over 4
        0.0625
    """
    outputs, inputs, constant = (np.asarray(value, dtype=float) for value in (outputs, inputs, constant))
    shape, pixels = outputs.shape[-axes:], int(np.prod(outputs.shape[-axes:]))
    lead = outputs.shape[:-axes]
    known = (inputs, constant, np.ones(shape))
    basis = np.stack([np.broadcast_to(value, outputs.shape).reshape((*lead, pixels)) for value in known], axis=-1)
    left, values, _ = np.linalg.svd(basis, full_matrices=False)
    floor = pixels * np.finfo(float).eps * values[..., :1]
    left = left * (values > floor)[..., None, :]
    rest = outputs.reshape((*lead, pixels, 1))
    rest = rest - left @ (left.mT @ rest)
    return np.asarray((rest * rest).sum(axis=(-2, -1)) / pixels)


def _centred(a: Any, axes: int) -> Float:
    """A picture less its mean; exactly 0 where what is left is rounding."""
    a = np.asarray(a, dtype=float)
    over = tuple(range(-axes, 0))
    centred = a - a.mean(axis=over, keepdims=True)
    pixels = int(np.prod(a.shape[-axes:]))
    floor = 4 * pixels * np.finfo(float).eps * np.abs(a).max(axis=over, keepdims=True)
    return np.where(np.abs(centred).max(axis=over, keepdims=True) > floor, centred, 0.0)
