"""Membership in the hull against dimension: crops and principal components of images, and Gaussian points with their exact law."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.stats import binom

from empirical.experiment import Experiment, Outcome
from empirical.sources import Digits, Source
from empirical.studies.finding import above, agreement
from empirical.studies.samples import mean, spread, trend
from empirical.studies.study import Account, Result, Scale, Study
from numerics.arrays import Float
from numerics.hull_laws import hull_probability
from numerics.hulls import distance
from theory.component import one_of
from theory.errors import SettingError
from theory.layers import check_whole

VIEWS = ("crop", "components")
LEVEL = 1e-4  # chance that a right law is refused, over all dimensions together


@dataclass(frozen=True)
class MeasureView(Experiment):
    """The share of test images outside the hull of the training images, seen through a crop or their principal components.

    Its numbers: ``outside`` and ``undecided``, shares; ``dimension``; ``train``, how many training images.

    Args:
        view: "crop", the middle ``size`` × ``size`` pixels, or "components", the first ``size`` principal components of the
            training images.
        size: Of the view.
        source: The images.
        seed: Of the split.
        tests: Test images at most.
    """

    view: str = "crop"
    size: int = 2
    source: Source = Digits()
    seed: int = 0
    tests: int = 200

    def __post_init__(self) -> None:
        one_of("view", self.view, VIEWS)
        check_whole("size", self.size, 1)

    def fingerprint(self) -> str:
        """The hash of the images."""
        return self.source.fingerprint()

    def quick(self) -> Self:
        """Four test images."""
        return self.with_values(tests=4)

    def run(self, device: str = "cpu") -> Outcome:
        """Splits, looks, measures."""
        images = self.source.images().values
        order = np.random.default_rng(self.seed).permutation(len(images))
        held = len(images) // 4
        train, test = images[order[held:]], images[order[:held][: self.tests]]
        points, queries = self.seen(train, test)
        found = distance(queries, points)
        numbers = {
            "outside": float((found.status == "outside").mean()),
            "undecided": float((found.status == "undecided").mean()),
            "dimension": points.shape[1],
            "train": len(points),
        }
        return Outcome(numbers)

    def seen(self, train: Float, test: Float) -> tuple[Float, Float]:
        """Training and test images through the view, as rows."""
        if self.view == "crop":
            return cropped(train, self.size), cropped(test, self.size)
        flat, others = train.reshape(len(train), -1), test.reshape(len(test), -1)
        middle = flat.mean(axis=0)
        _, _, directions = np.linalg.svd(flat - middle, full_matrices=False)
        chosen = directions[: self.size].T
        return (flat - middle) @ chosen, (others - middle) @ chosen


def cropped(images: Float, size: int) -> Float:
    """The middle size × size pixels of images (N, C, H, W), as rows.

    Raises:
        SettingError: If they are no pictures of that size.

    Example:
        >>> cropped(np.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
        [[5.0, 6.0, 9.0, 10.0]]
    """
    if images.ndim != 4 or min(images.shape[2:]) < size:
        message = f"images must be pictures of at least {size}×{size} to be cropped, but they are {images.shape[1:]}. Crop less."
        raise SettingError(message)
    top, left = ((side - size) // 2 for side in images.shape[2:])
    return images[:, :, top : top + size, left : left + size].reshape(len(images), -1)


@dataclass(frozen=True)
class MeasureGaussian(Experiment):
    """How often a Gaussian point is outside the hull of Gaussian points, each time with new points; beside the exact law.

    Its numbers: ``outside``, ``undecided``, how many; ``draws``; ``law``, the probability; ``accuracy`` of it; ``ratio``, the
    :func:`surprise` of the count.

    Args:
        points: How many points the hull has.
        dimension: Of the space.
        draws: How often.
        seed: Of the draws.
        level: Chance that a right law is refused.
    """

    points: int = 1000
    dimension: int = 8
    draws: int = 200
    seed: int = 0
    level: float = LEVEL

    def __post_init__(self) -> None:
        for name in ("points", "dimension", "draws"):
            check_whole(name, getattr(self, name), 1)

    def quick(self) -> Self:
        """A few draws."""
        return self.with_values(draws=3, points=min(self.points, 60))

    def run(self, device: str = "cpu") -> Outcome:
        """Draws and counts."""
        rng = np.random.default_rng([self.seed, self.dimension])
        names = []
        for _ in range(self.draws):
            drawn = rng.standard_normal((self.points + 1, self.dimension))
            names.append(distance(drawn[-1], drawn[:-1]).status)
        law = hull_probability(self.points, self.dimension)
        outside, undecided = names.count("outside"), names.count("undecided")
        numbers = {
            "outside": outside,
            "undecided": undecided,
            "draws": self.draws,
            "law": law.outside,
            "accuracy": law.accuracy,
        }
        counts = (outside, outside + undecided)  # whatever the undecided ones are
        ratio = max(surprise(count, self.draws, law.outside, self.level) for count in counts)
        return Outcome(numbers | {"ratio": ratio})


def surprise(count: int, draws: int, probability: float, level: float) -> float:
    r"""How surprising a count is, :math:`\ln p / \ln(\text{level})`, p that of the two-sided exact binomial test (twice the smaller tail).

    At most 1 iff the test does not refuse the probability at this level.

    Example:
        >>> round(surprise(0, 10, 0.5, 2.0**-9), 12)            # p = 2·2⁻¹⁰
        1.0
    """
    tail = min(float(binom.cdf(count, draws, probability)), float(binom.sf(count - 1, draws, probability)))
    if tail == 0:
        return math.inf
    return math.log(min(1.0, 2 * tail)) / math.log(level) + 0.0


@dataclass(frozen=True)
class HullByDimension(Study):
    """The share outside by dimension, of images and of Gaussian points."""

    title = "hull membership against dimension"
    claim = "The share of test images outside the hull grows with the dimension, and in all pixels nearly every one is outside."
    source = (
        "Deep Learning Generalization, Extrapolation, and Over-parameterization; the law: Kabluchko and Zaporozhets"
    )
    protocol = (
        "Middle crops and principal components of a random split (a quarter is the test set); Gaussian points of the same number, every "
        "query with points of its own, against the exact probability, two-sided binomial test at 1e-4 over all dimensions. "
        "Small: scikit-learn's digits or --data; paper: 28×28, more draws."
    )

    def experiments(self, scale: Scale) -> Sequence[MeasureView | MeasureGaussian]:
        """Both views by size, and Gaussian points at the same dimensions."""
        source = scale.images(scale.pick(None, 28))
        shape = source.images().values.shape
        side, pixels = min(shape[2:]), int(np.prod(shape[1:]))
        crops = range(2 - side % 2, side + 1, 2) if len(shape) == 4 else ()
        components = [
            size
            for size in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)
            if size <= min(pixels, scale.pick(24, 256))
        ]
        # So many draws refuse the law of the next dimension with probability 0.99 and more.
        tests, draws, seeds = scale.pick(120, 1000), scale.pick(600, 2000), scale.seeds(scale.pick(3, 10))
        views = [("crop", size) for size in crops] + [("components", size) for size in components]
        points = len(source.images().values) - len(source.images().values) // 4
        dimensions = [size for size in (1, 2, 4, 6, 8, 12, 16, 24, 32) if size <= pixels]
        level = LEVEL / len(dimensions)
        gaussian = [MeasureGaussian(points, size, draws, scale.seed, level) for size in dimensions]
        return [MeasureView(view, size, source, seed, tests) for view, size in views for seed in seeds] + gaussian

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The trends, the end, and the law."""
        gaussian = [
            r.outcome.numbers | {"dimension": r.experiment.dimension}
            for r in results
            if isinstance(r.experiment, MeasureGaussian)
        ]
        findings, rows = [], []
        for view in VIEWS:
            dimensions, shares, undecided = by_dimension(results, view)
            if len(dimensions) == 0:
                continue
            rising = trend(np.log(dimensions), shares)
            findings.append(
                above(f"{view}: correlation of the share outside with the logarithm of the dimension", rising, 0.0)
            )
            if view == "crop":
                findings.append(above(f"all {dimensions[-1]} pixels: share outside", shares[-1], NEARLY))
            rows += [(NAMES[view], int(d), mean(one), spread(one), mean(doubt), "", "") for d, one, doubt in
                     zip(dimensions, shares, undecided, strict=True)]  # fmt: skip
        if gaussian:
            worst = max(float(one["ratio"]) for one in gaussian)
            says = "Gaussian points: how often one is outside, against the exact law"
            findings.append(agreement(says, worst, f"what chance explains at {LEVEL:g}, {len(gaussian)} dimensions"))
        for one in gaussian:
            draws = one["draws"]
            seen = (one["outside"] / draws, "", one["undecided"] / draws, one["law"], one["ratio"])
            rows.append(("Gaussian", one["dimension"], *seen))
        columns = (
            "points",
            "dimension",
            "outside",
            "over splits ±",
            "undecided",
            "exact law",
            "of what chance explains",
        )
        return Account(
            findings,
            columns,
            rows,
            ["crops hold pixels that are nearly always 0, components hold the most variance: not Gaussian"],
        )

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Share outside by dimension: both views, the Gaussian counts with their binomial bars, and the law."""
        axis = figure.subplots()
        for view, colour in zip(VIEWS, ("tab:blue", "tab:green"), strict=True):
            dimensions, shares, _ = by_dimension(results, view)
            axis.errorbar(
                dimensions,
                mean(shares, 1),
                spread(shares, 1),
                color=colour,
                marker="o",
                markersize=3,
                capsize=2,
                label=NAMES[view],
            )
        gaussian = [r for r in results if isinstance(r.experiment, MeasureGaussian)]
        places = [r.experiment.dimension for r in gaussian]
        seen = np.array([r.outcome.numbers["outside"] / r.experiment.draws for r in gaussian])
        laws = np.array([r.outcome.numbers["law"] for r in gaussian])
        bars = 1.96 * np.sqrt(laws * (1 - laws) / np.array([r.experiment.draws for r in gaussian]))
        axis.plot(places, laws, "-", color="tab:red", label="Gaussian points of the same number, exact law")
        axis.errorbar(
            places, seen, bars, fmt="x", color="tab:red", capsize=2, label="counted, ±1.96 binomial deviations"
        )
        axis.set(xscale="log", xlabel="dimension", ylabel="share outside the hull", ylim=(-0.02, 1.02))
        axis.legend(fontsize=8)


NEARLY = 0.99
NAMES = {"crop": "images, middle crop", "components": "images, principal components"}


def by_dimension(results: Sequence[Result], view: str) -> tuple[Any, Float, Float]:
    """The dimensions of a view, and the shares outside and undecided, (dimensions, seeds)."""
    found: dict[int, list[tuple[float, float]]] = {}
    for result in results:
        if isinstance(result.experiment, MeasureView) and result.experiment.view == view:
            numbers = result.outcome.numbers
            found.setdefault(numbers["dimension"], []).append((numbers["outside"], numbers["undecided"]))
    count = min((len(values) for values in found.values()), default=0)
    both = np.array([values[:count] for values in found.values()]).reshape((len(found), count, 2))
    return np.array(list(found)), both[..., 0], both[..., 1]
