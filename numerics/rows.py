r"""Radau's implicit method for states whose rows obey one and the same linear equation: its Jacobian is that of one row.

The weights of every output obey :math:`\dot y = yA(t) + b(t)` with their own b and one A, which is found by applying the rule
to unit rows: (blocks, n, n), n the entries of a row times the parts of the rule's state. A state may have an entry before the
rows (the dual state's a) that obeys an equation of its own and drives the rows. Complex rows are rows of twice as many real
numbers. scipy's Radau does the rest; only its factorisation and its solve are replaced.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import Radau
from scipy.sparse import csc_array

from numerics.arrays import Float
from numerics.states import State

NEWTON = 0.01  # of the tolerance; an affine equation is solved by one iteration, up to rounding that 1e-5 would not allow for


@dataclass(frozen=True)
class RowJacobian:
    """The Jacobian of a state of equal rows.

    Attributes:
        lead: (parts, parts), of the entry before the rows; (0, 0) without.
        coupling: (parts, parts, blocks, q, entries), how that entry of each part drives the rows of each part.
        matrix: (blocks, n, n), of a row, which multiplies from the right.
        parts: Of the rule's state.
        width: 2 for complex numbers.
    """

    lead: Float
    coupling: Float
    matrix: Float
    parts: int
    width: int

    def slower(self, clock: float) -> "RowJacobian":
        """The same where time is counted in so many ticks a unit."""
        lead, coupling, matrix = (array / clock for array in (self.lead, self.coupling, self.matrix))
        return RowJacobian(lead, coupling, matrix, self.parts, self.width)

    def resolvent(self, shift: complex) -> Callable[[Float], Float]:
        """The solution of (shift − J) x = b, for any b."""
        inverse = np.linalg.inv(shift * np.eye(self.matrix.shape[-1]) - self.matrix)
        first = np.linalg.inv(shift * np.eye(len(self.lead)) - self.lead)
        entries, blocks = self.width * int(bool(len(self.lead))), len(self.matrix)

        def solve(right: Any) -> Any:
            parts = right.reshape((self.parts, -1))
            solved = np.zeros_like(parts, dtype=np.result_type(parts, inverse))
            rows = parts[:, entries:]
            if entries:
                lead = parts[:, 0] @ first
                solved[:, 0] = lead
                rows = rows + np.tensordot(lead, self.coupling, 1).reshape(rows.shape)
            rows = np.moveaxis(rows.reshape((self.parts, blocks, -1, self.matrix.shape[-1] // self.parts)), 0, 2)
            shape = rows.shape
            rows = (rows.reshape((*shape[:2], -1)) @ inverse).reshape(shape)
            solved[:, entries:] = np.moveaxis(rows, 2, 0).reshape((self.parts, -1))
            return solved.ravel()

        return solve


def row_jacobian(state: State, rule: Any, velocity: Callable[[float, Float], Float], time: float) -> RowJacobian:
    """The Jacobian of a linear state at a time.

    Args:
        state: What is integrated.
        rule: The flow.
        velocity: Of the whole state as a flat real vector, affine.
        time: Where a rule that changes with time is read.
    """
    blocks, _, entries = state.rows
    parts = len(rule.initial_state(state.start))
    width = 2 if np.iscomplexobj(state.start) else 1
    units = np.broadcast_to(np.eye(entries, dtype=state.start.dtype), (blocks, entries, entries))
    matrix = _matrix(rule, state.linear, units, parts, time)
    lead, coupling = np.zeros((0, 0)), np.zeros(0)
    if state.lead:
        lead = _matrix(rule, lambda a: state.decay * a, np.ones((1, 1, 1)), parts, time)[0]
        size = state.start.size * width
        still = velocity(time, np.zeros(parts * size))
        driven = []
        for part in range(parts):
            unit = np.zeros((parts, size))
            unit[part, 0] = 1.0
            driven.append((velocity(time, unit.ravel()) - still).reshape((parts, size))[:, width:])
        coupling = np.array(driven)
    return RowJacobian(lead, coupling, _real(matrix) if width == 2 else matrix, parts, width)


def _matrix(rule: Any, linear: Callable[[Float], Float], units: Float, parts: int, time: float) -> Float:
    """What the rule does to a unit row in each part of its state, (blocks, parts·n, parts·n)."""
    moved = []
    for part in range(parts):
        state = tuple(units if index == part else 0 * units for index in range(parts))
        moved.append(np.concatenate(rule.velocity(state, linear, time), axis=-1))
    return np.concatenate(moved, axis=-2)


def _real(matrix: Float) -> Float:
    """A complex matrix that multiplies rows from the right, on rows of real and imaginary parts in turns."""
    blocks, n, _ = matrix.shape
    real = np.empty((blocks, n, 2, n, 2))
    real[:, :, 0, :, 0] = real[:, :, 1, :, 1] = matrix.real
    real[:, :, 0, :, 1] = matrix.imag
    real[:, :, 1, :, 0] = -matrix.imag
    return real.reshape((blocks, 2 * n, 2 * n))


class _Shift:
    """What scipy multiplies by a number and takes the Jacobian from, in place of a unit matrix."""

    __array_ufunc__ = None

    def __init__(self, value: complex = 1.0) -> None:
        self.value = value

    def __rmul__(self, factor: complex) -> "_Shift":
        return _Shift(factor * self.value)

    def __sub__(self, jacobian: RowJacobian) -> Callable[[Float], Float]:
        return jacobian.resolvent(self.value)


class RowRadau(Radau):  # type: ignore[misc]
    """Radau with the Jacobian of a row; ``rows`` gives it at a time."""

    def __init__(self, *arguments: Any, rows: Callable[[float], RowJacobian], **options: Any) -> None:
        self._rows = rows
        super().__init__(*arguments, **options)
        self.J = rows(self.t)
        self.newton_tol = NEWTON
        self.I = _Shift()
        self.lu = lambda solve: solve
        self.solve_lu = lambda solve, right: solve(right)

    def _validate_jac(self, jac: Any, sparsity: Any) -> tuple[Any, Any]:
        # Sparse for now, so that scipy makes no dense unit matrix of the whole state.
        return lambda t, y, f=None: self._rows(t), csc_array((1, 1))
