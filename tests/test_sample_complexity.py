"""The number of examples at which the identity is learned: modular ranks against floating-point ranks of torch's own patches."""

import numpy as np
import pytest

import closedflow as cf
from numerics.modular import Span, namespace, prime_for
from numerics.sample_complexity import generic_ranks, sample_complexity
from theory.errors import SettingError
from theory.layers import CircularConv, Conv, Features, Linear, LocallyConnected, Polynomial

CONVOLUTIONS = [
    (Conv(5), (1, 3, 3), 4),  # ⌈25/9⌉ = 3 is not enough
    (Conv(5, groups=8), (8, 4, 4), 2),
    (Conv(3), (1, 8, 8), 1),
    (Conv(3), (4, 4, 4), 3),
    (Conv(3, padding="valid"), (2, 4, 4), 5),
    (Conv(3, padding=1, stride=2), (1, 5, 5), 1),
]


def torch_ranks(layer: Conv, shape: tuple[int, ...], examples: int) -> list[int]:
    """The ranks of the patches of normal images, per group, by torch's unfold and a singular value decomposition."""
    torch = pytest.importorskip("torch")
    pad = {"same": layer.kernel_size // 2, "valid": 0}.get(layer.padding, layer.padding)
    images = torch.tensor(np.random.default_rng(0).standard_normal((examples, *shape)))
    groups = images.reshape(examples, layer.groups, shape[0] // layer.groups, *shape[1:]).transpose(0, 1)
    found = [torch.nn.functional.unfold(one, layer.kernel_size, padding=pad, stride=layer.stride) for one in groups]
    return [int(np.linalg.matrix_rank(patches.transpose(0, 1).flatten(1).numpy())) for patches in found]


@pytest.mark.parametrize(("layer", "shape", "wanted"), CONVOLUTIONS)
def test_ranks_of_convolutions_are_those_of_torchs_patches(layer, shape, wanted):
    growth = generic_ranks(layer, shape)
    assert len(growth) == wanted == sample_complexity(layer, shape)
    for examples, ranks in enumerate(growth, start=1):
        assert list(ranks) == torch_ranks(layer, shape, examples)
    assert torch_ranks(layer, shape, wanted + 2) == list(growth[-1])  # it has stopped growing


@pytest.mark.parametrize("pixels", [1, 4, 7])
def test_a_fully_connected_layer_needs_as_many_as_it_has_inputs_and_one_more_for_a_bias(pixels):
    assert sample_complexity(Linear(), (pixels,)) == pixels
    assert sample_complexity(Linear(bias=True), (pixels,)) == pixels + 1


@pytest.mark.parametrize("shape", [(1, 5), (3, 4, 6), (2, 2, 3, 2)])
def test_a_circular_convolution_of_full_width_needs_as_many_as_channels(shape):
    growth = generic_ranks(CircularConv(), shape)
    assert len(growth) == shape[0]
    assert growth[-1] == (shape[0],) * int(np.prod(shape[1:]))


@pytest.mark.parametrize(("kernel", "size"), [(3, 4), (3, 2), (5, 3)])
def test_a_locally_connected_layer_needs_the_largest_number_of_taps_that_see_a_pixel(kernel, size):
    reach = range(-(kernel // 2), kernel // 2 + 1)
    seen = [sum(0 <= place + tap < size for tap in reach) for place in range(size)]
    growth = generic_ranks(LocallyConnected(kernel), (1, size, size))
    assert len(growth) == max(seen) ** 2
    assert growth[-1] == tuple(down * across for down in seen for across in seen)


def test_monomials_count_as_features():
    assert sample_complexity(Polynomial(2), (3,)) == 9


def test_the_transform_modulo_a_prime_turns_circular_convolution_into_products():
    size, rng = 6, np.random.default_rng(0)
    prime = prime_for(size)
    a, b = rng.integers(0, 1000, (2, size)).astype(object)
    folded = np.array([sum(a[j] * b[(k - j) % size] for j in range(size)) for k in range(size)], dtype=object)
    transform = namespace(prime).fft.fftn
    every = transform(np.eye(size, dtype=int).astype(object), None, (1,)).astype(np.int64)
    assert Span(prime).add(every) == size  # it loses nothing
    assert (transform(folded, None, (0,)) == transform(a, None, (0,)) * transform(b, None, (0,)) % prime).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_span_of_a_product_has_the_rank_of_its_middle(seed):
    rng = np.random.default_rng(seed)
    d, rank = 12, 2 * seed
    rows = rng.integers(-9, 9, (20, rank)) @ rng.integers(-9, 9, (rank, d))
    span = Span(prime_for(1))
    grown = [span.add(part) for part in np.split(rows, 4)]
    assert grown == [int(np.linalg.matrix_rank(rows[: 5 * (k + 1)])) for k in range(4)]


@pytest.mark.parametrize("order", [1, 12, 28, 784])
def test_primes_are_prime_and_have_the_roots(order):
    prime = prime_for(order)
    assert prime < 2**31
    assert (prime - 1) % order == 0
    assert pow(2, prime - 1, prime) == 1
    assert all(prime % factor for factor in range(2, 10_000))


def test_layers_that_cannot_be_the_identity_or_take_the_shape_are_refused():
    with pytest.raises(SettingError, match="centre tap"):
        cf.sample_complexity(Conv(2), (1, 4, 4))
    with pytest.raises(SettingError, match="may not be"):
        cf.sample_complexity(Features(lambda x, xp: x), (3,))
    with pytest.raises(SettingError, match="inputs must have shape"):
        cf.sample_complexity(Linear(), (1, 4, 4))
