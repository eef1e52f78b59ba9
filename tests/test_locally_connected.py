"""The locally connected layer: windows and outputs by plain loops, torch by unfold, one dense problem per position."""

import itertools
import math

import numpy as np
import pytest

from empirical.device import construct
from numerics.budget import Budget
from numerics.predictor import Predictor
from tests.layer_levels import assert_integration_agrees, assert_limit_is_stationary, assert_training_agrees
from theory.errors import SettingError
from theory.geometry import PADDING_MODES
from theory.layers import Conv, Layer, Linear, LocallyConnected
from theory.optimizers import GradientFlow, HeavyBall
from theory.setting import Setting
from theory.solution import solve
from theory.targets import Given, Identity

torch = pytest.importorskip("torch", reason="torch is one of the oracles")

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
LAYERS = [
    LocallyConnected(3),
    LocallyConnected(2, padding="same", bias=True),
    LocallyConnected((3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1)),
    *(LocallyConnected(3, stride=2, padding=1, padding_mode=mode, bias=True) for mode in PADDING_MODES),
    LocallyConnected(3, padding="valid"),
]


def images(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def each(value, axes):
    return value if isinstance(value, tuple) else (value,) * axes


def outputs_by_loop(layer, x, weight, bias):
    """np.pad, then a sum over channels and taps for each example, output and position."""
    axes = x.ndim - 2
    kernel, stride, dilation = (each(v, axes) for v in (layer.kernel_size, layer.stride, layer.dilation))
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    pads = (
        [(r // 2, r - r // 2) for r in reach]
        if layer.padding == "same"
        else [(p, p) for p in each(0 if layer.padding == "valid" else layer.padding, axes)]
    )
    padded = np.pad(x, [(0, 0), (0, 0), *pads], mode=MODES[layer.padding_mode])
    positions = [range((size - r - 1) // s + 1) for size, r, s in zip(padded.shape[2:], reach, stride, strict=True)]
    result = np.zeros((len(x), len(weight), *map(len, positions)))
    for example, output, place in itertools.product(range(len(x)), range(len(weight)), itertools.product(*positions)):
        total = 0.0 if bias is None else bias[(output, *place)]
        for channel, taps in itertools.product(range(x.shape[1]), itertools.product(*map(range, kernel))):
            pixel = (p * s + t * d for p, s, t, d in zip(place, stride, taps, dilation, strict=True))
            total += weight[(output, *place, channel, *taps)] * padded[(example, channel, *pixel)]
        result[(example, output, *place)] = total
    return result


def drawn(layer, shape, outputs=3):
    weight = images(layer.weight_shape(shape, outputs), 1)
    bias = images(layer.bias_shape(shape, outputs), 2) if layer.bias else None
    return weight, bias


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_features_and_torchs_module_compute_what_a_plain_loop_computes(layer):
    x = images((2, 2, 5, 6))
    weight, bias = drawn(layer, x.shape[1:])
    expected = outputs_by_loop(layer, x, weight, bias)
    ours = layer.from_columns(layer.to_blocks(weight, bias, np) @ layer.features(x, np), x.shape[1:], np)
    module = construct(layer.torch_module(x.shape[1:], 3)).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
        if layer.bias:
            module.bias.copy_(torch.tensor(bias))
        theirs = module(torch.tensor(x)).numpy()
    assert ours.shape == (2, *layer.output_shape(x.shape[1:], 3))
    np.testing.assert_allclose(ours, expected, atol=1e-13)  # sums of at most 20 products of size one
    np.testing.assert_allclose(theirs, expected, atol=1e-13)


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 4, 3)])
def test_one_and_three_dimensions_compute_what_a_plain_loop_computes(shape):
    layer, x = LocallyConnected(2, bias=True, padding_mode="replicate"), images((2, *shape))
    weight, bias = drawn(layer, shape, 2)
    expected = outputs_by_loop(layer, x, weight, bias)
    module = construct(layer.torch_module(shape, 2)).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
        module.bias.copy_(torch.tensor(bias))
        np.testing.assert_allclose(module(torch.tensor(x)).numpy(), expected, atol=1e-13)
    ours = layer.from_columns(layer.to_blocks(weight, bias, np) @ layer.features(x, np), shape, np)
    np.testing.assert_allclose(ours, expected, atol=1e-13)


def test_weights_that_all_positions_share_make_a_convolution():
    x, shared = images((2, 2, 5, 4)), images((3, 2, 3, 3), 1)
    conv, local = Conv(3, padding_mode="circular"), LocallyConnected(3, padding_mode="circular")
    weight = np.broadcast_to(shared[:, None, None], local.weight_shape(x.shape[1:], 3))
    outputs = [
        layer.from_columns(layer.to_blocks(w, None, np) @ layer.features(x, np), x.shape[1:], np)
        for layer, w in ((conv, shared), (local, weight))
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-13)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_each_position_is_a_dense_layer_of_its_own(decay):
    """The whole solved at once is every position solved alone by a Linear layer on its windows."""
    layer, x = LocallyConnected(3, padding="valid", bias=True), images((3, 1, 4, 5))
    y, (weight, bias) = images((3, 2, 2, 3), 5), drawn(layer, x.shape[1:], 2)
    optimizer = HeavyBall(0.01, 0.5)
    whole = Predictor(Setting(layer, optimizer, Given(), weight_decay=decay), x, y, weight, bias)
    for row, column in itertools.product(range(2), range(3)):
        windows = x[:, :, row : row + 3, column : column + 3].reshape(3, -1)
        alone = Predictor(
            Setting(Linear(bias=True), optimizer, Given(), weight_decay=decay),
            windows,
            y[:, :, row, column],
            weight[:, row, column].reshape(2, -1),
            bias[:, row, column],
        )
        for time in (0, 20, math.inf):
            bound = Budget(whole).evaluation(time) + Budget(alone).evaluation(time)
            assert np.linalg.norm(whole.weight(time)[0][:, row, column].reshape(2, -1) - alone.weight(time)[0]) <= bound
            assert np.linalg.norm(whole.bias(time)[0][:, row, column] - alone.bias(time)[0]) <= bound


@pytest.mark.parametrize("layer", [LAYERS[0], LAYERS[3], LAYERS[2]], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_trained_networks_agree_inside_the_budget_and_one_percent_does_not(layer, dtype):
    x = images((2, 2, 4, 5))
    assert_training_agrees(layer, x, y=images((2, *layer.output_shape(x.shape[1:], 2)), 3), dtype=dtype)


def test_the_integrated_equation_agrees():
    assert_integration_agrees(LocallyConnected(3, bias=True), images((2, 2, 3, 3)), Identity())


@pytest.mark.parametrize("layer", [LocallyConnected(3), LocallyConnected(3, padding=2, bias=True)], ids=str)
def test_the_limit_is_stationary_with_blank_windows_and_repeated_examples(layer):
    x = images((2, 1, 4, 4))
    x[:, :, :2] = 0.0
    assert_limit_is_stationary(layer, np.concatenate([x, x[:1]]), Identity())


def test_the_identity_is_the_centre_tap_of_every_position():
    x = images((2, 2, 6, 5))
    for layer, expected in (
        (LocallyConnected(3), x),
        (LocallyConnected((3, 5), padding="valid"), x[:, :, 1:-1, 2:-2]),
        (LocallyConnected(3, stride=2, padding=1), x[:, :, ::2, ::2]),
    ):
        np.testing.assert_array_equal(Identity().values(layer, x, np), expected)


def test_what_one_position_learned_another_does_not_know():
    """Lit on the left only: the right half keeps its start, where a convolution would have learned the identity."""
    x, test = np.zeros((1, 1, 6)), images((1, 1, 6))
    x[..., :2] = [2.0, 1.0]
    p = Predictor(Setting(LocallyConnected(1), GradientFlow()), x, seed=0)
    gaps = np.abs(p.predict(test, math.inf) - test)[0, 0, 0]
    assert gaps[:2].max() <= 1e-14
    assert gaps[2:].min() > 1e-3
    start = p.weight(0)[0]
    np.testing.assert_array_equal(p.weight(math.inf)[0][:, 2:], start[:, 2:])


def test_fan_in_is_that_of_one_position():
    layer = LocallyConnected((3, 2))
    assert layer.fan_in((4, 8, 8)) == 4 * 3 * 2
    p = Predictor(Setting(layer, GradientFlow(), Given()), images((1, 4, 8, 8)), images((1, 2, 8, 8)), seed=0)
    bound = 1 / math.sqrt(24)
    assert 0.99 * bound < np.abs(p.weight(0)).max() <= bound


def test_the_printed_loss_scale_counts_every_position():
    """2/(pMB) for p outputs, M examples and B positions is torch's mean over all entries; the pasted function says it too."""
    setting = Setting(LocallyConnected(3), GradientFlow(), loss="mse")
    solution, p = solve(setting), Predictor(setting, images((2, 1, 3, 3)), seed=0)
    values = {"p": 1, "M": 2, "B": 9}
    assert (
        float(solution.scale.subs({symbol: values[symbol.name] for symbol in solution.scale.free_symbols}))
        == p.problem.scale
    )
    namespace: dict = {}
    exec(solution.python(), namespace)
    blocks = zip(p.problem.features, p.problem.columns, p.problem.start, strict=True)
    pasted = [namespace["weight"](*block, 2.0, blocks=9) for block in blocks]
    np.testing.assert_allclose(pasted, p.theta(2.0)[0], atol=1e-13)


def test_a_setting_comes_back_from_toml():
    layer = LocallyConnected((3, 1), stride=2, padding=(1, 0), padding_mode="reflect", bias=True)
    setting = Setting(layer, GradientFlow())
    assert Setting.from_toml(setting.to_toml()) == setting
    assert Layer.from_table({"kind": "locally_connected", "kernel_size": 3}) == LocallyConnected(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LocallyConnected(5, padding="valid").check((1, 4, 8)), "must span at most the padded image, 4 pixels"),
        (lambda: LocallyConnected(3).check((4,)), r"for a LocallyConnected layer, but an example has shape \(4,\)"),
        (lambda: LocallyConnected(3, stride=2), "stride must be 1 with padding 'same'"),
        (lambda: LocallyConnected(0), "kernel_size must be a number at least 1"),
        (lambda: Setting(LocallyConnected(2), GradientFlow()), "needs a kernel with a centre tap"),
        (
            lambda: Layer.from_table({"kind": "locally_connected", "kernel_size": 3, "groups": 2}),
            "must have only the keys",
        ),
    ],
)
def test_bad_options_get_one_clear_line(call, message):
    with pytest.raises(SettingError, match=message):
        call()


def test_even_kernels_wider_than_the_padded_image_and_groups_that_do_not_divide_are_refused_as_torch_refuses_them():
    for axes, options in itertools.product(
        (1, 2, 3), ({"kernel_size": 6, "padding": 0}, {"kernel_size": 3, "dilation": 3, "padding": 0})
    ):
        layer, shape = Conv(**options), (2, *[5] * axes)
        named = layer.torch_module(shape, 2)
        with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
            construct(named)(torch.zeros(1, *shape))
        with pytest.raises(SettingError, match="kernel_size must span at most the padded image, 5 pixels"):
            layer.check(shape)
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        torch.nn.Conv2d(3, 2, 1, groups=2)
    with pytest.raises(SettingError, match="groups must divide the input channels, 3, but it is 2"):
        Conv(1, groups=2).check((3, 4, 4))
    with pytest.raises(SettingError, match="positive multiple of 2 channels"):
        Predictor(Setting(Conv(1, groups=2), GradientFlow(), Given()), np.ones((1, 2, 3)), np.ones((1, 3, 3)))
