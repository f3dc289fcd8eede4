"""Where a person lives, and where they are from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinyfactory.gazetteer.countries import Country, Place, countries, country_called, find_place
from tinyfactory.gazetteer.names import countries_of_name
from tinyfactory.models.offline.profile import Profile
from tinyfactory.models.offline.reading import Brief, without_name
from tinyfactory.models.offline.theme import Theme
from tinyfactory.models.offline.words import capitalise
from tinyfactory.prompts.particularities import Constraints
from tinyfactory.utils.random import Dice
from tinyfactory.utils.text import fold


@dataclass(frozen=True, slots=True)
class Home:
    """A home; `city` is what sentences call the place, `nation` the people one belongs to."""

    country: Country
    city: str
    residence: str
    nation: Country
    nationality: str


# Where people are when nothing is said: large countries a little more often.
_OFTEN = (
    "Brazil India United States China Nigeria Germany Japan Indonesia Mexico Kenya France "
    "United Kingdom Turkey Philippines Vietnam Egypt Spain Italy Poland South Africa"
)
_SETTLEMENT = re.compile(r"(?i)urban|rural|suburban|suburb|metropolitan|city|town|village|remote")
# Parts of any country: nobody says of a place that "the North" has good bread.
_PART = re.compile(
    r"(?i)(?:the )?(?:(?:north|south|east|west|centr|mid|inner|outer|upper|lower)\w*[ -]?)+"
    r"(?:region|area|zone|coast)?|(?:region|zone|area|district|province) ?\w{1,3}|other|elsewhere"
)


def choose_home(
    brief: Brief, wishes: Constraints, someone: str | None, theme: Theme, dice: Dice
) -> Home:
    """Where the person lives; fields count before words, words before the context.

    `someone` is a name that the context tells: no name is read for a place.
    """
    profile = brief.profile
    around = find_place(without_name(brief.context, someone))
    somewhere = dice.pick(countries())
    if dice.chance(0.4):
        often = [c for c in countries() if c.name in _OFTEN]
        somewhere = dice.pick(often)
    named = _country_by_name(wishes.name, dice) if wishes.name else None
    if profile.places:
        wished = _told(profile)
        country = wished.country or wished.nation or around.country or around.nation or named
        country = country or somewhere
        city, residence = _address(profile, wished, around, country, dice)
    else:
        wished = find_place(brief.words)
        if profile.nationality and wished.nation is None:
            wished = Place(wished.country, wished.city, country_called(profile.nationality))
        country = wished.country or around.country or wished.nation or around.nation or named
        country = country or somewhere
        city, residence = _from_words(wishes, wished, around, country, dice)
    nation = _nation(wished, around, country, theme, named, dice)
    return Home(country, city, residence, nation, _nationality(profile, wishes, wished, nation))


def _told(profile: Profile) -> Place:
    """What the fields say, the country before what stands in it."""
    nation = country_called(profile.nationality) or find_place(profile.nationality).nation
    found = find_place(", ".join(profile.places))
    country = country_called(profile.country) or found.country or found.nation
    if profile.country and country_called(profile.country) is None:
        country = None  # a country that is not in the tables
    city = found.city if country and found.city in country.cities else None
    return Place(country, city, nation)


def _address(
    profile: Profile, wished: Place, around: Place, country: Country, dice: Dice
) -> tuple[str, str]:
    """What to call the place, and the residence, which names every place that was given."""
    kept: list[str] = []
    for place in profile.places:
        if not any(_holds(other, place) for other in kept):
            kept = [other for other in kept if not _holds(place, other)] + [place]
    within = [p for p in kept if country_called(p) is None and p != profile.country]
    settlement = next((p for p in within if _SETTLEMENT.fullmatch(p)), None)
    proper = [p for p in within if p != settlement and not _PART.fullmatch(p)]
    city = wished.city
    if city is None and country is around.country:
        city = around.city
    if city is None:
        city = proper[0].split(",")[0] if proper else ""
    known = wished.country is not None or wished.nation is not None or around.country is country
    if not city and known and settlement:
        city = dice.pick(country.cities)
    if not city and not within:
        # A country outside the tables stands alone.
        city = dice.pick(country.cities) if wished.country else kept[0]
    if not city:
        city = country.name if known else capitalise(within[0])
    parts = [p for p in kept if p != settlement]
    if not any(_holds(part, city) for part in parts):
        parts.insert(0, city)
    if settlement:
        parts[0] = f"{parts[0]} ({settlement})"
    if known and not profile.country and not _names(parts, country):
        parts.append(country.name)
    return city, ", ".join(parts)


def _names(parts: list[str], country: Country) -> bool:
    return any(_holds(", ".join(parts), name) for name in (country.name, *country.aliases))


def _holds(text: str, place: str) -> bool:
    """Whether a text names a place: Nigeria does not name Niger, which is a state in it."""
    return bool(re.search(rf"(?<!\w){re.escape(fold(place))}(?!\w)", fold(text)))


def _from_words(
    wishes: Constraints, wished: Place, around: Place, country: Country, dice: Dice
) -> tuple[str, str]:
    city = wished.city if wished.country else None
    if city is None and country is around.country:
        city = around.city
    known_city = city is not None
    city = city or dice.pick(country.cities)
    residence = f"{city}, {country.name}"
    if wishes.place and not wished.city and fold(wishes.place) != fold(country.name):
        # A place that is in none of our tables stands as the user wrote it.
        if not wished.country or not known_city:
            city = wishes.place
            residence = f"{city}, {wishes.country or country.name}"
            if wishes.country is None and not (wished.country or around.country or wished.nation):
                residence = wishes.place  # nobody said in which country that is
    elif wishes.country and not wished.country:
        residence, city = wishes.country, wishes.country
    return city, residence


def _nationality(profile: Profile, wishes: Constraints, wished: Place, nation: Country) -> str:
    if profile.nationality:
        country = country_called(profile.nationality)
        as_noun = country and fold(profile.nationality) != fold(country.adjective)
        return country.adjective if country and as_noun else profile.nationality
    if not (wished.nation or wished.country):
        if "nationality" in wishes.certain and wishes.nationality:
            return wishes.nationality
        if profile.country or wishes.country:
            return profile.country or wishes.country or ""  # its adjective is not in the tables
    return nation.adjective


def _country_by_name(name: str, dice: Dice) -> Country | None:
    """A country where the name occurs, the family name first of all."""
    known = countries_of_name(name)
    return dice.pick(known) if known else None


def _nation(
    wished: Place, around: Place, country: Country, theme: Theme, named: Country | None, dice: Dice
) -> Country:
    if wished.nation or (wished.country and not around.nation):
        return wished.nation or wished.country or country
    if around.nation:
        return around.nation
    if named:
        return named
    foreign = theme.archetype is not None and theme.archetype.foreign
    if foreign or dice.chance(0.04):
        return dice.pick([c for c in countries() if c is not country])
    return country
