r"""T19. Nesterov's momentum as torch's SGD after k steps."""

from theory.layers import Conv
from theory.optimizers import Nesterov
from theory.setting import Setting
from theory.setting_proof import RuleClaim
from theory.theorems.theorem import Case, Claim, Theorem

THEOREM = Theorem(
    id="T19",
    name="nesterov",
    title="Nesterov's momentum, for all k",
    statement=(
        "After k steps of torch's SGD with nesterov=True and momentum β, W = W0 g(S) + cYΦᵀ q(S) where g solves "
        "g₊₊ = (1 - ηs)((1 + β)g₊ - βg) with g = 1, 1 - (1 + β)ηs at the first two steps."
    ),
    hypotheses=(
        "the layer is linear in its parameters",
        "full batch, constant learning rate and momentum",
        "no dampening",
    ),
    claims=(
        RuleClaim("the closed form solves the recurrence, with decay", Nesterov(0.1, 0.9), weight_decay=0.1),
        RuleClaim("and without", Nesterov(0.1, 0.9), weight_decay=0.0),
    ),
    false_twin=Claim(
        "the first step of the heavy ball",
        "W0 - eta * (1 + beta) * c * (W0 @ X - Y) @ X.T == W0 - eta * c * (W0 @ X - Y) @ X.T",
        shapes={"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")},
        scalars=("c", "eta > 0", "beta > 0"),
    ),
    cases=(
        Case("3×3 convolution, 1 example, β = 0.9, 200 steps", Setting(Conv(3), Nesterov(0.5, 0.9)), "", reach=200.0),
    ),
)
