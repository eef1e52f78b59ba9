"""Learning rates in units of the data, and the best ones for them."""

import math
from dataclasses import replace
from typing import Any

from numerics.problem import assemble
from numerics.spectrum import spectrum
from theory.optimizers import HeavyBall
from theory.setting import Setting


def with_relative_rate(setting: Setting, inputs: Any, seed: int = 0) -> Setting:
    r"""The setting with the learning rate of its descent, given in units of :math:`1/s_{\max}`, in those of torch.

    Example:
        >>> import numpy as np
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientDescent
        >>> with_relative_rate(Setting(Linear(), GradientDescent(0.5)), np.array([[2.0, 0.0]])).optimizer   # s = 4
        GradientDescent(learning_rate=0.125)
    """
    problem = assemble(setting, inputs, seed=seed)
    fastest = problem.scale * float(spectrum(problem.features).values.max()) ** 2 + setting.weight_decay
    relative: float = setting.optimizer.learning_rate  # type: ignore[attr-defined]
    optimizer = setting.optimizer.with_values(learning_rate=relative / (fastest or 1.0))
    return replace(setting, optimizer=optimizer)


def fastest_heavy_ball(slowest: float, fastest: float) -> HeavyBall:
    r"""Momentum that keeps :math:`(\sqrt b - \sqrt a)/(\sqrt b + \sqrt a)` of every mode between two rates, a and b, at each step.

    Args:
        slowest: a, the smallest eigenvalue s of a mode that moves.
        fastest: b, the largest.

    Source:
        Polyak, Some methods of speeding up the convergence of iteration methods, 1964.

    Example:
        >>> fastest_heavy_ball(1.0, 9.0).momentum
        0.25
    """
    low, high = math.sqrt(slowest), math.sqrt(fastest)
    # Just below the best rate, where the roots of the extreme modes are double.
    return HeavyBall(learning_rate=4 / (high + low) ** 2 * (1 - 1e-9), momentum=((high - low) / (high + low)) ** 2)
