r"""`solve(setting)`: the closed form of a setting as formulas that print, paste and prove."""

from dataclasses import dataclass
from functools import cached_property

import sympy
from sympy import Identity as Eye
from sympy import MatrixExpr, MatrixSymbol, Symbol
from sympy.core.symbol import Str

from theory.errors import SettingError
from theory.rule_check import check_rule
from theory.scalar import Mode, mode_solution, s
from theory.setting import Setting
from theory.setting_proof import SettingProof, prove_setting
from theory.solution_latex import aligned, legend
from theory.source_text import python_source
from theory.targets import Identity

d, q, M, P = (Symbol(name, integer=True, positive=True) for name in ("d", "p", "M", "P"))
MU = Symbol("mu", positive=True)
PHI, TARGETS, START = MatrixSymbol("Phi", d, M), MatrixSymbol("Y", q, M), MatrixSymbol("W_0", q, d)
COLUMN = MatrixSymbol("phi", d, P)  # φ(x), one column per output position
PSEUDO = MatrixSymbol("Phi^+", M, d)
SKIP = MatrixSymbol("r", q, P)  # what the layer adds to its outputs untrained
BLOCKS = Symbol("B", integer=True, positive=True)
ROOT, PSEUDO_ROOT = MatrixSymbol("R", d, d), MatrixSymbol("(R*Phi)^+", M, d)  # P = R², R symmetric, of a preconditioner


class SpectralFunction(MatrixExpr):  # type: ignore[misc]
    """A scalar function of a symmetric matrix: ``f(S) = Σ f(λ) P_λ``."""

    def __new__(cls, name: str, function: sympy.Lambda, matrix: MatrixExpr) -> "SpectralFunction":
        """The function under a name, of a matrix."""
        return super().__new__(cls, Str(str(name)), function, matrix)  # type: ignore[no-any-return]

    @property
    def shape(self) -> tuple[sympy.Expr, sympy.Expr]:
        """The matrix's shape."""
        return self.args[2].shape  # type: ignore[no-any-return]

    @property
    def function(self) -> sympy.Lambda:
        """The scalar function."""
        return self.args[1]

    def _eval_transpose(self) -> "SpectralFunction":
        return self

    def _sympystr(self, printer: object) -> str:
        return f"{self.args[0]}(S)"

    def _latex(self, printer: object) -> str:
        return f"{self.args[0]}(S)".replace("_oo", r"_{\infty}")


@dataclass(frozen=True)
class Formulas:
    """The closed form in one notation.

    Attributes:
        weight: W(t).
        prediction: f(x) at time t.
        limit: f(x) at infinite time.
        where: What the letters stand for.
    """

    weight: sympy.Expr
    prediction: sympy.Expr
    limit: sympy.Expr
    where: dict[str, str]


@dataclass(frozen=True)
class Solution:
    r"""The closed form of a setting, :math:`W(t) = W_0\,g(S) + cY\Phi^\top q(S)`.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow
        >>> solution = solve(Setting(Linear(), GradientFlow()))
        >>> solution.residual, solution.limit
        (exp(-s*t), W_0*(I - Phi*Phi^+) + Y*Phi^+)
        >>> solution.one_example.limit          # theorem 1 of Identity Crisis: the identity inside, the start outside
        Pi_parallel*x + W_0*Pi_perp*x
    """

    setting: Setting

    @cached_property
    def mode(self) -> Mode:
        """The scalar equation of the optimiser and its solution, verified by substitution."""
        return mode_solution(self.setting.optimizer)

    @property
    def residual(self) -> sympy.Expr:
        """g(s, ·): what is left of a unit error in a mode of eigenvalue s."""
        return self.mode.residual

    @property
    def decay(self) -> sympy.Expr:
        """μ, or 0 in a setting without weight decay."""
        return MU if self.setting.weight_decay > 0 else sympy.Integer(0)

    @property
    def scale(self) -> sympy.Expr:
        """c, the loss scale: 1 for the half sum, 2/(pM) for the mean over p outputs and M columns, of all blocks."""
        return sympy.Integer(1) if self.setting.loss == "half_sum" else 2 / (q * M * self.blocks)

    @property
    def blocks(self) -> sympy.Expr:
        """The number of blocks: of groups, or the letter B where the data say how many positions or frequencies there are."""
        layer = self.setting.layer
        return sympy.Integer(layer.channel_groups()) if layer.block_name == "group" else BLOCKS

    def adjoint(self, matrix: MatrixExpr) -> MatrixExpr:
        """The transpose; the conjugate transpose for complex features."""
        return sympy.Adjoint(matrix) if self.setting.layer.complex_features else matrix.T

    @property
    def rates(self) -> MatrixExpr:
        """S, the matrix whose eigenvalues are the rates."""
        gram = self.scale * (ROOT * PHI * self.adjoint(PHI) * ROOT if self.preconditioned else PHI * self.adjoint(PHI))
        return gram + self.decay * Eye(d) if self.decay else gram

    @property
    def preconditioned(self) -> bool:
        """Whether the features are RΦ, with P = R²."""
        return self.setting.optimizer.rule is not self.setting.optimizer

    def of_rates(self, name: str, *, final: bool = False) -> SpectralFunction:
        """g(S) or q(S), at any time or at the end of a schedule."""
        residual: sympy.Expr = self.mode.final if final else self.residual
        scalar = residual if name == "g" else (1 - residual) / s
        return SpectralFunction(f"{name}_oo" if final else name, sympy.Lambda(s, scalar), self.rates)

    def _weight(self, after: MatrixExpr | None = None, *, final: bool = False) -> MatrixExpr:
        """W(t), or its product with what stands after it."""
        g, q = (self.of_rates(name, final=final) for name in ("g", "q"))
        adjoint = self.adjoint(PHI)
        start, data = (START * ROOT.inverse(), adjoint * ROOT) if self.preconditioned else (START, adjoint)
        tail = [part for part in (ROOT if self.preconditioned else None, after) if part is not None]
        return sympy.MatMul(start, g, *tail).doit() + self.scale * sympy.MatMul(TARGETS, data, q, *tail).doit()

    @cached_property
    def weight(self) -> MatrixExpr:
        """W(t), or W after k steps, for any number of examples; per block if the layer has several."""
        return self._weight()

    @cached_property
    def prediction(self) -> MatrixExpr:
        """The output on an example with features φ(x)."""
        trained = self._weight(COLUMN)
        return trained + SKIP if self.setting.layer.skips else trained

    @cached_property
    def limit(self) -> MatrixExpr:
        """The weight at infinite time; nan for a flow without friction, or where a schedule's end is not known."""
        optimizer = self.setting.optimizer.rule
        if not optimizer.has_limit:
            return sympy.nan
        if not optimizer.converges:  # a schedule ends it before
            return self._weight(final=True)
        if self.preconditioned:
            if self.decay:
                return self.scale * TARGETS * self.adjoint(PHI) * ROOT * self.rates.inverse() * ROOT
            return TARGETS * PSEUDO_ROOT * ROOT + START * ROOT.inverse() * (Eye(d) - ROOT * PHI * PSEUDO_ROOT) * ROOT
        if self.decay:
            return self.scale * TARGETS * self.adjoint(PHI) * self.rates.inverse()
        return TARGETS * PSEUDO + START * (Eye(d) - PHI * PSEUDO)

    @property
    def end(self) -> sympy.Expr | None:
        """g_oo(s), what a schedule leaves of a unit error where it ends training before it converges; else None."""
        optimizer = self.setting.optimizer.rule
        return None if optimizer.converges or not optimizer.has_limit else self.mode.final

    @cached_property
    def one_example(self) -> Formulas:
        r"""The closed form for one example, in the projectors on its features and on their complement.

        For a layer with one column per example S has rank one (plus μ): :math:`g(S) = g(\lambda)\Pi_\parallel +
        g(\mu)\Pi_\perp` with :math:`\lambda = c\|\hat\varphi\|^2 + \mu`, and with :math:`\hat y = \hat x = \hat\varphi`
        the data term :math:`c\,q(\lambda)\,\hat y\hat\varphi^\top` is a multiple of :math:`\Pi_\parallel`.
        """
        layer = self.setting.layer
        if self.preconditioned or not layer.single_column:
            what = "patches" if layer.block_name == "group" else f"features of a {layer.block_name}"
            general = f"the columns of Phi are the {what} of the one example"
            return Formulas(self.weight, self.prediction, self.limit, {"Phi": general})
        par, perp = MatrixSymbol("Pi_parallel", d, d), MatrixSymbol("Pi_perp", d, d)
        norm, rate = Symbol("n", positive=True), Symbol("lambda", positive=True)
        repeats = self.setting.target == Identity() and layer.repeats_inputs and not layer.bias and not layer.skips
        x = MatrixSymbol("x" if repeats else "phi", d, 1)
        scale = self.scale.subs(M, 1)
        # A mode of rate 0 never moves, whatever the formula says there: it may be 0/0.
        fast, slow = self.residual.subs(s, rate), self.residual.subs(s, MU) if self.decay else sympy.Integer(1)
        learned = scale * norm / rate if self.decay else sympy.Integer(1)  # c·n·q(λ) = learned·(1 - g(λ))
        if repeats:
            data: MatrixExpr = par
        else:
            data = MatrixSymbol("y", q, 1) * MatrixSymbol("phi_1", d, 1).T / norm
        weight = START * (fast * par + slow * perp) + learned * (1 - fast) * data
        prediction = (START * fast * par + START * slow * perp + learned * (1 - fast) * data) * x
        name = "x_1" if repeats else "phi_1"
        where = {
            "Pi_parallel": f"{name} {name}^T / n, the projector on the example",
            "Pi_perp": "I - Pi_parallel",
            "n": f"||{name}||^2",
            "lambda": f"{scale} n + {self.decay}" if self.decay else f"{scale} n" if scale != 1 else "n",
        }
        limit = data * x * learned if self.decay else sympy.MatAdd(data * x, START * perp * x)
        if not self.setting.optimizer.rule.has_limit:
            limit = sympy.nan
        elif not self.setting.optimizer.rule.converges:
            end: sympy.Expr = self.mode.final
            ends = {fast: end.subs(s, rate)} | ({slow: end.subs(s, MU)} if self.decay else {})
            limit = prediction.subs(ends)
        if layer.skips:
            skip = MatrixSymbol("r", q, 1)
            prediction = prediction + skip
            limit = limit if limit is sympy.nan else sympy.MatAdd(limit, skip)
            where |= {"r": "the input, which the layer adds", "y": "target of the example less what the layer adds"}
        return Formulas(weight, prediction, limit, where)

    @cached_property
    def proof(self) -> SettingProof:
        """That the closed form solves the setting's equation from W0, for all dimensions."""
        return prove_setting(self.setting)

    def latex(self) -> str:
        """The closed form as LaTeX, an ``aligned`` block."""
        return aligned(self)

    def markdown(self) -> str:
        """The closed form as Markdown with LaTeX, and what its letters mean."""
        letters = "\n".join(legend(self))
        return f"**{self.setting}**\n\n$$\n{self.latex()}\n$$\n\n{letters}\n\nProof: {self.proof}.\n"

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"

    def python(self) -> str:
        """A standalone numpy function of Φ, Y, W0 and the time: paste it anywhere; the time may be infinite."""
        return python_source(self.setting, self.mode)  # refused where g has no formula

    def __str__(self) -> str:
        if self.proof.mode is None:
            return f"{self.setting}\n  W(oo) = {self.limit}\nproof: {self.proof}"
        time, one = self.mode.time, self.one_example
        special = "".join(f"\n      {name} = {value}" for name, value in self.mode.roots.items())
        special += "".join(f"\n      g(s) = {case} where {condition.lhs} = 0" for condition, case in self.mode.special)
        layer = self.setting.layer
        each = "example and output position" if layer.block_name == "group" else "example"
        targets = "targets less what the layer adds" if layer.skips else "targets"
        if self.setting.optimizer.rule.recurrent:
            starts = ", ".join(f"{start.lhs} = {start.rhs}" for start in self.mode.start)
            special = f"\n      {self.mode.equation.lhs} = {self.mode.equation.rhs}, {starts}"
        blocks = "" if self.blocks == 1 else f"\n  for each of the {self.blocks} blocks"
        if layer.block_name != "group":
            blocks += f", one per {layer.block_name}"
        where = "\n".join(f"    {name} = {meaning}" for name, meaning in one.where.items())
        pointwise = self.setting.layer.single_column and not self.preconditioned
        root = "\n    R = P^(1/2), symmetric, of the preconditioner P" if self.preconditioned else ""
        end = "" if self.end is None else f"    g_oo(s) = {self.end},  q_oo(s) = (1 - g_oo(s))/s\n"
        return (
            f"{self.setting}{blocks}\n"
            f"  W({time}) = {self.weight}\n"
            f"    Phi: features (d x M, one column per {each}), Y: {targets} (p x M){root}\n"
            f"    S = {self.rates},  q(s) = (1 - g(s))/s\n"
            f"    g(s) = {self.mode.short}{special}\n"
            f"  W(oo) = {self.limit}\n{end}"
            f"one example\n"
            f"  W({time}) = {one.weight}\n"
            f"  {'f(x, oo)' if pointwise else 'W(oo)'} = {one.limit}\n{where}\n"
            f"proof: {self.proof}"
        )


def solve(setting: Setting) -> Solution:
    """The closed form of a setting, derived from its optimiser's rule.

    Raises:
        SettingError: If the optimiser is not linear in the weights.
    """
    if not setting.optimizer.linear:
        message = (
            f"optimizer must be linear in the weights for a closed form, but it is {setting.optimizer} (theorem T1 is false "
            "for it). Train it with train()."
        )
        raise SettingError(message)
    check_rule(setting.optimizer)
    return Solution(setting)
