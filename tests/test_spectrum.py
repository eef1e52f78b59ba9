"""The singular value decomposition, and the only place that decides a rank."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical.strategies import feature_data, seeds, singular_values, spectra
from numerics.spectrum import spectrum

EPS = np.finfo(float).eps


def error_bound(features):
    """Backward error of LAPACK's SVD: a modest multiple of max(d, M)·eps·σ₁; Golub–Van Loan, section 8.6."""
    return 8 * max(features.shape[-2:]) * EPS * np.linalg.norm(features, 2, axis=(-2, -1)).max()


@given(feature_data(condition=1e6))
def test_the_modes_multiply_back_to_the_features(x):
    features = x.T[None]
    modes = spectrum(features)
    product = (modes.left * modes.values[:, None, :]) @ modes.right
    assert np.linalg.norm(product - features) <= error_bound(features)
    r = modes.values.shape[-1]
    for basis in (modes.left[0], modes.right[0].T):
        assert np.linalg.norm(basis.T @ basis - np.eye(r)) <= 8 * max(features.shape) * EPS
    assert (np.diff(modes.values) <= 0).all()


@given(st.data(), st.integers(1, 6), st.integers(1, 6), seeds(), st.sampled_from([1e-100, 1e-12, 1.0, 1e100]))
def test_the_rank_of_data_with_a_known_spectrum_is_found_at_every_scale(data, d, columns, seed, scale):
    values = data.draw(singular_values(min(d, columns), condition=1e6))
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((side, len(values))))[0] for side in (d, columns))
    features = scale * ((left * values) @ right.T)[None]
    modes = spectrum(features)
    assert modes.ranks == [int((values > 0).sum())]
    assert modes.margin > 1e3  # the drawn gap: 1e-6 against 6·eps, far from the floor
    assert np.abs(modes.values[0] - scale * values).max() <= error_bound(features)  # Weyl


@given(spectra(4), seeds())
def test_the_floor_separates_rounding_from_signal_on_diagonal_data(values, seed):
    """A diagonal matrix has its spectrum exactly: kept is what exceeds max(d, M)·eps·σ₁, the rest is exactly 0."""
    order = np.random.default_rng(seed).permutation(4)
    modes = spectrum(np.diag(values)[None][:, order])
    floor = 4 * EPS * values[0]
    np.testing.assert_allclose(modes.values[0], np.where(values > floor, values, 0.0), rtol=4 * EPS)
    np.testing.assert_allclose(modes.floor, floor, rtol=4 * EPS)
    assert modes.margin > 1


@given(st.lists(feature_data(features=4, examples=3, condition=1e2), min_size=1, max_size=3))
def test_blocks_are_decomposed_apart_and_the_four_penrose_equations_hold(blocks):
    features = np.stack([x.T for x in blocks])
    modes = spectrum(features)
    assert modes.ranks == [np.linalg.matrix_rank(x) for x in blocks]
    inverse = modes.pseudo_inverse()
    kept = modes.values[modes.values > 0]
    bound = 64 * EPS * (kept.max() / kept.min()) ** 2  # products of Φ and Φ⁺: κ each
    for phi, pinv in zip(features, inverse, strict=True):
        assert np.abs(phi @ pinv @ phi - phi).max() <= bound * np.abs(phi).max()
        assert np.abs(pinv @ phi @ pinv - pinv).max() <= bound * np.abs(pinv).max()
        assert np.abs(phi @ pinv - (phi @ pinv).T).max() <= bound
        assert np.abs(pinv @ phi - (pinv @ phi).T).max() <= bound


@given(feature_data(features=5, examples=3), seeds())
def test_the_projection_keeps_the_range_and_drops_its_complement(x, seed):
    features = x.T[None]
    modes = spectrum(features)
    random = np.random.default_rng(seed).standard_normal((1, 5, 2))
    inside = modes.project(random)
    # The basis is off by about max(d, M)·eps·κ in angle.
    bound = 64 * EPS * modes.values[0, 0] / modes.values[modes.values > 0].min() * np.linalg.norm(random)
    assert np.linalg.norm(modes.project(inside) - inside) <= bound
    assert np.linalg.norm(features.swapaxes(1, 2) @ (random - inside)) <= bound
    assert np.linalg.norm(modes.project(features) - features) <= bound


def test_a_matrix_of_zeros_has_no_mode():
    modes = spectrum(np.zeros((2, 3, 4)))
    assert modes.ranks == [0, 0]
    assert modes.margin == np.inf
    np.testing.assert_array_equal(modes.pseudo_inverse(), np.zeros((2, 4, 3)))
    np.testing.assert_array_equal(modes.project(np.ones((2, 3, 1))), np.zeros((2, 3, 1)))


def test_the_gram_matrix_is_never_formed():
    """A mode at 1e-10 of the largest is kept to 1e-5 relative; from ΦΦᵀ it would be rounding, 1e-20 against 1e-16."""
    left, right = (np.linalg.qr(np.random.default_rng(side).standard_normal((3, 3)))[0] for side in (1, 2))
    modes = spectrum(((left * [1.0, 1e-5, 1e-10]) @ right)[None])
    assert modes.values[0, 2] == pytest.approx(1e-10, rel=1e-5)


@given(
    seeds(),
    st.sampled_from([(3, 1, 4), (3, 4, 1), (2, 1, 1)]),
    st.sampled_from([1e-250, 1e-3, 1.0, 1e250]),
    st.booleans(),
)
def test_one_mode_is_lapacks_without_lapack(seed, shape, scale, imaginary):
    rng = np.random.default_rng(seed)
    features = scale * (rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if imaginary else 0))
    features[0] *= 0
    modes, theirs = spectrum(features), np.linalg.svd(features, compute_uv=False)
    np.testing.assert_allclose(modes.values, theirs, rtol=8 * EPS)
    product = (modes.left * modes.values[:, None, :]) @ modes.right
    assert np.abs(product - features).max() <= 8 * EPS * np.abs(features).max()
    for basis in (modes.left, modes.right.swapaxes(-1, -2)):
        np.testing.assert_allclose(np.linalg.norm(basis, axis=1), 1.0, rtol=4 * EPS)
    assert modes.ranks == [0] + [1] * (len(features) - 1)
