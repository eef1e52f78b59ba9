"""The public names are fixed, each is where it says, and importing or asking for help stays light."""

import inspect
import subprocess
import sys

import pytest

import closedflow

# design: changing this list is a decision, not an accident.
NAMES = [
    "AcceleratedDescent",
    "Adam",
    "AveragedDescent",
    "AveragedFlow",
    "CircularConv",
    "ClaimError",
    "Constant",
    "Conv",
    "Cosine",
    "CrossCheck",
    "DataError",
    "Descent",
    "Ensemble",
    "Experiment",
    "Expression",
    "Features",
    "Feedforward",
    "Fixed",
    "Flow",
    "Gaussian",
    "GeneralizedChiSquare",
    "Given",
    "GradientDescent",
    "GradientFlow",
    "HeavyBall",
    "HeavyBallFlow",
    "Identity",
    "Kaiming",
    "Law",
    "Layer",
    "Linear",
    "LinearDecay",
    "LinearMap",
    "LinearWarmup",
    "LocallyConnected",
    "MinibatchDescent",
    "NearIdentity",
    "Nesterov",
    "NesterovFlow",
    "Network",
    "Optimizer",
    "Orthogonal",
    "Outcome",
    "Polynomial",
    "Preconditioned",
    "Predictor",
    "Proof",
    "ReLUExample",
    "Residual",
    "Schedule",
    "Setting",
    "SettingError",
    "Solution",
    "Start",
    "Stop",
    "Study",
    "Target",
    "TorchDefault",
    "Training",
    "WeightProof",
    "Xavier",
    "Zeros",
    "check_certificate",
    "check_properties",
    "crosscheck",
    "determinacy",
    "distance",
    "hull_probability",
    "integrate",
    "load",
    "problems",
    "prove",
    "prove_weight",
    "sample_complexity",
    "sandwich",
    "solve",
    "time_from_steps",
    "train",
    "train_ensemble",
    "verify",
]
HEAVY = ("sympy", "torch", "numpy", "scipy", "sklearn", "hypothesis", "matplotlib")
SIGNATURES = {
    "Setting": ["layer", "optimizer", "target", "loss", "weight_decay", "start"],
    "Predictor": ["setting", "inputs", "targets", "initial_weight", "initial_bias", "seed"],
    "integrate": [
        *("setting", "inputs", "targets", "initial_weight", "initial_bias", "times", "rtol", "seed"),
        *("state", "slope"),
    ],
    "crosscheck": ["predictor", "steps", "weights", "biases", "dtype", "learning_rate"],
    "prove": ["claim", "shapes", "assume", "scalars", "flow"],
    "prove_weight": ["weight", "shapes", "rate", "start", "limit", "assume", "scalars", "flow"],
    "verify": ["theorems", "setting", "inputs", "device", "seed"],
    "solve": ["setting"],
    "distance": ["queries", "points", "kind", "exact"],
    "determinacy": ["setting", "inputs", "test", "targets", "initial_weight", "initial_bias", "seed"],
    "sandwich": ["predictor", "x", "times", "hull"],
    "load": ["path"],
}


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def loaded_by(code: str) -> str:
    """The heavy modules that a fresh interpreter has loaded after some code."""
    return python(f"{code}\nimport sys\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))")


def test_the_public_names_are_exactly_these():
    assert closedflow.__all__ == NAMES
    assert sorted(NAMES) == NAMES
    assert set(dir(closedflow)) == {*NAMES, "__version__"}


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_found_documented_and_importable(name):
    pytest.importorskip("torch") if name in {"train", "verify", "crosscheck", "Training", "CrossCheck"} else None
    value = getattr(closedflow, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)
    namespace: dict = {}
    exec(f"from closedflow import {name}", namespace)
    assert namespace[name] is value


@pytest.mark.parametrize("name", SIGNATURES)
def test_documented_arguments_come_first_and_keep_their_names(name):
    parameters = list(inspect.signature(getattr(closedflow, name)).parameters)
    assert parameters[: len(SIGNATURES[name])] == SIGNATURES[name]


def test_a_public_name_is_never_hidden_by_a_module_of_the_same_name():
    code = (
        "import closedflow, importlib, pkgutil\n"
        "for found in pkgutil.iter_modules(closedflow.__path__):\n"
        "    if found.name != '__main__': importlib.import_module('closedflow.' + found.name)\n"
        "print([name for name in closedflow.__all__ if not callable(getattr(closedflow, name))])"
    )
    assert python(code) == "[]"


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="'Predictr'"):
        _ = closedflow.Predictr
    with pytest.raises(ImportError, match="Predictr"):
        exec("from closedflow import Predictr")


def test_a_star_import_brings_all_names_and_no_others():
    namespace: dict = {}
    exec("from closedflow import *", namespace)
    assert sorted(set(namespace) - {"__builtins__"}) == NAMES


def test_importing_closedflow_imports_nothing_heavy():
    assert loaded_by("import closedflow") == ""
    assert loaded_by("import closedflow; closedflow.SettingError; closedflow.Setting") == ""
    assert loaded_by("import closedflow; closedflow.solve") == "sympy"  # the check itself can see a module


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        [],
        ["--help"],
        *(
            [name, "--help"]
            for name in ("verify", "predict", "prove", "hull", "study", "sweep", "properties", "doctor")
        ),
    ],
)
def test_help_is_printed_without_the_heavy_modules(arguments):
    code = f"from closedflow.cli import run\ncode = run({arguments!r})\nprint('EXIT', code)"
    out = python(f"{code}\nimport sys\nprint('HEAVY', *sorted(set({HEAVY!r}) & set(sys.modules)))")
    assert out.splitlines()[-2:] == ["EXIT 0", "HEAVY"]
    assert ("0.1.0" if arguments == ["--version"] else "Usage: closedflow") in out


def test_help_names_every_command_and_the_exit_codes():
    out = python("from closedflow.cli import run\nrun(['--help'])")
    for word in ("verify", "theorems", "solve", "predict", "prove", "Exit codes: 0", "1 refuted", "2 bad", "3 undec"):
        assert word in out


def test_the_version_is_the_installed_one():
    from importlib.metadata import version

    assert closedflow.__version__ == version("closedflow")


def test_every_kind_of_a_family_is_public_if_it_ships_with_the_project():
    from theory.setting import FAMILIES

    shipped = {
        part.__name__
        for family in FAMILIES.values()
        for part in family.kinds.values()
        if part.__module__.startswith("theory.")
    }
    assert shipped <= set(NAMES)


def test_the_errors_are_value_errors_of_one_family():
    assert issubclass(closedflow.SettingError, ValueError)
    assert issubclass(closedflow.ClaimError, closedflow.SettingError)
    assert issubclass(closedflow.DataError, closedflow.SettingError)
