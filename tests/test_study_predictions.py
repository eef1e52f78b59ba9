"""Studies of parameter-free predictions: samples of the right law pass, those of a wrong one fail."""

import math

import numpy as np
import pytest
from scipy import stats

from empirical.probes import at_correlation, at_cosine
from empirical.studies.chance import central, law_ratio, moments, refusal_ratio
from numerics.laws import GeneralizedChiSquare
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.starts import Gaussian, TorchDefault

torch = pytest.importorskip("torch", reason="the studies train networks")
from empirical.experiments import SampleNetworks  # noqa: E402
from empirical.relative_rate import fastest_heavy_ball  # noqa: E402
from empirical.studies.cosine_of_one_layer import CosineOfOneLayer, Table, kurtosis_share  # noqa: E402
from empirical.studies.error_law_of_one_layer import ErrorLawOfOneLayer  # noqa: E402
from empirical.studies.error_laws import times_of  # noqa: E402
from empirical.studies.sample_complexity_of_the_identity import SampleComplexityOfTheIdentity, name  # noqa: E402
from empirical.studies.study import Outcome, Result, Scale  # noqa: E402

LAW = GeneralizedChiSquare.noncentral(0.1, 16, 16.0)


def draws(scale: float = 0.1, noncentral: float = 16.0, count: int = 4000) -> np.ndarray:
    return scale * stats.ncx2.rvs(16, noncentral, size=count, random_state=np.random.default_rng(1))


def test_samples_of_the_law_pass_and_those_of_neighbours_fail():
    assert law_ratio(draws(), LAW, 10) <= 1
    for wrong in (draws(scale=0.11), draws(noncentral=18.0)):
        assert law_ratio(wrong, LAW, 10) > 1
        assert refusal_ratio(wrong, LAW, 10) < 1
    assert refusal_ratio(draws(), LAW, 10) > 1
    assert refusal_ratio(draws(), central(LAW), 10) < 1
    assert central(LAW).mean() == pytest.approx(LAW.mean(), rel=1e-12)  # the same sum in another order


def test_moments_are_within_their_rooms_as_often_as_they_should():
    """1000 samples of an exponential law (mean 1, variance 1), level 1 %: at most 30 outside is 1 − 10⁻⁷ of a binomial's mass."""
    found = moments(np.random.default_rng(0).exponential(size=(1000, 2000)), comparisons=1)
    outside = [np.abs(found.mean - 1) > found.mean_room, np.abs(found.variance - 1) > found.variance_room]
    # The sample variance is skewed at 2000 draws of a law with such a tail: twice as many are allowed.
    assert 1 <= outside[0].sum() <= 30
    assert 1 <= outside[1].sum() <= 60


def test_errors_of_trained_networks_are_those_of_torchs_own_loop():
    """Two plain steps of torch on one network, from the start of its seed."""
    experiment = SampleNetworks(Linear(), Gaussian(0.1), steps=(2,), count=3, seed=5, tests=(4,))
    inputs, tests = experiment.shown()
    rate = 0.5 / float((inputs**2).sum())
    weight = torch.tensor(0.1 * np.random.default_rng(6).standard_normal((64, 64)), requires_grad=True)
    x = torch.tensor(inputs)
    for _ in range(2):
        loss = 0.5 * ((x @ weight.T - x) ** 2).sum()
        (slope,) = torch.autograd.grad(loss, weight)
        weight = (weight - rate * slope).detach().requires_grad_()
    output = tests @ weight.detach().numpy().T
    found = experiment.run().arrays
    assert found["error"][0, 0, 1] == pytest.approx(
        float(((output - tests) ** 2).sum()), rel=1e-10
    )  # rounding of 64 products
    wanted = float((output * tests).sum() / np.linalg.norm(output) / np.linalg.norm(tests))
    assert found["cosine x"][0, 0, 1] == pytest.approx(wanted, rel=1e-10)
    constant = np.corrcoef(output[0], inputs[0])[0, 1]
    assert found["correlation constant"][0, 0, 1] == pytest.approx(constant, rel=1e-10)


def test_a_pictures_cosine_and_correlation_are_as_chosen():
    rng = np.random.default_rng(0)
    picture, direction = rng.uniform(size=(2, 1, 5, 5))
    for rho in (-1.0, 0.0, 0.3, 1.0):
        turned = at_cosine(picture, direction, rho)
        assert float((turned * picture).sum() / (picture**2).sum()) == pytest.approx(rho, abs=1e-14)
        assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(picture), rel=1e-14)
        turned = at_correlation(picture, direction, rho)
        assert np.corrcoef(turned.ravel(), picture.ravel())[0, 1] == pytest.approx(rho, abs=1e-14)
    for turn in (at_cosine, at_correlation):
        with pytest.raises(SettingError, match="direction must leave"):
            turn(picture, picture, 0.5)
    with pytest.raises(SettingError, match="direction must leave"):
        at_correlation(picture, np.full_like(picture, 0.3), 0.5)
    with pytest.raises(SettingError, match="rho must be at most 1"):
        at_cosine(picture, direction, 1.5)


def test_torchs_start_moves_the_mean_cosine_by_less_than_its_room():
    """200 000 outputs drawn directly, in 16 dimensions where the effect is large, against the Gaussian closed form."""
    experiment = SampleNetworks(Linear(), TorchDefault(), cosines=(0.6,), count=2, source=Scale().images(4))
    (x,), (test,) = experiment.shown()
    v = test - (test @ x) / (x @ x) * x
    rng, total, count = np.random.default_rng(0), [], 20
    for _ in range(count):
        start = rng.uniform(-1 / 4, 1 / 4, (1000, 16, 16))
        output = test - v + start @ v
        total.append((output @ x / np.linalg.norm(output, axis=1) / np.linalg.norm(x)).mean())
    room = kurtosis_share(experiment.predictor(), test[None])[0]
    predicted = experiment.predictor().expected_cosine(test[None], x, [np.inf], 1 / math.sqrt(48))[0, 0]
    noise = 4 * np.std(total, ddof=1) / math.sqrt(count)
    assert abs(np.mean(total) - predicted) <= 2 * room + noise
    assert 0 < room < 0.01


def test_the_last_step_counts_as_the_limit_only_where_it_is():
    experiment = SampleNetworks(Linear(), Gaussian(0.1), steps=(1, 40), count=2)
    _, tests = experiment.shown()
    assert times_of(experiment.predictor(), tests, (1, 40)) == [1.0, math.inf]
    assert times_of(experiment.predictor(), tests, (1, 4)) == [1.0, 4.0]


def synthetic(study, scale: Scale, change) -> list[Result]:
    """A study's experiments with networks that are drawn instead of trained, and changed."""
    results = []
    for experiment in study.experiments(scale):
        small = experiment.with_values(count=400, source=scale.images(4), start=Gaussian(0.25), steps=(1,))
        results.append(Result(small, Outcome({}, {key: change(value) for key, value in small.run().arrays.items()})))
    return results


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "agrees"), (1.3, "disagrees")])
def test_the_study_of_the_law_finds_errors_that_are_too_large(factor, verdict):
    study, scale = ErrorLawOfOneLayer(), Scale()
    account = study.account(scale, synthetic(study, scale, lambda errors: factor * errors))
    by_name = {finding.says: finding.verdict for finding in account.findings}
    assert by_name["the law of the error"] == by_name["the mean of the error"] == verdict


def test_the_rules_of_the_cosine_are_refused_only_where_they_fail():
    study, scale = CosineOfOneLayer(), Scale()
    experiment = study.experiments(scale)[0]
    arrays = experiment.with_values(count=1000).run().arrays
    table = Table(Result(experiment, Outcome({}, arrays)), 10)
    assert table.worst("cosine") <= 1
    assert table.worst("correlation") <= 1
    assert table.rule() <= 1 < table.refusal("cosine")
    assert table.refusal("correlation") < 1
    shifted = {key: np.clip(value + 0.1, -1, 1) for key, value in arrays.items()}
    assert Table(Result(experiment, Outcome({}, shifted)), 10).worst("c") > 1


@pytest.mark.parametrize("name", ["cosine x", "cosine constant", "correlation x", "correlation constant"])
def test_a_sample_with_a_number_that_is_none_is_not_passed_over(name):
    """Python's max passes over NaN unless it comes first."""
    study, scale = CosineOfOneLayer(), Scale()
    results = []
    for number, experiment in enumerate(study.experiments(scale)):
        arrays = experiment.with_values(count=20, source=scale.images(4)).run().arrays
        if number == 1:
            arrays[name][0, 2, 3] = np.nan
        results.append(Result(experiment.with_values(source=scale.images(4)), Outcome({}, arrays)))
    by_name = {finding.says: finding.verdict for finding in study.account(scale, results).findings}
    kind = "mean cosines" if name.startswith("cosine") else "mean Pearson correlations"
    assert by_name[f"{kind}, start N(0, 1/d)"] == "disagrees"


def test_a_claim_without_a_sample_is_not_run():
    study, scale = CosineOfOneLayer(), Scale()
    experiment = study.experiments(scale)[-1]  # torch's start: the Gaussian ones have failed
    arrays = experiment.with_values(count=20).run().arrays
    findings = study.account(scale, [Result(experiment, Outcome({}, arrays))]).findings
    assert [finding.verdict for finding in findings[:4]] == ["not run"] * 4


def test_a_test_image_that_is_the_example_is_refused():
    with pytest.raises(SettingError, match="tests must be other images"):
        SampleNetworks(example=3, tests=(3,)).shown()


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_threshold_that_is_one_off_disagrees(shift):
    study = SampleComplexityOfTheIdentity()
    experiment = study.experiments(Scale())[0]
    true, computed = 3, 3 + shift
    errors = [[1.0, 2.0]] * true + [[1e-30, 1e-29]] * 3
    numbers = {"computed": computed, "errors": errors, "arrived": True, "features": 6, "reached": 6, "columns": 1}
    account = study.account(Scale(), [Result(experiment, Outcome(numbers))])
    assert account.findings[0].verdict == ("agrees" if shift == 0 else "disagrees")
    assert account.rows[0][5] == true
    diverged = numbers | {"errors": [[None, None] if row == computed - 1 else pair for row, pair in enumerate(errors)]}
    assert study.account(Scale(), [Result(experiment, Outcome(diverged))]).findings[0].verdict == "disagrees"
    late = study.account(Scale(), [Result(experiment, Outcome(numbers | {"arrived": False}))])
    assert late.findings[0].verdict == "not run"


def test_layers_are_named_by_kind_kernel_and_image():
    experiment = SampleComplexityOfTheIdentity().experiments(Scale())[0]
    layer = Conv(5, groups=8, padding_mode="reflect")
    assert name(experiment.with_values(layer=layer, shape=(8, 4, 4))) == "conv 5×5 depthwise reflect, 8×4×4"


def test_the_fastest_momentum_keeps_what_it_says():
    optimizer = fastest_heavy_ball(1.0, 100.0)
    errors = np.array([[1.0, 1.0, 1.0]] * 2)
    rates = np.array([1.0, 30.0, 100.0])
    beta, eta, steps = optimizer.momentum, optimizer.learning_rate, 200
    errors[1] = (1 - eta * rates) * errors[0]
    for _ in range(steps - 1):
        errors = np.array([errors[1], (1 + beta - eta * rates) * errors[1] - beta * errors[0]])
    assert (np.abs(errors[1]) <= 2 * steps * (9 / 11) ** steps).all()  # a double root: (1 + k·constant)·r^k
    assert (np.abs(errors[1]) > 1e-4 * (9 / 11) ** steps).any()
