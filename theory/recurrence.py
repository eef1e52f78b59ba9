r"""The two-step linear recurrence of momentum methods, evaluated without cancellation.

:math:`u_{k+2} = T u_{k+1} - D u_k` with :math:`u_0 = 1` has the roots :math:`r_\pm = (T \pm \sqrt\Delta)/2`,
:math:`\Delta = T^2 - 4D`. With the fundamental solution :math:`U_k = (r_1^k - r_2^k)/(r_1 - r_2)`,
:math:`u_k = r_1^k + (u_1 - r_1)\,U_k` for either root as :math:`r_1`; here :math:`r_1` is the larger one in modulus.
"""

from typing import Any

Array = Any


def second_order(
    xp: Any,
    steps: Array,
    *,
    rate: Array,
    trace: Array,
    determinant: Array,
    discriminant: Array,
    drop: Array,
    shrink: Array | None = None,
    lean: Array | None = None,
) -> tuple[Array, Array]:
    r"""The residual :math:`u_k` and the progress :math:`1 - u_k` of a two-step recurrence.

    Args:
        xp: The array namespace, numpy or torch; all arrays broadcast.
        steps: :math:`k \ge 0`, whole numbers as floats.
        rate: :math:`x = (1 - r_1)(1 - r_2) = 1 - T + D \ge 0`, learning rate times eigenvalue.
        trace: :math:`T`.
        determinant: :math:`D`; below 0 the roots have different signs, at :math:`T = D = 0` both are 0.
        discriminant: :math:`\Delta`; where it is below 0, D is above. Computed by the caller from
            its factors so that it does not cancel.
        drop: :math:`1 - u_1`.
        shrink: :math:`1 - D`, from its own factors if the caller has them; near 0 it would lose digits here.
        lean: :math:`2u_1 - T`, likewise.

    Returns:
        :math:`(u_k, 1 - u_k)`, each with small error relative to :math:`\max(|u_k|, |r_1|^k)` and to
        :math:`1 - u_k` as :math:`x \to 0`.

    Example:
        >>> import math, numpy as np      # heavy ball, x = 1/4, momentum 1/4: a double root, u_2 = 7/16 + 1/16
        >>> u, p = second_order(np, np.array(2.0), rate=0.25, trace=np.array(1.0), determinant=np.array(0.25),
        ...                     discriminant=np.array(0.0), drop=0.25)
        >>> float(u), float(p)
        (0.5, 0.5)
    """
    real, opposite = discriminant >= 0, determinant < 0
    sign = xp.where(trace < 0, -xp.ones_like(trace), xp.ones_like(trace))
    odd = steps % 2 == 1
    parity = xp.where(odd, sign, xp.ones_like(sign))
    size, modulus = xp.abs(trace), xp.sqrt(xp.abs(determinant))
    root = xp.sqrt(xp.where(real, discriminant, xp.zeros_like(discriminant)))

    # Real roots: r_1 = sign·large. Where r_1 > 0, 1 - r_1 = x/(1 - r_2) keeps its digits as x → 0. Real roots of one
    # sign have |T| ≥ 2√D; a T that is lost to rounding must not fall below, or the roots would be 0.
    least = xp.where(opposite, size, xp.maximum(size, 2 * modulus))
    both_zero = least + root == 0
    large = xp.where(both_zero, xp.ones_like(root), (least + root) / 2)
    gap = xp.where(trace < 0, 1 + large, rate / (1 - determinant / large))
    near_one = xp.where(trace < 0, xp.zeros_like(gap), gap)
    log_large = xp.where((trace < 0) | (large < 0.5), xp.log(large), xp.log1p(-near_one))
    power = xp.exp(steps * log_large)
    # log|r_1/r_2|; kept finite where r_2 is below rounding, so that no step is 0·∞.
    smaller, larger = xp.where(opposite, size, root), xp.where(opposite, root, least)
    larger = xp.where(both_zero, xp.ones_like(larger), larger)
    spread = 2 * xp.arctanh(xp.clip(smaller / larger, 0, 1 - 2.0**-53))
    alternating = opposite & odd  # (r_2/r_1)^k < 0
    apart = xp.where(alternating, 1 + xp.exp(-steps * spread), -xp.expm1(-steps * spread))
    ratio = xp.where(root > 0, apart / xp.where(root > 0, root, xp.ones_like(root)), steps / large)
    fundamental = parity * sign * power * ratio
    lead = (gap - drop) * fundamental
    real_residual = parity * power + lead
    # Two roots 0: 1, then u_1, then nothing.
    at_start, at_one = xp.where(steps == 0, 1.0, 0.0), xp.where(steps == 1, 1.0, 0.0)
    real_residual = xp.where(both_zero, at_start + at_one * (1 - drop), real_residual)
    direct = both_zero | (trace < 0)
    real_progress = xp.where(direct, 1 - real_residual, -xp.expm1(steps * log_large) - lead)

    # Complex roots: modulus·exp(±iθ); θ from |T| and √-Δ, both exact near the double roots at θ = 0 and π.
    imaginary = xp.sqrt(xp.where(real, xp.ones_like(discriminant), -discriminant))
    angle = xp.arctan2(imaginary, size)
    lean = 2 * (1 - drop) - trace if lean is None else lean
    shrink = 1 - determinant if shrink is None else shrink
    near = determinant > 0.5
    log_modulus = xp.where(near, xp.log1p(-xp.where(near, shrink, xp.zeros_like(trace))), 2 * xp.log(modulus)) / 2
    swing = sign * lean / imaginary * xp.sin(steps * angle)
    decay = xp.exp(steps * log_modulus)
    complex_residual = parity * decay * (xp.cos(steps * angle) + swing)
    # 1 - ρ^k(cos kθ + swing) from small terms only.
    complex_progress = -xp.expm1(steps * log_modulus) + decay * (2 * xp.sin(steps * angle / 2) ** 2 - swing)
    complex_progress = xp.where(trace < 0, 1 - complex_residual, complex_progress)
    return xp.where(real, real_residual, complex_residual), xp.where(real, real_progress, complex_progress)
