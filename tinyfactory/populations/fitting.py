"""One joint distribution out of margins, tables and impossible combinations.

Iterative proportional fitting (Deming and Stephan, "On a Least Squares Adjustment of a Sampled
Frequency Table When the Expected Marginal Totals are Known", Annals of Mathematical Statistics
11, 1940), by the library ipfn: it changes a table's cells as little as needed (in the sense of
relative entropy) for the margins to be met, and leaves cells that are zero at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import DemographyError
from tinyfactory.populations.layouts import Cells, Shares, Tables

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

# More cells than this take too long to fit, and no one has counted them.
_MOST_CELLS = 2_000_000
# A margin that is missed by more is not met, whatever the number of rounds.
_MISS = 1e-4
_ROUNDS = 300


@dataclass(frozen=True)
class Block:
    """Fields that depend on each other: their distribution, and what it was made of.

    Parameters
    ----------
    fields : tuple of str
    cells : array, shape (categories of the first, categories of the second, ...)
        Shares that add up to 1.
    tied : tuple of tuples of str
        Fields that stand in one table or rule together.
    """

    fields: tuple[str, ...]
    cells: Array
    tied: tuple[tuple[str, ...], ...]

    def over(self, fields: Sequence[str]) -> Array:
        """The distribution of some of the fields, in the order given."""
        import numpy as np

        kept = [self.fields.index(name) for name in fields]
        others = tuple(i for i in range(len(self.fields)) if i not in kept)
        summed = self.cells.sum(axis=others)
        order = np.argsort(np.argsort(kept))
        return np.transpose(summed, np.argsort(order)) if len(kept) > 1 else summed


def fit(tables: Tables, margins: dict[str, Shares]) -> list[Block]:
    """A distribution for each group of fields that depend on each other.

    Raises
    ------
    DemographyError
        When the margins cannot be met, naming the one that is missed most.
    """
    tied = [fields for fields, _ in tables.joints]
    tied += [(*given, of) for of, given, _ in tables.conditionals]
    tied += [tuple(rule) for rule in tables.impossible]
    return [
        _fit_block(group, [t for t in tied if set(t) <= set(group)], tables, margins)
        for group in _groups(list(margins), tied)
    ]


def _groups(fields: list[str], tied: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    group = {name: name for name in fields}
    for names in tied:
        joined = {group[name] for name in names}
        group = {k: group[names[0]] if v in joined else v for k, v in group.items()}
    found: dict[str, list[str]] = {}
    for name in fields:
        found.setdefault(group[name], []).append(name)
    return [tuple(names) for names in found.values()]


def _fit_block(
    fields: tuple[str, ...],
    tied: list[tuple[str, ...]],
    tables: Tables,
    margins: dict[str, Shares],
) -> Block:
    import numpy as np

    shape = tuple(len(margins[name]) for name in fields)
    if np.prod([float(size) for size in shape]) > _MOST_CELLS:
        raise DemographyError(
            f"{', '.join(fields)}: the tables tie these fields together, which makes more than "
            f"{_MOST_CELLS:,} combinations. Merge categories, or leave a table out."
        )
    start = np.ones(shape)
    for rule in tables.impossible:
        if set(rule) <= set(fields):
            start[_where(fields, rule, margins)] = 0.0
    known = [(list(m.values()), (name,)) for name, m in margins.items() if name in fields]
    wanted = [
        (_table_cells(table, names, margins), names)
        for names, table in _tables_of(tables, margins)
        if set(names) <= set(fields)
    ]
    fitted = []
    for cells, names in wanted:
        possible = np.minimum(cells, (_sum_to(start, fields, names) > 0).astype(float))
        ends = [(np.array(list(margins[name].values())), (i,)) for i, name in enumerate(names)]
        fitted.append((_ipf(possible, ends), tuple(fields.index(name) for name in names)))
    ends = [(np.array(shares), (fields.index(name[0]),)) for shares, name in known]
    cells = _ipf(start, [*fitted, *ends])
    _check(cells, fields, margins)
    return Block(fields, cells / cells.sum(), tuple(tied))


def _tables_of(tables: Tables, margins: dict[str, Shares]) -> list[tuple[tuple[str, ...], Cells]]:
    """Joint tables, and conditional ones weighted by what they depend on."""
    found = list(tables.joints)
    for of, given, table in tables.conditionals:
        cells: Cells = {}
        for row, shares in table.items():
            weight = 1.0
            for name, category in zip(given, row, strict=True):
                weight *= margins[name][category]
            for category, share in shares.items():
                cells[(*row, category)] = weight * share
        found.append(((*given, of), cells))
    return found


def _table_cells(table: Cells, names: Sequence[str], margins: dict[str, Shares]) -> Array:
    import numpy as np

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


def _sum_to(cells: Array, fields: Sequence[str], names: Sequence[str]) -> Array:
    return Block(tuple(fields), cells, ()).over(names)


def _ipf(cells: Array, targets: Sequence[tuple[Array, tuple[int, ...]]]) -> Array:
    """Fit the cells to the targets; each says over which axes."""
    import numpy as np
    from ipfn import ipfn

    # Shares of nobody would be divided by; whatever is above them is put to zero before.
    cells = cells.astype(float).copy()
    for target, axes in targets:
        others = tuple(i for i in range(cells.ndim) if i not in axes)
        mask = np.expand_dims(target > 0, others) if len(axes) == 1 else None
        if mask is not None:
            cells = cells * mask
    aggregates = [np.where(target > 0, target, 1e-300) for target, _ in targets]
    # It prints how it ended whatever it is told; `_check` says so where that matters.
    vars(ipfn)["print"] = _silent
    # The library wants axes in rising order.
    turned = [
        np.transpose(target, np.argsort(axes)) if len(axes) > 1 else target
        for target, (_, axes) in zip(aggregates, targets, strict=True)
    ]
    with np.errstate(all="ignore"):
        fitted = ipfn.ipfn(
            cells,
            turned,
            [sorted(axes) for _, axes in targets],
            convergence_rate=1e-9,
            rate_tolerance=0.0,
            max_iteration=_ROUNDS,
        ).iteration()
    found: Array = np.nan_to_num(np.asarray(fitted, dtype=float))
    return found


def _silent(*_: object) -> None:
    pass


def _check(cells: Array, fields: tuple[str, ...], margins: dict[str, Shares]) -> None:
    worst, where = _MISS, ""
    for name in fields:
        got = _sum_to(cells, fields, (name,))
        for (category, share), value in zip(margins[name].items(), got, strict=True):
            if abs(value - share) > worst:
                worst = abs(value - share)
                where = f"{name} / {category}: asked for {share:.4g}, and at most {value:.4g}"
    if where:
        raise DemographyError(
            f"{where} can be reached with what the other tables and the impossible combinations "
            "leave. Change a share, or allow a combination."
        )
