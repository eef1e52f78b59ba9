r"""What proves that a query is outside or inside a convex hull, with a bound on every rounding.

With :math:`y_i = x_i - q` in float64, each entry correct to :math:`u = \epsilon/2`:

- Any direction z gives :math:`d \ge \min_i z\cdot y_i / \|z\|`. A computed product is off by at most
  :math:`(d + 4)\,\epsilon\,|z|\cdot|y_i|`, so the sign that is left after subtracting it is certain.
- Weights a ≥ 0 give :math:`d \le \|\sum_i a_i y_i\| / \sum_i a_i`.
- Inside: among the points with weight let B span all features that differ from the query's, and :math:`M = [y_i; 1]_{i \in B}`.
  If r is what :math:`\sum_i a_i [y_i; 1]` misses :math:`[0; 1]` by, then :math:`a_B + M^{-1} r` repairs it exactly. With an
  approximate inverse C and :math:`\|I - CM\| < 1` (Rump, Verification methods, Acta Numerica 2010, section 10), these weights are
  positive if :math:`a_B > |Cr| + \tfrac{\|I-CM\|}{1-\|I-CM\|}\max|Cr|`: q is inside, whatever was rounded.
"""

import numpy as np

from numerics.arrays import Float
from numerics.hull_points import EPS, NOTHING, basis

MISSED = 1e-9  # relative: by how much weights may miss the query; searches end far below it


def lower_bound(direction: Float, offsets: Float) -> tuple[Float, Float]:
    """The products z·y_i and how far off each can be.

    Args:
        direction: z, (d,).
        offsets: The y_i, (k, d).

    Example:
        >>> products, errors = lower_bound(np.array([1.0, 0.0]), np.array([[2.0, 5.0], [3.0, 0.0]]))
        >>> products.tolist(), bool((errors < 1e-14).all())
        ([2.0, 3.0], True)
    """
    products = offsets @ direction
    errors = (len(direction) + 4) * EPS * (np.abs(offsets) @ np.abs(direction)) + NOTHING
    return products, errors


def upper_bound(weights: Float, offsets: Float) -> float:
    """A bound on the distance to the point with these weights (k,), of any sum above 0, and offsets y_i, (k, d)."""
    total = float(weights.sum())
    error: Float = (len(weights) + 4) * EPS * (weights @ np.abs(offsets))
    size = float(np.linalg.norm(np.abs(weights @ offsets) + error))
    rounding: float = (len(weights) + offsets.shape[1] + 8) * EPS
    return size / total * (1 + rounding) + NOTHING


def inside(weights: Float, offsets: Float) -> bool:
    """Whether weights a > 0, (k,), and offsets y_i, (k, d), prove that the query is in the hull of the points.

    They must miss it by no more than rounding. Features in which every point with weight equals the query are left out; a point
    that equals the query is proof enough.

    Example:
        >>> triangle = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> inside(np.full(3, 1 / 3), triangle - [1 / 3, 1 / 3]), inside(np.array([0.5, 0.5]), triangle[1:] - [0.5, 0.5])
        (True, False)
    """
    if float(np.linalg.norm(weights @ offsets)) > MISSED * float(np.linalg.norm(weights @ np.abs(offsets))):
        return False
    if not (offsets != 0).any(axis=1).all():
        return True
    offsets = offsets[:, (offsets != 0).any(axis=0)]
    size = offsets.shape[1] + 1
    if len(weights) < size:
        return False
    unit = np.abs(offsets).max()
    system = np.column_stack((offsets / unit, np.ones(len(weights)))).T
    chosen = basis(system * weights, size)
    if len(chosen) < size:
        return False
    matrix = system[:, chosen]
    inverse = np.linalg.inv(matrix)
    sizes = np.abs(inverse) @ np.abs(matrix)
    defect = float((np.abs(np.eye(size) - inverse @ matrix) + (size + 4) * EPS * (sizes + 1)).sum(axis=1).max())
    if not defect < 0.5:
        return False
    missed = system @ weights - np.eye(size)[-1]
    missed = np.abs(missed) + (len(weights) + 6) * EPS * (np.abs(system) @ weights + 1)
    repair = np.abs(inverse) @ missed * (1 + 2 * size * EPS) + NOTHING
    return bool((weights[chosen] > repair + defect / (1 - defect) * repair.max()).all())
