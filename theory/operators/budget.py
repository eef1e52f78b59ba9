"""How much work a proof may take."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Budget:
    """Limits counted in work, so that a verdict does not depend on the machine, under a ceiling in seconds.

    Attributes:
        models: Matrices drawn in search of a counterexample before the long search for a proof.
        more_models: The same after the proof has failed.
        largest_size: The largest size given to a named dimension in a counterexample.
        largest_fixed_size: No counterexample is looked for if a dimension is a number above this.
        overlaps: Overlaps of rules looked at by the completion.
        terms: Words that all rules of the completion, or all steps of a certificate, may have together.
        seconds: A ceiling on the time of the whole answer.
        seed: Of the pseudo-random draws.
    """

    models: int = 100
    more_models: int = 1500
    largest_size: int = 3
    largest_fixed_size: int = 12
    overlaps: int = 1500
    terms: int = 20000
    seconds: float = 20.0
    seed: int = 0

    @classmethod
    def of(cls, seconds: float) -> Budget:
        """The budget of so many seconds; beyond the usual ceiling the limits on work grow with it.

        Example:
            >>> Budget.of(1.0).overlaps, Budget.of(60.0).overlaps
            (1500, 4500)
        """
        usual = cls()
        factor = max(1.0, seconds / usual.seconds)
        grown = {name: int(getattr(usual, name) * factor) for name in ("models", "more_models", "overlaps", "terms")}
        return replace(usual, seconds=seconds, **grown)


class BudgetSpentError(Exception):
    """The ceiling in seconds was reached; caught inside the prover."""


class Clock:
    """The ceiling of one answer; every inner loop looks at it.

    Example:
        >>> Clock(60.0).check()
        >>> Clock(0.0).check()
        Traceback (most recent call last):
        ...
        theory.operators.budget.BudgetSpentError
    """

    def __init__(self, seconds: float) -> None:
        self.begin = time.perf_counter()
        self._deadline = self.begin + seconds

    @property
    def seconds(self) -> float:
        """The time since the clock was started."""
        return time.perf_counter() - self.begin

    def check(self) -> None:
        """Raise if the time is over.

        Raises:
            BudgetSpentError: If it is.
        """
        if time.perf_counter() >= self._deadline:
            raise BudgetSpentError


def ticking(items: Iterable[_Item], clock: Clock | None) -> Iterator[_Item]:
    """The items, with a look at the clock before each.

    Raises:
        BudgetSpentError: If there is a clock and it ran out.
    """
    for item in items:
        if clock is not None:
            clock.check()
        yield item
