"""What a theorem is here: claims that the prover decides, a false twin, and cases that are measured.

A theorem's statement is one or more claims in the claim language, each for all dimensions. Its *measured* form says what
is looked at in a network (``probe``, a matrix that multiplies the weight) and what it must be (``value``), in the same
language: the text that the prover decides is the formula that is evaluated on real data. To add a theorem, write one
module here that defines ``THEOREM``, and its entry in proofs.md.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

from theory.operators import LEMMAS, Proof, prove
from theory.operators.proof import Verdict
from theory.setting import Setting

Shapes = Mapping[str, tuple[str | int, str | int]]

# The letters that a measured formula may use, per block: features Φ of the training examples, targets, start, features of
# the test examples, the weight that represents the target (where the target is a function of the input), and the weight
# that is measured.
SHAPES: Shapes = {
    "W": ("q", "d"),
    "X": ("d", "n"),
    "Y": ("q", "n"),
    "W0": ("q", "d"),
    "V": ("d", "m"),
    "Wstar": ("q", "d"),
}


class Provable(Protocol):
    """What a theorem is made of: a :class:`Claim`, or a claim about an optimiser's rule."""

    @property
    def says(self) -> str:
        """In words."""

    @property
    def equation(self) -> str:
        """In symbols."""

    @property
    def lemmas(self) -> tuple[str, ...]:
        """What joins the claim to the statement."""

    def prove(self) -> Proof:
        """The verdict."""

    def certificates(self) -> tuple[str, ...]:
        """The certificates of its proof, for the kernel to check again."""


@dataclass(frozen=True)
class Claim:
    """One equation for the prover, with what it says in words and the lemmas that take it to the statement.

    Attributes:
        says: In words.
        equation: In the claim language.
        shapes: Names to shapes by dimension name.
        assume: Hypotheses in the claim language.
        scalars: Names of real scalars.
        flow: Names of matrix exponentials to their generators.
        where: Local definitions.
        lemmas: What the algebra cannot say and the step from this claim to the statement needs.
    """

    says: str
    equation: str
    shapes: Shapes
    assume: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    flow: Mapping[str, str] | None = None
    where: Mapping[str, str] | None = None
    lemmas: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.lemmas if name not in LEMMAS]
        if unknown:
            message = f"lemmas must be of the closed list, but {unknown} are not. Use one of {', '.join(LEMMAS)}."
            raise ValueError(message)

    def prove(self) -> Proof:
        """The prover's verdict."""
        return prove(
            self.equation,
            shapes=dict(self.shapes),
            assume=self.assume,
            scalars=self.scalars,
            flow=dict(self.flow or {}),
            where=dict(self.where or {}),
        )

    def certificates(self) -> tuple[str, ...]:
        """The one certificate, if the claim is proved."""
        certificate = self.prove().certificate
        return () if certificate is None else (certificate,)


@dataclass(frozen=True)
class Case:
    """One thing to measure: a setting, the data it is shown, and the formula that must hold.

    Attributes:
        name: A few words for the table.
        setting: A flow at a finite time or at its limit, or a descent with its learning rate in units of 1/s_max.
        value: The formula for the weight times ``probe``, in the letters of ``SHAPES``; "" for the setting's closed form.
        probe: What multiplies the weight.
        view: How the images are shown; see ``empirical.views``.
        examples: How many training examples are taken.
        reach: For a flow, time times the fastest rate, inf for the limit; for a descent, the number of steps.
        flow: The exponentials that ``value`` uses.
        shapes: The shapes of the letters; they differ from ``SHAPES`` where a theorem is about square weights.
        vanishing: A matrix that is 0 exactly when the network is exact on the test examples, or "".
        telling: Whether the case belongs to the short list that ``verify`` runs by default.
    """

    measured_by: ClassVar[str] = "empirical.measure.Measurement"

    name: str
    setting: Setting
    value: str
    probe: str = "I"
    view: str = "plain"
    examples: int = 1
    reach: float = 5.0
    flow: Mapping[str, str] | None = None
    shapes: Shapes = field(default_factory=lambda: SHAPES)
    vanishing: str = ""
    telling: bool = True

    @property
    def at_limit(self) -> bool:
        """Whether the formula is for infinite time."""
        return math.isinf(self.reach)


@dataclass(frozen=True)
class OwnCase:
    """One thing to measure that is no setting: a class of its own does it.

    Attributes:
        name: A few words for the table.
        measured_by: The class, by its dotted name: made of the case, training and test images and a seed, with the methods
            ``integration()`` and ``training(device, dtype)``, which return levels.
        examples: How many training examples are taken.
        telling: As for :class:`Case`.
        options: What else the class must know.
        integrated: Whether there is an equation of motion to integrate.
    """

    name: str
    measured_by: str
    examples: int = 1
    telling: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    integrated: bool = True


@dataclass(frozen=True)
class Theorem:
    """A named result.

    Attributes:
        id: T1, T2, …, as in proofs.md.
        name: The name on the command line.
        title: One line.
        statement: The statement in words and symbols.
        hypotheses: Outside of which it is false.
        claims: What the prover decides; the theorem is proved when all of them are.
        false_twin: A statement one sign or one hypothesis away, which must be refuted.
        cases: What is measured.
        own_cases: What is measured by classes of its own.
    """

    id: str
    name: str
    title: str
    statement: str
    hypotheses: tuple[str, ...]
    claims: tuple[Provable, ...]
    false_twin: Claim
    cases: tuple[Case, ...]
    own_cases: tuple[OwnCase, ...] = ()

    @property
    def every_case(self) -> tuple[Case | OwnCase, ...]:
        """Whatever is measured."""
        return (*self.cases, *self.own_cases)

    @cached_property
    def proofs(self) -> tuple[Proof, ...]:
        """The verdict on each claim."""
        return tuple(claim.prove() for claim in self.claims)

    @property
    def verdict(self) -> Verdict:
        """The weakest verdict of the claims."""
        return weakest(proof.verdict for proof in self.proofs)

    @property
    def lemmas(self) -> tuple[str, ...]:
        """Every lemma that the proof stands on: those of the certificates, and those that join the claims."""
        used = {name for proof in self.proofs for name in proof.lemmas}
        return tuple(sorted(used | {name for claim in self.claims for name in claim.lemmas}))

    @property
    def seconds(self) -> float:
        """How long the proofs took."""
        return sum(proof.seconds for proof in self.proofs)


def weakest(verdicts: Iterable[str]) -> Verdict:
    """The weakest of several verdicts: refuted, then undecided, then proved.

    Example:
        >>> weakest(["proved", "undecided", "proved"])
        'undecided'
    """
    found = set(verdicts)
    return "refuted" if "refuted" in found else "undecided" if "undecided" in found else "proved"
