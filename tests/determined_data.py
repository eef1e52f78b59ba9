"""Small problems whose exact ranks are known, for the tests of determinacy."""

import math

import numpy as np

from numerics.budget import UNITS
from numerics.extrapolation import determinacy
from theory.layers import CircularConv, Conv, Linear, LocallyConnected, Polynomial, Residual
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given

FLOW = Setting(Linear(), GradientFlow(), Given(), start=Gaussian(1.0))
PLAIN = [
    (Linear(), (4,)),
    (Linear(bias=True), (4,)),
    (Polynomial(2, bias=True), (3,)),
    (Conv(3), (1, 6)),
    (Conv(3, groups=2, bias=True), (2, 3, 3)),
    (LocallyConnected(3), (1, 4)),
    (Residual(Conv(3)), (1, 5)),
]
MIXED = [*PLAIN, (CircularConv(), (3, 4)), (CircularConv(), (1, 2, 3))]


def whole_data(layer, shape, seed, count=2):
    """Training and test examples of small whole numbers, with a combination of the former among the latter, and targets."""
    rng = np.random.default_rng(seed)
    train, test = rng.integers(-2, 3, (count, *shape)).astype(float), rng.integers(-2, 3, (3, *shape)).astype(float)
    if seed % 2:  # blank but for the first pixel: a convolution too is left with free dimensions
        train *= np.eye(1, math.prod(shape[1:]) if shape[1:] else shape[0]).reshape(shape[1:] or shape)
    test[0] = 2 * train[0] - train[-1]
    channels = shape[0] if layer.skips else 2 * layer.channel_groups()
    targets = rng.standard_normal((count, *layer.output_shape(shape, channels)))
    return train, test, targets


def found_for(layer, shape, seed, optimizer=None):
    train, test, targets = whole_data(layer, shape, seed)
    setting = Setting(layer, optimizer or GradientFlow(), Given(), start=Gaussian(1.0))
    return determinacy(setting, train, test, targets, seed=seed)


def rounding(found, budget=1.0):
    """A pseudo-inverse of condition at most 1e5 here (see ``margin``), of data of size at most 10: 1e5 units of 100·budget."""
    return 1e7 * 2 * UNITS["float64"] * max(budget, 1.0) * max(1.0, float(np.abs(found.minimum_norm).max()))


def prediction(found, start):
    """The limit from another start, in torch's layout, one (N, *output shape)."""
    weight, bias = start
    blocks = found.predictor.problem.to_blocks(
        np.asarray(weight)[None], None if bias is None else np.asarray(bias)[None]
    )
    return found.predictor.from_start(blocks[0]).predict(found.test, math.inf)[0]
