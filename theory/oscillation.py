r"""The residuals of flows of second order, evaluated without cancellation and without overflow.

Written for numpy and torch alike, in elementary functions: neither has Bessel functions that the other has too.
"""

import math
from typing import Any

Array = Any

NODES = 16  # of each sign; Gauss's rule with 32 nodes integrates cos(zx) to 1e-18 for z up to SWITCH
SWITCH = 25.0
TERMS = 18  # of Hankel's expansion: the first one left out is below 1e-16 of the first from SWITCH on
_ANGLES = [math.pi * j / (2 * NODES + 1) for j in range(1, NODES + 1)]
_GAUSS = [(math.cos(angle), 4 / (2 * NODES + 1) * math.sin(angle) ** 2) for angle in _ANGLES]


def bessel_response(xp: Any, z: Array) -> tuple[Array, Array]:
    r"""The residual :math:`g = 2J_1(z)/z` and the progress :math:`1 - g`, for z ≥ 0.

    Early, Poisson's integral :math:`g = \tfrac2\pi\int_{-1}^1 \sqrt{1 - x^2}\cos(zx)\,dx` by Gauss's rule for that weight,
    whose weights are positive and add up to 1; so :math:`1 - g` is a sum of squares of sines. Late, Hankel's expansion.

    Args:
        xp: The array namespace.
        z: :math:`\sqrt s\,t`.

    Returns:
        g with an absolute error of a few units in the last place of 1 (early) or of its envelope (late) beyond that of z;
        1 - g with a relative one.

    Source: DLMF 10.9.4, 3.5(v) and 10.17.3.

    Example:
        >>> import numpy as np
        >>> [round(float(value), 14) for value in bessel_response(np, np.array([0.0, 1.0, 100.0]))[0]]
        [1.0, 0.88010117148987, -0.00154290704028]
    """
    early = xp.clip(z, 0, SWITCH)
    near, gone = 0 * z, 0 * z
    for node, weight in _GAUSS:
        near = near + weight * xp.cos(node * early)
        gone = gone + 2 * weight * xp.sin(node * early / 2) ** 2
    late = xp.where(z > SWITCH, z, SWITCH + 0 * z)
    even, odd, term = xp.ones_like(late), xp.zeros_like(late), xp.ones_like(late)
    for n in range(1, TERMS):
        # a_n = a_{n-1} (4 - (2n - 1)²)/(8n); the signs go + + - - through both sums.
        term = term * ((4 - (2 * n - 1) ** 2) / (8 * n)) / late
        signed = term if n % 4 < 2 else -term
        even, odd = (even + signed, odd) if n % 2 == 0 else (even, odd + signed)
    sine, cosine = xp.sin(late), xp.cos(late)
    # J_1 = √(2/πz) (even·cos χ - odd·sin χ) with χ = z - 3π/4.
    wave = even * (sine - cosine) + odd * (sine + cosine)
    far = 2 / (late * xp.sqrt(math.pi * late)) * wave
    return xp.where(z > SWITCH, far, near), xp.where(z > SWITCH, 1 - far, gone)


def damped_response(xp: Any, s: Array, t: Array, friction: float) -> tuple[Array, Array]:
    r"""The residual of :math:`\ddot u + \gamma\dot u + su = 0` from rest at 1, and the progress.

    With :math:`\psi(y) = 1 - (1 - e^{-y})/y`, :math:`E(p) = 1 - (1 + p)e^{-p}` and :math:`\omega = \sqrt{\gamma^2/4 - s}`,

    .. math::
        1 - g &= E(at) + e^{-at}\,at\,\psi(2\omega t), \qquad a = s/(\gamma/2 + \omega), \quad s \le \gamma^2/4, \\
        1 - g &= E(p) + e^{-p}\big[2\sin^2(\theta/2) + p(1 - \sin\theta/\theta)\big], \qquad p = \gamma t/2, \quad
        \theta = \sqrt{s - \gamma^2/4}\,t,

    where no two terms have different signs.

    Example:
        >>> import numpy as np      # a double root: (1 + t) e^{-t}
        >>> float(damped_response(np, np.array(1.0), np.array(3.0), 2.0)[0] * np.exp(3.0))
        4.0
    """
    s, t = s + 0 * t, t + 0 * s
    half = friction / 2
    square = half**2 - s
    slow = square >= 0
    root = xp.sqrt(xp.abs(square))

    omega = xp.where(slow, root, 0 * root)
    below = half + omega
    decay = s / xp.where(below > 0, below, xp.ones_like(below))
    turned, gap = decay * t, 2 * omega * t
    kept = xp.exp(-turned)
    share = mean_decay(xp, gap)
    slow_residual = kept * (1 + turned * share)
    slow_progress = _two_step_loss(xp, turned) + kept * turned * lag(xp, gap)

    damping, angle = half * t, xp.where(slow, 0 * root, root) * t
    envelope = xp.exp(-damping)
    fast_residual = envelope * (xp.cos(angle) + damping * _sinc(xp, angle))
    swing = 2 * xp.sin(angle / 2) ** 2 + damping * _sinc_loss(xp, angle)
    fast_progress = _two_step_loss(xp, damping) + envelope * swing
    return xp.where(slow, slow_residual, fast_residual), xp.where(slow, slow_progress, fast_progress)


def _nonzero(xp: Any, y: Array) -> Array:
    return xp.where(y > 0, y, xp.ones_like(y))


def mean_decay(xp: Any, y: Array) -> Array:
    """(1 - e^{-y})/y, 1 at 0."""
    return xp.where(y > 0, -xp.expm1(-y) / _nonzero(xp, y), xp.ones_like(y))


def _sinc(xp: Any, y: Array) -> Array:
    """sin(y)/y, 1 at 0."""
    return xp.where(y > 0, xp.sin(y) / _nonzero(xp, y), xp.ones_like(y))


def _series(xp: Any, y: Array, ratios: list[float]) -> Array:
    """1 + r_0 y (1 + r_1 y (1 + …))."""
    total = xp.ones_like(y)
    for ratio in reversed(ratios):
        total = 1 + ratio * y * total
    return total


def lag(xp: Any, y: Array) -> Array:
    """1 - (1 - e^{-y})/y, which begins y/2 - y²/6."""
    small = xp.clip(y, 0, 1)
    series = small / 2 * _series(xp, small, [-1 / (n + 3) for n in range(18)])
    return xp.where(y > 1, 1 - mean_decay(xp, y), series)


def _two_step_loss(xp: Any, y: Array) -> Array:
    """1 - (1 + y)e^{-y}: e^{-y}(y²/2 + y³/6 + …)."""
    small = xp.clip(y, 0, 1)
    series = xp.exp(-small) * small**2 / 2 * _series(xp, small, [1 / (n + 3) for n in range(18)])
    kept = xp.exp(-y)
    return xp.where(y > 1, 1 - kept - xp.where(kept > 0, y, 0 * y) * kept, series)


def _sinc_loss(xp: Any, y: Array) -> Array:
    """1 - sin(y)/y, which begins y²/6 - y⁴/120."""
    small = xp.clip(y, 0, 1)
    series = small**2 / 6 * _series(xp, small**2, [-1 / ((2 * n + 4) * (2 * n + 5)) for n in range(10)])
    return xp.where(y > 1, 1 - _sinc(xp, y), series)
