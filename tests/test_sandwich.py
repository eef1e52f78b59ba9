"""The error between multiples of the distance to the data: predicted and trained, in patch space, and false under decay."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical import extrapolation, measure
from empirical.data import digits
from empirical.extrapolation import DeterminacyMeasurement, SandwichMeasurement
from empirical.measure import trained_limit
from empirical.train import train_problem
from numerics.budget import UNITS, Budget
from numerics.hulls import distance
from numerics.predictor import Predictor
from numerics.sandwich import sandwich
from theory.layers import CircularConv, Conv, Linear, Residual
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.starts import Gaussian
from theory.theorems import OwnCase, find

FLOW = Setting(Linear(), GradientFlow(), start=Gaussian(1.0))
IMAGES = digits()
seeds = st.integers(0, 10**6)


def rounding(found, x):
    """Of products of size σ_max‖x‖, with the rank decided far above: 1e4 units."""
    return 1e4 * 2 * UNITS["float64"] * float(found.gains[1].max()) * max(1.0, float(np.abs(x).max())) ** 2 * x[0].size


@pytest.mark.theorem("T13")
@given(
    seeds,
    st.sampled_from([FLOW, replace(FLOW, optimizer=HeavyBall(0.01, 0.5)), replace(FLOW, layer=Residual(Linear()))]),
)
def test_the_error_is_inside_its_bounds_at_every_time_and_the_length_is_a_slow_projection(seed, setting):
    rng = np.random.default_rng(seed)
    train, x = rng.standard_normal((3, 5)), rng.standard_normal((4, 5))
    p = Predictor(setting, train, seed=seed)
    found = sandwich(p, x, [0, 3, math.inf])
    slack = rounding(found, x)
    assert (found.lower - slack <= found.errors).all()
    assert (found.errors <= found.upper + slack).all()
    assert found.lengths[0] == pytest.approx(np.linalg.norm(x, axis=1))
    away = [row - np.linalg.lstsq(train.T, row, rcond=None)[0] @ train for row in x]
    assert found.lengths[-1] == pytest.approx(np.linalg.norm(away, axis=1), abs=slack)
    gains = np.linalg.svd(p.problem.start[0] - p.problem.known_weight[0], compute_uv=False)
    assert (found.gains[0][0], found.gains[1][0]) == pytest.approx((gains[-1], gains[0]))


@given(seeds)
def test_both_bounds_are_attained_along_the_singular_directions_of_the_start(seed):
    rng = np.random.default_rng(seed)
    train = np.array([[1.0, 0.0, 0.0, 0.0]])
    left, right = (np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(2))
    start = np.eye(4)
    start[1:, 1:] += left @ np.diag([5.0, 2.0, 0.5]) @ right.T
    start[0, 0] = 3.0  # a gain of 2 on the span, inside the others
    x = np.zeros((2, 4))
    x[:, 1:] = right[:, [0, 2]].T
    found = sandwich(Predictor(FLOW, train, initial_weight=start), x)
    assert found.errors[0] == pytest.approx([5.0, 0.5])
    assert (found.upper[0][0], found.lower[0][1]) == pytest.approx((5.0, 0.5))


@pytest.mark.theorem("T13")
def test_the_hull_bounds_the_limit_and_only_the_limit():
    train, x = IMAGES.flat[:20], np.concatenate([IMAGES.flat[100:103], IMAGES.flat[:2].mean(axis=0, keepdims=True)])
    p = Predictor(FLOW, train, seed=0)
    found = sandwich(p, x, hull=True)
    slack = rounding(found, x)
    assert (found.upper[0] <= found.hull + slack).all()
    assert found.hull_distances == pytest.approx(distance(x, train).upper, abs=slack)
    assert found.hull[-1] <= slack  # inside the hull: exact in the limit
    assert found.errors[0][-1] <= slack
    assert sandwich(p, x, 0.001).errors[0][-1] > 1.0  # but not on the way
    with pytest.raises(ValueError, match=r"times must be math\.inf"):
        sandwich(p, x, [1.0, math.inf], hull=True)


@pytest.mark.theorem("T13")
def test_a_convolution_has_the_upper_bound_in_patch_space_only_and_is_exact_far_outside_the_pixel_hull():
    train, x = IMAGES.values[:1], IMAGES.values[100:104]
    p = Predictor(replace(FLOW, layer=Conv(3)), train, seed=0)
    found = sandwich(p, x)
    pixels = distance(x.reshape((4, -1)), train.reshape((1, -1)))
    assert set(pixels.status) == {"outside"}
    assert pixels.lower.min() > 1
    assert found.errors.max() <= rounding(found, x)  # one digit has every patch: nothing is outside the patches' span
    corner = np.zeros_like(train)
    corner[0, 0, 0, 0] = 1.0
    hard = sandwich(Predictor(replace(FLOW, layer=Conv(3)), corner, seed=0), x, hull=True)
    assert (hard.lower == 0).all()  # one output, nine taps: some direction is lost
    assert (hard.errors <= hard.upper).all()
    assert (hard.upper[0] <= hard.hull).all()
    # A lower bound by the one singular value of W0 − W* would be wrong: here it is 1, on patches that it does not see.
    start = np.zeros((1, 1, 3, 3))
    start[0, 0, 1, 1] = start[0, 0, 0, 0] = 1.0
    lost = sandwich(Predictor(replace(FLOW, layer=Conv(3)), corner, initial_weight=start), x)
    assert lost.gains[1] == pytest.approx([1.0])
    assert (lost.errors[0] < 0.9 * lost.lengths[0]).all()


@given(seeds)
def test_the_bounds_hold_per_frequency_of_a_circular_convolution(seed):
    rng = np.random.default_rng(seed)
    train, x = rng.standard_normal((1, 2, 4)), rng.standard_normal((3, 2, 4))
    found = sandwich(Predictor(replace(FLOW, layer=CircularConv()), train, seed=seed), x, [0.1, math.inf])
    slack = rounding(found, x)
    assert (found.lower - slack <= found.errors).all()
    assert (found.errors <= found.upper + slack).all()


# Trained


@pytest.mark.theorem("T13")
@pytest.mark.parametrize("steps", [30, None])
def test_trained_networks_err_within_the_bounds(steps):
    pytest.importorskip("torch")
    train, x = IMAGES.flat[:5], IMAGES.flat[[0, 100, 500, 900]]
    setting = FLOW if steps is None else replace(FLOW, optimizer=GradientDescent(1e-3))
    p = Predictor(setting, train, seed=0)
    found = sandwich(p, x, math.inf if steps is None else steps)
    if steps is None:
        theta, bound = trained_limit(Budget(p), "cpu", "float64")
        weight, slack = theta[0, 0], float(bound[0]) + Budget(p).evaluation(math.inf)
    else:
        weight = train_problem(p.problem, steps, record=[steps], device="cpu").final
        slack = Budget(p).rounding(steps, UNITS["float64"]) + Budget(p).evaluation(steps)
    errors = np.linalg.norm(x @ weight.T - x, axis=1)
    allowed = slack * np.linalg.norm(x, axis=1)
    assert (found.lower[0] - allowed <= errors).all()
    assert (errors <= found.upper[0] + allowed).all()
    assert (allowed < 1e-3 * found.upper[0].max()).all()
    if steps is None:  # the first of them is a training example
        assert errors[0] <= allowed[0]
        assert (found.lower[0, 1:] > 10 * allowed[1:]).all()


@pytest.mark.theorem("T13")
def test_with_weight_decay_the_sandwich_is_false_and_refused():
    pytest.importorskip("torch")
    train = IMAGES.flat[:1]
    setting = replace(FLOW, optimizer=GradientDescent(1e-3), weight_decay=1.0)
    p = Predictor(setting, train, seed=0)
    run = train_problem(p.problem, 3000, record=[3000], device="cpu")
    error = float(np.linalg.norm(train @ run.final.T - train))
    allowed = Budget(p).rounding(3000, UNITS["float64"]) * float(np.linalg.norm(train))
    upper = sandwich(p.with_decay(0.0), train).upper[0, 0]  # 0, up to rounding: the example is in its own span
    assert upper + allowed < 1e-6 < error
    with pytest.raises(ValueError, match="weight_decay must be 0"):
        sandwich(p, train)


# As a case of the theorems


def case(name):
    return next(case for case in find(name).own_cases)


def measured(kind, name):
    return kind(case(name), IMAGES.values[:3], IMAGES.values[[100, 500]], 0)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(DeterminacyMeasurement, "T12", marks=pytest.mark.theorem("T12")),
        pytest.param(SandwichMeasurement, "T13", marks=pytest.mark.theorem("T13")),
    ],
)
@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_the_case_agrees_at_both_levels_and_one_per_cent_in_the_weights_disagrees(kind, name, factor, monkeypatch):
    pytest.importorskip("torch")
    train, solve = measure.train_problem, measure.trajectory
    monkeypatch.setattr(measure, "train_problem", lambda *a, **k: scaled(train(*a, **k), "weights", factor))
    monkeypatch.setattr(measure, "trajectory", lambda *a, **k: scaled(solve(*a, **k), "theta", factor))
    found = measured(kind, name)
    verdict = "agrees" if factor == 1.0 else "disagrees"
    assert found.integration().verdict == verdict
    assert found.training("cpu", "float64").verdict == verdict


def scaled(run, name, factor):
    return replace(run, **{name: factor * getattr(run, name)})


def test_a_case_whose_images_are_blank_is_not_run_and_one_too_slow_says_so(monkeypatch):
    pytest.importorskip("torch")
    blank = 0 * IMAGES.values[:2]
    for kind, name in ((DeterminacyMeasurement, "T12"), (SandwichMeasurement, "T13")):
        assert kind(case(name), blank, IMAGES.values[:2], 0).training("cpu", "float64").verdict == "not run"
    monkeypatch.setattr(measure, "MAX_STEPS", 20)
    level = measured(DeterminacyMeasurement, "T12").training("cpu", "float64")
    assert (level.verdict, "more than 20 steps" in level.reason) == ("not run", True)


def test_a_wrong_verdict_on_points_of_the_span_disagrees(monkeypatch):
    right = extrapolation.judged

    def wrong(predictor, x):
        found = right(predictor, x)
        return replace(found, columns=np.full_like(found.columns, "undecided"))

    monkeypatch.setattr(extrapolation, "judged", wrong)
    level = measured(DeterminacyMeasurement, "T12").integration()
    assert level.verdict == "disagrees"
    assert "undecided" in level.reason


def test_own_cases_are_measured_by_these_classes():
    names = {one.measured_by for name in ("T12", "T13") for one in find(name).own_cases}
    assert names == {
        f"empirical.extrapolation.{kind.__name__}" for kind in (DeterminacyMeasurement, SandwichMeasurement)
    }
    assert isinstance(case("T12"), OwnCase)


def test_a_sandwich_prints_in_one_line():
    p = Predictor(Setting(Linear(), GradientFlow()), [[1.0, 0.0]], initial_weight=[[1.0, 0.0], [0.0, 4.0]])
    assert repr(sandwich(p, [[7.0, 2.0]])) == "errors of 1 example at 1 time: 1 to 1 of their upper bounds"
    assert repr(sandwich(p, [[7.0, 0.0]])) == "errors of 1 example at 1 time: all 0"
