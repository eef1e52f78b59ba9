"""The course of training, three ways: points lie on the curve inside their budget, and a planted error leaves it."""

import numpy as np
import pytest

import closedflow as cf
from empirical.curves import curves
from empirical.data import digits
from numerics.plan import speeds

pytest.importorskip("torch", reason="the course is trained too")

IMAGES = digits().values
SETTINGS = [
    cf.Setting(cf.Linear(), cf.GradientFlow(), start=cf.Gaussian(0.1)),
    cf.Setting(cf.Conv(3, bias=True), cf.HeavyBall(0.01, 0.9), weight_decay=0.1),
    cf.Setting(cf.CircularConv(), cf.GradientFlow(), loss="mse", start=cf.Gaussian(0.1)),
]


def course(setting, **options):
    x = setting.layer.arrange(IMAGES)
    predictor = cf.Predictor(setting, x[:2], seed=0)
    y = setting.target.values(setting.layer, x[5:6], np)
    return predictor, x[5:6], y, curves(predictor, x[5:6], y, "cpu", **options)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.layer.kind)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_points_lie_within_their_budget_of_the_closed_form(setting, dtype):
    predictor, x, _, found = course(setting, dtype=dtype)
    for points in (found.integrated, found.trained):
        assert points.reason == ""
        errors = np.sqrt(predictor.error(x, points.times)[:, 0])
        assert (np.abs(points.errors - errors) <= points.bands).all()
        assert (points.bands[1:] < 0.05 * errors[0]).all()  # a band that everything fits into would say nothing


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.layer.kind)
def test_the_curve_is_the_error_of_the_closed_form(setting):
    predictor, x, _, found = course(setting)
    np.testing.assert_allclose(found.predicted**2, predictor.error(x, found.times)[:, 0], rtol=1e-9)
    np.testing.assert_array_equal(found.pictures[0], x[0])
    np.testing.assert_allclose(found.pictures[1], predictor.predict(x, 0)[0, 0])
    assert found.unit == ("steps" if setting.optimizer.discrete else "flow time")


def test_the_band_is_the_budget_of_the_weight_times_the_size_of_the_features():
    """An image three times as bright moves three times as far with the same weight."""
    setting = SETTINGS[0]
    predictor, x, y, found = course(setting)
    brighter = curves(predictor, 3 * x, 3 * y, "cpu")
    np.testing.assert_allclose(brighter.trained.bands, 3 * found.trained.bands, rtol=1e-9)
    np.testing.assert_allclose(brighter.integrated.bands, 3 * found.integrated.bands, rtol=1e-9)


def test_without_a_bound_there_are_no_points_but_a_reason():
    setting = cf.Setting(cf.Linear(), cf.NesterovFlow())
    *_, found = course(setting)
    assert len(found.trained.times) == 0
    assert "no discretisation bound" in found.trained.reason
    assert len(found.integrated.times) > 0


def test_a_step_too_late_is_outside_the_budget_of_a_descent():
    predictor, x, _, found = course(SETTINGS[1])
    late = np.sqrt(predictor.error(x, found.trained.times[1:] + 1)[:, 0])
    assert (np.abs(found.trained.errors[1:] - late) > found.trained.bands[1:]).any()


def test_a_slow_flow_is_trained_for_part_of_its_time_only(monkeypatch):
    """With friction 50 the slowest mode takes millions of steps of the companion."""
    monkeypatch.setattr("empirical.curves.MOST_STEPS", 60)
    predictor, x, _, found = course(cf.Setting(cf.Linear(), cf.HeavyBallFlow(50.0)))
    step = 0.001 / max(speeds(predictor.setting.optimizer, float(predictor.rates.max()), np.inf))
    assert 0 < found.trained.times.max() <= 61 * step < found.integrated.times.max()
    errors = np.sqrt(predictor.error(x, found.trained.times)[:, 0])
    assert (np.abs(found.trained.errors - errors) <= found.trained.bands).all()
