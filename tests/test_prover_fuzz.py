"""Random statements: what the prover must prove, what it must not prove, and what it must read without crashing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.claim_oracle import TOLERANCE, disagreement
from tests.corpus_reader import Entry
from theory.errors import ClaimError
from theory.operators import Budget, check_certificate, prove
from theory.operators.axioms import Algebra
from theory.operators.statement import Source, read_statement
from theory.operators.traces import show_scalar

Data = dict[str, Any]

SMALL = Budget(models=20, more_models=40, overlaps=300, seconds=2.0)
OFF = 1e-3
"""A claim that is off by this much on random numbers is false; rounding leaves 1e-12."""

SQUARE = {name: ["d", "d"] for name in ("A", "B", "M", "P", "Q", "S")}
AXIOMS = {
    "A @ B == I": ("A @ B", "I"),
    "B @ A == I": ("B @ A", "I"),
    "P @ P == P": ("P @ P", "P"),
    "P.T == P": ("P.T", "P"),
    "Q.T @ Q == I": ("Q.T @ Q", "I"),
    "S.T == S": ("S.T", "S"),
    "P @ S == S": ("P @ S", "S"),
    "S @ S == S": ("S @ S", "S"),
}
MODEL = {
    "B": "pinv(A)",
    "Q": "orth(Q)",
    "P": "M @ pinv(M)",
    "S": "(M @ Q) @ pinv(M @ Q)",
}
"""Real matrices that satisfy every axiom at once, so that no choice of them is contradictory (M Q has the range of M)."""

letters = st.sampled_from([*SQUARE, *(f"{name}.T" for name in SQUARE)])
words = st.lists(letters, max_size=2).map(lambda names: " @ ".join(names) or "I")
coefficients = st.sampled_from(["1", "-1", "2", "1/3", "s", "(s + 1)", "-s/2"])
multiples = st.tuples(coefficients, words, st.sampled_from(sorted(AXIOMS)), words, st.booleans())


def _entry(claim: str, assume: list[str]) -> Entry:
    return Entry("fuzz", claim, "true", "", SQUARE, assume, ["s"], model=MODEL, full=["A", "Q"])


def _term(coefficient: str, left: str, axiom: str, right: str, transposed: bool) -> list[str]:
    """The two words of one multiple of an axiom, as summands."""
    turned = ".T" if transposed else ""
    sides = [f"({side}){turned}" for side in AXIOMS[axiom]]
    return [f"{coefficient} * {left} @ {sides[0]} @ {right}", f"-{coefficient} * {left} @ {sides[1]} @ {right}"]


def _off(entry: Entry, draws: int = 4) -> float:
    """How far a claim is off on random numbers."""
    return max(disagreement(entry, seed) for seed in range(draws))


@given(st.lists(multiples, min_size=1, max_size=3))
@example([("s", "I", "A @ B == I", "S", True), ("1", "Q", "P @ S == S", "I", False)])
def test_a_random_member_of_the_ideal_is_proved(parts: list[tuple[str, str, str, str, bool]]) -> None:
    claim = " + ".join(f"({summand})" for part in parts for summand in _term(*part)) + " == 0"
    assume = sorted({part[2] for part in parts})
    assert _off(_entry(claim, assume)) < TOLERANCE
    proof = prove(claim, SQUARE, assume, ["s"], budget=SMALL)
    assert proof.verdict == "proved", str(proof)
    assert proof.certificate is not None
    assert check_certificate(proof.certificate)


_MUTATIONS: list[Callable[[str], str]] = [
    lambda text: text.replace("-", "", 1) if text.startswith("-") else f"-{text}",
    lambda text: f"2 * {text}",
    lambda text: text.replace(".T", "", 1),
    lambda text: text.replace("S", "A", 1),
    lambda text: text.replace("Q", "P", 1),
    lambda text: f"{text} @ A",
    lambda text: f"0 * {text}",
]


@given(st.lists(multiples, min_size=1, max_size=3), st.integers(0, 5), st.sampled_from(_MUTATIONS))
def test_a_random_mutant_that_numbers_refute_is_not_proved(
    parts: list[tuple[str, str, str, str, bool]], place: int, mutation: Callable[[str], str]
) -> None:
    summands = [summand for part in parts for summand in _term(*part)]
    summands[place % len(summands)] = mutation(summands[place % len(summands)])
    claim = " + ".join(f"({summand})" for summand in summands) + " == 0"
    assume = sorted({part[2] for part in parts})
    proof = prove(claim, SQUARE, assume, ["s"], budget=SMALL)
    off = _off(_entry(claim, assume))
    if off > OFF:
        assert proof.verdict != "proved", str(proof)


leaves = st.sampled_from(
    ["A", "S", "(I + 0 * A)", "E", "integral(E)", "X @ X.T", "X @ pinv(X)", "pinv(A)", "start(E)", "t * A"]
)


def _deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(lambda pair: f"({pair[0]}) @ ({pair[1]})"),
        two.map(lambda pair: f"({pair[0]}) + c * ({pair[1]})"),
        two.map(lambda pair: f"({pair[0]}) - ({pair[1]}) / 2"),
        inner.map(lambda text: f"({text}).T"),
        inner.map(lambda text: f"d({text})"),
    )


expressions = st.recursive(leaves, _deeper, max_leaves=4)
RANDOM: Data = {
    "shapes": {"A": ["d", "d"], "S": ["d", "d"], "X": ["d", "n"]},
    "scalars": ["c"],
    "flow": {"E": "S + X @ X.T"},
}


def _random_entry(claim: str) -> Entry:
    sizes = {"d": [1, 2, 3], "n": [1, 2]}
    return Entry("fuzz", claim, "true", "", RANDOM["shapes"], [], ["c"], flow=RANDOM["flow"], sizes=sizes)


@given(expressions, expressions)
@example("E @ E", "E")
@example("d(E)", "(-1 * S) @ E")
def test_a_random_claim_is_never_answered_wrongly(left: str, right: str) -> None:
    claim = f"{left} == {right}"
    proof = prove(claim, **RANDOM, budget=SMALL)
    off = _off(_random_entry(claim), draws=8)
    assert proof.verdict != "proved" or off < TOLERANCE, str(proof)
    assert proof.verdict != "refuted" or off > TOLERANCE, str(proof)


LAWS = [
    "(({a}) @ ({b})).T == ({b}).T @ ({a}).T",
    "d(({a}) @ ({b})) == d({a}) @ ({b}) + ({a}) @ d({b})",
    "d(({a}) + t * ({b})) == d({a}) + ({b}) + t * d({b})",
    "start(({a}) @ ({b})) == start({a}) @ start({b})",
    "({a}) @ (({b}) + ({a})) == ({a}) @ ({b}) + ({a}) @ ({a})",
    "({a}) @ E @ ({b}) + ({a}) @ (S + X @ X.T) @ integral(E) @ ({b}) == ({a}) @ ({b})",
]


@given(expressions, expressions, st.sampled_from(LAWS))
def test_a_law_holds_for_random_expressions(a: str, b: str, law: str) -> None:
    claim = law.format(a=a, b=b)
    assert _off(_random_entry(claim)) < TOLERANCE
    assert prove(claim, **RANDOM, budget=SMALL).verdict == "proved"


PARTS = "X Y A E I 0 1 c t 0.5 1e9 𝐗 @ + - * / ** ( ) .T == == , if lambda # pinv( d( start( limit( integral( tr( expect( dim( var("
tokens = st.sampled_from(PARTS.split())


@given(st.lists(tokens, max_size=12).map(" ".join))
@example("A == A @ I")
def test_any_text_is_a_claim_or_a_clear_error(text: str) -> None:
    shapes = {"X": ("d", "n"), "Y": ("d", "n"), "A": ("d", "d")}
    try:
        proof = prove(text, shapes, scalars=["c"], flow={"E": "X @ X.T"}, budget=SMALL)
    except ClaimError:
        return
    assert proof.verdict in ("proved", "refuted", "undecided")


SIZES = ("d", "n", 1, 2)
TYPED = {f"L{i}{j}": (rows, columns) for i, rows in enumerate(SIZES) for j, columns in enumerate(SIZES)}
FLOWS = {"E": "L00 + L01 @ L01.T", "g": "L01.T @ L01", "h": "L02.T @ L02"}
FLOW_SIZES = {"E": "d", "g": "n", "h": 1}
RATES = ["d(L11) == -L11 @ L01.T @ L01 + t * L11"]


@st.composite
def matrices(draw: st.DrawFn, rows: str | int, columns: str | int, depth: int = 3) -> str:
    """A matrix of a given shape as text, with sizes that are names, 1 and 2."""
    letter = f"L{SIZES.index(rows)}{SIZES.index(columns)}"
    flows = [name for name, size in FLOW_SIZES.items() if (size, size) == (rows, columns)]
    if depth == 0:
        turned = f"L{SIZES.index(columns)}{SIZES.index(rows)}.T"
        return draw(st.sampled_from([letter, turned, *flows, *(f"integral({name})" for name in flows)]))
    inner = matrices(rows, columns, depth - 1)
    match draw(st.sampled_from(["product", "sum", "turned", "d", "start", "limit", "pinv", "multiple"])):
        case "product":
            middle = draw(st.sampled_from(SIZES))
            return f"({draw(matrices(rows, middle, depth - 1))}) @ ({draw(matrices(middle, columns, depth - 1))})"
        case "sum":
            factor = draw(st.sampled_from(["", "c * ", "t * ", "-2 / 3 * ", "t**2 / (c**2 + 1) * "]))
            return f"({draw(inner)}) - {factor}({draw(inner)})"
        case "turned":
            return f"({draw(matrices(columns, rows, depth - 1))}).T"
        case "pinv":
            return f"pinv({draw(matrices(columns, rows, 0))})"
        case "multiple" if rows == columns:
            return f"({draw(st.sampled_from(['I', 'pinv(2 * I)', 'c * I']))} + 0 * {letter})"
        case "d" | "start" | "limit" as function:
            return f"{function}({draw(inner)})"
    return draw(inner)


@st.composite
def functionals(draw: st.DrawFn, depth: int = 2) -> str:
    """A scalar made of traces, with means over a column."""
    size = draw(st.sampled_from(SIZES))
    trace = f"tr({draw(matrices(size, size, depth))})"
    if depth == 0:
        return trace
    match draw(st.sampled_from(["trace", "product", "sum", "d", "expect"])):
        case "product":
            return f"{trace} * {draw(functionals(depth - 1))}"
        case "sum":
            return (
                f"({trace} - {draw(st.sampled_from(['', 'c * ', 'dim(d) * ', 't * ']))}{draw(functionals(depth - 1))})"
            )
        case "d":
            return f"d({trace})"
        case "expect":
            return f"expect({draw(functionals(depth - 1))}, L03, c**2)"
    return trace


@given(st.one_of(functionals(), st.tuples(*[st.sampled_from(SIZES)] * 2).flatmap(lambda shape: matrices(*shape))))
@example("tr(L00 @ pinv(2 * I) @ L00 @ pinv(2 * I) + L02 @ pinv(2 * I) @ L02.T)")
@example("expect(tr(L03 @ L03.T @ L00) * tr(L03.T @ L03), L03, c**2)")
def test_the_normal_form_of_a_random_expression_has_its_value(text: str) -> None:
    """What the kernel compares is the normal form; here it is checked against numbers, without any proof."""
    try:
        algebra = Algebra(read_statement(Source(f"{text} == 0", TYPED, tuple(RATES), ("c > 0",), FLOWS)))
    except ClaimError:  # no limit, or a moving pseudo-inverse
        return
    normal = show_scalar(algebra.goal) if algebra.about_scalars else str(algebra.goal)
    sizes = {"d": [1, 2], "n": [1, 2]}
    entry = Entry("fuzz", f"{text} == {normal}", "true", "", TYPED, RATES, ["c > 0"], flow=FLOWS, sizes=sizes)
    assert _off(entry, draws=2) < TOLERANCE, normal
