"""Training as an experiment: the seeds of one network on some images, and what they make of the probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from empirical.batch import Stop
from empirical.ensemble import Ensemble, check_optimizer, train_ensemble
from empirical.experiment import Experiment, Outcome
from empirical.networks import Network
from empirical.probes import PROBES, probes
from empirical.similarity import standing
from empirical.sources import Digits, Source
from theory.component import one_of
from theory.errors import SettingError
from theory.layers import check_whole
from theory.optimizers import Optimizer
from theory.targets import Identity, Target

UNLEARNED = 0.05  # share of the squares of the targets that a network may leave and still count as trained


@dataclass(frozen=True)
class TrainNetworks(Experiment):
    r"""Networks trained on a few images, and where they stand between the identity and the constant on each kind of probe.

    Its numbers, one for each seed: ``steps``, ``loss`` and ``reason`` of the end of training; ``unexplained``, the share
    of the targets' mean square that is left, :math:`\|f(x) - y\|^2/\|y\|^2`; and for each probe kind
    ``identity KIND`` and ``constant KIND``, the mean Pearson correlation of the output with the input and with the first
    training image, ``identity_mse KIND`` and ``constant_mse KIND``, and ``noise KIND``, the mean square of what is
    neither of the two (:func:`empirical.similarity.noise`). A flat output correlates with nothing, which counts as 0; a
    network that diverged, or whose outputs are not finite, has None. ``parameters`` is the size of one network, ``notes``
    what was done differently. Its arrays: ``KIND``, the first probe and the outputs of all seeds for it,
    (1 + seeds, C, *spatial).

    Args:
        network: Which network.
        optimizer: A descent, or Adam.
        source: The images.
        examples: Which of them are trained on.
        seeds: One network for each.
        steps: At most so many.
        stop_loss: Training ends at this loss; 0 never does.
        plateau: Training ends when the loss has not fallen by 1 % in so many steps; 0 never does.
        target: What it is trained towards.
        loss: "mse" or "half_sum".
        weight_decay: Torch's.
        probes: Kinds of probes; see ``empirical.probes``.
        probe_count: Probes of each kind.
        others: Real images of another set, for the probe "real".
        dtype: "float32" or "float64".
        backend: "auto", "grouped", "vmap" or "loop".
        compiled: Whether torch compiles the gradient.
        tf32: Whether a GPU may use TF32.

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import GradientDescent
        >>> from empirical.networks import Feedforward
        >>> run = TrainNetworks(Feedforward(Linear()), GradientDescent(0.01), seeds=(0,), steps=400, stop_loss=1e-8, loss="half_sum")
        >>> run.run().numbers["reason"]
        ('loss',)
    """

    network: Network
    optimizer: Optimizer
    source: Source = Digits()
    examples: tuple[int, ...] = (0,)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 1000
    stop_loss: float = 0.0
    plateau: int = 0
    target: Target = Identity()
    loss: str = "mse"
    weight_decay: float = 0.0
    probes: tuple[str, ...] = ("digits", "noise")
    probe_count: int = 20
    others: Source | None = None
    dtype: str = "float32"
    backend: str = "auto"
    compiled: bool = False
    tf32: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            message = f"network must be a Network, but it is {self.network!r}. Pass one, such as Feedforward(Linear())."
            raise SettingError(message)
        check_optimizer(self.optimizer)
        for kind in self.probes:
            one_of("probe", kind, PROBES)
        check_whole("probe_count", self.probe_count, 1)
        for seed in self.seeds:
            check_whole("seed", seed, 0)
        _ = self.stop

    @property
    def stop(self) -> Stop:
        """When training ends."""
        return Stop(self.steps, self.stop_loss or None, self.plateau or None)

    def fingerprint(self) -> str:
        """The hash of the images."""
        return self.source.fingerprint() + ("" if self.others is None else self.others.fingerprint())

    def quick(self) -> Self:
        """Ten steps of two networks, and two probes of each kind."""
        return self.with_values(steps=min(self.steps, 10), seeds=self.seeds[:2], probe_count=min(self.probe_count, 2))

    def run(self, device: str = "cpu") -> Outcome:
        """Trains, then looks at the probes."""
        images = self.source.images()
        chosen = images.take(self.examples).values
        ensemble = self.train(chosen, device)
        numbers, arrays = self.ending(ensemble, chosen) | self.about(ensemble, chosen), {}
        for kind, shown in self.shown(np.delete(images.values, self.examples, axis=0), chosen).items():
            outputs = self.outputs(ensemble, shown)
            whole = ~ensemble.diverged & np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)
            for name, values in self.measures(outputs, shown, chosen).items():
                means = np.nan_to_num(values, nan=0.0, posinf=np.inf).mean(axis=1)  # NaN: a flat output
                numbers[f"{name} {kind}"] = np.where(whole, means, np.nan)
            arrays[kind] = np.concatenate([shown[:1], outputs[:, 0]]).astype(np.float32)
        return Outcome(numbers, arrays | self.look(ensemble, chosen))

    def look(self, ensemble: Ensemble, images: Any) -> dict[str, NDArray[Any]]:
        """Arrays that a subclass wants besides, from the trained networks and the images (N, C, *spatial) they were trained on."""
        return {}

    def ending(self, ensemble: Ensemble, images: Any) -> dict[str, Any]:
        """How the training on images (N, C, *spatial) ended: the numbers that do not depend on probes."""
        return {
            "steps": ensemble.steps,
            "loss": ensemble.losses,
            "reason": ensemble.reasons,
            "unexplained": self.unexplained(ensemble, images),
            "parameters": ensemble.network.size(ensemble.input_shape, ensemble.channels),
            "notes": ensemble.notes,
        }

    def about(self, ensemble: Ensemble, examples: Any) -> dict[str, Any]:
        """More numbers of the trained networks, for subclasses."""
        return {}

    def shown(self, images: Any, examples: Any) -> dict[str, Any]:
        """The probes of each kind, made of images that the networks have not seen and of the first training image."""
        other = None if self.others is None else self.others.images().values
        return {kind: probes(kind, self.probe_count, images, examples[0], others=other) for kind in self.probes}

    def measures(self, outputs: Any, shown: Any, examples: Any) -> dict[str, Any]:
        """What is measured of the outputs (seeds, N, ...) for probes (N, ...), by name, (seeds, N) each."""
        return standing(outputs, shown, examples[0], shown.ndim - 1)._asdict()

    def train(self, images: Any, device: str, **more: Any) -> Ensemble:
        """Trains on images (N, C, *spatial)."""
        layer = self.network.layer
        x = layer.arrange(images)
        y = self.target.resolve(x).values(layer, x, np)
        return train_ensemble(
            self.network,
            x,
            y,
            seeds=self.seeds,
            optimizer=self.optimizer,
            stop=self.stop,
            loss=self.loss,
            weight_decay=self.weight_decay,
            device=device,
            dtype=self.dtype,
            backend_name=self.backend,
            compiled=self.compiled,
            tf32=self.tf32,
            **more,
        )

    def unexplained(self, ensemble: Ensemble, images: Any) -> Any:
        """The share of the targets' mean square that is left after training, (seeds,)."""
        x = self.network.layer.arrange(images)
        y = self.target.resolve(x).values(self.network.layer, x, np)
        left = ensemble.outputs(x).astype(float) - y
        return (left**2).reshape(len(left), -1).sum(axis=1) / (y**2).sum()

    def outputs(self, ensemble: Ensemble, images: Any) -> Any:
        """What the networks make of images (N, C, *spatial), in the images' shape where the outputs are as large."""
        outputs = ensemble.outputs(self.network.layer.arrange(images))
        same = outputs[0, 0].size == images[0].size
        return outputs.reshape((len(outputs), *images.shape)) if same else outputs


def per_seed(results: Sequence[Any], name: str) -> NDArray[np.float64]:
    """A number of several results, (results, seeds); None as NaN."""
    return np.array([result.outcome.numbers[name] for result in results], dtype=float)


def mean_over(results: Sequence[Any], name: str, kinds: Sequence[str]) -> NDArray[np.float64]:
    """The mean of "identity", "constant", "identity_mse" or "constant_mse" over kinds of probes, (results, seeds).

    NaN for a network that has not learned its own examples: which other map it learned is no question then.
    """
    known = [f"{name} {kind}" for kind in kinds if f"{name} {kind}" in results[0].outcome.numbers]
    means = np.mean([per_seed(results, key) for key in known], axis=0)
    return np.where(per_seed(results, "unexplained") <= UNLEARNED, means, np.nan)


def unlearned(results: Sequence[Any]) -> list[str]:
    """A note that says how many networks are left out because they have not learned their examples, if any."""
    left = ~(per_seed(results, "unexplained") <= UNLEARNED)
    if not left.any():
        return []
    return [
        f"{left.sum()} of {left.size} networks have not learned their examples ({UNLEARNED:.0%} of the squares left) and are left out"
    ]
