"""What the studies' pictures are made of."""

from collections.abc import Sequence
from typing import Any

from empirical.studies.samples import mean, spread
from empirical.studies.study import Result


def curve(axis: Any, x: Sequence[float] | Any, values: Any, **style: Any) -> None:
    """Means of values (n, seeds) over x, with their standard deviation over seeds."""
    axis.errorbar(x, mean(values, 1), spread(values, 1), capsize=2, **style)


def gallery(axis: Any, results: Sequence[Result], labels: Sequence[str], shown: Sequence[str]) -> None:
    """Probes (columns) and what the first network of each result makes of them (rows, below the probes themselves)."""
    pictures = [[results[0].outcome.arrays[kind][0] for kind in shown]]
    pictures += [[result.outcome.arrays[kind][1] for kind in shown] for result in results]
    grid(axis, pictures, ["probe", *labels], [kind.replace("_", "\n") for kind in shown])


def grid(axis: Any, pictures: Sequence[Sequence[Any]], rows: Sequence[str], columns: Sequence[str]) -> None:
    """Pictures (C, H, W), their first channel, of any sizes, side by side; grey from 0 to 1."""
    for row, line in enumerate(pictures):
        for column, picture in enumerate(line):
            place = (column, column + 0.94, row + 0.94, row)
            axis.imshow(picture[0], cmap="gray", vmin=0, vmax=1, extent=place, interpolation="nearest")
    axis.set(xlim=(0, len(columns)), ylim=(len(rows), 0), aspect="equal")
    axis.set_xticks([column + 0.47 for column in range(len(columns))], columns, fontsize=7)
    axis.set_yticks([row + 0.47 for row in range(len(rows))], rows, fontsize=7)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
