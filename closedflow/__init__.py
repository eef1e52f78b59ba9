"""Prove it, integrate it, train it: closed-form training of neural-network layers, verified three ways.

The public names, imported when they are first used: the command line starts without sympy and torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "theory.setting": ("Setting",),
    "theory.layers": (
        "Layer",
        "Linear",
        "Conv",
        "CircularConv",
        "LocallyConnected",
        "Polynomial",
        "Features",
        "Residual",
    ),
    "theory.optimizers": (
        "Optimizer",
        "Descent",
        "Flow",
        "GradientFlow",
        "GradientDescent",
        "HeavyBall",
        "Nesterov",
        "HeavyBallFlow",
        "NesterovFlow",
        "Adam",
        "AcceleratedDescent",
        "AveragedDescent",
        "AveragedFlow",
        "MinibatchDescent",
        "Preconditioned",
    ),
    "theory.schedules": ("Schedule", "LinearWarmup", "LinearDecay", "Cosine", "Expression"),
    "theory.targets": ("Target", "Identity", "Constant", "LinearMap", "Given"),
    "theory.starts": (
        "Start",
        "TorchDefault",
        "Gaussian",
        "Zeros",
        "Orthogonal",
        "Xavier",
        "Kaiming",
        "NearIdentity",
        "Fixed",
    ),
    "theory.errors": ("SettingError", "ClaimError", "DataError"),
    "theory.solution": ("solve", "Solution"),
    "theory.operators": ("prove", "prove_weight", "Proof", "WeightProof", "check_certificate"),
    "theory.time": ("time_from_steps",),
    "numerics.predictor": ("Predictor",),
    "numerics.laws": ("GeneralizedChiSquare",),
    "numerics.hulls": ("distance",),
    "numerics.hull_laws": ("hull_probability",),
    "numerics.extrapolation": ("determinacy",),
    "numerics.sandwich": ("sandwich",),
    "numerics.relu": ("ReLUExample",),
    "numerics.integrate": ("integrate",),
    "numerics.sample_complexity": ("sample_complexity",),
    "empirical.train": ("train", "Training"),
    "empirical.networks": ("Network", "Feedforward"),
    "empirical.batch": ("Stop",),
    "empirical.ensemble": ("train_ensemble", "Ensemble"),
    "empirical.experiment": ("Experiment", "Outcome"),
    "empirical.studies.study": ("Study",),
    "empirical.crosscheck": ("crosscheck", "CrossCheck"),
    "empirical.laws": ("Law",),
    "empirical.properties": ("check_properties",),
    "empirical.strategies": ("problems",),
    "closedflow.verdicts": ("verify",),
    "closedflow.saved": ("load",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        import difflib

        close = difflib.get_close_matches(name, __all__, n=1)
        message = f"module 'closedflow' has no attribute {name!r}"
        raise AttributeError(f"{message}. Did you mean {close[0]!r}?" if close else message)
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
