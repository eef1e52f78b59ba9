"""Whether the distance to the hull of the examples predicts the error: fully connected networks and convolutional ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.stats import rankdata

from empirical.batch import Stop
from empirical.ensemble import train_ensemble
from empirical.experiment import Experiment, Outcome
from empirical.networks import Feedforward, Network
from empirical.sources import Digits, Source
from empirical.studies.finding import above, below
from empirical.studies.samples import mean
from empirical.studies.study import Account, Result, Scale, Study
from numerics.arrays import Float
from numerics.hulls import distance
from theory.layers import Conv, Linear, check_whole
from theory.optimizers import Adam
from theory.starts import Xavier

LEARNED = 0.05  # share of the squares of the examples that a network may leave


@dataclass(frozen=True)
class TrainAndMeasure(Experiment):
    r"""Networks trained to the identity on some images, their errors on others, and how far those are from the hull of the examples.

    The seed draws the images and the start. Tested are real images and mixtures of the examples, which are inside the hull.

    Its numbers: ``unexplained``, what is left of the examples as a share of their squares; ``steps``; over the real images the rank
    correlations ``hull``, ``span`` and ``norm`` of the error ‖f(x) − x‖ with these, ``beyond``, that with the distance to the hull at
    equal norm, and ``relative``, that of error/‖x‖ with distance/‖x‖; ``outside_error``, ``inside_error``: median of the relative
    error of real images and of mixtures. Its arrays, (N,): ``errors``, ``hull``, ``span``, ``norms``, ``inside``; ``picture``: the
    farthest real image and its output.

    Args:
        network: Which network.
        source: The images.
        count: Examples.
        tests: Real images that are tested.
        seed: Of the draw and of the start.
        steps: At most so many, of Adam at 0.003.
    """

    network: Network
    source: Source = Digits()
    count: int = 30
    tests: int = 100
    seed: int = 0
    steps: int = 2000

    def __post_init__(self) -> None:
        for name in ("count", "tests"):
            check_whole(name, getattr(self, name), 2)

    def fingerprint(self) -> str:
        """The hash of the images."""
        return self.source.fingerprint()

    def quick(self) -> Self:
        """Few steps."""
        return self.with_values(steps=5, tests=6, count=4)

    def run(self, device: str = "cpu") -> Outcome:
        """Draws, trains, measures."""
        rng = np.random.default_rng(self.seed)
        images = self.source.images().values
        order = rng.permutation(len(images))[: self.count + self.tests]
        train, real = images[order[: self.count]], images[order[self.count :]]
        mixed = np.tensordot(rng.dirichlet(np.ones(len(train)), max(2, len(real) // 4)), train, 1)
        shown = np.concatenate([real, mixed])
        layer = self.network.layer
        x = layer.arrange(train)
        ended = train_ensemble(
            self.network, x, x, seeds=[self.seed], optimizer=Adam(0.003), stop=Stop(self.steps, 1e-6), loss="mse", device=device
        )  # fmt: skip
        outputs = ended.outputs(layer.arrange(shown))[0].astype(np.float64).reshape(shown.shape)
        flat, points = shown.reshape(len(shown), -1), train.reshape(len(train), -1)
        errors = np.linalg.norm((outputs - shown).reshape(len(shown), -1), axis=1)
        away = {kind: distance(flat, points, kind) for kind in ("convex", "span")}
        hull, span = (np.where(found.status == "outside", found.upper, 0.0) for found in away.values())
        norms, inside = np.linalg.norm(flat, axis=1), np.arange(len(shown)) >= len(real)
        left = ((ended.outputs(x)[0] - x) ** 2).sum() / (x**2).sum()
        numbers = {
            "unexplained": float(left),
            "steps": int(ended.steps[0]),
            **related(errors, hull, span, norms, inside),
        }
        far = int(np.where(inside, -1.0, hull).argmax())
        picture = np.stack([shown[far], outputs[far]]).astype(np.float32)
        arrays = {"errors": errors, "hull": hull, "span": span, "norms": norms, "inside": inside, "picture": picture}
        return Outcome(numbers, arrays)


def related(errors: Float, hull: Float, span: Float, norms: Float, inside: Any) -> dict[str, float]:
    """How the errors of the real images go with their distances, and how large they are inside and outside."""
    real = ~inside
    ranks = {
        name: rank_correlation(errors[real], values[real])
        for name, values in (("hull", hull), ("span", span), ("norm", norms))
    }
    return ranks | {
        "beyond": partial(ranks["hull"], ranks["norm"], rank_correlation(hull[real], norms[real])),
        "relative": rank_correlation(errors[real] / norms[real], hull[real] / norms[real]),
        "outside_error": float(np.median(errors[real] / norms[real])),
        "inside_error": float(np.median(errors[inside] / norms[inside])),
    }


def rank_correlation(a: Float, b: Float) -> float:
    """Spearman's correlation; NaN where one of the two does not vary.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([3.0, 5.0, 7.0]))
        1.0
    """
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1].round(12))


def partial(ab: float, ac: float, bc: float) -> float:
    r"""The correlation of a and b at equal c, :math:`(r_{ab} - r_{ac}r_{bc})/\sqrt{(1 - r_{ac}^2)(1 - r_{bc}^2)}`.

    Example:
        >>> partial(0.5, 0.0, 0.6)                # 0.5 / 0.8
        0.625
    """
    spread = (1 - ac**2) * (1 - bc**2)
    return float((ab - ac * bc) / np.sqrt(spread)) if spread > 0 else float("nan")


@dataclass(frozen=True)
class DistancePredictsError(Study):
    """Error against distance to the hull, by architecture."""

    title = "does the distance to the hull predict the error?"
    claim = "How well a network does on a test image is a matter of how far the image is outside the convex hull of the data."
    source = "Deep Learning Generalization, Extrapolation, and Over-parameterization (no number of the paper is used)"
    protocol = (
        "Networks trained to the identity on a few images (mean squared error, Adam at 0.003, Xavier start); Spearman's correlation of the "
        "error on other images with their distance to the hull of the examples, also at equal norm of the image. The paper classifies. "
        "Small: 8×8, 30 examples, width 64 or 8 channels; paper: 28×28, 300, width 784 or 64 channels."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainAndMeasure]:
        """Four networks, several draws."""
        source = scale.images(scale.pick(None, 28))
        pixels = int(np.prod(source.images().values.shape[1:]))
        networks = (
            Feedforward(Linear(), start=Xavier()),
            Feedforward(Linear(), depth=3, width=pixels, start=Xavier()),
            Feedforward(Conv(scale.pick(3, 5)), start=Xavier()),
            Feedforward(Conv(scale.pick(3, 5)), depth=3, width=scale.pick(8, 64), start=Xavier()),
        )
        count, tests, steps = scale.pick((30, 100, 1500), (300, 500, 10000))
        seeds = scale.seeds(scale.pick(4, 10))
        return [TrainAndMeasure(network, source, count, tests, seed, steps) for network in networks for seed in seeds]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Whether the distance predicts the error of each network, and beyond the norm."""
        findings, rows = [], []
        for network in dict.fromkeys(result.experiment.network for result in results):
            name, chosen = name_of(network), [r.outcome.numbers for r in results if r.experiment.network == network]
            learned = [one for one in chosen if one["unexplained"] <= LEARNED]
            found = {key: values(learned, key) for key in SHOWN}
            findings.append(
                above(f"{name}: rank correlation of the error with the distance to the hull", found["hull"], PREDICTS)
            )
            findings.append(above(f"{name}: the same at equal norm of the image", found["beyond"], 0.0))
            if not network.layer.repeats_inputs:
                findings.append(
                    below(
                        f"{name}: median error outside the hull, as a share of the image", found["outside_error"], SMALL
                    )
                )
            rows.append((name, *(mean(found[key]) for key in SHOWN), f"{len(learned)}/{len(chosen)}"))
        columns = (
            "network",
            "hull",
            "at equal norm",
            "relative",
            "span",
            "norm",
            "error/norm outside",
            "error/norm inside",
            "learned",
        )
        notes = [
            "columns hull to norm: rank correlation of the error with that; relative: both divided by the norm of the image",
            f"networks that leave more than {LEARNED:.0%} of the squares of their examples are left out (column learned)",
        ]
        return Account(findings, columns, rows, notes)

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Error against distance, one panel for each network, with the farthest image and its output."""
        networks = list(dict.fromkeys(result.experiment.network for result in results))
        axes = figure.subplots(1, len(networks), squeeze=False)[0]
        for axis, network in zip(axes, networks, strict=True):
            chosen = [result for result in results if result.experiment.network == network]
            for inside, colour, label in (
                (False, "tab:blue", "other images"),
                (True, "tab:orange", "mixtures of examples"),
            ):
                parts = [(r.outcome.arrays, r.outcome.arrays["inside"] == inside) for r in chosen]
                x = np.concatenate([arrays["hull"][seen] for arrays, seen in parts])
                y = np.concatenate([arrays["errors"][seen] for arrays, seen in parts])
                axis.plot(x, y, ".", color=colour, markersize=3, label=label)
            axis.set_title(name_of(network), fontsize=8)
            axis.set_xlabel("distance to the hull", fontsize=8)
            axis.set_ylim(bottom=0)
            top = axis.get_ylim()[1]
            axis.set_ylim(0, 2 * top)  # room for the picture
            pair = chosen[0].outcome.arrays["picture"]
            if pair.ndim == 4:
                inset = axis.inset_axes((0.05, 0.68, 0.6, 0.3))
                inset.imshow(np.clip(np.concatenate([pair[0, 0], pair[1, 0]], axis=1), 0, 1), cmap="gray")
                inset.set(xticks=[], yticks=[])
                inset.set_xlabel("the farthest, and its output", fontsize=6)
        axes[0].set_ylabel("error ‖f(x) − x‖")
        axes[-1].legend(fontsize=6, loc="center left", bbox_to_anchor=(0.0, 0.55))


PREDICTS = 0.5  # a quarter of the variance of the ranks: below it, "predicts" would be too large a word
SMALL = 0.1  # an image that is off by less than a tenth of its norm is copied
SHOWN = ("hull", "beyond", "relative", "span", "norm", "outside_error", "inside_error")


def values(numbers: Sequence[dict[str, Any]], name: str) -> list[float]:
    """A number of several results; None as NaN."""
    return [float("nan") if one[name] is None else float(one[name]) for one in numbers]


def name_of(network: Feedforward) -> str:
    """A network in a few words."""
    kind = "fully connected" if network.layer.repeats_inputs else "convolutional"
    return f"{kind}, linear" if network.depth == 1 else f"{kind}, {network.depth} layers"
