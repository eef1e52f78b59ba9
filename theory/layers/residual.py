"""A skip connection around a layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from theory.component import Named
from theory.errors import SettingError
from theory.layers.layer import Array, Layer, Shape


def _inner(name: str) -> Any:
    """A method that asks the layer inside."""

    def method(self: "Residual", *arguments: Any, **options: Any) -> Any:
        asked: Callable[..., Any] = getattr(self.layer, name)
        return asked(*arguments, **options)

    method.__name__, method.__doc__ = name, getattr(Layer, name).__doc__
    return method


@dataclass(frozen=True)
class Residual(Layer):
    r"""A layer with a skip connection: :math:`f(x) = x + W\varphi(x)`, x where the layer's output positions are.

    Let :math:`W_*` be the weight with which the layer is the identity, :math:`W_*\Phi = X_0`. The loss
    :math:`\tfrac c2\|X_0 + W\Phi - Y\|^2 + \tfrac\mu2\|W\|^2` is that of the layer itself with targets
    :math:`Y - X_0`, in the same variable W: so that is the problem that is solved, and the skip is added to what is
    predicted. Without decay it is also the layer itself started at :math:`W_0 + W_*`, because
    :math:`(W + W_*)\Phi - Y` is the same residual; with decay it is not: the penalty pulls :math:`W + W_*` to
    :math:`W_*`, not to 0.

    Args:
        layer: A layer that can be the identity; in TOML a table of its own, ``[layer.layer]``.

    Example:
        >>> import numpy as np
        >>> from theory.layers import Linear
        >>> Residual(Linear()).offset(np.array([[2.0, 3.0]]), np).tolist()
        [[2.0, 3.0]]
    """

    layer: Layer
    skips = True

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Layer) or self.layer.skips:
            message = f"layer must be a layer without a skip connection, but it is {self.layer!r}. Pass one, such as Linear()."
            raise SettingError(message)
        try:
            self.layer.check_identity()
        except SettingError as error:
            reason = str(error).partition(", but ")[2].partition(". ")[0]
            message = (
                f"layer must be one that can be the identity to have a skip connection, but {self.layer} cannot: {reason}. "
                "Use an odd kernel_size, or another layer."
            )
            raise SettingError(message) from None

    @property
    def bias(self) -> bool:  # type: ignore[override]
        """That of the layer."""
        return self.layer.bias

    @property
    def single_column(self) -> bool:  # type: ignore[override]
        """As the layer."""
        return self.layer.single_column

    @property
    def repeats_inputs(self) -> bool:  # type: ignore[override]
        """As the layer."""
        return self.layer.repeats_inputs

    @property
    def block_name(self) -> str:  # type: ignore[override]
        """As the layer."""
        return self.layer.block_name

    @property
    def complex_features(self) -> bool:  # type: ignore[override]
        """As the layer."""
        return self.layer.complex_features

    check = _inner("check")
    check_identity = _inner("check_identity")
    positions = _inner("positions")
    channel_groups = _inner("channel_groups")
    blocks = _inner("blocks")
    columns = _inner("columns")
    weight_uses = _inner("weight_uses")
    feature_noise = _inner("feature_noise")
    weight_shape = _inner("weight_shape")
    bias_shape = _inner("bias_shape")
    fan_in = _inner("fan_in")
    arrange = _inner("arrange")
    features = _inner("features")
    patches = _inner("patches")
    identity_features = _inner("identity_features")
    identity_values = _inner("identity_values")
    identity_crop = _inner("identity_crop")
    output_shape = _inner("output_shape")
    to_columns = _inner("to_columns")
    from_columns = _inner("from_columns")
    to_blocks = _inner("to_blocks")
    from_blocks = _inner("from_blocks")

    def offset(self, x: Array, xp: Any) -> Array | None:
        """The input at the output's positions."""
        return self.layer.identity_values(x, xp)

    def resolve(self, inputs: Array, xp: Any) -> Layer:
        """With the layer inside filled in."""
        return Residual(self.layer.resolve(inputs, xp))

    def identity_gain(self, input_shape: Shape) -> float:
        """None: the skip alone is the identity."""
        return 0.0

    def torch_stack(self, input_shape: Shape, channels: int) -> None:
        """None: copies are computed by torch's own transformation of the module."""

    def torch_module(self, input_shape: Shape, channels: int) -> Named:
        """``empirical.modules.Residual`` around the layer's own module."""
        arguments = {
            "module": self.layer.torch_module(input_shape, channels),
            "crop": self.layer.identity_crop(input_shape),
        }
        return Named("empirical.modules.Residual", arguments)
