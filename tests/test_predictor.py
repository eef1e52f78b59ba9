"""The closed form on arrays against oracles that share no formula with it: block expm, a plain loop, mpmath."""

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from empirical.layer_strategies import REAL
from empirical.strategies import feature_data, problems, seeds, times
from numerics.budget import Budget
from numerics.integrate import trajectory
from numerics.predictor import Predictor, load
from numerics.spectrum import spectrum
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import GradientFlow, HeavyBall
from theory.setting import Setting
from theory.targets import Constant, Given, Identity, LinearMap

EPS = np.finfo(float).eps
SIGMAS = 6  # standard errors
DESCENTS = ("gradient_descent", "heavy_ball")


def blocks(problem):
    """Each block's (Φ, Y, W0)."""
    return zip(problem.features, problem.columns, problem.start, strict=True)


def flow_by_block_expm(problem, time):
    """Ẇ = -W S + cYΦᵀ as the linear system [W I]' = [W I] [[-S, 0], [cYΦᵀ, 0]], one exponential, no spectrum."""
    thetas = []
    for features, columns, start in blocks(problem):
        d, q = len(features), len(start)
        block = np.zeros((d + q, d + q), features.dtype)
        block[:d, :d] = -problem.scale * features @ features.conj().T - problem.setting.weight_decay * np.eye(d)
        block[d:, :d] = problem.scale * columns @ features.conj().T
        thetas.append((np.hstack([start, np.eye(q)]) @ expm(time * block))[:, :d])
    return np.array(thetas)


def descent_by_loop(problem, steps):
    """Gradient descent or torch's momentum, written out."""
    optimizer, thetas = problem.setting.optimizer, []
    beta = getattr(optimizer, "momentum", 0.0)
    for features, columns, start in blocks(problem):
        weight, velocity = start.copy(), np.zeros_like(start)
        for _ in range(int(steps)):
            gradient = problem.scale * (weight @ features - columns) @ features.conj().T
            velocity = beta * velocity + gradient + problem.setting.weight_decay * weight
            weight = weight - optimizer.learning_rate * velocity
        thetas.append(weight)
    return np.array(thetas)


def minimiser(problem):
    """W0 + (Y - W0Φ)Φ⁺, or the ridge solution cYΦᵀ(cΦΦᵀ + μ)⁻¹, by least squares on stacked rows."""
    decay, root, thetas = problem.setting.weight_decay, math.sqrt(problem.scale), []
    for features, columns, start in blocks(problem):
        if decay:
            rows = np.vstack([root * features.T, math.sqrt(decay) * np.eye(len(features))])
            right = np.vstack([root * columns.T, np.zeros((len(features), len(start)))])
            thetas.append(np.linalg.lstsq(rows, right)[0].T)
        else:
            rcond = max(features.shape) * EPS
            thetas.append(start + np.linalg.lstsq(features.T, (columns - start @ features).T, rcond=rcond)[0].T)
    return np.array(thetas)


def condition(problem, decay=0.0):
    """Of the least-squares problem; the kept modes only."""
    values = problem.scale * spectrum(problem.features).values ** 2
    kept = values[values > 0]
    return math.sqrt((kept.max() + decay) / ((0.0 if decay else kept.min()) + decay)) if kept.size else 1.0


@pytest.mark.theorem("T1")
@settings(max_examples=100)
@given(problems(optimizer_kinds=["gradient_flow"]), st.floats(-3, 2.5))
def test_the_flow_is_one_exponential_of_the_augmented_system(case, power):
    p = Predictor(*case)
    rate = max(float(p.rates.max()), 1e-3)
    time = 10.0**power / rate
    expected = flow_by_block_expm(p.problem, time)
    # scipy's expm is backward stable: a few dimensions × ‖tA‖ × eps (Higham 2005), and this e^{tA} is bounded.
    sizes = sum(Budget(p).sizes.values()) * (1 + problem_size(p) * time)
    bound = 8 * p.problem.features.shape[1] * EPS * (1 + rate * time) * (sizes + np.abs(expected).max())
    assert np.abs(p.theta(time)[0] - expected).max() <= bound + Budget(p).evaluation(time)


def problem_size(p):
    return p.problem.scale * float(np.abs(p.problem.columns @ p.problem.features.conj().swapaxes(1, 2)).max())


@pytest.mark.theorem("T1")
@settings(max_examples=100)
@given(problems(optimizer_kinds=DESCENTS), st.integers(0, 150))
def test_the_descent_is_its_recurrence_written_out(case, steps):
    p = Predictor(*case)
    expected = descent_by_loop(p.problem, steps)
    budget = Budget(p)
    bound = budget.rounding(steps, EPS / 2) + budget.evaluation(steps)
    assert np.linalg.norm(p.theta(steps)[0] - expected) <= bound


@given(problems(optimizer_kinds=DESCENTS), st.data())
def test_the_descent_is_the_integrated_one_at_unsorted_times(case, data):
    p = Predictor(*case)
    steps = data.draw(times(p.setting.optimizer, float(p.rates.max()), infinity=False, longest=60))
    found, budget = trajectory(p.problem, steps), Budget(p)
    for index, step in enumerate(steps):
        gap = np.linalg.norm(p.theta(steps)[index] - found.theta[index])
        assert gap <= budget.integration(found, index, step)


@pytest.mark.theorem("T1")
def test_an_ill_conditioned_flow_is_right_to_ten_digits():
    """Condition number 1e4 (1e8 for ΦΦᵀ), against a Taylor series of e^{-tS} in 60 digits."""
    rng = np.random.default_rng(5)
    left, right = (np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(2))
    features = (left * np.geomspace(1, 1e-4, 4)) @ right
    start, targets = rng.standard_normal((2, 4)), rng.standard_normal((4, 2))
    p = Predictor(Setting(Linear(), GradientFlow(), Given()), features.T, targets, start)
    with mpmath.workdps(60):
        phi, y, w = mpmath.matrix(features.tolist()), mpmath.matrix(targets.T.tolist()), mpmath.matrix(start.tolist())
        gram = phi * phi.T
        final = y * phi.T * gram**-1
        for time in (1.0, 1e4, 1e8, 1e10):
            exact = final + (w - final) * mpmath.expm(-mpmath.mpf(time) * gram)
            exact = np.array([[float(entry) for entry in row] for row in exact.tolist()])
            assert np.abs(p.weight(time)[0] - exact).max() <= 1e-10 * np.abs(exact).max()


@pytest.mark.theorem("T2")
@given(problems(optimizer_kinds=["gradient_flow", *DESCENTS]))
def test_the_limit_is_the_nearest_minimiser_or_the_ridge_solution(case):
    p = Predictor(*case)
    decay = p.setting.weight_decay
    kappa = condition(p.problem, decay)
    expected = minimiser(p.problem)
    # Wedin's bound for least squares on both sides: κ in the solution, κ² in what no weights fit.
    rest = np.linalg.norm(p.problem.columns) / max(spectrum(p.problem.features).values.max(), 1e-300)
    size = np.linalg.norm(expected) + np.linalg.norm(p.problem.start) + rest
    bound = 64 * max(p.problem.features.shape[1:]) * EPS * kappa**2 * size
    assert np.linalg.norm(p.theta(math.inf)[0] - expected) <= bound


@given(problems(kinds=REAL))  # a transform there and back costs a rounding
def test_time_zero_is_the_start_bit_for_bit(case):
    p = Predictor(*case)
    np.testing.assert_array_equal(p.weight(0)[0], case.initial_weight)
    if case.initial_bias is not None:
        np.testing.assert_array_equal(p.bias(0)[0], case.initial_bias)
    else:
        assert p.bias(0) is None


@given(problems(), st.data())
def test_times_may_be_unsorted_repeated_and_infinite(case, data):
    p = Predictor(*case)
    drawn = data.draw(times(p.setting.optimizer, float(p.rates.max())))
    together = p.theta(drawn)
    for index, time in enumerate(drawn):
        np.testing.assert_allclose(together[index], p.theta(time)[0], rtol=0, atol=8 * EPS * np.abs(together).max())
    assert p.weight(drawn).shape == (len(drawn), *np.shape(case.initial_weight))
    np.testing.assert_array_equal(p.effective_rank(drawn) >= 0, True)


@given(problems(target_kinds=["identity", "constant", "linear_map"]), st.data())
def test_prediction_loss_and_error_are_what_the_weights_give(case, data):
    """Each from its definition: the layer applied with the predicted weights, the loss of torch's definition."""
    p = Predictor(*case)
    drawn = data.draw(times(p.setting.optimizer, float(p.rates.max())))
    layer, x = p.setting.layer, p.problem.inputs[::-1] + 0.5
    features, target = layer.features(x, np), p.setting.target.values(layer, x, np)
    thetas, outputs, errors, losses = p.theta(drawn), p.predict(x, drawn), p.error(x, drawn), p.loss(drawn)
    with_penalty = p.loss(drawn, penalty=True)
    for index, theta in enumerate(thetas):
        direct = layer.from_columns(theta @ features, x.shape[1:], np)
        direct = direct + (layer.offset(x, np) if layer.skips else 0)
        size = np.abs(thetas).max() + np.abs(p.problem.start).max() + np.linalg.norm(p.problem.columns)
        scale = (1 + size) * (1 + np.abs(features).max()) * features.shape[1]
        rounding = 16 * features.shape[1] * EPS * scale * condition(p.problem, p.setting.weight_decay)
        assert np.abs(outputs[index] - direct).max() <= rounding
        gap = (direct - target).reshape(len(x), -1)
        allowed = 2 * rounding * np.abs(gap).sum(axis=1) + gap.shape[1] * (rounding**2 + EPS * gap.max() ** 2)
        assert (np.abs(errors[index] - (gap**2).sum(axis=1)) <= allowed).all()
        residual = theta @ p.problem.features - p.problem.columns
        squared = np.abs(residual) ** 2
        expected = squared.mean() if p.setting.loss == "mse" else squared.sum() / 2
        factor = p.problem.scale / 2 * residual.size * rounding * (np.abs(residual).max() + rounding)
        assert abs(losses[index] - expected) <= 2 * factor
        penalty = p.setting.weight_decay / 2 * (np.abs(theta) ** 2).sum()
        assert with_penalty[index] - losses[index] == pytest.approx(penalty, rel=1e-9, abs=EPS * with_penalty[index])


@given(problems(optimizer_kinds=["gradient_flow", "gradient_descent"], decay=False), st.data())
def test_the_effective_rank_counts_the_learned_modes(case, data):
    p = Predictor(*case)
    drawn = np.array([0.0, *data.draw(times(p.setting.optimizer, float(p.rates.max()), infinity=False)), math.inf])
    found = p.effective_rank(drawn)
    learned = [p.setting.optimizer.response(np, p.rates[p.rates > 0], np.float64(t))[1] for t in drawn[:-1]]
    np.testing.assert_allclose(found[:-1], [np.clip(modes, 0, 1).sum() for modes in learned], rtol=1e-14, atol=1e-14)
    assert found[0] == 0
    assert found[-1] == sum(p.spectrum.ranks)


@pytest.mark.theorem("T5")
@settings(max_examples=8)
@given(
    st.sampled_from([Linear(), Linear(bias=True), Conv(3), Conv(3, groups=2, padding_mode="circular", bias=True)]),
    st.sampled_from([Identity(), Constant(np.ones((2, 3)))]),
    st.sampled_from([0.0, 0.3]),
    seeds(),
)
def test_the_expected_error_is_the_average_over_random_starts(layer, target, decay, seed):
    """Monte Carlo; the error of one start is a quadratic form of Gaussians, whose variance is known."""
    rng = np.random.default_rng(seed)
    shape = (3,) if isinstance(layer, Linear) else (2, 3)
    if isinstance(target, Constant) and isinstance(layer, Linear):
        target = Constant(np.ones(3))
    inputs, x = rng.standard_normal((1, *shape)), rng.standard_normal((2, *shape))
    std, time, count = 0.4, 0.7, 4000
    p = Predictor(Setting(layer, GradientFlow(), target, weight_decay=decay), inputs, seed=seed)
    expected = p.expected_error(x, [0.0, time], std)
    thetas = std * rng.standard_normal((count, *p.problem.start.shape))
    features = layer.features(x, np)
    wanted = target.values(layer, x, np)
    sample = np.empty((count, 2, len(x)))
    for index, at in enumerate((0.0, time)):
        # The flow is affine in the start: its linear part and its offset from two exponentials, no spectrum.
        still = flow_by_block_expm(p.from_start(0 * p.problem.start).problem, at)
        units = np.eye(p.problem.start.shape[-1])[None].repeat(layer.channel_groups(), axis=0)
        zero = Setting(layer, GradientFlow(), Given(), weight_decay=decay)
        kernel = flow_by_block_expm_of(zero, p, units, at)
        outputs = (thetas @ kernel + still) @ features
        gap = layer.from_columns(outputs, x.shape[1:], np) - wanted
        sample[:, index] = (gap**2).sum(axis=tuple(range(2, gap.ndim)))
    standard_error = sample.std(axis=0, ddof=1) / math.sqrt(count)
    assert (np.abs(sample.mean(axis=0) - expected) <= SIGMAS * standard_error).all()
    assert (standard_error < 0.05 * expected).all()  # and the test can see an error of 30 %


def flow_by_block_expm_of(setting, p, start, time):
    """e^{-tS} of each block, as the flow of zero targets from the identity."""
    rates = p.problem.scale * p.problem.features @ p.problem.features.conj().swapaxes(1, 2)
    return start @ np.array([expm(-time * (s + setting.weight_decay * np.eye(len(s)))) for s in rates])


def test_primal_and_dual_are_the_same_solution():
    """More columns than features by repeating examples: weights unchanged, the other side of the decomposition."""
    x = np.random.default_rng(0).standard_normal((3, 5))
    w0 = np.ones((5, 5))
    dual = Predictor(Setting(Linear(), GradientFlow()), x, initial_weight=w0)
    primal = Predictor(Setting(Linear(), GradientFlow()), np.repeat(x, 4, axis=0) / 2, initial_weight=w0)
    assert (dual.side, primal.side) == ("dual", "primal")
    drawn = [0, 0.1, 3.0, math.inf]
    kappa = condition(dual.problem)
    np.testing.assert_allclose(primal.weight(drawn), dual.weight(drawn), atol=64 * EPS * kappa)


@given(problems(), seeds())
def test_a_saved_predictor_comes_back_bit_for_bit(tmp_path_factory, case, seed):
    """Also from data in another memory order."""
    inputs = np.moveaxis(np.ascontiguousarray(np.moveaxis(case.inputs, 0, -1)), -1, 0)
    p = Predictor(case.setting, inputs, *case[2:])
    path = tmp_path_factory.mktemp("saved") / "p.npz"
    p.save(path)
    q = load(path)
    assert q.setting == p.setting
    x = np.random.default_rng(seed).standard_normal((2, *inputs.shape[1:]))
    drawn = [0, 1, 7, math.inf]
    for name, arguments in (("weight", ()), ("loss", ()), ("effective_rank", ()), ("predict", (x,))):
        np.testing.assert_array_equal(getattr(p, name)(*arguments, drawn), getattr(q, name)(*arguments, drawn))


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1e8, 1e100])
@given(feature_data(features=4, examples=3))
def test_the_scale_of_the_data_only_rescales_time(scale, x):
    """x → a x is t → a²t for the identity, down to a² = 1e-200."""
    w0 = np.random.default_rng(0).standard_normal((4, 4))
    setting = Setting(Linear(), GradientFlow())
    plain = Predictor(setting, x, initial_weight=w0)
    scaled = Predictor(setting, scale * x, initial_weight=w0)
    drawn = np.array([0.0, 1.0, 100.0, math.inf])
    bound = 64 * EPS * condition(plain.problem) * 100
    np.testing.assert_allclose(scaled.weight(drawn / scale**2), plain.weight(drawn), atol=bound)


def test_torch_and_numpy_arrays_of_any_real_dtype_are_accepted():
    torch = pytest.importorskip("torch", reason="torch's dtypes are what is tested")
    setting, w0 = Setting(Linear(), GradientFlow()), [[1, 2], [3, 4]]
    expected = Predictor(setting, [[1.0, 2.0]], initial_weight=w0).weight([0.1])
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8):
        x = torch.tensor([[1, 2]], dtype=dtype)
        np.testing.assert_array_equal(Predictor(setting, x, initial_weight=w0).weight([0.1]), expected)
    for kind in ("f4", "i2", "u1", "bool"):
        assert Predictor(setting, np.ones((1, 2), dtype=kind), initial_weight=w0).weight(0.1).dtype == np.float64


@given(problems(target_kinds=["identity", "constant", "linear_map"]))
def test_no_examples_give_empty_answers(case):
    p = Predictor(*case)
    none = p.problem.inputs[:0]
    assert p.predict(none, [0, 1]).shape == (2, 0, *p.problem.targets.shape[1:])
    assert p.error(none, [0, 1]).shape == p.expected_error(none, [0, 1], 1.0).shape == (2, 0)
    assert p.weight([]).shape == (0, *np.shape(case.initial_weight))


def test_a_given_target_has_no_error_off_the_data():
    p = Predictor(Setting(Linear(), GradientFlow(), Given()), [[1.0]], [[2.0]])
    assert p.loss(math.inf)[0] == pytest.approx(0, abs=EPS)
    for ask in (lambda: p.error([[1.0]], 0), lambda: p.expected_error([[1.0]], 0, 1.0)):
        with pytest.raises(SettingError, match="function of the input"):
            ask()


@given(problems(optimizer_kinds=DESCENTS), st.floats(1.0, 3.0))
def test_a_learning_rate_at_or_above_the_limit_is_refused_and_one_below_is_not(case, factor):
    p = Predictor(*case)
    assert case.setting.optimizer.learning_rate < p.max_learning_rate
    if p.max_learning_rate < math.inf:  # else no mode moves
        wild = p.setting.optimizer.with_values(learning_rate=factor * p.max_learning_rate)
        with pytest.raises(SettingError, match="would diverge"):
            Predictor(replace(case.setting, optimizer=wild), *case[1:])


def test_real_digits_in_784_dimensions_are_learned_on_their_span(mnist):
    """Real conditioning: 60 digits, the limit against least squares."""
    x = mnist[:60]
    p = Predictor(Setting(Linear(), HeavyBall(1e-4, 0.9), LinearMap(np.eye(784)[:3])), x, seed=1)
    assert p.spectrum.ranks == [60]
    bound = 64 * 784 * EPS * condition(p.problem) ** 2 * np.abs(p.problem.start).sum()
    assert np.abs(p.theta(math.inf)[0] - minimiser(p.problem)).max() <= bound
    assert p.loss(math.inf)[0] < 1e-20 < p.loss(10)[0]
