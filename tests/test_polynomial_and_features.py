"""Polynomials and users' own features: by plain products, by numpy's least squares, by a linearised network of torch."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings

import closedflow as cf
from empirical.device import construct
from empirical.strategies import layers, problems
from numerics.budget import Budget
from numerics.predictor import Predictor
from tests.layer_levels import assert_integration_agrees, assert_limit_is_stationary, assert_training_agrees
from theory.errors import SettingError
from theory.layers import Features, Layer, Linear, Polynomial, Residual
from theory.layers.polynomial import MAX_FEATURES
from theory.optimizers import GradientFlow, HeavyBall
from theory.setting import Setting
from theory.targets import Constant, Given, Identity, LinearMap

torch = pytest.importorskip("torch", reason="torch is one of the oracles")


def data(shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal(shape)


def monomials_by_loop(x, degree):
    """Every tuple of factors, kept if it is sorted; by degree, then in the order of the tuples."""
    rows = []
    for total in range(1, degree + 1):
        for factors in itertools.product(range(x.shape[1]), repeat=total):
            if list(factors) == sorted(factors):
                rows.append([math.prod(example[i] for i in factors) for example in x])
    return np.array(rows)


@pytest.mark.parametrize(("inputs", "degree"), [(1, 4), (2, 3), (3, 3), (4, 2), (5, 1)])
@pytest.mark.parametrize("bias", [False, True])
def test_features_and_torchs_module_hold_every_monomial_once_in_graded_order(inputs, degree, bias):
    x, layer = data((3, inputs)), Polynomial(degree, bias=bias)
    expected = monomials_by_loop(x, degree)
    features = layer.features(x, np)[0]
    np.testing.assert_allclose(features[: len(expected)], expected, rtol=1e-14)
    assert features.shape[0] == len(expected) + bias == math.comb(inputs + degree, degree) - 1 + bias
    module = construct(layer.torch_module((inputs,), 2)).double()
    weight, constant = data((2, len(expected)), 1), data((2,), 2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
        if bias:
            module.bias.copy_(torch.tensor(constant))
        theirs = module(torch.tensor(x)).numpy()
    np.testing.assert_allclose(theirs, (weight @ expected).T + (constant if bias else 0), atol=1e-12)


def test_polynomials_of_one_input_are_fitted_as_by_numpy():
    x = np.linspace(-1, 1, 7)
    y = np.exp(x)
    p = Predictor(Setting(Polynomial(3, bias=True), GradientFlow(), Given()), x[:, None], y[:, None], seed=0)
    fitted = np.polynomial.polynomial.polyfit(x, y, 3)
    assert np.linalg.norm(p.weight(math.inf)[0, 0] - fitted[1:]) <= 1e-12
    assert abs(p.bias(math.inf)[0, 0] - fitted[0]) <= 1e-12


def test_the_identity_is_the_monomials_of_degree_one():
    x = data((2, 3))
    np.testing.assert_array_equal(Identity().values(Polynomial(3, bias=True), x, np), x)


@pytest.mark.parametrize("layer", [Polynomial(2), Polynomial(3, bias=True)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_trained_polynomials_agree_inside_the_budget_and_one_percent_does_not(layer, dtype):
    assert_training_agrees(layer, data((3, 3), scale=0.7), Identity(), dtype=dtype)


def test_integrated_polynomials_agree_and_the_limit_is_stationary():
    x = np.concatenate([data((2, 3)), data((1, 3))])  # the first example twice
    assert_integration_agrees(Polynomial(2, bias=True), x, Identity())
    assert_limit_is_stationary(Polynomial(2), x, Identity())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Polynomial(0), "degree must be a number at least 1, but it is 0"),
        (lambda: Polynomial(2.0), "degree must be a whole number"),
        (
            lambda: Polynomial(2).check((2, 3)),
            r"for a Polynomial layer, but an example has shape \(2, 3\). Pass inputs.resh",
        ),
        (
            lambda: Polynomial(3).check((784,)),
            f"degree must give at most {MAX_FEATURES} monomials, but 3 gives 80931144",
        ),
    ],
)
def test_bad_polynomials_get_one_clear_line(call, message):
    with pytest.raises(SettingError, match=message):
        call()


def test_a_polynomial_comes_back_from_toml():
    setting = Setting(Polynomial(2, bias=True), GradientFlow(), Given())
    assert Setting.from_toml(setting.to_toml()) == setting


# Features


def waves(x, xp):
    flat = x.reshape((len(x), 6))
    return xp.concatenate((xp.sin(flat), flat[:, :2] ** 2), axis=1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_trained_features_agree_inside_the_budget_and_one_percent_does_not(bias, dtype):
    assert_training_agrees(Features(waves, bias=bias), data((3, 2, 3)), Constant([1.0, -1.0]), dtype=dtype)


def test_integrated_features_agree_and_the_limit_is_stationary():
    x = np.concatenate([data((2, 6)), data((1, 6))])
    for levels in (assert_integration_agrees, assert_limit_is_stationary):
        levels(Features(waves, bias=True), x, y=data((3, 2), 1))


@settings(max_examples=25)
@given(problems(layers(kinds=["features"]), target_kinds=["constant", "linear_map", "given"]))
def test_features_are_a_linear_layer_on_what_the_function_returns(case):
    p = Predictor(*case)
    layer, phi = case.setting.layer, case.setting.layer.function(case.inputs, np)
    plain = Setting(Linear(layer.bias), case.setting.optimizer, Given(), case.setting.loss, case.setting.weight_decay)
    linear = Predictor(plain, phi, p.problem.targets, case.initial_weight, case.initial_bias)
    times = [0, 5, math.inf] if case.setting.optimizer.has_limit else [0, 5]
    np.testing.assert_array_equal(p.weight(times), linear.weight(times))
    np.testing.assert_array_equal(p.predict(case.inputs, times), linear.predict(phi, times))


def test_a_linearised_network_is_trained_as_its_gradients_say():
    """f(x) = a·tanh(Bx) at its start: the features are its gradient, written by hand, and by torch's autograd."""
    inner, outer = data((4, 3)), data((4,), 1)

    def gradient(x, xp):
        b, a = (xp.asarray(array, dtype=x.dtype, device=x.device) for array in (inner, outer))
        hidden = xp.tanh(x @ b.T)
        by_inner = ((1 - hidden**2) * a)[:, :, None] * x[:, None, :]
        return xp.concatenate((hidden, by_inner.reshape((len(x), 12))), axis=1)

    x = data((2, 3), 2)
    rows = []
    for example in torch.tensor(x):
        a, b = torch.tensor(outer, requires_grad=True), torch.tensor(inner, requires_grad=True)
        (a @ torch.tanh(b @ example)).backward()
        rows.append(np.concatenate([a.grad.numpy(), b.grad.numpy().ravel()]))
    np.testing.assert_allclose(gradient(x, np), rows, atol=1e-14)
    assert_training_agrees(Features(gradient), x, y=data((2, 1), 3))


def refused(call):
    with pytest.raises(SettingError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert " must " in message or " needs " in message
    assert ", but " in message
    assert message.endswith((".", "?"))
    return message


ONE = np.ones((2, 3))


def fails(x, xp):
    message = "no\nway"
    raise ValueError(message)


@pytest.mark.parametrize(
    ("function", "said", "repair"),
    [
        (lambda x, xp: x[:1], "array of shape (2, 3), but it returned shape (1, 3)", "one row per example"),
        (lambda x, xp: x[:, 0], "shape (2, 3), but it returned shape (2,)", "one row per example"),
        (lambda x, xp: [1.0], "must return a numpy array for one, but it returned a list", "with xp alone"),
        (lambda x, xp: x > 0, "the dtype of its input, float64, but it returned bool", "Convert"),
        (lambda x, xp: x + 0j, "but it returned complex128", "Convert"),
        (lambda x, xp: xp.where(x > 0, x / xp.zeros_like(x), x), "but those of example 0 are not", "drop the example"),
        (lambda x: x, "raised TypeError", "with xp alone"),
        (fails, "it raised ValueError: no", "xp.asarray"),
    ],
    ids=["rows", "axes", "list", "bool", "complex", "infinite", "arguments", "error"],
)
def test_what_a_function_returns_is_checked(function, said, repair):
    with np.errstate(all="ignore"):
        message = refused(lambda: Features(function, size=3).features(ONE, np))
    assert said in message
    assert repair in message.partition(", but ")[2]


def test_a_function_that_only_numpy_understands_is_refused_by_training_with_the_repair():
    for function, said in (
        (lambda x, xp: xp.cos(x, out=None, casting="safe"), "function must take torch arrays"),
        (lambda x, xp: np.cos(np.asarray(x)), "function must return a torch array for one, but it returned a ndarray"),
    ):
        setting = Setting(Features(function), GradientFlow(), Constant([1.0]))
        assert Predictor(setting, ONE, seed=0).weight(1).shape == (1, 1, 3)
        message = refused(lambda setting=setting: cf.train(setting, ONE, steps=1, learning_rate=0.01, device="cpu"))
        assert said in message
        assert "xp.asarray(A, dtype=x.dtype, device=x.device)" in message


def test_a_function_can_neither_be_written_nor_saved_and_the_repair_is_the_same_setting(tmp_path):
    setting = Setting(Features(waves), GradientFlow(), LinearMap(np.ones((1, 6))))
    p = Predictor(setting, data((2, 6)), seed=0)
    for call in (setting.to_toml, lambda: p.save(tmp_path / "p.npz")):
        assert "Use Linear with function(inputs, numpy) as the inputs" in refused(call)
    assert list(tmp_path.iterdir()) == []
    for table in ({"kind": "features", "function": "sin"}, {"kind": "features"}):
        assert "give its values as the inputs" in refused(lambda table=table: Layer.from_table(table))


def test_features_have_no_identity():
    assert "needs a layer that can be the identity" in refused(lambda: Setting(Features(waves), GradientFlow()))
    assert "can be the identity to have a skip" in refused(lambda: Residual(Features(waves)))


def test_features_are_counted_on_the_training_inputs():
    assert "size must be known" in refused(lambda: Features(waves).weight_shape((6,), 1))
    p = Predictor(Setting(Features(waves), GradientFlow(), Constant([1.0])), data((2, 6)), seed=0)
    assert p.setting.layer.size == 8
    assert str(p.setting.layer) == "Features(function=waves, bias=False)"
    assert "shape (2, 9), but it returned shape (2, 8)" in refused(
        lambda: Features(waves, size=9).features(data((2, 6)), np)
    )


def test_a_setting_with_features_is_solved_and_verified():
    setting = Setting(Features(waves), HeavyBall(0.01, 0.5), Constant([1.0]))
    assert cf.solve(setting).proof.verdict == "proved"
    (row,) = cf.verify(setting=setting, inputs=data((2, 6)), device="cpu").rows
    assert (row.proof, row.integration.verdict, row.training.verdict) == ("proved", "agrees", "agrees")


def test_the_budget_of_features_is_that_of_the_linear_layer():
    x, y = data((2, 6)), data((2, 1), 1)
    p = Predictor(Setting(Features(waves), GradientFlow(), Given()), x, y, seed=0)
    linear = Predictor(Setting(Linear(), GradientFlow(), Given()), waves(x, np), y, seed=0)
    assert Budget(p).evaluation(3.0) == Budget(linear).evaluation(3.0)
