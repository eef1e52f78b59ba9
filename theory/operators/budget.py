"""How much work a proof may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Limits counted in work, so that a verdict does not depend on the machine, under a ceiling in seconds.

    Attributes:
        models: Matrices drawn in search of a counterexample before the proof is tried.
        more_models: The same after the proof has failed.
        largest_size: The largest size given to a named dimension in a counterexample.
        overlaps: Overlaps of rules looked at by the completion.
        terms: Words that all rules of the completion may have together.
        seconds: A ceiling for each of the two searches.
        seed: Of the pseudo-random draws.
    """

    models: int = 100
    more_models: int = 1500
    largest_size: int = 3
    overlaps: int = 1500
    terms: int = 20000
    seconds: float = 20.0
    seed: int = 0
