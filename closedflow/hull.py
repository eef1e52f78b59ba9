"""The command ``closedflow hull``: distances of test images to a hull of the training images, as summary, table and picture."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from empirical.data import Images
from numerics.arrays import Float
from numerics.diameter import diameter
from numerics.files import whole_file
from numerics.hulls import distance
from theory.errors import DataError

COLUMNS = ("index", "status", "lower", "upper", "over_diameter", "floor", "reason")
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
AT_ONCE = 256  # queries between two steps of the progress bar


@dataclass(frozen=True)
class Study:
    """Test images and a hull of training images.

    Attributes:
        train: Where the training images come from, and how many there are.
        test: The same of the test images.
        kind: span, affine or convex.
        exact: Whether integers decided.
        diameter: Of the training set.
        whole: Whether every pair was looked at for it.
        margin: Of the rank decision, for span and affine hull.
        rows: One for each test image, with the fields ``COLUMNS``.
    """

    train: str
    test: str
    kind: str
    exact: bool
    diameter: float
    whole: bool
    margin: float | None
    rows: list[dict[str, Any]]

    @classmethod
    def of(
        cls,
        train: Images,
        test: Images,
        kind: str,
        exact: bool,
        device: str | None,
        report: Callable[[str, int, int], None],
    ) -> "Study":
        """Measures every test image.

        Raises:
            DataError: If test and training images differ in size, or one set was divided to [0, 1] and the other is larger.
        """
        points, queries, unit = _in_one_unit(train, test)
        if points.shape[1] != queries.shape[1]:
            message = (
                f"test images must have {points.shape[1]} pixels like the training images, but they have {queries.shape[1]}. "
                "Crop or resize them."
            )
            raise DataError(message)
        size, whole = diameter(points.astype(np.float64, copy=False))
        rows: list[dict[str, Any]] = []
        margin = None
        step = AT_ONCE if kind == "convex" else len(queries)
        for start in range(0, len(queries), step):
            report("distances", start, len(queries))
            found = distance(queries[start : start + step], points, kind, exact, device=device)
            margin = found.margin
            shares = found.upper / size if size else np.where(found.upper > 0, np.inf, 0.0)
            columns = (found.status, found.lower, found.upper, shares)
            for status, lower, upper, share, floor, reason in zip(*columns, found.floor, found.reason, strict=True):
                lengths = (float(lower / unit), float(upper / unit), float(share), float(floor / unit))
                values = (len(rows), str(status), *lengths, str(reason))
                rows.append(dict(zip(COLUMNS, values, strict=True)))
        asked = f"{test.source} ({len(queries)} in all)"
        return cls(f"{train.source} ({len(points)} in all)", asked, kind, exact, size / unit, whole, margin, rows)

    @property
    def counts(self) -> dict[str, int]:
        """How many are outside, inside and undecided."""
        names = [row["status"] for row in self.rows]
        return {name: names.count(name) for name in ("outside", "inside", "undecided")}

    @property
    def shares(self) -> Float:
        """Distance over diameter of each test image, an upper bound; 0 for those inside."""
        return np.array([0.0 if row["status"] == "inside" else row["over_diameter"] for row in self.rows])

    @property
    def quantiles(self) -> dict[str, float]:
        """Of distance over diameter, over all test images."""
        values = np.quantile(self.shares, QUANTILES, method="inverted_cdf")
        return {f"{level:.0%}": float(value) for level, value in zip(QUANTILES, values, strict=True)}

    def write(self, table: Path | None, plot: Path | None) -> None:
        """Writes what was asked for, each file whole or not at all; a picture that cannot be drawn leaves none behind."""
        if plot is not None:
            from closedflow.plot import draw_histogram

            shares = self.shares[np.isfinite(self.shares)]
            draw_histogram(plot, shares, "distance / diameter", f"{self.kind}: {self._counted()}")
        if table is not None:
            text = io.StringIO()
            writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            with whole_file(table) as file:
                file.write(text.getvalue().encode())

    def to_json(self) -> str:
        """Summary and table."""
        fields = {
            "train": self.train,
            "test": self.test,
            "kind": self.kind,
            "exact": self.exact,
            "diameter": self.diameter,
            "diameter_is_a_lower_bound": not self.whole,
            "rank_margin": self.margin,
            "counts": self.counts,
            "distance_over_diameter": self.quantiles,
            "queries": self.rows,
        }
        return json.dumps(finite(fields), indent=1, ensure_ascii=False) + "\n"

    def _counted(self) -> str:
        total = len(self.rows)
        return ", ".join(f"{count} {name} ({count / total:.1%})" for name, count in self.counts.items())

    def __str__(self) -> str:
        quantiles = ", ".join(f"{level} {value:.4g}" for level, value in self.quantiles.items())
        lines = [
            f"points:  {self.train}",
            f"queries: {self.test}",
            f"{self.kind}{' (decided exactly)' if self.exact else ''}: {self._counted()}",
            f"diameter of the points: {'' if self.whole else 'at least '}{self.diameter:.6g}",
            f"distance/diameter, quantiles: {quantiles}",
        ]
        if self.margin is not None:
            lines.append(f"rank decision: {self.margin:.2g}× above rounding")
        reasons = sorted({row["reason"] for row in self.rows if row["reason"]})
        return "\n".join([*lines, *(f"undecided: {reason}" for reason in reasons)])


def _in_one_unit(train: Images, test: Images) -> tuple[Any, Any, int]:
    """The images as rows, and how many of their units are one: whole pixels as they were saved, so that dividing rounds nothing."""
    if train.divisor == test.divisor:
        if train.divisor == 1:
            return train.flat, test.flat, 1
        kind = np.uint16 if train.divisor > np.iinfo(np.int16).max else np.int16
        points, queries = (np.rint(images.flat * train.divisor).astype(kind) for images in (train, test))
        return points, queries, train.divisor
    for images in (train, test):
        largest = float(np.abs(images.values).max())
        if largest > 1:
            message = (
                "test and training images must be of one scale, but some are whole pixels of 8 or 16 bits, divided to [0, 1], "
                f"and the others ({images.source}) reach {largest:g}. Save both as the same type."
            )
            raise DataError(message)
    return train.flat, test.flat, 1


def finite(value: Any) -> Any:
    """The same with infinities as the string "inf": JSON has no word for them."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return "inf" if value == float("inf") else value
