r"""What the data determine of predictions, and what they leave to the start and the training: one decomposition for all points.

The formulas and the theorem behind them stand in :mod:`theory.extrapolation` (T12). With a preconditioner :math:`P = R^2` the part
outside is that of :math:`R\varphi(x)` outside the range of :math:`\tilde\Phi = R\Phi`, and a start counts by
:math:`U = R^{-1}(I - \tilde\Phi\tilde\Phi^+)R\varphi(x)`.
"""

from typing import Any

import numpy as np

from numerics.arrays import Float, quiet, squares
from numerics.determinacy import Determinacy
from numerics.membership import membership
from numerics.modes import LARGEST, SMALLEST
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.setting import Setting

NAMES = {"inside": "determined", "outside": "free", "undecided": "undecided"}


def determinacy(
    setting: Setting,
    inputs: Any,
    test: Any,
    targets: Any = None,
    initial_weight: Any = None,
    initial_bias: Any = None,
    seed: int = 0,
) -> Determinacy:
    r"""Which predictions the training data determine, and what is left to the start and the training regime.

    All weights that minimise the squared error on the data predict the same on x iff the range of Φ contains every column of
    φ(x); otherwise they predict :math:`Y\Phi^+\varphi(x) + ZU` with :math:`U = (I - \Phi\Phi^+)\varphi(x)` and any Z. This is about data
    and layer alone: the setting's weight decay plays no part in it, see :meth:`Determinacy.prediction` for what it picks.

    Args:
        setting: A setting whose optimiser is linear in the weights.
        inputs: Training inputs, (N, features) or (N, C, \*spatial).
        test: Test examples of the same shape.
        targets: With ``Given()`` only.
        initial_weight: Torch's weight W0; drawn from ``setting.start`` with ``seed`` if None.
        initial_bias: Torch's bias.
        seed: Seed of the draw.

    Returns:
        A :class:`Determinacy`.

    Raises:
        SettingError: If the data do not fit, there is no test example, or the setting has no closed form.

    Accuracy:
        Verdicts hold for the rank that float64 decides (``margin``); a column within a few times ``floors`` of the range is undecided.

    Source:
        Theorem T12; :mod:`theory.extrapolation`.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow
        >>> start = [[0.0, 5.0], [0.0, 7.0]]
        >>> found = determinacy(Setting(Linear(), GradientFlow()), [[2.0, 0.0]], [[9.0, 0.0], [1.0, 3.0]], initial_weight=start)
        >>> found.status.tolist(), found.free_dimensions.tolist()
        (['determined', 'free'], [0, 2])
        >>> [bound[1].tolist() for bound in found.interval(2.0)]                # (1, 0) ± 2·3
        [[-5.0, -6.0], [7.0, 6.0]]
        >>> found.prediction()[0].tolist()                              # the start's: Z = W0
        [[9.0, 0.0], [16.0, 21.0]]
    """
    predictor = Predictor(setting, inputs, targets, initial_weight, initial_bias, seed)
    problem = predictor.problem
    x = problem.check_examples(test, "test")
    if len(x) == 0:
        message = "test must hold at least one example, but it holds none. Pass one, with its batch axis."
        raise SettingError(message)
    return judged(predictor, x)


def judged(predictor: Predictor, x: Float) -> Determinacy:
    """The determinacy of checked test examples under a predictor's data; its modes serve all of them.

    Raises:
        SettingError: If the square of a feature would overflow or underflow.
    """
    problem, modes = predictor.problem, predictor.spectrum
    features = problem.setting.layer.features(x, np)
    blocks, d, total = features.shape
    sizes = np.abs(features).max(axis=(0, 1))
    beyond = (sizes > LARGEST) | ((sizes > 0) & (sizes < SMALLEST))
    if beyond.any():
        message = (
            f"test must have features between {SMALLEST:g} and {LARGEST:g}, whose squares float64 holds, but the largest of one column is "
            f"{sizes[beyond][0]:g}. Rescale that example."
        )
        raise SettingError(message)
    coordinates = predictor.coordinates
    plain = coordinates.root is None
    seen = features if plain else coordinates.root @ features
    differs = (problem.features != 0).any(axis=2) if plain else np.ones((blocks, d), dtype=bool)
    sizes = np.sqrt(squares(features).sum(axis=(0, 1)).reshape((len(x), -1)).sum(axis=1))
    sizes = np.repeat(sizes, total // len(x))  # of the whole example, for each of its columns
    noise = problem.setting.layer.feature_noise(problem.input_shape)
    with quiet():
        found = membership(
            modes,
            seen,
            differs,
            errors=coordinates.errors(features, len(x), noise),
            scales=None if not noise else np.broadcast_to(sizes, (blocks, total)),
        )
    rest = np.where((found.status == "inside")[:, None, :], 0.0, found.rest)
    free = rest if plain else coordinates.inverse @ rest
    named = np.vectorize(NAMES.__getitem__, otypes=[np.str_])(found.status)
    status, lengths, floors = (
        np.moveaxis(part.reshape((blocks, len(x), -1)), 1, 0) for part in (named, found.lengths, found.floors)
    )
    return Determinacy(predictor, x, status, lengths, floors, free)
