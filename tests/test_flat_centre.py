"""Theorem T23: centres of flat pictures are flat up to the bound, in whole numbers exactly; one layer more breaks it."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedflow.verdicts import measurement
from empirical.data import digits
from theory.layers import Conv
from theory.theorems import find

IMAGES = digits().values
(CASE,) = find("T23").own_cases


def convolved(image, kernels):
    """A layer by loops, zero padding, in whole numbers: (C, s, s) by (O, C, k, k)."""
    size, k = image.shape[1], kernels.shape[2]
    padded = np.pad(image, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    out = np.zeros((len(kernels), size, size), dtype=object)
    for row in range(size):
        for column in range(size):
            out[:, row, column] = (kernels * padded[:, row : row + k, column : column + k]).sum(axis=(1, 2, 3))
    return out


def varies(pixels) -> bool:
    flat = pixels.reshape(len(pixels), -1)
    return bool(flat.size and (flat != flat[:, :1]).any())


@pytest.mark.theorem("T23")
@given(st.sampled_from([3, 5]), st.integers(1, 3), st.integers(2, 13), st.integers(0, 2**32 - 1))
def test_the_centre_is_flat_exactly_at_every_depth_size_and_kernel(kernel, depth, size, seed):
    rng = np.random.default_rng(seed)
    picture = np.full((1, size, size), 3, dtype=object)
    channels = [1, *[2] * (depth - 1), 1]
    for number, (before, after) in enumerate(itertools.pairwise(channels), start=1):
        picture = convolved(picture, rng.integers(-4, 5, (after, before, kernel, kernel)).astype(object))
        picture = np.maximum(picture, 0) if number < depth else picture
    reach = depth * (kernel // 2)
    assert not varies(picture[:, reach : size - reach, reach : size - reach])


@pytest.mark.theorem("T23")
@pytest.mark.parametrize(("size", "kernel"), [(8, 3), (9, 3), (11, 5), (12, 5)])
def test_as_many_layers_as_the_bound_says_can_make_the_centre_vary(size, kernel):
    """With positive weights nothing cancels: one layer less is flat at the centre, the bound itself is not."""
    bound = math.ceil((size // 2) / (kernel // 2))
    middle = slice(
        (size - 1) // 2 - (size % 2 == 1), size // 2 + 1
    )  # the pixels whose distance to the border is next to the largest
    picture = np.full((1, size, size), 1, dtype=object)
    weights = 1 + np.arange(kernel**2).reshape((1, 1, kernel, kernel)).astype(object)
    for layer in range(1, bound + 1):
        picture = convolved(picture, weights)
        reach = layer * (kernel // 2)
        assert not varies(picture[:, reach : size - reach, reach : size - reach])
    assert varies(picture[:, middle, middle])


@pytest.mark.theorem("T23")
def test_circular_padding_keeps_a_flat_picture_flat_at_any_depth():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", dtype=torch.float64)
    picture = torch.full((1, 1, 6, 6), 0.5, dtype=torch.float64)
    for _ in range(8):
        picture = layer(picture)
    assert np.ptp(picture.detach().numpy()) <= 1e-12


@pytest.mark.theorem("T23")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_trained_networks_agree_and_a_centre_that_is_too_wide_disagrees(dtype, monkeypatch):
    pytest.importorskip("torch")
    from empirical.flat_centre import FlatCentreMeasurement

    assert measurement(CASE, IMAGES[:1], IMAGES[1:4], 0).training("cpu", dtype).verdict == "agrees"
    plain = FlatCentreMeasurement.centre
    monkeypatch.setattr(FlatCentreMeasurement, "centre", lambda self, depth, size: plain(self, depth - 1, size))
    assert measurement(CASE, IMAGES[:1], IMAGES[1:4], 0).training("cpu", dtype).verdict == "disagrees"


def test_a_picture_without_such_pixels_is_not_run():
    pytest.importorskip("torch")
    from empirical.flat_centre import NO_CENTRE

    case = dataclasses.replace(CASE, options={**CASE.options, "layer": Conv(7), "depths": (2, 2)})
    found = measurement(case, IMAGES[:1], IMAGES[1:4], 0)
    assert found.training("cpu", "float64").reason == NO_CENTRE
    assert found.integration().verdict == "not run"
