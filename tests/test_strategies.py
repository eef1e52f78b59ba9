"""The strategies: valid by construction, and reaching the corners that they promise."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from empirical.layer_strategies import FLAT, SPATIAL
from empirical.strategies import (
    MAX_RATE_FRACTION,
    Case,
    feature_data,
    images,
    initial_weights,
    input_shapes,
    inputs,
    layers,
    optimizers,
    problems,
    seeds,
    singular_values,
    spectra,
    starts,
    targets,
    times,
)
from empirical.strategies import settings as random_settings
from numerics.predictor import Predictor
from theory.geometry import PADDING_MODES
from theory.layers import Conv, Layer, Linear
from theory.optimizers import GradientDescent, GradientFlow, Optimizer
from theory.setting import Setting
from theory.targets import Given, Target

LINEAR = [kind for kind, cls in Optimizer.kinds.items() if cls.linear and kind != "preconditioned"]
SEARCH = settings(max_examples=1500, deadline=None, derandomize=True, database=None, phases=[Phase.generate])


def reaches(strategy, condition):
    """Whether a few thousand draws contain one that meets the condition."""
    try:
        find(strategy, condition, settings=SEARCH)
    except NoSuchExample:
        return False
    return True


@settings(max_examples=300, suppress_health_check=list(set(HealthCheck) - {HealthCheck.filter_too_much}))
@given(problems())
def test_every_problem_is_accepted_by_the_predictor_and_converges(case):
    """Nothing is filtered: the health check for that is on, and a rejected draw would be an error here."""
    p = Predictor(*case)
    assert isinstance(case, Case)
    assert (case.targets is None) == (not isinstance(case.setting.target, Given))
    rate = getattr(case.setting.optimizer, "learning_rate", 0.0)
    if p.rates.max() > 0:
        assert rate <= MAX_RATE_FRACTION * (1 + 1e-12) * p.max_learning_rate
    assert np.isfinite(p.theta([0, 3])).all()


@pytest.mark.parametrize("kind", [*LINEAR, *Target.kinds, *FLAT, *SPATIAL])
def test_problems_reach_every_kind_that_has_a_closed_form(kind):
    def drawn(case):
        return kind in {getattr(case.setting, part).kind for part in ("layer", "optimizer", "target")}

    assert reaches(problems(), drawn)


def test_optimizers_are_never_of_a_kind_without_a_closed_form():
    assert not reaches(optimizers(1.0), lambda drawn: drawn.kind not in LINEAR)


@pytest.mark.parametrize(
    "condition",
    [
        lambda case: case.setting.weight_decay > 0 and case.setting.loss == "mse",
        lambda case: case.setting.layer.channel_groups() == 3 and case.setting.layer.bias,
        lambda case: len(case.inputs) == 3 and (case.inputs[0] == case.inputs[2]).all() and case.inputs.any(),
        lambda case: case.inputs.ndim > 2 and case.inputs[:, 0].any() and not case.inputs[:, -1].any(),
        lambda case: not np.any(case.initial_weight),
        lambda case: (
            {2, 4} & set(np.ravel(getattr(case.setting.layer, "kernel_size", 1)).tolist())
            and case.setting.layer.padding == "same"
        ),
        lambda case: min(Predictor(*case).spectrum.ranks) < min(Predictor(*case).problem.features.shape[1:]),
    ],
    ids=[
        "decayed mean loss",
        "three groups with bias",
        "duplicates",
        "blank channel",
        "zero start",
        "even kernel",
        "deficient rank",
    ],
)
def test_problems_reach_the_corner(condition):
    assert reaches(problems(), condition)


def test_restrictions_of_problems_are_kept():
    @settings(max_examples=40)
    @given(
        problems(
            layers(axes=2, odd=True, biases=False, kinds=["conv"]),
            optimizer_kinds=["heavy_ball"],
            target_kinds=["given"],
        )
    )
    def kept(case):
        assert (case.setting.optimizer.kind, case.setting.target.kind) == ("heavy_ball", "given")
        assert case.inputs.ndim == 4
        assert case.initial_bias is None

    @settings(max_examples=40)
    @given(problems(losses=["mse"], decay=False, examples=2))
    def also(case):
        assert (case.setting.loss, case.setting.weight_decay, len(case.inputs)) == ("mse", 0.0, 2)

    kept()
    also()


@settings(max_examples=200)
@given(st.data(), st.booleans())
def test_a_layer_takes_the_shapes_drawn_for_it(data, odd):
    layer = data.draw(layers(odd=odd))
    shape = data.draw(input_shapes(layer))
    layer.check(shape)
    assert shape[0] % layer.channel_groups() == 0
    if odd:
        layer.identity_features(shape)
    if isinstance(layer, Conv):
        assert layer.padding != "same" or layer.stride == 1
        assert len(shape) - 1 in (1, 2, 3)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("mode", PADDING_MODES)
def test_layers_reach_every_mode_in_every_dimension(axes, mode):
    drawn = st.tuples(layers(axes=axes, kinds=["conv"]), seeds())
    assert reaches(drawn, lambda pair: pair[0].padding_mode == mode and pair[0].padding == "same")
    assert reaches(drawn, lambda pair: pair[0].padding_mode == mode and isinstance(pair[0].stride, tuple))


@pytest.mark.parametrize(
    "layer", [Conv(3, padding="valid", dilation=2), Conv(5, padding=2, padding_mode="reflect"), Linear()]
)
def test_the_smallest_shape_drawn_is_the_smallest_that_fits(layer):
    """One pixel less on any axis is refused."""
    shape = find(input_shapes(layer, room=0), lambda shape: True, settings=SEARCH)
    layer.check(shape)
    for axis in range(1, len(shape)):
        with pytest.raises(ValueError, match="must"):
            layer.check((*shape[:axis], shape[axis] - 1, *shape[axis + 1 :]))


@given(spectra(5))
def test_spectra_are_descending_and_not_negative(values):
    assert values.shape == (5,)
    assert (values >= 0).all()
    assert (np.diff(values) <= 0).all()


@pytest.mark.parametrize(
    "condition",
    [lambda s: (s == 0).all(), lambda s: 0 < s[1] < 1e-200, lambda s: s[0] == s[1] > 0, lambda s: s[0] > 50],
    ids=["zeros", "near zero", "repeated", "large"],
)
def test_spectra_reach_the_corner(condition):
    assert reaches(spectra(2), condition)


@given(st.data(), st.integers(1, 5), st.sampled_from([10.0, 1e6]))
def test_singular_values_keep_rank_and_condition(data, size, condition):
    rank = data.draw(st.integers(0, size))
    values = data.draw(singular_values(size, rank, condition))
    assert (values > 0).sum() == rank
    assert (np.diff(values) <= 0).all()
    if rank:
        assert values[0] == 1.0
        assert values[rank - 1] >= 1 / condition * (1 - 1e-12)


@given(st.data(), st.sampled_from([1e-100, 1.0, 1e100]))
def test_feature_data_have_the_rank_condition_and_scale_asked_for(data, scale):
    features, examples = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    rank = data.draw(st.integers(1, min(features, examples)))
    x = data.draw(feature_data(features, examples, rank, condition=100.0, scale=scale))
    values = np.linalg.svd(x, compute_uv=False)
    assert x.shape == (examples, features)
    assert values[0] == pytest.approx(scale, rel=1e-12)
    assert (values > 1e-13 * scale).sum() == rank
    assert values[rank - 1] >= scale / 100 * (1 - 1e-12)


def test_fewer_examples_than_features_are_normal():
    assert reaches(feature_data(), lambda x: x.shape[0] < x.shape[1])
    assert reaches(feature_data(), lambda x: x.shape[0] > x.shape[1])
    assert reaches(inputs((4,)), lambda x: np.linalg.matrix_rank(x) < min(x.shape))


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: (x != 0).sum() == 1 and x[0, 0, 0, 0] == 1,
        lambda x: (x == 1).all(),
        lambda x: len(x) > 1 and (x[0] == x[1]).all() and len(np.unique(x)) > 3,
        lambda x: x[:, 0].any() and not x[:, 1].any(),
    ],
    ids=["lit corner pixel", "flat", "duplicate", "blank channel"],
)
def test_images_reach_the_corner(condition):
    assert reaches(images((2, 3, 2)), condition)


@pytest.mark.parametrize("rate_max", [0.0, 1e-12, 1.0, 1e8])
def test_optimizers_converge_on_every_rate_up_to_the_largest(rate_max):
    @settings(max_examples=60)
    @given(optimizers(rate_max))
    def converges(optimizer):
        assert optimizer.linear
        assert getattr(optimizer, "learning_rate", 0.0) < optimizer.max_learning_rate(rate_max)

    converges()
    assert reaches(optimizers(1.0), lambda drawn: getattr(drawn, "learning_rate", 0) > 1)  # ηs between 1 and 2 too


@given(st.data())
def test_weights_have_torchs_shapes_and_targets_the_outputs(data):
    layer = data.draw(layers(odd=True))
    shape = data.draw(input_shapes(layer))
    weight, bias = data.draw(initial_weights(layer, shape, 2 * layer.channel_groups()))
    assert weight.shape == layer.weight_shape(shape, 2 * layer.channel_groups())
    assert (bias is None) == (not layer.bias)
    target = data.draw(targets(layer, shape, 1, kinds=["identity", "constant", "linear_map"]))
    x = np.zeros((1, *shape))
    values = target.resolve(x).values(layer, x, np)
    assert values.shape == (1, *layer.output_shape(shape, values.shape[1]))


@settings(max_examples=100)
@given(random_settings(4.0))
def test_settings_are_settings_with_a_rate_that_fits(setting):
    assert isinstance(setting, Setting)
    assert getattr(setting.optimizer, "learning_rate", 0.0) < setting.optimizer.max_learning_rate(4.0)


def test_starts_reach_every_kind():
    assert all(
        reaches(starts(), lambda start, kind=kind: start.kind == kind) for kind in ("zeros", "gaussian", "fixed")
    )


@given(st.data())
def test_times_are_steps_for_a_descent_and_times_for_a_flow(data):
    steps = data.draw(times(GradientDescent(0.1), 1.0, infinity=False))
    assert (steps == np.floor(steps)).all()
    assert (data.draw(times(GradientFlow(), 1e-100)) >= 0).all()


def test_times_reach_infinity_and_disorder():
    assert reaches(times(GradientFlow(), 1.0), lambda t: np.isinf(t).any() and (np.diff(t) < 0).any())


def test_the_module_works_without_torch():
    code = "import sys; sys.modules['torch'] = None; import empirical.strategies; print(len(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_users_own_layer_gets_shapes_without_a_word_about_it_here():
    class Halves(Linear, abstract=True):
        """Takes an even number of features."""

        def check(self, input_shape):
            super().check(input_shape)
            if input_shape[0] % 2:
                message = "features must be even, but they are odd. Add one."
                raise ValueError(message)

        def channel_groups(self):
            return 2

    assert isinstance(Halves(), Layer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find(input_shapes(Halves()), lambda shape: shape[0] > 2)[0] == 4
