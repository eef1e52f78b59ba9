"""One layer trained by torch until it is near its limit, beside its closed form at the same steps and the bound between the two."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from empirical.measure import MAX_STEPS, quickest
from empirical.train import train_problem
from numerics.arrays import Float
from numerics.budget import Budget, unit_roundoff
from numerics.predictor import Predictor
from theory.errors import SettingError


@dataclass(frozen=True, eq=False)
class NearLimit:
    r"""A network that torch has trained with momentum at its best rate, in float64.

    Attributes:
        predictor: The closed form of just this training, from the same start.
        steps: Where it was looked at, ascending, (T,).
        thetas: The trained weights as blocks, the bias as last column, (T, blocks, q, d).
    """

    predictor: Predictor
    steps: tuple[int, ...]
    thetas: Float

    @cached_property
    def budget(self) -> Budget:
        """Its bounds."""
        return Budget(self.predictor)

    @cached_property
    def bounds(self) -> Float:
        """How far rounding can have taken the trained weights from the closed form at each step, Frobenius norm, (T,)."""
        unit = unit_roundoff("float64")
        return np.array([self.budget.rounding(step, unit) + self.budget.evaluation(step) for step in self.steps])

    @property
    def limit_bound(self) -> float:
        """How far the last weights can be from the limit: rounding, and what is left of the way."""
        last = float(self.steps[-1])
        return self.budget.rounding(last, unit_roundoff("float64")) + self.budget.truncation(last)

    @property
    def evaluation(self) -> float:
        """Rounding of the limit's closed form."""
        return self.budget.evaluation(np.inf)

    def columns(self, x: Float, weight: Float | None = None) -> Float:
        """The outputs on examples at each step less those of a weight, as columns, (T, blocks, q, N × columns)."""
        gap = self.thetas if weight is None else self.thetas - weight
        found: Float = gap @ self.predictor.setting.layer.features(x, np)
        return found

    def outputs(self, x: Float) -> Float:
        """The outputs on examples at each step, (T, N, *output shape); for layers that add nothing untrained."""
        shape, layer = self.predictor.problem.input_shape, self.predictor.setting.layer
        return np.array([layer.from_columns(columns, shape, np) for columns in self.columns(x)])

    def sizes(self, x: Float) -> Float:
        """‖φ(x)‖ over all blocks and columns, (N,): the factor from a bound on the weights to one on outputs."""
        return lengths(self.predictor.setting.layer.features(x, np), len(x))


def lengths(columns: Float, count: int) -> Float:
    """The norm of each example's columns, (…, blocks, d, count × columns) to (…, count).

    Example:
        >>> lengths(np.array([[[3.0, 0.0, 1.0, 0.0], [0.0, 4.0, 0.0, 0.0]]]), 2).tolist()      # two columns each
        [5.0, 1.0]
    """
    split = columns.reshape((*columns.shape[:-1], count, -1))
    found: Float = np.sqrt((np.abs(split) ** 2).sum(axis=(-4, -3, -1)))
    return found


def train_near_limit(predictor: Predictor, looks: int = 1, *, most: int = MAX_STEPS, device: str = "cpu") -> NearLimit:
    """Trains the problem of a predictor, whatever its optimiser, near to its limit: within a millionth of the way.

    Args:
        predictor: Problem and start.
        looks: How many steps to look at: the last, a quarter of it, a quarter of that, ….
        most: At most so many steps; where they do not suffice :attr:`NearLimit.limit_bound` says how much is left.
        device: "auto", "cpu" or "cuda".

    Raises:
        SettingError: If it diverged.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow
        >>> from theory.setting import Setting
        >>> run = train_near_limit(Predictor(Setting(Linear(), GradientFlow()), [[2.0, 0.0], [0.0, 1.0]]))
        >>> bool(abs(run.thetas[-1, 0] - np.eye(2)).max() <= run.limit_bound), run.limit_bound < 1e-4
        (True, True)
    """
    optimizer, needed = quickest(Budget(predictor))
    last = min(needed, most)
    marks = sorted({max(1, last // 4**look) for look in range(looks)})
    setting = replace(predictor.setting, optimizer=optimizer)
    weight, bias = predictor.problem.to_torch(predictor.problem.start)
    given = None if predictor.setting.target.is_function else predictor.problem.targets
    own = Predictor(setting, predictor.problem.inputs, given, weight, bias)
    run = train_problem(own.problem, last, record=marks, device=device)
    if run.diverged:
        message = f"training must stay finite, but {optimizer} diverged. Rescale the inputs."
        raise SettingError(message)
    return NearLimit(own, tuple(marks), own.problem.to_blocks(run.weights, run.biases))
