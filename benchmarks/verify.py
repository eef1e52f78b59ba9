"""How long the main job takes: ``python benchmarks/verify.py [DATA]``. Target: the default table in under 60 s on two cores."""

import sys
import time
from pathlib import Path

import closedflow as cf
from empirical.data import read_images


def main() -> None:
    """Times the default table, one row at a time, and the whole."""
    images = read_images(Path(sys.argv[1])) if len(sys.argv) > 1 else None
    marks: list[tuple[float, str]] = []
    begin = time.perf_counter()
    table = cf.verify(inputs=images, progress=lambda name, number, total: marks.append((time.perf_counter(), name)))
    end = time.perf_counter()
    for (start, name), (stop, _) in zip(marks, [*marks[1:], (end, "")], strict=True):
        print(f"{stop - start:7.2f} s  {name}")
    print(f"{end - begin:7.2f} s  in all, exit code {table.exit_code}; target 60 s on two cores\n\n{table}")


if __name__ == "__main__":
    main()
