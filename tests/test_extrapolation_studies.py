"""The studies of extrapolation: their measures against slow oracles, and their judgement on made-up outcomes."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("torch", reason="studies train networks")

from empirical.experiment import Outcome
from empirical.near_limit import lengths, train_near_limit
from empirical.sources import Digits, ImageFile, Table
from empirical.studies import Result, Scale, agreement
from empirical.studies.adversarial_direction import (
    STEPS,
    AdversarialDirection,
    StepOutwards,
    both_ways,
    least_norms,
    scaled,
)
from empirical.studies.control_by_polynomials import ControlByPolynomials, TrainPolynomial, compared, shares
from empirical.studies.distance_predicts_error import partial, rank_correlation, related
from empirical.studies.distance_sandwich import DistanceSandwich, TrainAgainstDistance, judged, mixtures
from empirical.studies.hull_by_dimension import HullByDimension, MeasureGaussian, MeasureView, cropped, surprise
from empirical.studies.outside_the_hull import MeasureHull, half_step
from empirical.studies.samples import worst
from numerics.extrapolation import judged as determinacy_of
from numerics.hull_laws import hull_probability
from numerics.hulls import distance
from numerics.predictor import Predictor
from theory.layers import Conv, Linear, Polynomial
from theory.optimizers import GradientFlow
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Given


@pytest.fixture(scope="module")
def digits():
    """Four training digits and six others."""
    images = Digits().images().values
    return images[:4], images[10:16]


def trained(layer, x, rotated=False):
    experiment = TrainAgainstDistance(layer, rotated=rotated)
    return train_near_limit(experiment.begin(layer.arrange(x), np.random.default_rng(0)), looks=3)


@pytest.mark.parametrize("layer", [Linear(), Conv(3)])
def test_a_network_near_its_limit_is_the_closed_form_at_its_steps_and_within_its_bound_of_the_limit(layer, digits):
    run = trained(layer, digits[0])
    assert list(run.steps) == sorted(set(run.steps))
    gaps = np.linalg.norm((run.thetas - run.predictor.theta(list(run.steps))).reshape(len(run.steps), -1), axis=1)
    assert (gaps <= run.bounds).all()
    assert np.linalg.norm(run.thetas[-1] - run.predictor.theta(math.inf)[0]) <= run.limit_bound + run.evaluation
    x = layer.arrange(digits[1])
    loops = [
        np.linalg.norm((run.thetas[-1] @ layer.features(one[None], np)).ravel()) for one in x
    ]  # rounding of sums of at most 64·64 products
    np.testing.assert_allclose(lengths(run.columns(x)[-1], len(x)), loops, rtol=1e-12)


def test_the_sandwich_accepts_a_trained_network_and_refuses_one_whose_weights_are_one_percent_off(digits):
    shown, kind = mixtures(*digits, np.random.default_rng(0))
    run = trained(Linear(), digits[0], rotated=True)
    x = shown.reshape(len(shown), -1)
    pixels = np.ones(len(x))
    numbers, arrays = judged(run, x, pixels, kind)
    assert max(numbers["outside"], numbers["outside_limit"], numbers["tempting"]) <= 1
    np.testing.assert_allclose(arrays["lower"][-1], arrays["upper"][-1], rtol=1e-9, atol=1e-12)  # a rotation has gain 1
    spoilt = replace(run, thetas=run.thetas * 1.01)
    numbers, _ = judged(spoilt, x, pixels, kind)
    assert min(numbers["outside"], numbers["outside_limit"], numbers["outside_hull"]) > 1


def test_a_convolution_is_exact_far_outside_the_hull_of_its_pixels(digits):
    shown, kind = mixtures(*digits, np.random.default_rng(0))
    pixels = distance(shown.reshape(len(shown), -1), digits[0].reshape(4, -1)).upper
    numbers, _ = judged(trained(Conv(3), digits[0]), shown, pixels, kind)
    assert numbers["tempting"] > 1  # one output of nine taps: no lower bound
    assert numbers["determined"] == len(digits[1])
    assert numbers["determined_error"] <= 1
    spoilt = trained(Conv(3), digits[0])
    numbers, _ = judged(replace(spoilt, thetas=spoilt.thetas * 1.01), shown, pixels, kind)
    assert numbers["determined_error"] > 1


def test_mixtures_are_inside_the_hull_and_magnified_differences_in_the_span(digits):
    shown, kind = mixtures(*digits, np.random.default_rng(0))
    points, rows = digits[0].reshape(4, -1), shown.reshape(len(shown), -1)
    assert (distance(rows[kind == 1], points).upper < 1e-12).all()  # rounding of sums of four
    assert (distance(rows[kind == 2], points, "span").status == "inside").all()
    assert (distance(rows[kind == 2], points).lower > 1).all()


def test_a_start_controls_a_point_iff_the_ends_of_its_interval_differ_in_sign():
    experiment = TrainPolynomial(1, 7)
    points, labels = experiment.data()
    setting = Setting(Polynomial(7, bias=True), GradientFlow(), Given(), start=Gaussian(1.0))
    found = determinacy_of(Predictor(setting, points, labels), np.linspace(-2, 2, 21)[:, None])
    inside = np.abs(found.test[:, 0]) <= 1
    low, high = found.interval(found.least_weight)
    told = ((low < 0) & (high > 0))[:, 0]
    numbers = shares(found, inside)
    assert numbers["controlled_outside"] == told[~inside].mean()
    assert numbers["controlled_inside"] == told[inside].mean()
    assert numbers["free_outside"] == 1


def test_the_middle_degree_fits_every_point_and_its_points_are_well_conditioned():
    for dimension, degree in ((1, 5), (2, 4)):
        points, labels = TrainPolynomial(dimension, degree).data()
        features = Polynomial(degree, bias=True).features(points, np)[0]
        assert features.shape[0] == features.shape[1] == len(labels)
        assert np.linalg.cond(features) < 1000  # random points have 10⁴ and more
        assert set(labels.ravel()) == {-1.0, 1.0}


def test_networks_from_other_starts_agree_where_the_data_determine_and_a_spoilt_one_does_not():
    experiment = TrainPolynomial(1, 2)
    points, labels = experiment.data()
    setting = Setting(experiment.layer, GradientFlow(), Given(), start=Gaussian(1.0))
    runs = [train_near_limit(Predictor(setting, points, labels, seed=seed)) for seed in (0, 1)]
    grid = np.linspace(-2, 2, 9)[:, None]
    found = determinacy_of(Predictor(setting, points, labels), grid)
    inside = np.abs(grid[:, 0]) <= 1
    numbers = compared(runs, found, inside)
    assert max(numbers["apart"], numbers["trained"]) <= 1
    assert numbers["shared"] == 1
    spoilt = compared([runs[0], replace(runs[1], thetas=runs[1].thetas * 1.01)], found, inside)
    assert min(spoilt["apart"], spoilt["trained"]) > 1


def test_the_share_outside_is_that_beyond_the_extremes_where_there_is_one_feature(tmp_path):
    values = np.random.default_rng(0).standard_cauchy((200, 1))
    np.save(tmp_path / "line.npy", values)
    outcome = MeasureHull(ImageFile(str(tmp_path / "line.npy")), seed=3, tests=50).run()
    order = np.random.default_rng(3).permutation(200)
    train, test = values[order[50:], 0], values[order[:50], 0]
    beyond = np.maximum(np.maximum(train.min() - test, test - train.max()), 0)
    assert outcome.numbers["outside"] == (beyond > 0).mean()
    np.testing.assert_allclose(outcome.arrays["shares"], beyond / np.ptp(train), rtol=1e-9, atol=1e-15)


def test_features_are_the_last_hidden_layer_of_the_network_that_is_trained():
    """A network that classifies iris well has features from which a linear layer classifies it as well."""
    experiment = MeasureHull(Table("iris"), "features", steps=150)
    points, labels = experiment.source.images().flat, experiment.source.labels()
    train, test, learned, right = experiment.features(points[::2], points[1::2], labels[::2], labels[1::2], "cpu")
    assert train.shape == test.shape == (75, 16)
    assert train.min() == 0
    assert learned > 0.9
    fitted = np.linalg.lstsq(np.c_[train, np.ones(75)], np.eye(3)[labels[::2]], rcond=None)[0]
    assert ((np.c_[test, np.ones(75)] @ fitted).argmax(axis=1) == labels[1::2]).mean() > 0.8
    assert ((np.c_[train, np.ones(75)] @ fitted).argmax(axis=1) == labels[::2]).mean() >= learned - 0.05
    assert right > 0.8


def test_half_a_step_in_every_pixel_is_what_rounding_can_do():
    assert half_step(Digits().images().values.ravel()[:0], 64) == 0
    assert half_step(np.unique(Digits().images().values), 64) == 0.25  # 1/16 · 1/2 · √64


def test_labels_come_from_the_file_where_it_has_them(tmp_path):
    np.savez(tmp_path / "with.npz", X=np.zeros((3, 4, 4)), y=np.array([2, 0, 1], dtype=np.uint8))
    np.savez(tmp_path / "short.npz", X=np.zeros((3, 4, 4)), y=np.array([2, 0]))
    np.save(tmp_path / "bare.npy", np.zeros((3, 4, 4)))
    assert ImageFile(str(tmp_path / "with.npz")).labels().tolist() == [2, 0, 1]
    assert ImageFile(str(tmp_path / "short.npz")).labels() is None
    assert ImageFile(str(tmp_path / "bare.npy")).labels() is None
    assert len(Digits().labels()) == 1797
    assert np.bincount(Table("wine").labels()).tolist() == [59, 71, 48]


def test_partial_correlation_is_that_of_the_residuals_of_two_regressions():
    rng = np.random.default_rng(0)
    c = rng.standard_normal(50)
    a, b = c + rng.standard_normal(50), 2 * c + rng.standard_normal(50)
    design = np.c_[c, np.ones(50)]
    left = [value - design @ np.linalg.lstsq(design, value, rcond=None)[0] for value in (a, b)]
    pearson = np.corrcoef([a, b, c])
    assert partial(pearson[0, 1], pearson[0, 2], pearson[1, 2]) == pytest.approx(np.corrcoef(left)[0, 1], rel=1e-10)
    assert math.isnan(partial(0.5, 1.0, 0.5))
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, rel=1e-10)
    assert math.isnan(rank_correlation(a, np.zeros(50)))


def test_only_real_images_are_correlated_and_mixtures_are_reported_apart():
    hull = np.array([1.0, 2.0, 3.0, 0.0, 0.0])
    errors = np.array([2.0, 4.0, 9.0, 50.0, 70.0])
    inside = hull == 0
    norms = np.array([2.0, 1.0, 2.0, 10.0, 10.0])
    found = related(errors, hull, hull**2, norms, inside)
    assert found["hull"] == found["span"] == 1
    assert (found["outside_error"], found["inside_error"]) == (4.0, 6.0)


@pytest.mark.parametrize(
    ("count", "draws", "p"), [(0, 12, 0.3), (3, 12, 0.3), (9, 12, 0.3), (12, 12, 0.3), (7, 20, 0.02)]
)
def test_surprise_is_the_logarithm_of_twice_the_smaller_exact_tail(count, draws, p):
    chances = [
        Fraction(math.comb(draws, k)) * Fraction(p) ** k * (1 - Fraction(p)) ** (draws - k) for k in range(draws + 1)
    ]
    tail = min(sum(chances[: count + 1]), sum(chances[count:]))
    assert surprise(count, draws, p, 1e-3) == pytest.approx(math.log(min(1, 2 * tail)) / math.log(1e-3), rel=1e-9)


def test_an_impossible_count_is_infinitely_surprising():
    assert surprise(1, 5, 0.0, 1e-3) == math.inf
    assert surprise(0, 5, 0.0, 1e-3) == 0


def test_gaussian_counts_follow_the_law_and_those_of_another_dimension_do_not():
    found = MeasureGaussian(points=40, dimension=3, draws=150).run().numbers
    assert found["ratio"] <= 1
    assert surprise(found["outside"], 150, MeasureGaussian(40, 5, 1).run().numbers["law"], 1e-3) > 1


def test_so_many_gaussian_draws_refuse_the_law_of_the_next_dimension():
    missed = 1.0
    for experiment in HullByDimension().experiments(Scale()):
        if isinstance(experiment, MeasureGaussian) and experiment.dimension in (6, 8):
            points, draws, d = experiment.points, experiment.draws, experiment.dimension
            law, wrong = (hull_probability(points, width).outside for width in (d, d + 1))
            counts = np.arange(draws + 1)
            passes = [surprise(int(count), draws, wrong, experiment.level) <= 1 for count in counts]
            missed *= stats.binom.pmf(counts, draws, law)[passes].sum()
    assert missed < 0.01


def test_a_crop_is_the_middle_and_components_are_those_of_the_training_images(digits):
    pictures = np.random.default_rng(0).standard_normal((2, 3, 7, 5))
    loop = [
        [image[channel, row, column] for channel in range(3) for row in (2, 3, 4) for column in (1, 2, 3)]
        for image in pictures
    ]
    assert cropped(pictures, 3).tolist() == loop
    train, test = digits[0].reshape(4, -1), digits[1].reshape(6, -1)
    points, queries = MeasureView("components", 2).seen(*digits)
    centred = train - train.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    np.testing.assert_allclose(np.abs(points), np.abs(centred @ vectors[:, [-1, -2]]), atol=1e-9)
    np.testing.assert_allclose(np.abs(queries), np.abs((test - train.mean(axis=0)) @ vectors[:, [-1, -2]]), atol=1e-9)


def test_steps_start_at_the_nearest_point_of_the_hull_and_lead_away_from_it(digits):
    train, test = digits
    moved = both_ways(train, test, np.random.default_rng(0))
    points = train.reshape(4, -1)
    away = distance(test.reshape(6, -1), points).upper
    for step, images in zip(STEPS, moved[0], strict=True):
        found = distance(images.reshape(6, -1), points).upper
        np.testing.assert_allclose(found, (1 + step) * away, atol=1e-9)
        assert np.allclose(np.linalg.norm((images - test).reshape(6, -1), axis=1), abs(step) * away)
    along = (moved[1] - test).reshape(-1, 64)
    assert (distance(along, points, "span").upper < 1e-9).all()
    np.testing.assert_allclose(
        np.linalg.norm(along.reshape(len(STEPS), 6, 64), axis=2), np.abs(STEPS)[:, None] * away, atol=1e-9
    )


def test_errors_that_grow_otherwise_than_with_the_distance_leave_their_bounds():
    right = np.stack([(1 + np.array(STEPS)), np.ones(len(STEPS))])[..., None] * np.array([1.0, 3.0])
    bounds = np.full(right.shape, 1e-6)
    assert scaled(right, bounds) <= 1e-6
    for way in (0, 1):
        wrong = right.copy()
        wrong[way, -1] *= 1.01
        assert scaled(wrong, bounds) > 1


def test_the_start_decides_free_images_and_not_determined_ones():
    free = StepOutwards(count=6, tests=5, starts=2).run().numbers
    held = StepOutwards(Conv(3), count=6, tests=5, starts=2).run().numbers
    assert max(free["apart"], free["scaled"], held["apart"], held["held"]) <= 1
    assert (free["determined"], held["determined"]) == (0, 1)
    assert np.allclose(free["outwards"], (1 + np.array(STEPS)) * free["outwards"][1], atol=1e-5)
    assert np.allclose(free["along"], free["along"][0], atol=1e-5)
    assert max(held["settled"]) < 1e-5


def test_the_least_start_that_ties_two_classes_is_the_one_that_minimisation_finds():
    """Oracle: the least Z with (z_b − z_a)·u ≥ m over every rival b, by numbers; and the tie itself, by the closed form."""
    rng = np.random.default_rng(0)
    x, y, test = rng.standard_normal((3, 5)), rng.standard_normal((3, 4)), rng.standard_normal((2, 5))
    predictor = Predictor(Setting(Linear(), GradientFlow(), Given(), start=Gaussian(1.0)), x, y)
    norms, starts = least_norms(determinacy_of(predictor, np.concatenate([test, x[:1]])))
    assert norms[2] == math.inf
    assert not starts[2].any()
    for example, norm, start in zip(test, norms, starts, strict=False):
        plain = predictor.from_start(np.zeros((1, 4, 5))).predict(example[None], math.inf)[0, 0]
        own = plain.argmax()
        u = example - x.T @ np.linalg.lstsq(x.T, example, rcond=None)[0]
        least = []
        for rival in set(range(4)) - {own}:
            rows = np.zeros((4, 5))
            rows[rival], rows[own] = u, -u
            least.append(np.linalg.norm((plain[own] - plain[rival]) * np.linalg.pinv(rows.reshape(1, -1))))
        assert norm == pytest.approx(min(least), rel=1e-9)
        assert np.linalg.norm(start) == pytest.approx(norm, rel=1e-9)
        tied = np.sort(predictor.from_start(start[None]).predict(example[None], math.inf)[0, 0])
        assert tied[-1] == pytest.approx(tied[-2], rel=1e-9)


def verdicts(study, scale, change):
    """The verdicts of a study on outcomes that a change makes of rehearsed ones."""
    results = []
    for experiment in study.experiments(scale)[::1]:
        outcome = CACHE.setdefault(experiment.to_toml(), None) or experiment.quick().run()
        CACHE[experiment.to_toml()] = outcome
        results.append(
            Result(experiment, Outcome(outcome.numbers | change(experiment, outcome.numbers), outcome.arrays))
        )
    return {finding.says: finding.verdict for finding in study.account(scale, results).findings}


CACHE: dict[str, Outcome | None] = {}


def test_the_sandwich_disagrees_when_one_error_leaves_its_bounds():
    fine = {
        "outside": 0.5,
        "outside_limit": 0.5,
        "outside_hull": 0.5,
        "determined_error": 0.5,
        "tempting": 9.0,
        "slack": 1e-6,
    }
    study = DistanceSandwich()
    assert set(verdicts(study, Scale(), lambda *_: fine).values()) == {"agrees"}
    for name in ("outside", "outside_limit", "outside_hull", "determined_error"):
        assert "disagrees" in verdicts(study, Scale(), lambda *_, name=name: fine | {name: 2.0}).values()
    assert "not run" in verdicts(study, Scale(), lambda *_: fine | {"slack": 1.0}).values()
    # A control that holds would say that the experiment cannot tell σ_min = 0 from another.
    assert "disagrees" in verdicts(study, Scale(), lambda *_: fine | {"tempting": 0.5}).values()


def test_control_disagrees_when_a_determined_prediction_moves_or_an_inside_point_is_not_free():
    def fine(experiment, _):
        over = experiment.degree in (7, 11)
        told = {"ends": 0.5, "flipped": [True, True]} if over and not experiment.weight_decay else {}
        part = {f"{name}_{side}": float(over) for name in ("free", "controlled") for side in ("inside", "outside")}
        return part | told | {"apart": 0.5, "trained": 0.5, "slack": 1e-6, "undecided": 0.0}

    def but(**changes):
        return lambda experiment, numbers: (
            fine(experiment, numbers)
            | {name: value for name, value in changes.items() if name in fine(experiment, numbers)}
        )

    study = ControlByPolynomials()
    first = verdicts(study, Scale(), fine)
    assert set(first.values()) == {"agrees", "replicates"}
    for change in ({"apart": 2.0}, {"trained": 2.0}, {"ends": 2.0}, {"flipped": [False, True]}, {"flipped": [True, False]},
                   {"free_inside": 0.9}, {"undecided": 0.1}):  # fmt: skip
        assert "disagrees" in verdicts(study, Scale(), but(**change)).values(), change
    assert "does not replicate" in verdicts(study, Scale(), but(controlled_outside=0.1)).values()


def test_the_adversarial_direction_disagrees_when_starts_differ_otherwise_than_predicted():
    def fine(experiment, numbers):
        told = {"changed": [True, True]} if experiment.task == "classify" else {}
        return {"apart": 0.5, "held": 0.5, "scaled": 0.5, "slack": 1e-6, "determined": 1.0} | told

    study = AdversarialDirection()
    assert "disagrees" not in verdicts(study, Scale(), fine).values()
    for name in ("apart", "held", "scaled"):
        assert "disagrees" in verdicts(study, Scale(), lambda e, n, name=name: fine(e, n) | {name: 2.0}).values()
    for told in ([True, False], []):
        assert "disagrees" in verdicts(study, Scale(), lambda e, n, told=told: fine(e, n) | {"changed": told}).values()


def test_the_law_of_gaussian_hulls_disagrees_when_one_dimension_does():
    def change(experiment, numbers):
        return {"ratio": 1.5} if getattr(experiment, "dimension", 0) == 8 else {}

    assert "disagrees" in verdicts(HullByDimension(), Scale(), change).values()


def test_a_budget_that_could_not_see_one_percent_says_nothing_unless_it_is_left():
    assert agreement("it", 0.5, "rounding", 0.009).verdict == "agrees"
    assert agreement("it", 0.5, "rounding", 0.011).verdict == "not run"
    assert agreement("it", 0.5, "rounding", math.nan).verdict == "not run"
    assert agreement("it", 2.0, "rounding", 0.5).verdict == "disagrees"


def test_the_worst_of_what_was_not_measured_is_infinite():
    results = [Result(None, Outcome({"a": value})) for value in (0.5, None)]
    assert worst(results[:1], "a") == 0.5
    assert worst(results, "a") == worst([], "a") == math.inf
