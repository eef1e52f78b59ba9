"""A study: a claim, the experiments that could refute it, and the verdict."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, TypeVar

from empirical.execute import execute
from empirical.experiment import Experiment, Outcome
from empirical.sources import Digits, Source
from empirical.store import RunStore
from empirical.studies.finding import Finding
from theory.component import Component, one_of
from theory.errors import SettingError

T = TypeVar("T")
SCALES = ("small", "paper")


@dataclass(frozen=True)
class Scale:
    """How large a study is, and on which images.

    Attributes:
        name: "small", about a minute on two CPU cores, or "paper", for a GPU.
        source: The images.
        example: The training image, where there is one.
        seed: The first of the seeds.
    """

    name: str = "small"
    source: Source = Digits()
    example: int = 7
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("scale", self.name, SCALES)

    def pick(self, small: T, paper: T) -> T:
        """The value for this scale."""
        return small if self.name == "small" else paper

    def seeds(self, count: int) -> tuple[int, ...]:
        """So many seeds."""
        return tuple(range(self.seed, self.seed + count))

    def images(self, size: int | None = None) -> Source:
        """The source, its pictures resized."""
        return self.source if size is None else replace(self.source, size=size)  # type: ignore[type-var]


class Result(NamedTuple):
    """An experiment and what it found."""

    experiment: Any
    outcome: Outcome


@dataclass(frozen=True)
class Account:
    """What a study found.

    Attributes:
        findings: The verdicts.
        columns: Names of the columns of the table.
        rows: The table: what was measured.
        notes: What a reader must know besides.
    """

    findings: Sequence[Finding]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()


class Study(Component):
    """Base of all studies; one file each in this package, or a class of your own. Its name is ``kind``.

    Attributes:
        title: A few words.
        claim: What is claimed, as a sentence.
        source: Who claims it, and where.
        protocol: What is done, and where it differs from the source.
    """

    title: ClassVar[str]
    claim: ClassVar[str]
    source: ClassVar[str]
    protocol: ClassVar[str]

    def experiments(self, scale: Scale) -> Sequence[Experiment]:
        """What is to be run; each is stored by its content, so that a study that was killed goes on."""
        self.lacks("experiments", "what is to be run")

    def account(self, scale: Scale, results: Sequence[Result]) -> Account:
        """The verdicts and the table, from experiments that did not fail, in their order."""
        self.lacks("account", "which judges the results")

    def draw(self, figure: Any, scale: Scale, results: Sequence[Result]) -> None:
        """Draws the results into a matplotlib figure."""
        self.lacks("draw", "which draws the results")


@dataclass(frozen=True)
class StudyRun:
    """A study that was run.

    Attributes:
        study: The study.
        scale: At which scale.
        results: Its experiments and outcomes, without those that failed.
        account: What it found.
        seconds: How long it took; little where the store had the runs.
    """

    study: Study
    scale: Scale
    results: Sequence[Result]
    account: Account
    seconds: float = field(compare=False, default=0.0)

    def draw(self, figure: Any) -> None:
        """Draws the study's picture into a matplotlib figure."""
        self.study.draw(figure, self.scale, self.results)


def run_study(
    study: Study,
    scale: Scale,
    store: RunStore,
    *,
    executor: Executor | None = None,
    device: str = "cpu",
    workers: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> StudyRun:
    """Runs what the store does not have of a study's experiments, and judges them.

    Raises:
        SettingError: If every experiment failed; with the reason of the first.
    """
    begun = time.monotonic()
    experiments = list(study.experiments(scale))
    outcomes = execute(experiments, store, executor, device, workers, progress)
    pairs = [Result(*pair) for pair in zip(experiments, outcomes, strict=True)]
    results = [pair for pair in pairs if not pair.outcome.failed]
    failed = [str(pair.outcome.failed) for pair in pairs if pair.outcome.failed]
    if not results:
        message = f"study {study.kind} must have an experiment that runs, but all {len(pairs)} failed: {failed[0]}"
        raise SettingError(message)
    account = study.account(scale, results)
    notes = [str(note) for pair in results for note in pair.outcome.numbers.get("notes", ())]
    notes += [f"{len(failed)} of {len(pairs)} experiments failed: {failed[0]}"] if failed else []
    account = replace(account, notes=(*account.notes, *dict.fromkeys(notes)))
    return StudyRun(study, scale, results, account, time.monotonic() - begun)
