r"""Whether columns lie in the range of a matrix whose modes are known, and how far outside: one decomposition for all of them.

With the kept modes :math:`U_r`, what is left of a column v is :math:`(I - U_rU_r^{\mathsf H})v`, formed twice, so that it is
orthogonal to rounding. The rank is decided in :mod:`numerics.spectrum`; a matrix that is off by the noise of that decision
moves a combination with weights a by noise·‖a‖. A column nearer than this counts as inside, one within a few times of it is
undecided: the verdicts are those of float64 for the decided rank. Only a rank that equals the number of rows that are not 0
everywhere needs no such reading: every column that is 0 in the other rows is then inside.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numerics.arrays import Float, adjoint
from numerics.spectrum import Spectrum

EPS = float(np.finfo(np.float64).eps)
DOUBT = 4.0  # times the floor, up to which a column is undecided
LOOSEST = 1e-6  # of the column's size: a floor above it decides nothing


@dataclass(frozen=True)
class Membership:
    """The answers for columns (blocks, d, n).

    Attributes:
        status: "inside", "outside" or "undecided", (blocks, n).
        rest: What is left of each column outside the range, (blocks, d, n).
        lengths: Its norm, (blocks, n).
        floors: What rounding can have made of it, (blocks, n).
        reached: The part inside in units of the singular values, Σ⁻¹Uᴴv, 0 in modes that are not kept, (blocks, r, n).
    """

    status: NDArray[np.str_]
    rest: Float
    lengths: Float
    floors: Float
    reached: Float


def membership(
    modes: Spectrum,
    columns: Float,
    differs: NDArray[np.bool_],
    *,
    errors: Float | float = 0.0,
    scales: Float | None = None,
) -> Membership:
    """Which columns are in the range of Φ.

    Args:
        modes: Of Φ, (blocks, d, M).
        columns: (blocks, d, n).
        differs: The rows in which Φ is not 0 everywhere, (blocks, d).
        errors: Bound on the norm of the error that each column comes with, broadcast to (blocks, n).
        scales: What the errors are to be small against, (blocks, n); None for the columns' own norms.

    Example:
        >>> from numerics.spectrum import spectrum
        >>> found = membership(spectrum(np.array([[[2.0], [0.0]]])), np.array([[[5.0, 0.0], [0.0, 3.0]]]), np.array([[True, False]]))
        >>> found.status.tolist(), found.lengths.tolist()
        ([['inside', 'outside']], [[0.0, 3.0]])
    """
    largest = np.abs(columns).max(axis=1, initial=0.0)
    unit = np.exp2(np.floor(np.log2(np.where(largest > 0, largest, 1.0))))  # so that no square overflows or underflows
    columns = columns / unit[:, None, :]
    errors, scales = np.asarray(errors) / unit, None if scales is None else scales / unit
    kept = modes.values > 0
    basis = modes.left * kept[:, None, :]
    inner = adjoint(basis) @ columns
    rest = columns - basis @ inner
    rest -= basis @ (adjoint(basis) @ rest)
    rank = kept.sum(axis=1)[:, None]
    spans = rank == differs.sum(axis=1)[:, None]
    # What is left is then in the rows that are 0 in Φ, and exact.
    rest[(spans & differs)[:, :, None] & np.ones(rest.shape, dtype=bool)] = 0.0
    agree = ((columns == 0) | differs[:, :, None]).all(axis=1)
    reached = np.where(kept, 1 / np.where(kept, modes.values, 1), 0.0)[:, :, None] * inner
    lengths, sizes = np.linalg.norm(rest, axis=1), np.linalg.norm(columns, axis=1)
    reading = np.where(spans, 0.0, modes.floor[:, None]) * _lengths(reached)
    floors = 4 * (columns.shape[1] + rank) * EPS * sizes + reading + errors
    outside = (spans & (lengths > floors)) | (lengths > DOUBT * floors)
    near = (lengths <= floors) & (floors <= LOOSEST * (sizes if scales is None else scales))
    inside = np.where(spans, agree | (near & (errors > 0)), near)
    status = np.where(inside, "inside", np.where(outside, "outside", "undecided"))
    wide = unit[:, None, :]
    return Membership(status, wide * rest, unit * lengths, unit * floors, wide * reached)


def _lengths(columns: Float) -> Float:
    """The norms of columns (blocks, d, n), whose squares may overflow, (blocks, n)."""
    largest = np.abs(columns).max(axis=1, initial=0.0)
    unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    found: Float = unit * np.linalg.norm(columns / unit[:, None, :], axis=1)
    return found
