"""Many independent copies of a layer computed at once: inputs (N, K, *shape) and weights (K, *weight shape), copy by copy.

Each is the counterpart of torch's own module, and tested against it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from empirical.modules import pad

CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)


class LinearStack:
    """Copies of ``torch.nn.Linear``: one batched matrix product."""

    def __call__(self, x: Any, weight: Any, bias: Any | None) -> Any:
        """(N, K, inputs) to (N, K, outputs)."""
        outputs = torch.bmm(x.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)
        return outputs if bias is None else outputs + bias


class ConvStack:
    """Copies of ``torch.nn.Conv*d``: one convolution with a group for each copy and group.

    Args:
        stride: Of each axis.
        dilation: Of each axis.
        groups: Groups of one copy.
        pads: Pixels (before, after) of each axis.
        padding_mode: What lies outside.
    """

    def __init__(
        self,
        stride: Sequence[int],
        dilation: Sequence[int],
        groups: int,
        pads: Sequence[tuple[int, int]],
        padding_mode: str,
    ) -> None:
        self.stride, self.dilation, self.groups = tuple(stride), tuple(dilation), groups
        self.pads, self.padding_mode = tuple(pads), padding_mode
        # Torch pads with zeros itself, without a copy, where both sides are alike.
        self.itself = padding_mode == "zeros" and all(before == after for before, after in self.pads)

    def __call__(self, x: Any, weight: Any, bias: Any | None) -> Any:
        """(N, K, C, *spatial) to (N, K, outputs, *positions)."""
        count, copies = x.shape[:2]
        flat = x.flatten(1, 2)
        if not self.itself:
            flat = pad(flat, self.pads, self.padding_mode)
        outputs = CONVOLUTIONS[len(self.pads) - 1](
            flat,
            weight.flatten(0, 1),
            None if bias is None else bias.flatten(),
            self.stride,
            [before for before, _ in self.pads] if self.itself else 0,
            self.dilation,
            copies * self.groups,
        )
        return outputs.reshape((count, copies, -1, *outputs.shape[2:]))
