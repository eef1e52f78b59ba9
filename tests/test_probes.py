"""Probe pictures and similarities, against what each says of itself and against numpy's own correlation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical.probes import CLASSES, PROBES, at_correlation, kinds, probes
from empirical.similarity import correlation, cosine, mean_squared_error, standing
from empirical.sources import Digits
from theory.errors import SettingError

IMAGES = Digits(14).images().values[:40]
PICTURE = IMAGES[7]
GENERATED = (*CLASSES["simple"], *CLASSES["fine"])


def draw(kind, count=6, **options):
    return probes(kind, count, IMAGES, PICTURE, others=1 - IMAGES, **options)


@pytest.mark.parametrize("kind", PROBES)
def test_a_kind_has_the_shape_of_the_picture_and_repeats_by_its_seed(kind):
    shown = draw(kind)
    assert shown.shape == (6, *PICTURE.shape)
    assert np.isfinite(shown).all()
    np.testing.assert_array_equal(shown, draw(kind))
    assert (shown != draw(kind, seed=1)).any()
    assert not (shown == PICTURE).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize("kind", GENERATED)
def test_generated_pictures_vary_and_lie_between_0_and_1(kind):
    shown = draw(kind, count=30)
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (np.ptp(shown, axis=(1, 2, 3)) > 0.5).all()


def test_twelve_kinds_are_in_one_class_each():
    assert len(PROBES) == 12
    assert sorted(PROBES) == sorted(kind for names in CLASSES.values() for kind in names)
    assert set(PROBES) - set(kinds()) == {"real"}
    assert set(kinds(real=True)) == set(PROBES)


def test_stripes_are_as_wide_as_they_say():
    for kind, width in (("fine_stripes", 1), ("coarse_stripes", 2)):
        for picture in draw(kind)[:, 0]:
            line = picture[:, 0] if np.ptp(picture[:, 0]) else picture[0]
            runs = np.diff(np.flatnonzero(np.diff(line)))
            assert set(runs.tolist()) == {width}
            assert (picture == line[:, None]).all() or (picture == line).all()


def test_natural_probes_are_made_of_the_images():
    for picture in draw("digits"):
        assert (IMAGES == picture).all(axis=(1, 2, 3)).any()
    for picture in draw("blend"):
        assert np.isclose(IMAGES, 2 * picture - PICTURE).all(axis=(1, 2, 3)).any()
    for picture in draw("real"):
        assert np.isclose(1 - IMAGES, picture).all(axis=(1, 2, 3)).any()


def test_more_probes_than_images_repeat_them_and_none_is_refused():
    assert len(probes("digits", 9, IMAGES[:3], IMAGES[0])) == 9
    with pytest.raises(SettingError, match="images must hold one that is not the training picture"):
        probes("digits", 1, IMAGES[:1], IMAGES[0])
    with pytest.raises(SettingError, match="others must be given for the probe 'real'"):
        probes("real", 1, IMAGES, PICTURE)
    with pytest.raises(SettingError, match=r"probe must be one of .* Did you mean 'square'"):
        probes("sqare", 1, IMAGES, PICTURE)


@given(st.floats(-1, 1), st.integers(0, 100))
def test_a_turned_picture_has_the_correlation_the_mean_and_the_norm_that_were_asked_for(rho, seed):
    """To 1e-12: sums of 196 pixels of size one, divided by norms above 1."""
    turned = at_correlation(PICTURE, np.random.default_rng(seed).standard_normal(PICTURE.shape), rho)
    assert abs(np.corrcoef(turned.ravel(), PICTURE.ravel())[0, 1] - rho) < 1e-12
    assert abs(turned.mean() - PICTURE.mean()) < 1e-12
    assert abs(np.linalg.norm(turned) - np.linalg.norm(PICTURE)) < 1e-12


def test_a_direction_inside_the_span_and_a_correlation_outside_its_range_are_refused():
    with pytest.raises(SettingError, match="direction must leave the span"):
        at_correlation(PICTURE, 2 * PICTURE + 1, 0.5)
    with pytest.raises(SettingError, match="direction must leave the span"):
        at_correlation(np.ones(4), np.arange(4.0), 0.5)
    for rho in (1.5, -1.5, float("nan")):
        with pytest.raises(SettingError, match="rho must be"):
            at_correlation(PICTURE, IMAGES[0], rho)


@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(-100, 100))
def test_correlation_is_numpys_and_ignores_scale_and_shift(seed, power, shift):
    """Rounding of the shift: 1e-16·100/1e-3 in the centred values, so 1e-9 is safe by a factor of ten thousand."""
    a, b = np.random.default_rng(seed).standard_normal((2, 3, 20))
    expected = [np.corrcoef(one, other)[0, 1] for one, other in zip(a, b, strict=True)]
    np.testing.assert_allclose(correlation(a, b), expected, atol=1e-13)
    np.testing.assert_allclose(correlation(10**power * a + shift, b), expected, atol=1e-9)


def test_nothing_correlates_with_a_flat_picture_not_even_with_its_rounding():
    flat = np.full(784, 0.1)
    assert np.isnan(correlation(flat, np.arange(784.0)))
    assert np.isnan(correlation(flat + 2.0**-53 * (np.arange(784) % 2), np.arange(784.0)))
    assert np.isnan(cosine(np.zeros(3), np.ones(3)))


def test_standing_measures_each_output_against_its_input_and_against_the_constant():
    outputs = np.stack([IMAGES[:3], np.broadcast_to(PICTURE, (3, *PICTURE.shape))])
    found = standing(outputs, IMAGES[:3], PICTURE, axes=3)
    np.testing.assert_allclose(found.identity[0], 1)
    np.testing.assert_allclose(found.constant[1], 1)
    np.testing.assert_array_equal(found.identity_mse[0], 0)
    np.testing.assert_allclose(found.constant_mse[0], [((image - PICTURE) ** 2).mean() for image in IMAGES[:3]])
    assert mean_squared_error(IMAGES, PICTURE, axes=3).shape == (40,)
