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
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tinyfactory.gazetteer import read_table
from tinyfactory.gazetteer.countries import Country, countries
from tinyfactory.utils.random import Dice, digest
from tinyfactory.utils.text import fold

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
