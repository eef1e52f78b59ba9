r"""T3. Conservation on the null space, :math:`W(t)(I - \Phi\Phi^+) = W_0(I - \Phi\Phi^+)`, for flows and descents."""

from theory.layers import Conv, Linear
from theory.optimizers import GradientFlow, HeavyBall
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, Case, Claim, Theorem

COMPLEMENT = "I - X @ pinv(X)"
KEPT = f"W0 @ ({COMPLEMENT})"
SHAPE = {"X": ("d", "n"), "Y": ("q", "n"), "W": ("q", "d")}
GRADIENT = "c * (W @ X - Y) @ X.T"

THEOREM = Theorem(
    id="T3",
    name="null-space",
    title="Conservation on the null space",
    statement=(
        "Without weight decay and preconditioner the weights never move on the complement of the range of Φ: "
        "W(t)(I - ΦΦ⁺) = W0(I - ΦΦ⁺), for gradient flow, gradient descent and momentum alike."
    ),
    hypotheses=("no weight decay", "no preconditioner: the step is a combination of gradients"),
    claims=(
        Claim(
            "along the flow the part outside the range has derivative zero",
            f"d(W @ ({COMPLEMENT})) == 0",
            shapes=SHAPE,
            assume=(f"d(W) == -{GRADIENT}",),
            scalars=("c",),
            lemmas=("L-ZERO",),
        ),
        Claim(
            "every gradient lies in the range, so every combination of gradients does",
            f"{GRADIENT} @ ({COMPLEMENT}) == 0",
            shapes=SHAPE,
            scalars=("c",),
        ),
        Claim(
            "one step of momentum, with a buffer B that has stayed in the range",
            f"(W - eta * (beta * B + {GRADIENT})) @ ({COMPLEMENT}) == W @ ({COMPLEMENT})",
            shapes={**SHAPE, "B": ("q", "d")},
            assume=(f"B @ ({COMPLEMENT}) == 0",),
            scalars=("c", "eta", "beta"),
            lemmas=("L-INDUCTION",),
        ),
    ),
    false_twin=Claim(
        "the same with weight decay",
        f"(W0 @ E + Y @ X.T @ integral(E)) @ ({COMPLEMENT}) == {KEPT}",
        shapes={name: SHAPES[name] for name in ("X", "Y", "W0")},
        scalars=("mu",),
        flow={"E": "X @ X.T + mu * I"},
    ),
    cases=(
        Case("fully connected, 1 example", Setting(Linear(), GradientFlow()), KEPT, probe=COMPLEMENT),
        Case(
            "3×3 convolution, blank second channel, momentum",
            Setting(Conv(3), HeavyBall(learning_rate=1.0, momentum=0.9)),
            KEPT,
            probe=COMPLEMENT,
            view="blank_channel",
            reach=200.0,
        ),
        Case(
            "fully connected, 10 examples",
            Setting(Linear(), GradientFlow()),
            KEPT,
            probe=COMPLEMENT,
            examples=10,
            telling=False,
        ),
    ),
)
