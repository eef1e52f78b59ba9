"""A layer on the monomials of its inputs."""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

from theory.component import Named
from theory.errors import SettingError
from theory.layers.flat import Flat
from theory.layers.layer import Array, Shape, check_flag, check_flat, check_whole

MAX_FEATURES = 10**6


@dataclass(frozen=True)
class Polynomial(Flat):
    r"""A polynomial of the inputs: φ(x) holds all monomials of total degree 1 to ``degree``; a bias is the monomial 1.

    Graded lexicographic order: degree 1 first, and within a degree by the sorted list of factors, so that for two inputs
    and degree 2 :math:`\varphi(x) = (x_1, x_2, x_1^2, x_1 x_2, x_2^2)`. For f inputs there are
    :math:`\binom{f + \text{degree}}{\text{degree}} - 1` of them.

    Args:
        degree: The largest total degree.
        bias: Whether there is a constant term.

    Example:
        >>> import numpy as np
        >>> Polynomial(2).features(np.array([[2.0, 3.0]]), np)[0, :, 0].tolist()
        [2.0, 3.0, 4.0, 6.0, 9.0]
    """

    degree: int
    bias: bool = False

    def __post_init__(self) -> None:
        check_whole("degree", self.degree, 1)
        check_flag("bias", self.bias)

    def check(self, input_shape: Shape) -> None:
        """One axis of features behind the batch, and not too many monomials."""
        check_flat("Polynomial", input_shape)
        if self._count(input_shape) > MAX_FEATURES:
            message = (
                f"degree must give at most {MAX_FEATURES} monomials, but {self.degree} gives {self._count(input_shape)} of "
                f"{input_shape[0]} inputs. Lower the degree, or use fewer inputs."
            )
            raise SettingError(message)

    def _count(self, input_shape: Shape) -> int:
        return math.comb(input_shape[0] + self.degree, self.degree) - 1

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """(outputs, monomials)."""
        return (channels, self._count(input_shape))

    def patches(self, x: Array, xp: Any) -> Array:
        """The monomials of each example as columns."""
        monomials = []
        for degree in range(1, self.degree + 1):
            product = None
            for factor in zip(*combinations_with_replacement(range(x.shape[1]), degree), strict=True):
                product = x[:, list(factor)] if product is None else product * x[:, list(factor)]
            monomials.append(product)
        return xp.moveaxis(xp.concatenate(monomials, axis=1), 0, 1)[None]

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``empirical.modules.Polynomial``."""
        arguments = {
            "in_features": input_shape[0],
            "out_features": channels,
            "degree": self.degree,
            "monomials": self._count(input_shape),
            "bias": self.bias,
        }
        return Named("empirical.modules.Polynomial", arguments)
