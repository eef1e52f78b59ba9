"""`solve`: the formulas, the printed forms and the pasted function all say what the Predictor computes, and are proved."""

import inspect
import math
import re
from functools import partial

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import closedflow as cf
from empirical.strategies import problems, seeds
from numerics.budget import Budget
from numerics.predictor import Predictor
from theory.errors import SettingError
from theory.layers import Conv, Linear, Polynomial, Residual
from theory.optimizers import Adam, GradientDescent, GradientFlow, HeavyBall, HeavyBallFlow, Nesterov, NesterovFlow
from theory.setting import Setting
from theory.setting_proof import RuleClaim
from theory.solution import PHI, PSEUDO, START, TARGETS, SpectralFunction, solve
from theory.targets import Constant, Given
from theory.theorems import Claim, library

OPTIMIZERS = [
    GradientFlow(),
    GradientDescent(0.02),
    HeavyBall(0.02, 0.9),
    Nesterov(0.02, 0.9),
    HeavyBallFlow(1.0),
    NesterovFlow(),
]
LAYERS = {
    "linear": (Linear(), (5,)),
    "linear with bias": (Linear(bias=True), (5,)),
    "convolution with bias": (Conv(3, bias=True), (2, 4, 4)),
    "grouped, circular": (Conv(3, groups=2, padding_mode="circular"), (2, 5)),
}
UNIT = 2.0**-53


def function_of(setting: Setting):
    """The pasted function, in a namespace of its own."""
    namespace: dict = {}
    exec(compile(solve(setting).python(), "pasted", "exec"), namespace)
    return namespace["weight"]


def norm(array) -> float:
    return float(np.linalg.norm(array))


def pasted_bound(predictor: Predictor, time: float) -> float:
    r"""Rounding of the pasted formula and of the Predictor.

    A power of a root with a relative error of a few u is off by k times that; the roots of the heavy ball lose digits like
    the square root of their discriminant, and the division by their difference like that root once more.
    """
    budget, optimizer = Budget(predictor), predictor.setting.optimizer
    lost = 1.0
    if "momentum" in vars(optimizer):
        trace = 1 + optimizer.momentum - optimizer.learning_rate * budget.rates
        discriminant = np.abs(trace**2 - 4 * optimizer.momentum)
        lost = 1 / min(1.0, float(discriminant[discriminant >= 1e-15].min(initial=1.0)))
    return budget.evaluation(time) + 64 * UNIT * (time + 1) * lost * (norm(budget.travel) + budget.sizes["start"])


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("loss", ["half_sum", "mse"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.kind)
@pytest.mark.parametrize("name", LAYERS)
def test_the_pasted_function_is_the_predictor_block_by_block(name, optimizer, loss, decay):
    layer, shape = LAYERS[name]
    setting = Setting(layer, optimizer, Constant(np.ones(layer.output_shape(shape, 2))), loss, decay)
    x = np.random.default_rng(0).standard_normal((2, *shape)) / np.sqrt(math.prod(shape))
    predictor, weight = Predictor(setting, x, seed=1), function_of(setting)
    problem = predictor.problem
    for time in (0.0, 1.0, 2.0, 37.0):
        pasted = [
            weight(phi, y, start, time)
            for phi, y, start in zip(problem.features, problem.columns, problem.start, strict=True)
        ]
        assert norm(pasted - predictor.theta(time)[0]) <= pasted_bound(predictor, time)
    moved = norm(predictor.theta(37.0)[0] - problem.start)
    assert moved > 1e3 * pasted_bound(predictor, 37.0)  # the bound would see a formula that is off by 0.1 %


@given(case=problems(optimizer_kinds=["gradient_flow", "gradient_descent", "heavy_ball"]), steps=st.integers(0, 40))
def test_the_pasted_function_is_the_predictor_on_random_problems(case, steps):
    if getattr(case.setting.optimizer, "momentum", 1.0) == 0.0:
        return  # without momentum a root of the heavy ball is 0, and at a double root its formula 0/0
    predictor, weight = Predictor(*case), function_of(case.setting)
    problem = predictor.problem
    if "blocks" in inspect.signature(weight).parameters:  # how many blocks, only the data say
        weight = partial(weight, blocks=len(problem.features))
    time = steps if case.setting.optimizer.discrete else steps / (8 * (predictor.rates.max() or 1.0))
    blocks = zip(problem.features, problem.columns, problem.start, strict=True)
    pasted = np.array([weight(*block, time) for block in blocks])
    assert norm(pasted - predictor.theta(time)[0]) <= pasted_bound(predictor, steps)


@pytest.mark.parametrize(("rate", "momentum"), [(0.25, 0.25), (2.25, 0.25), (1.25, 0.25), (0.5, 0.25), (1e-6, 0.9)])
def test_the_pasted_function_meets_double_and_vanishing_roots(rate, momentum):
    """On one example of norm 1: ηs = (1 ± √β)² are the double roots, ηs = 1 + β makes the roots opposite."""
    setting, x = Setting(Linear(), HeavyBall(rate, momentum)), np.array([[1.0, 0.0]])
    predictor, weight = Predictor(setting, x, seed=0), function_of(setting)
    problem = predictor.problem
    for steps in range(8):
        pasted = weight(problem.features[0], problem.columns[0], problem.start[0], steps)
        assert (
            np.abs(pasted - predictor.theta(steps)[0, 0]).max() <= 1e-13
        )  # entries of size 1, eight exact-to-rounding steps


def test_the_pasted_function_needs_nothing_but_numpy_and_names_its_setting():
    text = solve(Setting(Conv(3, groups=2), HeavyBall(0.1, 0.9), loss="mse", weight_decay=0.5)).python()
    assert re.findall(r"^(?:import|from) .*", text, flags=re.MULTILINE) == ["import numpy as np"]
    assert "2 / (Y.size * 2), 0.5" in text
    assert "Conv(kernel_size=3" in text
    assert "sympy" not in text


# The formulas


def test_theorem_one_comes_out_as_it_is_printed_in_the_paper():
    solution = solve(Setting(Linear(), GradientFlow()))
    assert str(solution.one_example.limit) == "Pi_parallel*x + W_0*Pi_perp*x"
    assert str(solution.limit) in ("W_0*(I - Phi*Phi^+) + Y*Phi^+", "Y*Phi^+ + W_0*(I - Phi*Phi^+)")
    assert str(solution.residual) == "exp(-s*t)"
    assert str(solve(Setting(Linear(), GradientDescent(0.3))).residual) == "(-eta*s + 1)**k"


def spectral(expression, matrix):
    """A function of a symmetric matrix, by its eigenvalues; at 0 by its limit (here: of g and q)."""
    values, basis = np.linalg.eigh(matrix)
    return (basis * np.array([expression(float(max(value, 0.0))) for value in values])) @ basis.T


def numbers_of(setting: Setting) -> dict[str, float]:
    letters = {"eta": "learning_rate", "beta": "momentum", "gamma": "friction"}
    return {
        letter: getattr(setting.optimizer, field)
        for letter, field in letters.items()
        if hasattr(setting.optimizer, field)
    }


def array_of(expression, setting, arrays, scalars, time):
    """The value of a printed formula: every matrix letter by its array, every scalar by its number."""
    symbols = {**scalars, **numbers_of(setting), "t": time, "k": time}

    def number(value):
        exact = {symbol: sympy.Rational(str(symbols[symbol.name])) for symbol in value.free_symbols}
        return complex(value.subs(exact).evalf(60, maxn=400)).real

    def of_mode(function):
        # q at 0 by continuity, g(0) = 1: the formula at 1e-30, in more digits than that takes.
        return lambda rate: number(function.expr.subs(function.variables[0], sympy.Rational(str(max(rate, 1e-30)))))

    def walk(node):
        if isinstance(node, SpectralFunction):
            return spectral(of_mode(node.function), walk(node.args[2]))
        if isinstance(node, sympy.MatrixSymbol):
            return arrays[node.name]
        if isinstance(node, sympy.Identity):
            return np.eye(len(arrays["Phi"]))
        if isinstance(node, sympy.Transpose):
            return walk(node.arg).T
        if isinstance(node, sympy.matrices.expressions.Inverse):
            return np.linalg.inv(walk(node.arg))
        if isinstance(node, (sympy.MatAdd, sympy.Add)) and node.is_Matrix:
            return sum(walk(part) for part in node.args)
        if node.is_Matrix:
            factor, *matrices = 1.0, *(walk(part) for part in node.args if part.is_Matrix)
            for part in node.args:
                factor *= 1.0 if part.is_Matrix else number(part)
            return factor * (np.linalg.multi_dot(matrices) if len(matrices) > 1 else matrices[0])
        return number(node)

    return walk(expression)


@pytest.mark.parametrize(("loss", "decay"), [("half_sum", 0.0), ("mse", 0.3)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.kind)
@pytest.mark.parametrize("layer", [Linear(), Linear(bias=True)], ids=["identity", "bias"])
def test_the_printed_formulas_evaluate_to_the_predictor(layer, optimizer, loss, decay):
    rng = np.random.default_rng(5)
    x, probe, time = rng.standard_normal((1, 3)), rng.standard_normal((1, 3)), 6.0
    setting = Setting(layer, optimizer, loss=loss, weight_decay=decay)
    solution, predictor = solve(setting), Predictor(setting, x, seed=2)
    problem = predictor.problem
    phi, y, start = problem.features[0], problem.columns[0], problem.start[0]
    column = layer.features(probe, np)[0]
    size, count = len(y), y.shape[1]
    length = float((phi**2).sum())
    c = problem.scale
    arrays = {
        "Phi": phi,
        "Y": y,
        "W_0": start,
        "phi": column,
        "x": column,
        "phi_1": phi,
        "y": y,
        "Phi^+": np.linalg.pinv(phi),
    }
    arrays |= {"Pi_parallel": phi @ phi.T / length, "Pi_perp": np.eye(len(phi)) - phi @ phi.T / length}
    scalars = {"p": size, "M": count, "mu": decay, "n": length, "lambda": c * length + decay}
    one = solution.one_example
    for formula, expected in (
        (solution.weight, predictor.theta(time)[0, 0]),
        (solution.prediction, predictor.predict(probe, time)[0].T),
        (solution.limit, predictor.theta(math.inf)[0, 0]),
        (one.weight, predictor.theta(time)[0, 0]),
        (one.prediction, predictor.predict(probe, time)[0].T),
        (one.limit, predictor.predict(probe, math.inf)[0].T),
    ):
        bound = pasted_bound(predictor, time) + Budget(predictor).evaluation(math.inf)
        assert norm(array_of(formula, setting, arrays, scalars, time) - expected) <= 1e2 * bound * (1 + norm(column))


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_where_lines_define_every_letter_of_the_one_example_formulas(decay):
    one = solve(Setting(Linear(), GradientFlow(), weight_decay=decay)).one_example
    used = {letter.name for letter in one.weight.free_symbols | one.prediction.free_symbols | one.limit.free_symbols}
    assert used - {"W_0", "x", "d", "p", "t", "mu"} <= set(one.where)
    assert {"Pi_parallel", "Pi_perp"} <= set(one.where)


def test_a_convolution_has_its_patches_as_columns_and_names_its_blocks():
    solution = solve(Setting(Conv(3, groups=3), GradientFlow()))
    assert solution.one_example.weight == solution.weight
    assert "patches" in solution.one_example.where["Phi"]
    assert "for each of the 3 blocks" in str(solution)
    assert "blocks" not in str(solve(Setting(Conv(3), GradientFlow())))


def test_shapes_of_the_formulas_fit():
    solution = solve(Setting(Linear(), HeavyBall(0.1, 0.9), weight_decay=0.1))
    assert solution.weight.shape == solution.limit.shape == START.shape
    assert solution.prediction.shape[0] == TARGETS.shape[0]
    assert (PSEUDO.shape, solution.rates.shape) == ((PHI.shape[1], PHI.shape[0]), (PHI.shape[0], PHI.shape[0]))


# The proof


@pytest.mark.theorem("T8")
@pytest.mark.theorem("T9")
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.kind)
def test_the_closed_form_of_every_optimiser_is_proved(optimizer, decay):
    proof = solve(Setting(Linear(), optimizer, weight_decay=decay)).proof
    assert proof.verdict == "proved"
    assert proof.mode.verified
    assert proof.remainder == 0
    assert {claim.verdict for claim in proof.claims} == {"proved"}
    assert len(proof.claims) == 1 + len(optimizer.initial_state(0))  # one for each thing remembered, and the limit
    assert ("L-INDUCTION" in proof.lemmas) is optimizer.discrete
    assert "L-CALCULUS" in proof.lemmas
    assert str(proof).startswith("proved in ")


def test_rule_claims_of_the_library_are_those_of_their_optimisers():
    claims = [claim for theorem in library() for claim in theorem.claims if not isinstance(claim, Claim)]
    for claim in claims:
        assert isinstance(claim, RuleClaim)
        assert "== " in claim.equation
        assert "solved by" in claim.equation


def test_adam_is_refused_by_naming_the_theorem():
    with pytest.raises(SettingError) as error:
        solve(Setting(Linear(), Adam(0.01)))
    for word in ("Adam", "linear in the weights", "theorem T1", "train()"):
        assert word in str(error.value)


# The printed forms

COMMANDS = set(
    "begin end aligned frac left right Phi phi mu lambda eta beta gamma sqrt mathbb Pi parallel perp infty text quad".split()
) | {"delta", "dagger", "pi", "cos"}
SETTINGS = [
    Setting(layer, optimizer, target, loss, decay)
    for optimizer in OPTIMIZERS
    for layer, target in ((Linear(), Constant()), (Linear(bias=True), Given()), (Conv(3), Given()))
    for loss, decay in (("half_sum", 0.0), ("mse", 0.1))
]


def check_latex(text: str) -> None:
    """Braces, environments and delimiters are balanced, every command is known, and fractions have two arguments."""
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert text.count(r"\left") == text.count(r"\right")
    assert re.findall(r"\\begin{(\w+)}", text) == re.findall(r"\\end{(\w+)}", text) == ["aligned"]
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= COMMANDS
    assert not re.search(r"\*\*|\*|Pi_parallel|Pi_perp|MatrixSymbol|\bNone\b", text)
    rows = text.splitlines()[1:-1]
    assert all(row.endswith(r" \\") for row in rows[:-1])
    assert not rows[-1].endswith(r"\\")
    assert all("&=" in row for row in rows)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_latex_is_balanced_and_every_formula_is_parsed_by_matplotlib(setting):
    text = solve(setting).latex()
    check_latex(text)
    mathtext = pytest.importorskip("matplotlib.mathtext", reason="matplotlib is not installed")
    parser = mathtext.MathTextParser("path")
    for row in text.splitlines()[1:-1]:
        for cell in row.removesuffix(r" \\").split("&"):
            if cell.strip():
                plain = cell.strip().strip(",").replace(r"\text{(one example)}", "")
                parser.parse(f"${plain}$") if plain else None


def test_the_check_of_latex_can_fail():
    good = solve(SETTINGS[0]).latex()
    for wrong in (good.replace("}", "", 1), good.replace(r"\right", "", 1), good.replace("&=", "="), good + r"\foo"):
        with pytest.raises(AssertionError):
            check_latex(wrong)


@pytest.mark.parametrize("setting", SETTINGS[::3], ids=str)  # each optimiser once with the half sum, once with decay
def test_text_and_markdown_name_the_setting_its_formulas_and_the_verdict(setting):
    solution = solve(setting)
    text, page = str(solution), solution.markdown()
    assert text.startswith(str(setting))
    for word in ("W(oo) = ", "S = ", "q(s) = (1 - g(s))/s", "g(s) = ", "one example", "proof: proved in "):
        assert word in text
    assert ("where" in text) is bool(solution.mode.special)  # the double root has its own line
    assert page.startswith(f"**{setting}**")
    assert page.count("$$") == 2
    assert solution.latex() in page
    assert "Proof: proved" in page


@given(seed=seeds())
def test_solutions_are_values(seed):
    setting = Setting(Linear(), GradientDescent(0.1 + seed))
    assert solve(setting) == solve(setting)
    assert hash(solve(setting)) == hash(solve(setting))


@pytest.mark.parametrize("layer", [Linear(), Linear(bias=True), Polynomial(2), Residual(Linear())], ids=str)
def test_only_a_layer_whose_features_are_its_inputs_speaks_of_x_alone(layer):
    where = solve(Setting(layer, GradientFlow())).one_example.where
    assert ("x_1" in where["n"]) == (layer == Linear())


def test_what_a_schedule_leaves_at_the_end_is_said_in_every_notation():
    flow = cf.solve(cf.Setting(cf.Linear(), cf.GradientFlow(cf.Cosine(10))))
    assert "g_oo(s) = exp(-5*s),  q_oo(s) = (1 - g_oo(s))/s" in str(flow)
    for text in (flow.latex(), flow.markdown()):
        assert r"g_{\infty}(s) &= e^{- 5 s}" in text
        assert "_oo" not in text
    assert "oo(s)" not in str(cf.solve(cf.Setting(cf.Linear(), cf.GradientFlow())))


def test_the_complement_of_the_example_never_moves_at_the_end_of_a_schedule_either():
    limit = str(cf.solve(cf.Setting(cf.Linear(), cf.GradientDescent(0.1, cf.Cosine(100)))).one_example.limit)
    assert "W_0*Pi_perp" in limit
    assert "Product(1" not in limit


def test_a_large_array_is_a_shape_in_headings_and_whole_in_toml():
    value = [[float(row + column) / 7 for column in range(9)] for row in range(8)]
    chosen = cf.Setting(cf.Linear(), cf.GradientFlow(), cf.Constant(value))
    assert "Constant(value=<array of shape (8, 9)>)" in str(cf.solve(chosen)).splitlines()[0]
    assert cf.Setting.from_toml(chosen.to_toml()) == chosen
    assert str(cf.Constant([1.0, 2.0])) == "Constant(value=(1.0, 2.0))"
