"""A fixed preconditioner: solved by a change of variables, checked in the original ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

import closedflow as cf
from empirical.optimizer_strategies import preconditioned_problems
from empirical.strategies import seeds
from numerics.budget import Budget
from numerics.integrate import trajectory
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import (
    AcceleratedDescent,
    Adam,
    Descent,
    Flow,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    HeavyBallFlow,
    Nesterov,
    NesterovFlow,
    Optimizer,
    Preconditioned,
)
from theory.schedules import Cosine, LinearWarmup
from theory.setting import Setting
from theory.setting_proof import prove_setting
from theory.targets import Given

torch = pytest.importorskip("torch", reason="preconditioned descent is trained by torch")

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 4)) / 2, RNG.standard_normal((2, 3))
W0, B0 = RNG.standard_normal((3, 4)), RNG.standard_normal(3)
RULES = (
    GradientFlow(),
    GradientFlow(LinearWarmup(3.0)),
    HeavyBallFlow(0.7),
    NesterovFlow(),
    GradientDescent(0.1),
    GradientDescent(0.1, Cosine(12)),
    HeavyBall(0.05, 0.8),
    Nesterov(0.05, 0.8),
    AcceleratedDescent(0.05),
)


def positive(size, seed, condition=10.0):
    """A symmetric matrix with eigenvalues from 1 down to 1/condition."""
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    matrix = (basis * np.geomspace(1, 1 / condition, size)) @ basis.T
    return (matrix + matrix.T) / 2


P = positive(5, 1)


def setting(rule=RULES[0], matrix=P, decay=0.0, loss="half_sum"):
    return Setting(Linear(bias=True), Preconditioned(rule, matrix), Given(), loss, decay)


def predictor(chosen):
    return Predictor(chosen, X, Y, W0, B0)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("time", [0.0, 0.4, 5.0])
def test_the_flow_is_that_of_its_equation_by_a_matrix_exponential(decay, time):
    """vec(W) by expm of one block matrix, in the original coordinates: Ẇ = -(WΦ - Y)ΦᵀP - μW, decay after P."""
    phi = np.vstack([X.T, np.ones(2)])
    start = np.hstack([W0, B0[:, None]])
    generator = np.block(
        [[-(phi @ phi.T @ P + decay * np.eye(5)), np.zeros((5, 3))], [Y.T @ phi.T @ P, np.zeros((3, 3))]]
    )
    expected = np.hstack([start, np.eye(3)]) @ expm(time * generator)
    found = predictor(setting(decay=decay)).theta(time)[0, 0]
    np.testing.assert_allclose(found, expected[:, :5], atol=1e-13)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_every_rule_is_proved_integrated_and_brought_back(rule, decay):
    chosen = setting(rule, decay=decay, loss="mse")
    assert Setting.from_toml(chosen.to_toml()) == chosen
    solution = cf.solve(chosen)
    assert solution.proof.verdict == "proved"
    assert "P^(1/2)" in str(solution)
    p = predictor(chosen)
    times = [0, 1, 20] if rule.discrete else [0.0, 0.5, 4.0]
    result, budget = trajectory(p.problem, times), Budget(p)
    for index, time in enumerate(times):
        predicted, allowed = p.theta(time)[0], budget.integration(result, index, float(time))
        assert np.linalg.norm(result.theta[index] - predicted) <= allowed < 0.01 * np.linalg.norm(predicted)
    if not rule.recurrent:
        pasted = {}
        exec(solution.python(), pasted)
        found = pasted["weight"](p.problem.features[0], p.problem.columns[0], p.problem.start[0], P, times[2])
        assert np.abs(found - p.theta(times[2])[0, 0]).max() < 1e-12  # no root of these modes is near a double one


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.discrete], ids=str)
def test_torch_with_gradients_multiplied_by_p_agrees_and_a_planted_error_does_not(rule, decay, dtype):
    """A loop as anybody would write it: backward, grad @ P, step; weight decay is torch's, added by the step."""
    chosen = setting(rule, decay=decay)
    p, kind = predictor(chosen), {"dtype": getattr(torch, dtype)}
    weight, bias = (torch.tensor(start, requires_grad=True, **kind) for start in (W0, B0))
    named = rule.torch_optimizer()
    algorithm = torch.optim.SGD([weight, bias], weight_decay=decay, **named.arguments)
    named = rule.torch_scheduler()
    scheduler = named and torch.optim.lr_scheduler.LambdaLR(algorithm, **named.arguments)
    x, y, matrix = torch.tensor(X, **kind), torch.tensor(Y, **kind), torch.tensor(P, **kind)
    weights, biases = [], []
    for step in range(31):
        weights.append(weight.detach().clone())
        biases.append(bias.detach().clone())
        algorithm.zero_grad()
        (0.5 * ((x @ weight.T + bias - y) ** 2).sum()).backward()
        slope = torch.hstack([weight.grad, bias.grad[:, None]]) @ matrix
        weight.grad, bias.grad = slope[:, :-1].contiguous(), slope[:, -1].contiguous()
        algorithm.param_groups[0].update(rule.torch_options(step))
        algorithm.step()
        _ = scheduler and scheduler.step()
    steps = range(31)
    assert cf.crosscheck(p, steps, weights, biases, dtype=dtype).agrees
    assert cf.crosscheck(p, steps, [1.01 * w for w in weights], biases, dtype=dtype).verdict == "disagrees"
    run = cf.train(chosen, X, Y, W0, B0, steps=30, device="cpu", dtype=dtype)
    assert cf.crosscheck(p, run.steps, run.weights, run.biases).agrees


def test_a_flow_is_trained_by_its_companion():
    p = predictor(setting(decay=0.1))
    run = cf.train(p.setting, X, Y, W0, B0, steps=400, learning_rate=0.01, device="cpu")
    check = cf.crosscheck(p, run.steps, run.weights, run.biases, learning_rate=0.01)
    assert check.agrees
    assert check.ratio > 0.01  # stretched by the condition number of P^(1/2), about 3


@pytest.mark.theorem("T11")
@given(seeds(), st.sampled_from([0.3, 2.0, math.inf]))
def test_what_is_conserved_is_w_times_the_inverse_of_p_off_the_range(seed, time):
    matrix = positive(5, seed)
    p = predictor(setting(matrix=matrix))
    phi = p.problem.features[0]
    outside = np.linalg.inv(matrix) @ (np.eye(5) - phi @ np.linalg.pinv(phi))
    moved = (p.theta(time)[0, 0] - p.problem.start[0]) @ outside
    # The inverse has norm 10, and its rounding another condition number, 10.
    assert np.linalg.norm(moved) <= 100 * Budget(p).evaluation(time)


@pytest.mark.theorem("T11")
def test_what_a_plain_flow_conserves_is_not():
    p = predictor(setting())
    phi = p.problem.features[0]
    moved = (p.theta(2.0)[0, 0] - p.problem.start[0]) @ (np.eye(5) - phi @ np.linalg.pinv(phi))
    assert np.linalg.norm(moved) > 0.01


def test_the_limit_is_the_minimiser_that_is_nearest_in_the_norm_of_the_inverse():
    """By its Lagrange equations: min tr (W - W0)P⁻¹(W - W0)ᵀ with WΦ = Y."""
    p = predictor(setting())
    phi, start = p.problem.features[0], p.problem.start[0]
    nearest = start + (Y.T - start @ phi) @ np.linalg.inv(phi.T @ P @ phi) @ phi.T @ P
    np.testing.assert_allclose(p.theta(math.inf)[0, 0], nearest, atol=1e-12)
    plain = Predictor(Setting(Linear(bias=True), GradientFlow(), Given()), X, Y, W0, B0)
    assert np.abs(plain.theta(math.inf)[0, 0] - nearest).max() > 0.01


def test_with_the_identity_nothing_changes_and_decay_stays_the_same_in_all_directions():
    plain = Setting(Linear(bias=True), HeavyBall(0.05, 0.8), Given(), "half_sum", 0.2)
    same = setting(HeavyBall(0.05, 0.8), np.eye(5), 0.2)
    for time in (0, 1, 30, math.inf):
        np.testing.assert_allclose(predictor(same).theta(time), Predictor(plain, X, Y, W0, B0).theta(time), atol=1e-14)
    still = Predictor(setting(decay=0.5), np.zeros((1, 4)), np.zeros((1, 3)), W0, 0 * B0)
    np.testing.assert_allclose(still.weight(2.0)[0], math.exp(-1.0) * W0, atol=1e-14)


def test_prediction_loss_and_expected_error_are_those_of_the_weights():
    p = Predictor(
        Setting(Linear(), Preconditioned(GradientFlow(), positive(4, 3))), X, initial_weight=RNG.standard_normal((4, 4))
    )
    tests, time = RNG.standard_normal((3, 4)), [0.0, 1.0, math.inf]
    np.testing.assert_allclose(p.predict(tests, time), tests @ p.weight(time).swapaxes(1, 2), atol=1e-13)
    losses = 0.5 * ((X @ p.weight(time).swapaxes(1, 2) - X) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(p.loss(time), losses, atol=1e-13)
    starts = [p.from_start(start) for start in np.eye(16).reshape((16, 1, 4, 4))]
    zero = p.from_start(0 * p.problem.start)
    # E‖A + Σ z_i B_i‖² = ‖A‖² + σ²Σ‖B_i‖² for the affine map of the start.
    spread = sum(((one.predict(tests, time) - zero.predict(tests, time)) ** 2).sum(axis=2) for one in starts)
    np.testing.assert_allclose(p.expected_error(tests, time, 0.5), zero.error(tests, time) + 0.25 * spread, atol=1e-12)


@given(preconditioned_problems())
def test_random_problems_are_predicted_inside_their_budgets(case):
    p = Predictor(*case)
    time = 7.0 if case.setting.optimizer.discrete else 2 / (float(p.rates.max()) or 1.0)
    result = trajectory(p.problem, [time])
    assert np.linalg.norm(result.theta[0] - p.theta(time)[0]) <= Budget(p).integration(result, 0, time)


def test_groups_share_the_preconditioner_of_their_features(tmp_path):
    images = RNG.standard_normal((1, 2, 3, 3))
    chosen = Setting(Conv(3, groups=2, bias=True), Preconditioned(GradientDescent(0.02), positive(10, 4)))
    (row,) = cf.verify(setting=chosen, inputs=images, device="cpu").rows
    assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "agrees")
    p = Predictor(chosen, images)
    p.save(tmp_path / "p.npz")
    np.testing.assert_array_equal(cf.load(tmp_path / "p.npz").weight([3]), p.weight([3]))


def test_a_proof_needs_the_preconditioner_on_both_sides():
    assert "L-PINV" in prove_setting(setting()).lemmas
    assert "R" in str(cf.solve(setting()).limit)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 0.5], [0.0, 1.0]], r"matrix must be symmetric, but its entries \(1, 0\) and \(0, 1\) are 0 and 0\.5"),
        ([[1.0, 2.0]], r"matrix must be square, \(d, d\), but its shape is \(1, 2\)"),
        (2.0, r"matrix must be square, \(d, d\), but its shape is \(\)"),
        ([[1.0, math.nan], [math.nan, 1.0]], "matrix must be a number that is finite"),
        ([[1.0], [1.0, 2.0]], "matrix must be an array of numbers, but its rows differ"),
    ],
)
def test_a_matrix_that_is_not_symmetric_is_refused(matrix, message):
    with pytest.raises(SettingError, match=message):
        Preconditioned(GradientFlow(), matrix)


@pytest.mark.parametrize("ask", [Predictor, cf.train, lambda *given: cf.integrate(*given, times=[1.0])])
def test_a_matrix_that_is_not_positive_definite_or_of_another_size_is_refused_with_its_eigenvalue(ask):
    for matrix, message in (
        (
            [[1.0, 2.0], [2.0, 1.0]],
            "matrix must be positive definite, but its smallest eigenvalue is -1 and its largest 3",
        ),
        ([[1.0, 1.0], [1.0, 1.0]], "matrix must be positive definite, but its smallest eigenvalue is"),
        (np.eye(3), r"matrix must have shape \(2, 2\) for Linear\(bias=False\) on these inputs"),
    ):
        with pytest.raises(SettingError, match=message):
            ask(Setting(Linear(), Preconditioned(GradientDescent(0.1), matrix)), [[1.0, 0.0]])


@pytest.mark.parametrize("rule", [Adam(0.1), Preconditioned(GradientFlow(), [[1.0]]), 3])
def test_only_a_plain_linear_rule_is_preconditioned(rule):
    with pytest.raises(SettingError, match="optimizer must be a linear rule without preconditioner"):
        Preconditioned(rule, [[1.0]])


def test_a_step_that_diverges_in_one_mode_is_named_with_its_eigenvalue():
    chosen = Setting(Linear(), Preconditioned(GradientDescent(0.3), [[9.0, 0.0], [0.0, 1.0]]))
    with pytest.raises(SettingError, match=r"below 0\.222222 for these inputs \(largest rate .* 9\)"):
        Predictor(chosen, [[1.0, 0.0]])


def test_every_public_name_of_the_bases_is_the_rules_own_or_said_anew():
    """A new method of the bases must be passed on, or be defined for a preconditioned rule."""
    said = {"rule", "precondition", "steady", "linear", "lacks"}
    for rule, bases in (
        (GradientDescent(0.1, Cosine(5)), (Optimizer, Descent)),
        (HeavyBallFlow(0.5), (Optimizer, Flow)),
    ):
        wrapped = Preconditioned(rule, np.eye(2))
        for name in {
            name for base in bases for name in (*vars(base), *base.__annotations__) if not name.startswith("_")
        }:
            if name in said or name in ("kind", "family", "kinds"):
                continue
            assert getattr(wrapped, name) == getattr(rule, name), name


def test_what_a_preconditioned_rule_is_asked_is_what_the_rule_says():
    descent, flow = GradientDescent(0.1, Cosine(5)), GradientFlow(LinearWarmup(3.0))
    wrapped = Preconditioned(descent, np.eye(2))
    assert (wrapped.converges, wrapped.has_limit) == (False, True)
    assert Preconditioned(GradientDescent(0.1), np.eye(2)).max_learning_rate(4.0) == 0.5
    assert wrapped.flow_time(3) == descent.flow_time(3)
    assert wrapped.torch_optimizer() == descent.torch_optimizer()
    assert wrapped.steady(math.inf) == (wrapped, 5)
    assert Preconditioned(flow, np.eye(2)).steady(9.0) == (Preconditioned(GradientFlow(), np.eye(2)), 7.5)
