"""Images from files, and the digits that come with scikit-learn. Nothing is ever downloaded."""

import gzip
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.errors import DataError
from theory.paths import path_repair

WHOLE = 2**53  # larger integers are not all float64
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}

BROKEN = (  # what readers raise on files that are not whole, encrypted, or promise more than there is memory
    *(ValueError, EOFError, MemoryError, OverflowError, RuntimeError),
    *(struct.error, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile),
)


@dataclass(frozen=True)
class Images:
    """Images as (N, C, *spatial) float64, and what was done to them.

    Attributes:
        values: The images.
        source: Where they come from and what was done, for the header of a table.
        divisor: What whole pixels of 8 or 16 bits were divided by; 1 if they are as they were.
    """

    values: NDArray[np.float64]
    source: str
    divisor: int = 1

    @property
    def flat(self) -> NDArray[np.float64]:
        """The images as rows, (N, features)."""
        return self.values.reshape(len(self.values), -1)

    def take(self, examples: Sequence[int]) -> "Images":
        """The chosen examples.

        Raises:
            DataError: If an index is out of range, or none is chosen.
        """
        wrong = [index for index in examples if not 0 <= index < len(self.values)]
        if wrong or not examples:
            last = len(self.values) - 1
            message = f"examples must be indices from 0 to {last}, at least one, but they are {list(examples)}. Choose others."
            raise DataError(message)
        shown = ",".join(map(str, examples)) if len(examples) < 8 else f"{len(examples)} of them"
        return Images(self.values[list(examples)], f"{self.source}, example {shown}", self.divisor)


def digits() -> Images:
    """The 1797 handwritten digits of scikit-learn, 8×8, in [0, 1].

    Example:
        >>> digits().values.shape
        (1797, 1, 8, 8)
    """
    from sklearn.datasets import load_digits

    return Images(load_digits().images[:, None] / 16.0, "scikit-learn digits, 1×8×8, divided by 16")


def read_images(path: str | Path, *, key: str | None = None, image_shape: Sequence[int] | None = None) -> Images:
    """Images from a .npy, .npz or IDX file, or a .gz of it.

    Integers of 8 or 16 bits are divided by the maximum of their type; wider integers and floats are taken as they are.

    Args:
        path: The file.
        key: The array's name in an .npz; the only array, or X, x or images, if None.
        image_shape: (C, *spatial) of one image, needed where channels seem to come last; inferred for (N, H, W), (N, C, H, W) and
            square (N, H·W); other rows (N, P) are taken as signals of one channel, (1, P).

    Raises:
        DataError: If the file is missing, truncated or of an unknown kind, or its array holds no images.
    """
    array, name = read_array(path, key=key)
    return to_images(array, f"{Path(path).name}{name}", image_shape=image_shape)


def to_images(array: NDArray[Any], where: str, *, image_shape: Sequence[int] | None = None) -> Images:
    """An array as images, by the rules of :func:`read_images`; ``where`` names it in errors and in the header of a table.

    Raises:
        DataError: If the array holds no images.
    """
    if array.dtype.kind not in "fiub" or array.ndim < 2 or array.size == 0:
        found = f"{array.dtype} of shape {array.shape}"
        message = f"data must be real images (N, …), at least one, but {where} is {found}. Choose another array."
        raise DataError(message)
    if array.dtype.itemsize > 8 or (array.dtype.kind in "iu" and max(int(array.max()), -int(array.min())) > WHOLE):
        message = (
            f"data must be numbers that float64 holds, integers of at most 2^53, but {where} is {array.dtype} "
            f"and reaches {array.flat[np.abs(array.astype(np.float64)).argmax()]}. Rescale them."
        )
        raise DataError(message)
    shape = _image_shape(array, image_shape, where)
    values = array.astype(np.float64).reshape(len(array), *shape)
    done, divisor = "as they are", 1
    if array.dtype.kind in "iu" and array.dtype.itemsize <= 2:
        divisor = int(np.iinfo(array.dtype).max)
        values /= divisor
        done = f"divided by {divisor}"
    if not np.isfinite(values).all():
        message = f"data must be finite, but {where} holds NaN or infinite pixels. Replace or drop those images."
        raise DataError(message)
    return Images(values, f"{where}, {'×'.join(map(str, shape))}, {done}", divisor)


def read_array(path: str | Path, *, key: str | None = None) -> tuple[NDArray[Any], str]:
    """The array in a .npy, .npz or IDX file (or a .gz of it), and how to name it.

    Raises:
        DataError: If the file cannot be read, is truncated, or is of an unknown kind.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        if raw[:6] == b"\x93NUMPY":
            return _parse_npy(raw), ""
        if raw[:2] == b"PK":
            return _parse_npz(path, raw, key)
        if raw[:2] == b"\0\0" and len(raw) > 4 and raw[2] in IDX_TYPES:
            return _parse_idx(raw), ""
    except DataError:
        raise
    except BROKEN as error:
        message = f"data must be a whole .npy, .npz or IDX file, but {path} is not: {error}. Copy or write it again."
        raise DataError(message) from None
    except OSError as error:
        message = f"data must be a readable file, but {path} is not: {error.strerror or error}. {path_repair(path)}"
        raise DataError(message) from None
    message = f"data must be a .npy, .npz or IDX file or a .gz of it, but {path} starts with {raw[:4]!r}. Convert it."
    raise DataError(message)


def _parse_npy(raw: bytes) -> NDArray[Any]:
    return np.load(io.BytesIO(raw), allow_pickle=False)  # type: ignore[no-any-return]


def _parse_npz(path: Path, raw: bytes, key: str | None) -> tuple[NDArray[Any], str]:
    with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
        # What is no array (a text file in the zip) cannot be chosen.
        names = [name for name in archive.files if f"{name}.npy" in archive.zip.namelist()]
        usual = [name for name in ("X", "x", "images", "inputs") if name in names]
        chosen = key or (names[0] if len(names) == 1 else usual[0] if usual else None)
        if chosen not in names:
            what = f"it is {key!r}" if key else "none was given"
            message = f"key must be one of the arrays of {path.name}, {', '.join(names) or '(none)'}, but {what}. Pass --key NAME."
            raise DataError(message)
        array = archive[chosen]
        if not isinstance(array, np.ndarray):
            message = f"its {chosen}.npy is no array"
            raise ValueError(message)
        return array, f"[{chosen}]"


def _parse_idx(raw: bytes) -> NDArray[Any]:
    dimensions = raw[3]
    shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    dtype = np.dtype(IDX_TYPES[raw[2]])
    body = raw[4 + 4 * dimensions :]
    if len(body) != math.prod(shape) * dtype.itemsize:
        message = f"its header promises {math.prod(shape) * dtype.itemsize} bytes and {len(body)} follow"
        raise ValueError(message)
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _image_shape(array: NDArray[Any], given: Sequence[int] | None, where: str) -> tuple[int, ...]:
    size = math.prod(array.shape[1:])
    if given is not None:
        if math.prod(given) != size or len(given) < 2 or min(given) < 1:
            message = f"image_shape must be channels and sizes with product {size} for {where}, but it is {tuple(given)}. Pass another."
            raise DataError(message)
        return tuple(given)
    if array.ndim == 2:
        side = math.isqrt(size)
        return (1, side, side) if side * side == size else (1, size)
    if array.ndim == 4 and array.shape[3] in (1, 3, 4) and min(array.shape[1:3]) > 4:
        _, height, width, channels = array.shape
        message = (
            f"data must be images (N, C, H, W), but {where} has shape {array.shape}, which looks like (N, H, W, C). "
            f"Save x.transpose(0, 3, 1, 2), or pass image_shape {height},{width},{channels} if it has {height} channels after all."
        )
        raise DataError(message)
    return tuple(array.shape[1:]) if array.ndim > 3 else (1, *array.shape[1:])
