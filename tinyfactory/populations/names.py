"""Full names for a whole population: fitting country and sex, and no two alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.models.offline.load import Country, countries
from tinyfactory.models.offline.names import NameTable, name_table
from tinyfactory.models.offline.places import find_place
from tinyfactory.populations.births import decade_of, first_names, years
from tinyfactory.utils.random import Dice, digest
from tinyfactory.utils.text import fold, normalise_name

__all__ = ["country_of", "draw_names", "sex_of"]

_SEX_WORDS = {
    "female": "f female woman women girl girls lady feminine cis-female",
    "male": "m male man men boy boys gentleman masculine cis-male",
}
_SEXES = {word: sex for sex, words in _SEX_WORDS.items() for word in words.split()}
_GOLDEN = 0.6180339887498949  # steps of this share of a circle never come close to one another

Named = tuple[str, str]  # a name, and its form for comparing
_Names = Iterator[Named]


def draw_names(
    countries: Iterable[Any],
    sexes: Iterable[Any],
    *,
    seed: int,
    taken: Iterable[str] = (),
    births: Iterable[Any] | None = None,
) -> list[str]:
    """A full name for each row of a population, each different from all others.

    Names come from Faker's tables of the country, or the project's own where Faker has none
    in Latin script. Each country's usual form is used up before middle names and second family
    names are added. Within a country and sex, first and family names are gone through
    evenly, so the same one does not come again soon. Faker has no years of birth; where a
    year is given and somebody has counted (`births`), the first name is one of the commonest
    of the decade, each of them equally likely.

    Parameters
    ----------
    countries : sequence of str or None, shape (n,)
        A country, its adjective, one of its cities, or a text that names one ("Recife,
        Brazil"). Anything else, None and NaN are given the name of some country, each
        country being equally likely.
    sexes : sequence of str or None, shape (n,)
        ``"female"``, ``"woman"``, ``"f"``, ``"male"``, ``"man"``, ``"m"`` and the like; for
        anything else, None and NaN a female or a male name, equally likely.
    seed : int
        The same seed gives the same names on every machine, with the same release of Faker.
    taken : iterable of str
        Names that are not to be given.
    births : sequence of int or None, shape (n,), optional
        Years of birth. In the United States first names then come from the 150 commonest of
        that decade and sex (of the nearest one from the 1900s to the 2010s); elsewhere, and
        for None and NaN, from the country's table.

    Returns
    -------
    list of str
        Unique as the registry of people compares them: without case, accents and spacing.
        More rows at the end leave the names before them as they are.

    Raises
    ------
    InvalidInput
        When they are of different lengths, or hold anything but text (years: whole numbers),
        None and NaN.

    Notes
    -----
    The i-th name of a table with N combinations is the one at place (i x step + start) mod N,
    where step has no divisor in common with N: one to one without a list of all. The step is
    near N divided by the golden ratio (a Weyl sequence, which covers a circle evenly: Knuth,
    The Art of Computer Programming vol. 3, section 6.4).

    Examples
    --------
    >>> names = draw_names(["Brazil", "Lisbon", None], ["female", "m", "unknown"], seed=1)
    >>> len(set(names)), names == draw_names(["Brazil", "Lisbon", None], "fmx", seed=1)
    (3, True)
    >>> draw_names(["United States"] * 2, ["f"] * 2, births=[1925, 2005], seed=4)
    ['Frances Vega', 'Erin Taylor']
    """
    where, sexes = _values(countries, "country"), _values(sexes, "sex")
    if len(where) != len(sexes):
        raise InvalidInput(
            f"There are {len(where)} countries and {len(sexes)} sexes; give one of each for "
            "every row (None where it is not known). No name was drawn."
        )
    born = [None] * len(where) if births is None else years(births)
    if len(born) != len(where):
        raise InvalidInput(
            f"There are {len(where)} countries and {len(born)} years of birth; give one of each "
            "for every row (None where it is not known). No name was drawn."
        )
    seen = {normalise_name(name) for name in _texts(taken)}
    pools = _Pools(seed)
    drawn: list[str] = []
    for place, sex, year in zip(where, sexes, born, strict=True):
        name, key = next(named for named in pools.of(place, sex, year) if named[1] not in seen)
        seen.add(key)
        drawn.append(name)
    return drawn


def _texts(taken: Iterable[Any]) -> list[str]:
    names = [taken] if isinstance(taken, str) or not isinstance(taken, Iterable) else list(taken)
    if isinstance(taken, str) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(
            f"taken holds names, as in ['Ana Souza'], not {taken!r:.80}. No name was drawn."
        )
    return names


def country_of(text: str) -> Country | None:
    """The country that a text is, or else names; None for none of those that are known.

    Examples
    --------
    >>> [c and c.name for c in map(country_of, ["brasil", "Dutch", "Recife, PE, Brazil", "north"])]
    ['Brazil', 'Netherlands', 'Brazil', None]
    """
    known = _countries_by_word()
    if found := known.get(fold(text)):
        return found
    place = find_place(text)
    return place.country or place.nation


def sex_of(text: str) -> str | None:
    """``"female"`` or ``"male"`` where a word says so, else None.

    Examples
    --------
    >>> sex_of("Woman"), sex_of(" m "), sex_of("prefer not to say")
    ('female', 'male', None)
    """
    return _SEXES.get(fold(text))


@cache
def _countries_by_word() -> dict[str, Country]:
    known: dict[str, Country] = {}
    # A country's name goes before another's city of the same name.
    for words in (
        lambda c: (c.name,),
        lambda c: c.aliases,
        lambda c: (c.adjective,),
        lambda c: c.cities,
    ):
        for country in countries():
            for word in words(country):
                known.setdefault(fold(word), country)
    return known


def _values(column: Iterable[Any], what: str) -> list[str | None]:
    """The column with None for whatever is empty."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    read: dict[Any, str | None] = {}
    for row, value in enumerate(values):
        if value in read:
            continue
        if value is None or type(value).__name__ == "NAType" or value != value:
            values[row] = None
            read[None] = None
        elif isinstance(value, str):
            read[value] = value.strip() or None
        else:
            raise InvalidInput(
                f"The {what} in row {row + 1} is {value!r}; expected text, or None where it is "
                "not known. No name was drawn."
            )
    return [read[value] for value in values]


class _Pools:
    """The names that are left, by country and sex."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = Dice(digest("names", seed))
        self._places: dict[str | None, Country | None] = {None: None}
        self._sexes: dict[str | None, str | None] = {None: None}
        self._streams: dict[tuple[str, str, tuple[str, ...], str | None], _Names] = {}
        self._cells: dict[tuple[str, str, str | None], tuple[_Names, ...]] = {}
        self._turns: dict[tuple[str, str, str | None], int] = {}

    def of(self, place: str | None, sex: str | None, born: int | None) -> _Names:
        """The names for a row; a country with two tables takes them in turn."""
        if place not in self._places:
            self._places[place] = country_of(place or "")
        country = self._places[place] or self.dice.pick(countries())
        if sex not in self._sexes:
            self._sexes[sex] = sex_of(sex or "")
        which = self._sexes[sex] or self.dice.pick(("female", "male"))
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

    def _stream(self, source: str, sex: str, country: Country, decade: str | None) -> _Names:
        # Countries that take the same names in the same form share one stream.
        key = (source, sex, country.patterns, decade)
        if key not in self._streams:
            names, of = name_table(source), source
            if decade is not None:
                given = first_names(country.name, decade, sex)
                names, of = replace(names, given={**names.given, sex: given}), f"{source} {decade}"
            self._streams[key] = _names(names, of, sex, country.patterns, self.seed)
        return self._streams[key]


def _names(names: NameTable, source: str, sex: str, patterns: tuple[str, ...], seed: int) -> _Names:
    """All names of a table, each once; longer forms when the usual ones are used up."""
    parts = _parts(names, sex, Dice(digest("order", seed, source, sex)))
    for pattern in _forms(patterns):
        pools = [parts[part] for part in reversed(pattern)]
        size = math.prod(map(len, pools))
        place = digest("start", seed, source, sex, pattern) % size
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


def _parts(table: NameTable, sex: str, dice: Dice) -> dict[str, list[Named]]:
    def shuffled(names: Sequence[str]) -> list[Named]:
        return [(name, normalise_name(name)) for name in dice.few(names, len(names))]

    given, family = shuffled(table.given[sex]), shuffled(table.family[sex])
    return {"g": given, "f": family, "m": shuffled(table.middle[sex]) or given}


def _forms(patterns: tuple[str, ...]) -> Iterator[str]:
    """The country's own forms, then longer ones without end."""
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
