"""Every law on random problems: deterministic by its seed, a counterexample shrunk by Hypothesis and kept as a run's folder."""

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, assume, find
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable

from empirical.device import DTYPES, resolve
from empirical.laws import Check, Law
from empirical.run_folder import RunFolder
from empirical.strategies import Case
from numerics.arrays import Float
from numerics.predictor import Predictor
from theory.component import nearest, one_of
from theory.errors import DataError, SettingError
from theory.layers import check_whole
from theory.setting import Setting

EXAMPLES = 100
SHRINKING = 300  # problems tried in search of a smaller counterexample
QUIET = list(HealthCheck)  # what is slow or outside is counted, not complained about
ARRAYS = ("inputs", "targets", "initial_weight", "initial_bias")


@dataclass(frozen=True)
class Finding:
    """What became of one law.

    Attributes:
        law: The law.
        tried: How many problems inside its hypotheses were tried.
        outside: How many drawn problems were outside.
        untold: How many of those tried said nothing: unmeasurable, or a budget above 1 % of what is measured.
        ratio: The worst residual ÷ budget; with a counterexample, that of the counterexample.
        seconds: How long it took.
        reason: Why nothing was tried, or "".
        case: The counterexample, shrunk, or None.
        check: The law on it, or None.
        seed: Of everything drawn.
    """

    law: Law
    tried: int
    outside: int
    untold: int
    ratio: float
    seconds: float
    reason: str = ""
    case: Case | None = None
    check: Check | None = None
    seed: int = 0

    def __str__(self) -> str:
        told = f"{self.tried} problems, {self.untold} of them told nothing"
        reason = f" ({self.reason})" if self.reason else ""
        case = "" if self.case is None else f"; broken by {self.case.setting}"
        return f"{self.law.kind} {self.verdict}{reason}: {told}, worst residual ÷ budget {self.ratio:.3g}{case}"

    @property
    def verdict(self) -> str:
        """``broken``, ``holds`` on what was tried (no proof), or ``not run``."""
        if self.case is not None:
            return "broken"
        return "holds" if self.tried > self.untold else "not run"

    def to_table(self) -> dict[str, Any]:
        """The finding as JSON holds it."""
        table: dict[str, Any] = {"law": self.law.name, "verdict": self.verdict, "tried": self.tried}
        table |= {"outside": self.outside, "untold": self.untold, "ratio": shown(self.ratio), "reason": self.reason}
        return table | {"counterexample": None if self.check is None else check_table(self.check)}


class _Shrunk(BaseException):
    """Enough problems were tried in search of a smaller one; no exception that Hypothesis would catch."""


class _Trial:
    """One law on the problems that Hypothesis draws."""

    def __init__(self, law: Law, seed: int) -> None:
        self.law, self.seed = law, seed
        self.tried = self.outside = self.untold = self.shrinking = 0
        self.ratio = 0.0
        self.broken: tuple[Case, Check] | None = None

    def breaks(self, case: Case) -> bool:
        """Whether a problem is a counterexample."""
        predictor = Predictor(*case)
        apart = self.law.applies(predictor)
        if self.broken is None:
            self.outside += bool(apart)
        else:
            self.shrinking += 1
            if self.shrinking > SHRINKING:
                raise _Shrunk
        assume(not apart)
        check = self.law.measured(predictor, self.seed)
        if check.verdict == "broken":
            self.tried += self.broken is None
            self.broken = case, check
        elif self.broken is None:
            self.tried += 1
            self.untold += check.verdict == "not run"
            self.ratio = max(self.ratio, check.ratio)
        return check.verdict == "broken"


def try_law(law: Law, examples: int = EXAMPLES, seed: int = 0) -> Finding:
    """One law on so many random problems inside its hypotheses.

    Args:
        law: The law.
        examples: How many problems.
        seed: Of everything drawn: the same seed gives the same finding, on the same device.

    Raises:
        SettingError: If ``examples`` or ``seed`` is no such number.

    Example:
        >>> from empirical.laws import check_at_zero
        >>> finding = try_law(check_at_zero, examples=5)
        >>> finding.verdict, finding.tried, finding.ratio
        ('holds', 5, 0.0)
    """
    check_whole("examples", examples, 1)
    check_whole("seed", seed, 0)
    begun, trial = time.perf_counter(), _Trial(law, seed)
    plan = hypothesis_settings(
        max_examples=int(examples), phases=[Phase.generate, Phase.shrink], database=None, deadline=None,
        derandomize=False, suppress_health_check=QUIET,
    )  # fmt: skip
    try:
        find(law.problems(), trial.breaks, settings=plan, random=Random(seed))
    except (NoSuchExample, Unsatisfiable, Flaky, _Shrunk):  # flaky: a network that trains differently twice
        pass
    seconds = time.perf_counter() - begun
    counted = trial.tried, trial.outside, trial.untold
    if trial.broken is None:
        reason = "" if trial.tried > trial.untold else "no problem that was drawn says anything about it"
        return Finding(law, *counted, trial.ratio, seconds, reason, seed=seed)
    case, check = trial.broken
    return Finding(law, *counted, check.ratio, seconds, "", case, check, seed)


def check_properties(
    laws: Sequence[str | Law] | None = None,
    *,
    examples: int = EXAMPLES,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float64",
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Finding]:
    """Laws on random problems, trained networks included.

    Args:
        laws: Names of laws, or laws; None means every law that is defined.
        examples: How many problems for each, inside its hypotheses.
        seed: Of everything drawn: the same seed gives the same findings, on the same device.
        device: Where networks are trained: "auto", "cpu" or "cuda".
        dtype: The arithmetic of that training: "float64" or "float32", with a budget each.
        progress: Called before each law with its name, its number and the number of laws.

    Raises:
        SettingError: If a name is unknown, a number makes no sense, or a law that was named needs torch and it is missing.

    Example:
        >>> from empirical.laws import check_patches
        >>> [finding.verdict for finding in check_properties([check_patches, "semigroup"], examples=5)]
        ['holds', 'holds']
    """
    check_whole("examples", examples, 1)
    check_whole("seed", seed, 0)
    one_of("dtype", dtype, DTYPES)
    chosen = every_law() if laws is None else [find_law(law) for law in laws]
    missing = ""
    if device != "auto" or any(law.trained for law in chosen):
        try:
            device = resolve(device)
        except SettingError as error:
            if laws is not None or device != "auto":
                raise
            missing = str(error)
    found = []
    for number, law in enumerate(chosen):
        if progress:
            progress(law.name, number, len(chosen))
        if law.trained and missing:
            found.append(Finding(law, 0, 0, 0, 0.0, 0.0, missing, seed=seed))
        else:
            found.append(try_law(placed(law, device, dtype), examples, seed))
    return found


def every_law() -> list[Law]:
    """An instance of each law that is defined and needs no arguments, in the order of definition."""
    known: Iterable[Any] = Law.kinds.values()
    return [kind() for kind in known if not any(field.default is MISSING for field in fields(kind))]


def find_law(law: str | Law) -> Law:
    """The law of a name, or the law itself.

    Raises:
        SettingError: If there is none; the nearest name is suggested.
    """
    if isinstance(law, Law):
        return law
    kind = str(law).replace("-", "_")
    if kind not in Law.kinds:
        names = [name.replace("_", "-") for name in Law.kinds]
        message = (
            f"laws must be names that `closedflow properties --list` prints, but one is {law!r}. {nearest(law, names)}"
        )
        raise SettingError(message)
    made: Any = Law.kinds[kind]
    return made()  # type: ignore[no-any-return]


def placed(law: Law, device: str, dtype: str) -> Law:
    """The law with its networks trained on a device in an arithmetic; a law without networks as it is."""
    if not law.trained:
        return law
    names = {field.name for field in fields(law)}  # type: ignore[arg-type]
    return law.with_values(**{key: value for key, value in (("device", device), ("dtype", dtype)) if key in names})


def keep(finding: Finding, folder: str | Path) -> Path:
    """Writes a counterexample as a run's folder inside ``folder``, and returns its path.

    ``setting.toml`` is the setting, ``arrays.npz`` has inputs, targets (where they are given) and the start, ``result.json``
    the law and what it measured.

    Raises:
        DataError: If it cannot be written, or the setting has a part that no file can hold.
    """
    if finding.case is None or finding.check is None:
        message = (
            f"finding must be of a law that is broken, but {finding.law.name} is not: {finding.verdict}. Keep others."
        )
        raise SettingError(message)
    case = finding.case
    try:
        text = case.setting.to_toml()
    except (TypeError, ValueError) as error:
        message = f"the counterexample's setting must be one that a file can hold, but it is {case.setting}: {error}. Use it in Python."
        raise DataError(message) from None
    arrays = {name: array for name, array in zip(ARRAYS, case[1:], strict=True) if array is not None}
    digest = hashlib.sha256(text.encode() + b"".join(array.tobytes() for array in arrays.values())).hexdigest()[:8]
    options = {key: value for key, value in finding.law.to_table().items() if key in ("device", "dtype")}
    result = {"seed": finding.seed, **options, **check_table(finding.check)}
    path = Path(folder) / f"{finding.law.name}-{digest}"
    RunFolder(text, result, arrays).write(path)
    return path


def kept_case(run: RunFolder, where: str | Path) -> Case:
    """The problem in a run's folder.

    Raises:
        DataError: If the folder has no inputs or no initial weight; runs of a sweep have none.
    """
    missing = [name for name in ("inputs", "initial_weight") if name not in run.arrays]
    if missing:
        message = f"a run's folder must have the arrays {' and '.join(missing)} to be verified, but {where} has {list(run.arrays)}. "
        raise DataError(message + "Pass one that `closedflow properties` kept, or a TOML file.")
    arrays: list[Float | None] = [run.arrays.get(name) for name in ARRAYS]
    return Case(Setting.from_toml(run.setting, f"{where}/setting.toml"), *arrays)  # type: ignore[arg-type]


def check_table(check: Check) -> dict[str, Any]:
    """A check as JSON holds it."""
    numbers = {"residual": check.residual, "budget": check.budget, "ratio": check.ratio}
    return {
        "law": check.law,
        "verdict": check.verdict,
        **{k: shown(v) for k, v in numbers.items()},
        "where": check.where,
    }


def shown(number: float) -> float | str:
    """A number as JSON holds it: what is infinite is the word "inf"."""
    return number if math.isfinite(number) else "inf"
