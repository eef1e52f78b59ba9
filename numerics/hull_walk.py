r"""The exact nearest point of a hull: Wolfe's method in rational numbers, from where float64 came to its floor.

The points S that are held are independent. The nearest point p of their affine hull (or span) to the query q is found in
fractions. Where a weight of p is negative, the way leads back into the convex hull and a point is dropped (the minor cycle).
Otherwise let w = q − p: if no point has :math:`w\cdot x_i > w\cdot p`, then p is nearest, and w separates unless it is 0; else such
points join S. Every round shortens ‖w‖ until nothing is left to gain (Wolfe, Finding the nearest point in a polytope, 1976).
Floats only suggest: where to begin, and which of the points join. Where points lie beyond w by less than their rounding in
float64, the walk begins again from what float64 sees in the coordinates of :mod:`numerics.hull_flat`.
"""

import math
from fractions import Fraction

import numpy as np
from scipy.linalg import qr
from scipy.optimize import nnls

from numerics.arrays import Float
from numerics.hull_certificate import lower_bound
from numerics.hull_flat import chart, seen
from numerics.hull_points import Index, basis, pieces, spread
from numerics.hull_whole import WholeHull
from numerics.modular import LARGEST, Span
from numerics.whole_numbers import EFFORT, Whole, effort, gram, products, solve

PRIMES = LARGEST, 2_147_483_629  # products of two residues fit in 64 bits
ROUNDS = 100, 10  # at most, and for each feature
GRID = 2**2048  # weights on the way are multiples of 1/GRID
CANDIDATES = 4  # times the number of features: points among which some join
LIMBS = 9  # products of limbs for one of float64
SMALL = 1e-9  # a weight that may be rounding
NEAR = 1e-9  # relative: a point as near as that to the affine hull of S is no suggestion


def walk(hull: WholeHull, support: Index, weights: Float) -> tuple[dict[int, Fraction], list[int]] | None:
    """The weights of the nearest point p, and q − p times a positive number, in whole numbers.

    Args:
        hull: The question.
        support: Points that float64 gave weight.
        weights: Those weights.

    Returns:
        None if that takes too long (see :data:`numerics.whole_numbers.EFFORT`).

    Example:
        >>> corner = WholeHull(np.eye(2), np.array([0.25, 0.5]), "convex")
        >>> found, direction = walk(corner, np.array([0, 1]), np.array([0.5, 0.5]))
        >>> [str(found[i]) for i in (0, 1)], direction          # in units of 1/4
        (['3/8', '5/8'], [-1, -1])
    """
    walker, looked = _Walker(hull), False
    held = walker.beginning(support, weights)
    for _ in range(ROUNDS[0] + ROUNDS[1] * hull.width):
        foot = walker.foot(list(held))
        if foot is None:
            return None
        wanted, rest = foot
        if hull.kind == "convex":
            if min(wanted.values()) < 0:
                held = back(held, wanted)
                continue
            wanted = {index: value for index, value in wanted.items() if value}
        joining = walker.joining(list(wanted), rest) if any(rest) else []
        if joining is None:
            return None
        if not joining:
            return wanted, rest
        second = chart(hull) if walker.blind and not looked else None
        looked |= walker.blind
        if second is not None:
            support, weights, direction = seen(second)
            if direction and hull.gap(direction) > 0:
                return wanted, direction
            held = walker.beginning(support, weights)
            continue
        held = wanted | dict.fromkeys(walker.independent(list(wanted), joining), Fraction(0))
    return None


class _Walker:
    """What a walk asks of its question.

    Attributes:
        left: The products that it may still spend.
        blind: Whether the points that joined last are beyond w by less than their rounding in float64.
    """

    def __init__(self, hull: WholeHull) -> None:
        self.hull, self.left = hull, EFFORT
        self.cloud = hull.cloud()
        self.blind = False

    def spend(self, products: int) -> bool:
        """Whether there is enough left for so many products."""
        self.left -= products
        return self.left > 0

    def beginning(self, support: Index, weights: Float) -> dict[int, Fraction]:
        """Independent points to begin with: those of the float answer that have weight for certain, or a basis of a sample."""
        if self.hull.kind == "convex":
            pairs = sorted(zip(weights.tolist(), support.tolist(), strict=True), reverse=True)
            values = {index: Fraction(weight) for weight, index in pairs if weight > SMALL}
            order = list(values)
            kept = [order[0], *self.independent(order[:1], order[1:])]
            total = sum(values[index] for index in kept)
            return {index: values[index] / total for index in kept}
        sample = spread(len(self.hull.points), self.hull.width + 1)
        rows = self.cloud.rows(sample, self.origin(int(sample[0])))
        rows = rows / (np.abs(rows).max() or 1.0)
        chosen = [int(i) for i in sample[basis(rows.T, self.hull.width)]] if rows.any() else []
        first = [] if self.hull.kind == "span" else [int(sample[0])]
        return dict.fromkeys([*first, *self.independent(first, chosen)], Fraction(0))

    def origin(self, index: int) -> Float:
        """What differences are taken from, in floats: a point, or 0 for a span."""
        point: Float = self.cloud.scaled(self.hull.points[index])
        return 0 * point if self.hull.kind == "span" else point

    def differences(self, chosen: list[int]) -> tuple[Whole, list[int]]:
        """What the weights multiply, (k, d), and what it should give: points and query, less the first point unless it is a span."""
        rows, query = self.hull.rows(chosen), self.hull.query
        if self.hull.kind == "span":
            return rows, query
        return rows[1:] - rows[0], [q - int(x) for q, x in zip(query, rows[0], strict=True)]

    def independent(self, chosen: list[int], joining: list[int]) -> list[int]:
        """Those of the joining points that are independent of the chosen ones and of each other (modulo a prime: so they are)."""
        if not joining:
            return []
        rows, _ = self.differences([*chosen, *joining])
        before = len(chosen) - (self.hull.kind != "span")
        _, taken = _span(rows)
        return [joining[i - before] for i in taken if i >= before]

    def foot(self, chosen: list[int]) -> tuple[dict[int, Fraction], list[int]] | None:
        """The weights of the nearest point p of the affine hull (span) of points, and q − p times a positive number."""
        rows, target = self.differences(chosen)
        span, _ = _span(rows)
        places = span.places
        found = rest = None
        if not span.extend(_residues(np.array([target], dtype=object), span.prime)):  # q seems to be in it
            found = self.solved(rows[:, places].T, [target[j] for j in places])
            rest = None if found is None else _rest(rows, target, found)
        if rest is None or any(rest):
            affordable = self.spend(len(rows) ** 2 * self.hull.width * LIMBS)
            found = self.solved(gram(rows), products(rows, target)) if affordable else None
            rest = None if found is None else _rest(rows, target, found)
        if found is None or rest is None:
            return None
        first = [] if self.hull.kind == "span" else [1 - sum(found, Fraction(0))]
        return dict(zip(chosen, [*first, *found], strict=True)), rest

    def solved(self, matrix: Whole, target: list[int]) -> list[Fraction] | None:
        """The solution of a system, if it can be afforded."""
        return solve(matrix, target) if self.spend(effort(matrix, target)) else None

    def joining(self, chosen: list[int], rest: list[int]) -> list[int] | None:
        """Points beyond the hyperplane through p that is orthogonal to w; none if there are none, None if that is too dear to say."""
        largest = max(map(abs, rest))
        unit = np.array([value / largest for value in rest])
        unit /= np.linalg.norm(unit)
        origin = self.origin(chosen[0]) if chosen else np.zeros(self.hull.width)
        if not self.spend(self.hull.points.size):
            return None
        parts = [lower_bound(unit, self.cloud.rows(piece, origin)) for piece in pieces(self.hull.points)]
        gains, errors = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        convex = self.hull.kind == "convex"
        gains = gains if convex else np.abs(gains)
        most = CANDIDATES * self.hull.width
        clear = np.flatnonzero(gains > errors)
        if clear.size:
            best = clear[np.argsort(-gains[clear], kind="stable")][:most]
            return self.suggested(chosen, best, unit) if convex else best.tolist()
        unsure = np.setdiff1d(np.flatnonzero(gains >= -errors), chosen)
        if not self.spend(len(unsure) * self.hull.width * (10 + largest.bit_length() // 60)):
            return None
        level = self.hull.slopes(rest, chosen[:1])[0] if chosen and self.hull.kind != "span" else 0
        above = [slope - level for slope in self.hull.slopes(rest, unsure)] if unsure.size else []
        beyond = [i for i, value in enumerate(above) if value > 0 or (value and not convex)]
        beyond.sort(key=lambda i: -abs(above[i]))
        self.blind = convex and bool(beyond)
        return [int(unsure[i]) for i in beyond[: 1 if convex else most]]

    def suggested(self, chosen: list[int], candidates: Index, unit: Float) -> list[int]:
        """Those of the candidates that the nearest direction to w in the cone of all of them is made of."""
        origin = self.origin(chosen[0])
        rows = self.cloud.rows(candidates, origin)
        sizes = np.linalg.norm(rows, axis=1)
        if len(chosen) > 1:
            inner, _ = qr(self.cloud.rows(chosen[1:], origin).T, mode="economic", check_finite=False)
            rows = rows - (rows @ inner) @ inner.T
        lengths = np.linalg.norm(rows, axis=1)
        far = np.flatnonzero(lengths > NEAR * sizes)
        if far.size:
            try:
                weights = nnls((rows[far] / lengths[far, None]).T, unit)[0]
            except RuntimeError:  # it did not end
                weights = np.zeros(len(far))
            used = np.flatnonzero(weights)
            if used.size:
                return [int(i) for i in candidates[far[used[np.argsort(-weights[used], kind="stable")]]]]
        return [int(candidates[0])]


def back(held: dict[int, Fraction], wanted: dict[int, Fraction]) -> dict[int, Fraction]:
    """From weights ≥ 0 towards others as far as none is negative; the points that would become so are dropped.

    Example:
        >>> half = Fraction(1, 2)
        >>> found = back({5: half, 7: half}, {5: 3 * half, 7: -half})
        >>> {index: str(value) for index, value in found.items()}
        {5: '1'}
    """
    step = min(held[i] / (held[i] - value) for i, value in wanted.items() if value < 0)
    moved = {i: held[i] + step * (value - held[i]) for i, value in wanted.items()}
    kept = {i: Fraction(math.floor(moved[i] * GRID), GRID) for i, value in wanted.items() if moved[i] > 0 or value >= 0}
    most = max(kept, key=lambda i: kept[i])
    kept[most] += 1 - sum(kept.values())
    return kept


def _rest(rows: Whole, target: list[int], weights: list[Fraction]) -> list[int]:
    """What the weights miss the target by, times a positive number."""
    shared = math.lcm(*(value.denominator for value in weights))
    reached = products(rows.T, [int(value * shared) for value in weights])
    rest = [shared * wanted - given for wanted, given in zip(target, reached, strict=True)]
    common = math.gcd(*rest) or 1
    return [value // common for value in rest]


def _span(rows: Whole) -> tuple[Span, list[int]]:
    """The span of rows modulo a prime, and rows that are independent; of two primes the one that finds more of them."""
    found = list[tuple[Span, list[int]]]()
    for prime in PRIMES:
        span = Span(prime)
        found.append((span, span.extend(_residues(rows, prime))))
        if len(found[-1][1]) == min(rows.shape):
            break
    return max(found, key=lambda pair: len(pair[1]))


def _residues(rows: Whole, prime: int) -> Whole:
    return np.array(rows % prime, dtype=np.int64)
