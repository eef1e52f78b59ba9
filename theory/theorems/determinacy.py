r"""T12. Determinacy: which predictions the data fix, and what is left free."""

from theory.theorems.theorem import SHAPES, Claim, Theorem

SHAPE = {**{name: SHAPES[name] for name in ("X", "Y", "V")}, "L": ("q", "d"), "M": ("q", "d")}
MINIMISERS = ("(M @ X - Y) @ X.T == 0", "(L @ X - Y) @ X.T == 0")

THEOREM = Theorem(
    id="T12",
    name="determinacy",
    title="Determinacy of a prediction",
    statement=(
        "All least-squares minimisers predict the same on x if and only if the range of Φ contains every column of φ(x), per block. "
        "Otherwise the reachable predictions are Lφ(x) + Z(I - ΦΦ⁺)φ(x), L one minimiser and Z free."
    ),
    hypotheses=("no weight decay",),
    claims=(
        Claim(
            "L minimises if it solves the normal equations: any other residual is larger by the square of (M - L)Φ, so that M "
            "minimises too only if that is 0, and then it solves them as well",
            "(M @ X - Y) @ (M @ X - Y).T == (L @ X - Y) @ (L @ X - Y).T + ((M - L) @ X) @ ((M - L) @ X).T",
            shapes={name: SHAPE[name] for name in ("X", "Y", "L", "M")},
            assume=MINIMISERS[1:],
            lemmas=("L-SQUARE",),
        ),
        Claim(
            "if: two minimisers agree there",
            "M @ V == L @ V",
            shapes=SHAPE,
            assume=(*MINIMISERS, "V == X @ pinv(X) @ V"),
        ),
        Claim(
            "every minimiser is one minimiser plus something free outside the range",
            "M == L + (M - L) @ (I - X @ pinv(X))",
            shapes=SHAPE,
            assume=MINIMISERS,
        ),
        Claim(
            "and every such sum is a minimiser",
            "((L + Z @ (I - X @ pinv(X))) @ X - Y) @ X.T == 0",
            shapes={**SHAPE, "Z": ("q", "d")},
            assume=MINIMISERS[1:],
        ),
        Claim(
            "only if: the predictions differ by Z(I - ΦΦ⁺)φ(x), which is 0 for every Z only if (I - ΦΦ⁺)φ(x) is",
            "(L + Z @ (I - X @ pinv(X))) @ V - L @ V == Z @ (I - X @ pinv(X)) @ V",
            shapes={**SHAPE, "Z": ("q", "d")},
            lemmas=("L-MEASURE",),
        ),
    ),
    false_twin=Claim("without the range condition", "M @ V == L @ V", shapes=SHAPE, assume=MINIMISERS),
    cases=(),
)
