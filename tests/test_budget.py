"""The computed tolerances: true bounds of real errors, of the right order, and small enough to see a planted error."""

import itertools
import math
from dataclasses import dataclass, replace

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.linalg import expm

from empirical.layer_strategies import REAL
from empirical.strategies import feature_data, optimizers, problems, seeds
from numerics.budget import EXACT_STEPS, UNITS, Budget, gains, unit_roundoff
from numerics.integrate import trajectory
from numerics.predictor import Predictor
from theory.layers import Conv, Linear
from theory.optimizers import Flow, GradientDescent, GradientFlow, HeavyBall, Preconditioned
from theory.scalar import transition
from theory.setting import Setting
from theory.targets import Given

DESCENTS = ("gradient_descent", "heavy_ball")
U = UNITS["float64"]
PLANTED = 0.01  # the share of the weights that every level must see


@dataclass(frozen=True)
class Spring(Flow, abstract=True):
    """A second-order flow, whose propagator has two rows and oscillates."""

    friction: float

    def initial_state(self, weight):
        return weight, 0 * weight

    def velocity(self, state, gradient, t):
        return state[1], -self.friction * state[1] - gradient(state[0])


def matrix_of(optimizer, rate):
    return np.array(transition(optimizer, rate)[0], dtype=float)


# ── the gap between descent and flow ──


@pytest.mark.theorem("T1")
@pytest.mark.parametrize("x", [1e-8, 1e-4, 0.01, 0.1, 0.5, 0.9, 1.0])
def test_the_gap_bound_holds_in_one_mode_and_is_not_absurd(x):
    """In 40 digits: 0 ≤ e^{-xk} - (1-x)^k ≤ bound ≤ x/2; and at most 1 + 3x times the gap while xk ≤ 4."""
    with mpmath.workdps(40):
        for k in (1, 2, 3, 10, 100, 10**4, 10**6):
            gap = mpmath.exp(-mpmath.mpf(x) * k) - (1 - mpmath.mpf(x)) ** k
            bound = float(GradientFlow().gap_bound(np, np.array([x]), k)[0])
            assert 0 <= gap <= bound * (1 + 1e-12) + 1e-300  # rounding and underflow of exp
            assert bound <= x / 2 * (1 + 1e-15)
            if x * k <= 4 and x < 0.2:
                assert bound <= (1 + 3 * x * max(1, x * k)) * gap


def test_beyond_one_the_bound_would_be_false_and_is_refused():
    """At x = 1.9 one step overshoots by 1.05, and x/2 is 0.95."""
    assert math.exp(-1.9) - (1 - 1.9) > 1.9 / 2
    assert GradientFlow().gap_bound(np, np.array([1.0]), 0).item() == 0.0


def flow_and_companion(case, learning_rate, steps):
    p = Predictor(*case)
    descent = Predictor(replace(case.setting, optimizer=GradientDescent(learning_rate)), *case[1:])
    return p, np.linalg.norm(p.theta(steps * learning_rate)[0] - descent.theta(steps)[0])


@pytest.mark.theorem("T1")
@given(problems(optimizer_kinds=["gradient_flow"]), st.floats(0.01, 1.0), st.integers(0, 60))
def test_the_gap_of_whole_networks_is_inside_its_bound(case, x, steps):
    rate = float(Predictor(*case).rates.max()) or 1.0
    p, gap = flow_and_companion(case, x / rate, steps)
    budget = Budget(p)
    assert gap <= budget.gap(x / rate, steps) + 2 * budget.evaluation(steps * x / rate)


@given(problems(optimizer_kinds=["gradient_flow"]))
def test_halving_the_learning_rate_halves_the_gap_at_a_fixed_time(case):
    """Order one, at xk = 1, above rounding: each mode's gap is (xt s/2)(1 + O(x)), and so is its bound."""
    rate = float(Predictor(*case).rates.max()) or 1.0
    for x, steps in ((2.0**-7, 128), (2.0**-8, 256)):
        p, coarse = flow_and_companion(case, x / rate, steps)
        _, fine = flow_and_companion(case, x / rate / 2, 2 * steps)
        budget = Budget(p)
        if coarse > 1e6 * budget.evaluation(1 / rate):
            assert coarse / fine == pytest.approx(2.0, rel=4 * x)
            assert budget.gap(x / rate, steps) / budget.gap(x / rate / 2, 2 * steps) == pytest.approx(2.0, rel=4 * x)
            assert budget.gap(x / rate, steps) <= (1 + 8 * x) * coarse  # the modes are orthogonal: the bound is sharp


@given(problems(optimizer_kinds=DESCENTS))
def test_a_descent_has_no_gap_to_itself_and_momentum_flows_no_derived_one(case):
    assert Budget(Predictor(*case)).gap(0.1, 10) == 0.0
    assert Spring(0.5).gap_bound(np, np.array([0.1]), 3) is None


# ── the response of one mode ──


@settings(max_examples=60)
@given(optimizers(1.0, kinds=DESCENTS), st.lists(st.floats(0, 1.0), min_size=1, max_size=3), st.integers(0, 700))
def test_gains_are_the_sums_of_all_powers(optimizer, rates, steps):
    found = gains(optimizer, np.array(rates), steps)
    for index, rate in enumerate(rates):
        matrix = matrix_of(optimizer, rate)
        total, peak, power = np.zeros_like(matrix), np.abs(np.eye(len(matrix))), np.eye(len(matrix))
        for _ in range(steps):
            total, peak, power = total + np.abs(power), np.maximum(peak, np.abs(power)), matrix @ power
        slack = 1e-12 * (1 + total)  # rounding of some hundred sums
        assert (found.total[index] >= total - slack).all()
        assert (found.peak[index] >= peak - 1e-12 * (1 + peak)).all()
        if steps <= EXACT_STEPS:
            np.testing.assert_allclose(found.total[index], total, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(found.peak[index], peak, rtol=1e-12, atol=1e-14)
        elif len(matrix) == 1:  # doubling loses nothing where powers keep their sign or their modulus multiplies
            np.testing.assert_allclose(found.total[index], total, rtol=1e-9)


@pytest.mark.parametrize("optimizer", [GradientFlow(), Spring(0.5), Spring(3.0)], ids=str)
@pytest.mark.parametrize("rate", [0.0, 0.3, 4.0])
@pytest.mark.parametrize("time", [0.0, 0.7, 25.0])
def test_gains_of_a_flow_are_integrals_of_its_propagator(optimizer, rate, time):
    found = gains(optimizer, np.array([rate]), time)
    matrix = matrix_of(optimizer, rate)
    grid = np.linspace(0, time, 400)
    propagators = expm(grid[:, None, None] * matrix)
    assert (found.peak[0] >= np.abs(propagators).max(axis=0) - 1e-12).all()
    for row, column in itertools.product(range(len(matrix)), repeat=2):

        def entry(tau, row=row, column=column):
            return abs(expm(tau * matrix)[row, column])

        integral = sum(quad(entry, a, b, limit=200)[0] for a, b in itertools.pairwise(np.linspace(0, time, 6)))
        assert found.total[0, row, column] >= integral * (1 - 1e-9) - 1e-12
    # Short steps overestimate by a factor e^{1/64} at most before doubling starts.
    if 128 * np.abs(matrix).sum(axis=1).max() * time <= EXACT_STEPS or len(matrix) == 1:
        bound = np.trapezoid(np.abs(propagators), grid, axis=0)
        assert (found.total[0] <= 1.05 * bound + 0.02 * time).all()


def test_a_unit_error_of_the_gradient_enters_with_the_learning_rate():
    found = gains(HeavyBall(0.5, 0.25), np.array([1.0]), 1)
    np.testing.assert_array_equal(found.gradient, [[0.5, 1.0]])
    np.testing.assert_array_equal(gains(GradientFlow(), np.array([1.0]), 1.0).gradient, [[1.0]])


# ── rounding ──


def iterated(problem, steps, dtype):
    """The rule itself in another arithmetic: its features, targets, start and every operation."""
    setting, optimizer = problem.setting, problem.setting.optimizer
    values = [array.astype(dtype) for array in (problem.features, problem.columns, problem.start)]
    features, columns, start = values
    scale, decay = dtype(problem.scale), dtype(setting.weight_decay)
    rule = optimizer.symbolic(**{name: dtype(value) for name, value in vars(optimizer).items() if value is not None})

    def gradient(theta):
        return scale * (theta @ features - columns) @ features.swapaxes(-1, -2) + decay * theta

    state = rule.initial_state(start)
    for index in range(steps):
        state = rule.step(state, gradient, index)
    return state[0]


@settings(max_examples=150)
@given(problems(kinds=REAL, optimizer_kinds=DESCENTS), st.integers(0, 200))
def test_the_rounding_of_real_float32_descents_is_inside_the_bound(case, steps):
    p = Predictor(*case)
    # The data too are rounded to float32: a relative error of one unit, the product with it like the product's own.
    error = np.linalg.norm(iterated(p.problem, steps, np.float32) - iterated(p.problem, steps, np.float64))
    budget = Budget(p)
    assert error <= budget.rounding(steps, UNITS["float32"]) + budget.rounding(steps, UNITS["float64"])


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double has no more digits here")
@settings(max_examples=100)
@given(problems(kinds=REAL, optimizer_kinds=DESCENTS), st.integers(0, 200))
def test_rounding_in_float64_of_descent_and_closed_form_is_inside_their_bounds(case, steps):
    p = Predictor(*case)
    exact, budget = iterated(p.problem, steps, np.longdouble), Budget(p)
    own = budget.rounding(steps, float(np.finfo(np.longdouble).eps) / 2)
    assert (
        np.linalg.norm(iterated(p.problem, steps, np.float64) - exact) <= budget.rounding(steps, UNITS["float64"]) + own
    )
    assert np.linalg.norm(p.theta(steps)[0] - exact) <= budget.evaluation(steps) + own


@settings(max_examples=25)
@given(
    feature_data(features=3, condition=1e3), seeds(), st.sampled_from([0.0, 0.2]), st.sampled_from([0.1, 3.0, 1e3, 1e7])
)
def test_rounding_of_the_flow_is_inside_its_bound(x, seed, decay, time):
    """Against mpmath's matrix exponential in 60 digits."""
    rng = np.random.default_rng(seed)
    y, w0 = rng.standard_normal((len(x), 2)), rng.standard_normal((2, 3))
    p = Predictor(Setting(Linear(), GradientFlow(), Given(), weight_decay=decay), x, y, w0)
    with mpmath.workdps(60):
        phi = mpmath.matrix(x.T.tolist())
        gram = phi * phi.T + mpmath.mpf(decay) * mpmath.eye(3)
        augmented = mpmath.zeros(5)
        augmented[:3, :3] = -gram
        augmented[3:, :3] = mpmath.matrix(y.T.tolist()) * phi.T
        start = mpmath.zeros(2, 5)
        start[:, :3] = mpmath.matrix(w0.tolist())
        start[0, 3] = start[1, 4] = 1
        exact = (start * mpmath.expm(mpmath.mpf(time) * augmented))[:, :3]
        exact = np.array([[float(entry) for entry in row] for row in exact.tolist()])
    # Rank-deficient data are so to rounding only: over long times what is 1e-32 of the largest eigenvalue must not count.
    assert np.linalg.norm(p.theta(time)[0] - exact) <= Budget(p).evaluation(time)


@given(st.integers(1, 3), seeds())
def test_rounding_of_the_limit_is_inside_its_bound_for_singular_data(rank, seed):
    """Φ = AB in whole numbers, so that Φ⁺ = Bᵀ(BBᵀ)⁻¹(AᵀA)⁻¹Aᵀ is known in 60 digits."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-3, 4, (4, rank)) + 4 * np.eye(4, rank, dtype=int)
    b = rng.integers(-3, 4, (rank, 5)) + 4 * np.eye(rank, 5, dtype=int)
    if np.linalg.matrix_rank(a) < rank or np.linalg.matrix_rank(b) < rank:
        a, b = np.eye(4, rank, dtype=int), np.eye(rank, 5, dtype=int)
    y, w0 = rng.standard_normal((5, 2)), rng.standard_normal((2, 4))
    p = Predictor(Setting(Linear(), GradientFlow(), Given()), (a @ b).T, y, w0)
    with mpmath.workdps(60):
        left, right = mpmath.matrix(a.tolist()), mpmath.matrix(b.tolist())
        inverse = right.T * (right * right.T) ** -1 * (left.T * left) ** -1 * left.T
        start, targets = mpmath.matrix(w0.tolist()), mpmath.matrix(y.T.tolist())
        exact = start + (targets - start * left * right) * inverse
        exact = np.array([[float(entry) for entry in row] for row in exact.tolist()])
    bound = Budget(p).evaluation(math.inf)
    assert np.linalg.norm(p.theta(math.inf)[0] - exact) <= bound
    assert bound < 1e-8 * (1 + np.linalg.norm(exact))


def ill_conditioned(features, columns, realizable):
    """Data of condition 1e10, targets and a start; (x, y, w0)."""
    rng, rank = np.random.default_rng(0), min(features, columns)
    left, right = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in (features, columns))
    x, w0 = ((left * np.geomspace(1, 1e-10, rank)) @ right.T).T, rng.standard_normal((2, features))
    return x, x @ rng.standard_normal((features, 2)) if realizable else rng.standard_normal((columns, 2)), w0


def skewed(size):
    """A preconditioner of condition 1e4."""
    basis = np.linalg.qr(np.random.default_rng(3).standard_normal((size, size)))[0]
    matrix = (basis * np.geomspace(1, 1e-4, size)) @ basis.T
    return (matrix + matrix.T) / 2


def limit_in_many_digits(x, y, w0, decay, matrix):
    """From the normal equations, (W Φ - Y)ΦᵀP + μW = 0, or in the dual where d > M and nothing decays; 80 digits."""
    with mpmath.workdps(80):
        phi, targets, start, p = (mpmath.matrix(value.tolist()) for value in (x.T, y.T, w0, matrix))
        if decay:
            found = targets * phi.T * p * (phi * phi.T * p + mpmath.mpf(decay) * mpmath.eye(phi.rows)) ** -1
        elif phi.rows <= phi.cols:
            found = targets * phi.T * (phi * phi.T) ** -1
        else:
            found = start + (targets - start * phi) * (phi.T * p * phi) ** -1 * phi.T * p
        return np.array([[float(entry) for entry in row] for row in found.tolist()])


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
@pytest.mark.parametrize("realizable", [True, False])
@pytest.mark.parametrize("decay", [0.0, 1e-10, 1e-3])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_the_budget_of_the_limit_of_ill_conditioned_data_holds_and_is_not_absurd(
    shape, realizable, decay, preconditioned
):
    x, y, w0 = ill_conditioned(*shape, realizable)
    matrix = skewed(shape[0]) if preconditioned else np.eye(shape[0])
    rule = Preconditioned(GradientDescent(0.5), matrix.tolist()) if preconditioned else GradientDescent(0.5)
    p = Predictor(Setting(Linear(), rule, Given(), weight_decay=decay), x, y, w0)
    error = np.linalg.norm(p.theta(math.inf)[0] - limit_in_many_digits(x, y, w0, decay, matrix))
    bound = Budget(p).evaluation(math.inf)
    assert error <= bound
    # Wedin's bound is of the worst perturbation, with a rounding for each of the data; a preconditioner of κ(R) = 100 costs
    # κ(R)² and what its own decomposition loses. The old bounds were 1e18 and 1e27 times the error.
    assert bound <= (1e9 if preconditioned else 1e6) * max(error, U)


@pytest.mark.parametrize("decay", [0.0, 1e-3])
@pytest.mark.parametrize("steps", [10**3, 10**9, 10**15, 10**20])
def test_a_closed_form_after_very_many_steps_has_no_rounding_of_each(steps, decay):
    """By repeated squaring in 120 digits."""
    x, y, w0 = ill_conditioned(4, 6, realizable=True)
    p = Predictor(Setting(Linear(), GradientDescent(0.5), Given(), weight_decay=decay), x, y, w0)
    with mpmath.workdps(120):
        phi, targets = mpmath.matrix(x.T.tolist()), mpmath.matrix(y.T.tolist())
        step, start = mpmath.eye(6), mpmath.zeros(2, 6)
        step[:4, :4] -= mpmath.mpf(0.5) * (phi * phi.T + mpmath.mpf(decay) * mpmath.eye(4))
        step[4:, :4] = mpmath.mpf(0.5) * targets * phi.T
        start[:, :4] = mpmath.matrix(w0.tolist())
        start[0, 4] = start[1, 5] = 1
        exact = (start * step**steps)[:, :4]
        exact = np.array([[float(entry) for entry in row] for row in exact.tolist()])
    bound = Budget(p).evaluation(float(steps))
    assert np.linalg.norm(p.theta(float(steps))[0] - exact) <= bound
    assert bound < 1e-3 * np.linalg.norm(exact)


# ── every level sees a planted error ──


def planted_is_seen(theta, bound):
    return PLANTED * np.linalg.norm(theta) > bound


@pytest.mark.parametrize("layer", [Linear(), Linear(bias=True), Conv(3), Conv(3, groups=2, padding_mode="circular")])
@pytest.mark.parametrize("optimizer", [GradientDescent(0.1), HeavyBall(0.05, 0.9)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_one_percent_of_the_weights_fails_in_training_float32_included(layer, optimizer, decay):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4) if isinstance(layer, Linear) else (2, 2, 4)) / 2
    p = Predictor(Setting(layer, optimizer, weight_decay=decay), x, seed=0)
    for steps in (1, 50, 1000):
        theta, budget = p.theta(steps)[0], Budget(p)
        for dtype in ("float32", "float64"):
            bound = budget.rounding(steps, unit_roundoff(dtype)) + budget.evaluation(steps)
            assert planted_is_seen(theta, bound), (steps, dtype, bound)
            assert np.linalg.norm(iterated(p.problem, steps, getattr(np, dtype)) - theta) <= bound


@settings(max_examples=30)
@given(problems(), st.integers(1, 40))
def test_one_percent_of_the_weights_fails_in_integration(case, units):
    p = Predictor(*case)
    time = units if p.setting.optimizer.discrete else units / (float(p.rates.max()) or 1.0)
    found, budget = trajectory(p.problem, [time], 1e-10), Budget(p)
    bound = budget.integration(found, 0, time)
    assert np.linalg.norm(p.theta(time)[0] - found.theta[0]) <= bound
    if np.abs(p.theta(time)).max() > 1e-6:  # where there is a weight to be off by 1 %
        assert planted_is_seen(p.theta(time), bound)
        assert np.linalg.norm((1 + PLANTED) * p.theta(time)[0] - found.theta[0]) > bound


def test_one_percent_of_the_weights_fails_on_real_digits_in_float32(mnist):
    """784 features, momentum, a thousand steps in single precision."""
    p = Predictor(Setting(Linear(), HeavyBall(1e-3, 0.9)), mnist[:1], seed=0)
    bound = Budget(p).rounding(1000, UNITS["float32"]) + Budget(p).evaluation(1000)
    assert planted_is_seen(p.theta(1000), bound)


# ── distances to the limit ──


@given(problems(), st.integers(0, 30))
def test_the_truncation_is_the_distance_to_the_limit(case, units):
    """Orthogonal modes: the norm of what is left, exactly; and the travel is what is left at time 0."""
    p = Predictor(*case)
    budget = Budget(p)
    time = units if p.setting.optimizer.discrete else units / (float(p.rates.max()) or 1.0)
    bound = budget.evaluation(time) + budget.evaluation(math.inf)
    distance = np.linalg.norm(p.theta(time)[0] - p.theta(math.inf)[0])
    if len(p.problem.start) == 1:
        assert distance == pytest.approx(budget.truncation(time), rel=1e-9, abs=bound)
    assert distance <= budget.truncation(time) * (1 + 1e-9) + bound
    assert np.linalg.norm(p.problem.start - p.theta(math.inf)[0]) <= np.linalg.norm(budget.travel) + bound


def test_the_units_are_half_the_machine_epsilons():
    for dtype in ("float32", "float64"):
        assert UNITS[dtype] == unit_roundoff(dtype) == unit_roundoff(f"torch.{dtype}") == np.finfo(dtype).eps / 2
