r"""T20. The two second-order flows: constant friction and Nesterov's vanishing friction."""

from theory.layers import Linear
from theory.optimizers import HeavyBallFlow, NesterovFlow
from theory.setting import Setting
from theory.setting_proof import RuleClaim
from theory.theorems.theorem import Case, Claim, Theorem

THEOREM = Theorem(
    id="T20",
    name="momentum-flows",
    title="Second-order flows",
    statement=(
        "From rest at W0, Ẅ + γẆ = -∇L has W = W0 g(S) + cYΦᵀ q(S) with g = exp(-γt/2)(cosh ωt + γ/(2ω) sinh ωt), ω² = γ²/4 - s, and "
        "Ẅ + (3/t)Ẇ = -∇L has the same with g = 2J₁(√s t)/(√s t)."
    ),
    hypotheses=("the layer is linear in its parameters", "at rest at the start"),
    claims=(
        RuleClaim("constant friction, with decay", HeavyBallFlow(0.5), weight_decay=0.1),
        RuleClaim("constant friction, without", HeavyBallFlow(0.5), weight_decay=0.0),
        RuleClaim("vanishing friction, with decay", NesterovFlow(), weight_decay=0.1),
        RuleClaim("vanishing friction, without", NesterovFlow(), weight_decay=0.0),
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
