"""Theorems T6 to T16 on numbers: each holds under its hypotheses and fails outside them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical import laws
from numerics.arrays import Float
from numerics.budget import UNITS, Budget
from numerics.formula import exponential
from numerics.predictor import Predictor
from numerics.spectrum import spectrum
from theory.layers import Linear
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given

seeds = st.integers(0, 2**32 - 1)


class Data:
    """Rank-deficient features of a linear layer, targets and a start, with singular values in [1/2, 2]."""

    def __init__(self, seed: int, *, square: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        d, n = int(self.rng.integers(2, 7)), int(self.rng.integers(1, 6))
        rank = int(self.rng.integers(1, min(d, n) + 1))
        left, right = (np.linalg.qr(self.rng.standard_normal((size, rank)))[0] for size in (d, n))
        self.x: Float = (left * self.rng.uniform(0.5, 2, rank)) @ right.T
        self.q = d if square else int(self.rng.integers(1, 4))
        self.y = self.rng.standard_normal((self.q, n))
        self.start = self.rng.standard_normal((self.q, d))
        self.outside = np.eye(d) - left @ left.T

    def predictor(self, setting: Setting) -> Predictor:
        if isinstance(setting.target, Given):
            return Predictor(setting, self.x.T, self.y.T, self.start)
        return Predictor(setting, self.x.T, initial_weight=self.start)


def tolerance(*matrices: Float) -> float:
    """Rounding of a handful of products and of a pseudo-inverse with condition 4: 1000 units of the largest size, squared."""
    return 1000 * 2 * UNITS["float64"] * max(1.0, *(float(np.abs(matrix).max()) for matrix in matrices)) ** 2


@pytest.mark.theorem("T6")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_first_layer_of_a_deep_relu_network_stays_at_its_start_outside_the_span(momentum):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    data = Data(1)
    d = len(data.x)
    layers = [torch.nn.Linear(d, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, d)]
    net = torch.nn.Sequential(*layers).double()
    first = net[0].weight
    before = first.detach().numpy().copy()
    x = torch.tensor(data.x.T)
    plain = torch.optim.SGD(net.parameters(), lr=0.05, momentum=momentum)
    for step in range(50):
        batch = x[step % len(x) :]
        plain.zero_grad()
        ((net(batch) - batch) ** 2).sum().backward()
        plain.step()
    moved = first.detach().numpy() - before
    assert np.abs(moved).max() > 1e-3  # it learned something
    assert np.abs(moved @ data.outside).max() <= tolerance(before, moved)


@pytest.mark.theorem("T6")
def test_under_adam_the_first_layer_moves_outside_the_span():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    data = Data(1)
    layer = torch.nn.Linear(len(data.x), 3, bias=False).double()
    before = layer.weight.detach().numpy().copy()
    adam = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(20):
        adam.zero_grad()
        (layer(torch.tensor(data.x.T)) ** 2).sum().backward()
        adam.step()
    moved = (layer.weight.detach().numpy() - before) @ data.outside
    assert np.abs(moved).max() > 1e-3


@pytest.mark.theorem("T7")
@given(seeds, st.floats(1e-3, 10))
def test_under_decay_every_start_ends_at_the_ridge_solution(seed, decay):
    data = Data(seed)
    p = data.predictor(Setting(Linear(), GradientFlow(), Given(), weight_decay=decay))
    ridge = np.linalg.solve(data.x @ data.x.T + decay * np.eye(len(data.x)), data.x @ data.y.T).T
    budget = Budget(p).evaluation(math.inf) / min(1.0, decay)  # the reference solves with condition (4 + μ)/μ
    assert np.linalg.norm(p.weight(math.inf)[0] - ridge) <= budget + tolerance(data.y) / min(1.0, decay)


@pytest.mark.theorem("T7")
@given(seeds)
def test_as_the_decay_vanishes_the_ridge_solution_tends_to_the_minimum_norm_one_at_first_order(seed):
    data = Data(seed)
    smallest = data.y @ spectrum(data.x[None]).pseudo_inverse()[0]
    gaps = []
    for decay in (1e-3, 5e-4):
        p = data.predictor(Setting(Linear(), GradientFlow(), Given(), weight_decay=decay))
        gaps.append(float(np.linalg.norm(p.weight(math.inf)[0] - smallest)))
        # the identity of T7 with σ ≥ 1/2: ‖gap‖ ≤ μ‖YΦ⁺‖/σ²
        assert gaps[-1] <= 4 * decay * np.linalg.norm(smallest) + tolerance(data.y)
    # gap = μ·YΦ⁺(ΦΦᵀ + μI)⁻¹, so halving μ halves it up to the factor (σ² + μ)/(σ² + μ/2), within 1/4 %·…: σ² ≥ 1/4
    assert 1.99 <= gaps[0] / gaps[1] <= 2.0 + 1e-6


@pytest.mark.theorem("T8")
@pytest.mark.theorem("T9")
@given(seeds, st.integers(0, 60), st.sampled_from([0.0, 0.01]), st.booleans())
def test_a_descent_is_its_own_recurrence(seed, steps, decay, momentum):
    data = Data(seed)
    optimizer = HeavyBall(0.2, 0.8) if momentum else GradientDescent(0.2)  # s ≤ 4.01, so η·s < 1
    p = data.predictor(Setting(Linear(), optimizer, Given(), weight_decay=decay))
    weight, buffer = data.start.copy(), np.zeros_like(data.start)
    for _ in range(steps):
        gradient = (weight @ data.x - data.y) @ data.x.T + decay * weight
        buffer = (0.8 if momentum else 0.0) * buffer + gradient
        weight = weight - 0.2 * buffer
    budget = Budget(p)
    assert np.linalg.norm(p.weight(steps)[0] - weight) <= budget.rounding(steps, UNITS["float64"]) + budget.evaluation(
        steps
    )


@pytest.mark.theorem("T10")
@given(seeds)
def test_a_schedule_only_changes_the_time(seed):
    data = Data(seed)
    p = data.predictor(Setting(Linear(), GradientFlow(), Given()))
    # η(t) = 1/(1 + t)² has ∫η = t/(1 + t): Heun's method on the scheduled flow, whose error falls as 1/n²
    errors = []
    for count in (200, 400):
        weight, h = data.start.copy(), 3.0 / count

        def velocity(w, t):
            return -((w @ data.x - data.y) @ data.x.T) / (1 + t) ** 2

        for index in range(count):
            slope = velocity(weight, index * h)
            weight = weight + h / 2 * (slope + velocity(weight + h * slope, (index + 1) * h))
        errors.append(float(np.linalg.norm(weight - p.weight(0.75)[0])))
    # Second order at fixed time: the ratio tends to 4; the h³ term is below a tenth of the h² term at s·h ≤ 0.06.
    assert errors[0] <= 1e-10 or 3.4 <= errors[0] / errors[1] <= 4.6


@pytest.mark.theorem("T11")
@given(seeds)
def test_a_preconditioned_descent_is_the_plain_one_in_new_variables_and_leaves_the_null_space(seed):
    data = Data(seed)
    d = len(data.x)
    root = np.eye(d) + 0.3 * data.rng.standard_normal((d, d)) / d
    inverse = np.linalg.inv(root)
    weight, plain = data.start.copy(), data.start @ inverse.T
    features = root.T @ data.x
    for _ in range(20):
        weight = weight - 0.05 * (weight @ data.x - data.y) @ data.x.T @ root @ root.T
        plain = plain - 0.05 * (plain @ features - data.y) @ features.T
    assert np.abs(weight @ inverse.T - plain).max() <= tolerance(weight, plain)
    conserved = inverse.T @ inverse @ data.outside
    assert np.abs((weight - data.start) @ conserved).max() <= tolerance(weight, conserved)


@pytest.mark.theorem("T12")
@given(seeds)
def test_minimisers_agree_exactly_inside_the_range(seed):
    data = Data(seed)
    pseudo = spectrum(data.x[None]).pseudo_inverse()[0]
    minimisers = [data.y @ pseudo + data.rng.standard_normal(data.start.shape) @ data.outside for _ in range(2)]
    inside = data.x @ data.rng.standard_normal((data.x.shape[1], 3))
    assert np.abs((minimisers[0] - minimisers[1]) @ inside).max() <= tolerance(*minimisers, inside)
    if np.abs(data.outside).max() > 1e-3:
        assert np.abs((minimisers[0] - minimisers[1]) @ data.outside).max() > 1e-6


@pytest.mark.theorem("T13")
@given(seeds)
def test_the_error_lies_between_multiples_of_the_distance(seed):
    data = Data(seed, square=True)
    p = data.predictor(Setting(Linear(), GradientFlow(), start=Gaussian(1.0)))
    x = data.rng.standard_normal((4, len(data.x)))
    errors = np.sqrt(p.error(x, math.inf)[0])
    gains = np.linalg.svd(data.start - np.eye(len(data.x)), compute_uv=False)
    distances = np.linalg.norm(x @ data.outside, axis=1)
    slack = tolerance(data.start, x)
    assert (gains.min() * distances <= errors + slack).all()
    assert (errors <= gains.max() * distances + slack).all()
    mixture = data.x @ data.rng.dirichlet(np.ones(data.x.shape[1]))  # a point of the convex hull
    assert (distances <= np.linalg.norm(x - mixture, axis=1) + slack).all()


@pytest.mark.theorem("T14")
@given(seeds, st.sampled_from([0.0, 0.5]))
def test_scaled_data_train_faster_by_the_square_unless_there_is_decay(seed, decay):
    data = Data(seed, square=True)
    p = data.predictor(Setting(Linear(), GradientFlow(), weight_decay=decay))
    check = laws.check_scaling.measured(p, seed % 97)
    if decay == 0:
        assert check, check
    else:
        assert "weight_decay is 0.5" in laws.check_scaling.applies(p)
        assert check.residual > 1e-6


@pytest.mark.theorem("T15")
@given(seeds)
def test_rotated_data_train_to_the_rotated_map(seed):
    data = Data(seed, square=True)
    assert laws.check_rotation(data.predictor(Setting(Linear(), GradientFlow(), weight_decay=0.1)), seed)


@pytest.mark.theorem("T16")
@given(seeds, st.booleans())
def test_training_in_two_runs_is_training_once_for_flow_and_not_for_momentum(seed, momentum):
    data = Data(seed)
    optimizer = HeavyBall(0.1, 0.9) if momentum else GradientFlow()
    check = laws.check_semigroup.measured(data.predictor(Setting(Linear(), optimizer, Given())))
    if momentum:
        assert check.residual > 1e-6
    else:
        assert check, check


def test_the_exponential_of_the_formulas_is_that_of_scipy():
    from scipy.linalg import expm

    data = Data(3)
    gram = data.x @ data.x.T
    flow, integral = exponential(gram[None], 0.8)
    assert np.abs(flow[0] - expm(-0.8 * gram)).max() <= tolerance(gram)
    assert np.abs(np.eye(len(gram)) - gram @ integral[0] - flow[0]).max() <= tolerance(gram)
