"""The stored certificates hold by the kernel alone, are those of the library, and proofs.md says what the code says."""

import json
import runpy
from pathlib import Path

import pytest

from theory.operators import check_certificate, recheck
from theory.theorems import library
from theory.theorems.certificates import FOLDER, found, stored
from theory.theorems.false_statements import FALSE_STATEMENTS

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("theorem", library(), ids=lambda theorem: theorem.id)
def test_every_stored_certificate_holds_by_the_kernel_alone(theorem):
    texts = stored(theorem)
    assert texts
    assert all(check_certificate(text) for text in texts)


@pytest.mark.parametrize("theorem", library(), ids=lambda theorem: theorem.id)
def test_the_stored_certificates_are_those_of_the_library(theorem):
    # The statement inside each, not the proof: a better search may find a shorter one.
    keys = ("claim", "shapes", "assume", "scalars", "flow", "where")
    kept = [[json.loads(text).get(key) for key in keys] for text in stored(theorem)]
    assert kept == [[json.loads(text).get(key) for key in keys] for text in found(theorem)], "run make certificates"


@pytest.mark.parametrize("theorem", library(), ids=lambda theorem: theorem.id)
def test_a_tampered_stored_certificate_is_rejected(theorem):
    for text in stored(theorem):
        data = json.loads(text)
        if data["cofactors"]:  # an expansion that uses no axiom has none to drop
            data["cofactors"] = data["cofactors"][1:]
            assert not check_certificate(json.dumps(data))


def test_no_certificate_is_stored_for_a_theorem_that_is_gone():
    assert {path.stem for path in FOLDER.glob("*.json")} == {theorem.id for theorem in library()}


def test_a_stored_proof_names_what_it_used():
    assert "Penrose equations of pinv(X)" in recheck(stored(library()[1])[0]).used


@pytest.mark.parametrize("claim", FALSE_STATEMENTS, ids=lambda claim: claim.says[:50])
def test_every_false_statement_is_refuted_by_an_exact_counterexample(claim):
    proof = claim.prove()
    assert proof.verdict == "refuted"
    assert proof.counterexample is not None


def test_the_bound_fields_of_proofs_md_are_what_the_code_says():
    document = runpy.run_path(str(ROOT / "docs" / "proofs.py"), run_name="document")
    text = (ROOT / "proofs.md").read_text(encoding="utf-8")
    assert document["renewed"](text) == text, "run python docs/proofs.py"
