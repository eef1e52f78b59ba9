r"""T5. Identity Crisis, theorem 2, in its exact form: what a one-layer convolution makes of other images.

Per block: the error is :math:`(W_0 - W_*)(I - \Phi\Phi^+)\varphi(x)`, and from almost every start the identity is
learned exactly iff the range of Φ contains every column of φ(x).
"""

import math

from theory.layers import Conv
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, Case, Claim, Theorem

LIMIT = "Y @ pinv(X) + W0 @ (I - X @ pinv(X))"
OUTSIDE = "(I - X @ pinv(X)) @ V"
VALUE = f"Wstar @ V + (W0 - Wstar) @ {OUTSIDE}"
FINITE = "Wstar @ V + (W0 - Wstar) @ E @ V"
FLOW = {"E": "c * X @ X.T"}
LETTERS = {name: SHAPES[name] for name in ("X", "Y", "W0", "V", "Wstar")}
REALIZABLE = ("Wstar @ X == Y",)
FREE = {**{name: SHAPES[name] for name in ("X", "Y", "V", "Wstar")}, "Z": ("q", "d")}

THEOREM = Theorem(
    id="T5",
    name="identity-crisis-convolution",
    title="Identity Crisis 2: convolution",
    statement=(
        "Let W* represent the target (the centre taps). Per block, the error of the trained layer on x is "
        "(W0 - W*)exp(-ctΦΦᵀ)φ(x) at time t (loss scale c) and (W0 - W*)(I - ΦΦ⁺)φ(x) in the limit. From almost every start the limit is "
        "exact on x if and only if the range of Φ contains every column of φ(x)."
    ),
    hypotheses=(
        "the target is representable: W*Φ = Y",
        "no weight decay",
        "gradient flow (the limit: any that converges)",
        "“only if”: the start is not fixed in advance",
    ),
    claims=(
        Claim(
            "the error at time t",
            "(W0 @ E + c * Y @ X.T @ integral(E) - Wstar) @ V == (W0 - Wstar) @ E @ V",
            shapes=LETTERS,
            assume=REALIZABLE,
            scalars=("c",),
            flow=FLOW,
        ),
        Claim(
            "the error in the limit",
            f"(L - Wstar) @ V == (W0 - Wstar) @ {OUTSIDE}",
            shapes=LETTERS,
            assume=REALIZABLE,
            where={"L": LIMIT},
        ),
        Claim(
            "if the range contains φ(x), the limit is exact, from every start",
            "L @ V == Wstar @ V",
            shapes=LETTERS,
            assume=(*REALIZABLE, "V == X @ pinv(X) @ V"),
            where={"L": LIMIT},
        ),
        Claim(
            "only if: from W* + Z the error is linear in Z, so exactness on a set of Z of positive measure makes it vanish",
            f"(L - Wstar) @ V == Z @ {OUTSIDE}",
            shapes=FREE,
            assume=REALIZABLE,
            where={"L": "Y @ pinv(X) + (Wstar + Z) @ (I - X @ pinv(X))"},
            lemmas=("L-MEASURE",),
        ),
        Claim(
            "and then the range contains φ(x)",
            "V == X @ pinv(X) @ V",
            shapes={"X": ("d", "n"), "V": ("d", "m")},
            assume=(f"{OUTSIDE} == 0",),
        ),
    ),
    false_twin=Claim(
        "exact without the range condition",
        "L @ V == Wstar @ V",
        shapes=LETTERS,
        assume=REALIZABLE,
        where={"L": LIMIT},
    ),
    cases=(
        Case(
            "full range: 5×5, 1 example",
            Setting(Conv(5), GradientFlow()),
            VALUE,
            probe="V",
            reach=math.inf,
            vanishing=OUTSIDE,
        ),
        Case(
            "rank-deficient: blank second channel",
            Setting(Conv(3), GradientFlow()),
            VALUE,
            probe="V",
            view="blank_channel",
            reach=math.inf,
            vanishing=OUTSIDE,
        ),
        Case(
            "rank-deficient: corner-lit pixel",
            Setting(Conv(5), GradientFlow()),
            VALUE,
            probe="V",
            view="corner_pixel",
            reach=math.inf,
            vanishing=OUTSIDE,
        ),
        Case("5×5, 1 example, finite time", Setting(Conv(5), GradientFlow()), FINITE, probe="V", flow=FLOW),
        Case(
            "full per block: depthwise 5×5, grey as RGB",
            Setting(Conv(5, groups=3), GradientFlow()),
            VALUE,
            probe="V",
            view="grey_as_rgb",
            reach=math.inf,
            vanishing=OUTSIDE,
            telling=False,
        ),
        Case(
            "rank-deficient: 5×5, grey as RGB",
            Setting(Conv(5), GradientFlow()),
            VALUE,
            probe="V",
            view="grey_as_rgb",
            reach=math.inf,
            vanishing=OUTSIDE,
            telling=False,
        ),
    ),
)
