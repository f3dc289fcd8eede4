"""Full names for a whole population that fit country and gender, each different."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.gazetteer.countries import Country, countries, country_of
from tinyfactory.gazetteer.names import NameTable, decade_of, first_names, gender_of, name_table
from tinyfactory.utils.random import Dice, digest
from tinyfactory.utils.text import normalise_name

__all__ = ["draw_names"]

_GOLDEN = 0.6180339887498949  # steps by this part of a circle stay far from each other

Named = tuple[str, str]  # a name, and its normalised form
_Names = Iterator[Named]


def draw_names(
    countries: Iterable[Any],
    genders: Iterable[Any],
    *,
    seed: int,
    taken: Iterable[str] = (),
    births: Iterable[Any] | None = None,
) -> list[str]:
    """Draw a full name for each row of a population, each different from all others.

    Names come from `names.name_table`. All names in the country's usual form are used before
    middle names and second family names are added. Within a country and gender, first and family
    names are used evenly, so that none repeats soon. If a year of birth is given and there is a
    table for it (`names.decade_of`), the first name is one of the most common of that decade, all
    equally likely.

    Parameters
    ----------
    countries : sequence of str or None, shape (n,)
        A country, its adjective, one of its cities, or a text that names one ("Recife,
        Brazil"). For anything else, None and NaN, a country is drawn, all equally likely.
    genders : sequence of str or None, shape (n,)
        ``"female"``, ``"woman"``, ``"f"``, ``"male"``, ``"man"``, ``"m"`` and the like. For
        anything else, None and NaN, a female or a male name is drawn, equally likely.
    seed : int
        The same seed gives the same names on every machine, with the same release of Faker.
    taken : iterable of str
        Names that nobody may get.
    births : sequence of int or None, shape (n,), optional
        Years of birth. In the United States first names then come from the 150 most common of
        that decade and gender (the nearest decade from the 1900s to the 2010s); elsewhere, and
        for None and NaN, from the country's table.

    Returns
    -------
    list of str
        Unique after `normalise_name`, as in the registry of people. Adding rows at the end does
        not change the names of the rows before.

    Raises
    ------
    InvalidInput
        When they are of different lengths, or hold anything but text (years: whole numbers),
        None and NaN.

    Notes
    -----
    The i-th name of a table with N combinations is at index (i x step + start) mod N, where step
    and N have no common divisor. This visits each name once without a list of all names. The step
    is near N divided by the golden ratio (a Weyl sequence, which covers a circle evenly: Knuth,
    The Art of Computer Programming vol. 3, section 6.4).

    Examples
    --------
    >>> names = draw_names(["Brazil", "Lisbon", None], ["female", "m", "unknown"], seed=1)
    >>> len(set(names)), names == draw_names(["Brazil", "Lisbon", None], "fmx", seed=1)
    (3, True)
    >>> draw_names(["United States"] * 2, ["f"] * 2, births=[1925, 2005], seed=4)
    ['Frances Vega', 'Erin Taylor']
    """
    where, who = _texts(countries, "country"), _texts(genders, "gender")
    born = [None] * len(where) if births is None else _years(births)
    for what, column in (("genders", who), ("years of birth", born)):
        if len(column) != len(where):
            raise InvalidInput(
                f"There are {len(where)} countries and {len(column)} {what}. Give one of each for "
                "every row, or None if it is unknown."
            )
    seen = {normalise_name(name) for name in _names_in(taken)}
    pools = _Pools(seed)
    drawn: list[str] = []
    for place, gender, year in zip(where, who, born, strict=True):
        name, key = next(named for named in pools.of(place, gender, year) if named[1] not in seen)
        seen.add(key)
        drawn.append(name)
    return drawn


def _names_in(taken: Iterable[Any]) -> list[str]:
    names = [taken] if isinstance(taken, str) or not isinstance(taken, Iterable) else list(taken)
    if isinstance(taken, str) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(
            f"taken must be a list of names such as ['Ana Souza'], not {taken!r:.80}."
        )
    return names


def _texts(column: Iterable[Any], what: str) -> list[str | None]:
    """Read a column of texts, with None for empty cells."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    read: dict[Any, str | None] = {}
    for row, value in enumerate(values):
        if value in read:
            continue
        if _empty(value):
            values[row] = None
            read[None] = None
        elif isinstance(value, str):
            read[value] = value.strip() or None
        else:
            raise InvalidInput(
                f"The {what} in row {row + 1} is {value!r}; it must be text, or None if unknown."
            )
    return [read[value] for value in values]


def _years(column: Iterable[Any]) -> list[int | None]:
    """Read a column of years of birth, with None for empty cells."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    found: list[int | None] = []
    for row, value in enumerate(values):
        if _empty(value):
            found.append(None)
        elif isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
            raise InvalidInput(
                f"The year of birth in row {row + 1} is {value!r}; it must be a whole number, or "
                "None if unknown."
            )
        else:
            found.append(int(value))
    return found


def _empty(value: Any) -> bool:
    # NaN differs from itself; pandas.NA has no truth value, and pandas may not be installed.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


class _Pools:
    """The names that are not used yet, by country and gender."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = Dice(digest("names", seed))
        self._places: dict[str | None, Country | None] = {None: None}
        self._genders: dict[str | None, str | None] = {None: None}
        self._streams: dict[tuple[str, str, tuple[str, ...], str | None], _Names] = {}
        self._cells: dict[tuple[str, str, str | None], tuple[_Names, ...]] = {}
        self._turns: dict[tuple[str, str, str | None], int] = {}

    def of(self, place: str | None, gender: str | None, born: int | None) -> _Names:
        """The names for a row; a country with two tables alternates between them."""
        if place not in self._places:
            self._places[place] = country_of(place or "")
        country = self._places[place] or self.dice.pick(countries())
        if gender not in self._genders:
            self._genders[gender] = gender_of(gender or "")
        which = self._genders[gender] or self.dice.pick(("female", "male"))
        decade = None if born is None else decade_of(country.name, born)
        cell = (country.name, which, decade)
        if cell not in self._cells:
            self._cells[cell] = tuple(
                self._stream(source, which, country, decade) for source in country.names
            )
        streams = self._cells[cell]
        if len(streams) == 1:
            return streams[0]
        turn = self._turns[cell] = self._turns.get(cell, -1) + 1
        return streams[turn % len(streams)]

    def _stream(self, source: str, gender: str, country: Country, decade: str | None) -> _Names:
        # Countries with the same names in the same forms share one stream.
        key = (source, gender, country.patterns, decade)
        if key not in self._streams:
            names, of = name_table(source), source
            if decade is not None:
                given = {**names.given, gender: first_names(country.name, decade, gender)}
                names, of = replace(names, given=given), f"{source} {decade}"
            self._streams[key] = _names(names, of, gender, country.patterns, self.seed)
        return self._streams[key]


def _names(
    names: NameTable, source: str, gender: str, patterns: tuple[str, ...], seed: int
) -> _Names:
    """All names of a table, each once; longer forms after the usual ones."""
    parts = _parts(names, gender, Dice(digest("order", seed, source, gender)))
    for pattern in _forms(patterns):
        pools = [parts[part] for part in reversed(pattern)]
        size = math.prod(map(len, pools))
        place = digest("start", seed, source, gender, pattern) % size
        step = _step(size)
        for _ in range(size):
            place = (place + step) % size
            rest = place
            name = key = ""
            for pool in pools:
                rest, at = divmod(rest, len(pool))
                word, plain = pool[at]
                if f" {plain} " in f"{key} ":  # "Silva Silva"
                    break
                name, key = f" {word}{name}", f" {plain}{key}"
            else:
                yield name[1:], key[1:]


def _parts(table: NameTable, gender: str, dice: Dice) -> dict[str, list[Named]]:
    def shuffled(names: Sequence[str]) -> list[Named]:
        return [(name, normalise_name(name)) for name in dice.few(names, len(names))]

    given, family = shuffled(table.given[gender]), shuffled(table.family[gender])
    return {"g": given, "f": family, "m": shuffled(table.middle[gender]) or given}


def _forms(patterns: tuple[str, ...]) -> Iterator[str]:
    """The forms of the country, then ever longer ones."""
    yield from patterns
    family_first = patterns[0].startswith("f")
    for given in count(2):
        more = "g" * given
        for form in (f"f{more}",) if family_first else (f"{more}f", f"{more[1:]}ff"):
            if form not in patterns:
                yield form


def _step(size: int) -> int:
    step = max(1, round(size * _GOLDEN))
    while math.gcd(step, size) != 1:
        step += 1
    return step
