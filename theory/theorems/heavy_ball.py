r"""T9. Momentum as torch's SGD after k steps: two roots, and the double root by its own formula."""

from theory.layers import Conv, Linear
from theory.optimizers import HeavyBall
from theory.setting import Setting
from theory.setting_proof import RuleClaim
from theory.theorems.theorem import Case, Claim, Theorem

THEOREM = Theorem(
    id="T9",
    name="heavy-ball",
    title="Momentum, for all k",
    statement=(
        "After k steps of torch's SGD with momentum β, W = W0 g(S) + cYΦᵀ q(S) where g solves g₊₊ = (1 + β - ηs)g₊ - βg with "
        "g = 1, 1 - ηs at the first two steps: g = ((1 - ηs - r₋)r₊^k + (r₊ - 1 + ηs)r₋^k)/(r₊ - r₋) with the two roots of "
        "r² - (1 + β - ηs)r + β."
    ),
    hypotheses=(
        "the layer is linear in its parameters",
        "full batch, constant learning rate and momentum",
        "no dampening",
    ),
    claims=(
        RuleClaim("the closed form solves the recurrence, with decay", HeavyBall(0.1, 0.9), weight_decay=0.1),
        RuleClaim("and without", HeavyBall(0.1, 0.9), weight_decay=0.0),
    ),
    false_twin=Claim(
        "the second step as if the buffer started at the first gradient's negative",
        "V - eta * (beta * (W0 - V) / eta + c * (V @ X - Y) @ X.T) == V - eta * (c * (V @ X - Y) @ X.T) - beta * (V - W0)",
        shapes={"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d"), "V": ("q", "d")},
        scalars=("c", "eta", "beta"),
    ),
    cases=(
        Case("3×3 convolution, 1 example, β = 0.9, 200 steps", Setting(Conv(3), HeavyBall(1.0, 0.9)), "", reach=200.0),
        Case(
            "fully connected, 10 examples, decay, 200 steps",
            Setting(Linear(), HeavyBall(3.0, 0.9), weight_decay=0.01),
            "",
            examples=10,
            reach=200.0,
            telling=False,
        ),
    ),
)
