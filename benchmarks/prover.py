"""How fast the prover is, side by side with what is wanted of it.

    python benchmarks/prover.py [--repeats N]      times per theorem, of the kernel alone, of false twins, of a spent budget

Each time is the best of the repeats, after one run that is not counted; wanted figures are those of one core of a laptop.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

from theory.operators import Budget, check_certificate, prove
from theory.theorems import Claim, library

THEOREM, KERNEL, TWIN = 0.2, 0.2, 0.5
"""Seconds wanted: for one theorem, for all certificates together, for one false twin."""
LATE = 0.1
"""How much later than its stated budget an answer may come, in parts of the budget."""

SQUARE = ("d", "d")
TWO = {"A": ("d", "e"), "B": ("e", "d"), "a": (1, 1)}
HARD = {
    "matrices, no end of rules": ("P == Q", {"P": SQUARE, "Q": SQUARE}, ["P @ Q - Q @ P == I"]),
    "matrices, a large completion": (
        "pinv(A @ B) == pinv(A) @ pinv(B)",
        {"A": SQUARE, "B": SQUARE},
        ["A @ B == B @ A", "A.T == A", "B.T == B"],
    ),
    "a flow": ("E == I - t * A", {"A": SQUARE}, ["A @ A == 0"], {"E": "A"}),
    "a fixed size": ("A @ B @ A == B @ A @ B", {"A": (12, 12), "B": (12, 12)}, ["A @ B @ B == B @ A @ A"]),
    "traces": ("dim(d) * tr(a) == dim(e) * tr(a)", TWO, ["A @ B == I", "B @ A == I"]),
}
"""Claims that are not decided, so that the whole budget is spent."""


def best(action: Callable[[], object], repeats: int) -> float:
    """The least time of several runs, in seconds."""
    action()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)


def row(name: str, seconds: float, wanted: float, note: str = "") -> None:
    mark = "" if seconds <= wanted else "  <-- too slow"
    print(f"  {name:<58}{seconds:>9.4f} s{wanted:>9.3f} s   {note}{mark}")


def prove_all(claims: tuple[Claim, ...]) -> None:
    for claim in claims:
        claim.prove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    theorems = library()

    print(f"  {'each theorem of the library':<58}{'time':>11}{'wanted':>11}   verdict")
    times = []
    for theorem in theorems:
        times.append(best(partial(prove_all, theorem.claims), repeats))
        row(f"{theorem.id} {theorem.name} ({len(theorem.claims)} claims)", times[-1], THEOREM, theorem.verdict)
    print(f"  all {len(times)}: median {statistics.median(times):.4f} s, slowest {max(times):.4f} s")

    texts = [proof.certificate for theorem in theorems for proof in theorem.proofs if proof.certificate is not None]
    print("\n  the kernel alone")
    row(
        f"{len(texts)} certificates re-checked",
        best(lambda: [check_certificate(text) for text in texts], repeats),
        KERNEL,
    )

    print("\n  false twins")
    for theorem in theorems:
        twin = theorem.false_twin
        row(f"{theorem.id} {twin.says}"[:57], best(twin.prove, repeats), TWIN, twin.prove().verdict)

    print("\n  a spent budget: when the answer comes (it may come earlier if the work ends)")
    for name, (claim, shapes, assume, *flow) in HARD.items():
        for seconds in (0.2, 1.0, 3.0):
            begin = time.perf_counter()
            proof = prove(claim, shapes, assume, flow=dict(*flow), budget=Budget(seconds=seconds))
            row(f"{name}, {seconds} s", time.perf_counter() - begin, seconds * (1 + LATE), proof.verdict)


if __name__ == "__main__":
    main()
