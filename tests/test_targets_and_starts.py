"""What networks are trained towards, against slices and loops; where they start, against torch's own start."""

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical.strategies import input_shapes, inputs, layers, seeds
from theory.errors import SettingError
from theory.geometry import PADDING_MODES
from theory.layers import Conv, Linear
from theory.starts import Fixed, Gaussian, Kaiming, NearIdentity, Orthogonal, Start, TorchDefault, Xavier, Zeros
from theory.targets import Constant, Given, Identity, LinearMap, Target

torch = pytest.importorskip("torch", reason="targets are computed in torch's namespace too")

SIGMAS = 6  # a correct statistic leaves six standard errors once in 5e8 draws; the seeds are fixed


@st.composite
def layers_with_inputs(draw):
    layer = draw(layers(odd=True, kinds=["linear", "conv"]))
    return layer, draw(inputs(draw(input_shapes(layer))))


@given(layers_with_inputs())
def test_the_identity_is_what_a_kernel_with_only_its_centre_tap_computes(drawn):
    """The weight with a single 1 per output at the centre, applied by torch's own module."""
    layer, x = drawn
    channels = x.shape[1]
    weight = np.zeros(layer.weight_shape(x.shape[1:], channels))
    per_group = channels // layer.channel_groups()
    for output in range(channels):
        weight[(output, output % per_group, *(size // 2 for size in weight.shape[2:]))] = 1.0
    named = layer.torch_module(x.shape[1:], channels)
    module = getattr(torch.nn, named.path.rpartition(".")[2])(**named.arguments).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
        if layer.bias:
            module.bias.zero_()
        expected = module(torch.tensor(x)).numpy()
    np.testing.assert_allclose(Identity().values(layer, x, np), expected, rtol=1e-15, atol=0)  # a product with 1
    tensors = Identity().values(layer, torch.tensor(x), torch)
    np.testing.assert_array_equal(tensors.numpy(), Identity().values(layer, x, np))


@pytest.mark.theorem("T5")
@pytest.mark.parametrize("mode", PADDING_MODES)
def test_the_identity_is_the_input_itself_cropped_or_strided(mode):
    x = np.arange(2 * 2 * 7 * 5, dtype=float).reshape(2, 2, 7, 5)
    same = Conv(3, padding_mode=mode, dilation=2)
    np.testing.assert_array_equal(Identity().values(same, x, np), x)
    valid = Conv((3, 5), padding="valid", padding_mode=mode)
    np.testing.assert_array_equal(Identity().values(valid, x, np), x[:, :, 1:-1, 2:-2])
    strided = Conv(3, stride=2, padding=1, padding_mode=mode, groups=2)
    np.testing.assert_array_equal(Identity().values(strided, x, np), x[:, :, ::2, ::2])
    dense = Linear(bias=True)
    np.testing.assert_array_equal(Identity().values(dense, x.reshape(2, -1), np), x.reshape(2, -1))


def test_the_identity_accepts_options_given_per_axis():
    x = np.arange(35.0).reshape(1, 1, 7, 5)
    layer = Conv(3, stride=(2, 1), padding=(1, 0))
    Identity().check(layer)
    np.testing.assert_array_equal(Identity().values(layer, x, np), x[:, :, ::2, 1:-1])


@given(layers_with_inputs(), seeds())
def test_a_constant_repeats_its_value_and_a_linear_map_is_a_matrix_product(drawn, seed):
    layer, x = drawn
    output = layer.output_shape(x.shape[1:], layer.channel_groups())
    rng = np.random.default_rng(seed)
    value, matrix = rng.standard_normal(output), rng.standard_normal((math.prod(output), math.prod(x.shape[1:])))
    np.testing.assert_array_equal(Constant(value).values(layer, x, np), [value] * len(x))
    expected = [[sum(a * b for a, b in zip(row, example.ravel(), strict=True)) for row in matrix] for example in x]
    sizes = np.abs(x.reshape(len(x), -1)) @ np.abs(matrix).T
    found = LinearMap(matrix).values(layer, x, np)
    assert found.shape == (len(x), *output)
    gap = np.abs(found.reshape(len(x), -1) - expected)
    assert (gap <= 2 * matrix.shape[1] * np.finfo(float).eps * sizes).all()
    for target in (Constant(value), LinearMap(matrix)):
        tensors = target.values(layer, torch.tensor(x), torch).numpy()
        assert np.abs(tensors - target.values(layer, x, np)).max() <= 4 * matrix.shape[1] * 2.0**-52 * (sizes.max() + 1)
        assert target.values(layer, x[:0], np).shape == (0, *output)


def test_an_open_constant_takes_the_single_training_example():
    x = np.array([[[1.0, 2.0, 3.0]]])
    assert Constant().resolve(x) == Constant([[1.0, 2.0, 3.0]])
    assert Constant([[7.0]]).resolve(np.zeros((5, 1, 1))) == Constant([[7.0]])
    with pytest.raises(SettingError, match="exactly one training example"):
        Constant().resolve(np.zeros((2, 1, 3)))


def test_only_given_targets_are_no_function():
    assert [kind for kind, cls in Target.kinds.items() if not cls.is_function] == ["given"]
    with pytest.raises(SettingError, match="function of the input"):
        Given().values(Linear(), np.zeros((1, 1)), np)


def draws(start, count=4000, shape=(3, 4), bias=(3,)):
    rng = np.random.default_rng(1)
    pairs = [start.draw(rng, shape, bias, 4) for _ in range(count)]
    return np.array([weight for weight, _ in pairs]), np.array([bias for _, bias in pairs])


def assert_moments(sample, second, fourth):
    """Mean 0 and the stated second moment, inside standard errors computed from the true moments."""
    n = sample.size
    assert abs(sample.mean()) <= SIGMAS * math.sqrt(second / n)
    assert abs((sample**2).mean() - second) <= SIGMAS * math.sqrt((fourth - second**2) / n)


def test_a_gaussian_start_has_its_standard_deviation_in_weight_and_bias():
    weight, bias = draws(Gaussian(0.5))
    for sample in (weight, bias):
        assert_moments(sample, 0.25, 3 * 0.25**2)


def test_the_default_start_is_torchs_in_bound_and_moments():
    torch.manual_seed(0)
    modules = [torch.nn.Linear(4, 3).double() for _ in range(2000)]
    theirs = [np.array([getattr(module, name).detach().numpy() for module in modules]) for name in ("weight", "bias")]
    for sample in (*draws(TorchDefault(), 2000), *theirs):
        assert np.abs(sample).max() <= 0.5  # 1/√4
        assert np.abs(sample).max() > 0.499  # (0.998)^6000 = 6e-6
        assert_moments(sample, 0.25 / 3, 0.0625 / 5)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (2, 3, 3, 3), (40, 2, 3)])
def test_an_orthogonal_start_has_orthonormal_rows_or_columns(shape):
    weight, bias = Orthogonal().draw(np.random.default_rng(0), shape, (shape[0],), 1)
    matrix = weight.reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    assert np.abs(small - np.eye(len(small))).max() <= 8 * max(matrix.shape) * np.finfo(float).eps  # twice is enough
    np.testing.assert_array_equal(bias, np.zeros(shape[0]))


def test_an_orthogonal_start_is_uniform_and_its_entries_are_dependent():
    """Haar in dimension 4: E w² = 1/4, E w⁴ = 3/24; rows have inner product 0, where independent ones vary by 1/4."""
    weight, _ = draws(Orthogonal(), shape=(2, 4))
    sample = weight[:, 0, 0]
    assert_moments(sample, 1 / 4, 3 / 24)
    assert np.abs((weight[:, 0] * weight[:, 1]).sum(axis=1)).max() < 1e-14
    independent, _ = draws(Gaussian(0.5), shape=(2, 4))
    assert (independent[:, 0] * independent[:, 1]).sum(axis=1).var() > 0.2


def test_zeros_are_zeros_and_a_fixed_start_cannot_be_drawn():
    for part in Zeros().draw(np.random.default_rng(0), (2, 3), (2,), 3):
        np.testing.assert_array_equal(part, np.zeros(part.shape))
    with pytest.raises(SettingError, match="Fixed"):
        Fixed().draw(np.random.default_rng(0), (2, 3), None, 3)


@pytest.mark.parametrize("kind", [kind for kind in Start.kinds if kind != "fixed"])
def test_a_start_is_reproducible_and_draws_no_bias_for_a_layer_without(kind):
    chosen = Start.kinds[kind]
    start = chosen(1.0) if "std" in {field.name for field in fields(chosen)} else chosen()
    first, none = start.draw(np.random.default_rng(3), (2, 3), None, 3)
    again, _ = start.draw(np.random.default_rng(3), (2, 3), None, 3)
    np.testing.assert_array_equal(first, again)
    assert none is None
    if start.random:
        other, _ = start.draw(np.random.default_rng(4), (2, 3), None, 3)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize(("start", "variance"), [(Xavier(), 2 / (6 * 9 + 4 * 9)), (Kaiming(), 2 / (6 * 9))])
def test_the_variance_of_an_entry_is_torchs(start, variance):
    """Of n normal entries the sum of squares over σ² is χ²_n: within 6 of its standard deviations √(2n)."""
    rng, shape = np.random.default_rng(3), (4, 6, 3, 3)
    drawn = np.array([start.draw(rng, shape, (4,), 54)[0] for _ in range(200)])
    assert abs((drawn**2).sum() / variance - drawn.size) < 6 * np.sqrt(2 * drawn.size)
    np.testing.assert_array_equal(start.draw(rng, shape, (4,), 54)[1], np.zeros(4))


def test_near_the_identity_a_convolution_and_a_matrix_pass_their_first_channels_on():
    rng = np.random.default_rng(0)
    matrix, _ = NearIdentity(0.0).draw(rng, (2, 3), None, 3)
    np.testing.assert_array_equal(matrix, np.eye(2, 3))
    kernel, _ = NearIdentity(0.0).draw(rng, (2, 2, 3, 5), None, 30)
    image = rng.standard_normal((1, 2, 6, 6))
    outputs = Conv((3, 5)).features(image, np)[0].T @ kernel.reshape(2, -1).T
    np.testing.assert_array_equal(outputs.T.reshape(2, 6, 6), image[0])
    noisy, _ = NearIdentity(0.5).draw(rng, (60, 60), None, 60)
    assert abs(((noisy - np.eye(60)) ** 2).sum() / 0.25 - 3600) < 6 * np.sqrt(2 * 3600)
