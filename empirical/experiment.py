"""An experiment: one unit of work that a sweep or a study runs, described by plain values and stored by its content."""

import hashlib
import sys
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from theory.component import Component
from theory.errors import SettingError
from theory.toml_text import tables

PACKAGES = ("theory", "numerics", "empirical")  # what an experiment's numbers can depend on


@dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes:
        numbers: By name: numbers, words, truth values, or lists of them; what is not finite is None. A run that diverged has
            ``diverged`` True, one that failed has nothing but ``failed``, a line that says why.
        arrays: By name.
    """

    numbers: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def failed(self) -> str:
        """Why the experiment failed, or an empty string."""
        return str(self.numbers.get("failed", ""))


class Experiment(Component):
    """Base of all experiments: a frozen dataclass whose fields say all that its numbers depend on, seeds included.

    A worker process builds it again from its table, so the fields are plain values and components.
    """

    def run(self, device: str = "cpu") -> Outcome:
        """Does the work on a device ("cpu" or "cuda"), deterministically."""
        self.lacks("run", "which does the work")

    def quick(self) -> Self:
        """The same, but done in a second: a rehearsal of a study, whose numbers mean nothing."""
        return self

    def fingerprint(self) -> str:
        """A hash of the data that it reads, those of its field ``source``; an empty string without one."""
        source: Any = getattr(self, "source", None)
        return "" if source is None else str(source.fingerprint())

    def to_toml(self) -> str:
        """The experiment as TOML, under the name of its family."""
        return "\n\n".join(tables("experiment", self.to_table())) + "\n"

    def key(self, device: str = "cpu") -> str:
        """The content hash under which its outcome is stored: settings, data, code (its own module's too) and device.

        Raises:
            SettingError: If a field cannot be written as TOML.
        """
        try:
            text = self.to_toml()
        except (TypeError, ValueError) as error:
            message = f"an experiment must hold plain values and components, but {type(self).__name__} does not: {error}. Change it."
            raise SettingError(message) from None
        own = (code_of(name) for name in sorted(modules(self)) if name.partition(".")[0] not in PACKAGES)
        parts = (text, self.fingerprint(), code_version(), *own, device)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def modules(component: Component) -> set[str]:
    """The modules that define a component's class and those of its parts."""
    parts = [getattr(component, field.name) for field in fields(component)]  # type: ignore[arg-type]
    return {type(component).__module__}.union(*(modules(part) for part in parts if isinstance(part, Component)))


@cache
def code_of(module: str) -> str:
    """A hash of the source of one module, such as one of the user's."""
    file = getattr(sys.modules[module], "__file__", None)
    return hashlib.sha256(Path(file).read_bytes() if file and Path(file).is_file() else b"").hexdigest()


@cache
def code_version() -> str:
    """A hash of the source of the packages that compute: other code, other experiments."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(file for package in PACKAGES for file in (root / package).rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
