"""The prover: a claim about matrices in, a checked proof for all dimensions or an exact counterexample out."""

from theory.operators.budget import Budget
from theory.operators.checking import check_certificate
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
from theory.operators.functionals import Expectation, Trace
from theory.operators.lemmas import LEMMAS
from theory.operators.models import Counterexample
from theory.operators.proof import Proof, recheck
from theory.operators.prover import prove
from theory.operators.scalars import Scalar, Symbol
from theory.operators.statement import formula
from theory.operators.weight import WeightProof, prove_weight

__all__ = [
    "LEMMAS",
    "Budget",
    "Counterexample",
    "Derivative",
    "Equation",
    "Expectation",
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
    "Trace",
    "WeightProof",
    "Zero",
    "check_certificate",
    "evaluate",
    "formula",
    "prove",
    "prove_weight",
    "recheck",
]
