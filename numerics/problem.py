"""A setting with its data: features, targets and start as block matrices. What every level shares, and no closed form."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from numerics.arrays import Float, adjoint, check_shape, real_array
from numerics.coordinates import preconditioner
from theory.errors import SettingError
from theory.layers import check_whole
from theory.setting import Setting


@dataclass(frozen=True)
class Problem:
    """The training problem ``W Φ ≈ Y`` of each block.

    Attributes:
        setting: The setting, with what its target takes from the data filled in.
        inputs: (N, *input_shape) float64.
        targets: (N, *output_shape) float64.
        start: (blocks, q, d), the initial weight with the bias as its last column.

    Features, columns and weights in blocks are complex where the layer's features are.
    """

    setting: Setting
    inputs: Float
    targets: Float
    start: Float

    @cached_property
    def features(self) -> Float:
        """Φ, (blocks, d, M)."""
        features: Float = self.setting.layer.features(self.inputs, np)
        return features

    @cached_property
    def columns(self) -> Float:
        """Y, (blocks, q, M): the targets, less what the layer adds to its outputs untrained."""
        offset = self.offset(self.inputs)
        columns: Float = self.setting.layer.to_columns(self.targets if offset is None else self.targets - offset, np)
        return columns

    def offset(self, x: Float) -> Float | None:
        """What the layer adds to its outputs untrained, (N, *output_shape), or None."""
        offset: Float | None = self.setting.layer.offset(x, np)
        return offset

    @property
    def lengths(self) -> tuple[int, int]:
        """How many products torch's module sums for one output, and for one entry of the weight's gradient."""
        layer = self.setting.layer
        return layer.fan_in(self.input_shape) + layer.bias, len(self.inputs) * layer.weight_uses(self.input_shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.inputs.shape[1:]

    @property
    def scale(self) -> float:
        """The loss scale c."""
        return self.setting.loss_scale(self.targets.size)

    def gradient(self, theta: Float) -> Float:
        """The gradient of the loss in blocks: c (W Φ − Y) Φᵀ + μ W; a preconditioner multiplies the first part."""
        residual = theta @ self.features - self.columns
        slope: Float = self.setting.optimizer.precondition(np, self.scale * residual @ adjoint(self.features))
        return slope + self.setting.weight_decay * theta

    @property
    def known_weight(self) -> Float | None:
        """A block weight W with WΦ = Y that the target names, (blocks, q, d), or None."""
        weight: Float | None = self.setting.target.weight(
            self.setting.layer, self.input_shape, np.zeros_like(self.start)
        )
        return weight

    def to_torch(self, theta: Any, xp: Any = np) -> tuple[Any, Any]:
        """Block weights (..., blocks, q, d) in torch's layout: weight and bias (None without)."""
        return self.setting.layer.from_blocks(theta, self.input_shape, xp)

    def to_blocks(self, weights: Float, biases: Float | None) -> Float:
        """Weights in torch's layout with one leading axis as (T, blocks, q, d)."""
        return self.setting.layer.to_blocks(weights, biases, np, lead=1)  # type: ignore[no-any-return]

    def check_examples(self, x: Any, argument: str = "x") -> Float:
        """Examples of the same shape as the training inputs, float64 (SettingError otherwise)."""
        array = real_array(argument, x)
        if array.ndim == 0:
            shape = ", ".join(map(str, self.input_shape))
            message = f"{argument} must have shape (N, {shape}) for these training inputs, but it has (). Pass an array of examples."
            raise SettingError(message)
        check_shape(argument, array, (len(array), *self.input_shape), "these training inputs")
        return array


def assemble(
    setting: Setting,
    inputs: Any,
    targets: Any = None,
    initial_weight: Any = None,
    initial_bias: Any = None,
    seed: int = 0,
) -> Problem:
    """Checks and promotes the data of a setting, and draws the start if none is passed.

    Args:
        setting: The setting.
        inputs: (N, features) or (N, C, *spatial), numpy or torch, any real dtype.
        targets: (N, *output_shape), with the target ``Given()`` only.
        initial_weight: Torch's weight; drawn from ``setting.start`` if None.
        initial_bias: Torch's bias; with an initial weight and a layer with bias it defaults to zeros.
        seed: Seed of the draw.

    Raises:
        SettingError: If a shape does not fit, data are missing or not finite, or there is no example.
    """
    layer = setting.layer
    x = real_array("inputs", inputs)
    if x.ndim < 2 or x.size == 0:
        message = (
            f"inputs must have shape (N, features) or (N, C, *spatial) with at least one example, but they have shape "
            f"{x.shape}. Pass at least one example, with its batch axis."
        )
        raise SettingError(message)
    layer.check(x.shape[1:])
    layer = layer.resolve(x, np)
    setting = replace(setting, layer=layer, target=setting.target.resolve(x))
    if not setting.target.is_function:
        if targets is None:
            message = "targets must be given with target Given(), but they are None. Pass an array (N, *output_shape)."
            raise SettingError(message)
        y = real_array("targets", targets)
        outputs = y.shape[1] if y.ndim > 1 else 1
        check_shape("targets", y, (len(x), *layer.output_shape(x.shape[1:], outputs)), "these inputs and this layer")
    elif targets is not None:
        message = f"targets must be left out with target {setting.target}, but an array was passed. Use target=Given()."
        raise SettingError(message)
    else:
        y = np.asarray(setting.target.values(layer, x, np))
    channels = y.shape[1]
    if channels == 0 or channels % layer.channel_groups():
        message = (
            f"targets must have a positive multiple of {layer.channel_groups()} channels for this layer, but they have {channels}. "
            "Change the targets or the groups."
        )
        raise SettingError(message)
    offset = layer.offset(x, np)
    if offset is not None:
        check_shape("targets", y, offset.shape, f"the input that {layer} adds to its outputs")
    start = _start(setting, x.shape[1:], channels, initial_weight, initial_bias, seed)
    preconditioner(setting, start.shape[-1])
    # One memory order, whatever the caller's: matrix products, and so a saved and loaded problem, then agree bit for bit.
    x, y, start = (np.ascontiguousarray(array) for array in (x, y, start))
    problem = Problem(setting, x, y, start)
    _check_features(problem)
    return problem


def _check_features(problem: Problem) -> None:
    """Refuses what a layer's feature map returns, if it is no matrix per block that fits the weight (SettingError)."""
    layer, (blocks, _, d), features = problem.setting.layer, problem.start.shape, problem.features
    wanted = (blocks, d, len(problem.inputs) * layer.columns(problem.input_shape))
    if features.shape != wanted:
        message = (
            f"{layer} must give features of shape {wanted}, (blocks, features per weight, examples × columns), to fit its "
            f"weight_shape, but it gave {features.shape}. Correct patches, weight_shape or blocks."
        )
        raise SettingError(message)
    if not np.isfinite(features).all():
        message = f"{layer} must give finite features, but some are not. Correct patches, or rescale the inputs."
        raise SettingError(message)


def _start(setting: Setting, input_shape: tuple[int, ...], channels: int, weight: Any, bias: Any, seed: int) -> Float:
    layer = setting.layer
    weight_shape, bias_shape = layer.weight_shape(input_shape, channels), layer.bias_shape(input_shape, channels)
    what = f"{setting.layer} on inputs of shape {input_shape} with {channels} outputs"
    if weight is None:
        if bias is not None:
            message = "initial_bias must come with an initial_weight, but that is None. Pass both, or neither."
            raise SettingError(message)
        check_whole("seed", seed, 0)
        rng = np.random.default_rng(seed)
        weight, bias = setting.start.draw(rng, weight_shape, bias_shape, layer.fan_in(input_shape))
    else:
        weight = real_array("initial_weight", weight)
        check_shape("initial_weight", weight, weight_shape, what)
        if bias_shape is None and bias is not None:
            message = (
                f"initial_bias must be left out for {setting.layer}, but one was passed. Use bias=True in the layer."
            )
            raise SettingError(message)
        if bias_shape is not None:
            bias = np.zeros(bias_shape) if bias is None else real_array("initial_bias", bias)
            check_shape("initial_bias", bias, bias_shape, what)
    return layer.to_blocks(weight, bias, np)  # type: ignore[no-any-return]
