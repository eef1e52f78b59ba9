"""From steps of a descent to the time of the gradient flow that it follows."""

import math

from theory.errors import SettingError
from theory.layers import check_whole
from theory.setting import Setting


def time_from_steps(setting: Setting, steps: float, columns: int | None = None, outputs: int | None = None) -> float:
    r"""The half-sum flow time that a number of steps approximates at a small learning rate and fixed momentum.

    :math:`t = c\,k\,\eta` for gradient descent and :math:`t = c\,k\,\eta/(1 - \beta)` for the heavy ball: momentum makes
    every gradient count :math:`1/(1 - \beta)` times. With a schedule :math:`t = c\,\eta\sum_{j<k} m_j`; accelerated descent follows
    Nesterov's flow at :math:`t = k\sqrt{c\,\eta}`, an average the averaged flow.
    The flow is :math:`\dot W = -(W\Phi - Y)\Phi^\top`, whatever the
    setting's loss: c is 1 for "half_sum" and :math:`2/(qM)` for "mse".

    Args:
        setting: A setting with a descent.
        steps: k.
        columns: M, examples × output positions; only "mse" needs it.
        outputs: q, output channels; only "mse" needs it.

    Raises:
        SettingError: If the optimiser is a flow or not linear, "mse" comes without columns and outputs, or with weight
            decay (which does not scale with c, so that no half-sum time exists).

    Example:
        >>> from theory.layers import Linear
        >>> from theory.optimizers import HeavyBall
        >>> round(time_from_steps(Setting(Linear(), HeavyBall(0.01, 0.9)), 100), 12)
        10.0
    """
    check_whole("steps", steps, 0)
    own = setting.optimizer.rule.flow_time(steps)
    if setting.loss == "half_sum":
        return own
    for name, value in (("columns", columns), ("outputs", outputs)):
        if value is None:
            message = f"{name} must be given with loss {setting.loss!r}, whose scale is 2/(outputs·columns), but it is None. Pass it."
            raise SettingError(message)
        check_whole(name, value, 1)
    if setting.weight_decay > 0:
        message = (
            f"weight_decay must be 0 for a half-sum time with loss {setting.loss!r}, but it is {setting.weight_decay:g}: "
            f"decay does not scale with the loss. Use the loss's own time, {own:g}."
        )
        raise SettingError(message)
    scale = setting.loss_scale(int(columns or 1) * int(outputs or 1))
    return (scale if setting.optimizer.rule.time_order == 1 else math.sqrt(scale)) * own
