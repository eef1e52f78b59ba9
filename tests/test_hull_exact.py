"""Exact decisions: against enumeration in integers, and every certificate checked again by a program of a few lines."""

import itertools
import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from closedflow import SettingError, distance
from numerics import hull_exact, hull_walk
from numerics.hull_flat import chart, seen
from numerics.hull_whole import WholeHull
from numerics.modular import LARGEST
from numerics.whole_numbers import PRIMES, effort, exponent_of, gram, products, solve, whole
from tests.simplex import feasible, is_inside

KINDS = ("span", "affine", "convex")


def cross(a: tuple, b: tuple, c: tuple) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def in_a_triangle(query: tuple, points: list[tuple]) -> bool:
    """Membership in the plane by Carathéodory's theorem: in a point, a segment or a triangle of points."""
    if query in points:
        return True
    for a, b in itertools.combinations(points, 2):
        between = all(min(a[i], b[i]) <= query[i] <= max(a[i], b[i]) for i in (0, 1))
        if cross(a, b, query) == 0 and between:
            return True
    for a, b, c in itertools.combinations(points, 3):
        sides = [cross(a, b, query), cross(b, c, query), cross(c, a, query)]
        if cross(a, b, c) != 0 and (min(sides) >= 0 or max(sides) <= 0):
            return True
    return False


def fractions(row: np.ndarray) -> list[Fraction]:
    return [Fraction(value) for value in row.tolist()]


def follows(found, query: np.ndarray, points: np.ndarray, kind: str) -> bool:
    """The certificate of an exact answer for one query, in nothing but fractions and loops."""
    rows, wanted = [fractions(row) for row in points], fractions(query)
    if found.status == "inside":
        weights = found.weights.tolist()
        reached = [
            sum((a * row[j] for a, row in zip(weights, rows, strict=True)), Fraction(0)) for j in range(len(wanted))
        ]
        fine = reached == wanted and (kind == "span" or sum(weights) == 1)
        return fine and (kind != "convex" or min(weights) >= 0)
    normal = [int(value) for value in found.normal]
    heights = [sum(w * x for w, x in zip(normal, row, strict=True)) for row in rows]
    height = sum(w * x for w, x in zip(normal, wanted, strict=True))
    if kind == "convex":
        return found.status == "outside" and height > max(heights)
    level = heights[0] if kind == "affine" else 0
    return found.status == "outside" and set(heights) == {level} != {height}


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_membership_in_the_plane_is_that_of_triangles(points, query):
    found = distance(list(query), points, exact=True)
    assert (found.status == "inside") == in_a_triangle(query, points)
    assert found.verify()
    assert follows(found, np.array(query), np.array(points), "convex")


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**32), st.booleans())
def test_every_exact_certificate_follows(kind, count, width, seed, floats):
    rng = np.random.default_rng(seed)
    points, query = rng.integers(-2, 3, (count, width)), rng.integers(-2, 3, width)
    if floats:
        points, query = points * 0.1, query * 0.1  # not what they look like: 3·0.1 ≠ 0.3
    found = distance(query, points, kind, exact=True)
    assert found.status in ("outside", "inside")
    assert found.verify()
    assert follows(found, query, points, kind)


@pytest.mark.parametrize("kind", ["span", "affine"])
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
def test_flat_membership_is_a_question_of_rank(kind, count, width, seed):
    rng = np.random.default_rng(seed)
    points, query = rng.integers(-2, 3, (count, width)), rng.integers(-2, 3, width)
    base = points[0] if kind == "affine" else 0 * query
    rank = np.linalg.matrix_rank(points - base)
    inside = np.linalg.matrix_rank(np.vstack((points - base, query - base))) == rank
    assert (distance(query, points, kind, exact=True).status == "inside") == inside


def test_what_float64_leaves_open_is_decided():
    line = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    on, off = np.full(3, 0.5), np.array([0.5, 0.5, np.nextafter(0.5, 1)])
    assert list(distance([on, off], line).status) == ["undecided"] * 2
    found = distance([on, off], line, exact=True)
    assert list(found.status) == ["inside", "outside"]
    true = (off[2] - 0.5) * np.sqrt(2 / 3)  # from the diagonal
    assert 0 < found.lower[1] <= true <= found.upper[1]


@pytest.mark.parametrize("steps", [1, 10, 10**3, 10**6])
def test_last_digits_on_a_facet_are_seen(steps):
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    ulp = np.spacing(0.5)
    queries = np.array([[0.5, 0.5], [0.5 - steps * ulp, 0.5], [0.5 + steps * ulp, 0.5]])
    assert list(distance(queries, points, exact=True).status) == ["inside", "inside", "outside"]


def test_pixels_are_decided_in_high_dimension():
    rng = np.random.default_rng(0)
    points = rng.integers(0, 256, (400, 40), dtype=np.uint8)
    queries = np.vstack((rng.integers(0, 256, (2, 40)), np.rint(points[:300].mean(axis=0))))
    found = distance(queries, points, exact=True)
    assert list(found.status) == ["outside", "outside", "inside"]
    assert found.verify()
    for number, query in enumerate(queries):
        assert follows(distance(query, points, exact=True), query, points, "convex"), number


def test_a_large_question_on_the_boundary_stays_open(monkeypatch):
    monkeypatch.setattr(hull_walk, "EFFORT", 3)
    line = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    found = distance([0.5, 0.5, 0.5], line, exact=True)
    assert found.status == "undecided"
    assert "integers" in found.reason
    assert found.verify()


def test_a_large_question_inside_stays_open(monkeypatch):
    monkeypatch.setattr(hull_exact, "EFFORT", 3)
    monkeypatch.setattr(hull_walk, "EFFORT", 3)
    triangle = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
    assert distance([1.0, 1.0], triangle).status == "inside"
    found = distance([1.0, 1.0], triangle, exact=True)
    assert found.status == "undecided"
    assert found.verify()


@st.composite
def near_questions(draw):
    """Points and a query in a hull of few of them, or off it by rounding: whole numbers, decimals, floats, flat, badly scaled."""
    width, count = draw(st.integers(1, 7)), draw(st.integers(1, 18))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["whole", "decimal", "float", "flat", "scaled"]))
    if kind in ("whole", "decimal"):
        unit = 1 if kind == "whole" else 0.1
        return rng.integers(-2, 3, (count, width)) * unit, rng.integers(-2, 3, width) * unit
    rank = draw(st.integers(1, width)) if kind == "flat" else width
    points = rng.standard_normal((count, rank)) @ (
        rng.standard_normal((rank, width)) if kind == "flat" else np.eye(width)
    )
    points = points * 10.0 ** rng.integers(-8, 9, width) if kind == "scaled" else points
    weights = np.zeros(count)
    weights[rng.integers(count, size=draw(st.integers(1, 4)))] = rng.random()
    return points, weights / weights.sum() @ points


@settings(max_examples=300)
@given(near_questions())
def test_every_question_near_the_boundary_is_decided_as_the_simplex_method_does(question):
    points, query = question
    found = distance(query, points, exact=True)
    assert found.status == ("inside" if is_inside(query, points) else "outside")
    assert found.verify()
    assert follows(found, query, points, "convex")


@pytest.mark.parametrize(("count", "width", "rank"), [(500, 60, 30), (300, 40, 40), (1000, 30, 3)])
def test_questions_on_faces_and_in_flat_sets_are_decided_in_high_dimension(count, width, rank):
    """The middle of points that are flat but for rounding, of two points, and of them moved in and out by a rounding."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((count, rank)) @ (
        rng.standard_normal((rank, width)) if rank < width else np.eye(width)
    )
    edge = (points[0] + points[1]) / 2
    for query in (points.mean(axis=0), edge, edge * (1 - 1e-15), edge * (1 + 1e-15)):
        found = distance(query, points, exact=True)
        assert found.status in ("inside", "outside")
        assert found.verify()
        assert follows(found, query, points, "convex")


def steps_of(monkeypatch, query, points) -> int:
    """How many exact systems the walk to the answer solves."""
    counted, foot = [], hull_walk._Walker.foot
    with monkeypatch.context() as patch:
        patch.setattr(hull_walk._Walker, "foot", lambda self, chosen: counted.append(1) or foot(self, chosen))
        assert distance(query, points, exact=True).status in ("inside", "outside")
    return len(counted)


def test_a_walk_is_short(monkeypatch):
    """Float64 suggests all points that join at once: two systems here, where one point at a time would need 38 and more."""
    rng = np.random.default_rng(0)
    full = rng.standard_normal((300, 40))
    flat = rng.standard_normal((500, 30)) @ rng.standard_normal((30, 60))
    assert steps_of(monkeypatch, (full[0] + full[1]) / 2 * (1 - 1e-15), full) <= 4
    assert steps_of(monkeypatch, flat.mean(axis=0), flat) <= 4


def test_joining_points_stay_when_the_way_back_has_no_length():
    third = Fraction(1, 3)
    held = {0: Fraction(1, 2), 1: Fraction(1, 2), 2: Fraction(0), 3: Fraction(0), 4: Fraction(0)}
    found = hull_walk.back(held, {0: third, 1: third, 2: Fraction(-1), 3: 2 * third, 4: 2 * third})
    assert found == {0: Fraction(1, 2), 1: Fraction(1, 2), 3: 0, 4: 0}


@pytest.mark.parametrize("prime", [*hull_walk.PRIMES, *PRIMES])
def test_numbers_that_a_prime_divides_are_decided(prime):
    """Modulo that prime all points are 0."""
    line = prime * np.array([[0, 0], [2, 2], [4, 4]])
    found = distance(prime * np.array([1, 1]), line, exact=True)
    assert found.status == "inside"
    assert follows(found, prime * np.array([1, 1]), line, "convex")
    beside = prime * np.array([1, 1]) + [0, 1]
    for kind in ("affine", "span"):
        found = distance(beside, line, kind, exact=True)
        assert found.status == "outside"
        assert follows(found, beside, line, kind)


def test_what_only_seems_to_be_in_a_line_modulo_a_prime_is_outside():
    query = np.array([1, 1 + LARGEST])
    found = distance(query, np.array([[0, 0], [2, 2]]), "affine", exact=True)
    assert found.status == "outside"
    assert follows(found, query, np.array([[0, 0], [2, 2]]), "affine")


def test_a_direction_of_the_chart_separates_what_is_off_by_a_rounding():
    """Every point but the query has the tenth of its first feature, rounded, as its second."""
    points = np.column_stack((np.arange(1.0, 9.0), np.arange(1.0, 9.0) * 0.1))
    query = np.array([2.5, np.nextafter(0.25, 1)])
    hull = WholeHull(points, query, "convex")
    flat = chart(hull)
    assert flat is not None
    *_, direction = seen(flat)
    assert is_inside(query, points) == (not direction)
    above = WholeHull(points, np.array([2.5, 0.25 + 2**-50]), "convex")
    *_, direction = seen(chart(above))
    assert not is_inside(above.given, points)
    assert above.gap(direction) > 0


def test_the_middle_of_many_digits_is_inside():
    """As whole numbers: 40 pictures of 64 pixels times 40, and their sum; float64 leaves it open."""
    pictures = load_digits().data[:200].astype(np.int64)
    query = pictures[:40].sum(axis=0)
    found = distance(query, 40 * pictures, exact=True)
    assert found.status == "inside"
    assert follows(found, query, 40 * pictures, "convex")


def test_a_forged_exact_answer_is_found():
    inside = distance([1, 1], [[0, 0], [2, 0], [0, 2], [3, 3]], exact=True)
    outside = distance([5, 1], [[0, 0], [2, 0], [0, 2], [3, 3]], exact=True)
    assert inside.verify()
    assert outside.verify()
    weights = inside.found[0].rationals
    forged = [
        replace(inside, found=(replace(inside.found[0], rationals=tuple(2 * w for w in weights)),)),
        replace(
            inside, found=(replace(inside.found[0], rationals=(*weights[:-1], weights[-1] + Fraction(1, 10**30))),)
        ),
        replace(outside, found=(replace(outside.found[0], integers=(-1, 0)),)),
    ]
    for answer in forged:
        with pytest.raises(SettingError, match="exact certificate"):
            answer.verify()


def test_denominators_may_exceed_64_bits():
    rng = np.random.default_rng(0)
    for _ in range(20):
        line = rng.standard_normal((6, 1)) @ rng.standard_normal((1, 2)) + 1e-13 * rng.standard_normal((6, 2))
        found = distance((line[0] + line[-1]) / 2, line, exact=True)
        assert found.verify()
        assert follows(found, (line[0] + line[-1]) / 2, line, "convex")


def test_a_touching_direction_and_weights_of_another_sum_are_found():
    corner = distance([0, 0], [[0, 0], [2, 0], [0, 2]], exact=True)
    half = replace(corner.found[0], support=np.array([0]), weights=np.ones(1), rationals=(Fraction(1, 2),))
    touching = replace(corner.found[0], status="outside", upper=1.0, rationals=None, integers=(-1, 0))
    for forged in (half, touching):
        with pytest.raises(SettingError, match="exact certificate"):
            replace(corner, found=(forged,)).verify()


@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 2**32))
def test_simplex_gives_weights_or_a_reason_against_them(rows, columns, seed):
    rng = np.random.default_rng(seed)
    matrix, target = rng.integers(-3, 4, (rows, columns)), rng.integers(-3, 4, rows)
    weights, dual = feasible(matrix.astype(object), target.tolist())
    if weights is None:
        assert (np.array(dual) @ matrix <= 0).all()
        assert np.array(dual) @ target > 0
    else:
        assert min(weights.values(), default=0) >= 0
        reached = [sum((w * int(matrix[i, j]) for j, w in weights.items()), Fraction(0)) for i in range(rows)]
        assert reached == target.tolist()


@pytest.mark.parametrize(
    ("size", "largest"), [(1, 5), (3, 10), (12, 255), (30, 255), (60, 9), (110, 9), (4, 2**40), (60, 2**90)]
)
def test_lifted_solution_solves_the_system(size, largest):
    matrix, target = (
        np.array(
            [[random.Random(str((size, i, j))).randint(-largest, largest) for j in range(size)] for i in range(size)],
            dtype=object,
        ),
        [random.Random(i).randint(-largest, largest) for i in range(size)],
    )
    if largest < 2**60:
        matrix = matrix.astype(np.int64)
    found = solve(matrix, target)
    assert found is not None
    for row, value in zip(matrix.tolist(), target, strict=True):
        assert sum(a * x for a, x in zip(row, found, strict=True)) == value


def test_a_system_whose_first_pivots_are_zero_is_solved():
    """The identity with its rows in another order, larger than a panel of the elimination."""
    order = np.random.default_rng(0).permutation(120)
    found = solve(np.eye(120, dtype=np.int64)[order], list(range(120)))
    assert found == [Fraction(int(np.flatnonzero(order == place)[0])) for place in range(120)]


@pytest.mark.parametrize("size", [2, 70])
def test_singular_system_has_no_solution(size):
    matrix = np.random.default_rng(0).integers(-9, 10, (size, size))
    matrix[-1] = 2 * matrix[0]
    assert solve(matrix, [1] * size) is None


def test_effort_grows_with_size_and_digits():
    rng = np.random.default_rng(0)
    small, large = rng.integers(0, 9, (10, 10)), rng.integers(0, 9, (40, 40))
    assert effort(small, [1] * 10) < effort(large, [1] * 40) < effort(large * 2**40, [1] * 40)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 100), st.integers(0, 2**32))
def test_gram_matrices_do_not_overflow(count, width, bits, seed):
    draw = random.Random(seed)
    rows = np.array([[draw.randint(-(2**bits), 2**bits) for _ in range(width)] for _ in range(count)], dtype=object)
    assert gram(rows).tolist() == (rows @ rows.T).tolist()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_floats_are_integers_times_a_power_of_two(values):
    array = np.array(values)
    exponent = exponent_of(array)
    assert [int(v) * Fraction(2) ** exponent for v in whole(array, exponent)] == fractions(array)


def test_products_do_not_overflow():
    rows = np.array([[2**50, 2**50], [1, -1]])
    assert products(rows, [2**20, 2**20]) == [2**71, 0]
    assert products(rows, [3, 2**70]) == [3 * 2**50 + 2**120, 3 - 2**70]


@pytest.mark.parametrize("kind", ["convex", "affine", "span"])
def test_the_lower_bound_of_an_exact_answer_is_what_its_whole_normal_shows(kind):
    rng = np.random.default_rng(3)
    for seed in range(6):
        rank = 2 if kind != "convex" else 5
        points = (
            rng.standard_normal((12, rank)) @ rng.integers(-3, 4, (rank, 5))
            if kind == "convex"
            else (rng.integers(-9, 10, (12, rank)) @ rng.integers(-3, 4, (rank, 5)) * 0.25)
        )
        points = points + np.array([7.0, 0.0, -2.0, 0.0, 1.5]) * (kind == "affine")  # so that its span is larger
        query = 3 * rng.standard_normal(5)
        found, floating = distance(query, points, kind, exact=True), distance(query, points, kind)
        if found.status != "outside":
            continue
        normal = [int(value) for value in found.normal]
        heights = [
            sum(w * (Fraction(q) - Fraction(x)) for w, q, x in zip(normal, query, row, strict=True)) for row in points
        ]
        origin = sum(w * Fraction(q) for w, q in zip(normal, query, strict=True))
        height = min(heights) if kind == "convex" else abs(heights[0] if kind == "affine" else origin)
        shown = height**2 / sum(w * w for w in normal)
        assert 0 < Fraction(found.lower) ** 2 <= shown, seed
        assert found.lower >= floating.lower * (1 - 1e-8)
        assert found.verify()


def test_an_exact_distance_to_a_nearly_flat_set_is_that_of_its_true_rank():
    """float64 takes the points for a line, 1/2 away; they span the plane, and the query is 2^-30 above it."""
    points, query = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0**-60, 0.0]], [0.0, 0.5, 2.0**-30]
    found = distance(query, points, "affine", exact=True)
    assert found.status == "outside"
    assert 0.999 * 2.0**-30 < found.lower <= 2.0**-30 <= found.upper
    assert found.verify()
