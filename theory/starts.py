r"""Initialisations. A start draws weights from a numpy generator."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from theory.component import Component, check_number
from theory.errors import SettingError
from theory.layers import Array, Shape


class Start(Component):
    """Base of all starts."""

    random: ClassVar[bool] = True

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """One weight and one bias (``None`` if the layer has none) from a numpy random generator.

        Args:
            rng: A ``numpy.random.Generator``.
            weight_shape: Torch's shape of the weight.
            bias_shape: Torch's shape of the bias, or None.
            fan_in: Inputs of one output unit.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class TorchDefault(Start):
    r"""Torch's default for Linear and Conv: uniform on :math:`\pm 1/\sqrt{\text{fan in}}`, so σ² = 1/(3·fan in).

    The distribution is torch's; the stream of random numbers is numpy's, so that it does not depend on the device.
    """

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Weight and bias share the bound."""
        bound = 1 / math.sqrt(fan_in)
        weight = rng.uniform(-bound, bound, weight_shape)
        return weight, None if bias_shape is None else rng.uniform(-bound, bound, bias_shape)


@dataclass(frozen=True)
class Gaussian(Start):
    """Every entry N(0, std²), the bias included.

    Args:
        std: The standard deviation, at least 0.
    """

    std: float

    def __post_init__(self) -> None:
        check_number("std", self.std, at_least=0)

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Independent normal entries."""
        weight = self.std * rng.standard_normal(weight_shape)
        return weight, None if bias_shape is None else self.std * rng.standard_normal(bias_shape)


@dataclass(frozen=True)
class Zeros(Start):
    """Every entry 0."""

    random = False

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Zeros as the generator's arrays, so that numpy need not be imported here."""
        weight = 0.0 * rng.uniform(size=weight_shape)
        return weight, None if bias_shape is None else 0.0 * rng.uniform(size=bias_shape)


@dataclass(frozen=True)
class Orthogonal(Start):
    """A random semi-orthogonal matrix (outputs × fan in), uniform in the Haar sense; the bias starts at 0."""

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Gram–Schmidt on a Gaussian matrix, twice (once loses orthogonality to rounding)."""
        rows, columns = weight_shape[0], math.prod(weight_shape[1:])
        matrix = rng.standard_normal((min(rows, columns), max(rows, columns)))
        for _ in range(2):
            for index in range(len(matrix)):
                matrix[index] -= matrix[:index].T @ (matrix[:index] @ matrix[index])
                matrix[index] /= math.sqrt(matrix[index] @ matrix[index])
        weight = (matrix if rows <= columns else matrix.T).reshape(weight_shape)
        return weight, None if bias_shape is None else 0.0 * rng.uniform(size=bias_shape)


@dataclass(frozen=True)
class Fixed(Start):
    """A start that the caller passes as ``initial_weight``; nothing is drawn."""

    random = False

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """There is nothing to draw from.

        Raises:
            SettingError: Always.
        """
        message = (
            f"initial_weight must be given with start Fixed(), but it is None. Pass an array of shape {weight_shape}."
        )
        raise SettingError(message)
