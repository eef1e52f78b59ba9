"""Training: the same bits as a plain torch loop, and nothing lost when it diverges."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from empirical.crosscheck import check_training
from empirical.train import companion, train, train_problem
from numerics.predictor import Predictor
from numerics.problem import assemble
from theory.errors import SettingError
from theory.layers import Conv, Layer, Linear
from theory.optimizers import Adam, GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.starts import Gaussian, Orthogonal, TorchDefault
from theory.targets import Given, Identity

torch = pytest.importorskip("torch", reason="training needs torch")
torch.set_num_threads(1)  # these problems are tiny; threads that wait for each other would take most of the time
nn = torch.nn

# Each layer with an example's shape, the output's shape and torch's own module, written out by hand.
LAYERS = {
    "linear": (Linear(), (4,), (3,), lambda: nn.Linear(4, 3, bias=False)),
    "linear with bias": (Linear(bias=True), (4,), (3,), lambda: nn.Linear(4, 3)),
    "conv 1d": (Conv(3), (2, 7), (3, 7), lambda: nn.Conv1d(2, 3, 3, padding=1, bias=False)),
    "conv 1d strided, dilated, valid": (
        Conv(2, stride=2, padding="valid", dilation=3, bias=True),
        (2, 9),
        (3, 3),
        lambda: nn.Conv1d(2, 3, 2, stride=2, dilation=3),
    ),
    "conv 2d": (Conv(3), (1, 5, 4), (1, 5, 4), lambda: nn.Conv2d(1, 1, 3, padding=1, bias=False)),
    "conv 2d with bias, oblong": (
        Conv((3, 1), bias=True),
        (2, 4, 5),
        (2, 4, 5),
        lambda: nn.Conv2d(2, 2, (3, 1), padding=(1, 0)),
    ),
    "conv 2d strided": (
        Conv(3, stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        (2, 5, 6),
        (3, 3, 6),
        lambda: nn.Conv2d(2, 3, 3, stride=(2, 1), padding=(1, 2), dilation=(1, 2), bias=False),
    ),
    "conv 2d in groups": (
        Conv(3, groups=2, bias=True),
        (4, 3, 4),
        (6, 3, 4),
        lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2),
    ),
    "conv 2d reflected": (
        Conv(3, padding_mode="reflect"),
        (1, 4, 4),
        (2, 4, 4),
        lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect", bias=False),
    ),
    "conv 2d replicated": (
        Conv(5, padding_mode="replicate"),
        (1, 4, 4),
        (2, 4, 4),
        lambda: nn.Conv2d(1, 2, 5, padding=2, padding_mode="replicate", bias=False),
    ),
    "conv 2d circular": (
        Conv(3, padding_mode="circular"),
        (2, 4, 4),
        (2, 4, 4),
        lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular", bias=False),
    ),
    "conv 2d of even size": (
        Conv((2, 4)),
        (1, 4, 5),
        (2, 4, 5),
        lambda: nn.Conv2d(1, 2, (2, 4), padding="same", bias=False),
    ),
    "conv 3d": (Conv(3), (1, 3, 4, 3), (2, 3, 4, 3), lambda: nn.Conv3d(1, 2, 3, padding=1, bias=False)),
}
RUNS = {
    "descent": (GradientDescent(0.01), {"lr": 0.01}, "half_sum", 0.0, "float64"),
    "momentum": (HeavyBall(0.01, 0.9), {"lr": 0.01, "momentum": 0.9}, "half_sum", 0.0, "float32"),
    "descent on the mean, with decay": (GradientDescent(0.3), {"lr": 0.3}, "mse", 0.05, "float32"),
    "momentum on the mean, with decay": (HeavyBall(0.1, 0.5), {"lr": 0.1, "momentum": 0.5}, "mse", 0.2, "float64"),
}
SGD = Setting(Linear(), GradientDescent(0.05))


def examples(shape: tuple[int, ...], count: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, *shape)) / np.sqrt(np.prod(shape))


def plain_loop(module, algorithm, x, y, start, *, loss, steps):
    """Losses, weights and biases at every step, the start included, by a loop as anybody would write it."""
    kept = []
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), start, strict=True):
            parameter.copy_(torch.as_tensor(value))
    for _ in range(steps + 1):
        algorithm.zero_grad()
        difference = module(x) - y
        value = (difference**2).mean() if loss == "mse" else (difference**2).sum() / 2
        kept.append([value.item(), *(p.detach().clone().numpy() for p in module.parameters())])
        value.backward()
        algorithm.step()
    return [np.array(column) for column in zip(*kept, strict=True)]


def assert_reads_as_an_error(error: pytest.ExceptionInfo, *words: str) -> None:
    """One line: argument · what it must be · what it is · the repair."""
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert message.index(" must ") < message.index(", but ")
    for word in words:
        assert word in message


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # the plain loop's own
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", LAYERS)
def test_training_equals_a_plain_torch_loop_bit_for_bit(name: str, run: str) -> None:
    layer, shape, output, module = LAYERS[name]
    optimizer, arguments, loss, decay, dtype = RUNS[run]
    x, y = examples(shape), examples(output, seed=1)
    setting = Setting(layer, optimizer, Given(), loss, decay, Gaussian(0.5))
    result = train(setting, x, y, seed=3, steps=12, record=range(13), device="cpu", dtype=dtype)

    network = module().to(getattr(torch, dtype))
    algorithm = torch.optim.SGD(network.parameters(), weight_decay=decay, **arguments)
    start = [result.weights[0]] + ([] if result.biases is None else [result.biases[0]])
    tensors = (torch.tensor(a, dtype=getattr(torch, dtype)) for a in (x, y))
    losses, weights, *biases = plain_loop(network, algorithm, *tensors, start, loss=loss, steps=12)

    assert result.weights.dtype == dtype
    assert np.array_equal(result.weights, weights)
    assert (result.biases is None) == (not biases)
    assert not biases or np.array_equal(result.biases, biases[0])
    if loss == "half_sum":
        assert np.array_equal(result.losses, losses.astype(dtype))
    else:  # mse_loss may add up its squares in another order: γ_n of a sum of n positive terms, twice
        unit = np.finfo(dtype).eps / 2
        assert np.all(np.abs(result.losses - losses) <= 2 * (y.size + 3) * unit * losses)
    assert not np.array_equal(result.weights[0], result.weights[-1])


def test_identity_target_is_the_input_itself() -> None:
    x = examples((2, 4, 4))
    setting = Setting(Conv(3, bias=True), GradientDescent(0.05), start=TorchDefault())
    mine = train(setting, x, seed=1, steps=5, device="cpu")
    by_hand = train(replace(setting, target=Given()), x, x, seed=1, steps=5, device="cpu")
    assert np.array_equal(mine.weights, by_hand.weights)
    assert np.array_equal(mine.biases, by_hand.biases)


def test_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, again, other = (train(SGD, examples((4,)), seed=s, steps=20, device="cpu") for s in (7, 7, 8))
    assert np.array_equal(first.weights, again.weights)
    assert np.array_equal(first.losses, again.losses)
    assert not np.array_equal(first.weights, other.weights)


@pytest.mark.parametrize("start", [TorchDefault(), Gaussian(0.3), Orthogonal()], ids=str)
@pytest.mark.parametrize("layer", [Linear(bias=True), Conv(3, groups=2, bias=True)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_drawn_start_is_the_predictors_for_the_same_seed(layer: Layer, start, dtype: str) -> None:
    x = examples((4,) if isinstance(layer, Linear) else (2, 4, 4))
    setting = Setting(layer, GradientDescent(0.01), start=start)
    run = train(setting, x, seed=11, steps=1, device="cpu", dtype=dtype)
    predictor = Predictor(setting, x, seed=11)
    assert np.array_equal(run.weights[0], predictor.weight(0)[0].astype(dtype))
    assert np.array_equal(run.biases[0], predictor.bias(0)[0].astype(dtype))
    assert not np.array_equal(run.weights[0], Predictor(setting, x, seed=12).weight(0)[0].astype(dtype))


def test_a_start_that_is_passed_is_the_start() -> None:
    weight, bias = np.arange(12.0).reshape(3, 4), np.array([1.0, 2.0, 3.0])
    setting = Setting(Linear(bias=True), GradientDescent(0.05), Given())
    run = train(setting, examples((4,)), examples((3,)), weight, bias, steps=0, device="cpu")
    assert np.array_equal(run.weights, [weight])
    assert np.array_equal(run.biases, [bias])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(0, [0]), (1, [0, 1]), (3, [0, 1, 2, 3]), (100, list(range(0, 101, 10))), (1000, list(range(0, 1001, 100)))],
)
def test_eleven_evenly_spaced_steps_are_recorded_unless_said(steps: int, expected: list[int]) -> None:
    run = train(SGD, examples((4,)), steps=steps, device="cpu")
    assert run.steps.tolist() == expected
    assert len(run.weights) == len(run.losses) == len(expected)


def test_recorded_steps_are_ascending_without_repeats_and_match_shorter_runs() -> None:
    x = examples((4,))
    run = train(SGD, x, steps=30, record=[25, 3, 3, 0], device="cpu")
    assert run.steps.tolist() == [0, 3, 25]
    for index, step in enumerate(run.steps.tolist()):
        shorter = train(SGD, x, steps=step, record=[step], device="cpu")
        assert np.array_equal(run.weights[index], shorter.final)
    assert np.array_equal(run.final, run.weights[2])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["half_sum", "mse"])
def test_diverged_run_is_flagged_and_keeps_what_was_recorded_before(loss: str, dtype: str) -> None:
    setting = replace(SGD, optimizer=GradientDescent(500.0), loss=loss)
    x = examples((4,))
    run = train(setting, x, steps=3000, record=range(3001), device="cpu", dtype=dtype)
    assert run.diverged
    assert 3 <= len(run.steps) < 3000
    assert run.steps.tolist() == list(range(len(run.steps)))
    assert np.isfinite(run.weights).all()
    assert np.isfinite(run.losses).all()
    short = train(setting, x, steps=2, record=range(3), device="cpu", dtype=dtype)
    assert not short.diverged
    assert np.array_equal(run.weights[:3], short.weights)


@pytest.mark.parametrize(("steps", "record"), [(3000, [3000]), (50, [0]), (130, [0, 1])])
def test_divergence_is_seen_between_recorded_steps(steps: int, record: list[int]) -> None:
    setting = replace(SGD, optimizer=GradientDescent(1e8))
    run = train(setting, examples((4,)), steps=steps, record=record, device="cpu", dtype="float32")
    assert run.diverged
    assert run.steps.tolist() == [step for step in record if step < 3]
    assert run.weights.shape == (len(run.steps), 4, 4)
    assert run.losses.shape == (len(run.steps),)


def test_final_weight_of_a_run_that_recorded_nothing_is_an_error() -> None:
    setting = replace(SGD, optimizer=GradientDescent(1e8))
    run = train(setting, examples((4,)), steps=3000, record=[3000], device="cpu")
    with pytest.raises(SettingError) as error:
        _ = run.final
    assert_reads_as_an_error(error, "record", "diverged")


def test_adam_trains_as_torchs_adam() -> None:
    x = examples((4,), count=3)
    setting = Setting(Linear(bias=True), Adam(0.01), weight_decay=0.1)
    run = train(setting, x, seed=2, steps=200, record=range(201), device="cpu")
    network = nn.Linear(4, 4).double()
    algorithm = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=0.1)
    start = [run.weights[0], run.biases[0]]
    _, weights, biases = plain_loop(
        network, algorithm, torch.tensor(x), torch.tensor(x), start, loss="half_sum", steps=200
    )
    assert np.array_equal(run.weights, weights)
    assert np.array_equal(run.biases, biases)
    assert run.losses[-1] < run.losses[0]


def test_flow_is_trained_by_gradient_descent_at_the_given_rate() -> None:
    x = examples((4,))
    flow = train(replace(SGD, optimizer=GradientFlow()), x, steps=20, learning_rate=0.05, device="cpu")
    assert flow.optimizer == GradientDescent(0.05)
    assert np.array_equal(flow.weights, train(SGD, x, steps=20, device="cpu").weights)


def test_progress_hears_of_the_steps() -> None:
    heard: list[int] = []
    train(SGD, examples((4,)), steps=200, record=[0, 200], device="cpu", progress=heard.append)
    assert heard == [0, 64, 128, 192, 200]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dtype": "float16"}, ["dtype", "'float64'", "'float32'", "'float16'"]),
        ({"device": "gpu"}, ["device", "'cuda'", "'gpu'"]),
        ({"steps": -1}, ["steps", "at least 0", "-1"]),
        ({"steps": 2.5}, ["steps", "whole", "2.5"]),
        ({"steps": np.inf}, ["steps", "at least 0", "inf"]),
        ({"steps": [10, 20]}, ["steps", "[10, 20]"]),
        ({"steps": 20, "record": 50}, ["record", "steps=20", "50"]),
        ({"steps": 10, "record": [11]}, ["record", "steps=10", "[11]"]),
        ({"steps": 10, "record": []}, ["record", "at least one", "[]"]),
        ({"record": [0.5]}, ["whole", "0.5"]),
        ({"learning_rate": 0.1}, ["learning_rate", "left out", "GradientDescent(learning_rate=0.05)", "0.1"]),
        ({"seed": -1}, ["seed", "at least 0", "-1"]),
        ({"initial_weight": np.ones((4, 3))}, ["initial_weight", "(4, 4)", "(4, 3)"]),
        ({"targets": np.ones((2, 4))}, ["targets", "left out", "Given()"]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_bad_arguments_get_one_clear_line(arguments: dict, words: list[str]) -> None:
    with pytest.raises(SettingError) as error:
        train(SGD, examples((4,)), **{"device": "cpu", **arguments})
    assert_reads_as_an_error(error, *words)


@pytest.mark.parametrize(("rate", "words"), [(None, ["given", "None"]), (0, ["above 0", "0"]), (-0.1, ["-0.1"])])
def test_flow_needs_a_positive_learning_rate(rate: float | None, words: list[str]) -> None:
    with pytest.raises(SettingError) as error:
        train(replace(SGD, optimizer=GradientFlow()), examples((4,)), learning_rate=rate)
    assert_reads_as_an_error(error, "learning_rate", *words)


def test_companion_of_a_descent_is_itself() -> None:
    assert companion(HeavyBall(0.1, 0.5), None) == HeavyBall(0.1, 0.5)


def test_training_without_torch_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SettingError) as error:
        train(SGD, examples((4,)))
    assert_reads_as_an_error(error, "torch", "pip install")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("layer", [Linear(), Conv(3, bias=True)], ids=str)
def test_training_on_a_gpu_stays_inside_the_budget(layer: Layer, dtype: str) -> None:
    x = examples((2, 8, 8)) if isinstance(layer, Conv) else examples((64,))
    predictor = Predictor(Setting(layer, HeavyBall(0.05, 0.5), Identity(), start=Gaussian(0.3)), x, seed=1)
    run = train_problem(predictor.problem, 100, device="cuda", dtype=dtype)
    assert run.device == "cuda"
    assert check_training(predictor, run).agrees


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_gpu_is_chosen_by_auto_and_repeats_itself() -> None:
    problem = assemble(Setting(Conv(3), GradientDescent(0.05)), examples((2, 8, 8)))
    first, again = (train_problem(problem, 50, device="auto", dtype="float32") for _ in range(2))
    assert first.device == "cuda"
    assert np.array_equal(first.weights, again.weights)
