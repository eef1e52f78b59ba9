"""Laws that every prediction obeys under its hypotheses: public, for users' own theorems, and imported without torch.

Each ``check_…`` takes a :class:`~numerics.predictor.Predictor` and returns a :class:`Check`: residual, budget, ratio, and
where it was worst. ``.applies(predictor)`` says why a law does not apply, or "".

Example:
    >>> from hypothesis import given, settings
    >>> from empirical.laws import check_semigroup
    >>> from empirical.strategies import problems
    >>> from numerics.predictor import Predictor
    >>> @settings(max_examples=5, database=None)
    ... @given(problems(optimizer_kinds=["gradient_flow"]))
    ... def test_training_on_is_training_longer(case):
    ...     check = check_semigroup(Predictor(*case))
    ...     assert check, check
    >>> test_training_on_is_training_longer()
"""

from empirical.laws.evidence import Halving, Integration, TrainedNullSpace, Training
from empirical.laws.law import Check, Law, NotMeasured, Term, compare
from empirical.laws.path import AtInfinity, AtZero, LossFalls, NullSpace, Semigroup, Stationary, Superposition
from empirical.laws.symmetry import MeanClock, Patches, Permutation, Repetition, Rotation, Scaling

check_at_zero = AtZero()
check_at_infinity = AtInfinity()
check_stationary = Stationary()
check_semigroup = Semigroup()
check_loss_falls = LossFalls()
check_null_space = NullSpace()
check_superposition = Superposition()
check_scaling = Scaling()
check_rotation = Rotation()
check_permutation = Permutation()
check_patches = Patches()
check_repetition = Repetition()
check_mean_clock = MeanClock()
check_integration = Integration()
check_training = Training()
check_trained_null_space = TrainedNullSpace()
check_halving = Halving()

__all__ = [
    "Check",
    "Law",
    "NotMeasured",
    "Term",
    "check_at_infinity",
    "check_at_zero",
    "check_halving",
    "check_integration",
    "check_loss_falls",
    "check_mean_clock",
    "check_null_space",
    "check_patches",
    "check_permutation",
    "check_repetition",
    "check_rotation",
    "check_scaling",
    "check_semigroup",
    "check_stationary",
    "check_superposition",
    "check_trained_null_space",
    "check_training",
    "compare",
]
