r"""Initialisations. A start draws weights from a numpy generator."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from theory.component import Component, check_number
from theory.errors import SettingError
from theory.layers import Array, Shape


@dataclass(frozen=True)
class EntryMoments:
    """What the mean and the variance of an error ask of a start; its entries are symmetric about 0.

    Attributes:
        std: σ of an entry.
        kurtosis: E w⁴/σ⁴ of an entry, 3 for a Gaussian.
        orthogonal: Whether the weight is Haar-distributed with σ² = 1/n and no bias, instead of independent entries.
    """

    std: float
    kurtosis: float
    orthogonal: bool = False


class Start(Component):
    """Base of all starts."""

    random: ClassVar[bool] = True

    def moments(self, fan_in: int, outputs: int) -> EntryMoments:
        """The moments of an entry of a weight (outputs × fan in).

        Raises:
            SettingError: If none are derived.

        Example:
            >>> TorchDefault().moments(fan_in=3, outputs=5)          # uniform on ±1/√3
            EntryMoments(std=0.3333333333333333, kurtosis=1.8, orthogonal=False)
        """
        message = f"start must have moments for the error over random starts, but none are derived for {self}. Use Gaussian(std)."
        raise SettingError(message)

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

    def moments(self, fan_in: int, outputs: int) -> EntryMoments:
        """1/√(3·fan in), and 9/5."""
        return EntryMoments(math.sqrt(1 / (3 * fan_in)), 9 / 5)

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

    def moments(self, fan_in: int, outputs: int) -> EntryMoments:
        """std, and 3."""
        return EntryMoments(self.std, 3.0)

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Independent normal entries."""
        weight = self.std * rng.standard_normal(weight_shape)
        return weight, None if bias_shape is None else self.std * rng.standard_normal(bias_shape)


@dataclass(frozen=True)
class Zeros(Start):
    """Every entry 0."""

    random = False

    def moments(self, fan_in: int, outputs: int) -> EntryMoments:
        """Those of the number 0."""
        return EntryMoments(0.0, 3.0)

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Zeros as the generator's arrays, so that numpy need not be imported here."""
        weight = 0.0 * rng.uniform(size=weight_shape)
        return weight, _at_zero(rng, bias_shape)


@dataclass(frozen=True)
class Orthogonal(Start):
    """A random semi-orthogonal matrix (outputs × fan in), uniform in the Haar sense; the bias starts at 0."""

    def moments(self, fan_in: int, outputs: int) -> EntryMoments:
        """1/√n and 3n/(n + 2), with n the larger side: an entry of a Haar matrix of that size."""
        n = max(fan_in, outputs)
        return EntryMoments(1 / math.sqrt(n), 3 * n / (n + 2), orthogonal=True)

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Gram–Schmidt on a Gaussian matrix, twice (once loses orthogonality to rounding)."""
        rows, columns = weight_shape[0], math.prod(weight_shape[1:])
        matrix = rng.standard_normal((min(rows, columns), max(rows, columns)))
        for _ in range(2):
            for index in range(len(matrix)):
                matrix[index] -= matrix[:index].T @ (matrix[:index] @ matrix[index])
                matrix[index] /= math.sqrt(matrix[index] @ matrix[index])
        weight = (matrix if rows <= columns else matrix.T).reshape(weight_shape)
        return weight, _at_zero(rng, bias_shape)


@dataclass(frozen=True)
class Xavier(Start):
    r"""Every entry N(0, 2/(fan in + fan out)), torch's ``xavier_normal_``; the bias starts at 0."""

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """The fan out counts the outputs that one input reaches: outputs times taps."""
        fan_out = weight_shape[0] * math.prod(weight_shape[2:])
        return math.sqrt(2 / (fan_in + fan_out)) * rng.standard_normal(weight_shape), _at_zero(rng, bias_shape)


@dataclass(frozen=True)
class Kaiming(Start):
    r"""Every entry N(0, 2/fan in), torch's ``kaiming_normal_`` for a ReLU; the bias starts at 0."""

    def moments(self, fan_in: int, outputs: int) -> EntryMoments:
        """√(2/fan in), and 3."""
        return EntryMoments(math.sqrt(2 / fan_in), 3.0)

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Independent normal entries."""
        return math.sqrt(2 / fan_in) * rng.standard_normal(weight_shape), _at_zero(rng, bias_shape)


@dataclass(frozen=True)
class NearIdentity(Start):
    """The identity on the first channels (the centre tap of each, 1) and N(0, std²) added everywhere; the bias starts at 0.

    Args:
        std: The standard deviation of what is added, at least 0.

    Example:
        >>> import numpy as np
        >>> NearIdentity(0.0).draw(np.random.default_rng(0), (2, 1, 3), None, 3)[0].astype(int).tolist()
        [[[0, 1, 0]], [[0, 0, 0]]]
    """

    std: float

    def __post_init__(self) -> None:
        check_number("std", self.std, at_least=0)

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """Noise, then 1 on the centre taps of the diagonal."""
        weight = rng.normal(0.0, self.std, weight_shape)
        diagonal = list(range(min(weight_shape[:2])))
        weight[(diagonal, diagonal, *(size // 2 for size in weight_shape[2:]))] += 1
        return weight, _at_zero(rng, bias_shape)


@dataclass(frozen=True)
class Fixed(Start):
    """A start that the caller passes as ``initial_weight``; nothing is drawn."""

    random = False

    def moments(self, fan_in: int, outputs: int) -> EntryMoments:
        """There are none.

        Raises:
            SettingError: Always.
        """
        message = (
            "start must be random for the error over random starts, but it is Fixed(). Pass start=Gaussian(0.1), say."
        )
        raise SettingError(message)

    def draw(self, rng: Any, weight_shape: Shape, bias_shape: Shape | None, fan_in: int) -> tuple[Array, Array | None]:
        """There is nothing to draw from.

        Raises:
            SettingError: Always.
        """
        message = (
            f"initial_weight must be given with start Fixed(), but it is None. Pass an array of shape {weight_shape}."
        )
        raise SettingError(message)


def _at_zero(rng: Any, shape: Shape | None) -> Array | None:
    """A bias that starts at 0, as the generator's array, so that numpy need not be imported here; None if there is none."""
    return None if shape is None else 0.0 * rng.uniform(size=shape)
