"""The evaluation: the same numbers on every backend, in pieces or whole, inside a memory limit; tall data by their triangle."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical.strategies import problems, seeds
from numerics.budget import Budget
from numerics.evaluation import Backend
from numerics.predictor import Predictor
from numerics.spectrum import TALL, regression, spectrum
from theory.errors import SettingError
from theory.layers import CircularConv, Conv, Linear
from theory.optimizers import GradientDescent, GradientFlow
from theory.setting import Setting
from theory.targets import Given

EPS = {"float64": 2.0**-53, "float32": 2.0**-24}


def norm(array) -> float:
    return float(np.linalg.norm(np.asarray(array).ravel()))


def images(count: int = 1, channels: int = 1, size: int = 6, seed: int = 0):
    return np.random.default_rng(seed).standard_normal((count, channels, size, size))


def times_of(p: Predictor):
    return [0, 1, 7, math.inf] if p.setting.optimizer.discrete else [0.0, 0.3, 5.0, math.inf]


def formed_bound(p: Predictor, x, unit: float) -> float:
    """Forming outputs (or, for x None, weights) of inner products over r modes and d features in arithmetic of this unit, at one time."""
    blocks, _, d = p.problem.start.shape
    features = np.broadcast_to(np.eye(d), (blocks, d, d)) if x is None else p.setting.layer.features(x, np)
    modes = norm(p.spectrum.left) * norm(features)
    factors = norm(p._gain[:, None, :] * p._target_modes) + 2 * norm(p._start_modes)
    length = 4 * (sum(features.shape[:2]) + 8)
    return length * unit * (norm(p.problem.start) * norm(features) + factors * modes) * 2


@given(case=problems(), seed=seeds(), dtype=st.sampled_from(["float64", "float32"]))
def test_torch_and_numpy_form_the_same_results_inside_the_rounding_of_their_arithmetic(case, seed, dtype):
    pytest.importorskip("torch")
    p = Predictor(*case)
    x = np.random.default_rng(seed).standard_normal((2, *p.problem.input_shape))
    there, times = p.on("cpu", dtype), times_of(p)
    # The inputs themselves are rounded, and a skip connection adds them.
    bound = formed_bound(p, x, EPS[dtype]) + 4 * EPS[dtype] * norm(x)
    outputs = there.predict(x, times)
    assert str(outputs.dtype) == f"torch.{dtype}"
    assert norm(outputs.numpy() - p.predict(x, times)) <= len(times) * bound
    assert norm(there.weight(times).numpy() - p.weight(times)) <= len(times) * formed_bound(p, None, EPS[dtype])


@given(case=problems(), seed=seeds())
def test_pieces_are_the_whole(case, seed):
    p = Predictor(*case)
    x = np.random.default_rng(seed).standard_normal((3, *p.problem.input_shape))
    times = times_of(p)
    whole, weights = p.predict(x, times), p.weight(times)
    factors, _ = p._outputs(x, times)
    one_time = factors.size + factors.scratch  # the least that is allowed: each time is a piece of its own
    assert np.array_equal(p.predict(x, times, out=np.empty(whole.shape), max_memory=one_time), whole)
    assert np.array_equal(p.weight(times, out=np.empty(weights.shape)), weights)
    if p.setting.target.is_function:
        gap = whole - p.setting.target.values(p.setting.layer, x, np)
        direct = (gap.reshape((len(times), 3, -1)) ** 2).sum(-1)
        assert np.allclose(
            p.error(x, times, max_memory=3 * one_time), direct, rtol=1e-13, atol=0
        )  # the same numbers, added up


@given(case=problems())
def test_the_loss_from_numbers_is_that_of_the_outputs(case):
    p = Predictor(*case)
    times = times_of(p)
    gap = p.predict(p.problem.inputs, times) - p.problem.targets
    direct = p.problem.scale / 2 * (gap.reshape((len(times), -1)) ** 2).sum(-1)
    # A loss is a square: its error is that of the outputs times their size, and the square of that error where they vanish.
    away = formed_bound(p, p.problem.inputs, EPS["float64"]) + max(
        Budget(p).evaluation(time) * norm(p.problem.features) for time in times
    )
    size = np.sqrt(2 * np.maximum(direct, p.loss(times)) / p.problem.scale)
    assert (np.abs(p.loss(times) - direct) <= p.problem.scale / 2 * (2 * size * away + away**2)).all()


def test_a_loss_keeps_its_digits_when_it_is_tiny():
    """By hand: rate 4, ½·(2·(3 − 1))²·e^{−8t}; at t = 50 the outputs' own rounding is 1e140 times larger."""
    p = Predictor(Setting(Linear(), GradientFlow()), [[2.0]], initial_weight=[[3.0]])
    assert p.loss([50.0])[0] == pytest.approx(8 * math.exp(-400), rel=1e-13)  # 400 times the rounding of the exponent


@pytest.mark.parametrize("complex_features", [False, True])
@pytest.mark.parametrize("deficient", [False, True])
def test_the_triangle_of_tall_data_says_what_the_decomposition_says(complex_features, deficient):
    rng = np.random.default_rng(3)

    def draw(*shape):
        return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if complex_features else 0)

    features, columns = draw(2, 5, 200), draw(2, 3, 200)
    if deficient:
        features[:, 4] = features[:, 0] - 2 * features[:, 3]
    assert features.shape[-1] > TALL * 5
    tall, whole = regression(features, columns), spectrum(features)
    assert tall.spectrum.ranks == whole.ranks == [4 if deficient else 5] * 2
    bound = 200 * np.finfo(float).eps * norm(features)  # backward stability of both, with room for the number of chunks
    assert norm(tall.spectrum.values - whole.values) <= bound

    def fitted(targets, modes):
        kept = modes.values > 0
        return (targets * kept[:, None, :]) @ modes.left.conj().swapaxes(-1, -2)

    direct = fitted(columns @ whole.right.conj().swapaxes(-1, -2), whole)
    assert norm(fitted(tall.targets, tall.spectrum) - direct) <= bound * norm(columns)
    every = norm(columns) ** 2 - norm(tall.targets) ** 2
    assert tall.unexplained == pytest.approx(every, rel=1e-12)


def test_a_known_weight_gives_the_same_modes_of_the_targets():
    rng = np.random.default_rng(4)
    features, weight = rng.standard_normal((1, 5, 40)), rng.standard_normal((1, 3, 5))
    columns = weight @ features
    known, found = regression(features, columns, weight=weight), regression(features, columns)
    assert np.allclose(known.targets, found.targets, rtol=0, atol=1e-12)  # 40 products of order 1, condition below 3
    assert known.unexplained == 0
    assert found.unexplained <= (1e-14 * norm(columns)) ** 2 * 100


def test_ill_conditioned_tall_data_keep_their_small_modes():
    """A Gram matrix would lose every mode below 1e-8 of the largest; here one of 1e-10 is learned as it should be."""
    rng = np.random.default_rng(5)
    left, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    right, _ = np.linalg.qr(rng.standard_normal((60, 4)))
    values = np.array([1.0, 1e-3, 1e-6, 1e-10])
    x = (left * values) @ right.T
    p = Predictor(Setting(Linear(), GradientFlow()), x.T, initial_weight=np.zeros((4, 4)))
    assert p.spectrum.ranks == [4]
    assert np.allclose(p.spectrum.values[0], values, rtol=0, atol=60 * np.finfo(float).eps)
    assert norm(p.theta(math.inf)[0] - np.eye(4)) <= Budget(p).evaluation(math.inf)


def test_an_error_curve_never_holds_all_outputs():
    p = Predictor(Setting(Linear(), GradientFlow()), np.random.default_rng(0).standard_normal((4, 400)))
    x, times = np.random.default_rng(1).standard_normal((50, 400)), np.linspace(0, 1, 1500)
    p.error(x[:1], times[:2])
    tracemalloc.start()
    p.error(x, times)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.6 * 8 * len(times) * x.size  # the outputs alone would be 240 MB


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p, x: p.predict(x, [0, 1], max_memory=100), r"max_memory must be at least \d+ bytes for this result"),
        (lambda p, x: p.error(x, [0, 1], max_memory=100), r"max_memory must be at least \d+ bytes for one time"),
        (lambda p, x: p.predict(x, [0, 1], out=np.empty((3, 1))), r"out must be an array of shape \(2, 2, 1, 6, 6\)"),
        (lambda p, x: p.weight([0, 1], out=[0]), "out must be a numpy array for device None"),
        (
            lambda p, x: p.weight([0, 1], out=np.empty((2, 1, 1, 3, 3), int)),
            "out must be an array of float64 or float32",
        ),
        (lambda p, x: p.weight([0], out=np.broadcast_to(0.0, (1, 1, 1, 3, 3))), "out must be writable"),
        (lambda p, x: p.error(x, [0], max_memory="1GB"), "max_memory must be a number above 0"),
        (lambda p, x: p.predict(x, [0], max_memory=float("nan")), "max_memory must be a number above 0"),
        (lambda p, x: p.on(dtype="float32").predict(1e30 * x, [0]), "dtype must be float64 for data of size"),
        (lambda p, x: p.on(dtype="float16"), "dtype must be one of"),
        (lambda p, x: p.on(device="nowhere"), "device must be one that torch can use"),
    ],
)
def test_bad_requests_are_refused_in_words(call, words):
    p = Predictor(Setting(Conv(3), GradientFlow()), images())
    with pytest.raises(SettingError, match=words):
        call(p, images(2))


def test_the_backend_of_the_constructor_is_that_of_the_results():
    torch = pytest.importorskip("torch")
    setting = Setting(CircularConv(), GradientDescent(1e-3))
    p = Predictor(setting, images(), seed=1, device="cpu", dtype="float32")
    outputs = p.predict(images(2), [0, 5])
    assert isinstance(outputs, torch.Tensor)
    assert outputs.dtype == torch.float32
    plain = Predictor(setting, images(), seed=1)
    assert plain.backend == Backend()
    assert norm(outputs.numpy() - plain.predict(images(2), [0, 5])) <= 2 * formed_bound(
        plain, images(2), EPS["float32"]
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("layer", [Linear(bias=True), Conv(3), CircularConv()], ids=lambda layer: layer.kind)
def test_a_device_forms_what_numpy_forms(device, layer, dtype):
    p = Predictor(Setting(layer, GradientFlow(), weight_decay=0.1), layer.arrange(images(2)), seed=3)
    x, times = layer.arrange(images(4, seed=1)), times_of(p)
    there = p.on(device, dtype)
    outputs = there.predict(x, times)
    assert outputs.device.type == device
    assert norm(outputs.cpu().numpy() - p.predict(x, times)) <= len(times) * formed_bound(p, x, EPS[dtype])
    assert np.allclose(
        there.error(x, times), p.error(x, times), rtol=2e4 * EPS[dtype], atol=0
    )  # 36 squares of sums of 37
    out = outputs.new_empty(outputs.shape)
    assert there.predict(x, times, out=out) is out
    assert norm((out - outputs).cpu().numpy()) == 0


def test_given_targets_of_tall_data_have_the_least_squares_loss():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((90, 3)), rng.standard_normal((90, 2))
    p = Predictor(Setting(Linear(), GradientFlow(), Given()), x, y)
    best = np.linalg.lstsq(x, y)[1].sum() / 2
    assert p.loss([math.inf])[0] == pytest.approx(best, rel=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_laws_of_the_error_are_numpys_wherever_outputs_are_formed(dtype):
    pytest.importorskip("torch")
    x = np.random.default_rng(7).standard_normal((3, 4))
    p = Predictor(Setting(Linear(), GradientFlow()), x[:1])
    there = p.on("cpu", dtype)
    assert there.error_law(x[1], 1.0, 0.1).mean() == p.error_law(x[1], 1.0, 0.1).mean()
    assert (there.expected_error(x, 1.0, 0.1) == p.expected_error(x, 1.0, 0.1)).all()
    assert (there.expected_cosine(x, x, 1.0, 0.1) == p.expected_cosine(x, x, 1.0, 0.1)).all()


def test_an_error_curve_keeps_to_its_memory():
    p = Predictor(Setting(Linear(), GradientFlow()), np.random.default_rng(0).standard_normal((4, 400)))
    x, times = np.random.default_rng(1).standard_normal((50, 400)), np.linspace(0, 1, 400)
    p.error(x[:1], times[:2])
    tracemalloc.start()
    p.error(x, times, max_memory=5e6)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Beside the limit: the examples, their target, the start's outputs and the modes, each below 1.3 MB.
    assert peak < 5e6 + 8 * 1.3e6
