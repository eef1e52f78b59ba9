r"""T1. The flow of a linear layer, :math:`W(t) = W_0 e^{-tS} + c Y \Phi^\top \int_0^t e^{-\tau S} d\tau`."""

from theory.layers import Conv, Linear
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, Case, Claim, Theorem

FLOW = {"E": "c * X @ X.T + mu * I"}
WEIGHT = "W0 @ E + c * Y @ X.T @ integral(E)"
RULE = "-c * (W @ X - Y) @ X.T - mu * W"
SCALARS = ("c", "mu")
START = {name: SHAPES[name] for name in ("X", "Y", "W0")}

THEOREM = Theorem(
    id="T1",
    name="linear-flow",
    title="Flow of a linear layer",
    statement=(
        "For every layer W φ(x), loss scale c and weight decay μ, with S = cΦΦᵀ + μI: the gradient flow from W0 is "
        "W(t) = W0 exp(-tS) + cYΦᵀ ∫₀ᵗ exp(-τS) dτ, and it is the only one."
    ),
    hypotheses=("the layer is linear in its parameters", "gradient flow, constant rate"),
    claims=(
        Claim("W(t) solves the flow", f"d(W) == {RULE}", shapes=START, scalars=SCALARS, flow=FLOW, where={"W": WEIGHT}),
        Claim("W(0) is the start", "start(W) == W0", shapes=START, scalars=SCALARS, flow=FLOW, where={"W": WEIGHT}),
        Claim(
            "the difference D of two solutions decays freely",
            "d(A - B) == -(A - B) @ (c * X @ X.T + mu * I)",
            shapes={"X": ("d", "n"), "Y": ("q", "n"), "A": ("q", "d"), "B": ("q", "d")},
            assume=("d(A) == -c * (A @ X - Y) @ X.T - mu * A", "d(B) == -c * (B @ X - Y) @ X.T - mu * B"),
            scalars=SCALARS,
        ),
        Claim(
            "so D exp(tS) never changes; it starts at 0 and exp(tS) is invertible: D = 0",
            "d(D @ F) == 0",
            shapes={"X": ("d", "n"), "D": ("q", "d")},
            assume=("d(D) == -D @ (c * X @ X.T + mu * I)",),
            scalars=SCALARS,
            flow={"F": "-c * X @ X.T - mu * I"},
            lemmas=("L-EXP", "L-ZERO"),
        ),
        Claim(
            "or by energy: the square of D never grows, because what is taken away is a sum of squares",
            "d(D @ D.T) == -2 * (c * (D @ X) @ (D @ X).T + mu * D @ D.T)",
            shapes={"X": ("d", "n"), "D": ("q", "d")},
            assume=("d(D) == -D @ (c * X @ X.T + mu * I)",),
            scalars=("c > 0", "mu > 0"),
            lemmas=("L-SQUARE",),
        ),
    ),
    false_twin=Claim(
        "the same with the sign of the data term flipped",
        f"d(W) == {RULE}",
        shapes=START,
        scalars=SCALARS,
        flow=FLOW,
        where={"W": "W0 @ E - c * Y @ X.T @ integral(E)"},
    ),
    cases=(
        Case("fully connected, 1 example", Setting(Linear(), GradientFlow()), WEIGHT, flow=FLOW),
        Case(
            "5×5 convolution with bias, 2 examples, MSE, decay",
            Setting(Conv(5, bias=True), GradientFlow(), loss="mse", weight_decay=0.01),
            WEIGHT,
            examples=2,
            flow=FLOW,
        ),
        Case(
            "fully connected with bias, 10 examples",
            Setting(Linear(bias=True), GradientFlow()),
            WEIGHT,
            examples=10,
            flow=FLOW,
            telling=False,
        ),
        Case(
            "3×3 depthwise convolution, circular padding, dilation 2",
            Setting(Conv(3, groups=2, padding_mode="circular", dilation=2), GradientFlow()),
            WEIGHT,
            view="two_channels",
            flow=FLOW,
            telling=False,
        ),
    ),
)
