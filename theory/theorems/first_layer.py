r"""T6. The null space at any depth: what a first layer never learns, whatever stands behind it."""

from theory.layers import Conv, Linear
from theory.optimizers import HeavyBall
from theory.theorems.theorem import Claim, OwnCase, Theorem

COMPLEMENT = "I - X @ pinv(X)"
MEASURED = "empirical.first_layer.FirstLayerMeasurement"
MOMENTUM = HeavyBall(learning_rate=1.0, momentum=0.9)

THEOREM = Theorem(
    id="T6",
    name="first-layer",
    title="The first layer's null space, at any depth",
    statement=(
        "Let a network of any depth and any activation begin with a layer W φ(x), and let B be the gradient of the loss with "
        "respect to that layer's outputs. The gradient of W is BΦᵀ, so W(I - ΦΦ⁺) never changes: under gradient flow, "
        "(stochastic) gradient descent and momentum, W stays at its start outside the span of the training features. For a "
        "convolution these are the padded patches."
    ),
    hypotheses=(
        "no weight decay",
        "no preconditioner (so not Adam)",
        "no augmentation or input dropout",
        "the weights are not shared with a later layer",
    ),
    claims=(
        Claim(
            "under gradient flow, whatever B is",
            f"d(W @ ({COMPLEMENT})) == 0",
            shapes={"X": ("d", "n"), "W": ("q", "d"), "B": ("q", "n")},
            assume=("d(W) == -B @ X.T",),
            lemmas=("L-ZERO",),
        ),
        Claim(
            "one step on a minibatch, whose features X R are columns of X, with a buffer that has stayed in the range",
            f"(W - eta * (beta * M + B @ (X @ R).T)) @ ({COMPLEMENT}) == W @ ({COMPLEMENT})",
            shapes={"X": ("d", "n"), "W": ("q", "d"), "R": ("n", "b"), "B": ("q", "b"), "M": ("q", "d")},
            assume=(f"M @ ({COMPLEMENT}) == 0",),
            scalars=("eta", "beta"),
            lemmas=("L-INDUCTION",),
        ),
    ),
    false_twin=Claim(
        "the same under a preconditioner RRᵀ",
        f"(W - eta * B @ X.T @ R @ R.T) @ ({COMPLEMENT}) == W @ ({COMPLEMENT})",
        shapes={"X": ("d", "n"), "W": ("q", "d"), "B": ("q", "n"), "R": ("d", "d"), "S": ("d", "d")},
        assume=("R @ S == I", "S @ R == I"),
        scalars=("eta",),
    ),
    cases=(),
    own_cases=(
        OwnCase(
            "ReLU, 2 and 5 layers, fully connected, 3 examples",
            MEASURED,
            examples=3,
            options={"layer": Linear(), "depths": (2, 5), "optimizer": MOMENTUM},
        ),
        OwnCase(
            "ReLU, 2 and 4 layers, 9×9 convolutions with bias, 1 example",
            MEASURED,
            options={"layer": Conv(9, bias=True), "depths": (2, 4), "optimizer": MOMENTUM},
        ),
        OwnCase(
            "ReLU, 2 and 4 layers, 3×3 convolutions, blank second channel",
            MEASURED,
            options={"layer": Conv(3), "depths": (2, 4), "optimizer": MOMENTUM, "view": "blank_channel"},
            telling=False,
        ),
        OwnCase(
            "ReLU, 10 layers, 3×3 convolutions, corner-lit pixel",
            MEASURED,
            options={"layer": Conv(3), "depths": (10,), "optimizer": MOMENTUM, "view": "corner_pixel"},
            telling=False,
        ),
    ),
)
