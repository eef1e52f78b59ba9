"""Random statements and random damage: what the prover must prove, must not prove, and must reject."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.claim_oracle import TOLERANCE, Unfit, disagreement
from tests.corpus_reader import Entry
from theory.errors import ClaimError
from theory.operators import Budget, check_certificate, prove
from theory.operators.statement import FIELDS

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


STATEMENTS: dict[str, Data] = {
    "flow": {
        "claim": "W @ (I - X @ pinv(X)) == W0 @ (I - X @ pinv(X))",
        "shapes": {"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")},
        "flow": {"E": "X @ X.T"},
        "where": {"W": "W0 @ E + Y @ pinv(X) @ (I - E)"},
    },
    "hypothesis": {
        "claim": "X == 2 * Y",
        "shapes": {"X": ("d", "n"), "Y": ("d", "n")},
        "assume": ["(c + 1) * X / 2 == (c + 1) * Y"],
        "scalars": ["c"],
    },
    "moving": {
        "claim": "d(D @ pinv(E)) == 0",
        "shapes": {"X": ("d", "n"), "D": ("q", "d")},
        "assume": ["d(D) == -D @ X @ X.T"],
        "flow": {"E": "X @ X.T"},
    },
    "trace": {
        "claim": "tr(Q @ A @ Q.T) == tr(A)",
        "shapes": {"Q": ("d", "d"), "A": ("d", "d")},
        "assume": ["Q.T @ Q == I"],
    },
}


@pytest.fixture(scope="module", params=sorted(STATEMENTS))
def certificate(request: pytest.FixtureRequest) -> str:
    """The certificate of a true statement."""
    proof = prove(**STATEMENTS[request.param])
    assert proof.certificate is not None, str(proof)
    return proof.certificate


def _verdict(text: Any) -> bool:
    """What the kernel says; an error of the project is a rejection, any other exception fails the test."""
    try:
        return check_certificate(text)
    except ClaimError:
        return False


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every part of a piece of JSON."""
    parts = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [path, *(place for key, part in parts for place in _places(part, (*path, key)))]


def _replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(data)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


HUGE = "9" * 6000
JUNK: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1.5,
        10**400,
        float("nan"),
        float("inf"),
        [],
        {},
        [[]],
        {"": ""},
        "",
        " ",
        "0",
        "I",
        "X",
        "X == X",
    ),
    *(
        "X == Y",
        "1e999 * X",
        "1/0 * X",
        "(1/0)**0 * I",
        "t * I",
        "d(X)",
        "limit(E)",
        "start(W)",
        "integral(E)",
        "pinv(I)",
    ),
    *("__import__('os')", "(lambda: X)()", "X\0", "\ud800", "𝐗", "X.__class__", "2**99999 * I", "c > 0", "X" * 99999),
    *("(" * 300 + "X" + ")" * 300, "-" * 3000 + "X", "X" + ".T" * 3000, "+".join(["X"] * 3000), HUGE, f"{HUGE} * X"),
    *("pinv(" * 120 + "X" + ")" * 120, "dim(d)", "tr(X)", "expect(tr(X), X, 1)", "X #", "X @", "== X", "X == X == X"),
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_in_any_place_is_rejected(certificate: str, junk: Any) -> None:
    data = json.loads(certificate)
    for path in _places(data):
        changed = _replaced(data, path, junk)
        if changed != data and _verdict(json.dumps(changed)):
            assert _is_harmless(path, junk), path


def _is_harmless(path: tuple[Any, ...], junk: Any) -> bool:
    """Whether the damage makes another true statement, or the same multiple, which the same steps prove."""
    positive = path[0] == "scalars" and junk == "c > 0"
    renamed_size = path[0] == "shapes" and len(path) == 3
    same_multiple = path[0] == "cofactors" and junk in ("I", "pinv(I)")
    return positive or renamed_size or same_multiple


def test_every_part_of_a_certificate_is_needed(certificate: str) -> None:
    data = json.loads(certificate)
    for path in _places(data)[1:]:
        changed = copy.deepcopy(data)
        inner = changed
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        assert not _verdict(json.dumps(changed)), path


def test_every_step_counts_once(certificate: str) -> None:
    data = json.loads(certificate)
    for step in data["cofactors"]:
        assert not _verdict(json.dumps({**data, "cofactors": [*data["cofactors"], step]}))
        for other in data["cofactors"]:
            for name in step:
                moved = [{**item, name: other[name]} if item is step else item for item in data["cofactors"]]
                changed = {**data, "cofactors": moved}
                assert changed == data or not _verdict(json.dumps(changed)), (step, other, name)


@pytest.mark.parametrize("name", ["extra", "axioms", "verdict", "Claim", "claim ", ""])
def test_an_extra_key_is_rejected(certificate: str, name: str) -> None:
    data = json.loads(certificate)
    assert not _verdict(json.dumps({**data, name: data["claim"]}))
    for step in range(len(data["cofactors"])):
        changed = copy.deepcopy(data)
        changed["cofactors"][step][name] = "I"
        assert not _verdict(json.dumps(changed))


@pytest.mark.parametrize("name", [*FIELDS, "cofactors"])
def test_a_duplicated_key_is_rejected(certificate: str, name: str) -> None:
    """JSON lets a key stand twice; a reader who sees the first and a kernel that sees the last would disagree."""
    data = json.loads(certificate)
    for first in (data[name], "X == 2 * X", {}, []):
        text = "{" + f'"{name}": {json.dumps(first)}, ' + json.dumps(data).removeprefix("{")
        assert not _verdict(text), first


def test_a_duplicated_name_or_step_key_is_rejected(certificate: str) -> None:
    text = json.dumps(json.loads(certificate))
    name = next(iter(json.loads(text)["shapes"]))
    assert not _verdict(text.replace('"shapes": {', f'"shapes": {{"{name}": ["d", "d"], ', 1))
    assert not _verdict(text.replace('"left": ', '"left": "I", "left": ', 1))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "null",
            "true",
            "0",
            "NaN",
            '"proved"',
            "[]",
            "{}",
            "proved",
            "\ufeff{}",
            "{'claim': 'X == X'}",
            "\0",
            "\ud800",
        ),
        *("[" * 100000, '{"a":' * 100000, '{"claim": ' + HUGE + "}", HUGE, "-" + HUGE, "1e" + HUGE, '"\\ud800"'),
        *(None, 5, 1.5, b"", b"\xff", b"{}", [], {}, object()),
    ],
    ids=lambda text: repr(text)[:12],
)
def test_what_is_no_certificate_is_rejected(text: Any) -> None:
    assert not _verdict(text)


@given(st.data())
def test_a_certificate_with_a_changed_character_proves_nothing_false(data: st.DataObject) -> None:
    """A letter may be renamed or a space put in; whatever is still accepted must be true of numbers."""
    original = _CERTIFICATES[data.draw(st.sampled_from(sorted(_CERTIFICATES)))]
    place = data.draw(st.integers(0, len(original) - 1))
    letter = data.draw(st.sampled_from('XYWEA0129.+-*/@T()"{}[],: \n\\tdI='))
    end = place + data.draw(st.integers(0, 1))
    text = original[:place] + letter + original[end:]
    if _verdict(text):
        read = {name: value for name, value in json.loads(text).items() if name in FIELDS}
        try:
            off = _off(Entry("fuzz", expected="true", why="", model=_MODELS[original], full=["Q"], **read))
        except (Unfit, KeyError):  # a renamed letter: the model no longer fits
            return
        assert off < TOLERANCE


_CERTIFICATES = {name: prove(**statement).certificate or "" for name, statement in STATEMENTS.items()}
_MODELS = {
    _CERTIFICATES["flow"]: {},
    _CERTIFICATES["hypothesis"]: {"X": "2 * Y"},
    _CERTIFICATES["moving"]: {},
    _CERTIFICATES["trace"]: {"Q": "orth(Q)"},
}


tokens = st.sampled_from(
    ["X", "Y", "A", "E", "I", "0", "1", "c", "t", "0.5", "@", "+", "-", "*", "/", "**", "(", ")", ".T", "==", ",", "=="]
    + [
        "pinv(",
        "d(",
        "start(",
        "limit(",
        "integral(",
        "tr(",
        "expect(",
        "dim(",
        "var(",
        "𝐗",
        "1e9",
        "if",
        "lambda",
        "#",
    ]
)


@given(st.lists(tokens, max_size=12).map(" ".join))
@example("A == A @ I")
def test_any_text_is_a_claim_or_a_clear_error(text: str) -> None:
    shapes = {"X": ("d", "n"), "Y": ("d", "n"), "A": ("d", "d")}
    try:
        proof = prove(text, shapes, scalars=["c"], flow={"E": "X @ X.T"}, budget=SMALL)
    except ClaimError:
        return
    assert proof.verdict in ("proved", "refuted", "undecided")
