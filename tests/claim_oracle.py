"""A slow second opinion on a claim: random floating-point matrices, Taylor series for d(.), scipy's expm for flows.

It shares no code with the prover: Python's grammar is walked directly, every matrix is a Taylor series in time, a limit
is a late time, and a flow's integral is a block of a larger exponential.
"""

from __future__ import annotations

import ast
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from tests.corpus_reader import Entry

ORDERS = 5
"""Taylor coefficients that are kept; each d(.) in a claim costs one."""
LATE = 400.0
"""Stands for infinite time: rates are at least 0.1 by the way matrices and scalars are drawn, so exp(-40) is left."""
TOLERANCE = 1e-7
"""Between rounding (1e-12 on these sizes) and the gap of a false claim (1e-3 or more)."""
RANK = 1e-9
"""Singular values below it are rounding."""

Series = np.ndarray


@dataclass(frozen=True)
class Multiple:
    """A multiple of the identity whose size is not known, or None for 0; the factor is a series."""

    factor: np.ndarray | None


class Unfit(Exception):
    """The draw is no model of the hypotheses."""


def disagreement(entry: Entry, seed: int) -> float:
    """The relative size of left - right on one random model.

    Raises:
        Unfit: If the drawn numbers do not satisfy the hypotheses.
    """
    world = _World(entry, np.random.default_rng(seed))
    now = world.at(world.time)
    for text in entry.assume:
        if not _is_rate(text, entry) and _gap(now, text) > TOLERANCE:
            raise Unfit(text)
    return _gap(now, entry.claim)


def _gap(now: _Moment, text: str) -> float:
    tree = ast.parse(text.strip(), mode="eval").body
    assert isinstance(tree, ast.Compare)
    sides = [now.read(tree.left), now.read(tree.comparators[0])]
    shape = next((side.shape[1:] for side in sides if not isinstance(side, Multiple) and side.ndim == 3), (1, 1))
    left, right = (now.sized(side, *shape) for side in sides)
    assert left.shape == right.shape, text
    scale = 1 + max(np.abs(left[0]).max(), np.abs(right[0]).max())
    return float(np.abs(left[0] - right[0]).max() / scale)


def _is_rate(text: str, entry: Entry) -> bool:
    left = ast.parse(text.strip(), mode="eval").body.left  # type: ignore[attr-defined]
    return isinstance(left, ast.Call) and getattr(left.func, "id", "") == "d" and left.args[0].id in entry.shapes


class _World:
    """One draw of all letters and scalars, and how the moving ones move."""

    def __init__(self, entry: Entry, random: np.random.Generator) -> None:
        self.entry = entry
        self.time = float(random.uniform(0.4, 1.1))
        shapes = {**entry.shapes, **entry.extra}
        names = {size for shape in shapes.values() for size in shape if isinstance(size, str)}
        self.sizes = sizes = {name: int(random.choice(entry.sizes.get(name, [1, 2, 3, 4]))) for name in sorted(names)}
        self.letters: dict[str, np.ndarray] = {}
        for name, shape in shapes.items():
            rows, columns = (size if isinstance(size, int) else sizes[size] for size in shape)
            self.letters[name] = _matrix(random, rows, columns, full=name in entry.full)
        self.scalars: dict[str, float] = {}
        for text in entry.scalars:
            sign = 1 if ">" in text else random.choice([1, -1])
            self.scalars[text.partition(">")[0].strip()] = float(sign * random.uniform(0.5, 1.5))
        self._moments: dict[float, _Moment] = {}
        self.rates = {
            tree.left.args[0].id: tree.comparators[0]
            for text in entry.assume
            if _is_rate(text, entry)
            for tree in [ast.parse(text.strip(), mode="eval").body]
        }
        for name, text in entry.model.items():
            value = self.at(self.time).read(ast.parse(text, mode="eval").body)
            if name in self.letters:
                self.letters[name] = _Moment.sized(value, *self.letters[name].shape)[0]
            else:
                self.scalars[name] = float(np.ravel(value[0])[0])

    def at(self, time: float) -> _Moment:
        """The same draw at another time; letters with a rate have no value at a late time."""
        if not self.rates or time == self.time:
            return _Moment(self, time, self.letters)
        if time == LATE:
            return _Moment(self, time, {name: self.letters[name] for name in self.letters if name not in self.rates})
        if time not in self._moments:
            self._moments[time] = self._moved(time)
        return self._moments[time]

    def _moved(self, time: float) -> _Moment:
        names = list(self.rates)
        cuts = np.cumsum([self.letters[name].size for name in names])[:-1]

        def unpacked(flat: np.ndarray) -> dict[str, np.ndarray]:
            parts = zip(names, np.split(flat, cuts), strict=True)
            return {**self.letters, **{name: part.reshape(self.letters[name].shape) for name, part in parts}}

        def rate(when: float, flat: np.ndarray) -> np.ndarray:
            moment = _Moment(self, when, unpacked(flat))
            return np.concatenate([moment.letter(name)[1].ravel() for name in names])

        begin = np.concatenate([self.letters[name].ravel() for name in names])
        solution = solve_ivp(rate, (self.time, time), begin, rtol=1e-11, atol=1e-12)
        return _Moment(self, time, unpacked(solution.y[:, -1]))


class _Moment:
    """Everything around one moment of time, as Taylor series."""

    def __init__(self, world: _World, time: float, letters: dict[str, np.ndarray]) -> None:
        self.world, self.time = world, time
        self.series = {name: _constant(value) for name, value in letters.items()}
        rates = {name: tree for name, tree in world.rates.items() if name in letters}
        for order in range(1, ORDERS if rates else 0):
            known = {name: self.read(tree) for name, tree in rates.items()}
            for name, value in known.items():
                self.series[name][order] = self.sized(value, *letters[name].shape)[order - 1] / order

    def letter(self, name: str) -> Series:
        return self.series[name]

    def read(self, node: ast.expr) -> Any:
        """A series of matrices (axis 0 is the order), a series of scalars (one axis), or a `Multiple`."""
        match node:
            case ast.Constant(value=value):
                return _constant(np.float64(value))
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.times(_constant(np.float64(-1)), self.read(operand))
            case ast.Attribute(value=value, attr="T"):
                inner = self.read(value)
                return inner if isinstance(inner, Multiple) else inner.swapaxes(1, 2)
            case ast.BinOp(left=left, op=operator, right=right):
                return self.binary(self.read(left), operator, self.read(right), right)
            case ast.Call(func=ast.Name(id=function), args=[argument]):
                return self.call(function, argument)
            case ast.Call(func=ast.Name(id=function), args=[value, ast.Name(id=letter), variance]):
                mean = self.mean(value, letter, self.read(variance), 1)
                if function == "expect":
                    return mean
                return self.mean(value, letter, self.read(variance), 2) - _product(mean, mean)
        raise AssertionError(ast.dump(node))

    def mean(self, value: ast.expr, letter: str, variance: Series, power: int) -> Series:
        """The mean of a power by Gauss's and Hermite's rule on every entry, exact up to the fifth power of each."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(3)
        kept = self.series[letter]
        total = np.zeros(ORDERS)
        for picks in itertools.product(range(3), repeat=kept[0].size):
            entries = np.sqrt(variance[0]) * nodes[list(picks)].reshape(kept[0].shape)
            self.series[letter] = _constant(entries)
            result = self.read(value)
            weight = np.prod(weights[list(picks)] / np.sqrt(2 * np.pi))
            total = total + weight * (_product(result, result) if power == 2 else result)
        self.series[letter] = kept
        return total

    def name(self, name: str) -> Any:
        entry = self.world.entry
        if name == "I":
            return Multiple(_constant(np.float64(1)))
        if name == "t":
            return np.array([self.time, 1.0, *[0.0] * (ORDERS - 2)])
        if name in entry.where:
            return self.read(ast.parse(entry.where[name], mode="eval").body)
        if name in entry.flow:
            return self.flow(name)[0]
        return _constant(np.float64(self.world.scalars[name])) if name in self.world.scalars else self.series[name]

    def flow(self, name: str) -> tuple[Any, Any]:
        """The exponential and its integral."""
        value = self.read(ast.parse(self.world.entry.flow[name], mode="eval").body)
        if isinstance(value, Multiple):
            exponential, integral = self.exponential(self.sized(value, 1)[0])
            return Multiple(exponential[:, 0, 0]), Multiple(integral[:, 0, 0])
        return self.exponential(value[0])

    def exponential(self, generator: np.ndarray) -> tuple[Series, Series]:
        size = len(generator)
        wide = np.zeros((2 * size, 2 * size))
        wide[:size, :size], wide[:size, size:] = -generator, np.eye(size)
        blocks = expm(self.time * wide)
        exponential, integral = [blocks[:size, :size]], [blocks[:size, size:]]
        for order in range(1, ORDERS):
            integral.append(exponential[-1] / order)
            exponential.append(-generator @ exponential[-1] / order)
        return np.stack(exponential), np.stack(integral)

    def call(self, function: str, argument: ast.expr) -> Any:
        if function == "integral":
            return self.flow(argument.id)[1]  # type: ignore[attr-defined]
        if function == "dim":
            return _constant(np.float64(self.world.sizes[argument.id]))  # type: ignore[attr-defined]
        if function in ("start", "limit"):
            value = self.world.at(0.0 if function == "start" else LATE).read(argument)
            return value if isinstance(value, Multiple) else _constant(value[0])
        value = self.read(argument)
        if function == "tr":
            return np.trace(value, axis1=1, axis2=2)
        if function == "pinv":
            return Multiple(_reciprocal(value.factor)) if isinstance(value, Multiple) else _pinv(value)
        if function == "orth":
            return _constant(np.linalg.qr(value[0])[0])
        assert function == "d"
        if isinstance(value, Multiple):
            return value if value.factor is None else Multiple(_derivative(value.factor))
        return _derivative(value)

    def binary(self, left: Any, operator: ast.operator, right: Any, text: ast.expr) -> Any:
        match operator:
            case ast.Add():
                return self.plus(left, right)
            case ast.Sub():
                return self.plus(left, self.times(_constant(np.float64(-1)), right))
            case ast.Div():
                return self.times(left, _reciprocal(right))
            case ast.Pow():
                power = _constant(np.float64(1))
                for _ in range(text.value):  # type: ignore[attr-defined]
                    power = _product(power, left)
                return power
        return self.times(left, right)

    def plus(self, left: Any, right: Any) -> Any:
        if isinstance(left, Multiple) or isinstance(right, Multiple):
            if isinstance(left, Multiple) and isinstance(right, Multiple):
                parts = [side.factor for side in (left, right) if side.factor is not None]
                return Multiple(sum(parts)) if parts else Multiple(None)
            sized = left if isinstance(right, Multiple) else right
            other = right if isinstance(right, Multiple) else left
            if sized.ndim == 1:  # a number beside the matrix 0
                return sized
            return sized + self.sized(other, *sized.shape[1:])
        if left.ndim != right.ndim:  # the number 0 stands for a zero matrix
            return left if left.ndim == 3 else right
        return left + right

    def times(self, left: Any, right: Any) -> Any:
        if isinstance(right, Multiple):
            left, right = right, left
        if not isinstance(left, Multiple):
            return _product(left, right)
        if left.factor is None:
            return left
        if isinstance(right, Multiple):
            return right if right.factor is None else Multiple(_product(left.factor, right.factor))
        return Multiple(_product(left.factor, right)) if right.ndim == 1 else _product(left.factor, right)

    @staticmethod
    def sized(value: Any, rows: int, columns: int | None = None) -> Series:
        if not isinstance(value, Multiple):
            if value.ndim == 1:  # the number 0 in the place of a matrix
                return value[:, None, None] * np.ones((1, rows, columns or rows))
            return value
        shape = rows, columns or rows
        return np.zeros((ORDERS, *shape)) if value.factor is None else value.factor[:, None, None] * np.eye(*shape)


def _matrix(random: np.random.Generator, rows: int, columns: int, *, full: bool) -> np.ndarray:
    """A matrix of random rank (at least 1) with singular values between 0.6 and 1.4, so that no rank is in doubt."""
    rank = min(rows, columns) if full else int(random.integers(1, min(rows, columns) + 1))
    left = np.linalg.qr(random.normal(size=(rows, rank)))[0]
    right = np.linalg.qr(random.normal(size=(columns, rank)))[0]
    return left * random.uniform(0.6, 1.4, size=rank) @ right.T


def _constant(value: np.ndarray | np.float64) -> Series:
    series = np.zeros((ORDERS, *np.shape(value)))
    series[0] = value
    return series


def _product(left: Series, right: Series) -> Series:
    """Cauchy's product, of matrices or with a series of numbers on either side."""
    terms = [[] for _ in range(ORDERS)]
    for i, j in itertools.product(range(ORDERS), repeat=2):
        if i + j < ORDERS:
            matrices = left.ndim == 3 and right.ndim == 3
            terms[i + j].append(left[i] @ right[j] if matrices else left[i] * right[j])
    return np.stack([np.sum(parts, axis=0) for parts in terms])


def _derivative(series: Series) -> Series:
    """The last coefficient is lost, and 0 stands in for it: nothing that is compared depends on it."""
    orders = np.arange(1, ORDERS).reshape(-1, *[1] * (series.ndim - 1))
    return np.concatenate([orders * series[1:], np.zeros_like(series[:1])])


def _reciprocal(series: Series) -> Series:
    result = np.zeros_like(series)
    result[0] = 1 / series[0]
    for order in range(1, ORDERS):
        result[order] = -result[0] * sum(series[k] * result[order - k] for k in range(1, order + 1))
    return result


def _pinv(series: Series) -> Series:
    """The pseudo-inverse; a series that moves must be invertible."""
    left, values, right = np.linalg.svd(series[0], full_matrices=False)
    # The letters have singular values of order one, so an absolute cut-off tells rounding from rank.
    inverse = np.divide(1, values, out=np.zeros_like(values), where=values > RANK)
    first = right.T * inverse @ left.T
    result = [first]
    if not series[1:].any():
        return _constant(first)
    for order in range(1, ORDERS):
        result.append(-first @ sum(series[k] @ result[order - k] for k in range(1, order + 1)))
    return np.stack(result)
