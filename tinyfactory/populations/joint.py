"""One joint distribution out of margins, tables and impossible combinations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import DemographyError
from tinyfactory.populations.ipf import MISS, ipf, met
from tinyfactory.populations.schema import Cells, Shares, Tables, in_order

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Target = tuple[Array, tuple[int, ...]]

# More cells than this take too long to fit, and no one has counted them.
_MOST_CELLS = 1_000_000
# Tables that are printed in whole percents differ by as much, without contradiction.
_ROUNDING = 0.005


@dataclass(frozen=True)
class Block:
    """Fields that depend on each other: their distribution, and what it was made of.

    Parameters
    ----------
    fields : tuple of str
    cells : array, shape (categories of the first, categories of the second, ...)
        Shares that add up to 1.
    margins : dict of array
        Those of each field, to the last digit.
    tied : tuple of tuples of str
        Fields that stand in one table or rule together.
    tables : tuple of tuples of str
        Those of them that stand in a table.
    contradiction : str
        Where tables contradict each other most, for the log; empty where they do not.
    """

    fields: tuple[str, ...]
    cells: Array
    margins: dict[str, Array]
    tied: tuple[tuple[str, ...], ...]
    tables: tuple[tuple[str, ...], ...]
    contradiction: str = ""

    def over(self, fields: Sequence[str]) -> Array:
        """The distribution of some of the fields, in the order given."""
        if len(fields) == 1:
            return self.margins[fields[0]]
        return _over(self.cells, self.fields, fields)


def fit(tables: Tables, margins: dict[str, Shares]) -> list[Block]:
    """A distribution for each group of fields that depend on each other.

    Tables that contradict each other are met half way, and the blocks say where.

    Raises
    ------
    DemographyError
        When the margins cannot be met, naming the one that is missed most.
    """
    most_combinations(tables, margins)
    tied, rules = _tied(tables)
    blocks = []
    for group in _groups(list(margins), [*tied, *rules]):
        here = tuple(dict.fromkeys(names for names in tied if set(names) <= set(group)))
        too = tuple(dict.fromkeys(names for names in rules if set(names) <= set(group)))
        cells, contradiction = _fitted(group, tables, margins)
        ends = {
            name: _shares(name, margins) if name in _given(tables) else _over(cells, group, (name,))
            for name in group
        }
        blocks.append(Block(group, cells, ends, (*here, *too), here, contradiction))
    return blocks


def most_combinations(tables: Tables, margins: dict[str, Shares]) -> int:
    """How many combinations the largest group of fields has that depend on each other.

    0 where no field depends on another one.

    Raises
    ------
    DemographyError
        For more than can be fitted.
    """
    tied, rules = _tied(tables)
    most = 0
    for fields in _groups(list(margins), [*tied, *rules]):
        if len(fields) > 1:
            most = max(most, math.prod(len(margins[name]) for name in fields))
        if most > _MOST_CELLS:
            raise DemographyError(
                f"{', '.join(fields)}: the tables tie these fields together, which makes more "
                f"than {_MOST_CELLS:,} combinations. Merge categories, or leave a table out."
            )
    return most


def _tied(tables: Tables) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The fields that stand in a table together, and those that stand in a rule."""
    tied = [fields for fields, _ in tables.joints]
    tied += [(*given, of) for of, given, _ in tables.conditionals]
    return tied, [tuple(rule) for rule in tables.impossible]


def _groups(fields: list[str], tied: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    group = {name: name for name in fields}
    for names in tied:
        joined = {group[name] for name in names}
        group = {k: group[names[0]] if v in joined else v for k, v in group.items()}
    found: dict[str, list[str]] = {}
    for name in fields:
        found.setdefault(group[name], []).append(name)
    return [tuple(names) for names in found.values()]


def _fitted(
    fields: tuple[str, ...], tables: Tables, margins: dict[str, Shares]
) -> tuple[Array, str]:
    import numpy as np

    start = np.ones(tuple(len(margins[name]) for name in fields))
    for rule in tables.impossible:
        if set(rule) <= set(fields):
            start[_where(fields, rule, margins)] = 0.0
    given = _given(tables)
    ends: list[Target] = [
        (_shares(name, margins), (i,)) for i, name in enumerate(fields) if name in given
    ]
    asked: list[Target] = list(ends)
    wanted: list[Target] = []  # the same of tables, with what is ruled out
    for names, table in tables.joints:
        if set(names) <= set(fields):
            said, possible = _table_cells(table, names, margins), _over(start, fields, names) > 0
            own: list[Target] = [(_shares(name, margins), (i,)) for i, name in enumerate(names)]
            table_met = met(said * possible, own)
            asked.insert(0, (table_met, _axes(fields, names)))
            wanted.append((table_met + said * ~possible, _axes(fields, names)))
    cells = ipf(start, asked)
    # What a field depends on has its distribution by now: a conditional table leaves it so.
    for of, on, rows in in_order(tables.conditionals, given):
        if of not in fields:
            continue
        names = (*on, of)
        before = _over(cells, fields, on)
        if not before.any():
            break  # nobody is left; `_check` says of which margin
        known: list[Target] = [(before / before.sum(), tuple(range(len(on))))]
        if of in given:
            known.append((_shares(of, margins), (len(on),)))
        table = {(*row, c): share for row, shares in rows.items() for c, share in shares.items()}
        said, possible = _table_cells(table, names, margins), _over(start, fields, names) > 0
        _check_rows(said * possible, before, names, margins)
        table_met = met(said * possible, known)
        asked.insert(0, (table_met, _axes(fields, names)))
        wanted.append((table_met + said * ~possible * before[..., None], _axes(fields, names)))
        cells = ipf(start, asked)
    # Where tables contradict each other they are met half way; margins are met.
    cells = met(cells, ends)
    _check(cells, [name for name in fields if name in given], fields, margins)
    whole: Array = cells / cells.sum()
    return whole, _what_contradicts(whole, wanted, fields, margins)


def _given(tables: Tables) -> set[str]:
    """The fields whose shares are said, by themselves or in a joint table."""
    return set(tables.margins).union(*(fields for fields, _ in tables.joints))


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


def _shares(name: str, margins: dict[str, Shares]) -> Array:
    import numpy as np

    return np.array(list(margins[name].values()))


def _over(cells: Array, fields: Sequence[str], names: Sequence[str]) -> Array:
    import numpy as np

    kept = _axes(fields, names)
    summed = cells.sum(axis=tuple(i for i in range(len(fields)) if i not in kept))
    ranks = np.argsort(np.argsort(kept))  # where each of them is now
    return np.transpose(summed, ranks)


def _axes(fields: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    return tuple(fields.index(name) for name in names)


def _check_rows(
    seed: Array, before: Array, names: Sequence[str], margins: dict[str, Shares]
) -> None:
    """Whoever there is has a category that is possible."""
    import numpy as np

    lost = np.argwhere((before > MISS) & (seed.sum(axis=-1) <= 0))
    if len(lost):
        row = [list(margins[name])[at] for name, at in zip(names, lost[0], strict=False)]
        raise DemographyError(
            f"{names[-1]} given {', '.join(names[:-1])} / {' / '.join(row)}: all that the row "
            "names is impossible. Change the row, or allow a combination."
        )


def _check(
    cells: Array, given: Sequence[str], fields: tuple[str, ...], margins: dict[str, Shares]
) -> None:
    worst, where = MISS, ""
    for name in given:
        got = _over(cells, fields, (name,))
        for (category, share), value in zip(margins[name].items(), got, strict=True):
            if abs(value - share) > worst:
                worst = abs(value - share)
                where = f"{name} / {category}: {share:.9g} was asked for, and {value:.9g}"
    if where:
        raise DemographyError(
            f"{where} is the nearest that the other tables and the impossible combinations "
            "leave. Change a share, or allow a combination."
        )


def _what_contradicts(
    cells: Array, wanted: Sequence[Target], fields: tuple[str, ...], margins: dict[str, Shares]
) -> str:
    """A warning with the cell of a table that is missed most; empty where none is."""
    import numpy as np

    worst, told = _ROUNDING, ""
    for table, axes in wanted:
        names = [fields[axis] for axis in axes]
        got = _over(cells, fields, names)
        at = np.unravel_index(abs(got - table).argmax(), table.shape)
        if abs(got[at] - table[at]) > worst:
            worst = abs(got[at] - table[at])
            cell = " / ".join(list(margins[name])[i] for name, i in zip(names, at, strict=True))
            told = f"{' by '.join(names)} / {cell}: {table[at]:.3g} was asked for, {got[at]:.3g}"
    return told and (
        f"{told} is what people get: tables, or a table and what is impossible, contradict each "
        "other, and are met half way. Shares of fields are met exactly. Change a table, or "
        "leave one out."
    )
