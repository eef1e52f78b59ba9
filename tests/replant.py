"""Replants every mistake of mutations.toml, alone, in a copy of the tree; the tests named with it must then fail.

    python tests/replant.py [WORDS…]      only the mistakes whose name or file contains one of the words

First the tests must pass on the unchanged copy. Exit 0: every mistake was caught; 1: one survived, or cannot be planted.
"""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("mutations.toml")
WORKERS = 2
PATIENCE = 20  # times as long as the unchanged tests, and a minute: a mistake that makes them hang is caught
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "dist", "build")


@dataclass(frozen=True)
class Mutation:
    """One mistake: ``old`` becomes ``new`` in ``file``, and one of ``tests`` must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def fault(self) -> str:
        """Why it cannot be planted, or an empty string."""
        path = ROOT / self.file
        if not path.is_file():
            return f"{self.file} does not exist"
        if (count := path.read_text(encoding="utf-8").count(self.old)) != 1:
            return f"its old text occurs {count} times in {self.file}"
        missing = [test for test in self.tests if not (ROOT / test.partition("::")[0]).is_file()]
        if missing or not self.tests:
            return f"its tests are missing: {', '.join(missing) or 'none is named'}"
        return "" if self.old != self.new else "its new text is the old one"


def mutations() -> list[Mutation]:
    """The planted mistakes, in the order of the list."""
    tables = tomllib.loads(LIST.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**table | {"tests": tuple(table["tests"])}) for table in tables]


class Copies:
    """Copies of the tree, one per worker; a mistake is planted in one of them at a time."""

    def __init__(self, folder: Path) -> None:
        self.free: queue.Queue[Path] = queue.Queue()
        for number in range(WORKERS):
            tree = folder / str(number) / ROOT.name
            shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
            self.free.put(tree)

    def run(
        self, tests: Iterable[str], mutation: Mutation | None = None, patience: float | None = None
    ) -> tuple[str, str]:
        """The verdict of the tests on a copy (passed, failed, hung, or what pytest did instead), and its last words."""
        tree = self.free.get()
        path = tree / mutation.file if mutation else None
        sound = path.read_text(encoding="utf-8") if path else ""
        try:
            if mutation and path:
                path.write_text(sound.replace(mutation.old, mutation.new), encoding="utf-8")
            # Bytecode of the sound file could outlive it: files of one size within one second look alike.
            own = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
            done = subprocess.run(
                command, cwd=tree, env=os.environ | own, capture_output=True, text=True, timeout=patience, check=False
            )
        except subprocess.TimeoutExpired:
            return "hung", ""
        finally:
            if path:
                path.write_text(sound, encoding="utf-8")
            self.free.put(tree)
        verdict = {0: "passed", 1: "failed"}.get(done.returncode, f"ended with {done.returncode}")
        return verdict, done.stdout[-1500:] + done.stderr[-1500:]

    def check(self) -> None:
        """Stops unless the copies, not the installed checkout, are what tests import there."""
        tree = self.free.get()
        code = "import theory, numerics, empirical; print(theory.__file__, numerics.__file__, empirical.__file__)"
        command, environment = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": str(tree)}
        said = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True).stdout
        self.free.put(tree)
        if said.count(str(tree)) != 3:
            sys.exit(
                f"the copy must be what its tests import, but they import {said.strip()}. Unset what comes before it."
            )


def each(items: list, work: Callable[..., tuple[str, str]]) -> Iterator[tuple[Any, str, str]]:
    """Every item with its verdict and last words, in order, as soon as all before it are done."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for item, (verdict, said) in zip(items, pool.map(work, items), strict=True):
            yield item, verdict, said


def main(words: list[str]) -> int:
    """Plants, runs, prints the table; the exit status."""
    chosen = [m for m in mutations() if not words or any(word in m.name or word in m.file for word in words)]
    faults = [f"{m.name}: {m.fault}" for m in chosen if m.fault]
    if faults or not chosen:
        print("\n".join(faults) or "no mistake has such a name or file")
        return 1
    with tempfile.TemporaryDirectory(prefix="replant-") as folder:
        copies = Copies(Path(folder))
        copies.check()
        seconds: dict[str, float] = {}

        def unchanged(test: str) -> tuple[str, str]:
            began = time.monotonic()
            verdict = copies.run([test])
            seconds[test] = time.monotonic() - began
            return verdict

        tests = sorted({test for m in chosen for test in m.tests})
        wrong = False
        for test, verdict, said in each(tests, unchanged):
            if verdict != "passed":
                wrong = True
                print(f"{test} must pass before a mistake is planted, but it {verdict}:\n{said}")
        if wrong:
            return 1

        def planted(mutation: Mutation) -> tuple[str, str]:
            patience = 60 + PATIENCE * sum(seconds[test] for test in mutation.tests)
            return copies.run(mutation.tests, mutation, patience)

        named = {"failed": "caught", "hung": "caught", "passed": "SURVIVED"}
        width, caught = max(len(m.name) for m in chosen), 0
        for mutation, verdict, said in each(chosen, planted):
            print(f"{named.get(verdict, 'UNFAIR'):9} {mutation.name:{width}}  {mutation.file}", flush=True)
            caught += verdict in ("failed", "hung")
            if verdict not in named:
                print(f"pytest {verdict}:\n{said}")
    print(f"\n{caught} of {len(chosen)} planted mistakes were caught.")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
