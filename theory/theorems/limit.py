r"""T2. The limit of the flow, :math:`Y\Phi^+ + W_0(I - \Phi\Phi^+)`: of all least-squares minimisers the nearest to W0."""

import math

from theory.layers import Conv, Linear
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, Case, Claim, Theorem

LIMIT = "Y @ pinv(X) + W0 @ (I - X @ pinv(X))"
FLOW = {"E": "X @ X.T"}
START = {name: SHAPES[name] for name in ("X", "Y", "W0")}

THEOREM = Theorem(
    id="T2",
    name="limit",
    title="Limit of the flow",
    statement=(
        "Without weight decay the flow from W0 tends to YΦ⁺ + W0(I - ΦΦ⁺). It minimises ‖WΦ - Y‖, and of all minimisers "
        "it is the nearest to W0. (c only rescales time: c = 1.)"
    ),
    hypotheses=("no weight decay", "every mode of positive rate converges"),
    claims=(
        Claim(
            "the integral of T1 without integral",
            "Y @ X.T @ integral(E) == Y @ pinv(X) @ (I - E)",
            shapes={"X": ("d", "n"), "Y": ("q", "n")},
            flow=FLOW,
        ),
        Claim(
            "its limit",
            f"limit(W0 @ E + Y @ pinv(X) @ (I - E)) == {LIMIT}",
            shapes=START,
            flow=FLOW,
        ),
        Claim("the limit satisfies the normal equations", "(L @ X - Y) @ X.T == 0", shapes=START, where={"L": LIMIT}),
        Claim(
            "so it minimises: the square of any other residual is larger by a square",
            "(M @ X - Y) @ (M @ X - Y).T == (L @ X - Y) @ (L @ X - Y).T + ((M - L) @ X) @ ((M - L) @ X).T",
            shapes={**START, "M": ("q", "d")},
            where={"L": LIMIT},
            lemmas=("L-SQUARE",),
        ),
        Claim(
            "it is the nearest: for any other minimiser M the square of the distance to W0 is larger by a square",
            "(M - W0) @ (M - W0).T == (M - L) @ (M - L).T + (L - W0) @ (L - W0).T",
            shapes={**START, "M": ("q", "d")},
            assume=("(M @ X - Y) @ X.T == 0",),
            where={"L": LIMIT},
            lemmas=("L-SQUARE",),
        ),
    ),
    false_twin=Claim(
        "the minimum-norm solution from every start",
        "limit(W0 @ E + Y @ pinv(X) @ (I - E)) == Y @ pinv(X)",
        shapes=START,
        flow=FLOW,
    ),
    cases=(
        Case("fully connected, 10 examples", Setting(Linear(), GradientFlow()), LIMIT, examples=10, reach=math.inf),
        Case("3×3 convolution, 1 example", Setting(Conv(3), GradientFlow()), LIMIT, reach=math.inf),
        Case(
            "fully connected, 10 examples twice",
            Setting(Linear(), GradientFlow()),
            LIMIT,
            view="repeated",
            examples=10,
            reach=math.inf,
            telling=False,
        ),
    ),
)
