r"""The law of the squared error over random starts, as formulas, with the theorems behind them.

By T1 and its discrete companions (T8, T9, T19, T20) the weights are affine in the start, so that on x the error is
:math:`W_0V + b` with :math:`V = g(S)\varphi(x)` and b the error from a zero start (T4, T5). Along the singular directions of V,
which have rotations of independent Gaussian entries in front of them, the squared error falls apart into independent noncentral
chi-squares. Its cumulant function is the sum of :attr:`ErrorLaw.cumulants` over the directions; T17 proves mean and variance.
"""

from dataclasses import dataclass

import sympy

# q outputs; σ of an entry; singular value s of V; β = ‖b r‖² along its right singular vector r; κ kurtosis; n side of a Haar matrix.
Q, N = sympy.symbols("q n", positive=True, integer=True)
SIGMA, S, KAPPA = sympy.symbols("sigma s kappa", positive=True)
BETA, THETA = sympy.Symbol("beta", nonnegative=True), sympy.Symbol("theta", real=True)
# ‖V‖², ‖VᵀV‖², Σ_j (VVᵀ)_jj², ‖b‖², ‖bVᵀ‖²
V2, V4, DIAGONAL, B2, MIXED = sympy.symbols("v_2 v_4 v_d b_2 b_v", nonnegative=True)


@dataclass(frozen=True)
class ErrorLaw:
    """Mean and variance of ‖W0 V + b‖² for one kind of start, in one block.

    Attributes:
        start: In words.
        mean: In ``SIGMA``, ``Q``, ``V2``, ``B2``.
        variance: In these, ``V4``, ``DIAGONAL``, ``MIXED``, and ``KAPPA`` or ``N``.
        theorems: What proves them, in proofs.md; empty where only the fourth moments of an entry are used.
    """

    start: str
    mean: sympy.Expr
    variance: sympy.Expr
    theorems: tuple[str, ...] = ()

    def __str__(self) -> str:
        behind = f" ({', '.join(self.theorems)})" if self.theorems else ""
        return f"{self.start}: mean {self.mean}, variance {self.variance}{behind}"


GAUSSIAN = ErrorLaw(
    "independent N(0, σ²) entries",
    Q * SIGMA**2 * V2 + B2,
    2 * Q * SIGMA**4 * V4 + 4 * SIGMA**2 * MIXED,
    ("T17",),
)
INDEPENDENT = ErrorLaw(
    "independent symmetric entries of variance σ² and kurtosis κ",
    GAUSSIAN.mean,
    GAUSSIAN.variance + Q * SIGMA**4 * (KAPPA - 3) * DIAGONAL,
)
ORTHOGONAL = ErrorLaw(
    "rows or columns of a Haar matrix of side n, one block",
    Q * V2 / N + B2,
    # At n = 1 the entry is ±1 and the square certain.
    sympy.Piecewise((2 * Q * (N - Q) / (N * (N - 1) * (N + 2)) * (V4 - V2**2 / N), N > 1), (0, True)) + 4 * MIXED / N,
)


def cumulants() -> sympy.Expr:
    r"""K(θ) of one direction: :math:`\log E\,e^{\theta\|\sigma s z + \sqrt\beta e\|^2}` with z standard normal in q dimensions.

    Completing the square in each dimension gives :math:`-\tfrac q2\log(1 - 2\lambda\theta) + \beta\theta/(1 - 2\lambda\theta)`,
    λ = σ²s²; its derivatives at 0 are mean and variance of T17.

    Example:
        >>> K = cumulants()
        >>> sympy.expand(K.diff(THETA, 2).subs(THETA, 0))
        4*beta*s**2*sigma**2 + 2*q*s**4*sigma**4
    """
    room = 1 - 2 * SIGMA**2 * S**2 * THETA
    return -Q / 2 * sympy.log(room) + BETA * THETA / room


def mean_resultant() -> sympy.Expr:
    """R, the factor between the cosine of the mean output and the mean cosine of the output, in z = ‖m‖²/(2τ²); f ~ N(m, τ²I_q).

    Example:
        >>> sympy.hyperexpand(mean_resultant().subs(Q, 1))        # the sign of one normal number
        erf(sqrt(z))
    """
    z = sympy.Symbol("z", nonnegative=True)
    half = sympy.Rational(1, 2)
    ratio = sympy.gamma((Q + 1) * half) / sympy.gamma(Q * half + 1)
    return ratio * sympy.sqrt(z) * sympy.hyper([half], [Q * half + 1], -z)
