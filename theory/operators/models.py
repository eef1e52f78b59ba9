r"""The search for counterexamples: exact matrices of every rank, small ones first; every flow is a real flow.

Matrices are drawn as products :math:`X = AB`, projectors, symmetric and orthogonal matrices; hypotheses that are
linear in a letter are then solved for it. A flow is evaluated at :math:`e^{-t} = 1/2` or 1/3; there :math:`t = \log 2` is
transcendental, so an equation between rational functions of t holds exactly if it holds for a symbol t. During the
search t is an arbitrary rational, which can only hide a difference; before anything is said to be refuted, the
hypotheses and both sides are evaluated again over ℚ(t).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from sympy.polys.domains import QQ
from sympy.polys.fields import field

from theory.operators.budget import Budget, Clock
from theory.operators.draws import draw_matrix
from theory.operators.evaluate import Evaluation, Multiple
from theory.operators.exact import ExactMatrix, flow, identity, matrix, pinv, solve, zeros
from theory.operators.expressions import (
    Dimension,
    Equation,
    Expression,
    Integral,
    Letter,
    Pinv,
    Scaled,
    Start,
    walk,
)
from theory.operators.functionals import dimension_symbol, expectations
from theory.operators.moments import EntryPolynomial, random_matrix
from theory.operators.parser import Names, parse_scalar
from theory.operators.scalars import TIME, symbols
from theory.operators.shapes import shape_of
from theory.operators.statement import Statement
from theory.operators.words import AT_LEAST_ZERO, NOT_ZERO

_BASES = (Fraction(1, 2), Fraction(1, 3))
"""What exp(-t) may be; a claim that holds at one of these times may fail at the other."""
_SAME_BASE = 16
"""Draws before the base changes."""
_TRIAL_TIME = Fraction(7, 5)
_PER_SIZE = 4
_, _TIME_SYMBOL = field(TIME, QQ)


@dataclass(frozen=True)
class Counterexample:
    """Exact matrices that satisfy the hypotheses and not the claim.

    Attributes:
        dimensions: The size of each named dimension.
        entries: The value of each letter, flows included.
        scalars: The value of each scalar.
        base: exp(-t), if a flow or t is involved; the time itself is printed as t.
        left: The left side of the claim.
        right: The right side.
    """

    dimensions: Mapping[str, int]
    entries: Mapping[str, ExactMatrix]
    scalars: Mapping[str, Fraction]
    base: Fraction | None
    left: ExactMatrix
    right: ExactMatrix

    def breaks(self, condition: str) -> bool:
        """Whether a side condition such as ``c - 1 != 0`` fails here."""
        return _breaks(condition, self.scalars, self.dimensions)

    def __str__(self) -> str:
        sizes = [f"{name} = {size}" for name, size in self.dimensions.items()]
        values = [f"{name} = {value}" for name, value in (*self.scalars.items(), *self.entries.items())]
        time_line = [f"at time t = log {1 / self.base}"] if self.base else []
        lines = [", ".join(sizes), *time_line, *values, f"left side  = {self.left}", f"right side = {self.right}"]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class _Model:
    sizes: Mapping[Dimension, int]
    letters: Mapping[str, ExactMatrix]
    scalars: Mapping[str, Fraction]
    base: Fraction = _BASES[0]


class ModelSearch:
    """Draws models of the hypotheses of one statement until one breaks the claim.

    Attributes:
        satisfied: Whether any model of the hypotheses was met.
        conditions: The side conditions of the statement: where one fails, it says nothing.
    """

    def __init__(self, statement: Statement, budget: Budget, clock: Clock | None = None) -> None:
        self.statement = statement
        self.budget = budget
        self.clock = clock or Clock(budget.seconds)
        self.satisfied = False
        self.conditions: Sequence[str] = ()
        self._random = random.Random(budget.seed)
        equations = [statement.claim, *(item.equation for item in statement.hypotheses)]
        trees = [side for equation in equations for side in (equation.left, equation.right)]
        generators = statement.dynamics.generators
        self._flows = sorted(
            {
                part.name if isinstance(part, Letter) else part.flow
                for tree in trees
                for part in walk(tree)
                if (isinstance(part, Letter) and part.name in generators) or isinstance(part, Integral)
            }
        )
        trees += [generators[name] for name in self._flows]
        parts = [part for tree in trees for part in walk(tree)]
        self._letters = sorted({p.name for p in parts if isinstance(p, Letter) and p.name not in generators})
        used = {name for p in parts if isinstance(p, Scaled) for name in symbols(p.factor)}
        self._random_letters = {part.letter for part in expectations(statement.claim)}
        self._letters = sorted({*self._letters, *self._random_letters})
        self._named_sizes = [size for size in _all_dimensions(statement) if dimension_symbol(size).name in used]
        self._scalars = [name for name in statement.scalars if name in used]
        self._timed = bool(self._flows) or TIME in used

    def run(self, draws: int, patience: int | None = None) -> Counterexample | None:
        """Look for a counterexample among so many draws.

        Args:
            draws: How many.
            patience: Draws that may fail to satisfy the hypotheses before the rest is given up; None for all.

        Raises:
            BudgetSpentError: If the clock ran out.
        """
        if not self._possible():
            return None
        failed = 0
        for index, size in enumerate(self._sizes(draws)):
            base = _BASES[index // _SAME_BASE % len(_BASES)]
            model = self._satisfying(replace(self._draw(size), base=base))
            failed += model is None
            if failed == patience:
                return None
            if model is not None and not self._holds(self.statement.claim, model, _TRIAL_TIME):
                found = self._confirmed(model)
                if found is not None:
                    return found
        return None

    def satisfy(self, draws: int, conditions: Sequence[str] = ()) -> bool:
        """Look for a model of the hypotheses alone, as they stand at one time, in which the side conditions hold.

        Raises:
            BudgetSpentError: If the clock ran out.
        """
        if self.satisfied and not conditions:
            return True
        models = (self._satisfying(self._draw(size)) for size in self._sizes(draws))
        return any(
            model is not None and not any(self._breaks(condition, model) for condition in conditions)
            for model in models
        )

    def _breaks(self, condition: str, model: _Model) -> bool:
        names = self.statement.scalars
        scalars = {name: model.scalars.get(name, Fraction(2)) for name in names}  # the others occur nowhere
        sizes = {name: model.sizes.get(name, 2) for name in _all_dimensions(self.statement)}
        return _breaks(condition, scalars, sizes)

    def _sizes(self, draws: int) -> Iterator[dict[Dimension, int]]:
        """The sizes of so many draws, small ones first."""
        sizes = self._all_sizes(max(1, draws // _PER_SIZE))
        per_size = max(_PER_SIZE, draws // max(1, len(sizes)))
        return itertools.islice((size for size in sizes for _ in range(per_size)), draws)

    def _possible(self) -> bool:
        """A letter with a rate can have any value at one time, if nothing else is assumed about it.

        The solution through that value exists near that time as long as the rate is smooth, so no pseudo-inverse
        in the rate may move.
        """
        dynamics = self.statement.dynamics
        if not dynamics.rates:
            return True
        claim = self.statement.claim
        if any(isinstance(part, Start) for side in (claim.left, claim.right) for part in walk(side)):
            return False
        sides = [side for item in self.statement.hypotheses for side in (item.equation.left, item.equation.right)]
        bound = any(isinstance(p, Letter) and p.name in dynamics.rates for side in sides for p in walk(side))
        inside = [part for rate in dynamics.rates.values() for part in walk(rate)]
        rough = any(isinstance(part, Start) or (isinstance(part, Pinv) and dynamics.moves(part)) for part in inside)
        return not bound and not rough

    def _all_sizes(self, count: int) -> list[dict[Dimension, int]]:
        """The first choices of the sizes, small ones first; none if a fixed size is too large to compute with."""
        shapes = self.statement.dynamics.shapes
        used = [size for name in (*self._letters, *self._flows) for size in shapes[name]]
        dimensions = list(dict.fromkeys([*used, *shape_of(self.statement.claim.left, shapes), *self._named_sizes]))
        names = [dimension for dimension in dimensions if isinstance(dimension, str)]
        fixed: dict[Dimension, int] = {size: size for size in dimensions if isinstance(size, int)}
        if any(size > self.budget.largest_fixed_size for size in fixed.values()):
            return []
        largest = self.budget.largest_size
        totals = range(len(names), largest * len(names) + 1)
        grid = (sizes for total in totals for sizes in _with_sum(len(names), total, largest))
        return [fixed | dict(zip(names, sizes, strict=True)) for sizes, _ in zip(grid, range(count), strict=False)]

    def _draw(self, sizes: dict[Dimension, int]) -> _Model:
        shapes = self.statement.dynamics.shapes
        letters = {name: draw_matrix(self._random, *(sizes[size] for size in shapes[name])) for name in self._letters}
        positive = self.statement.dynamics.positive
        # Whole numbers keep whole eigenvalues in a generator such as c X Xᵀ + mu I; 0 and ±1 are seldom generic.
        choices = {name: [2, 3] if name in positive else [2, 3, -2] for name in self._scalars}
        scalars = {name: Fraction(self._random.choice(values)) for name, values in choices.items()}
        return _Model(sizes, letters, scalars)

    def _satisfying(self, model: _Model) -> _Model | None:
        """The model, changed letter by letter so that the hypotheses hold; None if that fails."""
        if self._all_hold(model):
            self.satisfied = True
            return model
        order = [*self._letters, *self._scalars]
        self._random.shuffle(order)
        for name in order:
            model = self._solved(model, name)
            if self._all_hold(model):
                self.satisfied = True
                return model
        return None

    def _all_hold(self, model: _Model) -> bool:
        positive = self.statement.dynamics.positive
        if any(value <= 0 for name, value in model.scalars.items() if name in positive):
            return False
        return all(self._holds(item.equation, model, _TRIAL_TIME) for item in self.statement.hypotheses)

    def _solved(self, model: _Model, name: str) -> _Model:
        """The model with one letter changed so that the hypotheses with this letter hold, if they are linear in it."""
        mine = [item.equation for item in self.statement.hypotheses if name in _names(item.equation)]
        base = self._defects(mine, model)
        if base is None or not any(base):
            return model
        columns = []
        steps = list(_unit_steps(model, name))
        for step in steps:
            moved = self._defects(mine, step)
            if moved is None:
                return model
            columns.append([b - a for a, b in zip(base, moved, strict=True)])
        solution = solve(list(zip(*columns, strict=True)), [-value for value in base])
        return model if solution is None else _moved(model, name, solution)

    def _defects(self, equations: list[Equation], model: _Model) -> list[Fraction] | None:
        sides = [self._sides(equation, model, _TRIAL_TIME) for equation in equations]
        if any(pair is None for pair in sides):
            return None
        differences = [pair[0] + -1 * pair[1] for pair in sides if pair is not None]
        return [value for difference in differences for row in difference.entries for value in row]

    def _holds(self, equation: Equation, model: _Model, when: Any) -> bool:
        """Whether an equation holds; also true where it cannot be evaluated, for that refutes nothing."""
        sides = self._sides(equation, model, when)
        if sides is None:
            return equation is self.statement.claim
        return sides[0] == sides[1]

    def _sides(self, equation: Equation, model: _Model, when: Any) -> tuple[ExactMatrix, ExactMatrix] | None:
        """Both sides, or None if a flow is not rational, a denominator is zero or a variance is negative."""
        evaluation = self._evaluation(model, when, _flows(equation, self._flows))
        if evaluation is None:
            return None
        try:
            return self._value(equation.left, evaluation, model), self._value(equation.right, evaluation, model)
        except ArithmeticError:
            return None

    def _value(self, tree: Expression, evaluation: Evaluation, model: _Model) -> ExactMatrix:
        value = evaluation.value(tree)
        if isinstance(value, Multiple):
            rows, columns = shape_of(tree, self.statement.dynamics.shapes)
            size = model.sizes[rows], model.sizes[columns]
            value = zeros(*size) if value.factor is None else value.factor * identity(size[0])
        assert isinstance(value, ExactMatrix)
        return value

    def _evaluation(self, model: _Model, when: Any, names: Sequence[str]) -> Evaluation | None:
        """The values of the letters and of these flows; None if a flow is not rational."""
        self.clock.check()
        evaluation = _exact({**model.letters, **model.scalars, **_sizes(model.sizes), TIME: when})
        flows, integrals = {}, {}
        for name in names:
            generator = self._value(self.statement.dynamics.generators[name], evaluation, model)
            pair = flow(generator, model.base, when)
            if pair is None:
                return None
            flows[name], integrals[name] = pair
        return replace(evaluation, flows=flows, integrals=integrals)

    def _confirmed(self, model: _Model) -> Counterexample | None:
        """Evaluate everything again with a symbol for the time."""
        when = _TIME_SYMBOL if self._timed else _TRIAL_TIME
        if not all(self._holds(item.equation, model, when) for item in self.statement.hypotheses):
            return None
        sides = self._sides(self.statement.claim, model, when)
        evaluation = self._evaluation(model, when, self._flows)
        if sides is None or evaluation is None or sides[0] == sides[1]:
            return None
        if any(self._breaks(condition, model) for condition in self.conditions):
            return None
        names = {str(name): size for name, size in model.sizes.items() if isinstance(name, str)}
        letters = {name: value for name, value in model.letters.items() if name not in self._random_letters}
        entries = {**letters, **evaluation.flows}
        return Counterexample(names, entries, model.scalars, model.base if self._timed else None, *sides)


def _breaks(condition: str, scalars: Mapping[str, Fraction], sizes: Mapping[str, int]) -> bool:
    """Whether a side condition such as ``c - 1 != 0`` or ``v >= 0`` fails for these values."""
    names = Names(scalars=frozenset(scalars) | {TIME}, dimensions=frozenset(sizes))
    scalar = parse_scalar(condition.removesuffix(NOT_ZERO).removesuffix(AT_LEAST_ZERO), names)
    value = _exact({**scalars, **_sizes(sizes), TIME: _TIME_SYMBOL}).scalar(scalar)
    return bool(value == 0 if condition.endswith(NOT_ZERO) else value < 0)


def _exact(values: Mapping[str, Any]) -> Evaluation:
    return Evaluation(values, identity, pinv, {}, {}, lambda value: value, ExactMatrix.trace, _mean)


def _mean(letter: str, value: Callable[[Any], Any], drawn: ExactMatrix, variance: Any) -> Any:
    """The mean over a random matrix of the shape of the one that was drawn."""
    if variance < 0:
        raise ArithmeticError
    scalar = value(random_matrix(letter, *drawn.shape))
    if not isinstance(scalar, EntryPolynomial):
        return scalar
    mean = scalar.mean(letter, variance)
    return mean if any(mean.terms) else mean.constant()  # entries of a matrix that is averaged outside may be left


def _sizes(sizes: Mapping[Any, int]) -> dict[str, Fraction]:
    return {dimension_symbol(name).name: Fraction(size) for name, size in sizes.items() if isinstance(name, str)}


def _all_dimensions(statement: Statement) -> list[str]:
    shapes = statement.dynamics.shapes.values()
    return list(dict.fromkeys(size for shape in shapes for size in shape if isinstance(size, str)))


def _with_sum(count: int, total: int, largest: int) -> Iterator[tuple[int, ...]]:
    """Whole numbers from 1 to the largest with a given sum, in the order of dictionaries."""
    if count == 0:
        yield ()
        return
    first = max(1, total - (count - 1) * largest)
    for size in range(first, min(largest, total - count + 1) + 1):
        for rest in _with_sum(count - 1, total - size, largest):
            yield (size, *rest)


def _unit_steps(model: _Model, name: str) -> Iterator[_Model]:
    count = 1 if name in model.scalars else model.letters[name].shape[0] * model.letters[name].shape[1]
    for index in range(count):
        yield _moved(model, name, [int(index == other) for other in range(count)])


def _moved(model: _Model, name: str, step: list[Any]) -> _Model:
    if name in model.scalars:
        return replace(model, scalars={**model.scalars, name: model.scalars[name] + step[0]})
    old = model.letters[name]
    columns = old.shape[1]
    rows = [step[start : start + columns] for start in range(0, len(step), columns)]
    return replace(model, letters={**model.letters, name: old + matrix(rows)})


def _flows(equation: Equation, names: Sequence[str]) -> list[str]:
    """Those of the flows that an equation speaks about."""
    parts = [part for side in (equation.left, equation.right) for part in walk(side)]
    used = {
        part.name if isinstance(part, Letter) else part.flow for part in parts if isinstance(part, Letter | Integral)
    }
    return [name for name in names if name in used]


def _names(equation: Equation) -> set[str]:
    parts = [part for side in (equation.left, equation.right) for part in walk(side)]
    letters = {part.name for part in parts if isinstance(part, Letter)}
    return letters | {name for part in parts if isinstance(part, Scaled) for name in symbols(part.factor)}
