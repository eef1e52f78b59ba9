"""The oracle itself: the solver against a matrix exponential inside the error it claims, the recurrence against torch."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from empirical.device import construct
from empirical.layer_strategies import REAL
from empirical.strategies import problems, times
from numerics.budget import UNITS, Budget
from numerics.integrate import integrate, trajectory
from numerics.predictor import Predictor
from numerics.problem import assemble
from theory.layers import Linear
from theory.optimizers import GradientDescent, GradientFlow
from theory.schedules import Cosine, LinearDecay, LinearWarmup
from theory.setting import Setting
from theory.starts import TorchDefault
from theory.targets import Given

EPS = np.finfo(float).eps
DESCENTS = ("gradient_descent", "heavy_ball")


def exact(problem, time):
    """One exponential of the affine system of each block: independent of solver, spectrum and closed form."""
    thetas = []
    for features, columns, start in zip(problem.features, problem.columns, problem.start, strict=True):
        d, q = len(features), len(start)
        block = np.zeros((d + q, d + q))
        block[:d, :d] = -problem.scale * features @ features.T - problem.setting.weight_decay * np.eye(d)
        block[d:, :d] = problem.scale * columns @ features.T
        thetas.append((np.hstack([start, np.eye(q)]) @ expm(time * block))[:, :d])
    return np.array(thetas)


def fastest_rate(problem):
    squares = np.linalg.norm(problem.features, 2, axis=(1, 2)) ** 2
    return problem.scale * float(squares.max()) + problem.setting.weight_decay


@pytest.mark.theorem("T1")
@settings(max_examples=25)
@given(problems(kinds=REAL, optimizer_kinds=["gradient_flow"]), st.sampled_from([1e-4, 1e-7, 1e-10]), st.data())
def test_the_solver_is_inside_the_error_that_it_claims_and_that_error_is_not_absurd(case, rtol, data):
    problem = assemble(*case)
    rate = fastest_rate(problem)
    drawn = data.draw(times(problem.setting.optimizer, rate, infinity=False, longest=30))
    found = trajectory(problem, drawn, rtol)
    for index, time in enumerate(drawn):
        truth = exact(problem, time)
        size = np.linalg.norm(truth) + np.linalg.norm(problem.start) + np.linalg.norm(problem.columns)
        # Local errors are carried on by e^{-tS}, which shrinks them; rounding of expm and of some hundred steps beside.
        rounding = 1e4 * EPS * size * (1 + rate * time)
        assert np.linalg.norm(found.theta[index] - truth) <= found.local_error[index] + rounding
        assert found.local_error[index] <= 1e3 * math.sqrt(problem.start.size) * rtol * (size + 1)  # steps taken < 1e3


@settings(max_examples=10)
@given(problems(kinds=REAL, optimizer_kinds=["gradient_flow"]))
def test_a_tighter_tolerance_gives_a_smaller_error(case):
    problem = assemble(*case)
    time = 5 / (fastest_rate(problem) or 1.0)
    truth = exact(problem, time)
    errors = [np.linalg.norm(trajectory(problem, time, rtol).theta[0] - truth) for rtol in (1e-3, 1e-6, 1e-9)]
    floor = 1e3 * EPS * (np.linalg.norm(truth) + np.linalg.norm(problem.start) + np.linalg.norm(problem.columns))
    assert errors[2] <= max(errors[0], floor)
    assert errors[2] <= 1e-6 * (np.linalg.norm(truth) + np.linalg.norm(problem.start)) + floor


def test_a_stiff_flow_is_solved_implicitly_and_right():
    """Rates 1e6 and 1 up to time 5: a stiffness of 5e6, beyond the explicit solver."""
    problem = assemble(Setting(Linear(), GradientFlow(), Given()), np.diag([1e3, 1.0]), np.eye(2), np.ones((2, 2)))
    found = trajectory(problem, [0.0, 1.0, 5.0], 1e-8)
    assert found.method == "Radau"
    for index, time in enumerate((0.0, 1.0, 5.0)):
        # Diagonal, so every entry is a scalar flow towards y/x.
        rates, final = np.array([1e6, 1.0]), np.array([[1e-3, 0.0], [0.0, 1.0]])
        truth = final + (1 - final) * np.exp(-rates * time)
        assert np.linalg.norm(found.theta[index][0] - truth) <= found.local_error[index] + 1e-12
    assert trajectory(problem, [1e-4], 1e-8).method == "DOP853"


def test_a_descent_takes_its_steps_one_by_one():
    problem = assemble(Setting(Linear(), GradientDescent(0.25)), [[1.0]], initial_weight=[[0.0]])
    found = trajectory(problem, [3, 0, 1, 3, 2])
    assert found.theta.ravel().tolist() == [0.578125, 0.0, 0.25, 0.578125, 0.4375]
    assert found.method == "recurrence"
    np.testing.assert_array_equal(found.local_error, np.zeros(5))


@settings(max_examples=25)
@given(problems(optimizer_kinds=DESCENTS), st.integers(1, 30))
def test_the_recurrence_is_torchs_training(case, steps):
    """Torch's module, autograd and optimiser, inside the rounding budget of both, through weight and bias."""
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    problem = assemble(*case)
    layer, setting = problem.setting.layer, problem.setting
    named = layer.torch_module(problem.input_shape, problem.targets.shape[1])
    network = construct(named).double()
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), problem.to_torch(problem.start), strict=False):
            parameter.copy_(torch.tensor(value))
    rule = setting.optimizer.torch_optimizer()
    sgd = torch.optim.SGD(network.parameters(), weight_decay=setting.weight_decay, **rule.arguments)
    x, y = torch.tensor(problem.inputs), torch.tensor(problem.targets)
    for _ in range(steps):
        sgd.zero_grad()
        loss = torch.nn.functional.mse_loss(network(x), y, reduction="mean" if setting.loss == "mse" else "sum")
        (loss if setting.loss == "mse" else loss / 2).backward()
        sgd.step()
    trained = [parameter.detach().numpy() for parameter in network.parameters()]
    theta = layer.to_blocks(trained[0], trained[1] if len(trained) > 1 else None, np)
    bound = 2 * Budget(Predictor(*case)).rounding(steps, UNITS["float64"])
    assert np.linalg.norm(trajectory(problem, steps).theta[0] - theta) <= bound


@given(problems(), st.data())
def test_times_may_be_unsorted_and_repeated(case, data):
    problem = assemble(*case)
    drawn = data.draw(times(problem.setting.optimizer, fastest_rate(problem), infinity=False, longest=20))
    found = trajectory(problem, [*drawn, *drawn[::-1]], 1e-6)
    sorted_ = trajectory(problem, np.sort(drawn), 1e-6)
    order = np.argsort(np.argsort(drawn, kind="stable"), kind="stable")
    np.testing.assert_array_equal(found.theta[: len(drawn)], found.theta[len(drawn) :][::-1])
    np.testing.assert_array_equal(found.theta[: len(drawn)], sorted_.theta[order])
    np.testing.assert_array_equal(found.local_error[: len(drawn)], sorted_.local_error[order])
    np.testing.assert_array_equal(trajectory(problem, [0], 1e-6).theta[0], problem.start)


@given(problems(kinds=REAL, optimizer_kinds=DESCENTS))
def test_the_weight_comes_in_torchs_shape_and_the_start_may_be_drawn(case):
    found = integrate(*case, times=[0, 2])
    assert found.shape == (2, *np.shape(case.initial_weight))
    np.testing.assert_array_equal(found[0], case.initial_weight)
    setting = replace(case.setting, start=TorchDefault())
    drawn = [integrate(setting, *case[1:3], times=[0], seed=seed) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    np.testing.assert_array_equal(drawn[0], Predictor(setting, *case[1:3], seed=3).weight([0]))


def test_the_oracle_imports_no_closed_form():
    code = "import sys, numerics.integrate; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numerics.integrate" in imported
    assert {"numerics.predictor", "numerics.spectrum", "theory.solution", "torch"}.isdisjoint(imported)


@pytest.mark.parametrize("schedule", [LinearWarmup(1.0), LinearDecay(1.0), Cosine(1.0, 0.5)], ids=str)
@pytest.mark.parametrize("features", [(1.0,), (1.0, 0.7, 0.4, 0.2)], ids=["one mode", "four"])
def test_a_schedule_with_a_corner_is_solved_within_the_bound(schedule, features):
    """Steps across the corner were off by up to 50 times what the solver claimed."""
    x = np.diag(features)
    p = Predictor(Setting(Linear(), GradientFlow(schedule)), x, initial_weight=np.eye(len(x)) + 1.0)
    times = np.array([0.3, 1.1, 1.5, 4.0])
    found, budget = trajectory(p.problem, times), Budget(p)
    for index, time in enumerate(times):
        bound = budget.integration(found, index, time)
        assert np.linalg.norm(found.theta[index] - p.theta(time)[0]) <= bound <= 1e-7 * np.linalg.norm(p.theta(time)[0])
