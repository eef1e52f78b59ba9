r"""T13. The distance sandwich: the error of the trained layer between multiples of the distance to the span."""

from theory.extrapolation import OUTSIDE
from theory.theorems.theorem import SHAPES, Claim, OwnCase, Theorem

THEOREM = Theorem(
    id="T13",
    name="distance-sandwich",
    title="Error against distance to the data",
    statement=(
        "For a fully connected layer trained to repeat its examples, in the limit, σ_min(W0 - I)·d_span ≤ ‖f(x) - x‖ ≤ "
        "σ_max(W0 - I)·d_span ≤ σ_max(W0 - I)·d_hull, with d_span the distance of x to the span of the examples and d_hull to their "
        "convex hull. At time t, with v of T4, σ_min(W0 - I)‖v‖ ≤ ‖f(x) - x‖ ≤ σ_max(W0 - I)‖v‖; the hull bounds the limit only. "
        "Per block of any layer whose weight W* repeats its examples, a convolution say, the error is at most σ_max(W0 - W*) times the "
        "norm of what is left of the columns φ(x); with fewer outputs than features there is no lower bound but 0."
    ),
    hypotheses=(
        "targets are the inputs",
        "fully connected, no bias (for the lower bound)",
        "no weight decay",
        "gradient flow (the limit: any that converges)",
    ),
    claims=(
        Claim(
            "the error is (W0 - I) times the part of x outside the span",
            f"(limit(W) - I) @ V == (W0 - I) @ {OUTSIDE}",
            shapes={"X": ("d", "n"), "W0": ("d", "d"), "V": ("d", "m")},
            flow={"E": "X @ X.T"},
            where={"W": "W0 @ E + X @ pinv(X) @ (I - E)"},
            lemmas=("L-SINGULAR",),
        ),
        Claim(
            "the error at time t is (W0 - I) times v",
            "(W - I) @ V == (W0 - I) @ (V - X @ (I - g) @ pinv(X) @ V)",
            shapes={"X": ("d", "n"), "W0": ("d", "d"), "V": ("d", "m")},
            scalars=("c",),
            flow={"g": "c * X.T @ X"},
            where={"W": "W0 + c * (X - W0 @ X) @ integral(g) @ X.T"},
            lemmas=("L-SINGULAR",),
        ),
        Claim(
            "the distance to any combination XA of the examples, so to any point of the hull, is at least that to the projection",
            f"(V - X @ A).T @ (V - X @ A) == {OUTSIDE}.T @ {OUTSIDE} + (X @ pinv(X) @ V - X @ A).T @ (X @ pinv(X) @ V - X @ A)",
            shapes={"X": ("d", "n"), "V": ("d", "m"), "A": ("n", "m")},
            lemmas=("L-SQUARE",),
        ),
        Claim(
            "in patch space: the error is (W0 - W*) times the part of φ(x) outside the range (padded by rows of 0, W0 - W* is square)",
            f"(limit(W) - Wstar) @ V == (W0 - Wstar) @ {OUTSIDE}",
            shapes={name: SHAPES[name] for name in ("X", "W0", "V", "Wstar")},
            flow={"E": "X @ X.T"},
            where={"W": "W0 @ E + Wstar @ X @ pinv(X) @ (I - E)"},
            lemmas=("L-SINGULAR",),
        ),
    ),
    false_twin=Claim(
        "the limit's error at every time",
        f"(W - I) @ V == (W0 - I) @ {OUTSIDE}",
        shapes={"X": ("d", "n"), "W0": ("d", "d"), "V": ("d", "m")},
        flow={"E": "X @ X.T"},
        where={"W": "W0 @ E + X @ pinv(X) @ (I - E)"},
    ),
    cases=(),
    own_cases=(
        OwnCase(
            "10 examples; W0 - I random, and orthogonal", "empirical.extrapolation.SandwichMeasurement", examples=10
        ),
    ),
)
