"""Round shares to whole people: controlled rounding.

Every number of a table is rounded down or up such that its sums are as well (Cox, "A
Constructive Procedure for Unbiased Controlled Rounding", JASA 82, 1987). A two-dimensional table
always has such a rounding, at a corner of a linear program (a flow from rows to columns), so no
search is needed. With more sums than rows and columns a search may be needed; it is bounded.
HiGHS solves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Array = np.ndarray[Any, np.dtype[np.float64]]
Generator = np.random.Generator

# A difference this small is a rounding error of a product, not a fraction of a person. Ignoring
# it also gives the same people on machines that differ in the last digits.
_DUST = 1e-6
# The cost of a step beyond the next whole number, for a cell and for a sum. The random draw of a
# cell is between -30 and 30, so sums take precedence over cells, and cells over chance.
_CELL, _SUM = 1e3, 1e5
# Bounds of the search. A time limit would end it at different places on different machines.
_NODES = 200
_MOST_TO_SEARCH = 20_000


@dataclass(frozen=True)
class Sums:
    """Sums over disjoint sets of cells, with the bounds of each sum.

    Parameters
    ----------
    of : array of int, shape (m,)
        The index of the sum that each cell belongs to.
    low, high : array, shape (k,)
        Whole numbers between which each sum must be.
    """

    of: Ints
    low: Array | Ints
    high: Array | Ints

    def over(self, values: Array) -> Array:
        """Add up values of the cells."""
        found: Array = np.bincount(self.of, values, len(self.low)).astype(float)
        return found


def round_shares(shares: Sequence[float] | Array, n: int, rng: Generator) -> Ints:
    """Compute how many of `n` people are in each category: n·p, rounded down or up.

    The categories that are rounded up are drawn with the probability of their fraction
    (systematic sampling; Madow, "On the Theory of Systematic Sampling, II", Annals of
    Mathematical Statistics 20, 1949), so that small categories occur in small populations, too.

    Parameters
    ----------
    shares : sequence of float, shape (k,)
        Must add up to 1.
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    array of int, shape (k,)
        The counts; they add up to n.

    Examples
    --------
    >>> import numpy as np
    >>> round_shares([0.5, 0.3, 0.2], 10, np.random.default_rng(0)).tolist()
    [5, 3, 2]
    """
    exact = _clean(np.asarray(shares, dtype=float) * n)
    floor = np.floor(exact).astype(np.int64)
    left = int(n - floor.sum())
    order = rng.permutation(len(exact))
    fractions = (exact - floor)[order]
    total = fractions.sum()
    if left == 0 or total <= 0:
        return floor
    ends = np.cumsum(fractions) * (left / total)
    ends[-1] = left
    start = rng.random()
    hits = np.floor(ends - start + 1).astype(np.int64)
    floor[order] += np.diff(np.concatenate([[0], hits]))
    return floor


def round_table(cells: Array, rows: Ints, columns: Array, rng: Generator) -> Ints:
    """Round a table whose row sums are whole numbers already.

    Parameters
    ----------
    cells : array, shape (r, c)
        The exact cells; a zero stays zero.
    rows : array of int, shape (r,)
        The sum that each row must have.
    columns : array, shape (c,)
        The exact sum of each column. It is rounded down or up, unless the zeros make that
        impossible.
    rng : numpy.random.Generator
        Chooses among the possible roundings.

    Returns
    -------
    array of int, shape (r, c)
        Cells rounded down or up, or further if the sums require it.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.array([[1.5, 0.0, 2.5], [0.5, 1.0, 1.5]])
    >>> found = round_table(cells, np.array([4, 3]), cells.sum(axis=0), np.random.default_rng(0))
    >>> found.sum(axis=0).tolist(), found.sum(axis=1).tolist(), int(found[0, 1])
    ([2, 1, 4], [4, 3], 0)
    """
    at = np.nonzero(cells > 0)
    low, high = next_whole(columns)
    sums = [Sums(at[0], rows, rows), Sums(at[1], low, high)]
    values, draw = cells[at], _draw(cells[at], rng)
    found = np.zeros(cells.shape, dtype=np.int64)
    up = _corner(values, sums, draw)
    found[at] = up if up is not None else _nearest(values, sums, draw)
    return found


def round_sums(cells: Array, sums: Sequence[Sums], rng: Generator) -> Ints | None:
    """Round cells that belong to any number of sums; None if no rounding was found.

    Parameters
    ----------
    cells : array, shape (m,)
        The exact cells. Each is rounded down or up.
    sums : sequence of Sums
        More than two may have no rounding at all, and the search for one stops early.
    rng : numpy.random.Generator
        Chooses among the possible roundings.

    Returns
    -------
    array of int, shape (m,), or None
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # slow to import
    from scipy.sparse import vstack

    if len(cells) > _MOST_TO_SEARCH:
        return None
    floor, most = _steps(cells)
    outcome = milp(
        c=-_draw(cells, rng),
        constraints=LinearConstraint(
            vstack([_matrix(each) for each in sums]).tocsr(),
            *(np.concatenate(ends) for ends in zip(*_left(sums, floor), strict=True)),
        ),
        integrality=np.ones(len(cells)),
        bounds=Bounds(np.zeros(len(cells)), most),
        options={"node_limit": _NODES, "mip_rel_gap": 0},
    )
    return None if outcome.x is None else _whole(floor + outcome.x)


def next_whole(exact: Array) -> tuple[Array, Array]:
    """Round down and up; both are the same for a whole number."""
    exact = _clean(exact)
    return np.floor(exact), np.ceil(exact)


def _corner(values: Array, sums: Sequence[Sums], draw: Array) -> Ints | None:
    """Round each cell down or up; None if the sums cannot be met that way."""
    floor, most = _steps(values)
    matrix = [_matrix(each) for each in sums]
    bounds = np.column_stack([np.zeros(len(values)), most])
    x = _solved(-draw, matrix, _left(sums, floor), bounds)
    return None if x is None else _whole(floor + x)


def _nearest(values: Array, sums: Sequence[Sums], draw: Array) -> Ints:
    """Round with as few steps beyond the next whole number as possible; rows are met exactly."""
    from scipy.sparse import csr_matrix, eye, hstack  # slow to import

    floor, most = _steps(values)
    m, k = len(values), len(sums[1].low)
    rows, columns = (_matrix(each) for each in sums)
    # The variables: a cell rounded up, further up, further down; a column's sum over and under.
    one = eye(k, format="csr")
    matrix = [
        hstack([rows, rows, -rows, csr_matrix((rows.shape[0], 2 * k))]).tocsr(),
        hstack([columns, columns, -columns, -one, one]).tocsr(),
    ]
    cost = np.concatenate([-draw, np.full(2 * m, _CELL), np.full(2 * k, _SUM)])
    high = np.concatenate([most, np.full(m, np.inf), floor, np.full(2 * k, np.inf)])
    bounds = np.column_stack([np.zeros(len(cost)), high])
    x = _solved(cost, matrix, _left(sums, floor), bounds)
    if x is None:  # pragma: no cover - the sums of columns are free, so there is a solution
        raise ArithmeticError("no rounding of this table meets its sums")
    return _whole(floor + x[:m] + x[m : 2 * m] - x[2 * m : 3 * m])


def _solved(cost: Array, matrix: Any, ends: Any, bounds: Array) -> Array | None:
    """Find the corner with the least cost, which is whole; None if there is no solution."""
    from scipy.optimize import linprog  # slow to import
    from scipy.sparse import vstack

    (rows, _), (low, high) = ends
    outcome = linprog(
        cost,
        A_eq=matrix[0],
        b_eq=rows,
        A_ub=vstack([matrix[1], -matrix[1]]).tocsr(),
        b_ub=np.concatenate([high, -low]),
        bounds=bounds,
        method="highs-ds",  # the simplex method ends at a corner
    )
    found: Array | None = outcome.x
    return found


def _left(sums: Sequence[Sums], floor: Array) -> list[tuple[Array, Array]]:
    """The bounds of the sums, less the sums of the cells rounded down."""
    return [(each.low - each.over(floor), each.high - each.over(floor)) for each in sums]


def _matrix(sums: Sums) -> Any:
    from scipy.sparse import csr_matrix  # slow to import

    m = len(sums.of)
    return csr_matrix((np.ones(m), (sums.of, np.arange(m))), shape=(len(sums.low), m))


def _draw(values: Array, rng: Generator) -> Array:
    """Draw Gumbel noise, so that a cell is rounded up with the probability of its fraction."""
    fraction = values - np.floor(_clean(values))
    draw: Array = np.log(np.maximum(fraction, 1e-9)) + rng.gumbel(size=len(values))
    return draw


def _steps(values: Array) -> tuple[Array, Array]:
    """Each cell rounded down, and whether it may be rounded up (1) or not (0)."""
    floor, ceiling = next_whole(values)
    # Among many cells near zero some still get a person.
    return floor, np.where(floor == 0, 1.0, ceiling - floor)


def _whole(values: Array) -> Ints:
    whole: Ints = np.round(values).astype(np.int64)
    return whole


def _clean(values: Array) -> Array:
    near = np.round(values)
    return np.where(np.abs(values - near) < _DUST, near, values)
