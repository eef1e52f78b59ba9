"""A layer on a fixed feature map of the user's own."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from theory.component import Named
from theory.errors import SettingError
from theory.layers.layer import Array, Layer, Shape, check_flag, check_whole

REPAIR = "Write it with xp alone; constants by xp.asarray(A, dtype=x.dtype, device=x.device)."


@dataclass(frozen=True, repr=False)
class Features(Layer):
    r"""A linear layer on fixed features: φ(x) = function(x, xp).

    The gradient of a network by its parameters gives its linearisation, a random network its random features.

    Args:
        function: Takes examples (N, \*input_shape) and their array namespace (numpy or torch) and returns (N, d) of the same
            dtype, one row per example. Constants are converted by ``xp.asarray(A, dtype=x.dtype, device=x.device)``.
        bias: Whether a feature that is always 1 is added.
        size: d; None counts it on the training inputs.

    Example:
        >>> import numpy as np
        >>> layer = Features(lambda x, xp: xp.concatenate((x, xp.sin(x)), axis=1))
        >>> layer.features(np.array([[0.0, 3.0]]), np)[0, :2].tolist()
        [[0.0], [3.0]]
    """

    function: Any = None  # without one the error below is the answer, in TOML too
    bias: bool = False
    size: int | None = None
    single_column = True

    def __post_init__(self) -> None:
        if not callable(self.function):
            message = (
                f"function must be a Python function of (x, xp), but it is {self.function!r}. Pass one in Python; a TOML "
                "file cannot hold it: use kind 'linear' and give its values as the inputs."
            )
            raise SettingError(message)
        check_flag("bias", self.bias)
        if self.size is not None:
            check_whole("size", self.size, 1)

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"Features(function={name}, bias={self.bias})"

    def to_table(self) -> dict[str, Any]:
        """There is none: a file cannot hold a function.

        Raises:
            SettingError: Always.
        """
        message = (
            f"layer must be made of plain values to be written or saved, but {self} holds a Python function. Use Linear with "
            "function(inputs, numpy) as the inputs: it is the same setting."
        )
        raise SettingError(message)

    def resolve(self, inputs: Array, xp: Any) -> Layer:
        """The layer with its number of features counted."""
        return self if self.size is not None else self.with_values(size=self.patches(inputs[:1], xp).shape[1])

    def check(self, input_shape: Shape) -> None:
        """Whatever the function takes."""

    def positions(self, input_shape: Shape) -> Shape:
        """None: one output per example."""
        return ()

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """(outputs, d)."""
        if self.size is None:
            message = "size must be known for the shape of the weight, but it is None. Pass Features(function, size=…)."
            raise SettingError(message)
        return (channels, self.size)

    def patches(self, x: Array, xp: Any) -> Array:
        """What the function returns, checked, as columns.

        Raises:
            SettingError: As :func:`feature_rows`, or if a value is not finite.
        """
        values = feature_rows(self.function, x, xp, self.size)
        if not bool(xp.isfinite(values).all()):
            example = [bool(row) for row in xp.isfinite(values).all(1)].index(False)
            message = f"function must return finite values, but those of example {example} are not. Mend it, or drop the example."
            raise SettingError(message)
        return xp.moveaxis(values, 0, 1)[None]

    def check_identity(self) -> None:
        """Nobody knows whether a feature is the input.

        Raises:
            SettingError: Always.
        """
        message = f"target Identity() needs a layer that can be the identity, but {self} may not be. Use Given() or LinearMap."
        raise SettingError(message)

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """Unknown (SettingError)."""
        self.check_identity()
        return []

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``empirical.modules.Features``."""
        arguments = {
            "function": self.function,
            "in_features": math.prod(self.weight_shape(input_shape, channels)[1:]),
            "out_features": channels,
            "bias": self.bias,
        }
        return Named("empirical.modules.Features", arguments)


def feature_rows(function: Callable[[Array, Any], Array], x: Array, xp: Any, size: int | None) -> Array:
    """What a function returns for examples: (N, d), with d = ``size`` if that is known.

    Raises:
        SettingError: If it fails, or returns no array of this library, or one of another shape or dtype.
    """
    try:
        values = function(x, xp)
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        message = f"function must take {xp.__name__} arrays (x, xp), but for x of shape {tuple(x.shape)} it raised {what}. {REPAIR}"
        raise SettingError(message) from error
    if not isinstance(values, type(x)):
        message = (
            f"function must return a {xp.__name__} array for one, but it returned a {type(values).__name__}. {REPAIR}"
        )
        raise SettingError(message)
    shape = tuple(values.shape)
    if len(shape) != 2 or shape[0] != len(x) or shape[1] != (size or max(shape[1], 1)):
        rows = f"({len(x)}, {size or 'd'})"
        message = (
            f"function must return an array of shape {rows}, but it returned shape {shape}. Return one row per example."
        )
        raise SettingError(message)
    if values.dtype != x.dtype:
        message = f"function must return the dtype of its input, {x.dtype}, but it returned {values.dtype}. Convert its result."
        raise SettingError(message)
    return values
