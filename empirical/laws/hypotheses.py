"""The hypotheses of laws: each says why a prediction is outside, or an empty string; its docstring is the hypothesis."""

import numpy as np

from numerics.predictor import Predictor
from theory.rule import transition
from theory.targets import Identity

INDICES = (0.0, 1.0, 2.0, 7.0, 100.0)  # times at which a rule is compared with itself


def memoryless(p: Predictor) -> str:
    """A first-order rule of constant rate."""
    rule = p.setting.optimizer.rule
    if rule.averages or len(rule.initial_state(0.0)) > 1:
        return f"{rule} remembers more than the weight"
    if rule.schedule is not None:
        return f"{rule} has a schedule"
    rates = np.append(p.rates.ravel(), p.setting.weight_decay)
    first, *later = (np.array(transition(rule, rates, index)[0]) for index in INDICES)
    return "" if all((other == first).all() for other in later) else f"the rule of {rule} changes with time"


def flow(p: Predictor) -> str:
    """A flow, not a descent."""
    optimizer = p.setting.optimizer
    return f"{optimizer} is a descent" if optimizer.discrete else ""


def gradient_flow(p: Predictor) -> str:
    """Gradient flow of constant rate 1."""
    if reason := flow(p) or memoryless(p):
        return reason
    rule = p.setting.optimizer.rule
    off = (np.array(transition(rule, p.rates, 0.0)[0][0][0]) != -p.rates).any()
    return f"{rule} is not the gradient flow of rate 1" if off else ""


def converging(p: Predictor) -> str:
    """Training that ends where no gradient is left."""
    optimizer = p.setting.optimizer.rule
    return "" if optimizer.has_limit and optimizer.converges else f"{optimizer} does not converge"


def no_decay(p: Predictor) -> str:
    """No weight decay."""
    return f"weight_decay is {p.setting.weight_decay:g}" if p.setting.weight_decay else ""


def no_preconditioner(p: Predictor) -> str:
    """No preconditioner."""
    optimizer = p.setting.optimizer
    return "" if optimizer.rule is optimizer else "the gradient is preconditioned"


def no_bias(p: Predictor) -> str:
    """No bias."""
    return "the layer has a bias" if p.setting.layer.bias else ""


def identity_target(p: Predictor) -> str:
    """The target is the identity."""
    return "" if p.setting.target == Identity() else f"the target is {p.setting.target}"


def homogeneous_features(p: Predictor) -> str:
    """Features of degree 1: twice the input, twice the features."""
    layer, x = p.setting.layer, p.problem.inputs
    doubled = layer.features(2 * x, np) == 2 * layer.features(x, np)  # a factor of 2 is exact
    return "" if doubled.all() else "twice the input is not twice the features"


def dense_layer(p: Predictor) -> str:
    """A fully connected layer on its inputs themselves."""
    layer = p.setting.layer
    return "" if layer.repeats_inputs and not layer.skips else f"{layer} is no fully connected layer on its inputs"


def one_real_block(p: Predictor) -> str:
    """A layer whose outputs are one real matrix times its features."""
    layer, blocks = p.setting.layer, len(p.problem.features)
    if layer.complex_features:
        return f"the features of {layer} are complex"
    return "" if blocks == 1 else f"{layer} is {blocks} independent problems"


def mean_loss(p: Predictor) -> str:
    """The loss is the mean, "mse"."""
    return "" if p.setting.loss == "mse" else f"the loss is {p.setting.loss}"
