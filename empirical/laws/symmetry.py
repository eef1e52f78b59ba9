"""Laws of what training does not see, or sees as another clock: scale, rotation, order, repetition, the kind of the layer."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from empirical.laws.hypotheses import (
    converging,
    dense_layer,
    gradient_flow,
    homogeneous_features,
    identity_target,
    mean_loss,
    no_bias,
    no_decay,
    no_preconditioner,
    one_real_block,
)
from empirical.laws.law import Law, Term, compare, norm
from empirical.laws.path import times_of
from empirical.layer_strategies import KINDS
from empirical.strategies import Case, layers, problems
from numerics.arrays import Float
from numerics.budget import UNITS, Budget
from numerics.predictor import Predictor
from theory.geometry import Axis
from theory.layers import Layer, Linear
from theory.targets import Given

FACTORS = (0.5, 3.0)


def _times(p: Predictor) -> list[float]:
    return [*times_of(p), *([] if converging(p) else [math.inf])]


@dataclass(frozen=True)
class Scaling(Law):
    """Inputs a times as bright are trained a² times as fast: x → ax is t → a²t."""

    assumes = (gradient_flow, identity_target, no_bias, no_decay, homogeneous_features)

    def problems(self) -> SearchStrategy[Case]:
        """The identity by gradient flow, without bias and decay."""
        plain = layers(odd=True, biases=False, kinds=[kind for kind in KINDS if kind != "polynomial"])
        return problems(plain, optimizer_kinds=["gradient_flow"], target_kinds=["identity"], decay=False)

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """W(t) on x against W(t/a²) on ax."""
        start, budget = p.problem.to_torch(p.problem.start), Budget(p)
        for factor in (*FACTORS, float(rng.uniform(*FACTORS))):
            bright = Predictor(p.setting, factor * p.problem.inputs, None, *start)
            bounds = Budget(bright)
            for time in _times(p):
                bound = budget.evaluation(time) + bounds.evaluation(time / factor**2)
                found = bright.theta(time / factor**2)[0]
                yield compare(found, p.theta(time)[0], bound, f"factor {factor:g}, time {time:g}")


def _turned(p: Predictor, turn: Float, what: str) -> Iterator[Term]:
    """Inputs and outputs turned by one matrix for the identity, else the inputs alone: W(t) turns with them."""
    problem, setting = p.problem, p.setting
    weight, bias = problem.to_torch(problem.start)
    both = not identity_target(p)
    outer = turn if both else np.eye(len(weight))
    chosen = setting if both else replace(setting, target=Given())
    targets = None if both else problem.targets
    turned = Predictor(
        chosen, problem.inputs @ turn.T, targets, outer @ weight @ turn.T, None if bias is None else outer @ bias
    )
    budget, bounds = Budget(p), Budget(turned)
    for time in _times(p):
        expected = outer @ p.weight(time)[0] @ turn.T
        # The turn itself rounds: the data as much as an evaluation is allowed to, the weights by two products of length d.
        bound = 2 * (budget.evaluation(time) + bounds.evaluation(time))
        bound += 4 * len(turn) ** 1.5 * UNITS["float64"] * (norm(weight) + norm(expected))
        yield compare(turned.weight(time)[0], expected, bound, f"{what}, time {time:g}")


@dataclass(frozen=True)
class Rotation(Law):
    """A fully connected layer turns with its inputs: data Qx from W0Qᵀ give W(t)Qᵀ, for the identity QW(t)Qᵀ from QW0Qᵀ."""

    assumes = (dense_layer, no_preconditioner)

    def problems(self) -> SearchStrategy[Case]:
        """Fully connected layers."""
        return problems(kinds=["linear"])

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """One random rotation."""
        size = p.problem.inputs.shape[1]
        yield from _turned(p, np.linalg.qr(rng.standard_normal((size, size)))[0], "a rotation")


@dataclass(frozen=True)
class Permutation(Law):
    """A fully connected layer does not know the order of its inputs."""

    assumes = (dense_layer, no_preconditioner)

    def problems(self) -> SearchStrategy[Case]:
        """Fully connected layers."""
        return problems(kinds=["linear"])

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """One random order."""
        size = p.problem.inputs.shape[1]
        yield from _turned(p, np.eye(size)[rng.permutation(size)], "another order")


def _without_groups(layer: Layer) -> Layer:
    return layer.with_values(groups=1)


@dataclass(frozen=True)
class Patches(Law):
    """A convolution is the fully connected layer on its patches, weight for weight, whatever the optimiser, loss and decay."""

    assumes = (one_real_block,)

    def problems(self) -> SearchStrategy[Case]:
        """Convolutions without groups, with odd kernels where the target may be the identity."""
        odd, every = (layers(odd=odd, kinds=["conv"]).map(_without_groups) for odd in (True, False))
        return st.one_of(problems(odd), problems(every, target_kinds=["constant", "linear_map", "given"]))

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """The weights as a matrix; a bias is one more patch entry that is 1. The patches of images are cut out here once more."""
        problem = p.problem
        setting = replace(p.setting, layer=Linear(), target=Given())
        axes = getattr(p.setting.layer, "axes", None)
        rows = (
            problem.features[0]
            if axes is None
            else _cut(problem.inputs, axes(problem.input_shape), p.setting.layer.bias)
        )
        dense = Predictor(setting, rows.T, problem.columns[0].T, problem.start[0])
        budget, bounds = Budget(p), Budget(dense)
        for time in _times(p):
            bound = budget.evaluation(time) + bounds.evaluation(time)
            yield compare(p.theta(time)[0], dense.theta(time)[0], bound, f"time {time:g}")


def _cut(x: Float, axes: Sequence[Axis], bias: bool) -> Float:
    """The patches of images, (features, N × positions), by numpy's padding and windows, without the layer's feature map."""
    modes = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    padded = np.pad(x, [(0, 0), (0, 0), *((axis.left, axis.right) for axis in axes)], mode=modes[axes[0].mode])  # type: ignore[call-overload]
    spatial = tuple(range(2, 2 + len(axes)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, [axis.span for axis in axes], axis=spatial)
    taps = tuple(slice(None, None, axis.dilation) for axis in axes)
    windows = windows[(slice(None), slice(None), *(slice(None, None, axis.stride) for axis in axes), *taps)]
    count = len(x) * math.prod(axis.positions for axis in axes)
    columns = np.moveaxis(windows, 1, 1 + len(axes)).reshape(count, -1).T  # (N, positions, channel, taps)
    return np.concatenate([columns, np.ones((1, count))]) if bias else columns


@dataclass(frozen=True)
class Repetition(Law):
    """The mean loss sees neither the order of the examples nor that all of them are there twice."""

    assumes = (mean_loss,)

    def problems(self) -> SearchStrategy[Case]:
        """With the mean loss."""
        return problems(losses=["mse"])

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """All examples twice, in two other orders."""
        problem = p.problem
        order = np.concatenate([rng.permutation(len(problem.inputs)) for _ in range(2)])
        setting = replace(p.setting, target=Given())
        twice = Predictor(setting, problem.inputs[order], problem.targets[order], *problem.to_torch(problem.start))
        budget, bounds = Budget(p), Budget(twice)
        for time in _times(p):
            bound = budget.evaluation(time) + bounds.evaluation(time)
            yield compare(twice.theta(time)[0], p.theta(time)[0], bound, f"time {time:g}")


@dataclass(frozen=True)
class MeanClock(Law):
    """Without decay the mean loss is the half sum on a slower clock: t is 2t/(entries of the targets)."""

    assumes = (mean_loss, gradient_flow, no_decay)

    def problems(self) -> SearchStrategy[Case]:
        """Gradient flow on the mean loss, without decay."""
        return problems(optimizer_kinds=["gradient_flow"], losses=["mse"], decay=False)

    def terms(self, p: Predictor, rng: np.random.Generator) -> Iterator[Term]:
        """W(t) by the mean against W(ct) by the half sum."""
        problem = p.problem
        setting = replace(p.setting, loss="half_sum", target=Given())
        summed = Predictor(setting, problem.inputs, problem.targets, *problem.to_torch(problem.start))
        c = 2 / problem.targets.size
        budget, bounds = Budget(p), Budget(summed)
        for time in _times(p):
            bound = budget.evaluation(time) + bounds.evaluation(c * time)
            yield compare(summed.theta(c * time)[0], p.theta(time)[0], bound, f"time {time:g}")
