r"""T10. Learning-rate schedules: gradient flow with rate η(t) is gradient flow at the time τ(t), the integral of η."""

from theory.layers import Conv, Linear
from theory.optimizers import GradientDescent, GradientFlow
from theory.schedules import Cosine, LinearWarmup
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, Case, Claim, Theorem

SHAPE = {**{name: SHAPES[name] for name in ("X", "Y", "W0")}, "E": ("d", "d")}

THEOREM = Theorem(
    id="T10",
    name="schedule",
    title="Learning-rate schedules",
    statement=("The flow Ẇ = -η(t)∇L from W0 is W = W0 E + YΦ⁺(I - E) with E = exp(-τΦΦᵀ), τ = ∫η."),
    hypotheses=("no weight decay (c only rescales time: c = 1)", "gradient flow"),
    claims=(
        Claim(
            "with η = h at the time in question and E' = -hΦΦᵀE, by the chain rule",
            "d(W) == -h * (W @ X - Y) @ X.T",
            shapes=SHAPE,
            assume=("d(E) == -h * X @ X.T @ E", "E @ X @ X.T == X @ X.T @ E"),
            scalars=("h",),
            where={"W": "W0 @ E + Y @ pinv(X) @ (I - E)"},
            lemmas=("L-EXP", "L-UNIQUE"),
        ),
        Claim(
            "at τ = 0 it is the start",
            "start(W) == W0",
            shapes={name: SHAPES[name] for name in ("X", "Y", "W0")},
            flow={"E": "X @ X.T"},
            where={"W": "W0 @ E + Y @ pinv(X) @ (I - E)"},
        ),
    ),
    false_twin=Claim(
        "the flow at the original time",
        "d(W) == -h * (W @ X - Y) @ X.T",
        shapes={name: SHAPES[name] for name in ("X", "Y", "W0")},
        scalars=("h",),
        flow={"E": "X @ X.T"},
        where={"W": "W0 @ E + Y @ pinv(X) @ (I - E)"},
    ),
    cases=(
        Case("warm-up, 5×5, 1 example", Setting(Conv(5), GradientFlow(LinearWarmup(0.1))), ""),
        Case(
            "cosine, fully connected, 10 examples, k = 100",
            Setting(Linear(), GradientDescent(0.5, Cosine(100.0))),
            "",
            examples=10,
            reach=100,
        ),
    ),
)
