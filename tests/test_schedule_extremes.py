"""Schedules at times and durations from 1e-300 to 1e300, which data scaled by 1e±100 need."""

import math

import mpmath
import numpy as np
import pytest

from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import GradientFlow
from theory.rule import t
from theory.schedules import Cosine, Expression, LinearWarmup, Piece
from theory.setting import Setting

TIMES = (1e-300, 1e-179, 1e-28, 1e-9, 0.3, 7.0, 1e9, 1e28, 1e180, 1e300)
ROUNDINGS = 4 * 2**-53  # one of the result; the others are those of the decimal numbers of the oracle


def warm(t, end):
    return t * t / (2 * end) if t < end else t - end / 2


def wave(t, end):
    return t / 2 + end / (2 * mpmath.pi) * mpmath.sin(mpmath.pi * t / end) if t < end else end / 2


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("duration", [1e-300, 1.2345678901234567e-300, 1e-179, 3.0, 2e180, 1.7e300])
@pytest.mark.parametrize(("kind", "oracle"), [(LinearWarmup, warm), (Cosine, wave)])
def test_the_integral_has_its_digits_at_every_time_and_duration(kind, oracle, time, duration):
    with mpmath.workdps(40):
        exact = oracle(mpmath.mpf(time), mpmath.mpf(repr(duration)))
    assert kind(duration).integral(time) == pytest.approx(float(exact), rel=ROUNDINGS, abs=5e-324)  # or it underflows


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize(
    ("formula", "oracle"),
    [
        ("1/(1 + t)", mpmath.log1p),
        ("exp(-t/5)", lambda t: -5 * mpmath.expm1(-t / 5)),
        ("t/(1 + t)", lambda t: t - mpmath.log1p(t)),
        ("tanh(t)", lambda t: mpmath.log(mpmath.cosh(t)) if t < 1e9 else t - mpmath.log(2)),
    ],
)
def test_the_integral_of_a_formula_has_its_digits_whatever_cancels(formula, oracle, time):
    with mpmath.workdps(700):
        exact = float(oracle(mpmath.mpf(time)))
    assert Expression(formula).integral(time) == pytest.approx(exact, rel=ROUNDINGS, abs=5e-324)


@pytest.mark.parametrize("flow_time", TIMES)
@pytest.mark.parametrize("schedule", [LinearWarmup(3.0), Cosine(3.0, 0.5), Expression("1/(1 + t)")], ids=str)
def test_the_time_at_which_a_flow_time_is_reached_is_found_at_every_size(schedule, flow_time):
    time = schedule.reach(flow_time)
    if math.isinf(time):
        assert schedule.integral(1e300) < flow_time
    else:
        assert schedule.integral(time) == pytest.approx(flow_time, rel=1e-12)  # 54 halvings; τ is steep nowhere


def test_a_problem_of_any_size_is_the_same_problem_at_another_time():
    """Data scaled by 1e100 move 1e200 times as fast, and so does a warm-up."""
    start, x = np.array([[0.25, -1.0]] * 2), np.array([[2.0, 1.0]])
    plain = Predictor(Setting(Linear(), GradientFlow(LinearWarmup(2.0))), x, initial_weight=start).weight(0.75)
    for size in (1e-90, 1e90):
        flow = GradientFlow(LinearWarmup(2.0 / size**2))
        found = Predictor(Setting(Linear(), flow), size * x, initial_weight=start).weight(0.75 / size**2)
        np.testing.assert_allclose(found, plain, rtol=1e-13)  # a few roundings of an exponent below 5


def test_an_integral_that_is_no_number_is_an_error():
    class Falling(LinearWarmup, abstract=True):
        @property
        def pieces(self):
            one = super().pieces[1]
            return (Piece(one.until, one.multiplier, -one.integral - 1),)

    class Nowhere(LinearWarmup, abstract=True):
        @property
        def pieces(self):
            one = super().pieces[1]
            return (Piece(one.until, one.multiplier, one.integral / (t - 3)),)

    for broken, value in ((Falling, "-3"), (Nowhere, "nan")):
        with pytest.raises(SettingError, match=f"the integral of .*{broken.__name__}.* up to 3 is {value}"):
            broken(2.0).integral(3.0)
