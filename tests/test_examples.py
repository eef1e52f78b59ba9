"""The examples run, and each prints what it promises."""

import pytest

from tests.blocks import ROOT, run_as_script

# A word or two that each must print, in this order: the point of the example.
SAYS = {
    "new_layer": ["proof: proved", "setting blurred by gradient_descent", "agrees", "agrees"],
    "new_optimizer": ["proof: proved", "agrees", "agrees", "flow time 10", "100"],
    "check_my_lemma": ["refuted", "left side  = [-1/4]", "proved", "limit proved", "start refuted"],
    "predict_a_training_curve": ["step    0", "step  200", "infinity 0", "agrees"],
    "outside_the_hull": ["40 of 40", "certificates hold: True", "training images: inside"],
    "property_test_my_theorem": ["midpoint: holds on 30", "doubled: broken", "inputs [[1.0]]"],
    "sweep_on_dask": ["first time: 6 outcomes", "second time: 6 outcomes", "layer.kernel_size"],
}


def test_every_example_is_listed_here_and_in_the_documents():
    found = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert found == set(SAYS)
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert all(f"examples/{name}.py" in text for name in found)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_and_prints_what_it_promises(name, monkeypatch, capsys, tmp_path):
    pytest.importorskip("torch")
    if "dask" in name:
        pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [f"{name}.py"])
    path = ROOT / "examples" / f"{name}.py"
    run_as_script(path.read_text(encoding="utf-8"), path.name, monkeypatch, main=True)
    out = capsys.readouterr().out
    for word in SAYS[name]:
        assert word in out
        out = out[out.index(word) + len(word) :]
    assert list(tmp_path.iterdir()) == []
