"""Theorem T6 on deep networks: it holds at every depth and precision, and what breaks a hypothesis is seen."""

import dataclasses

import numpy as np
import pytest

from closedflow.verdicts import measurement
from empirical.data import digits
from theory.layers import Conv, Linear
from theory.optimizers import Adam, GradientDescent, HeavyBall
from theory.theorems import find

torch = pytest.importorskip("torch", reason="cases are trained")
from empirical import first_layer  # noqa: E402
from empirical.first_layer import FULL, STILL, Run  # noqa: E402

IMAGES = digits().values
CASES = [pytest.param(case, id=case.name) for case in find("T6").own_cases]
DENSE = find("T6").own_cases[:2]  # whose range leaves out no single entry of the weight: each entry moves


def measured(case, **changes):
    """A case with other options."""
    case = dataclasses.replace(case, options={**case.options, **changes})
    return measurement(case, IMAGES[: case.examples], IMAGES[[100, 500, 900]], 0)


@pytest.mark.theorem("T6")
@pytest.mark.parametrize("case", CASES)
def test_the_first_layer_stays_outside_the_range_at_every_level(case):
    found = measured(case)
    assert found.training("cpu", "float64").verdict == "agrees"
    assert found.training("cpu", "float32").verdict == "agrees"
    assert found.integration().verdict == "agrees"


@pytest.mark.theorem("T6")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in DENSE])
def test_adam_which_preconditions_is_found(case):
    depth = case.options["depths"][:1]
    assert measured(case, optimizer=Adam(0.1), depths=depth).training("cpu", "float64").verdict == "disagrees"
    plain = measured(case, optimizer=GradientDescent(1.0), depths=depth)
    assert plain.training("cpu", "float64").verdict == "agrees"


@pytest.mark.theorem("T6")
@pytest.mark.parametrize("share", [1e-2, 1e-6])
def test_a_planted_error_of_the_weight_is_found(share, monkeypatch):
    plain = Run.weight

    def off(run):
        weight = plain(run)
        return weight * (1 + share) if hasattr(run, "start") else weight

    monkeypatch.setattr(Run, "weight", off)
    found = measured(DENSE[0], depths=(3,))
    assert found.training("cpu", "float64").verdict == "disagrees"
    assert found.integration().verdict == "disagrees"


def test_what_could_not_fail_is_not_run(monkeypatch):
    spans = measured(DENSE[1], layer=Conv(3), depths=(2,))  # nine taps, all seen
    assert spans.training("cpu", "float64").reason == FULL
    monkeypatch.setattr(first_layer, "STEPS", 0)
    assert measured(DENSE[0], depths=(2,)).training("cpu", "float64").reason == STILL


def test_the_norm_of_b_is_that_of_the_gradient_by_the_first_layers_outputs():
    """Two layers by hand: B = (W₂ᵀ(f − x)) where the first layer's output is positive."""
    found = measured(DENSE[0], depths=(2,))
    run = Run(found, found.networks[0], "cpu", "float64")
    first, second = (part.detach().numpy() for part in run.module.parameters())
    x = found.inputs.T
    hidden = first @ x
    wanted = (second.T @ (second @ np.maximum(hidden, 0) - x)) * (hidden > 0)
    with run.listening():
        run.slope()
    assert run.back == [pytest.approx(np.linalg.norm(wanted), rel=1e-12)]  # sums of 128 products
    slope = run.module.layers[0].weight.grad.numpy()
    np.testing.assert_allclose(slope, wanted @ x.T, rtol=0, atol=1e-12 * np.abs(slope).max())
    assert np.linalg.norm(run.outside(np.array([slope]))) <= 1e-12 * np.linalg.norm(slope)


@pytest.mark.parametrize("layer", [Linear(), Linear(bias=True)])
def test_a_bias_is_a_row_that_is_always_in_the_range(layer):
    found = measured(DENSE[0], layer=layer, depths=(2,), optimizer=HeavyBall(1.0, 0.5))
    assert found.training("cpu", "float64").verdict == "agrees"
