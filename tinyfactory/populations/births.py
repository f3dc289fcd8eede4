"""First names as they were given in a decade, where somebody has counted them.

So far in the United States: a table of the Social Security Administration, whose source and
licence stand in it (`models/offline/tables/births.json`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.models.offline.load import table

__all__ = ["decade_of", "first_names", "years"]


def decade_of(country: str, year: int | None) -> str | None:
    """The counted decade that is nearest to a year of birth; None where nobody has counted.

    Examples
    --------
    >>> [decade_of("United States", year) for year in (1957, 1890, 2024, None)]
    ['1950', '1900', '2010', None]
    >>> decade_of("Peru", 1957) is None
    True
    """
    counted = _decades().get(country)
    if counted is None or year is None:
        return None
    return str(min(max(year // 10 * 10, counted[0]), counted[-1]))


@cache
def first_names(country: str, decade: str, sex: str) -> tuple[str, ...]:
    """The commonest first names of a decade, the commonest first.

    Examples
    --------
    >>> first_names("United States", "1940", "female")[:3]
    ('Mary', 'Linda', 'Barbara')
    """
    return tuple(table("births")[country]["decades"][decade][sex].split())


def years(column: Iterable[Any]) -> list[int | None]:
    """Years of birth out of a column, with None for whatever is empty.

    Raises
    ------
    InvalidInput
        For what is no whole number.
    """
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    found: list[int | None] = []
    for row, value in enumerate(values):
        if value is None or type(value).__name__ == "NAType" or value != value:
            found.append(None)
        elif isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
            raise InvalidInput(
                f"The year of birth in row {row + 1} is {value!r}; expected a whole number, or "
                "None where it is not known. No name was drawn."
            )
        else:
            found.append(int(value))
    return found


@cache
def _decades() -> dict[str, list[int]]:
    return {country: sorted(map(int, row["decades"])) for country, row in table("births").items()}
