"""Minibatch descent in expectation: against the mean over all batches, enumerated."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

import closedflow as cf
from numerics.budget import UNITS
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import GradientDescent, MinibatchDescent
from theory.setting import Setting
from theory.targets import Given

torch = pytest.importorskip("torch", reason="a sample is trained by torch")

U = UNITS["float64"]
RNG = np.random.default_rng(0)
X, Y, W0 = RNG.standard_normal((3, 2)), RNG.standard_normal((3, 1)), RNG.standard_normal((1, 2))


def setting(loss="half_sum", decay=0.0, batch_size=2):
    return Setting(Linear(), MinibatchDescent(0.1, batch_size), Given(), loss, decay)


def one_step(weight, batch, loss, decay):
    """Torch's gradient of the batch's loss by autograd, and a step of SGD."""
    parameter = torch.tensor(weight, requires_grad=True)
    chosen = list(batch)
    difference = torch.tensor(X[chosen]) @ parameter.T - torch.tensor(Y[chosen])
    value = (difference**2).mean() if loss == "mse" else len(X) / len(chosen) * (difference**2).sum() / 2
    value.backward()
    algorithm = torch.optim.SGD([parameter], lr=0.1, weight_decay=decay)
    algorithm.step()
    return parameter.detach().numpy()


@pytest.mark.parametrize("loss", ["half_sum", "mse"])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_mean_over_all_batches_of_all_steps_is_the_prediction(loss, decay, batch_size):
    predictor = Predictor(setting(loss, decay, batch_size), X, Y, initial_weight=W0)
    batches = list(itertools.product(range(len(X)), repeat=batch_size))
    weights = [W0]
    for step in range(1, 4 if batch_size == 1 else 3):
        weights = [one_step(weight, batch, loss, decay) for weight in weights for batch in batches]
        mean = np.mean(weights, axis=0)
        # Sums of at most 81 weights of size below 10, each off by a few roundings.
        assert np.abs(mean - predictor.weight(step)[0]).max() < 1e4 * U
        assert np.std(weights, axis=0).max() > 0.01  # the runs themselves are far apart


def test_batches_without_replacement_or_a_sum_that_is_not_scaled_have_another_mean():
    """The false twin: the half sum over the batch as it is."""
    predictor = Predictor(setting(), X, Y, initial_weight=W0)
    full = Predictor(Setting(Linear(), GradientDescent(0.1), Given()), X, Y, initial_weight=W0)
    np.testing.assert_array_equal(predictor.weight([0, 1, 9]), full.weight([0, 1, 9]))
    slow = Predictor(Setting(Linear(), GradientDescent(0.1 * 2 / 3), Given()), X, Y, initial_weight=W0)
    assert np.abs(predictor.weight(1) - slow.weight(1)).max() > 0.01


def test_a_run_is_a_sample_of_the_mean_and_is_not_compared_with_it():
    chosen = setting("mse")
    runs = [cf.train(chosen, X, Y, W0, seed=seed, steps=5, device="cpu") for seed in range(3)]
    again = cf.train(chosen, X, Y, W0, seed=1, steps=5, device="cpu")
    np.testing.assert_array_equal(again.weights, runs[1].weights)
    assert np.abs(runs[0].final - runs[1].final).max() > 1e-3
    check = cf.crosscheck(Predictor(chosen, X, Y, W0), runs[0].steps, runs[0].weights)
    assert check.verdict == "not run"
    assert "one run is one sample" in check.reason


@pytest.mark.parametrize("loss", ["half_sum", "mse"])
def test_every_run_is_one_of_the_batches(loss):
    """A step of the toolkit's training is, to rounding, that of one of the nine batches, and over a few seeds of several."""
    every = [one_step(W0, batch, loss, 0.3) for batch in itertools.product(range(3), repeat=2)]
    found = set()
    for seed in range(8):
        final = cf.train(setting(loss, 0.3), X, Y, W0, seed=seed, steps=1, device="cpu").final
        gaps = [np.abs(final - weight).max() for weight in every]
        assert min(gaps) < 100 * U
        found.add(int(np.argmin(gaps)))
    assert len(found) > 1


@pytest.mark.parametrize("loss", ["half_sum", "mse"])
def test_the_mean_of_many_runs_is_inside_hoeffdings_bound(loss):
    """Weights after two steps are bounded, as all 81 are known; so is the deviation of a mean of independent runs from theirs."""
    chosen, count = setting(loss), 200
    predictor = Predictor(chosen, X, Y, initial_weight=W0)
    batches = list(itertools.product(range(3), repeat=2))
    every = [one_step(one_step(W0, first, loss, 0.0), second, loss, 0.0) for first in batches for second in batches]
    width = np.ptp(every, axis=0)
    mean = np.mean(
        [cf.train(chosen, X, Y, W0, seed=seed, steps=2, device="cpu").final for seed in range(count)], axis=0
    )
    # P(|mean - E| > width·√(ln(2·2/1e-9)/(2·count))) < 1e-9 over both weights.
    assert (np.abs(mean - predictor.weight(2)[0]) <= width * np.sqrt(np.log(4e9) / (2 * count))).all()


def test_a_setting_is_proved_and_iterated_and_not_trained():
    for decay in (0.0, 0.2):
        chosen = Setting(Linear(), MinibatchDescent(0.1, 2), weight_decay=decay)
        (row,) = cf.verify(setting=chosen, inputs=X, device="cpu").rows
        assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "not run")
        assert "one run is one sample" in row.training.reason


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "2"])
def test_a_batch_is_a_whole_number_of_examples(batch_size):
    with pytest.raises(SettingError, match="batch_size must be"):
        MinibatchDescent(0.1, batch_size)


def test_the_mean_diverges_with_the_fastest_mode():
    with pytest.raises(SettingError, match=r"learning_rate must be below 0\.5 for these inputs \(largest rate .* 4\)"):
        Predictor(Setting(Linear(), MinibatchDescent(0.6, 1)), [[2.0]])


def test_a_field_named_batch_size_of_another_rule_draws_no_batches():
    @dataclass(frozen=True)
    class Mine(GradientDescent, abstract=True):
        batch_size: int = 1

    runs = [
        cf.train(Setting(Linear(), rule, Given()), X, Y, W0, steps=3, device="cpu").final
        for rule in (Mine(0.1), GradientDescent(0.1))
    ]
    np.testing.assert_array_equal(*runs)
