"""Whole numbers without rounding: reading floats, products, Gram matrices, and systems by lifting."""

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.whole_numbers import effort, exponent_of, gram, products, solve, whole
from tests.exact_hulls import fractions


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
