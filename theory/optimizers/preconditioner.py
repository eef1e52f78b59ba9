"""A fixed preconditioner around any rule."""

from dataclasses import dataclass
from typing import Any

from theory.errors import SettingError
from theory.optimizers.optimizer import Array, Optimizer
from theory.targets import _nested, _shape

PASSED_ON = (
    *(
        "initial_state",
        "response",
        "limit_residual",
        "limit_response",
        "propagator_bound",
        "response_error",
        "max_learning_rate",
        "growth",
    ),
    *("flow_time", "torch_optimizer", "torch_scheduler", "torch_average", "torch_options"),
    *(
        "step",
        "velocity",
        "departure",
        "companion",
        "companion_time",
        "learning_rate_for",
        "duration",
        "gap_bound",
    ),  # of descents or of flows
)
PROPERTIES = (
    *("discrete", "learning_rate", "schedule", "averages", "recurrent", "time_order", "sampled", "batch"),
    *("has_limit", "converges", "fineness"),
)
ASYMMETRY = 1e-12  # of the largest entry: what rounding leaves of a product A Aᵀ


def _inner(name: str) -> Any:
    """What is asked of the rule inside: a value, or a method with its arguments."""

    def asked(self: "Preconditioned") -> Any:
        return getattr(self.optimizer, name)

    return property(asked, doc=f"The ``{name}`` of the rule inside.")


@dataclass(frozen=True)
class Preconditioned(Optimizer):
    r"""A rule that is handed :math:`\nabla L\,P` instead of the gradient of the data, P symmetric and positive definite.

    It is the rule on the features :math:`P^{1/2}\Phi` and the weight :math:`W P^{-1/2}`. Weight decay is torch's: the optimiser
    adds :math:`\mu W` after the gradient was multiplied, so that it stays the same in all directions, and in both coordinates.
    Without decay :math:`W P^{-1}(I - \Phi\Phi^+)` is conserved, and the limit is the minimiser that is nearest to :math:`W_0` in
    the norm :math:`\|(W - W_0)P^{-1/2}\|`.

    Args:
        optimizer: The rule, a flow or a descent.
        matrix: P, (d, d), as nested sequences or an array; d counts the layer's features, the bias last. That it is positive
            definite is checked with the data.

    Raises:
        SettingError: If the rule is not linear or is preconditioned itself, or the matrix is not symmetric.
    """

    optimizer: Optimizer
    matrix: Any

    def __post_init__(self) -> None:
        if (
            not isinstance(self.optimizer, Optimizer)
            or not self.optimizer.linear
            or self.optimizer.rule is not self.optimizer
        ):
            message = f"optimizer must be a linear rule without preconditioner, but it is {self.optimizer!r}. Pass, say, GradientFlow()."
            raise SettingError(message)
        matrix = _nested("matrix", self.matrix)
        shape = _shape(matrix)
        if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
            message = f"matrix must be square, (d, d), but its shape is {shape}. Pass one row and column per feature."
            raise SettingError(message)
        largest = max(abs(entry) for row in matrix for entry in row)
        gap, i, j = max((abs(matrix[i][j] - matrix[j][i]), i, j) for i in range(len(matrix)) for j in range(i + 1))
        if gap > ASYMMETRY * largest:
            message = (
                f"matrix must be symmetric, but its entries ({i}, {j}) and ({j}, {i}) are {matrix[i][j]:g} and {matrix[j][i]:g}. "
                "Pass (matrix + matrix.T)/2, or A @ A.T."
            )
            raise SettingError(message)
        object.__setattr__(self, "matrix", matrix)

    @property
    def rule(self) -> Optimizer:
        """The rule inside."""
        return self.optimizer

    def steady(self, time: float) -> tuple[Optimizer, float]:
        """The rule of constant rate, preconditioned, and its time."""
        steady, then = self.optimizer.steady(time)
        return (self if steady is self.optimizer else Preconditioned(steady, self.matrix)), then

    def precondition(self, xp: Any, gradient: Array) -> Array:
        """The gradient times P."""
        return gradient @ xp.asarray(self.matrix, dtype=gradient.dtype, device=gradient.device)

    def __str__(self) -> str:
        return f"{self.optimizer} preconditioned by a {len(self.matrix)}×{len(self.matrix)} matrix"


for _name in (*PASSED_ON, *PROPERTIES):  # after the dataclass is made: they are no fields
    setattr(Preconditioned, _name, _inner(_name))
