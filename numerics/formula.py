r"""The prover's formulas on real data: the text that was proved is the text that is evaluated.

The exponentials of a formula are computed here from the eigenvalues of their generators, apart from the Predictor's
singular value decomposition: the two are tested against each other.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from numerics.arrays import Float, adjoint, quiet
from numerics.problem import Problem
from numerics.spectrum import spectrum
from theory.errors import SettingError
from theory.operators import evaluate, formula
from theory.targets import Identity
from theory.theorems import SHAPES, Shapes

SCALARS = ("c", "mu")


def letters(problem: Problem, test: Float | None = None) -> dict[str, Any]:
    """The values of the letters of a measured formula, block matrices.

    Args:
        problem: The training problem: X, Y, W0, c and mu.
        test: Test examples, (N, *input_shape): V, and Wstar, the weight of the identity.

    Raises:
        SettingError: If there are test examples and the layer cannot represent the identity.
    """
    setting = problem.setting
    values: dict[str, Any] = {
        "X": problem.features,
        "Y": problem.columns,
        "W0": problem.start,
        "c": problem.scale,
        "mu": setting.weight_decay,
    }
    if test is not None:
        values["V"] = setting.layer.features(test, np)
        star = Identity().weight(setting.layer, problem.input_shape, np.zeros_like(problem.start))
        values["Wstar"] = star
    return values


def value(
    text: str,
    values: Mapping[str, Any],
    *,
    flow: Mapping[str, str] | None = None,
    time: float = 0.0,
    shapes: Shapes = SHAPES,
) -> Float:
    """The value of a formula of the claim language, per block.

    Args:
        text: The formula.
        values: The letters' values, as :func:`letters` gives them.
        flow: The generators of its exponentials.
        time: The time of the exponentials.
        shapes: The letters' shapes by dimension name.

    Example:
        >>> x = np.array([[[2.0], [0.0]]])
        >>> value("X @ pinv(X)", {"X": x}).tolist()
        [[[1.0, 0.0], [0.0, 0.0]]]
    """
    shapes = {name: shape for name, shape in shapes.items() if name in values}
    declared = [name for name in SCALARS if name in values]
    generators = {
        name: _evaluate(formula(generator, shapes, scalars=declared), values)
        for name, generator in (flow or {}).items()
    }
    flows, integrals = {}, {}
    for name, generator in generators.items():
        flows[name], integrals[name] = exponential(generator, time)
    return _evaluate(formula(text, shapes, scalars=declared, flow=flow), values, flows, integrals)


def exponential(generator: Float, time: float) -> tuple[Float, Float]:
    """exp(-tG) and its integral from 0 to t, for symmetric positive semidefinite G, (blocks, n, n).

    Rates below n·eps of the fastest cannot be told from 0 in G and count as 0; the Predictor, which never forms G, sees them.

    Raises:
        SettingError: If G has a negative rate beyond rounding.
    """
    rates, basis = np.linalg.eigh(generator)
    # On the null space an eigenvalue is rounding, up to n·eps·‖G‖; times a long time it would look like a rate.
    floor = generator.shape[-1] * np.finfo(np.float64).eps * np.abs(rates).max(axis=-1, keepdims=True)
    if (rates < -floor).any():
        message = f"the generator of a flow must be positive semidefinite, but it has the rate {rates.min():g}. Check its sign."
        raise SettingError(message)
    rates = np.where(rates > floor, rates, 0.0)
    with quiet():
        gone = -np.expm1(-rates * time)
        area = np.where(rates > 0, gone / np.where(rates > 0, rates, 1), time)
    return _compose(basis, 1 - gone), _compose(basis, area)


def _compose(basis: Float, values: Float) -> Float:
    product: Float = (basis * values[:, None, :]) @ adjoint(basis)
    return product


def _evaluate(tree: Any, values: Mapping[str, Any], flows: Any = None, integrals: Any = None) -> Float:
    result: Float = evaluate(
        tree,
        values,
        identity=np.eye,
        pinv=lambda matrix: spectrum(matrix).pseudo_inverse(),
        flows=flows or {},
        integrals=integrals or {},
    )
    return result
