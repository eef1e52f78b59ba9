r"""T21. One ReLU layer on one example: live units relax, the others never move, and a unit may die on the way."""

from theory.theorems.theorem import Claim, OwnCase, Shapes, Theorem

ONE: Shapes = {"x": ("d", 1), "y": ("q", 1), "W0": ("q", "d"), "D": ("q", "q")}
FLOW = {"g": "x.T @ x"}
RULE = "-D @ (W @ x - y) @ x.T"
WEIGHT = {"W": "W0 + D @ (y - W0 @ x) @ integral(g) @ x.T"}
MASK = ("D @ D == D",)

THEOREM = Theorem(
    id="T21",
    name="relu-example",
    title="One ReLU layer on one example",
    statement=(
        "relu(Wx) is trained by gradient flow on one example x with target y, relu'(0) = 0. While the set of live units (u = w·x > 0) "
        "does not change, with D the projector on it, W(t) = W0 + D(y - W0 x)∫₀ᵗ exp(-τ‖x‖²)dτ xᵀ: a live unit has "
        "u(t) = y + (u(0) - y)exp(-t‖x‖²), any other stays. A live unit with y < 0 reaches 0 when exp(-t‖x‖²) = -y/(u(0) - y), at "
        "t = ln((u(0) - y)/(-y))/‖x‖², and stays there; one with y ≥ 0 lives for ever."
    ),
    hypotheses=("one example", "no bias, no weight decay", "gradient flow", "the derivative of relu at 0 is 0"),
    claims=(
        Claim(
            "between two deaths W(t) solves the flow of the live units",
            f"d(W) == {RULE}",
            shapes=ONE,
            assume=MASK,
            flow=FLOW,
            where=WEIGHT,
            lemmas=("L-UNIQUE",),
        ),
        Claim("from W0", "start(W) == W0", shapes=ONE, flow=FLOW, where=WEIGHT),
        Claim(
            "live units relax, u = y + (u(0) - y)g with g = exp(-t‖x‖²) of size 1×1, where D is I",
            "D @ W @ x == D @ (y + (W0 @ x - y) @ g)",
            shapes=ONE,
            assume=MASK,
            flow=FLOW,
            where=WEIGHT,
        ),
        Claim(
            "the others do not move, with all of their weight",
            "(I - D) @ W == (I - D) @ W0",
            shapes=ONE,
            assume=MASK,
            flow=FLOW,
            where=WEIGHT,
        ),
        Claim(
            "a unit is 0 where g(u(0) - y) = -y",
            "y + (u - y) @ h == 0",
            shapes={"u": (1, 1), "y": (1, 1), "h": (1, 1)},
            assume=("(u - y) @ h == -y",),
        ),
        Claim(
            "one step of gradient descent moves a live unit to (1 - η‖x‖²)u + η‖x‖²y",
            "(W - eta * D @ (W @ x - y) @ x.T) @ x == W @ x - eta * s * D @ (W @ x - y)",
            shapes={"x": ("d", 1), "y": ("q", 1), "W": ("q", "d"), "D": ("q", "q")},
            assume=("x.T @ x == s * I",),
            scalars=("eta", "s"),
        ),
    ),
    false_twin=Claim(
        "without the death: the units that are off relax like the others",
        f"d(W) == {RULE}",
        shapes=ONE,
        assume=MASK,
        flow=FLOW,
        where={"W": "W0 + (y - W0 @ x) @ integral(g) @ x.T"},
    ),
    cases=(),
    own_cases=(OwnCase("targets of both signs, 1 example", "empirical.relu.ReLUMeasurement"),),
)
