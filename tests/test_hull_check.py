"""verify() finds every part of an answer that was changed; and data at the ends of float64 get answers that hold."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from closedflow import SettingError, distance
from numerics import whole_numbers
from numerics.hull_result import Distance
from numerics.whole_numbers import exponent_of, whole

SQUARE = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])  # its affine hull is a plane
OUTSIDE, INSIDE, EDGE = [2.0, 0.5, 3.0], [0.5, 0.25, 1.0], [0.1, 0.3, 1.0]
THIRD = Fraction(1, 3)


def forged(found: Distance, **change) -> Distance:
    return replace(found, found=(replace(found.found[0], **change),))


@pytest.mark.parametrize("kind", ["span", "affine", "convex"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("query", "change"),
    [
        (OUTSIDE, {"status": "inside"}),
        (OUTSIDE, {"status": "inside", "lower": 0.0}),
        (OUTSIDE, {"status": "undecided"}),
        (OUTSIDE, {"status": "Outside"}),
        (OUTSIDE, {"status": "inside", "lower": 0.0, "rationals": None, "integers": None, "normal": np.zeros(3)}),
        (OUTSIDE, {"lower": 5.0, "upper": 6.0}),
        (OUTSIDE, {"lower": 5.0, "upper": 6.0, "floor": 1e9}),
        (OUTSIDE, {"lower": 0.1, "upper": 0.2}),
        (OUTSIDE, {"lower": 0.1, "upper": 0.2, "floor": 1e9}),
        (OUTSIDE, {"lower": np.nan}),
        (OUTSIDE, {"weights": np.full(4, np.nan), "support": np.arange(4)}),
        (OUTSIDE, {"normal": np.full(3, np.nan)}),
        (OUTSIDE, {"normal": np.zeros(3), "integers": None}),
        (OUTSIDE, {"support": np.array([0, 0]), "weights": np.array([0.5, 0.5])}),
        (OUTSIDE, {"support": np.array([9]), "weights": np.array([1.0])}),
        (OUTSIDE, {"support": np.array([0.0]), "weights": np.array([1.0])}),
        (OUTSIDE, {"support": np.arange(3)}),
        (INSIDE, {"status": "outside"}),
        (INSIDE, {"status": "outside", "lower": 0.5, "upper": 0.7, "rationals": None}),
        (INSIDE, {"status": "outside", "lower": 0.5, "upper": 0.7, "normal": np.eye(3)[0], "rationals": None}),
        (INSIDE, {"lower": 0.5, "upper": 0.7}),
        (INSIDE, {"normal": np.eye(3)[0]}),
        (INSIDE, {"support": np.arange(4), "weights": np.full(4, 0.25)}),
        (INSIDE, {"support": np.arange(4), "weights": np.array([0.38, 0.37, 0.13, 0.12])}),  # near enough to prove it
        (INSIDE, {"support": np.arange(4), "weights": np.full(4, 0.25), "rationals": None}),
    ],
)
def test_a_changed_part_is_found(kind, exact, query, change):
    points = SQUARE[:2] if kind == "span" and query is OUTSIDE else SQUARE  # whose span is everything
    found = distance(query, points, kind, exact=exact)
    assert found.verify()
    with pytest.raises(SettingError, match="query 0"):
        forged(found, **change).verify()


@pytest.mark.parametrize(
    ("query", "change"),
    [
        (OUTSIDE, {"integers": (1, 0)}),
        (OUTSIDE, {"integers": (0, 0, 0)}),
        (OUTSIDE, {"integers": (-1, 0, 0)}),
        (OUTSIDE, {"integers": (1.0, 0.0, 0.0)}),
        (OUTSIDE, {"integers": None}),
        (INSIDE, {"rationals": (THIRD,)}),
        (INSIDE, {"rationals": ()}),
        (INSIDE, {"rationals": (0.5, 0.25, 0.25)}),
        (INSIDE, {"rationals": None}),
    ],
)
def test_a_changed_exact_certificate_is_found(query, change):
    found = distance(query, SQUARE, exact=True)
    with pytest.raises(SettingError, match="query 0"):
        forged(found, **change).verify()


def test_a_point_that_is_named_twice_is_found():
    """The weights of an array would hold only the second half."""
    found = distance(OUTSIDE, SQUARE)
    one = found.found[0]
    twice = {"support": np.append(one.support, one.support[0]), "weights": np.append(one.weights, one.weights[0] / 2)}
    twice["weights"][0] /= 2
    with pytest.raises(SettingError, match="different points"):
        forged(found, **twice).verify()


def test_an_open_answer_is_no_verdict():
    found = distance(EDGE, [[0.0, 0.0, 1.0], [0.2, 0.6, 1.0]])
    assert found.status == "undecided"
    for status in ("outside", "inside"):
        with pytest.raises(SettingError, match="query 0"):
            forged(found, status=status).verify()


def test_another_unit_or_number_of_answers_is_found():
    found = distance(OUTSIDE, SQUARE)
    for change in ({"exponent": 3}, {"found": ()}, {"found": found.found * 2}):
        with pytest.raises(SettingError, match="1 answers"):
            replace(found, **change).verify()


@pytest.mark.parametrize("kind", ["span", "affine", "convex"])
@pytest.mark.parametrize("exact", [False, True])
def test_bounds_of_subnormal_data_hold(kind, exact):
    """The smallest float times (3, 1) is √10 of them from 0, and that is none of the floats."""
    tiny = 5e-324
    found = distance([3 * tiny, tiny], [[0.0, 0.0]], kind, exact=exact)
    assert found.status == "outside"
    assert Fraction(found.lower) ** 2 <= 10 * Fraction(tiny) ** 2 <= Fraction(found.upper) ** 2
    assert found.verify()


def test_the_upper_bound_of_a_span_allows_for_underflow():
    """In units of the points the query is 0; it is 8e-302 off their line."""
    found = distance([6.5e-301, -8.4e-302], [[-4.5e149, -5.1e99]], "span", exact=True)
    assert found.status == "outside"
    assert found.upper > 8e-302
    assert found.verify()


@pytest.mark.parametrize("kind", ["span", "affine", "convex"])
def test_an_exact_answer_sees_the_smallest_float_beside_a_face(kind):
    found = distance([0.5, -5e-324], [[0.0, 0.0], [1.0, 0.0]], kind, exact=True)
    assert (found.status, found.lower) == ("outside", 5e-324)
    assert found.verify()


@pytest.mark.parametrize(
    ("query", "points"),
    [
        ([0.0, 0.0], [[1e300, 1e300], [1e-300, 1e-300]]),
        ([1e300, 3e-300], [[1e300, 2e-300], [1e300, -2e-300], [0.0, 0.0]]),
    ],
)
def test_what_underflows_beside_large_numbers_proves_nothing(query, points):
    assert distance(query, points).status == "undecided"
    found = distance(query, points, exact=True)
    assert found.status == "outside"
    assert found.verify()


@pytest.mark.parametrize("kind", ["span", "affine", "convex"])
def test_the_smallest_of_small_integers_has_its_size(kind):
    """-128 is its own absolute value in 8 bits."""
    found = distance(np.array([-128, 0], dtype=np.int8), np.array([[0.0, 0.0], [1e-200, 0.0]]), kind)
    assert found.status == ("outside" if kind == "convex" else "inside")
    assert found.verify()


@pytest.mark.parametrize("kind", ["span", "affine"])
def test_a_point_of_the_set_is_never_outside(kind):
    """float64 takes the points for a line, and the third one is 1 beside it."""
    points = np.array([[0.0, 0.0], [1e20, 0.0], [5e19, 1.0], [5e19, 0.0]])
    assert (distance(points, points, kind).status != "outside").all()
    assert (distance(points, points, kind, exact=True).status == "inside").all()


def test_weights_far_beyond_the_query_still_sum_to_one():
    points = [[9.4e-11, 1.1e150], [1.6e148, 4.7e-161]]
    found = distance([-3.0e298, 4.8e-301], points, "affine", exact=True)
    assert found.status == "outside"
    assert sum(found.weights) == 1
    assert found.verify()


@pytest.mark.parametrize("kind", ["span", "affine"])
def test_weights_beyond_the_floats_are_no_fault(kind):
    points = [[3e-11, 6e-11, -2.0], [-3e299, -8e149, -1.25], [-0.5, -1e-161, -3e-301], [-1.5, -5e-11, 2e-10]]
    found = distance([1e-310, -8e299, -1e300], points, kind, exact=True)
    assert found.status == "inside"
    assert found.verify()
    assert distance([-5.7e299], [[-1.3e-161], [4.5e-11], [-0.25]], kind).verify()
    assert distance([1.0], [[1e-310], [0.0]], kind).verify()


def test_tensors_that_are_no_arrays_are_refused():
    torch = pytest.importorskip("torch")
    square = torch.tensor(SQUARE)
    number = torch.tensor(1.0, requires_grad=True)
    for points in (square.to_sparse(), (square + 1j).conj(), square.to("meta"), [[number, number, number]]):
        with pytest.raises(SettingError, match="numpy can read"):
            distance(OUTSIDE, points)


def test_halves_of_whole_numbers_stay_whole_numbers_of_64_bits():
    few = whole(np.array([[3, 200]], dtype=np.uint8), -1)
    assert few.dtype == np.int64
    assert few.tolist() == [[6, 400]]
    many = whole(np.array([2**52, -(2**52)]), -12)
    assert many.tolist() == [2**64, -(2**64)]


def test_the_exponent_of_many_numbers_is_that_of_all_their_parts(monkeypatch):
    monkeypatch.setattr(whole_numbers, "PART", 2)
    assert exponent_of(np.array([[0.0, 0.0, 0.0], [0.0, 24.0, 12.0]])) == 2
    assert exponent_of(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.75])) == -2
