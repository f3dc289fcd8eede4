"""What the sentences about a person may refer to: the facts that fill their slots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from tinyfactory.gazetteer.countries import Country, countries
from tinyfactory.models.offline.casting import Cast
from tinyfactory.models.offline.grammar import Fact, Grammar
from tinyfactory.models.offline.load import Interest, Occupation, interests, occupations, table
from tinyfactory.models.offline.relations import (
    KIN,
    Relation,
    any_family,
    lives_as_child,
)
from tinyfactory.models.offline.theme import at_occasion
from tinyfactory.models.offline.words import capitalise, listed, lower_first, plural, with_article
from tinyfactory.utils.random import Dice
from tinyfactory.utils.text import fold

_PRONOUNS = {
    "female": ("her", "her", "herself"),
    "male": ("his", "him", "himself"),
    "non-binary": ("their", "them", "themself"),
}
_DISTRICTS = (
    "Northside Southside Riverside Hillside Station-Quarter Old-Town Harbour-Quarter Westgate "
    "Eastgate Mill-Lane Park-Row Market-Square Bridge-Street Canal-Side Upper-Town Lower-Town "
    "Garden-Quarter Lakeside St-Anne Two-Rivers"
).split()
_BRANDS = (
    ("Nor Vel Lum Kite Ar Tri Sol Mer Pla Quin Or Bel Cas Dor El Fin Hal Ivo Jun Lin".split()),
    ("ava ora ix eo ity una ero ana eon ula aro ica ova ent ilo ara".split()),
)
LANGUAGES = {
    "Brazil": "Portuguese", "Portugal": "Portuguese", "Germany": "German", "Austria": "German",
    "Switzerland": "German and French", "France": "French", "Belgium": "Dutch and French",
    "Netherlands": "Dutch", "Italy": "Italian", "United States": "English", "Canada": "English",
    "United Kingdom": "English", "Ireland": "English", "Australia": "English",
    "New Zealand": "English", "India": "Hindi and English", "Pakistan": "Urdu",
    "Bangladesh": "Bengali", "Nigeria": "English and Yoruba", "Ghana": "Twi and English",
    "Kenya": "Swahili and English", "Tanzania": "Swahili", "Ethiopia": "Amharic",
    "South Africa": "Zulu and English", "Egypt": "Arabic", "Morocco": "Arabic and French",
    "Algeria": "Arabic and French", "Lebanon": "Arabic and French", "Israel": "Hebrew",
    "Iran": "Persian", "Turkey": "Turkish", "Greece": "Greek", "Poland": "Polish",
    "Czechia": "Czech", "Slovakia": "Slovak", "Hungary": "Hungarian", "Romania": "Romanian",
    "Croatia": "Croatian", "Slovenia": "Slovenian", "Sweden": "Swedish", "Norway": "Norwegian",
    "Denmark": "Danish", "Finland": "Finnish", "Estonia": "Estonian", "Latvia": "Latvian",
    "Russia": "Russian", "Ukraine": "Ukrainian", "Japan": "Japanese", "South Korea": "Korean",
    "China": "Mandarin", "Vietnam": "Vietnamese", "Thailand": "Thai",
    "Philippines": "Tagalog and English", "Indonesia": "Indonesian",
}  # fmt: skip


def _organization_kind(cast: Cast, dice: Dice) -> str:
    if cast.status == "pupil":
        schools = ((6, "kindergarten"), (11, "primary school"), (200, "secondary school"))
        return next(kind for until, kind in schools if cast.age < until)
    if cast.status == "student":
        return "secondary school" if cast.age < 17 else "university"
    if cast.theme.kind == "work" and cast.theme.workplace:
        return cast.theme.workplace
    return dice.pick(cast.occupation.organizations)


def organization(cast: Cast, dice: Dice) -> str:
    """The name of a place where the person works, worked or learns."""
    kind = _organization_kind(cast, dice)
    templates = table("organizations").get(kind) or table("organizations")[""]
    if not kind:
        return ""
    slots = {
        "city": cast.city,
        "family": any_family(cast, dice),
        "family2": any_family(cast, dice),
        "district": dice.pick(_DISTRICTS).replace("-", " "),
        "brand": dice.pick(_BRANDS[0]) + dice.pick(_BRANDS[1]),
        "kind": " ".join(w if w in {"of", "and"} else capitalise(w) for w in kind.split()),
        "n": str(dice.integer(2, 48)),
        "their": _PRONOUNS[cast.gender][0],
    }
    return re.sub(r"\{(\w+)\}", lambda m: slots[m[1]], dice.pick(templates))


def grammar_for(cast: Cast, people: Sequence[Relation], org: str, dice: Dice) -> Grammar:
    """A grammar that knows this person."""
    their, them, self_word = _PRONOUNS[cast.gender]
    friends = [r.short for r in people if r.kind.startswith("friend")]
    relatives = [f"{their} {r.noun} {r.short}" for r in people if r.kind in KIN] or [
        f"{their} {dice.pick(('aunt', 'uncle', 'cousin', 'godmother'))}"
    ]
    colleagues = [r.short for r in people if r.kind in {"colleague", "former"}] or friends
    occupation, theme = cast.occupation, cast.theme
    years = _years(cast, dice)
    stopped = min(cast.age, dice.integer(57, 67))
    bare = re.sub(r"^(Retired|Unemployed) ", "", cast.title)
    facts: dict[str, Fact] = {
        "first": cast.first,
        "city": cast.city,
        "city2": _other_city(cast, dice),
        "country": _country(cast),
        "nationality": cast.nationality,
        "origin": cast.origin,
        "age": str(cast.age),
        "their": their,
        "them": them,
        "them_self": self_word,
        "title": lower_first(bare),
        "org": org or f"{their} own place",
        "duty": occupation.duties,
        "people": occupation.people,
        "people_style": occupation.people if cast.status == "work" else "children",
        "friend": friends or ["an old friend"],
        "relative": relatives,
        "colleague": colleagues or ["a colleague"],
        "interest": [i.name for i in cast.interests],
        "doing": [d for i in cast.interests for d in i.doing],
        **_by_time(cast),
        "skill": [i.skill for i in cast.interests],
        "subject_name": cast.subject,
        "field_subject": _field_subject(occupation, dice),
        "place_of_work": _place_of_work(cast, org),
        "year_of": _year_of(cast, dice),
        "worked": str(stopped - dice.integer(20, 27)),
        "stopped": str(stopped),
        "tenure": _tenure(years, dice),
        "tenure_words": f"{years} years" if years > 1 else "less than two years",
        "lived": str(min(max(2, cast.age - 1), dice.integer(2, 9))),
        "moved_at": str(min(cast.age, dice.integer(16, 19))),
        "uni": f"the University of {_plain_city(cast, dice)}",
        "languages": _languages(cast, dice),
        "theme": theme.phrase or "the whole thing",
        "at_theme": at_occasion(theme),
        "theme_people": _theme_people(cast),
        "theme_where": f"in {theme.phrase}" if theme.kind == "resident" else "there",
        # Out of the tables, so that they differ from person to person.
        "some_job": [o.title for o in dice.few(_ordinary(), 9)],
        "some_pastime": [i.name for i in dice.few(_others_pastimes(cast), 6)],
        "abroad": [dice.pick(_abroad(cast.country)) for _ in range(9)],
        "partner_job_a": [with_article(o.title) for o in dice.few(_ordinary(), 6)],
    }
    pools = dict(table("prose"))
    if cast.profile.told_home or any(r.kind in {"partner", "child"} for r in people):
        pools["home"] = [home for home in pools["home"] if "shared" not in home]
    if cast.profile.told_home:
        facts["members"] = _members(cast, people, dice)
        for pool in ("fact.any", "fact.child"):
            pools[pool] = [t for t in pools[pool] if not t.startswith("Lives ")]
    pools["subject"] = [s for s in pools["subject"] if s != cast.subject]
    young = cast.age < 18
    warm = cast.big_five["agreeableness"] >= 50
    pools["manner"] = pools["manner.warm" if warm else "manner.sharp"]
    if cast.age < 30:
        pools["proud"] = pools["proud.young"]
        pools["savings"] = pools["savings.young"]
    if young:
        for pool in ("dislike", "way", "gave_up", "people_near"):
            pools[pool] = pools[f"{pool}.child"]
        pools["hot_drink"] = pools["child_drink"]
        pools["talk"] = ["{anecdote_child}", "{relative}", "{interest}", "school", "food"]
        pools["anecdote"] = pools["anecdote_child"] = _CHILD_STORIES
    return Grammar(dice, pools, facts, cast.age)


_CHILD_STORIES = [
    "the lost tooth", "the wet school trip", "the runaway hamster", "the broken window",
    "the night without light", "the wrong bus", "the snow in April", "the spilled paint",
]  # fmt: skip


def _by_time(cast: Cast) -> dict[str, Fact]:
    """Interests for a weekday evening and for the weekend, as far as there are such."""
    found: dict[str, Fact] = {}
    for time in ("evening", "weekend"):
        fitting = [i for i in cast.interests if i.when == time]
        found[f"interest_{time}"] = [i.name for i in fitting or cast.interests]
        found[f"doing_{time}"] = [d for i in fitting or cast.interests for d in i.doing]
    return found


def job_of(age: int, dice: Dice) -> str:
    """What somebody of that age around the person does."""
    title = dice.pick(_ordinary()).title
    if age < 19:
        return "still at school"
    return with_article(f"retired {title}" if age >= 66 else title)


@cache
def _ordinary() -> Sequence[Occupation]:
    return [o for o in occupations() if o.ages[0] <= 24 and o.ages[1] >= 58]


def _others_pastimes(cast: Cast) -> list[Interest]:
    own = {i.name for i in cast.interests}
    return [i for i in interests() if i.name not in own]


@cache
def _abroad(home: Country) -> Sequence[str]:
    return [city for country in countries() if country is not home for city in country.cities]


def _other_city(cast: Cast, dice: Dice) -> str:
    return dice.pick([c for c in cast.country.cities if c != cast.city] or [cast.city])


def _members(cast: Cast, people: Sequence[Relation], dice: Dice) -> str:
    """With whom the person lives: "with her husband Rui and her daughter Lia"."""
    their = _PRONOUNS[cast.gender][0]
    if lives_as_child(cast):
        kinds = {"parent", "parent_child", "sibling"}
        home = [r for r in people if r.kind in kinds]
    else:
        home = [r for r in people if r.kind == "partner" or (r.kind == "child" and r.age < 25)]
        if cast.profile.parents:
            home += [r for r in people if r.kind == "parent"]
    if home:
        return "with " + listed([f"{their} {r.noun} {r.short}" for r in home])
    if re.search(r"(?i)shared|share|roommates?", cast.profile.household):
        return f"with {dice.integer(2, 4)} others"
    alone: str = dice.pick(table("prose")["members_alone"])
    return alone.replace("{their}", their)


def _country(cast: Cast) -> str:
    """The country as it is called in a sentence; the place, where the tables lack the country."""
    if fold(cast.nationality) == fold(cast.profile.country or "-"):
        return cast.city
    name = cast.country.name
    named = {"United Kingdom": "Britain", "United States": "America"}
    return f"the {name}" if name in {"Netherlands", "Philippines"} else named.get(name, name)


def _plain_city(cast: Cast, dice: Dice) -> str:
    where = cast.nation if dice.chance(0.85) else cast.country
    return dice.pick(where.cities)


def _field_subject(occupation: Occupation, dice: Dice) -> str:
    if occupation.subject not in {"", "*"}:
        return occupation.subject
    general = ("economics", "history", "engineering", "languages", "business administration")
    return dice.pick(general)


def _place_of_work(cast: Cast, org: str) -> str:
    if cast.status == "pupil":
        return "school"
    if cast.status == "student":
        return "the university" if cast.age >= 17 else "school"
    if cast.theme.kind == "work" and cast.theme.phrase:
        return cast.theme.phrase
    return org or "work"


def _year_of(cast: Cast, dice: Dice) -> str:
    if cast.status == "pupil":
        if cast.age < 6:
            return "the oldest group"
        return f"year {max(1, min(13, cast.age - 5))}"
    last = max(1, min(5, cast.age - 17))
    number = dice.integer(1, last)
    ordinal = ("the first", "the second", "the third", "the fourth", "the fifth")[number - 1]
    return f"{ordinal} year of {cast.subject}"


def _years(cast: Cast, dice: Dice) -> int:
    longest = max(0, min(cast.age - cast.occupation.ages[0], 34))
    return dice.integer(0, longest)


def _tenure(years: int, dice: Dice) -> str:
    if years < 1:
        return f", and started only {dice.integer(2, 11)} months ago"
    if years == 1:
        return ", since last year"
    return dice.pick((f", and has been there for {years} years", f", now for {years} years",
                      f", after {years} years still with some pride"))  # fmt: skip


def _languages(cast: Cast, dice: Dice) -> str:
    own = LANGUAGES.get(cast.nation.name, "Spanish")
    here = LANGUAGES.get(cast.country.name, "Spanish")
    spoken = f"{own} and {here}".split(" and ") if own != here else own.split(" and ")
    spoken = list(dict.fromkeys(spoken))
    known = {x for c in countries() for x in LANGUAGES.get(c.name, "Spanish").split(" and ")}
    more = [x for x in ("English", "Spanish", "French", *sorted(known)) if x not in spoken]
    extra = more[0] if more[0] == "English" and dice.chance(0.55) else dice.pick(more)
    return f"{listed(spoken)}, and some {extra}"


def _theme_people(cast: Cast) -> str:
    theme = cast.theme
    if theme.kind == "work":
        return "the people of " + theme.phrase if not theme.role else f"the staff of {theme.phrase}"
    if theme.kind == "customer":
        return f"the {theme.role} of {theme.phrase}"
    return f"the {plural(theme.role.removesuffix('s'))}" if theme.role else "the others"
