r"""Optimisers that are linear in the weights: each one is a scalar equation, and what follows from it.

On a quadratic loss such an optimiser acts on each eigen-direction of :math:`S = c\,\Phi\Phi^\top + \mu I` separately.
Its *residual* :math:`g(s, t)` is what is left of a unit error in a mode of eigenvalue :math:`s`; :math:`g(s, 0) = 1`,
and always :math:`g(0, t) = 1`.

An optimiser says its rule once, as code that only adds and scales (``step`` for a descent, ``velocity`` for a flow):
run on numbers the rule is the oracle that iterates or integrates, run on symbols it is the scalar equation from which
``theory.scalar`` derives the residual, run on the prover's letters it is the claim that is proved. The form of the
residual that stays accurate in floating point (``response``) stands beside it and is tested against the derived one.
To add an optimiser, subclass :class:`Descent` or :class:`Flow`.
"""

from theory.optimizers.acceleration import AcceleratedDescent
from theory.optimizers.averaging import AveragedDescent, AveragedFlow
from theory.optimizers.gradient import GradientDescent, GradientFlow
from theory.optimizers.inertia import HeavyBallFlow, NesterovFlow
from theory.optimizers.minibatch import MinibatchDescent
from theory.optimizers.momentum import HeavyBall, Nesterov
from theory.optimizers.nonlinear import Adam
from theory.optimizers.optimizer import Descent, Flow, Optimizer
from theory.optimizers.preconditioner import Preconditioned

__all__ = [
    "AcceleratedDescent",
    "Adam",
    "AveragedDescent",
    "AveragedFlow",
    "Descent",
    "Flow",
    "GradientDescent",
    "GradientFlow",
    "HeavyBall",
    "HeavyBallFlow",
    "MinibatchDescent",
    "Nesterov",
    "NesterovFlow",
    "Optimizer",
    "Preconditioned",
]
