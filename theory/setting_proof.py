r"""The proof that a setting's closed form solves its equation, for every linear optimiser at once.

The weight is :math:`W = W_0\,g(S) + cY\Phi^\top q(S)` with :math:`S = c\Phi\Phi^\top + \mu I`. Three steps, each by what
can decide it:

1. scalars (:mod:`theory.scalar_proof`): :math:`g` solves the rule on one mode with gradient :math:`su`, from rest at 1;
   :math:`q = (1 - g)/s` solves it with gradient :math:`su - 1`, from rest at 0;
2. lemma L-CALCULUS takes both to the matrix S, :math:`q` at :math:`s = 0` by continuity;
3. matrices (the prover, in all dimensions): then W solves the rule with the gradient of the loss, from W0.

The rule is the optimiser's own code, run on symbols and on the prover's letters: nothing is restated here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sympy

from theory.layers import Linear
from theory.operators import Equation, Expression, Identity, Letter, Pinv, Proof, Symbol, prove
from theory.operators.proof import Verdict
from theory.optimizers import Optimizer
from theory.rule import scalar_equation
from theory.scalar import Mode, mode_solution, s, symbols_of
from theory.scalar_proof import ScalarProof, prove_solution
from theory.schedules import Held
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, weakest
from theory.varying import changes, stays_at_rest

SCALARS = ("c", "mu")
CHANGE = ("R.T == R", "R @ S == I", "S @ R == I")  # P = R², of a preconditioner


@dataclass(frozen=True)
class SettingProof:
    """What is proved of a setting's closed form.

    Attributes:
        mode: The scalar equation with its solution, or None where no solution is known.
        claims: The matrix claims with their verdicts.
        complement: That q solves its equation if g does, or None where no equation is known.
        reason: Why it is not proved, or "".
        seconds: The time it took.
    """

    mode: Mode | None
    claims: tuple[Proof, ...]
    complement: ScalarProof | None
    reason: str
    seconds: float

    @property
    def scalar_proofs(self) -> tuple[ScalarProof, ...]:
        """Step 1: the residual, generic and in its special cases, then q."""
        found = () if self.mode is None else self.mode.proofs
        return found if self.complement is None else (*found, self.complement)

    @property
    def remainder(self) -> sympy.Expr:
        """What substituting q left; 0 means that step 1 holds for q too."""
        return sympy.nan if self.complement is None else self.complement.remainder

    @property
    def verdict(self) -> Verdict:
        """``proved`` if all three steps are, else the weakest of them."""
        known: Verdict = "undecided" if self.mode is None else "proved"
        return weakest(
            [known, *(claim.verdict for claim in self.claims), *(part.verdict for part in self.scalar_proofs)]
        )

    @property
    def lemmas(self) -> tuple[str, ...]:
        """The lemmas that the proof stands on."""
        used = {name for claim in self.claims for name in claim.lemmas}
        used |= {name for part in self.scalar_proofs for name in part.lemmas}
        return tuple(sorted(used | {"L-CALCULUS"}))

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

    @property
    def formulas(self) -> tuple[sympy.Expr, ...]:
        """The rule on one mode, and its solution."""
        mode = mode_solution(self.optimizer)
        return mode.equation, mode.short

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

    def certificates(self) -> tuple[str, ...]:
        """Those of the matrix claims; the scalar step is decided anew each time."""
        proof = prove_setting(Setting(Linear(), self.optimizer, weight_decay=self.weight_decay))
        return tuple(claim.certificate for claim in proof.claims if claim.certificate is not None)


def prove_setting(setting: Setting) -> SettingProof:
    """Proves that the closed form of a setting solves its equation and starts at W0, and that its limit is stationary.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import HeavyBall
        >>> prove_setting(Setting(Linear(), HeavyBall(0.1, 0.9), weight_decay=0.1)).verdict
        'proved'
    """
    begin = time.perf_counter()
    mode, complement, reason = None, None, ""
    optimizer = setting.optimizer.rule
    changed = optimizer is not setting.optimizer
    try:
        mode = mode_solution(optimizer)
        complement = _complement(optimizer)
    except NotImplementedError as error:
        reason = str(error)
    claims = [
        prove(str(equation), shapes, CHANGE if changed else (), scalars=(*SCALARS, *_names(optimizer)))
        for equation, shapes in _rule_claims(optimizer, changed)
    ]
    if optimizer.converges:
        claims.append(_limit_claim(setting.weight_decay > 0, changed))
    proof = SettingProof(mode, tuple(claims), complement, reason, time.perf_counter() - begin)
    failed = [part for part in proof.scalar_proofs if part.verdict != "proved"]
    if failed:
        proof = replace(proof, reason=_why(failed[0], of_g=failed[0] is not complement))
    return proof


def _why(failed: ScalarProof, *, of_g: bool) -> str:
    what = f"g = {failed.candidate}" if of_g else "q = (1 - g)/s, by way of u = 1/s,"
    verb = "does not solve" if failed.verdict == "refuted" else "could not be shown to solve"
    return f"{what} {verb} {failed.equation}: {failed.refutation or failed.reason}"


def _names(optimizer: Optimizer) -> tuple[str, ...]:
    names = tuple(symbol.name for symbol in symbols_of(optimizer).values())
    return names if optimizer.schedule is None else (*names, "m")


def _rule(optimizer: Optimizer, values: dict[str, Any]) -> Callable[[tuple[Any, ...], Callable[[Any], Any]], Any]:
    held = {} if optimizer.schedule is None else {"schedule": Held(Symbol("m"))}  # at the time in question
    symbolic: Any = optimizer.symbolic(**values, **held)
    rule = symbolic.step if optimizer.discrete else symbolic.velocity
    return lambda state, gradient: rule(state, gradient, Symbol("t"))


def _complement(optimizer: Optimizer) -> ScalarProof:
    """Step 1 for q: the equation is linear, so q = 1/s - g/s solves it with the source if the constant 1/s does."""
    if changes(optimizer):
        return stays_at_rest(optimizer)
    of_g, of_q = scalar_equation(optimizer), scalar_equation(optimizer, progress=True)
    start = tuple(q + g / s for q, g in zip(of_q.start, of_g.start, strict=True))
    return prove_solution(1 / s, replace(of_q, start=start))


def _rule_claims(optimizer: Optimizer, changed: bool) -> list[tuple[Equation, dict[str, Any]]]:
    """Step 3: the rule on the weight is the rule on g(S) and q(S), component by component of the state.

    With a preconditioner, g and q are those of the features RΦ, P = R², and the weight is read in the original coordinates.
    """
    X, Y, W0, c, mu, R, S = *map(Letter, ("X", "Y", "W0")), Symbol("c"), Symbol("mu"), Letter("R"), Letter("S")
    rule = _rule(optimizer, {name: Symbol(symbol.name) for name, symbol in symbols_of(optimizer).items()})
    size = len(optimizer.initial_state(sympy.Integer(1)))
    g, q = ([Letter(f"{name}{index}") for index in range(size)] for name in ("G", "Q"))
    features, start = (R @ X, W0 @ S) if changed else (X, W0)
    rates: Expression = c * (features @ features.T) + mu * Identity()

    def joined(of_g: Any, of_q: Any) -> Any:
        weight = start @ of_g + c * (Y @ features.T @ of_q)
        return weight @ R if changed else weight

    def gradient(w: Any) -> Any:
        slope = c * ((w @ X - Y) @ X.T)
        return (slope @ R @ R if changed else slope) + mu * w

    moved = rule(tuple(joined(a, b) for a, b in zip(g, q, strict=True)), gradient)
    moved_g = rule(tuple(g), lambda z: z @ rates)
    moved_q = rule(tuple(q), lambda z: z @ rates - Identity())
    letters = {letter.name: ("d", "d") for letter in (*g, *q, *((R, S) if changed else ()))}
    shapes = {name: SHAPES[name] for name in ("X", "Y", "W0")} | letters
    return [(Equation(moved[index], joined(moved_g[index], moved_q[index])), shapes) for index in range(size)]


def _limit_claim(decay: bool, changed: bool) -> Proof:
    """The limit is stationary: no gradient is left there."""
    X, Y, W0, R, S = map(Letter, ("X", "Y", "W0", "R", "S"))
    shapes: dict[str, Any] = {name: SHAPES[name] for name in ("X", "Y", "W0")}
    if changed:
        shapes |= {"R": ("d", "d"), "S": ("d", "d")}
    if not decay:
        features = R @ X if changed else X
        limit = Y @ Pinv(features) + (W0 @ S if changed else W0) @ (Identity() - features @ Pinv(features))
        slope = ((limit @ R if changed else limit) @ X - Y) @ X.T
        return prove(str(Equation(slope @ R @ R if changed else slope, 0 * W0)), shapes, CHANGE if changed else ())
    phi, back = ("(R @ X)", " @ R") if changed else ("X", "")
    shapes |= {"N": ("d", "d")}
    assume = [f"N @ (c * {phi} @ {phi}.T + mu * I) == I", *(CHANGE if changed else ())]
    ridge = f"c * Y @ {phi}.T @ N{back}"
    return prove(f"c * ({ridge} @ X - Y) @ X.T{back}{back} + mu * {ridge} == 0", shapes, assume, SCALARS)
