"""Thousands of one-layer networks, each trained from its own start, as a sample of a random variable."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from empirical.batch import Stop
from empirical.device import import_torch
from empirical.ensemble import Ensemble, check_optimizer, train_ensemble
from empirical.experiment import Experiment, Outcome
from empirical.networks import Feedforward
from empirical.probes import at_cosine
from empirical.relative_rate import with_relative_rate
from empirical.similarity import correlation, cosine
from empirical.sources import Digits, Source
from empirical.views import VIEWS, show
from numerics.arrays import Float
from numerics.predictor import Predictor
from theory.component import one_of
from theory.errors import SettingError
from theory.layers import Layer, Linear, check_whole
from theory.optimizers import GradientDescent, Optimizer
from theory.setting import Setting
from theory.starts import Start, TorchDefault

NUMBERS_AT_ONCE = 2**23  # weights of the networks that are trained side by side: 64 MiB, and a few times that in all


@dataclass(frozen=True)
class SampleNetworks(Experiment):
    r"""One linear layer trained towards the identity on one image, from many independent starts, without autograd.

    Its arrays are (steps, tests, networks): ``error``, :math:`\|f(x) - x\|^2`; ``cosine x`` and ``cosine constant``, the
    cosine of the output with the input and with the training image; ``correlation x`` and ``correlation constant``, the
    same by Pearson (the last four only for layers with one output column). Its number: ``notes``.

    Args:
        layer: The layer.
        start: Where each begins.
        optimizer: A descent, its learning rate in units of 1/s_max.
        source: The images.
        example: The one that is trained on.
        view: How images are shown; see ``empirical.views``.
        tests: Which images are tested on.
        cosines: Instead of those, the training image turned to these cosines, in random directions.
        steps: At which the networks are looked at; the last ends the training.
        count: How many networks.
        seed: The first of their seeds; also that of the directions.

    Example:
        >>> run = SampleNetworks(count=3, steps=(0, 5), tests=(1, 2)).run()
        >>> run.arrays["error"].shape
        (2, 2, 3)
    """

    layer: Layer = Linear()
    start: Start = TorchDefault()
    optimizer: Optimizer = GradientDescent(0.5)
    source: Source = Digits()
    example: int = 0
    view: str = "plain"
    tests: tuple[int, ...] = (1, 2, 3)
    cosines: tuple[float, ...] = ()
    steps: tuple[int, ...] = (1, 50)
    count: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        check_optimizer(self.optimizer)
        one_of("view", self.view, VIEWS)
        check_whole("count", self.count, 2)
        check_whole("seed", self.seed, 0)
        for step in self.steps:
            check_whole("steps", step, 0)
        if not self.steps or list(self.steps) != sorted(set(self.steps)):
            message = f"steps must be ascending numbers of steps, but they are {self.steps}. Sort them."
            raise SettingError(message)

    def quick(self) -> Self:
        """Ten networks."""
        return self.with_values(count=min(self.count, 10))

    def shown(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The training image and the test images, as the layer takes them.

        Raises:
            SettingError: If a test image is the training image.
        """
        images = self.source.images().values
        chosen = [index % len(images) for index in self.tests]  # small sets begin again
        if self.example in chosen and not self.cosines:
            message = (
                f"tests must be other images than the example, {self.example}, but they are {chosen}. Pass more images."
            )
            raise SettingError(message)
        train, test = images[[self.example]], images[chosen]
        if self.cosines:
            rng = np.random.default_rng(self.seed)
            test = np.array([at_cosine(train[0], rng.standard_normal(train[0].shape), rho) for rho in self.cosines])
        train, test = show(self.view, train, test)
        return self.layer.arrange(train), self.layer.arrange(test)

    def predictor(self) -> Predictor:
        """The closed form of these networks, whose laws and means do not depend on the one start that it draws."""
        inputs, _ = self.shown()
        return Predictor(with_relative_rate(Setting(self.layer, self.optimizer, start=self.start), inputs), inputs)

    def run(self, device: str = "cpu") -> Outcome:
        """Trains the networks, and looks at their outputs on the way."""
        inputs, tests = self.shown()
        wanted = self.layer.identity_values(tests, np)
        constant = self.layer.identity_values(inputs, np)[0]
        ensemble = self.train(inputs, tests, device)
        samples: dict[str, list[Float]] = {}
        for step in self.steps:
            outputs = np.concatenate([value for at, _, value in ensemble.records if at == step])
            for name, values in statistics(outputs, wanted, constant).items():
                samples.setdefault(name, []).append(values.T)
        return Outcome({"notes": ensemble.notes}, {name: np.array(values) for name, values in samples.items()})

    def train(self, inputs: Any, tests: Any, device: str) -> Ensemble:
        """The trained networks; their records are the outputs on the tests."""
        torch = import_torch()
        optimizer, network = self.predictor().setting.optimizer, Feedforward(self.layer, start=self.start)
        targets = self.layer.identity_values(inputs, np)
        channels = targets.shape[1]

        def outputs(_step: int, _members: list[int], forward: Any) -> NDArray[Any]:
            shown = torch.as_tensor(tests, dtype=torch.float64, device=device)
            return forward(shown).cpu().numpy()  # type: ignore[no-any-return]

        return train_ensemble(
            network,
            inputs,
            targets,
            seeds=range(self.seed, self.seed + self.count),
            optimizer=optimizer,
            stop=Stop(self.steps[-1], every=max(self.steps[-1], 1)),
            record=self.steps,
            observe=outputs,
            device=device,
            dtype="float64",
            batch=min(self.count, max(1, NUMBERS_AT_ONCE // network.size(inputs.shape[1:], channels))),
        )


def statistics(outputs: Any, wanted: Any, constant: Any) -> dict[str, Float]:
    """What is looked at in outputs (K, N, *output shape), each (K, N)."""
    axes = wanted.ndim - 1
    found = {"error": ((outputs - wanted) ** 2).reshape((*outputs.shape[:2], -1)).sum(axis=-1)}
    if axes == 1:
        found |= {
            f"{name} {whose}": of(outputs, other, axes)
            for name, of in (("cosine", cosine), ("correlation", correlation))
            for whose, other in (("x", wanted), ("constant", constant))
        }
    return found
