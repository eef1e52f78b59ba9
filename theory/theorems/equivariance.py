r"""T15. Orthogonal equivariance of a fully connected layer."""

from theory.theorems.theorem import Claim, Theorem

SHAPE = {"X": ("d", "n"), "W": ("d", "d"), "Q": ("d", "d")}

THEOREM = Theorem(
    id="T15",
    name="equivariance",
    title="Orthogonal equivariance",
    statement=(
        "If W follows the flow on Φ with targets Φ, then QWQᵀ follows the flow on QΦ with targets QΦ, for every orthogonal Q: "
        "rotating or permuting the coordinates of the data rotates or permutes the trained map."
    ),
    hypotheses=("Q is orthogonal", "fully connected", "the start is rotated too"),
    claims=(
        Claim(
            "the rotated weight follows the rotated flow, decay included",
            "d(Q @ W @ Q.T) == -((Q @ W @ Q.T) @ (Q @ X) - Q @ X) @ (Q @ X).T - mu * Q @ W @ Q.T",
            shapes=SHAPE,
            assume=("d(W) == -(W @ X - X) @ X.T - mu * W", "Q.T @ Q == I"),
            scalars=("mu",),
            lemmas=("L-UNIQUE",),
        ),
    ),
    false_twin=Claim(
        "for every invertible Q",
        "Q @ ((W @ X - X) @ X.T) @ R == ((Q @ W @ R) @ (Q @ X) - Q @ X) @ (Q @ X).T",
        shapes={**SHAPE, "R": ("d", "d")},
        assume=("Q @ R == I", "R @ Q == I"),
    ),
    cases=(),
)
