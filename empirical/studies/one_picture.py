"""What the studies of deep networks on one picture share: the protocol, and the means that their tables show."""

from collections.abc import Sequence
from typing import Any, TypeVar

from empirical.experiments.train_networks import TrainNetworks, mean_over, per_seed
from empirical.networks import Feedforward, Network
from empirical.probes import CLASSES, kinds
from empirical.studies.samples import mean
from empirical.studies.study import Result, Scale
from theory.layers import Conv
from theory.optimizers import HeavyBall
from theory.starts import Xavier

E = TypeVar("E", bound=TrainNetworks)
COLUMNS = ("identity", "constant", "identity, natural", "constant, natural", "steps", "loss")


def relu_cnn(depth: int, channels: int, kernel_size: int = 5) -> Feedforward:
    """A ReLU CNN without biases, from a Xavier start.

    Example:
        >>> relu_cnn(3, 16, 5).size((1, 14, 14), 1)   # 25·(16 + 16·16 + 16)
        7200
    """
    return Feedforward(Conv(kernel_size), depth=depth, width=channels if depth > 1 else None, start=Xavier())


def on_one_picture(
    scale: Scale,
    network: Network,
    size: int | None,
    kind: type[E] = TrainNetworks,  # type: ignore[assignment]
    **more: Any,
) -> E:
    """A network trained on the scale's picture, resized: mean squared error, momentum 0.9 at rate 0.01, to a loss of 1e-4."""
    fields: dict[str, Any] = {
        "source": scale.images(size),
        "examples": (scale.example,),
        "seeds": scale.seeds(3),
        "steps": scale.pick(5000, 10000),
        "stop_loss": 1e-4,
        "probes": kinds(),
        "probe_count": scale.pick(20, 50),
    }
    return kind(network, HeavyBall(0.01, 0.9), **fields | more)


def standings(results: Sequence[Result]) -> list[tuple[float, ...]]:
    """For each result the means over seeds that ``COLUMNS`` names."""
    natural = CLASSES["natural"]
    columns = [
        *(
            mean(mean_over(results, name, chosen), axis=1)
            for chosen in (kinds(), natural)
            for name in ("identity", "constant")
        ),
        *(mean(per_seed(results, name), axis=1) for name in ("steps", "loss")),
    ]
    return list(zip(*columns, strict=True))
