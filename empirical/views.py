"""How images are shown to a network: the training examples and the test examples of a case."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.component import one_of

Array = NDArray[np.float64]
VIEWS: dict[str, Callable[[Array, Array], tuple[Array, Array]]] = {}


def view(function: Callable[[Array, Array], tuple[Array, Array]]) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Registers a view under its name: training and test images (N, C, *spatial) to the same as they are shown."""
    VIEWS[function.__name__] = function
    return function


def show(name: str, train: Array, test: Array) -> tuple[Array, Array]:
    """The training and test images as a view shows them.

    Raises:
        SettingError: If there is no such view.

    Example:
        >>> train, test = show("blank_channel", np.ones((1, 1, 2, 2)), np.ones((3, 1, 2, 2)))
        >>> train.shape, train.sum(), test.sum()
        ((1, 2, 2, 2), np.float64(4.0), np.float64(24.0))
    """
    return VIEWS[one_of("view", name, VIEWS)](train, test)


@view
def plain(train: Array, test: Array) -> tuple[Array, Array]:
    """As they are."""
    return train, test


@view
def repeated(train: Array, test: Array) -> tuple[Array, Array]:
    """Every training example twice: more columns, no more rank."""
    return np.concatenate([train, train]), test


@view
def two_channels(train: Array, test: Array) -> tuple[Array, Array]:
    """A second channel, the image mirrored, in training and test."""
    return _mirrored(train), _mirrored(test)


@view
def blank_channel(train: Array, test: Array) -> tuple[Array, Array]:
    """A second channel that is blank in training and lit in the test."""
    return np.concatenate([train, np.zeros_like(train)], axis=1), _mirrored(test)


@view
def corner_pixel(train: Array, test: Array) -> tuple[Array, Array]:
    """Training on one lit pixel in the corner: with zero padding it reaches only some of the taps."""
    lit = np.zeros_like(train)
    lit.reshape((*train.shape[:2], -1))[..., 0] = 1.0
    return lit, test


@view
def grey_as_rgb(train: Array, test: Array) -> tuple[Array, Array]:
    """Training on grey images in three equal channels, tested on three different images as channels."""
    colours: list[Any] = [np.roll(test, shift, axis=0) for shift in range(3)]
    return np.concatenate([train] * 3, axis=1), np.concatenate(colours, axis=1)


@view
def dead_pixels(train: Array, test: Array) -> tuple[Array, Array]:
    """The left quarter of every training image is blank."""
    width = train.shape[-1]
    lit = np.arange(width) >= -(-width // 4)
    return train * lit, test


@view
def half_and_blank(train: Array, test: Array) -> tuple[Array, Array]:
    """Training on the image, a channel of half of it, and a blank one; three different images in the test.

    Half the image tells more than an equal copy: rules that treat all coordinates alike, such as Adam, keep equal copies equal.
    """
    colours: list[Any] = [np.roll(test, shift, axis=0) for shift in range(3)]
    return np.concatenate([train, train / 2, np.zeros_like(train)], axis=1), np.concatenate(colours, axis=1)


def _mirrored(images: Array) -> Array:
    return np.concatenate([images, images[..., ::-1]], axis=1)
