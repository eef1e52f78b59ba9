r"""T12. Determinacy: which predictions the data fix, and what is left free."""

from theory.extrapolation import COMPLEMENT, DECAYING, EXTREMAL, FREE, MINIMUM_NORM, REACHED, REGIMES, RIDGE
from theory.theorems.theorem import SHAPES, Claim, OwnCase, Shapes, Theorem

SHAPE = {**{name: SHAPES[name] for name in ("X", "Y", "V")}, "L": ("q", "d"), "M": ("q", "d")}
MINIMISERS = ("(M @ X - Y) @ X.T == 0", "(L @ X - Y) @ X.T == 0")
DATA = {name: SHAPES[name] for name in ("X", "Y", "W0", "V")}
COLUMN: Shapes = {"X": ("d", "n"), "Y": ("q", "n"), "v": ("d", 1), "e": ("q", 1)}
OUTSIDE_LENGTH = (f"v.T @ {COMPLEMENT} @ v == s * I",)  # ‖u‖² = s

THEOREM = Theorem(
    id="T12",
    name="determinacy",
    title="Determinacy of a prediction",
    statement=(
        "All least-squares minimisers predict the same on x if and only if the range of Φ contains every column of φ(x), per block. "
        "Otherwise the reachable predictions are Lφ(x) + Z(I - ΦΦ⁺)φ(x), L one minimiser and Z free. With L = YΦ⁺ and ‖Z‖ ≤ R an entry of "
        "column v takes the values within R‖(I - ΦΦ⁺)v‖ of that of YΦ⁺v, no others, and Z = ±R e uᵀ/‖u‖, u = (I - ΦΦ⁺)v, attains the ends. "
        "The gradient flow from W0 picks Z = W0 at every time, with weight decay μ > 0 it picks exp(-μt)W0, in the limit 0."
    ),
    hypotheses=("no weight decay, except where it is named",),
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
        Claim(
            "of all minimisers YΦ⁺ has the least norm: the square of any other is larger by a square",
            "M @ M.T == (Y @ pinv(X)) @ (Y @ pinv(X)).T + (M - Y @ pinv(X)) @ (M - Y @ pinv(X)).T",
            shapes={name: SHAPE[name] for name in ("X", "Y", "M")},
            assume=MINIMISERS[:1],
            lemmas=("L-SQUARE",),
        ),
        Claim(
            "no farther than R‖u‖: for u of square s > 0 the matrix sZZᵀ - Zu(Zu)ᵀ is a square over s",
            "(s * Z - Z @ u @ u.T) @ (s * Z - Z @ u @ u.T).T == s * (s * Z @ Z.T - Z @ u @ u.T @ Z.T)",
            shapes={"Z": ("q", "d"), "u": ("d", 1)},
            scalars=("s",),
            assume=("u.T @ u == s * I",),
            lemmas=("L-SQUARE",),
        ),
        Claim(
            "so far: Z = r e uᵀ moves the prediction by r‖u‖² e",
            f"({REACHED.replace('V', 'v')}) == {MINIMUM_NORM.replace('V', 'v')} + r * s * e",
            shapes=COLUMN,
            scalars=("r", "s"),
            assume=OUTSIDE_LENGTH,
            where={"Z": EXTREMAL},
        ),
        Claim(
            "and has the norm r‖u‖, for a unit vector e",
            "Z @ Z.T == r**2 * s * e @ e.T",
            shapes=COLUMN,
            scalars=("r", "s"),
            assume=OUTSIDE_LENGTH,
            where={"Z": EXTREMAL},
        ),
        Claim(
            "what is reached, D = ZU, is reached by DU⁺ too",
            "D @ pinv(U) @ U == D",
            shapes={"Z": ("q", "d"), "U": ("d", "m"), "D": ("q", "m")},
            assume=("D == Z @ U",),
        ),
        Claim(
            "and DU⁺ is the least such Z: the square of any other is larger by a square",
            "Z @ Z.T == (D @ pinv(U)) @ (D @ pinv(U)).T + (Z - D @ pinv(U)) @ (Z - D @ pinv(U)).T",
            shapes={"Z": ("q", "d"), "U": ("d", "m"), "D": ("q", "m")},
            assume=("D == Z @ U",),
            lemmas=("L-SQUARE",),
        ),
        Claim(
            "the flow from W0, in the limit: Z = W0",
            f"limit(W) @ V == {REGIMES['start'].prediction}",
            shapes=DATA,
            flow={"E": "X @ X.T"},
            where={"W": "W0 @ E + Y @ pinv(X) @ (I - E)"},
        ),
        Claim(
            "and at every time",
            f"({REGIMES['stopping'].prediction}) - Y @ pinv(X) @ (I - E) @ V - W0 @ E @ X @ pinv(X) @ V == {REGIMES['stopping'].free}",
            shapes=DATA,
            scalars=("c",),
            flow=REGIMES["stopping"].flow,
        ),
        Claim(
            "with weight decay the part outside the range is carried by E = exp(-t(cΦΦᵀ + μI))",
            f"(W0 @ E + c * Y @ X.T @ integral(E)) @ {FREE} == {REGIMES['stopped-decay'].free}",
            shapes=DATA,
            scalars=("c", "mu"),
            flow=DECAYING,
        ),
        Claim(
            "which decays there at the rate μ alone, from I: so it is exp(-μt) there, and Z = exp(-μt)W0",
            f"d({COMPLEMENT} @ E) == -mu * {COMPLEMENT} @ E",
            shapes={"X": ("d", "n")},
            scalars=("c", "mu"),
            flow=DECAYING,
            lemmas=("L-UNIQUE",),
        ),
        Claim(
            "and in the limit 0: the ridge solution vanishes outside the range",
            f"{RIDGE} @ {COMPLEMENT} == {REGIMES['decay'].free}",
            shapes=DATA,
            scalars=("c > 0", "mu > 0"),
        ),
    ),
    false_twin=Claim("without the range condition", "M @ V == L @ V", shapes=SHAPE, assume=MINIMISERS),
    cases=(),
    own_cases=(
        OwnCase(
            "two starts, free and determined points", "empirical.extrapolation.DeterminacyMeasurement", examples=10
        ),
    ),
)
