r"""T16. Semigroup: training for a, then for b, is training for a + b."""

from theory.theorems.theorem import SHAPES, Claim, Theorem

SHAPE = {name: SHAPES[name] for name in ("X", "Y", "W0")}
FLOWS = {"E": "a * X @ X.T", "F": "b * X @ X.T", "G": "(a + b) * X @ X.T"}

THEOREM = Theorem(
    id="T16",
    name="semigroup",
    title="Semigroup",
    statement="Gradient flow for time at and then, from where it ended, for time bt, is gradient flow for time (a + b)t.",
    hypotheses=("a first-order flow (not momentum)", "constant rate", "no weight decay"),
    claims=(
        Claim(
            "the second run starts where the first ended",
            "(W0 @ E + Y @ pinv(X) @ (I - E)) @ F + Y @ pinv(X) @ (I - F) == W0 @ G + Y @ pinv(X) @ (I - G)",
            shapes=SHAPE,
            scalars=("a", "b"),
            flow=FLOWS,
        ),
    ),
    false_twin=Claim(
        "the second run from the first start",
        "W0 @ F + Y @ pinv(X) @ (I - F) == W0 @ G + Y @ pinv(X) @ (I - G)",
        shapes=SHAPE,
        scalars=("a", "b"),
        flow=FLOWS,
    ),
    cases=(),
)
