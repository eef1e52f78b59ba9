"""Derivative, start and limit against finite differences; evaluation against direct computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from theory.errors import ClaimError
from theory.operators import evaluate, formula

Array = np.ndarray[Any, np.dtype[np.float64]]

SHAPES = {"X": ("d", "n"), "Y": ("q", "n"), "W0": ("q", "d")}
FLOWS = {"E": "c * X @ X.T + mu * I", "g": "X.T @ X"}
SCALARS = ["c", "mu"]
DEFINITIONS = {
    "W": "W0 @ E + c * Y @ X.T @ integral(E)",
    "V": "W0 + (Y - W0 @ X) @ integral(g) @ X.T",
}
MOVING = ["W", "V", "W @ X @ g", "t * E @ W.T", "t**2 / (1 + t) * W", "pinv(E) @ X", "(E @ X @ g).T", "integral(E) @ E"]


def generators(values: dict[str, Any]) -> dict[str, Array]:
    x = values["X"]
    return {"E": values["c"] * x @ x.T + values["mu"] * np.eye(len(x)), "g": x.T @ x}


def value(text: str, values: dict[str, Any], time: float) -> Array:
    """The formula at one time; the flow and its integral by the exponential of a block matrix (Van Loan)."""
    tree = formula(text, SHAPES, scalars=SCALARS, flow=FLOWS, where=DEFINITIONS)
    flows, integrals = {}, {}
    for name, generator in generators(values).items():
        size = len(generator)
        block = np.block([[-generator, np.eye(size)], [np.zeros((size, 2 * size))]])
        exponential = expm(time * block)
        flows[name], integrals[name] = exponential[:size, :size], exponential[:size, size:]
    everything = {**values, "t": time}
    result: Array = evaluate(tree, everything, identity=np.eye, pinv=np.linalg.pinv, flows=flows, integrals=integrals)
    return result


def draw(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    values: dict[str, Any] = {"X": random.normal(size=(3, 2)), "Y": random.normal(size=(4, 2))}
    return values | {"W0": random.normal(size=(4, 3)), "c": 0.7, "mu": 0.3}


@pytest.mark.parametrize("text", MOVING)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_derivative_is_that_of_central_differences(text: str, seed: int) -> None:
    values, time, step = draw(seed), 0.5, 1e-4
    difference = (value(text, values, time + step) - value(text, values, time - step)) / (2 * step)
    # The truncation error is step²/6 times a third derivative of moderate size.
    np.testing.assert_allclose(value(f"d({text})", values, time), difference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("text", MOVING)
def test_the_start_is_the_value_at_time_zero(text: str) -> None:
    values = draw(0)
    start = formula(f"start({text})", SHAPES, scalars=SCALARS, flow=FLOWS, where=DEFINITIONS)
    if "integral(E) @ E" in text:
        return  # zero: no matrix is left to evaluate
    direct = evaluate(start, values, identity=np.eye, pinv=np.linalg.pinv)
    np.testing.assert_allclose(direct + np.zeros_like(value(text, values, 0.0)), value(text, values, 0.0), atol=1e-12)


def test_the_limit_is_the_value_after_a_long_time() -> None:
    random = np.random.default_rng(1)
    x, w0 = random.normal(size=(4, 2)), random.normal(size=(3, 4))
    shapes = {"X": ("d", "n"), "W0": ("q", "d")}
    for text in ("W0 @ E", "(W0 @ E @ X).T", "W0 @ (I - E) @ (2 * I + E)"):
        limit = formula(f"limit({text})", shapes, flow={"E": "X @ X.T"})
        late = formula(text, shapes, flow={"E": "X @ X.T"})
        arrays = {"X": x, "W0": w0}
        expected = evaluate(late, arrays, identity=np.eye, pinv=np.linalg.pinv, flows={"E": expm(-1e4 * x @ x.T)})
        found = evaluate(limit, arrays, identity=np.eye, pinv=np.linalg.pinv)
        # exp(-1e4 λ) is far below rounding for these eigenvalues.
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_evaluation_is_direct_computation_with_batches_in_front() -> None:
    random = np.random.default_rng(0)
    x, w, decay = random.normal(size=(5, 3, 4)), random.normal(size=(2, 3)), random.normal(size=(5, 3, 3))
    shapes = {"X": ("d", "n"), "W": ("q", "d")}
    tree = formula("1/3 * W @ (I - E) @ X @ pinv(X) - W", shapes, flow={"E": "X @ X.T"})
    found = evaluate(tree, {"X": x, "W": w}, identity=np.eye, pinv=np.linalg.pinv, flows={"E": decay})
    expected = w @ (np.eye(3) - decay) @ x @ np.linalg.pinv(x) / 3 - w
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_evaluation_runs_on_torch() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)
    tree = formula("(X @ X.T + 2 * I).T @ X", {"X": ("d", "n")})
    found = evaluate(tree, {"X": x}, identity=torch.eye, pinv=torch.linalg.pinv)
    assert torch.equal(found, (x @ x.T + 2 * torch.eye(2, dtype=torch.float64)) @ x)


def test_zeros_and_identities_vanish_in_products() -> None:
    x = np.array([[1.0, 2.0]])
    tree = formula("0 @ X.T @ X + I @ X - 0", {"X": ("d", "n")})
    np.testing.assert_array_equal(evaluate(tree, {"X": x}, identity=np.eye, pinv=np.linalg.pinv), x)
    tree = formula("X + pinv(2 * I) @ X", {"X": ("d", "n")})
    np.testing.assert_array_equal(evaluate(tree, {"X": x}, identity=np.eye, pinv=np.linalg.pinv), 1.5 * x)


def test_an_unresolved_derivative_is_not_evaluated() -> None:
    from theory.operators import Derivative, Letter

    with pytest.raises(ClaimError, match="free of d, start and limit"):
        evaluate(Derivative(Letter("X")), {"X": 1.0}, identity=np.eye, pinv=np.linalg.pinv)
