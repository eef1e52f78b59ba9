"""Rounding bounds of networks of any depth, where no closed form is known; those of one layer are in ``numerics.budget``.

Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 3.1 and 3.5.
"""

import numpy as np

from numerics.arrays import Float
from numerics.spectrum import Spectrum


def drift_bound(
    modes: Spectrum,
    unit: float,
    *,
    features: Float,
    gain: float,
    memory: float,
    slopes: Float,
    gradients: Float,
    weights: Float,
    moved: Float,
) -> Float:
    r"""How far rounding can move a first layer outside the range of its features, whatever stands behind the layer.

    A step is :math:`V \leftarrow \beta V + B\Phi^\top`, :math:`W \leftarrow W - \eta V`. Whatever B is, rounded or not, BΦᵀ has
    no part outside; so only what a step itself rounds counts, and it is not fed back. With :math:`m = 1/(1-\beta)`,

    .. math:: \eta m\Big[(\gamma_{M+2}\|\Phi\| + \sigma_0)\sum\|B\| + 5um\sum\|B\Phi^\top\|\Big] + 3u\sum\|W\| + 2\delta\|W - W_0\|,

    where the sums run over the steps: the products BΦᵀ of M columns (sums in any order; not FFT or Winograd), the directions
    of size at most σ₀ (the floor) that count as outside, the roundings of V and of ηV, those of W, and the error
    :math:`\delta = \sigma_0/\sigma_{\min}` of the computed projector, which multiplies what was moved inside.

    Args:
        modes: The spectrum of the features.
        unit: The unit roundoff u of the training.
        features: Φ, (blocks, d, M).
        gain: The learning rate η.
        memory: m; 1 without momentum.
        slopes: The sum over steps of ‖B‖, (K,).
        gradients: The sum over steps of ‖BΦᵀ‖ (K,), as computed.
        weights: The sum over steps of ‖W‖ after the step, (K,).
        moved: ‖W − W₀‖ at the end, (K,).

    Returns:
        A bound on the Frobenius norm of the drift, (K,).

    Example:
        >>> from numerics.spectrum import spectrum
        >>> one, zero = np.ones(1), np.zeros(1)
        >>> drift_bound(                                     # three units for each step that leaves a weight of size 1
        ...     spectrum(np.array([[[1.0], [0.0]]])), 2.0**-24, features=np.array([[[1.0], [0.0]]]), gain=0.1, memory=1.0,
        ...     slopes=zero, gradients=zero, weights=one, moved=zero) * 2**24
        array([3.])
    """
    columns = features.shape[-1] + 2
    product = columns * unit / (1 - columns * unit) * float(np.linalg.norm(features))
    outside = (product + float(modes.floor.max())) * slopes + 5 * unit * memory * gradients
    bound: Float = gain * memory * outside + 3 * unit * weights + 2 * moved / modes.margin
    return bound


def forward_bound(depth: int, length: int, unit: float, size: Float) -> Float:
    r"""How far rounding can take an output of a network of linear layers and activations that are 1-Lipschitz and 0 at 0.

    .. math:: |\hat f - f| \le ((1 + \gamma_n)^L - 1)\,|W_L|\cdots|W_1||x|

    entry by entry, for inner products of length n (sums in any order) in each of L layers.

    Args:
        depth: L.
        length: n, the bias included.
        unit: The unit roundoff.
        size: :math:`|W_L|\cdots|W_1||x|`, the output of the moduli.

    Example:
        >>> forward_bound(1, 1, 2.0**-24, np.ones(1)) * 2**24      # one product is rounded once
        array([1.00000006])
    """
    growth = length * unit / (1 - length * unit)
    bound: Float = np.expm1(depth * np.log1p(growth)) * size
    return bound
