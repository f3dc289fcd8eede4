"""Countries, and the countries, nationalities and cities that a text names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from tinyfactory.gazetteer import read_rows
from tinyfactory.utils.text import fold, fold_words

__all__ = [
    "Country",
    "Place",
    "countries",
    "country_called",
    "country_named",
    "country_of",
    "find_place",
    "names_place",
]

# Cities that are also words or names of people: they count only after "in", "from" and the like.
_AMBIGUOUS = frozenset(
    "cork split nelson hamilton phoenix darwin salt hue koper bari salta bath perth adelaide "
    "victoria florence sidon tours nice georgia valencia cordoba merida tripoli newcastle "
    "santiago concepcion trujillo cartagena cuenca austin charlotte".split()
)
# Before these words an adjective is not a nationality: "an English teacher", "Thai food".
_NOT_A_NATIONALITY = (
    r"(?!\s+(?:language|class(?:es)?|course|lesson|lessons|teacher|department|literature|food|"
    r"cuisine|restaurant|kitchen|shepherd|film|films|music|novel|novels|bread|wine|exam|test|"
    r"speaker|speakers|grammar|vocabulary))"
)


# Short names that are also words in small letters; they count only as written here.
_AS_WRITTEN = {"US": "United States", "America": "United States", "Turkey": "Turkey"}
# Aliases of countries that are adjectives or words for their people.
_ADJECTIVES = frozenset(
    "English Scottish Welsh Argentinian Slovakian Slovene Persian Spaniard Kiwi Croat Swede "
    "Filipina Philippine Korean".split()
)


@dataclass(frozen=True, slots=True)
class Country:
    """A country; `names` lists the tables of its names, `patterns` the forms of full names."""

    name: str
    adjective: str
    aliases: tuple[str, ...]
    cities: tuple[str, ...]
    names: tuple[str, ...]
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """The country, city and nationality that a text names; None for each that it does not."""

    country: Country | None = None
    city: str | None = None
    nation: Country | None = None  # the country of the nationality


_Pattern = tuple[str, Country, str | None, re.Pattern[str]]


@cache
def countries() -> tuple[Country, ...]:
    """All countries."""
    return tuple(Country(**row) for row in read_rows("countries"))


@cache
def country_named(name: str) -> Country:
    """The country with exactly this name."""
    return next(c for c in countries() if c.name == name)


@cache
def _patterns() -> list[_Pattern]:
    """What to search for: kind ("city", "country", "nation"), country, city, pattern."""
    found: list[_Pattern] = []
    for country in countries():
        for city in country.cities:
            name = re.escape(fold(city)).replace(r"\ ", r"\s+")
            ambiguous = fold(city) in _AMBIGUOUS
            before = r"(?:\bin|\bfrom|\bnear|\bof|\bat|\bto|,)\s+" if ambiguous else ""
            found.append(("city", country, city, re.compile(rf"{before}\b{name}\b")))
        for name in (country.name, *country.aliases):
            if name in _AS_WRITTEN:
                continue
            kind = "nation" if name in _ADJECTIVES else "country"
            tail = _NOT_A_NATIONALITY if kind == "nation" else ""
            pattern = rf"(?<![\w-]){re.escape(fold(name))}(?![\w-]){tail}"
            found.append((kind, country, None, re.compile(pattern)))
        adjective = re.escape(fold(country.adjective))
        # "South American" and "African American" do not name a country.
        not_after = r"(?<!south )(?<!latin )(?<!african )(?<!central )"
        alone = not_after if country.adjective == "American" else ""
        pattern = rf"(?<!\w){alone}{adjective}s?\b"
        found.append(("nation", country, None, re.compile(pattern + _NOT_A_NATIONALITY)))
    return found


@lru_cache(maxsize=256)
def find_place(text: str) -> Place:
    """Find the first country, city and nationality that a text names.

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
        (told, _), named, _ = best["country"]
        # "Valencia, Venezuela": the country in the text decides between cities of one name.
        if name_of_city in named.cities:
            return Place(named, name_of_city, nation)
        if told < where:
            return Place(named, None, nation)
    return Place(of_city, name_of_city, nation)


def country_called(text: str) -> Country | None:
    """The country whose name, alias or adjective the whole text is.

    Examples
    --------
    >>> [c and c.name for c in map(country_called, ("brasil", "Dutch", "Lisbon"))]
    ['Brazil', 'Netherlands', None]
    """
    return _by_name().get(fold(text))


@cache
def _by_name() -> dict[str, Country]:
    called: dict[str, Country] = {}
    for country in countries():
        for word in (country.name, *country.aliases, country.adjective):
            called.setdefault(fold(word), country)
    for word, name in _AS_WRITTEN.items():
        called.setdefault(fold(word), country_named(name))
    return called


def country_of(text: str) -> Country | None:
    """The country whose name, alias, adjective or city a text is, or else the one it names.

    Examples
    --------
    >>> [c and c.name for c in map(country_of, ["brasil", "Dutch", "Recife, PE, Brazil", "north"])]
    ['Brazil', 'Netherlands', 'Brazil', None]
    """
    if found := _by_name_or_city().get(fold(text)):
        return found
    place = find_place(text)
    return place.country or place.nation


@cache
def _by_name_or_city() -> dict[str, Country]:
    known: dict[str, Country] = {}
    # The name of a country takes precedence over a city of that name in another country.
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


def names_place(text: str, place: str) -> bool:
    """Whether a text names a place; a country counts under any of its names.

    Examples
    --------
    >>> names_place("Boise, Idaho, USA", "United States"), names_place("Rome", "Tuscany")
    (True, False)
    """
    words = f" {fold_words(text)} "
    return any(f" {fold_words(name)} " in words for name in (place, *_other_names(place)))


def _other_names(place: str) -> tuple[str, ...]:
    wanted = fold_words(place)
    for country in countries():
        names = (country.name, *country.aliases)
        if wanted in map(fold_words, names):
            return names
    # "Porto" is enough for "Porto, Portugal".
    first = place.split(",")[0].strip()
    return (first,) if first != place else ()
