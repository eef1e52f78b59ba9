r"""T4. Identity Crisis, theorem 1: a fully connected layer trained to repeat its examples.

At the end it is the identity on their span Π∥ and its start outside: :math:`f(x) = \Pi_\parallel x + W_0\Pi_\perp x`.
"""

import math

from theory.layers import Linear
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.theorems.theorem import Case, Claim, Theorem

FLOW = {"g": "c * X.T @ X"}
FINITE = "V + (W0 - I) @ (V - X @ (I - g) @ pinv(X) @ V)"
LIMIT = "X @ pinv(X) @ V + W0 @ (I - X @ pinv(X)) @ V"
WEIGHT = {"W": "W0 + c * (X - W0 @ X) @ integral(g) @ X.T"}
SCALARS = ("c",)
SQUARE = {"X": ("d", "n"), "W0": ("d", "d"), "V": ("d", "m")}
MEASURED = {**SQUARE, "W": ("d", "d")}
ONE = {"x": ("d", 1)}

THEOREM = Theorem(
    id="T4",
    name="identity-crisis-linear",
    title="Identity Crisis 1: fully connected",
    statement=(
        "A fully connected layer trained by gradient flow on targets equal to its inputs predicts, at time t and for the loss scale "
        "c, f(x) = x + (W0 - I)v with v = x - Φ(I - exp(-ctΦᵀΦ))Φ⁺x; for one example v = Π⊥x + exp(-c‖x̂‖²t)Π∥x. "
        "In the limit f(x) = Π∥x + W0 Π⊥x, with Π∥ the projector on the span of the examples."
    ),
    hypotheses=(
        "targets are the inputs",
        "fully connected, no bias",
        "no weight decay",
        "gradient flow; not Adam",
        "the example is not 0",
    ),
    claims=(
        Claim(
            "in the dual form W(t) solves the flow (the only solution, by T1)",
            "d(W) == -c * (W @ X - X) @ X.T",
            shapes=SQUARE,
            scalars=SCALARS,
            flow=FLOW,
            where=WEIGHT,
        ),
        Claim("from W0", "start(W) == W0", shapes=SQUARE, scalars=SCALARS, flow=FLOW, where=WEIGHT),
        Claim(
            "its prediction at time t", f"W @ V == {FINITE}", shapes=SQUARE, scalars=SCALARS, flow=FLOW, where=WEIGHT
        ),
        Claim(
            "its prediction in the limit",
            f"limit(W0 @ E + X @ pinv(X) @ (I - E)) @ V == {LIMIT}",
            shapes=SQUARE,
            flow={"E": "X @ X.T"},
        ),
        Claim(
            "for one example of squared norm s, ΦΦ⁺ is x̂x̂ᵀ/s",
            "x @ pinv(x) == x @ x.T / s",
            shapes=ONE,
            assume=("x.T @ x == s * I",),
            scalars=("s",),
        ),
        Claim(
            "and v is Π⊥x + gΠ∥x, where g = exp(-c‖x̂‖²t) is 1×1",
            "V - x @ (I - g) @ pinv(x) @ V == (I - x @ x.T / s) @ V + x @ g @ x.T @ V / s",
            shapes={**ONE, "V": ("d", "m")},
            assume=("x.T @ x == s * I",),
            scalars=("s", "c"),
            flow={"g": "c * x.T @ x"},
        ),
    ),
    false_twin=Claim(
        "the two projectors swapped",
        "limit(W0 @ E + X @ pinv(X) @ (I - E)) @ V == (I - X @ pinv(X)) @ V + W0 @ X @ pinv(X) @ V",
        shapes=SQUARE,
        flow={"E": "X @ X.T"},
    ),
    cases=(
        Case(
            "1 example, finite time",
            Setting(Linear(), GradientFlow()),
            FINITE,
            probe="V",
            flow=FLOW,
            reach=1.5,
            shapes=MEASURED,
        ),
        Case("1 example, limit", Setting(Linear(), GradientFlow()), LIMIT, probe="V", reach=math.inf, shapes=MEASURED),
        Case(
            "10 examples, finite time",
            Setting(Linear(), GradientFlow()),
            FINITE,
            probe="V",
            examples=10,
            flow=FLOW,
            shapes=MEASURED,
            telling=False,
        ),
    ),
)
