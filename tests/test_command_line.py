"""The command line as a whole: help on one screen, JSON everywhere, completion, colours, the doctor, and interrupts."""

import importlib
import inspect
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from closedflow import doctor
from closedflow.cli import app, run
from closedflow.doctor import examine, meets
from closedflow.terminal import console

COMMANDS = (
    *("check", "completion", "doctor", "hull", "predict", "properties", "prove"),
    *("solve", "study", "sweep", "theorems", "verify"),
)
SETTING = 'layer = "linear"\n[optimizer]\nkind = "gradient_descent"\nlearning_rate = 0.03\n'
CLAIM = 'claim = "{}"\nshapes = {{ X = ["d", "n"] }}\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(SETTING, encoding="utf-8")
    (tmp_path / "claim.toml").write_text(CLAIM.format("X @ pinv(X) @ X == X"), encoding="utf-8")
    (tmp_path / "false.toml").write_text(CLAIM.format("pinv(X) @ X == I"), encoding="utf-8")
    np.save("a.npy", np.random.default_rng(0).random((3, 1, 4, 4)))
    return tmp_path


def program(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "closedflow", *arguments], capture_output=True, text=True, **options)


# Help


def test_help_fits_a_screen_of_24_lines_and_80_columns_with_three_examples():
    page = program("--help", env=os.environ | {"COLUMNS": "80"}).stdout
    assert len(page.splitlines()) <= 23  # and the prompt
    assert max(map(len, page.splitlines())) <= 80
    assert len(re.findall(r"^(?:Examples:| {9}) closedflow \w+", page, flags=re.MULTILINE)) == 3
    assert re.findall(r"^  (\w+)  ", page, flags=re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_words_of_the_help_are_those_of_the_function_and_every_command_has_json(name, capsys):
    assert run([name, "--help"]) == 0
    page = capsys.readouterr().out
    assert "--json" in page
    module = importlib.import_module(f"closedflow.{'prove' if name == 'check' else name}_command")
    assert app[name].help == inspect.getdoc(getattr(module, name)).splitlines()[0]


# JSON on stdout


@pytest.mark.parametrize(
    ("arguments", "code", "key"),
    [
        (["solve", "s.toml"], 0, "residual"),
        (["prove", "claim.toml"], 0, "cofactors"),
        (["prove", "false.toml"], 1, "counterexample"),
        (["hull", "--train", "a.npy", "--test", "a.npy"], 0, "counts"),
        (["predict", "s.toml", "--train", "a.npy", "--test", "a.npy", "--times", "0,inf", "--out", "p.npz"], 0, "loss"),
        (["doctor"], 0, "findings"),
        (["completion", "bash"], 0, "script"),
        (["properties", "semigroup", "--examples", "2"], 0, "laws"),
    ],
)
def test_json_alone_goes_to_stdout_for_a_dash_and_to_a_file_for_a_path(folder, capsys, arguments, code, key):
    assert run([*arguments, "--json", "-"]) == code
    out = capsys.readouterr().out
    assert key in json.loads(out)
    assert run([*arguments, "--json", "table.json"]) == code
    written = (folder / "table.json").read_text(encoding="utf-8")
    # Timings differ between two runs; nothing else may.
    assert re.sub(r'"seconds": [\d.e-]+', "", written) == re.sub(r'"seconds": [\d.e-]+', "", out)


def test_lists_as_json_go_to_stdout_too(capsys):
    assert run(["theorems", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == "T1"


def test_a_verdict_table_as_json_goes_to_stdout_and_the_table_for_people_to_stderr(folder, capsys):
    pytest.importorskip("torch")
    assert run(["verify", "--setting", "s.toml", "--device", "cpu", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"][0]["proof"] == "proved"
    assert "linear by gradient_descent" in err


# Completion


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_an_option_and_its_values(tmp_path, capsys):
    assert run(["completion", "fish"]) == 0
    (tmp_path / "closedflow.fish").write_text(capsys.readouterr().out)
    line = f"source {tmp_path}/closedflow.fish; complete -C'closedflow hull --ki'; complete -C'closedflow hull --kind '"
    done = subprocess.run(
        ["fish", "-c", line], capture_output=True, text=True, check=True, env=os.environ | {"HOME": str(tmp_path)}
    )
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"--kind", "span", "affine", "convex"}


IN_FPATH = "fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D"
SOURCED = "autoload -Uz compinit; compinit -u -D; source {folder}/_closedflow"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize("how", [IN_FPATH, SOURCED])
def test_zsh_completes_an_option(tmp_path, capsys, how):
    """In a terminal, as a user would press the tab key; from a file of $fpath and sourced."""
    assert run(["completion", "zsh"]) == 0
    (tmp_path / "_closedflow").write_text(capsys.readouterr().out)
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "dumb"
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        os.write(terminal, how.format(folder=tmp_path).encode() + b"; print read''y\n")
        assert seen(terminal, b"ready")
        os.write(terminal, b"closedflow hull --ki\t")
        assert seen(terminal, b"--kind ")
    finally:
        os.close(terminal)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def seen(terminal: int, wanted: bytes, patience: float = 30.0) -> bool:
    """Whether a terminal shows this before patience ends."""
    shown, end = b"", time.monotonic() + patience
    while wanted not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096).replace(b"\r", b"").replace(b"\n", b"")
    return wanted in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_knows_commands_and_options(capsys, shell):
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in (*COMMANDS, "--json" if shell != "fish" else "json", "float32"):
        assert word in script


def test_the_bash_script_completes_a_command_and_an_option(capsys):
    run(["completion", "bash"])
    script = capsys.readouterr().out
    name = re.search(r"complete .*-F (\S+) closedflow", script).group(1)
    for words, found in ((["closedflow", "ver"], "verify"), (["closedflow", "verify", "--dty"], "--dtype")):
        typed = " ".join(f"'{word}'" for word in words)
        line = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; {name}; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
        assert found in done.stdout.split()


# Colours


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What a command prints to a terminal."""
    master, slave = pty.openpty()
    here = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-m", "closedflow", *arguments]
    with subprocess.Popen(
        command, stdout=slave, stderr=slave, env=here | {"TERM": "xterm-256color"} | environment
    ) as process:
        os.close(slave)
        page = b""
        while True:
            try:
                read = os.read(master, 4096)
            except OSError:  # Linux says so when the other side is closed
                break
            if not read:
                break
            page += read
        process.wait()
    os.close(master)
    return page.decode()


COLOUR = re.compile(r"\x1b\[[\d;]*3[0-7][\d;]*m")


def test_colours_are_for_terminals_without_no_color():
    words = ("solve", "--help")
    assert COLOUR.search(on_a_terminal(*words))
    assert not COLOUR.search(on_a_terminal(*words, NO_COLOR="1"))
    assert "\x1b" not in program(*words).stdout


def test_the_table_is_printed_by_the_same_rule(monkeypatch):
    for stream, plain, coloured in ((True, {"NO_COLOR": "1"}, False), (True, {}, True), (False, {}, False)):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in ({"TERM": "xterm-256color"} | plain).items():
            monkeypatch.setenv(name, value)
        page = io.StringIO()
        page.isatty = lambda stream=stream: stream
        monkeypatch.setattr(sys, "stdout", page)
        console().print("[green]agrees[/]")
        assert bool(COLOUR.search(page.getvalue())) is coloured


# The doctor


def test_the_doctor_finds_this_environment_good(capsys):
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("python", "numpy", "scipy", "sympy", "threads", "float64", "products"):
        assert re.search(rf"^good +{word} ", out, flags=re.MULTILINE)


def test_the_doctor_names_what_is_too_old_or_absent_and_exits_with_1(monkeypatch, capsys):
    real = doctor.metadata.version

    def version(name):
        if name == "rich":
            raise doctor.metadata.PackageNotFoundError(name)
        if name == "matplotlib":
            raise doctor.metadata.PackageNotFoundError(name)
        return "1.9.3" if name == "scipy" else real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    states = {finding.name: finding for finding in examine()}
    assert (states["scipy"].state, states["rich"].state, states["matplotlib"].state) == ("bad", "bad", "missing")
    assert states["scipy"].found == "1.9.3, but >=1.16 is needed. Run: pip install 'scipy>=1.16'."
    assert states["matplotlib"].found.endswith("Run: pip install 'closedflow[report]'.")
    assert run(["doctor"]) == 1
    assert "bad" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "bounds", "holds"),
    [
        ("1.10", ">=1.9", True),  # as numbers, not as text
        ("2.13.0+cpu", ">=2.4", True),
        ("5.0", ">=5,<6", True),
        ("6", ">=5,<6", False),
        ("1.16.0rc1", ">=1.16", True),
        ("3.11.7", ">=3.12", False),
        ("1.0", "", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version, bounds, holds):
    assert meets(version, bounds) is holds


# Interrupts


def test_an_interrupt_in_the_middle_of_verify_leaves_nothing_half_written(folder):
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "closedflow", "verify", "--all", "--json", "table.json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    waited = time.monotonic() + 60
    while not list(folder.glob(".table.json.*")) and time.monotonic() < waited:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "closedflow: interrupted; nothing was written\n"
    assert sorted(path.name for path in folder.iterdir()) == ["a.npy", "claim.toml", "false.toml", "s.toml"]


def test_an_interrupt_while_a_picture_is_drawn_leaves_no_picture(folder, monkeypatch, capsys):
    figure = pytest.importorskip("matplotlib.figure").Figure

    def stopped(self, file, **options):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(figure, "savefig", stopped)
    files = ["--train", "a.npy", "--test", "a.npy", "--times", "0", "--out", "p.npz", "--plot", "p.png"]
    assert run(["predict", "s.toml", *files]) == 130
    assert not list(folder.glob("*p.*"))
    assert not list(folder.glob(".p*"))


def test_a_reader_that_has_seen_enough_is_no_refutation():
    for command in (["theorems"], ["theorems", "--json", "-"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "closedflow", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)
        process.stderr.close()


# Names


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["solve", "s.tml"], "s.toml"),
        (["prove", "clam.toml"], "claim.toml"),
        (["hull", "--train", "a.npz", "--test", "a.npy"], "a.npy"),
    ],
)
def test_a_misspelt_file_is_answered_with_the_nearest_in_its_folder(folder, capsys, arguments, name):
    assert run(arguments) == 2
    assert capsys.readouterr().err.endswith(f"No such file or directory. Did you mean '{name}'?\n")


def test_a_misspelt_public_name_is_answered_with_the_nearest():
    import closedflow

    with pytest.raises(AttributeError, match=r"'Predictr'. Did you mean 'Predictor'\?"):
        _ = closedflow.Predictr


def test_the_doctor_names_the_extra_in_its_brackets(monkeypatch, capsys):
    """Brackets are markup to rich: the repair must come out as it is."""
    finding = doctor.Finding("torch", "missing", "not installed. Run: pip install 'closedflow[train]'.")
    monkeypatch.setattr(doctor, "examine", lambda: [finding])
    assert run(["doctor"]) == 0
    assert "pip install 'closedflow[train]'" in capsys.readouterr().out


def test_a_range_of_times_includes_its_end(capsys):
    from closedflow.terminal import numbers

    assert numbers("times", "0:0.3:0.1") == pytest.approx([0, 0.1, 0.2, 0.3])
    assert numbers("times", "5,0:10:4,inf") == [5, 0, 4, 8, float("inf")]
    for wrong in ("0:1:0", "1:0:1", "0:1", "0:inf:1", "a:b:c"):
        with pytest.raises(ValueError, match="Write, say, 0,10,inf or 0:200:10"):
            numbers("times", wrong)
