"""What the data determine: verdicts against exact ranks, intervals against sampled minimisers and searches, regimes against training."""

import math
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from empirical.data import digits
from numerics.budget import UNITS
from numerics.extrapolation import determinacy, judged
from numerics.predictor import Predictor
from tests.determined_data import FLOW, MIXED, PLAIN, found_for, prediction, rounding
from theory.layers import CircularConv, Conv, Linear
from theory.optimizers import GradientFlow, Preconditioned
from theory.setting import Setting
from theory.targets import Given

seeds = st.integers(0, 10**6)


# Verdicts


@pytest.mark.theorem("T12")
@given(seed=seeds, case=st.sampled_from(PLAIN))
def test_the_verdict_is_that_of_exact_ranks_in_every_block_and_column(seed, case):
    layer, shape = case
    found = found_for(layer, shape, seed)
    features, columns = found.predictor.problem.features, layer.features(found.test, np)
    per = columns.shape[-1] // len(found.test)
    for block in range(len(features)):
        known = sympy.Matrix(features[block].astype(int))
        for example in range(len(found.test)):
            mine = columns[block][:, example * per : (example + 1) * per].astype(int)
            free = [known.row_join(sympy.Matrix(mine[:, [j]])).rank() > known.rank() for j in range(per)]
            assert found.columns[example, block].tolist() == ["free" if one else "determined" for one in free]
    dimensions = []
    for example in range(len(found.test)):
        parts = [columns[b][:, example * per : (example + 1) * per] for b in range(len(features))]
        ranks = [
            sympy.Matrix(np.hstack([features[b], part]).astype(int)).rank()
            - sympy.Matrix(features[b].astype(int)).rank()
            for b, part in enumerate(parts)
        ]
        dimensions.append(found.predictor.problem.start.shape[1] * sum(ranks))
    assert found.free_dimensions.tolist() == dimensions
    assert [status == "free" for status in found.status] == [number > 0 for number in dimensions]


def test_of_a_lit_corner_a_kernel_of_three_leaves_five_of_thirty_six_dimensions_free():
    train, test = np.zeros((1, 1, 6, 6)), np.random.default_rng(0).standard_normal((1, 1, 6, 6))
    train[0, 0, 0, 0] = 1.0
    found = determinacy(Setting(Conv(3), GradientFlow()), train, test)
    assert found.predictor.spectrum.ranks == [4]
    assert found.free_dimensions.tolist() == [5]
    outputs = np.array([prediction(found, (w, None)) for w in np.eye(9).reshape((9, 1, 1, 3, 3))]).reshape((9, 36))
    assert np.linalg.matrix_rank(outputs - found.minimum_norm.ravel()) == 5


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(
    "points",
    [
        [[1, 2, 3]],
        [[1, 2, 3], [1, 2, 3]],
        [[1, 0, 2], [2, 0, 4], [3, 0, 6]],
        [[0, 0, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]] * 40,
    ],
)
def test_one_double_collinear_blank_and_many_points_at_every_scale_have_the_verdict_of_the_exact_rank(points, scale):
    queries = np.array([[1, 2, 3], [2, 0, 4], [0, 0, 0], [0, 5, 0], [0, 0, 1]])
    found = determinacy(Setting(Linear(), GradientFlow()), scale * np.array(points, dtype=float), scale * queries)
    rank = sympy.Matrix(points).rank()
    expected = ["free" if sympy.Matrix([*points, list(map(int, q))]).rank() > rank else "determined" for q in queries]
    assert found.status.tolist() == expected


@given(seeds)
def test_near_the_range_the_verdict_is_never_wrong_and_far_from_rounding_never_open(seed):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    train = (basis[:, :3] * [1.0, 0.3, 1e-3] @ rng.standard_normal((3, 5))).T
    sizes = 10.0 ** -np.arange(0, 19)
    inside = rng.standard_normal(5) @ train
    found = determinacy(
        Setting(Linear(), GradientFlow()), train, [inside, *(inside + size * basis[:, 5] for size in sizes)]
    )
    assert found.status[0] != "free"  # within the rounding of its own formation
    floors = found.floors[1:, 0, 0]
    # The query is off by the rounding of its formation, 5 products of size 3 at most.
    wrong = 40 * UNITS["float64"]
    assert all(
        status == "free"
        for status, size, floor in zip(found.status[1:], sizes, floors, strict=True)
        if size > 5 * floor + wrong
    )
    assert all(
        status != "free"
        for status, size, floor in zip(found.status[1:], sizes, floors, strict=True)
        if size + wrong < 3 * floor
    )
    assert floors.max() < 1e-10


def test_within_a_few_times_the_floor_the_verdict_is_undecided_and_no_dimension_is_counted():
    train = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    inside, off = train[:3].sum(axis=0), train[5]
    floor = determinacy(Setting(Linear(), GradientFlow()), train[:3], inside[None]).floors.item()
    found = determinacy(
        Setting(Linear(), GradientFlow()), train[:3], [inside + size * floor * off for size in (2.5, 20.0)]
    )
    assert found.status.tolist() == ["undecided", "free"]
    assert found.free_dimensions.tolist() == [0, 8]


@pytest.mark.parametrize("scale", [1e-140, 1e140])
def test_points_of_another_size_than_the_data_have_no_wrong_verdict(scale):
    for train in ([[1.0, 2.0, 0.5]], [[1e-100, 2e-100, 5e-101]], [[1e100, 2e100, 5e99]]):
        found = determinacy(
            Setting(Linear(), GradientFlow()), train, scale * np.array([[2.0, 4.0, 1.0], [2.0, -4.0, 1.0]])
        )
        assert (found.status[0], found.status[1]) in {("determined", "free"), ("determined", "undecided")}


@given(seeds)
def test_a_small_difference_of_large_examples_is_never_said_to_be_free(seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(10**7, 10**8, 6)
    rows = np.array([first, first + rng.integers(-3, 4, 6), first + rng.integers(-3, 4, 6)]).astype(float)
    found = determinacy(
        Setting(Linear(), GradientFlow()), rows, [rows[1] - rows[0], rows[2] - rows[1], rows[2] - rows[0]]
    )
    assert (found.status != "free").all()  # whole numbers: the differences are exact, and in the span


@pytest.mark.parametrize("power", [0, 4, 6, 8, 10, 12])
@pytest.mark.parametrize("multiples", [[1, 3, 7], [1, 2, 3, 5, 9, 11, 13]])
def test_a_preconditioner_makes_no_mode_of_its_own_rounding(power, multiples):
    # The examples are multiples of (3, 4), along which P is smallest: R times them has the rounding of R's large entries.
    turn = np.array([[3.0, -4.0], [4.0, 3.0]]) / 5
    matrix = turn @ np.diag([10.0**-power, 1.0]) @ turn.T
    setting = replace(FLOW, optimizer=Preconditioned(GradientFlow(), (matrix + matrix.T) / 2))
    train, targets = np.outer(multiples, [3.0, 4.0]), np.array(multiples, dtype=float)[:, None]
    found = determinacy(setting, train, [[6.0, 8.0], [3.0, 5.0], [-4.0, 3.0]], targets)
    assert found.predictor.spectrum.ranks == [1]
    assert found.status.tolist() == ["determined", "free", "free"]
    # From 0 the weight moves along (3, 4)P only: it ends at (3, 4)/25. P's own entries are off by their rounding, 10^power times its least.
    assert found.minimum_norm[:, 0] == pytest.approx([2.0, 29 / 25, 0.0], abs=1e-15 * 10**power + 1e-12)


def test_a_blank_column_is_determined_under_a_preconditioner_whatever_the_rest_of_its_example():
    x = np.array([[[0.0, 0.0, 0.0, 5.0, 7.0, 9.0]]])
    layer, matrix = Conv(3, stride=3, padding=0), [[2.0, 0.5, 0.3], [0.5, 1.0, 0.2], [0.3, 0.2, 3.0]]
    setting = replace(FLOW, layer=layer, optimizer=Preconditioned(GradientFlow(), matrix))
    found = determinacy(setting, x, [x[0], 2 * x[0], x[0, :, ::-1]], np.ones((1, 1, 2)))
    assert found.columns[:, 0].tolist() == [["determined", "determined"]] * 2 + [["free", "determined"]]


@given(seeds)
def test_the_rounding_of_a_transform_that_a_preconditioner_stretches_is_no_mode(seed):
    # With ζ = e^{iπ/3}, ζ² = ζ − 1: rows (p + a, q − a, r + a, p, q, r) have nothing at the frequencies 1 and 5.
    rng = np.random.default_rng(seed)
    x = np.zeros((1, 2, 6))
    half, a = rng.integers(-9, 10, 3), rng.integers(1, 10)
    x[0, 0] = np.concatenate(
        [half + np.array([a, -a, a]), half]
    )  # one channel, of which P stretches the difference from the other
    setting = Setting(CircularConv(), Preconditioned(GradientFlow(), [[1e8 + 1, -1e8], [-1e8, 1e8 + 1]]), Given())
    other = np.eye(1, 12).reshape(1, 2, 6)
    found = determinacy(setting, x, np.concatenate([3 * x, x + other]), np.ones((1, 1, 6)))
    assert [found.predictor.spectrum.ranks[frequency] for frequency in (1, 5)] == [0, 0]
    assert set(found.columns[0].ravel()) == {"determined"}
    assert found.columns[1, [1, 5], 0].tolist() == ["free", "free"]


def test_one_decomposition_serves_every_query():
    p = Predictor(Setting(Linear(), GradientFlow()), digits().flat[:40])
    with mock.patch("numpy.linalg.svd", side_effect=AssertionError("decomposed again")):
        found = judged(p, digits().flat[100:400])
        assert found.interval(1.0)[0].shape == (300, 64)
    assert (found.status == "free").all()


# The interval


@pytest.mark.theorem("T12")
@given(seed=seeds, case=st.sampled_from(PLAIN))
def test_sampled_minimisers_agree_where_determined_and_stay_in_the_interval(seed, case):
    found, rng = found_for(*case, seed), np.random.default_rng(seed)
    problem, layer = found.predictor.problem, case[0]
    low, high = found.interval(2.0)
    slack = rounding(found, 2.0)
    columns = layer.features(found.test, np)
    for _ in range(5):
        free = rng.standard_normal(problem.start.shape)
        free *= 2.0 / np.linalg.norm(free)
        outputs = []
        for x, y, v, z in zip(problem.features, problem.columns, columns, free, strict=True):
            pseudo = np.linalg.pinv(x, rcond=1e-10)
            outputs.append((y @ pseudo + z @ (np.eye(len(x)) - x @ pseudo)) @ v)
        predicted = layer.from_columns(np.array(outputs), problem.input_shape, np)
        predicted = predicted + (problem.offset(found.test) if layer.skips else 0.0)
        assert (predicted >= low - slack).all()
        assert (predicted <= high + slack).all()
        determined = found.status == "determined"
        assert np.abs((predicted - found.minimum_norm)[determined]).max(initial=0) <= slack


@pytest.mark.theorem("T12")
@given(seed=seeds, case=st.sampled_from(MIXED), preconditioned=st.booleans())
def test_the_extremal_starts_attain_the_ends_and_no_start_of_that_norm_passes_them(seed, case, preconditioned):
    layer, shape = case
    optimizer, rng = GradientFlow(), np.random.default_rng(seed)
    if preconditioned and not layer.complex_features:
        size = found_for(layer, shape, seed).predictor.problem.start.shape[-1]
        root = np.eye(size) + 0.3 * rng.standard_normal((size, size)) / size
        optimizer = Preconditioned(optimizer, root @ root.T)
    found = found_for(layer, shape, seed, optimizer)
    low, high = found.interval(3.0)
    slack = rounding(found, 3.0)
    for _ in range(3):
        index = tuple(int(rng.integers(size)) for size in low.shape)
        for lowest, end in ((False, high), (True, low)):
            start = found.extremal_start(index[0], index[1:], 3.0, lowest=lowest)
            norm = math.sqrt(sum(float(np.square(part).sum()) for part in start if part is not None))
            assert norm == pytest.approx(3.0 if found.gains[index] > 0 else 0.0, rel=1e-12)
            assert abs(prediction(found, start)[index] - end[index]) <= slack
        weight, bias = found.predictor.problem.to_torch(rng.standard_normal(found.predictor.problem.start.shape))
        size = math.sqrt(float(np.square(weight).sum()) + (0 if bias is None else float(np.square(bias).sum())))
        outputs = prediction(found, (3 * weight / size, None if bias is None else 3 * bias / size))
        assert ((low - slack <= outputs) & (outputs <= high + slack)).all()


def test_a_search_over_starts_finds_the_ends_of_the_interval():
    found = found_for(Conv(3), (1, 6), 3)
    index = (1, 0, 2)
    assert (found.status[1], found.predictor.spectrum.ranks) == ("free", [2])
    shape = found.predictor.problem.to_torch(found.predictor.problem.start)[0].shape

    def negative(flat):
        return -float(prediction(found, (flat.reshape(shape), None))[index])

    begin = np.random.default_rng(0).standard_normal(math.prod(shape))
    inside = {"type": "ineq", "fun": lambda flat: 4.0 - flat @ flat}
    best = minimize(
        negative, begin / np.linalg.norm(begin), constraints=[inside], method="SLSQP", options={"ftol": 1e-12}
    )
    assert -best.fun == pytest.approx(found.interval(2.0)[1][index], abs=1e-5)  # the search's own accuracy


@given(seed=seeds, case=st.sampled_from(MIXED))
def test_the_least_start_for_given_outputs_gives_them_and_what_it_misses_no_start_gives(seed, case):
    found, rng = found_for(*case, seed), np.random.default_rng(seed)
    p, slack = found.predictor, rounding(found, 10.0)
    reached = p.predict(found.test, math.inf)[0]
    needed, missed = found.least_start(reached)
    assert missed.max() <= slack
    assert (needed <= np.linalg.norm(p.problem.start) + slack).all()
    wanted = rng.standard_normal(reached.shape)
    needed, missed = found.least_start(wanted)
    # Oracle: the linear map from starts to one example's outputs, start by start, and its least-squares solution.
    weight, bias = p.problem.to_torch(p.problem.start)
    basis = np.eye(weight.size + (0 if bias is None else bias.size))
    starts = [(row[: weight.size].reshape(weight.shape), None if bias is None else row[weight.size :]) for row in basis]
    images = np.array([prediction(found, start) - found.minimum_norm for start in starts])
    for example in range(len(found.test)):
        matrix, gap = images[:, example].reshape((len(basis), -1)).T, (wanted - found.minimum_norm)[example].ravel()
        matrix = np.where(np.abs(matrix) > slack, matrix, 0.0)
        start = np.linalg.lstsq(matrix, gap, rcond=1e-9)[0]
        assert needed[example] == pytest.approx(np.linalg.norm(start), abs=1e3 * slack)
        assert missed[example] == pytest.approx(np.linalg.norm(matrix @ start - gap), abs=slack)


def test_a_budget_on_the_minimiser_itself_is_one_on_the_start_by_pythagoras():
    found = found_for(Linear(), (4,), 5)
    start = found.extremal_start(1, (0,), 2.0)[0]
    minimiser = found.predictor.from_start(start[None]).theta(math.inf)[0]
    assert np.linalg.norm(minimiser) ** 2 == pytest.approx(found.least_weight**2 + 4.0, rel=1e-9)


def test_a_direction_that_is_the_rounding_of_large_features_is_no_free_dimension():
    rng = np.random.default_rng(0)
    a, u = rng.standard_normal(3), rng.standard_normal(3)
    test = [[np.concatenate([1e6 * a + 1e-4 * u, -3e6 * a + 2e-4 * u])]]
    layer = Conv(3, stride=3, padding=0)  # two patches that do not overlap
    found = determinacy(replace(FLOW, layer=layer), [[np.tile(a, 2)]], test, np.ones((1, 1, 2)))
    assert found.columns[0, 0].tolist() == ["free", "free"]
    assert found.free_dimensions.tolist() == [1]  # both are free along what is left of u
