"""Layers that are linear in their parameters; each one is a feature map φ and one file."""

# The first kind is the example that errors give.
from theory.layers.linear import Linear  # isort: skip

from theory.layers.circular import CircularConv
from theory.layers.convolution import Conv
from theory.layers.features import Features
from theory.layers.layer import Array, Layer, Shape, check_flag, check_whole
from theory.layers.locally_connected import LocallyConnected
from theory.layers.polynomial import Polynomial
from theory.layers.residual import Residual

__all__ = [
    "Array",
    "CircularConv",
    "Conv",
    "Features",
    "Layer",
    "Linear",
    "LocallyConnected",
    "Polynomial",
    "Residual",
    "Shape",
    "check_flag",
    "check_whole",
]
