"""The stable residuals against the derived ones in high precision, the rules against torch's optimisers."""

import itertools
import math
from dataclasses import fields
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical.strategies import optimizers
from numerics.arrays import quiet
from numerics.budget import UNITS, gains
from theory import scalar
from theory.optimizers import Adam, GradientDescent, GradientFlow, HeavyBall, Optimizer
from theory.scalar import mode_solution, transition

torch = pytest.importorskip("torch", reason="torch runs the same formulas and its own optimisers")

U = UNITS["float64"]
DIGITS = 360  # so that 1 - ηs is seen at s = 1e-300
SAFETY = 16  # elementary operations and functions per evaluation, each off by about one unit roundoff
KINDS = ("gradient_flow", "gradient_descent", "heavy_ball")  # whose rounding ``tolerances`` knows
MOMENTA = (0.0, 1e-244, 1e-20, 1e-9, 0.25, 0.5, 0.81, 0.9, 0.99)
COUNTS = (0, 1, 2, 3, 10, 101, 1000, 10**6)
DESCENTS = ("gradient_descent", "heavy_ball", "nesterov", "averaged_descent", "minibatch_descent")  # with a formula
SLOW = (
    "averaged_descent",
    "averaged_flow",
    "accelerated_descent",
)  # fall as a power of time, or are walked step by step


def numbers_of(kind, value=0.5):
    """Values for the parameters that are numbers."""
    return {field.name: value for field in fields(Optimizer.kinds[kind]) if field.name in scalar.LETTERS}


@cache
def derived(kind):
    """The residual that theory.scalar derived for a kind, as mpmath functions: generic, and at a double root."""
    kwargs = numbers_of(kind)
    mode = mode_solution(Optimizer.kinds[kind](**kwargs | ({"batch_size": 1} if "batch_size" in kwargs else {})))
    letters = [sympy.Symbol(scalar.LETTERS[name], positive=True) for name in kwargs]
    arguments = [*letters, scalar.s, mode.time]
    functions = [sympy.lambdify(arguments, expr, "mpmath") for expr in (mode.residual, *(e for _, e in mode.special))]
    condition = [sympy.lambdify(arguments, case.lhs, "mpmath") for case, _ in mode.special]
    return functions, condition


def reference(optimizer, s, t):
    """g(s, t) from the derived expression, in high precision."""
    if getattr(optimizer, "momentum", None) == 0:
        optimizer = GradientDescent(optimizer.learning_rate)
    functions, condition = derived(optimizer.kind)
    values = [mpmath.mpf(getattr(optimizer, name)) for name in numbers_of(optimizer.kind)]
    arguments = [*values, mpmath.mpf(s), mpmath.mpf(t)]
    double = bool(condition) and condition[0](*arguments) == 0
    return mpmath.re(functions[1 if double else 0](*arguments))


def shaken(function, at):
    """What a relative error of one unit roundoff in the argument does, in units of it."""
    return max(abs(function(at * (1 + sign * mpmath.mpf(U))) - function(at)) for sign in (-1, 1)) / U


def tolerances(optimizer, s, t):
    """How far residual and progress may be off: their condition in x = ηs and β, and rounding of the terms they sum."""
    g = reference(optimizer, s, t)
    moved = shaken(lambda value: reference(optimizer, value, t), mpmath.mpf(s))
    beta = getattr(optimizer, "momentum", 0.0)
    x = mpmath.mpf(getattr(optimizer, "learning_rate", 1.0)) * mpmath.mpf(s)
    if not optimizer.discrete or (beta == 0 and x <= 1):
        return U * SAFETY * (moved + abs(g)), U * SAFETY * (moved + abs(1 - g))
    if beta == 0:
        size = U * SAFETY * (moved + abs(g) + abs(1 - g) + t * abs(mpmath.log(abs(x - 1) or 1)) * abs(g))
        return size, size
    moved += shaken(lambda value: reference(HeavyBall(optimizer.learning_rate, value), s, t), mpmath.mpf(beta))
    trace, beta = 1 + beta - x, mpmath.mpf(beta)
    root = mpmath.sqrt(trace**2 - 4 * beta)
    r1 = (trace + root) / 2 if trace >= 0 else (trace - root) / 2
    size, angle = abs(r1), abs(mpmath.im(mpmath.log(r1))) if mpmath.im(root) else 0
    power = size**t
    swing = power * abs(1 - x - r1) / size * min(mpmath.mpf(t), 2 * size / abs(root) if root else t)
    if mpmath.im(root) or trace < 0:
        envelope = (1 + t * (abs(mpmath.log(size)) + angle)) * (power + swing)
        return U * SAFETY * (moved + envelope), U * SAFETY * (moved + envelope + abs(1 - g))
    # Two positive roots: 1 - r1 is computed as x/(1 - r2), whose error is relative, but grows as r2 → 1.
    near = 1 / (1 - abs(beta / r1)) if abs(beta / r1) < 1 else mpmath.mpf(1)
    terms = 1 - power + swing + t * abs(mpmath.log(size)) * power
    return U * SAFETY * near * (moved + abs(g) + swing), U * SAFETY * near * (moved + terms + abs(1 - g))


def rates(beta):
    """x = ηs: zero, tiny, ordinary, at and around the double roots, 1, 1 + β, 2 and the limit of convergence."""
    root = math.sqrt(beta)
    corners = [(1 - root) ** 2, 1.0, 1 + beta, min(2.0, 2 * (1 + beta)), (1 + root) ** 2]
    near = [math.nextafter(x, toward) for x in corners if x for toward in (0, 9)] + [x * (1 - 1e-9) for x in corners]
    ordinary = [1e-300, 1e-100, 1e-16, 1e-12, 1e-8, 1e-3, 0.3, 0.7, 1.3, 1.9]
    return sorted({x for x in (0.0, *ordinary, *corners, *near, 2 * (1 + beta)) if x <= 2 * (1 + beta)})


def assert_accurate(optimizer, rates_, times):
    with quiet():
        values = optimizer.response(np, np.array(rates_)[:, None], np.array(times, dtype=float))
        tensors = optimizer.response(
            torch, torch.tensor(rates_, dtype=torch.float64)[:, None], torch.tensor(times, dtype=torch.float64)
        )
    with mpmath.workdps(DIGITS):
        for row, s in enumerate(rates_):
            for column, t in enumerate(times):
                g = reference(optimizer, s, t)
                allowed = tolerances(optimizer, s, t)
                tiny = mpmath.mpf(2) ** -1022  # below, floating point has no relative accuracy
                for exact, bound, *found in zip((g, 1 - g), allowed, values, tensors, strict=True):
                    for each in found:
                        error = abs(mpmath.mpf(float(each[row, column])) - exact)
                        assert error <= bound + tiny, (
                            optimizer,
                            s,
                            t,
                            float(each[row, column]),
                            mpmath.nstr(exact, 20),
                        )


@pytest.mark.parametrize("beta", MOMENTA)
def test_the_momentum_residual_is_the_derived_one_on_a_grid_with_every_corner(beta):
    assert_accurate(HeavyBall(0.5, beta), [x / 0.5 for x in rates(beta)], COUNTS)


def test_the_descent_residual_is_the_derived_one_on_a_grid_with_every_corner():
    assert_accurate(GradientDescent(0.5), [x / 0.5 for x in rates(0.0)], COUNTS)


def test_the_flow_residual_is_the_derived_one_on_a_grid_with_every_corner():
    assert_accurate(GradientFlow(), [0.0, 1e-300, 1e-100, 1e-16, 1e-8, 0.1, 1.0, 30.0, 1e6], [0.0, 1e-8, 0.5, 1.0, 1e6])


@settings(max_examples=60)
@given(optimizers(1.0, kinds=KINDS), st.floats(1e-15, 1.0), st.integers(0, 300))
def test_the_residual_is_the_derived_one_for_any_parameters(optimizer, s, t):
    assert_accurate(optimizer, [s], [float(t)])


@pytest.mark.parametrize("s", [1e-15, 1e-100, 1e-300])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_the_progress_keeps_its_digits_as_the_rate_vanishes(s, beta):
    """1 - g = s·q with q its limit at s = 0; a difference from 1 would be 0 or off by 10 %."""
    for optimizer in (HeavyBall(0.5, beta), GradientDescent(0.5), GradientFlow()):
        with mpmath.workdps(DIGITS):
            exact = 1 - reference(optimizer, s, 7)
            found = optimizer.response(np, np.array(s), np.array(7.0))[1]
            assert abs(mpmath.mpf(float(found)) - exact) <= 100 * U / (1 - beta) * exact  # 1/(1-β): see tolerances


@given(optimizers(1.0), st.floats(0, 1.0))
def test_nothing_is_done_at_time_zero_and_in_a_mode_of_rate_zero(optimizer, s):
    with quiet():
        start = optimizer.response(np, np.array([s, 0.0]), np.array(0.0))
        still = optimizer.response(np, np.array([0.0]), np.array([3.0]))
    np.testing.assert_array_equal(start, [[1, 1], [0, 0]])
    np.testing.assert_array_equal(still, [[1], [0]])


@given(optimizers(1.0, kinds=sorted(set(Optimizer.kinds) - {*SLOW, "adam", "preconditioned"})), st.floats(1e-3, 1.0))
def test_the_limit_is_where_the_residual_goes(optimizer, s):
    with quiet():
        late, _ = optimizer.response(np, np.array([s]), np.array([1e8]))
    # Rates are at least 1e-3 and learning rates at least 0.01 of their limit, 1: (1 - 1e-5)^(1e8) = e^{-1000}; the slowest,
    # Nesterov's flow, has 1.6 (√s t)^{-3/2} < 1e-9.
    assert abs(late[0]) < 1e-8
    np.testing.assert_array_equal(optimizer.limit_residual(np, np.array([0.0, s])), [1.0, 0.0])


@pytest.mark.parametrize("kind", DESCENTS)
def test_the_iterated_rule_is_the_closed_form(kind):
    """In 50 digits, 60 steps of ``step`` itself."""
    with mpmath.workdps(50):
        values = numbers_of(kind, mpmath.mpf("0.7"))
        plain = dict.fromkeys(values, 0.5) | ({"batch_size": 1} if "batch_size" in values else {})
        optimizer = Optimizer.kinds[kind](**plain).symbolic(**values)
        functions, _ = derived(kind)
        for s in (mpmath.mpf("0.001"), mpmath.mpf("0.3"), mpmath.mpf("1.9")):
            state = optimizer.initial_state(mpmath.mpf(1))
            for index in range(60):
                late = index or kind != "averaged_descent"  # a mean of nothing is 0/0 in the formula
                exact = mpmath.re(functions[0](*values.values(), s, index)) if late else 1
                assert abs(state[0] - exact) < mpmath.mpf(10) ** -45
                state = optimizer.step(state, lambda u, s=s: s * u, index)


def test_the_velocity_of_the_flow_is_the_derivative_of_its_closed_form():
    with mpmath.workdps(50):
        s, t = mpmath.mpf("1.3"), mpmath.mpf("0.7")
        g = derived("gradient_flow")[0][0]
        (velocity,) = GradientFlow().velocity((g(s, t),), lambda u: s * u, t)
        assert abs(mpmath.diff(lambda time: g(s, time), t) - velocity) < mpmath.mpf(10) ** -20


@given(
    optimizers(1.0, kinds=["gradient_descent", "heavy_ball"]),
    st.floats(0.01, 0.8),
    st.floats(0, 0.2),
    st.integers(1, 80),
)
def test_the_recurrence_is_torchs_optimizer_on_one_parameter(optimizer, s, decay, steps):
    """Torch's own SGD on s·u²/2, weight decay included, against g(s + decay) inside the rounding of the steps."""
    parameter = torch.ones(1, dtype=torch.float64, requires_grad=True)
    named = optimizer.torch_optimizer()
    algorithm = getattr(torch.optim, named.path.rpartition(".")[2])([parameter], weight_decay=decay, **named.arguments)
    for _ in range(steps):
        algorithm.zero_grad()
        (s / 2 * parameter**2).sum().backward()
        algorithm.step()
    rate = np.array([s + decay])
    with quiet():
        residual, _ = optimizer.response(np, rate, np.array([float(steps)]))
    bounds = gains(optimizer, rate, steps)
    # Each step rounds weight, gradient and buffer a few times; what it does to the weight later is the response.
    sizes = bounds.peak[0].sum(axis=1) + rate * bounds.gradient[0]
    rounding = 8 * U * float(bounds.total[0, 0] @ sizes) + 8 * U
    with mpmath.workdps(DIGITS):
        own = float(tolerances(optimizer, rate[0], steps)[0])
    assert abs(parameter.item() - residual[0]) <= rounding + own


def test_adam_is_not_linear_a_doubled_start_does_not_double_the_path():
    def path(start):
        parameter = torch.tensor([start], requires_grad=True)
        algorithm = torch.optim.Adam([parameter], **Adam(0.1).torch_optimizer().arguments)
        for _ in range(3):
            algorithm.zero_grad()
            (parameter**2 / 2).sum().backward()
            algorithm.step()
        return parameter.item()

    assert not Adam(0.1).linear
    assert abs(path(2.0) - 2 * path(1.0)) > 0.2  # each of three steps moves by about 0.1 whatever the start


@pytest.mark.parametrize("optimizer", [GradientDescent(1.0), *(HeavyBall(1.0, beta) for beta in MOMENTA)])
@pytest.mark.parametrize("s_max", [1e-3, 1.0, 400.0])
def test_the_largest_learning_rate_is_where_the_spectral_radius_reaches_one(optimizer, s_max):
    def radius(share):
        rows, _ = transition(optimizer.with_values(learning_rate=share * optimizer.max_learning_rate(s_max)), s_max)
        return np.abs(np.linalg.eigvals(np.array(rows, dtype=float))).max()

    assert radius(0.999) < 1 < radius(1.001)
    assert radius(1.0) == pytest.approx(1.0, abs=1e-7)  # √u: the eigenvalues of a non-normal 2×2 matrix
    assert optimizer.max_learning_rate(0.0) == math.inf == GradientFlow().max_learning_rate(s_max)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_halving_the_learning_rate_halves_the_gap_to_the_flow_at_the_stated_time(beta):
    """The order, at a fixed flow time: the conversion of steps to time is right, and of first order."""
    gaps = []
    for halvings in (8, 9, 10):
        learning_rate = (1 - beta) ** 2 * 2.0**-halvings
        optimizer = HeavyBall(learning_rate, beta)
        steps = round((1 - beta) / learning_rate)
        time = optimizer.flow_time(steps)
        residual, _ = optimizer.response(np, np.array(1.0), np.array(float(steps)))
        assert time == pytest.approx(1.0, rel=learning_rate / (1 - beta))  # rounding to whole steps
        gaps.append(float(residual) - math.exp(-time))
    for coarse, fine in itertools.pairwise(gaps):
        # The expansion goes in powers of η/(1-β)² = 2^-8, 2^-9 with coefficients of size one: 16 is for safety.
        assert coarse / fine == pytest.approx(2.0, rel=16 * 2.0**-8)


def test_a_momentum_of_zero_is_gradient_descent():
    s, steps = np.array([0.0, 1e-9, 0.5, 3.0])[:, None], np.arange(5.0)
    np.testing.assert_array_equal(
        HeavyBall(0.5, 0.0).response(np, s, steps), GradientDescent(0.5).response(np, s, steps)
    )
    assert HeavyBall(0.5, 0.0).flow_time(4) == GradientDescent(0.5).flow_time(4) == 2.0
