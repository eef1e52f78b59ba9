"""Pictures: what a network makes of test images over time, and how distances are spread."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numerics.files import whole_file
from theory.errors import DataError, SettingError

SHOWN = 6  # test images in a picture


def draw_predictions(path: Path, inputs: Any, predictions: Any, titles: Sequence[str]) -> None:
    """Draws the first test images (rows) and their predictions at each time (columns); signals are drawn as curves.

    Raises:
        SettingError: If matplotlib is not installed, or the picture cannot be written.
    """
    rows = min(SHOWN, len(inputs))
    page = figure(path, 1.3 * (len(titles) + 1) + 0.4, 1.3 * rows + 0.5)
    axes = page.subplots(rows, len(titles) + 1, squeeze=False)
    for row in range(rows):
        for column, picture in enumerate([inputs[row], *(prediction[row] for prediction in predictions)]):
            axis = axes[row][column]
            _draw(axis, picture, inputs[row])
            axis.set_xticks([])
            axis.set_yticks([])
            if row == 0:
                axis.set_title("input" if column == 0 else titles[column - 1], fontsize=9)
    write(path, page)


def draw_histogram(path: Path, values: Any, label: str, title: str) -> None:
    """Draws how often values occur.

    Raises:
        SettingError: If matplotlib is not installed, or the picture cannot be written.
    """
    page = figure(path, 5.0, 3.0)
    axis = page.subplots()
    axis.hist(values, bins="auto" if len(values) > 1 else 1, color="0.35", edgecolor="white", linewidth=0.5)
    axis.set_xlabel(label)
    axis.set_ylabel("queries")
    axis.set_title(title, fontsize=9)
    write(path, page)


def figure(path: Path, width: float, height: float) -> Any:
    """An empty matplotlib figure for a picture file, of a size in inches.

    Raises:
        SettingError: If matplotlib is not installed, or the path is no picture's.
    """
    if not path.suffix:
        message = f"--plot must be a picture file, but {path} has no ending. Use a .png or .svg path."
        raise SettingError(message)
    with drawing({}) as figure_class:
        return figure_class(figsize=(width, height), layout="constrained")


@contextmanager
def drawing(style: Mapping[str, Any]) -> Iterator[Any]:
    """Matplotlib's class of figures, with some of its settings changed for a while.

    Raises:
        SettingError: If matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        message = "matplotlib must be installed to draw, but it is not. Run: pip install 'closedflow[report]'."
        raise SettingError(message) from None
    with matplotlib.rc_context(dict(style)):
        yield Figure


def write(path: Path, page: Any) -> None:
    """Writes a figure to its file, whole or not at all.

    Raises:
        SettingError: If the file cannot be written.
    """
    try:
        with whole_file(path) as file:
            page.savefig(file, dpi=150, format=path.suffix.removeprefix("."))
    except DataError:  # it says all
        raise
    except (OSError, ValueError) as error:
        message = (
            f"--plot must be a picture file that can be written, but {path} is not: {error}. Use a .png or .svg path."
        )
        raise SettingError(message) from None


def _draw(axis: Any, picture: Any, reference: Any) -> None:
    side = round(picture.shape[-1] ** 0.5)
    if picture.ndim == 1 and side * side == picture.shape[-1]:
        picture, reference = picture.reshape(side, side), reference.reshape(-1)
    elif picture.ndim >= 3:
        picture = picture[0] if picture.ndim == 3 else picture[0][picture.shape[1] // 2]
    if picture.ndim == 2 and min(picture.shape) > 1:
        low, high = min(0.0, float(reference.min())), max(1e-12, float(reference.max()))
        axis.imshow(picture, cmap="gray", vmin=low, vmax=high)
    else:
        axis.plot(picture.reshape(-1), color="black", linewidth=1)
