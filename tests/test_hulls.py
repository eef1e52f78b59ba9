"""Distances to hulls: against slow oracles, near the boundary, at every scale, and on every kind of degenerate or bad input."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from closedflow import SettingError, distance
from numerics import hull_search
from numerics.hull_certificate import inside
from numerics.hull_points import Cloud

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def clouds(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width))


def slow_distance(query: np.ndarray, points: np.ndarray) -> float:
    """The convex distance by a general solver of smooth programs."""
    count = len(points)
    found = minimize(
        lambda a: ((a @ points - query) ** 2).sum(),
        np.full(count, 1 / count),
        jac=lambda a: 2 * points @ (a @ points - query),
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1, "jac": lambda a: np.ones(count)},
        options={"ftol": 1e-15, "maxiter": 1000},
        method="SLSQP",
    )
    return float(np.sqrt(found.fun))


def member(query: np.ndarray, points: np.ndarray) -> bool:
    """Membership by linear programming."""
    system = np.vstack((points.T, np.ones(len(points))))
    return linprog(np.zeros(len(points)), A_eq=system, b_eq=np.append(query, 1), method="highs").status == 0


def separates(normal: np.ndarray, query: np.ndarray, points: np.ndarray) -> bool:
    """Whether a direction separates, in rationals: the exact value of every float."""

    def height(x: np.ndarray) -> Fraction:
        return sum((Fraction(float(v)) * Fraction(float(c)) for v, c in zip(normal, x, strict=True)), Fraction(0))

    return height(query) > max(height(point) for point in points)


@pytest.mark.parametrize(("count", "width"), [(3, 5), (6, 2), (12, 4), (20, 8)])
def test_convex_distance_is_that_of_a_general_solver(count, width):
    points, queries = clouds(count, width), clouds(6, width, 1) * 1.5
    found = distance(queries, points)
    for query, lower, upper in zip(queries, found.lower, found.upper, strict=True):
        slow = slow_distance(query, points)
        assert lower - 1e-6 <= slow <= upper + 1e-6  # SLSQP ends at about the root of its tolerance of 1e-15


@pytest.mark.parametrize("width", [2, 5, 10])
def test_verdicts_are_those_of_linear_programming(width):
    points, queries = clouds(40, width), clouds(40, width, 1) * 0.6
    names = distance(queries, points).status
    assert [name == "inside" for name in names] == [member(query, points) for query in queries]
    assert len(set(names)) == 2  # both kinds occur


@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (1e4, 1), (0, 1e-12), (0, 1e12), (0, 1e-200), (0, 1e200)])
@pytest.mark.parametrize("gap", [1e-1, 1e-3, 1e-5, 1e-7, 1e-9])
def test_near_the_boundary_the_verdict_is_right_and_the_distance_is_known(offset, scale, gap):
    points = (clouds(60, 4) + offset) * scale
    middle = points.mean(axis=0)
    far = distance(middle + 10 * scale * np.array([1.0, 2.0, -1.0, 0.5]), points)
    foot = middle + far.weights @ (points - middle)
    outside = distance(foot + gap * scale * far.normal, points)
    rounding = 64 * np.finfo(float).eps * (1 + offset) * scale  # of the query itself
    assert outside.status == "outside"
    assert outside.verify()
    assert abs(outside.upper - gap * scale) <= rounding
    assert abs(outside.lower - gap * scale) <= rounding
    inward = (middle - foot) / np.abs(middle - foot).max()
    inner = distance(foot + gap * scale * inward, points)
    assert inner.status in ("inside", "undecided")
    assert inner.verify()
    assert inner.status == "inside" or gap * 1e-3 < 1e-12 * (1 + offset)


def test_separating_direction_holds_in_rationals():
    points, queries = clouds(30, 3), clouds(10, 3, 2) * 30
    found = distance(queries, points)
    assert (found.status == "outside").all()
    assert all(separates(normal, query, points) for normal, query in zip(found.normal, queries, strict=True))
    assert not separates(-found.normal[0], queries[0], points)


def test_span_and_affine_distances_are_those_of_least_squares():
    points, queries = clouds(4, 9), clouds(5, 9, 1)
    for kind, base in (("span", 0 * points[0]), ("affine", points[0])):
        found = distance(queries, points, kind)
        directions = (points - base)[kind == "affine" :]
        for query, lower, upper in zip(queries - base, found.lower, found.upper, strict=True):
            slow = np.linalg.norm(query - directions.T @ np.linalg.lstsq(directions.T, query, rcond=None)[0])
            assert lower - 1e-13 <= slow <= upper + 1e-13
        assert found.verify()
        assert found.margin > 1e10


@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_affine_weights_lose_nothing_far_from_the_origin(offset):
    points = clouds(3, 6) + offset
    query = points.mean(axis=0) + np.eye(6)[0]
    found = distance(query, points, "affine")
    assert found.verify()
    assert abs(found.weights.sum() - 1) < 1e-12
    near = distance(query - offset, points - offset, "affine")
    assert abs(found.upper - near.upper) < 1e-14 * offset


def test_a_hull_is_in_its_affine_hull_and_that_in_the_span():
    points, queries = clouds(5, 9), clouds(8, 9, 1)
    span, affine, convex = (distance(queries, points, kind) for kind in ("span", "affine", "convex"))
    assert (span.lower <= affine.upper).all()
    assert (affine.lower <= convex.upper).all()


@pytest.mark.parametrize("kind", ["span", "affine", "convex"])
def test_combinations_are_never_outside(kind):
    points = clouds(5, 20)
    query = np.full(5, 0.2) @ points
    found = distance(query, points, kind)
    assert found.status == ("undecided" if kind == "convex" else "inside")
    assert found.upper < 1e-13
    assert found.verify()
    assert not found.reason or "exact=True" in found.reason


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32))
@example(1, 3, 0)
def test_whole_numbers_never_get_a_wrong_verdict(count, width, seed):
    rng = np.random.default_rng(seed)
    points, query = rng.integers(0, 3, (count, width)), rng.integers(0, 3, width)
    found = distance(query, points)
    assert found.verify()
    assert found.status == "undecided" or (found.status == "inside") == member(query, points)


@pytest.mark.parametrize(
    ("points", "query", "allowed"),
    [
        ([[1.0, 2.0]], [1.0, 2.0], {"inside"}),
        ([[1.0, 2.0]], [1.0, 3.0], {"outside"}),
        ([[0.0, 0.0]], [0.0, 0.0], {"inside"}),
        ([[1.0, 2.0]] * 5, [1.0, 2.0], {"inside"}),
        ([[1.0, 2.0]] * 5, [1.0, 2.0 + 1e-9], {"outside"}),
        ([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], [0.5, 0.5], {"inside", "undecided"}),
        ([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], [2.0, 2.0], {"inside"}),
        ([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], [0.5, 0.6], {"outside"}),
        ([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], [3.0, 3.0], {"outside"}),
        (SQUARE, [0.5, 0.5], {"inside"}),
        (SQUARE, [1.0, 1.0], {"inside"}),
        (SQUARE, [1.0, 0.5], {"inside", "undecided"}),
        (np.repeat(SQUARE, 50, axis=0), [0.25, 0.5], {"inside"}),
        (np.repeat(SQUARE, 50, axis=0), [1.5, 0.5], {"outside"}),
        (np.vstack((np.eye(6), -np.eye(6))), np.zeros(6), {"inside"}),
        (SQUARE, [1e200, 0.0], {"outside"}),
        (SQUARE.astype(np.uint8), [0.5, 2.0], {"outside"}),
        (SQUARE.astype(np.float16), [0.5, 0.5], {"inside"}),
        (SQUARE > 0, [0.5, 0.5], {"inside"}),
    ],
)
def test_degenerate_points_get_a_right_answer(points, query, allowed):
    found = distance(query, points)
    assert found.status in allowed
    assert found.verify()


@pytest.mark.parametrize(
    ("queries", "points", "says"),
    [
        ([1.0], SQUARE, "2 features like the points"),
        ([[1.0, np.nan]], SQUARE, "row 0 holds nan"),
        ([1.0, 1.0], [[1.0, 1.0], [np.inf, 0.0]], "row 1 holds inf"),
        ([1.0, 1.0], np.zeros((0, 2)), "at least one"),
        (np.zeros((0, 2)), SQUARE, "at least one"),
        ([1.0, 1.0], [1.0, 1.0], "must have shape"),
        (1.0, SQUARE, "must have shape"),
        ([1.0, 1.0], [[1.0, 1j]], "real numbers"),
        ([1.0, 1.0], [["a", "b"]], "real numbers"),
        ([1.0, 1.0], [[1.0], [1.0, 2.0]], "one length"),
        ([1.0, 1.0], np.array([[2**60, 1]]), "at most 2\\^53"),
    ],
)
def test_bad_arrays_are_refused(queries, points, says):
    with pytest.raises(SettingError, match=says):
        distance(queries, points)


def test_an_unknown_kind_or_device_is_refused():
    with pytest.raises(SettingError, match="kind"):
        distance([1.0, 1.0], SQUARE, "conic")
    with pytest.raises(SettingError, match="device"):
        distance([1.0, 1.0], SQUARE, device="abacus")


def test_one_query_has_the_fields_of_one_and_a_batch_of_many():
    one, many = distance([2.0, 0.5], SQUARE), distance([[2.0, 0.5], [0.5, 0.25]], SQUARE)
    assert one.weights.shape == (4,)
    assert one.normal.shape == (2,)
    assert one.status == "outside"
    assert many.weights.shape == (2, 4)
    assert many.normal.shape == (2, 2)
    assert list(many.status) == ["outside", "inside"]
    assert one.lower == many.lower[0]
    assert str(many) == "convex: 1 outside, 1 inside, 0 undecided; distances 1 to 1"
    assert np.allclose(many.weights @ SQUARE, [[1.0, 0.5], [0.5, 0.25]])


def test_a_query_gets_the_same_verdict_alone_and_among_others():
    points, queries = clouds(300, 12), clouds(20, 12, 1)
    whole = distance(queries, points)
    alone = [distance(query, points) for query in queries]
    assert list(whole.status) == [found.status for found in alone]
    assert np.allclose(whole.upper, [found.upper for found in alone], rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_torch_forms_the_same_verdicts(device, dtype):
    points, queries = clouds(500, 20).astype(dtype), (clouds(30, 20, 1) * 0.7).astype(dtype)
    ours, theirs = distance(queries, points), distance(queries, points, device=device)
    assert list(ours.status) == list(theirs.status)
    assert theirs.verify()
    assert np.allclose(ours.upper, theirs.upper, rtol=1e-9)


def test_torch_tensors_are_read():
    torch = pytest.importorskip("torch")
    assert distance(torch.tensor([2.0, 0.5]), torch.tensor(SQUARE)).status == "outside"
    assert distance(torch.tensor([2.0, 0.5]), torch.tensor(SQUARE, dtype=torch.bfloat16)).status == "outside"


def test_rough_prices_do_not_make_rough_bounds():
    points = clouds(2000, 30).astype(np.float32)
    queries = clouds(20, 30, 1)
    narrow, wide = distance(queries, points), distance(queries, points.astype(np.float64))
    assert np.allclose(narrow.lower, wide.lower, rtol=1e-12)
    assert np.allclose(narrow.upper, wide.upper, rtol=1e-12)


def test_prices_are_off_by_no_more_than_they_say():
    for offset in (0.0, 1e5):
        points = (clouds(200, 50) + offset).astype(np.float32)
        query = np.full((1, 50), offset)
        direction = clouds(1, 50, 2)
        direction /= np.linalg.norm(direction)
        prices, by_point, by_query = Cloud(points).prices(direction, query)
        true = (points.astype(np.float64) - query) @ direction[0]
        off = np.abs(prices[0] - true)
        assert (off <= by_point + by_query[0]).all()
        assert off.max() > 0
        assert by_point.max() < 1e-2  # moved to the origin first: the offset does not enter


@pytest.mark.parametrize("depth", [1e-3, 1e-6, 1e-9])
def test_positive_weights_near_a_query_outside_prove_nothing(depth):
    triangle = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    weights = np.array([0.5, depth / 10, 0.5])
    assert not inside(weights, triangle - [-depth, 0.5])
    assert inside(np.array([0.5 - depth, depth, 0.5]), triangle - [depth, 0.5])


def test_search_that_may_not_go_on_is_undecided(monkeypatch):
    points = clouds(3000, 40)
    monkeypatch.setattr(hull_search.nearest, "__kwdefaults__", {"goal": 1e-10, "rounds": 1})
    found = distance(np.full(40, 0.2), points)
    assert found.status == "undecided"
    assert "rounds" in found.reason
    assert found.verify()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lower": 1.1, "upper": 1.2}, "direction"),
        ({"upper": 0.9, "lower": 0.1}, "away"),
        ({"normal": np.array([0.0, 1.0])}, "direction"),
        ({"weights": np.array([0.6, 0.6])}, "sum"),
        ({"weights": np.array([-0.5, 1.5])}, "a weight is"),
        ({"status": "inside", "lower": 0.0, "upper": 0.0}, "inside"),
    ],
)
def test_a_forged_answer_is_found(change, says):
    from dataclasses import replace

    found = distance([2.0, 0.5], SQUARE)
    assert len(found.found[0].weights) == 2
    with pytest.raises(SettingError, match=says):
        replace(found, found=(replace(found.found[0], **change),)).verify()


def test_a_forged_span_is_found():
    from dataclasses import replace

    points = clouds(3, 6)
    found = distance(clouds(1, 6, 1)[0], points, "span")
    for change in ({"weights": found.found[0].weights + 1}, {"normal": points[0]}, {"lower": 99.0, "upper": 99.0}):
        with pytest.raises(SettingError, match="query 0"):
            replace(found, found=(replace(found.found[0], **change),)).verify()


def test_real_digits_are_outside_the_hull_and_in_the_span(mnist):
    points, queries = mnist[:5000].astype(np.float32), mnist[5000:5020].astype(np.float32)
    found = distance(queries, points)
    assert (found.status == "outside").all()
    assert ((found.upper - found.lower) / found.upper).max() < 1e-6
    assert found.lower.min() > 0.8


def test_answers_print_in_one_line():
    points = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    found = distance([[3.0, 0.0], [0.25, 0.25], [2.0, 0.0]], points)
    assert repr(found) == "convex: 2 outside, 1 inside, 0 undecided; distances 1 to 2"
    assert repr(distance([0.25, 0.25], points)) == "convex: 0 outside, 1 inside, 0 undecided"
