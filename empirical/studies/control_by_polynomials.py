"""Who decides a polynomial away from its data: under-, exactly and over-parameterized degrees, from several starts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.linalg import qr
from scipy.spatial import ConvexHull

from empirical.experiment import Experiment, Outcome
from empirical.near_limit import NearLimit, train_near_limit
from empirical.studies.finding import above, agreement
from empirical.studies.samples import largest, worst
from empirical.studies.study import Account, Result, Scale, Study
from numerics.arrays import Float
from numerics.determinacy import Determinacy
from numerics.extrapolation import judged
from numerics.hulls import distance
from numerics.predictor import Predictor
from theory.component import check_number
from theory.errors import SettingError
from theory.layers import Polynomial, check_whole
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given

DECAYS = (0.01, 0.1)  # besides none; the last is drawn
REACH = {1: 2.0, 2: 1.6}  # of the grid; the data lie in [-1, 1]
GRID = {1: 81, 2: 25}  # points along an axis
DEGREES = {1: (2, 5, 11), 2: (2, 4, 7)}  # of 6 and 15 points: under, exactly, over


class Counts(NamedTuple):
    """What a degree is for so many points."""

    features: int
    points: int

    def __str__(self) -> str:
        if self.features == self.points:
            return "exactly"
        return "under" if self.features < self.points else "over"


@dataclass(frozen=True)
class TrainPolynomial(Experiment):
    r"""A polynomial trained on labels ±1 from several starts, and what of it the data determine on a grid.

    The points are those of a random set for which the polynomial that just fits them all is well conditioned. A start of norm
    at most :math:`R = \|Y\Phi^+\|` *controls* a grid point if one such start makes the class positive there and another negative:
    :math:`|Y\Phi^+\varphi(x)| < R\,\|u\|`, u what of φ(x) is outside the range of Φ. From the two extremal starts for one point
    outside the hull and one inside a network is trained too.

    Its numbers: ``features``, ``points``; ``free_outside``, ``free_inside``, ``controlled_outside``, ``controlled_inside``: shares of
    the grid; ``undecided`` of it; ``gain_outside``, ``gain_inside``: median ‖u‖; ``trained``: trained less predicted at the same step
    in units of the bound; ``apart``: the largest difference between two starts where the data determine (with decay: anywhere) in
    units of the bound; ``spread_outside``, ``spread_inside``: root mean square of the difference between starts; ``ends``: how far the
    networks from extremal starts are from the ends of the interval, in units of the bound; ``flipped``: whether each of the two points
    got both classes; ``steps``; ``slack``, the largest bound on an output.
    Its arrays: ``points``, ``labels``, ``grid``, ``inside``; ``outputs`` of each start on the grid; ``gains``; ``extremal``, outputs
    from the lowest and highest start of the point outside, then of the one inside.

    Args:
        dimension: 1 or 2.
        degree: Of the polynomial.
        weight_decay: μ.
        starts: How many.
        std: Of their entries.
        seed: Of points, labels and starts.
        most: Steps at most.
    """

    dimension: int = 1
    degree: int = 5
    weight_decay: float = 0.0
    starts: int = 3
    std: float = 1.0
    seed: int = 0
    most: int = 20000

    def __post_init__(self) -> None:
        if self.dimension not in DEGREES:
            message = f"dimension must be 1 or 2, but it is {self.dimension!r}. Choose one."
            raise SettingError(message)
        check_whole("starts", self.starts, 2)
        check_number("weight_decay", self.weight_decay, at_least=0)

    @property
    def layer(self) -> Polynomial:
        """The polynomial, with its constant."""
        return Polynomial(self.degree, bias=True)

    def quick(self) -> Self:
        """Two starts and few steps."""
        return self.with_values(starts=2, most=16)

    def run(self, device: str = "cpu") -> Outcome:
        """Draws, predicts, trains."""
        points, labels = self.data()
        reach, count = REACH[self.dimension], GRID[self.dimension]
        axis = np.linspace(-reach, reach, count)
        grid = np.stack(np.meshgrid(*[axis] * self.dimension, indexing="ij"), axis=-1).reshape(-1, self.dimension)
        near = distance(grid, points).upper <= 1e-9  # a grid point on the boundary counts as inside
        setting = Setting(self.layer, GradientFlow(), Given(), weight_decay=self.weight_decay, start=Gaussian(self.std))
        predictors = [
            Predictor(setting, points, labels, seed=self.seed * 1000 + number) for number in range(self.starts)
        ]
        found = judged(predictors[0], grid)
        runs = [train_near_limit(predictor, most=self.most, device=device) for predictor in predictors]
        numbers = {
            "features": found.free.shape[1],
            "points": len(points),
            **shares(found, near),
            **compared(runs, found, near),
        }
        ends = {}
        if numbers["free_outside"] and not self.weight_decay:
            told, ends["extremal"] = self.extremes(found, near, device)
            numbers |= told
        outputs = np.array([run.outputs(grid)[-1, :, 0] for run in runs])
        arrays = {"points": points, "labels": labels[:, 0], "grid": grid, "inside": near, "outputs": outputs}
        return Outcome(numbers, arrays | {"gains": found.gains[:, 0]} | ends)

    def data(self) -> tuple[Float, Float]:
        """Points in [-1, 1]ᵈ by pivoting among random ones, and labels ±1 by a random smooth function."""
        rng = np.random.default_rng([self.seed, self.dimension])
        fitting = Polynomial(DEGREES[self.dimension][1], bias=True)
        candidates = rng.uniform(-1, 1, (400, self.dimension))
        columns = fitting.features(candidates, np)[0]
        _, _, order = qr(columns, mode="economic", pivoting=True)
        points = candidates[order[: len(columns)]]
        waves = np.sin(3 * points @ rng.standard_normal((self.dimension, 4)) + rng.uniform(0, 6, 4)).sum(axis=1)
        return points, np.where(waves > np.median(waves), 1.0, -1.0)[:, None]

    def extremes(self, found: Determinacy, near: Any, device: str) -> tuple[dict[str, Any], Float]:
        """Networks trained from the starts that move the class of one point outside and one inside the most; the grid's outputs."""
        budget, wrong, flipped, outputs = found.least_weight, [], [], []
        lowest, highest = found.interval(budget)
        for place in (~near, near):
            chosen = int(
                np.where(place, found.gains[:, 0] - np.abs(found.minimum_norm[:, 0]) / budget, -np.inf).argmax()
            )
            values = []
            for low in (True, False):
                weight, bias = found.extremal_start(chosen, (0,), budget, lowest=low)
                inputs, targets = found.predictor.problem.inputs, found.predictor.problem.targets
                begin = Predictor(found.predictor.setting, inputs, targets, weight, bias)
                run = train_near_limit(begin, most=self.most, device=device)
                outputs.append(run.outputs(found.test)[-1, :, 0])
                values.append(float(outputs[-1][chosen]))
                bound = (run.limit_bound + run.evaluation) * float(run.sizes(found.test)[chosen])
                wrong.append(abs(values[-1] - float((lowest if low else highest)[chosen, 0])) / bound)
            flipped.append(values[0] < 0 < values[1])
        return {"ends": largest(wrong), "flipped": flipped}, np.array(outputs)


def shares(found: Determinacy, inside: Any) -> dict[str, float]:
    """How much of the grid is free, and controlled by a start no larger than the least weight that fits the data."""
    free, undecided = found.status == "free", found.status == "undecided"
    gains = found.gains[:, 0]
    controlled = free & (np.abs(found.minimum_norm[:, 0]) < found.least_weight * gains)
    numbers = {"undecided": float(undecided.mean())}
    for name, place in (("outside", ~inside), ("inside", inside)):
        numbers[f"free_{name}"] = float(free[place].mean())
        numbers[f"controlled_{name}"] = float(controlled[place].mean())
        numbers[f"gain_{name}"] = float(np.median(gains[place]))
    return numbers


def compared(runs: Sequence[NearLimit], found: Determinacy, inside: Any) -> dict[str, float]:
    """Trained against predicted, and the trained networks against each other, on the grid."""
    grid, decays = found.test, runs[0].predictor.setting.weight_decay > 0
    outputs = np.array([run.outputs(grid)[-1, :, 0] for run in runs])
    predicted = np.array([run.predictor.predict(grid, run.steps[-1:])[0, :, 0] for run in runs])
    sizes = runs[0].sizes(grid)
    bounds = np.array([run.bounds[-1] for run in runs])[:, None] * sizes
    limits = np.array([run.limit_bound for run in runs])
    shared = np.full(len(grid), True) if decays else found.status == "determined"
    # Two networks each are so near to a limit; with decay it is one for both, without it is where the data determine.
    pairs = [(one, other) for one in range(len(runs)) for other in range(one)]
    gaps = np.array([np.abs(outputs[one] - outputs[other]) for one, other in pairs])
    allowed = np.array([limits[one] + limits[other] for one, other in pairs])[:, None] * sizes
    spread = np.sqrt((gaps**2).mean(axis=0))
    return {
        "trained": float((np.abs(outputs - predicted) / bounds).max()),
        "apart": float((gaps / allowed)[:, shared].max(initial=0.0)),
        "shared": float(shared.mean()),
        "spread_outside": float(np.sqrt((spread[~inside] ** 2).mean())),
        "spread_inside": float(np.sqrt((spread[inside] ** 2).mean())),
        "steps": max(run.steps[-1] for run in runs),
        "slack": float(allowed.max()),
    }


@dataclass(frozen=True)
class ControlByPolynomials(Study):
    """Whether the start decides a polynomial's class outside the hull of its data, by degree."""

    title = "control needs over-parameterization"
    claim = "Over-parameterization is necessary to control a model outside the convex hull of its data."
    source = "Deep Learning Generalization, Extrapolation, and Over-parameterization (no number of the paper is used)"
    protocol = (
        "Polynomials of all monomials by torch with momentum, float64, on 6 points in 1-D and 15 in 2-D with labels ±1, so that one degree "
        "just fits; three normal starts, the extremal starts of one point outside and one inside, and weight decay. Budget of a start: the "
        "norm of the least weight that fits. Negative control: points inside the hull. Small: 3 draws of the data; paper: 10."
    )

    def experiments(self, scale: Scale) -> Sequence[TrainPolynomial]:
        """Each dimension and degree, over-parameterized ones with decay too."""
        found = []
        for seed in scale.seeds(scale.pick(3, 10)):
            for dimension, degrees in DEGREES.items():
                found += [TrainPolynomial(dimension, degree, seed=seed) for degree in degrees]
                found += [TrainPolynomial(dimension, degrees[-1], weight_decay=decay, seed=seed) for decay in DECAYS]
        return found

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Where the start decides, where the data do, and inside against outside."""
        under = [r for r in results if named(r) != "over"]
        over = [r for r in results if named(r) == "over" and r.experiment.weight_decay == 0]
        decayed = [r for r in results if r.experiment.weight_decay > 0]
        told = [r for r in over if "ends" in r.outcome.numbers]
        determined = all(
            numbers(r)["free_outside"] == numbers(r)["free_inside"] == numbers(r)["undecided"] == 0 for r in under
        )
        free = all(numbers(r)["free_inside"] == 1 for r in over)
        findings = [
            agreement("under- and exactly parameterized: trained from other starts, the same everywhere",
                      worst(under, "apart") if determined else math.inf, ROUNDING, worst(under, "slack")),
            *(above(f"{d}-D, over-parameterized: share of the grid outside whose class a start of least norm decides",
                    [numbers(r)["controlled_outside"] for r in over if r.experiment.dimension == d], MOST) for d in DEGREES),
            agreement("over-parameterized: trained from the extremal starts, an outside point takes the ends of its interval",
                      largest([numbers(r)["ends"] if numbers(r)["flipped"][0] else math.inf for r in told] or [math.inf]), ROUNDING),
            agreement("negative control: every inside point that is no example is just as free, and one trained point got both classes",
                      0.0 if free and told and all(numbers(r)["flipped"][1] for r in told) else math.inf, "no exception"),
            agreement("with weight decay: trained from other starts, the same everywhere",
                      worst(decayed, "apart"), ROUNDING, worst(decayed, "slack")),
            agreement("every trained network: as predicted at the same step", worst(results, "trained"), ROUNDING),
        ]  # fmt: skip
        columns = ("dimension", "degree", "features/points", "decay", "free outside", "free inside", "controlled outside",
                   "controlled inside", "gain outside", "gain inside", "spread outside", "spread inside", "steps", "slack")  # fmt: skip
        groups = dict.fromkeys(
            (r.experiment.dimension, r.experiment.degree, r.experiment.weight_decay) for r in results
        )
        rows = []
        for key in groups:
            chosen = [numbers(r) for r in results
                      if (r.experiment.dimension, r.experiment.degree, r.experiment.weight_decay) == key]  # fmt: skip
            middle = [float(np.mean([one[name] for one in chosen])) for name in SHOWN]
            counts = f"{chosen[0]['features']}/{chosen[0]['points']}"
            rows.append(
                (
                    *key[:2],
                    counts,
                    key[2],
                    *middle,
                    max(one["steps"] for one in chosen),
                    max(one["slack"] for one in chosen),
                )
            )
        return Account(
            findings,
            columns,
            rows,
            ["slack: how far two trained networks may be from the same limit, at the grid's farthest"],
        )

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Above the polynomials in 1-D, below the classes in 2-D, from three starts; one column for each degree."""
        chosen: dict[tuple[int, int, float], Result] = {}
        for result in results:
            key = (result.experiment.dimension, result.experiment.degree, result.experiment.weight_decay)
            chosen.setdefault(key, result)
        axes = figure.subplots(2, 4)
        for (dimension, degree, decay), result in chosen.items():
            if decay in DECAYS[:-1]:
                continue
            column = DEGREES[dimension].index(degree) + (decay > 0)
            axis, arrays = axes[dimension - 1, column], result.outcome.arrays
            grid, points, labels = (arrays[name] for name in ("grid", "points", "labels"))
            lines = [(output, colour, "-") for output, colour in zip(arrays["outputs"], COLOURS, strict=False)]
            lines += [(output, "black", "--") for output in arrays.get("extremal", ())[:2]]
            title = f"degree {degree}, {named(result)}" + (f", decay {decay:g}" if decay else "")
            axis.set_title(title, fontsize=8)
            axis.tick_params(labelsize=6)
            if dimension == 1:
                for output, colour, style in lines:
                    axis.plot(grid[:, 0], output, color=colour, linewidth=1, linestyle=style)
                axis.axvspan(points.min(), points.max(), color="0.92")
                axis.plot(points[:, 0], labels, "k.", markersize=4)
                axis.set_yscale("symlog", linthresh=2)
                axis.set(ylim=(-1e4, 1e4), xlim=(-REACH[1], REACH[1]), yticks=[-1e4, -100, -1, 0, 1, 100, 1e4])
                axis.set_xlabel("x", fontsize=7)
                continue
            side = GRID[2]
            x, y = grid[:, 0].reshape(side, side), grid[:, 1].reshape(side, side)
            for output, colour, style in lines:
                axis.contour(x, y, output.reshape(side, side), [0.0], colors=[colour], linewidths=1, linestyles=style)
            axis.fill(*points[ConvexHull(points).vertices].T, color="0.92")
            axis.plot(*points[labels > 0].T, "k+", *points[labels < 0].T, "k_", markersize=4)
            axis.set_aspect("equal")
            axis.set_xlabel("x₁", fontsize=7)
        axes[0, 0].set_ylabel("output (colours: starts;\ndashed: extremal ones;\ngrey: the hull)", fontsize=7)
        axes[1, 0].set_ylabel("x₂ (lines: where the class changes)", fontsize=7)


MOST = 0.5  # the paper's word for a share is "most"
ROUNDING = "what rounding and the rest of the way explain"
COLOURS = ("tab:blue", "tab:orange", "tab:green")
SHOWN = ("free_outside", "free_inside", "controlled_outside", "controlled_inside", "gain_outside", "gain_inside",
         "spread_outside", "spread_inside")  # fmt: skip


def numbers(result: Result) -> dict[str, Any]:
    """The numbers of a result."""
    return result.outcome.numbers


def named(result: Result) -> str:
    """Whether there are fewer features than points, as many, or more."""
    return str(Counts(numbers(result)["features"], numbers(result)["points"]))
