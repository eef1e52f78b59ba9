r"""T17. Mean and variance of the error over Gaussian starts."""

from theory.theorems.theorem import Claim, Theorem

SHAPE = {"V": ("d", "m"), "S": ("q", "d"), "Z": ("q", "d")}
ERROR = "tr((Z - S) @ V @ V.T @ (Z - S).T)"

THEOREM = Theorem(
    id="T17",
    name="error-moments",
    title="Mean and variance of the error over random starts",
    statement=(
        "By T4 and T5 the error on x is (W0 - W*)V with V what is left of φ(x). If the entries of W0 (q rows) are independent "
        "N(0, σ²), then E‖(W0 - W*)V‖² = qσ²‖V‖² + ‖W*V‖² and Var‖(W0 - W*)V‖² = 2qσ⁴‖VᵀV‖² + 4σ²‖W*VVᵀ‖²."
    ),
    hypotheses=(
        "independent Gaussian entries of mean 0 and one variance",
        "the target is representable",
        "no weight decay",
    ),
    claims=(
        Claim(
            "the mean, with s = σ and S = W*",
            f"expect({ERROR}, Z, s**2) == s**2 * dim(q) * tr(V.T @ V) + tr(S @ V @ V.T @ S.T)",
            shapes=SHAPE,
            scalars=("s",),
        ),
        Claim(
            "the variance",
            f"var({ERROR}, Z, s**2) == 2 * dim(q) * s**4 * tr(V.T @ V @ V.T @ V) + 4 * s**2 * tr(S @ V @ V.T @ V @ V.T @ S.T)",
            shapes=SHAPE,
            scalars=("s",),
        ),
    ),
    false_twin=Claim(
        "the variance with 2σ² for 4σ² in the mixed term",
        f"var({ERROR}, Z, s**2) == 2 * dim(q) * s**4 * tr(V.T @ V @ V.T @ V) + 2 * s**2 * tr(S @ V @ V.T @ V @ V.T @ S.T)",
        shapes=SHAPE,
        scalars=("s",),
    ),
    cases=(),
)
