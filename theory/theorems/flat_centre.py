r"""T23. Flat centres: a convolution network makes no picture of a flat input farther from the border than its layers reach."""

from theory.layers import Conv
from theory.optimizers import HeavyBall
from theory.theorems.theorem import Claim, OwnCase, Shapes, Theorem

# Pixels are rows: X has s pixels and c channels. D takes differences of neighbours, A those differences that lie deeper than
# some distance from the border, B those deeper by half a kernel; T1 and T2 are two of the kernel's shifts.
SHAPE: Shapes = {
    "X": ("s", "c"),
    "D": ("e", "s"),
    "A": ("a", "e"),
    "B": ("b", "e"),
    "T1": ("s", "s"),
    "T2": ("s", "s"),
    "F1": ("b", "a"),
    "F2": ("b", "a"),
    "W1": ("c", "q"),
    "W2": ("c", "q"),
    "u": ("s", 1),
    "beta": (1, "q"),
}
FLAT = "A @ D @ X == 0"
SHIFTS = ("B @ D @ T1 == F1 @ A @ D", "B @ D @ T2 == F2 @ A @ D")
NEXT = "T1 @ X @ W1 + T2 @ X @ W2 + u @ beta"

THEOREM = Theorem(
    id="T23",
    name="flat-centre",
    title="Flat centres of convolution networks",
    statement=(
        "In a network of L convolutions of stride 1 with zero padding, odd kernels of size k, biases or not, and any activation applied "
        "entry by entry, a flat input gives outputs that are equal at all pixels farther than L(k - 1)/2 from the border. So a map "
        "whose picture of a flat input varies at the centre of s×s pixels takes at least ⌈⌊s/2⌋/((k - 1)/2)⌉ layers, whatever the weights."
    ),
    hypotheses=(
        "stride 1",
        "the weights are shared by all positions",
        "zero padding, which is felt half a kernel from the border",
        "an activation that is the same at every pixel",
    ),
    claims=(
        Claim(
            "differences that vanish deeper than some distance vanish after a layer, half a kernel deeper, shift by shift",
            f"B @ D @ ({NEXT}) == 0",
            shapes=SHAPE,
            assume=(FLAT, *SHIFTS, "D @ u == 0"),
            lemmas=("L-ENTRY", "L-INDUCTION"),
        ),
    ),
    false_twin=Claim(
        "the same without going deeper",
        f"A @ D @ ({NEXT}) == 0",
        shapes=SHAPE,
        assume=(FLAT, *SHIFTS, "D @ u == 0"),
    ),
    cases=(),
    own_cases=(
        OwnCase(
            "ReLU, 1 to 3 layers, 3×3 convolutions with bias",
            "empirical.flat_centre.FlatCentreMeasurement",
            options={
                "layer": Conv(3, bias=True),
                "depths": (1, 3),
                "optimizer": HeavyBall(learning_rate=1.0, momentum=0.9),
            },
            integrated=False,
        ),
    ),
)
