"""From outside to a problem: promotion, shapes, starts, and one clear line for everything that does not fit."""

import numpy as np
import pytest

from numerics.arrays import check_times, real_array
from numerics.problem import assemble
from theory.errors import SettingError
from theory.layers import Conv, Layer, Linear
from theory.optimizers import GradientDescent, GradientFlow
from theory.setting import Setting
from theory.starts import Fixed, Gaussian, Zeros
from theory.targets import Constant, Given, Identity, LinearMap, Target

X = np.arange(1.0, 13.0).reshape(3, 4)
IMAGES = np.arange(96.0).reshape(2, 2, 4, 6)


def setting(layer: Layer = Linear(), target: Target = Identity(), **more) -> Setting:  # noqa: B008  (frozen)
    return Setting(layer, GradientFlow(), target, **more)


def assert_refuses(call, *words: str) -> None:
    """One line: argument · what it must be · what it is · the repair."""
    with pytest.raises(SettingError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    verb = " needs " if " needs " in message else " must "
    assert message.index(verb) < message.index(", but ") < len(message) - 1
    assert message.endswith((".", "?"))
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "longdouble", "int8", "uint8", "int32", "uint64", "bool"]
)
def test_every_real_dtype_is_promoted_to_float64(dtype: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    problem = assemble(setting(target=Given()), array, array, array[:1].repeat(3, axis=0), seed=1)
    for part in (problem.inputs, problem.targets, problem.start, problem.features, problem.columns):
        assert part.dtype == np.float64
    assert np.array_equal(problem.inputs, array.astype(np.float64))
    assert np.array_equal(problem.start[0], array[:1].repeat(3, axis=0))


def test_nested_lists_and_big_endian_arrays_are_arrays() -> None:
    for value in (X.tolist(), X.astype(">f4"), np.asfortranarray(X), X[::-1][::-1]):
        assert np.array_equal(assemble(setting(), value).inputs, X)


def test_data_are_copied_so_that_later_changes_do_not_reach_the_problem() -> None:
    mine = X.copy()
    problem = assemble(setting(), mine)
    mine[:] = 0
    assert np.array_equal(problem.inputs, X)
    weight = np.ones((4, 4))
    problem = assemble(setting(), X, None, weight)
    weight[:] = 0
    assert np.array_equal(problem.start, np.ones((1, 4, 4)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int16", "uint8", "bool"])
def test_torch_tensors_are_promoted_with_or_without_a_gradient(dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="tensors need torch")
    tensor = torch.tensor([[1, 0], [1, 1]]).to(getattr(torch, dtype))
    if tensor.is_floating_point():
        tensor.requires_grad_()
    array = real_array("inputs", tensor)
    assert array.dtype == np.float64
    assert array.tolist() == [[1, 0], [1, 1]]


def test_torch_parameter_can_be_the_start() -> None:
    torch = pytest.importorskip("torch", reason="tensors need torch")
    module = torch.nn.Conv2d(2, 2, 3, padding=1)
    problem = assemble(setting(Conv(3, bias=True)), IMAGES, None, module.weight, module.bias)
    weight, bias = problem.to_torch(problem.start)
    assert np.array_equal(weight, module.weight.detach().numpy())
    assert np.array_equal(bias, module.bias.detach().numpy())


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (X * 1j, ["complex128"]),
        (np.array([[1, None]], dtype=object), ["object"]),
        (np.array([["a"]]), ["<U1"]),
        ([[1.0, 2.0], [3.0]], ["differ in length"]),
        ([[1.0, np.nan]], ["finite", "(0, 1)", "nan"]),
        ([[1.0, 2.0], [-np.inf, 0.0]], ["finite", "(1, 0)", "-inf"]),
    ],
    ids=["complex", "object", "strings", "ragged", "nan", "infinite"],
)
@pytest.mark.parametrize("argument", ["inputs", "targets", "initial_weight", "initial_bias"])
def test_arrays_that_are_not_real_and_finite_are_refused(argument: str, bad, words: list[str]) -> None:
    good = {"inputs": X, "targets": X, "initial_weight": np.eye(4), "initial_bias": np.ones(4)}
    chosen = setting(Linear(bias=True), Given())
    assemble(chosen, **good)
    assert_refuses(lambda: assemble(chosen, **{**good, argument: bad}), argument, *words)


@pytest.mark.parametrize("empty", [np.ones((0, 4)), np.ones((4, 0)), np.ones(4), np.array(1.0), []])
def test_empty_training_set_or_missing_batch_axis_is_refused(empty) -> None:
    assert_refuses(lambda: assemble(setting(), empty), "inputs", "at least one example", str(np.shape(empty)))


ONES = np.ones
WRONG = {
    "image for a linear layer": (setting(), {"inputs": IMAGES}, ["inputs", "(N, features)", "(2, 4, 6)", "reshape"]),
    "rows for a convolution": (setting(Conv(3)), {"inputs": X}, ["inputs", "(N, C, *spatial)", "(4,)"]),
    "groups": (setting(Conv(3, groups=3)), {"inputs": IMAGES}, ["groups", "2", "3", "groups=1"]),
    "kernel too large": (setting(Conv(7, padding=0)), {"inputs": IMAGES}, ["kernel_size", "4 pixels", "span 7"]),
    "kernel of three axes": (setting(Conv((3, 3, 3))), {"inputs": IMAGES}, ["kernel_size", "2", "(3, 3, 3)"]),
    "reflection": (setting(Conv(9, padding_mode="reflect")), {"inputs": IMAGES}, ["padding", "at most 3", "4"]),
    "no targets": (setting(target=Given()), {"inputs": X}, ["targets", "given", "None"]),
    "targets too many": (setting(), {"inputs": X, "targets": X}, ["targets", "left out", "Identity()", "Given()"]),
    "rows of targets": (
        setting(target=Given()),
        {"inputs": X, "targets": ONES((2, 4))},
        ["targets", "(3, 4)", "(2, 4)"],
    ),
    "targets as one axis": (
        setting(target=Given()),
        {"inputs": X, "targets": ONES(3)},
        ["targets", "(3, 1)", "(3,)", "targets.reshape(3, 1)"],
    ),
    "targets without channels": (
        setting(target=Given()),
        {"inputs": X, "targets": ONES((3, 0))},
        ["targets", "positive multiple of 1", "0"],
    ),
    "positions of targets": (
        setting(Conv(3, padding="valid"), Given()),
        {"inputs": IMAGES, "targets": IMAGES},
        ["targets", "(2, 2, 2, 4)", "(2, 2, 4, 6)"],
    ),
    "channels of targets": (
        setting(Conv(3, groups=2), Given()),
        {"inputs": IMAGES, "targets": ONES((2, 3, 4, 6))},
        ["targets", "multiple of 2", "3"],
    ),
    "weight": (setting(), {"inputs": X, "initial_weight": ONES((4, 3))}, ["initial_weight", "(4, 4)", "(4, 3)"]),
    "flat weight": (
        setting(Conv(3)),
        {"inputs": IMAGES, "initial_weight": ONES((2, 18))},
        ["initial_weight", "(2, 2, 3, 3)", "(2, 18)", "initial_weight.reshape(2, 2, 3, 3)"],
    ),
    "bias": (
        setting(Linear(bias=True)),
        {"inputs": X, "initial_weight": np.eye(4), "initial_bias": ONES(3)},
        ["initial_bias", "(4,)", "(3,)"],
    ),
    "bias without a layer's": (
        setting(),
        {"inputs": X, "initial_weight": np.eye(4), "initial_bias": ONES(4)},
        ["initial_bias", "left out", "Linear(bias=False)", "bias=True"],
    ),
    "bias alone": (
        setting(Linear(bias=True)),
        {"inputs": X, "initial_bias": ONES(4)},
        ["initial_bias", "initial_weight", "None"],
    ),
    "nothing to start from": (setting(start=Fixed()), {"inputs": X}, ["initial_weight", "Fixed()", "None", "(4, 4)"]),
    "several examples to repeat": (setting(target=Constant()), {"inputs": X}, ["one training example", "3"]),
    "constant of another shape": (
        setting(Conv(3), Constant(ONES((1, 2, 2)))),
        {"inputs": IMAGES},
        ["target Constant", "4, 6)", "(1, 2, 2)"],
    ),
    "map of another size": (setting(target=LinearMap(np.eye(3))), {"inputs": X}, ["matrix", "4 columns", "(3, 3)"]),
    "negative seed": (setting(), {"inputs": X, "seed": -1}, ["seed", "at least 0", "-1"]),
    "fractional seed": (setting(), {"inputs": X, "seed": 1.5}, ["seed", "whole", "1.5"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_data_that_do_not_fit_get_one_clear_line(name: str) -> None:
    chosen, arguments, words = WRONG[name]
    assert_refuses(lambda: assemble(chosen, **arguments), *words)


def test_same_seed_draws_the_same_start_and_another_seed_another() -> None:
    chosen = setting(Linear(bias=True), start=Gaussian(1.0))
    first, again, other = (assemble(chosen, X, seed=seed).start for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.isin(first, other).any()


def test_seed_is_unused_where_a_start_is_passed() -> None:
    one, two = (assemble(setting(), X, None, np.eye(4), seed=seed).start for seed in (0, 1))
    assert np.array_equal(one, two)


def test_bias_of_a_given_weight_starts_at_zero_unless_given() -> None:
    chosen = setting(Linear(bias=True))
    assert np.array_equal(assemble(chosen, X, None, np.eye(4)).start[0], np.eye(4, 5))
    bias = np.arange(4.0)
    assert np.array_equal(assemble(chosen, X, None, np.eye(4), bias).start[0, :, -1], bias)


def test_targets_are_what_the_setting_says() -> None:
    matrix = np.arange(8.0).reshape(2, 4)
    assert np.array_equal(assemble(setting(), X).targets, X)
    assert np.array_equal(assemble(setting(target=LinearMap(matrix)), X).targets, X @ matrix.T)
    assert np.array_equal(assemble(setting(target=Constant()), X[:1]).targets, X[:1])
    assert np.array_equal(assemble(setting(target=Constant([5.0])), X).targets, np.full((3, 1), 5.0))
    assert np.array_equal(assemble(setting(target=Given()), X, X[:, :2]).targets, X[:, :2])


def test_constant_without_a_value_is_filled_in_once_and_for_all() -> None:
    problem = assemble(setting(target=Constant()), X[:1])
    assert problem.setting.target == Constant(X[0])


@pytest.mark.parametrize(("loss", "scale"), [("half_sum", 1.0), ("mse", 2 / 96)])
def test_loss_scale_counts_every_entry_of_the_targets(loss: str, scale: float) -> None:
    assert assemble(setting(Conv(3), loss=loss), IMAGES).scale == scale


LAYERS = [Linear(bias=True), Conv(3, groups=2, bias=True), Conv((1, 3), stride=(2, 1), padding=(0, 2)), Conv(2)]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_blocks_and_torchs_layout_are_inverse_to_each_other(layer: Layer) -> None:
    inputs = X if isinstance(layer, Linear) else IMAGES
    outputs = np.ones((len(inputs), *layer.output_shape(inputs.shape[1:], 4)))
    problem = assemble(setting(layer, Given(), start=Gaussian(1.0)), inputs, outputs)
    weight, bias = problem.to_torch(problem.start)
    assert weight.shape == layer.weight_shape(inputs.shape[1:], 4)
    back = problem.to_blocks(weight[None], None if bias is None else bias[None])
    assert np.array_equal(back[0], problem.start)


@pytest.mark.parametrize("loss", ["half_sum", "mse"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_gradient_is_what_autograd_finds(layer: Layer, loss: str) -> None:
    torch = pytest.importorskip("torch", reason="autograd is torch's")
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2, 4) if isinstance(layer, Linear) else (2, 2, 4, 6))
    outputs = rng.standard_normal((2, *layer.output_shape(inputs.shape[1:], 4)))
    chosen = Setting(layer, GradientDescent(0.1), Given(), loss, 0.7, Gaussian(1.0))
    problem = assemble(chosen, inputs, outputs, seed=1)
    parts = [torch.tensor(part, requires_grad=True) for part in problem.to_torch(problem.start) if part is not None]
    options = dict(layer.torch_module(inputs.shape[1:], 4).arguments)
    call = torch.nn.functional.linear if isinstance(layer, Linear) else torch.nn.functional.conv2d
    kept = {key: value for key, value in options.items() if key in ("stride", "padding", "dilation", "groups")}
    torch_inputs = torch.tensor(inputs)
    if layer == Conv(2):  # torch's "same": one more pixel at the end; spelled out, because torch warns of the copy
        torch_inputs, kept["padding"] = torch.nn.functional.pad(torch_inputs, (0, 1, 0, 1)), 0
    gap = call(torch_inputs, *parts, **kept) - torch.tensor(outputs)
    value = 0.5 * (gap**2).sum() if loss == "half_sum" else (gap**2).mean()
    (value + 0.35 * sum((part**2).sum() for part in parts)).backward()
    weight, bias = (part.grad.numpy() if part is not None else None for part in (*parts, None)[:2])
    expected = problem.to_blocks(weight[None], None if bias is None else bias[None])[0]
    # γ_n of both products, each side: n = d + M + 10 operations, of the sizes that enter (Higham, 3.1).
    _, d, m = problem.features.shape
    sizes = [np.linalg.norm(part) for part in (problem.start, problem.features, problem.columns)]
    scale = problem.scale * (sizes[0] * sizes[1] + sizes[2]) * sizes[1] + 0.7 * sizes[0]
    assert np.linalg.norm(problem.gradient(problem.start) - expected) <= 2 * (d + m + 10) * 2.0**-53 * scale


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_default_start_fills_the_range_of_torchs_own(layer: Layer) -> None:
    torch = pytest.importorskip("torch", reason="fan in is torch's")
    shape = (4,) if isinstance(layer, Linear) else (2, 4, 6)
    module = getattr(torch.nn, "Linear" if isinstance(layer, Linear) else "Conv2d")
    weight = module(**layer.torch_module(shape, 400).arguments).weight
    bound = torch.nn.init._calculate_correct_fan(weight, "fan_in") ** -0.5
    examples = np.ones((1, *shape))
    outputs = np.zeros((1, *layer.output_shape(shape, 400)))
    start = assemble(setting(layer, Given()), examples, outputs).start
    # The largest of at least 800 uniform numbers is below 97 % of their bound with probability 0.97^800 < 1e-10.
    assert 0.97 * bound <= np.abs(start).max() <= bound
    assert 0.97 * bound <= np.abs(weight.detach().numpy()).max() <= bound * (1 + 2**-20)  # torch's own, in float32


def test_examples_of_another_shape_are_refused_by_name() -> None:
    problem = assemble(setting(Conv(3)), IMAGES)
    assert np.array_equal(problem.check_examples(IMAGES[:1]), IMAGES[:1])
    for bad in (IMAGES[0], IMAGES[:, :, :3], X, np.array(1.0)):
        assert_refuses(lambda bad=bad: problem.check_examples(bad, "probe"), "probe", str(bad.shape), "(2, 4, 6)"[1:])


def test_zero_start_is_zero_and_draws_a_bias_too() -> None:
    assert not assemble(setting(Linear(bias=True), start=Zeros()), X).start.any()


@pytest.mark.parametrize(
    ("times", "discrete", "words"),
    [
        ([-1.0], False, ["times", "at least 0", "-1"]),
        ([np.nan], False, ["times", "nan"]),
        (["1"], False, ["times", "list of numbers"]),
        ([[1.0]], False, ["times", "list of numbers"]),
        ([True], False, ["times", "True"]),
        ([2.5], True, ["steps", "whole", "2.5", "GradientFlow"]),
        ([-2], True, ["steps", "-2"]),
    ],
)
def test_times_that_are_none_are_refused(times, discrete: bool, words: list[str]) -> None:
    assert_refuses(lambda: check_times(times, discrete=discrete), *words)


def test_infinity_is_a_time_unless_it_is_not_allowed() -> None:
    assert check_times([0, np.inf], discrete=True).tolist() == [0, np.inf]
    assert check_times(3, discrete=False).tolist() == [3]
    assert_refuses(lambda: check_times(np.inf, discrete=False, allow_infinity=False), "times", "finite", "inf")
