"""What a network is trained towards. A target says its values from the layer's features and the inputs."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from theory.component import Component, check_number
from theory.errors import SettingError
from theory.layers import Array, Layer


class Target(Component):
    """Base of all targets."""

    is_function: ClassVar[bool] = True  # whether target(x) exists away from the training examples

    def check(self, layer: Layer) -> None:
        """Refuses a layer that can never represent the target (SettingError)."""

    def resolve(self, inputs: Array) -> "Target":
        """The target with what it takes from the training examples filled in."""
        return self

    def values(self, layer: Layer, x: Array, xp: Any) -> Array:
        """The target of each example: (N, *input_shape) to (N, *output_shape)."""
        raise NotImplementedError

    def weight(self, layer: Layer, input_shape: tuple[int, ...], zeros: Array) -> Array | None:
        """A block weight that represents the target on every input, made of zeros (blocks, q, d); None if none is known."""
        return None


@dataclass(frozen=True)
class Identity(Target):
    """The identity map: each output is what the layer's centre tap reads, the input cropped or strided to the output."""

    def check(self, layer: Layer) -> None:
        """What is known of the layer before the data."""
        layer.check_identity()

    def values(self, layer: Layer, x: Array, xp: Any) -> Array:
        """The input at the output's positions."""
        return layer.identity_values(x, xp)

    def weight(self, layer: Layer, input_shape: tuple[int, ...], zeros: Array) -> Array | None:
        """The identity's features, each with its gain."""
        rows = layer.identity_features(input_shape)
        blocks, outputs = [[block] for block in range(len(rows))], [list(range(len(rows[0])))]
        zeros[blocks, outputs, rows] = layer.identity_gain(input_shape)  # the indices are broadcast
        return zeros


@dataclass(frozen=True)
class Constant(Target):
    """One fixed output for every input.

    Args:
        value: The output, as nested sequences or an array; None means the single training example itself.
    """

    value: Any = None

    def __post_init__(self) -> None:
        if self.value is not None:
            object.__setattr__(self, "value", _nested("value", self.value))

    def resolve(self, inputs: Array) -> Target:
        """The training example becomes the value.

        Raises:
            SettingError: If there is more than one example.
        """
        if self.value is not None:
            return self
        if len(inputs) != 1:
            message = (
                f"target Constant() needs exactly one training example to repeat, but there are {len(inputs)}. "
                "Pass Constant(value=…) or one example."
            )
            raise SettingError(message)
        return Constant(inputs[0])

    def values(self, layer: Layer, x: Array, xp: Any) -> Array:
        """The value, once per example."""
        value = xp.asarray(self.value, dtype=x.dtype, device=x.device)
        positions = layer.positions(tuple(x.shape[1:]))
        if tuple(value.shape[1:]) != positions or value.ndim == 0:
            message = (
                f"target Constant must have a value of shape ({', '.join(map(str, ('channels', *positions)))}), the layer's "
                f"output, but it has shape {tuple(value.shape)}. Pass a value of that shape."
            )
            raise SettingError(message)
        return xp.broadcast_to(value, (len(x), *value.shape))


@dataclass(frozen=True)
class LinearMap(Target):
    """A fixed linear map of the flattened input: target(x) = A x, reshaped to the layer's output.

    Args:
        matrix: A, (outputs, inputs), as nested sequences or an array.
    """

    matrix: Any

    def __post_init__(self) -> None:
        matrix = _nested("matrix", self.matrix)
        if len(_shape(matrix)) != 2 or 0 in _shape(matrix):
            message = f"matrix must be a matrix, (outputs, inputs), but it is {str(self.matrix)[:60]}. Pass nested lists or an array."
            raise SettingError(message)
        object.__setattr__(self, "matrix", matrix)

    def values(self, layer: Layer, x: Array, xp: Any) -> Array:
        """One matrix product."""
        matrix = xp.asarray(self.matrix, dtype=x.dtype, device=x.device)
        flat = x.reshape((len(x), math.prod(x.shape[1:])))
        positions = layer.positions(tuple(x.shape[1:]))
        size = math.prod(positions)
        if matrix.shape[1] != flat.shape[1] or matrix.shape[0] % size:
            message = (
                f"matrix must have {flat.shape[1]} columns and a multiple of {size} rows for these inputs and this layer, "
                f"but it has shape {tuple(matrix.shape)}. Pass a matrix of that shape."
            )
            raise SettingError(message)
        return (flat @ matrix.T).reshape((len(x), matrix.shape[0] // size, *positions))


@dataclass(frozen=True)
class Given(Target):
    """The targets that are passed beside the inputs; there is no target(x) elsewhere, so errors off the data are refused."""

    is_function = False

    def values(self, layer: Layer, x: Array, xp: Any) -> Array:
        """There is none.

        Raises:
            SettingError: Always.
        """
        message = "target must be a function of the input here, but it is Given(). Use Identity, Constant or LinearMap, or pass targets."
        raise SettingError(message)


def _nested(argument: str, value: Any) -> Any:
    """An array or nested sequence as hashable nested tuples of floats.

    Raises:
        SettingError: If an entry is not a finite real number, or rows differ in length.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, (list, tuple)):
        if not isinstance(value, bool):
            check_number(argument, value)
        return float(value)
    rows = tuple(_nested(argument, item) for item in value)
    if len({_shape(row) for row in rows}) > 1:
        message = f"{argument} must be an array of numbers, but its rows differ in length. Pass a rectangular array."
        raise SettingError(message)
    return rows


def _shape(nested: Any) -> tuple[int, ...]:
    if not isinstance(nested, tuple):
        return ()
    return (len(nested), *(_shape(nested[0]) if nested else ()))
