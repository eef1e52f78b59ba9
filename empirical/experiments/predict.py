"""The closed form as an experiment: loss and error of a setting on images, without training."""

from dataclasses import dataclass

import numpy as np

from empirical.experiment import Experiment, Outcome
from empirical.sources import Digits, Source
from numerics.predictor import Predictor
from theory.component import check_number
from theory.layers import Layer, check_whole
from theory.optimizers import Optimizer
from theory.setting import Setting
from theory.starts import Start, TorchDefault
from theory.targets import Identity, Target


@dataclass(frozen=True)
class Predict(Experiment):
    """What the closed form says of a setting on images.

    Its numbers: ``training_loss`` at each time; ``test_error``, the mean of ‖f(x) − target(x)‖² over the test images at each
    time; ``rank``, that of the features, the largest of all blocks. Its array ``errors`` is (times, test images).

    Args:
        layer: The layer.
        optimizer: An optimiser that is linear in the weights.
        target: What it is trained towards.
        start: Where it starts.
        source: The images.
        loss: "half_sum" or "mse".
        weight_decay: μ.
        train: Which images are trained on.
        test: Which images are tested on.
        times: Flow times or step counts; ``inf`` is the limit.
        seed: Of the start.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientFlow
        >>> outcome = Predict(Linear(), GradientFlow(), times=(0.0, float("inf"))).run()
        >>> outcome.numbers["rank"], round(outcome.numbers["training_loss"][-1], 12)     # one image is learned, whatever the start
        (1, 0.0)
    """

    layer: Layer
    optimizer: Optimizer
    target: Target = Identity()
    start: Start = TorchDefault()
    source: Source = Digits()
    loss: str = "half_sum"
    weight_decay: float = 0.0
    train: tuple[int, ...] = (0,)
    test: tuple[int, ...] = (1, 2, 3)
    times: tuple[float, ...] = (0.0, 10.0, float("inf"))
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("seed", self.seed, 0)
        for time in self.times:
            if time != float("inf"):
                check_number("times", time, at_least=0)
        _ = self.setting

    @property
    def setting(self) -> Setting:
        """The setting that its fields make."""
        return Setting(self.layer, self.optimizer, self.target, self.loss, self.weight_decay, self.start)

    def run(self, device: str = "cpu") -> Outcome:
        """Evaluates the closed form, by numpy on any device.

        Raises:
            SettingError: If the data do not fit, or the optimiser has no closed form or diverges.
        """
        images = self.source.images()
        train, test = (self.layer.arrange(images.take(chosen).values) for chosen in (self.train, self.test))
        predictor = Predictor(self.setting, train, seed=self.seed)
        times, errors = list(self.times), np.asarray(predictor.error(test, list(self.times)))
        numbers = {
            "training_loss": predictor.loss(times).tolist(),
            "test_error": errors.mean(axis=1).tolist(),
            "rank": int(max(predictor.spectrum.ranks)),
        }
        return Outcome(numbers, {"errors": errors})
