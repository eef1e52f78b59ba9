"""What must be true of an optimiser's rule before anything is said of it; a user's own class may be wrong."""

import math
from typing import Any

from theory.errors import SettingError
from theory.optimizers import Optimizer
from theory.rule import transition

LATE = 10**9  # a step at which a rule that changes has settled
LOOSE = 1e-9  # relative, of sums of a few numbers of size one
SLOPE = 0.625  # of the gradient that the rule is tried with


def check_rule(optimizer: Optimizer) -> None:
    """Refuses a rule that is not linear in the weight and the gradient, by trying it on numbers.

    Raises:
        SettingError: If the rule cannot be run on numbers, or the sum of two states does not move by the sum of their moves.

    Example:
        >>> from theory.optimizers import HeavyBall
        >>> check_rule(HeavyBall(0.1, 0.9))
    """
    optimizer = optimizer.rule
    name = "step" if optimizer.discrete else "velocity"
    rule = getattr(optimizer, name)

    def moved(weight: float, memory: float, push: float) -> list[float]:
        state = (weight, *[memory] * (len(optimizer.initial_state(1.0)) - 1))
        return [float(part) for part in rule(state, lambda u: SLOPE * u + push, 1)]

    try:
        one, other = moved(1.0, 0.5, 0.25), moved(-3.0, 2.0, 1.5)
        both = moved(-2.0, 2.5, 1.75)
    except SettingError:
        raise
    except Exception as error:
        message = (
            f"optimizer must have a {name} that runs on numbers, symbols and arrays alike, but that of {type(optimizer).__name__} "
            f"raises {type(error).__name__}: {error}. Use only sums and scalar multiples."
        )
        raise SettingError(message) from None
    size = max(map(abs, (*one, *other, *both, 1.0)))
    if any(not abs(a + b - c) <= LOOSE * size for a, b, c in zip(one, other, both, strict=True)):
        message = (
            f"optimizer must have a {name} that is linear in the weight and the gradient, but that of {type(optimizer).__name__} is "
            "not: two states together do not move by the sum of their moves, and theorem T1 is false for it. Train it with torch; "
            "there is no prediction."
        )
        raise SettingError(message)


def stated_limit(optimizer: Optimizer, s_max: float) -> float:
    """The largest learning rate that an optimiser states for modes up to an eigenvalue.

    Raises:
        SettingError: If it is no positive number.
    """
    limit: Any = optimizer.max_learning_rate(s_max)
    if not isinstance(limit, (int, float)) or math.isnan(limit) or limit <= 0:
        message = (
            f"optimizer must have a max_learning_rate above 0, but that of {type(optimizer).__name__} at s_max = {s_max:g} is "
            f"{limit!r}. Return a number, math.inf where nothing diverges."
        )
        raise SettingError(message)
    return float(limit)


def check_limit(optimizer: Optimizer, s_max: float) -> None:
    """Refuses a ``max_learning_rate`` below which the rule itself grows without end in the mode of the largest eigenvalue.

    Args:
        optimizer: A descent with a learning rate that its own limit allows.
        s_max: The largest eigenvalue.

    Raises:
        SettingError: If the rule's own matrix has an eigenvalue above 1 in modulus.

    Example:
        >>> from theory.optimizers import GradientDescent
        >>> check_limit(GradientDescent(0.1), 4.0)
    """
    limit = stated_limit(optimizer, s_max)
    if not optimizer.discrete or optimizer.schedule is not None or s_max <= 0:
        return
    rows, _ = transition(optimizer, s_max, LATE)
    radius = spectral_radius([[float(entry) for entry in row] for row in rows])
    if radius > 1 + 1e-6:  # eigenvalues of a matrix that is not normal: the root of rounding, and some room
        message = (
            f"optimizer must have a max_learning_rate below which every mode converges, but with {optimizer} the mode of eigenvalue "
            f"{s_max:.6g} grows by {radius:.6g} at every step, although its limit is {limit:.6g}. Correct max_learning_rate."
        )
        raise SettingError(message)


def spectral_radius(rows: list[list[float]]) -> float:
    """The largest modulus of an eigenvalue, of a matrix of one or two rows; 0 for more, of which nothing is said.

    Example:
        >>> spectral_radius([[0.0, 1.0], [-4.0, 0.0]])
        2.0
    """
    if len(rows) == 1:
        return abs(rows[0][0])
    if len(rows) != 2:
        return 0.0
    half = (rows[0][0] + rows[1][1]) / 2
    determinant = rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    square = half**2 - determinant
    return math.sqrt(determinant) if square < 0 else abs(half) + math.sqrt(square)
