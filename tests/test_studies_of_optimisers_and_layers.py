"""Group b of the studies: their mathematics against slow oracles, their judgement on outcomes that are made up."""

import numpy as np
import pytest

from empirical.experiment import Outcome
from empirical.experiments.first_layer import FirstLayer
from empirical.experiments.flat_centre import FlatCentre, flat_region, layers_needed, least_loss
from empirical.experiments.picture_by_layer import left_by_ring
from empirical.experiments.theorem_one import TheoremOne, sign_limit
from empirical.networks import Feedforward
from empirical.similarity import noise
from empirical.sources import Digits
from empirical.studies import Result, Scale, Study
from empirical.studies.growth_from_the_border import halfway
from empirical.views import show
from numerics.network_budget import drift_bound, forward_bound
from numerics.spectrum import spectrum
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import Adam, GradientDescent, HeavyBall

torch = pytest.importorskip("torch", reason="studies train networks")
RNG = np.random.default_rng(0)


def verdicts(name, changed):
    """The verdicts of a study on rehearsals whose numbers were changed."""
    study, scale = Study.kinds[name](), Scale()
    results = []
    for experiment in study.experiments(scale):
        outcome = experiment.quick().run()
        numbers = {**outcome.numbers, **changed(experiment, outcome.numbers)}
        results.append(Result(experiment, Outcome(numbers, outcome.arrays)))
    return {finding.says: finding.verdict for finding in study.account(scale, results).findings}


# The first layer


@pytest.mark.theorem("T6")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("view", "layer"), [("dead_pixels", Linear(bias=True)), ("half_and_blank", Conv(3))])
def test_the_first_layer_of_a_trained_network_stays_outside_the_span_to_rounding(view, layer, dtype):
    network = Feedforward(layer, 3)
    found = FirstLayer(network, HeavyBall(1e-4, 0.9), view=view, examples=(0, 1), steps=10, dtype=dtype).run().numbers
    assert (found["drift"] <= found["budget"]).all()
    assert (found["budget"] < 1e-4 * found["size"]).all()
    assert (found["dead"] == 0).all()
    assert (found["moved"] > 1e3 * found["drift"]).all()


@pytest.mark.theorem("T6")
@pytest.mark.parametrize("broken", [{"optimizer": Adam(0.001)}, {"weight_decay": 0.1}, {"shared": True}])
@pytest.mark.parametrize(("view", "layer", "width"), [("dead_pixels", Linear(), 64), ("half_and_blank", Conv(3), 3)])
def test_outside_the_hypotheses_of_the_law_the_first_layer_moves(view, layer, width, broken):
    lawful = FirstLayer(Feedforward(layer, 3, width), GradientDescent(1e-3), view=view, seeds=(0,), steps=10)
    found = lawful.with_values(**broken).run().numbers
    assert found["drift"] > 1e6 * found["budget"]


def test_the_drift_is_that_of_torch_modules_trained_one_by_one():
    """A plain module, torch's optimiser, and the complement by scipy's null space instead of the spectrum."""
    from scipy.linalg import null_space

    from empirical.networks import build, draw_stack

    experiment = FirstLayer(Feedforward(Linear(), 2), GradientDescent(0.002), seeds=(3,), steps=4, weight_decay=0.1)
    x = torch.tensor(Linear().arrange(show("dead_pixels", *[Digits().images().take((0,)).values] * 2)[0]))
    module = build(experiment.network, (64,), 64).double()
    for parameter, value in zip(module.parameters(), draw_stack(experiment.network, (3,), (64,), 64), strict=True):
        parameter.data = torch.tensor(value[0])
    before = next(module.parameters()).detach().clone()
    algorithm = torch.optim.SGD(module.parameters(), lr=0.002, weight_decay=0.1)
    for _ in range(4):
        algorithm.zero_grad()
        (0.5 * ((module(x) - x) ** 2).sum()).backward()
        algorithm.step()
    moved = (next(module.parameters()).detach() - before).numpy()
    drift = np.linalg.norm(moved @ null_space(x.numpy()))
    assert experiment.run().numbers["drift"][0] == pytest.approx(
        drift, rel=1e-9
    )  # 1e-16 of the weight over the drift of 1e-4


def test_each_term_of_the_drift_bound_is_what_it_says():
    """Φ = (1, 0)ᵀ/(0, 0)ᵀ, one unit of each sum: by hand, with u = 2⁻²⁴ and η = 1/2, m = 4."""
    features = np.array([[[1.0, 0.0], [0.0, 0.0]]])
    modes, u, zero, one = spectrum(features), 2.0**-24, np.zeros(1), np.ones(1)
    shared = {"features": features, "gain": 0.5, "memory": 4.0}
    nothing = {"slopes": zero, "gradients": zero, "weights": zero, "moved": zero}
    floor = 2 * 2.0**-52
    wanted = {
        "slopes": 2 * (4 * u / (1 - 4 * u) + floor),
        "gradients": 2 * 5 * u * 4,
        "weights": 3 * u,
        "moved": 2 * floor,
    }
    for name, value in wanted.items():
        assert drift_bound(modes, u, **shared, **{**nothing, name: one}).item() == pytest.approx(
            value, rel=1e-9, abs=0
        ), name


def test_a_drift_of_one_percent_of_the_weight_is_no_rounding():
    def planted(experiment, numbers):
        return {"drift": 0.01 * np.asarray(numbers["size"])}

    found = verdicts("first_layer_conservation", planted)
    assert [found[f"the first layer stays outside the span, {dtype}"] for dtype in ("float64", "float32")] == [
        "disagrees"
    ] * 2


def test_one_changed_bit_of_a_dead_weight_disagrees():
    found = verdicts("first_layer_conservation", lambda _, numbers: {"dead": np.full_like(numbers["dead"], 1e-30)})
    assert found["weights of dead pixels and blank channels do not change by a bit"] == "disagrees"


def test_shared_weights_need_two_layers_without_bias():
    with pytest.raises(SettingError, match="must have two layers and no bias"):
        FirstLayer(Feedforward(Linear()), GradientDescent(0.1), shared=True)


# Adam


def test_adam_ends_at_the_sign_limit_and_not_at_theorem_one():
    """A plain torch loop; what Adam's ε = 1e-8 and 3000 steps leave is below a hundredth of the way."""
    x = torch.tensor(Digits().images().take((0,)).values.reshape(1, -1))
    weight = torch.nn.Parameter(0.1 * torch.tensor(RNG.standard_normal((64, 64))))
    start = weight.detach().numpy().copy()
    algorithm = torch.optim.Adam([weight], lr=1e-3)
    for _ in range(3000):
        algorithm.zero_grad()
        (0.5 * ((x @ weight.T - x) ** 2).sum()).backward()
        algorithm.step()
    example = x.numpy()[0]
    theorem = start + np.outer(example - start @ example, example) / (example @ example)
    way = np.linalg.norm(theorem - start)
    assert np.linalg.norm(weight.detach().numpy() - sign_limit(start, example)) < 0.01 * way
    assert np.linalg.norm(weight.detach().numpy() - theorem) > 0.1 * way


@pytest.mark.theorem("T4")
@pytest.mark.parametrize("rule", [GradientDescent(1.0), HeavyBall(1.0, 0.5)])
def test_descents_end_at_theorem_one_for_several_examples_too(rule):
    found = TheoremOne(rule, examples=(0, 1), seeds=(0, 1), steps=1000).run().numbers
    assert (found["distance"] <= found["budget"]).all()
    assert (np.asarray(found["budget"]) < 1e-9).all()
    assert (np.asarray(found["change"]) < 1e-9).all()


def test_a_descent_one_percent_from_theorem_one_disagrees():
    def planted(experiment, numbers):
        far = isinstance(experiment, TheoremOne) and experiment.optimizer.linear
        return {"distance": np.full(2, 0.01), "budget": np.full(2, 1e-12)} if far else {}

    found = verdicts("adam_against_theorem_one", planted)
    assert found["GD ends where theorem 1 says"] == found["momentum 0.9 ends where theorem 1 says"] == "disagrees"


# Depth


@pytest.mark.parametrize(("kernel", "depth"), [(3, 1), (3, 2), (3, 3), (5, 1), (5, 2)])
@pytest.mark.parametrize("side", [7, 8])
def test_the_flat_region_is_where_a_receptive_field_stays_inside(kernel, depth, side):
    """A convolution of ones counts the pixels it sees: inside the region all of them, one ring further out not."""
    counts = torch.ones(1, 1, side, side, dtype=torch.float64)
    for _ in range(depth):
        counts = torch.nn.functional.conv2d(
            counts, torch.ones(1, 1, kernel, kernel, dtype=torch.float64), padding="same"
        )
    full = counts[0, 0].numpy() == float(kernel ** (2 * depth))
    assert (flat_region(side, depth * (kernel // 2)) == full).all()


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("side", [8, 9, 28])
def test_the_layers_needed_are_the_least_that_leave_at_most_one_flat_pixel(kernel, side):
    """Slow: depth after depth until the flat region has one pixel or none."""
    depth = 1
    while flat_region(side, depth * (kernel // 2)).sum() > 1:
        depth += 1
    assert layers_needed(side, kernel) == depth


def test_no_output_that_is_flat_in_a_region_is_below_the_least_loss():
    picture, region = RNG.random((6, 6)), flat_region(6, 1)
    best = np.where(region, picture[region].mean(), picture)
    assert ((best - picture) ** 2).mean() == pytest.approx(least_loss(picture, region))
    for value in RNG.random(20):
        assert (np.where(region, value, picture) - picture).var() >= 0
        assert ((np.where(region, value, picture) - picture) ** 2).mean() >= least_loss(picture, region)


def test_rounding_of_a_deep_network_is_within_the_forward_bound():
    """Float32 against float64, entry by entry."""
    weights = [RNG.standard_normal((30, 30)) / 5 for _ in range(6)]
    weights = [weight.astype(np.float32).astype(float) for weight in weights]
    x = RNG.standard_normal(30).astype(np.float32).astype(float)
    exact, size, rounded = x, np.abs(x), x.astype(np.float32)
    for weight in weights:
        exact, size = np.maximum(weight @ exact, 0), np.abs(weight) @ size
        rounded = np.maximum(weight.astype(np.float32) @ rounded, 0)
    assert (np.abs(rounded - exact) <= forward_bound(6, 30, 2.0**-24, size)).all()


def test_the_forward_bound_is_near_where_every_product_is_rounded_the_same_way():
    """Chains of three single weights: one of 200 has at least a tenth of its bound."""
    weights = 1 + np.random.default_rng(1).random((200, 3)).astype(np.float32)
    exact, rounded = np.ones(200), np.ones(200, np.float32)
    for column in weights.T:
        exact, rounded = exact * column.astype(float), rounded * column
    shares = np.abs(rounded - exact) / forward_bound(3, 1, 2.0**-24, exact)
    assert 0.1 < shares.max() <= 1


@pytest.mark.parametrize(
    ("mode", "broken"), [("zeros", True), ("circular", False), ("reflect", False), ("replicate", False)]
)
def test_one_more_layer_breaks_the_flatness_only_with_zeros_outside(mode, broken):
    network = Feedforward(Conv(3, padding_mode=mode, bias=True), 3, 4)
    found = FlatCentre(network, HeavyBall(0.01, 0.9), seeds=(0, 1), steps=5).run().numbers
    assert (found["spread"] <= found["budget"]).all()
    assert ((found["edge"] > 1e6 * found["edge_budget"]) == broken).all()


def test_a_centre_that_is_not_flat_and_a_loss_below_the_least_disagree():
    def planted(experiment, numbers):
        return {"spread": np.asarray(numbers["budget"]) * 2, "loss": np.full(2, 1e-9)}

    found = verdicts("depth_bounds", planted)
    assert list(found.values())[:3] == ["disagrees"] * 3


def test_flat_centres_are_asked_of_plain_convolutions_only():
    with pytest.raises(SettingError, match="odd kernel_size, stride 1"):
        FlatCentre(Feedforward(Conv(4)), GradientDescent(0.1))


# Growth, residual connections, starts


def test_a_read_out_leaves_what_the_normal_equations_leave():
    channels, picture = RNG.random((3, 6, 6)), RNG.random((6, 6))
    basis = np.vstack([channels.reshape(3, -1), np.ones(36)])
    readout = (np.linalg.solve(basis @ basis.T, basis @ picture.ravel()) @ basis).reshape(6, 6)
    wanted = []
    for ring in range(3):
        pixels = [(i, j) for i in range(6) for j in range(6) if min(i, j, 5 - i, 5 - j) == ring]
        left = sum((picture[at] - readout[at]) ** 2 for at in pixels)
        wanted.append(left / sum((picture[at] - picture.mean()) ** 2 for at in pixels))
    assert left_by_ring(channels, picture) == pytest.approx(wanted)


def test_half_of_the_picture_is_there_between_the_layers_around_it():
    assert halfway([[1.0, 0.9, 0.3, 0.0], [1.0, 0.2, 0.1, 0.0]]) == pytest.approx([2 + 0.4 / 0.6, 1 + 0.5 / 0.8])


def test_a_picture_that_grows_late_and_from_the_border_replicates():
    """Layer by layer and ring by ring: the border in layer 10 of 16, the centre in layer 13."""
    study, scale = Study.kinds["growth_from_the_border"](), Scale()
    results = []
    for experiment in study.experiments(scale):
        depth = experiment.network.depth
        layers, rings, seeds = np.arange(1, depth + 1)[:, None], np.arange(7), np.arange(3)[:, None, None]
        left = 1 / (1 + np.exp((layers / depth - (0.6 + 0.03 * rings)) * 40)) + 0.01 * rings + 0.001 * seeds
        numbers = {f"constant {kind}": [0.9] * 3 for kind in experiment.probes}
        numbers |= {"unexplained": [0.0] * 3, "loss": [0.0] * 3}
        arrays = {"left": left, "started": np.ones_like(left), "seen": 1 - left.mean(axis=2)}
        results.append(Result(experiment, Outcome(numbers, arrays)))
    findings = study.account(scale, results).findings
    assert [finding.verdict for finding in findings] == ["replicates"] * 4


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_noise_is_what_least_squares_cannot_explain(scale):
    output, x, picture = RNG.random((3, 5, 5))
    basis = np.column_stack([x.ravel(), picture.ravel(), np.ones(25)])
    rest = np.linalg.lstsq(basis, scale * output.ravel(), rcond=None)[1].item()
    assert noise(scale * output, x, picture, 2).item() == pytest.approx(rest / 25)
    assert noise(2 * x - picture + 3, x, picture, 2).item() < 1e-25


def test_noise_that_is_a_tenth_is_removed_and_one_layer_has_it_exactly():
    def planted(share):
        def change(experiment, numbers):
            size = (share if experiment.network.residual else 1.0) * np.array([1.0, 1.01])
            return {"unexplained": [0.0, 0.0], "loss": [1e-20] * 2} | {
                f"noise {kind}": size for kind in experiment.probes
            }

        return change

    shares = (0.05, 1.0, 1 - 1e-6)  # the last moves the root by 5e-7, a loss of 1e-20 by 4e-10
    removed, kept, moved = (list(verdicts("residual_connections", planted(share)).values()) for share in shares)
    assert removed == ["disagrees", *["does not replicate"] * 4]
    assert kept == ["agrees", *["replicates"] * 4]
    assert moved == ["disagrees", *["replicates"] * 4]


def test_starts_that_end_alike_do_not_replicate_a_shift():
    def alike(experiment, numbers):
        near = experiment.network.start.kind == "near_identity"
        standing = {"identity": 0.99 if near else 0.3, "constant": 0.2}
        values = {
            f"{name} {kind}": np.array([value, value + 0.01])
            for name, value in standing.items()
            for kind in experiment.probes
        }
        return {"unexplained": [0.0, 0.0], **values}

    assert list(verdicts("initialisation", alike).values()) == ["does not replicate", "replicates", "replicates"]
