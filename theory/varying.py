r"""Rules that change with time: what their residual is, and the proof.

- A schedule of a flow: :math:`g = e^{-s\tau}` where :math:`\tau' = m`, :math:`\tau(0) = 0`, piece by piece, and the chain rule.
- A schedule of a descent: the product of its factors, which is what its recurrence says.
- An average: k times the mean, or t times, solves an equation with constant coefficients whose source is the plain rule.
- Any other rule of steps: its residual is the polynomial that the recurrence makes; there is nothing to solve.
"""

import math

import sympy

from theory.optimizers import Optimizer
from theory.rule import k, s, symbols_of, t, transition
from theory.scalar_proof import ScalarEquation, ScalarProof, prove_solution
from theory.schedules import Piece

u = sympy.Function("u")


def changes(optimizer: Optimizer) -> bool:
    """Whether the rule on one mode reads the time."""
    matrix, pushed = symbolic_rule(optimizer)
    return bool({k, t} & (matrix.free_symbols | pushed.free_symbols))


def symbolic_rule(optimizer: Optimizer) -> tuple[sympy.Matrix, sympy.Matrix]:
    """The matrix of the rule on one mode, and how a unit error of the gradient enters, in symbols."""
    symbolic = optimizer.symbolic(**symbols_of(optimizer))
    rows, pushed = transition(symbolic, s, k if optimizer.discrete else t)
    return sympy.Matrix(rows), sympy.Matrix(pushed)


def stays_at_rest(optimizer: Optimizer) -> ScalarProof:
    """That with the gradient su - 1 the rule stays at u = 1/s, at rest: then q = 1/s - g/s solves it if g does."""
    matrix, pushed = symbolic_rule(optimizer)
    rest = sympy.Matrix([1 / s] + [0] * (matrix.rows - 1))
    moved = matrix * rest - pushed - (rest if optimizer.discrete else 0 * rest)
    left = sympy.Add(*(sympy.Abs(entry) for entry in moved.applyfunc(sympy.cancel)))
    time = k if optimizer.discrete else t
    equation = ScalarEquation((matrix[0, 0],), (1 / s,), time, -pushed[0])
    return _decided(1 / s, equation, left, "L-INDUCTION" if optimizer.discrete else "L-EXP")


def scheduled_flow(optimizer: Optimizer) -> tuple[ScalarEquation, sympy.Expr, list[ScalarProof]]:
    """The equation, g = exp(-sτ), and the proofs: of the plain flow, of every piece of τ, and where pieces meet."""
    assert optimizer.schedule is not None
    pieces = optimizer.schedule.pieces
    plain = ScalarEquation((-s,), (sympy.Integer(1),), t)
    proofs = [prove_solution(sympy.exp(-s * t), plain)]
    begin, value = sympy.Integer(0), sympy.Integer(0)
    for piece in pieces:
        proofs.append(_piece_proof(piece, begin, value))
        begin, value = piece.until, piece.integral.subs(t, piece.until) if piece.until.is_finite else sympy.nan
    equation = ScalarEquation((-s * optimizer.schedule.multiplier,), (sympy.Integer(1),), t)
    return equation, sympy.exp(-s * optimizer.schedule.integral_formula), proofs


def _piece_proof(piece: Piece, begin: sympy.Expr, value: sympy.Expr) -> ScalarProof:
    """τ' = m on the piece, and it begins with the value that the piece before ends with."""
    slope = sympy.cancel(sympy.together(sympy.diff(piece.integral, t) - piece.multiplier))
    step = sympy.expand(piece.integral.subs(t, begin) - value)
    equation = ScalarEquation((sympy.Integer(0),), (), t, piece.multiplier)
    return _decided(piece.integral, equation, sympy.Abs(slope) + sympy.Abs(step), "L-ZERO")


def scheduled_descent(optimizer: Optimizer) -> tuple[ScalarEquation, sympy.Expr, list[ScalarProof]]:
    """The equation, the product of its factors, and that the one is what the other says."""
    matrix, _ = symbolic_rule(optimizer)
    (factor,) = matrix
    j = sympy.Symbol("j", integer=True, nonnegative=True)
    product = sympy.Product(factor.subs(k, j), (j, 0, k - 1))
    equation = ScalarEquation((factor,), (sympy.Integer(1),), k)
    # ∏_{j<k+1} = ∏_{j<k} · its last factor, and the empty product is 1: an induction on k.
    gap = sympy.piecewise_fold(product.function.subs(j, k) - factor)
    branches = [branch for branch, _ in gap.args] if isinstance(gap, sympy.Piecewise) else [gap]
    left = sympy.Add(*(sympy.Abs(sympy.expand(branch)) for branch in branches))
    return equation, product, [_decided(product, equation, left, "L-INDUCTION")]


def scheduled_end(optimizer: Optimizer, residual: sympy.Expr) -> sympy.Expr | None:
    """The residual at infinite time where a schedule ends training before it converges, or None."""
    if optimizer.converges or not optimizer.has_limit or optimizer.schedule is None:
        return None
    if optimizer.discrete:
        return residual.subs(k, math.ceil(optimizer.schedule.settles))
    return sympy.exp(-s * sympy.limit(optimizer.schedule.pieces[-1].integral, t, sympy.oo))


def averaged(optimizer: Optimizer) -> tuple[ScalarEquation, sympy.Expr, list[ScalarProof]]:
    r"""The equation of the mean, its solution, and the proofs.

    With the mean m and the iterate w in place of the state, the rule must say :math:`w' = aw` with a constant a, and for
    :math:`v = km` (or :math:`tm`): :math:`v_{k+1} = v_k + a w_k` (or :math:`v' = w`). Both are read off the rule itself.
    """
    matrix, _ = symbolic_rule(optimizer)
    time = k if optimizer.discrete else t
    v, w = sympy.symbols("v w")
    state = sympy.Matrix([v / time, w - v / time])
    moved = matrix * state
    following = moved[0] + moved[1]
    total = (k + 1) * moved[0] if optimizer.discrete else v / t + t * moved[0]  # (tm)' = m + tm'
    following, total = (sympy.expand(sympy.cancel(part)) for part in (following, total))
    rate, own, source = following.coeff(w), total.coeff(v), total.coeff(w)
    read = sympy.expand(following - rate * w) == 0 and sympy.expand(total - own * v - source * w) == 0
    if not read or time in (rate * source * own).free_symbols:
        message = f"no scalar equation is known for the rule of {optimizer}"
        raise NotImplementedError(message)
    one = sympy.Integer(1)
    iterate = rate**k if optimizer.discrete else sympy.exp(rate * t)
    # The sum of the iterates; a unit start, and nothing summed yet.
    gone = sympy.expand(1 - rate) if optimizer.discrete else -rate
    summed = (source if optimizer.discrete else one) * (1 - iterate) / gone
    proofs = [
        prove_solution(iterate, ScalarEquation((rate,), (one,), time)),
        prove_solution(summed, ScalarEquation((own,), (0 * one,), time, source * iterate)),
    ]
    if optimizer.discrete:
        first = matrix.subs(k, 0)[0, 0]
        if sympy.expand(first - source) != 0:  # v = km says nothing of the mean at k = 0
            raise NotImplementedError(f"the first step of {optimizer} is not that of an average")  # noqa: EM102
        # m_{k+2} from (k + 2)m_{k+2} - (k + 1)m_{k+1} = a((k + 1)m_{k+1} - k m_k).
        again = sympy.factor((k + 1) * (1 + rate) / (k + 2))
        equation = ScalarEquation((-rate * k / (k + 2), again), (one, sympy.expand(first)), k)
    else:
        # From (tm)' = w and w' = aw: t m'' + 2m' = a(m + t m').
        equation = ScalarEquation((rate / t, rate - 2 / t), (one, rate / 2), t)
    return equation, summed / time, proofs


def recurrent(optimizer: Optimizer) -> tuple[ScalarEquation, sympy.Expr, list[ScalarProof]]:
    """The two-step equation of a rule of steps, and its solution by name.

    Raises:
        NotImplementedError: If the first step hides what is remembered, so that it cannot be read off two weights.
    """
    matrix, _ = symbolic_rule(optimizer)
    later = matrix.subs(k, k + 1)
    a, b, c, d = matrix
    if b.subs(k, 0) == 0:
        raise NotImplementedError(f"no scalar equation is known for the rule of {optimizer}")  # noqa: EM102
    # v_k = (u_{k+1} - a u_k)/b, v_{k+1} = c u_k + d v_k, u_{k+2} = a₊ u_{k+1} + b₊ v_{k+1}.
    before = sympy.factor(sympy.cancel(later[0, 1] * (c - d * a / b)))
    now = sympy.factor(sympy.cancel(later[0, 0] + later[0, 1] * d / b))
    first = sympy.expand(sympy.cancel(a.subs(k, 0)))
    equation = ScalarEquation((before, now), (sympy.Integer(1), first), k)
    return equation, sympy.Function("g")(s, k), []


def _decided(candidate: sympy.Expr, equation: ScalarEquation, left: sympy.Expr, lemma: str) -> ScalarProof:
    """Proved if nothing is left, as rational functions of what occurs; else undecided."""
    if left == 0:
        return ScalarProof("proved", candidate, equation, lemmas=(lemma,))
    return ScalarProof("undecided", candidate, equation, left, reason=f"what is left is not seen to be 0: {left}")
