"""A skip connection: torch's wrapped module, the targets less the skip, the start shifted (only without decay)."""

import math
from dataclasses import replace

import numpy as np
import pytest

import closedflow as cf
from empirical.crosscheck import check_training
from empirical.device import construct
from empirical.train import train_problem
from numerics.budget import Budget
from numerics.formula import letters
from numerics.predictor import Predictor, load
from tests.layer_levels import assert_integration_agrees, assert_limit_is_stationary, assert_training_agrees
from theory.errors import SettingError
from theory.layers import CircularConv, Conv, Features, Layer, Linear, LocallyConnected, Polynomial, Residual
from theory.optimizers import GradientDescent, GradientFlow, HeavyBall
from theory.setting import Setting
from theory.starts import Gaussian
from theory.targets import Constant, Given, Identity, LinearMap

torch = pytest.importorskip("torch", reason="torch is one of the oracles")

FLAT = [Linear(), Linear(bias=True), Polynomial(2)]
SPATIAL = [
    Conv(3, bias=True),
    Conv(3, groups=2),
    Conv(3, stride=2, padding=2, dilation=2, padding_mode="reflect"),
    Conv((1, 3), padding=(2, 0), padding_mode="circular"),
    Conv(5, padding="valid"),
    Conv(3, padding=2),
    LocallyConnected(3, bias=True),
    CircularConv(),
]
CASES = [(layer, (4,)) for layer in FLAT] + [(layer, (2, 5, 6)) for layer in SPATIAL]
IDS = [str(layer) for layer, _ in CASES]


def data(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def weight_of_the_identity(layer, shape):
    """W*, a one at the input's own feature; the kernel of torch that copies its input."""
    rows = layer.identity_features(shape)
    star = np.zeros((len(rows), len(rows[0]), layer.features(np.zeros((1, *shape)), np).shape[1]), complex)
    for block, row in enumerate(rows):
        star[block, range(len(row)), row] = layer.identity_gain(shape)
    star = star if layer.complex_features else star.real
    return layer.from_blocks(star, shape, np)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=IDS)
def test_torchs_module_is_the_input_at_the_outputs_positions_plus_the_module_inside(layer, shape):
    """Without a weight it is what the inner module computes with the weight of the identity: another route to the crop."""
    x, whole = data((2, *shape)), Residual(layer)
    module = construct(whole.torch_module(shape, shape[0])).double()
    inner = construct(layer.torch_module(shape, shape[0])).double()
    star, _ = weight_of_the_identity(layer, shape)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        inner.weight.copy_(torch.tensor(star))
        if layer.bias:
            inner.bias.zero_()
        skip, expected = module(torch.tensor(x)).numpy(), inner(torch.tensor(x)).numpy()
    np.testing.assert_allclose(skip, expected, atol=1e-13)
    np.testing.assert_allclose(whole.offset(x, np), skip, atol=0)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=IDS)
def test_trained_networks_agree_inside_the_budget_and_one_percent_does_not(layer, shape):
    x = data((2, *shape))
    assert_training_agrees(Residual(layer), x, y=data((2, *layer.output_shape(shape, shape[0])), 1))


@pytest.mark.parametrize(("layer", "shape"), [CASES[0], CASES[5]], ids=[IDS[0], IDS[5]])
def test_trained_networks_agree_in_float32_and_towards_the_identity(layer, shape):
    """The targets less the skip are 0 there: the budget must know that torch adds and subtracts what is not."""
    assert_training_agrees(Residual(layer), data((2, *shape)), Identity(), dtype="float32")
    assert_training_agrees(Residual(layer), data((2, *shape)), Identity())


def test_a_weight_that_drowns_in_the_rounding_of_the_skip_is_not_judged():
    """W x + x - x at a weight of 1e-18: torch rounds it away, and the budget knows."""
    setting = Setting(Residual(Linear()), GradientDescent(0.1), start=Gaussian(1e-18))
    p = Predictor(setting, data((2, 4)), seed=0)
    check = check_training(p, train_problem(p.problem, 20, device="cpu"))
    assert check.verdict == "not run"
    assert (check.distances <= check.budgets).all()


@pytest.mark.parametrize(("layer", "shape"), [CASES[1], CASES[3], CASES[-1]], ids=[IDS[1], IDS[3], IDS[-1]])
def test_the_integrated_equation_agrees_and_the_limit_is_stationary(layer, shape):
    y = data((2, *layer.output_shape(shape, shape[0])), 1)
    assert_integration_agrees(Residual(layer), data((2, *shape)), y=y)
    assert_limit_is_stationary(Residual(layer), data((2, *shape)), y=y)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=IDS)
@pytest.mark.parametrize("optimizer", [GradientFlow(), GradientDescent(1e-3), HeavyBall(1e-3, 0.5)], ids=str)
def test_without_decay_it_is_the_layer_started_at_the_identity_and_with_decay_it_is_not(layer, shape, optimizer):
    x = data((1, *shape))
    y = data((1, *layer.output_shape(shape, shape[0])), 1)
    star, _ = weight_of_the_identity(layer, shape)
    setting = Setting(Residual(layer), optimizer, Given())
    p = Predictor(setting, x, y, seed=0)
    start, bias = p.weight(0)[0], p.bias(0)
    shifted = [
        Predictor(
            replace(setting, layer=layer, weight_decay=decay), x, y, start + star, None if bias is None else bias[0]
        )
        for decay in (0.0, 0.5)
    ]
    for time in (0.05, math.inf) if not optimizer.discrete else (5, 100):
        bound = Budget(p).evaluation(time) + Budget(shifted[0]).evaluation(time)
        assert np.linalg.norm(p.weight(time)[0] + star - shifted[0].weight(time)[0]) <= bound
    decayed = Predictor(replace(setting, weight_decay=0.5), x, y, start, None if bias is None else bias[0])
    time = 500 if optimizer.discrete else 1.0
    assert np.linalg.norm(decayed.weight(time)[0] + star - shifted[1].weight(time)[0]) > 1e9 * bound


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_it_is_the_layer_trained_towards_the_targets_less_the_skip(decay):
    x, y, w0 = data((3, 4)), data((3, 4), 1), data((4, 4), 2)
    skipping = Predictor(Setting(Residual(Linear()), GradientFlow(), Given(), "mse", decay), x, y, w0)
    plain = Predictor(Setting(Linear(), GradientFlow(), Given(), "mse", decay), x, y - x, w0)
    times, test = [0, 0.5, math.inf], data((2, 4), 3)
    np.testing.assert_array_equal(skipping.weight(times), plain.weight(times))
    np.testing.assert_array_equal(skipping.predict(test, times), plain.predict(test, times) + test)
    np.testing.assert_array_equal(skipping.loss(times, penalty=True), plain.loss(times, penalty=True))


def test_prediction_and_error_are_those_of_torchs_module_with_the_predicted_weights():
    x, test = data((2, 2, 4, 4)), data((3, 2, 4, 4), 1)
    p = Predictor(Setting(Residual(Conv(3)), GradientDescent(0.01), LinearMap(np.eye(32)[::-1])), x, seed=0)
    module = construct(p.setting.layer.torch_module((2, 4, 4), 2)).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(p.weight(30)[0]))
        outputs = module(torch.tensor(test)).numpy()
    np.testing.assert_allclose(p.predict(test, 30)[0], outputs, atol=1e-12)
    reversed_ = test.reshape(3, -1)[:, ::-1].reshape(test.shape)
    np.testing.assert_allclose(p.error(test, 30)[0], ((outputs - reversed_) ** 2).sum(axis=(1, 2, 3)), rtol=1e-12)


def test_from_a_zero_start_the_identity_is_there_at_once_and_decay_does_not_take_it_away():
    test = data((2, 3))
    for decay in (0.0, 0.5):
        p = Predictor(
            Setting(Residual(Linear()), GradientFlow(), weight_decay=decay),
            data((1, 3)),
            initial_weight=np.zeros((3, 3)),
        )
        np.testing.assert_array_equal(p.predict(test, [0, 1, math.inf]), np.stack([test] * 3))
    plain = Predictor(Setting(Linear(), GradientFlow(), weight_decay=0.5), data((1, 3)), initial_weight=np.eye(3))
    assert plain.error(test, math.inf).min() > 0.1


def test_the_mean_error_over_random_starts_is_the_mean_over_random_starts():
    x, test, std, count = data((1, 1, 4)), data((2, 1, 4), 1), 0.7, 4000
    p = Predictor(Setting(Residual(Conv(3)), GradientFlow(), Constant(np.ones((1, 4))), weight_decay=0.1), x, seed=0)
    starts = std * np.random.default_rng(0).standard_normal((count, 1, 1, 3))
    errors = np.array([p.from_start(start).error(test, 0.3)[0] for start in starts])
    standard_error = errors.std(axis=0, ddof=1) / math.sqrt(count)
    assert (np.abs(errors.mean(axis=0) - p.expected_error(test, 0.3, std)[0]) <= 6 * standard_error).all()


def test_the_weight_of_the_identity_is_zero_in_measured_formulas():
    p = Predictor(Setting(Residual(Conv(3)), GradientFlow()), data((1, 1, 4)), seed=0)
    values = letters(p.problem, data((1, 1, 4), 1))
    assert not values["Wstar"].any()
    assert not values["Y"].any()


def test_a_setting_is_a_table_in_a_table_and_is_saved_and_loaded(tmp_path):
    setting = Setting(Residual(Conv(3, groups=2)), HeavyBall(0.01, 0.5), weight_decay=0.1)
    assert '[layer]\nkind = "residual"\n\n[layer.layer]\nkind = "conv"\nkernel_size = 3\n' in setting.to_toml()
    assert Setting.from_toml(setting.to_toml()) == setting
    assert Layer.from_table({"kind": "residual", "layer": "linear"}) == Residual(Linear())
    p = Predictor(setting, data((1, 2, 4, 4)), seed=0)
    p.save(tmp_path / "p.npz")
    np.testing.assert_array_equal(load(tmp_path / "p.npz").weight([0, 7]), p.weight([0, 7]))


def test_a_setting_is_solved_and_verified():
    setting = Setting(Residual(Linear()), GradientDescent(0.01), Constant([1.0, 0.0, 0.0]))
    solution = cf.solve(setting)
    assert solution.proof.verdict == "proved"
    assert "targets less what the layer adds" in str(solution)
    assert str(solution.prediction).endswith("+ r")
    (row,) = cf.verify(setting=setting, inputs=data((1, 3)), device="cpu").rows
    assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "agrees")


def test_the_closed_form_of_one_example_is_the_predictors():
    """f(x, ∞) = y φ₁ᵀ φ/n + W0 Π⊥ φ + r, with y the target less the skip, by hand."""
    x, y, test, w0 = data((1, 3)), data((1, 3), 1), data((1, 3), 2), data((3, 3), 3)
    limit = str(cf.solve(Setting(Residual(Linear()), GradientFlow(), Given())).one_example.limit)
    assert limit == "(W_0*Pi_perp*phi + 1/n*y*phi_1.T*phi) + r"
    p = Predictor(Setting(Residual(Linear()), GradientFlow(), Given()), x, y, w0)
    n, inside = x[0] @ x[0], x[0] @ test[0]
    by_hand = (y[0] - x[0]) * inside / n + w0 @ (test[0] - x[0] * inside / n) + test[0]
    np.testing.assert_allclose(p.predict(test, math.inf)[0, 0], by_hand, atol=1e-13)


def test_every_question_to_a_layer_is_answered_by_the_layer_inside_or_by_the_skip():
    """A method that Layer gains must be passed on too."""
    asked = {name for name in vars(Layer) if not name.startswith("_")} - {"kind", "kinds", "family"}
    assert asked - set(vars(Residual)) == set()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Residual(3), "layer must be a layer without a skip connection, but it is 3. Pass one"),
        (lambda: Residual(Residual(Linear())), "layer must be a layer without a skip connection"),
        (
            lambda: Residual(Conv(2)),
            "can be the identity to have a skip connection, but Conv.* cannot: kernel_size is 2. Use an odd",
        ),
        (lambda: Residual(Features(lambda x, xp: x)), "can be the identity to have a skip connection, but Features"),
        (lambda: Layer.from_table({"kind": "residual"}), r"\[layer\] of kind 'residual' must have the key 'layer'"),
        (lambda: Layer.from_table({"kind": "residual", "layer": {"kind": "con"}}), "Did you mean 'conv'"),
        (
            lambda: Predictor(Setting(Residual(Linear()), GradientFlow(), Given()), np.ones((2, 3)), np.ones((2, 2))),
            r"targets must have shape \(2, 3\) for the input that Residual.* adds to its outputs, but it has \(2, 2\)",
        ),
    ],
)
def test_what_has_no_identity_is_refused_in_one_clear_line(call, message):
    with pytest.raises(SettingError, match=message):
        call()
