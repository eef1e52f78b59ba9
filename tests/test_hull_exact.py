"""Exact decisions: against enumeration in integers, and every certificate checked again by a program of a few lines."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedflow import SettingError, distance
from numerics import hull_exact, hull_walk
from tests.exact_hulls import follows

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


def test_a_large_question_inside_stays_open(monkeypatch):
    monkeypatch.setattr(hull_exact, "EFFORT", 3)
    monkeypatch.setattr(hull_walk, "EFFORT", 3)
    triangle = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
    assert distance([1.0, 1.0], triangle).status == "inside"
    found = distance([1.0, 1.0], triangle, exact=True)
    assert found.status == "undecided"
    assert found.verify()


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
