"""A claim is untrusted: whatever it holds, the answer comes soon, in one line, and within the stated budget."""

from __future__ import annotations

import contextlib
import time
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.errors import ClaimError
from theory.operators import Budget, check_certificate, prove
from theory.operators.budget import BudgetSpentError
from theory.operators.limits import TooLargeError
from theory.operators.models import ModelSearch, _with_sum
from theory.operators.parser import Names, parse_expression
from theory.operators.scalars import Number
from theory.operators.statement import Source, read_statement

SHAPES: dict[str, Any] = {"A": ("d", "d"), "B": ("d", "d"), "X": ("d", "n"), "x": ("d", 1)}
SMALL = Budget(models=10, more_models=10, overlaps=20, seconds=1.0)
NO_LIMIT = {"overlaps": 10**9, "terms": 10**9, "models": 10**9, "more_models": 10**9}

# Reading is bounded in work; this is far above what it takes, and far below what an unbounded expansion would.
PATIENCE = 5.0


def doubled(step: str, first: str, count: int) -> dict[str, str]:
    """Definitions each of which uses the one before it twice."""
    return {"D0": first} | {f"D{index}": step.replace("?", f"D{index - 1}") for index in range(1, count)}


LARGE: dict[str, tuple[str, dict[str, Any]]] = {
    "signs": ("-" * 5000 + "A == A", {}),
    "long": ("A == A " + " " * 30_000 + "+ A", {}),
    "long sum": ("+".join(["A"] * 5000) + " == A", {}),
    "transposes": ("A" + ".T" * 1000 + " == A", {}),
    "calls": ("pinv(" * 180 + "A" + ")" * 180 + " == A", {}),
    "derivatives": ("d(" * 100 + "E @ E @ E" + ")" * 100 + " == E", {"flow": "X"}),
    "derivatives of traces": ("d(" * 100 + "tr(E @ E) * tr(E)" + ")" * 100 + " == 0", {"flow": "X"}),
    "product": ("@".join(["A"] * 140) + " == A", {}),
    "product of sums": ("@".join(["(A + B)"] * 40) + " == A", {}),
    "trace of a product of sums": (f"tr({'@'.join(['(A + B)'] * 40)}) == 0", {}),
    "power": ("a**100 * A == A", {"scalars": ["a"]}),
    "power of a power": ("((2**64)**64)**64 * A == A", {}),
    "power of a trace": ("(tr(A) + tr(B) + tr(A @ B) + tr(A @ A))**60 == 0", {}),
    "number": ("9" * 200 + " * A == A", {}),
    "hexadecimal number": ("0x" + "f" * 15_000 + " * A == A", {}),
    "number with an exponent": ("1e4000 * A == A", {}),
    "small number": ("1e-3000 * A == A", {}),
    "doubled sums": ("D59 == A", {"where": doubled("? + ?", "A + A", 60)}),
    "doubled products": ("D59 == A", {"where": doubled("? @ ?", "A @ B", 60)}),
    "doubled scalars": ("D30 * A == A", {"where": doubled("? * ?", "a + b", 31), "scalars": ["a", "b"]}),
    "large coefficients": (
        "@".join(["((a + b + c + e + f) * A + 0 * A)"] * 90) + " == A",
        {"scalars": ["a", "b", "c", "e", "f"]},
    ),
    "quotients": (
        "+".join(f"A / (a{i} + b{i})" for i in range(40)) + " == A",
        {"scalars": [f"{letter}{i}" for i in range(40) for letter in "ab"]},
    ),
    "many scalars": ("A == A", {"scalars": [f"a{i}" for i in range(300)]}),
    "many hypotheses": ("A == A", {"assume": ["A == A"] * 300}),
    "many definitions": ("A == A", {"where": {f"D{i}": "A" for i in range(300)}}),
    "many letters": ("L0 == L0", {"shapes": {f"L{i}": ("d", "d") for i in range(300)}}),
}


@pytest.mark.parametrize(("claim", "options"), LARGE.values(), ids=LARGE)
def test_a_claim_that_is_too_large_is_refused_soon(claim: str, options: dict[str, Any]) -> None:
    begin = time.perf_counter()
    with pytest.raises(TooLargeError, match="must have at most") as caught:
        prove(claim, options.pop("shapes", SHAPES), budget=SMALL, **options)
    assert time.perf_counter() - begin < PATIENCE
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("claim", "shapes"),
    [
        ("(" * 150 + "A" + ")" * 150 + " == A", SHAPES),
        ("+".join(["A"] * 140) + " == 140 * A", SHAPES),
        ("A" + ".T" * 140 + " == A", SHAPES),
        ("pinv(P) @ P == I", {"P": (10**9, 10**9)}),
        (
            " + ".join(f"tr(L{i} @ L{i}.T)" for i in range(60)) + " == 0",
            {f"L{i}": (f"p{i}", f"q{i}") for i in range(60)},
        ),
    ],
)
def test_a_large_claim_inside_the_limits_is_answered(claim: str, shapes: dict[str, Any]) -> None:
    assert prove(claim, shapes, budget=SMALL).verdict in {"proved", "refuted", "undecided"}


def test_a_long_certificate_is_written_so_that_it_can_be_read() -> None:
    total = " + ".join("A" + " @ B" * count for count in range(60))
    proof = prove(f"({total}) @ X == 0", SHAPES, ["A @ X == X @ X.T @ X", "B @ X == X", "A @ X == 0", "A == 0"])
    assert proof.certificate is not None
    assert check_certificate(proof.certificate)


@pytest.mark.parametrize(
    ("text", "column", "rest"),
    [("W @@ X == Y", 4, "@ X == Y"), ("A == B)", 7, ")"), ("A == $", 6, "$"), ("A B == A", 3, "B == A"), ("", 0, "")],
)
def test_a_syntax_error_points_at_the_column(text: str, column: int, rest: str) -> None:
    place = f"at column {column}, `{rest}`" if column else "at its end"
    with pytest.raises(ClaimError) as caught:
        prove(text, SHAPES)
    assert f"does not parse {place}" in str(caught.value)


@pytest.mark.parametrize("text", ["A[0] == A", "A.shape == A", "(lambda: A)() == A", "f'{A}' == A", "1j * A == A"])
def test_what_is_not_of_the_language_is_named_with_its_column(text: str) -> None:
    with pytest.raises(ClaimError, match=r"only names, numbers, .* at column [12]\."):
        prove(text, SHAPES)


@pytest.mark.parametrize("text", ["A\x00 == A", "A \x1b[31m@@ == A", "A@@\u202eB == A"])
def test_an_error_quotes_no_character_that_cannot_be_printed(text: str) -> None:
    with pytest.raises(ClaimError) as caught:
        prove(text, SHAPES)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["A @ 𝐈 == A", "𝐀 == A", "µ * A == A"])
def test_letters_that_python_reads_as_others_are_refused(text: str) -> None:
    with pytest.raises(ClaimError, match="which reads as"):
        prove(text, SHAPES)
    with pytest.raises(ClaimError, match="which reads as"):
        prove("A == A", {**SHAPES, "𝐀": ("d", "d")})


def test_a_denominator_counts_where_a_derivative_drops_it() -> None:
    for text in ("d(A / b) == 0", "(1 / b)**0 * A == A", "d(tr(A) / b) == 0"):
        assert prove(text, SHAPES, scalars=["b"]).side_conditions == ("b != 0",)
    with pytest.raises(ClaimError, match="divides by 0"):
        prove("d(A / (t - t)) == 0", SHAPES)


def test_zero_keeps_the_shape_of_its_partner() -> None:
    with pytest.raises(ClaimError, match="×1"):
        prove("A + 0 @ x == A", SHAPES)


def test_the_pseudo_inverse_of_a_number_times_the_identity_has_every_size() -> None:
    assert prove("x == pinv(2 * I) @ x @ pinv(1/2 * I)", SHAPES).verdict == "proved"
    assert prove("pinv(A - A) @ X == 0", SHAPES).verdict == "proved"


def test_the_size_of_a_flow_of_the_identity_follows_from_its_use() -> None:
    flow = {"E": "A", "M": "mu * I", "F": "A + mu * I", "U": "2 * I"}
    assert prove("E @ M == F", SHAPES, scalars=["mu"], flow=flow).verdict == "proved"
    assert prove("d(M @ X) == -mu * M @ X", SHAPES, scalars=["mu"], flow=flow).verdict == "proved"
    with pytest.raises(ClaimError, match=r"size of flow\['M'\] must follow from where it stands, but it may be d or n"):
        prove("M == M @ M", SHAPES, flow={"M": "I"})


def test_both_rates_of_a_second_derivative_are_used() -> None:
    proof = prove("d(d(B)) == -B", SHAPES, ["d(B) == A", "d(A) == -B"])
    assert proof.verdict == "proved"
    assert set(proof.used) == {"d(B) == A", "d(A) == -B"}


def test_a_claim_may_be_broken_into_lines() -> None:
    assert prove("A @\n  B ==\nA @ B", SHAPES).verdict == "proved"


@pytest.mark.parametrize(("text", "value"), [("0.1", "1/10"), ("0.12345678901234567890123", None), ("1_000", "1000")])
def test_a_decimal_is_the_number_that_is_written(text: str, value: str | None) -> None:
    found = parse_expression(text, Names())
    assert isinstance(found, Number)
    assert str(found.value) == (value or str(found.value))
    assert found.value * 10**23 % 1 == 0


CHARACTERS = "ABXxEIt@+-*/.T()=0123456789 ,trdpinv[]'\"\\\n:!λ"


@settings(max_examples=300, deadline=None)
@given(st.text(CHARACTERS, max_size=40), st.integers(0, 2**32))
def test_no_text_ends_in_anything_but_a_verdict_or_a_clear_line(text: str, seed: int) -> None:
    random = Random(seed)
    parts = [
        "A",
        "B",
        "X",
        "x",
        "E",
        "@",
        "+",
        "*",
        "(",
        ")",
        ".T",
        "tr(",
        "d(",
        "pinv(",
        "==",
        "2",
        "/",
        "t",
        "I",
        "-",
    ]
    mixed = "".join(random.choice(parts) for _ in range(random.randrange(20)))
    tiny = Budget(models=4, more_models=4, overlaps=10, seconds=1.0)
    for claim in (text, f"{text} == A", f"{mixed} == A", f"tr({mixed}) == 0"):
        with contextlib.suppress(ClaimError):
            prove(claim, SHAPES, flow="X", budget=tiny)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"shapes": {3: ("d", "n")}}, "a name in shapes must be an identifier, but it is 3"),
    ({"shapes": {"A": ("d d", "d")}}, r"shapes\['A'\] must be a pair"),
    ({"assume": 3}, "assume must be a list of texts"),
    ({"assume": [3]}, "assume must be a list of texts"),
    ({"assume": None}, "assume must be a list of texts"),
    ({"scalars": [None]}, "scalars must be a list of texts"),
    ({"flow": ["A"]}, "flow must map names to texts"),
    ({"flow": {"E": 3}}, "flow must map names to texts"),
    ({"where": {"C": None}}, "where must map names to texts"),
    ({"where": "C"}, "where must map names to texts"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_arguments_of_the_wrong_type_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        prove("A == A", **{"shapes": SHAPES, **options})


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, "null", "{}", "[1, 2]"])
def test_a_certificate_that_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ClaimError):
        check_certificate(text)


SLACK = 2.0  # seconds

# Hypotheses without rational models (or with rare ones), whose completion does not end.
ENDLESS: list[tuple[str, dict[str, Any]]] = [
    ("A @ B == 0", {"assume": ["A @ A == 2 * I", "A @ B @ A == B @ A @ B @ B", "A @ B.T @ B == B @ A @ A.T"]}),
    ("tr(A @ B @ B) == 0", {"assume": ["A @ A == 2 * I", "A @ B @ A == B @ A @ B @ B", "A @ B.T @ B == B @ A @ A.T"]}),
    (
        "tr(A @ B @ B) == 0",
        {"assume": ["A @ A == 2 * I", "c * A @ B @ A == b * B @ A @ B @ B"], "scalars": ["b", "c"]},
    ),
    ("x @ x.T @ A == 0", {"assume": ["A @ A == 3 * I", "X.T @ A @ X == I", "pinv(A) @ B @ A == B @ B"]}),
]


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("claim", "options"), ENDLESS)
def test_a_spent_budget_is_answered_when_it_ends(claim: str, options: dict[str, Any], seconds: float) -> None:
    prove("A == A", SHAPES)  # the first claim of a process also loads things
    begin = time.process_time()
    proof = prove(claim, SHAPES, budget=Budget(seconds=seconds, **NO_LIMIT), **options)
    # Twenty percent, and what one step or a collection of this process' garbage may take; these searches do not end by themselves.
    assert time.process_time() - begin <= 1.2 * seconds + SLACK
    if proof.verdict == "undecided":
        assert proof.reason
        assert not proof.completed
        assert f"left over ({proof.reason})" in str(proof)


def test_the_search_for_models_keeps_the_budget() -> None:
    statement = read_statement(Source("A @ B == B @ A", SHAPES, ("A @ A == 2 * I",)))
    begin = time.perf_counter()
    with pytest.raises(BudgetSpentError):
        ModelSearch(statement, Budget(seconds=0.3)).run(10**9)
    assert time.perf_counter() - begin <= 0.3 * 1.2 + SLACK


def test_sizes_come_in_the_order_of_their_sum() -> None:
    found = [sizes for total in range(2, 7) for sizes in _with_sum(2, total, 3)]
    assert found == sorted(found, key=lambda sizes: (sum(sizes), sizes))
    assert len(found) == 9


def test_a_verdict_does_not_depend_on_the_clock_unless_it_runs_out() -> None:
    claim, assume = "tr(A @ B @ A) == tr(B)", ["A @ A == I", "A.T == A"]
    first, second = (prove(claim, SHAPES, assume, budget=Budget(seconds=seconds)) for seconds in (20.0, 60.0))
    assert (first.verdict, first.certificate) == (second.verdict, second.certificate) == ("proved", first.certificate)
