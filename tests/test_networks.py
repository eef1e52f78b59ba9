"""Networks of any depth, and many at once: every backend is torch's own modules, one after the other."""

import importlib

import numpy as np
import pytest

from empirical.backends import BACKENDS, backend
from empirical.networks import Feedforward, build, draw_stack
from numerics.problem import assemble
from theory.errors import SettingError
from theory.layers import CircularConv, Conv, Linear, LocallyConnected, Residual
from theory.optimizers import GradientDescent
from theory.setting import Setting
from theory.starts import Gaussian, TorchDefault

torch = pytest.importorskip("torch", reason="networks are torch modules")
pad = importlib.import_module("empirical.modules").pad  # which imports torch

START = Gaussian(0.4)
NETWORKS = [
    (Feedforward(Conv(3), depth=3, width=4, start=START), (2, 6, 6), 2),
    (Feedforward(Conv(3, bias=True, padding_mode="reflect"), depth=2, width=3, start=START), (1, 5, 6), 1),
    (Feedforward(Conv(4), depth=2, width=2, start=START), (1, 7), 1),  # pads more at the end
    (Feedforward(Conv((3, 1), groups=2, padding_mode="circular"), depth=2, width=4, start=START), (2, 5, 5), 2),
    (Feedforward(Conv(3, stride=2, padding=1), depth=2, width=2, start=START), (1, 9, 9), 1),
    (Feedforward(Linear(bias=True), depth=3, width=8, start=START), (4,), 4),
    (Feedforward(Linear(), depth=4, activation="linear", residual=True, start=START), (5,), 5),
    (Feedforward(Conv(3), depth=4, width=2, residual=True, start=START), (2, 5, 5), 2),
    (Feedforward(LocallyConnected(3), depth=2, width=2, start=START), (1, 4, 4), 1),
    (Feedforward(CircularConv(), depth=2, width=2, start=START), (1, 4, 4), 1),
    (Feedforward(Residual(Conv(3)), depth=2, width=1, start=START), (1, 4, 4), 1),
]


def inputs(shape, count=3):
    return torch.tensor(np.random.default_rng(5).standard_normal((count, *shape)))


@pytest.mark.parametrize(("network", "shape", "channels"), NETWORKS, ids=str)
@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_computes_what_separate_modules_compute(name, network, shape, channels):
    """In float64, to the rounding of sums of at most 100 products through 4 layers."""
    if name == "grouped" and not isinstance(network.layer, (Linear, Conv)):
        with pytest.raises(SettingError, match="backend must be 'vmap' or 'loop'"):
            backend(name, network, shape, channels)
        return
    drawn = [torch.tensor(value) for value in draw_stack(network, (0, 1, 2), shape, channels)]
    x = inputs(shape)
    outputs = backend(name, network, shape, channels)(drawn, x)
    for copy in range(3):
        module = build(network, shape, channels).double()
        for parameter, value in zip(module.parameters(), drawn, strict=True):
            parameter.data = value[copy].clone()
        expected = module(x).detach()
        size = float(expected.abs().max()) + float(x.abs().max())
        torch.testing.assert_close(outputs[copy], expected, rtol=0, atol=4 * 100 * 4 * size * 2.0**-52)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "zeros"])
@pytest.mark.parametrize("pads", [[(2, 1)], [(0, 2), (1, 0)], [(1, 1), (2, 0), (0, 3)], [(0, 0), (0, 0)]], ids=str)
def test_padding_is_torchs_own_and_so_is_its_gradient(mode, pads):
    x = inputs((2, *(4 + axis for axis in range(len(pads)))))
    own, torchs = x.clone().requires_grad_(), x.clone().requires_grad_()
    flat = [pixels for pair in reversed(pads) for pixels in pair]
    expected = torch.nn.functional.pad(torchs, flat, mode="constant" if mode == "zeros" else mode)
    padded = pad(own, pads, mode)
    assert torch.equal(padded, expected)
    weights = torch.tensor(np.random.default_rng(1).integers(-8, 9, padded.shape)).double()  # whole: sums are exact
    for value, leaf in ((padded, own), (expected, torchs)):
        (value * weights).sum().backward()
        assert leaf.grad is not None
    assert torch.equal(own.grad, torchs.grad)


def test_a_network_is_its_layers_by_hand():
    network = Feedforward(Linear(bias=True), depth=3, width=4, residual=True, start=START)
    first, second, third = network.draw(0, (4,), 2)
    x = inputs((4,), 30).numpy()
    hidden = x + np.maximum(x @ first[0].T + first[1], 0)
    hidden = hidden + np.maximum(hidden @ second[0].T + second[1], 0)
    by_hand = hidden @ third[0].T + third[1]
    drawn = [torch.tensor(value) for value in draw_stack(network, (0,), (4,), 2)]
    np.testing.assert_allclose(
        backend("auto", network, (4,), 2)(drawn, torch.tensor(x))[0].numpy(), by_hand, atol=1e-13
    )


def test_one_layer_starts_where_a_predictor_with_the_same_seed_starts():
    layer, start = Conv(3, bias=True), TorchDefault()
    problem = assemble(Setting(layer, GradientDescent(0.1), start=start), np.ones((1, 2, 4, 4)), seed=7)
    weight, bias = problem.to_torch(problem.start)
    drawn = draw_stack(Feedforward(layer, start=start), (7,), (2, 4, 4), 2)
    np.testing.assert_array_equal(drawn[0][0], weight)
    np.testing.assert_array_equal(drawn[1][0], bias)


def test_the_default_width_can_represent_the_identity_and_a_smaller_one_is_refused():
    assert [part.channels for part in Feedforward(Linear(), depth=3).parts((5,), 5)] == [10, 10, 5]
    assert [part.channels for part in Feedforward(Linear(), depth=3, activation="linear").parts((5,), 5)] == [5, 5, 5]
    with pytest.raises(SettingError, match=r"width must be at least the input's 5 .* but it is 4\. Use 5"):
        Feedforward(Linear(), depth=2, width=4).parts((5,), 5)


def test_a_layer_that_adds_its_input_keeps_its_channels():
    assert [part.channels for part in Feedforward(Residual(Conv(3)), depth=3).parts((2, 4, 4), 2)] == [2, 2, 2]
    with pytest.raises(SettingError, match=r"width must be the input's 2 for a layer that adds its input, but it is 4"):
        Feedforward(Residual(Conv(3)), depth=2, width=4).parts((2, 4, 4), 2)
    with pytest.raises(SettingError, match=r"targets' channels must be the input's 4 .* but it is 3\. Use 4"):
        Feedforward(Residual(Linear()), depth=2).parts((4,), 3)


@pytest.mark.parametrize(
    ("network", "refused"),
    [
        (Feedforward(Linear(), depth=2, width=3), True),
        (Feedforward(Linear(), depth=2, width=5), True),
        (Feedforward(Residual(Linear()), depth=2), True),
        (Feedforward(Linear(), depth=2, width=6), False),
        (Feedforward(Linear(), depth=2), False),
        (Feedforward(Linear(), depth=1), False),
        (Feedforward(Linear(), depth=2, width=3, activation="linear"), False),
        (Feedforward(Linear(), depth=2, width=3, residual=True), False),
        (Feedforward(Linear(bias=True), depth=2, width=3), False),
    ],
    ids=str,
)
def test_negative_inputs_are_refused_where_a_relu_would_cut_them_off(network, refused):
    network.check_inputs(np.zeros((2, 3)))
    if refused:
        with pytest.raises(SettingError, match=r"inputs must not be negative .* but one is -0\.5\. Use (width=6|res)"):
            network.check_inputs(np.array([[0.0, 1.0, -0.5]]))
    else:
        network.check_inputs(np.array([[0.0, 1.0, -0.5]]))


def test_the_size_of_a_network_counts_every_number_that_is_trained():
    for network, shape, channels in NETWORKS:
        module = build(network, shape, channels)
        assert network.size(shape, channels) == sum(value.numel() for value in module.parameters())


def test_a_network_is_a_table_and_back():
    for network, *_ in NETWORKS:
        assert type(network).from_table(network.to_table()) == network
