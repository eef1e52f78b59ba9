r"""T14. Scaling: data a times as large train a² times as fast."""

from theory.theorems.theorem import Claim, Theorem

SHAPE = {"X": ("d", "n"), "W": ("d", "d")}

THEOREM = Theorem(
    id="T14",
    name="scaling",
    title="Scaling of the data",
    statement="Training to repeat ax̂ for time t is training to repeat x̂ for time a²t.",
    hypotheses=(
        "targets are the inputs, or scale with them",
        "no bias",
        "no weight decay",
        "gradient flow",
        "features of degree 1",
    ),
    claims=(
        Claim(
            "the flow on aΦ is a² times the flow on Φ; by uniqueness (T1) the solutions agree",
            "d(W) == -a**2 * (W @ X - X) @ X.T",
            shapes=SHAPE,
            assume=("d(W) == -(W @ (a * X) - a * X) @ (a * X).T",),
            scalars=("a",),
            lemmas=("L-UNIQUE",),
        ),
    ),
    false_twin=Claim(
        "the same with weight decay",
        "d(W) == -a**2 * ((W @ X - X) @ X.T + mu * W)",
        shapes={"X": ("d", "n"), "W0": ("d", "d")},
        scalars=("a", "mu"),
        flow={"E": "a**2 * X @ X.T + mu * I"},
        where={"W": "W0 @ E + a**2 * X @ X.T @ integral(E)"},
    ),
    cases=(),
)
