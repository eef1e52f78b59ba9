"""One ReLU layer on one example: the piecewise solution against 50 digits, loops, a solver with events, and torch."""

import math

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import example, given
from hypothesis import strategies as st

from closedflow import Gaussian, ReLUExample, SettingError
from numerics.relu_flow import integrate_relu
from theory.scalar_proof import ScalarEquation, prove_solution

EPS = np.finfo(float).eps


def drawn(seed, q=6, d=4):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(d), rng.standard_normal(q), rng.standard_normal((q, d))


def exact_flow(u, y, time):
    """u(t) of one unit in 60 digits, ‖x̂‖ = 1."""
    with mpmath.workdps(60):
        u, y, t = mpmath.mpf(u), mpmath.mpf(y), mpmath.mpf(time)
        if u <= 0:
            return u
        return mpmath.mpf(0) if y < 0 and t >= mpmath.log((u - y) / -y) else y + (u - y) * mpmath.exp(-t)


sizes = st.sampled_from([0.0, 1e-300, 1e-20, 1e-3, 0.5, 1.0, 3.0, 1e8, 1e250]).flatmap(
    lambda a: st.sampled_from([a, -a])
)


@pytest.mark.theorem("T21")
@given(sizes, sizes, st.floats(0, 1500))
@example(1e250, -1e-300, 1250.0)
@example(1.0, -1.0, math.log(2))
@example(1e-3, -1e8, 1e-11)
def test_one_unit_is_its_exact_flow_for_any_sizes(u, y, time):
    p = ReLUExample([1.0], [y], [[u]])
    exact = exact_flow(u, y, time)
    if y < 0 < u:
        death = p.death_times[0]
        with mpmath.workdps(60):
            root = mpmath.log1p(mpmath.mpf(u) / -mpmath.mpf(y))
        assert abs(death - root) <= 8 * EPS * root + 1e-320
        # A death that is off by its last digits moves u by its speed, at most |u| + |y| there, times that.
        slack = 16 * EPS * (1 + float(root)) * (abs(exact) + abs(y) * (abs(time - root) <= 16 * EPS * root))
    else:
        assert p.death_times[0] == math.inf
        slack = 16 * EPS * (1 + time) * abs(exact)
    tiny = 1e-300 * max(1.0, abs(u), abs(y)) * 1e-20 + 5e-324
    assert abs(p.preactivation(time).item() - exact) <= slack + 8 * EPS * abs(exact) + tiny


def by_hand(weight, x, y, rate, steps):
    """Gradient descent one unit and one entry at a time."""
    weight = [list(map(float, row)) for row in weight]
    for _ in range(steps):
        for row, wanted in zip(weight, y, strict=True):
            u = sum(a * b for a, b in zip(row, x, strict=True))
            if u > 0:
                for index, value in enumerate(x):
                    row[index] -= rate * (u - wanted) * value
    return np.array(weight)


@pytest.mark.theorem("T21")
@pytest.mark.parametrize("share", [0.01, 0.3, 0.999, 1.0, 1.3, 1.99, 2.3, 3.0, 5.0])
@pytest.mark.parametrize("seed", range(8))
def test_gradient_descent_is_its_own_recurrence_overshooting_and_all(share, seed):
    """share = η‖x̂‖²; above 1 units overshoot and may die, above 2 their swings grow until they do."""
    x, y, w = drawn(seed)
    rate = share / (x @ x)
    p = ReLUExample(x, y, w, learning_rate=rate)
    for steps in (0, 1, 2, 3, 7, 40):
        expected = by_hand(w, x, y, rate, steps)
        size = np.abs(expected).max() + np.abs(p.weight(np.arange(steps + 1))).max()
        growth = max(1.0, share - 1) ** min(steps, np.max(p.death_times, where=np.isfinite(p.death_times), initial=1))
        assert np.abs(p.weight(steps)[0] - expected).max() <= 64 * (steps + 1) * EPS * size * growth


@pytest.mark.parametrize("share", [0.3, 1.0, 1.7, 2.6])
def test_a_unit_is_positive_up_to_its_last_step_and_never_again(share):
    for seed in range(20):
        x, y, w = drawn(seed)
        p = ReLUExample(x, y, w, learning_rate=share / (x @ x))
        for u0, u, death in zip(p.initial, p.preactivation(np.arange(60)).T, p.death_times, strict=True):
            last = int(min(death, 60))
            assert (u[:last] > 0).all() if u0 > 0 else math.isinf(death)
            assert (u[last:] <= 0).all()
            assert len(set(u[last:])) <= 1


def test_each_regime_of_descent_has_the_death_that_it_should():
    def death(u, y, share):
        return ReLUExample([1.0], [y], [[u]], learning_rate=share).death_times[0]

    assert death(1.0, -1.0, 0.5) == 1  # (1 + 1)/2 − 1 = 0: a unit that lands on 0 is dead
    assert death(1.0, -1.0, 0.4) == 2  # 2·0.36 − 1 < 0 < 2·0.6 − 1
    assert death(1.0, 0.0, 0.9) == math.inf
    assert death(1.0, 0.0, 1.0) == death(1.0, 0.1, 1.2) == 1
    assert death(1.0, 0.3, 1.2) == math.inf
    assert death(0.5, 1.0, 1.9) == death(1.0, 1.0, 7.0) == math.inf
    assert death(0.9, 1.0, 3.0) == 4  # 1 − 0.1·2^k at even k
    assert death(1.1, 1.0, 3.0) == 5  # and at odd ones


@pytest.mark.theorem("T21")
@pytest.mark.parametrize("seed", range(4))
def test_a_solver_that_looks_for_the_deaths_finds_the_same(seed):
    x, y, w = drawn(seed)
    p, times = ReLUExample(x, y, w), [0, 0.01, 0.1, 0.3, 1, 3, 0.2]
    found = integrate_relu(w, x, y, times)
    assert np.abs(found.weights - p.weight(times)).max() <= found.local_error < 1e-7
    died = np.isfinite(found.death_times)
    np.testing.assert_array_equal(died, p.death_times <= 3)
    # u falls through 0 at the speed ‖x̂‖²|y|.
    late = np.abs(found.death_times[died] - p.death_times[died]) * p.rate * np.abs(y[died])
    assert (late <= found.local_error * p.norm).all()


def test_the_verdict_of_the_solver_turns_with_deaths_that_come_one_percent_late():
    from empirical.relu import integrate_and_check

    x, y, w = drawn(3)
    p = ReLUExample(x, y, w)
    assert integrate_and_check(p).verdict == "agrees"
    p._deaths *= 1.01
    assert integrate_and_check(p).verdict == "disagrees"
    with pytest.raises(SettingError, match="learning_rate must be None"):
        integrate_and_check(ReLUExample(x, learning_rate=0.1))


def test_without_the_deaths_the_solver_disagrees():
    x, y, w = drawn(3)
    found = integrate_relu(w, x, y, [3.0])
    p = ReLUExample(x, y, w)
    immortal = w + np.outer((y - p.initial) * (p.initial > 0) * -np.expm1(-p.rate * 3), x) / p.rate
    assert np.isfinite(p.death_times).any()
    assert np.abs(found.weights[0] - immortal).max() > 1e6 * found.local_error


@pytest.mark.theorem("T21")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("share", [0.3, 1.0, 1.7])
def test_torch_trains_as_the_descent_is_predicted(share, dtype):
    pytest.importorskip("torch", reason="torch is not installed")
    from empirical.relu import check_relu

    x, y, w = drawn(3)
    level = check_relu(ReLUExample(x, y, w, learning_rate=share / (x @ x)), [0, 1, 2, 5, 40], dtype=dtype)
    assert level.verdict == "agrees", level


@pytest.mark.theorem("T21")
def test_torch_trains_as_the_flow_is_predicted_inside_a_bound_that_halves_with_the_rate():
    pytest.importorskip("torch", reason="torch is not installed")
    from empirical.relu import _gap, check_relu

    for seed in (1, 2, 3):
        x, y, w = drawn(seed)
        p = ReLUExample(x, y, w)
        for rate, steps in ((0.01, 100), (0.005, 200)):
            assert check_relu(p, [0, steps, 5 * steps], rate / p.rate).verdict == "agrees"
        wide, narrow = (_gap(p, rate, np.array([1 / rate])) for rate in (0.01, 0.005))
        np.testing.assert_allclose(wide[wide > 0] / narrow[wide > 0], 2, rtol=0.02)


def test_a_wrong_prediction_disagrees_with_torch():
    pytest.importorskip("torch", reason="torch is not installed")
    from empirical.relu import check_relu

    x, y, w = drawn(3)
    for p, rate in ((ReLUExample(x, y, w, learning_rate=0.3 / (x @ x)), None), (ReLUExample(x, y, w), 0.01 / (x @ x))):
        assert np.isfinite(p.death_times).any()
        p._deaths[:] = math.inf
        p._root[:] = math.inf
        assert check_relu(p, [0, 40, 400], rate).verdict == "disagrees"


def test_a_unit_that_lives_or_dies_by_rounding_is_not_judged():
    pytest.importorskip("torch", reason="torch is not installed")
    from empirical.relu import check_relu

    p = ReLUExample([1.0, 1.0], [1.0, 1.0], [[1.0, 2**-52 - 1], [1.0, 1.0]], learning_rate=0.1)
    assert p.uncertain.tolist() == [True, False]
    level = check_relu(p, [0, 3])
    assert (level.verdict, level.reason) == ("not run", "1 unit(s) live or die by rounding: 0")
    with pytest.raises(SettingError, match=r"at most 1/‖x̂‖² = 0\.5"):
        check_relu(ReLUExample([1.0, 1.0]), [1], learning_rate=0.6)
    with pytest.raises(SettingError, match="be left out for a descent"):
        check_relu(p, [1], learning_rate=0.1)


def test_each_piece_is_proved_as_a_scalar_equation():
    u, y = sympy.symbols("u_0 y", real=True)
    n, eta = sympy.symbols("n eta", positive=True)
    t, k = sympy.Symbol("t", nonnegative=True), sympy.Symbol("k", integer=True, nonnegative=True)
    flow, descent = y + (u - y) * sympy.exp(-n * t), y + (u - y) * (1 - eta * n) ** k
    assert prove_solution(flow, ScalarEquation((-n,), (u,), t, n * y)).verdict == "proved"
    assert prove_solution(descent, ScalarEquation((1 - eta * n,), (u,), k, eta * n * y)).verdict == "proved"
    assert prove_solution(flow.subs(y, -y), ScalarEquation((-n,), (u,), t, n * y)).verdict == "refuted"
    alive, below = sympy.symbols("u y", positive=True)
    death = sympy.log((alive + below) / below) / n
    assert sympy.simplify(flow.subs({u: alive, y: -below}).subs(t, death)) == 0


def test_infinite_time_the_example_at_0_and_the_zero_example_are_exact():
    p = ReLUExample([2.0, 0.0], [3.0, -1.0, 0.0, 4.0], [[1.0, 7.0], [1.0, 7.0], [1.0, 7.0], [0.0, 7.0]])
    np.testing.assert_array_equal(p.limit, [[1.5, 7.0], [0.0, 7.0], [0.0, 7.0], [0.0, 7.0]])
    assert p.loss(math.inf).tolist() == [0.5 + 8.0]
    still = ReLUExample([0.0, 0.0], [1.0], [[3.0, 4.0]])
    np.testing.assert_array_equal(still.weight([0, 5, math.inf]), [[[3.0, 4.0]]] * 3)
    assert still.death_times.tolist() == [math.inf]


def test_predictions_are_relu_of_the_weights_and_the_identity_is_the_default_target():
    x, _, _ = drawn(0)
    p = ReLUExample(x, start=Gaussian(0.5), seed=3)
    np.testing.assert_array_equal(p.target, x)
    queries = np.random.default_rng(1).standard_normal((3, 4))
    for weight, output in zip(p.weight([0, 1.0]), p.predict(queries, [0, 1.0]), strict=True):
        np.testing.assert_allclose(output, np.maximum(queries @ weight.T, 0), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(p.loss(1.0), ((np.maximum(p.weight(1.0)[0] @ x, 0) - x) ** 2).sum() / 2, rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_data_of_any_unit_train_alike(scale):
    """x̂ → a x̂, y → a y, t → t/a²: the same weights."""
    x, y, w = drawn(3)
    one, other = ReLUExample(x, y, w), ReLUExample(scale * x, scale * y, w)
    np.testing.assert_allclose(other.death_times * scale * scale, one.death_times, rtol=1e-13)
    np.testing.assert_allclose(other.weight([0.1 / scale / scale, math.inf]), one.weight([0.1, math.inf]), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[1.0]],), r"example must have shape \(d,\)"),
        (([1.0], [[1.0]]), r"target must have shape \(q,\)"),
        (([1.0], [1.0, 2.0], [[1.0]]), "initial_weight must have shape"),
        (([1e-170], [1.0]), "norm between"),
        (([math.nan], [1.0]), "example must be finite"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(SettingError, match=words):
        ReLUExample(*arguments)


def test_what_the_solution_does_not_cover_is_refused():
    with pytest.raises(SettingError, match=r"weight_decay must be 0.*units that are off would move"):
        ReLUExample([1.0], weight_decay=0.1)
    with pytest.raises(SettingError, match="learning_rate must be a number above 0"):
        ReLUExample([1.0], learning_rate=0.0)
    swinging = ReLUExample([1.0], [1.0], [[1.5]], learning_rate=2.0)
    assert swinging.preactivation([1, 2, 3]).ravel().tolist() == [0.5, 1.5, 0.5]
    with pytest.raises(SettingError, match="goes on oscillating"):
        swinging.weight(math.inf)
    with pytest.raises(SettingError, match="steps must be whole numbers"):
        swinging.weight(0.5)
