r"""T18. Circular convolution of full width, one channel: every frequency learns at its own rate."""

from theory.roots_of_unity import FALSE_FREQUENCY_CLAIM, FREQUENCY_CLAIMS
from theory.theorems.theorem import Theorem

THEOREM = Theorem(
    id="T18",
    name="circular-convolution",
    title="Circular convolution, per frequency",
    statement=(
        "A circular convolution of full width on one channel, trained by gradient flow to repeat one example x̂ of any length N, has "
        "at frequency ω the transform θ̂(ω;t) = 1 + (θ̂0(ω) - 1)exp(-|x̂(ω)|²t) (unnormalised transform, origin at tap 0)."
    ),
    hypotheses=("one channel", "the kernel is as wide as the image", "no weight decay", "gradient flow"),
    claims=FREQUENCY_CLAIMS,
    false_twin=FALSE_FREQUENCY_CLAIM,
    cases=(),
)
