"""Three verdicts on scalar equations: what is proved holds in 50 digits, what is refuted fails exactly where it says."""

from dataclasses import replace

import mpmath
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from theory.operators import LEMMAS
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall, HeavyBallFlow, Nesterov, NesterovFlow
from theory.radicals import OutsideError, Radicals
from theory.reading import Reader
from theory.rule import k, s, scalar_equation, t
from theory.scalar import mode_solution
from theory.scalar_proof import Interval, ScalarEquation, prove_solution

OPTIMIZERS = [
    GradientFlow(),
    GradientDescent(0.5),
    HeavyBall(0.5, 0.5),
    Nesterov(0.5, 0.5),
    HeavyBallFlow(0.5),
    NesterovFlow(),
]
beta, eta, gamma = sympy.symbols("beta eta gamma", positive=True)
x = sympy.Symbol("x")
ONE, ZERO = sympy.Integer(1), sympy.Integer(0)
z = sympy.sqrt(s) * t
omega = sympy.sqrt(gamma**2 / 4 - s)
FRICTION, FADING = scalar_equation(HeavyBallFlow(1.0)), scalar_equation(NesterovFlow())
J = sympy.besselj


def kinds(optimizers):
    return pytest.mark.parametrize("optimizer", optimizers, ids=lambda optimizer: optimizer.kind)


def roots_of(optimizer):
    """The generic residual, with its two roots as sympy expressions."""
    mode = mode_solution(optimizer)
    return mode.short, mode.roots, scalar_equation(optimizer)


# What is true


@kinds(OPTIMIZERS)
def test_every_residual_is_proved_case_by_case(optimizer):
    mode = mode_solution(optimizer)
    assert [proof.verdict for proof in mode.proofs] == ["proved"] * (1 + len(mode.special))
    for proof in mode.proofs:
        assert proof.remainder == 0
        assert proof.lemmas == (("L-INDUCTION",) if optimizer.discrete else ("L-EXP",))
        assert set(proof.lemmas) <= set(LEMMAS)
        assert proof.seconds < 1


def test_the_side_conditions_are_where_the_formula_is_0_over_0():
    (generic, double) = mode_solution(HeavyBallFlow(1.0)).proofs
    assert {sympy.expand(abs_) for abs_ in generic.side_conditions} <= {gamma**2 - 4 * s, 4 * s - gamma**2}
    assert double.side_conditions == ()
    (bessel,) = mode_solution(NesterovFlow()).proofs
    assert bessel.side_conditions == (s,)


def test_nesterovs_double_roots_are_two_cases_each_its_own_statement():
    mode = mode_solution(Nesterov(0.5, 0.5))
    (double, _), (over, formula) = mode.special
    numbers = {beta: sympy.Rational(1, 2), eta: ONE}
    assert sorted(sympy.solve(double.lhs.subs(numbers), s)) == [sympy.Rational(1, 9), 1]
    assert sympy.solve(over.lhs.subs(numbers), s) == [1]
    assert [formula.subs(numbers | {s: 1, k: step}) for step in range(4)] == [1, sympy.Rational(-1, 2), 0, 0]


@pytest.mark.parametrize(
    "candidate",
    [
        sympy.exp(-gamma * t / 2) * (sympy.cosh(omega * t) + gamma / (2 * omega) * sympy.sinh(omega * t)),
        sympy.exp(-gamma * t / 2)
        * (
            sympy.cos(t * sympy.sqrt(s - gamma**2 / 4))
            + gamma * sympy.sin(t * sympy.sqrt(s - gamma**2 / 4)) / sympy.sqrt(4 * s - gamma**2)
        ),
    ],
    ids=["hyperbolic", "trigonometric"],
)
def test_other_forms_of_the_damped_oscillation_are_proved_too(candidate):
    assert prove_solution(candidate, FRICTION).verdict == "proved"


@pytest.mark.parametrize("candidate", [2 * J(1, z) / z, J(0, z) + J(2, z), (J(0, z) * z**2 + J(2, z) * z**2) / z**2])
def test_other_forms_of_nesterovs_flow_are_proved_too(candidate):
    assert prove_solution(candidate, FADING).verdict == "proved"


def test_other_orders_of_the_fading_friction():
    """ü + (a/t)u̇ + su = 0 with a = 2ν + 1: J_ν, its start by the power series."""
    for order in (0, 2, 3):
        equation = replace(FADING, coefficients=(-s, -(2 * order + 1) / t))
        candidate = 2**order * sympy.factorial(order) * J(order, z) / z**order
        assert prove_solution(candidate, equation).verdict == "proved"


def test_the_rules_of_the_bessel_letters_are_those_of_mpmath():
    with mpmath.workdps(50):
        for point in (mpmath.mpf("0.3"), mpmath.mpf("1.7")):
            values = [mpmath.besselj(order, point) for order in (0, 1)]
            assert abs(mpmath.besselj(0, point, 1) + values[1]) < mpmath.mpf(10) ** -45
            assert abs(mpmath.besselj(1, point, 1) - values[0] + values[1] / point) < mpmath.mpf(10) ** -45


def test_polynomials_spikes_and_powers_of_shifted_steps():
    binomial = ScalarEquation((-(x**2), 2 * x), (ZERO, x), k)
    assert prove_solution(k * x**k, binomial).verdict == "proved"
    assert prove_solution(k * x ** (k + 1) / x, binomial).verdict == "proved"
    spike = ScalarEquation((ZERO,), (ONE,), k)
    assert prove_solution(sympy.KroneckerDelta(k, 0), spike).verdict == "proved"
    growing = ScalarEquation((x,), (ZERO,), k, x ** (k + 1))
    assert prove_solution(k * x**k, growing).verdict == "proved"
    half = ScalarEquation((x, ZERO), (ONE, sympy.sqrt(x)), k)
    assert prove_solution(x ** (k / 2), half).verdict == "proved"


# What is false


def expected_and_found(proof, equation):
    """Both values at the refutation, in 50 digits and without the ring: the rule iterated, the candidate put in."""
    found, step = proof.refutation, int(proof.refutation.time)
    values = [sympy.sympify(value).subs(found.numbers) for value in equation.start]
    while len(values) <= step:
        before = len(values) - len(equation.coefficients)
        terms = [
            a.subs(found.numbers).subs(k, before) * values[before + i] for i, a in enumerate(equation.coefficients)
        ]
        values.append(sympy.expand(sum(terms) + equation.source.subs(found.numbers).subs(k, before)))
    got = [proof.candidate.subs(found.numbers).subs(k, index).evalf(50) for index in range(step + 1)]
    return values, got


def plants(optimizer):
    short, roots, equation = roots_of(optimizer)
    plus, minus = roots
    _, first = equation.start
    mode = mode_solution(optimizer)
    generic = mode.residual
    return (
        {
            "a sign": ((first - minus) * plus**k - (plus - first) * minus**k) / (plus - minus),
            "one step late": generic.subs(k, k + 1),
            "one step early": generic.subs(k, k - 1),
            "only one root": plus**k,
            "the other weights": short.subs({plus: minus, minus: plus}, simultaneous=True).subs(first, 1),
            "no momentum": (1 - eta * s) ** k,
            "a wrong root": short.subs(minus, -roots[minus]),
        },
        roots,
        equation,
    )


@kinds([HeavyBall(0.5, 0.5), Nesterov(0.5, 0.5)])
@pytest.mark.parametrize(
    "name",
    ["a sign", "one step late", "one step early", "only one root", "the other weights", "no momentum", "a wrong root"],
)
def test_a_false_residual_is_refuted_at_the_first_step_where_it_fails(optimizer, name):
    planted, roots, equation = plants(optimizer)
    proof = prove_solution(planted[name].subs(roots), equation)
    assert proof.verdict == "refuted"
    assert proof.remainder != 0
    assert all(isinstance(value, sympy.Rational) for value in proof.refutation.numbers.values())
    values, got = expected_and_found(proof, equation)
    step = int(proof.refutation.time)
    for index in range(step):
        assert abs(sympy.N(values[index] - got[index], 30)) < 1e-25
    assert abs(sympy.N(values[step] - got[step], 30)) > 1e-3
    assert abs(sympy.N(values[step] - proof.refutation.expected, 30)) < 1e-25
    assert abs(sympy.N(got[step] - proof.refutation.found, 30)) < 1e-25


def test_the_double_root_without_its_factor_k_is_refuted():
    for optimizer in (HeavyBall(0.5, 0.5), Nesterov(0.5, 0.5)):
        doubled = mode_solution(optimizer).proofs[1]
        trace = doubled.equation.coefficients[1]
        assert prove_solution((trace / 2) ** k, doubled.equation).verdict == "refuted"
        late = doubled.candidate.subs(k, k + 1)
        assert prove_solution(late, doubled.equation).verdict == "refuted"


@pytest.mark.parametrize(
    ("candidate", "equation", "order"),
    [
        (
            sympy.exp(-gamma * t / 2) * (sympy.cosh(omega * t) - gamma / (2 * omega) * sympy.sinh(omega * t)),
            FRICTION,
            1,
        ),
        (sympy.exp(-gamma * t / 2) * sympy.cosh(omega * t), FRICTION, 1),
        (sympy.exp(-gamma * t) * (sympy.cosh(omega * t) + gamma / omega * sympy.sinh(omega * t)), FRICTION, 2),
        ((1 + gamma * t / 2) * sympy.exp(-gamma * t / 2), FRICTION, 2),
        (J(0, z), FADING, 2),
        (2 * J(1, 2 * z) / (2 * z), FADING, 2),
        (J(1, z) / z, FADING, 0),
        (sympy.exp(s * t), ScalarEquation((-s,), (ONE,), t), 1),
    ],
    ids=["sign", "no sine", "friction twice", "critical", "J0", "twice as fast", "half", "explodes"],
)
def test_a_false_curve_is_refuted_by_an_exact_start_or_by_intervals_that_do_not_meet(candidate, equation, order):
    proof = prove_solution(candidate, equation)
    assert proof.verdict == "refuted"
    found, time = proof.refutation, proof.refutation.time
    assert found.what.count("'") == order
    curve = candidate.subs(found.numbers)
    if time == 0:
        exact = sympy.limit(curve.diff(t, order), t, 0)
        assert sympy.simplify(exact - found.found) == 0
        assert found.expected != found.found
        return
    assert isinstance(found.found, Interval)
    assert found.found.high < found.expected.low or found.expected.high < found.found.low
    moment = sympy.Rational(time.numerator, time.denominator)
    sides = [
        curve.diff(t, order),
        sum(a.subs(found.numbers) * curve.diff(t, i) for i, a in enumerate(equation.coefficients)),
    ]
    for side, interval in zip(sides, (found.found, found.expected), strict=True):
        value = sympy.Rational(str(sympy.re(side.subs(t, moment).evalf(60))))
        assert interval.low - sympy.Rational(1, 10**50) <= value <= interval.high + sympy.Rational(1, 10**50)
        assert interval.high - interval.low < sympy.Rational(1, 10**30)


def test_a_pole_at_the_start_is_refuted():
    proof = prove_solution(1 / t**2, replace(FADING, coefficients=(ZERO, -3 / t)))
    assert (proof.verdict, proof.refutation.found) == ("refuted", sympy.zoo)


def test_a_root_on_the_wrong_branch_is_not_proved():
    """√(x²) solves nothing for x: it is -x for negative x."""
    proof = prove_solution(sympy.sqrt(x**2) ** k, ScalarEquation((x,), (ONE,), k))
    assert proof.verdict == "refuted"
    assert proof.refutation.numbers[x] < 0


def test_a_progress_that_is_not_that_of_the_rule_is_refuted():
    of_q = scalar_equation(GradientDescent(0.5), progress=True)
    g = (1 - eta * s) ** k
    assert prove_solution((1 - g) / s, of_q).verdict == "proved"
    assert prove_solution((1 - g) / (2 * s), of_q).verdict == "refuted"
    assert prove_solution((1 + g) / s, of_q).verdict == "refuted"


# What is neither


@pytest.mark.parametrize(
    ("candidate", "equation", "why"),
    [
        (sympy.cos(k * sympy.acos(x)), ScalarEquation((-ONE, 2 * x), (ONE, x), k), "acos(x)"),
        (sympy.Float(0.5) ** k, ScalarEquation((sympy.Rational(1, 2),), (ONE,), k), "0.5"),
        (sympy.factorial(k), ScalarEquation((k + 1,), (ONE,), k), "factorial"),
        (1 / (k + 1), ScalarEquation((x,), (ONE,), k), "divides"),
        (sympy.sqrt(1 + sympy.sqrt(x)) ** k, ScalarEquation((x,), (ONE,), k), "root of a root"),
        (x ** (k**2), ScalarEquation((x,), (ONE,), k), "k**2"),
        (sympy.exp(-(t**2)), ScalarEquation((-2 * t,), (ONE,), t), "t**2"),
        (sympy.tanh(t), ScalarEquation((ONE,), (ZERO,), t), "tanh"),
        (sympy.exp(t + 1), ScalarEquation((ONE,), (sympy.E,), t), "t + 1"),
        (J(0, z) + J(0, 2 * z), FADING, "Bessel"),
        (J(sympy.Rational(1, 2), z), FADING, "besselj(1/2"),
        (sympy.Function("f")(k), ScalarEquation((x,), (ONE,), k), "f(k)"),
    ],
)
def test_what_is_outside_the_ring_is_undecided_and_says_what_is(candidate, equation, why):
    proof = prove_solution(candidate, equation)
    assert proof.verdict == "undecided"
    assert why in proof.reason
    assert proof.refutation is None


def test_a_zero_that_the_ring_does_not_see_is_undecided_not_refuted():
    """√x√y = √(xy) for positive x and y: three roots with one relation that nobody told the ring."""
    positive = sympy.symbols("a b", positive=True)
    a, b = positive
    product = sympy.Mul(sympy.sqrt(a + 1), sympy.sqrt(b + 1), evaluate=False)
    candidate = (product - sympy.sqrt(sympy.expand((a + 1) * (b + 1)))) * k + 1
    proof = prove_solution(candidate, ScalarEquation((ONE,), (ONE,), k))
    assert proof.verdict == "undecided"
    assert "no numbers were found" in proof.reason


# The ring


RATIONALS = st.fractions(-3, 3, max_denominator=5)


@given(st.lists(RATIONALS, min_size=2, max_size=2, unique=True), st.lists(RATIONALS, min_size=2, max_size=2), st.data())
def test_a_random_combination_of_powers_is_proved_and_a_changed_one_refuted(roots, weights, data):
    r, q = (sympy.Rational(root.numerator, root.denominator) for root in roots)
    a, b = (sympy.Rational(weight.numerator, weight.denominator) for weight in weights)
    candidate = a * r**k + b * q**k
    values = [a + b, a * r + b * q]
    equation = ScalarEquation((-r * q, r + q), tuple(values), k)
    assert prove_solution(candidate, equation).verdict == "proved"
    changed = data.draw(st.sampled_from([candidate + 1, candidate + k, candidate + k * (k - 1) * 4**k]))
    assert prove_solution(changed, equation).verdict == "refuted"


@given(st.integers(-60, 60), st.integers(1, 12), st.integers(-60, 60))
def test_roots_of_rationals_are_what_mpmath_says(numerator, denominator, other):
    numbers = Radicals([])
    value, second = numbers.number(sympy.Rational(numerator, denominator)), numbers.number(other)
    root = numbers.root(value)
    assert root * root == value
    product = root * numbers.root(second)
    assert abs(complex(root.expression().evalf(30)) - complex(mpmath.sqrt(mpmath.mpf(numerator) / denominator))) < 1e-12
    if product:
        assert product * product.inverse() == numbers.number(1)


def test_independent_roots_have_relations_only_by_their_primes():
    numbers = Radicals([])
    two, three, six = (numbers.root(numbers.number(value)) for value in (2, 3, 6))
    assert two * three == six
    assert numbers.root(numbers.number(-12)) == numbers.imaginary * numbers.number(2) * three
    with pytest.raises(OutsideError, match="root of a root"):
        numbers.root(numbers.number(1) + two)
    with pytest.raises(OutsideError, match="divides by 0"):
        (two * three - six).inverse()


def test_there_is_an_end_to_roots_and_powers():
    reader = Reader([], k)
    with pytest.raises(OutsideError, match="roots"):
        reader.read(sum(sympy.sqrt(prime) for prime in sympy.primerange(40)))
    with pytest.raises(OutsideError, match="power"):
        Reader([x], k).read((1 + x) ** 1000)


def test_reading_is_a_homomorphism():
    """Read and written again, an expression has its value."""
    reader = Reader([s, gamma], t)
    expression = (t + sympy.sqrt(s)) ** 2 * sympy.exp(-gamma * t) * sympy.sinh(2 * omega * t) / (1 + gamma) + J(
        3, z
    ) * t
    again = reader.read(expression).expression(t)
    numbers = {s: sympy.Rational(1, 3), gamma: sympy.Rational(5, 2), t: sympy.Rational(7, 5)}
    assert abs((expression - again).subs(numbers).evalf(40)) < 1e-35


def test_a_proof_prints_what_it_decided():
    text = str(prove_solution(x**k, ScalarEquation((x,), (ONE,), k)))
    assert text.splitlines()[0] == "proved: u = x**k solves u(k + 1) = x*u(k), u(0) = 1"
    assert "modulo: L-INDUCTION" in text
    assert "for x = 1/2: u(1) must be 1/2, but it is 1" in str(prove_solution(ONE, ScalarEquation((x,), (ONE,), k)))
