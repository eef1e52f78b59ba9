"""Hypothesis strategies for layers, and for the shapes of the examples that a layer takes."""

import math
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from theory.errors import SettingError
from theory.geometry import PADDING_MODES
from theory.layers import CircularConv, Conv, Features, Layer, Linear, LocallyConnected, Polynomial, Residual, Shape

# Kinds of layers: on flat inputs, then on images. A layer of features is drawn only when it is asked for: no file can hold it.
FLAT, SPATIAL = ("linear", "polynomial", "residual"), ("conv", "locally_connected", "circular_conv", "residual")
KINDS = tuple(dict.fromkeys(FLAT + SPATIAL))
REAL = tuple(kind for kind in KINDS if kind != "circular_conv")  # whose features are real numbers
EXACT = tuple(
    kind for kind in REAL if kind != "residual"
)  # whose weights and outputs are those of the blocks, reordered


def _one_or_each(draw: DrawFn, numbers: SearchStrategy[int], axes: int) -> int | Shape:
    each = st.lists(numbers, min_size=axes, max_size=axes)
    return draw(numbers) if draw(st.booleans()) else tuple(draw(each))


@st.composite
def layers(
    draw: DrawFn,
    *,
    axes: int | None = None,
    odd: bool = False,
    biases: bool = True,
    kinds: Collection[str] = KINDS,
) -> Layer:
    """Layers of every kind, a convolution with every option of torch's.

    Args:
        draw: Hypothesis passes it.
        axes: Spatial axes: 0 for flat inputs, 1 to 3 for images; drawn if None, and a layer may then fit several.
        odd: Only kernels with a centre tap, as ``Identity()`` needs.
        biases: Whether a bias may be drawn.
        kinds: Which kinds; "features" only if it is named.

    Example:
        >>> from hypothesis import find
        >>> find(layers(axes=0), lambda layer: layer.bias)
        Linear(bias=True)
        >>> find(layers(axes=1, kinds=["conv"]), lambda layer: layer.padding == "same" and layer.kernel_size == (2,)).stride
        1
    """
    possible = [number for number in range(4) if set(kinds) & {"features", *(SPATIAL if number else FLAT)}]
    fixed, axes = axes is not None, draw(st.sampled_from(possible)) if axes is None else axes
    kind = draw(st.sampled_from([kind for kind in (*(SPATIAL if axes else FLAT), "features") if kind in kinds]))
    if kind == "residual":
        plain = [kind for kind in (SPATIAL if axes else FLAT) if kind != "residual"]
        inside = [kind for kind in plain if kind in kinds] or plain
        return Residual(draw(layers(axes=axes, odd=True, biases=biases, kinds=inside)))
    if kind == "circular_conv":
        return CircularConv()
    bias = draw(st.booleans()) if biases else False
    if kind == "linear":
        return Linear(bias=bias)
    if kind == "polynomial":
        return Polynomial(draw(st.integers(1, 2)), bias=bias)
    if kind == "features":
        return Features(waves, bias=bias)
    options = draw(_windows(axes, fixed=fixed, odd=odd))
    return (
        LocallyConnected(bias=bias, **options)
        if kind == "locally_connected"
        else Conv(bias=bias, groups=draw(st.integers(1, 3)), **options)
    )


@st.composite
def _windows(draw: DrawFn, axes: int, *, fixed: bool, odd: bool) -> dict[str, Any]:
    """The options of a layer with a kernel."""
    taps = st.sampled_from([number for number in range(1, 6 if axes == 1 else 4) if number % 2 or not odd])
    pixels = st.integers(0, 2)
    padding = draw(st.one_of(st.sampled_from(["same", "valid"]), pixels, st.tuples(*[pixels] * axes)))
    return {
        "kernel_size": draw(st.tuples(*[taps] * axes)) if fixed else _one_or_each(draw, taps, axes),
        "stride": 1 if padding == "same" else _one_or_each(draw, st.integers(1, 3), axes),
        "padding": padding,
        "dilation": _one_or_each(draw, st.integers(1, 2), axes),
        "padding_mode": draw(st.sampled_from(PADDING_MODES)),
    }


def waves(x: Any, xp: Any) -> Any:
    """A feature map: the inputs and their sines, flattened."""
    flat = x.reshape((len(x), math.prod(x.shape[1:])))
    return xp.concatenate((flat, xp.sin(2 * flat)), axis=1)


def _accepts(layer: Layer, shape: Shape) -> bool:
    with suppress(SettingError):
        layer.check(shape)
        return True
    return False


def _fits(layer: Layer, shape: list[int], axis: int, size: int) -> bool:
    return _accepts(layer, (*shape[:axis], size, *shape[axis + 1 :]))


def _least(passes: Callable[[int], bool]) -> int:
    return next(number for number in count(1) if passes(number) or number > 64)


@st.composite
def input_shapes(draw: DrawFn, layer: Layer, *, room: int = 2) -> Shape:
    """Shapes of one example that a layer takes: the smallest, found by asking ``layer.check``, plus ``room`` per axis.

    Example:
        >>> from hypothesis import find
        >>> find(input_shapes(Conv((3, 1), padding="valid", groups=2)), lambda shape: True)
        (2, 3, 1)
    """
    least = _least(lambda size: any(_accepts(layer, (layer.channel_groups(), *(size,) * axes)) for axes in range(4)))
    fits = [axes for axes in range(4) if _accepts(layer, (layer.channel_groups(), *(least,) * axes))]
    sizes = [least] * draw(st.sampled_from(fits))
    channels = layer.channel_groups() * draw(st.integers(1, 6 if not sizes else 2))
    for axis in range(len(sizes)):
        sizes[axis] = _least(partial(_fits, layer, [channels, *sizes], axis + 1))
    return (channels, *(size + draw(st.integers(0, room)) for size in sizes))


def output_channels(layer: Layer, shape: Shape) -> SearchStrategy[int]:
    """Output channels: those of the input where the layer adds it, else a multiple of the groups."""
    return st.just(shape[0]) if layer.skips else st.integers(1, 2).map(lambda times: times * layer.channel_groups())
