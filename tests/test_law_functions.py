"""The exported laws: each holds on random problems inside its hypotheses, and is false outside each of them."""

import math
import subprocess
import sys
from dataclasses import dataclass, replace

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical import laws
from empirical.laws import Check, Law, Term, compare
from empirical.strategies import problems
from numerics.order import halving_bound
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Conv, Features, Linear
from theory.optimizers import (
    AveragedFlow,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    HeavyBallFlow,
    MinibatchDescent,
    Preconditioned,
)
from theory.schedules import Cosine
from theory.setting import Setting
from theory.targets import Constant, Given

FLOW = Setting(Linear(), GradientFlow())
X = np.array([[1.0, 0.5, 0.0], [0.2, -0.4, 0.3]])
W0 = np.array([[0.3, -0.2, 0.5], [0.1, 0.4, -0.6], [0.0, 0.7, 0.2]])
SKEW = ((0.2, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.5))
LAWS = [law for name, law in vars(laws).items() if name.startswith("check_")]
PLAIN = [law for law in LAWS if not law.trained]


@pytest.mark.parametrize("law", PLAIN, ids=lambda law: law.name)
def test_the_law_holds_on_random_problems_inside_its_hypotheses(law):
    telling = []

    @settings(max_examples=40)
    @given(law.problems(), st.integers(0, 9))
    def holds(case, seed):
        predictor = Predictor(*case)
        if not law.applies(predictor):
            check = law(predictor, seed)
            assert check, check
            telling.append(check.verdict == "holds")

    holds()
    # The null space is most often empty where examples have many positions; else nearly every problem must say something.
    assert sum(telling) >= 12


@pytest.mark.parametrize("law", [law for law in LAWS if law.trained], ids=lambda law: law.name)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_law_holds_for_networks_that_torch_trains(law, dtype):
    pytest.importorskip("torch")
    law, verdicts = law.with_values(device="cpu", dtype=dtype), []

    @settings(max_examples=4)
    @given(law.problems())
    def holds(case):
        predictor = Predictor(*case)
        if not law.applies(predictor):
            check = law(predictor)
            assert check, check
            verdicts.append(check.verdict)

    holds()
    assert "holds" in verdicts


# One hypothesis broken at a time: the law names it, and is false there.
OUTSIDE = {
    "semigroup, momentum": (laws.check_semigroup, {"optimizer": HeavyBall(0.2, 0.9)}),
    "semigroup, a schedule": (laws.check_semigroup, {"optimizer": GradientFlow(Cosine(20.0))}),
    "semigroup, a mean of iterates": (laws.check_semigroup, {"optimizer": AveragedFlow()}),
    "loss, momentum": (laws.check_loss_falls, {"optimizer": HeavyBall(0.5, 0.9)}),
    "stationary, a schedule that ends": (laws.check_stationary, {"optimizer": GradientFlow(Cosine(2.0))}),
    "null space, decay": (laws.check_null_space, {"weight_decay": 0.5}),
    "null space, preconditioner": (laws.check_null_space, {"optimizer": Preconditioned(GradientFlow(), SKEW)}),
    "scaling, descent": (laws.check_scaling, {"optimizer": HeavyBallFlow(1.0)}),
    "scaling, fixed target": (laws.check_scaling, {"target": Constant([1.0, 1.0, 1.0])}),
    "scaling, bias": (laws.check_scaling, {"layer": Linear(bias=True)}),
    "scaling, decay": (laws.check_scaling, {"weight_decay": 0.5}),
    "rotation, preconditioner": (laws.check_rotation, {"optimizer": Preconditioned(GradientFlow(), SKEW)}),
    "permutation, preconditioner": (laws.check_permutation, {"optimizer": Preconditioned(GradientFlow(), SKEW)}),
    "repetition, the sum": (laws.check_repetition, {}),
    "slower clock, the sum": (laws.check_mean_clock, {"loss": "half_sum"}),
    "slower clock, decay": (laws.check_mean_clock, {"loss": "mse", "weight_decay": 0.5}),
    "slower clock, inertia": (laws.check_mean_clock, {"loss": "mse", "optimizer": HeavyBallFlow(1.0)}),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_a_hypothesis_the_law_names_it_and_is_false(name):
    law, changes = OUTSIDE[name]
    p = Predictor(replace(FLOW, **changes), X, initial_weight=W0)
    assert law.applies(p)
    with pytest.raises(SettingError, match=f"hypotheses of the law {law.name}"):
        law(p)
    seeds = range(4)  # one permutation in six of three inputs is none
    assert any(law.measured(p, seed).ratio > 1e3 for seed in seeds)


def test_the_loss_may_rise_under_a_preconditioner_with_decay():
    """(a + b)(pa + b) < 0 for the slopes a = W - y = 1 and b = μW = -1/2 with p = 1/10."""
    optimizer = Preconditioned(GradientFlow(), ((0.1,),))
    setting = Setting(Linear(), optimizer, Given(), weight_decay=1.0)
    p = Predictor(setting, [[1.0]], [[-1.5]], [[-0.5]])
    assert laws.check_loss_falls.applies(p)
    assert laws.check_loss_falls.measured(p).verdict == "broken"


def test_scaling_is_false_for_features_of_mixed_degree():
    def squares(x, xp):
        return xp.concatenate((x, x * x), axis=1)

    p = Predictor(Setting(Features(squares), GradientFlow(), Constant([1.0])), X)
    reasons = [hypothesis(p) for hypothesis in laws.check_scaling.assumes]
    assert "twice the input is not twice the features" in reasons
    bright = Predictor(p.setting, 2 * X)
    assert np.abs(bright.theta(math.inf) - p.theta(math.inf)).max() > 0.01


@pytest.mark.parametrize(
    ("law", "changes"),
    [
        (laws.check_trained_null_space, {"weight_decay": 0.5}),
        (laws.check_trained_null_space, {"optimizer": Preconditioned(GradientDescent(0.1), SKEW)}),
    ],
    ids=["decay", "preconditioner"],
)
def test_trained_networks_move_outside_the_span_with_decay_or_a_preconditioner(law, changes):
    pytest.importorskip("torch")
    p = Predictor(replace(FLOW, **changes), X, initial_weight=W0)
    assert law.applies(p)
    assert law.with_values(device="cpu").measured(p).ratio > 1e3


def test_one_run_of_a_sampled_descent_is_outside_the_law_of_training():
    p = Predictor(replace(FLOW, optimizer=MinibatchDescent(0.1, 1)), X, initial_weight=W0)
    assert "mean over all draws" in laws.check_training.applies(p)


def test_a_descent_of_higher_order_or_of_another_rate_does_not_halve_its_gap(monkeypatch):
    """The law sees order 0 and order 2: gaps that stay, and gaps that become a quarter."""
    pytest.importorskip("torch")
    law = laws.check_halving.with_values(device="cpu")
    p = Predictor(FLOW, X, initial_weight=W0)
    assert law(p).verdict == "holds"
    kind, theta = type(law), p.theta(0.05 * 20 / float(p.rates.max()))[0]
    original = kind.run

    def of_order(power):
        def run(self, p, steps, rate):
            found = original(self, p, steps, rate)
            wrong = 2.0**power if steps == 40 else 1.0  # the true gap has halved: 2^power of it is left
            weight = p.problem.to_torch(theta)[0]
            return replace(found, weights=weight + wrong * (found.weights - weight))

        return run

    for power in (1, -1):
        monkeypatch.setattr(kind, "run", of_order(power))
        assert law.measured(p).verdict == "broken"


@given(st.floats(1e-4, 0.5), st.integers(1, 60))
def test_the_halving_bound_is_above_the_difference_of_the_gaps(rate, steps):
    with mpmath.workdps(40):
        x = mpmath.mpf(rate)
        whole, half = (mpmath.exp(-x * steps) - (1 - x / n) ** (n * steps) for n in (1, 2))
        difference = abs(whole - 2 * half)
        assert difference <= mpmath.mpf(float(halving_bound(np.array([rate]), steps)[0]))
        if rate * steps <= 1 and rate <= 0.05:  # and it is not loose: a tenth of the gap itself
            assert float(halving_bound(np.array([rate]), steps)[0]) <= 0.1 * float(whole)


def test_a_rate_of_one_has_no_halving_bound():
    with pytest.raises(SettingError, match="rate must be below 1"):
        halving_bound(np.array([0.5, 1.0]), 3)


def test_a_check_says_residual_budget_ratio_and_where():
    check = Check("mine", (Term(1.0, 2.0, 1e3, "time 1"), Term(3.0, 2.0, 1e3, "time 2")))
    assert (check.residual, check.budget, check.ratio, check.where, check.holds) == (3.0, 2.0, 1.5, "time 2", False)
    assert str(check) == "mine broken: residual 3, budget 2, at time 2"
    assert Check("mine", (Term(1.0, 2.0, 1e3, "time 1"),)).verdict == "holds"
    blind = Check("mine", (Term(1.0, 2.0, 3.0, "time 1"),))
    assert (blind.verdict, bool(blind)) == ("not run", True)
    assert "1 %" in str(blind)
    assert Check("mine", (), "nothing there").verdict == "not run"
    assert Term(math.nan, 1.0, 1.0, "").ratio == Term(1.0, 0.0, 1.0, "").ratio == math.inf
    assert Term(0.0, 0.0, 1.0, "").ratio == 0


def test_every_law_is_exported_documented_and_names_its_hypotheses():
    shipped = {kind for kind, cls in Law.kinds.items() if cls.__module__.startswith("empirical.laws")}
    assert {f"check_{kind}" for kind in shipped} == {name for name in laws.__all__ if name.startswith("check_")}
    for law in LAWS:
        assert type(law).__doc__
        assert all(hypothesis.__doc__ for hypothesis in law.assumes)


def test_a_law_without_terms_says_what_it_lacks(monkeypatch):
    monkeypatch.setattr(Law, "kinds", dict(Law.kinds))

    @dataclass(frozen=True)
    class Empty(Law):
        """Nothing."""

    with pytest.raises(SettingError, match="must have the method terms"):
        Empty()(Predictor(FLOW, X))


def test_laws_are_imported_without_torch():
    code = "import sys, empirical.laws, empirical.properties; print({'torch', 'cyclopts', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_convolution_is_no_dense_layer():
    p = Predictor(Setting(Conv(3), GradientFlow()), np.ones((1, 1, 4)))
    assert "no fully connected layer" in laws.check_rotation.applies(p)
    grouped = Predictor(Setting(Conv(3, groups=2), GradientFlow()), np.ones((1, 2, 4)))
    assert "2 independent problems" in laws.check_patches.applies(grouped)


def test_compare_is_the_norm_of_the_difference():
    term = compare(np.array([3.0, 4.0]), np.zeros(2), 1.0, "here")
    assert (term.residual, term.size, term.ratio) == (5.0, 5.0, 5.0)


def test_five_lines_make_a_property_test():
    """As the documentation has it."""

    @settings(max_examples=10)
    @given(problems(optimizer_kinds=["gradient_flow"]))
    def test_training_on_is_training_longer(case):
        assert laws.check_semigroup(Predictor(*case))

    test_training_on_is_training_longer()
