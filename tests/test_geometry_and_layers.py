"""The feature map φ against a plain loop and against torch's own layers; the block layout against its inverse."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical.layer_strategies import EXACT
from empirical.strategies import initial_weights, input_shapes, inputs, layers, problems, seeds
from numerics.budget import UNITS
from numerics.problem import assemble
from theory.errors import SettingError
from theory.geometry import PADDING_MODES, Axis
from theory.layers import Conv, Linear

torch = pytest.importorskip("torch", reason="torch is the second oracle of the feature map")
empirical_device = pytest.importorskip("empirical.device")

NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@st.composite
def layers_with_inputs(draw, **options):
    layer = draw(layers(**options))
    return layer, draw(inputs(draw(input_shapes(layer))))


def each(value, axes):
    return value if isinstance(value, tuple) else (value,) * axes


def features_by_loop(layer, x):
    """φ by np.pad and nested loops over examples, positions, channels and taps."""
    if isinstance(layer, Linear):
        return np.array([[[*example, 1.0][: len(example) + layer.bias] for example in x]]).swapaxes(1, 2)
    axes = x.ndim - 2
    kernel, stride, dilation = (each(v, axes) for v in (layer.kernel_size, layer.stride, layer.dilation))
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if layer.padding == "same":
        pads = [(r // 2, r - r // 2) for r in reach]
    else:
        pads = [(p, p) for p in each(0 if layer.padding == "valid" else layer.padding, axes)]
    padded = np.pad(x, [(0, 0), (0, 0), *pads], mode=NUMPY_MODES[layer.padding_mode])
    origins = [range(0, size - r, s) for size, r, s in zip(padded.shape[2:], reach, stride, strict=True)]
    offsets = [range(0, r + 1, d) for r, d in zip(reach, dilation, strict=True)]
    per_group, blocks = x.shape[1] // layer.groups, []
    for group in range(layer.groups):
        columns = []
        for example in padded:
            for origin in itertools.product(*origins):
                channels = range(group * per_group, (group + 1) * per_group)
                column = [
                    example[(channel, *(o + k for o, k in zip(origin, taps, strict=True)))]
                    for channel in channels
                    for taps in itertools.product(*offsets)
                ]
                columns.append(column + [1.0] * layer.bias)
        blocks.append(columns)
    return np.array(blocks).swapaxes(1, 2)


def torch_outputs(layer, x, weight, bias):
    """What torch's own module computes with these weights."""
    module = empirical_device.construct(layer.torch_module(x.shape[1:], len(weight))).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
        if bias is not None:
            module.bias.copy_(torch.tensor(bias))
        return module(torch.tensor(x)).numpy()


def assert_computes_torchs_layer(layer, x, weight, bias):
    theta, features = layer.to_blocks(weight, bias, np), layer.features(x, np)
    ours = layer.from_columns(theta @ features, x.shape[1:], np)
    # Two inner products of length d, each off by at most γ_d Σ|w||φ|.
    length = features.shape[1]
    sizes = layer.from_columns(np.abs(theta) @ np.abs(features), x.shape[1:], np)
    gap = np.abs(ours - torch_outputs(layer, x, weight, bias))
    assert ours.shape == (len(x), *layer.output_shape(x.shape[1:], len(weight)))
    assert (gap <= 2 * 1.01 * length * UNITS["float64"] * sizes).all()


@settings(max_examples=150)
@given(layers_with_inputs(kinds=("linear", "conv")))
def test_features_are_what_a_plain_loop_over_the_padded_input_reads(drawn):
    layer, x = drawn
    np.testing.assert_array_equal(layer.features(x, np), features_by_loop(layer, x))


@settings(max_examples=200)
@given(st.data())
def test_weights_times_features_are_the_output_of_torchs_module(data):
    layer, x = data.draw(layers_with_inputs(kinds=EXACT))
    channels = layer.channel_groups() * data.draw(st.integers(1, 2))
    rng = np.random.default_rng(data.draw(seeds()))
    bias_shape = layer.bias_shape(x.shape[1:], channels)
    weight = rng.standard_normal(layer.weight_shape(x.shape[1:], channels))
    assert_computes_torchs_layer(layer, x, weight, None if bias_shape is None else rng.standard_normal(bias_shape))


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_combination_of_options_computes_torchs_layer(mode, axes):
    rng, tried = np.random.default_rng(axes), 0
    kernels, paddings = ((1, 2, 3, 4), ("same", "valid", 1, 2)) if axes < 3 else ((2, 3), ("same", "valid", 1))
    options = itertools.product(kernels, (1, 2, 3), (1, 2), paddings, (1, 2), (False, True))
    for kernel, stride, dilation, padding, groups, bias in options:
        if padding == "same" and stride > 1:
            continue
        layer = Conv(kernel, stride, padding, dilation, groups, mode, bias)
        shape = (2, 7, 8, 7)[: axes + 1]
        x = rng.standard_normal((1, *shape))
        weight = rng.standard_normal(layer.weight_shape(shape, 2))
        assert_computes_torchs_layer(layer, x, weight, rng.standard_normal(2) if bias else None)
        tried += 1
    assert tried >= 80


@given(layers_with_inputs(kinds=EXACT), st.sampled_from(["float64", "float32"]))
def test_the_numpy_and_torch_namespaces_give_the_same_bits_and_keep_the_dtype(drawn, dtype):
    layer, x = drawn
    x = x.astype(dtype)
    ours, theirs = layer.features(x, np), layer.features(torch.tensor(x), torch)
    assert str(theirs.dtype) == f"torch.{dtype}"
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, theirs.numpy())


def test_features_are_computed_on_the_device_of_the_input(device):
    layer = Conv(3, padding_mode="reflect", bias=True)
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 4))
    there = layer.features(torch.tensor(x, device=device), torch)
    assert there.device.type == device
    np.testing.assert_array_equal(there.cpu().numpy(), layer.features(x, np))


@given(st.data())
def test_weights_survive_the_way_to_blocks_and_back(data):
    layer = data.draw(layers(kinds=EXACT))
    shape = data.draw(input_shapes(layer))
    channels = layer.channel_groups() * data.draw(st.integers(1, 3))
    weight, bias = data.draw(initial_weights(layer, shape, channels))
    batch = np.stack([weight, 2 * weight + 1])
    biases = None if bias is None else np.stack([bias, 3 * bias + 1])
    for xp, convert in ((np, np.asarray), (torch, torch.tensor)):
        theta = layer.to_blocks(convert(batch), None if biases is None else convert(biases), xp, lead=1)
        assert theta.shape[:3] == (2, layer.blocks(shape), channels // layer.channel_groups())
        back, back_bias = layer.from_blocks(theta, shape, xp)
        np.testing.assert_array_equal(np.asarray(back), batch)
        assert (back_bias is None) == (biases is None)
        if biases is not None:
            np.testing.assert_array_equal(np.asarray(back_bias), biases)


@given(st.data())
def test_outputs_survive_the_way_to_columns_and_back(data):
    layer = data.draw(layers(kinds=EXACT))
    shape = data.draw(input_shapes(layer))
    count, channels = data.draw(st.integers(0, 3)), layer.channel_groups() * data.draw(st.integers(1, 3))
    output = (count, *layer.output_shape(shape, channels))
    values = np.arange(math.prod(output), dtype=float).reshape(output)
    for xp, convert in ((np, np.asarray), (torch, torch.tensor)):
        columns = layer.to_columns(convert(values), xp)
        np.testing.assert_array_equal(np.asarray(layer.from_columns(columns, shape, xp)), values)
        stacked = xp.stack([columns, columns + 1])
        np.testing.assert_array_equal(np.asarray(layer.from_columns(stacked, shape, xp))[1], values + 1)


@given(st.data())
def test_columns_run_over_examples_slowest_and_blocks_over_consecutive_channels(data):
    layer = data.draw(layers(kinds=("linear", "conv")))
    shape = data.draw(input_shapes(layer))
    output = layer.output_shape(shape, 2 * layer.channel_groups())
    values = np.arange(2 * math.prod(output)).reshape(2, *output)
    flat = values.reshape(2, layer.channel_groups(), 2, -1)
    expected = [[[*flat[0, block, q], *flat[1, block, q]] for q in range(2)] for block in range(layer.channel_groups())]
    np.testing.assert_array_equal(layer.to_columns(values, np), expected)


@given(problems(kinds=EXACT))
def test_the_gradient_is_what_torch_differentiates(case):
    """c (WΦ − Y)Φᵀ + μW, against autograd of torch's loss through torch's module."""
    problem = assemble(*case)
    setting = problem.setting
    weight, bias = problem.to_torch(problem.start)
    named = setting.layer.torch_module(problem.input_shape, problem.targets.shape[1])
    module = empirical_device.construct(named).double()
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), (weight, bias), strict=False):
            parameter.copy_(torch.tensor(value))
    output, y = module(torch.tensor(problem.inputs)), torch.tensor(problem.targets)
    loss = torch.nn.functional.mse_loss(output, y) if setting.loss == "mse" else ((output - y) ** 2).sum() / 2
    loss = loss + setting.weight_decay / 2 * sum((p**2).sum() for p in module.parameters())
    loss.backward()
    gradients = [parameter.grad.numpy() for parameter in module.parameters()]
    theirs = setting.layer.to_blocks(gradients[0], gradients[1] if len(gradients) > 1 else None, np)
    features, columns = np.abs(problem.features), np.abs(problem.columns)
    _, d, count = features.shape
    sizes = problem.scale * (np.abs(problem.start) @ features + columns) @ features.swapaxes(-1, -2)
    sizes += setting.weight_decay * np.abs(problem.start)
    # Both sides: an inner product of length d, then one of length M, and a few single operations.
    bound = 2 * 1.01 * (d + count + 8) * UNITS["float64"] * sizes
    assert (np.abs(problem.gradient(problem.start) - theirs) <= bound).all()


@given(st.data())
def test_fan_in_is_torchs(data):
    layer = data.draw(layers(kinds=("linear", "conv", "polynomial")))
    shape = data.draw(input_shapes(layer))
    weight = torch.empty(layer.weight_shape(shape, layer.channel_groups()))
    assert layer.fan_in(shape) == torch.nn.init._calculate_fan_in_and_fan_out(weight)[0]


@given(layers_with_inputs())
def test_no_examples_give_no_columns(drawn):
    layer, x = drawn
    features = layer.features(x, np)
    assert layer.features(x[:0], np).shape == (*features.shape[:2], 0)


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_an_axis_reads_what_np_pad_puts_there(mode):
    cases = itertools.product(range(1, 6), range(1, 4), range(1, 4), range(1, 3), range(4), range(4))
    tried = 0
    for size, kernel, stride, dilation, left, right in cases:
        try:
            axis = Axis(size, kernel, stride, dilation, left, right, mode)
        except SettingError:
            continue
        padded = np.pad(np.arange(1, size + 1), (left, right), mode=NUMPY_MODES[mode])
        reads = [
            int(padded[origin + tap * dilation])
            for origin in range(0, len(padded) - axis.span + 1, stride)
            for tap in range(kernel)
        ]
        assert [0 if source is None else source + 1 for source in axis.sources()] == reads
        tried += 1
    assert tried > 500


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_a_layer_refuses_exactly_the_sizes_and_paddings_that_torch_refuses(mode):
    for size, kernel, padding in itertools.product(range(1, 5), (1, 2, 3, 5), range(6)):
        layer = Conv(kernel, padding=padding, padding_mode=mode)
        module = torch.nn.Conv1d(1, 1, kernel, padding=padding, padding_mode=mode)
        try:
            module(torch.zeros(1, 1, size))
            accepted = True
        except (RuntimeError, AssertionError):
            accepted = False
        try:
            layer.check((1, size))
            assert accepted, (size, kernel, padding)
        except SettingError:
            assert not accepted, (size, kernel, padding)
