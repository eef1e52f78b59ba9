"""How many test points are outside the convex hull of the training points, and how far: in pixel space and in a network's features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from empirical.batch import Stop
from empirical.ensemble import train_ensemble
from empirical.experiment import Experiment, Outcome
from empirical.networks import Feedforward
from empirical.sources import Digits, Source, Table
from empirical.studies.finding import above, below
from empirical.studies.samples import mean
from empirical.studies.study import Account, Result, Scale, Study
from numerics.arrays import Float
from numerics.diameter import diameter
from numerics.hulls import distance
from theory.component import one_of
from theory.errors import SettingError
from theory.layers import Linear, check_whole
from theory.optimizers import Adam
from theory.starts import Kaiming

SPACES = ("inputs", "features")
NARROWEST = 16  # units of a hidden layer


@dataclass(frozen=True)
class MeasureHull(Experiment):
    r"""The distances of test points to the convex hull of the training points, of one random split.

    In the space of the inputs, or in that of the last hidden layer of a ReLU network that was trained on the labels of the training
    points (one-hot, mean squared error, Adam).

    Its numbers: ``outside``, ``undecided``, shares of the test points; ``diameter`` of the training points; ``median``, ``least`` and
    ``most``, quantiles of distance over diameter; ``step``, half the smallest step between two values of an entry times the root of
    their number, how far rounding can have moved a point (None for features); ``distance``, the
    median distance; ``train``, ``size``: how many training points of how many entries; ``learned`` and ``right``, shares of the
    training and test points that the network classifies
    correctly (1 without one). Its array ``shares`` is distance over diameter of each test point, 0 inside.

    Args:
        source: The points, with labels for the features.
        space: "inputs" or "features".
        seed: Of the split and of the network's start.
        tests: Test points at most; a quarter of all if there are fewer.
        most: Training points at most.
        depth: Layers of the network.
        steps: Of its training.
    """

    source: Source = Digits()
    space: str = "inputs"
    seed: int = 0
    tests: int = 500
    most: int = 60000
    depth: int = 3
    steps: int = 300

    def __post_init__(self) -> None:
        one_of("space", self.space, SPACES)
        check_whole("tests", self.tests, 1)
        check_whole("depth", self.depth, 2)

    def fingerprint(self) -> str:
        """The hash of the points."""
        return self.source.fingerprint()

    def quick(self) -> Self:
        """A few points."""
        return self.with_values(tests=4, most=40, steps=5)

    def run(self, device: str = "cpu") -> Outcome:
        """Splits, perhaps trains, measures."""
        points, labels = self.source.images().flat, self.source.labels()
        order = np.random.default_rng(self.seed).permutation(len(points))
        held = len(points) // 4
        chosen, shown = order[held:][: self.most], order[:held][: self.tests]
        train, test, learned, right = points[chosen], points[shown], 1.0, 1.0
        if self.space == "features":
            if labels is None:
                message = f"source must have labels for a network to be trained on, but {self.source} has none. Use space='inputs'."
                raise SettingError(message)
            train, test, learned, right = self.features(train, test, labels[chosen], labels[shown], device)
        found = distance(test, train)
        size, _ = diameter(train)
        far = np.where(found.status == "inside", 0.0, found.upper)
        shares = far / size
        numbers = {
            "outside": float((found.status == "outside").mean()),
            "undecided": float((found.status == "undecided").mean()),
            "diameter": size,
            "median": float(np.median(shares)),
            "least": float(shares.min()),
            "most": float(shares.max()),
            "distance": float(np.median(far)),
            "step": half_step(np.unique(train), train.shape[1]) if self.space == "inputs" else None,
            "train": len(train),
            "size": train.shape[1],
            "learned": learned,
            "right": right,
        }
        return Outcome(numbers, {"shares": shares})

    def features(
        self, train: Float, test: Float, known: NDArray[np.int64], asked: NDArray[np.int64], device: str
    ) -> tuple[Float, Float, float, float]:
        """The last hidden layer of a trained network on training and test points, and how many of each it classifies correctly."""
        width, classes = max(NARROWEST, train.shape[1]), int(max(known.max(), asked.max())) + 1
        network = Feedforward(Linear(bias=True), depth=self.depth, width=width, start=Kaiming())
        ended = train_ensemble(
            network, train, np.eye(classes)[known], seeds=[self.seed], optimizer=Adam(0.003), stop=Stop(self.steps),
            loss="mse", device=device,
        )  # fmt: skip
        parameters = [value[0].astype(np.float64) for value in ended.parameters]
        answers, hidden = [], []
        for x in (train, test):
            for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
                x = np.maximum(x @ weight.T + bias, 0.0)
            hidden.append(x)
            answers.append((x @ parameters[-2].T + parameters[-1]).argmax(axis=1))
        return *hidden, float((answers[0] == known).mean()), float((answers[1] == asked).mean())  # type: ignore[return-value]


def half_step(values: Float, entries: int) -> float:
    """How far rounding to the values that occur can have moved a point of so many entries: half the smallest step, times √entries.

    Example:
        >>> half_step(np.array([0.0, 0.25, 1.0]), 4)
        0.25
    """
    return float(np.diff(values).min(initial=np.inf) / 2 * np.sqrt(entries)) if len(values) > 1 else 0.0


@dataclass(frozen=True)
class OutsideTheHull(Study):
    """Share of the test points outside the hull of the training points, and their distance, by data set and space."""

    title = "test points outside the hull"
    claim = "Most test images are outside the convex hull of the training images, considerably, in pixel and in feature space."
    source = "Deep Learning Generalization, Extrapolation, and Over-parameterization (no number of the paper is used)"
    protocol = (
        "A random quarter is the test set; distances with certificates. Feature space: the last hidden layer of a ReLU network (3 layers, "
        "as wide as the input) trained on the labels. Columns of tables are scaled to [0, 1]. The paper's networks are deep CNNs on "
        "larger images. Small: scikit-learn's sets; paper: the images of --data besides, 10 splits."
    )

    def experiments(self, scale: Scale) -> Sequence[MeasureHull]:
        """Every set, in both spaces."""
        sets: dict[Source, None] = dict.fromkeys(
            [Digits(), scale.source, *(Table(name) for name in ("breast_cancer", "wine", "iris"))]
        )
        return [
            MeasureHull(source, space, seed, *scale.pick((250, 1500), (1000, 60000)), steps=scale.pick(200, 1000))
            for source in sets
            for space in (SPACES if source.labels() is not None else SPACES[:1])
            for seed in scale.seeds(scale.pick(3, 10))
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Most are outside, and not by rounding; flowers of four measurements are the control."""
        found = grouped(results)
        findings = []
        for (source, space), chosen in found.items():
            shares = [one["outside"] for one in chosen]
            says = f"{name_of(source)}, {space}: share of the test points outside"
            if source == Table("iris"):
                findings += [below(f"control, {says}", shares, MOST)] if space == "inputs" else []
            else:
                findings.append(above(says, shares, MOST))
            if space == "inputs" and not isinstance(source, Table):
                ratios = [one["distance"] / one["step"] for one in chosen]
                findings.append(
                    above(
                        f"{name_of(source)}: median distance, in units of how far rounding of the pixels moves",
                        ratios,
                        1.0,
                    )
                )
        columns = ("set", "space", "points × size", "outside", "undecided", "distance/diameter: least", "median", "most",
                   "learned", "right")  # fmt: skip
        rows = []
        for (source, space), chosen in found.items():
            shown = [
                mean([one[name] for one in chosen])
                for name in ("outside", "undecided", "least", "median", "most", "learned", "right")
            ]
            rows.append((name_of(source), space, f"{chosen[0]['train']} × {chosen[0]['size']}", *shown))
        lacking = [
            name_of(source) for source, space in found if space == "inputs" and (source, "features") not in found
        ]
        return Account(
            findings, columns, rows, [f"{name}: no labels, so no network and no feature space" for name in lacking]
        )

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """The shares outside, and how distance over diameter is distributed."""
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        found = grouped(results)
        names = list(dict.fromkeys(name_of(source) for source, _ in found))
        for (source, space), chosen in found.items():
            place, offset = names.index(name_of(source)), 0.2 * (1 if space == "features" else -1)
            shares = [one["outside"] for one in chosen]
            colour = f"C{place}"
            left.barh(place + offset, mean(shares), 0.38, color=colour, alpha=1.0 if space == "inputs" else 0.4)
            left.plot(shares, [place + offset] * len(shares), "k.", markersize=3)
            parts = [
                r.outcome.arrays["shares"]
                for r in results
                if (r.experiment.source, r.experiment.space) == (source, space)
            ]
            ordered = np.sort(np.concatenate(parts))
            style = "-" if space == "inputs" else ":"
            right.plot(
                ordered,
                np.arange(1, len(ordered) + 1) / len(ordered),
                style,
                color=colour,
                label=f"{name_of(source)}, {space}",
            )
        left.set_yticks(range(len(names)), names)
        left.invert_yaxis()
        left.set(xlabel="share outside (pale: feature space; dots: splits)", xlim=(0, 1.02))
        right.set(
            xlabel="distance to the hull / diameter (0: inside)",
            ylabel="share of the test points below",
            ylim=(0, 1.02),
        )
        right.legend(fontsize=7)


MOST = 0.5  # the paper's word


def grouped(results: Sequence[Result]) -> dict[tuple[Source, str], list[dict[str, Any]]]:
    """The numbers of the splits of each set and space."""
    found: dict[tuple[Source, str], list[dict[str, Any]]] = {}
    for result in results:
        found.setdefault((result.experiment.source, result.experiment.space), []).append(result.outcome.numbers)
    return found


def name_of(source: Source) -> str:
    """A set's name."""
    name = getattr(source, "name", None) or getattr(source, "path", None) or source.kind
    return str(name).rpartition("/")[2]
