"""The prover: a claim about matrices in, a checked proof for all dimensions or an exact counterexample out."""

from theory.operators.budget import Budget
from theory.operators.evaluate import evaluate
from theory.operators.expressions import (
    Derivative,
    Equation,
    Expression,
    Identity,
    Integral,
    Letter,
    Limit,
    Pinv,
    Start,
    Zero,
)
from theory.operators.kernel import check_certificate
from theory.operators.lemmas import LEMMAS
from theory.operators.models import Counterexample
from theory.operators.proof import Proof, prove, recheck
from theory.operators.scalars import Scalar, Symbol
from theory.operators.statement import formula

__all__ = [
    "LEMMAS",
    "Budget",
    "Counterexample",
    "Derivative",
    "Equation",
    "Expression",
    "Identity",
    "Integral",
    "Letter",
    "Limit",
    "Pinv",
    "Proof",
    "Scalar",
    "Start",
    "Symbol",
    "Zero",
    "check_certificate",
    "evaluate",
    "formula",
    "prove",
    "recheck",
]
