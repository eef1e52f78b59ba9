"""Figures of the report as inline SVG that takes its colours from the page, so that it can be light or dark."""

import io
import re
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from closedflow.plot import drawing
from empirical.curves import Curves, Points

# What matplotlib is told to draw with, and what the page's style says instead.
INK, SOFT, PREDICTED, INTEGRATED, TRAINED = "#010203", "#040506", "#0a0b0c", "#0d0e0f", "#101112"
STYLE = {INK: "--ink", SOFT: "--soft", PREDICTED: "--predicted", INTEGRATED: "--integrated", TRAINED: "--trained"}
_numbers = count()


def svg(draw: Callable[[Any], None], width: float, height: float) -> str:
    """A figure that ``draw`` fills, as SVG text to stand in a page.

    Raises:
        SettingError: If matplotlib is not installed.
    """
    colours = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "legend.labelcolor")
    style = {"svg.fonttype": "none", "svg.hashsalt": "closedflow", "font.size": 9.0, **dict.fromkeys(colours, INK)}
    with drawing(style) as figure_class:
        page = figure_class(figsize=(width, height), layout="constrained")
        draw(page)
        text = io.StringIO()
        page.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    found = text.getvalue()
    found = found[found.index("<svg") :]
    for colour, name in STYLE.items():
        found = found.replace(colour, f"var({name})")
    # One page holds many figures: each gets names of its own.
    mark = f"f{next(_numbers)}-"
    found = re.sub(r'(?<=\bid=")(?=[^"])', mark, found)
    return re.sub(r'(?<=url\(#)|(?<=href="#)', mark, found)


def course(found: Curves) -> str:
    """The error over time: the predicted curve, integrated and trained points, and for both the distance in units of the budget."""

    def draw(page: Any) -> None:
        left, right = page.subplots(1, 2, width_ratios=(3, 2))
        left.plot(found.times, found.predicted, color=PREDICTED, label="predicted", linewidth=1.5)
        if len(found.trained.times):
            curve = np.interp(found.trained.times, found.times, found.predicted)
            low, high = curve - found.trained.bands, curve + found.trained.bands
            left.fill_between(
                found.trained.times, low, high, color=TRAINED, alpha=0.2, linewidth=0, label="training's budget"
            )
        for points, colour, marker, name in _series(found):
            left.plot(points.times, points.errors, marker, color=colour, markersize=6, fillstyle="none", label=name)
            right.semilogy(
                points.times, np.maximum(_ratios(found, points), 1e-6), marker, color=colour, fillstyle="none"
            )
        left.set(xlabel=found.unit, ylabel="‖f(x) − y‖ on a test image", ylim=(0, None))
        right.axhline(1.0, color=SOFT, linewidth=1)
        right.text(0.0, 1.15, "the budget", color=SOFT, fontsize=8)
        right.set(xlabel=found.unit, ylabel="distance ÷ budget, this image", ylim=(3e-7, 5))
        left.legend(frameon=False, fontsize=8)

    return svg(draw, 9.0, 3.0)


def course_in_words(found: Curves) -> str:
    """What the figure of the course shows, in words."""
    words = [f"The predicted error goes from {found.predicted[0]:.3g} to {found.predicted[-1]:.3g}."]
    for points, _, _, name in _series(found):
        words.append(f"The {name} points are at most {_ratios(found, points).max():.2g} of the budget away.")
    return " ".join(words)


def pictures(found: Curves) -> str:
    """The test image and what the network makes of it over time."""
    shown = found.pictures if found.pictures.ndim == 4 else _squares(found.pictures)

    def draw(page: Any) -> None:
        axes = page.subplots(1, len(shown))
        names = ["input", *(_time(time, found.unit) for time in found.shown)]
        for axis, picture, name in zip(axes, shown, names, strict=True):
            axis.imshow(picture[0], cmap="gray", vmin=0.0, vmax=max(float(shown[0].max()), 1e-12))
            axis.set(title=name, xticks=[], yticks=[])

    return svg(draw, 1.5 * len(shown), 1.8)


def can_show(found: Curves) -> bool:
    """Whether there are pictures to show."""
    if found.pictures.ndim == 2:
        side = round(found.pictures.shape[1] ** 0.5)
        return bool(side * side == found.pictures.shape[1] and side > 1)
    return bool(found.pictures.ndim == 4)


def law(samples: Any, cdf: Callable[[Any], Any]) -> str:
    """A histogram of errors against how many a law expects in each bin."""
    edges = np.linspace(0, float(np.quantile(samples, 0.999)) * 1.1, 31)
    expected = len(samples) * np.diff(cdf(edges))

    def draw(page: Any) -> None:
        axis = page.subplots()
        axis.hist(samples, bins=edges, color=TRAINED, alpha=0.35, label=f"{len(samples)} trained networks")
        axis.stairs(expected, edges, color=PREDICTED, linewidth=1.5, label="the law")
        axis.set(xlabel="‖f(x) − x‖² on a test image", ylabel="networks in a bin")
        axis.legend(frameon=False, fontsize=8)

    return svg(draw, 6.5, 2.6)


def kernels(predicted: Any, trained: Any) -> str:
    """A predicted kernel, the trained one, and their difference, each as a heat map."""
    panels = (("predicted", predicted), ("trained", trained), ("difference", trained - predicted))

    def draw(page: Any) -> None:
        for axis, (name, values) in zip(page.subplots(1, 3), panels, strict=True):
            limit = float(np.abs(values).max()) or 1.0
            shown = axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axis.set(title=name, xticks=[], yticks=[])
            page.colorbar(shown, ax=axis, shrink=0.8)

    return svg(draw, 7.5, 2.2)


def _series(found: Curves) -> list[tuple[Points, str, str, str]]:
    series = [(found.integrated, INTEGRATED, "o", "integrated"), (found.trained, TRAINED, "x", "trained")]
    return [one for one in series if len(one[0].times)]


def _ratios(found: Curves, points: Points) -> Any:
    curve = np.interp(points.times, found.times, found.predicted)
    return np.abs(points.errors - curve) / np.maximum(points.bands, np.finfo(float).tiny)


def _time(time: float, unit: str) -> str:
    if np.isinf(time):
        return "limit"
    return f"step {time:.0f}" if unit == "steps" else f"t = {time:.2g}"


def _squares(rows: Any) -> Any:
    side = round(rows.shape[1] ** 0.5)
    return rows.reshape(len(rows), 1, side, side)
