"""What a demography's tables leave unsaid, worked out; and what they may not say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from tinyfactory.errors import DemographyError
from tinyfactory.populations.layouts import Conditional, Shares, Tables


def completed(tables: Tables) -> dict[str, Shares]:
    """Shares of every field; those that are not given come from the first table that has them.

    Where they depend on several fields, it is as if these did not depend on each other; where
    they do, `fitting.fit` knows better.
    """
    margins = dict(tables.margins)
    for fields, cells in tables.joints:
        for place, name in enumerate(fields):
            if name not in margins:
                shares: Shares = {}
                for key, share in cells.items():
                    shares[key[place]] = shares.get(key[place], 0.0) + share
                margins[name] = shares
    for of, given, table in in_order(tables.conditionals, margins):
        if of not in margins:
            margins[of] = _share_over(given, table, margins)
    if not margins:
        raise DemographyError("There is no field in this demography.")
    return margins


def in_order(tables: Sequence[Conditional], known: Iterable[str]) -> list[Conditional]:
    """Conditional tables, each after those that say what it depends on.

    Raises
    ------
    DemographyError
        When nothing says it.
    """
    fields, waiting, found = set(known), list(tables), []
    while waiting:
        ready = next((item for item in waiting if set(item[1]) <= fields), None)
        if ready is None:
            of, given, _ = waiting[0]
            lacking = ", ".join(name for name in given if name not in fields)
            raise DemographyError(
                f"{of} given {', '.join(given)}: there are no shares of {lacking}. Give them, or "
                "a table that has them."
            )
        waiting.remove(ready)
        found.append(ready)
        fields.add(ready[0])
    return found


def _share_over(
    given: tuple[str, ...], table: dict[tuple[str, ...], Shares], margins: dict[str, Shares]
) -> Shares:
    found: Shares = {}
    for row, shares in table.items():
        weight = 1.0
        for name, category in zip(given, row, strict=True):
            weight *= margins[name].get(category, 0.0)
        for category, share in shares.items():
            found[category] = found.get(category, 0.0) + weight * share
    total = sum(found.values())
    return {category: share / total for category, share in found.items()} if total else found


def check_categories(tables: Tables, margins: dict[str, Shares]) -> None:
    """Refuse fields and categories that no margin knows, and rows that are missing.

    Raises
    ------
    DemographyError
        Naming the cell.
    """
    for rule in tables.impossible:
        _check_cell(f"impossible / {' / '.join(rule.values())}", rule, margins)
    for number, (fields, cells) in enumerate(tables.joints, 1):
        for key in cells:
            where = f"joint table {number} / {' / '.join(key)}"
            _check_cell(where, dict(zip(fields, key, strict=True)), margins)
    for of, given, table in tables.conditionals:
        name = f"{of} given {', '.join(given)}"
        for row, shares in table.items():
            where = f"{name} / {' / '.join(row)}"
            _check_cell(where, dict(zip(given, row, strict=True)), margins)
            for category in shares:
                _check_cell(where, {of: category}, margins)
        _check_rows(name, given, table, margins, tables)


def _check_cell(where: str, cell: dict[str, str], margins: dict[str, Shares]) -> None:
    for field, category in cell.items():
        if field not in margins:
            raise DemographyError(f"{where}: there is no field {field!r}.")
        if category not in margins[field]:
            known = ", ".join(margins[field])
            raise DemographyError(f"{where}: {field} has no category {category!r}; it has {known}.")


def _check_rows(
    name: str,
    given: tuple[str, ...],
    table: dict[tuple[str, ...], Shares],
    margins: dict[str, Shares],
    tables: Tables,
) -> None:
    """A conditional table says something for everyone there may be."""
    present = [[c for c, share in margins[field].items() if share > 0] for field in given]
    for row in product(*present):
        if row not in table and _may_be(dict(zip(given, row, strict=True)), tables):
            raise DemographyError(f"{name}: there is no row for {' / '.join(row)}.")


def _may_be(cell: dict[str, str], tables: Tables) -> bool:
    if any(rule.items() <= cell.items() for rule in tables.impossible):
        return False
    for fields, cells in tables.joints:
        if set(cell) == set(fields) and not cells.get(tuple(cell[f] for f in fields)):
            return False
    return True
