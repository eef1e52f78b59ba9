"""How much a mode grows on the way of a schedule: refused where rounding would be what is seen."""

import math

import numpy as np
import pytest

from numerics.arrays import quiet
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall
from theory.schedules import Cosine, Expression, LinearWarmup
from theory.setting import Setting


def slow(optimizer, rate, steps):
    """The largest product of consecutive factors, by trying every run of steps."""
    factors = [abs(1 - optimizer.learning_rate * optimizer.schedule(step) * rate) for step in range(steps)]
    return max(math.prod(factors[i:j]) for i in range(steps) for j in range(i, steps + 1))


@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [
        (GradientDescent(1.0, Cosine(20)), 20),
        (GradientDescent(0.3, Expression("t*exp(-t/4)")), 60),
        (GradientDescent(1.0, LinearWarmup(7.5)), 8),
    ],
    ids=str,
)
def test_the_growth_of_every_mode_is_the_largest_over_all_runs_of_steps(optimizer, steps):
    rates = np.array([0.0, 0.4, 1.0, 1.9, 2.1, 3.7, 9.0])
    with quiet():
        found = optimizer.growth(np, rates)
    for rate, growth in zip(rates, found, strict=True):
        assert growth == pytest.approx(slow(optimizer, rate, steps), rel=1e-12)  # at most 60 factors


def test_a_factor_of_zero_does_not_hide_what_grows_after_it():
    """ηms is 1 at step 10: all is gone, but rounding grows by Π(m - 1) for m = 2.1, 2.2, … up to 3."""
    warmup = LinearWarmup(30)
    optimizer = GradientDescent(1.0, warmup)
    with quiet():
        (found,) = optimizer.growth(np, np.array([3.0]))
    assert found == pytest.approx(math.prod(step / 10 - 1 for step in range(21, 30)), rel=1e-12)


def test_the_fastest_mode_is_not_always_the_one_that_grows_most():
    """Multipliers 8 and 1 in turn: ηs = 1 is multiplied by 7 and by 0, ηs = 1/2 by 3 and by 1/2."""
    optimizer = GradientDescent(1.0, Expression("4.5 + 3.5*cos(pi*t)"))
    with quiet():
        found = optimizer.growth(np, np.array([1.0, 0.5]))
    assert found[0] == pytest.approx(7.0, rel=1e-9)
    assert found[1] == pytest.approx(3 * 1.5**999, rel=1e-9)  # 2000 steps are looked at
    with pytest.raises(SettingError, match=r"eigenvalue 0\.5 grows by at least"):
        Predictor(Setting(Linear(), optimizer), np.diag([1.0, math.sqrt(0.5)]))


def test_what_grows_is_refused_with_its_eigenvalue_and_no_more_is_said_than_is_known():
    x = np.diag([10.0, 1.0])
    with pytest.raises(SettingError, match=r"eigenvalue 100 grows by at least 1e\+304 on the way with") as error:
        Predictor(Setting(Linear(), GradientDescent(0.5, Expression("2 + sin(t)"))), x)
    assert "slows down" not in str(error.value)
    Predictor(Setting(Linear(), GradientDescent(0.005, Expression("2 + sin(t)"))), x)


def test_a_schedule_that_grows_for_ever_is_named_with_the_eigenvalue():
    with pytest.raises(SettingError, match=r"schedule must stay bounded, but .*'t'.* grows for ever: .* eigenvalue 4"):
        Predictor(Setting(Linear(), GradientDescent(0.1, Expression("t"))), [[2.0]])


def test_a_rule_without_schedule_does_not_grow():
    for optimizer in (GradientDescent(0.1), HeavyBall(0.1, 0.9), GradientFlow()):
        np.testing.assert_array_equal(optimizer.growth(np, np.array([0.0, 1.0])), 1.0)
