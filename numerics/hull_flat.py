r"""Points that are flat but for rounding, in coordinates in which nothing is small.

Let J be features that tell the points apart in float64, and :math:`M` a matrix of floats with :math:`x_{rest} \approx Mx_J`. The map
:math:`x \mapsto (x_J,\ x_{rest} - Mx_J)` is linear and invertible, so that it changes no membership; in whole numbers its second
part is right to the last digit, however small, and can be enlarged to the size of the first. Float64 sees there what it cannot see
in the points themselves. A direction (u, v) there is :math:`(u - M^\top v,\ v)` here.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from numerics.arrays import Float
from numerics.hull_points import Cloud, Index, largest, spread
from numerics.hull_search import nearest
from numerics.hull_whole import WholeHull
from numerics.whole_numbers import EFFORT, Whole

FLAT = 1e-9  # relative: what is smaller than that beside the rest
DIGITS = 53  # of M after the point
DEARER = 100  # times: a product of Python's integers than one of int64


@dataclass(frozen=True)
class Chart:
    """The coordinates of a hull's points and query.

    Attributes:
        points: In float64, (N, d), each feature of a size near 1.
        query: Likewise, (d,).
        telling: J.
        rest: The other features.
        matrix: 2^53·M, whole numbers.
        sizes: The powers of two that the whole coordinates were divided by.
    """

    points: Float
    query: Float
    telling: Index
    rest: Index
    matrix: Whole
    sizes: list[int]

    def direction(self, there: Float) -> list[int]:
        """A direction of the chart, its numbers rounded to 53 bits after the point, as one of the hull, in whole numbers."""
        units = [max(self.sizes) // size for size in self.sizes]
        whole = np.array([round(value * 2.0**DIGITS) * unit for value, unit in zip(there.tolist(), units, strict=True)])
        first, second = whole[: len(self.telling)].astype(object), whole[len(self.telling) :].astype(object)
        found = np.zeros(len(there), dtype=object)
        found[self.telling] = first - second @ self.matrix
        found[self.rest] = second << DIGITS
        return [int(value) for value in found]


def chart(hull: WholeHull) -> Chart | None:
    """Coordinates for points that float64 finds flat; None for others, or if they would take too long.

    Example:
        >>> thin = WholeHull(np.array([[0.0, 0.0], [1.0, 0.1], [3.0, 0.3], [7.0, 0.7]]), np.array([2.0, 0.2]), "convex")
        >>> found = chart(thin)
        >>> found.telling.tolist(), bool(abs(found.points[:, 1]).max() > 0.5)          # 3·0.1 is not 0.3
        ([0], True)
    """
    count, cloud = len(hull.points), hull.cloud()
    sample = spread(count, hull.width + 1)
    floats = cloud.rows(sample, cloud.scaled(hull.points[0]))
    _, triangle, order = qr(floats, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(triangle))
    rank = int((diagonal > FLAT * diagonal[0]).sum())
    if rank in (0, hull.width, count - 1) or count * rank * (hull.width - rank) * DEARER > EFFORT:
        return None
    telling, rest = order[:rank], order[rank:]
    slopes = np.linalg.lstsq(floats[:, telling], floats[:, rest])[0].T
    matrix = np.array([[round(value * 2.0**DIGITS) for value in row] for row in slopes.tolist()], dtype=object)
    rows = np.concatenate((hull.rows(slice(None)).astype(object), np.array([hull.query], dtype=object)))
    rows = rows - rows[0]
    beside = rows[:, rest] * 2**DIGITS - rows[:, telling] @ matrix.T
    every = np.concatenate((rows[:, telling], beside), axis=1)
    sizes = [2 ** max(abs(value) for value in column).bit_length() for column in every.T.tolist()]
    found = np.array([[value / size for value, size in zip(row, sizes, strict=True)] for row in every.tolist()])
    return Chart(found[:-1], found[-1], telling, rest, matrix, sizes)


def seen(flat: Chart) -> tuple[Index, Float, list[int]]:
    """The nearest point that float64 finds in a chart: points, their weights, and a direction of the hull that may separate."""
    (search,) = nearest(Cloud(flat.points, largest(flat.query)), flat.query[None])
    direction = flat.direction(-search.best) if search.lowest > 0 else []
    return search.support, search.weights, direction
