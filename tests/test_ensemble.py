"""Ensembles: each network is trained as if it were alone, ends by its own rule, and repeats bit by bit."""

import math
import weakref

import numpy as np
import pytest

from empirical.backends import backend
from empirical.batch import Batch, Stop
from empirical.device import import_torch
from empirical.ensemble import train_ensemble
from empirical.networks import Feedforward, build
from empirical.train import train
from theory.errors import SettingError
from theory.layers import CircularConv, Conv, Linear, LocallyConnected
from theory.optimizers import (
    AcceleratedDescent,
    Adam,
    AveragedDescent,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    MinibatchDescent,
    Nesterov,
)
from theory.schedules import Cosine
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Identity

torch = pytest.importorskip("torch", reason="ensembles are trained by torch")

IMAGES = np.random.default_rng(2).uniform(size=(2, 1, 5, 5))
DEEP = Feedforward(Conv(3), depth=3, width=3, start=Gaussian(0.3))
SEEDS = (4, 3, 1)
RULES = [
    GradientDescent(0.02),
    GradientDescent(0.02, schedule=Cosine(duration=30.0)),
    HeavyBall(0.02, 0.9),
    Nesterov(0.02, 0.5),
    AcceleratedDescent(0.02),
    Adam(0.01),
]


def run(network=DEEP, x=IMAGES, optimizer=RULES[0], **options):
    options = {"seeds": SEEDS, "stop": Stop(40), "device": "cpu", "dtype": "float64"} | options
    return train_ensemble(network, x, x, optimizer=optimizer, **options)


def alone(network, x, optimizer, seed, steps, decay=0.0, loss="half_sum"):
    """One network by torch's own modules, optimiser and autograd, step by step."""
    module = build(network, x.shape[1:], x.shape[1]).double()
    drawn = [value for part in network.draw(seed, x.shape[1:], x.shape[1]) for value in part if value is not None]
    for parameter, value in zip(module.parameters(), drawn, strict=True):
        parameter.data = torch.tensor(value)
    named = optimizer.torch_optimizer()
    algorithm = getattr(torch.optim, named.path.rpartition(".")[2])(
        module.parameters(), weight_decay=decay, **named.arguments
    )
    inputs = torch.tensor(x)
    for step in range(steps):
        algorithm.zero_grad()
        squares = (module(inputs) - inputs).square()
        (0.5 * squares.sum() if loss == "half_sum" else squares.mean()).backward()
        for group in algorithm.param_groups:
            group.update(optimizer.torch_options(step))
            if optimizer.schedule is not None and not optimizer.torch_options(step):
                group["lr"] = optimizer.learning_rate * (1 + math.cos(math.pi * min(step / 30, 1))) / 2
        algorithm.step()
    return [value.detach().numpy() for value in module.parameters()]


@pytest.mark.parametrize("optimizer", RULES, ids=str)
@pytest.mark.parametrize("loss", ["half_sum", "mse"])
def test_each_network_is_trained_as_if_it_were_alone(optimizer, loss):
    """To 1e-9: 40 steps of rounding 1e-16, grown by training that does not diverge; a wrong step shows at 1e-2."""
    ensemble = run(optimizer=optimizer, loss=loss, weight_decay=0.1)
    for place, seed in enumerate(SEEDS):
        for stacked, value in zip(
            ensemble.parameters, alone(DEEP, IMAGES, optimizer, seed, 40, 0.1, loss), strict=True
        ):
            np.testing.assert_allclose(stacked[place], value, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "layer", [Conv(3, bias=True), Linear(bias=True), Linear(), LocallyConnected(3), CircularConv()], ids=str
)
@pytest.mark.parametrize("examples", [1, 2])
@pytest.mark.parametrize("loss", ["half_sum", "mse"])
def test_one_layer_is_trained_by_its_known_gradient_as_by_autograd(layer, examples, loss):
    x = layer.arrange(IMAGES[:examples])
    network = Feedforward(layer, start=Gaussian(0.3))
    ensemble = run(network, x, HeavyBall(0.002, 0.5), loss=loss)
    setting = Setting(layer, HeavyBall(0.002, 0.5), Identity(), loss, start=Gaussian(0.3))
    for place, seed in enumerate(SEEDS):
        single = train(setting, x, seed=seed, steps=40, record=[40], device="cpu")
        np.testing.assert_allclose(ensemble.parameters[0][place], single.final, rtol=0, atol=1e-12)


def test_networks_end_one_by_one_and_the_others_go_on_as_before():
    whole = run(optimizer=Adam(0.01), stop=Stop(200, every=1))
    early = run(optimizer=Adam(0.01), stop=Stop(200, loss=0.2, every=1))
    assert set(early.reasons) == {"loss"}
    assert len(set(early.steps.tolist())) > 1
    assert (early.losses <= 0.2).all()
    for place, seed in enumerate(SEEDS):
        one = run(optimizer=Adam(0.01), seeds=(seed,), stop=Stop(int(early.steps[place])))
        np.testing.assert_allclose(early.parameters[0][place], one.parameters[0][0], rtol=0, atol=1e-9)
    assert whole.steps.tolist() == [200] * 3


def test_a_diverging_network_is_recorded_and_leaves_the_others_alone():
    """Rates that are too high for the larger start only."""
    network = Feedforward(Linear(), depth=2, activation="linear", start=Gaussian(0.9))
    x = np.eye(3)[:1] * 2
    ensemble = run(network, x, GradientDescent(0.28), seeds=range(12), stop=Stop(400, every=5))
    assert ensemble.diverged.any()
    assert not ensemble.diverged.all()
    assert np.isinf(ensemble.losses[ensemble.diverged]).all()
    assert np.isfinite(ensemble.losses[~ensemble.diverged]).all()


def test_a_plateau_ends_training_so_many_steps_after_the_last_fall():
    """One weight between two contradicting examples: the loss is ((w - 1)² + w²)/2 and w - 1/2 shrinks by 1 - 2η."""
    network, x, y = Feedforward(Linear(), start=Gaussian(3.0)), np.ones((2, 1)), np.array([[0.0], [1.0]])
    stop = Stop(500, plateau=60, every=10)
    ensemble = train_ensemble(
        network, x, y, seeds=SEEDS, optimizer=GradientDescent(0.05), stop=stop, dtype="float64", device="cpu"
    )
    for place, seed in enumerate(SEEDS):
        weight = float(network.draw(seed, (1,), 1)[0][0][0, 0])
        best, fell = math.inf, 0
        for step in range(0, 500, 10):
            now = 0.5 + 0.9**step * (weight - 0.5)
            loss = ((now - 1) ** 2 + now**2) / 2
            if loss < 0.99 * best:
                best, fell = loss, step
        assert fell > 0
        assert (ensemble.reasons[place], ensemble.steps[place]) == ("plateau", fell + 60)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_seeds_give_the_same_bits(dtype):
    first, second = (run(dtype=dtype, optimizer=Adam(0.01)) for _ in range(2))
    for one, other in zip(first.parameters, second.parameters, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_batch_size_agrees_to_rounding_after_one_step():
    """One step: sums of at most 2·25·27 products through 3 layers, forward and back; weights and gradients are of size 1."""
    whole, halves = run(stop=Stop(1)), run(stop=Stop(1), batch=2)
    for one, other in zip(whole.parameters, halves.parameters, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=6 * 2 * 25 * 27 * 2.0**-52)


def test_out_of_memory_halves_the_batch_says_so_and_changes_nothing(monkeypatch):
    whole, train_batch, tried = run(), Batch.train, []

    def short_of_memory(self, seeds, progress=None):
        tried.append(len(seeds))
        if len(seeds) > 1:
            raise import_torch().OutOfMemoryError
        return train_batch(self, seeds, progress)

    monkeypatch.setattr(Batch, "train", short_of_memory)
    ensemble = run()
    assert tried == [3, 2, 1, 1, 1]
    assert ensemble.notes == (
        "out of memory: 2 networks at once instead of 3",
        "out of memory: 1 networks at once instead of 2",
    )
    np.testing.assert_allclose(ensemble.parameters[0], whole.parameters[0], rtol=0, atol=1e-9)

    def no_memory(self, seeds, progress=None):
        raise import_torch().OutOfMemoryError

    monkeypatch.setattr(Batch, "train", no_memory)
    with pytest.raises(SettingError, match="must have memory for one network"):
        run()


def test_outputs_are_computed_in_parts_where_the_memory_does_not_hold_all(monkeypatch):
    ensemble = run()
    whole, tried = ensemble.outputs(IMAGES), []

    def short_of_memory(name, *network):
        forward = backend(name, *network)

        def short(parameters, x):
            tried.append(len(parameters[0]))
            if tried[-1] > 1:
                raise import_torch().OutOfMemoryError
            return forward(parameters, x)

        return short

    monkeypatch.setattr("empirical.ensemble.backend", short_of_memory)
    np.testing.assert_allclose(ensemble.outputs(IMAGES), whole, rtol=0, atol=1e-12)
    assert tried == [3, 2, 1, 1, 1]

    def no_memory(name, *network):
        def short(parameters, x):
            raise import_torch().OutOfMemoryError

        return short

    monkeypatch.setattr("empirical.ensemble.backend", no_memory)
    with pytest.raises(SettingError, match="must have memory for one network"):
        ensemble.outputs(IMAGES)


def test_memory_is_given_back_when_nothing_holds_what_ran_out_of_it(monkeypatch):
    """An exception's traceback holds the tensors of every function that it left."""
    held = []

    class Large:
        """Stands for a batch's tensors."""

    def short_of_memory(self, seeds, progress=None):
        large = Large()
        held.append(weakref.ref(large))
        raise import_torch().OutOfMemoryError

    monkeypatch.setattr(Batch, "train", short_of_memory)
    monkeypatch.setattr(Batch, "release", lambda self: freed.append(held[-1]() is None))
    freed = []
    with pytest.raises(SettingError, match="must have memory for one network"):
        run()
    assert freed == [True, True, True]  # of 3, 2 and 1 networks


def test_tf32_is_off_unless_asked_for():
    for wanted in (False, True):
        seen = run(
            stop=Stop(1),
            record=[0],
            observe=lambda *_: (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
            **({"tf32": True} if wanted else {}),
        ).records
        assert seen[0][2] == (wanted, wanted)
    assert not torch.backends.cuda.matmul.allow_tf32


def test_what_is_observed_is_all_that_is_held_and_knows_its_members():
    seen = run(
        optimizer=Adam(0.01),
        stop=Stop(60, loss=0.2, every=1),
        record=[0, 10, 60],
        batch=2,
        observe=lambda step, members, forward: forward(torch.tensor(IMAGES)).shape[0],
    ).records
    assert [(step, members, count) for step, members, count in seen if step == 0] == [(0, (0, 1), 2), (0, (2,), 1)]
    assert all(len(members) == count for _, members, count in seen)


def test_outputs_are_those_of_the_trained_networks():
    ensemble = run()
    outputs = ensemble.outputs(IMAGES)
    losses = 0.5 * ((outputs - IMAGES) ** 2).reshape(3, -1).sum(axis=1)
    np.testing.assert_allclose(losses, ensemble.losses, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": ()}, "seeds must hold at least one"),
        ({"record": [0, 41], "observe": print}, r"record must hold steps from 0 to 40, but it holds 41"),
        ({"record": [-1], "observe": print}, r"record must hold steps from 0 to 40, but it holds -1"),
        ({"record": [1]}, "observe must be given"),
        ({"batch": 0}, "batch must be a number at least 1"),
        ({"optimizer": GradientFlow()}, "optimizer must take steps"),
        ({"optimizer": AveragedDescent(0.1)}, "optimizer must be a plain full-batch rule"),
        ({"optimizer": MinibatchDescent(0.1, 1)}, "optimizer must be a plain full-batch rule"),
        ({"x": np.zeros((0, 1, 5, 5))}, "must hold examples"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"loss": "mae"}, "loss must be one of"),
        ({"backend_name": "jax"}, "backend must be one of"),
        ({"stop": Stop(10), "seeds": (-1,)}, "seed must be a number at least 0"),
    ],
)
def test_bad_input_is_one_clear_error(change, words):
    with pytest.raises(SettingError, match=words):
        run(**change)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_compiled_training_agrees():
    """To the rounding of float64 over 40 steps; compiling takes too long on a CPU for a test."""
    one, other = run(device="cuda"), run(device="cuda", compiled=True)
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-9)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_trains_what_the_cpu_trains():
    here, there = run(), run(device="cuda")
    for one, other in zip(here.parameters, there.parameters, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)
