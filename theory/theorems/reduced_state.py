r"""T22. The reduced states: the same rule on the dual coordinates of the weights, and on the Gram matrix of the features."""

from theory.theorems.theorem import Claim, Theorem

SHAPES = {"X": ("d", "n"), "Y": ("q", "n"), "K": ("q", "d"), "Z": ("q", "n")}
MEMORY = {"B": ("q", "d"), "C": ("q", "n")}
WEIGHT = "(K + Z @ X.T)"
SLOPE = f"(c * ({WEIGHT} @ X - Y) + mu * Z)"
GRADIENT = f"(c * ({WEIGHT} @ X - Y) @ X.T + mu * {WEIGHT})"
PUSHED = "(K + Z @ X.T @ P)"

THEOREM = Theorem(
    id="T22",
    name="reduced-state",
    title="Reduced states",
    statement=(
        "A rule of sums and multiples of weights and gradients never leaves W = K + ZΦᵀ with K a multiple of W0, and (K, Z) obeys "
        "the very same rule with the gradient (μK, c(KΦ + ZΦᵀΦ - Y) + μZ), from (W0, 0): the dual state. With another slope R of the loss "
        "in the outputs the gradient is (μK, R + μZ), and under a preconditioner P it is W = K + ZΦᵀP. The gradient in W itself "
        "is WG - H + μW with G = cΦΦᵀP and H = cYΦᵀP, formed once: the Gram state."
    ),
    hypotheses=(
        "the layer is linear in its parameters",
        "the rule is made of sums and multiples of weights and gradients",
        "for the Gram state: the squared error",
    ),
    claims=(
        Claim(
            "gradient flow of the dual state is gradient flow of the weights",
            f"d(K + Z @ X.T) == -{GRADIENT}",
            shapes=SHAPES,
            assume=("d(K) == -mu * K", f"d(Z) == -{SLOPE}"),
            scalars=("c", "mu"),
            lemmas=("L-UNIQUE",),
        ),
        Claim(
            "K = W0 exp(-μt), a multiple of the start",
            "d(K) == -mu * K",
            shapes={"W0": ("q", "d")},
            scalars=("mu",),
            flow={"E": "mu * I"},
            where={"K": "W0 @ E"},
        ),
        Claim(
            "the outputs need ΦᵀΦ only, (n, n)",
            f"{WEIGHT} @ X == K @ X + Z @ (X.T @ X)",
            shapes=SHAPES,
        ),
        Claim(
            "one step of a descent",
            f"(K - eta * (mu * K)) + (Z - eta * {SLOPE}) @ X.T == {WEIGHT} - eta * {GRADIENT}",
            shapes=SHAPES,
            scalars=("c", "mu", "eta"),
            lemmas=("L-INDUCTION",),
        ),
        Claim(
            "the buffer of momentum, (B, C) for B + CΦᵀ",
            f"(beta * B + mu * K) + (beta * C + {SLOPE}) @ X.T == beta * (B + C @ X.T) + {GRADIENT}",
            shapes={**SHAPES, **MEMORY},
            scalars=("c", "mu", "beta"),
            lemmas=("L-INDUCTION",),
        ),
        Claim(
            "and its step",
            f"(K - eta * B) + (Z - eta * C) @ X.T == {WEIGHT} - eta * (B + C @ X.T)",
            shapes={**SHAPES, **MEMORY},
            scalars=("eta",),
        ),
        Claim(
            "a flow with inertia, (B, C) the velocity",
            f"d(B + C @ X.T) == -gamma * (B + C @ X.T) - {GRADIENT}",
            shapes={**SHAPES, **MEMORY},
            assume=(
                "d(K) == B",
                "d(Z) == C",
                "d(B) == -gamma * B - mu * K",
                f"d(C) == -gamma * C - {SLOPE}",
            ),
            scalars=("c", "mu", "gamma"),
            lemmas=("L-UNIQUE",),
        ),
        Claim(
            "another loss or a nonlinearity, of slope R in the outputs",
            f"d(K + Z @ X.T) == -(R @ X.T + mu * {WEIGHT})",
            shapes={**SHAPES, "R": ("q", "n")},
            assume=("d(K) == -mu * K", "d(Z) == -R - mu * Z"),
            scalars=("mu",),
        ),
        Claim(
            "a preconditioner",
            f"d(K + Z @ X.T @ P) == -(c * ({PUSHED} @ X - Y) @ X.T @ P + mu * {PUSHED})",
            shapes={**SHAPES, "P": ("d", "d")},
            assume=("d(K) == -mu * K", "d(Z) == -c * (K @ X + Z @ (X.T @ P @ X) - Y) - mu * Z"),
            scalars=("c", "mu"),
            lemmas=("L-UNIQUE",),
        ),
        Claim(
            "the Gram state",
            "c * (W @ X - Y) @ X.T @ P + mu * W == W @ (c * X @ X.T @ P) - c * Y @ X.T @ P + mu * W",
            shapes={"X": ("d", "n"), "Y": ("q", "n"), "W": ("q", "d"), "P": ("d", "d")},
            scalars=("c", "mu"),
        ),
    ),
    false_twin=Claim(
        "the dual state whose start does not decay",
        f"d(K + Z @ X.T) == -{GRADIENT}",
        shapes=SHAPES,
        assume=("d(K) == 0", f"d(Z) == -{SLOPE}"),
        scalars=("c", "mu"),
    ),
    cases=(),
)
