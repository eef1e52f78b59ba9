"""The studies of kernel, channels, depth, size and examples: their probes, their measures, and that they judge as they say."""

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="studies train networks")

from empirical.experiment import Outcome
from empirical.experiments.train_networks import TrainNetworks
from empirical.networks import Feedforward
from empirical.probes import CLASSES, kinds
from empirical.similarity import correlation, multiple_correlation
from empirical.sources import Digits
from empirical.studies import Result, Scale, Study
from empirical.studies.channels_against_depth import PAPER, SMALL
from empirical.studies.correlation_by_depth import CorrelationScan
from empirical.studies.depth_of_fcns import largest
from empirical.studies.examples_of_fcns import PredictedNetworks, worst_class
from empirical.studies.one_picture import relu_cnn
from theory.layers import Conv, Linear
from theory.optimizers import GradientDescent
from theory.starts import Gaussian


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_multiple_correlation_is_that_of_a_regression_on_the_pictures(count):
    """Oracle: R² of least squares with an intercept. The fourth picture is a combination of the others."""
    rng = np.random.default_rng(count)
    pictures, shown = rng.random((count, 1, 3, 4)), rng.random((2, 5, 1, 3, 4))
    if count == 4:
        pictures[3] = 2 * pictures[0] - pictures[1]
    design = np.column_stack([*pictures.reshape((count, -1)), np.ones(12)])
    found = multiple_correlation(shown, pictures, 3)
    for place in np.ndindex(2, 5):
        y = shown[place].ravel()
        fitted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        explained = ((fitted - y.mean()) ** 2).sum() / ((y - y.mean()) ** 2).sum()
        assert found[place] == pytest.approx(math.sqrt(explained), abs=1e-12)  # a dozen roundings of numbers of size 1
    if count == 1:
        assert found == pytest.approx(np.abs(correlation(shown, pictures[0], 3)), abs=1e-12)


def test_a_flat_picture_has_no_multiple_correlation():
    assert np.isnan(multiple_correlation(np.ones((1, 2, 2)), np.eye(2)[None, None], 3))


def test_no_probe_is_a_picture_that_was_trained_on(monkeypatch):
    """Of the 1797 digits the last seven are left."""
    seen = []
    monkeypatch.setattr(TrainNetworks, "measures", lambda self, outputs, shown, examples: seen.append(shown) or {})
    TrainNetworks(
        Feedforward(Linear()),
        GradientDescent(0.1),
        examples=tuple(range(1790)),
        seeds=(0,),
        steps=1,
        probes=("digits",),
        probe_count=30,
    ).run()
    left = Digits().images().values[1790:]
    assert all((probe == left).all(axis=(1, 2, 3)).any() for probe in seen[0])


def test_the_probes_of_the_heat_map_have_the_correlations_they_are_named_by():
    scan = CorrelationScan(
        Feedforward(Conv(3)), GradientDescent(0.1), probes=(), probe_count=4, correlations=(-0.5, 0.0, 0.25, 1.0)
    )
    images = Digits().images().values
    for name, shown in scan.shown(images[1:], images[:1]).items():
        measured = [np.corrcoef(probe.ravel(), images[0].ravel())[0, 1] for probe in shown]
        assert measured == pytest.approx([float(name)] * 4, abs=1e-12)  # exact but for rounding


def test_one_layer_is_compared_with_its_closed_form_and_its_limit():
    """At the limit f(x) = Π x + W0 (1 − Π) x, with Π the projector onto the examples, here from a QR decomposition."""
    experiment = PredictedNetworks(
        Feedforward(Linear(), start=Gaussian(0.1)),
        GradientDescent(0.2),
        examples=(3, 4, 5),
        seeds=(0, 1),
        steps=50,
        probes=("noise",),
        probe_count=3,
        dtype="float64",
    )
    numbers = experiment.run().numbers
    assert numbers["check"] == ["agrees", "agrees"]
    assert max(numbers["ratio"]) <= 1
    images = Digits().images().values
    basis, _ = np.linalg.qr(images[[3, 4, 5]].reshape((3, -1)).T)
    shown = experiment.shown(np.delete(images, (3, 4, 5), axis=0), images[[3, 4, 5]])["noise"].reshape((3, -1))
    inside = shown @ basis @ basis.T
    for seed, found in zip((0, 1), numbers["limit noise"], strict=True):
        weight = experiment.network.draw(seed, (64,), 64)[0][0]
        outputs = inside + (shown - inside) @ weight.T
        assert found == pytest.approx(
            np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(outputs, shown, strict=True)]), abs=1e-9
        )


@pytest.mark.parametrize("pairs", [SMALL, PAPER])
def test_wide_and_deep_networks_have_the_same_number_of_parameters(pairs):
    for channels, depth in pairs:
        if depth is not None:
            wide, deep = (relu_cnn(*shape).size((1, 14, 14), 1) for shape in ((5, channels), (depth, pairs[0][0])))
            assert abs(deep / wide - 1) < 0.03  # the protocol says so


def as_claimed(kind, experiment):
    """Identity and constant that a network would have if a study's claim were true."""
    network, examples = experiment.network, len(experiment.examples)
    if kind == "kernel_size":
        return (0.9, 0.2) if network.layer.kernel_size < 6 else (0.3, 0.9)
    if kind == "image_size":
        return (0.9, 0.2) if experiment.source.size > 12 else (0.3, 0.9)
    if kind == "depth_of_fcns":
        return 0.2, (0.95 if network.activation == "relu" and network.depth == 6 else 0.4)
    if kind == "examples_of_fcns":
        return 0.2, 0.95
    shallow = network.depth <= 5
    return (0.95 if shallow else 0.2 + 0.05 * examples), (0.2 if shallow else 0.95)


def outcome(kind, experiment, turned):
    """Numbers of three seeds that differ a little; turned: the identity and the constant change places."""
    identity, constant = as_claimed(kind, experiment)[:: -1 if turned else 1]
    jitter = np.array([-0.001, 0.0, 0.001])
    names = experiment.probes or [f"{rho:g}" for rho in experiment.correlations]
    numbers = {"steps": [9] * 3, "loss": [0.0] * 3, "unexplained": [0.0] * 3, "parameters": 5}
    for probe in names:
        higher = 0.04 if kind == "examples_of_fcns" and probe == "digits" else 0.0
        numbers[f"identity {probe}"] = (identity + higher + jitter).tolist()
        numbers[f"constant {probe}"] = (constant - jitter).tolist()
        if kind == "few_examples":
            numbers[f"recall {probe}"] = numbers[f"recalled {probe}"] = (constant - jitter).tolist()
    return Outcome(numbers)


STUDIES = (
    "channels_against_depth",
    "correlation_by_depth",
    "depth_of_fcns",
    "examples_of_fcns",
    "few_examples",
    "image_size",
    "kernel_size",
)


@pytest.mark.parametrize("kind", STUDIES)
def test_what_is_as_claimed_replicates_and_what_is_the_other_way_round_does_not(kind):
    study, scale = Study.kinds[kind](), Scale()
    for turned in (False, True):
        results = [Result(experiment, outcome(kind, experiment, turned)) for experiment in study.experiments(scale)]
        verdicts = [finding.verdict for finding in study.account(scale, results).findings]
        assert ("does not replicate" in verdicts) == turned
        assert turned or set(verdicts) == {"replicates"}


def test_networks_that_learn_the_identity_refute_that_fully_connected_ones_do_not():
    study, scale = Study.kinds["examples_of_fcns"](), Scale()
    results = [
        Result(experiment, outcome("examples_of_fcns", experiment, turned=False))
        for experiment in study.experiments(scale)
    ]
    for result in results:
        for probe in kinds():
            result.outcome.numbers[f"identity {probe}"] = [0.99, 0.991, 0.992]
    findings = study.account(scale, results).findings
    assert [finding.verdict for finding in findings[:3]] == ["does not replicate"] * 3


def test_a_network_that_has_not_learned_decides_nothing():
    assert np.isnan(largest(np.array([[0.1, np.nan], [0.2, 0.3]]))).tolist() == [False, True]


def test_the_worst_class_is_the_one_with_the_smallest_mean():
    values = {"natural": 0.9, "simple": 0.8, "fine": 0.3, "rotation": 0.5}
    numbers = {f"identity {kind}": [value] for name, value in values.items() for kind in CLASSES[name]}
    assert worst_class([Result(None, Outcome(numbers | {"unexplained": [0.0]}))]).item() == pytest.approx(0.3)
