"""What training picks where the data leave a prediction free: start, decay and early stopping, by formula and by torch."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical.measure import trained_limit
from empirical.train import train_problem
from numerics.budget import UNITS, Budget
from numerics.extrapolation import determinacy
from numerics.formula import letters, value
from numerics.hulls import distance
from numerics.predictor import Predictor
from tests.determined_data import FLOW, PLAIN, found_for, rounding, whole_data
from theory.extrapolation import REGIMES
from theory.layers import Linear, Polynomial
from theory.optimizers import GradientDescent, GradientFlow
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given, Identity

seeds = st.integers(0, 10**6)


@pytest.mark.theorem("T12")
@given(seed=seeds, case=st.sampled_from(PLAIN[:5]), name=st.sampled_from(sorted(REGIMES)))
def test_each_regime_picks_what_the_proved_formula_says(seed, case, name):
    found, regime = found_for(*case, seed), REGIMES[name]
    layer, problem = case[0], found.predictor.problem
    decay, time = (0.5 if "decay" in name else 0.0), (0.3 if "stop" in name else math.inf)
    values = {**letters(problem), "V": layer.features(found.test, np), "mu": decay}
    finite = 0.0 if math.isinf(time) else time
    expected = value(regime.prediction, values, flow=regime.flow, time=finite)
    got = layer.to_columns(found.prediction(time, decay)[0], np)
    assert np.abs(got - expected).max() <= rounding(found)
    free = found.share(time, decay)[0] * problem.start @ found.free
    expected = 0.0 * free if regime.free == "0" else value(regime.free, values, flow=regime.flow, time=finite)
    assert np.abs(free - expected).max() <= rounding(found)


def test_weaker_and_weaker_decay_comes_to_the_middle_of_the_interval():
    found = found_for(Linear(), (4,), 7)
    gaps = [
        float(np.abs(found.prediction(math.inf, decay)[0] - found.minimum_norm).max()) for decay in (1e-2, 1e-4, 1e-6)
    ]
    assert gaps[1] < gaps[0] / 50
    assert gaps[2] < gaps[1] / 50
    assert np.abs(found.prediction()[0] - found.minimum_norm).max() > 0.1


def test_the_settings_own_decay_plays_no_part_in_the_verdict_or_the_interval():
    train, test, targets = whole_data(Linear(), (4,), 1)
    plain = determinacy(FLOW, train, test, targets)
    decayed = determinacy(replace(FLOW, weight_decay=0.3), train, test, targets)
    assert (plain.columns == decayed.columns).all()
    assert np.array_equal(plain.interval(1.0), decayed.interval(1.0))
    assert np.array_equal(plain.prediction(), decayed.prediction())


# Trained


@pytest.mark.theorem("T12")
def test_trained_networks_agree_far_outside_the_hull_where_determined_and_differ_inside_it_where_free():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    line, y = np.array([[-0.9], [0.2], [0.8]]), rng.standard_normal((3, 1))
    flat, wide = rng.standard_normal((3, 6)), rng.standard_normal((3, 2))
    inside, far = np.array([[-0.3], [0.5]]), np.array([[40.0, -39.0, 0.0], [-7.0, 0.0, 0.0]]) @ flat
    cases = [  # a polynomial of degree 4 through three points, between them; a linear layer far beyond its examples
        (Polynomial(4, bias=True), line, y, inside, ("inside", "free")),
        (Linear(), flat, wide, far, ("outside", "determined")),
    ]
    for layer, x, targets, test, (place, status) in cases:
        setting = Setting(layer, GradientFlow(), Given(), start=Gaussian(1.0))
        found = determinacy(setting, x, test, targets, seed=1)
        assert set(distance(test, x).status) == {place}
        assert set(found.status) == {status}
        other = found.predictor.from_start(Predictor(setting, x, targets, seed=2).problem.start)
        weights, bounds = zip(
            *(trained_limit(Budget(p), "cpu", "float64") for p in (found.predictor, other)), strict=True
        )
        features = layer.features(test, np)[0]
        trained = (weights[0] - weights[1])[0, 0] @ features
        predicted = (found.predictor.problem.start - other.problem.start)[0] @ found.free[0]
        evaluation = sum(Budget(p).evaluation(math.inf) for p in (found.predictor, other))
        allowed = (float(np.sum(bounds)) + evaluation) * np.linalg.norm(features, axis=0)
        assert (np.linalg.norm(trained - predicted, axis=0) <= allowed).all()
        before = np.linalg.norm((found.predictor.problem.start - other.problem.start)[0] @ features, axis=0)
        assert (allowed < 0.01 * before).all()  # the budget sees 1 % of what the starts are apart
        apart = np.linalg.norm(trained, axis=0)
        assert (apart > 100 * allowed).all() if status == "free" else (apart <= allowed).all()


@pytest.mark.theorem("T12")
@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_networks_stopped_early_are_apart_by_the_share_of_their_starts_that_is_left(decay):
    pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x, test, steps = rng.standard_normal((2, 5)), rng.standard_normal((3, 5)), 40
    setting = Setting(Linear(), GradientDescent(0.05), Identity(), weight_decay=decay, start=Gaussian(1.0))
    found = determinacy(setting, x, test)
    other = found.predictor.from_start(rng.standard_normal((1, 5, 5)))
    runs = [train_problem(p.problem, steps, record=[steps], device="cpu") for p in (found.predictor, other)]
    gap = (runs[0].final - runs[1].final) @ found.free[0]
    share = found.share(steps, decay)[0]
    assert share == pytest.approx((1 - 0.05 * decay) ** steps, rel=1e-12)
    starts = (found.predictor.problem.start - other.problem.start)[0]
    allowed = sum(Budget(p).rounding(steps, UNITS["float64"]) for p in (found.predictor, other))
    assert np.linalg.norm(gap - share * starts @ found.free[0]) <= 2 * allowed * np.linalg.norm(found.free[0])
    trained = [run.final @ test.T for run in runs]
    assert np.abs(trained[0].T - found.prediction(steps, decay)[0]).max() <= 2 * allowed * np.linalg.norm(test)
