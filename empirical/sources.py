"""Where an experiment's images come from: a name that a file of settings can hold."""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from empirical.data import Images, digits, read_array, read_images
from theory.component import Component, one_of
from theory.errors import DataError
from theory.layers import check_whole


class Source(Component):
    """Base of all sources."""

    def images(self) -> Images:
        """The images, (N, C, *spatial).

        Raises:
            DataError: If they cannot be read.
        """
        self.lacks("images", "the images themselves")

    def labels(self) -> NDArray[np.int64] | None:
        """What each image shows, (N,), where that is known."""
        return None

    def fingerprint(self) -> str:
        """A hash of the images' numbers, so that a changed file is a changed experiment."""
        return _fingerprint(self, self.stamp())

    def stamp(self) -> Hashable:
        """What is seen at a glance when the images have changed, so that a sweep does not read them for each of its runs."""
        return None


@dataclass(frozen=True)
class Digits(Source):
    """The 1797 digits of scikit-learn.

    Args:
        size: Pixels of a side; the images' own 8 if None.

    Example:
        >>> Digits(size=14).images().values.shape
        (1797, 1, 14, 14)
    """

    size: int | None = None

    def __post_init__(self) -> None:
        _check_size(self.size)

    def images(self) -> Images:
        """The digits."""
        return resized(digits(), self.size)

    def labels(self) -> NDArray[np.int64]:
        """Which digit each is."""
        from sklearn.datasets import load_digits

        return np.asarray(load_digits().target, dtype=np.int64)


@dataclass(frozen=True)
class ImageFile(Source):
    """The images in a file; see :func:`empirical.data.read_images`.

    Args:
        path: A .npy, .npz or IDX file, or a .gz of it.
        key: The array's name in an .npz.
        image_shape: (C, *spatial) of one image, if it is not seen from the array.
        size: Pixels of a side; the images' own if None.
    """

    path: str
    key: str | None = None
    image_shape: tuple[int, ...] | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        _check_size(self.size)

    def stamp(self) -> Hashable:
        """When the file was changed, and how large it is."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return None  # reading says what is wrong
        return str(Path(self.path).absolute()), found.st_mtime_ns, found.st_size

    def images(self) -> Images:
        """The images of the file."""
        return resized(read_images(self.path, key=self.key, image_shape=self.image_shape), self.size)

    def labels(self) -> NDArray[np.int64] | None:
        """The array y or labels beside the images in an .npz, if it has one whole number for each image."""
        count = len(self.images().values)
        for key in ("y", "labels") if Path(self.path).suffix == ".npz" else ():
            try:
                found, _ = read_array(self.path, key=key)
            except DataError:
                continue
            if found.shape == (count,) and found.dtype.kind in "iu":
                return found.astype(np.int64)
        return None


TABLES = ("iris", "wine", "breast_cancer")


@dataclass(frozen=True)
class Table(Source):
    """A table of measurements that comes with scikit-learn, each column scaled to [0, 1], a row as a signal (1, columns).

    Args:
        name: "iris", "wine" or "breast_cancer".

    Example:
        >>> Table("iris").images().values.shape
        (150, 1, 4)
    """

    name: str = "iris"

    def __post_init__(self) -> None:
        one_of("table", self.name, TABLES)

    def images(self) -> Images:
        """The rows."""
        values = self._bunch.data
        low, high = values.min(axis=0), values.max(axis=0)
        return Images(((values - low) / (high - low))[:, None], f"scikit-learn {self.name}, columns scaled to [0, 1]")

    def labels(self) -> NDArray[np.int64]:
        """The class of each row."""
        return np.asarray(self._bunch.target, dtype=np.int64)

    @property
    def _bunch(self) -> Any:
        from sklearn import datasets

        return getattr(datasets, f"load_{self.name}")()


@lru_cache(maxsize=64)
def _fingerprint(source: Source, _stamp: Hashable) -> str:
    values = np.ascontiguousarray(source.images().values)
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


def resized(images: Images, size: int | None) -> Images:
    """Square images of another size, by linear interpolation (averaged first where they shrink).

    Raises:
        DataError: If the images are not square pictures.
    """
    shape = images.values.shape[2:]
    if size is None or shape == (size, size):
        return images
    if len(shape) != 2 or shape[0] != shape[1]:
        message = (
            f"images must be square pictures to be resized, but they are {'×'.join(map(str, shape))}. Leave size out."
        )
        raise DataError(message)
    matrix = _resampling(shape[0], size)
    # Not by BLAS, whose sums depend on the number of threads: a worker must find the parent's pixels, bit by bit.
    rows = np.einsum("ip,ncpq->nciq", matrix, images.values)
    values = np.einsum("jq,nciq->ncij", matrix, rows)
    return Images(values, f"{images.source}, resized to {size}×{size}")


def _resampling(before: int, after: int) -> Any:
    """The matrix of linear interpolation with a tent as wide as the larger of the two pixel sizes; rows sum to 1."""
    scale = before / after
    centres = (np.arange(after) + 0.5) * scale - 0.5
    tent = np.maximum(0.0, 1 - np.abs(centres[:, None] - np.arange(before)) / max(scale, 1.0))
    return tent / tent.sum(axis=1, keepdims=True)


def _check_size(size: int | None) -> None:
    if size is not None:
        check_whole("size", size, 1)
