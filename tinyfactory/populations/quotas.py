"""Whole people out of shares: controlled rounding.

Every number in a table is rounded down or up, in such a way that its sums are, too (Cox,
"A Constructive Procedure for Unbiased Controlled Rounding", JASA 82, 1987). For tables of two
dimensions there always is such a rounding; it is found as a linear program by HiGHS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Ints = np.ndarray[Any, np.dtype[np.int64]]
    Array = np.ndarray[Any, np.dtype[np.float64]]
    Generator = np.random.Generator

# Products of shares are off in the last digits; that is no fraction of a person. It also keeps
# machines whose last digits differ at the same numbers.
_DUST = 1e-6


def round_shares(shares: Sequence[float], n: int, rng: Generator) -> Ints:
    """How many of `n` people are in each category: n·p, rounded down or up.

    Who is rounded up is drawn, each with the probability of the fraction (systematic
    sampling; Madow, "On the Theory of Systematic Sampling, II", Annals of Mathematical
    Statistics 20, 1949), so that the smallest category has its turn in small populations.

    Parameters
    ----------
    shares : sequence of float, shape (k,)
        They add up to 1.
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    array of int, shape (k,)
        They add up to n.

    Examples
    --------
    >>> import numpy as np
    >>> round_shares([0.5, 0.3, 0.2], 10, np.random.default_rng(0)).tolist()
    [5, 3, 2]
    """
    import numpy as np

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
    """Whole numbers for a table whose rows have their sums already.

    Parameters
    ----------
    cells : array, shape (r, c)
        What would be exact; a zero stays zero.
    rows : array of int, shape (r,)
        The sum that each row must have.
    columns : array, shape (c,)
        What the sum of each column would exactly be: it is rounded down or up.
    rng : numpy.random.Generator
        Draws which of the possible roundings.

    Returns
    -------
    array of int, shape (r, c)
        Cells rounded down or up, further where the sums demand it.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_matrix

    exact = _clean(cells)
    open_cells = np.argwhere(exact > 0)
    at = tuple(open_cells.T)
    values = exact[at]
    columns = _clean(columns)
    # Rows and columns as sums of the open cells.
    number = np.arange(len(values))
    ones = np.ones(len(values))
    sums_of_rows = coo_matrix((ones, (open_cells[:, 0], number)), shape=(len(rows), len(values)))
    sums_of_columns = coo_matrix(
        (ones, (open_cells[:, 1], number)), shape=(exact.shape[1], len(values))
    )
    floor = np.floor(values)
    fraction = values - floor
    # Gumbel's trick: where one of a row's cells is rounded up, it is drawn by its fraction.
    draw = np.log(np.maximum(fraction, 1e-9)) + rng.gumbel(size=len(values))
    for slack in (0, 1, 2, 5, 20, 100, int(rows.max(initial=1))):
        # Beyond the next whole number each step is dear, so it is taken only where it must be.
        outcome = milp(
            c=np.concatenate([-draw, 50 + ones, 50 + ones]),
            constraints=[
                LinearConstraint(
                    _beside(sums_of_rows), rows - sums_of_rows @ floor, rows - sums_of_rows @ floor
                ),
                LinearConstraint(
                    _beside(sums_of_columns),
                    np.floor(columns) - sums_of_columns @ floor,
                    np.ceil(columns) - sums_of_columns @ floor,
                ),
            ],
            integrality=np.ones(3 * len(values)),
            bounds=Bounds(
                np.zeros(3 * len(values)),
                np.concatenate([np.ceil(fraction), slack * ones, np.minimum(slack, floor)]),
            ),
        )
        if outcome.x is not None:
            up, more, fewer = np.round(outcome.x).astype(np.int64).reshape(3, -1)
            found = np.zeros(exact.shape, dtype=np.int64)
            found[at] = floor.astype(np.int64) + up + more - fewer
            return found
    raise ArithmeticError("no rounding of this table meets its sums")  # pragma: no cover


def _beside(sums: Any) -> Any:
    """The sums over a cell's three variables: rounded up, further up, further down."""
    from scipy.sparse import hstack

    return hstack([sums, sums, -sums])


def _clean(values: Array) -> Array:
    import numpy as np

    near = np.round(values)
    return np.where(np.abs(values - near) < _DUST, near, values)
