"""proofs.md says what the code says: every bound field is compared, and the comparison is shown to be able to fail."""

import importlib
import re
from pathlib import Path

import pytest

from theory.operators import LEMMAS
from theory.theorems import library

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "proofs.md").read_text(encoding="utf-8")
FIELDS = (
    "Statement", "Assumptions", "Claims", "Uses", "Proved by", "Evaluated by", "Tested by", "Scope", "False twin",
)  # fmt: skip
LIBRARY = {theorem.id: theorem for theorem in library()}


def sections(document: str) -> dict[str, tuple[str, str]]:
    """Each theorem's id with its title and text."""
    found = re.findall(r"^## (T\d+)\. (.+?)\n(.*?)(?=^## |\Z)", document, flags=re.MULTILINE | re.DOTALL)
    assert len({name for name, *_ in found}) == len(found), "a theorem has two sections"
    return {name: (title, body) for name, title, body in found}


def fields(body: str) -> dict[str, str]:
    """The bullets of a section, in one line each."""
    bullets = re.findall(r"^- \*\*(.+?)\.\*\* (.*?)(?=^- |^\s*$)", body, flags=re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in bullets}


def lemmas(document: str) -> dict[str, str]:
    """The bullets of the section of lemmas."""
    (body,) = re.findall(r"^## Lemmas\n(.*?)(?=^## |\Z)", document, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^- \*\*(L-[A-Z]+)\.\*\* (.*?)(?=^- |\Z)", body, flags=re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}


SECTIONS = {name: (title, fields(body), body) for name, (title, body) in sections(DOCUMENT).items()}
STATED = {**{name: found["Uses"] for name, (_, found, _) in SECTIONS.items()}, **dict.fromkeys(lemmas(DOCUMENT), "")}


def ticked(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def names_in(text: str) -> list[str]:
    """The ids of theorems and lemmas in a field."""
    return re.findall(r"\bT\d+\b|\bL-[A-Z]+\b", text)


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def check_node(node: str) -> None:
    """Refuses ``file::function``, or a file, that is not there."""
    file, _, function = node.partition("::")
    source = (ROOT / file).read_text(encoding="utf-8")
    assert not function or re.search(rf"^def {function}\(", source, flags=re.MULTILINE)


def cycle(uses: dict[str, str]) -> list[str]:
    """A chain of theorems that use each other in a circle, or nothing."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in uses:
            return []
        for used in names_in(uses[name]):
            if found := visit(used, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in uses if (found := visit(name, []))), [])


def test_every_theorem_of_the_library_has_its_section_and_no_other_has():
    assert list(SECTIONS) == list(LIBRARY)
    assert [title for title, *_ in SECTIONS.values()] == [theorem.title for theorem in LIBRARY.values()]


@pytest.mark.parametrize("name", LIBRARY)
def test_a_section_has_every_field_once_in_order_and_then_a_proof(name):
    _, found, body = SECTIONS[name]
    assert tuple(found) == FIELDS
    assert re.findall(r"^- \*\*(.+?)\.\*\*", body, flags=re.MULTILINE) == list(FIELDS)
    proof = body.partition("**Proof.**")[2]
    assert len(proof.split()) > 15
    assert proof.count("$") % 2 == 0


@pytest.mark.parametrize("name", LIBRARY)
def test_statement_assumptions_and_false_twin_are_the_theorems(name):
    theorem, (_, found, _) = LIBRARY[name], SECTIONS[name]
    assert found["Statement"] == theorem.statement
    assert found["Assumptions"].split("; ") == "; ".join(theorem.hypotheses).split("; ")
    assert found["False twin"] == f"{theorem.false_twin.says}: `{theorem.false_twin.equation}` (refuted)"
    assert found["Claims"].startswith("for all dimensions")


@pytest.mark.parametrize("name", LIBRARY)
def test_scope_and_uses_name_the_lemmas_that_the_proofs_stand_on(name):
    theorem, (_, found, _) = LIBRARY[name], SECTIONS[name]
    scope = re.search(r"modulo ((?:L-[A-Z]+(?:, )?)+)", found["Scope"])
    stated = scope[1].split(", ") if scope else []
    assert stated == list(theorem.lemmas)
    assert [used for used in names_in(found["Uses"]) if used.startswith("L-")] == list(theorem.lemmas)
    measured = ticked(found["Scope"])
    assert measured == ([f"closedflow verify {name}"] if theorem.every_case else [])


@pytest.mark.parametrize("name", LIBRARY)
def test_everything_used_is_stated(name):
    used = names_in(SECTIONS[name][1]["Uses"])
    assert used
    assert set(used) <= set(STATED)
    assert name not in used
    assert ", ".join(used) == SECTIONS[name][1]["Uses"]  # nothing else stands there


@pytest.mark.parametrize("name", LIBRARY)
def test_every_theorem_cited_in_a_proof_is_used(name):
    _, found, body = SECTIONS[name]
    cited = set(names_in(body.partition("**Proof.**")[2])) - {name}
    assert cited <= set(names_in(found["Uses"])), "cited in the proof and not in Uses"


def test_uses_have_no_cycle():
    assert cycle(STATED) == []


@pytest.mark.parametrize("name", LIBRARY)
def test_code_and_tests_that_are_named_exist(name):
    theorem, (_, found, _) = LIBRARY[name], SECTIONS[name]
    assert ticked(found["Proved by"])
    for dotted in [*ticked(found["Proved by"]), *ticked(found["Evaluated by"])]:
        assert exists(dotted), dotted
    homes = [importlib.import_module(dotted) for dotted in ticked(found["Proved by"]) if "theorems" in dotted]
    assert any(getattr(home, "THEOREM", None) is theorem for home in homes)
    assert ticked(found["Tested by"])
    for node in ticked(found["Tested by"]):
        check_node(node)


def marked(document: str) -> set[str]:
    """The theorems that a test file marks: by name, or all of the library at once."""
    literal = set(re.findall(r"mark\.theorem\(\"(T\d+)\"\)", document))
    return literal | (set(LIBRARY) if "mark.theorem(theorem.id)" in document else set())


@pytest.mark.parametrize("name", LIBRARY)
def test_a_marked_test_is_among_those_that_are_named(name):
    files = {node.partition("::")[0] for node in ticked(SECTIONS[name][1]["Tested by"])}
    assert any(name in marked((ROOT / file).read_text(encoding="utf-8")) for file in files)


def test_every_mark_in_the_tests_is_of_a_theorem_in_the_library():
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        literal = set(re.findall(r"mark\.theorem\(\"(\w+)\"\)", path.read_text(encoding="utf-8")))
        assert literal <= set(LIBRARY), path.name


def test_lemmas_are_the_closed_list_word_by_word():
    assert lemmas(DOCUMENT) == LEMMAS
    assert list(lemmas(DOCUMENT)) == list(LEMMAS)


def test_every_lemma_is_used_by_a_theorem_by_the_proof_of_a_setting_or_by_the_prover():
    used = {name for theorem in LIBRARY.values() for name in theorem.lemmas}
    prose = DOCUMENT.partition("## Any linear optimiser")[2].partition("## Lemmas")[0]
    prover = "".join(
        p.read_text(encoding="utf-8") for p in (ROOT / "theory/operators").glob("*.py") if p.stem != "lemmas"
    )
    assert set(LEMMAS) == used | (set(LEMMAS) & set(names_in(prose + prover)))


def test_no_path_of_a_machine_and_no_trailing_space_stands_in_the_document():
    assert not re.search(r"/(home|root|tmp|work|Users)/", DOCUMENT)
    assert not re.search(r"[ \t]+$", DOCUMENT, flags=re.MULTILINE)


# The comparison can fail


def test_a_wrong_document_is_seen():
    twice = DOCUMENT + "\n## T1. Again\n\ntext\n"
    with pytest.raises(AssertionError, match="two sections"):
        sections(twice)
    assert cycle({"T1": "T2", "T2": "T3, L-EXP", "T3": "T1"}) == ["T1", "T2", "T3", "T1"]
    assert cycle({"T1": "", "T2": "T1", "T3": "T1, T2"}) == []
    assert not exists("theory.theorems.no_such_theorem")
    assert not exists("numerics.predictor.Predictor.no_such_method")
    assert exists("numerics.predictor.Predictor.weight")
    with pytest.raises(AssertionError):
        check_node("tests/test_proofs_document.py::test_that_is_not_there")
    with pytest.raises(FileNotFoundError):
        check_node("tests/test_that_is_not_there.py")
    assert lemmas(DOCUMENT.replace("is constant.", "is zero.")) != LEMMAS
    assert marked('@pytest.mark.theorem("T3")') == {"T3"}
    assert fields("- **Statement.** one\n  and two\n- **Uses.** T1\n\ntext") == {
        "Statement": "one and two",
        "Uses": "T1",
    }
