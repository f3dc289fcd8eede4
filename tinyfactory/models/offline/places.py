"""Countries, nationalities and cities that a text names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from tinyfactory.models.offline.load import Country, countries
from tinyfactory.models.offline.words import fold

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


@cache
def _patterns() -> list[tuple[str, Country, str | None, re.Pattern[str]]]:
    """What to look for: kind ("city", "country", "nation"), country, city, pattern."""
    found = []
    for country in countries():
        for city in country.cities:
            name = re.escape(fold(city)).replace(r"\ ", r"\s+")
            before = r"(?:\bin|\bfrom|\bnear|\bof|\bat|\bto|,)\s+" if fold(city) in _DOUBTFUL else ""
            found.append(("city", country, city, re.compile(rf"{before}\b{name}\b")))
        for name in (country.name, *country.aliases):
            if name in {"Turkey", "US", "America"}:
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


_ADJECTIVES = frozenset(
    "English Scottish Welsh Argentinian Slovakian Slovene Persian Spaniard Kiwi Croat Swede "
    "Filipina Philippine Korean".split()
)


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
        if match is None:
            continue
        rank = (match.start(), -len(match[0]))
        if kind not in best or rank < best[kind][0]:
            best[kind] = (rank, country, city)
    for short, name in (("US", "United States"), ("America", "United States"), ("Turkey", "Turkey")):
        if "country" not in best and re.search(rf"\b{short}\b", text):
            best["country"] = ((0, 0), country_named(name), None)
    city = best.get("city")
    country = best.get("country")
    nation = best.get("nation")
    if city and country and city[1] is not country[1]:
        # "Valencia, Venezuela": the country that is spelt out is the one that is meant.
        if city[2] in country[1].cities:
            city = (city[0], country[1], city[2])
        elif country[0] < city[0]:
            city = None
        else:
            country = None
    where = city or country
    return Place(
        country=where[1] if where else None,
        city=city[2] if city else None,
        nation=nation[1] if nation else None,
    )


@cache
def country_named(name: str) -> Country:
    """The country of this name."""
    return next(c for c in countries() if c.name == name)
