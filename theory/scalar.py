r"""The scalar side: an optimiser's rule on one mode, and the residual that follows from it.

On one eigen-direction the gradient is :math:`s\,u`, so the rule of an optimiser is a linear system with the matrix
:math:`A(s)`: :math:`z_{k+1} = A z_k` for a descent, :math:`\dot z = A z` for a flow, :math:`z = (u, \dots)`. The residual
is :math:`u` from rest at :math:`u = 1`. It is found by an ansatz on the eigenvalues of :math:`A`, and the ansatz is then
*verified by substitution* into the equation: what is printed has been checked, whatever found it.
"""

from dataclasses import dataclass, fields
from typing import Any

import sympy

from theory.optimizers import Optimizer

s = sympy.Symbol("s", nonnegative=True)
t = sympy.Symbol("t", nonnegative=True)
k = sympy.Symbol("k", integer=True, nonnegative=True)

LETTERS = {"learning_rate": "eta", "momentum": "beta", "friction": "gamma"}


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


@dataclass(frozen=True)
class Mode:
    """What happens in one mode: the scalar equation, its solution, and whether substitution confirmed it.

    Attributes:
        equation: The scalar equation, in u.
        start: The initial values, in u.
        residual: g(s, ·), generic parameters.
        short: The residual in the names of its roots, for reading.
        roots: What those names stand for.
        special: Cases where the generic formula is 0/0, with the residual that holds there.
        remainder: What is left after substituting the residual; 0 means verified.
        time: The symbol of time: t for a flow, k for a descent.
    """

    equation: sympy.Eq
    start: tuple[sympy.Eq, ...]
    residual: sympy.Expr
    short: sympy.Expr
    roots: dict[sympy.Symbol, sympy.Expr]
    special: tuple[tuple[sympy.Eq, sympy.Expr], ...]
    remainder: sympy.Expr
    time: sympy.Symbol

    @property
    def verified(self) -> bool:
        """Whether substitution left exactly 0, for every case."""
        return bool(self.remainder == 0)


def symbols_of(optimizer: Optimizer) -> dict[str, sympy.Symbol]:
    """The letter of each parameter of an optimiser: η for the learning rate, β for the momentum."""
    names = [field.name for field in fields(optimizer)]  # type: ignore[arg-type]
    return {name: sympy.Symbol(LETTERS.get(name, name), positive=True) for name in names}


def mode_solution(optimizer: Optimizer) -> Mode:
    r"""The residual of an optimiser, derived from its rule and verified by substitution.

    Raises:
        NotImplementedError: If the rule changes with time, remembers more than one step, or what it remembers does not
            start at 0; no ansatz is known then.

    Example:
        >>> from theory.optimizers import GradientDescent, GradientFlow
        >>> mode_solution(GradientFlow()).residual
        exp(-s*t)
        >>> mode = mode_solution(GradientDescent(0.1))
        >>> mode.equation, mode.residual, mode.verified
        (Eq(u(k + 1), (-eta*s + 1)*u(k)), (-eta*s + 1)**k, True)
    """
    symbolic = optimizer.symbolic(**symbols_of(optimizer))
    time = k if optimizer.discrete else t
    rows, _ = transition(symbolic, s, time)
    matrix = sympy.Matrix(rows)
    initial = sympy.Matrix([1] + [0] * (matrix.rows - 1))  # at rest
    rests = sympy.Matrix(symbolic.initial_state(sympy.Integer(1))) == initial
    if time in matrix.free_symbols or matrix.rows > 2 or not rests:
        message = f"no ansatz is known for the rule of {optimizer}"
        raise NotImplementedError(message)
    first = sympy.expand((matrix * initial)[0])  # u_1, or u'(0)
    return _first_order(matrix, time) if matrix.rows == 1 else _second_order(matrix, first, time)


def _shifted(u: Any, time: sympy.Symbol, order: int) -> sympy.Expr:
    return u(time + order) if time is k else u(time).diff(time, order)


def _first_order(matrix: sympy.Matrix, time: sympy.Symbol) -> Mode:
    u, rate = sympy.Function("u"), matrix[0]
    residual = rate**k if time is k else sympy.exp(rate * t)
    after = residual.subs(k, k + 1) if time is k else residual.diff(t)
    remainder = sympy.Abs(sympy.expand(after - rate * residual)) + sympy.Abs(residual.subs(time, 0) - 1)
    equation = sympy.Eq(_shifted(u, time, 1), rate * u(time))
    return Mode(equation, (sympy.Eq(u(0), 1),), residual, residual, {}, (), remainder, time)


def _second_order(matrix: sympy.Matrix, first: sympy.Expr, time: sympy.Symbol) -> Mode:
    u = sympy.Function("u")
    trace, determinant = sympy.expand(matrix.trace()), sympy.expand(matrix.det())
    discriminant = sympy.expand(trace**2 - 4 * determinant)
    root = sympy.sqrt(discriminant)
    plus, minus, double = (trace + root) / 2, (trace - root) / 2, trace / 2
    r_plus, r_minus = sympy.symbols("r_+ r_-")
    roots = {r_plus: plus, r_minus: minus}

    def power(r: sympy.Expr) -> sympy.Expr:
        return r**k if time is k else sympy.exp(r * t)

    # u = a₊ p₊ + a₋ p₋ with p± = r±^k or exp(r± t) meets both initial values with these weights.
    short = ((first - r_minus) * power(r_plus) + (r_plus - first) * power(r_minus)) / (r_plus - r_minus)
    residual = short.subs(roots)
    weights = (first - minus) / root, (plus - first) / root
    slope = (first - double) / double if time is k else first - double
    at_double = (1 + slope * time) * power(double)
    # Substitution. Each p satisfies the equation iff its root satisfies the characteristic polynomial; at a double root the
    # polynomial's derivative must vanish too, which r = T/2 does. Then the two initial values.
    checks = [sympy.expand(r**2 - trace * r + determinant) for r in (plus, minus)]
    checks += [
        sympy.simplify(weights[0] + weights[1] - 1),
        sympy.simplify(weights[0] * plus + weights[1] * minus - first),
    ]
    checks += [
        sympy.expand(double**2 - trace * double + determinant + discriminant / 4),
        sympy.expand(2 * double - trace),
    ]
    checks += [sympy.simplify((1 + slope) * double - first if time is k else double + slope - first)]
    remainder = sum((sympy.Abs(check) for check in checks), sympy.Integer(0))
    equation = sympy.Eq(_shifted(u, time, 2), trace * _shifted(u, time, 1) - determinant * u(time))
    derivative = sympy.Eq(u(1), first) if time is k else sympy.Eq(sympy.Subs(u(t).diff(t), t, 0), first)
    special = ((sympy.Eq(discriminant, 0), at_double),)
    return Mode(equation, (sympy.Eq(u(0), 1), derivative), residual, short, roots, special, remainder, time)
