r"""T20. The two second-order flows: constant friction and Nesterov's vanishing friction."""

from theory.layers import Linear
from theory.optimizers import HeavyBallFlow, NesterovFlow
from theory.setting import Setting
from theory.setting_proof import RuleClaim
from theory.theorems.theorem import Case, Claim, Theorem

# One mode in units of a step h of the companion: place U = √s u, speed V, x = h√s, g = γh.
MODE = {"U": ("q", "r"), "V": ("q", "r")}
NEXT_SPEED = "((1 - g) * V - x * U)"
NEXT_PLACE = f"(U + x * {NEXT_SPEED})"
FALLING = "x * tr(U @ U.T) + x * tr(V @ V.T) + g * tr(U @ V.T)"


def energy(place: str, speed: str) -> str:
    """What no step of the companion raises."""
    squares = f"(2 - g) * tr({place} @ {place}.T) + (2 - x * x * g) * tr({speed} @ {speed}.T)"
    return f"{squares} - 2 * x * (1 - g) * tr({place} @ {speed}.T)"


THEOREM = Theorem(
    id="T20",
    name="momentum-flows",
    title="Second-order flows",
    statement=(
        "From rest at W0, Ẅ + γẆ = -∇L has W = W0 g(S) + cYΦᵀ q(S) with g = exp(-γt/2)(cosh ωt + γ/(2ω) sinh ωt), ω² = γ²/4 - s, and "
        "Ẅ + (3/t)Ẇ = -∇L has the same with g = 2J₁(√s t)/(√s t). Constant friction, a mode in units of h, U = √s u, V = U̇/x, x = h√s, "
        "g = γh: ‖U‖² + ‖V‖² + (g/x)⟨U, V⟩ falls as exp(-gt), and a step of the heavy ball of momentum 1 - g takes g(4 - 2g - x²)‖V‖² from "
        "(2 - g)‖U‖² - 2x(1 - g)⟨U, V⟩ + (2 - x²g)‖V‖²."
    ),
    hypotheses=("the layer is linear in its parameters", "at rest at the start"),
    claims=(
        RuleClaim("constant friction, with decay", HeavyBallFlow(0.5), weight_decay=0.1),
        RuleClaim("constant friction, without", HeavyBallFlow(0.5), weight_decay=0.0),
        RuleClaim("vanishing friction, with decay", NesterovFlow(), weight_decay=0.1),
        RuleClaim("vanishing friction, without", NesterovFlow(), weight_decay=0.0),
        Claim(
            "along the flow with constant friction this falls as exp(-gt): its product with exp(gt) never changes",
            f"d({FALLING}) == -g * ({FALLING})",
            shapes=MODE,
            scalars=("x", "g"),
            assume=("d(U) == x * V", "d(V) == -g * V - x * U"),
            lemmas=("L-ZERO",),
        ),
        Claim(
            "and the sum of the squares never rises, because what is taken away is a square",
            "d(tr(U @ U.T) + tr(V @ V.T)) == -2 * g * tr(V @ V.T)",
            shapes=MODE,
            scalars=("x", "g"),
            assume=("d(U) == x * V", "d(V) == -g * V - x * U"),
            lemmas=("L-SQUARE",),
        ),
        Claim(
            "a step of the heavy ball takes a square from its energy, for x² < 4 - 2g, and so does every step",
            f"{energy('U', 'V')} - ({energy(NEXT_PLACE, NEXT_SPEED)}) == g * (4 - 2 * g - x * x) * tr(V @ V.T)",
            shapes=MODE,
            scalars=("x", "g"),
            lemmas=("L-SQUARE", "L-INDUCTION"),
        ),
    ),
    false_twin=Claim(
        "a second-order flow that forgets its start like gradient flow",
        "d(V) == -gamma * V - (W @ X - Y) @ X.T",
        shapes={"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")},
        scalars=("gamma",),
        flow={"E": "X @ X.T"},
        where={
            "W": "W0 @ E + Y @ pinv(X) @ (I - E)",
            "V": "(Y @ pinv(X) - W0) @ X @ X.T @ E",
        },
    ),
    cases=(
        Case("fully connected, 10 examples, γ = 1", Setting(Linear(), HeavyBallFlow(1.0)), "", examples=10),
        Case(
            "fully connected, 10 examples, Nesterov", Setting(Linear(), NesterovFlow()), "", examples=10, telling=False
        ),
    ),
)
