"""The circular convolution of full width: the transform by plain sums, torch's own layer, the same layer by its patches."""

import cmath
import itertools
import math

import numpy as np
import pytest

from empirical.device import construct
from numerics.budget import UNITS, Budget
from numerics.laws import GeneralizedChiSquare
from numerics.predictor import Predictor, load
from numerics.problem import assemble
from numerics.spectrum import spectrum
from tests.layer_levels import assert_integration_agrees, assert_limit_is_stationary, assert_training_agrees
from theory.errors import SettingError
from theory.layers import CircularConv, Conv
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given, Identity

torch = pytest.importorskip("torch", reason="torch's own convolution is the oracle")

LAYER = CircularConv()
SIZES = [(1,), (4,), (5,), (4, 5), (3, 3), (6, 1), (2, 3, 4), (3, 3, 2)]
EPS = 2 * UNITS["float64"]


def images(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def error_of_transforms(size, *arrays):
    """Three fast transforms, 12·log2(2n)·eps of the norm each (Higham, theorem 24.2), and the products between them."""
    return 3 * 12 * math.log2(2 * size) * EPS * math.prod(np.linalg.norm(array) for array in arrays)


@pytest.mark.parametrize("sizes", SIZES)
def test_features_are_the_transform_by_plain_sums(sizes):
    x, n = images((2, 2, *sizes)), math.prod(sizes)
    features = LAYER.features(x, np)
    assert features.shape == (n, 2, 2)
    for number, frequency in enumerate(itertools.product(*map(range, sizes))):
        for example, channel in itertools.product(range(2), range(2)):
            direct = sum(
                x[(example, channel, *pixel)]
                * cmath.exp(-2j * math.pi * sum(f * p / s for f, p, s in zip(frequency, pixel, sizes, strict=True)))
                for pixel in itertools.product(*map(range, sizes))
            )
            assert abs(features[number, channel, example] - direct) <= 16 * n * EPS * np.abs(x).sum()


@pytest.mark.parametrize("sizes", SIZES)
def test_weights_times_features_are_the_output_of_torchs_module(sizes):
    """Even and odd sizes: torch's kernel is reversed, and centred at (n - 1)//2."""
    x, weight = images((3, 2, *sizes)), images((3, 2, *sizes), 1)
    module = construct(LAYER.torch_module(x.shape[1:], 3)).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
        theirs = module(torch.tensor(x)).numpy()
    ours = LAYER.from_columns(LAYER.to_blocks(weight, None, np) @ LAYER.features(x, np), x.shape[1:], np)
    assert np.linalg.norm(ours - theirs) <= error_of_transforms(math.prod(sizes), x, weight) * math.sqrt(
        math.prod(sizes)
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_blocks_and_columns_are_an_isometry_and_come_back(sizes):
    weight, outputs = images((2, 3, 2, *sizes)), images((2, 3, *sizes))
    for xp, convert in ((np, np.asarray), (torch, torch.tensor)):
        blocks, columns = LAYER.to_blocks(convert(weight), None, xp, lead=1), LAYER.to_columns(convert(outputs), xp)
        assert blocks.shape == (2, math.prod(sizes), 3, 2)
        bound = error_of_transforms(math.prod(sizes), weight, outputs)
        for there, back, here in (
            (blocks, LAYER.from_blocks(blocks, (2, *sizes), xp)[0], weight),
            (columns, LAYER.from_columns(columns, (2, *sizes), xp), outputs),
        ):
            assert abs(np.linalg.norm(np.asarray(there)) - np.linalg.norm(here)) <= bound
            assert np.linalg.norm(np.asarray(back) - here) <= bound


@pytest.mark.parametrize("sizes", [(4,), (5,), (4, 3)])
def test_the_gradient_is_the_transform_of_what_torch_differentiates(sizes):
    setting = Setting(LAYER, GradientFlow(), Given(), "mse", 0.3)
    problem = assemble(setting, images((2, 2, *sizes)), images((2, 3, *sizes), 1), seed=0)
    module = construct(LAYER.torch_module(problem.input_shape, 3)).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(problem.to_torch(problem.start)[0]))
    x, y = torch.tensor(problem.inputs), torch.tensor(problem.targets)
    (torch.nn.functional.mse_loss(module(x), y) + 0.15 * (module.weight**2).sum()).backward()
    theirs = LAYER.to_blocks(module.weight.grad.numpy(), None, np)
    assert np.linalg.norm(problem.gradient(problem.start) - theirs) <= 1e4 * EPS * np.linalg.norm(theirs)


@pytest.mark.parametrize(("sizes", "channels"), [((4,), 2), ((5,), 1), ((4, 5), 2), ((3, 3), 1), ((2, 3, 4), 1)])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_it_is_the_convolution_with_a_kernel_as_wide_as_the_image(sizes, channels, decay):
    """The same weights as by the patch matrix, a route without any transform; infinity included."""
    x, weight, times = images((2, channels, *sizes)), images((channels, channels, *sizes), 3), [0, 5, 60, math.inf]
    for optimizer in (GradientFlow(), GradientDescent(1e-3), HeavyBall(1e-3, 0.9)):
        settings = [
            Setting(layer, optimizer, Given(), "mse", decay) for layer in (LAYER, Conv(sizes, padding_mode="circular"))
        ]
        by_frequency, by_patches = (Predictor(setting, x, x, weight) for setting in settings)
        for time in times:
            bound = sum(Budget(p).evaluation(time) for p in (by_frequency, by_patches))
            assert np.linalg.norm(by_frequency.weight(time) - by_patches.weight(time)) <= bound
            gap = np.linalg.norm(by_frequency.predict(x, time) - by_patches.predict(x, time))
            assert gap <= 2 * bound * np.linalg.norm(by_frequency.problem.features)
        # A loss is a square, right to twice the digits of what is squared; at its smallest it is rounding.
        np.testing.assert_allclose(by_frequency.loss(times), by_patches.loss(times), rtol=1e-9, atol=1e-20)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2, 2, 5), "float64"), ((1, 1, 4, 4), "float64"), ((2, 2, 3, 4), "float32"), ((1, 2, 2, 3, 2), "float64")],
)
def test_trained_networks_agree_inside_the_budget_and_one_percent_does_not(shape, dtype):
    assert_training_agrees(LAYER, images(shape), Identity(), dtype=dtype)


def test_more_outputs_than_inputs_are_trained_too():
    assert_training_agrees(LAYER, images((2, 2, 5)), y=images((2, 3, 5), 4))


def test_the_budget_counts_the_sums_of_the_torch_module_not_those_of_a_frequency():
    """2 channels × 20 taps for an output; 3 examples × 20 pixels for an entry of the gradient: as for the wide patches."""
    x = images((3, 2, 4, 5))
    by_frequency, by_patches = (
        Predictor(Setting(layer, GradientFlow(), Given()), x, x, seed=0)
        for layer in (LAYER, Conv((4, 5), padding_mode="circular"))
    )
    assert by_frequency.problem.lengths == by_patches.problem.lengths == (40, 60)


@pytest.mark.parametrize("shape", [(2, 2, 5), (1, 1, 4, 4)])
def test_the_integrated_equation_agrees(shape):
    assert_integration_agrees(LAYER, images(shape), Identity())


@pytest.mark.parametrize("shape", [(2, 2, 5), (1, 3, 4, 4), (4, 2, 3)])
def test_the_limit_is_stationary(shape):
    assert_limit_is_stationary(LAYER, images(shape), Identity())


@pytest.mark.theorem("T18")
@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_each_frequency_learns_at_the_rate_of_its_own_power(n):
    """θ̂(ω;t) = 1 + (θ̂0(ω) - 1)exp(-|x̂(ω)|²t), unnormalised sums over the kernel with its origin at tap 0."""
    x, w0, time = images((1, 1, n)), images((1, 1, n), 1), 0.1

    def transform(values):
        return [sum(v * cmath.exp(-2j * math.pi * f * p / n) for p, v in enumerate(values)) for f in range(n)]

    def kernel(weight):  # tap j of θ is torch's tap (n - 1)//2 - j
        return [weight[0, 0, ((n - 1) // 2 - j) % n] for j in range(n)]

    p = Predictor(Setting(LAYER, GradientFlow()), x, initial_weight=w0)
    found, start, power = transform(kernel(p.weight(time)[0])), transform(kernel(w0)), transform(x[0, 0])
    for frequency in range(n):
        expected = 1 + (start[frequency] - 1) * math.exp(-(abs(power[frequency]) ** 2) * time)
        assert abs(found[frequency] - expected) <= 1e3 * n * EPS


@pytest.mark.parametrize("sizes", [(6,), (35,), (4, 6), (31,)])
def test_a_frequency_that_no_example_lights_never_moves(sizes):
    """Waves at a few frequencies: the others are rounding of the transform, and count as nothing."""
    grid = np.meshgrid(*map(np.arange, sizes), indexing="ij")
    wave = np.cos(2 * math.pi * grid[0] / sizes[0] + 0.3) + 0.7 * np.cos(4 * math.pi * grid[0] / sizes[0])
    p = Predictor(Setting(LAYER, GradientFlow(), start=Gaussian(1.0)), wave[None, None], seed=0)
    lit = [
        f
        for f, first in enumerate(itertools.product(*map(range, sizes)))
        if first[0] in {1, 2, sizes[0] - 1, sizes[0] - 2} and not any(first[1:])
    ]
    assert [f for f, rank in enumerate(p.spectrum.ranks) if rank] == lit
    moved = np.abs(p.theta(math.inf)[0] - p.problem.start).max(axis=(1, 2))
    assert (np.delete(moved, lit) == 0).all()
    np.testing.assert_allclose(p.theta(math.inf)[0][lit] * math.sqrt(math.prod(sizes)), 1.0, atol=1e-11)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_as_many_examples_as_channels_teach_the_identity_and_fewer_do_not(channels):
    test = images((2, channels, 4), 9)
    learned = Predictor(Setting(LAYER, GradientFlow()), images((channels, channels, 4)), seed=0)
    off = Budget(learned).evaluation(math.inf) * np.linalg.norm(LAYER.features(test, np))
    assert learned.error(test, math.inf).max() <= off**2 < 1e-12
    if channels > 1:
        short = Predictor(Setting(LAYER, GradientFlow()), images((channels - 1, channels, 4)), seed=0)
        assert short.error(test, math.inf).min() > 1e-3


def exact_law(p, x, time, std):
    """The law of ‖Mθ + c‖² for the real kernel θ ~ N(0, std²), with M from the outputs for every unit kernel."""
    shape = LAYER.weight_shape(p.problem.input_shape, p.problem.input_shape[0])
    units = np.eye(math.prod(shape)).reshape((-1, *shape))
    still = p.from_start(LAYER.to_blocks(0 * units[0], None, np)).predict(x[None], [time]).ravel() - x.ravel()
    moved = [
        p.from_start(LAYER.to_blocks(unit, None, np)).predict(x[None], [time]).ravel() - x.ravel() for unit in units
    ]
    values, vectors = np.linalg.eigh(std**2 * (np.array(moved) - still) @ (np.array(moved) - still).T)
    values = np.where(values > 1e-12 * values.max(), values, 0.0)
    along = std * vectors.T @ ((np.array(moved) - still) @ still)
    noncentral = np.where(values > 0, (along / np.where(values > 0, values, 1)) ** 2, 0.0)
    constant = still @ still - (noncentral * values).sum()
    return GeneralizedChiSquare(values[values > 0], 1.0, noncentral[values > 0], max(constant, 0.0))


@pytest.mark.parametrize("shape", [(1, 5), (2, 4), (1, 3, 4), (2, 2, 2)])
@pytest.mark.parametrize("time", [0.3, math.inf])
def test_the_law_of_the_error_is_that_of_the_real_kernel(shape, time):
    """Frequencies that are their own mirror image (one of 5, two of 4, four of 2 × 2) and pairs of the others, against real algebra."""
    rng = np.random.default_rng(0)
    p = Predictor(Setting(LAYER, GradientFlow(), start=Gaussian(0.4)), rng.standard_normal((1, *shape)), seed=0)
    x = rng.standard_normal(shape)
    law, real = p.error_law(x, time), exact_law(p, x, time, 0.4)
    mean, variance = p.error_moments(x[None], [time])
    if shape[0] == 1 and time == math.inf:  # learned from one example: what is left is rounding
        assert max(law.mean(), real.mean(), mean[0, 0]) < 1e-24
        return
    assert mean[0, 0] == pytest.approx(real.mean(), rel=1e-9)
    assert variance[0, 0] == pytest.approx(real.var(), rel=1e-9)
    assert law.mean() == pytest.approx(real.mean(), rel=1e-9)
    assert law.var() == pytest.approx(real.var(), rel=1e-9)
    levels = [0.01, 0.3, 0.9, 0.999]
    assert law.cdf(real.ppf(levels)) == pytest.approx(levels, rel=1e-8)


def test_only_gaussian_starts_have_a_variance():
    p = Predictor(Setting(LAYER, GradientFlow()), np.ones((1, 1, 4)) + np.eye(4)[:1, None], seed=0)
    assert p.expected_error(np.ones((1, 1, 4)), [1.0], 0.1).shape == (1, 1)
    with pytest.raises(SettingError, match=r"start must be Gaussian for the variance .* it is TorchDefault\(\)"):
        p.error_moments(np.ones((1, 1, 4)), [1.0])


def test_the_mean_error_over_random_starts_is_the_mean_over_random_starts():
    x, test, std, count = images((1, 2, 4)), images((3, 2, 4), 1), 0.7, 4000
    p = Predictor(Setting(LAYER, GradientFlow(), weight_decay=0.1), x, seed=0)
    expected = p.expected_error(test, 0.2, std)[0]
    rng = np.random.default_rng(0)
    starts = std * rng.standard_normal((count, 2, 2, 4))
    errors = np.array([p.from_start(LAYER.to_blocks(w, None, np)).error(test, 0.2)[0] for w in starts])
    standard_error = errors.std(axis=0, ddof=1) / math.sqrt(count)
    assert (np.abs(errors.mean(axis=0) - expected) <= 6 * standard_error).all()
    assert (standard_error < 0.03 * expected).all()  # and the test can see an error of 20 %


def test_blocks_with_one_mode_need_no_lapack(monkeypatch):
    monkeypatch.setattr(np.linalg, "svd", None)
    p = Predictor(Setting(LAYER, GradientFlow()), images((1, 3, 8, 8)), seed=0)
    assert p.weight(0.1).shape == (1, 3, 3, 8, 8)
    assert Predictor(Setting(LAYER, GradientFlow()), images((4, 1, 8)), seed=0).spectrum.ranks == [1] * 8


def test_a_saved_prediction_is_loaded_bit_for_bit(tmp_path):
    p = Predictor(Setting(LAYER, HeavyBall(0.01, 0.5), weight_decay=0.1), images((2, 2, 5)), seed=0)
    p.save(tmp_path / "p.npz")
    again = load(tmp_path / "p.npz")
    assert again.setting == p.setting
    np.testing.assert_array_equal(again.weight([0, 5, math.inf]), p.weight([0, 5, math.inf]))


def test_the_noise_of_features_raises_the_floor_of_every_block():
    features = np.array([[[1.0]], [[1e-15]], [[1e-12]]])
    assert spectrum(features).ranks == [1, 1, 1]
    assert spectrum(features, noise=100).ranks == [1, 0, 1]


@pytest.mark.parametrize("shape", [(5,), (1, 2, 3, 4, 5), (2, 0)])
def test_examples_without_channels_or_space_are_refused(shape):
    with pytest.raises(SettingError, match=r"for a CircularConv layer, but an example has shape .* Pass, say"):
        LAYER.check(shape)
