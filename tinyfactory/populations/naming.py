"""Names for the rows of a drawn population, out of what its fields say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tinyfactory.populations.names import draw_names

_SEX = ("sex", "gender")
_COUNTRY = ("country", "nationality")
_PLACE = ("residence", "region", "state", "city")
# Of a table that does not say its year; a fixed one, so that the names stay the same.
_YEAR = 2025


def named(
    columns: Mapping[str, Any], n: int, about: Mapping[str, Any], seed: int, taken: Iterable[str]
) -> list[str]:
    """A name for each of `n` people.

    Parameters
    ----------
    columns : mapping
        A column a field, as `Demography.sample` has them.
    n : int
    about : mapping
        Its ``country`` and ``year`` are used where there is no column that says so.
    seed : int
    taken : iterable of str
        Names that nobody is given.

    Returns
    -------
    list of str
    """
    by_name = {str(name).strip().lower(): column for name, column in columns.items()}

    def first(names: Iterable[str]) -> list[Any] | None:
        return next((by_name[name].tolist() for name in names if name in by_name), None)

    nobody = [None] * n
    country = about.get("country")
    home = first(_COUNTRY) or ([country] * n if country else None) or first(_PLACE) or nobody
    return draw_names(
        home, first(_SEX) or nobody, seed=seed, taken=taken, births=_births(by_name, about)
    )


def _births(columns: Mapping[str, Any], about: Mapping[str, Any]) -> list[int] | None:
    """Years of birth, out of an age in years."""
    if "age_band" not in columns:
        return None
    year = re.search(r"\d{4}", str(about.get("year", "")))
    born: list[int] = ((int(year[0]) if year else _YEAR) - columns["age"].astype(int)).tolist()
    return born
