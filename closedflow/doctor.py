"""The state of an installation: versions against what is declared, device, threads, and the arithmetic itself."""

import importlib.metadata as metadata
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from theory.errors import SettingError

_REQUIREMENT = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?\s*([^;]*?)\s*(?:;.*extra\s*==\s*[\"'](\w+)[\"'].*)?$")
_BOUND = re.compile(r"(>=|<=|==|!=|<|>)\s*([\d.]+)")
_HOLDS = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: ``good``; ``missing`` for an extra that is not there; ``bad`` for what must be mended.
        found: What it is, and the repair.
    """

    name: str
    state: str
    found: str


def examine() -> list[Finding]:
    """Everything that the numbers of closedflow depend on here."""
    return [*_packages(), *_constraints(), *_arithmetic(), *_machine()]


def meets(version: str, bounds: str) -> bool:
    """Whether a version is inside bounds such as ``>=5,<6``.

    Example:
        >>> meets("5.10.2", ">=5.9,<6"), meets("6.0", ">=5,<6")
        (True, False)
    """
    return all(_HOLDS[sign](*_padded(version, bound)) for sign, bound in _BOUND.findall(bounds))


def _padded(*versions: str) -> list[tuple[int, ...]]:
    """Versions as numbers, equally many; what is no number (rc1, +cpu) is left out."""
    numbers = [[int(digits) for digits in re.findall(r"\d+", re.split(r"[+a-z]", text)[0])] for text in versions]
    length = max(map(len, numbers))
    return [tuple(found + [0] * (length - len(found))) for found in numbers]


def _packages() -> Iterator[Finding]:
    wanted = metadata.metadata("closedflow")["Requires-Python"] or ""
    python = platform.python_version()
    state = "good" if meets(python, wanted) else "bad"
    yield Finding("closedflow", "good", f"{metadata.version('closedflow')} in {Path(__file__).parent}")
    yield Finding("python", state, f"{python} ({wanted} is needed)")
    for line in metadata.requires("closedflow") or ():
        name, bounds, extra = _REQUIREMENT.match(line).groups()  # type: ignore[union-attr]
        if extra == "dev":
            continue
        repair = f"Run: pip install 'closedflow[{extra}]'" if extra else f"Run: pip install '{name}{bounds}'"
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            use = f" for the extra {extra}" if extra else ""
            yield Finding(name, "missing" if extra else "bad", f"not installed{use}. {repair}.")
            continue
        if meets(version, bounds):
            yield Finding(name, "good", f"{version} ({bounds})")
        else:
            yield Finding(name, "bad", f"{version}, but {bounds} is needed. {repair}.")


def _constraints() -> Iterator[Finding]:
    """In a checkout: whether the versions are those of constraints.txt, with which the tests ran."""
    path = Path(__file__).parents[1] / "constraints.txt"
    if not path.is_file():
        return
    other = []
    lines = [line.split("==") for line in path.read_text(encoding="utf-8").splitlines() if "==" in line]
    for name, pinned in lines:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if version.split("+")[0] != pinned.strip():
            other.append(f"{name} {version} (not {pinned.strip()})")
    yield Finding("constraints", "good", f"differ: {', '.join(other)}" if other else "met: every version")


def _arithmetic() -> Iterator[Finding]:
    one, tiny = np.float64(1), np.float64(2.0**-1074)
    rounds = one + np.finfo(np.float64).eps / 2 == one and one + np.finfo(np.float64).eps > one
    yield Finding(
        "float64",
        "good" if rounds else "bad",
        f"unit roundoff 2^-53{'' if rounds else ', but it does not round so here'}",
    )
    kept = tiny > 0 and tiny * one == tiny
    yield Finding(
        "subnormals", "good" if kept else "bad", "kept" if kept else "flushed to zero: unset -ffast-math libraries"
    )
    # Whole numbers below 2^53: every order of summation is exact, whatever the BLAS.
    left = np.arange(64 * 64, dtype=np.float64).reshape(64, 64)
    exact = np.array_equal(left @ left.T, (left.astype(np.int64) @ left.astype(np.int64).T).astype(np.float64))
    yield Finding(
        "products",
        "good" if exact else "bad",
        "exact on whole numbers" if exact else "wrong on whole numbers: mend the BLAS",
    )


def _machine() -> Iterator[Finding]:
    from threadpoolctl import threadpool_info

    from empirical.device import describe, import_torch, resolve

    try:
        torch = import_torch()
    except SettingError as error:
        yield Finding("device", "missing", str(error))
    else:
        tf32 = "on, but off while closedflow trains" if torch.backends.cuda.matmul.allow_tf32 else "off"
        yield Finding("device", "good", f"{describe(resolve('auto'))}, TF32 {tf32}")
    # After torch, which brings threads of its own.
    pools = ", ".join(f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()) or "none found"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "unset")
    yield Finding("threads", "good", f"{cores} cores; {pools}; OMP_NUM_THREADS={asked}")
