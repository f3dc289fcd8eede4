"""Given and family names of each country, and the first names of each decade of birth.

Names come from Faker's tables if Faker has the country in Latin script, else from a table of this
package. Faker's generators are not used: they share state between threads and add titles. First
names by decade exist for the United States (Social Security Administration; source and licence
are in ``tables/births.json``).
"""

from __future__ import annotations

import importlib
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.gazetteer import read_table
from tinyfactory.gazetteer.countries import Country, countries, country_of
from tinyfactory.utils.random import Dice, digest
from tinyfactory.utils.text import fold, normalise_name

# Nouns for one person.
NOUNS = {
    "female": ("female", "woman", "girl", "lady"),
    "male": ("male", "man", "boy", "gentleman"),
}
_OTHER_WORDS = {
    "female": ("f", "women", "girls", "feminine", "cis-female"),
    "male": ("m", "men", "boys", "masculine", "cis-male"),
}
_GENDERS = {word: gender for gender in NOUNS for word in (*NOUNS[gender], *_OTHER_WORDS[gender])}


def gender_of(word: str) -> str | None:
    """Read a word for a gender: "female", "male", or None for any other word.

    Examples
    --------
    >>> gender_of("Woman"), gender_of(" m "), gender_of("prefer not to say")
    ('female', 'male', None)
    """
    return _GENDERS.get(fold(word))


_IN_TEXT = {
    "non-binary": re.compile(r"\bnon-?\s?binary\b"),
    "female": re.compile(rf"\b(?:{'|'.join(NOUNS['female'])}|f)\b"),
    "male": re.compile(rf"\b(?:{'|'.join(NOUNS['male'])}|m)\b"),
}


def gender_in(text: str) -> str | None:
    """Find a gender in the value of a field: "non-binary", "female", "male", or None.

    Examples
    --------
    >>> gender_in("a young woman"), gender_in("Non-binary"), gender_in("any")
    ('female', 'non-binary', None)
    """
    words = text.lower()
    return next((gender for gender, words_for in _IN_TEXT.items() if words_for.search(words)), None)


Gender = str  # "female" or "male": the two lists that a table of names has


@dataclass(frozen=True, slots=True)
class NameTable:
    """The names of one source, each once."""

    given: dict[Gender, tuple[str, ...]]
    family: dict[Gender, tuple[str, ...]]
    middle: dict[Gender, tuple[str, ...]]

    @property
    def gendered(self) -> bool:
        """Whether daughters and sons have different forms of the family name."""
        return self.family["female"] != self.family["male"]


@cache
def name_table(source: str) -> NameTable:
    """Read the names of a Faker locale such as ``pt_BR``, or of this package's table ``*jp``."""
    return _own(source[1:]) if source.startswith("*") else _faker(source)


def _own(key: str) -> NameTable:
    row = {k: v.split("|") if "|" in v else v.split() for k, v in _own_names()[key].items()}
    middle = row.get("middle", [])
    return NameTable(
        given={"female": tuple(row["female"]), "male": tuple(row["male"])},
        family={
            "female": tuple(row.get("family_female", row["family"])),
            "male": tuple(row["family"]),
        },
        middle={"female": tuple(row.get("middle_female", middle)), "male": tuple(middle)},
    )


@cache
def _own_names() -> dict[str, Any]:
    found: dict[str, Any] = read_table("names")
    return found


def _faker(locale: str) -> NameTable:
    from faker.providers import person  # slow to import

    provider = importlib.import_module(f"{person.__name__}.{locale}").Provider

    def names(*attributes: str) -> tuple[str, ...]:
        for attribute in attributes:
            value = getattr(provider, attribute, None)
            if isinstance(value, (tuple, list, dict)) and len(value) > 1:
                return _clean(list(value))
        return ()

    return NameTable(
        given={s: names(f"first_names_{s}", "first_names") for s in ("female", "male")},
        family={s: names(f"last_names_{s}", "last_names") for s in ("female", "male")},
        middle={"female": (), "male": ()},
    )


_NAME = re.compile(r"[^\W\d_][^\W\d_]+(?:[ '’-][^\W\d_]+)*")


def _clean(names: Sequence[str]) -> tuple[str, ...]:
    """Keep names in Latin script without titles, each once by its folded form."""
    kept: dict[str, str] = {}
    for name in names:
        latin = all("LATIN" in unicodedata.name(c, "") for c in name if c.isalpha())
        if latin and _NAME.fullmatch(name) and name[0].isupper():
            kept.setdefault(fold(name), name)
    return tuple(kept.values())


def _size(source: NameTable, gender: Gender, pattern: str) -> int:
    sizes = {"g": len(source.given[gender]), "f": len(source.family[gender])}
    sizes["m"] = len(source.middle[gender]) or sizes["g"]
    return math.prod(sizes[part] for part in pattern)


def _compose(source: NameTable, gender: Gender, pattern: str, index: int) -> str:
    """The name at this index of the list of all names with the pattern."""
    parts: list[str] = []
    for part in pattern:
        names = {
            "g": source.given[gender],
            "f": source.family[gender],
            "m": source.middle[gender] or source.given[gender],
        }[part]
        index, place = divmod(index, len(names))
        chosen = names[place]
        if any(chosen in one.split() for one in parts):  # "Silva Silva"
            chosen = names[(place + len(names) // 2) % len(names)]
        parts.append(chosen)
    return " ".join(parts)


def _shuffled(index: int, size: int, *key: object) -> int:
    """The position of the n-th item in a shuffled list of `size`, without making the list."""
    number = digest("shuffle", size, *key)
    step = size // 3 + number % max(1, size // 3) or 1
    while math.gcd(step, size) != 1:
        step += 1
    return (index * step + number // 7919) % size


def full_name(
    country: Country,
    gender: Gender,
    index: int | None,
    dice: Dice,
    key: Sequence[object],
    taken: Collection[str],
) -> str:
    """The name of the `index`-th person of this country, gender and key; any name for None.

    With the same key, different indices give different names. Names in `taken` (folded) are
    skipped.
    """
    source = name_table(dice.pick(country.names))
    if index is None:
        index = dice.integer(0, 10**9)
        key = ("any", index)
        large = list(country.patterns)
    else:
        large = [p for p in country.patterns if _size(source, gender, p) > index]
    longest = max(country.patterns, key=lambda p: _size(source, gender, p))
    pattern = dice.pick(large) if large else longest
    if len(large) > 1 and dice.chance(0.25):
        pattern = large[0]  # the usual form is a little more frequent
    for attempt in range(50):
        size = _size(source, gender, pattern)
        place = _shuffled(index + attempt * 100_003, size, country.name, gender, pattern, *key)
        name = _compose(source, gender, pattern, place)
        if fold(name) not in taken:
            return name
        if attempt > 10:
            pattern = longest
    return name


def given_name(country: Country, gender: Gender, dice: Dice) -> str:
    """Draw a given name."""
    return dice.pick(name_table(dice.pick(country.names)).given[gender])


def family_name(country: Country, gender: Gender, dice: Dice) -> str:
    """Draw a family name."""
    return dice.pick(name_table(dice.pick(country.names)).family[gender])


def shares_family_name(country: Country) -> bool:
    """Whether parents and children usually have the same form of a family name."""
    tables = [name_table(source) for source in country.names]
    return country.patterns[0] == "gf" and not any(t.gendered for t in tables)


def short_name(name: str, country: Country | None) -> str:
    """The name for a person in running text: the given name."""
    parts = name.split()
    if country is not None and country.patterns[0].startswith("fg") and len(parts) > 1:
        return parts[-1]
    return parts[0]


def gender_of_name(name: str) -> Gender | None:
    """The gender of a given name, if all countries that have the name agree."""
    given = fold(name.split()[0])
    found = {
        gender
        for country in countries()
        for source in country.names
        for gender in ("female", "male")
        if given in _given(source, gender)
    }
    return found.pop() if len(found) == 1 else None


def countries_of_name(name: str) -> list[Country]:
    """The countries that have the given name, and the family name if there is one."""
    parts = [fold(part) for part in name.split()]
    found = [
        country
        for country in countries()
        for source in country.names[:1]
        if parts[0] in _given(source, "female") | _given(source, "male")
        and (len(parts) < 2 or parts[-1] in _families(source))
    ]
    return found[:1] if len(parts) > 1 else found


@cache
def _families(source: str) -> frozenset[str]:
    family = name_table(source).family
    return frozenset(fold(n) for n in (*family["female"], *family["male"]))


@cache
def _given(source: str, gender: Gender) -> frozenset[str]:
    return frozenset(fold(n) for n in name_table(source).given[gender])


def decade_of(country: str, year: int | None) -> str | None:
    """The decade nearest to a year of birth that has a table; None if the country has none.

    Examples
    --------
    >>> [decade_of("United States", year) for year in (1957, 1890, 2024, None)]
    ['1950', '1900', '2010', None]
    >>> decade_of("Peru", 1957) is None
    True
    """
    births = _births().get(country)
    if births is None or year is None:
        return None
    decades = sorted(map(int, births["decades"]))
    return str(min(max(year // 10 * 10, decades[0]), decades[-1]))


@cache
def first_names(country: str, decade: str, gender: Gender) -> tuple[str, ...]:
    """The most common first names of a decade, the most common first.

    Examples
    --------
    >>> first_names("United States", "1940", "female")[:3]
    ('Mary', 'Linda', 'Barbara')
    """
    return tuple(_births()[country]["decades"][decade][gender].split())


@cache
def _births() -> dict[str, Any]:
    found: dict[str, Any] = read_table("births")
    return found


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
