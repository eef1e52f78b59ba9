"""The rules of `consequences` on numbers: where the premises hold the conclusions do, and where they fail so do these."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.linalg import block_diag, expm

from theory.operators.axioms import Algebra
from theory.operators.consequences import Consequence, read_consequence
from theory.operators.statement import Source, read_statement
from theory.operators.words import Polynomial

SQUARE = ("d", "d")
SIZE, TIME = 5, 0.7
ROUNDING = 1e-9  # matrices of size 5 and norm below 10 in float64, against entries of order one where an equation fails


def algebra(claim: str, flow: dict[str, str] | None = None) -> Algebra:
    return Algebra(read_statement(Source(claim, {"A": SQUARE, "B": SQUARE, "M": SQUARE}, (), (), flow)))


def size_of(polynomial: Polynomial, values: dict[str, np.ndarray]) -> float:
    total = np.zeros((SIZE, SIZE))
    for word, coefficient in polynomial.terms.items():
        product = np.eye(SIZE)
        for factor in word:
            product = product @ (values[factor.name].T if factor.transposed else values[factor.name])
        total = total + _number(coefficient) * product
    return float(np.abs(total).max())


def _number(coefficient) -> float:
    if hasattr(coefficient, "as_expr"):
        return float(coefficient.as_expr().subs("t", TIME))
    return float(coefficient)


def with_flows(values: dict[str, np.ndarray], **generators: np.ndarray) -> dict[str, np.ndarray]:
    flows = {name: expm(-TIME * g) for name, g in generators.items()}
    areas = {
        f"integral({name})": quad_vec(lambda s, g=g: expm(-s * g), 0, TIME, epsabs=1e-12)[0]
        for name, g in generators.items()
    }
    inverses = {
        "pinv(A)": np.linalg.pinv(values["A"], rcond=1e-10),
        "pinv(B)": np.linalg.pinv(values["B"], rcond=1e-10),
    }
    return {**values, **flows, **areas, **inverses}


def agree(consequence: Consequence, values: dict[str, np.ndarray]) -> tuple[bool, bool]:
    """Whether all premises hold, and whether all conclusions do."""
    premises = all(size_of(premise, values) < ROUNDING for premise in consequence.premises)
    return premises, all(size_of(axiom.polynomial, values) < ROUNDING for axiom in consequence.axioms)


def nilpotent(order: int) -> np.ndarray:
    """Nilpotent of exactly this order, in a basis of its own."""
    basis = np.random.default_rng(order).standard_normal((SIZE, SIZE))
    shift = block_diag(np.eye(order, k=1), np.zeros((SIZE - order, SIZE - order)))
    return basis @ shift @ np.linalg.inv(basis)


def rank_two(seed: int) -> np.ndarray:
    left, right = np.random.default_rng(seed).standard_normal((2, SIZE, 2))
    return left @ right.T


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_series_ends_exactly_where_the_power_vanishes(order, length):
    rule = read_consequence(algebra("E == t * A", {"E": "A"}), "series", ["E", "I", str(length)])
    a = nilpotent(order)
    holds = length >= order
    assert agree(rule, with_flows({"A": a, "B": a, "M": a}, E=a)) == (holds, holds)


@pytest.mark.parametrize("first", ["E", "E.T"])
@pytest.mark.parametrize("second", ["F", "F.T"])
def test_flows_intertwine_with_what_their_generators_intertwine_with(first, second):
    rule = read_consequence(algebra("E == F", {"E": "A", "F": "B"}), "intertwine", [first, second, "M"])
    rng = np.random.default_rng(7)
    h, m = rng.standard_normal((2, SIZE, SIZE))
    g = m @ h @ np.linalg.inv(m)
    a, b = g.T if first == "E.T" else g, h.T if second == "F.T" else h
    assert agree(rule, with_flows({"A": a, "B": b, "M": m}, E=a, F=b)) == (True, True)
    assert agree(rule, with_flows({"A": a.T, "B": b, "M": m}, E=a.T, F=b)) == (False, False)


def test_flows_agree_where_their_commuting_generators_do():
    rule = read_consequence(algebra("E == F", {"E": "A", "F": "B"}), "agree", ["E", "F", "M"])
    a = rank_two(4)
    b = a @ a @ a - 2 * a
    m = np.eye(SIZE) - np.linalg.pinv(a) @ a  # A M = B M = 0, and B is a function of A
    assert agree(rule, with_flows({"A": a, "B": b, "M": m}, E=a, F=b)) == (True, True)
    other = b + rank_two(6)
    assert agree(rule, with_flows({"A": a, "B": other, "M": m}, E=a, F=other)) == (False, False)


def test_flows_need_not_agree_where_generators_do_that_do_not_commute():
    """A M = B M for the M of the first direction, but not A² M = B² M."""
    rule = read_consequence(algebra("E == F", {"E": "A", "F": "B"}), "agree", ["E", "F", "M"])
    a, m = rank_two(4), np.diag([1.0, *[0.0] * (SIZE - 1)])
    b = a + np.outer(np.ones(SIZE), [0.0, *[1.0] * (SIZE - 1)])
    assert np.array_equal(a @ m, b @ m)
    assert agree(rule, with_flows({"A": a, "B": b, "M": m}, E=a, F=b)) == (False, False)


@pytest.mark.parametrize("total", ["G", "I"])
def test_exponents_add_up_where_generators_commute(total):
    text = {"E": "A", "F": "B", "G": "M"}
    rule = read_consequence(algebra("E @ F == G", text), "sum", ["E", "F", total])
    a = rank_two(1)
    b = a @ a - a if total == "G" else -a
    c = a + b
    assert agree(rule, with_flows({"A": a, "B": b, "M": c}, E=a, F=b, G=c)) == (True, True)
    other = b + 0.5 * rank_two(2)
    wrong = a + other
    assert agree(rule, with_flows({"A": a, "B": other, "M": wrong}, E=a, F=other, G=wrong)) == (False, False)
    if total == "G":
        assert agree(rule, with_flows({"A": a, "B": b, "M": 2 * c}, E=a, F=b, G=2 * c)) == (False, False)


def test_a_pseudo_inverse_passes_where_both_equations_hold():
    rule = read_consequence(algebra("pinv(A) == pinv(B)"), "pinv", ["pinv(A)", "pinv(B)", "M", "M"])
    root = rank_two(3)
    a = root + root.T
    m = a @ a @ a - 2 * a  # a function of a symmetric matrix
    assert agree(rule, with_flows({"A": a, "B": a, "M": m})) == (True, True)
    assert agree(rule, with_flows({"A": root, "B": root, "M": root @ root})) == (False, False)


def test_a_square_is_that_of_a_real_matrix():
    statement = algebra("A == B")
    for side in ("plain", "transposed"):
        rule = read_consequence(statement, "square", [side])
        a = rank_two(5)
        assert agree(rule, {"A": a, "B": a}) == (True, True)
        assert agree(rule, {"A": nilpotent(2), "B": 0 * a}) == (False, False)  # its plain square would be 0
