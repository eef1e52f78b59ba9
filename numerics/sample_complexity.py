r"""From how many examples a layer learns the identity exactly: a generic rank, computed in exact arithmetic.

At the limit of training without decay the error on x is :math:`(W_0 - W^*)(I - \Phi\Phi^+)\varphi(x)` (theorem T5). It is 0 on
every x and from almost every start iff in every block the range of Φ holds all that φ can reach. If for generic data one more
example does not raise the rank, a generic φ(x) lies in the range; being in a subspace is a closed condition, so then every
φ(x) does: the least number of examples is where the rank stops growing.

The features of random data are computed modulo a prime p near 2³¹. A rank modulo p is never above the generic one, and
below it with a probability of at most (d · degree of φ)/p for each rank (Schwartz and Zippel), unless p divides a whole
minor: about one in a million for a thousand features.
"""

import math
import random

import numpy as np

from numerics.modular import Span, namespace, prime_for
from theory.errors import SettingError
from theory.layers import Layer, Shape


def sample_complexity(layer: Layer, input_shape: Shape) -> int:
    """The least number of generic examples from which a layer learns the identity exactly, from almost every start.

    Without weight decay, at the limit of any optimiser that converges; for the identity on every input, not only on images
    like those of the training. Takes about d² times the columns of an example times 10 ns: minutes for 128 channels.

    Args:
        layer: A layer that can be the identity.
        input_shape: Of one example: (features,) or (C, *spatial).

    Raises:
        SettingError: If the layer does not take such examples, cannot be the identity, or does not compute its features by
            sums and products.

    Example:
        >>> from theory.layers import Conv, Linear
        >>> sample_complexity(Linear(), (5,)), sample_complexity(Conv(3), (1, 8, 8)), sample_complexity(Conv(5), (1, 3, 3))
        (5, 1, 4)
    """
    return len(generic_ranks(layer, input_shape))


def generic_ranks(layer: Layer, input_shape: Shape, seed: int = 0) -> list[tuple[int, ...]]:
    """The rank of the features of 1, 2, … generic examples in each block, up to the number from which it stays.

    Args:
        layer: As for :func:`sample_complexity`.
        input_shape: Likewise.
        seed: Of the random data.

    Example:
        >>> from theory.layers import Conv
        >>> generic_ranks(Conv(5), (1, 3, 3))     # 25 taps, 9 positions
        [(9,), (17,), (24,), (25,)]
    """
    layer.check(tuple(input_shape))
    layer.check_identity()
    prime = prime_for(math.lcm(1, *(size for size in input_shape[1:] if layer.complex_features)))
    rng, xp, spans, found = random.Random(seed), namespace(prime), list[Span](), list[tuple[int, ...]]()
    while True:
        values = [rng.randrange(prime) for _ in range(math.prod(input_shape))]
        features = layer.features(np.array(values, dtype=object).reshape((1, *input_shape)), xp)
        if not all(isinstance(value, int) for value in features.flat):
            message = f"layer must compute its features by sums and products to have an exact rank, but {layer} does not. Use another."
            raise SettingError(message)
        spans = spans or [Span(prime) for _ in features]
        before = found[-1] if found else (0,) * len(features)
        blocks = (features % prime).astype(np.int64)
        ranks = tuple(span.add(block.T) for span, block in zip(spans, blocks, strict=True))
        if ranks == before:
            return found
        found.append(ranks)
