"""An optimiser's rule on one mode: as a matrix, and as one scalar equation of the error."""

from dataclasses import fields
from types import NoneType
from typing import Any

import sympy

from theory.component import Component
from theory.optimizers import Optimizer
from theory.scalar_proof import ScalarEquation

s = sympy.Symbol("s", nonnegative=True)
t = sympy.Symbol("t", nonnegative=True)
k = sympy.Symbol("k", integer=True, nonnegative=True)

LETTERS = {"learning_rate": "eta", "momentum": "beta", "friction": "gamma", "batch_size": "B"}


def symbols_of(optimizer: Optimizer) -> dict[str, sympy.Symbol]:
    """The letter of each number that an optimiser holds: η for the learning rate, β for the momentum."""
    names = [field.name for field in fields(optimizer)]  # type: ignore[arg-type]
    names = [name for name in names if not isinstance(getattr(optimizer, name), (Component, NoneType))]
    return {name: sympy.Symbol(LETTERS.get(name, name), positive=True) for name in names}


def transition(optimizer: Optimizer, rate: Any, time: Any = 0) -> tuple[list[list[Any]], list[Any]]:
    """The matrix A of the rule on one mode, and how a unit error of the gradient enters the state.

    Args:
        optimizer: A descent or a flow, with numbers or symbols as fields.
        rate: The eigenvalue s: a number, a symbol or an array of them.
        time: The time or step at which the rule is read, for rules that change with it.

    Returns:
        A as rows of entries, and the column of the gradient's error.

    Example:
        >>> from theory.optimizers import HeavyBall
        >>> transition(HeavyBall(learning_rate=0.5, momentum=0.25), 1.0)
        ([[0.5, -0.125], [1.0, 0.25]], [-0.5, 1.0])
    """
    rule = optimizer.step if optimizer.discrete else optimizer.velocity  # type: ignore[attr-defined]
    zero, one = 0 * rate, 1 + 0 * rate
    size = len(optimizer.initial_state(one))
    columns = []
    for index in range(size):
        unit = tuple(one if row == index else zero for row in range(size))
        columns.append(rule(unit, lambda u: rate * u, time))
    pushed = rule((zero,) * size, lambda u: one, time)
    return [[columns[column][row] for column in range(size)] for row in range(size)], list(pushed)


def scalar_equation(optimizer: Optimizer, *, progress: bool = False) -> ScalarEquation:
    r"""The rule on one mode as one equation of the weight's error, from rest at 1.

    With ``progress`` the gradient is :math:`su - 1` and the start 0: the equation that :math:`q = (1 - g)/s` must solve.

    Raises:
        NotImplementedError: If the rule changes with time and is no equation of second order in it, remembers more than
            one thing, or what it remembers does not start at 0.

    Example:
        >>> from theory.optimizers import GradientFlow, HeavyBall
        >>> print(scalar_equation(HeavyBall(0.5, 0.25)))
        u(k + 2) = -beta*u(k) + (beta - eta*s + 1)*u(k + 1), u(0) = 1, u(1) = -eta*s + 1
        >>> print(scalar_equation(GradientFlow(), progress=True))
        Derivative(u(t), t) = -s*u(t) + 1, u(0) = 0
    """
    symbolic = optimizer.symbolic(**symbols_of(optimizer))
    time = k if optimizer.discrete else t
    rows, pushed = transition(symbolic, s, time)
    matrix, source = sympy.Matrix(rows), -sympy.Matrix(pushed) * int(progress)
    rest = sympy.Matrix([1] + [0] * (matrix.rows - 1))
    rests = sympy.Matrix(symbolic.initial_state(sympy.Integer(1))) == rest
    changes = time in matrix.free_symbols | source.free_symbols
    # u' = v and v' = … is one equation of second order even where it changes with time.
    newtonian = time is t and matrix.rows == 2 and list(matrix[0, :]) == [0, 1] and source[0] == 0
    if matrix.rows > 2 or not rests or (changes and not newtonian):
        message = f"no scalar equation is known for the rule of {optimizer}"
        raise NotImplementedError(message)
    start = rest * int(not progress)
    moved = matrix * start + source
    if matrix.rows == 1:
        return ScalarEquation((matrix[0],), (start[0],), time, source[0])
    if newtonian:
        return ScalarEquation((matrix[1, 0], matrix[1, 1]), (start[0], start[1]), time, source[1])
    # Cayley and Hamilton: z'' = T z' - D z, plus what the source adds.
    trace, determinant = sympy.expand(matrix.trace()), sympy.expand(matrix.det())
    added = matrix * source + (source if time is k else 0 * source) - trace * source
    return ScalarEquation((-determinant, trace), (start[0], sympy.expand(moved[0])), time, sympy.expand(added[0]))
