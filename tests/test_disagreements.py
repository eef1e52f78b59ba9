"""What a cross-check says when it disagrees, and where nothing can be seen."""

import numpy as np
import pytest

from empirical.crosscheck import _unseen, crosscheck
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import GradientDescent
from theory.schedules import Cosine, Expression
from theory.setting import Setting


def own_weights(steps: int = 6):
    setting = Setting(Linear(), GradientDescent(0.1))
    x = np.random.default_rng(0).standard_normal((2, 3)) / 3
    p = Predictor(setting, x, seed=1)
    return p, np.arange(steps), p.weight(np.arange(steps))


def test_a_check_is_true_only_if_it_agrees():
    p, steps, weights = own_weights()
    assert crosscheck(p, steps, weights)
    assert not crosscheck(p, steps, 1.01 * weights)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: 1.5 * w, "the start differs"),
        (lambda w: np.concatenate([w[:1]] * len(w)), "were they copied"),
        (lambda w: w.astype(np.float32).astype(np.float64), "pass dtype='float32'"),
        (lambda w: np.concatenate([w[:3], 1.01 * w[3:]]), "first at step 3"),
    ],
)
def test_a_disagreement_says_what_it_looks_like(change, words):
    p, steps, weights = own_weights()
    changed = change(weights)
    changed[0] = weights[0] if "start" not in words and "float32" not in words else changed[0]
    check = crosscheck(p, steps, changed)
    assert check.verdict == "disagrees"
    assert words in check.reason


def test_a_loop_that_diverged_says_where():
    p, steps, weights = own_weights()
    weights[4:] = np.nan
    check = crosscheck(p, steps, weights.astype(np.float32))
    assert (check.verdict, check.diverged) == ("disagrees", True)
    assert "not finite from step 4 on" in check.reason


def test_steps_at_which_nothing_can_be_seen_are_no_agreement():
    """A schedule that begins too fast multiplies rounding by 10⁵ and more before it slows down: float32 sees nothing any more."""
    x = np.eye(2)
    p = Predictor(Setting(Linear(), GradientDescent(10.0, Expression("1/(1 + t/3)"))), x, seed=1)
    steps = [0, 1, 2, 40]
    check = crosscheck(p, steps, p.weight(steps).astype(np.float32))
    assert check.verdict == "not run"
    assert "first at step" in check.reason
    assert crosscheck(p, steps[:2], p.weight(steps[:2])).agrees


def test_a_schedule_under_which_rounding_would_be_all_that_is_seen_is_refused():
    x = np.random.default_rng(0).random((12, 36))
    with pytest.raises(SettingError, match=r"no mode grows by more than 1e\+06, .* but the mode of eigenvalue"):
        Predictor(Setting(Linear(), GradientDescent(0.03, Cosine(100.0))), x)


def test_what_can_be_seen_is_asked_at_each_step_of_its_own():
    """Weights grow from 1 at step 1 to 100 at step 10, given in the other order: 0.5 is below 1 % of the later ones only."""
    assert _unseen(np.array([10.0, 1.0]), np.array([0.5, 0.001]), np.array([100.0, 1.0])) == ""
    assert "first at step 1" in _unseen(np.array([10.0, 1.0]), np.array([0.5, 0.5]), np.array([100.0, 1.0]))


def test_steps_may_come_in_any_order():
    p, steps, weights = own_weights()
    changed = np.concatenate([weights[:3], 1.01 * weights[3:]])
    assert crosscheck(p, steps[::-1], weights[::-1]).agrees
    assert "first at step 3" in crosscheck(p, steps[::-1], changed[::-1]).reason
    p = Predictor(Setting(Linear(), GradientDescent(10.0, Expression("1/(1 + t/3)"))), np.eye(2), seed=1)
    steps = [40, 0, 2, 1]
    back, forth = (crosscheck(p, s, p.weight(s).astype(np.float32)).reason for s in (steps, sorted(steps)))
    assert back == forth != ""
