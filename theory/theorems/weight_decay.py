r"""T7. Weight decay and its two limits: in time to the ridge solution, without decay to the minimum-norm one."""

import math

from theory.layers import Linear
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, Case, Claim, Theorem

RIDGE = "c * Y @ X.T @ pinv(c * X @ X.T + mu * I)"
START = {name: SHAPES[name] for name in ("X", "Y", "W0")}
POSITIVE = ("c > 0", "mu > 0")

THEOREM = Theorem(
    id="T7",
    name="weight-decay",
    title="Weight decay and its two limits",
    statement=(
        "With weight decay μ > 0 the flow forgets its start: W(t) → cYΦᵀ(cΦΦᵀ + μI)⁻¹, the only stationary point, which is also "
        "cY(cΦᵀΦ + μI)⁻¹Φᵀ. As μ → 0 that tends to YΦ⁺: it differs from it by (μ/c)Y(Φ⁺Φ⁺ᵀ)Φ⁺ times cΦΦᵀ(cΦΦᵀ + μI)⁻¹, which lies "
        "between 0 and I."
    ),
    hypotheses=("weight decay μ > 0", "loss scale c > 0"),
    claims=(
        Claim(
            "the limit in time",
            f"limit(W) == {RIDGE}",
            shapes=START,
            scalars=POSITIVE,
            flow={"E": "c * X @ X.T + mu * I"},
            where={"W": "W0 @ E + c * Y @ X.T @ integral(E)"},
        ),
        Claim(
            "it is stationary",
            "c * (L @ X - Y) @ X.T + mu * L == 0",
            shapes={"X": ("d", "n"), "Y": ("q", "n")},
            scalars=POSITIVE,
            where={"L": RIDGE},
        ),
        Claim(
            "and no other point is",
            f"L == {RIDGE}",
            shapes={"X": ("d", "n"), "Y": ("q", "n"), "L": ("q", "d")},
            assume=("c * (L @ X - Y) @ X.T + mu * L == 0",),
            scalars=POSITIVE,
        ),
        Claim(
            "the dual form",
            f"{RIDGE} == c * Y @ pinv(c * X.T @ X + mu * I) @ X.T",
            shapes={"X": ("d", "n"), "Y": ("q", "n")},
            scalars=POSITIVE,
        ),
        Claim(
            "the distance to the minimum-norm solution, a multiple of μ: cΦΦᵀ(cΦΦᵀ + μI)⁻¹ lies between 0 and I",
            f"Y @ pinv(X) - {RIDGE} == mu / c * Y @ pinv(X) @ pinv(X).T @ pinv(X) @ (c * X @ X.T) @ pinv(c * X @ X.T + mu * I)",
            shapes={"X": ("d", "n"), "Y": ("q", "n")},
            scalars=POSITIVE,
            lemmas=("L-SQUARE",),
        ),
    ),
    false_twin=Claim(
        "the dual form of T2 kept under decay: W0 + c(Y - W0Φ)Φᵀ ∫E",
        "d(W) == -c * (W @ X - Y) @ X.T - mu * W",
        shapes=START,
        scalars=POSITIVE,
        flow={"E": "c * X @ X.T + mu * I"},
        where={"W": "W0 + c * (Y - W0 @ X) @ X.T @ integral(E)"},
    ),
    cases=(
        Case(
            "fully connected, 10 examples, limit",
            Setting(Linear(), GradientFlow(), weight_decay=1.0),
            RIDGE,
            examples=10,
            reach=math.inf,
        ),
    ),
)
