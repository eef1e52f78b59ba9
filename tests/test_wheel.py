"""What a user installs: the wheel in an empty environment without torch. Takes a minute and a package index."""

import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"theory", "numerics", "empirical", "closedflow"}
OFFLINE = (
    "NewConnectionError",
    "Name or service not known",
    "Temporary failure in name resolution",
    "No route to host",
)

SETTING = """
target = "identity"
loss = "half_sum"
[layer]
kind = "linear"
[optimizer]
kind = "gradient_flow"
[start]
kind = "zeros"
"""
CLAIM = """
claim = "Y @ pinv(X) @ X @ X.T == Y @ X.T"
[shapes]
X = ["d", "n"]
Y = ["q", "n"]
"""


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that sees nothing of this checkout: no PYTHONPATH, another folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def must(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a command that must succeed; skips where there is no package index to ask."""
    if done.returncode and any(word in done.stdout + done.stderr for word in OFFLINE):
        pytest.skip("no package index can be reached from here")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive, so that the archive is whole too."""
    pytest.importorskip("build", reason="building a wheel needs the package build")
    folder = tmp_path_factory.mktemp("dist")
    options = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    must(run(sys.executable, "-m", "build", *options, "--outdir", folder, ROOT, cwd=folder))
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of an environment that holds the wheel and its dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    must(run(sys.executable, "-m", "venv", folder, cwd=folder))
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    options = ("--quiet", "--disable-pip-version-check", "--constraint", ROOT / "constraints.txt")
    must(run(scripts / "python", "-m", "pip", "install", *options, wheel, cwd=folder))
    return scripts


def test_wheel_holds_the_four_packages_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("LICENSE")]
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert len(licences) == 1


def test_source_archive_holds_documents_examples_and_tests(wheel: Path) -> None:
    (path,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder, pattern in (("docs", "*.md"), ("examples", "*.py"), ("tests", "*.py"), ("benchmarks", "*.py")):
        assert {found.relative_to(ROOT).as_posix() for found in (ROOT / folder).glob(pattern)} <= names
    assert {"README.md", "proofs.md", "constraints.txt", "Makefile"} <= names


def test_environment_is_consistent_and_has_no_torch(installed: Path, tmp_path: Path) -> None:
    must(run(installed / "python", "-m", "pip", "check", cwd=tmp_path))
    assert run(installed / "python", "-c", "import torch", cwd=tmp_path).returncode == 1


def test_library_solves_predicts_and_proves_without_torch(installed: Path, tmp_path: Path) -> None:
    code = """
import json, math
import closedflow as cf
setting = cf.Setting(layer=cf.Linear(), optimizer=cf.GradientFlow(), start=cf.Zeros())
solution = cf.solve(setting)
p = cf.Predictor(setting, [[2.0, 0.0]])
claim = dict(shapes={"X": ("d", "n"), "Y": ("q", "n")})
print(json.dumps({
    "file": cf.__file__,
    "latex": solution.latex(),
    "python": solution.python(),
    "weight": p.weight([0.0, 0.25, math.inf]).tolist(),
    "predicted": p.predict([[1.0, 1.0]], [math.inf]).tolist(),
    "integrated": cf.integrate(setting, [[2.0, 0.0]], times=[0.25]).tolist(),
    "true": cf.prove("Y @ pinv(X) @ X @ X.T == Y @ X.T", **claim).verdict,
    "false": cf.prove("Y @ pinv(X) @ X == Y", **claim).verdict,
}))
"""
    answer = json.loads(must(run(installed / "python", "-W", "error", "-c", code, cwd=tmp_path)))
    assert str(installed.parent) in answer["file"]
    assert answer["latex"]
    assert answer["python"]
    learned = 1 - np.exp(-1)  # rate 4 at t = 1/4, from zero
    assert np.array_equal(answer["weight"][0], np.zeros((2, 2)))
    # One expm1 and a few products: a dozen roundings. The solver is asked for ten digits.
    assert np.allclose(answer["weight"][1], [[learned, 0], [0, 0]], rtol=0, atol=12 * 2.0**-53)
    assert np.allclose(answer["weight"][2], [[1, 0], [0, 0]], rtol=0, atol=12 * 2.0**-53)
    assert np.allclose(answer["predicted"], [[[1, 0]]], rtol=0, atol=12 * 2.0**-53)
    assert np.allclose(answer["integrated"], [[[learned, 0], [0, 0]]], rtol=0, atol=1e-8)
    assert (answer["true"], answer["false"]) == ("proved", "refuted")


NEEDS_TORCH = "torch must be installed to train networks, but it is not. Run: pip install 'closedflow[train]'."
NEEDS_MATPLOTLIB = "matplotlib must be installed to draw, but it is not. Run: pip install 'closedflow[report]'."
PREDICT = ("setting.toml", "--train", "a.npy", "--test", "b.npy", "--times", "0,inf", "--out", "p.npz")


def prepare(folder: Path) -> None:
    (folder / "setting.toml").write_text(SETTING, encoding="utf-8")
    (folder / "claim.toml").write_text(CLAIM, encoding="utf-8")
    np.save(folder / "a.npy", np.eye(4)[:1])
    np.save(folder / "b.npy", np.ones((3, 4)))


def test_every_command_that_needs_no_torch_works_without_it(installed: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    command = installed / "closedflow"
    for words in (
        ("theorems",),
        ("solve", "setting.toml", "--format", "python"),
        ("prove", "claim.toml", "--json", "proof.json"),
        ("check", "proof.json"),
        ("predict", *PREDICT),
        ("hull", "--train", "a.npy", "--test", "b.npy"),
        ("properties", "semigroup", "--examples", "3"),
        ("completion", "zsh"),
    ):
        assert must(run(command, *words, cwd=tmp_path)).strip(), words


def test_every_command_that_needs_an_extra_says_so_in_one_line(installed: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    for words, line in (
        (("verify", "T4"), NEEDS_TORCH),
        (("study", "depth_of_relu_cnns"), NEEDS_TORCH),
        (("predict", *PREDICT, "--plot", "p.png"), NEEDS_MATPLOTLIB),
    ):
        done = run(installed / "closedflow", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"closedflow: {line}\n")
    assert not (tmp_path / "p.npz").exists()


def test_the_doctor_finds_a_bare_installation_good_and_names_the_extras(installed: Path, tmp_path: Path) -> None:
    table = json.loads(must(run(installed / "closedflow", "doctor", "--json", "-", cwd=tmp_path)))
    states = {finding["name"]: finding["state"] for finding in table["findings"]}
    assert {name for name, state in states.items() if state == "missing"} == {
        "torch",
        "matplotlib",
        "jinja2",
        "distributed",
        "device",
    }
    assert "bad" not in states.values()


def test_type_information_is_found_by_a_type_checker(installed: Path, tmp_path: Path) -> None:
    mypy = pytest.importorskip("mypy.api")
    code = "import closedflow.prediction, theory.setting\nreveal_type(theory.setting.Setting.load)\n"
    (tmp_path / "user.py").write_text(code, encoding="utf-8")
    options = [
        "--python-executable",
        str(installed / "python"),
        "--follow-imports",
        "silent",
        "--cache-dir",
        str(tmp_path),
    ]
    out, _, code = mypy.run([*options, str(tmp_path / "user.py")])
    assert code == 0, out
    assert "theory.setting.Setting" in out


def test_training_without_torch_is_one_clear_line(installed: Path, tmp_path: Path) -> None:
    code = """
import closedflow as cf
try:
    cf.train(cf.Setting(layer=cf.Linear(), optimizer=cf.GradientDescent(0.1)), [[1.0]], steps=1)
except cf.SettingError as error:
    print(error)
"""
    said = must(run(installed / "python", "-c", code, cwd=tmp_path))
    assert said.startswith("torch must be installed to train networks, but it is not.")
    assert "pip install" in said
    assert len(said.splitlines()) == 1


def test_command_line_solves_predicts_and_proves(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "setting.toml").write_text(SETTING, encoding="utf-8")
    (tmp_path / "claim.toml").write_text(CLAIM, encoding="utf-8")
    np.save(tmp_path / "a.npy", np.eye(4)[:1])
    np.save(tmp_path / "b.npy", np.ones((3, 4)))
    command = installed / "closedflow"
    for words in (["--help"], ["solve", "setting.toml"], ["solve", "setting.toml", "--format", "latex"]):
        assert must(run(command, *words, cwd=tmp_path)).strip()
    files = ("setting.toml", "--train", "a.npy", "--test", "b.npy", "--times", "0,10,inf", "--out", "p.npz")
    must(run(command, "predict", *files, cwd=tmp_path))
    with np.load(tmp_path / "p.npz") as archive:
        assert any(archive[key].shape[:2] == (3, 3) for key in archive.files)
    assert "proved" in must(run(command, "prove", "claim.toml", cwd=tmp_path))
    must(run(installed / "python", "-m", "closedflow", "prove", "claim.toml", cwd=tmp_path))


def test_exit_codes_tell_a_false_claim_from_bad_input(installed: Path, tmp_path: Path) -> None:
    false = CLAIM.replace("== Y @ X.T", "== X.T").replace('Y = ["q", "n"]', 'Y = ["n", "n"]')
    (tmp_path / "false.toml").write_text(false, encoding="utf-8")
    (tmp_path / "bad.toml").write_text(CLAIM.replace("pinv", "pin"), encoding="utf-8")
    refuted = run(installed / "closedflow", "prove", "false.toml", cwd=tmp_path)
    assert refuted.returncode == 1, refuted.stdout + refuted.stderr
    assert "refuted" in refuted.stdout
    for name in ("bad.toml", "absent.toml"):
        wrong = run(installed / "closedflow", "prove", name, cwd=tmp_path)
        assert wrong.returncode == 2, wrong.stdout + wrong.stderr
        assert "Traceback" not in wrong.stdout + wrong.stderr
        assert len(wrong.stderr.strip().splitlines()) == 1


def test_verify_without_torch_says_what_is_missing(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "setting.toml").write_text(SETTING, encoding="utf-8")
    done = run(installed / "closedflow", "verify", "--setting", "setting.toml", "--device", "cpu", cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode in (0, 2), said  # 0 with a row that was not run, or 2 with one clear line
    assert "Traceback" not in said
    assert "torch must be installed" in said
