"""Laws of the prover on random statements: nothing true is refuted, nothing false is proved."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from theory.operators import Budget, Equation, Expression, Identity, Letter, Pinv, Symbol, prove
from theory.operators.draws import draw_matrix
from theory.operators.evaluate import Evaluation
from theory.operators.exact import ExactMatrix, identity, pinv
from theory.operators.parser import Names, parse_equation
from theory.operators.words import Factor, Polynomial, transpose

SHAPES = {"A": ("d", "d"), "B": ("d", "d"), "S": ("d", "d")}
SMALL = Budget(models=20, more_models=20, overlaps=150, seconds=5.0)

# A proof takes a while: the deadline is the test run's, not the example's.
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def squares(depth: int = 3) -> st.SearchStrategy[Expression]:
    """Square matrices over A, B, S, their pseudo-inverses and a scalar c."""
    leaves = st.sampled_from([Letter("A"), Letter("B"), Letter("S"), Identity(), Pinv(Letter("A"))])
    numbers = st.sampled_from([Fraction(-1), Fraction(1, 2), Fraction(2)])

    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        return st.one_of(
            st.builds(lambda a, b: a + b, inner, inner),
            st.builds(lambda a, b: a @ b, inner, inner),
            st.builds(lambda a: a.T, inner),
            st.builds(lambda number, a: number * a, numbers, inner),
            st.builds(lambda a: Symbol("c") * a, inner),
        )

    return st.recursive(leaves, grow, max_leaves=depth)


def axioms() -> st.SearchStrategy[tuple[Expression, Expression]]:
    """Pairs of equal matrices."""
    a, p, s = Letter("A"), Pinv(Letter("A")), Letter("S")
    pairs = [(a @ p @ a, a), (p @ a @ p, p), ((a @ p).T, a @ p), ((p @ a).T, p @ a), (s.T, s)]
    return st.sampled_from(pairs)


@quick
@given(axioms(), axioms(), squares(), squares(), squares())
def test_a_consequence_of_axioms_is_never_refuted(
    first: tuple[Expression, Expression],
    second: tuple[Expression, Expression],
    left: Expression,
    middle: Expression,
    right: Expression,
) -> None:
    claim = Equation(
        left @ first[0] @ right + second[0] @ middle + left.T, left @ first[1] @ right + second[1] @ middle + left.T
    )
    proof = prove(claim, SHAPES, assume=["S.T == S"], scalars=["c"], budget=SMALL)
    assert proof.verdict in {"proved", "undecided"}


@quick
@given(squares(5), st.integers(0, 1000))
def test_what_is_proved_holds_in_exact_arithmetic(expression: Expression, seed: int) -> None:
    claim = Equation(expression @ Letter("A"), Letter("A") @ expression)
    proof = prove(claim, SHAPES, scalars=["c"], budget=SMALL)
    random = Random(seed)
    values = {name: draw_matrix(random, 2, 2) for name in SHAPES}
    evaluation = Evaluation({**values, "c": Fraction(3, 2)}, identity, pinv, {}, {}, lambda number: number)
    left, right = evaluation.value(claim.left), evaluation.value(claim.right)
    if proof.verdict == "proved":
        assert left == right
    if proof.verdict == "refuted":
        assert proof.counterexample is not None
        assert proof.counterexample.left != proof.counterexample.right
    if left != right:
        assert proof.verdict != "proved"


@quick
@given(squares(6))
def test_printed_text_reads_back_as_the_same_matrix(expression: Expression) -> None:
    names = Names(frozenset(SHAPES), scalars=frozenset({"c"}))
    again = parse_equation(f"{expression} == A", names).left
    random = Random(0)
    values = {name: draw_matrix(random, 2, 2) for name in SHAPES}
    evaluation = Evaluation({**values, "c": Fraction(3, 2)}, identity, pinv, {}, {}, lambda number: number)
    first, second = evaluation.value(expression), evaluation.value(again)
    assert first == second
    assert str(again) == str(expression)


def polynomials() -> st.SearchStrategy[Polynomial]:
    factors = st.builds(Factor, st.sampled_from("AB"), st.booleans())
    words = st.lists(factors, max_size=3).map(tuple)
    numbers = st.fractions(-3, 3, max_denominator=3).filter(bool)
    return st.dictionaries(words, numbers, max_size=4).map(lambda terms: Polynomial(("d", "d"), terms))


@quick
@given(polynomials(), polynomials(), polynomials())
def test_polynomials_form_a_ring_with_transposition(a: Polynomial, b: Polynomial, c: Polynomial) -> None:
    assert (a @ b) @ c == a @ (b @ c)
    assert a @ (b + c) == a @ b + a @ c
    assert (a @ b).T == b.T @ a.T
    assert a.T.T == a
    assert (a - a).terms == {}


@quick
@given(polynomials(), polynomials(), st.integers(0, 100))
def test_polynomials_multiply_as_matrices_do(a: Polynomial, b: Polynomial, seed: int) -> None:
    random = Random(seed)
    values = {name: draw_matrix(random, 2, 2) for name in "AB"}

    def value(polynomial: Polynomial) -> ExactMatrix:
        total = 0 * identity(2)
        for word, coefficient in polynomial.terms.items():
            product = identity(2)
            for factor in word:
                product = product @ (values[factor.name].swapaxes(-1, -2) if factor.transposed else values[factor.name])
            total = total + coefficient * product
        return total

    assert value(a @ b) == value(a) @ value(b)
    assert value(a.T) == value(a).swapaxes(-1, -2)


def test_transposing_a_word_reverses_it() -> None:
    word = (Factor("A"), Factor("B", True))
    assert transpose(word) == (Factor("B"), Factor("A", True))
