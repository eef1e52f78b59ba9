"""Any loss or nonlinearity: the slope of the loss in the layer's outputs, given as a function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numerics.arrays import Float
from numerics.problem import Problem
from theory.errors import SettingError

Function = Callable[[Float, Float], Any]


@dataclass(frozen=True)
class Slope:
    """The gradient of a loss in the outputs, on columns.

    Attributes:
        problem: The problem; its own loss is not used.
        function: Outputs (N, *output shape) and targets to the gradient of the whole loss in the outputs.
    """

    problem: Problem
    function: Function

    def __call__(self, columns: Float) -> Float:
        """From the outputs WΦ, (blocks, q, M), to the slope, likewise.

        Raises:
            SettingError: If the function does not return finite real numbers in the shape of the outputs.
        """
        layer = self.problem.setting.layer
        outputs = layer.from_columns(columns, self.problem.input_shape, np)
        offset = self.problem.offset(self.problem.inputs)
        outputs = outputs if offset is None else outputs + offset
        found = self.function(outputs, self.problem.targets)
        found = np.asarray(found.detach().cpu().numpy() if hasattr(found, "detach") else found)
        if found.shape != outputs.shape or found.dtype.kind not in "fiub":
            message = (
                f"slope must return real numbers in the shape of the outputs, {outputs.shape}, but it returned {found.dtype} of "
                f"shape {found.shape}. Return the gradient of the loss in each output."
            )
            raise SettingError(message)
        if not np.isfinite(found).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(found))[0])
            message = (
                f"slope must return finite numbers, but entry {where} is {found[where]} where the output is "
                f"{outputs[where]:.6g}. Write it so that it does not overflow."
            )
            raise SettingError(message)
        slope: Float = layer.to_columns(found.astype(np.float64), np)
        return slope
