"""Nesterov's momentum, the heavy-ball flow and Nesterov's flow: in 50 digits, against solvers, against torch."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import closedflow as cf
from numerics.arrays import quiet
from numerics.budget import UNITS, gains
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import GradientDescent, HeavyBallFlow, Nesterov, NesterovFlow
from theory.oscillation import SWITCH, bessel_response
from theory.scalar import mode_solution
from theory.setting import Setting

torch = pytest.importorskip("torch", reason="torch runs the same formulas and its own optimisers")

U = mpmath.mpf(UNITS["float64"])
SAFETY = 16  # elementary operations and functions per evaluation, each off by about one unit roundoff
FLOWS = (HeavyBallFlow(0.0), HeavyBallFlow(0.7), HeavyBallFlow(6.0), NesterovFlow())
TINY = mpmath.mpf(2) ** -1022  # below, floating point has no relative accuracy


def both(optimizer, s, t):
    """Residual and progress by numpy and by torch."""
    with quiet():
        found = [float(part) for part in optimizer.response(np, np.array(s), np.array(t))]
    kind = {"dtype": torch.float64}
    return found, [float(part) for part in optimizer.response(torch, torch.tensor(s, **kind), torch.tensor(t, **kind))]


def change(function, *arguments):
    """What a relative error of one unit roundoff in each argument does."""
    center, total = function(*arguments), mpmath.mpf(0)
    for index, argument in enumerate(arguments):
        for sign in (-1, 1):
            moved = [*arguments[:index], argument * (1 + sign * U), *arguments[index + 1 :]]
            total += abs(function(*moved) - center)
    return total


# Nesterov's momentum


def nesterov_roots(x, beta):
    trace, determinant = (1 - x) * (1 + beta), beta * (1 - x)
    root = mpmath.sqrt(trace**2 - 4 * determinant)
    plus, minus = (trace + root) / 2, (trace - root) / 2
    return (plus, minus) if abs(plus) >= abs(minus) else (minus, plus)


def nesterov(x, beta, steps):
    """The residual by its roots, and the fundamental solution of the recurrence."""
    large, small = nesterov_roots(x, beta)
    if steps == 0:
        return mpmath.mpf(1), mpmath.mpf(0)
    if large == small:
        fundamental = steps * large ** (steps - 1)
    else:
        fundamental = (large**steps - small**steps) / (large - small)
    return mpmath.re(large**steps + (1 - (1 + beta) * x - large) * fundamental), abs(fundamental)


@pytest.mark.parametrize("beta", [1e-20, 1e-9, 0.25, 0.5, 0.81, 0.9, 0.99])
def test_nesterovs_residual_is_the_derived_one_on_a_grid_with_every_corner(beta):
    limit, double = 2 * (1 + beta) / (1 + 2 * beta), ((1 - beta) / (1 + beta)) ** 2
    corners = [1.0, double, limit]
    near = [math.nextafter(x, toward) for x in corners for toward in (0, 9)] + [x * (1 - 1e-9) for x in corners]
    rates = [0.0, 1e-300, 1e-100, 1e-16, 1e-8, 1e-3, 0.1, 0.3, 0.7, 1.1, 1.3, *corners, *near]
    with mpmath.workdps(360):
        for x in (rate for rate in rates if rate <= limit):
            for steps in (0, 1, 2, 3, 7, 10, 101, 1000, 10**6):
                exact, fundamental = nesterov(mpmath.mpf(x), mpmath.mpf(beta), steps)
                large, _ = nesterov_roots(mpmath.mpf(x), mpmath.mpf(beta))
                power = abs(large) ** steps
                moved = change(lambda a, b, steps=steps: nesterov(a, b, steps)[0], mpmath.mpf(x), mpmath.mpf(beta))
                # The power's logarithm is off by a unit per step, u_1 by a unit of (1 + β)x.
                terms = power * (1 + steps * abs(mpmath.log(large))) if large else mpmath.mpf(0)
                swing = fundamental * (
                    abs(1 - (1 + beta) * x - large) * (1 + steps * abs(mpmath.log(large or 1))) + 2 * x
                )
                for residual, progress in both(Nesterov(1.0, beta), x, float(steps)):
                    allowed = SAFETY * (moved + U * (terms + swing))
                    assert abs(residual - exact) <= allowed + U * abs(exact) + TINY, (x, steps, residual)
                    assert abs(progress - (1 - exact)) <= allowed + SAFETY * U * abs(1 - exact) + TINY, (
                        x,
                        steps,
                        progress,
                    )


def test_nesterov_in_a_mode_where_both_roots_vanish_is_over_after_one_step():
    """ηs = 1: 1, then 1 - (1 + β) = -β, then nothing."""
    with quiet():
        residual, progress = Nesterov(0.5, 0.75).response(np, np.array(2.0), np.arange(5.0))
    np.testing.assert_array_equal(residual, [1, -0.75, 0, 0, 0])
    np.testing.assert_array_equal(progress, [0, 1.75, 1, 1, 1])


@given(st.floats(0.01, 0.99), st.floats(1e-3, 0.99), st.integers(1, 60))
def test_nesterov_is_torchs_sgd_with_nesterov(momentum, share, steps):
    rate = share * 2 * (1 + momentum) / (1 + 2 * momentum)
    optimizer = Nesterov(0.5, momentum)
    parameter = torch.ones(1, dtype=torch.float64, requires_grad=True)
    algorithm = torch.optim.SGD([parameter], lr=0.5, momentum=momentum, nesterov=True)
    assert optimizer.torch_optimizer().arguments == {"lr": 0.5, "momentum": momentum, "nesterov": True}
    for _ in range(steps):
        algorithm.zero_grad()
        (rate / 0.5 / 2 * parameter**2).sum().backward()
        algorithm.step()
    bounds = gains(optimizer, np.array([rate / 0.5]), steps)
    sizes = bounds.peak[0].sum(axis=1) + rate / 0.5 * bounds.gradient[0]
    rounding = 16 * float(U) * (1 + float(bounds.total[0, 0] @ sizes))
    assert abs(parameter.item() - both(optimizer, rate / 0.5, float(steps))[0][0]) <= rounding


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("s_max", [1e-3, 1.0, 400.0])
def test_nesterovs_largest_learning_rate_is_where_a_root_reaches_minus_one(beta, s_max):
    limit = Nesterov(1.0, beta).max_learning_rate(s_max)
    with mpmath.workdps(30):
        assert abs(nesterov_roots(mpmath.mpf(limit * s_max), mpmath.mpf(beta))[0] + 1) < 1e-14
    assert Nesterov(1.0, beta).max_learning_rate(0.0) == math.inf
    predictor = cf.Predictor(
        Setting(Linear(), Nesterov(0.999 * limit, beta)), [[math.sqrt(s_max)]], initial_weight=[[3.0]]
    )
    assert abs(predictor.weight(math.inf)[0, 0, 0] - 1) < 1e-12
    with pytest.raises(SettingError, match="would diverge"):
        cf.Predictor(Setting(Linear(), Nesterov(1.001 * limit, beta)), [[math.sqrt(s_max)]])


def test_without_momentum_nesterov_is_gradient_descent():
    s, steps = np.array([0.0, 1e-9, 0.5, 3.0])[:, None], np.arange(5.0)
    with quiet():
        ours, plain = Nesterov(0.5, 0.0).response(np, s, steps), GradientDescent(0.5).response(np, s, steps)
    np.testing.assert_array_equal(ours, plain)
    assert Nesterov(0.5, 0.0).torch_optimizer().arguments == {"lr": 0.5}  # torch refuses nesterov without momentum
    assert Nesterov(0.01, 0.9).flow_time(100) == pytest.approx(10.0)


# The flows in high precision


def damped(s, t, friction):
    omega = mpmath.sqrt(friction**2 / 4 - s)
    if omega == 0:
        return mpmath.exp(-friction * t / 2) * (1 + friction * t / 2)
    plus, minus = -friction / 2 + omega, -friction / 2 - omega
    return mpmath.re((plus * mpmath.exp(minus * t) - minus * mpmath.exp(plus * t)) / (plus - minus))


@pytest.mark.parametrize("friction", [0.0, 1e-8, 0.1, 1.0, 2.0, 50.0])
def test_the_heavy_ball_flow_is_the_derived_one_on_a_grid_with_every_corner(friction):
    critical = friction**2 / 4
    near = [critical * (1 + sign * 1e-9) for sign in (-1, 1)] + [
        math.nextafter(critical, toward) for toward in (0, 9999)
    ]
    with mpmath.workdps(700):
        for s in sorted({0.0, 1e-300, 1e-16, 1e-8, 0.01, 1.0, 3.0, 625.0, critical, *near}):
            for t in (0.0, 1e-150, 1e-8, 1e-3, 0.1, 1.0, 3.7, 30.0, 1e3, 1e6):
                exact = damped(mpmath.mpf(s), mpmath.mpf(t), mpmath.mpf(friction))
                moved = change(damped, mpmath.mpf(s), mpmath.mpf(t), mpmath.mpf(friction))
                for residual, progress in both(HeavyBallFlow(friction), s, t):
                    assert abs(residual - exact) <= SAFETY * (moved + U * abs(exact)) + TINY, (s, t, residual)
                    assert abs(progress - (1 - exact)) <= SAFETY * (moved + U * abs(1 - exact)) + TINY, (s, t, progress)


def test_nesterovs_flow_is_bessels_function_and_its_progress_keeps_its_digits():
    arguments = [0.0, 1e-160, 1e-20, 1e-8, 1e-3, *np.linspace(0.01, 60, 400), SWITCH, 25.0000001, 1e2, 1e4, 1e6, 1e8]
    with mpmath.workdps(400):
        for argument in arguments:
            z = mpmath.mpf(float(argument))
            exact = 2 * mpmath.besselj(1, z) / z if z else mpmath.mpf(1)
            slope = abs(2 * mpmath.besselj(2, z) / z) if z else mpmath.mpf(0)  # |dg/dz|
            for residual, progress in both(NesterovFlow(), 1.0, float(argument)):
                envelope = 1 if z <= SWITCH else z ** mpmath.mpf(-1.5)
                assert abs(residual - exact) <= SAFETY * U * (envelope + z * slope)
                assert abs(progress - (1 - exact)) <= SAFETY * U * ((1 - exact) + z * slope) + TINY


def test_huge_times_neither_overflow_nor_lose_the_envelope():
    for optimizer in FLOWS:
        for s, t in ((1e6, 1e300), (1e-300, 1e300), (1e300, 1e4), (0.0, 1e300)):
            for residual, progress in both(optimizer, s, t):
                assert abs(residual) <= 1
                assert progress == pytest.approx(1 - residual, abs=1e-15)
    for argument in (1e16, 1e150):
        with quiet():
            assert abs(bessel_response(np, np.array(argument))[0]) <= 1.6 * argument**-1.5


@pytest.mark.parametrize("optimizer", FLOWS, ids=str)
def test_the_flows_are_what_a_solver_makes_of_their_equations(optimizer):
    """Scipy's solver on ü = -fu̇ - su, written here again; where f is 3/t from t = 1e-6: it moves (10⁻⁶)²s/8 before."""
    fading = isinstance(optimizer, NesterovFlow)
    begin, friction = (1e-6, lambda t: 3 / t) if fading else (0.0, lambda t: optimizer.friction)
    for s in (0.3, 4.0, 9.0):
        times = np.array([0.1, 1.0, 5.0, 12.0])
        solved = solve_ivp(
            lambda t, z, s=s: (z[1], -friction(t) * z[1] - s * z[0]),
            (begin, 12.0),
            (1.0, 0.0),
            t_eval=times,
            rtol=1e-12,
            atol=1e-13,
        )
        with quiet():
            residual, _ = optimizer.response(np, np.array(s), times)
        np.testing.assert_allclose(residual, solved.y[0], rtol=0, atol=1e-9)  # some hundred steps of 1e-12


@pytest.mark.parametrize("optimizer", FLOWS, ids=str)
def test_the_rules_are_the_derivatives_of_the_derived_residuals(optimizer):
    import sympy

    mode = mode_solution(optimizer)
    numbers = {symbol: sympy.Rational(1, 3) for symbol in mode.residual.free_symbols if symbol.name == "gamma"}
    concrete = optimizer.symbolic(friction=sympy.Rational(1, 3)) if numbers else optimizer
    s, t = sympy.Rational(5, 7), sympy.Rational(3, 2)
    curve = mode.residual.subs(numbers).subs(sympy.Symbol("s", nonnegative=True), s)
    state = [curve.diff(mode.time, order).subs(mode.time, t).evalf(50) for order in range(3)]
    velocity = concrete.velocity((state[0], state[1]), lambda u: s * u, t)
    assert abs(velocity[0] - state[1]) < 1e-45
    assert abs(sympy.N(velocity[1] - state[2], 50)) < 1e-45


def test_the_loss_scale_rescales_the_time_by_its_root_and_the_friction_by_its_inverse():
    x = np.random.default_rng(0).standard_normal((3, 4))
    for optimizer, half in ((HeavyBallFlow(0.6), HeavyBallFlow(0.6 * math.sqrt(6))), (NesterovFlow(), NesterovFlow())):
        kept = {"initial_weight": np.eye(4)[::-1].copy()}
        mean = cf.Predictor(Setting(Linear(), optimizer, loss="mse"), x, **kept).weight([2.0])
        sums = cf.Predictor(Setting(Linear(), half), x, **kept).weight([2.0 / math.sqrt(6)])  # c = 2/12
        np.testing.assert_allclose(mean, sums, rtol=0, atol=1e-13)
