"""Iterative proportional fitting: change a table as little as its margins require.

Deming and Stephan, "On a Least Squares Adjustment of a Sampled Frequency Table When the
Expected Marginal Totals are Known", Annals of Mathematical Statistics 11, 1940. Of all tables
with these margins it converges to the one nearest to the start in relative entropy, and cells
that are zero stay zero (Csiszar, "I-Divergence Geometry of Probability Distributions and
Minimization Problems", Annals of Probability 3, 1975).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
# The target sums, and the axes that they keep.
Target = tuple[Array, tuple[int, ...]]

# A share counts as met within a hundredth of a person in a hundred thousand.
MISS = 1e-7
_NEAR = 1e-13
_ROUNDS = 1000
_WORK = 200_000_000  # cells times rounds: tables that contradict each other never converge
# The linear program below takes too long for more; tables without zeros do not need it.
_MOST_CELLS = 100_000
_UNIT = 1e6  # the program counts in parts per million, far above the solver's tolerances


def ipf(cells: Array, targets: Sequence[Target]) -> Array:
    """Scale the cells until their sums are as near to the targets as possible.

    Parameters
    ----------
    cells : array
        A zero stays zero.
    targets : sequence of (array, axes)
        The target of the sums over all other axes, with its axes in the order given.

    Returns
    -------
    array

    Examples
    --------
    >>> import numpy as np
    >>> halves = np.array([0.5, 0.5])
    >>> ipf(np.array([[1.0, 1.0], [0.0, 1.0]]), [(halves, (0,)), (np.array([0.1, 0.9]), (1,))])
    array([[0.1, 0.4],
           [0. , 0.5]])
    """
    found = np.array(cells, dtype=float)
    turned = []
    for target, axes in targets:
        others = tuple(i for i in range(found.ndim) if i not in axes)
        rising = np.transpose(target, np.argsort(axes))
        turned.append((np.expand_dims(rising, others), others))
    for _ in range(max(50, min(_ROUNDS, _WORK // max(1, found.size)))):
        miss = 0.0
        for target, others in turned:
            sums = found.sum(axis=others, keepdims=True)
            miss = max(miss, float(abs(sums - target).max()))
            found *= np.divide(target, sums, out=np.zeros_like(sums), where=sums > 0)
        if miss <= _NEAR:
            break
    return found


def met(cells: Array, targets: Sequence[Target]) -> Array:
    """Do the same for targets that force cells to zero.

    Such cells converge to zero ever more slowly, so a linear program finds them first.
    """
    found = ipf(cells, targets)
    if missed(found, targets) <= _NEAR * 10 or not 0 < (cells > 0).sum() <= _MOST_CELLS:
        return found
    forced = _forced(cells, targets)
    return found if forced is None else ipf(found * ~forced, targets)


def missed(cells: Array, targets: Sequence[Target]) -> float:
    """Compute the largest difference between a sum of the cells and its target."""
    worst = 0.0
    for target, axes in targets:
        sums = cells.sum(axis=tuple(i for i in range(cells.ndim) if i not in axes))
        worst = max(worst, float(abs(sums - np.transpose(target, np.argsort(axes))).max()))
    return worst


def _forced(cells: Array, targets: Sequence[Target]) -> Any:
    """The cells that are zero in every table with these sums; None if no table has them."""
    from scipy.optimize import linprog  # slow to import, and rarely needed
    from scipy.sparse import csr_matrix, hstack, vstack

    at = np.nonzero(cells > 0)
    m = len(at[0])
    rows, sums = [], []
    for target, axes in targets:
        of = np.ravel_multi_index(tuple(at[axis] for axis in axes), target.shape)
        rows.append(csr_matrix((np.ones(m), (of, np.arange(m))), shape=(target.size, m)))
        sums.append(target.ravel() * _UNIT)
    whole = vstack(rows)
    # Each cell is split into a small first part, which the program maximises, and the rest.
    bit = 1.0 / m
    ends = np.concatenate([np.full(m, bit), np.full(m, np.inf)])
    outcome = linprog(
        np.concatenate([-np.ones(m), np.zeros(m)]),
        A_eq=hstack([whole, whole]).tocsr(),
        b_eq=np.concatenate(sums),
        bounds=np.column_stack([np.zeros(2 * m), ends]),
        method="highs-ds",
    )
    if outcome.x is None:
        return None
    forced = np.zeros(cells.shape, dtype=bool)
    forced[at] = outcome.x[:m] < bit / 2
    return forced
