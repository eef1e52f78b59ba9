r"""Residuals that are known step by step: evaluated for all modes at once, at the steps that are asked for.

What is kept is one number per mode and step asked for; the steps in between are walked through in blocks.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from theory.schedules import Schedule

Array = Any
Walk = Callable[[Sequence[int]], Iterator[tuple[Array, Array]]]

BLOCK = 2**18  # factors that are held at once
PAIRINGS = 5  # of steps that are multiplied before the state is moved by them


def at_steps(xp: Any, s: Array, t: Array, walk: Walk) -> tuple[Array, Array]:
    """Residual and progress at each mode and step, broadcast.

    Args:
        xp: The array namespace, numpy or torch.
        s: Rates.
        t: Step counts, whole numbers as floats.
        walk: Given ascending counts, yields residual and progress of every rate at each.

    Example:
        >>> import numpy as np
        >>> powers = lambda counts: ((np.array([0.5, 2.0]) ** count, np.zeros(2)) for count in counts)
        >>> at_steps(np, np.zeros(2), np.array([[3.0], [0.0]]), powers)[0].tolist()
        [[0.125, 8.0], [1.0, 1.0]]
    """
    t = xp.asarray(t)
    counts = [int(count) for count in t.reshape(-1).tolist()]
    if not counts:
        nothing = t + 0 * s
        return nothing, nothing
    asked = sorted(set(counts))
    place = {count: row for row, count in enumerate(asked)}
    rows = xp.asarray([place[count] for count in counts], dtype=xp.int64).reshape(t.shape)
    columns = xp.arange(math.prod(s.shape)).reshape(s.shape)
    tables = (xp.stack(values).reshape((len(asked), -1)) for values in zip(*walk(asked), strict=True))
    residual, progress = (table[rows, columns] for table in tables)
    return residual, progress


def scheduled_descent(xp: Any, x: Array, t: Array, schedule: Schedule) -> tuple[Array, Array]:
    r"""The product :math:`\prod_{j<t}(1 - m_j x)` and one minus it, by a sum of logarithms with the signs apart.

    Args:
        xp: The array namespace.
        x: Learning rate times eigenvalue.
        t: Step counts.
        schedule: The multipliers :math:`m_j`.

    Returns:
        Each with an error of a few units of rounding relative to itself times :math:`1 + \sum_j |\log|1 - m_j x||`.
    """

    def walk(counts: Sequence[int]) -> Iterator[tuple[Array, Array]]:
        logs, flips, done = xp.zeros_like(x), xp.zeros_like(x), 0
        block = max(1, BLOCK // max(1, math.prod(x.shape)))
        for count in counts:
            while done < count:
                if done >= schedule.settles:
                    stop, times, multipliers = count, count - done, [schedule(done)]
                else:
                    end = min(count, math.ceil(min(schedule.settles, count)))
                    stop, times = min(end, done + block), 1
                    multipliers = schedule.values(range(done, stop))
                factors = xp.asarray(multipliers, dtype=x.dtype).reshape((-1,) + (1,) * len(x.shape)) * x
                overshoots = factors > 1
                shift = xp.where(overshoots, factors - 2, -factors)
                gone = shift <= -1
                steps = xp.log1p(xp.where(gone, xp.zeros_like(shift), shift))
                logs = logs + times * xp.where(gone, -math.inf, steps).sum(0)
                flips = flips + times * xp.where(overshoots, 1.0, 0.0).sum(0)
                done = stop
            odd = flips % 2 == 1
            yield xp.where(odd, -xp.exp(logs), xp.exp(logs)), xp.where(odd, 1 + xp.exp(logs), -xp.expm1(logs))

    return at_steps(xp, x, t, walk)


def accelerated_descent(xp: Any, x: Array, t: Array, friction: Callable[[Array], Array]) -> tuple[Array, Array]:
    r"""The residual of torch's Nesterov SGD whose momentum at step j is :math:`\beta_j = 1 -` friction, and one minus it.

    :math:`v_{j+1} = \beta_j v_j + x u_j`, :math:`u_{j+1} = u_j - x u_j - \beta_j v_{j+1}`. Steps are multiplied in pairs, pairs
    in pairs and so on, without the identity: a product's error is relative to how far it moves, and
    :math:`(1 + b)(1 + a) = 1 + a + b + ba`. Of residual and progress the smaller is carried, and the other one is one minus it.

    Args:
        xp: The array namespace.
        x: Learning rate times eigenvalue.
        t: Step counts.
        friction: Of steps, (n,), each :math:`1 - \beta_j`.
    """

    def products(begin: int, end: int) -> Sequence[Array]:
        drag = friction(xp.arange(begin, end)).reshape((-1,) + (1,) * len(x.shape))
        beta, nothing = 1 - drag, 0 * drag
        parts = [-x * (1 + beta), 0 * x - beta * beta, x + nothing, 0 * x - drag]
        for _ in range(min(PAIRINGS, (end - begin - 1).bit_length())):
            if len(parts[0]) % 2:
                parts = [xp.concatenate((part, xp.zeros_like(part[:1]))) for part in parts]
            a, b, c, d = (part[::2] for part in parts)
            e, f, g, h = (part[1::2] for part in parts)
            parts = [a + e + (e * a + f * c), b + f + (e * b + f * d), c + g + (g * a + h * c), d + h + (g * b + h * d)]
        return parts

    def walk(counts: Sequence[int]) -> Iterator[tuple[Array, Array]]:
        residual, progress, buffer, done = xp.ones_like(x), xp.zeros_like(x), xp.zeros_like(x), 0
        block = max(1, BLOCK // max(1, math.prod(x.shape)))
        for count in counts:
            while done < count:
                end = min(count, done + block)
                for a, b, c, d in zip(*products(done, end), strict=True):
                    moved = a * residual + b * buffer
                    buffer = buffer + (c * residual + d * buffer)
                    early, progress, residual = xp.abs(progress) < 0.5, progress - moved, residual + moved
                    progress = xp.where(early, progress, 1 - residual)
                    residual = xp.where(early, 1 - progress, residual)
                done = end
            yield residual, progress

    return at_steps(xp, x, t, walk)
