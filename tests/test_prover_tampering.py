"""A certificate that was damaged in any place is rejected, and by the project's own error if by an exception."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.claim_oracle import TOLERANCE, Unfit, disagreement
from tests.corpus_reader import Entry
from theory.errors import ClaimError
from theory.operators import check_certificate, prove
from theory.operators.statement import FIELDS

Data = dict[str, Any]

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
            entry = Entry("fuzz", expected="true", why="", model=_MODELS[original], full=["Q"], **read)
            off = max(disagreement(entry, seed) for seed in range(4))
        except (Unfit, KeyError, ValueError):  # a renamed letter or size: the model no longer fits
            return
        assert off < TOLERANCE


_CERTIFICATES = {name: prove(**statement).certificate or "" for name, statement in STATEMENTS.items()}
_MODELS = {
    _CERTIFICATES["flow"]: {},
    _CERTIFICATES["hypothesis"]: {"X": "2 * Y"},
    _CERTIFICATES["moving"]: {},
    _CERTIFICATES["trace"]: {"Q": "orth(Q)"},
}
