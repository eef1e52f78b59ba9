"""Sweep files: every combination once, in a fixed order; what is misspelt or empty is refused."""

import itertools

import pytest

from empirical.experiments import Predict
from empirical.sweep import load_sweep, read_sweep
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import GradientDescent

BASE = """
[experiment]
kind = "predict"
layer = "linear"
[experiment.optimizer]
kind = "gradient_descent"
learning_rate = 0.1
"""


def test_a_grid_is_the_product_in_the_order_of_the_file_the_last_fastest():
    runs = read_sweep(
        BASE + '[grid]\nseed = [2, 0, 1]\noptimizer.learning_rate = [0.1, 0.3]\n"layer.bias" = [true, false]'
    )
    expected = [
        Predict(Linear(bias=bias), GradientDescent(rate), seed=seed)
        for seed, rate, bias in itertools.product((2, 0, 1), (0.1, 0.3), (True, False))
    ]
    assert runs == expected


def test_whole_components_can_be_varied_and_what_is_inside_them_too():
    text = (
        BASE
        + '[grid]\n"layer.bias" = [true]\nlayer = ["linear", {kind = "conv", kernel_size = 5}]\ntrain = [[0], [1, 2]]'
    )
    layers = (Linear(bias=True), Conv(kernel_size=5, bias=True))
    expected = [(layer, train) for layer in layers for train in ((0,), (1, 2))]
    assert [(run.layer, run.train) for run in read_sweep(text)] == expected


def test_several_grids_are_a_union_and_what_is_in_two_of_them_runs_once():
    text = (
        BASE + "[grid]\nloss = ['mse']\n[[grids]]\nseed = [0, 1]\n[[grids]]\nseed = [1, 2]\nweight_decay = [0.0, 0.5]"
    )
    assert [(run.seed, run.weight_decay) for run in read_sweep(text)] == [
        (0, 0.0),
        (1, 0.0),
        (1, 0.5),
        (2, 0.0),
        (2, 0.5),
    ]
    assert {run.loss for run in read_sweep(text)} == {"mse"}


def test_zipped_lists_change_together():
    text = BASE + "[zip]\nseed = [3, 4]\ntrain = [[5], [6]]"
    assert [(run.seed, run.train) for run in read_sweep(text)] == [(3, (5,)), (4, (6,))]
    both = read_sweep(text + "\n[grid]\nweight_decay = [0.0, 0.1]")
    assert [(run.weight_decay, run.seed) for run in both] == [(0.0, 3), (0.0, 4), (0.1, 3), (0.1, 4)]


def test_what_one_grid_changes_does_not_reach_the_next():
    text = BASE + "[[grids]]\n'optimizer.learning_rate' = [0.2]\n[[grids]]\nseed = [1]"
    assert [run.optimizer.learning_rate for run in read_sweep(text)] == [0.2, 0.1]


def test_modules_beside_the_file_are_imported(tmp_path):
    (tmp_path / "kinds_of_a_sweep.py").write_text(
        "from dataclasses import dataclass\nfrom empirical.experiment import Experiment\n"
        "@dataclass(frozen=True)\nclass SweptKind(Experiment):\n    size: int\n"
    )
    path = tmp_path / "sweep.toml"
    path.write_text('modules = ["kinds_of_a_sweep"]\n[experiment]\nkind = "swept_kind"\n[grid]\nsize = [1, 2]')
    assert [run.size for run in load_sweep(path)] == [1, 2]


ERRORS = [
    ("[experiment", "the sweep must be TOML, but it is not", "Mend that line"),
    ("[grid]\nseed = [0]", "the sweep must have a table [experiment]", "Add [experiment] with a kind"),
    ("experiment = 3\n[grid]\nseed = [0]", "the sweep at seed = 0: [experiment] must be a table", "key = value"),
    (
        "[experiment]\nkind = 'predic'\n[grid]\nseed = [0]",
        "the sweep at seed = 0: [experiment] kind must be",
        "'predict'?",
    ),
    ("[experiment]\n[grid]\nseed = [0]", "the sweep at seed = 0: [experiment] kind must be one of", "Use one of"),
    (f"grdi = 3\n{BASE}", "the sweep must have only the keys modules, experiment, grid", "Did you mean 'grid'?"),
    (BASE, "the sweep must have a [grid] of what is varied", "such as seed = [0, 1, 2]."),
    (f"grids = []\n{BASE}", "the sweep must have a [grid] of what is varied", "such as seed = [0, 1, 2]."),
    (f"grids = 3\n{BASE}", "[[grids]] of the sweep must be a list of tables, but it is 3", "before each of them."),
    (f"grids = [3]\n{BASE}", "[[grids]] 1 of the sweep must be a table, but it is 3", "key = value lines."),
    (f"{BASE}[grid]", "[grid] of the sweep must vary something, but it is empty", "seed = [0, 1, 2]."),
    (f"{BASE}[[grids]]\nseed = [1]\n[[grids]]", "[[grids]] 2 of the sweep must vary something", "[0, 1, 2]."),
    (
        f"{BASE}[grid]\nseed = []",
        "[grid] of the sweep must have lists of at least one value, but seed is []",
        "[1, 2].",
    ),
    (f"{BASE}[grid]\nlayer.bias = true", "must have lists of at least one value, but layer.bias is True", "[1, 2]."),
    (f"{BASE}[grid]\nsede = [1]", "the sweep at sede = 1: [experiment] of kind 'predict' must have", "mean 'seed'?"),
    (f"{BASE}[grid]\nlayr.bias = [true]", "the sweep at layr.bias = True: [experiment] of", "Did you mean 'layer'?"),
    (f"{BASE}[grid]\nlayer.bais = [true]", "the sweep at layer.bais = True: [layer] of kind 'linear'", "mean 'bias'?"),
    (f"{BASE}[grid]\nseed = [0]\nseed.x.y = [1]", "the sweep must be TOML", "Mend that line."),
    (f'{BASE}[grid]\nloss = ["mse"]\n"loss.x.y" = [1]', "the sweep at loss = 'mse', loss.x.y = 1: ", ""),
    (
        f'{BASE}[grid]\nseed = [0]\n"seed.x" = [1]',
        "the sweep at seed = 0, seed.x = 1: seed.x must be a field of a",
        "itself.",
    ),
    (f"{BASE}[grid]\nseed = [0, -1]", "the sweep at seed = -1: seed must be a number at least 0", "Choose one"),
    (
        f"{BASE}[zip]\nseed = [1]\ntrain = [[0], [1]]",
        "[zip] of the sweep must have lists of one length",
        "combinations.",
    ),
    (
        f"{BASE}[grid]\nseed = [1]\n[zip]\nseed = [1, 2]",
        "the sweep must vary each field in one place, but seed stands in two tables",
        "Leave out one.",
    ),
    (f"{BASE}[grid]\nseed = [1]\n[[grids]]\nseed = [1, 2]", "the sweep must vary each field in one place", "one."),
    (
        f"{BASE}[grid]\nseed = {list(range(1001))}\ntimes = {[[i] for i in range(1000)]}",
        "the sweep must have at most 1000000",
        "Split it.",
    ),
    (f"modules = 'x'\n{BASE}", "modules of the sweep must be a list of module names, but it is 'x'", "my_kinds"),
    (
        f"modules = ['absent_module']\n{BASE}",
        "modules of the sweep must be importable, but absent_module",
        "beside that file.",
    ),
]


@pytest.mark.parametrize(("text", "begins", "ends"), ERRORS)
def test_bad_sweeps_are_refused_with_the_repair(text, begins, ends):
    with pytest.raises(SettingError) as caught:
        read_sweep(text)
    message = str(caught.value)
    assert begins in message
    assert ends in message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "latin").write_bytes(b"\xff")
    for name, reason in (("absent", "No such file"), ("latin", "not UTF-8 text")):
        with pytest.raises(SettingError, match=f"a sweep must be a readable TOML file, but .*{name} is not: {reason}"):
            load_sweep(tmp_path / name)
