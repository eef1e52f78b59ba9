"""An optimiser that a user wrote with a mistake is refused in one clear line, wherever the mistake first matters."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

import closedflow as cf
from theory.component import Named
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import GradientDescent, HeavyBall, Nesterov
from theory.rule_check import check_limit, check_rule, spectral_radius
from theory.setting import Setting

pytest.importorskip("torch", reason="mistakes in training need it")

X = [[2.0, 0.0]]  # the largest rate is 4


@dataclass(frozen=True)
class Mine(cf.Descent, abstract=True):
    """Gradient descent, written by a user; each mistake below is one method less or wrong."""

    learning_rate: float

    def step(self, state, gradient, index):
        return (state[0] - self.learning_rate * gradient(state[0]),)

    def response(self, xp, s, t):
        return GradientDescent(self.learning_rate).response(xp, s, t)

    def max_learning_rate(self, s_max):
        return 2 / s_max

    def flow_time(self, steps):
        return steps * self.learning_rate

    def torch_optimizer(self):
        return Named("torch.optim.SGD", {"lr": self.learning_rate})


class NoResponse(Mine, abstract=True):
    response = cf.Descent.response


class NoTorch(Mine, abstract=True):
    torch_optimizer = cf.Descent.torch_optimizer


class NoStep(Mine, abstract=True):
    step = cf.Descent.step


class NoTime(Mine, abstract=True):
    flow_time = cf.Descent.flow_time


class NoLimit(Mine, abstract=True):
    max_learning_rate = cf.Descent.max_learning_rate


class WideLimit(Mine, abstract=True):
    def max_learning_rate(self, s_max):
        return 20 / s_max


class LostLimit(Mine, abstract=True):
    def max_learning_rate(self, s_max):
        return None


class Signs(Mine, abstract=True):
    def step(self, state, gradient, index):
        return (state[0] - self.learning_rate * np.sign(gradient(state[0])),)


class Squares(Mine, abstract=True):
    def step(self, state, gradient, index):
        return (state[0] - self.learning_rate * gradient(state[0]) ** 2,)


class Momentum(Mine, abstract=True):
    def step(self, state, gradient, index):
        weight, buffer = state
        return weight - self.learning_rate * buffer, buffer + gradient(weight)


def setting(optimizer):
    return Setting(Linear(), optimizer)


MISTAKES = [
    (lambda: cf.Predictor(setting(NoResponse(0.1)), X).weight(3), "optimizer must have the method response"),
    (
        lambda: cf.train(setting(NoTorch(0.1)), X, steps=2, device="cpu"),
        "optimizer must have the method torch_optimizer",
    ),
    (lambda: cf.Predictor(setting(NoStep(0.1)), X), "optimizer must have the method step"),
    (lambda: cf.integrate(setting(NoStep(0.1)), X, times=[2]), "optimizer must have the method step"),
    (lambda: cf.time_from_steps(setting(NoTime(0.1)), 3), "optimizer must have the method flow_time"),
    (
        lambda: cf.Predictor(setting(Signs(0.1)), X),
        "optimizer must have a step that is linear in the weight and the gradient",
    ),
    (
        lambda: cf.solve(setting(Squares(0.1))),
        "optimizer must have a step that is linear in the weight and the gradient",
    ),
    (lambda: cf.Predictor(setting(Momentum(0.1)), X), "optimizer must have a step that runs on numbers"),
    (
        lambda: cf.Predictor(setting(WideLimit(0.6)), X),
        "optimizer must have a max_learning_rate below which every mode converges",
    ),
    (
        lambda: cf.Predictor(setting(NoLimit(0.6)), X),
        "optimizer must have a max_learning_rate below which every mode converges",
    ),
    (lambda: cf.Predictor(setting(LostLimit(0.1)), X), "optimizer must have a max_learning_rate above 0"),
]


@pytest.mark.parametrize(("ask", "message"), MISTAKES, ids=[message[:60] for _, message in MISTAKES])
def test_a_mistake_in_a_users_optimiser_is_one_clear_line(ask, message):
    with pytest.raises(SettingError) as error:
        ask()
    text = str(error.value)
    assert text.startswith(message)
    assert "\n" not in text
    assert ", but " in text


def test_a_rule_that_is_not_linear_names_the_theorem_that_fails():
    with pytest.raises(SettingError, match="theorem T1 is false for it"):
        cf.Predictor(setting(Signs(0.1)), X)


def test_a_mode_that_grows_is_named_with_its_eigenvalue():
    with pytest.raises(
        SettingError, match=r"the mode of eigenvalue 4 grows by 1\.4 at every step, although its limit is 5"
    ):
        cf.Predictor(setting(WideLimit(0.6)), X)


def test_a_right_rule_passes_and_predicts():
    assert cf.Predictor(setting(Mine(0.1)), X, initial_weight=np.zeros((2, 2))).weight(1)[0, 0, 0] == pytest.approx(0.4)
    for optimizer in (cf.NesterovFlow(), cf.AveragedFlow(), cf.AveragedDescent(0.4), cf.AcceleratedDescent(0.3)):
        check_rule(optimizer)
        check_limit(optimizer, 4.0)


@pytest.mark.parametrize("kind", [HeavyBall, Nesterov])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_no_shipped_limit_is_refused_up_to_its_edge(kind, momentum):
    limit = kind(1.0, momentum).max_learning_rate(4.0)
    check_limit(kind(limit * (1 - 1e-9), momentum), 4.0)


def test_the_spectral_radius_is_that_of_lapack():
    rng = np.random.default_rng(0)
    for matrix in rng.standard_normal((50, 2, 2)):
        assert spectral_radius(matrix.tolist()) == pytest.approx(np.abs(np.linalg.eigvals(matrix)).max(), rel=1e-6)
    assert spectral_radius([[-3.0]]) == 3.0
    assert not math.isnan(spectral_radius([[0.0, 0.0], [0.0, 0.0]]))
