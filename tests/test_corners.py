"""Corners that planted mistakes found open: each test stands here because a mistake of mutations.toml survived without it."""

from dataclasses import replace

import numpy as np
import pytest

from empirical.crosscheck import check_training, crosscheck
from empirical.train import train_problem
from numerics.predictor import Predictor
from numerics.problem import assemble
from theory.errors import ClaimError
from theory.layers import Conv, Linear
from theory.operators.words import Polynomial
from theory.optimizers import GradientDescent, GradientFlow
from theory.setting import Setting
from theory.solution import solve


def test_effective_rank_of_an_overshooting_mode_is_clipped_to_one_and_to_zero() -> None:
    # Rates 1 and 1/4 at a learning rate of 3/2: 1 - g = 3/2 and 3/8 after one step, 3/4 and 39/64 after two.
    p = Predictor(Setting(Linear(), GradientDescent(1.5)), [[1.0, 0.0], [0.0, 0.5]])
    # Three roundings of numbers near 1.
    np.testing.assert_allclose(p.effective_rank([0, 1, 2]), [0, 1 + 3 / 8, 3 / 4 + 39 / 64], rtol=0, atol=3 * 2.0**-53)


def test_effective_rank_under_decay_leaves_the_null_space_out() -> None:
    # Two modes of a 2×2 feature matrix, of which one is empty: it decays at rate 1/2, but nothing is learned in it.
    p = Predictor(Setting(Linear(), GradientFlow(), weight_decay=0.5), [[1.0, 0.0], [2.0, 0.0]])
    assert p.spectrum.ranks == [1]
    np.testing.assert_allclose(p.effective_rank([0.0, np.inf]), [0, 1], rtol=0, atol=2.0**-53)


@pytest.mark.parametrize("groups", [1, 3])
def test_printed_loss_scale_counts_the_outputs_of_every_block(groups: int) -> None:
    """torch's mean is over all channels; the printed letter counts those of one block."""
    setting = Setting(Conv(3, groups=groups), GradientFlow(), loss="mse")
    problem = Predictor(setting, np.ones((2, 6, 5))).problem
    _, outputs, columns = problem.columns.shape
    scale = solve(setting).scale
    assert len(scale.free_symbols) == 2  # outputs and columns, only ever as their product
    values = dict(zip(scale.free_symbols, (outputs, columns), strict=True))
    assert float(scale.subs(values)) == problem.scale == 2 / (groups * outputs * columns)


def test_words_of_different_shapes_are_neither_added_nor_multiplied() -> None:
    a, b = Polynomial(("d", "n"), {}), Polynomial(("q", "n"), {})
    assert (a + a).shape == ("d", "n")
    assert (a @ b.T).shape == ("d", "q")
    for combine in (lambda: a + b, lambda: a - b, lambda: a + a.T, lambda: a @ b):
        with pytest.raises(ClaimError, match="must"):
            combine()


def test_crosscheck_of_the_start_alone_is_not_run() -> None:
    p = Predictor(Setting(Linear(), GradientDescent(0.5)), [[1.0, 0.0]], seed=1)
    check = crosscheck(p, [0], p.weight([0]))
    assert (check.verdict, check.ratio) == ("not run", 0)
    assert "step 0" in check.reason
    assert crosscheck(p, [0, 1], p.weight([0, 1])).agrees


@pytest.mark.parametrize("record", [[0, 1], [3000]])
def test_diverged_training_disagrees_whatever_was_recorded_before(record: list[int]) -> None:
    pytest.importorskip("torch", reason="training needs torch")
    p = Predictor(Setting(Linear(), GradientDescent(0.5)), [[1.0, 0.0]], seed=1)
    wild = assemble(Setting(Linear(), GradientDescent(1e9)), [[1.0, 0.0]], seed=1)
    run = train_problem(wild, 3000, record=record, device="cpu")
    assert run.diverged
    assert check_training(p, run).verdict == "disagrees"
    # Even weights that are right as far as they go: what came after them is not.
    right = replace(run, steps=np.array([0, 1]), weights=p.weight([0, 1]), diverged=True)
    assert check_training(p, right).verdict == "disagrees"
    assert check_training(p, replace(right, diverged=False)).agrees
