"""Every theorem of the library: proved by certificates, not vacuous, its false twin refuted, and true on random data."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.linalg import expm

from empirical.strategies import images, problems, seeds
from numerics.budget import Budget
from numerics.formula import letters, value
from numerics.integrate import trajectory
from numerics.predictor import Predictor
from theory.errors import ClaimError, SettingError
from theory.layers import Conv, Linear
from theory.operators import LEMMAS, check_certificate, evaluate, prove
from theory.operators import Budget as Work
from theory.operators.exact import identity, integer_spectrum, pinv
from theory.operators.models import ModelSearch
from theory.operators.statement import Source, read_statement
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.theorems import Claim, find, library
from theory.theorems import identity_crisis_convolution as t5
from theory.theorems import null_space as t3

LIBRARY = library()
THEOREMS = [pytest.param(theorem, id=theorem.id, marks=pytest.mark.theorem(theorem.id)) for theorem in LIBRARY]
CLAIMS = [
    pytest.param(theorem, number, id=f"{theorem.id}-{number}", marks=pytest.mark.theorem(theorem.id))
    for theorem in LIBRARY
    for number, claim in enumerate(theorem.claims)
    if isinstance(claim, Claim)  # the others are about an optimiser's rule: tests/test_solution.py
]
STEADY = st.sampled_from([0.0, 0.3, 2.0, 20.0])  # flow times, in units of the fastest mode


def statement_of(claim: Claim):
    return read_statement(Source(claim.equation, claim.shapes, claim.assume, claim.scalars, claim.flow, claim.where))


def exact(tree, found):
    """The value of a formula in a counterexample, evaluated anew over the rationals."""
    values = {**found.entries, **found.scalars}
    return evaluate(tree, values, identity=identity, pinv=pinv, number=lambda number: number)


def floats(matrix) -> np.ndarray:
    return np.array([[float(entry) for entry in row] for row in matrix.entries])


def norm(array) -> float:
    return float(np.linalg.norm(array))


# The library


def test_ids_are_numbered_and_ids_names_and_titles_are_unique():
    assert [theorem.id for theorem in LIBRARY] == [f"T{number}" for number in range(1, len(LIBRARY) + 1)]
    assert len(LIBRARY) >= 5
    for field in ("id", "name", "title", "statement"):
        assert len({getattr(theorem, field) for theorem in LIBRARY}) == len(LIBRARY)


@pytest.mark.parametrize("theorem", THEOREMS)
def test_a_theorem_is_found_by_id_and_name_and_is_well_formed(theorem):
    assert find(theorem.id) is find(theorem.name) is theorem
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", theorem.name)
    assert theorem.claims
    assert theorem.hypotheses
    assert len({case.name for case in theorem.cases}) == len(theorem.cases)
    assert not theorem.cases or any(case.telling for case in theorem.cases)
    for case in theorem.cases:
        names = set(re.findall(r"[A-Za-z_]\w*", f"{case.value} {case.probe} {case.vanishing}"))
        assert names <= {*case.shapes, *(case.flow or {}), "I", "T", "pinv", "integral", "c", "mu"}


def test_a_misspelt_theorem_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="Did you mean 'null-space'"):
        find("nul-space")


@pytest.mark.parametrize("theorem", THEOREMS)
def test_every_theorem_is_proved_modulo_lemmas_of_the_closed_list(theorem):
    assert theorem.verdict == "proved"
    assert {proof.verdict for proof in theorem.proofs} == {"proved"}
    assert set(theorem.lemmas) <= set(LEMMAS)
    assert list(theorem.lemmas) == sorted(set(theorem.lemmas))
    assert {name for claim in theorem.claims for name in claim.lemmas} <= set(theorem.lemmas)


@pytest.mark.parametrize(("theorem", "number"), CLAIMS)
def test_every_certificate_holds_is_of_its_claim_and_of_no_other(theorem, number):
    claim, proof = theorem.claims[number], theorem.proofs[number]
    assert check_certificate(proof.certificate)
    written = json.loads(proof.certificate)
    assert written["claim"] == claim.equation
    assert tuple(written["assume"]) == claim.assume
    texts = (claim.equation, *(claim.where or {}).values())
    assert not proof.side_conditions or any("/" in text for text in texts)  # what is divided by must not be 0
    for step in written["cofactors"][:1]:  # an identity of polynomials needs none
        step["left"] = f"2 * ({step['left']})"
        assert not check_certificate(json.dumps(written))
        step["left"] = "0"
        assert not check_certificate(json.dumps(written))
    left, right = claim.equation.split("==")
    if right.strip() != "0":
        other = json.loads(proof.certificate) | {"claim": f"2 * ({left}) =={right}"}
        assert not check_certificate(json.dumps(other))


@pytest.mark.parametrize(("theorem", "number"), CLAIMS)
def test_the_hypotheses_of_every_claim_have_a_model_with_data(theorem, number):
    """Refuting "X is zero" under the same hypotheses takes exact matrices that satisfy them, with X ≠ 0."""
    claim = theorem.claims[number]
    letter = "X" if "X" in claim.shapes else next(iter(claim.shapes))
    names = [text[2] for text in claim.assume if text.startswith("d(")]
    bound = [text for text in claim.assume if not text.startswith("d(") and set(names) & set(re.findall(r"\w+", text))]
    # A hypothesis on a letter that has a rate too (T10: E commutes with X Xᵀ) is met at one time, and the rate keeps it.
    assumed = [text for text in claim.assume if not (bound and text.startswith("d("))]
    proof = prove(f"{letter} == 0", claim.shapes, assumed, claim.scalars, claim.flow, claim.where)
    assert proof.verdict == "refuted"
    assert proof.counterexample.entries[letter]
    if not claim.flow:
        statement = statement_of(claim)
        assert not any(
            exact(item.equation.left - item.equation.right, proof.counterexample) for item in statement.hypotheses
        )


@pytest.mark.parametrize(("theorem", "number"), CLAIMS)
def test_the_search_for_counterexamples_meets_models_of_the_hypotheses_and_finds_none_to_a_claim(theorem, number):
    statement = statement_of(theorem.claims[number])
    search = ModelSearch(statement, Work(largest_size=2))
    assert search.run(40) is None
    bound = {name for item in statement.hypotheses for name in statement.dynamics.rates if name in item.text}
    assert search.satisfied or bound  # a letter with a rate and a hypothesis of its own is left alone


@pytest.mark.parametrize("theorem", THEOREMS)
def test_the_false_twin_is_refuted_by_an_exact_counterexample(theorem):
    twin, statement = theorem.false_twin, statement_of(theorem.false_twin)
    proof = twin.prove()
    assert proof.verdict == "refuted"
    assert proof.certificate is None
    found, generators = proof.counterexample, statement.dynamics.generators
    assert found.left != found.right
    assert set(found.entries) <= {*twin.shapes, *generators}
    if found.base is None and "expect" not in twin.equation and "var(" not in twin.equation:
        assert not any(exact(item.equation.left - item.equation.right, found) for item in statement.hypotheses)
        assert exact(statement.claim.left - statement.claim.right, found)
    for name in set(generators) & set(found.entries):  # a counterexample to a statement about a flow is a real flow
        generator = exact(generators[name], found)
        assert integer_spectrum(generator) is not None
        # Entries of a few units: expm is good to 1e-12 of them, and a wrong flow is off by far more.
        shown, real = floats(found.entries[name]), expm(-math.log(2) * floats(generator))
        assert np.allclose(shown, real, rtol=0, atol=1e-12 * (1 + np.abs(shown).max()))


@pytest.mark.parametrize(("theorem", "number"), CLAIMS)
def test_no_certificate_of_a_theorem_proves_its_false_twin(theorem, number):
    twin = theorem.false_twin
    written = json.loads(theorem.proofs[number].certificate)
    written |= {"claim": twin.equation, "shapes": dict(twin.shapes), "assume": list(twin.assume)}
    written |= {"scalars": list(twin.scalars), "flow": dict(twin.flow or {}), "where": dict(twin.where or {})}
    try:
        holds = check_certificate(json.dumps(written))
    except ClaimError:  # a cofactor does not fit the twin at all
        holds = False
    assert not holds


@pytest.mark.parametrize("name", LEMMAS)
def test_no_lemma_speaks_of_a_network(name):
    assert not re.search(r"\b(W|W0|X|Y|layers?|weights?|networks?|train\w*|targets?|Phi)\b|Φ|φ", LEMMAS[name])


def test_a_claim_that_cites_an_unknown_lemma_is_refused():
    with pytest.raises(ValueError, match="L-MAGIC"):
        Claim("nothing", "X == X", {"X": ("d", "n")}, lemmas=("L-MAGIC",))


def test_a_theorem_is_as_strong_as_its_weakest_claim():
    theorem, twin = find("T2"), find("T2").false_twin
    unknown = Claim("an equation of analysis", "W == 0", {"W": ("q", "d")}, ("d(W) == W", "start(W) == 0"))
    assert replace(theorem, claims=(*theorem.claims, twin)).verdict == "refuted"
    assert replace(theorem, claims=(*theorem.claims, unknown)).verdict == "undecided"
    assert replace(theorem, claims=(unknown, twin)).verdict == "refuted"


# T3


def outside(problem):
    return value(t3.COMPLEMENT, letters(problem))


@pytest.mark.theorem("T3")
@given(case=problems(optimizer_kinds=["gradient_flow"], decay=False), reach=STEADY)
def test_the_flow_conserves_the_null_space(case, reach):
    predictor = Predictor(*case)
    time = reach / (predictor.rates.max() or 1.0)
    result = trajectory(predictor.problem, [time])
    kept = outside(predictor.problem)
    bound = Budget(predictor).integration(result, 0, time) + Budget(predictor).evaluation(0)
    for theta in (result.theta[0], predictor.theta(time)[0]):
        assert norm((theta - predictor.problem.start) @ kept) <= bound


@pytest.mark.theorem("T3")
@given(case=problems(optimizer_kinds=["gradient_descent", "heavy_ball"], decay=False), steps=st.integers(1, 60))
def test_descent_and_momentum_conserve_the_null_space(case, steps):
    predictor = Predictor(*case)
    result = trajectory(predictor.problem, [steps])
    kept = outside(predictor.problem)
    bound = Budget(predictor).integration(result, 0, steps) + Budget(predictor).evaluation(0)
    for theta in (result.theta[0], predictor.theta(steps)[0]):
        assert norm((theta - predictor.problem.start) @ kept) <= bound


@pytest.mark.theorem("T3")
@pytest.mark.parametrize("optimizer", [GradientFlow(), GradientDescent(0.1), HeavyBall(0.1, 0.5)], ids=str)
def test_under_decay_the_null_space_is_not_conserved_but_decays(optimizer):
    x, decay = np.array([[1.0, 2.0, 0.0]]), 0.5
    predictor = Predictor(Setting(Linear(), optimizer, weight_decay=decay), x, initial_weight=np.ones((3, 3)))
    kept = outside(predictor.problem)
    for theta in (trajectory(predictor.problem, [10]).theta[0], predictor.theta(10)[0]):
        left = optimizer.response(np, np.array(decay), np.array(10.0))[0]
        assert norm((theta - predictor.problem.start) @ kept) > 0.5
        assert norm((theta - left * predictor.problem.start) @ kept) < 1e-9  # the solver's tolerance is 1e-10


# T5


def reachable(kernel: int, size: int, mode: str) -> int:
    """Dimension of the span of all patches of all images: the patches of the unit images span it."""
    patches = Conv(kernel, padding_mode=mode).features(np.eye(size**2).reshape(-1, 1, size, size), np)
    return int(np.linalg.matrix_rank(patches[0]))  # of zeros and ones: no rank is near


@pytest.mark.theorem("T5")
@pytest.mark.parametrize(
    ("mode", "size", "kernel", "span", "learned_from_one"),
    [("zeros", 4, 9, 49, False), ("circular", 4, 5, 16, True), ("reflect", 2, 3, 4, True), ("zeros", 4, 3, 9, True)],
)
def test_the_identity_is_learned_from_one_image_exactly_when_its_patches_span_what_is_reachable(
    mode, size, kernel, span, learned_from_one
):
    assert reachable(kernel, size, mode) == span
    assert span <= kernel**2
    image, test = np.random.default_rng(0).standard_normal((2, 1, 1, size, size))
    predictor = Predictor(Setting(Conv(kernel, padding_mode=mode), GradientFlow()), image, seed=1)
    error = math.sqrt(predictor.error(test, math.inf).item())
    bound = Budget(predictor).evaluation(math.inf) * norm(predictor.setting.layer.features(test, np))
    assert (predictor.spectrum.ranks == [span]) is learned_from_one
    assert (error <= bound) is learned_from_one
    assert (
        error > 1e-3 * norm(test)
    ) is not learned_from_one  # a Gaussian chance of 1e-3 at most, and the seed is fixed


@pytest.mark.theorem("T5")
def test_wide_kernels_reach_only_the_taps_that_some_position_reads():
    """k = 57 on 28×28: every axis reads 55 of its 57 taps, and the patches of products are products."""
    line = Conv(57).features(np.eye(28)[:, None], np)[0]
    assert int(np.linalg.matrix_rank(line)) ** 2 == 3025
    assert line.shape[0] ** 2 == 3249


def partial_images():
    """Two-channel images of every kind of rank: blank channels, one lit corner pixel, flat, noise, duplicates."""
    return images((2, 3, 3))


@pytest.mark.theorem("T5")
@given(
    x=partial_images(),
    test=partial_images(),
    groups=st.sampled_from([1, 2]),
    kernel=st.sampled_from([1, 3, 5]),
    mode=st.sampled_from(["zeros", "circular", "replicate"]),
    seed=seeds(),
    reach=STEADY,
)
def test_the_error_is_the_theorems_and_vanishes_exactly_when_the_range_contains_the_patches(
    x, test, groups, kernel, mode, seed, reach
):
    layer = Conv(kernel, groups=groups, padding_mode=mode)
    predictor = Predictor(Setting(layer, GradientFlow()), x, seed=seed)
    problem, budget = predictor.problem, Budget(predictor)
    texts, size = letters(problem, test), norm(layer.features(test, np))
    time = reach / (predictor.rates.max() or 1.0)
    bounds = [2 * size * budget.evaluation(when) for when in (time, math.inf)]
    for when, formula, bound in zip((time, math.inf), (t5.FINITE, t5.VALUE), bounds, strict=True):
        expected = value(formula, texts, flow=t5.FLOW, time=when if when == time else 0.0)
        outputs = layer.to_columns(predictor.predict(test, when)[0], np)
        assert norm(outputs - expected) <= bound
        assert abs(math.sqrt(predictor.error(test, when).sum()) - norm(expected - texts["Wstar"] @ texts["V"])) <= bound
    # Block by block: the condition and the error decide the same, in both directions.
    outside = np.linalg.norm(value(t5.OUTSIDE, texts), axis=(1, 2))
    gap = np.linalg.norm((predictor.theta(math.inf)[0] - texts["Wstar"]) @ texts["V"], axis=(1, 2))
    kept = predictor.spectrum.values[predictor.spectrum.values > 0]
    condition = kept.max() / kept.min() if kept.size else 1.0
    floor = (
        64 * max(problem.features.shape[1:]) * np.finfo(float).eps * condition * max(size, 1.0)
    )  # rounding of ΦΦ⁺φ(x)
    assume(not ((outside > floor) & (outside < 1e-6)).any())  # neither rounding nor telling: a borderline rank
    for block in range(groups):
        if outside[block] <= floor:
            assert gap[block] <= bounds[1]
        else:  # the start is uniform: nearer than 1e-5 of its scale to a hyperplane with a chance of about 1e-5
            assert gap[block] > 1e-5 * outside[block]


@pytest.mark.theorem("T5")
def test_a_training_image_is_exact_from_every_start_whatever_the_rank():
    corner = np.zeros((1, 1, 4, 4))
    corner[0, 0, 0, 0] = 1.0
    for seed in range(3):
        predictor = Predictor(Setting(Conv(5), GradientFlow()), corner, seed=seed)
        assert predictor.spectrum.ranks == [9]  # of 25 taps: those that the corner can reach
        bound = Budget(predictor).evaluation(math.inf) * norm(predictor.problem.features)
        assert math.sqrt(predictor.error(corner, math.inf).item()) <= bound
        assert predictor.error(np.roll(corner, (2, 2), (2, 3)), math.inf).item() > 1e-3  # other taps


@pytest.mark.theorem("T5")
def test_grey_as_colour_is_learned_by_a_depthwise_convolution_and_by_no_dense_one():
    grey, colours = np.random.default_rng(2).random((2, 1, 3, 8, 8))
    grey[:, 1:] = grey[:, :1]
    errors, ranks = [], []
    for groups in (1, 3):
        predictor = Predictor(Setting(Conv(5, groups=groups), GradientFlow()), grey, seed=0)
        bound = Budget(predictor).evaluation(math.inf) * norm(predictor.setting.layer.features(colours, np))
        errors.append(math.sqrt(predictor.error(colours, math.inf).item()) / bound)
        ranks.append(predictor.spectrum.ranks)
    assert ranks == [[25], [25, 25, 25]]
    assert errors[0] > 1e6
    assert errors[1] <= 1


@pytest.mark.theorem("T5")
def test_a_blank_channel_is_not_learned_unless_it_stays_blank():
    image, test = np.random.default_rng(3).random((2, 1, 2, 6, 6))
    image[:, 1] = 0
    predictor = Predictor(Setting(Conv(3), GradientFlow()), image, seed=0)
    assert predictor.error(test, math.inf).item() > 1e-2
    test[:, 1] = 0
    bound = Budget(predictor).evaluation(math.inf) * norm(predictor.setting.layer.features(test, np))
    # The second output must be blank too, and the start gives it something to forget on the lit taps only.
    assert math.sqrt(predictor.error(test, math.inf).item()) <= bound


@pytest.mark.theorem("T5")
def test_from_one_given_start_exactness_says_nothing_about_the_range():
    """From W* itself the error is 0 on everything, though the corner pixel reaches 9 of 25 taps only."""
    corner, star = np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 5, 5))
    corner[0, 0, 0, 0] = star[0, 0, 2, 2] = 1.0
    predictor = Predictor(Setting(Conv(5), GradientFlow()), corner, initial_weight=star)
    test = np.random.default_rng(4).standard_normal((1, 1, 4, 4))
    assert norm(value(t5.OUTSIDE, letters(predictor.problem, test))) > 1
    assert predictor.error(test, math.inf).item() <= 1e-28  # the weights stay within a few roundings of W*
