"""Countries, nationalities and cities that a text names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from tinyfactory.models.offline.load import Country, countries
from tinyfactory.utils.text import fold

# Cities that are also words or people: taken only after "in", "from" and the like.
_DOUBTFUL = frozenset(
    "cork split nelson hamilton phoenix darwin salt hue koper bari salta bath perth adelaide "
    "victoria florence sidon tours nice georgia valencia cordoba merida tripoli newcastle "
    "santiago concepcion trujillo cartagena cuenca austin charlotte".split()
)
# A language, a dish or a breed is no nationality: "an English teacher", "Thai food".
_NO_PEOPLE = (
    r"(?!\s+(?:language|class(?:es)?|course|lesson|lessons|teacher|department|literature|food|"
    r"cuisine|restaurant|kitchen|shepherd|film|films|music|novel|novels|bread|wine|exam|test|"
    r"speaker|speakers|grammar|vocabulary))"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a text says of places; None where it says nothing."""

    country: Country | None = None
    city: str | None = None
    nation: Country | None = None  # whose nationality the person has, when that is named


_Pattern = tuple[str, Country, str | None, re.Pattern[str]]


@cache
def _patterns() -> list[_Pattern]:
    """What to look for: kind ("city", "country", "nation"), country, city, pattern."""
    found: list[_Pattern] = []
    for country in countries():
        for city in country.cities:
            name = re.escape(fold(city)).replace(r"\ ", r"\s+")
            doubtful = fold(city) in _DOUBTFUL
            before = r"(?:\bin|\bfrom|\bnear|\bof|\bat|\bto|,)\s+" if doubtful else ""
            found.append(("city", country, city, re.compile(rf"{before}\b{name}\b")))
        for name in (country.name, *country.aliases):
            if name in _AS_WRITTEN:
                continue
            kind = "nation" if name in _ADJECTIVES else "country"
            tail = _NO_PEOPLE if kind == "nation" else ""
            pattern = rf"(?<![\w-]){re.escape(fold(name))}(?![\w-]){tail}"
            found.append((kind, country, None, re.compile(pattern)))
        adjective = re.escape(fold(country.adjective))
        # "South American" and "African American" name no country of ours.
        not_after = r"(?<!south )(?<!latin )(?<!african )(?<!central )"
        alone = not_after if country.adjective == "American" else ""
        pattern = rf"(?<!\w){alone}{adjective}s?\b"
        found.append(("nation", country, None, re.compile(pattern + _NO_PEOPLE)))
    return found


# Words in small letters too: looked for as they are written.
_AS_WRITTEN = {"US": "United States", "America": "United States", "Turkey": "Turkey"}
_ADJECTIVES = frozenset(
    "English Scottish Welsh Argentinian Slovakian Slovene Persian Spaniard Kiwi Croat Swede "
    "Filipina Philippine Korean".split()
)


@lru_cache(maxsize=256)
def find_place(text: str) -> Place:
    """The place and the nationality that a text names first.

    Examples
    --------
    >>> place = find_place("A Kenyan nurse at a hospital in Sao Paulo")
    >>> place.city, place.country.name, place.nation.name
    ('São Paulo', 'Brazil', 'Kenya')
    """
    text = text[:20_000]
    folded = fold(text)
    best: dict[str, tuple[tuple[int, int], Country, str | None]] = {}
    for kind, country, city, pattern in _patterns():
        match = pattern.search(folded)
        if match is not None:
            rank = (match.start(), -len(match[0]))
            if kind not in best or rank < best[kind][0]:
                best[kind] = (rank, country, city)
    for word, name in _AS_WRITTEN.items():
        if "country" not in best and re.search(rf"\b{word}\b", text):
            best["country"] = ((0, 0), country_named(name), None)
    nation = best["nation"][1] if "nation" in best else None
    if "city" not in best:
        return Place(best["country"][1] if "country" in best else None, None, nation)
    (where, _), of_city, name_of_city = best["city"]
    if "country" in best and best["country"][1] is not of_city:
        (told, _), of_text, _ = best["country"]
        # "Valencia, Venezuela": the country that is spelt out is the one that is meant.
        if name_of_city in of_text.cities:
            return Place(of_text, name_of_city, nation)
        if told < where:
            return Place(of_text, None, nation)
    return Place(of_city, name_of_city, nation)


def country_called(text: str) -> Country | None:
    """The country whose name, other name or adjective a text is.

    Examples
    --------
    >>> [c and c.name for c in map(country_called, ("brasil", "Dutch", "Lisbon"))]
    ['Brazil', 'Netherlands', None]
    """
    return _called().get(fold(text))


@cache
def _called() -> dict[str, Country]:
    called: dict[str, Country] = {}
    for country in countries():
        for word in (country.name, *country.aliases, country.adjective):
            called.setdefault(fold(word), country)
    for word, name in _AS_WRITTEN.items():
        called.setdefault(fold(word), country_named(name))
    return called


@cache
def country_named(name: str) -> Country:
    """The country of this name."""
    return next(c for c in countries() if c.name == name)
