"""Who the person is: place, sex, age, occupation, interests, temperament. No sentences yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tinyfactory.gazetteer.countries import Country
from tinyfactory.gazetteer.names import Gender, family_name, full_name, gender_of_name, short_name
from tinyfactory.models.offline.careers import choose_career, subject_of
from tinyfactory.models.offline.homes import Home, choose_home
from tinyfactory.models.offline.load import Interest, Occupation
from tinyfactory.models.offline.pastimes import choose_interests
from tinyfactory.models.offline.profile import Profile
from tinyfactory.models.offline.reading import Brief
from tinyfactory.models.offline.theme import Theme, read_theme
from tinyfactory.models.offline.titles import occupation_named
from tinyfactory.prompts.particularities import Constraints, read_particularities
from tinyfactory.utils.random import Dice
from tinyfactory.utils.text import fold

TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")


@dataclass(frozen=True, slots=True)
class Cast:
    """One person in facts.

    `status` is "work", "retired", "student", "pupil", "home" or "seeking"; `sex` is the
    table that names are taken from; `origin` is where the person grew up.
    """

    name: str
    first: str
    sex: Gender
    gender: str
    age: int
    country: Country
    city: str
    residence: str
    nation: Country
    nationality: str
    origin: str
    status: str
    occupation: Occupation
    title: str
    subject: str
    interests: tuple[Interest, ...]
    big_five: dict[str, int]
    theme: Theme
    profile: Profile


def cast(brief: Brief, seed: int, dice: Dice) -> Cast:
    """Decide who the person is; what the user's words say comes first."""
    wishes = brief.wishes
    theme = read_theme(brief.context)
    around = read_particularities(brief.context[:2000])
    if wishes == Constraints() and around.certain and not theme.role:
        # The context describes one person: "A 34-year-old nurse named Ana Souza".
        wishes = around
    if not wishes.occupation and (told := occupation_named(brief.words)):
        wishes = replace(wishes, occupation=told)
    home = choose_home(brief, wishes, around.name, theme, dice)
    gender, sex = _gender(brief, wishes, dice)
    low, high = _age_range(wishes, around, theme)
    age, status, occupation, title = choose_career(brief, wishes, theme, low, high, dice)
    name = _name(brief, wishes, home.nation, sex, seed, dice)
    big_five = _temperament(theme, age, dice)
    return Cast(
        name=name,
        first=short_name(name, None if wishes.name else home.nation),
        sex=sex,
        gender=gender,
        age=age,
        country=home.country,
        city=home.city,
        residence=home.residence,
        nation=home.nation,
        nationality=home.nationality,
        origin=_origin(home, dice),
        status=status,
        occupation=occupation,
        title=title,
        subject=subject_of(title, status, occupation, theme, dice),
        interests=choose_interests(wishes, theme, age, status, big_five, dice),
        big_five=big_five,
        theme=theme,
        profile=brief.profile,
    )


def _origin(home: Home, dice: Dice) -> str:
    nation, abroad = home.nation, home.nation is not home.country
    if not abroad and dice.chance(0.45):
        return home.city
    place = dice.pick(nation.cities)
    if dice.chance(0.4):
        place = f"a small town near {place}"
    return f"{place}, {nation.name}" if abroad else place


_WOMEN = re.compile(
    r"\b(?:wom[ae]n|girls?|ladies|lady|female|mothers?|nuns?|sisters)\b", re.IGNORECASE
)
_MEN = re.compile(r"\b(?:m[ae]n|boys?|gentlem[ae]n|male|fathers?|monks?|brothers)\b", re.IGNORECASE)


def _gender(brief: Brief, wishes: Constraints, dice: Dice) -> tuple[str, Gender]:
    gender = wishes.gender or ("non-binary" if brief.profile.other_gender else None)
    first = re.split(r"(?<=[.!?])\s", brief.context, maxsplit=1)[0][:400]
    if gender is None and bool(_WOMEN.search(first)) != bool(_MEN.search(first)):
        gender = "female" if _WOMEN.search(first) else "male"
    if gender is None and wishes.name:
        gender = gender_of_name(wishes.name)
    sex = dice.pick(("female", "male")) if gender in {None, "non-binary"} else str(gender)
    if gender is None:
        gender = "non-binary" if dice.chance(0.015) else sex
    return gender, sex


def _age_range(
    wishes: Constraints, around: Constraints, theme: Theme
) -> tuple[int | None, int | None]:
    if wishes.age is not None:
        return wishes.age, wishes.age
    if wishes.age_range:
        return wishes.age_range
    if theme.archetype and theme.archetype.ages:
        return theme.archetype.ages
    if around.age is not None and not theme.role:
        return around.age, around.age
    return around.age_range or (None, None)


def _name(
    brief: Brief, wishes: Constraints, nation: Country, sex: Gender, seed: int, dice: Dice
) -> str:
    if wishes.name:
        name = " ".join(wishes.name.split())
        if len(name.split()) == 1 and fold(name) in brief.taken:
            name = f"{name} {family_name(nation, sex, dice)}"
        return name
    # The n-th person takes the n-th name of a shuffled list, so no two are the same. After a
    # rejection any other name is as good.
    index = None if brief.rejected else brief.ordinal
    return full_name(nation, sex, index, dice, (seed, brief.context), brief.taken)


def _temperament(theme: Theme, age: int, dice: Dice) -> dict[str, int]:
    """Big Five scores as percentiles; older people are a little calmer and more careful."""
    drift = {"conscientiousness": (age - 40) * 0.25, "agreeableness": (age - 40) * 0.15,
             "neuroticism": (40 - age) * 0.15, "openness": (40 - age) * 0.08}  # fmt: skip
    shift = theme.archetype.shift if theme.archetype else {}
    return {
        trait: max(3, min(97, round(dice.bell(50 + drift.get(trait, 0) + shift.get(trait, 0), 19))))
        for trait in TRAITS
    }
