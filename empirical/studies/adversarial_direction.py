"""What a step along the separating direction does to predictions that the data determine, and to those that they do not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from empirical.experiment import Experiment, Outcome
from empirical.near_limit import NearLimit, lengths, train_near_limit
from empirical.sources import Digits, Source
from empirical.studies.finding import above, agreement
from empirical.studies.samples import mean, worst
from empirical.studies.study import Account, Result, Scale, Study
from numerics.arrays import Float
from numerics.determinacy import Determinacy
from numerics.extrapolation import judged
from numerics.hulls import distance
from numerics.predictor import Predictor
from theory.component import one_of
from theory.errors import SettingError
from theory.layers import Conv, Layer, Linear, check_whole
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.starts import Xavier
from theory.targets import Given, Identity

STEPS = (-1.0, 0.0, 0.1, 1.0, 2.0, 4.0)  # in units of the distance to the hull; −1 leads to its nearest point
TASKS = ("copy", "classify")
CHANGED = 3  # images whose class is changed by training from a start that is made for it


@dataclass(frozen=True)
class StepOutwards(Experiment):
    r"""Networks from several starts, trained to their limit, on test images that are moved along the direction that separates them.

    With p the nearest point of the hull and :math:`n = (x - p)/\|x - p\|`, images :math:`x + s\,\|x - p\|\,n`; for comparison
    steps as long in a random direction of the span of the examples. A fully connected layer without bias scales what the data leave
    free by exactly 1 + s, because p is in the span; the other steps leave it alone.

    Its numbers: ``apart``: how far the difference of two trained networks is from what determinacy predicts,
    :math:`(W_0 - W_0')U`, in units of the bound; ``determined``: the share of the test images that are determined at every step;
    ``held``: the largest difference between starts there, in units of the bound; ``scaled``: how far the error after a step
    is from 1 + s times the one before, in units of the bound ("copy", fully connected; else 0); ``slack``: the largest bound,
    as a share of the image; ``tested``: how many images are outside the hull.
    For each step, a list: ``outwards`` and ``along``, root mean square over free images of the difference between starts, as a share
    of the image's norm, for the two directions; ``settled``, the same over determined images and outward steps; "copy":
    ``error``, the mean error of the first network as a share of the norm; "classify": ``split``, ``split_along``, the share of all
    test images whose class is not the same from all starts; ``split_settled`` of the determined ones; ``needed``, the median over
    free images of the norm of the least start that changes the class (see :func:`least_norms`). ``changed``: for some free images one
    distance out, whether the class changed when trained from 1.01 times that start, and did not from 0.99 times it.
    Its array ``pictures``: an image at each step, and, for "copy", what two networks make of it, (3, steps, *shape).

    Args:
        layer: The layer, without bias.
        task: "copy" the image, or "classify" it: labels as one-hot vectors, by least squares.
        source: The images.
        count: Examples.
        tests: Test images.
        starts: How many.
        seed: Of the draw and of the starts.
    """

    layer: Layer = Linear()
    task: str = "copy"
    source: Source = Digits()
    count: int = 30
    tests: int = 40
    starts: int = 3
    seed: int = 0
    most: int = 20000

    def __post_init__(self) -> None:
        one_of("task", self.task, TASKS)
        for name in ("count", "tests", "starts"):
            check_whole(name, getattr(self, name), 2)

    def fingerprint(self) -> str:
        """The hash of the images."""
        return self.source.fingerprint()

    def quick(self) -> Self:
        """Few of everything."""
        return self.with_values(count=min(self.count, 12), tests=4, starts=2, most=32)

    def run(self, device: str = "cpu") -> Outcome:
        """Draws, moves, trains, compares."""
        rng = np.random.default_rng(self.seed)
        images = self.source.images().values
        order = rng.permutation(len(images))[: self.count + self.tests]
        chosen = order[: self.count]
        train, test = images[chosen], images[order[self.count :]]
        moved = both_ways(train, test, rng)  # (2, steps, N, *shape)
        if moved.shape[2] == 0:
            message = f"images must hold a test image outside the hull of the examples, but none of {self.tests} is. Use fewer examples."
            raise SettingError(message)
        target, targets = Identity(), None
        if self.task == "classify":
            labels = self.source.labels()
            if labels is None:
                message = f"source must have labels to classify, but {self.source} has none. Use task='copy'."
                raise SettingError(message)
            target, targets = Given(), np.eye(int(labels.max()) + 1)[labels[chosen]]  # type: ignore[assignment]
        setting, x = Setting(self.layer, GradientFlow(), target, start=Xavier()), self.layer.arrange(train)
        seeds = [self.seed * 1000 + number for number in range(self.starts)]
        runs = [
            train_near_limit(Predictor(setting, x, targets, seed=one), most=self.most, device=device) for one in seeds
        ]
        shown = self.layer.arrange(moved.reshape(-1, *test.shape[1:]))
        numbers, outputs = told(runs, shown, moved.shape[:3], copies=self.task == "copy")
        if self.task == "classify":
            numbers |= self.changed(runs[0], shown, moved.shape[:3], device)
        pictures = moved[0, :, 0][None]
        if self.task == "copy":
            pictures = np.concatenate([pictures, outputs[:2, 0, :, 0].reshape(2, *moved.shape[1:2], *test.shape[1:])])
        return Outcome(numbers, {"pictures": pictures.astype(np.float32)})

    def changed(self, run: NearLimit, shown: Float, shape: tuple[int, ...], device: str) -> dict[str, Any]:
        """How large a start must be to change a class, and networks trained from starts a little larger and a little smaller."""
        found = judged(run.predictor, shown)
        norms, starts = least_norms(found)
        free = (found.status == "free").reshape(shape)[0]
        by_step = norms.reshape(shape)[0]
        needed = [
            float(np.median(row[seen])) if seen.any() else math.nan for row, seen in zip(by_step, free, strict=True)
        ]
        out = STEPS.index(1.0)
        own, told = found.minimum_norm.argmax(axis=1), []
        for image in np.flatnonzero(free[out])[:CHANGED]:
            index = int(np.ravel_multi_index((0, out, int(image)), shape))
            for factor, changes in ((1.01, True), (0.99, False)):
                start = factor * starts[index][None]
                near = train_near_limit(run.predictor.from_start(start), most=self.most, device=device)
                told.append(bool((near.outputs(shown[index : index + 1])[-1, 0].argmax() != own[index]) == changes))
        return {"needed": needed, "changed": told}


def least_norms(found: Determinacy) -> tuple[Float, Float]:
    r"""The norm of the least start that ties the class of each example with another, and that start, (N,) and (N, q, d).

    From W0 the outputs are :math:`Y\Phi^+\varphi(x) + W_0u`; for the winner a and the runner-up b, m apart without a start, the least is
    :math:`W_0 = \tfrac{m}{2\|u\|^2}(e_b - e_a)u^\top`, of norm :math:`m/(\sqrt2\|u\|)`; infinite where the data determine, u = 0.
    For layers with one column of features.
    """
    outputs, parts = found.minimum_norm, found.free[0].T
    order = np.argsort(outputs, axis=1)
    rows = np.arange(len(outputs))
    gaps = outputs[rows, order[:, -1]] - outputs[rows, order[:, -2]]
    sizes = (parts**2).sum(axis=1)
    free = sizes > 0
    half = np.divide(gaps, 2 * sizes, out=np.full(len(gaps), np.inf), where=free)
    starts = np.zeros((*outputs.shape, parts.shape[1]))
    for sign, column in ((-1, -1), (1, -2)):
        starts[rows, order[:, column]] = np.where(free, sign * half, 0.0)[:, None] * parts
    return np.divide(gaps, np.sqrt(2 * sizes), out=np.full(len(gaps), np.inf), where=free), starts


def both_ways(train: Float, test: Float, rng: np.random.Generator) -> Float:
    """Test images outside moved away from the hull, and as far in a random direction of its span, (2, steps, N, *shape)."""
    points, flat = (images.reshape(len(images), -1) for images in (train, test))
    found = distance(flat, points)
    outside = found.lower > 0
    flat, weights = flat[outside], found.weights[outside]
    outwards = flat - weights @ points
    along = rng.standard_normal((len(flat), len(points))) @ points
    along *= (np.linalg.norm(outwards, axis=1) / np.linalg.norm(along, axis=1))[:, None]
    steps = np.array(STEPS)[:, None, None]
    return np.stack([flat + steps * outwards, flat + steps * along]).reshape(2, len(STEPS), len(flat), *test.shape[1:])


def told(
    runs: Sequence[NearLimit], shown: Float, shape: tuple[int, ...], *, copies: bool
) -> tuple[dict[str, Any], Float]:
    """The numbers of the experiment and the outputs (starts, 2, steps, N, …), from networks on images stacked as (2, steps, N)."""
    found = judged(runs[0].predictor, shown)
    final = np.array([run.columns(shown)[-1] for run in runs])
    starts = np.array([run.predictor.problem.start for run in runs])
    sizes = runs[0].sizes(shown)
    bounds = [run.limit_bound + run.evaluation for run in runs]
    pairs = [(one, other) for one in range(len(runs)) for other in range(one)]
    gaps = np.array([lengths(final[one] - final[other], len(shown)) for one, other in pairs])
    wrong = [
        lengths(final[one] - final[other] - (starts[one] - starts[other]) @ found.free, len(shown))
        for one, other in pairs
    ]
    allowed = np.array([bounds[one] + bounds[other] for one, other in pairs])[:, None] * sizes
    determined = (found.status == "determined").reshape(shape)
    settled = determined.all(axis=(0, 1))  # at every step of both directions
    free = (found.status == "free").reshape(shape)[0, STEPS.index(0.0)]
    norms = np.linalg.norm(shown.reshape(len(shown), -1), axis=1).reshape(shape)[0, STEPS.index(0.0)]
    spread = np.sqrt((gaps**2).mean(axis=0)).reshape(shape) / norms
    outputs = np.array([run.outputs(shown)[-1] for run in runs])
    outputs = outputs.reshape(len(runs), *shape, *outputs.shape[2:])
    over = (gaps / allowed).max(axis=0).reshape(shape)
    numbers: dict[str, Any] = {
        "apart": float((np.array(wrong) / allowed).max()),
        "determined": float(settled.mean()),
        "held": float(over[..., settled].max(initial=0.0)),
        "slack": float((allowed.max(axis=0).reshape(shape) / norms).max()),
        "tested": shape[2],
        "scaled": 0.0,
        "outwards": root_mean(spread[0][:, free]),
        "along": root_mean(spread[1][:, free]),
        "settled": root_mean(spread[0][:, settled]),
    }
    if copies:
        star = runs[0].predictor.problem.known_weight
        errors = lengths(runs[0].columns(shown, star)[-1], len(shown)).reshape(shape)
        numbers["error"] = (errors[0] / norms).mean(axis=1)
        if runs[0].predictor.setting.layer.repeats_inputs:
            numbers["scaled"] = scaled(errors, bounds[0] * sizes.reshape(shape))
    else:
        classes = outputs.argmax(axis=4)
        split = (classes != classes[0]).any(axis=0)
        numbers["split"], numbers["split_along"] = split.mean(axis=2)
        numbers["split_settled"] = split[0][:, settled].mean(axis=1) if settled.any() else np.full(len(STEPS), np.nan)
    return numbers, outputs


def scaled(errors: Float, bounds: Float) -> float:
    """How far errors (2, steps, N) are from 1 + s times that at s = 0, and from it along the span, in units of their bounds."""
    here = STEPS.index(0.0)
    factors = np.stack([1 + np.array(STEPS), np.ones(len(STEPS))])[..., None]
    gaps = np.abs(errors - factors * errors[0, here])
    return float((gaps / (bounds + factors * bounds[0, here])).max())


def root_mean(values: Float) -> Float:
    """The root mean square over the last axis; NaN where it is empty."""
    return np.sqrt((values**2).mean(axis=-1)) if values.shape[-1] else np.full(values.shape[:-1], np.nan)


@dataclass(frozen=True)
class AdversarialDirection(Study):
    """Steps along the separating direction, on networks that the data determine and on others."""

    title = "a step along the separating direction"
    claim = "Stepping away from the hull moves the predictions that the data leave to the start, and no others."
    source = "theory: T12, after Deep Learning Generalization, Extrapolation, and Over-parameterization (no number of the paper is used)"
    protocol = (
        "One linear layer without bias, trained by torch with momentum in float64 to a millionth of its way, to copy images or to classify "
        "them by least squares, from three Xavier starts; test images moved by multiples of their distance to the hull, away from it and, "
        "for comparison, in their examples' span. Small: 30 examples of 8×8, or "
        "200 of 4×4, which determine everything; paper: 200 of 28×28, or 1000 of 7×7."
    )

    def experiments(self, scale: Scale) -> Sequence[StepOutwards]:
        """Few examples and many, fully connected; few, convolutional."""
        source, seeds = scale.images(scale.pick(None, 28)), scale.seeds(scale.pick(3, 5))
        coarse = scale.images(scale.pick(4, 7))  # fine images have rare pixels, which take too many steps to be learned
        few, many, tests = scale.pick((30, 200, 40), (200, 1000, 200))
        tasks = [task for task in TASKS if task == "copy" or source.labels() is not None]
        found = [
            StepOutwards(Linear(), task, images, count, tests, 3, seed)
            for task in tasks
            for images, count in ((source, few), (coarse, many))
            for seed in seeds
        ]
        return found + [StepOutwards(Conv(3), "copy", source, few, tests, 3, seed) for seed in seeds]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """What the theory says of every difference, and how many classes a step unsettles."""
        few = min(r.experiment.count for r in results)
        classified = [
            r.outcome.numbers for r in results if r.experiment.task == "classify" and r.experiment.count == few
        ]
        settled = [r for r in results if r.outcome.numbers["determined"]]
        copies = [r for r in results if r.experiment.task == "copy" and r.experiment.layer.repeats_inputs]
        findings = [
            agreement("every image and step: two trained networks differ by (W0 − W0')U",
                      worst(results, "apart"), ROUNDING, worst(results, "slack")),
            agreement("determined images, however far outside: two trained networks agree",
                      worst(settled, "held"), ROUNDING, worst(settled, "slack")),
            agreement("copying: s distances away the error is 1 + s times what it was, in the span unchanged",
                      worst(copies, "scaled"), ROUNDING, worst(copies, "slack")),
        ]  # fmt: skip
        changes = [all(numbers["changed"]) for numbers in classified if numbers["changed"]]
        if classified:
            says = (
                "the least start that changes a class: trained from 1.01 of it the class changes, from 0.99 of it not"
            )
            findings.append(agreement(says, 0.0 if changes and all(changes) else math.inf, "no exception"))
        here, out = STEPS.index(0.0), STEPS.index(1.0)
        if classified:
            says = f"{few} examples: share of test images whose class depends on the start, one distance farther out"
            findings.append(
                above(f"{says}, less before", [one["split"][out] - one["split"][here] for one in classified], 0.0)
            )
            findings.append(
                above(
                    f"{says}, less after as long a step in the span",
                    [one["split"][out] - one["split_along"][out] for one in classified],
                    0.0,
                )
            )
        columns = ("layer", "task", "examples", "determined", "measured", *(f"s = {step:g}" for step in STEPS))
        rows = []
        for key in dict.fromkeys((r.experiment.layer, r.experiment.task, r.experiment.count) for r in results):
            chosen = [
                r.outcome.numbers for r in results if (r.experiment.layer, r.experiment.task, r.experiment.count) == key
            ]
            for name, words in MEASURED.items():
                if name in chosen[0] and np.isfinite(table := profile(chosen, name)).any():
                    rows.append(
                        (name_of(key[0]), key[1], key[2], mean([one["determined"] for one in chosen]), words, *table)
                    )
        return Account(
            findings,
            columns,
            rows,
            ["s: the step in units of the image's distance to the hull; −1 is the nearest point of the hull"],
        )

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """What depends on the start by step, classes that do, and pictures."""
        left, middle, right = figure.subplots(1, 3, width_ratios=(3, 3, 4))
        groups = dict.fromkeys((r.experiment.layer, r.experiment.task, r.experiment.count) for r in results)
        for number, key in enumerate(groups):
            chosen = [
                r.outcome.numbers for r in results if (r.experiment.layer, r.experiment.task, r.experiment.count) == key
            ]
            label, colour = f"{name_of(key[0])}, {key[2]} examples", f"C{number}"
            if key[1] == "classify":
                middle.plot(
                    STEPS,
                    profile(chosen, "split"),
                    "o-",
                    color=colour,
                    markersize=3,
                    label=f"{key[2]} examples, outwards",
                )
                middle.plot(
                    STEPS,
                    profile(chosen, "split_along"),
                    "x:",
                    color=colour,
                    markersize=3,
                    label=f"{key[2]} examples, in the span",
                )
                continue
            # Marks and strokes of their own: two of the lines lie on each other.
            style, size = ("o-", 3) if not number else ("s-", 7) if key[0].repeats_inputs else ("x:", 4)
            left.plot(
                STEPS, profile(chosen, "error"), style, color=colour, markersize=size, fillstyle="none", label=label
            )
        left.set(xlabel="step / distance to the hull", ylabel="error / norm of the image", title="copying")
        middle.set(
            xlabel="step / distance to the hull",
            ylabel="share whose class depends on the start",
            title="classifying",
            ylim=(-0.02, 1.02),
        )
        left.legend(fontsize=7)
        if middle.lines:
            middle.legend(fontsize=6)
        rows = [(name_of(r.experiment.layer), r.outcome.arrays["pictures"]) for r in results
                if r.experiment.task == "copy" and r.experiment.seed == scale.seed]  # fmt: skip
        strips = [("image", rows[0][1][0]), *((name, pictures[1]) for name, pictures in (rows[0], rows[-1]))]
        strips.insert(2, ("another start", rows[0][1][2]))
        if rows[0][1].ndim != 5:
            right.set_axis_off()
            return
        frame = ((1, 1), (1, 1))
        tiles = [
            [np.pad(np.clip(image[0], 0, 1), frame, constant_values=0.5) for image in strip] for _, strip in strips
        ]
        right.imshow(np.concatenate([np.concatenate(row, axis=1) for row in tiles]), cmap="gray")
        height, width = tiles[0][0].shape
        right.set_yticks(
            [height * (row + 0.5) - 0.5 for row in range(len(strips))], [name for name, _ in strips], fontsize=7
        )
        right.set_xticks(
            [width * (column + 0.5) - 0.5 for column in range(len(STEPS))], [f"{step:g}" for step in STEPS]
        )
        right.set_xlabel("step / distance to the hull")


ROUNDING = "what rounding and the rest of the way explain"
MEASURED = {
    "outwards": "difference between starts/norm, free images, outwards",
    "along": "the same, in the span",
    "settled": "the same, determined images, outwards",
    "error": "error/norm, outwards",
    "needed": "norm of the least start that changes the class, free images, outwards",
    "split": "class depends on the start, outwards",
    "split_along": "the same, in the span",
    "split_settled": "the same, determined images, outwards",
}


def profile(chosen: Sequence[dict[str, Any]], name: str) -> Any:
    """A number by step, the mean over seeds; None is left out."""
    return mean(np.array([one[name] for one in chosen], dtype=float), axis=0)


def name_of(layer: Layer) -> str:
    """A layer in two words."""
    return "fully connected" if layer.repeats_inputs else "convolution"
