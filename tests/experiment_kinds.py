"""Experiments for the tests of stores and sweeps, in a module that worker processes import."""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from empirical.experiment import Experiment, Outcome
from theory.component import Component
from theory.errors import SettingError


class Drawer(Component):
    """A family of the tests' own, so that an experiment has a nested part."""


@dataclass(frozen=True)
class NormalDrawer(Drawer):
    std: float = 1.0
    shape: tuple[int, ...] = (2,)


@dataclass(frozen=True)
class TestedMean(Experiment):
    """The mean of seeded normal numbers; each run leaves a line in a file, so that runs can be counted."""

    seed: int = 0
    drawer: Drawer = NormalDrawer()
    seconds: float = 0.0
    log: str = ""

    def run(self, device="cpu"):
        time.sleep(self.seconds)
        values = np.random.default_rng(self.seed).normal(scale=self.drawer.std, size=self.drawer.shape)
        if self.log:
            with open(self.log, "a", encoding="utf-8") as file:
                file.write(f"{self.seed} {os.getpid()}\n")
        return Outcome({"mean": float(values.mean()), "device": device}, {"values": values})


@dataclass(frozen=True)
class TestedDeath(Experiment):
    """Kills its own process the first times that it runs; the attempts are counted in a folder."""

    folder: str
    times: int = 1
    seed: int = 0

    def run(self, device="cpu"):
        attempts = len(list(Path(self.folder).iterdir()))
        if attempts < self.times:
            (Path(self.folder) / str(attempts)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome({"attempts": attempts})


@dataclass(frozen=True)
class TestedTrouble(Experiment):
    """Ends in one of several bad ways."""

    way: str
    seed: int = 0

    def run(self, device="cpu"):
        match self.way:
            case "refuses":
                message = "seed must be\nlucky, but it is 13. Choose another."
                raise SettingError(message)
            case "mistake":
                return {}["absent"]
            case "leaves":
                raise SystemExit(2)
            case "memory":
                raise MemoryError
            case "interrupt":
                raise KeyboardInterrupt
            case "nothing":
                return None
            case "objects":
                return Outcome({}, {"a": np.array([object()])})
            case "words":
                return Outcome({"a": {1, 2}})
            case "nan":
                return Outcome({"diverged": True, "mse": float("nan"), "losses": [1.0, float("inf")]})
        return Outcome({"fine": True})


@dataclass(frozen=True)
class TestedUnwritable(Experiment):
    """A field that TOML cannot hold."""

    what: object = field(default_factory=object)


@dataclass(frozen=True)
class TestedNone(Experiment):
    """None, where it is not the default, is not in the table."""

    size: int | None = 3


@dataclass(frozen=True)
class TestedUnnamed(Experiment):
    """A component in a field whose name and type do not say so."""

    what: object


@dataclass(frozen=True)
class TestedPair(Experiment):
    """Components under names of their own."""

    first: Drawer = NormalDrawer()
    second: Drawer | None = None

    def run(self, device="cpu"):
        return Outcome({"deviations": [self.first.std, self.second.std if self.second else None]})


for kind in (TestedMean, TestedDeath, TestedTrouble, TestedUnwritable, TestedNone, TestedUnnamed, TestedPair):
    kind.__test__ = False  # no test classes, whatever pytest thinks of their names
