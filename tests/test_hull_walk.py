"""The exact walk to the nearest point of a hull, against a simplex method in integers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from closedflow import distance
from numerics import hull_walk
from numerics.hull_flat import chart, seen
from numerics.hull_whole import WholeHull
from numerics.modular import LARGEST
from numerics.whole_numbers import PRIMES
from tests.exact_hulls import follows
from tests.simplex import feasible, is_inside


def test_a_large_question_on_the_boundary_stays_open(monkeypatch):
    monkeypatch.setattr(hull_walk, "EFFORT", 3)
    line = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    found = distance([0.5, 0.5, 0.5], line, exact=True)
    assert found.status == "undecided"
    assert "integers" in found.reason
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
