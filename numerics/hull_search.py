r"""The nearest point of a convex hull, by column generation: an active-set method on ``scipy.optimize.nnls``.

The least :math:`\|\sum_i a_i y_i\|^2 + s^2(\sum_i a_i - 1)^2` over a ≥ 0 is attained at t·a*, where a* are the weights of the
nearest point (sum 1) and :math:`t = s^2/(d^2 + s^2)`: for weights t·b with sum b = 1 the least value over t is
:math:`s^2\|p\|^2/(\|p\|^2 + s^2)`, which rises with ‖p‖. So nnls solves the restricted problem exactly for any s, and
s near the distance keeps its two parts of one size. The residual of the support is then formed again from a QR decomposition
of differences, twice orthogonalised: its direction is right to rounding even where the distance is not.

Each round prices all points with all directions at once, adds the worst violators and drops points without weight.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from numerics.affine_nearest import settle
from numerics.arrays import Float
from numerics.hull_certificate import lower_bound
from numerics.hull_points import EPS, Array, Cloud, Index

GOAL = 1e-10  # relative gap at which a search ends
BEGIN, ADDED = 24, 24  # points at the start, and added at most in a round, or half of those with weight if that is more
ROUNDS = 400  # of one query; then it is undecided
WORK = 3e11  # products of one query in restricted problems, some minutes; likewise
REFUSED = 8  # new points that turn out to be dependent, after which a round ends
STEP = 1e-13  # relative: a distance that falls by less has not fallen
BLOCK = 1 << 24  # prices formed at once


@dataclass
class Search:
    """One query on its way.

    Attributes:
        query: q, (d,), in the units of the cloud.
        working: Indices of the working set.
        support: Indices of the points with weight.
        weights: Of the support, sum 1.
        normal: z, from the query towards the nearest point found so far, of length 1.
        best: The direction that gave ``lowest``.
        distance: ‖Σ a y‖, an upper bound up to rounding.
        lowest: The least z·y_i/‖z‖ over all points, less its rounding: a lower bound on the distance.
        error: That rounding.
        rounds: How often the points were priced.
        done: Whether nothing is left to do.
        work: Products spent on restricted problems, roughly.
        careful: Whether points are now added one by one.
        stalls: Rounds in which that changed nothing.
    """

    query: Float
    working: Index
    support: Index
    weights: Float
    normal: Float
    best: Float
    distance: float = np.inf
    lowest: float = -np.inf
    error: float = 0.0
    rounds: int = 0
    done: bool = False
    work: float = 0.0
    careful: bool = False
    stalls: int = 0

    @property
    def gap(self) -> float:
        """Upper less lower bound, relative to the upper."""
        return (self.distance - self.lowest) / self.distance if self.distance > 0 else 0.0


def nearest(cloud: Cloud, queries: Float, *, goal: float = GOAL, rounds: int = ROUNDS) -> list[Search]:
    """The nearest points of the hull to queries (m, d) in the units of the cloud, as far as float64 finds them."""
    found: list[Search] = []
    step = max(1, BLOCK // cloud.count)
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        near = cloud.nearness(block)
        searches = [_begin(cloud, query, row) for query, row in zip(block, near, strict=True)]
        active = searches
        while active:
            for search in active:
                _solve(cloud, search)
            active = [search for search in active if not search.done]
            if not active:
                break
            directions = np.array([search.normal for search in active])
            prices, by_point, by_query = cloud.prices(directions, np.array([search.query for search in active]))
            for search, row, extra in zip(active, prices, by_query, strict=True):
                _advance(cloud, search, row, by_point, float(extra), goal)
                search.done |= search.rounds >= rounds or search.work > WORK
            active = [search for search in active if not search.done]
        found += searches
    return found


def _begin(cloud: Cloud, query: Float, near: Array) -> Search:
    count = min(BEGIN, cloud.count)
    first = np.argpartition(near, count - 1)[:count] if count < cloud.count else np.arange(count)
    first = first[np.argsort(near[first], kind="stable")]
    return Search(query, first, first[:1], np.ones(1), np.zeros(cloud.width), np.zeros(cloud.width))


def _solve(cloud: Cloud, search: Search) -> None:
    """The nearest point of the hull of the working set, which begins with the support."""
    offsets = cloud.rows(search.working, search.query)
    weights = None if search.careful else _by_nnls(offsets, search.distance)
    if weights is not None:
        kept = np.flatnonzero(weights)
        left, weights, normal, _ = settle(offsets[kept], weights[kept])
        kept = kept[left]
        search.work += offsets.size * len(kept)
        distance = float(np.linalg.norm(weights @ offsets[kept]))
        if distance < search.distance * (1 - STEP):
            _take(search, offsets, kept, weights, normal)
            return
    search.careful = True  # nnls has come to its rounding; go on from where it was, point by point
    kept, weights, normal, _ = settle(offsets[: len(search.support)], search.weights)
    refused = 0
    for new in range(len(search.support), len(offsets)):
        if refused >= REFUSED:
            break
        length = float(np.linalg.norm(normal))
        if length == 0 or not offsets[new] @ normal < (1 - GOAL) * length * np.linalg.norm(weights @ offsets[kept]):
            continue
        more = np.append(kept, new)
        left, lighter, turned, sure = settle(offsets[more], np.append(weights, 0.0))
        search.work += offsets.shape[1] * len(more) ** 2
        if sure:  # else the new point is in the affine hull of the others, and seems cheaper by rounding only
            kept, weights, normal = more[left], lighter, turned
        refused += not sure
    before = search.distance
    _take(search, offsets, kept, weights, normal)
    search.stalls += search.distance >= before * (1 - STEP)
    search.done |= search.stalls > 1


def _take(search: Search, offsets: Float, kept: Index, weights: Float, normal: Float) -> None:
    length = float(np.linalg.norm(normal))
    search.support, search.weights = search.working[kept], weights
    search.normal = normal / length if length > 0 else normal
    search.distance = float(np.linalg.norm(weights @ offsets[kept])) if length > 0 else 0.0
    rounding = 4 * EPS * float(np.linalg.norm(weights @ np.abs(offsets[kept])))
    search.done = search.distance <= rounding


def _by_nnls(offsets: Float, distance: float) -> Float | None:
    unit = float(np.abs(offsets).max())
    if unit == 0:
        return np.array([1.0] + [0.0] * (len(offsets) - 1))
    size = min(distance, float(np.linalg.norm(offsets[0]))) / unit
    system = np.vstack((offsets.T / unit, np.full(len(offsets), max(size, 1e-12))))
    target = np.zeros(len(system))
    target[-1] = system[-1, 0]
    try:
        weights: Float = nnls(system, target)[0]
    except RuntimeError:
        return None
    total = float(weights.sum())
    return weights / total if total > 0 and np.isfinite(total) else None


def _advance(cloud: Cloud, search: Search, prices: Array, by_point: Float, extra: float, goal: float) -> None:
    """Bounds from the prices of all points, and the violators into the working set."""
    search.rounds += 1
    wide = prices.astype(np.float64)
    reach = float((wide + by_point).min()) + 2 * extra  # no point that is dearer than this can be the cheapest
    candidates = np.flatnonzero(wide - by_point <= reach)
    exact, errors = _products(cloud, search, candidates)
    place = int((exact - errors).argmin())
    if exact[place] - errors[place] > search.lowest:
        search.lowest, search.error = float(exact[place] - errors[place]), float(errors[place])
        search.best = search.normal
    bound = search.distance * (1 - goal)
    wide[candidates] = exact + errors
    wide[search.support] = np.inf
    cheap = np.flatnonzero(wide < bound)
    if len(cheap) == 0:
        search.done = True
        return
    limit = max(ADDED, len(search.support) // 2)
    if len(cheap) > limit:
        cheap = cheap[np.argpartition(wide[cheap], limit - 1)[:limit]]
    search.working = np.concatenate((search.support, cheap[np.argsort(wide[cheap], kind="stable")]))


def _products(cloud: Cloud, search: Search, index: Index) -> tuple[Float, Float]:
    """z·y_i in float64 and the bound on its rounding, of some points."""
    step = max(1, (1 << 22) // cloud.width)
    parts = [
        lower_bound(search.normal, cloud.rows(index[start : start + step], search.query))
        for start in range(0, len(index), step)
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
