r"""T11. A fixed preconditioner is a change of variables, and what it conserves instead of the null space."""

from theory.theorems.theorem import Claim, Theorem

WEIGHTS = {"X": ("d", "n"), "Y": ("q", "n"), "W": ("q", "d")}

THEOREM = Theorem(
    id="T11",
    name="preconditioner",
    title="Preconditioner by change of variables",
    statement=(
        "Let P = RRᵀ with R invertible. If Ẇ = -(WΦ - Y)ΦᵀP, then W R⁻ᵀ follows the plain flow of the features RᵀΦ. The flow "
        "conserves W P⁻¹(I - ΦΦ⁺), not W(I - ΦΦ⁺)."
    ),
    hypotheses=("P is fixed and positive definite", "no weight decay (c only rescales time: c = 1)"),
    claims=(
        Claim(
            "the transformed weight follows the plain flow",
            "d(V) == -(V @ (R.T @ X) - Y) @ (R.T @ X).T",
            shapes={**WEIGHTS, "R": ("d", "d"), "S": ("d", "d")},
            assume=("d(W) == -(W @ X - Y) @ X.T @ R @ R.T", "R @ S == I", "S @ R == I"),
            where={"V": "W @ S.T"},
        ),
        Claim(
            "what is conserved",
            "d(W @ S @ (I - X @ pinv(X))) == 0",
            shapes={**WEIGHTS, "P": ("d", "d"), "S": ("d", "d")},
            assume=("d(W) == -(W @ X - Y) @ X.T @ P", "P @ S == I"),
            lemmas=("L-ZERO",),
        ),
    ),
    false_twin=Claim(
        "the null space of the plain flow",
        "(W - eta * (W @ X - Y) @ X.T @ R @ R.T) @ (I - X @ pinv(X)) == W @ (I - X @ pinv(X))",
        shapes={**WEIGHTS, "R": ("d", "d"), "S": ("d", "d")},
        assume=("R @ S == I", "S @ R == I"),
        scalars=("eta",),
    ),
    cases=(),
)
