"""Tempting statements that are false, each refuted by an exact counterexample; the hypothesis that is missing is named."""

from theory.theorems.theorem import SHAPES, Claim

START = {name: SHAPES[name] for name in ("X", "Y", "W0")}
MINIMUM_NORM = "Y @ pinv(X)"

FALSE_STATEMENTS = (
    Claim(
        "MSELoss with decay is a rescaling of time (it is without decay): the flow of cL with μ is that of L with μ, c times as fast",
        "d(W) == -c * ((W @ X - Y) @ X.T + mu * W)",
        shapes=START,
        scalars=("c > 0", "mu > 0"),
        flow={"E": "c * X @ X.T + mu * I"},
        where={"W": "W0 @ E + c * Y @ X.T @ integral(E)"},
    ),
    Claim(
        "the dual form keeps its shape under decay",
        "W0 @ E + Y @ X.T @ integral(E) == W0 + (Y - W0 @ X) @ X.T @ integral(E)",
        shapes=START,
        scalars=("mu > 0",),
        flow={"E": "X @ X.T + mu * I"},
    ),
    Claim(
        "the null space stays put under decay",
        "(W0 @ E + Y @ X.T @ integral(E)) @ (I - X @ pinv(X)) == W0 @ (I - X @ pinv(X))",
        shapes=START,
        scalars=("mu > 0",),
        flow={"E": "X @ X.T + mu * I"},
    ),
    Claim(
        "the null space stays put under a preconditioner",
        "(Y - W @ X) @ X.T @ R @ R.T @ (I - X @ pinv(X)) == 0",
        shapes={"X": ("d", "n"), "Y": ("q", "n"), "W": ("q", "d"), "R": ("d", "d"), "S": ("d", "d")},
        assume=("R @ S == I", "S @ R == I"),
    ),
    Claim(
        "with decay the limit remembers the start",
        f"limit(W0 @ E + Y @ X.T @ integral(E)) == {MINIMUM_NORM} + W0 @ (I - X @ pinv(X))",
        shapes=START,
        scalars=("mu > 0",),
        flow={"E": "X @ X.T + mu * I"},
    ),
    Claim(
        "training always interpolates (only if the targets can be fitted)",
        "limit(W0 @ E + Y @ pinv(X) @ (I - E)) @ X == Y",
        shapes=START,
        flow={"E": "X @ X.T"},
    ),
    Claim(
        "the limit does not depend on the start",
        f"limit(W0 @ E + Y @ pinv(X) @ (I - E)) == {MINIMUM_NORM}",
        shapes=START,
        flow={"E": "X @ X.T"},
    ),
    Claim(
        "one example makes the identity (for more than one dimension)",
        "x @ pinv(x) @ v + W0 @ (I - x @ pinv(x)) @ v == v",
        shapes={"x": ("d", 1), "W0": ("d", "d"), "v": ("d", 1)},
    ),
    Claim(
        "a convolution that is exact from one start has the range condition (W0 = W* is exact on everything)",
        "V == X @ pinv(X) @ V",
        shapes={"X": ("d", "n"), "V": ("d", "m"), "Wstar": ("q", "d"), "W0": ("q", "d")},
        assume=("(W0 - Wstar) @ (I - X @ pinv(X)) @ V == 0",),
    ),
    Claim(
        "below the error there is a multiple of the distance for convolutions too: W0 - W* has a left inverse",
        "A @ (W0 - Wstar) == I",
        shapes={"A": ("d", "q"), "W0": ("q", "d"), "Wstar": ("q", "d")},
    ),
    Claim(
        "scaling the data scales time with targets that stay as they are",
        "(Y - W @ (a * X)) @ (a * X).T == a**2 * (Y - W @ X) @ X.T",
        shapes={"X": ("d", "n"), "Y": ("q", "n"), "W": ("q", "d")},
        scalars=("a",),
    ),
    Claim(
        "the mean error over Gaussian starts without the error from a zero start",
        "expect(tr((Z - S) @ V @ V.T @ (Z - S).T), Z, s**2) == s**2 * dim(q) * tr(V.T @ V)",
        shapes={"V": ("d", "m"), "S": ("q", "d"), "Z": ("q", "d")},
        scalars=("s",),
    ),
)
