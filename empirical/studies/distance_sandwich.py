"""The error of a linear network lies between two multiples of the distance to its data: trained networks against the sandwich."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from empirical.experiment import Experiment, Outcome
from empirical.near_limit import NearLimit, lengths, train_near_limit
from empirical.sources import Digits, Source
from empirical.studies.finding import agreement
from empirical.studies.samples import worst
from empirical.studies.study import Account, Result, Scale, Study
from numerics.arrays import Float
from numerics.hulls import distance
from numerics.predictor import Predictor
from numerics.sandwich import sandwich
from theory.layers import Conv, Layer, Linear, check_flag, check_whole
from theory.optimizers import GradientFlow
from theory.setting import Setting


@dataclass(frozen=True)
class TrainAgainstDistance(Experiment):
    r"""One linear layer trained to the identity on a few images, and the error on others against their distance to the data.

    The start is torch's, or the identity plus a random rotation: all gains of :math:`W_0 - I` are then 1, so that the two bounds
    meet and the error must *be* :math:`\|v(t)\|`. Test images are real ones, mixtures of examples (inside their hull) and
    differences of examples, magnified (in their span, far outside their hull).

    Its numbers: ``outside``, the largest amount by which an error leaves its bounds, in units of what rounding explains, at
    finite times and in the limit (``outside_limit``), and of the bound by the hull (``outside_hull``); ``steps``; ``slack``, what
    rounding and the rest of the way explain as a share of the test image; ``determined_error``, the largest error on determined
    real images outside the pixel hull in units of its bound, and ``determined`` how many these are; ``tempting``, the largest amount
    by which an error falls below a lower bound with the least singular value of :math:`W_0 - W_*` for σ_min, at any time.
    Its arrays: ``errors``, ``lower``, ``upper`` (times, N), the last row in the limit; ``span``, ``hull`` (N,) distances of the
    columns of features; ``pixels`` (N,) distance of the image to the pixel hull; ``hull_bound`` (N,); ``kind`` (N,): 0 real, 1 inside,
    2 in the span.

    Args:
        layer: Fully connected, or a convolution.
        source: The images.
        count: Examples that are trained on, drawn by the seed.
        tests: Other images that are tested.
        seed: Of the draw and of the start.
        rotated: Whether the start is the target plus a rotation (fully connected only).
    """

    layer: Layer = Linear()
    source: Source = Digits()
    count: int = 20
    tests: int = 60
    seed: int = 0
    rotated: bool = False

    def __post_init__(self) -> None:
        check_flag("rotated", self.rotated)
        for name in ("count", "tests"):
            check_whole(name, getattr(self, name), 2)

    def fingerprint(self) -> str:
        """The hash of the images."""
        return self.source.fingerprint()

    def quick(self) -> Self:
        """Two examples."""
        return self.with_values(count=2, tests=4)

    def run(self, device: str = "cpu") -> Outcome:
        """Draws, trains, compares."""
        rng = np.random.default_rng(self.seed)
        images = self.source.images().values
        order = rng.permutation(len(images))[: self.count + self.tests]
        train, others = images[order[: self.count]], images[order[self.count :]]
        shown, kind = mixtures(train, others, rng)
        pixels = distance(shown.reshape(len(shown), -1), train.reshape(len(train), -1))
        run = train_near_limit(self.begin(self.layer.arrange(train), rng), looks=3, device=device)
        return Outcome(*judged(run, self.layer.arrange(shown), np.where(pixels.lower > 0, pixels.upper, 0.0), kind))

    def begin(self, x: Float, rng: np.random.Generator) -> Predictor:
        """The problem and its start."""
        first = Predictor(Setting(self.layer, GradientFlow()), x, seed=self.seed)
        star = first.problem.known_weight
        if not self.rotated or star is None:
            return first
        rotation = np.linalg.qr(rng.standard_normal(star.shape))[0]
        return first.from_start(star + rotation)


def mixtures(train: Float, others: Float, rng: np.random.Generator) -> tuple[Float, Any]:
    """Test images and what kind they are: 0 real ones, 1 means of examples with random weights, 2 magnified differences."""
    few = max(2, len(others) // 6)
    weights = rng.dirichlet(np.ones(len(train)), few)
    pairs = np.array([rng.permutation(len(train))[:2] for _ in range(few)])
    far = 5 * train[pairs[:, 0]] - 4 * train[pairs[:, 1]]
    shown = np.concatenate([others, np.tensordot(weights, train, 1), far])
    return shown, np.repeat([0, 1, 2], [len(others), few, few])


def judged(run: NearLimit, x: Float, pixels: Float, kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The errors of the trained network against the bounds of its closed form, and what rounding explains of a difference."""
    star = run.predictor.problem.known_weight
    errors = lengths(run.columns(x, star), len(x))
    errors = np.concatenate([errors, errors[-1:]])
    finite = sandwich(run.predictor, x, list(run.steps))
    limit = sandwich(run.predictor, x, hull=True)
    lower, upper = (np.concatenate([getattr(finite, name), getattr(limit, name)]) for name in ("lower", "upper"))
    last = run.limit_bound + run.evaluation
    slack = np.append(run.bounds, last)[:, None] * run.sizes(x)
    # The bounds are σ‖V‖ of a computed V: its error times the gain is that of the closed form's weights, counted in ``bounds``.
    beyond = np.maximum(np.maximum(lower - errors, errors - upper), 0.0) / slack
    over = np.maximum(errors[-1] - limit.hull, 0.0) / slack[-1]
    gap = run.predictor.problem.start - (0.0 if star is None else star)
    least = np.linalg.svd(gap, compute_uv=False)[:, -1].min()
    lengths_at = np.concatenate([finite.lengths, limit.lengths])
    real = (kind == 0) & (pixels > 0) & (limit.lengths[0] == 0)
    numbers = {
        "outside": float(beyond[:-1].max()),
        "outside_limit": float(beyond[-1].max()),
        "outside_hull": float(over.max()),
        "tempting": float(((least * lengths_at - errors) / slack).max()),
        "steps": int(run.steps[-1]),
        "slack": float((slack / run.sizes(x)).max()),
        "smallest_gain": float(limit.gains[0].min()),
        "largest_gain": float(limit.gains[1].max()),
        "determined": int(real.sum()),
        "determined_error": float((errors[-1] / slack[-1])[real].max(initial=0.0)),
    }
    arrays = {"errors": errors, "lower": lower, "upper": upper, "span": limit.lengths[0], "hull": limit.hull_distances}
    return numbers, arrays | {"hull_bound": limit.hull, "pixels": pixels, "kind": kind, "steps": np.array(run.steps)}


@dataclass(frozen=True)
class DistanceSandwich(Study):
    """Errors of trained layers between the multiples of their distance to the data that theory allows."""

    title = "the error between two multiples of the distance"
    claim = "The error of a linear layer on a test image lies between σ_min and σ_max of W0 − I times its distance to the data."
    source = "theory: T13, after Deep Learning Generalization, Extrapolation, and Over-parameterization (no number of the paper is used)"
    protocol = (
        "One linear layer trained by torch with momentum, float64, half the sum of squared errors, no decay, to a millionth of its way; "
        "the error on other images against ‖v(t)‖, the distances to span and hull. Small: 8×8, 20 examples; paper: 28×28, 200."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainAgainstDistance]:
        """Fully connected from two kinds of start, and two convolutions."""
        source, seeds = scale.images(scale.pick(None, 28)), scale.seeds(3)
        count, tests = scale.pick((20, 40), (200, 200))
        few, fewer = scale.pick((6, 12), (20, 20))  # every patch of every test image is a question of its own
        dense = [
            TrainAgainstDistance(Linear(), source, count, tests, seed, rotated)
            for rotated in (False, True)
            for seed in seeds
        ]
        return dense + [TrainAgainstDistance(Conv(size), source, few, fewer, seed) for size in (3, 5) for seed in seeds]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The largest excess over the bounds, in units of what rounding explains."""
        dense = [result for result in results if result.experiment.layer.repeats_inputs]
        patches = [result for result in results if result not in dense]
        rotated = [result for result in dense if result.experiment.rotated]
        findings = [
            agreement("fully connected, limit: σ_min·d_span ≤ error ≤ σ_max·d_span",
                      worst(dense, "outside_limit"), ROUNDING, worst(dense, "slack")),
            agreement("fully connected, finite times: the same of ‖v(t)‖", worst(dense, "outside"), ROUNDING, worst(dense, "slack")),
            agreement("W0 − I a rotation: the error is ‖v(t)‖, d_span in the limit",
                      max(worst(rotated, "outside"), worst(rotated, "outside_limit")), ROUNDING, worst(rotated, "slack")),
            agreement("fully connected, limit: error ≤ σ_max·d_hull", worst(dense, "outside_hull"), ROUNDING, worst(dense, "slack")),
            agreement("convolution: error ≤ σ_max·‖V(t)‖ of its patches, at every time",
                      max(worst(patches, "outside"), worst(patches, "outside_limit")), ROUNDING, worst(patches, "slack")),
            agreement("convolution, negative control: with its least singular value for σ_min the lower bound is false",
                      0.0 if patches and all(r.outcome.numbers["tempting"] > 1 for r in patches) else math.inf, "no exception"),
            agreement("convolution: exact on determined images outside the pixel hull", worst(patches, "determined_error"), ROUNDING,
                      worst(patches, "slack")),
        ]  # fmt: skip
        columns = ("layer", "start", "steps", "σ_min", "σ_max", "d_span, median", "d_hull, median", "pixel hull, median",
                   "error, median", "explained by rounding, of ‖φ(x)‖")  # fmt: skip
        rows = []
        for layer, rotated in dict.fromkeys((result.experiment.layer, result.experiment.rotated) for result in results):
            chosen = [r for r in results if (r.experiment.layer, r.experiment.rotated) == (layer, rotated)]
            real = [{name: values[..., r.outcome.arrays["kind"] == 0] for name, values in r.outcome.arrays.items()
                     if name not in ("kind", "steps")} for r in chosen]  # fmt: skip
            middles = [
                float(np.median(np.concatenate([found[name] for found in real]))) for name in ("span", "hull", "pixels")
            ]
            error = float(np.median(np.concatenate([found["errors"][-1] for found in real])))
            rows.append((name_of(layer), LABELS[rotated], max(r.outcome.numbers["steps"] for r in chosen),
                         min(r.outcome.numbers["smallest_gain"] for r in chosen),
                         max(r.outcome.numbers["largest_gain"] for r in chosen),
                         *middles, error, worst(chosen, "slack")))  # fmt: skip
        return Account(findings, columns, rows, [
            "a convolution has fewer outputs than features: σ_min is 0, and only the upper bound speaks",
            "hulls and spans of a convolution are those of its patches; d_span = 0 means that the data determine the prediction",
        ])  # fmt: skip

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Error against the distance to the span with its bounds; error against the distance to the pixel hull."""
        left, right = figure.subplots(1, 2)
        for rotated, colour in ((False, "tab:blue"), (True, "tab:orange")):
            (first, *_) = [r for r in results if r.experiment.rotated == rotated and r.experiment.layer.repeats_inputs]
            arrays, numbers = first.outcome.arrays, first.outcome.numbers
            kinds, far = arrays["kind"], float(arrays["span"].max(initial=1e-9))
            left.plot(
                arrays["span"][kinds == 0],
                arrays["errors"][-1][kinds == 0],
                ".",
                color=colour,
                label=f"{LABELS[rotated]}",
            )
            for gain in ("smallest_gain", "largest_gain"):
                left.plot([0, far], [0, far * numbers[gain]], "-", color=colour, linewidth=0.8)
        left.plot([], [], "-", color="grey", linewidth=0.8, label="σ·d_span, smallest and largest σ")
        left.set(
            xlabel="distance to the span of the examples (pixels in [0, 1])", ylabel="error ‖f(x) − x‖ in the limit"
        )
        left.legend(fontsize=7)
        layers = ((Linear(), "tab:blue"), (Conv(3), "tab:green"), (Conv(5), "tab:red"))
        marks = (("other images", "."), ("mixtures of examples", "x"), ("magnified differences of examples", "^"))
        for layer, colour in layers:
            for result in results:
                if result.experiment.layer != layer or result.experiment.rotated:
                    continue
                arrays = result.outcome.arrays
                for kind, (_, mark) in enumerate(marks):
                    seen = arrays["kind"] == kind
                    errors = np.maximum(arrays["errors"][-1][seen], 1e-16)
                    right.plot(arrays["pixels"][seen], errors, mark, color=colour, markersize=4)
            right.plot([], [], "s", color=colour, label=name_of(layer))
        for name, mark in marks:
            right.plot([], [], mark, color="grey", label=name)
        right.set(
            xlabel="distance to the hull of the examples, all pixels", ylabel="error near the limit", yscale="log"
        )
        right.set_ylim(1e-13, 1e4)
        right.legend(fontsize=7, ncols=2, loc="upper right")


ROUNDING = "what rounding and the rest of the way explain"
LABELS = ("torch's start", "W0 − I a rotation")


def name_of(layer: Layer) -> str:
    """A layer in two words."""
    return "fully connected" if layer.repeats_inputs else f"convolution {getattr(layer, 'kernel_size', '')}"
