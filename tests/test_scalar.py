"""The scalar equation of each optimiser, and that its derived solution solves it."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from empirical.strategies import optimizers
from theory.optimizers import Flow, GradientDescent, GradientFlow, HeavyBall, Optimizer
from theory.scalar import LETTERS, k, mode_solution, s, symbols_of, t, transition

eta, beta = (sympy.Symbol(name, positive=True) for name in ("eta", "beta"))
u = sympy.Function("u")
EPS = np.finfo(float).eps
# A preconditioner has no rule of its own; a recurrence has no formula.
LINEAR = [
    kind for kind, cls in Optimizer.kinds.items() if cls.linear and not cls.recurrent and kind != "preconditioned"
]


def example(kind):
    chosen = Optimizer.kinds[kind]
    values = {field.name: 0.5 for field in fields(chosen) if field.name in LETTERS}
    return chosen(**values | ({"batch_size": 1} if "batch_size" in values else {}))


@dataclass(frozen=True)
class Spring(Flow, abstract=True):
    """ü + γu̇ + su = 0: a second-order flow, to test the ansatz for one."""

    friction: float

    def initial_state(self, weight):
        return weight, 0 * weight

    def velocity(self, state, gradient, t):
        return state[1], -self.friction * state[1] - gradient(state[0])


@dataclass(frozen=True)
class Fading(Flow, abstract=True):
    """u̇ = -su/(1 + t): a rule that changes with time."""

    def velocity(self, state, gradient, t):
        return (-gradient(state[0]) / (1 + t),)


@pytest.mark.theorem("T1")
@pytest.mark.parametrize("kind", LINEAR)
def test_every_linear_optimizer_has_a_residual_that_substitution_confirms(kind):
    mode = mode_solution(example(kind))
    assert mode.verified
    assert mode.remainder == 0
    at_start = mode.residual.subs(mode.time, 0)
    special = [case for condition, case in mode.special if condition.lhs == mode.time]
    assert sympy.simplify(
        sympy.limit(mode.residual, mode.time, 0) if at_start is sympy.nan else at_start
    ) == 1 or special == [1]


@pytest.mark.theorem("T1")
@pytest.mark.parametrize("kind", [kind for kind in LINEAR if Optimizer.kinds[kind].discrete])
@pytest.mark.parametrize("rate", ["1/3", "7/4", "1", "2", "9"])
def test_the_residual_solves_its_printed_equation_with_rational_numbers(kind, rate):
    """Exact arithmetic, independent of the substitution that the module does itself."""
    mode = mode_solution(example(kind))
    numbers = {symbol: sympy.Rational(1, 4) for symbol in symbols_of(example(kind)).values()} | {
        s: sympy.Rational(rate)
    }
    formula = mode.residual
    for condition, special in mode.special:
        formula = special if condition.lhs.subs(numbers) == 0 else formula
    formula = formula.subs(numbers)
    values = [sympy.radsimp(sympy.expand(formula.subs(k, index))) for index in range(8)]
    values[0] = sympy.Integer(1) if values[0] is sympy.nan else values[0]  # the mean of nothing, a special case
    shifts = {u(k + shift): shift for shift in range(3)}
    for index in range(6):
        at = {call: values[index + shift] for call, shift in shifts.items()}
        sides = [side.subs(at).subs(numbers).subs(k, index) for side in (mode.equation.lhs, mode.equation.rhs)]
        assert sympy.simplify(sides[0] - sides[1]) == 0
    for condition in mode.start:
        given_value = condition.rhs.subs(numbers)
        assert sympy.simplify(condition.lhs.subs({u(0): values[0], u(1): values[1]}) - given_value) == 0


def test_the_equations_are_the_ones_of_the_literature():
    flow, descent, momentum = (mode_solution(o) for o in (GradientFlow(), GradientDescent(0.1), HeavyBall(0.1, 0.9)))
    assert flow.equation == sympy.Eq(u(t).diff(t), -s * u(t))
    assert flow.residual == sympy.exp(-s * t)
    assert sympy.expand(descent.equation.rhs - (1 - eta * s) * u(k)) == 0
    polyak = (1 + beta - eta * s) * u(k + 1) - beta * u(k)
    assert sympy.expand(momentum.equation.rhs - polyak) == 0
    assert sympy.expand(momentum.start[1].rhs - (1 - eta * s)) == 0


def test_the_double_root_is_the_limit_of_the_generic_residual():
    """At s = (1 - √β)²/η the generic formula is 0/0; approached, it tends to the special one."""
    mode = mode_solution(HeavyBall(0.1, 0.9))
    ((condition, special),) = mode.special
    numbers = {eta: sympy.Integer(1), beta: sympy.Rational(1, 4), k: sympy.Integer(5)}
    at = sympy.Rational(1, 4)
    assert condition.lhs.subs(numbers).subs(s, at) == 0
    near = [mode.residual.subs(numbers).subs(s, at + sympy.Rational(1, 10**n)).evalf(60) for n in (8, 10)]
    exact = special.subs(numbers).subs(s, at)
    distances = [abs(value - exact) for value in near]
    assert 0 < distances[1] < distances[0] < sympy.Rational(1, 10**6)  # |du/ds| < 100 here
    assert distances[0] / distances[1] == pytest.approx(100, rel=1e-5)  # linear in the distance


def test_a_second_order_flow_is_solved_by_the_same_ansatz():
    mode = mode_solution(Spring(0.5))
    friction = sympy.Symbol("gamma", positive=True)
    assert mode.verified
    remainder = mode.residual.diff(t, 2) + friction * mode.residual.diff(t) + s * mode.residual
    assert sympy.simplify(remainder) == 0
    assert sympy.simplify(mode.residual.diff(t).subs(t, 0)) == 0
    ((condition, special),) = mode.special
    assert condition.lhs == friction**2 - 4 * s
    doubled = special.subs(s, friction**2 / 4)
    assert sympy.simplify(doubled.diff(t, 2) + friction * doubled.diff(t) + friction**2 / 4 * doubled) == 0


def test_a_rule_that_changes_with_time_has_no_ansatz():
    with pytest.raises(NotImplementedError, match="Fading"):
        mode_solution(Fading())


def test_a_base_class_is_no_kind():
    assert {"descent", "flow", "spring", "fading"}.isdisjoint(Optimizer.kinds)


@given(optimizers(1.0), st.lists(st.floats(0, 1.0), min_size=1, max_size=4))
def test_the_transition_matrix_is_the_rule_for_numbers_and_arrays_alike(optimizer, rates):
    rows, pushed = transition(optimizer, np.array(rates), 1)
    for index, rate in enumerate(rates):
        one_by_one, push = transition(optimizer, rate, 1)
        at = [[np.broadcast_to(entry, len(rates))[index] for entry in row] for row in rows]
        assert at == one_by_one
        assert [np.broadcast_to(entry, len(rates))[index] for entry in pushed] == push
        state = tuple(0.5 + number for number in range(len(rows)))
        rule = optimizer.step if optimizer.discrete else optimizer.velocity
        moved = rule(state, lambda u, rate=rate: rate * u, 1)
        np.testing.assert_allclose(np.array(one_by_one, dtype=float) @ state, moved, rtol=8 * EPS, atol=8 * EPS)


def test_what_an_error_of_the_gradient_does_to_the_state():
    rows, pushed = transition(HeavyBall(0.5, 0.25), 1.0)
    assert np.array(rows) @ [1.0, 0.0] == pytest.approx([0.5, 1.0])
    assert pushed == [-0.5, 1.0]  # into the weight with -η, into the buffer with 1
