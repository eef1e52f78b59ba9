"""Probe pictures: what a network trained on one picture is tested on, by kind.

Every kind takes how many, the real images (N, C, H, W) and the training picture (C, H, W), and a generator; it gives
(count, C, H, W), in [0, 1] for the generated ones. Kinds are registered by name; ``PROBES`` lists them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.component import check_number, one_of
from theory.errors import SettingError

Float = NDArray[np.float64]


class Material(NamedTuple):
    """What a probe may be made of: images of the set other than the training one, that one, those of another set, chance."""

    images: Float
    picture: Float
    others: Float | None
    rng: np.random.Generator


PROBES: dict[str, Callable[[int, Material], Float]] = {}
CLASSES: dict[str, Sequence[str]] = {  # reported apart, because they differ
    "natural": ("blend", "digits", "real"),  # made of real pictures
    "simple": ("square", "disc", "ellipse", "gradient"),  # large and smooth
    "fine": ("fine_stripes", "coarse_stripes", "dot_grid", "noise"),  # detail down to one pixel
    "rotation": ("rotation",),
}


def probe(function: Callable[[int, Material], Float]) -> Callable[[int, Material], Float]:
    """Registers a kind of probe under its name."""
    PROBES[function.__name__] = function
    return function


def kinds(*, real: bool = False) -> tuple[str, ...]:
    """All kinds of probes; "real" only where there are real images of another set."""
    return tuple(kind for names in CLASSES.values() for kind in names if real or kind != "real")


def probes(kind: str, count: int, images: Any, picture: Any, *, others: Any = None, seed: int = 0) -> Float:
    """Probe pictures of one kind.

    Args:
        kind: A name in ``PROBES``.
        count: How many.
        images: Real images (N, C, H, W); those equal to the training picture are left out.
        picture: The training picture, (C, H, W).
        others: Real images of another set in the same shape, for the kind "real".
        seed: Seed of what is drawn; the same for the same kind.

    Returns:
        (count, C, H, W).

    Raises:
        SettingError: If there is no such kind, or no other image where one is needed.

    Example:
        >>> flat = np.zeros((2, 1, 6, 6)); flat[1] += 1
        >>> probes("square", 3, flat, flat[0]).shape
        (3, 1, 6, 6)
    """
    one_of("probe", kind, PROBES)
    picture = np.asarray(picture, dtype=float)
    images = np.asarray(images, dtype=float)
    rest = images[~(images == picture).all(axis=tuple(range(1, images.ndim)))]
    rng = np.random.default_rng([seed, *kind.encode()])
    return PROBES[kind](count, Material(rest, picture, others, rng))


def at_correlation(picture: Float, direction: Float, rho: float) -> Float:
    r"""The training picture turned to a chosen correlation, :math:`\bar x + \rho\,x_c + \sqrt{1 - \rho^2}\,\|x_c\|\,u`.

    :math:`x_c` is the picture less its mean :math:`\bar x`, :math:`u` the part of ``direction`` that is orthogonal to it
    and to the constants, of length 1: the Pearson correlation with the picture is exactly ρ, mean and norm stay.

    Args:
        picture: Any shape.
        direction: The same shape, not a combination of the picture and a constant.
        rho: In [-1, 1].

    Raises:
        SettingError: If ρ is outside [-1, 1], or there is no such direction.

    Example:
        >>> turned = at_correlation(np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.0, 0.0]), 0.6)
        >>> float(np.corrcoef(turned, [0.0, 1.0, 2.0])[0, 1].round(12)), float(turned.mean().round(12))
        (0.6, 1.0)
    """
    turned = _turned(
        picture - picture.mean(),
        direction - direction.mean(),
        rho,
        float(np.linalg.norm(direction)),
        "the picture and the constants",
    )
    return np.asarray(picture.mean() + turned)


def at_cosine(picture: Float, direction: Float, rho: float) -> Float:
    r"""The training picture turned to a chosen cosine, :math:`\rho\,x + \sqrt{1 - \rho^2}\,\|x\|\,u`, u a unit vector orthogonal to x.

    Args:
        picture: x, any shape, not 0.
        direction: The same shape, not a multiple of the picture.
        rho: In [-1, 1].

    Raises:
        SettingError: If ρ is outside [-1, 1], or there is no such direction.

    Example:
        >>> at_cosine(np.array([5.0, 0.0]), np.array([1.0, 1.0]), 0.6).tolist()
        [3.0, 4.0]
    """
    return _turned(picture, direction, rho, float(np.linalg.norm(direction)), "the picture")


def _turned(picture: Float, direction: Float, rho: float, size_before: float, beyond: str) -> Float:
    check_number("rho", rho, at_least=-1.0)
    if rho > 1:
        message = f"rho must be at most 1, as every cosine and correlation, but it is {rho}. Choose one in [-1, 1]."
        raise SettingError(message)
    size, rest = float(np.linalg.norm(picture)), direction
    for _ in range(2):  # once loses orthogonality to rounding
        rest = rest - (rest * picture).sum() / size**2 * picture if size else rest
    length = float(np.linalg.norm(rest))
    if size == 0 or length <= 1e-8 * size_before:
        message = f"direction must leave the span of {beyond}, but it does not. Choose another one."
        raise SettingError(message)
    return np.asarray(rho * picture + np.sqrt(1 - rho**2) * size / length * rest)


def _choose(count: int, images: Float, rng: np.random.Generator) -> Float:
    if len(images) == 0:
        message = "images must hold one that is not the training picture for these probes, but they hold none. Pass more images."
        raise SettingError(message)
    return np.asarray(images[rng.choice(len(images), count, replace=count > len(images))])


@probe
def digits(count: int, material: Material) -> Float:
    """Other real images of the set."""
    return _choose(count, material.images, material.rng)


@probe
def blend(count: int, material: Material) -> Float:
    """Half the training picture, half another image."""
    return (_choose(count, material.images, material.rng) + material.picture) / 2


@probe
def real(count: int, material: Material) -> Float:
    """Real images of another set, where there is one."""
    if material.others is None:
        message = "others must be given for the probe 'real', but there are none. Pass real images of another kind."
        raise SettingError(message)
    return _choose(count, material.others, material.rng)


@probe
def rotation(count: int, material: Material) -> Float:
    """The training picture turned to correlation 1/2, in random directions."""
    noise = material.rng.standard_normal((count, *material.picture.shape))
    return np.array([at_correlation(material.picture, direction, 0.5) for direction in noise])


def _drawn(shade: Callable[[Float, Float, np.random.Generator], Any]) -> Callable[[int, Material], Float]:
    """A kind that is drawn pixel by pixel: rows and columns in [0, 1) to a shade in [0, 1]."""

    def draw(count: int, material: Material) -> Float:
        channels, height, width = material.picture.shape
        rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
        pictures = [np.asarray(shade(rows, columns, material.rng), dtype=float) for _ in range(count)]
        return np.repeat(np.array(pictures)[:, None], channels, axis=1)

    draw.__name__, draw.__doc__ = shade.__name__, shade.__doc__
    return probe(draw)


@_drawn
def square(rows: Float, columns: Float, rng: np.random.Generator) -> Any:
    """A filled square somewhere."""
    top, left, side = rng.uniform(0.05, 0.4), rng.uniform(0.05, 0.4), rng.uniform(0.3, 0.55)
    return (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)


@_drawn
def disc(rows: Float, columns: Float, rng: np.random.Generator) -> Any:
    """A filled disc somewhere."""
    return (rows - rng.uniform(0.35, 0.6)) ** 2 + (columns - rng.uniform(0.35, 0.6)) ** 2 < rng.uniform(0.2, 0.35) ** 2


@_drawn
def ellipse(rows: Float, columns: Float, rng: np.random.Generator) -> Any:
    """A filled ellipse, turned."""
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(1.6, 2.4)
    y, x = rows - rng.uniform(0.4, 0.55), columns - rng.uniform(0.4, 0.55)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return along**2 + (ratio * across) ** 2 < 0.4**2


@_drawn
def gradient(rows: Float, columns: Float, rng: np.random.Generator) -> Any:
    """A linear gradient from 0 to 1 in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * columns + np.sin(angle) * rows
    return (ramp - ramp.min()) / np.ptp(ramp)


@_drawn
def fine_stripes(rows: Float, columns: Float, rng: np.random.Generator) -> Any:
    """Stripes of one pixel, upright or level."""
    return _stripes(rows, columns, rng, 1)


@_drawn
def coarse_stripes(rows: Float, columns: Float, rng: np.random.Generator) -> Any:
    """Stripes an eighth of the picture wide, at least two pixels."""
    return _stripes(rows, columns, rng, max(2, round(len(rows) / 8)))


@_drawn
def dot_grid(rows: Float, columns: Float, rng: np.random.Generator) -> Any:
    """Single lit pixels on a square grid of three or four pixels."""
    step, first = int(rng.integers(3, 5)), rng.integers(0, 3, size=2)
    lit = [np.arange(size) % step == start % step for size, start in zip(rows.shape, first, strict=True)]
    return np.outer(*lit)


@_drawn
def noise(rows: Float, columns: Float, rng: np.random.Generator) -> Any:
    """Independent uniform pixels."""
    return rng.uniform(size=rows.shape)


def _stripes(rows: Float, columns: Float, rng: np.random.Generator, width: int) -> Any:
    pixels = np.arange(len(rows))[:, None] if rng.random() < 0.5 else np.arange(rows.shape[1])[None]
    return np.broadcast_to((pixels // width + int(rng.integers(2))) % 2, rows.shape)
