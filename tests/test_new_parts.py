"""A new optimiser and a new layer are one class each, and then everything works for them; a wrong one is found out."""

import math
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import closedflow as cf
from empirical.strategies import problems
from numerics.budget import Budget
from numerics.integrate import trajectory
from theory.component import Named
from theory.errors import SettingError
from theory.layers import Layer, Linear
from theory.optimizers import Descent, Flow, GradientDescent, Optimizer
from theory.scalar import k, mode_solution, s
from theory.setting import Setting
from theory.setting_proof import prove_setting

torch = pytest.importorskip("torch", reason="new parts are trained too")


def define_nesterov() -> type[Descent]:
    """Torch's SGD with ``nesterov=True``, as a user would write it."""

    @dataclass(frozen=True)
    class NesterovMomentum(Descent):
        learning_rate: float
        momentum: float

        def initial_state(self, weight):
            return weight, 0 * weight

        def step(self, state, gradient, index):
            weight, buffer = state
            slope = gradient(weight)
            buffer = self.momentum * buffer + slope
            return weight - self.learning_rate * (slope + self.momentum * buffer), buffer

        def response(self, xp, s, t):
            """The progress p = 1 - u by its own recurrence, p₊ = x + (1 - x)((1 + β)p - βp₋): nothing cancels as x → 0."""
            x, beta = self.learning_rate * s, self.momentum
            t = t + xp.zeros_like(x)
            before, now, progress = xp.zeros_like(x), (1 + beta) * x, xp.zeros_like(x + t)
            for index in range(1, int(t.max()) + 1):
                progress = xp.where(t == index, now, progress)
                before, now = now, x + (1 - x) * ((1 + beta) * now - beta * before)
            return 1 - progress, progress

        def max_learning_rate(self, s_max):
            return 2 * (1 + self.momentum) / (1 + 2 * self.momentum) / s_max if s_max > 0 else math.inf

        def flow_time(self, steps):
            return steps * self.learning_rate / (1 - self.momentum)

        def torch_optimizer(self):
            arguments = {"lr": self.learning_rate, "momentum": self.momentum, "nesterov": True}
            return Named("torch.optim.SGD", arguments)

    return NesterovMomentum


def define_powers() -> type[Layer]:
    """Polynomial features of a scalar: φ(x) = (1, x, …, x^degree)."""

    @dataclass(frozen=True)
    class Powers(Layer):
        degree: int
        bias = False
        single_column = True

        def check(self, input_shape):
            if input_shape != (1,):
                message = (
                    f"inputs must have shape (N, 1) for {self}, but an example has shape {input_shape}. Reshape them."
                )
                raise SettingError(message)

        def arrange(self, images):
            return images.reshape((-1, 1))

        def positions(self, input_shape):
            return ()

        def weight_shape(self, input_shape, channels):
            return (channels, self.degree + 1)

        def patches(self, x, xp):
            row = xp.moveaxis(x, 0, 1)
            return xp.concatenate([row**power for power in range(self.degree + 1)], axis=0)[None]

        def identity_features(self, input_shape):
            return [[1]]

        def torch_module(self, input_shape, channels):
            return Named(f"{__name__}.PowersModule", {"degree": self.degree, "channels": channels})

    return Powers


class PowersModule(torch.nn.Module):
    """The same map by Horner's scheme: it shares no code with the features."""

    def __init__(self, degree: int, channels: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(channels, degree + 1))

    def forward(self, x):
        value = torch.zeros(len(x), len(self.weight), dtype=x.dtype, device=x.device)
        for column in reversed(self.weight.T):
            value = value * x + column
        return value


@pytest.fixture(scope="module")
def nesterov():
    """The optimiser's class, known only while these tests run."""
    defined = define_nesterov()
    yield defined
    del Optimizer.kinds[defined.kind]


@pytest.fixture(scope="module")
def powers():
    """The layer's class, known only while these tests run."""
    defined = define_powers()
    yield defined
    del Layer.kinds[defined.kind]


@pytest.fixture(params=["nesterov", "powers", "both"])
def new(request, nesterov, powers):
    """A setting with new parts, with inputs and targets."""
    rng = np.random.default_rng(0)
    optimizer = GradientDescent(0.05) if request.param == "powers" else nesterov(0.05, 0.5)
    if request.param == "nesterov":
        return Setting(Linear(bias=True), optimizer, cf.Given(), "mse", 0.1), rng.random((4, 3)), rng.random((4, 2))
    x = np.linspace(-1, 1, 6)[:, None]
    return Setting(powers(3), optimizer, cf.Given(), weight_decay=0.02), x, np.hstack([np.sin(2 * x), x**2])


# Everything works


def test_a_new_part_is_written_to_toml_and_read_back(new):
    setting, *_ = new
    text = setting.to_toml()
    assert f'kind = "{setting.optimizer.kind}"' in text
    assert Setting.from_toml(text) == setting
    with pytest.raises(SettingError, match="Did you mean"):
        Setting.from_toml(text.replace(f'"{setting.optimizer.kind}"', f'"{setting.optimizer.kind}x"'))


def test_a_new_part_is_solved_and_proved(new):
    setting, *_ = new
    solution = cf.solve(setting)
    assert solution.proof.verdict == "proved"
    assert "proof: proved" in str(solution)
    assert r"\begin{aligned}" in solution.latex()


def test_a_new_part_predicts_what_its_own_rule_iterates_to(new):
    setting, x, y = new
    predictor, steps = cf.Predictor(setting, x, y, seed=1), np.array([0, 1, 2, 3, 50])
    result = trajectory(predictor.problem, steps)
    budget = Budget(predictor)
    for index, step in enumerate(steps):
        gap = np.linalg.norm(result.theta[index] - predictor.theta(step)[0])
        assert gap <= budget.integration(result, index, float(step))
    assert np.array_equal(
        cf.integrate(setting, x, y, seed=1, times=[3])[0], predictor.problem.to_torch(result.theta)[0][3]
    )


def test_a_new_part_is_pasted(new):
    setting, x, y = new
    predictor, namespace = cf.Predictor(setting, x, y, seed=1), {}
    exec(cf.solve(setting).python(), namespace)
    problem = predictor.problem
    pasted = namespace["weight"](problem.features[0], problem.columns[0], problem.start[0], 20)
    # No root of these modes is near a double one: the formula keeps all but a few of its digits.
    assert np.abs(pasted - predictor.theta(20)[0, 0]).max() < 1e-12


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_new_part_is_trained_by_torch_and_agrees(new, dtype):
    setting, x, y = new
    predictor = cf.Predictor(setting, x, y, seed=1)
    run = cf.train(setting, x, y, seed=1, steps=100, dtype=dtype, device="cpu")
    check = cf.crosscheck(predictor, run.steps, run.weights, run.biases, dtype=dtype)
    assert check.agrees
    planted = cf.crosscheck(predictor, run.steps, 1.01 * run.weights, run.biases, dtype=dtype)
    assert planted.verdict == "disagrees"


def test_a_new_part_is_verified_and_saved(new, tmp_path):
    setting, x, y = new
    predictor = cf.Predictor(setting, x, y, seed=1)
    predictor.save(tmp_path / "p.npz")
    assert np.array_equal(cf.load(tmp_path / "p.npz").weight([5, math.inf]), predictor.weight([5, math.inf]))
    table = cf.verify(setting=replace(setting, target=cf.Identity()), inputs=x, device="cpu")
    assert table.exit_code == 0
    (row,) = table.rows
    assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "agrees")


def test_a_new_layers_limit_is_the_least_squares_polynomial(powers):
    x = np.linspace(-1, 1, 7)[:, None]
    y = np.exp(x)
    predictor = cf.Predictor(Setting(powers(2), cf.GradientFlow(), cf.Given()), x, y)
    fitted = np.polynomial.polynomial.polyfit(x[:, 0], y, 2)[:, 0]
    assert np.abs(predictor.weight(math.inf)[0, 0] - fitted).max() < 1e-13  # a condition number of 4
    with pytest.raises(SettingError, match=r"must have shape \(N, 1\)"):
        cf.Predictor(Setting(powers(2), cf.GradientFlow(), cf.Given()), np.ones((2, 2)), np.ones((2, 1)))


def test_a_new_optimiser_converts_steps_to_time_and_refuses_to_diverge(nesterov):
    assert cf.time_from_steps(Setting(Linear(), nesterov(0.01, 0.5)), 100) == 2.0
    x = np.array([[2.0]])  # rate 4: converges below 2·1.5/2/4 = 0.375
    setting = Setting(Linear(), nesterov(0.374, 0.5))
    assert abs(cf.Predictor(setting, x, initial_weight=[[3.0]]).weight(2000)[0, 0, 0] - 1) < 1
    with pytest.raises(SettingError, match=r"below 0\.375"):
        cf.Predictor(Setting(Linear(), nesterov(0.376, 0.5)), x)


def test_a_new_optimisers_residual_is_the_derived_one(nesterov):
    optimizer = nesterov(0.3, 0.7)
    mode = mode_solution(optimizer)
    assert mode.verified
    beta, eta = sorted(mode.residual.free_symbols - {s, k}, key=str)
    letters = {beta: optimizer.momentum, eta: optimizer.learning_rate}
    for rate in (0.001, 0.4, 2.0, 4.0):
        for steps in (0, 1, 2, 17):
            derived = mode.residual.subs(letters | {s: rate, k: steps}).evalf(50)
            found = optimizer.response(np, np.array(rate), np.array(float(steps)))[0]
            assert abs(complex(derived) - found) < 1e-13  # a recurrence of 17 stable steps


@given(data=st.data())
def test_random_problems_are_drawn_for_a_new_optimiser_too(nesterov, data):
    case = data.draw(problems(optimizer_kinds=[nesterov.kind]))
    predictor = cf.Predictor(*case)
    result = trajectory(predictor.problem, [7])
    gap = np.linalg.norm(result.theta[0] - predictor.theta(7)[0])
    assert gap <= Budget(predictor).integration(result, 0, 7.0)


# What is wrong is found out


def test_a_response_that_is_not_the_rules_is_proved_about_the_rule_and_caught_by_the_solver_and_by_torch(nesterov):
    """The proof is about the rule; whether the fast form is the rule's own is what the other levels are for."""

    class Wrong(nesterov, abstract=True):
        def response(self, xp, s, t):
            return GradientDescent(self.learning_rate / (1 - self.momentum)).response(xp, s, t)

    table = cf.verify(
        setting=Setting(Linear(), Wrong(0.01, 0.5)), inputs=np.random.default_rng(1).random((2, 4)), device="cpu"
    )
    (row,) = table.rows
    assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "disagrees", "disagrees")
    assert table.exit_code == 1


def test_a_torch_counterpart_that_is_another_rule_is_caught_by_training(nesterov):
    class Plain(nesterov, abstract=True):
        def torch_optimizer(self):
            return Named("torch.optim.SGD", {"lr": self.learning_rate, "momentum": self.momentum})

    (row,) = cf.verify(setting=Setting(Linear(), Plain(0.01, 0.5)), device="cpu").rows
    assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "disagrees")


@dataclass(frozen=True)
class Planted(Descent, abstract=True):
    """Base of rules that the proof must not accept; abstract, so that no kind is registered."""

    learning_rate: float

    def response(self, xp, s, t):
        return GradientDescent(self.learning_rate).response(xp, s, t)


class TwoGradients(Planted, abstract=True):
    """The gradient at the gradient: affine, but no function of the modes' gradient alone."""

    def step(self, state, gradient, index):
        return (state[0] - self.learning_rate * gradient(gradient(state[0])),)


class Shrinking(Planted, abstract=True):
    """Halves the weight first: decoupled decay, which no S knows."""

    def step(self, state, gradient, index):
        return (state[0] / 2 - self.learning_rate * gradient(state[0]),)


class Slowing(Planted, abstract=True):
    """A rate that falls with the steps."""

    def step(self, state, gradient, index):
        return (state[0] - self.learning_rate / (index + 1) * gradient(state[0]),)


class Pushed(Planted, abstract=True):
    """Starts with the weight itself in its buffer, not at rest."""

    def initial_state(self, weight):
        return weight, weight

    def step(self, state, gradient, index):
        weight, buffer = state
        buffer = buffer / 2 + gradient(weight)
        return weight - self.learning_rate * buffer, buffer


class Remembering(Planted, abstract=True):
    """Three things remembered: no ansatz for a cubic."""

    def initial_state(self, weight):
        return weight, 0 * weight, 0 * weight

    def step(self, state, gradient, index):
        weight, last, before = state
        return weight - self.learning_rate * (gradient(weight) + before), gradient(weight), last


@dataclass(frozen=True)
class Timed(Flow, abstract=True):
    """A flow whose rate grows with time."""

    def velocity(self, state, gradient, t):
        return (-t * gradient(state[0]),)


class Squared(Planted, abstract=True):
    """Not linear in the weights at all."""

    def step(self, state, gradient, index):
        return (state[0] - self.learning_rate * gradient(state[0]) * gradient(state[0]),)


class ByName(Planted, abstract=True):
    """Not linear, by a function that only numbers have."""

    def step(self, state, gradient, index):
        return (state[0] - self.learning_rate * np.sign(gradient(state[0])),)


@pytest.mark.parametrize("planted", [TwoGradients, Shrinking, Slowing, Pushed, Remembering, Timed])
def test_a_rule_that_its_closed_form_does_not_solve_is_never_proved(planted):
    optimizer = planted() if planted is Timed else planted(0.1)
    proof = prove_setting(Setting(Linear(), optimizer, weight_decay=0.3))
    assert proof.verdict in {"undecided", "refuted"}
    assert proof.reason
    assert "\n" not in str(proof)


@pytest.mark.parametrize("planted", [Squared, ByName])
def test_a_rule_that_is_not_linear_is_never_proved(planted):
    with pytest.raises((SettingError, TypeError, AttributeError)):
        assert prove_setting(Setting(Linear(), planted(0.1))).verdict == "proved"


def test_the_kinds_of_this_file_are_forgotten_after_it():
    """Definition is registration: a class that is declared abstract is none."""
    assert not {planted.kind for planted in (Planted, TwoGradients, Timed, ByName)} & set(Optimizer.kinds)


# A layer with mistakes


def broken(base, **changes):
    """The layer with some of its methods replaced; it is no kind of its own."""
    made = type("Broken", (base,), changes, abstract=True) if changes else base
    return made(2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patches": lambda self, x, xp: xp.moveaxis(x, 0, 1)}, "must give patches of shape"),
        ({"weight_shape": lambda self, shape, channels: (channels, 7)}, "must give features of shape (1, 7, 4)"),
        ({"patches": lambda self, x, xp: np.full((1, 3, 4), np.nan)}, "must give finite features"),
        ({"positions": Layer.positions}, "layer must have the method positions"),
        ({"identity_features": Layer.identity_features}, "layer must have the method identity_features"),
    ],
)
def test_a_layer_with_a_mistake_is_refused_in_words(powers, changes, words):
    setting = Setting(broken(powers, **changes), GradientDescent(0.05))
    with pytest.raises(SettingError, match=re.escape(words)):
        cf.Predictor(setting, np.ones((4, 1)))
