"""One fully connected layer trained to repeat its examples, against theorem 1: f(x) = Π∥x + W0 Π⊥x."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from empirical.batch import Stop
from empirical.device import DTYPES
from empirical.ensemble import check_optimizer, train_ensemble
from empirical.experiment import Experiment, Outcome
from empirical.networks import Feedforward
from empirical.sources import Digits, Source
from numerics.budget import Budget, unit_roundoff
from numerics.predictor import Predictor
from theory.component import one_of
from theory.layers import Linear, check_whole
from theory.optimizers import GradientFlow, Optimizer
from theory.setting import Setting
from theory.starts import Start, TorchDefault


@dataclass(frozen=True)
class TheoremOne(Experiment):
    r"""Trains :math:`f(x) = Wx` to repeat its examples X, and compares W with :math:`XX^+ + W_0(I - XX^+)`.

    Its numbers, one for each seed, distances as shares of the way ‖W0 − W∞‖ that the theorem predicts: ``distance`` to it;
    ``budget`` (None for Adam), what is left of the way after so many steps, and rounding; ``outside``, how far W moved
    outside the span, where it may not; ``signs``, the distance to :func:`sign_limit` (None for several examples);
    ``change``, the mean over other images of :math:`\|f(x) - f_\infty(x)\|/\|f_\infty(x)\|`; ``before`` and ``loss`` at both ends.

    Args:
        optimizer: A descent, its learning rate in units of 1/‖X‖², the fastest rate; or Adam, with its own.
        source: The images.
        examples: Which of them are trained on.
        start: Of W.
        seeds: One network for each.
        steps: So many.
        dtype: "float64" or "float32".
        shown: How many of the other images.

    Example:
        >>> from theory.optimizers import GradientDescent
        >>> found = TheoremOne(GradientDescent(0.5), seeds=(0,), steps=100).run().numbers
        >>> bool(found["distance"][0] <= found["budget"][0] < 1e-11)
        True
    """

    optimizer: Optimizer
    source: Source = Digits()
    examples: tuple[int, ...] = (0,)
    start: Start = TorchDefault()
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 1000
    dtype: str = "float64"
    shown: int = 20

    def __post_init__(self) -> None:
        check_optimizer(self.optimizer)
        one_of("dtype", self.dtype, DTYPES)
        check_whole("steps", self.steps, 1)

    def quick(self) -> Self:
        """Three steps of two networks."""
        return self.with_values(steps=min(self.steps, 3), seeds=self.seeds[:2])

    def run(self, device: str = "cpu") -> Outcome:
        """Trains by the toolkit's ensembles, and judges by the closed form of the flow, which Adam has not."""
        images = self.source.images()
        x = Linear().arrange(images.take(self.examples).values).astype(self.dtype).astype(float)
        flows = [Predictor(Setting(Linear(), GradientFlow(), start=self.start), x, seed=seed) for seed in self.seeds]
        optimizer = self.optimizer
        if optimizer.linear:
            fastest = float(flows[0].rates.max())
            optimizer = optimizer.with_values(learning_rate=optimizer.learning_rate / fastest)  # type: ignore[attr-defined]
        ensemble = train_ensemble(
            Feedforward(Linear(), start=self.start),
            x,
            x,
            seeds=self.seeds,
            optimizer=optimizer,
            stop=Stop(self.steps),
            device=device,
            dtype=self.dtype,
        )
        weights = ensemble.parameters[0].astype(float)
        limits = np.array([flow.theta(np.inf)[0, 0] for flow in flows])
        starts = np.array([flow.problem.start[0] for flow in flows])
        way = _norms(starts - limits)
        basis = flows[0].spectrum.left[0][:, flows[0].spectrum.values[0] > 0]
        outside = (weights - starts) - (weights - starts) @ basis @ basis.T
        rest = np.delete(images.values, self.examples, axis=0)[: self.shown]
        probes = Linear().arrange(rest).T
        wanted, made = limits @ probes, weights @ probes
        numbers: dict[str, Any] = {
            "distance": _norms(weights - limits) / way,
            "outside": _norms(outside) / way,
            "budget": None if not optimizer.linear else self.budgets(flows, optimizer) / way,
            "signs": None,
            "change": (np.linalg.norm(made - wanted, axis=1) / np.linalg.norm(wanted, axis=1)).mean(axis=-1),
            "before": [float(np.square(start @ x.T - x.T).sum() / 2) for start in starts],
            "loss": ensemble.losses,
        }
        if len(x) == 1:
            numbers["signs"] = _norms(weights - [sign_limit(start, x[0]) for start in starts]) / way
        pictures = np.stack([rest[0], *(values[:, 0].reshape(rest[0].shape) for values in (wanted[0], made[0]))])
        return Outcome(numbers, {"pictures": pictures})

    def budgets(self, flows: list[Predictor], optimizer: Optimizer) -> NDArray[np.float64]:
        """How far a linear rule can be from the limit after the steps, and by rounding, (K,)."""
        bounds = [Budget(flow) for flow in flows]
        left = [bound.truncation(self.steps, optimizer) + bound.evaluation(np.inf) for bound in bounds]
        return np.array(left) + [bound.rounding(self.steps, unit_roundoff(self.dtype), optimizer) for bound in bounds]


def sign_limit(start: Any, example: Any) -> NDArray[np.float64]:
    r"""Where Adam ends that learns one example x, if its ε is negligible: :math:`W_0 + (x - W_0x)\,\mathrm{sign}(x)^\top/\|x\|_1`.

    The gradient of row i is :math:`r_i x^\top`. Adam's moments of it are those of r_i times :math:`x_j` and :math:`x_j^2`, so each
    of its steps moves row i along :math:`\mathrm{sign}(x)^\top`; how far is fixed by Wx = x.

    Args:
        start: W0, (d, d).
        example: x, (d,), not 0.

    Example:
        >>> sign_limit(np.zeros((2, 2)), np.array([1.0, 3.0])).tolist()     # the rows sum to 1/4 and 3/4 of x's
        [[0.25, 0.25], [0.75, 0.75]]
    """
    start, example = np.asarray(start, dtype=float), np.asarray(example, dtype=float)
    return np.asarray(start + np.outer(example - start @ example, np.sign(example)) / np.abs(example).sum())


def _norms(values: Any) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(values, axis=(-2, -1)))
