r"""The time derivative, the value at time 0 and the limit in time, as rules from trees to trees.

For a flow :math:`E = e^{-tG}` and :math:`\tilde\Phi = \int_0^t e^{-sG} ds` the rules are :math:`E' = -GE`,
:math:`\tilde\Phi' = E`, :math:`E(0) = I`, :math:`\tilde\Phi(0) = 0` (lemma L-EXP), and
:math:`e^{-tAA^\top} \to I - AA^+` (lemma L-LIMIT, with its positive definite form). Every other letter is constant
unless a hypothesis gives its rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from theory.errors import ClaimError
from theory.operators.expressions import (
    Derivative,
    Expression,
    Identity,
    Integral,
    Letter,
    Limit,
    Pinv,
    Product,
    Scaled,
    Shape,
    Start,
    Sum,
    Transpose,
    Zero,
)
from theory.operators.scalar_calculus import carried_out
from theory.operators.scalars import TIME, Number, Scalar, at_time_zero, is_positive, symbols, time_derivative
from theory.operators.shapes import shape_of
from theory.operators.sizes import check_value


@dataclass(frozen=True)
class Dynamics:
    """What moves and how.

    Attributes:
        shapes: The shape of every letter, flows included.
        generators: For each flow :math:`e^{-tG}` its :math:`G`, with all sizes filled in.
        rates: For each letter with a hypothesis ``d(W) == ...`` the right-hand side.
        positive: The scalars declared positive.
    """

    shapes: Mapping[str, Shape]
    generators: Mapping[str, Expression] = field(default_factory=dict)
    rates: Mapping[str, Expression] = field(default_factory=dict)
    positive: frozenset[str] = frozenset()

    def resolve(self, node: Expression) -> Expression:
        """Carry out every ``d``, ``start`` and ``limit``; only ``start`` of a letter with a rate can remain.

        Raises:
            ClaimError: If a rule does not apply.

        Example:
            >>> moving = Dynamics({"E": ("d", "d"), "X": ("d", "n")}, {"E": Letter("X") @ Letter("X").T})
            >>> print(moving.resolve(Derivative(Letter("E") @ Letter("X"))))
            -X @ X.T @ E @ X
        """
        match node:
            case Derivative(matrix):
                rate = self.derivative(self.resolve(matrix))
                check_value(rate, "a time derivative")
                return rate
            case Start(matrix):
                return self.start(self.resolve(matrix))
            case Limit(matrix):
                return self.limit(self.resolve(matrix))
            case Sum(left, right):
                return Sum(self.resolve(left), self.resolve(right))
            case Product(left, right):
                return Product(self.resolve(left), self.resolve(right))
            case Scaled(factor, matrix) if factor.is_functional:
                rules = {"d": self.derivative, "start": self.start, "limit": self.limit}
                return Scaled(carried_out(factor, rules, self.resolve), self.resolve(matrix))
            case Scaled(factor, matrix):
                return Scaled(factor, self.resolve(matrix))
            case Transpose(matrix):
                return Transpose(self.resolve(matrix))
            case Pinv(matrix):
                return Pinv(self.resolve(matrix))
        return node

    def moves(self, node: Expression) -> bool:
        """Whether a resolved tree depends on time."""
        match node:
            case Start():
                return False
            case Letter(name):
                return name in self.generators or name in self.rates
            case Integral():
                return True
            case Sum(left, right) | Product(left, right):
                return self.moves(left) or self.moves(right)
            case Scaled(factor, matrix):
                return TIME in symbols(factor) or self.moves(matrix)
            case Transpose(matrix) | Pinv(matrix):
                return self.moves(matrix)
        return False

    def derivative(self, node: Expression) -> Expression:
        """The time derivative of a resolved tree.

        Raises:
            ClaimError: For a pseudo-inverse that moves and is not that of a flow.
        """
        if not self.moves(node):
            return Zero(shape_of(node, self.shapes))
        match node:
            case Letter(name) if name in self.generators:
                return -(self.generators[name] @ node)
            case Letter(name):
                return self.rates[name]
            case Integral(flow):
                return Letter(flow)
            case Sum(left, right):
                return self._sum(self.derivative(left), self.derivative(right))
            case Product(left, right):
                first, second = self.derivative(left), self.derivative(right)
                return self._sum(self._product(first, right), self._product(left, second))
            case Scaled(factor, matrix):
                inner = self.derivative(matrix)
                moved = inner if isinstance(inner, Zero) else Scaled(factor, inner)
                if TIME not in symbols(factor):
                    return moved
                return self._sum(Scaled(time_derivative(factor), matrix), moved)
            case Transpose(matrix):
                return Transpose(self.derivative(matrix))
            case Pinv(Letter(name)) if name in self.generators:
                # The exponential is invertible, so this is the derivative of an inverse.
                return node @ self.generators[name]
        message = f"d(...) must not reach a moving pseudo-inverse, but it meets `{node}`. Name its derivative."
        raise ClaimError(message)

    def start(self, node: Expression) -> Expression:
        """The value at time 0 of a resolved tree."""
        match node:
            case Letter(name) if name in self.generators:
                return Identity(self.shapes[name][0])
            case Letter(name) if name in self.rates:
                return Start(node)
            case Integral(flow):
                return Zero(self.shapes[flow])
            case Sum(left, right):
                return Sum(self.start(left), self.start(right))
            case Product(left, right):
                return Product(self.start(left), self.start(right))
            case Scaled(factor, matrix):
                return Scaled(at_time_zero(factor), self.start(matrix))
            case Transpose(matrix):
                return Transpose(self.start(matrix))
            case Pinv(matrix):
                return Pinv(self.start(matrix))
        return node

    def limit(self, node: Expression) -> Expression:
        """The limit in time of a resolved tree, by the limits of its parts.

        Raises:
            ClaimError: If a part has no known limit.
        """
        if not self.moves(node):
            return node
        match node:
            case Letter(name) if name in self.generators:
                return self._limit_of_flow(name)
            case Integral(flow) if any(isinstance(part, Identity) for _, part in _terms(self.generators[flow])):
                # The integral is G⁻¹(I − E), and E tends to 0; any other integral grows on the null space.
                self._limit_of_flow(flow)
                return Pinv(self.generators[flow])
            case Sum(left, right):
                return Sum(self.limit(left), self.limit(right))
            case Product(left, right):
                return Product(self.limit(left), self.limit(right))
            case Scaled(factor, matrix) if TIME not in symbols(factor):
                return Scaled(factor, self.limit(matrix))
            case Transpose(matrix):
                return Transpose(self.limit(matrix))
        repair = "Take it out."
        if isinstance(node, Letter):
            repair = "Define it in where by a flow, or claim weight, rate and limit together."
        message = f"limit(...) must contain only flows and constants, but it meets `{node}`. {repair}"
        raise ClaimError(message)

    def _limit_of_flow(self, flow: str) -> Expression:
        """I − A A⁺ for a positive multiple of A @ A.T; 0 for a sum of such with a positive multiple of I."""
        size = self.shapes[flow][0]
        terms = _terms(self.generators[flow])
        roots = [_root(matrix) for _, matrix in terms]
        positive = all(is_positive(factor, self.positive) for factor, _ in terms)
        definite = any(isinstance(matrix, Identity) for _, matrix in terms)
        if positive and None not in roots:
            if definite:
                return Zero((size, size))
            if len(roots) == 1 and roots[0] is not None:
                return Sum(Identity(size), -(roots[0] @ Pinv(roots[0])))
        message = (
            f"limit({flow}) must have a generator of the form `A @ A.T` (times a positive scalar), with or without a "
            f'positive multiple of I, but it is `{self.generators[flow]}`. Write it so, and declare scalars as "c > 0".'
        )
        raise ClaimError(message)

    def _sum(self, left: Expression, right: Expression) -> Expression:
        if isinstance(left, Zero):
            return right
        return left if isinstance(right, Zero) else left + right

    def _product(self, left: Expression, right: Expression) -> Expression:
        if isinstance(left, Zero) or isinstance(right, Zero):
            return Zero((shape_of(left, self.shapes)[0], shape_of(right, self.shapes)[1]))
        return left @ right


def _factors(node: Expression) -> list[Expression]:
    match node:
        case Product(left, right):
            return _factors(left) + _factors(right)
        case Transpose(Product(left, right)):
            return _factors(right.T) + _factors(left.T)
    return [node]


def _terms(node: Expression) -> list[tuple[Scalar, Expression]]:
    match node:
        case Sum(left, right):
            return _terms(left) + _terms(right)
        case Scaled(factor, Sum(left, right)):
            return _terms(Scaled(factor, left)) + _terms(Scaled(factor, right))
        case Scaled(outer, Scaled(inner, matrix)):
            return _terms(Scaled(outer * inner, matrix))
        case Scaled(factor, matrix):
            return [(factor, matrix)]
    return [(Number(Fraction(1)), node)]


def _root(node: Expression) -> Expression | None:
    """The A of A @ A.T (I is the square of itself), or None."""
    if isinstance(node, Identity):
        return node
    parts = _factors(node)
    half = len(parts) // 2
    if len(parts) % 2 or [part.T for part in reversed(parts[:half])] != parts[half:]:
        return None
    root = parts[0]
    for part in parts[1:half]:
        root = root @ part
    return root
