"""`verify`: the verdict table, as data."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from empirical.data import Images, digits, to_images
from empirical.device import construct, describe, resolve, versions
from empirical.levels import Level
from empirical.setting_levels import integration_level, training_level
from numerics.arrays import real_array
from numerics.files import whole_file
from numerics.predictor import Predictor
from theory.component import Named
from theory.errors import DataError
from theory.setting import Setting
from theory.solution import solve
from theory.theorems import Case, OwnCase, Theorem, find, library

if TYPE_CHECKING:
    from empirical.laws import Check

NOT_MEASURED = Level("not run", 0.0)
TESTS = 3  # images a network is tested on in each case


@dataclass(frozen=True)
class Row:
    """One theorem (or setting) and case.

    Attributes:
        id: The theorem's id, or "setting".
        title: Its title.
        case: What was measured.
        proof: ``proved``, ``refuted`` or ``undecided``.
        proof_reason: Why it is undecided, or "".
        seconds: How long the proof took.
        lemmas: What the proof stands on.
        integration: The level of the solver.
        training: The level of torch.
        device: Where training ran.
    """

    id: str
    title: str
    case: str
    proof: str
    proof_reason: str
    seconds: float
    lemmas: tuple[str, ...]
    integration: Level
    training: Level
    device: str


@dataclass(frozen=True)
class VerdictTable:
    """The rows, and what they were computed from."""

    rows: tuple[Row, ...]
    header: dict[str, str] = field(default_factory=dict)
    laws: tuple["Check", ...] = ()  # laws that were measured on a kept problem

    @property
    def exit_code(self) -> int:
        """0: everything holds or was not run; 1: something is refuted or disagrees; 3: something is undecided."""
        found = {row.proof for row in self.rows}
        found |= {level.verdict for row in self.rows for level in (row.integration, row.training)}
        found |= {check.verdict for check in self.laws}
        return 1 if found & {"refuted", "disagrees", "broken"} else 3 if "undecided" in found else 0

    def to_json(self) -> str:
        """The table as JSON text; an infinite ratio is written as the string "inf"."""
        rows = [asdict(row) for row in self.rows]
        table = {"header": self.header, "exit_code": self.exit_code, "rows": rows}
        if self.laws:
            from empirical.properties import check_table

            table["laws"] = [check_table(check) for check in self.laws]
            table["law_terms"] = [asdict(check) for check in self.laws]
        return json.dumps(_finite(table), indent=1, ensure_ascii=False, allow_nan=False)

    def save(self, path: str | Path) -> None:
        """Writes the table as JSON, whole or not at all; ``cf.load`` reads it back."""
        with whole_file(path) as file:
            file.write(f"{self.to_json()}\n".encode())

    @classmethod
    def load(cls, path: str | Path) -> "VerdictTable":
        """The table that ``save``, or ``closedflow verify --json``, wrote.

        Raises:
            DataError: If the file is missing or holds no such table.
        """
        from empirical.laws import Check
        from empirical.laws.law import Term

        try:
            table = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
            rows = [dict(row) for row in table["rows"]]
            for row in rows:
                row |= {name: Level(**_number(row[name], "ratio")) for name in ("integration", "training")}
                row["lemmas"] = tuple(row["lemmas"])
            laws = [
                Check(found["law"], tuple(Term(**_number(term, *_NUMBERS)) for term in found["terms"]), found["reason"])
                for found in table.get("law_terms", ())
            ]
            return cls(tuple(Row(**row) for row in rows), dict(table["header"]), tuple(laws))
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"path must be a file written by VerdictTable.save, but {path} is not: {error}. Save it again."
            raise DataError(message) from None

    def _repr_html_(self) -> str:
        from closedflow.table import html

        return html(self)

    def __str__(self) -> str:
        from closedflow.table import text

        return text(self)


_NUMBERS = ("residual", "budget", "size")


def _finite(value: Any) -> Any:
    """The same with infinities as the word "inf": JSON has none."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return "inf" if isinstance(value, float) and not math.isfinite(value) else value


def _number(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """The same with the word "inf" as a number."""
    return values | {name: float(values[name]) for name in names}


def _refuse_constant(name: str) -> Any:
    message = f"it has {name}, which is no JSON"
    raise ValueError(message)


def verify(
    theorems: Sequence[str] | None = None,
    setting: Setting | None = None,
    inputs: Any = None,
    device: str = "auto",
    seed: int = 0,
    *,
    every_case: bool = False,
    dtype: str = "float64",
    progress: Callable[[str, int, int], None] | None = None,
) -> VerdictTable:
    """Takes theorems, or a setting of one's own, through proof, integration and training.

    Args:
        theorems: Names or ids; None means all.
        setting: A setting instead of theorems.
        inputs: Images (N, C, *spatial) or (N, features): the training examples come first, the others are for testing. None
            means scikit-learn's digits. With a setting, all of them are training examples (None: the first digit).
        device: Where training runs: "auto", "cpu" or "cuda".
        seed: Seed of the starts.
        every_case: All cases of each theorem, not only the telling ones.
        dtype: The arithmetic of the training, "float64" or "float32".
        progress: Called before each row with its name, its number and the number of rows.

    Raises:
        SettingError: If a name, the setting or the data are not usable.

    Example:
        >>> table = verify(["T3"], device="cpu")
        >>> [(row.id, row.proof, row.integration.verdict, row.training.verdict) for row in table.rows]
        [('T3', 'proved', 'agrees', 'agrees'), ('T3', 'proved', 'agrees', 'agrees')]
    """
    images = digits() if inputs is None else as_images(inputs)
    chosen = resolve(device)
    header = describe_run(images, chosen, dtype, seed)
    if setting is not None:
        train = images.take([0]) if inputs is None else images
        report = progress or (lambda name, number, total: None)
        report("the setting", 0, 1)
        return VerdictTable((setting_row(setting, train, chosen, dtype, seed),), header | {"setting": str(setting)})
    selected = [find(name) for name in theorems] if theorems else library()
    rows = theorem_rows(selected, images, chosen, dtype, seed, every_case, progress)
    return VerdictTable(tuple(rows), header)


def as_images(inputs: Any) -> Images:
    """Arrays from a caller as images, by the same rules as those of a file."""
    if isinstance(inputs, Images):
        return inputs
    real_array("inputs", inputs)  # one clear line for what is ragged, complex or not finite
    raw = inputs.detach().cpu().numpy() if hasattr(inputs, "detach") else np.asarray(inputs)
    return to_images(raw, "inputs")


def theorem_rows(
    theorems: Sequence[Theorem],
    images: Images,
    device: str,
    dtype: str,
    seed: int,
    every_case: bool,
    progress: Callable[[str, int, int], None] | None,
) -> Iterator[Row]:
    """One row per theorem and case."""
    cases: list[tuple[Theorem, Case | OwnCase | None]] = []
    for theorem in theorems:
        chosen = [case for case in theorem.every_case if case.telling or every_case]
        cases += [(theorem, case) for case in chosen] or [(theorem, None)]
    for number, (theorem, case) in enumerate(cases):
        if progress:
            progress(f"{theorem.id} {case.name if case else theorem.title}", number, len(cases))
        integrated = trained = NOT_MEASURED
        if case:
            train, test = split(images.values, case.examples)
            measured = measurement(case, train, test, seed)
            integrated, trained = measured.integration(), measured.training(device, dtype)
        reasons = [proof.residual or "" for proof in theorem.proofs if proof.verdict == "undecided"]
        yield Row(
            theorem.id,
            theorem.title,
            case_name(case, len(images.values)) if case else "for all dimensions",
            theorem.verdict,
            "; ".join(reasons),
            theorem.seconds,
            theorem.lemmas,
            integrated,
            trained,
            device,
        )


def setting_row(setting: Setting, train: Images, device: str, dtype: str, seed: int) -> Row:
    """The row of a user's own setting."""
    solve(setting)  # what has no closed form is refused for that, before the data are looked at
    return predictor_row(Predictor(setting, setting.layer.arrange(train.values), seed=seed), device, dtype)


def predictor_row(predictor: Predictor, device: str, dtype: str) -> Row:
    """The row of a setting with its data and its start."""
    setting, count = predictor.setting, len(predictor.problem.inputs)
    proof = solve(setting).proof
    return Row(
        "setting",
        f"{setting.layer.kind} by {setting.optimizer.kind}",
        f"{count} example{'s' if count > 1 else ''}",
        proof.verdict,
        proof.reason,
        proof.seconds,
        proof.lemmas,
        integration_level(predictor),
        training_level(predictor, device, dtype),
        device,
    )


def measurement(case: Case | OwnCase, train: Any, test: Any, seed: int) -> Any:
    """What measures a case: the class that it names."""
    return construct(Named(case.measured_by, {"case": case, "train": train, "test": test, "seed": seed}))


def case_name(case: Case | OwnCase, available: int) -> str:
    """The case's name, with what it has to do without."""
    return case.name if available >= case.examples else f"{case.name} (only {available} given)"


def split(values: Any, examples: int) -> tuple[Any, Any]:
    """The first examples to train on, and others to test on; with no others, the examples mirrored."""
    train, rest = values[:examples], values[examples:]
    if len(rest) == 0:
        rest = train[..., ::-1]
    return train, rest[np.linspace(0, len(rest) - 1, TESTS).astype(int)]


def describe_run(images: Images, device: str, dtype: str, seed: int) -> dict[str, str]:
    """What the table's header says."""
    return {
        "data": images.source,
        "device": describe(device),
        "arithmetic": f"{dtype}, seed {seed}",
        "versions": versions(),
    }
