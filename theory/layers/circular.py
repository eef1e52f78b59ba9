r"""The circular convolution of full width, frequency by frequency."""

import math
from dataclasses import dataclass
from typing import Any

from theory.component import Named
from theory.layers.layer import Array, Layer, Shape, check_images


@dataclass(frozen=True)
class CircularConv(Layer):
    r"""A circular convolution whose kernel is as wide as the image, in one to three spatial dimensions, without bias.

    For n pixels, channels c and outputs o, :math:`f(x)_o[p] = \sum_c\sum_j \theta_{oc}[j]\,x_c[p - j]`. With F the
    unitary transform (:math:`1/\sqrt n`), :math:`W_\omega = (F\theta)(\omega)` (outputs × channels) and
    :math:`\varphi_\omega(x) = \sqrt n\,(Fx)(\omega)`, the convolution theorem says

    .. math:: (F f(x))(\omega) = W_\omega\,\varphi_\omega(x) ,

    so that each frequency is a block with one column per example. F is unitary: by Parseval the half sum of squared errors,
    the weight decay :math:`\tfrac\mu2\|\theta\|^2` and every distance are the same sums over the frequencies, and the
    gradient by θ is the transform of :math:`(W_\omega\Phi_\omega - Y_\omega)\Phi_\omega^{\mathsf H}` over the frequencies,
    because an isometry takes gradients to gradients. Descents and flows, linear with real coefficients, therefore act on
    each frequency as they act on the kernel. Everything proved for real blocks holds for these with ᴴ for ᵀ: writing
    :math:`a + ib` as the real block (a, -b; b, a) respects sums, products and turns ᴴ into ᵀ.

    Torch's weight is the kernel reversed and centred, (outputs, channels, \*sizes): tap k is
    :math:`\theta[(\text{left} - k) \bmod n]` with left = (n - 1)//2 on every axis, torch's padding for "same".

    Example:
        >>> import numpy as np
        >>> CircularConv().features(np.array([[[1.0, 2.0]]]), np).ravel().tolist()    # the sum, and the difference
        [(3+0j), (-1+0j)]
    """

    bias = False
    block_name = "frequency"
    complex_features = True

    def check(self, input_shape: Shape) -> None:
        """Channels, then one to three spatial axes."""
        check_images("CircularConv", input_shape)

    def positions(self, input_shape: Shape) -> Shape:
        """Every pixel."""
        return tuple(input_shape[1:])

    def blocks(self, input_shape: Shape) -> int:
        """One per frequency."""
        return math.prod(input_shape[1:])

    def columns(self, input_shape: Shape) -> int:
        """One: its value at the frequency."""
        return 1

    def weight_uses(self, input_shape: Shape) -> int:
        """Once per pixel."""
        return self.blocks(input_shape)

    def feature_noise(self, input_shape: Shape) -> float:
        r"""That of a fast transform, at most :math:`8u\log_2 n`, and three of them where n has a large prime factor.

        Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 24.2.
        """
        return 12 * math.log2(2 * self.blocks(input_shape))

    def weight_shape(self, input_shape: Shape, channels: int) -> Shape:
        """(output channels, input channels, *sizes)."""
        return (channels, *input_shape)

    def patches(self, x: Array, xp: Any) -> Array:
        """The unnormalised transform of each channel, (frequencies, channels, N)."""
        spectrum = xp.fft.fftn(x, None, _last(x.ndim - 2))
        return xp.moveaxis(spectrum.reshape((*x.shape[:2], math.prod(x.shape[2:]))), (2, 1, 0), (0, 1, 2))

    def identity_features(self, input_shape: Shape) -> list[list[int]]:
        """Each channel of the input."""
        return [list(range(input_shape[0]))] * self.blocks(input_shape)

    def identity_values(self, x: Array, xp: Any) -> Array:
        """The input."""
        return x

    def identity_gain(self, input_shape: Shape) -> float:
        r"""The unitary transform of a unit at the origin: :math:`1/\sqrt n` at every frequency."""
        return 1 / math.sqrt(self.blocks(input_shape))

    def to_columns(self, outputs: Array, xp: Any) -> Array:
        """Outputs (N, channels, *sizes) by the unitary transform, (frequencies, channels, N)."""
        spectrum = xp.fft.fftn(outputs, None, _last(outputs.ndim - 2), "ortho")
        flat = spectrum.reshape((*outputs.shape[:2], math.prod(outputs.shape[2:])))
        return xp.moveaxis(flat, (2, 1, 0), (0, 1, 2))

    def from_columns(self, columns: Array, input_shape: Shape, xp: Any) -> Array:
        """(..., frequencies, channels, N) back to outputs (..., N, channels, *sizes)."""
        moved = xp.moveaxis(columns, (-1, -2, -3), (-3, -2, -1))
        spectrum = moved.reshape((*moved.shape[:-1], *self.positions(input_shape)))
        return xp.fft.ifftn(spectrum, None, _last(len(input_shape) - 1), "ortho").real

    def to_blocks(self, weight: Array, bias: Array | None, xp: Any, *, lead: int = 0) -> Array:
        """Torch's kernel with its origin at tap 0, by the unitary transform: (frequencies, outputs, channels)."""
        dimensions = weight.ndim - lead - 2
        spectrum = xp.fft.fftn(_turned(weight, dimensions), None, _last(dimensions), "ortho")
        return xp.moveaxis(spectrum.reshape((*weight.shape[: lead + 2], -1)), -1, -3)

    def from_blocks(self, theta: Array, input_shape: Shape, xp: Any) -> tuple[Array, Array | None]:
        """The inverse of :meth:`to_blocks`."""
        moved = xp.moveaxis(theta, -3, -1)
        spectrum = moved.reshape((*moved.shape[:-1], *self.positions(input_shape)))
        dimensions = len(input_shape) - 1
        return _turned(xp.fft.ifftn(spectrum, None, _last(dimensions), "ortho").real, dimensions), None

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``torch.nn.Conv1d``, ``Conv2d`` or ``Conv3d`` with a kernel of the image's size and circular padding."""
        arguments = {
            "in_channels": input_shape[0],
            "out_channels": channels,
            "kernel_size": self.positions(input_shape),
            "padding": "same",
            "padding_mode": "circular",
            "bias": False,
        }
        return Named(f"torch.nn.Conv{len(input_shape) - 1}d", arguments)


def _last(dimensions: int) -> Shape:
    """The last axes, so many."""
    return tuple(range(-dimensions, 0))


def _turned(kernel: Array, dimensions: int) -> Array:
    """Tap j from tap (left - j) mod n on each spatial axis; its own inverse."""
    for axis in range(kernel.ndim - dimensions, kernel.ndim):
        size = kernel.shape[axis]
        taps = [((size - 1) // 2 - tap) % size for tap in range(size)]
        kernel = kernel[(slice(None),) * axis + (taps,)]
    return kernel
