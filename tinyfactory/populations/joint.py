"""Fit one joint distribution to margins, tables and impossible combinations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyfactory.errors import DemographyError
from tinyfactory.populations.schema import (
    Cells,
    Shares,
    Tables,
    groups,
    in_order,
    most_combinations,
)

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


# Tables printed in whole percents may differ by this much without contradicting each other.
_ROUNDING = 0.005


@dataclass(frozen=True)
class Block:
    """Fields that depend on each other, with their joint distribution.

    Parameters
    ----------
    fields : tuple of str
    cells : array, shape (categories of the first, categories of the second, ...)
        Shares that add up to 1.
    margins : dict of array
        The exact shares of each field.
    tied : tuple of tuples of str
        The fields of each table and of each impossible combination.
    tables : tuple of tuples of str
        The fields of each table.
    contradiction : str
        A warning about the worst contradiction between tables; empty if there is none.
    """

    fields: tuple[str, ...]
    cells: Array
    margins: dict[str, Array]
    tied: tuple[tuple[str, ...], ...]
    tables: tuple[tuple[str, ...], ...]
    contradiction: str = ""

    def over(self, fields: Sequence[str]) -> Array:
        """Sum over all other fields; the axes are in the order of `fields`."""
        if len(fields) == 1:
            return self.margins[fields[0]]
        return _over(self.cells, self.fields, fields)

    def table(self, fields: Sequence[str], categories: Mapping[str, Iterable[str]]) -> Cells:
        """Sum as `over` does; gives the share of each combination of categories."""
        names = [list(categories[name]) for name in fields]
        return {
            tuple(names[i][j] for i, j in enumerate(index)): float(share)
            for index, share in np.ndenumerate(self.over(fields))
        }


def fit(tables: Tables, margins: dict[str, Shares]) -> list[Block]:
    """Fit a distribution to each group of fields that depend on each other.

    Tables that contradict each other are met half way; `Block.contradiction` says where.

    Raises
    ------
    DemographyError
        If the margins cannot be met; the message names the worst cell.
    """
    most_combinations(tables, margins)
    blocks = []
    for group in groups(tables, margins):
        in_tables = _within(group, tables.tied)
        in_rules = _within(group, map(tuple, tables.impossible))
        cells, contradiction = _fitted(group, tables, margins)
        ends = {
            name: _shares(name, margins) if name in tables.stated else _over(cells, group, (name,))
            for name in group
        }
        tied = (*in_tables, *in_rules)
        blocks.append(Block(group, cells, ends, tied, in_tables, contradiction))
    return blocks


def _within(group: Sequence[str], tied: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(names for names in tied if set(names) <= set(group)))


def _fitted(
    fields: tuple[str, ...], tables: Tables, margins: dict[str, Shares]
) -> tuple[Array, str]:
    start = np.ones(tuple(len(margins[name]) for name in fields))
    for rule in tables.impossible:
        if set(rule) <= set(fields):
            start[_where(fields, rule, margins)] = 0.0
    given = tables.stated
    ends: list[Target] = [
        (_shares(name, margins), (i,)) for i, name in enumerate(fields) if name in given
    ]
    targets: list[Target] = list(ends)
    wanted: list[Target] = []  # the tables alone, including cells that are ruled out
    for names, table in tables.joints:
        if set(names) <= set(fields):
            said, possible = _table_cells(table, names, margins), _over(start, fields, names) > 0
            own: list[Target] = [(_shares(name, margins), (i,)) for i, name in enumerate(names)]
            table_met = met(said * possible, own)
            targets.insert(0, (table_met, _axes(fields, names)))
            wanted.append((table_met + said * ~possible, _axes(fields, names)))
    cells = ipf(start, targets)
    # The fields that a conditional table depends on are fitted by now; it leaves them as they are.
    for of, on, rows in in_order(tables.conditionals, given):
        if of not in fields:
            continue
        names = (*on, of)
        before = _over(cells, fields, on)
        if not before.any():
            break  # no combination is possible; `_check` names the margin
        known: list[Target] = [(before / before.sum(), tuple(range(len(on))))]
        if of in given:
            known.append((_shares(of, margins), (len(on),)))
        table = {(*row, c): share for row, shares in rows.items() for c, share in shares.items()}
        said, possible = _table_cells(table, names, margins), _over(start, fields, names) > 0
        _check_rows(said * possible, before, names, margins)
        table_met = met(said * possible, known)
        targets.insert(0, (table_met, _axes(fields, names)))
        wanted.append((table_met + said * ~possible * before[..., None], _axes(fields, names)))
        cells = ipf(start, targets)
    # Tables that contradict each other are met half way, but the margins exactly.
    cells = met(cells, ends)
    _check(cells, [name for name in fields if name in given], fields, margins)
    whole: Array = cells / cells.sum()
    return whole, _contradiction(whole, wanted, fields, margins)


def _table_cells(table: Cells, names: Sequence[str], margins: dict[str, Shares]) -> Array:
    place = [{category: i for i, category in enumerate(margins[name])} for name in names]
    cells = np.zeros(tuple(len(margins[name]) for name in names))
    for key, share in table.items():
        cells[tuple(place[i][category] for i, category in enumerate(key))] = share
    return cells


def _where(
    fields: Sequence[str], rule: dict[str, str], margins: dict[str, Shares]
) -> tuple[Any, ...]:
    return tuple(
        list(margins[name]).index(rule[name]) if name in rule else slice(None) for name in fields
    )


def _shares(name: str, margins: dict[str, Shares]) -> Array:
    return np.array(list(margins[name].values()))


def _over(cells: Array, fields: Sequence[str], names: Sequence[str]) -> Array:
    kept = _axes(fields, names)
    summed = cells.sum(axis=tuple(i for i in range(len(fields)) if i not in kept))
    ranks = np.argsort(np.argsort(kept))  # the position of each name in the sum
    return np.transpose(summed, ranks)


def _axes(fields: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    return tuple(fields.index(name) for name in names)


def _check_rows(
    seed: Array, before: Array, names: Sequence[str], margins: dict[str, Shares]
) -> None:
    """Reject a row of a conditional table whose categories are all impossible."""
    lost = np.argwhere((before > MISS) & (seed.sum(axis=-1) <= 0))
    if len(lost):
        row = [list(margins[name])[at] for name, at in zip(names, lost[0], strict=False)]
        raise DemographyError(
            f"{names[-1]} given {', '.join(names[:-1])} / {' / '.join(row)}: every category of "
            "the row is impossible. Change the row, or allow a combination."
        )


def _check(
    cells: Array, given: Sequence[str], fields: tuple[str, ...], margins: dict[str, Shares]
) -> None:
    worst, where = MISS, ""
    for name in given:
        actual = _over(cells, fields, (name,))
        for (category, share), value in zip(margins[name].items(), actual, strict=True):
            if abs(value - share) > worst:
                worst = abs(value - share)
                where = (
                    f"{name} / {category}: the target is {share:.9g}, and the nearest possible "
                    f"share is {value:.9g}"
                )
    if where:
        raise DemographyError(
            f"{where}, given the other tables and the impossible combinations. Change a share, "
            "or allow a combination."
        )


def _contradiction(
    cells: Array, wanted: Sequence[Target], fields: tuple[str, ...], margins: dict[str, Shares]
) -> str:
    """A warning that names the cell with the largest miss; empty if no cell is missed."""
    worst, where = _ROUNDING, ""
    for table, axes in wanted:
        names = [fields[axis] for axis in axes]
        actual = _over(cells, fields, names)
        at = np.unravel_index(abs(actual - table).argmax(), table.shape)
        if abs(actual[at] - table[at]) > worst:
            worst = abs(actual[at] - table[at])
            cell = " / ".join(list(margins[name])[i] for name, i in zip(names, at, strict=True))
            where = (
                f"{' by '.join(names)} / {cell}: the target is {table[at]:.3g}, the actual share "
                f"is {actual[at]:.3g}"
            )
    return where and (
        f"{where}. The tables contradict each other or the impossible combinations, so they are "
        "met half way; the shares of single fields are met exactly. Change or remove a table."
    )
