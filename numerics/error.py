r"""The squared error over random starts: mean, variance and law.

Every optimiser here is affine in its start: on x the outputs miss the target by :math:`W_0 V + b`, per block, with
:math:`V = g(S)\varphi(x)`, one column per output position, and b what a zero start misses. For independent symmetric entries of
variance σ² and kurtosis κ, with q outputs per block,

.. math::
    E\|W_0V + b\|^2 &= q\sigma^2\|V\|^2 + \|b\|^2, \\
    \mathrm{Var} &= q\sigma^4\big(2\|V^\top V\|^2 + (\kappa - 3)\textstyle\sum_j (VV^\top)_{jj}^2\big) + 4\sigma^2\|bV^\top\|^2,

summed over blocks. A Haar-distributed (semi-)orthogonal start has dependent entries; with n the larger of its sides,
:math:`C(A, B) = \mathrm{tr} AB - \mathrm{tr} A\,\mathrm{tr} B / n` and A_i = VVᵀ of the block that row i belongs to,

.. math::
    \mathrm{Var} = \frac{2}{n(n + 2)}\Big(\sum_i C(A_i, A_i) - \frac{1}{n - 1}\sum_{i \ne j} C(A_i, A_j)\Big) + \frac{4}{n}\|bV^\top\|^2 .

For complex blocks (a circular convolution) the modulus stands for the square and ᴴ for ᵀ. Of independent real Gaussian entries the
unitary transform makes real Gaussian blocks at the frequencies that are their own mirror image, and elsewhere pairs of conjugate
blocks, whose entries have independent real and imaginary parts of variance σ²/2: a pair's squared error, twice that of one of
them, has the law of two independent real blocks of the same V and b. The formulas hold as if all were independent; other starts
have dependent entries there, and are refused.

Source: theorem T17; for the others the fourth moments of one entry, and of the rows of a Haar matrix,
:math:`E\,u_iu_iu_iu_i = (\text{sum of three pairings})/(n(n+2))` and :math:`E\,u_{ia}u_{ib}u_{jc}u_{jd} = ((n+1)\delta_{ab}\delta_{cd} -
\delta_{ac}\delta_{bd} - \delta_{ad}\delta_{bc})/(n(n-1)(n+2))`; :mod:`theory.error_law` has them as formulas.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.arrays import Float, adjoint, quiet, squares
from numerics.laws import LARGEST_NONCENTRALITY, GeneralizedChiSquare
from theory.component import check_number
from theory.errors import SettingError
from theory.starts import EntryMoments, Gaussian, Start, Zeros

if TYPE_CHECKING:
    from numerics.predictor import Predictor

TINY, HUGE = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)
EPS = float(np.finfo(np.float64).eps)
SQUARE_ROOT = 1e150  # what can be squared and added up


def affine_parts(p: "Predictor", x: Float, times: Any) -> Iterator[tuple[Float, Float]]:
    """V, (N, blocks, d, P), and b, (N, blocks, q, P), at each time, for N examples of P columns."""
    p, layer = p.on(), p.setting.layer  # by numpy in float64, wherever weights and outputs are formed
    features = layer.features(x, np)
    blocks, rows, _ = features.shape
    positions = layer.columns(p.problem.input_shape)
    still = p.from_start(0 * p.problem.start).predict(x, times)
    target = p.setting.target.values(layer, x, np)
    for index, v in enumerate(carried(p, features, times)):
        b = layer.to_columns(still[index] - target, np)
        v = v.reshape((blocks, rows, len(x), positions))
        b = b.reshape((blocks, b.shape[1], len(x), positions))
        v, b = np.moveaxis(v, 2, 0), np.moveaxis(b, 2, 0)
        yield v, b


def carried(p: "Predictor", features: Float, times: Any) -> Iterator[Float]:
    """V = g(S)φ(x) at each time for features (blocks, d, columns): what is left of the start is W0 V."""
    rows = features.shape[1]
    residual, _ = p.response(times)
    kept, _ = p.response(times, np.array([p.setting.weight_decay]))
    modes = p.writing @ features
    outside = features - p.reading @ modes
    # What rounding alone left of a column in the range of Φ is no direction: else no law would ever be a point mass.
    noise = 4 * max(p.problem.features.shape[1:]) * math.sqrt(rows) * EPS * p.coordinates.condition
    noise = noise * np.abs(features).max(axis=1, keepdims=True)
    outside = np.where(np.abs(outside).max(axis=1, keepdims=True) > noise, outside, 0.0)
    for index in range(len(residual)):
        yield kept[index] * outside + p.reading @ (residual[index][..., None] * modes)


def moments(
    p: "Predictor", x: Any, times: Any, start: Start | None, orders: tuple[int, ...] = (1, 2)
) -> tuple[Float, ...]:
    """The mean (order 1) and the variance (order 2), each (T, N); ``start`` defaults to the setting's.

    Raises:
        SettingError: If nothing is derived for the start, or float64 cannot hold a result.
    """
    x = p.problem.check_examples(x)
    start = p.setting.start if start is None else start
    if not isinstance(start, Start):
        message = f"start must be a Start, but it is {start!r}. Pass Gaussian(0.1), say, or None for the setting's."
        raise SettingError(message)
    layer = p.setting.layer
    blocks, q, d = p.problem.start.shape
    rows, *rest = layer.weight_shape(p.problem.input_shape, blocks * q)
    entries = start.moments(layer.fan_in(p.problem.input_shape), rows)
    if entries.orthogonal and (rows, math.prod(rest)) != (blocks * q, d - layer.bias):
        message = f"start must have independent entries for {layer}, whose blocks are not rows of its weight, but it is {start}."
        raise SettingError(message)
    if orders != (1,) and (entries.orthogonal or entries.kurtosis != 3):
        _check_real(p, start)
    scale = _scale(p, x, entries.std)
    found: list[list[Float]] = [[] for _ in orders]
    for v, b in affine_parts(p, x, times):
        v = entries.std * (v[..., :-1, :] if entries.orthogonal and layer.bias else v)
        unit = np.maximum(np.abs(v).max(axis=(1, 2, 3), initial=0.0), np.abs(b).max(axis=(1, 2, 3), initial=0.0))
        unit = np.where(unit > 0, unit, 1.0)
        v, b = (part / unit[:, None, None, None] for part in (v, b))  # nothing over- or underflows in between
        for order, values in zip(orders, found, strict=True):
            value = _mean(v, b) if order == 1 else _variance(v, b, entries)
            values.append(_power(value, unit, scale, 2 * order))
    return tuple(np.array(values).reshape((len(values), len(x))) for values in found)


def _mean(v: Float, b: Float) -> Float:
    return b.shape[2] * squares(v).sum(axis=(1, 2, 3)) + squares(b).sum(axis=(1, 2, 3))  # type: ignore[no-any-return]


def _check_real(p: "Predictor", start: Start) -> None:
    """Refuses what is derived for independent entries only."""
    if np.iscomplexobj(p.problem.features):
        message = (
            f"start must be Gaussian for the variance of the error with {p.setting.layer}, whose blocks mix the entries of the weight, "
            f"but it is {start}. Use Gaussian(std), or error(x, times) from drawn starts."
        )
        raise SettingError(message)


def _variance(v: Float, b: Float, entries: EntryMoments) -> Float:
    """The variance for N examples, with the standard deviation of an entry already in V."""
    q = b.shape[2]
    diagonal = squares(v).sum(axis=3)  # of VVᵀ, (N, blocks, d)
    mixed = 4 * _mixed(v, b)
    if entries.orthogonal:
        return _haar(v, diagonal, q, round(entries.std**-2)) + mixed
    quadratic = 2 * _gram(v).sum(axis=1) + (entries.kurtosis - 3) * (diagonal**2).sum(axis=(1, 2))
    return q * np.maximum(quadratic, 0.0) + mixed  # type: ignore[no-any-return]


def _mixed(v: Float, b: Float) -> Float:
    """‖bVᵀ‖² = tr b(VᵀV)bᵀ, by the smaller of q × d and P × P."""
    if v.shape[-1] < v.shape[-2]:
        return (b @ (adjoint(v) @ v) * b.conj()).real.sum(axis=(1, 2, 3))  # type: ignore[no-any-return]
    return squares(b @ adjoint(v)).sum(axis=(1, 2, 3))  # type: ignore[no-any-return]


def _gram(v: Float) -> Float:
    """‖VᵀV‖² of matrices (..., d, P), on the smaller side."""
    turned = v if v.shape[-2] < v.shape[-1] else adjoint(v)
    return squares(turned @ adjoint(turned)).sum(axis=(-1, -2))  # type: ignore[no-any-return]


def _haar(v: Float, diagonal: Float, q: int, n: int) -> Float:
    """The variance of the quadratic part for a Haar start, with the entries' standard deviation 1/√n already in V."""
    if n == 1:
        return np.zeros(len(v))
    count, blocks, d, positions = v.shape
    traces = diagonal.sum(axis=2)
    own = (_gram(v) - traces**2 / n).sum(axis=1)
    side_by_side = np.moveaxis(v, 1, 2).reshape((count, d, blocks * positions))
    every = q**2 * (_gram(side_by_side) - traces.sum(axis=1) ** 2 / n)
    return np.maximum(2 * n / (n + 2) * (q * own - (every - q * own) / (n - 1)), 0.0)  # type: ignore[no-any-return]


def _scale(p: "Predictor", x: Float, std: float) -> Float:
    """The size of what a start says of each example and of its target, (N,): what float64 must hold the powers of."""
    features, target = p.setting.layer.features(x, np), p.setting.target.values(p.setting.layer, x, np)
    blocks, d, _ = features.shape
    said = std * np.abs(features.reshape((blocks, d, len(x), -1 if len(x) else 1))).max(axis=(0, 1, 3), initial=0.0)
    return np.maximum(said, np.abs(target.reshape((len(x), -1 if len(x) else 1))).max(axis=1, initial=0.0))  # type: ignore[no-any-return]


def _power(values: Float, unit: Float, scale: Float, power: int) -> Float:
    """``values · unit^power``; an error that has decayed below float64 is 0, one of such data is refused."""
    with quiet():
        found = values * unit ** (power // 2) * unit ** (power // 2)
        lost = (found > HUGE) | ((scale > 0) & (scale**power < TINY) & (values > 0))
    if lost.any():
        name = {2: "mean", 4: "variance"}[power]
        message = (
            f"x must have an error whose {name} float64 holds, but one is {values[lost][0]:.3g} · {unit[lost][0]:.3g}^{power}. "
            "Rescale x, or ask for error_law(x, time, init_std).std()."
        )
        raise SettingError(message)
    return found


def law(p: "Predictor", x: Any, time: float, init_std: float | None) -> GeneralizedChiSquare:
    """The law of one example's error over starts with independent N(0, init_std²) entries; None is the setting's, if Gaussian.

    Raises:
        SettingError: If the setting's start is of another kind, or float64 cannot hold the error.
    """
    if init_std is None:
        start = p.setting.start
        if not isinstance(start, (Gaussian, Zeros)):
            message = (
                f"init_std must be given where the setting's start is not Gaussian, but it is None and the start is {start}. Pass "
                "init_std=…, or ask for error_moments(x, times), which are known for this start too."
            )
            raise SettingError(message)
        init_std = start.std if isinstance(start, Gaussian) else 0.0
    check_number("init_std", init_std, at_least=0)
    shape = np.shape(x)
    if shape == p.problem.input_shape:
        x = np.asarray(x)[None]
    x = p.problem.check_examples(x)
    if len(x) != 1 or np.ndim(time) != 0:
        message = (
            f"error_law takes one example and one time, but there are {len(x)} examples and time {time!r}. Ask for each of them, or "
            "for error_moments(x, times)."
        )
        raise SettingError(message)
    ((v, b),) = affine_parts(p, x, [time])
    q = b.shape[2]
    with quiet():
        _, values, right = np.linalg.svd(v[0], full_matrices=False)
        floor = max(v.shape[2:]) * EPS * values[:, :1]
        roots = np.where(values > floor, init_std * values, 0.0)
        along = b[0] @ adjoint(right)  # (blocks, q, r)
        noncentral = np.where(roots > 0, squares(along / np.where(roots > 0, roots, 1)[:, None, :]).sum(axis=1), 0.0)
        random = (roots > 0) & (noncentral < LARGEST_NONCENTRALITY)
        rest = b[0] - (along * random[:, None, :]) @ right
        weights, constant = roots[random] ** 2, float(squares(rest).sum())
    size = max(float(roots.max(initial=0.0)), float(np.abs(rest).max(initial=0.0)))
    scale = float(_scale(p, x, init_std)[0])
    if size > SQUARE_ROOT or 0 < scale < 1 / SQUARE_ROOT:
        message = f"x must have an error whose square float64 holds, but it is of size {size:.3g}. Rescale x."
        raise SettingError(message)
    return GeneralizedChiSquare(weights, float(q), noncentral[random], constant)
