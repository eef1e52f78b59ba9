"""Distances to a convex hull against DAQP, an active-set solver of somebody else's, on data that it can solve."""

import numpy as np
import pytest

import closedflow as cf

daqp = pytest.importorskip("daqp", reason="DAQP is not installed")


def by_daqp(points, query):
    """The least ‖Xa − q‖ with a ≥ 0 and Σa = 1, as a quadratic program on the Gram matrix; its multipliers are not used."""
    count = len(points)
    rows = np.ones((1, count))
    upper, lower = np.r_[np.full(count, 1e30), 1.0], np.r_[np.zeros(count), 1.0]
    sense = np.r_[np.zeros(count), 5.0].astype(np.int32)  # the last one is an equality
    weights, _, flag, _ = daqp.solve(points @ points.T, -points @ query, rows, upper, lower, sense)
    assert flag > 0
    weights = np.clip(weights, 0, None)
    return float(np.linalg.norm(weights / weights.sum() @ points - query))


@pytest.mark.parametrize("seed", range(20))
def test_daqp_finds_no_nearer_point_and_ours_is_as_near(seed):
    """DAQP's own tolerance is 1e-6 in the multipliers; a distance is as near to first order, so 1e-6 of the data's size."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((12, 15))  # fewer points than dimensions: the Gram matrix is definite
    queries = rng.standard_normal((3, 15)) * rng.choice([0.1, 1.0, 5.0])
    found = cf.distance(queries, points)
    for query, lower, upper in zip(queries, found.lower, found.upper, strict=True):
        theirs = by_daqp(points, query)
        assert lower <= theirs * (1 + 1e-12)
        assert theirs <= upper + 1e-6 * np.abs(points).max()
