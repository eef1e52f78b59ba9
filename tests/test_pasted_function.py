"""`solve --format python`: for every optimiser, schedule and layer that ships, the pasted function is the Predictor, or is refused."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import closedflow as cf
from closedflow.evidence import _cases
from empirical.data import Images
from numerics.budget import Budget
from theory.errors import SettingError

IMAGES = Images(np.random.default_rng(0).standard_normal((3, 1, 4, 4)) / 4, "noise")
CASES = {f"{name}, {case}": make for name, case, make in _cases(IMAGES)}
# No formula, by nature: a recurrence (and Adam, which has no closed form at all).
REFUSED = {"AcceleratedDescent": "recurrence", "Adam": "linear in the weights"}
UNIT = 2.0**-53


def pasted(setting: cf.Setting):
    namespace: dict = {}
    exec(compile(cf.solve(setting).python(), "pasted", "exec"), namespace)
    return namespace["weight"]


@pytest.mark.parametrize("name", CASES)
def test_every_shipped_setting_pastes_or_says_why_not(name):
    kind = name.partition(",")[0]
    setting = CASES[name]()
    if kind in REFUSED:
        with pytest.raises(SettingError, match=REFUSED[kind]):
            cf.solve(setting).python()
        return
    predictor, weight = cf.Predictor(setting, setting.layer.arrange(IMAGES.values), seed=1), pasted(setting)
    problem, budget = predictor.problem, Budget(predictor)
    more = {}
    if "P" in inspect.signature(weight).parameters:
        more["P"] = np.array(setting.optimizer.matrix)
    if "blocks" in inspect.signature(weight).parameters:
        more["blocks"] = len(problem.features)
    size = float(np.linalg.norm(predictor.theta(0)) + np.linalg.norm(budget.travel))
    for time in (0, 1, 7):
        predicted = predictor.theta(time)[0]
        found = np.array(
            [
                weight(Phi=phi, Y=y, W0=start, **{time_name(weight): time}, **more)
                for phi, y, start in zip(problem.features, problem.columns, problem.start, strict=True)
            ]
        )
        # A residual of t factors or powers, each of a few roundings; the momentum's roots lose at most the square root's half
        # of the digits next to a double root, which these rates are not.
        allowed = budget.evaluation(time) + 1e4 * UNIT * (time + 1) * size
        assert np.linalg.norm(found - predicted) <= allowed
    moved = float(np.linalg.norm(predictor.theta(7) - predictor.theta(0)))
    assert moved > 100 * allowed  # an error of 1 % of what was learned would be seen


def time_name(function) -> str:
    (name,) = {"t", "k"} & set(inspect.signature(function).parameters)
    return name


def test_the_text_runs_alone_in_a_fresh_python_with_nothing_but_numpy(tmp_path):
    setting = cf.Setting(cf.Linear(), cf.GradientFlow(), start=cf.Zeros())
    script = (
        cf.solve(setting).python()
        + "\nprint(weight(np.array([[2.0], [0.0]]), np.array([[3.0]]), np.zeros((1, 2)), np.inf))\n"
    )
    (tmp_path / "alone.py").write_text(script, encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", "alone.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[[1.5", "0.", "]]"]


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no floats longer than float64 here")
@pytest.mark.parametrize("off", [0.0, *(sign * 10.0**-power for power in range(8, 17, 2) for sign in (1, -1))])
def test_next_to_a_double_root_the_pasted_function_keeps_ten_digits(off):
    """The roots differ by √δ and lose eps/√δ; nearer than 1e-15 the double root's formula is off by δk²: 1e-10 covers both."""
    rate, momentum = 0.02, 0.8
    s = (1 - np.sqrt(momentum)) ** 2 / rate * (1 + off)
    setting = cf.Setting(cf.Linear(), cf.HeavyBall(rate, momentum), start=cf.Fixed())
    x = np.array([[np.sqrt(s)]])
    predictor, weight = cf.Predictor(setting, x, initial_weight=[[0.0]]), pasted(setting)
    for k in (1, 5, 100):
        found = weight(Phi=x, Y=x, W0=np.zeros((1, 1)), k=k)
        assert abs(found[0, 0] - predictor.theta(k)[0, 0, 0, 0]) < 1e-10
