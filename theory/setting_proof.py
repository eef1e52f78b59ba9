r"""The proof that a setting's closed form solves its equation, for every linear optimiser at once.

The weight is :math:`W = W_0\,g(S) + cY\Phi^\top q(S)` with :math:`S = c\Phi\Phi^\top + \mu I`. Three steps, each by what
can decide it:

1. scalars (sympy, by substitution): :math:`g` solves the rule on one mode with gradient :math:`su`, from rest at 1;
   :math:`q = (1 - g)/s` solves it with gradient :math:`su - 1`, from rest at 0;
2. lemma L-CALCULUS takes both to the matrix S, :math:`q` at :math:`s = 0` by continuity;
3. matrices (the prover, in all dimensions): then W solves the rule with the gradient of the loss, from W0.

The rule is the optimiser's own code, run on symbols and on the prover's letters: nothing is restated here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from theory.layers import Linear
from theory.operators import Equation, Expression, Identity, Letter, Pinv, Proof, Symbol, prove
from theory.operators.proof import Verdict
from theory.optimizers import Optimizer
from theory.scalar import Mode, mode_solution, s, symbols_of
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, weakest

SCALARS = ("c", "mu")


@dataclass(frozen=True)
class SettingProof:
    """What is proved of a setting's closed form.

    Attributes:
        mode: The scalar equation with its solution, or None where no solution is known.
        claims: The matrix claims with their verdicts.
        remainder: What substituting q left; 0 means that step 1 holds for q too.
        reason: Why nothing is decided, or "".
        seconds: The time it took.
    """

    mode: Mode | None
    claims: tuple[Proof, ...]
    remainder: sympy.Expr
    reason: str
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """``proved`` if all three steps are, else the weakest of them."""
        scalar = self.mode is not None and self.mode.verified and self.remainder == 0
        return weakest([*(claim.verdict for claim in self.claims), "proved" if scalar else "undecided"])

    @property
    def lemmas(self) -> tuple[str, ...]:
        """The lemmas that the proof stands on."""
        used = {name for claim in self.claims for name in claim.lemmas} | {"L-CALCULUS"}
        if self.mode is not None and self.mode.time.is_integer:
            used.add("L-INDUCTION")
        return tuple(sorted(used))

    def __str__(self) -> str:
        if self.reason:
            return f"{self.verdict}: {self.reason}"
        return f"{self.verdict} in {self.seconds:.2f} s for all dimensions, modulo {', '.join(self.lemmas)}"


@dataclass(frozen=True)
class RuleClaim:
    """A claim of a theorem about one optimiser: that its closed form solves its rule.

    Attributes:
        says: In words.
        optimizer: Any member of the family; its parameters are symbols in the proof.
        weight_decay: 0, or anything positive for the case with decay, which is a symbol too.
    """

    says: str
    optimizer: Optimizer
    weight_decay: float
    lemmas: tuple[str, ...] = ()

    @property
    def equation(self) -> str:
        """The rule on one mode."""
        mode = mode_solution(self.optimizer)
        return f"{mode.equation.lhs} == {mode.equation.rhs}, solved by {mode.short}"

    def prove(self) -> Proof:
        """The verdict of :func:`prove_setting`, in the prover's form; its certificates are those of its parts."""
        proof = prove_setting(Setting(Linear(), self.optimizer, weight_decay=self.weight_decay))
        used = tuple(dict.fromkeys(item for claim in proof.claims for item in claim.used))
        return Proof(
            proof.verdict,
            self.equation,
            used=used,
            lemmas=proof.lemmas,
            residual=proof.reason or None,
            seconds=proof.seconds,
        )


def prove_setting(setting: Setting) -> SettingProof:
    """Proves that the closed form of a setting solves its equation and starts at W0, and that its limit is stationary.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import HeavyBall
        >>> prove_setting(Setting(Linear(), HeavyBall(0.1, 0.9), weight_decay=0.1)).verdict
        'proved'
    """
    begin = time.perf_counter()
    try:
        mode: Mode | None = mode_solution(setting.optimizer)
        remainder, reason = _substitute_complement(setting.optimizer), ""
    except NotImplementedError as error:
        mode, remainder, reason = None, sympy.nan, str(error)
    claims = [
        prove(str(equation), shapes=shapes, scalars=(*SCALARS, *_names(setting.optimizer)))
        for equation, shapes in _rule_claims(setting.optimizer)
    ]
    claims.append(_limit_claim(setting.weight_decay > 0))
    if mode is not None and not (mode.verified and remainder == 0):
        reason = "substituting the residual into its equation leaves something that does not simplify to 0"
    return SettingProof(mode, tuple(claims), remainder, reason, time.perf_counter() - begin)


def _names(optimizer: Optimizer) -> tuple[str, ...]:
    return tuple(symbol.name for symbol in symbols_of(optimizer).values())


def _rule(optimizer: Optimizer, values: dict[str, Any]) -> Callable[[tuple[Any, ...], Callable[[Any], Any]], Any]:
    symbolic: Any = optimizer.symbolic(**values)
    rule = symbolic.step if optimizer.discrete else symbolic.velocity
    return lambda state, gradient: rule(state, gradient, Symbol("t"))


def _substitute_complement(optimizer: Optimizer) -> sympy.Expr:
    """Step 1 for q = (1 - g)/s: what is left of its equation, given that of g."""
    rule = _rule(optimizer, dict(symbols_of(optimizer)))
    size = len(optimizer.initial_state(sympy.Integer(1)))
    state = sympy.symbols(f"u0:{size}")
    ones = [1] + [0] * (size - 1)  # q's state is (1 - g, -h, …)/s where g's is (g, h, …)
    follows = rule(state, lambda u: s * u)
    complement = tuple((one - value) / s for one, value in zip(ones, state, strict=True))
    actual = rule(complement, lambda u: s * u - 1)
    fixed = ones if optimizer.discrete else [0] * size  # a rate of change has no constant
    expected = [(one - value) / s for one, value in zip(fixed, follows, strict=True)]
    gaps = [sympy.Abs(sympy.simplify(a - b)) for a, b in zip(actual, expected, strict=True)]
    return sum(gaps, sympy.Integer(0))


def _rule_claims(optimizer: Optimizer) -> list[tuple[Equation, dict[str, Any]]]:
    """Step 3: the rule on the weight is the rule on g(S) and q(S), component by component of the state."""
    X, Y, W0, c, mu = Letter("X"), Letter("Y"), Letter("W0"), Symbol("c"), Symbol("mu")
    rule = _rule(optimizer, {name: Symbol(symbol.name) for name, symbol in symbols_of(optimizer).items()})
    size = len(optimizer.initial_state(sympy.Integer(1)))
    g, q = ([Letter(f"{name}{index}") for index in range(size)] for name in ("G", "Q"))
    rates: Expression = c * (X @ X.T) + mu * Identity()
    weight = tuple(W0 @ a + c * (Y @ X.T @ b) for a, b in zip(g, q, strict=True))
    moved = rule(weight, lambda w: c * ((w @ X - Y) @ X.T) + mu * w)
    moved_g = rule(tuple(g), lambda z: z @ rates)
    moved_q = rule(tuple(q), lambda z: z @ rates - Identity())
    letters = {letter.name: ("d", "d") for letter in (*g, *q)}
    shapes = {name: SHAPES[name] for name in ("X", "Y", "W0")} | letters
    return [
        (Equation(moved[index], W0 @ moved_g[index] + c * (Y @ X.T @ moved_q[index])), shapes) for index in range(size)
    ]


def _limit_claim(decay: bool) -> Proof:
    """The limit is stationary: no gradient is left there."""
    X, Y, W0 = Letter("X"), Letter("Y"), Letter("W0")
    shapes: dict[str, Any] = {name: SHAPES[name] for name in ("X", "Y", "W0")}
    if not decay:
        limit = Y @ Pinv(X) + W0 @ (Identity() - X @ Pinv(X))
        return prove(str(Equation((limit @ X - Y) @ X.T, 0 * W0)), shapes=shapes)
    shapes |= {"R": ("d", "d")}
    inverse = "R @ (c * X @ X.T + mu * I) == I"
    return prove("c * (c * Y @ X.T @ R @ X - Y) @ X.T + mu * c * Y @ X.T @ R == 0", shapes, [inverse], SCALARS)
