"""Every error of settings, layers, optimisers and predictors: what it must be, what it is, and the repair."""

import ast
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import numerics
import theory
from numerics.arrays import check_times, real_array
from numerics.extrapolation import determinacy
from numerics.integrate import integrate
from numerics.plan import speeds
from numerics.predictor import Predictor, load
from numerics.sandwich import sandwich
from theory.errors import DataError, SettingError
from theory.geometry import Axis
from theory.layers import CircularConv, Conv, Layer, Linear
from theory.optimizers import (
    Adam,
    Flow,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    HeavyBallFlow,
    NesterovFlow,
    Optimizer,
    Preconditioned,
)
from theory.schedules import Cosine, Expression, LinearWarmup
from theory.setting import Setting
from theory.starts import Fixed, Gaussian, Start
from theory.targets import Constant, Given, LinearMap

FLOW, ONE = Setting(Linear(), GradientFlow()), [[1.0]]


@dataclass(frozen=True)
class Misfit(Linear, abstract=True):
    """A layer whose features are none, or too few, or not finite."""

    way: str = ""

    def patches(self, x, xp):
        good = super().patches(x, xp)
        return {"flat": good[0], "few": good[:, :0], "nan": good * xp.nan}[self.way]


@dataclass(frozen=True)
class Exploding(Flow, abstract=True):
    """u̇ = u²: infinite at t = 1, so that no solver gets past it."""

    def velocity(self, state, gradient, t):
        return (state[0] ** 2,)


@dataclass(frozen=True)
class Hastening(Flow, abstract=True):
    """u̇ = -t·su: ever faster."""

    def velocity(self, state, gradient, t):
        return (-t * gradient(state[0]),)


class Endless(LinearWarmup, abstract=True):
    """A schedule of which it is not known how much it adds up to."""

    total = None


def flow(**changes):
    return Setting(**({"layer": Linear(), "optimizer": GradientFlow()} | changes))


def write(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


def newer(folder):
    Predictor(FLOW, ONE).save(folder / "p.npz")
    with np.load(folder / "p.npz") as archive:
        np.savez(folder / "q.npz", **{**archive, "format": 99})
    return folder / "q.npz"


def found():
    return determinacy(FLOW, ONE, ONE)


# Each row: the call (given a folder to write in), how its message begins, and the repair it ends with.
ERRORS = [
    (lambda _: Predictor(FLOW, [[1e-160]]), "inputs must have singular values between 1e-150 and", "Rescale"),
    (lambda _: Predictor(FLOW, ONE).predict(1.0, 0), "x must have shape (N, 1)", "Pass an array"),
    (lambda _: HeavyBallFlow(0.0).companion(0.1), "learning_rate must be in (0, 1/friction²]", "give friction above 0"),
    (
        lambda _: HeavyBallFlow(0.5).gap_bound(np, np.array([3.0]), 10, 1.0),
        "learning_rate must be below 3/s_max for the bound between HeavyBallFlow(friction=0.5) and its companion",
        "Lower it",
    ),
    (lambda _: HeavyBallFlow(0.0).limit_residual(np, np.ones(1)), "times must be finite for HeavyBallFlow", "friction"),
    (lambda _: speeds(Hastening(), 1.0, np.inf), "optimizer must have a rule that stays finite", "Bound its rate"),
    (lambda _: Exploding().response(np, 1, 1), "optimizer must have the method response, the residual", "Define it"),
    (lambda _: GradientFlow("cosine"), "schedule must be a Schedule or None, but it is 'cosine'", "LinearWarmup"),
    (
        lambda _: GradientFlow(Endless(1.0)).limit_residual(np, np.ones(1)),
        "times must be finite for GradientFlow",
        "Use a large time",
    ),
    (
        lambda _: GradientDescent(0.1, Expression("exp(-t)")).limit_residual(np, np.ones(1)),
        "steps must be finite for GradientDescent",
        "Use a large number of steps",
    ),
    (lambda _: Preconditioned(Adam(0.1), [[1.0]]), "optimizer must be a linear rule without precond", "GradientFlow()"),
    (lambda _: Preconditioned(GradientFlow(), [[1.0, 2.0]]), "matrix must be square, (d, d)", "per feature"),
    (lambda _: Preconditioned(GradientFlow(), [[1.0, 2.0], [0.0, 1.0]]), "matrix must be symmetric", "A @ A.T"),
    (lambda _: Layer.from_table(3), "[layer] must be a table", "key = value"),
    (lambda _: Layer.from_table({"kind": "linea"}), "[layer] kind must be one of", "Did you mean 'linear'?"),
    (lambda _: Layer.from_table({"kind": "zzz"}), "[layer] kind must be one of", "Use one of: linear, "),
    (lambda _: Optimizer.from_table({"kind": "flow"}), "[optimizer] kind must be one of", "Use one of: "),
    (lambda _: Layer.from_table({"kind": "linear", "bia": True}), "[layer] of kind 'linear' must have only", "'bias'?"),
    (lambda _: Optimizer.from_table({"kind": "adam"}), "[optimizer] of kind 'adam' must have the key", "Add learning"),
    (lambda _: GradientDescent(0.0), "learning_rate must be a number above 0", "Choose one"),
    (lambda _: GradientDescent(math.nan), "learning_rate must be a number above 0, but it is nan", "Choose one"),
    (lambda _: HeavyBall(0.1, 1.0), "momentum must be a number at least 0 and below 1, but it is 1.0", "Choose one"),
    (lambda _: Gaussian("1"), "std must be a number at least 0, but it is '1'", "Choose one"),
    (lambda _: Axis(3, 5, 1, 2, 0, 0, "zeros"), "kernel_size must span at most the padded image, 3 pixels", "smaller"),
    (
        lambda _: Axis(3, 3, 1, 1, 3, 3, "reflect"),
        "padding must be at most 2 with padding_mode 'reflect'",
        "Use a smal",
    ),
    (
        lambda _: Axis(3, 3, 1, 1, 4, 4, "circular"),
        "padding must be at most 3 with padding_mode 'circular'",
        "Use a sma",
    ),
    (lambda _: Linear().check((1, 2)), "inputs must have shape (N, features)", "inputs.reshape(len(inputs), -1)"),
    (lambda _: Conv(3, stride=2), "stride must be 1 with padding 'same'", "Pass padding as a number"),
    (lambda _: Conv((3, 3)).check((1, 5)), "kernel_size must have one number per spatial axis", "1 of them"),
    (lambda _: Conv(3, padding=(1, 1)).check((1, 5)), "padding must have one number per spatial axis", "1 of them"),
    (lambda _: Conv(3).check((5,)), "inputs must have shape (N, C, *spatial)", "Pass, say, inputs.reshape"),
    (lambda _: Conv(3, groups=2).check((3, 5)), "groups must divide the input channels, 3, but it is 2", "groups=1"),
    (lambda _: flow(layer=Conv(4)), "target Identity() needs a kernel with a centre tap", "Use 5"),
    (lambda _: Conv(3.0), "kernel_size must be a whole number, but it is 3.0", "Pass 3"),
    (lambda _: Conv(0), "kernel_size must be a number at least 1, but it is 0", "Choose one"),
    (lambda _: Conv(3, padding="sam"), "padding must be one of 'same', 'valid', but it is 'sam'", "mean 'same'?"),
    (lambda _: Conv(3, padding_mode="zero"), "padding_mode must be one of 'zeros'", "Did you mean 'zeros'?"),
    (lambda _: Linear(bias=1), "bias must be true or false, but it is 1", "Pass bias=True"),
    (lambda _: GradientFlow().flow_time(3), "optimizer must be a descent to count steps", "companion's learning rate"),
    (lambda _: GradientFlow().torch_optimizer(), "optimizer must be a descent to be trained", "Pass learning_rate="),
    (lambda _: GradientFlow().gap_bound(np, np.array([1.5]), 3), "learning_rate must be at most 1/s_max", "Lower it"),
    (
        lambda _: Adam(0.1).flow_time(3),
        "optimizer must be linear in the weights to have a flow time",
        "GradientDescent",
    ),
    (lambda _: Setting("linear", GradientFlow()), "layer must be a Layer, but it is 'linear'", "such as Linear("),
    (lambda _: Setting(Linear(), 3), "optimizer must be a Optimizer, but it is 3", "such as "),
    (lambda _: flow(loss="MSE"), "loss must be one of 'half_sum', 'mse', but it is 'MSE'", "Use one of"),
    (lambda _: flow(weight_decay=-1), "weight_decay must be a number at least 0, but it is -1", "Choose one"),
    (lambda _: Setting.from_toml("layer ="), "the setting must be TOML, but it is not", "Mend that line"),
    (lambda _: Setting.from_toml("los = 1"), "the setting must have only the keys", "Did you mean 'loss'?"),
    (lambda _: Setting.from_toml('layer = "linear"'), "the setting must have a table [optimizer]", "Add [optimizer]"),
    (lambda f: Setting.load(f / "none"), "the setting must be a readable TOML file", "Check the path"),
    (lambda f: Setting.load(write(f, "b", b"\xff")), "the setting must be a readable TOML file", "Check the path"),
    (lambda _: Predictor(flow(start=Fixed()), ONE), "initial_weight must be given with start Fixed()", "(1, 1)"),
    (lambda _: Fixed().moments(1, 1), "start must be random", "Pass start=Gaussian"),
    (lambda _: Start().moments(1, 1), "start must have moments", "Use Gaussian(std)"),
    (lambda _: Constant().resolve([1, 2]), "target Constant() needs exactly one training example", "Constant(value=…)"),
    (
        lambda _: Predictor(flow(target=Constant(1.0)), ONE),
        "target Constant must have a value of shape (channels)",
        "Pass",
    ),
    (lambda _: Constant([[1.0], [1.0, 2.0]]), "value must be an array of numbers, but its rows differ", "rectangular"),
    (lambda _: Constant([math.inf]), "value must be a number that is finite, but it is inf", "Choose one"),
    (lambda _: LinearMap([1.0]), "matrix must be a matrix, (outputs, inputs), but it is [1.0]", "nested lists"),
    (lambda _: Predictor(flow(target=LinearMap([[1, 2]])), ONE), "matrix must have 1 columns", "Pass a matrix"),
    (lambda _: Given().values(Linear(), None, np), "target must be a function of the input", "or pass targets"),
    (lambda _: real_array("x", [[1], [1, 2]]), "x must be an array of real numbers, but its rows", "rectangular"),
    (lambda _: real_array("x", [1j]), "x must be an array of real numbers, but its dtype is complex128", "float64"),
    (lambda _: real_array("x", [None]), "x must be an array of real numbers, but its dtype is object", "float64"),
    (lambda _: real_array("x", [[1, math.nan]]), "x must be finite, but entry (0, 1) is nan", "Replace or drop"),
    (
        lambda _: check_times([[1]], discrete=False),
        "times must be one number or a list of numbers",
        "[0, 10, math.inf]",
    ),
    (lambda _: check_times([1, [2]], discrete=False), "times must be one number or a list of numbers", "[0, 10"),
    (lambda _: check_times([-1], discrete=False), "times must be at least 0, but one is -1", "Drop it"),
    (lambda _: integrate(FLOW, ONE, times=math.inf), "times must be at least 0 and finite, but one is inf", "Drop it"),
    (
        lambda _: check_times([2.5], discrete=True),
        "steps must be whole numbers for a descent, but one is 2.5",
        "Pass 2",
    ),
    (lambda _: Predictor(FLOW, ONE, initial_weight=[1.0]), "initial_weight must have shape (1, 1)", "reshape(1, 1)"),
    (lambda _: Predictor(FLOW, ONE, initial_weight=[1, 2]), "initial_weight must have shape (1, 1)", "of that shape"),
    (lambda _: Predictor(FLOW, ONE).predict([1.0], 0), "x must have shape (1, 1)", "Pass x.reshape(1, 1)"),
    (
        lambda _: integrate(flow(optimizer=Adam(0.1)), ONE, times=1),
        "optimizer must be linear in the weights to be int",
        "train()",
    ),
    (lambda _: integrate(FLOW, ONE, times=1, rtol=0), "rtol must be a number above 0 and below 1", "Choose one"),
    (
        lambda _: integrate(flow(optimizer=GradientDescent(0.1)), ONE, times=1e8),
        "steps must be at most 10000000",
        "Use P",
    ),
    (lambda _: integrate(FLOW, np.ones((1, 1100)), times=1e6, state="full"), "times must be at most", "fewer features"),
    (lambda _: integrate(FLOW, ONE, times=1, state="dul"), "state must be one of 'auto', 'full'", "Did you mean"),
    (
        lambda _: integrate(FLOW, ONE, times=1, state="gram", slope=np.subtract),
        "state must be full or dual with a slope, but it is gram",
        "Use state='auto'",
    ),
    (
        lambda _: integrate(flow(optimizer=NesterovFlow()), ONE, times=1, slope=np.subtract),
        "optimizer must have a rule that is regular at time 0 with a slope",
        "Use GradientFlow",
    ),
    (
        lambda _: integrate(flow(optimizer=Exploding()), ONE, initial_weight=ONE, times=2),
        "times must be reachable by the solver, but it stopped at 1",
        "Use earlier times",
    ),
    (
        lambda _: Predictor(flow(optimizer=Adam(0.1)), ONE),
        "optimizer must be linear in the weights",
        "there is no predic",
    ),
    (lambda _: Predictor(flow(optimizer=GradientDescent(2.0)), ONE), "learning_rate must be below 2", "Lower it"),
    (lambda f: load(f / "none.npz"), "path must be a file written by Predictor.save", "Save it again"),
    (lambda f: load(newer(f)), "path must be a file of format at most 1", "Update closedflow"),
    (
        lambda f: Predictor(FLOW, ONE).save(f / "no" / "p.npz"),
        "the output must be a file that can be written",
        "another path",
    ),
    (lambda _: Predictor(FLOW, [1.0]), "inputs must have shape (N, features) or (N, C, *spatial)", "its batch axis"),
    (lambda _: Predictor(FLOW, np.zeros((0, 3))), "inputs must have shape (N, features) or", "Pass at least one"),
    (lambda _: Predictor(flow(target=Given()), ONE), "targets must be given with target Given()", "Pass an array"),
    (lambda _: Predictor(flow(target=Given()), ONE, [1]), "targets must have shape (1, 1)", "targets.reshape(1, 1)"),
    (lambda _: Predictor(FLOW, ONE, ONE), "targets must be left out with target Identity()", "Use target=Given()"),
    (
        lambda _: Predictor(flow(layer=Conv(1, groups=2), target=Given()), np.ones((1, 2, 1)), np.ones((1, 1, 1))),
        "targets must have a positive multiple of 2 channels",
        "Change the targets or the groups",
    ),
    (
        lambda _: Predictor(flow(layer=Misfit(way="flat")), ONE),
        "Misfit(bias=False, way='flat') must give patches",
        "[None]",
    ),
    (
        lambda _: Predictor(flow(layer=Misfit(way="few"), target=Given()), ONE, ONE),
        "Misfit(bias=False, way='few') must",
        "weight_shape",
    ),
    (
        lambda _: Predictor(flow(layer=Misfit(way="nan"), target=Given()), ONE, ONE),
        "Misfit(bias=False, way='nan') must",
        "rescale",
    ),
    (lambda _: Predictor(FLOW, ONE, initial_bias=[1.0]), "initial_bias must come with an initial_weight", "or neither"),
    (lambda _: Predictor(FLOW, ONE, None, ONE, [1.0]), "initial_bias must be left out", "Use bias=True"),
    (lambda _: Predictor(FLOW, ONE, seed=-1), "seed must be a number at least 0, but it is -1", "Choose one"),
    (lambda _: Predictor(FLOW, ONE).weight([0], max_memory=1), "max_memory must be at least", "Raise it"),
    (
        lambda _: Predictor(FLOW, ONE).weight([0], out=np.ones(2)),
        "out must be an array of shape (1, 1, 1)",
        "Make it so",
    ),
    (
        lambda _: Predictor(FLOW, ONE).weight([0], out=[1.0]),
        "out must be a numpy array for device None",
        "use on(device)",
    ),
    (
        lambda _: Predictor(FLOW, ONE).weight([0], out=np.ones((1, 1, 1), int)),
        "out must be an array of float64 or float32",
        "Make it so",
    ),
    (
        lambda _: Predictor(FLOW, ONE).weight([0], out=np.broadcast_to(1.0, (1, 1, 1))),
        "out must be writable",
        "mode 'r+'",
    ),
    (
        lambda _: Predictor(flow(optimizer=GradientDescent(1e3, Cosine(200.0))), ONE),
        "learning_rate must be small enough",
        "Lower it",
    ),
    (
        lambda _: Predictor(flow(optimizer=GradientDescent(0.1, Expression("1 + t"))), ONE),
        "schedule must stay bounded",
        "Use a schedule with a limit",
    ),
    (
        lambda _: Predictor(flow(optimizer=GradientDescent(9.0, Expression("2 + sin(t)"))), ONE),
        "learning_rate must be small enough that no mode grows",
        "Lower it",
    ),
    (lambda _: determinacy(FLOW, ONE, [[1.0, 2.0]]), "test must have shape (1, 1) for these training", "that shape"),
    (lambda _: determinacy(FLOW, ONE, [[math.nan]]), "test must be finite, but entry (0, 0) is nan", "Replace or drop"),
    (lambda _: determinacy(FLOW, ONE, np.ones((0, 1))), "test must hold at least one example", "its batch axis"),
    (lambda _: determinacy(FLOW, ONE, [[1e-200]]), "test must have features between 1e-150 and 1e+150", "Rescale that"),
    (
        lambda _: determinacy(FLOW, [[math.inf]], ONE),
        "inputs must be finite, but entry (0, 0) is inf",
        "Replace or drop",
    ),
    (lambda _: determinacy(flow(optimizer=Adam(0.1)), ONE, ONE), "optimizer must be linear in the weights", "Train it"),
    (lambda _: found().interval(-1.0), "budget must be a number at least 0, but it is -1.0", "Choose one"),
    (
        lambda _: found().extremal_start(0, (0,), math.inf),
        "budget must be a number at least 0, but it is inf",
        "Choose",
    ),
    (lambda _: found().extremal_start(1, (0,)), "example and entry must be an index into outputs of", "Pass others"),
    (lambda _: found().extremal_start(0.5, (0,)), "example and entry must be an index into outputs of", "Pass others"),
    (lambda _: found().extremal_start(0, 0), "example and entry must be an index into outputs of", "Pass others"),
    (
        lambda _: sandwich(found().predictor, np.zeros((0, *found().test.shape[1:]))),
        "x must hold at least one example",
        "Pass one",
    ),
    (lambda _: found().extremal_start(0, (7,)), "entry must be an index into an output of shape (1,)", "a smaller one"),
    (lambda _: found().least_start([1.0]), "outputs must have shape (1, 1) for these test examples", "reshape(1, 1)"),
    (
        lambda _: found().prediction(math.inf, -1.0),
        "weight_decay must be a number at least 0, but it is -1.0",
        "Choose",
    ),
    (lambda _: sandwich(Predictor(flow(weight_decay=0.1), ONE), ONE), "weight_decay must be 0 for", "weight_decay=0"),
    (
        lambda _: sandwich(Predictor(flow(target=Given()), ONE, ONE), ONE),
        "target must be one that the layer represents by a known weight",
        "Use target=Identity()",
    ),
    (lambda _: sandwich(Predictor(FLOW, ONE), ONE, 1, hull=True), "times must be math.inf", "Use hull=False"),
    (
        lambda _: sandwich(Predictor(flow(layer=CircularConv()), [ONE]), [ONE], hull=True),
        "layer must have real features for a convex hull",
        "Use hull=False",
    ),
]
THEORY, NUMERICS = (Path(package.__file__).parent for package in (theory, numerics))
MODULES = [
    *(THEORY / f"{name}.py" for name in ("component", "geometry", "setting", "starts", "targets")),
    *(THEORY / "layers" / f"{name}.py" for name in ("convolution", "layer", "windows")),
    *(THEORY / "optimizers").rglob("*.py"),
    *(NUMERICS / f"{name}.py" for name in ("arrays", "integrate", "modes", "plan", "predictor", "problem")),
    *(NUMERICS / f"{name}.py" for name in ("determinacy", "extrapolation", "sandwich")),
]


def raised(call, folder):
    with pytest.raises(SettingError) as caught, np.errstate(all="ignore"):
        call(folder)
    entry = caught.traceback[-1]
    return str(caught.value), (Path(entry.path).name, entry.lineno + 1)


@pytest.mark.parametrize(("call", "beginning", "repair"), ERRORS, ids=[row[1][:60] for row in ERRORS])
def test_an_error_says_what_it_must_be_what_it_is_and_the_repair(call, beginning, repair, tmp_path):
    message, _ = raised(call, tmp_path)
    assert message.startswith(beginning)
    assert repair in message.split(", but ", 1)[1]
    assert re.match(r"(?s).+ (must|needs) .+, but .+[.:)] ?.*[A-Z].*[.?…]$", message)
    assert "\n" not in message


def test_every_error_of_these_modules_is_in_the_table(tmp_path):
    """The lines that raise, read from the source, are the lines that the table reaches."""
    lines = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            named = (
                isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
            )
            if named and node.exc.func.id in {SettingError.__name__, DataError.__name__}:
                lines.add((module.name, node.lineno))
    assert lines - {raised(call, tmp_path)[1] for call, *_ in ERRORS} == set()
