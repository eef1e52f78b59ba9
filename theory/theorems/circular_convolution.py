r"""T18. Circular convolution of full width, one channel: every frequency learns at its own rate.

In a network it is :class:`~theory.layers.CircularConv`: frequency by frequency one block of one weight, complex, with ᴴ for
ᵀ. There :math:`W = \hat\theta/\sqrt N` and :math:`X = \hat x`, so that the statement is that of one block.
"""

from theory.layers import CircularConv
from theory.optimizers import GradientFlow
from theory.roots_of_unity import FALSE_FREQUENCY_CLAIM, FREQUENCY_CLAIMS
from theory.setting import Setting
from theory.theorems.theorem import SHAPES, Case, Claim, Theorem

FLOW = {"E": "X @ X.T"}
VALUE = "Wstar + (W0 - Wstar) @ E"

THEOREM = Theorem(
    id="T18",
    name="circular-convolution",
    title="Circular convolution, per frequency",
    statement=(
        "A circular convolution of full width on one channel, trained by gradient flow to repeat one example x̂ of any length N, has "
        "at frequency ω the transform θ̂(ω;t) = 1 + (θ̂0(ω) - 1)exp(-|x̂(ω)|²t) (unnormalised transform, origin at tap 0)."
    ),
    hypotheses=("one channel", "the kernel is as wide as the image", "no weight decay", "gradient flow"),
    claims=(
        *FREQUENCY_CLAIMS,
        Claim(
            "the same from the solution of one block, which the network is measured by",
            f"W0 @ E + Y @ X.T @ integral(E) == {VALUE}",
            shapes={name: SHAPES[name] for name in ("X", "Y", "W0", "Wstar")},
            assume=("Wstar @ X == Y",),
            flow=FLOW,
        ),
    ),
    false_twin=FALSE_FREQUENCY_CLAIM,
    cases=(
        Case("circular, full width, 1 example", Setting(CircularConv(), GradientFlow()), VALUE, flow=FLOW),
        Case(
            "circular, one lit pixel: every frequency at the same rate",
            Setting(CircularConv(), GradientFlow()),
            VALUE,
            view="corner_pixel",
            flow=FLOW,
            telling=False,
        ),
    ),
)
