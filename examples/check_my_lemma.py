"""Is my lemma true? A false one gets small exact matrices that break it; with the hypothesis that was missing it is proved."""

import closedflow as cf

SHAPES = {"A": ("m", "k"), "B": ("k", "n")}
LEMMA = "pinv(A @ B) == pinv(B) @ pinv(A)"

if __name__ == "__main__":
    print(cf.prove(LEMMA, SHAPES), end="\n\n")
    print(cf.prove(LEMMA, SHAPES, assume=["A.T @ A == I"]), end="\n\n")
    flow = {"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")}
    weight = "W0 @ E + Y @ pinv(X) @ (I - E)"
    print(
        cf.prove_weight(
            weight, flow, "-(W @ X - Y) @ X.T", flow={"E": "X @ X.T"}, limit="Y @ pinv(X) + W0 @ (I - X @ pinv(X))"
        )
    )
    print("\nand with a sign that is wrong")
    print(cf.prove_weight(weight.replace("(I - E)", "(I + E)"), flow, "-(W @ X - Y) @ X.T", flow={"E": "X @ X.T"}))
