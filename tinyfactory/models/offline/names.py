"""Names that fit a place.

Given and family names come from Faker's tables where Faker has the country in Latin
script, else from a table of our own. Only the tables are read, never Faker's generators:
so no state is shared between threads, and no title can get into a name.
"""

from __future__ import annotations

import importlib
import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from tinyfactory.models.offline.load import Country, countries, table
from tinyfactory.utils.random import Dice, digest
from tinyfactory.utils.text import fold

Sex = str  # "female" or "male": which of the tables a name is taken from


@dataclass(frozen=True, slots=True)
class NameTable:
    """Names of one source, without doubles."""

    given: dict[Sex, tuple[str, ...]]
    family: dict[Sex, tuple[str, ...]]
    middle: dict[Sex, tuple[str, ...]]

    @property
    def gendered(self) -> bool:
        """Whether a daughter's family name differs from a son's."""
        return self.family["female"] != self.family["male"]


@cache
def name_table(source: str) -> NameTable:
    """The names of a Faker locale such as ``pt_BR``, or of our own table ``*jp``."""
    return _own(source[1:]) if source.startswith("*") else _faker(source)


def _own(key: str) -> NameTable:
    row = {k: v.split("|") if "|" in v else v.split() for k, v in table("names")[key].items()}
    middle = row.get("middle", [])
    return NameTable(
        given={"female": tuple(row["female"]), "male": tuple(row["male"])},
        family={
            "female": tuple(row.get("family_female", row["family"])),
            "male": tuple(row["family"]),
        },
        middle={"female": tuple(row.get("middle_female", middle)), "male": tuple(middle)},
    )


def _faker(locale: str) -> NameTable:
    from faker.providers import person

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
    """Names in Latin script without titles, each once by its folded form."""
    kept: dict[str, str] = {}
    for name in names:
        latin = all("LATIN" in unicodedata.name(c, "") for c in name if c.isalpha())
        if latin and _NAME.fullmatch(name) and name[0].isupper():
            kept.setdefault(fold(name), name)
    return tuple(kept.values())


def _size(source: NameTable, sex: Sex, pattern: str) -> int:
    sizes = {"g": len(source.given[sex]), "f": len(source.family[sex])}
    sizes["m"] = len(source.middle[sex]) or sizes["g"]
    return math.prod(sizes[part] for part in pattern)


def _compose(source: NameTable, sex: Sex, pattern: str, index: int) -> str:
    """The name that stands at this place in the list of all names of the pattern."""
    parts: list[str] = []
    for part in pattern:
        names = {
            "g": source.given[sex],
            "f": source.family[sex],
            "m": source.middle[sex] or source.given[sex],
        }[part]
        index, place = divmod(index, len(names))
        chosen = names[place]
        if any(chosen in one.split() for one in parts):  # "Silva Silva"
            chosen = names[(place + len(names) // 2) % len(names)]
        parts.append(chosen)
    return " ".join(parts)


def _shuffled(index: int, size: int, *key: object) -> int:
    """Where the n-th thing stands in a shuffled list of `size`: one to one, without the list."""
    number = digest("shuffle", size, *key)
    step = size // 3 + number % max(1, size // 3) or 1
    while math.gcd(step, size) != 1:
        step += 1
    return (index * step + number // 7919) % size


def full_name(
    country: Country,
    sex: Sex,
    index: int | None,
    dice: Dice,
    key: Sequence[object],
    taken: Collection[str],
) -> str:
    """The name of the `index`-th person of this country, sex and key; any name without index.

    As long as the key is the same, different indices give different names; what stands
    in `taken` (folded) is passed over.
    """
    source = name_table(dice.pick(country.names))
    if index is None:
        index = dice.integer(0, 10**9)
        key = ("any", index)
        large = list(country.patterns)
    else:
        large = [p for p in country.patterns if _size(source, sex, p) > index]
    longest = max(country.patterns, key=lambda p: _size(source, sex, p))
    pattern = dice.pick(large) if large else longest
    if len(large) > 1 and dice.chance(0.25):
        pattern = large[0]  # the usual form a little more often
    for attempt in range(50):
        size = _size(source, sex, pattern)
        place = _shuffled(index + attempt * 100_003, size, country.name, sex, pattern, *key)
        name = _compose(source, sex, pattern, place)
        if fold(name) not in taken:
            return name
        if attempt > 10:
            pattern = longest
    return name


def given_name(country: Country, sex: Sex, dice: Dice) -> str:
    """A given name alone."""
    return dice.pick(name_table(dice.pick(country.names)).given[sex])


def family_name(country: Country, sex: Sex, dice: Dice) -> str:
    """A family name alone."""
    return dice.pick(name_table(dice.pick(country.names)).family[sex])


def shares_family_name(country: Country) -> bool:
    """Whether parents and children usually bear one family name in the same form."""
    tables = [name_table(source) for source in country.names]
    return country.patterns[0] == "gf" and not any(t.gendered for t in tables)


def short_name(name: str, country: Country | None) -> str:
    """What a person is called in a sentence: the given name."""
    parts = name.split()
    if country is not None and country.patterns[0].startswith("fg") and len(parts) > 1:
        return parts[-1]
    return parts[0]


def sex_of(name: str) -> Sex | None:
    """The sex that a given name tells in the countries that know it, when they agree."""
    given = fold(name.split()[0])
    found = {
        sex
        for country in countries()
        for source in country.names
        for sex in ("female", "male")
        if given in _folded(source, sex)
    }
    return found.pop() if len(found) == 1 else None


def countries_of(name: str) -> list[Country]:
    """The countries in whose tables the given name stands, and the family name if one is told."""
    parts = [fold(part) for part in name.split()]
    found = [
        country
        for country in countries()
        for source in country.names[:1]
        if parts[0] in _folded(source, "female") | _folded(source, "male")
        and (len(parts) < 2 or parts[-1] in _families(source))
    ]
    return found[:1] if len(parts) > 1 else found


@cache
def _families(source: str) -> frozenset[str]:
    family = name_table(source).family
    return frozenset(fold(n) for n in (*family["female"], *family["male"]))


@cache
def _folded(source: str, sex: Sex) -> frozenset[str]:
    return frozenset(fold(n) for n in name_table(source).given[sex])
