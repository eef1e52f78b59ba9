"""For every theorem that the Predictor implements: the right side that is proved, evaluated, is what the Predictor says.

T1, T2 and T4 are in test_formula.py; the rules of T8, T9, T19 and T20 are functions of one eigenvalue, compared with what is
derived in test_optimizers.py and, as matrices, in test_solution.py.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical.strategies import problems, seeds
from numerics.budget import Budget
from numerics.formula import letters, value
from numerics.predictor import Predictor
from theory.layers import Conv, Linear
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.theorems import error_moments as t17
from theory.theorems import identity_crisis_convolution as t5
from theory.theorems import weight_decay as t7

REACH = st.sampled_from([0.3, 2.0, 20.0])  # flow times, in units of the fastest mode


def norm(array) -> float:
    return float(np.linalg.norm(array))


def half_way(predictor: Predictor, reach: float) -> float:
    optimizer = predictor.setting.optimizer
    return round(reach) + 1 if optimizer.discrete else reach / (predictor.rates.max() or 1.0)


@pytest.mark.theorem("T3")
@given(case=problems(decay=False), reach=REACH)
def test_the_null_space_stays_for_every_optimiser(case, reach):
    predictor = Predictor(*case)
    time = half_way(predictor, reach)
    values = {**letters(predictor.problem), "W": predictor.theta(time)[0]}
    moved = value("(W - W0) @ (I - X @ pinv(X))", values)
    assert norm(moved) <= 2 * (Budget(predictor).evaluation(time) + Budget(predictor).evaluation(math.inf))


@pytest.mark.theorem("T5")
@given(seed=seeds(), kernel=st.sampled_from([1, 3]), mode=st.sampled_from(["zeros", "circular"]), reach=REACH)
def test_the_error_of_a_convolution_is_the_formula(seed, kernel, mode, reach):
    rng = np.random.default_rng(seed)
    x, test = rng.standard_normal((1, 2, 4, 4)), rng.standard_normal((3, 2, 4, 4))
    x[:, 1] = 0  # a blank channel: the range of Φ is not everything
    predictor = Predictor(Setting(Conv(kernel, padding_mode=mode), GradientFlow()), x, seed=seed % 1000)
    time = half_way(predictor, reach)
    values, layer = letters(predictor.problem, test), predictor.setting.layer
    for when, text, flow in ((time, t5.FINITE, t5.FLOW), (math.inf, t5.VALUE, None)):
        formula = value(text, values, flow=flow, time=0.0 if flow is None else when)
        said = layer.to_columns(predictor.predict(test, when)[0], np)
        bound = 2 * (Budget(predictor).evaluation(when) + Budget(predictor).evaluation(math.inf)) * norm(values["V"])
        assert norm(said - formula) <= bound
        wrong = value(text.replace("+", "-"), values, flow=flow, time=0.0 if flow is None else when)
        assert norm(said - wrong) > bound


@pytest.mark.theorem("T7")
@given(case=problems(optimizer_kinds=["gradient_flow", "gradient_descent", "heavy_ball", "nesterov"]))
def test_under_decay_every_optimiser_ends_at_the_ridge_solution(case):
    predictor = Predictor(*case)
    if predictor.setting.weight_decay > 0:
        values = letters(predictor.problem)
        ridge = value(t7.RIDGE, values)
        # Forming S = cΦΦᵀ + μI squares the condition: its inverse is off by that much, times rounding.
        spread = predictor.rates.max() / predictor.setting.weight_decay
        bound = 100 * values["X"].shape[1] * np.finfo(float).eps * (1 + spread) * (1 + norm(ridge))
        assert norm(predictor.theta(math.inf)[0] - ridge) <= bound


@pytest.mark.theorem("T17")
@given(seed=seeds(), std=st.sampled_from([0.0, 0.5, 2.0]), reach=REACH)
def test_the_mean_error_over_gaussian_starts_is_the_formula(seed, std, reach):
    rng = np.random.default_rng(seed)
    x, test = rng.standard_normal((2, 5)), rng.standard_normal((1, 5))
    predictor = Predictor(Setting(Linear(), GradientFlow()), x)
    time = half_way(predictor, reach)
    found = letters(predictor.problem, test)
    left = value("E @ V", found, flow={"E": "c * X @ X.T"}, time=time)
    formula = t17.THEOREM.claims[0].equation.split("==")[1].replace("s**2", f"{std**2}")
    values = {"V": left, "S": found["Wstar"], "dim(q)": 5}
    mean = value(formula, values, shapes={"V": ("d", "m"), "S": ("q", "d")})
    assert np.allclose(predictor.expected_error(test, time, std), mean, rtol=1e-12, atol=0)  # sums of 25 squares


def test_a_planted_mistake_in_each_formula_is_seen():
    """Decay moves the null space (T3), 2μ for μ is another ridge (T7), and 2‖W*V‖² another mean (T17): far beyond the bounds."""
    x, test = np.random.default_rng(8).standard_normal((2, 2, 5))
    p = Predictor(Setting(Linear(), GradientFlow(), weight_decay=0.5), x, seed=1)
    values = {**letters(p.problem), "W": p.theta(1.0)[0]}
    assert norm(value("(W - W0) @ (I - X @ pinv(X))", values)) > 1e-3
    wrong = value(t7.RIDGE.replace("mu * I", "2 * mu * I"), letters(p.problem))
    assert norm(p.theta(math.inf)[0] - wrong) > 1e-3
    free = Predictor(Setting(Linear(), GradientFlow()), x)
    found = letters(free.problem, test[:1])
    left = value("E @ V", found, flow={"E": "c * X @ X.T"}, time=0.1)
    text = t17.THEOREM.claims[0].equation.split("==")[1].replace("s**2", "1/4").replace("tr(S", "2 * tr(S")
    mean = value(text, {"V": left, "S": found["Wstar"], "dim(q)": 5}, shapes={"V": ("d", "m"), "S": ("q", "d")})
    assert abs(free.expected_error(test[:1], 0.1, 0.5) - mean).max() > 1e-3
