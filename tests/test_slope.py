"""Any loss or nonlinearity as a slope of the outputs: against the closed form, against torch, and where it must refuse."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from empirical.strategies import problems
from numerics import integrate
from numerics.integrate import trajectory
from numerics.plan import StiffError
from numerics.predictor import Predictor
from numerics.problem import assemble
from numerics.relu_flow import integrate_relu
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall, HeavyBallFlow
from theory.setting import Setting
from theory.targets import Given

STATES = ("full", "dual")


def drawn(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def norms(theta):
    return np.linalg.norm(theta.reshape((len(theta), -1)), axis=1)


def logistic(outputs, targets):
    """Of the sum of log(1 + exp(z)) - y z."""
    return 0.5 * (1 + np.tanh(outputs / 2)) - targets


@pytest.mark.theorem("T22")
@settings(max_examples=40)
@given(problems(optimizer_kinds=["gradient_flow", "gradient_descent", "heavy_ball", "nesterov"]))
def test_the_squared_errors_own_slope_is_the_squared_error(case):
    """Every layer, whatever it adds to its outputs, in every state."""
    problem = assemble(*case)
    fastest = float(max(Predictor(*case).rates.max(), problem.setting.weight_decay)) or 1.0
    times = [0, 1, 7] if problem.setting.optimizer.discrete else [0, 1 / fastest, 3 / fastest]
    whole = trajectory(problem, times, state="full")
    size = np.linalg.norm(problem.start) + norms(whole.theta).max() + np.linalg.norm(problem.columns)
    condition = np.linalg.cond(np.array(getattr(problem.setting.optimizer, "matrix", np.eye(1))))
    for state in STATES:
        found = trajectory(problem, times, state=state, slope=lambda y, target: problem.scale * (y - target))
        allowed = condition * (found.local_error + whole.local_error)
        # Beside the solvers: rounding of some steps, of outputs formed by another route (a Fourier transform, say).
        assert (norms(found.theta - whole.theta) <= allowed + 1e-11 * condition * size).all()


@pytest.mark.parametrize("layer", [Linear(bias=True), Conv(3, padding="same")])
@pytest.mark.parametrize("rule", [GradientDescent(0.1), HeavyBall(0.05, 0.9)])
@pytest.mark.parametrize("state", STATES)
def test_a_logistic_descent_is_torchs(layer, rule, state):
    torch = pytest.importorskip("torch", reason="torch is the oracle here")
    x = drawn((3, 4)) if isinstance(layer, Linear) else drawn((2, 1, 5))
    y = (drawn((3, 2) if isinstance(layer, Linear) else (2, 2, 5), 1) > 0).astype(float)
    setting = Setting(layer, rule, Given(), weight_decay=0.1)
    problem = assemble(setting, x, y, seed=3)
    weight, bias = (
        None if value is None else torch.tensor(value, requires_grad=True) for value in problem.to_torch(problem.start)
    )
    parameters = [value for value in (weight, bias) if value is not None]
    sgd = torch.optim.SGD(parameters, weight_decay=0.1, **rule.torch_optimizer().arguments)
    for _ in range(30):
        sgd.zero_grad()
        inputs = torch.tensor(x)
        outputs = (
            torch.nn.functional.linear(inputs, weight, bias)
            if isinstance(layer, Linear)
            else torch.nn.functional.conv1d(inputs, weight, padding="same")
        )
        torch.nn.functional.binary_cross_entropy_with_logits(outputs, torch.tensor(y), reduction="sum").backward()
        sgd.step()
    found = problem.to_torch(trajectory(problem, [30], state=state, slope=logistic).theta)
    # The rounding of 30 steps of numbers of order 1, some 20 products each; the loss is convex and does not magnify it.
    for value, mine in zip(parameters, found, strict=False):
        np.testing.assert_allclose(mine[0], value.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("state", STATES)
def test_halving_the_learning_rate_halves_the_distance_to_the_logistic_flow(state):
    """The order of Euler's method, whose steps torch's are (the test above)."""
    x, y = drawn((3, 4)), (drawn((3, 2), 1) > 0).astype(float)
    flow = Setting(Linear(), GradientFlow(), Given())
    end = trajectory(assemble(flow, x, y, seed=3), [2.0], state=state, slope=logistic).theta[0]
    gaps = []
    for steps in (200, 400, 800):
        descent = replace(flow, optimizer=GradientDescent(2.0 / steps))
        gaps.append(np.linalg.norm(trajectory(assemble(descent, x, y, seed=3), [steps], slope=logistic).theta[0] - end))
    # The next term of the expansion in η is about η·s of the first: 1 % at 200 steps.
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.02)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.01)


def test_a_flow_with_inertia_takes_a_slope():
    p = Predictor(Setting(Linear(), HeavyBallFlow(0.5)), drawn((2, 4)), seed=1)
    found = trajectory(p.problem, [2.0], slope=lambda y, target: y - target)
    assert found.state == "dual"
    # Local errors of 1e-10 a step, some hundred steps; the energy never rises, so they are magnified by 1/√s < 10 at most.
    assert np.linalg.norm(found.theta[0] - p.theta(2.0)[0]) <= 10 * found.local_error[0] + 1e-12


def test_one_relu_layer_is_what_the_solver_with_events_says():
    """Three units: one learns, one dies, one is off. The slope jumps where a unit dies."""
    start, x, y = np.array([[1.0, 0.5], [1.0, 1.0], [-1.0, 0.0]]), np.array([1.0, 0.5]), np.array([0.4, -0.5, 1.0])
    truth = integrate_relu(start, x, y, [0.5, 3.0])
    found = integrate.integrate(
        Setting(Linear(), GradientFlow(), Given()),
        x[None],
        y[None],
        start,
        times=[0.5, 3.0],
        slope=lambda z, target: (np.maximum(z, 0) - target) * (z > 0),
    )
    # One step crosses the jump; its error estimate holds it to the tolerance, up to the jump times that step's last trial.
    np.testing.assert_allclose(found, truth.weights, rtol=0, atol=1e-7)


def test_a_small_stiff_slope_is_solved_implicitly(monkeypatch):
    """Slopes of 1e5 and 1: the explicit solver would need 4e5 calls."""
    x = np.diag([1.0, 1.0])
    scales = np.array([[1e5, 1.0]])
    problem = assemble(
        Setting(Linear(), GradientFlow(), Given()), x, np.array([[2.0, 0.0], [0.0, 3.0]]), np.zeros((2, 2))
    )
    monkeypatch.setattr(integrate, "MAX_CALLS", 2000)
    found = trajectory(problem, [2.0], 1e-8, slope=lambda y, target: scales * (y - target))
    assert found.method == "Radau"
    truth = np.array([[2.0, 0.0], [0.0, 3 * (1 - np.exp(-2.0))]])
    assert np.linalg.norm(found.theta[0, 0] - truth) <= found.local_error[0] + 1e-12


def test_a_large_stiff_slope_is_refused(monkeypatch):
    monkeypatch.setattr(integrate, "MAX_CALLS", 2000)
    problem = assemble(Setting(Linear(), GradientFlow()), np.eye(20))
    with pytest.raises(StiffError, match="times must be reachable in 2000 calls of slope"):
        trajectory(problem, [2.0], slope=lambda y, target: 1e6 * (y - target))


def test_the_slope_sees_outputs_and_targets_in_torchs_shapes():
    seen = []

    def slope(outputs, targets):
        seen.append((outputs.shape, targets.shape))
        return outputs - targets

    problem = assemble(Setting(Conv(3), GradientDescent(0.1), Given()), drawn((2, 1, 4, 5)), drawn((2, 3, 4, 5)))
    trajectory(problem, [2], slope=slope)
    assert seen == [((2, 3, 4, 5), (2, 3, 4, 5))] * 2


@pytest.mark.parametrize(
    ("slope", "beginning", "repair"),
    [
        (
            lambda y, target: y[0],
            r"slope must return real numbers in the shape of the outputs, \(1, 1\), but",
            "Return the",
        ),
        (lambda y, target: 1j * y, "slope must return real numbers", "Return the gradient of the loss in each output"),
        (lambda y, target: y + np.inf, r"slope must return finite numbers, but entry \(0, 0\) is inf", "Write it so"),
    ],
)
def test_a_slope_that_is_none_is_refused(slope, beginning, repair):
    problem = assemble(Setting(Linear(), GradientFlow()), [[1.0]])
    with pytest.raises(SettingError, match=f"{beginning}.*{repair}"):
        trajectory(problem, [1.0], slope=slope)
