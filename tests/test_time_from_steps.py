"""Steps and flow time: the conversion is the one at which descent and flow meet, by optimiser and by loss."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import Adam, GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.time import time_from_steps


@pytest.mark.parametrize(
    ("optimizer", "steps", "time"),
    [
        (GradientDescent(0.25), 8, 2.0),
        (GradientDescent(0.25), 0, 0.0),
        (HeavyBall(0.25, 0.0), 8, 2.0),
        (HeavyBall(0.25, 0.5), 8, 4.0),
        (HeavyBall(0.125, 0.75), 8, 4.0),
    ],
)
def test_the_half_sums_time_by_hand(optimizer, steps, time):
    assert time_from_steps(Setting(Linear(), optimizer), steps) == time
    mean = Setting(Linear(), optimizer, loss="mse")
    assert time_from_steps(mean, steps, columns=4, outputs=2) == time / 4  # c = 2/(2·4)


@given(
    count=st.integers(1, 4),
    loss=st.sampled_from(["half_sum", "mse"]),
    momentum=st.sampled_from([None, 0.0, 0.5, 0.9]),
    layer=st.sampled_from([Linear(), Conv(3, groups=2)]),
)
def test_the_flow_at_that_time_is_met_to_first_order(count, loss, momentum, layer):
    """Halving the learning rate at fixed time halves the gap: the conversion is right, not only near."""
    shape = (4,) if isinstance(layer, Linear) else (2, 3, 3)
    x = np.random.default_rng(count).standard_normal((count, *shape)) / np.sqrt(math.prod(shape))
    outputs, columns = (4, count) if isinstance(layer, Linear) else (2, 9 * count)
    gaps = []
    for halving in (1, 2):
        rate, steps = 0.004 / halving, 100 * halving
        optimizer = GradientDescent(rate) if momentum is None else HeavyBall(rate, momentum)
        setting = Setting(layer, optimizer, loss=loss)
        time = time_from_steps(setting, steps, columns=columns, outputs=outputs)
        descent = Predictor(setting, x, seed=1)
        flow = Predictor(Setting(layer, GradientFlow()), x, seed=1)  # always the half sum's flow
        gaps.append(np.linalg.norm(descent.weight(steps) - flow.weight(time)))
    moved = np.linalg.norm(descent.weight(steps) - descent.weight(0))
    # The next order leaves a few per cent of the ratio 2; 1e-13 is far above rounding and far below the gaps.
    assert gaps[1] < 0.56 * gaps[0] + 1e-13
    assert gaps[0] < 0.15 * moved  # momentum 0.9 needs nine of the hundred steps to get going


def test_a_wrong_conversion_would_be_seen():
    """Without the factor 1/(1 - β) the gap does not even shrink with the learning rate."""
    x = np.eye(2)[:1]
    gaps = []
    for halving in (1, 2):
        optimizer = HeavyBall(0.004 / halving, 0.5)
        flow = Predictor(Setting(Linear(), GradientFlow()), x, seed=1)
        descent = Predictor(Setting(Linear(), optimizer), x, seed=1)
        gaps.append(np.linalg.norm(descent.weight(200 * halving) - flow.weight(200 * 0.004)))
    assert gaps[1] > 0.9 * gaps[0] > 0.01


@pytest.mark.parametrize(
    ("setting", "arguments", "words"),
    [
        (Setting(Linear(), GradientDescent(0.1)), {"steps": -1}, ["steps", "at least 0", "-1"]),
        (Setting(Linear(), GradientDescent(0.1)), {"steps": math.nan}, ["steps", "nan"]),
        (Setting(Linear(), GradientDescent(0.1)), {"steps": "ten"}, ["steps", "'ten'"]),
        (Setting(Linear(), GradientFlow()), {"steps": 1}, ["optimizer must be a descent", "GradientFlow()"]),
        (Setting(Linear(), Adam(0.1)), {"steps": 1}, ["optimizer must be linear", "Adam"]),
        (Setting(Linear(), GradientDescent(0.1), loss="mse"), {"steps": 1}, ["columns must be given", "mse"]),
        (Setting(Linear(), GradientDescent(0.1), loss="mse"), {"steps": 1, "columns": 3}, ["outputs must be given"]),
        (Setting(Linear(), GradientDescent(0.1), loss="mse"), {"steps": 1, "columns": 0, "outputs": 1}, ["columns", "0"]),
        (
            Setting(Linear(), GradientDescent(0.1), loss="mse", weight_decay=0.5),
            {"steps": 10, "columns": 3, "outputs": 1},
            ["weight_decay must be 0", "0.5", "own time, 1"],
        ),
    ],
)  # fmt: skip
def test_what_has_no_flow_time_is_refused_in_one_line(setting, arguments, words):
    with pytest.raises(SettingError) as error:
        time_from_steps(setting, **arguments)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_decay_under_the_half_sum_has_a_time_and_meets_its_flow():
    """c is 1, so decay and data term share the clock."""
    x = np.random.default_rng(0).standard_normal((2, 3))
    setting = Setting(Linear(), GradientDescent(1e-4), weight_decay=0.5)
    descent = Predictor(setting, x, seed=1)
    flow = Predictor(Setting(Linear(), GradientFlow(), weight_decay=0.5), x, seed=1)
    time = time_from_steps(setting, 5000)
    assert time == 5000 * 1e-4
    # The discretisation is about ηs/2 of the way: rates here are below 20.
    assert np.linalg.norm(descent.weight(5000) - flow.weight(time)) < 1e-3
    assert np.linalg.norm(flow.weight(time) - flow.weight(0)) > 0.3


@pytest.mark.parametrize("columns", [1, 3])
def test_the_signature_of_the_design_takes_the_columns_third(columns):
    setting = Setting(Linear(), GradientDescent(0.5), loss="mse")
    assert time_from_steps(setting, 4, columns, 2) == 2 / (2 * columns) * 2.0
