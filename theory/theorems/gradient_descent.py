r"""T8. Gradient descent after k steps, for every k: :math:`g(s) = (1 - \eta s)^k`."""

from theory.layers import Conv, Linear
from theory.optimizers import GradientDescent
from theory.setting import Setting
from theory.setting_proof import RuleClaim
from theory.theorems.theorem import Case, Claim, Theorem

RATES = "(c * X @ X.T + mu * I)"

THEOREM = Theorem(
    id="T8",
    name="gradient-descent",
    title="Gradient descent, for all k",
    statement=(
        "After k steps of gradient descent with learning rate η, W = W0 g(S) + cYΦᵀ q(S) with g(s) = (1 - ηs)^k, q = (1 - g)/s and "
        "S = cΦΦᵀ + μI."
    ),
    hypotheses=("the layer is linear in its parameters", "full batch, constant learning rate"),
    claims=(
        RuleClaim("the closed form solves the recurrence, with decay", GradientDescent(0.1), weight_decay=0.1),
        RuleClaim("and without", GradientDescent(0.1), weight_decay=0.0),
    ),
    false_twin=Claim(
        "one step as if the decay left the start alone",
        f"W0 - eta * (c * (W0 @ X - Y) @ X.T) == W0 @ (I - eta * {RATES}) + eta * c * Y @ X.T",
        shapes={"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")},
        scalars=("c", "mu", "eta"),
    ),
    cases=(
        Case(
            "fully connected, 10 examples, 200 steps",
            Setting(Linear(), GradientDescent(1.9)),
            "",
            examples=10,
            reach=200.0,
        ),
        Case(
            "5×5 convolution, bias, decay, MSE, 200 steps",
            Setting(Conv(5, bias=True), GradientDescent(1.0), loss="mse", weight_decay=0.01),
            "",
            reach=200.0,
            telling=False,
        ),
    ),
)
