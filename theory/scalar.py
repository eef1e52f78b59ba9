r"""The scalar side: the residual of an optimiser in one mode, derived from its rule and proved.

On one eigen-direction the gradient is :math:`s\,u`, so the rule of an optimiser is one linear equation of the error u
(:mod:`theory.rule`), and the residual is its solution from rest at :math:`u = 1`. It is found by an ansatz, and whatever
found it, :mod:`theory.scalar_proof` decides whether it solves the equation.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import sympy

from theory.optimizers import Optimizer
from theory.rule import LETTERS, k, s, scalar_equation, symbols_of, t, transition
from theory.scalar_proof import ScalarEquation, ScalarProof, prove_solution
from theory.varying import averaged, changes, recurrent, scheduled_descent, scheduled_end, scheduled_flow

__all__ = ["LETTERS", "Mode", "k", "mode_solution", "s", "symbols_of", "t", "transition"]


@dataclass(frozen=True)
class Mode:
    """What happens in one mode: the scalar equation, its solution, and whether it is proved.

    Attributes:
        equation: The scalar equation, in u.
        start: The initial values, in u.
        residual: g(s, ·), generic parameters.
        short: The residual in the names of its roots, for reading.
        roots: What those names stand for.
        special: Cases where the generic formula is 0/0, with the residual that holds there.
        time: The symbol of time: t for a flow, k for a descent.
        proofs: That the residual solves the equation, generic first, then the special cases.
        final: The residual at the end of a schedule that ends training before it converges, or None.
    """

    equation: sympy.Eq
    start: tuple[sympy.Eq, ...]
    residual: sympy.Expr
    short: sympy.Expr
    roots: dict[sympy.Symbol, sympy.Expr]
    special: tuple[tuple[sympy.Eq, sympy.Expr], ...]
    time: sympy.Symbol
    proofs: tuple[ScalarProof, ...]
    final: sympy.Expr | None = None

    @property
    def remainder(self) -> sympy.Expr:
        """What is left after substituting the residual; 0 means verified."""
        return sympy.Add(*(proof.remainder for proof in self.proofs))

    @property
    def verified(self) -> bool:
        """Whether every case is proved."""
        return all(proof.verdict == "proved" for proof in self.proofs)


@lru_cache(maxsize=64)
def mode_solution(optimizer: Optimizer) -> Mode:
    r"""The residual of an optimiser, derived from its rule and proved.

    Raises:
        NotImplementedError: If no ansatz is known for the rule's equation.

    Example:
        >>> from theory.optimizers import GradientDescent, GradientFlow
        >>> mode_solution(GradientFlow()).residual
        exp(-s*t)
        >>> mode = mode_solution(GradientDescent(0.1))
        >>> mode.equation, mode.residual, mode.verified
        (Eq(u(k + 1), (-eta*s + 1)*u(k)), (-eta*s + 1)**k, True)
    """
    optimizer = optimizer.rule
    if optimizer.schedule is not None:
        mode = _varying(*(scheduled_descent if optimizer.discrete else scheduled_flow)(optimizer))
        return replace(mode, final=scheduled_end(optimizer, mode.residual))
    if optimizer.averages:
        equation, residual, proofs = averaged(optimizer)
        start = (sympy.Eq(equation.time, 0), sympy.Integer(1))
        return _varying(equation, residual, proofs, (start,))
    if optimizer.recurrent and changes(optimizer):
        mode = _varying(*recurrent(optimizer))
        return replace(mode, short=sympy.Function("u")(k))
    equation = scalar_equation(optimizer)
    if any(equation.time in value.free_symbols for value in equation.coefficients):
        return _bessel(equation, optimizer)
    if len(equation.coefficients) == 1:
        (rate,) = equation.coefficients
        residual = _letter(rate, equation.time)
        return _mode(equation, residual, residual, {}, ())
    return _two_roots(equation)


def _mode(
    equation: ScalarEquation,
    residual: sympy.Expr,
    short: sympy.Expr,
    roots: dict[sympy.Symbol, sympy.Expr],
    special: tuple[tuple[sympy.Eq, sympy.Expr, ScalarEquation], ...],
) -> Mode:
    """The solution with its proofs; a special case comes with the equation as it reads there."""
    proofs = [prove_solution(residual, equation), *(prove_solution(case, reads) for _, case, reads in special)]
    cases = tuple((condition, case) for condition, case, _ in special)
    printed = equation.equation, equation.initial_values
    return Mode(*printed, residual, short, roots, cases, equation.time, tuple(proofs))


def _varying(
    equation: ScalarEquation,
    residual: sympy.Expr,
    proofs: list[ScalarProof],
    special: tuple[tuple[sympy.Eq, sympy.Expr], ...] = (),
) -> Mode:
    """The solution of a rule that changes with time, with the proofs that it comes with."""
    printed = equation.equation, equation.initial_values
    return Mode(*printed, residual, residual, {}, special, equation.time, tuple(proofs))


def _letter(rate: sympy.Expr, time: sympy.Symbol) -> sympy.Expr:
    return rate**time if time.is_integer else sympy.exp(rate * time)


def _two_roots(equation: ScalarEquation) -> Mode:
    """Two constant coefficients: a combination of two powers or exponentials; at a double root one of them times time."""
    negative, trace = equation.coefficients
    determinant, time, (_, first) = -negative, equation.time, equation.start
    discriminant = sympy.factor(sympy.expand(trace**2 - 4 * determinant))
    root, double = sympy.sqrt(discriminant), trace / 2
    r_plus, r_minus = sympy.symbols("r_+ r_-")
    roots = {r_plus: (trace + root) / 2, r_minus: (trace - root) / 2}
    # u = a₊ p₊ + a₋ p₋ with p± = r±^k or exp(r± t) meets both initial values with these weights.
    short = ((first - r_minus) * _letter(r_plus, time) + (r_plus - first) * _letter(r_minus, time)) / (r_plus - r_minus)
    before = double ** (time - 1) if time.is_integer else _letter(double, time)
    at_double = _letter(double, time) + (first - double) * time * before
    # Where T² = 4D the equation is the one with T²/4 for D; it holds for every T and first value, so for these too.
    doubled = ScalarEquation((-(trace**2) / 4, trace), equation.start, time)
    special = [(sympy.Eq(discriminant, 0), at_double, doubled)]
    both = sympy.gcd(trace, determinant)
    if time.is_integer and both.free_symbols:  # where both roots are 0 all is over after one step
        over = sympy.KroneckerDelta(time, 0) + first * sympy.KroneckerDelta(time, 1)
        zero = sympy.Integer(0)
        special.append((sympy.Eq(both, 0), over, ScalarEquation((zero, zero), equation.start, time)))
    return _mode(equation, short.subs(roots), short, roots, tuple(special))


def _bessel(equation: ScalarEquation, optimizer: Optimizer) -> Mode:
    """U'' = -(a/t) u' - z² u from rest: ν! (2/(zt))^ν J_ν(zt) with ν = (a - 1)/2, the only solution that is bounded at 0."""
    time, (spring, drag) = equation.time, equation.coefficients
    order = (-drag * time - 1) / 2
    if not (order.is_Integer and order >= 0) or time in spring.free_symbols:
        message = f"no ansatz is known for the rule of {optimizer}"
        raise NotImplementedError(message)
    z = sympy.sqrt(-spring) * time
    residual = 2**order * sympy.factorial(order) * sympy.besselj(order, z) / z**order
    return _mode(equation, residual, residual, {}, ())
