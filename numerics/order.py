"""The order of a discretisation: how nearly half the learning rate halves the distance of gradient descent from its flow."""

import numpy as np

from numerics.arrays import Float
from theory.errors import SettingError


def halving_bound(rate: Float, steps: int) -> Float:
    r"""How far two gaps at half the learning rate can be from one at the whole, in one mode.

    With the gaps :math:`D(\eta) = e^{-xk} - (1 - x)^k` and :math:`D(\eta/2) = e^{-xk} - (1 - x/2)^{2k}`, :math:`x = \eta s`:

    .. math::
        |D(\eta) - 2D(\eta/2)| \le \tfrac14 e^{-xk}\Big[\tfrac{2kx^3}{3(1 - x)^3} + \tfrac{k^2x^4}{4(1 - x)^4}\Big] ,

    a share of :math:`O(x + kx^2)` of the gap itself, which is about :math:`e^{-xk}kx^2/2`.

    Args:
        rate: :math:`x`, learning rate times eigenvalue, of each mode; at least 0 and below 1.
        steps: :math:`k`, at the whole learning rate.

    Returns:
        The bound, in units of the initial error of the mode.

    Raises:
        SettingError: If a rate is not below 1.

    Source:
        :math:`f(h) = (1 - hx)^{k/h} = e^{k\varphi(h)}` has :math:`|f(0) - 2f(\tfrac12) + f(1)| \le \tfrac14\max|f''|`; the series
        of :math:`\varphi = \ln(1 - hx)/h` gives :math:`|\varphi'| \le \tfrac{x^2}{2}(1 - x)^{-2}`,
        :math:`|\varphi''| \le \tfrac{2x^3}{3}(1 - x)^{-3}`, and :math:`f \le e^{-xk}`.

    Example:
        >>> halving_bound(np.array([0.0, 0.5]), 2).round(3).tolist()    # e⁻¹ - 1/4 and e⁻¹ - 81/256: the difference is 0.015
        [0.0, 0.215]
    """
    if (rate >= 1).any():
        message = f"rate must be below 1 for a bound, but it is {float(rate.max()):g}. Lower the learning rate."
        raise SettingError(message)
    left = 1 - rate
    curvature = 2 * steps * rate**3 / (3 * left**3) + steps**2 * rate**4 / (4 * left**4)
    return np.asarray(np.exp(-rate * steps) * curvature / 4)
