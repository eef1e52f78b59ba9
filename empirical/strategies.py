"""Hypothesis strategies for settings, data and whole problems: for the project's tests and for users' own theorems.

Everything is built from factors and valid by construction, never by rejection: a kernel is drawn before the image that
it must fit, the spectrum of the data before the data, the data before the learning rate that they allow. Rank-deficient
data, blank channels and repeated examples are ordinary here, because that is where formulas break.

Example:
    A law of one's own, on random problems of every kind::

        @given(problems())
        def test_a_prediction_starts_at_the_start(case):
            assert (Predictor(*case).weight(0)[0] == case.initial_weight).all()
"""

from collections.abc import Collection, Sequence
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from empirical.layer_strategies import KINDS, output_channels
from empirical.layer_strategies import input_shapes as input_shapes
from empirical.layer_strategies import layers as layers
from numerics.arrays import Float
from numerics.spectrum import spectrum
from theory.layers import Layer, Shape
from theory.optimizers import GradientFlow, Optimizer
from theory.setting import LOSSES, Setting
from theory.starts import Fixed, Gaussian, Orthogonal, Start, TorchDefault, Zeros
from theory.targets import Constant, Given, Identity, LinearMap, Target

MAX_LEARNING_RATE = 1e6
MAX_RATE_FRACTION = 0.95  # of the learning rate at which a descent stops converging
MAX_TARGET_ENTRIES = 600  # of a constant or a matrix that is drawn, where there is a choice: a setting prints them
TARGETS = ("identity", "constant", "linear_map", "given")


class Case(NamedTuple):
    """A drawn problem, in the argument order of ``Predictor``, ``integrate`` and ``train``: pass it as ``*case``.

    ``targets`` are None unless the target is ``Given()``; the start has torch's shapes, no bias for a layer without.
    """

    setting: Setting
    inputs: Float
    targets: Float | None
    initial_weight: Float
    initial_bias: Float | None


def seeds() -> SearchStrategy[int]:
    """Seeds of numpy generators; they shrink to 0.

    Example:
        >>> from hypothesis import find
        >>> find(seeds(), lambda seed: True)
        0
    """
    return st.integers(0, 2**16)


def spectra(size: int) -> SearchStrategy[Float]:
    """Eigenvalues, so many, descending: ordinary ones, repeated ones, exact zeros, and near-zeros down to 1e-300.

    Example:
        >>> from hypothesis import find
        >>> find(spectra(3), lambda s: s[0] > 0 and s[2] == 0).tolist()
        [1.0, 0.0, 0.0]
    """
    ordinary = st.floats(-3, 2).map(lambda power: 10.0**power)
    near_zero = st.floats(-300, -12).map(lambda power: 10.0**power)
    value = st.one_of(st.just(0.0), st.just(1.0), ordinary, near_zero)
    return st.lists(value, min_size=size, max_size=size).map(lambda values: np.sort(np.array(values))[::-1])


@st.composite
def singular_values(draw: DrawFn, size: int, rank: int | None = None, condition: float = 1e3) -> Float:
    """Singular values, descending from 1: ``rank`` of them (drawn if None) within ``condition``, the rest exactly 0.

    Example:
        >>> from hypothesis import find
        >>> find(singular_values(3, rank=2), lambda values: True).tolist()
        [1.0, 1.0, 0.0]
    """
    rank = draw(st.integers(min(1, size), size)) if rank is None else rank
    powers = draw(st.lists(st.floats(0, 1), min_size=max(rank - 1, 0), max_size=max(rank - 1, 0)))
    values = [1.0, *(condition**-power for power in sorted(powers))][:rank]
    return np.array(values + [0.0] * (size - rank))


@st.composite
def feature_data(
    draw: DrawFn,
    features: int | None = None,
    examples: int | None = None,
    rank: int | None = None,
    condition: float = 1e3,
    scale: float = 1.0,
) -> Float:
    r"""Inputs of a Linear layer, (examples, features): :math:`X^\top`, :math:`X = U \Sigma V^\top` by its spectrum.

    Args:
        draw: Hypothesis passes it.
        features: The length of an example; drawn from 1 to 6 if None.
        examples: How many; drawn from 1 to 5 if None, so that fewer examples than features are the normal case.
        rank: The rank; drawn if None.
        condition: The largest ratio of positive singular values.
        scale: The largest singular value.

    Example:
        >>> from hypothesis import find
        >>> x = find(feature_data(features=4, examples=3, rank=2), lambda x: True)
        >>> x.shape, np.linalg.matrix_rank(x).item()
        ((3, 4), 2)
    """
    features = draw(st.integers(1, 6)) if features is None else features
    examples = draw(st.integers(1, 5)) if examples is None else examples
    values = draw(singular_values(min(features, examples), rank, condition))
    rng = np.random.default_rng(draw(seeds()))
    left, right = (np.linalg.qr(rng.standard_normal((side, len(values))))[0] for side in (examples, features))
    return np.asarray(scale * (left * values) @ right.T)


@st.composite
def images(draw: DrawFn, shape: Shape, examples: int | None = None) -> Float:
    r"""Inputs of a Conv layer, (examples, \*shape): noise, flat or one lit corner pixel, blank channels, duplicates.

    The shape of one is (C, \*spatial); ``examples`` are drawn from 1 to 3 if None.

    Example:
        >>> from hypothesis import find
        >>> find(images((1, 2, 2), examples=1), lambda x: (x != 0).sum() == 1).tolist()
        [[[[1.0, 0.0], [0.0, 0.0]]]]
    """
    examples = draw(st.integers(1, 3)) if examples is None else examples
    drawn: list[Float] = []
    for _ in range(examples):
        what = draw(st.sampled_from(("noise", "flat", "corner", "duplicate") if drawn else ("noise", "flat", "corner")))
        image = np.zeros(shape)
        if what == "noise":
            image = np.random.default_rng(draw(seeds())).standard_normal(shape)
        elif what == "flat":
            image = np.ones(shape)
        elif what == "corner":
            image[(0,) * len(shape)] = 1.0
        drawn.append(drawn[0].copy() if what == "duplicate" else image)
    batch = np.array(drawn)
    blank = draw(st.sets(st.integers(1, shape[0] - 1), max_size=shape[0] - 1)) if shape[0] > 1 else set()
    batch[:, sorted(blank)] = 0.0
    return batch


def inputs(shape: Shape, examples: int | None = None) -> SearchStrategy[Float]:
    """Training inputs of one example's shape: :func:`feature_data` for a flat one, :func:`images` otherwise.

    Example:
        >>> from hypothesis import find
        >>> find(inputs((3,), examples=2), lambda x: True).shape
        (2, 3)
    """
    return feature_data(features=shape[0], examples=examples) if len(shape) == 1 else images(shape, examples)


# What may be drawn for a parameter of an optimiser, by its name; parameters with a default that are not here keep it.
PARAMETERS: dict[str, SearchStrategy[Any]] = {
    "momentum": st.one_of(st.sampled_from([0.0, 0.5, 0.9]), st.floats(0, 0.99)),
    "batch_size": st.integers(1, 3),
    "friction": st.one_of(st.sampled_from([1.0, 2.0]), st.floats(0.1, 5)),
}


def _drawable(kind: type[Optimizer]) -> bool:
    needed = {field.name for field in fields(kind) if field.default is MISSING}  # type: ignore[arg-type]
    return kind.linear and needed <= {"learning_rate", *PARAMETERS}


@st.composite
def optimizers(draw: DrawFn, rate_max: float = 1.0, *, kinds: Collection[str] | None = None) -> Optimizer:
    """Linear optimisers that converge on modes of rate up to ``rate_max``, of the given kinds or of all.

    Example:
        >>> from hypothesis import find
        >>> descent = find(optimizers(4.0, kinds=["gradient_descent"]), lambda drawn: drawn.learning_rate > 0.4)
        >>> descent.learning_rate < 2 / 4.0
        True
    """
    known: dict[str, Any] = Optimizer.kinds
    chosen = known[draw(st.sampled_from([kind for kind in kinds or known if _drawable(known[kind])]))]
    names = [field.name for field in fields(chosen)]
    drawn = {name: draw(PARAMETERS[name]) for name in names if name in PARAMETERS}
    if "learning_rate" not in names:
        return chosen(**drawn)  # type: ignore[no-any-return]
    limit = min(chosen(learning_rate=1.0, **drawn).max_learning_rate(rate_max), MAX_LEARNING_RATE)
    fraction = draw(st.one_of(st.sampled_from([0.25, 0.5]), st.floats(0.01, MAX_RATE_FRACTION)))
    return chosen(learning_rate=fraction * limit, **drawn)  # type: ignore[no-any-return]


def starts() -> SearchStrategy[Start]:
    """Initialisations; ``Fixed()`` too, because the strategies here always pass a weight.

    Example:
        >>> from hypothesis import find
        >>> find(starts(), lambda start: isinstance(start, Gaussian)).std
        0.0
    """
    plain: list[Start] = [TorchDefault(), Zeros(), Orthogonal(), Fixed()]
    return st.one_of(st.sampled_from(plain), st.floats(0, 10).map(Gaussian))


@st.composite
def initial_weights(draw: DrawFn, layer: Layer, shape: Shape, channels: int) -> tuple[Float, Float | None]:
    """Torch's initial weight and bias (None without): zeros, small, or of size one.

    Example:
        >>> from hypothesis import find
        >>> from theory.layers import Linear
        >>> weight, bias = find(initial_weights(Linear(), (2,), 1), lambda start: True)
        >>> weight.shape, bias
        ((1, 2), None)
    """
    size, rng = draw(st.sampled_from([0.0, 0.01, 1.0])), np.random.default_rng(draw(seeds()))
    return Gaussian(size).draw(rng, layer.weight_shape(shape, channels), layer.bias_shape(shape, channels), 1)


@st.composite
def targets(draw: DrawFn, layer: Layer, shape: Shape, examples: int, kinds: Collection[str] = TARGETS) -> Target:
    """Targets that fit a layer (odd kernel for ``Identity()``), an input shape and a number of examples.

    Example:
        >>> from hypothesis import find
        >>> from theory.layers import Linear
        >>> find(targets(Linear(), (2,), 1, kinds=["identity"]), lambda target: True)
        Identity()
    """
    output = layer.output_shape(shape, draw(output_channels(layer, shape)))
    entries = {"linear_map": int(np.prod(output) * np.prod(shape)), "constant": int(np.prod(output))}
    kind = draw(st.sampled_from([k for k in kinds if entries.get(k, 0) <= MAX_TARGET_ENTRIES] or list(kinds)))
    if kind in ("identity", "given"):
        return Identity() if kind == "identity" else Given()
    rng = np.random.default_rng(draw(seeds()))
    if kind == "linear_map":
        return LinearMap(rng.standard_normal((int(np.prod(output)), int(np.prod(shape)))))
    if examples == 1 and shape == layer.output_shape(shape, shape[0]) and draw(st.booleans()):
        return Constant()
    return Constant(rng.standard_normal(output))


@st.composite
def settings(draw: DrawFn, rate_max: float = 1.0, *, axes: int | None = None) -> Setting:
    """Settings before any data, whose optimisers converge on modes of rate up to ``rate_max``.

    Example:
        >>> from hypothesis import find
        >>> find(settings(axes=0), lambda setting: setting.loss == "mse").layer
        Linear(bias=False)
    """
    layer = draw(layers(axes=axes, odd=True))
    shape = draw(input_shapes(layer))
    target = draw(targets(layer, shape, 1))
    loss, decay = draw(st.sampled_from(LOSSES)), draw(st.one_of(st.just(0.0), st.floats(0, rate_max)))
    return Setting(layer, draw(optimizers(rate_max)), target, loss, decay, draw(starts()))


@st.composite
def problems(
    draw: DrawFn,
    layer_kinds: SearchStrategy[Layer] | None = None,
    *,
    kinds: Collection[str] = KINDS,
    optimizer_kinds: Collection[str] | None = None,
    target_kinds: Collection[str] = TARGETS,
    losses: Sequence[str] = LOSSES,
    decay: bool = True,
    examples: int | None = None,
) -> Case:
    """Complete problems: setting, inputs, targets and start that fit each other, and a learning rate that converges.

    Args:
        draw: Hypothesis passes it.
        layer_kinds: A strategy for layers, with odd kernels if the target may be the identity; :func:`layers` if None.
        kinds: Names of layers, for :func:`layers`.
        optimizer_kinds: Names of optimisers; every linear one if None.
        target_kinds: Names of targets.
        losses: Names of losses.
        decay: Whether weight decay may be drawn.
        examples: How many; drawn if None.

    Example:
        >>> from hypothesis import find
        >>> from numerics.predictor import Predictor
        >>> case = find(problems(), lambda case: case.setting.weight_decay > 0)
        >>> bool((Predictor(*case).weight(0)[0] == case.initial_weight).all())
        True
    """
    identity = draw(st.sampled_from(list(target_kinds))) == "identity"
    layer = draw(layers(odd=identity, kinds=kinds) if layer_kinds is None else layer_kinds)
    shape = draw(input_shapes(layer))
    x = draw(inputs(shape, examples))
    layer = layer.resolve(x, np)
    target = draw(targets(layer, shape, len(x), [k for k in target_kinds if (k == "identity") == identity]))
    loss, given = draw(st.sampled_from(list(losses))), None
    if isinstance(target, Given):
        output = layer.output_shape(shape, draw(output_channels(layer, shape)))
        given = np.random.default_rng(draw(seeds())).standard_normal((len(x), *output))
    y = target.resolve(x).values(layer, x, np) if given is None else given
    setting = Setting(layer, GradientFlow(), target, loss)
    fastest = setting.loss_scale(y.size) * float(spectrum(layer.features(x, np)).values.max()) ** 2
    shares = st.sampled_from([0.0, 0.0, 0.01, 0.5])  # of the fastest rate
    weight_decay = draw(shares) * (fastest or 1.0) if decay else 0.0
    optimizer = draw(optimizers(fastest + weight_decay, kinds=optimizer_kinds))
    setting = Setting(layer, optimizer, target, loss, weight_decay, draw(starts()))
    return Case(setting, x, given, *draw(initial_weights(layer, shape, y.shape[1])))


def times(optimizer: Optimizer, rate_max: float, *, infinity: bool = True, longest: int = 200) -> SearchStrategy[Float]:
    """Flow times, or step counts for a descent: unsorted, with 0, repetitions and infinity.

    At most ``longest`` steps, or ``longest`` times the time :math:`1/s_{max}` of the fastest mode.

    Example:
        >>> from hypothesis import find
        >>> find(times(GradientFlow(), 2.0), lambda t: len(set(t)) < len(t)).tolist()
        [0.0, 0.0]
    """
    unit = 1 / rate_max if rate_max > 0 else 1.0
    flow = st.one_of(st.just(0.0), st.floats(-3, np.log10(longest)).map(lambda power: unit * 10.0**power))
    finite = st.integers(0, longest).map(float) if optimizer.discrete else flow
    one = st.one_of(finite, st.just(float("inf"))) if infinity else finite
    return st.lists(one, min_size=1, max_size=5).map(np.array)
