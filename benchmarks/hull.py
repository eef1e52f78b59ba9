"""Distance to a convex hull: closedflow beside general solvers, in one run.

    python benchmarks/hull.py [--queries N] [--patience SECONDS] [--sizes small,middle,large]

The first line says what with. One BLAS thread, each solver in a process of its own. Time is from the raw arrays to the
answer; "gap" is (upper − lower)/upper of that answer, formed in float64 from the solver's weights by the certificate of
optimality, the same for all (wanted: 1e-6). "memory" is the peak of the process above what it held once the data were read,
as a multiple of the data that the solver was given. A solver that has spent its patience is not asked for the remaining
queries. DAQP and Clarabel run where they are installed. Membership by HiGHS is a linear program: it knows no distance, so it
has no gap.
"""

import argparse
import importlib.util
import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linprog, nnls
from threadpoolctl import threadpool_limits

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist10k.npz"
PACKAGES = ("numpy", "scipy", "torch", "daqp", "clarabel")
SIZES = {"small": (1000, 256, np.float64), "middle": (5000, 784, np.float32), "large": (60_000, 784, np.float32)}


def digits() -> np.ndarray:
    """Real digits in [0, 1], (10000, 784) float32; smooth random pictures where the file is absent."""
    if MNIST.exists():
        with np.load(MNIST) as archive:
            return archive["X"].astype(np.float32) / 255
    rng = np.random.default_rng(0)
    blobs = rng.random((10_000, 12)) @ (rng.random((12, 784)) ** 8)
    return np.clip(blobs + 0.05 * rng.random(blobs.shape), 0, 1).astype(np.float32)


def data(size: str, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and queries of a size; 60000 are 9000 digits and shifted copies of them."""
    count, width, dtype = SIZES[size]
    if width != 784:
        rng = np.random.default_rng(0)
        return rng.standard_normal((count, width)).astype(dtype), rng.standard_normal((queries, width)).astype(dtype)
    images = digits()
    base, asked = images[:9000].reshape(-1, 28, 28), images[9000 : 9000 + queries]
    shifts = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1)]
    points = np.concatenate([np.roll(base, shift, (1, 2)) for shift in shifts[: -(-count // 9000)]])[:count]
    return points.reshape(-1, width), asked


def gap(points: np.ndarray, query: np.ndarray, weights: np.ndarray) -> float:
    """The relative gap that weights certify."""
    weights = np.maximum(weights, 0) / np.maximum(weights, 0).sum()
    used = np.flatnonzero(weights)
    nearest = weights[used] @ points[used].astype(np.float64)
    direction = query.astype(np.float64) - nearest
    squared = float(direction @ direction)
    steps = range(0, len(points), 4096)
    most = max(float(((points[i : i + 4096].astype(np.float64) - nearest) @ direction).max()) for i in steps)
    return most / squared


def ours(points: np.ndarray, queries: np.ndarray) -> list[np.ndarray]:
    """All queries in one call."""
    from numerics.hulls import distance

    return list(distance(queries, points).weights)


def by_torch(points: np.ndarray, queries: np.ndarray) -> list[np.ndarray]:
    """The same, with torch on the CPU for the products."""
    from numerics.hulls import distance

    return list(distance(queries, points, device="cpu").weights)


def whole_nnls(points: np.ndarray, queries: np.ndarray) -> list[np.ndarray]:
    """Scipy's nnls on all points at once."""
    system = np.vstack((points.T.astype(np.float64), np.ones(len(points))))
    found = []
    for query in queries:
        system[:-1] -= query[:, None]
        found.append(nnls(system, np.append(np.zeros(len(query)), 1.0))[0])
        system[:-1] += query[:, None]
    return found


def membership(points: np.ndarray, queries: np.ndarray) -> list[None]:
    """HiGHS: whether weights exist."""
    system = np.vstack((points.T.astype(np.float64), np.ones(len(points))))
    for query in queries:
        linprog(np.zeros(len(points)), A_eq=system, b_eq=np.append(query, 1.0), method="highs")
    return [None] * len(queries)


def by_daqp(points: np.ndarray, queries: np.ndarray) -> list[np.ndarray]:
    """DAQP on the dual problem, its best form: the shortest w with w·(q − x_i) ≥ 1, whose multipliers are weights.

    It exists for queries outside only, as all of these are. (The primal problem on the Gram matrix of 5000 points takes minutes.)
    """
    import daqp

    count, width = points.shape
    wide, found = points.astype(np.float64), []
    for query in queries.astype(np.float64):
        upper, lower, sense = np.full(count, 1e30), np.ones(count), np.zeros(count, dtype=np.intc)
        information = daqp.solve(np.eye(width), np.zeros(width), query - wide, upper, lower, sense)[3]
        found.append(np.abs(information["lam"]))
    return found


def by_clarabel(points: np.ndarray, queries: np.ndarray) -> list[np.ndarray]:
    """Clarabel, with the distance vector as a variable of its own."""
    import clarabel
    from scipy import sparse

    count, width = points.shape
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    square = sparse.block_diag((sparse.csc_matrix((count, count)), sparse.eye(width)), format="csc")
    moved = sparse.hstack((sparse.csc_matrix(points.T.astype(float)), -sparse.eye(width)))
    total = sparse.hstack((np.ones((1, count)), sparse.csc_matrix((1, width))))
    signs = sparse.hstack((-sparse.eye(count), sparse.csc_matrix((count, width))))
    system = sparse.vstack((moved, total, signs), format="csc")
    cones = [clarabel.ZeroConeT(width + 1), clarabel.NonnegativeConeT(count)]
    found = []
    for query in queries.astype(float):
        target = np.concatenate((query, [1.0], np.zeros(count)))
        solver = clarabel.DefaultSolver(square, np.zeros(count + width), system, target, cones, settings)
        found.append(np.array(solver.solve().x)[:count])
    return found


SOLVERS: dict[str, tuple[Callable[..., list[Any]], str]] = {
    "closedflow": (ours, "numpy"),
    "closedflow, torch cpu": (by_torch, "torch"),
    "scipy nnls, all points": (whole_nnls, "scipy"),
    "HiGHS LP, membership only": (membership, "scipy"),
    "DAQP": (by_daqp, "daqp"),
    "Clarabel": (by_clarabel, "clarabel"),
}


def peak() -> float:
    """The most bytes this process has held since the last :func:`forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(float(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Sets the peak to what is held now (Linux); reading the data held more than the data."""
    Path("/proc/self/clear_refs").write_text("5")


def describe() -> str:
    """Processor, Python and the packages that are measured."""
    found = [f"{name} {version(name)}" for name in PACKAGES if importlib.util.find_spec(name) is not None]
    return f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, {', '.join(found)}"


def measure(name: str, size: str, count: int, patience: float, answer: Any) -> None:
    """In a process of its own: one query, then the batch, as far as patience goes."""
    with threadpool_limits(1):
        points, queries = data(size, count)
        solver = SOLVERS[name][0]
        solver(points[:50], queries[:1])  # imports
        forget_peak()
        before, first = peak(), np.inf
        for _ in range(3):  # the least of three, unless one is long
            begin = time.perf_counter()
            single = solver(points, queries[:1])
            first = min(first, time.perf_counter() - begin)
            if first > 1:
                break
        asked = count if name.startswith("closedflow") else min(count, int(patience / max(first, 1e-9)))
        begin = time.perf_counter()
        found = solver(points, queries[:asked]) if asked else single
        each = (time.perf_counter() - begin) / len(found) if asked else first
        memory = (peak() - before) / points.nbytes
        gaps = [gap(points, q, a) for q, a in zip(queries, found, strict=False) if a is not None]
        answer.put((first, each, len(found), max(gaps, default=np.nan), memory))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--patience", type=float, default=60.0)
    parser.add_argument("--sizes", default="small,middle,large")
    chosen = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(describe())
    source = "real digits" if MNIST.exists() else "synthetic pictures"
    for size in chosen.sizes.split(","):
        count, width, dtype = SIZES[size]
        print(f"\n{count}×{width} {np.dtype(dtype).name}, {source if width == 784 else 'Gaussian'}")
        print(f"  {'':<28}{'one query':>12}{'each of a batch':>22}{'worst gap':>12}{'memory/data':>13}")
        for name, (_, package) in SOLVERS.items():
            if importlib.util.find_spec(package) is None:
                print(f"  {name:<28}{'not installed':>12}")
                continue
            answer = context.Queue()
            process = context.Process(target=measure, args=(name, size, chosen.queries, chosen.patience, answer))
            process.start()
            limit = time.monotonic() + 4 * chosen.patience + 60
            while process.is_alive() and answer.empty() and time.monotonic() < limit:
                time.sleep(0.1)
            if answer.empty():
                process.kill()
                process.join()
                why = (
                    f"> {4 * chosen.patience + 60:.0f} s" if time.monotonic() >= limit else f"died ({process.exitcode})"
                )
                print(f"  {name:<28}{why:>12}", flush=True)
                continue
            first, each, number, worst, memory = answer.get()
            process.join()
            batch = f"{each * 1e3:.1f} ms of {number}"
            print(f"  {name:<28}{first * 1e3:>9.1f} ms{batch:>22}{worst:>12.1e}{memory:>12.2f}×", flush=True)


if __name__ == "__main__":
    main()
