r"""What a law is: something that every prediction obeys under its hypotheses, measured as a residual within a budget.

A user's own law is one small class, in any file::

    @dataclass(frozen=True)
    class IdentityStays(Law):
        '''Towards the identity, without decay, a network that is the identity stays.'''

        assumes = (identity_target, no_decay)

        def terms(self, p, rng):
            there = p.from_start(p.problem.known_weight)
            yield compare(there.theta(7)[0], there.problem.start, Budget(there).evaluation(7), "t = 7")

``check_properties([IdentityStays()])`` of :mod:`empirical.properties` then tries it on random problems. An instance is
called with a :class:`~numerics.predictor.Predictor`; it refuses those outside its hypotheses.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from empirical.levels import SENSITIVITY, TOO_LOOSE
from empirical.optimizer_strategies import preconditioned_problems, scheduled_problems
from empirical.strategies import Case, problems
from numerics.arrays import Float, quiet
from numerics.predictor import Predictor
from theory.component import Component
from theory.errors import SettingError

Hypothesis = Callable[[Predictor], str]  # why a prediction is outside, or ""; its docstring says the hypothesis


@dataclass(frozen=True)
class Term:
    """One measurement of a law.

    Attributes:
        residual: How far it is from holding, a norm.
        budget: What rounding, and what else is not exact, explains.
        size: The norm of what is measured.
        where: At which time, say.
    """

    residual: float
    budget: float
    size: float
    where: str

    @property
    def ratio(self) -> float:
        """Residual ÷ budget; 0 where both are 0, inf where either is not a number."""
        if self.residual == 0:
            return 0.0
        ratio = self.residual / self.budget if self.budget else np.inf
        return float(np.inf if np.isnan(ratio) else ratio)

    @property
    def telling(self) -> bool:
        """Whether an error of 1 % of what is measured would be seen."""
        return self.budget <= SENSITIVITY * self.size


def compare(found: Any, expected: Any, budget: float, where: str) -> Term:
    """Two arrays that a law says are equal.

    Example:
        >>> compare([3.0, 4.0], [3.0, 4.5], 1.0, "t = 0").ratio
        0.5
    """
    found, expected = np.asarray(found), np.asarray(expected)
    size = max(float(np.linalg.norm(found)), float(np.linalg.norm(expected)))
    return Term(float(np.linalg.norm(found - expected)), float(budget), size, where)


@dataclass(frozen=True)
class Check:
    """A law on one problem.

    Attributes:
        law: Its name.
        terms: What was measured.
        reason: Why nothing could be measured, or "".
    """

    law: str
    terms: tuple[Term, ...]
    reason: str = ""

    @property
    def worst(self) -> Term:
        """The term with the largest ratio."""
        return max(self.terms, key=lambda term: term.ratio, default=Term(0.0, 0.0, 0.0, "nowhere"))

    @property
    def residual(self) -> float:
        """That of the worst term."""
        return self.worst.residual

    @property
    def budget(self) -> float:
        """That of the worst term."""
        return self.worst.budget

    @property
    def ratio(self) -> float:
        """The largest residual ÷ budget."""
        return self.worst.ratio

    @property
    def where(self) -> str:
        """Where it was worst."""
        return self.worst.where

    @property
    def holds(self) -> bool:
        """Whether every residual is inside its budget."""
        return self.ratio <= 1

    @property
    def verdict(self) -> str:
        """``broken``; ``holds`` if some term would have shown an error of 1 %; else ``not run``."""
        if not self.holds:
            return "broken"
        return "holds" if any(term.telling for term in self.terms) else "not run"

    @property
    def why(self) -> str:
        """Why it was not run, or ""."""
        return "" if self.verdict != "not run" else self.reason or TOO_LOOSE

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        reason = f" ({self.why})" if self.why else ""
        return f"{self.law} {self.verdict}{reason}: residual {self.residual:.3g}, budget {self.budget:.3g}, at {self.where}"


class Law(Component):
    """Base of all laws; a law says what it ``assumes``, and its ``terms``.

    Attributes:
        assumes: Its hypotheses.
        trained: Whether it trains networks (it then has the fields ``device`` and ``dtype``).
    """

    assumes: ClassVar[tuple[Hypothesis, ...]] = ()
    trained: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """How the command line calls it."""
        return self.kind.replace("_", "-")

    def problems(self) -> SearchStrategy[Case]:
        """Random problems: of every kind, with learning-rate schedules, with preconditioners."""
        return st.one_of(problems(), scheduled_problems(), preconditioned_problems())

    def applies(self, predictor: Predictor) -> str:
        """Why a problem is outside the hypotheses, or ""."""
        return next((reason for hypothesis in self.assumes if (reason := hypothesis(predictor))), "")

    def terms(self, predictor: Predictor, rng: np.random.Generator) -> Iterable[Term]:
        """The measurements on one problem; the generator is for what the law draws itself.

        Raises:
            SettingError: If the class has none.
        """
        self.lacks("terms", "what is measured")

    def measured(self, predictor: Predictor, seed: int = 0) -> Check:
        """The law on a problem, also where its hypotheses do not hold."""
        try:
            with quiet():  # what is not finite is seen in the ratio
                return Check(self.name, tuple(self.terms(predictor, np.random.default_rng(seed))))
        except NotMeasured as unmeasured:
            return Check(self.name, (), str(unmeasured))

    def __call__(self, predictor: Predictor, seed: int = 0) -> Check:
        """The law on a problem.

        Args:
            predictor: The closed form of the problem.
            seed: Of what the law draws itself, such as a rotation.

        Raises:
            SettingError: If the problem is outside the hypotheses.
        """
        if reason := self.applies(predictor):
            message = (
                f"the problem must be inside the hypotheses of the law {self.name}, but {reason}. Ask .applies() first."
            )
            raise SettingError(message)
        return self.measured(predictor, seed)


class NotMeasured(Exception):
    """Why a law cannot be measured on a problem that is inside its hypotheses."""


def norm(array: Any) -> float:
    """The Frobenius norm of all entries."""
    values: Float = np.asarray(array)
    return float(np.linalg.norm(values))
