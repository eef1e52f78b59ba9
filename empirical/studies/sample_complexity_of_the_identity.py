"""From how many examples does one layer learn the identity: the computed generic rank, and trained networks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from empirical.batch import Stop
from empirical.ensemble import train_ensemble
from empirical.experiment import Experiment, Outcome
from empirical.networks import Feedforward
from empirical.relative_rate import fastest_heavy_ball
from empirical.studies.finding import agreement
from empirical.studies.samples import largest
from empirical.studies.study import Account, Result, Scale, Study
from numerics.sample_complexity import generic_ranks
from numerics.spectrum import spectrum
from theory.layers import CircularConv, Conv, Layer, Linear, LocallyConnected, check_whole
from theory.starts import Gaussian

LEFT = 1e-9  # share of each mode that training leaves, so 1e-18 of the squares
LEARNED = (
    1e-6  # share of the squares of a fresh image: far above what training leaves, far below one untrained direction
)
MAX_STEPS = 50_000
FRESH = 20
CANDIDATES = 20


@dataclass(frozen=True)
class LearnTheIdentity(Experiment):
    r"""One layer trained towards the identity on 0, 1, 2, … images of independent normal pixels, until nothing is left.

    Of several sets of images the one with the best conditioned features is taken: how long training takes depends on that,
    the number of examples does not. Its numbers: ``errors``, for each number of examples the largest
    :math:`\|f(x) - x\|^2/\|x\|^2` on fresh images, of the best and of the worst network; ``computed``, from how many examples
    theory says that the identity is learned; ``arrived``, whether training went on until nothing was left; ``features`` of
    one block, ``reached`` of them, ``columns`` of one example.

    Args:
        layer: The layer.
        shape: Of one example, (C, *spatial).
        extra: Examples beyond the computed number.
        networks: Seeds.
        seed: The first of them, and that of the data.

    Example:
        >>> numbers = LearnTheIdentity(Linear(), (1, 1, 2), extra=0).run().numbers
        >>> [best > 1e-12 for best, worst in numbers["errors"]]      # two examples for two pixels
        [True, True, False]
    """

    layer: Layer
    shape: tuple[int, ...]
    extra: int = 1
    networks: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("extra", self.extra, 0)
        check_whole("networks", self.networks, 1)
        check_whole("seed", self.seed, 0)

    def quick(self) -> Self:
        """Nothing beyond the computed number, one network."""
        return self.with_values(extra=0, networks=1)

    def run(self, device: str = "cpu") -> Outcome:
        """Trains on the first of the same images, more and more of them."""
        rng = np.random.default_rng(self.seed)
        fresh = self.layer.arrange(rng.standard_normal((FRESH, *self.shape)))
        ranks = generic_ranks(self.layer, fresh.shape[1:])
        sets = [
            self.layer.arrange(rng.standard_normal((len(ranks) + self.extra, *self.shape))) for _ in range(CANDIDATES)
        ]
        images = min(sets, key=lambda one: self.condition(one[: len(ranks)]))
        steps = [self.steps(images[:count]) for count in range(len(images) + 1)]
        errors = [
            self.errors(images[:count], fresh, min(steps[count], MAX_STEPS), device) for count in range(len(images) + 1)
        ]
        numbers = {
            "computed": len(ranks),
            "errors": errors,
            "arrived": max(steps) <= MAX_STEPS,
            "reached": max(ranks[-1]),
            "features": int(self.layer.features(fresh[:1], np).shape[1]),
            "columns": self.layer.columns(fresh.shape[1:]),
        }
        return Outcome(numbers)

    def rates(self, images: Any) -> tuple[float, float]:
        """The slowest and the fastest rate of a mode that moves."""
        values = spectrum(self.layer.features(images, np)).values ** 2
        return float(values[values > 0].min()), float(values.max())

    def condition(self, images: Any) -> float:
        """The fastest rate ÷ the slowest."""
        slowest, fastest = self.rates(images)
        return fastest / slowest

    def steps(self, images: Any) -> int:
        """Twice the steps after which the share ``LEFT`` of every mode is left: double roots lose it a little later."""
        if len(images) == 0:
            return 0
        contraction = max(math.sqrt(fastest_heavy_ball(*self.rates(images)).momentum), 1e-3)
        return 2 * math.ceil(math.log(LEFT) / math.log(contraction))

    def errors(self, images: Any, fresh: Any, steps: int, device: str) -> list[float]:
        """The largest relative error on fresh images, of the best and the worst network, after training on images, if any."""
        some = images if len(images) else fresh[:1]
        optimizer = fastest_heavy_ball(*self.rates(some))
        ensemble = train_ensemble(
            Feedforward(self.layer, start=Gaussian(1.0)),
            some,
            self.layer.identity_values(some, np),
            seeds=range(self.seed, self.seed + self.networks),
            optimizer=optimizer,
            stop=Stop(steps, every=max(steps, 1)),
            device=device,
            dtype="float64",
        )
        wanted = self.layer.identity_values(fresh, np)
        off = ((ensemble.outputs(fresh) - wanted) ** 2).reshape((self.networks, FRESH, -1)).sum(axis=-1)
        shares = off / (wanted**2).reshape((FRESH, -1)).sum(axis=-1)
        largest = shares.max(axis=1)
        return [float(largest.min()), float(largest.max())]


@dataclass(frozen=True)
class SampleComplexityOfTheIdentity(Study):
    """The number of examples from which trained layers are the identity against the computed one, over layer kinds."""

    title = "Sample complexity of the identity"
    claim = "A layer learns the identity from exactly as many generic examples as it takes the rank of its features to stop growing."
    source = "proofs.md T5, T12 and T18; the count ⌈Ck²/positions⌉ of Identity Crisis is only a lower bound"
    protocol = (
        "Images of independent normal pixels, start N(0, 1), three networks, momentum until 1e-9 of each mode is left; tested on 20 "
        "fresh images. The rank is computed in exact arithmetic modulo a prime, on other random images. Small: up to 64 pixels. "
        "Paper: up to 28×28."
    )

    def experiments(self, scale: Scale) -> Sequence[LearnTheIdentity]:
        """One for each kind of layer."""
        small = [
            (Linear(), (1, 2, 3)),
            (CircularConv(), (2, 3, 4)),
            (Conv(3), (1, 8, 8)),
            (Conv(3, padding_mode="reflect"), (1, 3, 3)),
            (Conv(3), (4, 4, 4)),
            (Conv(5), (1, 3, 3)),
            (Conv(5, groups=8), (8, 4, 4)),
            (LocallyConnected(3), (1, 3, 3)),
        ]
        paper = [
            *small,
            (Linear(), (1, 6, 6)),
            (CircularConv(), (4, 14, 14)),
            (Conv(5), (3, 28, 28)),
            (Conv(9), (1, 7, 7)),
            (Conv(5), (16, 7, 7)),
            (LocallyConnected(3), (1, 14, 14)),
        ]
        return [LearnTheIdentity(layer, shape, seed=scale.seed) for layer, shape in scale.pick(small, paper)]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Learned at the computed number, not learned with one example less."""
        findings, rows = [], []
        for result in results:
            numbers, computed = result.outcome.numbers, int(result.outcome.numbers["computed"])
            errors = np.array(numbers["errors"], dtype=float)
            learned = np.flatnonzero(errors[:, 1] <= LEARNED)
            ratio = largest((errors[computed, 1] / LEARNED, LEARNED / errors[computed - 1, 0]))
            examples = "example" if computed == 1 else "examples"
            says = f"{name(result.experiment)}: learned from {computed} {examples} and not from {computed - 1}"
            found = agreement(says, ratio, f"shares of the squares, {LEARNED:g} between them")
            findings.append(found if numbers["arrived"] else replace(found, verdict="not run"))
            features, columns = int(numbers["features"]), int(numbers["columns"])
            rows.append(
                (
                    name(result.experiment),
                    features,
                    int(numbers["reached"]),
                    math.ceil(features / columns),
                    computed,
                    int(learned[0]) if len(learned) else "–",
                    errors[computed - 1, 0],
                    errors[computed, 1],
                )
            )
        names = (
            "layer",
            "features",
            "reached",
            "count",
            "computed",
            "trained",
            "error before",
            "error there",
        )
        late = [name(result.experiment) for result in results if not result.outcome.numbers["arrived"]]
        notes = [
            "count: ⌈features ÷ columns of one example⌉",
            *(f"{one}: stopped after {MAX_STEPS} steps" for one in late),
        ]
        return Account(findings, names, rows, notes)

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The error on fresh images by the number of examples, for each layer; a ring at the computed number."""
        axes = figure.subplots()
        for result in results:
            errors, computed = (
                np.array(result.outcome.numbers["errors"], dtype=float),
                int(result.outcome.numbers["computed"]),
            )
            (line,) = axes.semilogy(errors[:, 1], ".-", label=name(result.experiment))
            axes.plot(computed, errors[computed, 1], "o", markersize=11, fillstyle="none", color=line.get_color())
        axes.axhline(LEARNED, color="grey", linestyle=":")
        axes.set(
            xlabel="training examples (ring: computed number)",
            ylabel="largest share of the squares left on fresh images",
        )
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))


def name(experiment: LearnTheIdentity) -> str:
    """A layer and its images in a few words."""
    layer = experiment.layer
    kernel = getattr(layer, "kernel_size", None)
    words = [layer.kind.replace("_", " "), "" if kernel is None else f"{kernel}×{kernel}"]
    words += ["depthwise"] if getattr(layer, "groups", 1) > 1 else []
    mode = getattr(layer, "padding_mode", "zeros")
    channels, *sizes = experiment.shape
    pixels = "×".join(map(str, sizes))
    words += [mode] if mode != "zeros" else []
    return (
        " ".join(word for word in words if word)
        + f", {channels if channels > 1 else ''}{'×' if channels > 1 else ''}{pixels}"
    )
