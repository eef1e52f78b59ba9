r"""The mean direction of a Gaussian vector, and with it the expected cosine and Pearson correlation of the outputs.

For :math:`f \sim N(m, \tau^2 I_q)` the direction :math:`f/\|f\|` is symmetric about m, so that :math:`E f/\|f\| = R\,m/\|m\|` with

.. math::
    R_q(z) = \frac{\Gamma(\frac{q+1}{2})}{\Gamma(\frac q2 + 1)}\sqrt z\;{}_1F_1(\tfrac12; \tfrac q2 + 1; -z)
           = \frac{2\sqrt z}{\sqrt\pi}\int_0^{\pi/2} e^{-z\sin^2\theta}\cos^q\theta\,d\theta, \qquad z = \frac{\|m\|^2}{2\tau^2} .

The integral (Euler's, for this ₁F₁) has a positive integrand and no large factors; Gauss's rule evaluates it. A centred Gaussian
vector is a Gaussian vector in one dimension less, which gives the correlation.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.arrays import Float, real_array
from numerics.error import affine_parts
from theory.component import check_number
from theory.errors import SettingError

if TYPE_CHECKING:
    from numerics.predictor import Predictor

NODES, WEIGHTS = np.polynomial.legendre.leggauss(80)
DEPTH = 40.0  # the integrand is below e^-40 where it is left out
ROUNDING = 64 * float(np.finfo(np.float64).eps)


def mean_resultant(dimension: int, z: Any) -> Any:
    """R, the length of the mean direction, between 0 and 1; absolute accuracy 1e-14.

    Args:
        dimension: q, at least 1.
        z: ‖m‖²/(2τ²), at least 0; inf for a vector that is not random.

    Example:
        >>> round(float(mean_resultant(1, 0.5)), 6), round(math.erf(math.sqrt(0.5)), 6)        # E sign(f) for f ~ N(1, 1)
        (0.682689, 0.682689)
    """
    z = np.asarray(z, dtype=np.float64)
    finite = np.where(np.isfinite(z), z, 0.0)[..., None]
    # cos θ ≤ e^{-θ²/2} and sin θ ≥ 2θ/π, so beyond this angle the integrand is below e^-DEPTH.
    angle = np.minimum(math.pi / 2, np.sqrt(DEPTH / (dimension / 2 + finite * (2 / math.pi) ** 2)))
    theta = angle / 2 * (NODES + 1)
    squares = np.sin(theta) ** 2
    values = np.exp(dimension / 2 * np.log1p(-squares) - finite * squares)
    integral = (angle / 2)[..., 0] * (values * WEIGHTS).sum(axis=-1)
    found = 2 / math.sqrt(math.pi) * np.sqrt(finite[..., 0]) * integral
    return np.where(np.isinf(z), 1.0, np.minimum(found, 1.0))


def expected_cosine(p: "Predictor", x: Any, reference: Any, times: Any, init_std: float, *, centred: bool) -> Float:
    """The mean cosine, or correlation if centred, of the outputs with a reference, (T, N); see the predictor's methods."""
    check_number("init_std", init_std, at_least=0)
    x = p.problem.check_examples(x)
    blocks, q, _ = p.problem.start.shape
    positions = math.prod(p.setting.layer.positions(p.problem.input_shape))
    if blocks * positions != 1:
        message = (
            f"layer must have one output column for an expected cosine, but {p.setting.layer} has {positions} positions in {blocks} "
            "block(s) on these inputs. Use a Linear layer, or average over drawn starts."
        )
        raise SettingError(message)
    if centred and q < 2:
        message = "layer must have at least 2 outputs for a correlation, but it has 1. Use expected_cosine."
        raise SettingError(message)
    reference = real_array("reference", reference)
    reference = reference.reshape((len(reference), -1)) if reference.ndim > 1 else reference
    if reference.shape not in ((q,), (len(x), q)):
        message = f"reference must have shape ({q},) or ({len(x)}, {q}), the outputs', but it has {reference.shape}. Reshape it."
        raise SettingError(message)
    directions = np.broadcast_to(reference, (len(x), q))
    # Every vector is handled in units of its own largest entry, so that data of any scale give the same cosine.
    directions = _unit(directions, _largest(directions), centred)
    target = p.setting.target.values(p.setting.layer, x, np).reshape((len(x), q))
    rows = []
    for v, b in affine_parts(p, x, times):
        v, mean = v[:, 0, :, 0], b[:, 0, :, 0] + target
        size = np.maximum(_largest(mean), init_std * _largest(v))
        size = np.where(size > 0, size, 1.0)
        centre = mean / size - (mean / size).mean(axis=1, keepdims=True) if centred else mean / size
        # What rounding alone left of a mean that is 0, or constant, is no direction.
        centre = np.where(_norm(centre) > ROUNDING * _norm(mean / size), centre, 0.0)
        spread = init_std * _norm(v / size)
        unit, length = _unit(centre, _largest(centre), False), _norm(centre)[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(spread[:, 0] > 0, (length / spread[:, 0]) ** 2 / 2, np.inf)
        cosine = (unit * directions).sum(axis=1)
        nothing = (length == 0) & (spread[:, 0] == 0)
        lost = nothing | (_norm(directions)[:, 0] == 0)
        rows.append(np.where(lost, np.nan, mean_resultant(q - centred, z) * cosine))
    return np.array(rows).reshape((len(rows), len(x)))


def _largest(vectors: Float) -> Float:
    return np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)  # type: ignore[no-any-return]


def _norm(vectors: Float) -> Float:
    return np.sqrt((vectors**2).sum(axis=1, keepdims=True))  # type: ignore[no-any-return]


def _unit(vectors: Float, size: Float, centred: bool) -> Float:
    """The vectors at length 1, centred before if asked for; 0 where they are 0."""
    vectors = vectors / np.where(size > 0, size, 1.0)
    if centred:
        centre = vectors - vectors.mean(axis=1, keepdims=True)
        vectors = np.where(_norm(centre) > ROUNDING * _norm(vectors), centre, 0.0)
    norm = _norm(vectors)
    return vectors / np.where(norm > 0, norm, 1.0)
