"""The command line: what it prints, writes and exits with, and one clear line for every way in which input can be bad."""

import gzip
import json
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

from closedflow import verdicts
from closedflow.cli import run
from closedflow.terminal import numbers, whole_numbers
from empirical import crosscheck
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.setting import Setting
from theory.theorems import library

DESCENT = 'kind = "gradient_descent"\nlearning_rate = 0.03'
FLOW = 'kind = "gradient_flow"'
LINEAR, CONV = 'kind = "linear"', 'kind = "conv"\nkernel_size = 3'


def toml(layer: str = LINEAR, optimizer: str = DESCENT, top: str = "") -> str:
    return f"{top}\n[layer]\n{layer}\n\n[optimizer]\n{optimizer}\n"


def heavy_ball(rate: float, momentum: float = 0.9) -> str:
    return f'kind = "heavy_ball"\nlearning_rate = {rate}\nmomentum = {momentum}'


SETTINGS = {
    "flow": toml(optimizer=FLOW),
    "descent with decay": toml(top="weight_decay = 0.5"),
    "momentum on the mean": toml(optimizer=heavy_ball(0.1), top='loss = "mse"'),
    "convolution, momentum, decay, mean": toml(CONV, heavy_ball(0.05), 'loss = "mse"\nweight_decay = 0.1'),
    "grown with bias": toml('kind = "linear"\nbias = true', FLOW, "weight_decay = 0.2") + '[start]\nkind = "zeros"\n',
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a setting and images of every kind."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "s.toml").write_text(toml(), encoding="utf-8")
    np.save("a.npy", rng.random((3, 1, 6, 6)))
    np.save("b.npy", rng.random((2, 1, 6, 6)))
    np.savez("many.npz", p=rng.random((2, 4)), q=np.arange(32, dtype=np.uint8).reshape(2, 4, 4))
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 4, 4)
    (tmp_path / "digits-idx3-ubyte").write_bytes(header + bytes(range(32)))
    (tmp_path / "digits.gz").write_bytes(gzip.compress(header + bytes(range(32))))
    return tmp_path


def table_of(arguments: list[str], capsys, code: int = 0) -> dict:
    """The JSON of a verification that exits with a code."""
    pytest.importorskip("torch")
    found = run(["verify", *arguments, "--device", "cpu", "--json", "table.json"])
    out, err = capsys.readouterr()
    assert (found, err) == (code, "")
    with open("table.json", encoding="utf-8") as file:
        table = json.load(file)
    assert table["exit_code"] == code
    for row in table["rows"]:
        assert row["title"].split()[0] in out
    return table


# verify


def test_verify_prints_the_table_and_writes_it_as_json(folder, capsys):
    table = table_of(["T2", "null-space"], capsys)
    assert [row["id"] for row in table["rows"]] == ["T2", "T2", "T3", "T3"]
    assert {row["proof"] for row in table["rows"]} == {"proved"}
    assert {row[level]["verdict"] for row in table["rows"] for level in ("integration", "training")} == {"agrees"}
    assert table["header"]["data"].endswith("example 0")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_in_a_file_is_verified(folder, capsys, name):
    (folder / "mine.toml").write_text(SETTINGS[name], encoding="utf-8")
    (row,) = table_of(["--setting", "mine.toml", "--examples", "0,5"], capsys)["rows"]
    assert (row["id"], row["proof"], row["case"]) == ("setting", "proved", "2 examples")
    assert (row["integration"]["verdict"], row["training"]["verdict"]) == ("agrees", "agrees")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (["a.npy"], "a.npy, 1×6×6, as they are, example 0"),
        (["many.npz", "--key", "p"], "many.npz[p], 1×2×2, as they are, example 0"),
        (["many.npz", "--key", "q"], "many.npz[q], 1×4×4, divided by 255, example 0"),
        (["digits-idx3-ubyte"], "digits-idx3-ubyte, 1×4×4, divided by 255, example 0"),
        (["digits.gz", "--image-shape", "2,8", "--examples", "1"], "digits.gz, 2×8, divided by 255, example 1"),
    ],
)
def test_data_files_of_every_kind_are_read_and_named_in_the_header(folder, capsys, data, says):
    assert table_of(["T4", "--data", *data], capsys)["header"]["data"] == says


def test_real_digits_are_read_by_key(folder, capsys, mnist):
    from tests.conftest import MNIST

    (folder / "c.toml").write_text(toml(CONV, FLOW), encoding="utf-8")
    table = table_of(["--setting", "c.toml", "--data", str(MNIST), "--key", "X", "--examples", "3"], capsys)
    assert table["header"]["data"] == "mnist10k.npz[X], 1×28×28, divided by 255, example 3"


def test_a_planted_error_exits_with_1_and_is_named(folder, capsys, monkeypatch):
    theta = Predictor.theta
    monkeypatch.setattr(Predictor, "theta", lambda self, times: 1.01 * theta(self, times))
    (row,) = table_of(["--setting", "s.toml"], capsys, code=1)["rows"]
    assert (row["integration"]["verdict"], row["training"]["verdict"]) == ("disagrees", "disagrees")


def test_diverging_weights_are_an_infinite_ratio_in_the_json(folder, capsys, monkeypatch):
    monkeypatch.setattr(crosscheck.CrossCheck, "ratios", property(lambda self: np.full(len(self.steps), np.inf)))
    (row,) = table_of(["--setting", "s.toml"], capsys, code=1)["rows"]
    assert row["training"]["ratio"] == "inf"


def test_what_is_undecided_exits_with_3(folder, capsys, monkeypatch):
    class Unknown:
        verdict, reason, seconds, lemmas = "undecided", "nobody knows", 0.0, ()

    monkeypatch.setattr(verdicts, "solve", lambda setting: type("S", (), {"proof": Unknown}))
    table_of(["--setting", "s.toml"], capsys, code=3)


# theorems, solve, predict


def test_theorems_lists_the_library(folder, capsys):
    assert run(["theorems"]) == 0
    out = capsys.readouterr().out
    assert run(["theorems", "--json", "library.json"]) == 0
    assert capsys.readouterr().out == ""
    rows = json.loads((folder / "library.json").read_text(encoding="utf-8"))
    for theorem, row in zip(library(), rows, strict=True):
        assert f"{theorem.id} {theorem.title}  ({theorem.name})" in out
        assert (row["id"], row["statement"]) == (theorem.id, theorem.statement)
        assert row["hypotheses"] == list(theorem.hypotheses)
        assert [claim["claim"] for claim in row["claims"]] == [claim.equation for claim in theorem.claims]


@pytest.mark.parametrize("form", ["text", "latex", "markdown", "python", "json"])
def test_solve_prints_every_format(folder, capsys, form):
    assert run(["solve", "s.toml", "--format", form]) == 0
    out = capsys.readouterr().out
    marks = {"text": "W(oo) = ", "latex": r"\begin{aligned}", "markdown": "$$", "python": "def weight(", "json": "{"}
    assert marks[form] in out
    if form == "json":
        read = json.loads(out)
        assert read["residual"] == "(-eta*s + 1)**k"
        assert read["proof"]["verdict"] == "proved"
    if form == "python":
        compile(out, "pasted", "exec")


def test_predict_writes_what_the_predictor_says(folder, capsys):
    arguments = ["--train", "a.npy", "--test", "b.npy", "--examples", "0,2", "--seed", "4"]
    assert run(["predict", "s.toml", *arguments, "--times", "0,10,inf", "--out", "p.npz"]) == 0
    out = capsys.readouterr().out
    images, tests = np.load("a.npy")[[0, 2]].reshape(2, 36), np.load("b.npy").reshape(2, 36)
    predictor = Predictor(Setting.from_toml(toml()), images, seed=4)
    with np.load("p.npz", allow_pickle=False) as archive:
        assert archive["times"].tolist() == [0, 10, np.inf]
        assert np.array_equal(archive["predictions"], predictor.predict(tests, [0, 10, np.inf]))
        assert np.array_equal(archive["error"], predictor.error(tests, [0, 10, np.inf]))
        assert np.array_equal(archive["loss"], predictor.loss([0, 10, np.inf]))
        assert np.array_equal(archive["weight"], predictor.weight([0, 10, np.inf]))
        assert Setting.from_toml(str(archive["setting"])) == predictor.setting
        assert set(archive) == {"times", "predictions", "error", "loss", "weight", "setting"}
    assert "trained on a.npy, 1×6×6, as they are, example 0,2 (2 in all)" in out
    assert "at inf: training loss" in out


@pytest.mark.parametrize("picture", ["p.png", "p.svg"])
def test_predict_draws_a_picture(folder, capsys, picture):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    arguments = ["--train", "a.npy", "--test", "b.npy", "--times", "0,inf", "--out", "p.npz"]
    assert run(["predict", "s.toml", *arguments, "--plot", picture]) == 0
    head = {"p.png": b"\x89PNG", "p.svg": b"<?xml"}[picture]
    assert (folder / picture).read_bytes().startswith(head)


# Bad input: exit code 2, one line, nothing written

PREDICT = ["predict", "s.toml", "--train", "a.npy", "--test", "b.npy", "--out", "out.npz", "--times"]


def with_data(**arrays):
    """Writes arrays to files of their names, then verifies each."""
    return lambda: [np.save(f"{name}.npy", array, allow_pickle=True) for name, array in arrays.items()]


def with_setting(text: str):
    def write():
        with open("bad.toml", "w", encoding="utf-8") as file:
            file.write(text)

    return write


def with_bytes(name: str, raw: bytes):
    def write():
        with open(name, "wb") as file:
            file.write(raw)

    return write


def truncated(name: str, keep: int):
    def write():
        with open(name, "rb") as file:
            with_bytes(f"short-{name}", file.read()[:keep])()

    return write


def nothing() -> None:
    """Nothing to prepare."""


MINE, DATA = ["verify", "--setting", "bad.toml"], ["verify", "T4", "--data"]
PREDICT_MINE = ["predict", "bad.toml", *PREDICT[2:], "0"]
EVEN, GROUPS = 'kind = "conv"\nkernel_size = 4', 'kind = "conv"\nkernel_size = 3\ngroups = 2'
BAD = {
    # arrays
    "a test of another size": (with_data(c=np.ones((2, 1, 5, 5))), [*PREDICT[:5], "c.npy", *PREDICT[6:], "0"], "(2, 36)"),
    "not a number": (with_data(d=np.full((2, 1, 4, 4), np.nan)), [*DATA, "d.npy"], "d.npy holds NaN or infinite"),
    "infinite": (with_data(d=np.full((2, 1, 4, 4), np.inf)), [*DATA, "d.npy"], "finite"),
    "complex": (with_data(d=np.ones((2, 1, 4, 4), complex)), [*DATA, "d.npy"], "complex128"),
    "objects": (with_data(d=np.array([["a", 1]], object)), [*DATA, "d.npy"], "Object arrays"),
    "texts": (with_data(d=np.array([["a", "b"]])), [*DATA, "d.npy"], "<U1"),
    "an empty training set": (with_data(d=np.ones((0, 1, 4, 4))), [*DATA, "d.npy"], "at least one"),
    "one axis": (with_data(d=np.ones(4)), [*DATA, "d.npy"], "shape (4,)"),
    # files
    "a missing file": (nothing, [*DATA, "none.npy"], "No such file"),
    "a folder": (nothing, [*DATA, "."], "Is a directory"),
    "a truncated .npy": (truncated("a.npy", 200), [*DATA, "short-a.npy"], "must be a whole"),
    "a truncated .npz": (truncated("many.npz", 200), [*DATA, "short-many.npz"], "must be a whole"),
    "a truncated IDX": (truncated("digits-idx3-ubyte", 40), [*DATA, "short-digits-idx3-ubyte"], "promises 32 bytes"),
    "a truncated .gz": (truncated("digits.gz", 30), [*DATA, "short-digits.gz"], "must be a whole"),
    "an unknown kind": (with_bytes("d.txt", b"1,2,3\n"), [*DATA, "d.txt"], "starts with b'1,2,'"),
    "an empty file": (with_bytes("d.npy", b""), [*DATA, "d.npy"], "starts with b''"),
    "no key for two arrays": (nothing, [*DATA, "many.npz"], "--key NAME"),
    "an unknown key": (nothing, [*DATA, "many.npz", "--key", "z"], "p, q, but it is 'z'"),
    "an impossible image shape": (nothing, [*DATA, "a.npy", "--image-shape", "1,5,5"], "product 36"),
    "an output folder that is missing": (nothing, [*PREDICT[:7], "none/out.npz", "--times", "0"], "No such file"),
    "a JSON folder that is missing": (nothing, ["theorems", "--json", "none/t.json"], "No such file"),
    "a picture of no kind": (nothing, [*PREDICT, "0", "--plot", "p.xyz"], "--plot"),
    "a picture folder that is missing": (nothing, [*PREDICT, "0", "--plot", "none/p.png"], "but none/p.png is not: No such"),
    # options
    "a negative time": (nothing, [*PREDICT[:-1], "--times=-1,0"], "at least 0, but one is -1"),
    "half a step": (nothing, [*PREDICT, "0,0.5"], "whole numbers for a descent, but one is 0.5"),
    "a time that is no number": (nothing, [*PREDICT, "nan"], "nan"),
    "letters for times": (nothing, [*PREDICT, "abc"], "'abc'"),
    "no times": (nothing, [*PREDICT, ""], "--times"),
    "an example too far": (nothing, ["verify", "--examples", "99999"], "0 to 1796"),
    "a negative example": (nothing, ["verify", "--examples=-1"], "[-1]"),
    "half an example": (nothing, ["verify", "--examples", "0.5"], "whole numbers"),
    "infinitely many examples": (nothing, ["verify", "--examples", "inf"], "whole numbers"),
    "an unknown theorem": (nothing, ["verify", "T99"], "'T99'"),
    "a misspelt theorem": (nothing, ["verify", "nul-space"], "Did you mean 'null-space'?"),
    "an unknown device": (nothing, ["verify", "--device", "gpu"], "--device"),
    "a negative seed": (nothing, ["verify", "T4", "--seed=-1"], "seed"),
    "an unknown arithmetic": (nothing, ["verify", "--dtype", "float16"], "float16"),
    "an unknown option": (nothing, ["verify", "--foo"], "--foo"),
    "an unknown command": (nothing, ["verfy"], 'Did you mean "verify"?'),
    "a missing option": (nothing, ["predict", "s.toml"], "--train"),
    # settings
    "a missing setting": (nothing, ["solve", "none.toml"], "No such file"),
    "no TOML": (with_setting("[layer\n"), ["solve", "bad.toml"], "must be TOML"),
    "no text": (with_bytes("bad.toml", b"\xff\xfe"), ["solve", "bad.toml"], "not UTF-8"),
    "no layer": (with_setting("[optimizer]\n" + FLOW), ["solve", "bad.toml"], "[layer]"),
    "a misspelt key": (with_setting(toml(top="wieght_decay = 1")), MINE, "Did you mean 'weight_decay'?"),
    "a misspelt layer key": (with_setting(toml('kind = "conv"\nkernel_sise = 3')), MINE, "Did you mean 'kernel_size'?"),
    "a misspelt kind": (with_setting(toml('kind = "linaer"')), MINE, "Did you mean 'linear'?"),
    "a missing rate": (with_setting(toml(optimizer='kind = "heavy_ball"\nmomentum = 0.9')), MINE, "'learning_rate'"),
    "a negative decay": (with_setting(toml(top="weight_decay = -1.0")), MINE, "at least 0"),
    "Adam solved": (with_setting(toml(optimizer='kind = "adam"\nlearning_rate = 0.1')), ["solve", "bad.toml"], "T1"),
    "Adam verified": (with_setting(toml(optimizer='kind = "adam"\nlearning_rate = 0.1')), MINE, "theorem T1"),
    "Adam predicted": (with_setting(toml(optimizer='kind = "adam"\nlearning_rate = 0.1')), PREDICT_MINE, "theorem T1"),
    "descent diverges": (with_setting(toml(optimizer=DESCENT.replace("0.03", "5.0"))), MINE, "would diverge"),
    "momentum diverges": (with_setting(toml(optimizer=heavy_ball(5.0))), PREDICT_MINE, "HeavyBall(learning_rate=5.0"),
    "decay makes it diverge": (with_setting(toml(top="weight_decay = 90.0")), PREDICT_MINE, "would diverge"),
    "an even kernel": (with_setting(toml(EVEN)), MINE, "odd kernel_size"),
    "an even kernel solved": (with_setting(toml(EVEN)), ["solve", "bad.toml"], "Use 5"),
    "groups that do not divide": (with_setting(toml(GROUPS)), MINE, "groups must divide the input channels, 1"),
    "a fixed start without weights": (with_setting(toml() + '[start]\nkind = "fixed"\n'), MINE, "initial_weight"),
    "targets without a file": (with_setting(toml(top='target = "given"')), MINE, "targets must be given"),
    "a kernel beyond the image": (
        with_setting(toml('kind = "conv"\nkernel_size = 9\npadding = "valid"', FLOW)), MINE, "at most the padded image",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("prepare", "arguments", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_one_line_and_writes_nothing(folder, capsys, prepare, arguments, words):
    pytest.importorskip("torch")
    prepare()
    before = sorted(path.name for path in folder.rglob("*"))
    code = run(arguments)
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert re.fullmatch(r"closedflow: [^\n]+\n", err)
    assert words in err
    assert "Traceback" not in err
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_a_device_that_is_not_there_is_refused(capsys):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    assert run(["verify", "--device", "cuda"]) == 2
    assert capsys.readouterr().err.startswith("closedflow: device must be one that torch finds here, but 'cuda' is not")


def test_without_torch_verification_says_how_to_install_it(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["verify", "T4"]) == 2
    assert "pip install" in capsys.readouterr().err
    assert run(["solve", "s.toml"]) == 0


def test_an_interrupted_run_says_so_and_leaves_nothing(folder, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "predict", interrupt)
    assert run([*PREDICT, "0"]) == 130
    assert capsys.readouterr().err == "closedflow: interrupted; nothing was written\n"
    assert not (folder / "out.npz").exists()


def test_a_bug_is_not_hidden_as_bad_input(folder, monkeypatch, capsys):
    def bug(*_):
        raise ValueError("not the user's")

    monkeypatch.setattr(Predictor, "predict", bug)
    assert run([*PREDICT, "0"]) == 70
    page = capsys.readouterr().err
    assert "not the user's" in page
    assert "a mistake of closedflow" in page.splitlines()[-1]


# The program itself


def program(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", "-m", "closedflow", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_module_runs_as_a_program_with_the_same_exit_codes(folder):
    solved = program("solve", "s.toml")
    assert (solved.returncode, solved.stderr) == (0, "")
    assert "proof: proved" in solved.stdout
    refused = program("verify", "--data", "none.npy")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(r"closedflow: [^\n]+\n", refused.stderr)
    shown = program()
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Usage: closedflow")


def test_lists_of_numbers_are_read_by_hand():
    assert numbers("times", "0, 1.5,inf") == [0.0, 1.5, float("inf")]
    assert whole_numbers("examples", "3,0") == [3, 0]
    with pytest.raises(SettingError, match="--times must be numbers separated by commas, but it is '1;2'"):
        numbers("times", "1;2")
