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
from empirical.measure import trained_limit
from empirical.train import train_problem
from numerics.budget import UNITS, Budget
from numerics.extrapolation import determinacy, judged
from numerics.formula import letters, value
from numerics.hulls import distance
from numerics.predictor import Predictor
from theory.extrapolation import REGIMES
from theory.layers import CircularConv, Conv, Linear, LocallyConnected, Polynomial, Residual
from theory.optimizers import GradientDescent, GradientFlow, Preconditioned
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given, Identity

FLOW = Setting(Linear(), GradientFlow(), Given(), start=Gaussian(1.0))
seeds = st.integers(0, 10**6)
PLAIN = [
    (Linear(), (4,)),
    (Linear(bias=True), (4,)),
    (Polynomial(2, bias=True), (3,)),
    (Conv(3), (1, 6)),
    (Conv(3, groups=2, bias=True), (2, 3, 3)),
    (LocallyConnected(3), (1, 4)),
    (Residual(Conv(3)), (1, 5)),
]
MIXED = [*PLAIN, (CircularConv(), (3, 4)), (CircularConv(), (1, 2, 3))]


def whole_data(layer, shape, seed, count=2):
    """Training and test examples of small whole numbers, with a combination of the former among the latter, and targets."""
    rng = np.random.default_rng(seed)
    train, test = rng.integers(-2, 3, (count, *shape)).astype(float), rng.integers(-2, 3, (3, *shape)).astype(float)
    if seed % 2:  # blank but for the first pixel: a convolution too is left with free dimensions
        train *= np.eye(1, math.prod(shape[1:]) if shape[1:] else shape[0]).reshape(shape[1:] or shape)
    test[0] = 2 * train[0] - train[-1]
    channels = shape[0] if layer.skips else 2 * layer.channel_groups()
    targets = rng.standard_normal((count, *layer.output_shape(shape, channels)))
    return train, test, targets


def found_for(layer, shape, seed, optimizer=None):
    train, test, targets = whole_data(layer, shape, seed)
    setting = Setting(layer, optimizer or GradientFlow(), Given(), start=Gaussian(1.0))
    return determinacy(setting, train, test, targets, seed=seed)


def rounding(found, budget=1.0):
    """A pseudo-inverse of condition at most 1e5 here (see ``margin``), of data of size at most 10: 1e5 units of 100·budget."""
    return 1e7 * 2 * UNITS["float64"] * max(budget, 1.0) * max(1.0, float(np.abs(found.minimum_norm).max()))


def prediction(found, start):
    """The limit from another start, in torch's layout, one (N, *output shape)."""
    weight, bias = start
    blocks = found.predictor.problem.to_blocks(
        np.asarray(weight)[None], None if bias is None else np.asarray(bias)[None]
    )
    return found.predictor.from_start(blocks[0]).predict(found.test, math.inf)[0]


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


@given(seeds)
def test_a_small_difference_of_large_examples_is_never_said_to_be_free(seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(10**7, 10**8, 6)
    rows = np.array([first, first + rng.integers(-3, 4, 6), first + rng.integers(-3, 4, 6)]).astype(float)
    found = determinacy(
        Setting(Linear(), GradientFlow()), rows, [rows[1] - rows[0], rows[2] - rows[1], rows[2] - rows[0]]
    )
    assert (found.status != "free").all()  # whole numbers: the differences are exact, and in the span


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


# What the regimes of training pick


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


def test_a_direction_that_is_the_rounding_of_large_features_is_no_free_dimension():
    rng = np.random.default_rng(0)
    a, u = rng.standard_normal(3), rng.standard_normal(3)
    test = [[np.concatenate([1e6 * a + 1e-4 * u, -3e6 * a + 2e-4 * u])]]
    layer = Conv(3, stride=3, padding=0)  # two patches that do not overlap
    found = determinacy(replace(FLOW, layer=layer), [[np.tile(a, 2)]], test, np.ones((1, 1, 2)))
    assert found.columns[0, 0].tolist() == ["free", "free"]
    assert found.free_dimensions.tolist() == [1]  # both are free along what is left of u
