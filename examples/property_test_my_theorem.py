"""Property-test a theorem of your own on random settings: the true one holds, its false twin is shrunk to a small counterexample."""

from dataclasses import dataclass

import closedflow as cf
from empirical.laws import Law, compare
from numerics.budget import Budget

TIME = 3


@dataclass(frozen=True)
class Midpoint(Law):
    """From the midpoint of two starts the weights are at the midpoint of theirs, at every time."""

    def terms(self, p, rng):
        start = p.problem.start
        other = rng.standard_normal(start.shape).astype(start.dtype)  # complex for frequencies
        both, middle = (p, p.from_start(other)), p.from_start((start + other) / 2)
        expected = sum(one.theta(TIME)[0] for one in both) / 2
        yield compare(
            middle.theta(TIME)[0], expected, sum(Budget(one).evaluation(TIME) for one in (*both, middle)), "time 3"
        )


@dataclass(frozen=True)
class Doubled(Law):
    """From twice the start the weights are twice theirs. (False: the targets are not doubled.)"""

    def terms(self, p, rng):
        twice = p.from_start(2 * p.problem.start)
        allowed = Budget(twice).evaluation(TIME) + 2 * Budget(p).evaluation(TIME)
        yield compare(twice.theta(TIME)[0], 2 * p.theta(TIME)[0], allowed, "time 3")


if __name__ == "__main__":
    for finding in cf.check_properties([Midpoint(), Doubled()], examples=30, seed=0):
        print(
            f"{finding.law.name}: {finding.verdict} on {finding.tried} random settings, worst residual ÷ budget {finding.ratio:.3g}"
        )
        if finding.case is not None:
            print(f"  smallest case found: {finding.case.setting}")
            print(f"  inputs {finding.case.inputs.tolist()}, start {finding.case.initial_weight.tolist()}")
            print(f"  {finding.check}")
