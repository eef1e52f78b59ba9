"""The cosine of a trained layer's output with the input and with the training picture: ρ² and ρ, and where that fails."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from empirical.experiments.sample_networks import SampleNetworks
from empirical.studies.chance import LEVEL, moments
from empirical.studies.finding import Finding, agreement
from empirical.studies.samples import largest
from empirical.studies.study import Account, Result, Scale, Study
from numerics.arrays import Float
from numerics.predictor import Predictor
from theory.layers import Linear
from theory.optimizers import GradientDescent
from theory.starts import Gaussian, Start, TorchDefault

RHOS = (0.2, 0.4, 0.6, 0.8, 0.95)
NAMES = ("cosine constant", "cosine x", "correlation constant", "correlation x")


@dataclass(frozen=True)
class CosineOfOneLayer(Study):
    """Mean cosine and Pearson correlation of trained fully connected layers against their closed forms."""

    title = "Cosine of one layer"
    claim = "A fully connected layer trained on one picture gives an output of cosine ρ with it, and ρ² with the input, for large d."
    source = "Identity Crisis, theorem 1, with start N(0, 1/d); the closed form at every d is the toolkit's"
    protocol = (
        "One picture x̂, identity target, gradient descent to the limit; tests are x̂ turned to cosine ρ in a random direction. Start "
        "N(0, 1/d) at three sizes, and torch's default start at one. Small: 4×4, 8×8, 16×16. Paper: 8×8, 16×16, 28×28."
    )

    def experiments(self, scale: Scale) -> Sequence[SampleNetworks]:
        """One sample of networks for each size and start, and one for torch's start."""
        small, middle, large = scale.pick((4, 8, 16), (8, 16, 28))
        counts = scale.pick({4: 4000, 8: 2000, 16: 400}, {8: 20000, 16: 4000, 28: 1000})
        made: list[tuple[int, Start]] = [(size, Gaussian(1 / size)) for size in (small, middle, large)]
        return [
            SampleNetworks(
                Linear(),
                start,
                GradientDescent(0.9),
                source=scale.images(size),
                example=scale.example,
                cosines=RHOS,
                steps=(14,),
                count=counts[size],
                seed=scale.seed,
            )
            for size, start in [*made, (middle, TorchDefault())]
        ]

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """Every mean against its closed form; the rules ρ and ρ² where they hold, and refused where they do not."""
        comparisons = len(results) * len(NAMES) * len(RHOS)
        tables = [Table(result, comparisons) for result in results]
        gaussian = [table for table in tables if not table.default]
        default = [table for table in tables if table.default]
        against = f"central limit theorem, level {LEVEL:g} over all comparisons"
        small, kurtosis = f"1/(2d) and chance, {against}", f"its kurtosis and chance, {against}"
        findings = [
            judged("mean cosines, start N(0, 1/d)", gaussian, lambda one: one.worst("cosine"), against),
            judged(
                "mean Pearson correlations, start N(0, 1/d)", gaussian, lambda one: one.worst("correlation"), against
            ),
            judged("the rules ρ and ρ² for the cosine, start N(0, 1/d)", gaussian, Table.rule, small),
            refused("ρ and ρ² are refused for Pearson's correlation", gaussian[1:], "correlation"),
        ]
        if default:
            says = "cosines and correlations under torch's start are those of a Gaussian start of its variance"
            findings += [
                judged(says, default, lambda one: one.worst("c"), kurtosis),
                refused("ρ and ρ² are refused for the cosine under torch's start", default, "cosine"),
            ]
        columns = ("start", "d", "ρ", *(f"{name}{mark}" for name in NAMES for mark in ("", " predicted")))
        rows = [
            (
                "torch default" if table.default else "N(0, 1/d)",
                table.dimension,
                rho,
                *(values[name][0, column] for name in NAMES for values in (table.means, table.predicted)),
            )
            for table in tables
            for column, rho in enumerate(table.rhos)
        ]
        return Account(findings, columns, rows)

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Means over the networks as points, closed forms as lines, by ρ; left the cosine, right Pearson's correlation."""
        tables = [Table(result, 1) for result in results]
        shown = [table for table in tables if table.dimension == tables[-1].dimension]
        for axes, kind in zip(figure.subplots(1, 2, sharey=True), ("cosine", "correlation"), strict=True):
            for table in shown:
                style, start = ("--", "torch's start") if table.default else ("-", "start N(0, 1/d)")
                for whose, colour in (("constant", "tab:red"), ("x", "tab:blue")):
                    name = f"{kind} {whose}"
                    picture = "training picture" if whose == "constant" else "input"
                    axes.plot(table.rhos, table.predicted[name][0], style, color=colour, label=f"{picture}, {start}")
                    axes.plot(table.rhos, table.means[name][0], "o", color=colour, markersize=4)
            across = np.linspace(0, 1, 50)
            axes.plot(across, across, ":", color="grey", label="ρ and ρ²")
            axes.plot(across, across**2, ":", color="grey")
            title = "cosine" if kind == "cosine" else "Pearson's correlation"
            axes.set(xlabel="ρ, cosine of input and training picture", title=f"{title}, d = {shown[0].dimension}")
        figure.axes[0].set_ylabel("mean over trained networks (points)")
        figure.axes[0].legend(fontsize=7)


class Table:
    """The means of one experiment's networks beside their closed forms, by name, each (1, tests).

    Args:
        result: A ``SampleNetworks`` and its outcome.
        comparisons: How many means the study compares in all.
    """

    def __init__(self, result: Result, comparisons: int) -> None:
        experiment, samples = result.experiment, result.outcome.arrays
        predictor, (_, tests) = experiment.predictor(), experiment.shown()
        self.rhos: Float = np.array(experiment.cosines)
        self.dimension, self.default = tests.shape[1], not isinstance(experiment.start, Gaussian)
        found = {name: moments(samples[name], comparisons) for name in NAMES}
        self.means = {name: of.mean for name, of in found.items()}
        self.predicted = closed_forms(predictor, tests)
        self.rooms = {name: of.mean_room for name, of in found.items()}
        if self.default:
            share = kurtosis_share(predictor, tests)
            self.rooms = {name: room + 2 * share for name, room in self.rooms.items()}

    def worst(self, kind: str) -> float:
        """The largest gap to the closed form ÷ its room, over the names that begin so."""
        names = [name for name in NAMES if name.startswith(kind)]
        return largest((np.abs(self.means[name] - self.predicted[name]) / self.rooms[name]).max() for name in names)

    def gaps(self, kind: str) -> list[tuple[Float, Float]]:
        """The gaps of the means to ρ and to ρ², each with the room that chance has."""
        rules = ((f"{kind} constant", self.rhos), (f"{kind} x", self.rhos**2))
        return [(np.abs(self.means[name] - rule), self.rooms[name]) for name, rule in rules]

    def rule(self) -> float:
        r"""The largest gap of the cosines to ρ and ρ² ÷ room and 1/(2d).

        To first order the mean cosine is :math:`\rho\,(1 + (1 - \rho^2)(3\rho^2 - 1)/(4d))` (by the delta method, with
        :math:`E\|f\|^2 = \|x\|^2`): within 1/(4d), of which twice is allowed.
        """
        return largest((gap / (room + 0.5 / self.dimension)).max() for gap, room in self.gaps("cosine"))

    def refusal(self, kind: str) -> float:
        """Room and 1/(2d) ÷ the largest gap to ρ or ρ²: below 1 where the rules do not hold."""
        return float(np.min([((room + 0.5 / self.dimension) / gap).min() for gap, room in self.gaps(kind)]))


def closed_forms(predictor: Predictor, tests: Any) -> dict[str, Float]:
    """The mean of each statistic at the limit over Gaussian starts of the setting's variance, each (1, tests)."""
    std = predictor.setting.start.moments(tests.shape[1], tests.shape[1]).std
    constant = predictor.problem.inputs[0]
    found = {}
    for whose, reference in (("constant", constant), ("x", tests)):
        found[f"cosine {whose}"] = np.asarray(predictor.expected_cosine(tests, reference, [np.inf], std))
        found[f"correlation {whose}"] = np.asarray(predictor.expected_correlation(tests, reference, [np.inf], std))
    return found


def kurtosis_share(predictor: Predictor, tests: Any) -> Float:
    r"""How far a start whose entries are not normal moves a mean cosine, to first order, (tests,).

    The outputs :math:`f = m + W_0v` have entries of excess kurtosis :math:`e = (\kappa - 3)\sum_j v_j^4/\|v\|^4`. That changes
    :math:`\mathrm{Var}\|f\|^2` by :math:`d\,e\,\tau^4`, τ² the variance of an entry, and the mean of :math:`1/\|f\|` by
    :math:`\tfrac38` of it, relative to :math:`(E\|f\|^2)^2`, which is at least :math:`(d\tau^2)^2`: at most :math:`\tfrac38|e|/d`.
    """
    x = predictor.problem.inputs[0]
    v = tests - (tests @ x / (x @ x))[:, None] * x
    dimension = tests.shape[1]
    kurtosis = predictor.setting.start.moments(dimension, dimension).kurtosis
    excess = (kurtosis - 3) * (v**4).sum(axis=1) / (v**2).sum(axis=1) ** 2
    return np.asarray(3 / 8 * np.abs(excess) / dimension)


def judged(says: str, tables: Sequence[Table], ratio: Callable[[Table], float], against: str) -> Finding:
    """The largest ratio of several samples, at most 1 or not; "not run" without a sample."""
    if not tables:
        return Finding(says, "not run", math.nan, math.nan, math.nan, "no sample")
    return agreement(says, largest(map(ratio, tables)), against)


def refused(says: str, tables: Sequence[Table], kind: str) -> Finding:
    """That the rules ρ and ρ² do not hold: on every one of several samples."""
    return judged(says, tables, lambda table: table.refusal(kind), "1/(2d) and chance ÷ the largest gap")
