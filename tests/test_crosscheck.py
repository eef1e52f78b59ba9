"""Trained against predicted: every honest loop agrees, every planted error disagrees."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from empirical.crosscheck import SENSITIVITY, CrossCheck, check_training, crosscheck, train_and_check
from empirical.train import train_problem
from numerics.budget import Budget, unit_roundoff
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Conv, Layer, Linear
from theory.optimizers import Descent, Flow, GradientDescent, GradientFlow, HeavyBall, Optimizer
from theory.schedules import Cosine, Expression
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given, Identity

torch = pytest.importorskip("torch", reason="the loops are torch's")
torch.set_num_threads(1)  # these problems are tiny; threads that wait for each other would take most of the time
functional = torch.nn.functional
# In float32 the budget of a few hundred steps of momentum can exceed the 1 % that a verdict needs.
STEPS = (0, 1, 2, 7, 20, 150)
COUNTS = {"float64": STEPS, "float32": STEPS[:-1]}


def plain(x, weight, bias, layer):
    """The layers of this file, each by the torch function that a user would call."""
    if isinstance(layer, Linear):
        return functional.linear(x, weight, bias)
    call = (functional.conv1d, functional.conv2d, functional.conv3d)[x.ndim - 3]
    padding = layer.padding
    if layer.padding_mode != "zeros":  # "same" with an odd kernel
        reach = layer.dilation * (layer.kernel_size - 1) // 2
        x, padding = functional.pad(x, (reach,) * 2 * (x.ndim - 2), mode=layer.padding_mode), 0
    return call(x, weight, bias, layer.stride, padding, layer.dilation, layer.groups)


def loop(predictor, steps=STEPS, *, dtype="float64", rate=None, factor=1.0, momentum=None):
    """Weights and biases at the steps, by a loop without torch.optim; ``factor`` plants a wrong loss scale."""
    setting, problem, kind = predictor.setting, predictor.problem, getattr(torch, dtype)
    optimizer = setting.optimizer
    rate = optimizer.learning_rate if rate is None else rate
    momentum = getattr(optimizer, "momentum", 0.0) if momentum is None else momentum
    x, y = torch.tensor(problem.inputs, dtype=kind), torch.tensor(problem.targets, dtype=kind)
    start = [part for part in problem.to_torch(problem.start) if part is not None]
    parameters = [torch.tensor(part, dtype=kind, requires_grad=True) for part in start]
    buffers, kept = [torch.zeros_like(p) for p in parameters], {}
    for step in range(max(steps) + 1):
        kept[step] = [p.detach().clone().numpy() for p in parameters]
        gap = plain(x, parameters[0], parameters[1] if len(parameters) > 1 else None, setting.layer) - y
        loss = factor * ((gap**2).sum() / 2 if setting.loss == "half_sum" else (gap**2).mean())
        loss = loss + setting.weight_decay / 2 * sum((p**2).sum() for p in parameters)
        for index, gradient in enumerate(torch.autograd.grad(loss, parameters)):
            buffers[index] = momentum * buffers[index] + gradient
            parameters[index] = (parameters[index] - rate * buffers[index]).detach().requires_grad_()
    weights = np.array([kept[step][0] for step in steps])
    return weights, np.array([kept[step][1] for step in steps]) if setting.layer.bias else None


def checked(p, steps=STEPS, dtype="float64", rate=None) -> CrossCheck:
    """An honest loop against its prediction."""
    return crosscheck(p, steps, *loop(p, steps, dtype=dtype, rate=rate), dtype=dtype, learning_rate=rate)


def predictor(
    layer: Layer = Conv(3, bias=True),  # noqa: B008  (frozen)
    shape: tuple[int, ...] = (2, 4, 4),
    optimizer: Optimizer = GradientDescent(1.0),  # noqa: B008
    share: float = 0.45,
    *,
    loss: str = "half_sum",
    decay: float = 0.0,
    outputs: int | None = 2,
    count: int = 3,
    data: np.ndarray | None = None,
) -> Predictor:
    """A prediction; a descent gets the stated share of the learning rate at which it would stop converging."""
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 1, (count, *shape)) if data is None else data
    target, y = Identity(), None
    if outputs:
        target = Given()
        y = rng.standard_normal((len(x), *layer.output_shape(x.shape[1:], outputs)))
    setting = Setting(layer, optimizer, target, loss, decay, Gaussian(0.5))
    if isinstance(optimizer, Descent):
        probe = Predictor(replace(setting, optimizer=optimizer.with_values(learning_rate=1e-9)), x, y)
        optimizer = optimizer.with_values(learning_rate=share * probe.max_learning_rate)
    return Predictor(replace(setting, optimizer=optimizer), x, y, seed=2)


def flat(p: Predictor) -> float:
    return float(p.rates.max())


LAYERS = {
    "linear": (Linear(), (5,)),
    "linear with bias": (Linear(bias=True), (5,)),
    "1d": (Conv(4, padding="valid", bias=True), (2, 9)),
    "2d": (Conv(3), (2, 4, 4)),
    "2d strided": (Conv(3, stride=2, padding=1, bias=True), (2, 6, 5)),
    "2d dilated": (Conv(3, dilation=2), (1, 6, 6)),
    "2d grouped": (Conv(3, groups=2, bias=True), (4, 4, 4)),
    "2d reflected": (Conv(3, padding_mode="reflect"), (1, 4, 5)),
    "2d replicated": (Conv(5, padding_mode="replicate"), (1, 4, 5)),
    "2d circular, dilated": (Conv(3, padding_mode="circular", dilation=2, bias=True), (1, 5, 5)),
    "3d": (Conv((3, 1, 3)), (1, 3, 4, 3)),
}
OPTIMIZERS = {
    "descent": (GradientDescent(1.0), 0.45),
    "descent, overshooting": (GradientDescent(1.0), 0.9),  # η·s_max = 1.8
    "heavy ball 0.9": (HeavyBall(1.0, 0.9), 0.5),
    "heavy ball 0.5 near its limit": (HeavyBall(1.0, 0.5), 0.97),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", LAYERS)
def test_prediction_agrees_with_a_plain_loop(name: str, optimizer: str, dtype: str) -> None:
    p = predictor(*LAYERS[name], *OPTIMIZERS[optimizer])
    check = checked(p, COUNTS[dtype], dtype)
    assert check.agrees, str(check)
    assert (check.budgets <= SENSITIVITY * check.size).all()


BLANK = np.concatenate([np.random.default_rng(1).uniform(0, 1, (2, 1, 4, 4)), np.zeros((2, 1, 4, 4))], axis=1)
PROBLEMS = {
    "one example": {"count": 1},
    "many examples": {"count": 12},
    "identity target": {"outputs": None},
    "identity in groups": {"layer": Conv(3, groups=2), "outputs": None},
    "mean loss": {"loss": "mse"},
    "decay": {"decay": 0.3},
    "decay on the mean": {"loss": "mse", "decay": 0.01},
    "blank channel": {"data": BLANK},
    "blank channel, decay": {"data": BLANK, "decay": 0.5},
    "fewer examples than features, decay": {"layer": Linear(bias=True), "shape": (12,), "decay": 0.1},
    "one example twice": {"layer": Linear(), "shape": (6,), "data": np.ones((2, 6))},
    "zero example": {"layer": Linear(), "shape": (4,), "data": np.zeros((1, 4)), "decay": 0.1},
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", ["descent", "heavy ball 0.9"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_prediction_agrees_on_every_kind_of_problem(name: str, optimizer: str, dtype: str) -> None:
    chosen, share = OPTIMIZERS[optimizer]
    p = predictor(**{"optimizer": chosen, "share": share, **PROBLEMS[name]})
    check = checked(p, COUNTS[dtype], dtype)
    assert check.agrees, str(check)


@pytest.mark.parametrize("nudge", [-1e-3, -1e-9, 0.0, 1e-9, 1e-3])
@pytest.mark.parametrize("momentum", [0.3, 0.9])
def test_prediction_agrees_at_and_beside_a_double_root(momentum: float, nudge: float) -> None:
    x = np.array([[1.0, 0.0], [0.0, 0.5]])  # rates 1 and 1/4
    double = (1 - np.sqrt(momentum)) ** 2 * (1 + nudge)
    setting = Setting(Linear(), HeavyBall(float(double), momentum), start=Gaussian(1.0))
    p = Predictor(setting, x, seed=1)
    check = checked(p)
    assert check.agrees, str(check)


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.25, 1.5, 1.999])
def test_prediction_agrees_up_to_the_edge_of_divergence(rate: float) -> None:
    p = Predictor(Setting(Linear(), GradientDescent(rate), start=Gaussian(1.0)), [[1.0, 0.0]], seed=1)
    check = checked(p)
    assert check.agrees, str(check)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["linear with bias", "2d strided", "2d circular, dilated"])
def test_flow_agrees_at_a_rate_and_at_its_half(name: str, dtype: str) -> None:
    p = predictor(*LAYERS[name], GradientFlow())
    # The bound on a mode is at most x/2 of its travel: x = 0.002 keeps it under the 1 % that a verdict needs.
    for rate in (0.002 / flat(p), 0.001 / flat(p)):
        check = checked(p, (0, 5, 300), dtype, rate)
        assert check.agrees, str(check)


def test_gap_between_flow_and_descent_halves_with_the_learning_rate() -> None:
    """One mode: the gap is e^{-t}(tx/2 + O(x²)), so the ratio is 2(1 + x(1/3 - t/8) + O(x²)) at t = 1, within 2 ± x."""
    p = Predictor(Setting(Linear(), GradientFlow(), start=Gaussian(1.0)), [[1.0]], seed=1)
    for x in (0.08, 0.04, 0.02):
        gaps = [checked(p, (k,), rate=rate).distances[0] for rate, k in ((x, round(1 / x)), (x / 2, round(2 / x)))]
        assert abs(gaps[0] / gaps[1] - 2) < x


def wrong_weight(p, steps, dtype):
    weights, biases = loop(p, steps, dtype=dtype)
    error = np.random.default_rng(9).standard_normal(weights.shape[1:])
    sizes = np.array([np.linalg.norm(weight) for weight in weights]).reshape((-1,) + (1,) * error.ndim)
    return weights + 0.01 * sizes * error / np.linalg.norm(error), biases


def transposed(p, steps, dtype):
    weights, biases = loop(p, steps, dtype=dtype)
    return weights.swapaxes(-1, -2), biases


def scaled(p, steps, dtype, weight=1.01, bias=1.0):
    weights, biases = loop(p, steps, dtype=dtype)
    return weight * weights, bias * biases


def one_step_too_many(p, steps, dtype):
    return loop(p, tuple(step + 1 for step in steps), dtype=dtype)


PLANTED = {
    "weights off by 1 %": wrong_weight,
    "weights scaled by 1.01": scaled,
    "transposed kernel": transposed,
    "one step too many": one_step_too_many,
    "bias lost": lambda p, steps, dtype: scaled(p, steps, dtype, 1.0, 0.0),
    "loss without its half": lambda p, steps, dtype: loop(p, steps, dtype=dtype, factor=2.0),
    "mean for half the sum": lambda p, steps, dtype: loop(p, steps, dtype=dtype, factor=2 / p.problem.targets.size),
    "learning rate off by 1 %": lambda p, steps, dtype: loop(
        p, steps, dtype=dtype, rate=1.01 * p.setting.optimizer.learning_rate
    ),
    "momentum 0.9 for 0.89": lambda p, steps, dtype: loop(
        p, steps, dtype=dtype, momentum=0.9 if isinstance(p.setting.optimizer, HeavyBall) else 0.01
    ),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("optimizer", "share"), [(GradientDescent(1.0), 0.45), (HeavyBall(1.0, 0.89), 0.2)], ids=str)
@pytest.mark.parametrize("mistake", PLANTED)
def test_planted_mistake_disagrees(mistake: str, optimizer: Optimizer, share: float, dtype: str) -> None:
    p = predictor(optimizer=optimizer, share=share)
    steps = (3, 12)
    assert checked(p, steps, dtype).verdict == "agrees"
    check = crosscheck(p, steps, *PLANTED[mistake](p, steps, dtype), dtype=dtype)
    assert check.verdict == "disagrees", str(check)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mistake", ["weights off by 1 %", "weights scaled by 1.01", "transposed kernel"])
def test_planted_mistake_disagrees_for_a_flow(mistake: str, dtype: str) -> None:
    p = predictor(optimizer=GradientFlow())
    rate, steps = 0.002 / flat(p), (20, 400)
    companion = Predictor(
        replace(p.setting, optimizer=GradientDescent(rate)), p.problem.inputs, p.problem.targets, seed=2
    )
    assert crosscheck(p, steps, *loop(companion, steps, dtype=dtype), dtype=dtype, learning_rate=rate).agrees
    check = crosscheck(p, steps, *PLANTED[mistake](companion, steps, dtype), dtype=dtype, learning_rate=rate)
    assert check.verdict == "disagrees", str(check)


def test_every_planted_mistake_of_one_percent_disagrees_wherever_honest_weights_agree() -> None:
    for name, optimizer in itertools.product(("linear", "2d grouped", "2d dilated"), OPTIMIZERS):
        p = predictor(*LAYERS[name], *OPTIMIZERS[optimizer])
        for dtype in ("float64", "float32"):
            for step in COUNTS[dtype][1:]:  # nothing has been trained at step 0
                assert checked(p, (step,), dtype).agrees
                assert crosscheck(p, (step,), *wrong_weight(p, (step,), dtype), dtype=dtype).verdict == "disagrees"


def test_budget_that_is_too_loose_is_not_run_and_says_why() -> None:
    """A million float32 steps may drift by 3·10⁶ u = 18 % in the null space."""
    p = Predictor(Setting(Linear(), GradientDescent(0.5), start=Gaussian(1.0)), [[1.0, 0.0]], seed=1)
    steps = [10**6]
    check = crosscheck(p, steps, p.weight(steps), dtype="float32")
    assert check.verdict == "not run"
    assert not check.agrees
    assert "1 %" in check.reason
    assert str(check).startswith(f"not run ({check.reason})")
    assert crosscheck(p, steps, p.weight(steps), dtype="float64").agrees
    assert crosscheck(p, steps, 3 * p.weight(steps), dtype="float32").verdict == "disagrees"


def test_flow_without_a_derived_bound_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GradientFlow, "gap_bound", Flow.gap_bound)
    p = predictor(optimizer=GradientFlow())
    rate = 0.002 / flat(p)
    check = checked(p, (0,), rate=rate)
    assert check.verdict == "not run"
    assert "no discretisation bound is derived for GradientFlow" in check.reason


def test_worst_step_ratio_and_budget_belong_together() -> None:
    p = predictor()
    weights, biases = loop(p)
    weights[3] *= 1.5
    weights[4] *= 1.1
    check = crosscheck(p, STEPS, weights, biases)
    assert check.worst == STEPS[3]
    assert check.budget == check.budgets[3]
    assert check.ratio == check.distances[3] / check.budgets[3] == check.ratios.max()
    assert np.array_equal(check.steps, STEPS)
    assert f"at step {STEPS[3]}" in str(check)


def test_distance_is_the_norm_of_weight_and_bias_together() -> None:
    p = predictor()
    weights, biases = p.weight([7]), p.bias([7])
    weights[0, 0, 0, 0, 0] += 3.0
    biases[0, 1] -= 4.0
    check = crosscheck(p, [7], weights, biases)
    assert check.distances[0] == pytest.approx(5.0, rel=1e-14)  # two roundings of the entries, of size 1e-16
    predicted = np.concatenate([p.weight([7]).ravel(), p.bias([7]).ravel()])
    # Norms of the same 38 numbers, added in two orders.
    assert check.size[0] == pytest.approx(np.linalg.norm(predicted), rel=1e-14)


def test_distance_of_zero_is_no_disagreement_even_without_a_budget() -> None:
    one = np.ones(1)
    assert CrossCheck(one, 0 * one, 0 * one, one).agrees
    assert not CrossCheck(one, 1e-300 * one, 0 * one, one).agrees
    assert [CrossCheck(one, share * one, one, one).agrees for share in (0.99, 1.01)] == [True, False]


def test_budget_adds_rounding_evaluation_and_gap() -> None:
    p = predictor(optimizer=GradientFlow())
    rate, bounds = 0.002 / flat(p), Budget(p)
    check = checked(p, (50,), rate=rate)
    parts = [
        bounds.gap(rate, 50),
        bounds.rounding(50, unit_roundoff("float64"), GradientDescent(rate)),
        bounds.evaluation(50 * rate),
    ]
    assert check.budgets[0] == pytest.approx(sum(parts), rel=1e-15)  # a sum of three, in another order
    assert bounds.travel[-1] == 0  # without decay the null space stays where it is


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", [GradientDescent(1.0), HeavyBall(1.0, 0.9)], ids=str)
def test_own_training_of_a_descent_agrees(optimizer: Optimizer, dtype: str) -> None:
    p = predictor(optimizer=optimizer)
    check = train_and_check(p, 100, device="cpu", dtype=dtype)
    assert check.agrees, str(check)
    assert check.steps.tolist() == list(range(0, 101, 10))
    run = train_problem(p.problem, 100, device="cpu", dtype=dtype)
    assert np.array_equal(check_training(p, run).distances, check.distances)


def test_own_training_of_a_flow_runs_at_the_rate_and_at_its_half_and_keeps_the_worse() -> None:
    p = predictor(optimizer=GradientFlow())
    rate = 0.002 / flat(p)
    check = train_and_check(p, 300, learning_rate=rate, device="cpu")
    assert check.agrees, str(check)
    runs = [train_problem(p.problem, k, learning_rate=r, device="cpu") for r, k in ((rate, 300), (rate / 2, 600))]
    checks = [check_training(p, run, r) for run, r in zip(runs, (rate, rate / 2), strict=True)]
    assert check.ratio == max(c.ratio for c in checks)
    assert checks[0].distances[-1] > checks[1].distances[-1] > 0


def test_training_from_another_start_disagrees() -> None:
    p = predictor()
    run = train_problem(p.from_start(p.problem.start + 1e-3).problem, 30, device="cpu")
    assert check_training(p, run).verdict == "disagrees"


GOOD = predictor(Linear(bias=True), (2,), data=np.eye(2))
W, B = GOOD.weight([0, 3]), GOOD.bias([0, 3])


@pytest.mark.parametrize(
    ("steps", "weights", "biases", "options", "words"),
    [
        ([0, 3], W[:1], B, {}, ["weights must have shape (2, 2, 2)", "(1, 2, 2)"]),
        ([0, 3], W.reshape(2, 4), B, {}, ["weights", "(2, 4)", "weights.reshape(2, 2, 2)"]),
        ([0, 3], W, B[:1], {}, ["biases must have shape (2, 2)", "(1, 2)"]),
        ([0, 3], W, None, {}, ["biases must be given", "None"]),
        ([], W[:0], B[:0], {}, ["steps", "at least one", "empty"]),
        ([0, 2.5], W, B, {}, ["steps", "whole", "2.5"]),
        ([0, -3], W, B, {}, ["steps", "at least 0", "-3"]),
        ([0, np.inf], W, B, {}, ["steps", "finite", "inf"]),
        ([0, 3], W * 1j, B, {}, ["weights", "real", "complex"]),
        ([0, 3], W, B, {"dtype": "float16"}, ["dtype", "'float32'", "'float16'"]),
        ([0, 3], W, B, {"learning_rate": 0.1}, ["learning_rate", "left out", "GradientDescent", "0.1"]),
    ],
)
def test_bad_arguments_get_one_clear_line(steps, weights, biases, options, words) -> None:
    assert crosscheck(GOOD, [0, 3], W, B).agrees
    with pytest.raises(SettingError) as error:
        crosscheck(GOOD, steps, weights, biases, **options)
    message = str(error.value)
    assert "\n" not in message
    assert message.index(" must ") < message.index(", but ")
    for word in words:
        assert word in message


def test_bias_for_a_layer_without_one_is_refused() -> None:
    p = predictor(Linear(), (2,))
    with pytest.raises(SettingError, match=r"^biases must be left out for Linear\(bias=False\), but they are given"):
        crosscheck(p, [0], p.weight([0]), np.zeros((1, 2)))


def test_flow_without_a_learning_rate_or_with_a_large_one_is_refused() -> None:
    p = predictor(optimizer=GradientFlow())
    with pytest.raises(SettingError, match=r"^learning_rate must be given .*, but it is None"):
        crosscheck(p, [0], p.weight([0]), p.bias([0]))
    with pytest.raises(SettingError, match=r"^learning_rate must be at most 1/s_max"):
        crosscheck(p, [0], p.weight([0]), p.bias([0]), learning_rate=1.5 / flat(p))


# What a disagreement says, and where nothing can be seen


def own_weights(steps: int = 6):
    setting = Setting(Linear(), GradientDescent(0.1))
    x = np.random.default_rng(0).standard_normal((2, 3)) / 3
    p = Predictor(setting, x, seed=1)
    return p, np.arange(steps), p.weight(np.arange(steps))


def test_a_check_is_true_only_if_it_agrees():
    p, steps, weights = own_weights()
    assert crosscheck(p, steps, weights)
    assert not crosscheck(p, steps, 1.01 * weights)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: 1.5 * w, "the start differs"),
        (lambda w: np.concatenate([w[:1]] * len(w)), "were they copied"),
        (lambda w: w.astype(np.float32).astype(np.float64), "pass dtype='float32'"),
        (lambda w: np.concatenate([w[:3], 1.01 * w[3:]]), "first at step 3"),
    ],
)
def test_a_disagreement_says_what_it_looks_like(change, words):
    p, steps, weights = own_weights()
    changed = change(weights)
    changed[0] = weights[0] if "start" not in words and "float32" not in words else changed[0]
    check = crosscheck(p, steps, changed)
    assert check.verdict == "disagrees"
    assert words in check.reason


def test_a_loop_that_diverged_says_where():
    p, steps, weights = own_weights()
    weights[4:] = np.nan
    check = crosscheck(p, steps, weights.astype(np.float32))
    assert (check.verdict, check.diverged) == ("disagrees", True)
    assert "not finite from step 4 on" in check.reason


def test_steps_at_which_nothing_can_be_seen_are_no_agreement():
    """A schedule that begins too fast multiplies rounding by 10⁵ and more before it slows down: float32 sees nothing any more."""
    x = np.eye(2)
    p = Predictor(Setting(Linear(), GradientDescent(10.0, Expression("1/(1 + t/3)"))), x, seed=1)
    steps = [0, 1, 2, 40]
    check = crosscheck(p, steps, p.weight(steps).astype(np.float32))
    assert check.verdict == "not run"
    assert "first at step" in check.reason
    assert crosscheck(p, steps[:2], p.weight(steps[:2])).agrees


def test_a_schedule_under_which_rounding_would_be_all_that_is_seen_is_refused():
    x = np.random.default_rng(0).random((12, 36))
    with pytest.raises(SettingError, match=r"no mode grows by more than 1e\+06, .* but the mode of eigenvalue"):
        Predictor(Setting(Linear(), GradientDescent(0.03, Cosine(100.0))), x)
