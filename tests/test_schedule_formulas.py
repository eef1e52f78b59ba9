"""Formulas of schedules: what is read, what is refused, and what is seen of their signs."""

import pytest

from numerics.budget import UNITS
from theory.errors import SettingError
from theory.formula_text import parse_formula
from theory.optimizers import GradientDescent, GradientFlow
from theory.rule import t
from theory.schedules import Cosine, Expression, LinearDecay, LinearWarmup, Schedule

U = UNITS["float64"]


@pytest.mark.parametrize(
    ("formula", "at", "value"),
    [
        ("2", 5, 2.0),
        ("0.1 + t/2", 2, 1.1),
        ("sqrt(1 + t)**2", 3, 4.0),
        ("exp(-t)*(1 + sin(pi*t))", 0, 1.0),
        (1 / (1 + t), 1, 0.5),
    ],
)
def test_a_formula_is_read(formula, at, value):
    schedule = Expression(formula)
    assert schedule(at) == pytest.approx(value, rel=4 * U)
    assert Schedule.from_table(schedule.to_table()) == schedule


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "t.real",
        "(lambda: 1)()",
        "[t][0]",
        "t if t else 1",
        "'t'",
        "True",
        "9**9**9",
        "2**(-10**9)",
        "exp(t, 2)",
        "x",
        "1/0",
        "",
        "t >",
    ],
)
def test_what_is_no_formula_is_refused_and_never_evaluated(text):
    with pytest.raises(SettingError, match="formula must be") as error:
        parse_formula("formula", text, t)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearWarmup(0), "duration must be a number above 0, but it is 0"),
        (lambda: Cosine(-1.0), "duration must be a number above 0, but it is -1.0"),
        (lambda: Cosine(3, 1.5), "final must be at most 1"),
        (lambda: Cosine(3, -0.5), "final must be a number at least 0"),
        (lambda: Expression("1 - t/10"), "schedule must be at least 0 at every time"),
        (lambda: Expression("cos(t)"), "schedule must be at least 0 at every time"),
        (lambda: Expression("exp(-t)*((t - 1.5)**2 - 0.0001)"), "schedule must be at least 0 at every time"),
        (lambda: Expression("cos(2*pi*t)"), "schedule must be at least 0 at every time"),
        (lambda: Expression("10 + 1/(t - sqrt(2))**2"), "is not at t = 1.41421, or not"),
        (lambda: Expression("1/(t**2 - 2*t + 1)"), "is not at t = 1, or not"),
        (lambda: Expression("1/(1 - t)**2"), "is not at t = 1, or not"),
        (lambda: Expression("10 + exp(1/(t - 2))"), "is not at t = 2, or not"),
        (lambda: Expression("10 + 1/cos(t)**2"), "is not at t = 1.5"),
        (lambda: Expression("sqrt(10 - t)"), "is not at t = 10, or not"),
        (lambda: Expression("1 + log(3 - t)**2"), "is not at t = 3, or not"),
        (lambda: LinearDecay(0), "duration must be a number above 0, but it is 0"),
        (lambda: Expression("1/t"), "schedule must be a finite number"),
        (lambda: Expression("log(t)"), "schedule must be a finite number"),
        (lambda: GradientFlow("cosine"), "schedule must be a Schedule or None, but it is 'cosine'"),
        (lambda: GradientDescent(0.1, 3), "schedule must be a Schedule or None, but it is 3"),
        (lambda: GradientFlow(Expression("1/(2 + cos(t))")), "schedule must have an antiderivative"),
    ],
)
def test_bad_schedules_are_refused_with_the_number(make, message):
    with pytest.raises(SettingError, match=message.replace("(", r"\(")) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_rate_that_turns_negative_in_between_is_found_when_it_is_asked_for():
    """Neither sympy nor many tries see it: a dip of width 1e-4."""
    schedule = Expression("1 - 2*exp(-(t - 1.2345678)**2*100000000)")
    assert schedule.values([0, 1, 7]) == [1.0, 1.0, 1.0]
    with pytest.raises(SettingError, match=r"is negative, -1, at 1\.23457"):
        schedule(1.2345678)
    with pytest.raises(SettingError, match="is negative"):
        schedule.integral(1.2345678 * 32)


@pytest.mark.parametrize(
    ("formula", "monotone"),
    [
        ("tanh(t)", True),
        ("1 - tanh(t)", True),
        ("t/(1 + t)", True),
        ("exp(-t)", True),
        ("1/sqrt(1 + t)", True),
        ("sqrt(t)", True),
        ("(t - 3)**2", False),
        ("t*exp(-t)", False),
        ("1 + sin(t)", False),
    ],
)
def test_a_formula_is_monotone_where_its_derivative_keeps_its_sign(formula, monotone):
    assert Expression(formula).monotone is monotone
