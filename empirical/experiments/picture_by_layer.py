"""How much of the training picture is in each layer when a network looks at something else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from empirical.backends import layer_by_layer
from empirical.device import few_threads, full_precision, import_torch
from empirical.ensemble import Ensemble
from empirical.experiments.train_networks import TrainNetworks
from empirical.networks import draw_stack
from empirical.similarity import correlation


@dataclass(frozen=True)
class PictureByLayer(TrainNetworks):
    r"""As ``TrainNetworks``, for convolutional networks; it also shows them a white picture, layer by layer.

    Of each layer (after its activation) the training picture is read out by least squares from the channels and a constant;
    what is left of it, ring by ring from the border inwards, says where the layer has it:
    :math:`\sum_{ring}(\hat x - r)^2/\sum_{ring}(\hat x - \bar x)^2`, 0 where the picture is there, about 1 where nothing is.

    Its further arrays: ``left``, (seeds, layers, rings); ``started``, the same before training; ``white`` and ``other``, for
    a white picture and another image, what the first network has in each layer: the map of the root mean square over the
    channels, (layers, s, s); ``seen``, the Pearson correlation of the map for a white picture with the training picture,
    (seeds, layers), 0 where it is flat. ``picture`` is the training picture, (s, s).
    """

    def look(self, ensemble: Ensemble, images: Any) -> dict[str, NDArray[Any]]:
        """The read-outs after and before training, and the pictures."""
        picture = images[0, 0]
        other = self.source.images().take(((self.examples[0] + 1) % len(self.source.images().values),)).values
        drawn = draw_stack(self.network, self.seeds, ensemble.input_shape, ensemble.channels)
        trained, started = (
            self._layers(ensemble, parameters, np.concatenate([np.ones_like(images[:1]), other]))
            for parameters in (ensemble.parameters, drawn)
        )
        maps = np.array([np.sqrt((layer**2).mean(axis=2)) for layer in trained])  # (layers, 2, seeds, s, s)
        return {
            "left": _left(trained, picture),
            "started": _left(started, picture),
            "seen": np.nan_to_num(correlation(maps[:, 0], picture, 2)).T,
            "white": maps[:, 0, 0],
            "other": maps[:, 1, 0],
            "picture": picture,
        }

    def _layers(self, ensemble: Ensemble, parameters: list[Any], x: Any) -> list[NDArray[np.float64]]:
        """What each layer makes of x in float64, activations included, (N, K, channels, s, s) each."""
        torch = import_torch()
        forward = layer_by_layer(self.network, ensemble.input_shape, ensemble.channels)
        with torch.no_grad(), full_precision(), few_threads(0):
            stacked = [torch.tensor(np.nan_to_num(value), dtype=torch.float64) for value in parameters]
            _, seen = forward(stacked, torch.tensor(x, dtype=torch.float64))
        hidden = seen[:-1] if getattr(self.network, "activation", "") == "relu" else []
        return [np.maximum(layer.numpy(), 0.0) for layer in hidden] + [layer.numpy() for layer in seen[len(hidden) :]]


def _left(layers: list[Any], picture: Any) -> NDArray[np.float64]:
    """What read-outs from the first input leave, (K, layers, rings)."""
    return np.array([[left_by_ring(channels, picture) for channels in layer[0]] for layer in layers]).swapaxes(0, 1)


def left_by_ring(channels: Any, picture: Any) -> NDArray[np.float64]:
    r"""What the best read-out :math:`r = \sum_c a_c h_c + b` of a picture leaves of it in each ring of pixels around the border.

    Args:
        channels: :math:`h`, (C, s, s).
        picture: (s, s).

    Returns:
        :math:`\sum_{ring}(x - r)^2/\sum_{ring}(x - \bar x)^2`, the border first; NaN for a ring that is grey as the mean.

    Example:
        >>> picture = np.arange(16.0).reshape(4, 4)
        >>> left_by_ring(picture[None], picture).round(12).tolist(), left_by_ring(np.ones((1, 4, 4)), picture).round(12).tolist()
        ([0.0, 0.0], [1.0, 1.0])
    """
    channels, picture = np.asarray(channels, dtype=float), np.asarray(picture, dtype=float)
    flat = np.column_stack([channels.reshape(len(channels), -1).T, np.ones(picture.size)])
    sizes = np.linalg.norm(flat, axis=0)
    flat = flat / np.where(sizes > 0, sizes, 1.0)  # so that deep layers, which are small, are not taken for rounding
    weights = np.linalg.lstsq(flat, picture.ravel(), rcond=1e-6)[0]
    errors = (picture.ravel() - flat @ weights).reshape(picture.shape) ** 2
    spread = (picture - picture.mean()) ** 2
    place = np.minimum(np.arange(len(picture)), np.arange(len(picture))[::-1])
    ring = np.minimum.outer(place, place)
    left, all_of_it = (np.bincount(ring.ravel(), weights=values.ravel()) for values in (errors, spread))
    return np.asarray(np.divide(left, all_of_it, out=np.full(left.shape, np.nan), where=all_of_it > 0))
