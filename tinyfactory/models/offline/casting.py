"""Who the person is: place, sex, age, occupation, interests, temperament. No sentences yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tinyfactory.models.offline.dice import Dice
from tinyfactory.models.offline.load import (
    Country,
    Interest,
    Occupation,
    countries,
    interests,
    occupations,
)
from tinyfactory.models.offline.names import (
    Sex,
    country_of,
    family_name,
    full_name,
    sex_of,
    short_name,
)
from tinyfactory.models.offline.places import Place, find_place
from tinyfactory.models.offline.reading import Brief
from tinyfactory.models.offline.theme import Theme, read_theme
from tinyfactory.models.offline.words import capitalise, fold
from tinyfactory.prompts.wishes import Wishes, read_wishes

TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")


@dataclass(frozen=True, slots=True)
class Cast:
    """One person in facts.

    `status` is "work", "retired", "student", "pupil", "home" or "seeking"; `sex` is the
    table that names are taken from; `origin` is where the person grew up.
    """

    name: str
    first: str
    sex: Sex
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


def cast(brief: Brief, seed: int, dice: Dice) -> Cast:
    """Decide who the person is; what the user's words say comes first."""
    wishes = brief.wishes
    theme = read_theme(brief.context)
    around = read_wishes(_prose(brief.context))
    if theme.kind == "none" and not brief.context:
        theme = read_theme(brief.particularities)
    if wishes == Wishes() and (around.certain or around.occupation) and not theme.role:
        # The context describes one person: "A 34-year-old nurse named Ana Souza".
        wishes = around
    country, city, residence, nation, nationality = _places(brief, wishes, theme, dice)
    gender, sex = _gender(brief, wishes, dice)
    low, high = _age_range(wishes, around, theme)
    age, status, occupation, title = _occupation(brief, wishes, theme, low, high, dice)
    name = _name(brief, wishes, nation, sex, seed, dice)
    big_five = _temperament(theme, age, dice)
    return Cast(
        name=name,
        first=short_name(name, None if wishes.name else nation),
        sex=sex,
        gender=gender,
        age=age,
        country=country,
        city=city,
        residence=residence,
        nation=nation,
        nationality=nationality,
        origin=_origin(nation, country, city, dice),
        status=status,
        occupation=occupation,
        title=title,
        subject=_subject(title, occupation, theme),
        interests=_interests(wishes, theme, age, status, big_five, dice),
        big_five=big_five,
        theme=theme,
    )


def _prose(text: str) -> str:
    """A context is read for hints only as far as people write about one person."""
    return text[:2000]


# Where people are when nothing is said: large countries a little more often.
_OFTEN = (
    "Brazil India United States China Nigeria Germany Japan Indonesia Mexico Kenya France "
    "United Kingdom Turkey Philippines Vietnam Egypt Spain Italy Poland South Africa"
)


def _places(
    brief: Brief, wishes: Wishes, theme: Theme, dice: Dice
) -> tuple[Country, str, str, Country, str]:
    wished = find_place(brief.particularities)
    around = find_place(brief.context)
    somewhere = dice.pick(countries())
    if dice.chance(0.4):
        often = [c for c in countries() if c.name in _OFTEN]
        somewhere = dice.pick(often)
    named = country_of(wishes.name) if wishes.name else None
    country = wished.country or around.country or wished.nation or around.nation or named
    country = country or somewhere
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
    elif wishes.country and not wished.country:
        residence, city = wishes.country, wishes.country
    nation = _nation(wished, around, country, theme, named, dice)
    nationality = nation.adjective
    if "nationality" in wishes.certain and not wished.nation and wishes.nationality:
        nationality = wishes.nationality
    return country, city, residence, nation, nationality


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


def _origin(nation: Country, country: Country, city: str, dice: Dice) -> str:
    if nation is country and dice.chance(0.45):
        return city
    place = dice.pick(nation.cities)
    if dice.chance(0.4):
        place = f"a small town near {place}"
    return place if nation is country else f"{place}, {nation.name}"


_WOMEN = re.compile(r"\b(?:wom[ae]n|girls?|ladies|lady|female|mothers?|nuns?|sisters)\b", re.I)
_MEN = re.compile(r"\b(?:m[ae]n|boys?|gentlem[ae]n|male|fathers?|monks?|brothers)\b", re.I)


def _gender(brief: Brief, wishes: Wishes, dice: Dice) -> tuple[str, Sex]:
    gender = wishes.gender
    first = re.split(r"(?<=[.!?])\s", brief.context, maxsplit=1)[0][:400]
    if gender is None and bool(_WOMEN.search(first)) != bool(_MEN.search(first)):
        gender = "female" if _WOMEN.search(first) else "male"
    if gender is None and wishes.name:
        gender = sex_of(wishes.name)
    sex = dice.pick(("female", "male")) if gender in {None, "non-binary"} else str(gender)
    if gender is None:
        gender = "non-binary" if dice.chance(0.015) else sex
    return gender, sex


def _age_range(wishes: Wishes, around: Wishes, theme: Theme) -> tuple[int | None, int | None]:
    if wishes.age is not None:
        return wishes.age, wishes.age
    if wishes.age_range:
        return wishes.age_range
    if theme.archetype and theme.archetype.ages:
        return theme.archetype.ages
    if around.age is not None and not theme.role:
        return around.age, around.age
    return around.age_range or (None, None)


_RETIRED = re.compile(r"\b(?:retired|retiree|retirees|pensioners?|in retirement)\b", re.IGNORECASE)
_STUDIES = re.compile(r"\b(?:student|undergraduate|freshman|studies at)\b", re.IGNORECASE)
_PUPIL = re.compile(r"\b(?:pupil|schoolboy|schoolgirl|schoolchild|high school student)\b", re.I)
_HOME = re.compile(r"\b(?:homemaker|housewife|stay-at-home|househusband|home-maker)\b", re.I)
_SEEKING = re.compile(r"\b(?:unemployed|jobless|out of work|between jobs)\b", re.IGNORECASE)
_STATUS_WORDS = ((_RETIRED, "retired"), (_PUPIL, "pupil"), (_STUDIES, "student"),
                 (_HOME, "home"), (_SEEKING, "seeking"))  # fmt: skip


def _occupation(
    brief: Brief, wishes: Wishes, theme: Theme, low: int | None, high: int | None, dice: Dice
) -> tuple[int, str, Occupation, str]:
    """Age, status, occupation and its title, fitting one another."""
    said = f"{wishes.occupation or ''} {brief.particularities}"
    status = next((s for pattern, s in _STATUS_WORDS if pattern.search(said)), None)
    if status is None and not wishes.occupation:
        if theme.kind == "study":
            status = theme.level
        else:
            status = next((s for p, s in _STATUS_WORDS if p.search(brief.context)), None)
            if status in {"student", "pupil"}:
                status = None  # a context that merely mentions students
    pool = _pool(wishes, theme, status, brief.others)
    free = low is None
    if low is None:
        age, status = _free_age(status, wishes, theme, dice)
    else:
        age = dice.integer(low, high if high is not None else low)
        status = status or _status_at(age, wishes, theme, dice)
        if status == "retired" and low != high:
            age = dice.integer(max(low, min(60, high or 60)), high or low)
    chosen = dice.pick([o for o in pool if _fits(o, age, status)] or list(pool))
    if free and status == "work" and not _fits(chosen, age, status):
        age = max(chosen.ages[0], min(chosen.ages[1], age)) + dice.integer(0, 3)
    return age, status, chosen, _title(chosen, status, wishes, theme, age)


def _free_age(
    status: str | None, wishes: Wishes, theme: Theme, dice: Dice
) -> tuple[int, str]:
    """An age where none was asked for, and the status that goes with it."""
    if status == "pupil":
        return dice.integer(14, 18), status
    if status == "student":
        return dice.integer(18, 24) + (dice.integer(0, 9) if dice.chance(0.12) else 0), status
    if status == "retired":
        return dice.integer(62, 84), status
    if theme.role == "residents" and theme.workplace == "care home":
        return dice.integer(74, 92), "retired"
    working = wishes.occupation or theme.staff
    if working or status in {"home", "seeking"}:
        age = round(dice.bell(40, 11))
        return max(19, min(64, age)), status or "work"
    if theme.role == "parents":
        return dice.integer(27, 52), "work"
    if theme.kind == "activity":
        age = max(18, min(74, round(dice.bell(37, 13))))
    else:
        age = max(18, min(86, round(dice.bell(44, 17))))
    return age, _status_at(age, wishes, theme, dice)


def _status_at(age: int, wishes: Wishes, theme: Theme, dice: Dice) -> str:
    if wishes.occupation:
        known = matching(wishes.occupation)
        too_old = bool(known) and age > max(o.ages[1] for o in known) + 3
        return "retired" if too_old and "occupation" not in wishes.certain else "work"
    if theme.staff and 17 <= age <= 70:
        return "work"
    if age <= 17:
        return "pupil"
    if age >= 67 or (age >= 63 and dice.chance(0.5)):
        return "retired" if age >= 72 or dice.chance(0.85) else "work"
    if age <= 23 and dice.chance(0.5):
        return "student"
    if dice.chance(0.04):
        return "seeking"
    return "home" if 26 <= age and dice.chance(0.035) else "work"


def _fits(occupation: Occupation, age: int, status: str) -> bool:
    young, old = occupation.ages
    if status == "pupil":
        return True
    if status == "student":
        return occupation.education in {"bachelor", "master", "doctor"}
    if status == "retired":
        return old >= 58
    return young <= age <= old


def _pool(
    wishes: Wishes, theme: Theme, status: str | None, others: str
) -> Sequence[Occupation]:
    if wishes.occupation:
        known = matching(wishes.occupation)
        if known or status not in {"student", "pupil", "home", "seeking", "retired"}:
            return known or (_unknown(wishes.occupation),)
    staff = theme.staff if theme.kind in {"work", "staff", "activity"} else ()
    pool = staff or occupations()
    # Whoever was made before had another occupation, as far as there is a choice.
    seen = others.lower()
    return [o for o in pool if o.title not in seen] or pool


_SMALL = frozenset("a an the of in at for and retired former senior junior head chief".split())


def matching(wish: str) -> tuple[Occupation, ...]:
    """The occupations that a wish names: by title, by all its words, by its noun."""
    wanted = [w for w in fold(re.sub(r"[^\w\s'-]", " ", wish)).split() if w not in _SMALL]
    if not wanted:
        return ()
    titles = {o: fold(o.title).split() for o in occupations()}
    exact = [o for o, title in titles.items() if title == wanted]
    every = [o for o, title in titles.items() if all(w in title for w in wanted)]
    common = {"worker", "officer", "manager", "assistant", "technician", "engineer", "owner",
              "clerk", "operator", "teacher", "designer"}  # fmt: skip
    noun = [o for o, title in titles.items() if title[-1] == wanted[-1] and wanted[-1] not in common]
    doctors = [o for o in occupations() if o.title in {"family doctor", "surgeon", "paediatrician"}]
    if wanted[-1] in {"doctor", "physician"} and not exact:
        return tuple(every or doctors)
    return tuple(exact or every or noun)


def _unknown(wish: str) -> Occupation:
    """An occupation that is in no table, described in ways that hold for any work."""
    title = re.sub(r"\s+", " ", re.sub(r"[{}<>]", "", wish)).strip()[:60] or "worker"
    return Occupation(
        title=title,
        field="other",
        ages=(18, 75),
        education="bachelor" if re.search(r"(ist|ian|eer|or)$", title.lower()) else "apprentice",
        subject="*",
        organizations=("",),
        duties=(
            "plan the day's work before others arrive",
            "answer questions that nobody else there can answer",
            "check twice what others check once",
            "show newcomers how it is done",
        ),
        skills=("judging what can wait", "explaining the work to outsiders", "working accurately"),
        people="the people who depend on it",
    )


def _title(chosen: Occupation, status: str, wishes: Wishes, theme: Theme, age: int) -> str:
    title = wishes.occupation or chosen.title
    if status == "retired":
        bare = re.sub(r"(?i)^retired\s+", "", title)
        return f"Retired {bare}" if not _RETIRED.fullmatch(bare) else f"Retired {chosen.title}"
    if wishes.occupation and "occupation" in wishes.certain:
        return capitalise(title)
    if status == "pupil":
        return "Pupil" if age >= 6 else "Kindergarten child"
    if status == "student":
        if wishes.occupation:
            return capitalise(wishes.occupation)
        subject = theme.subject if theme.kind == "study" else ""
        return capitalise(f"{subject or student_subject(chosen)} student")
    if status == "home":
        return capitalise(wishes.occupation) if wishes.occupation else "Homemaker"
    if status == "seeking":
        bare = re.sub(r"(?i)^(unemployed|jobless|out-of-work)\s*", "", wishes.occupation or "")
        return f"Unemployed {bare or chosen.title}"
    return capitalise(title)


def student_subject(occupation: Occupation) -> str:
    """What someone studies who will take up this occupation."""
    return occupation.subject if occupation.subject not in {"", "*"} else "economics"


def _subject(title: str, occupation: Occupation, theme: Theme) -> str:
    """What a student studies: what the title says, else the class, else the occupation."""
    said = re.sub(r"(?i)\b(?:ph\.?d|master'?s?|student|pupil|university|college|first-year)\b", "", title)
    if re.search(r"(?i)student", title) and len(said.strip()) > 2:
        return said.strip().lower()
    return (theme.subject if theme.kind == "study" else "") or student_subject(occupation)


def _name(brief: Brief, wishes: Wishes, nation: Country, sex: Sex, seed: int, dice: Dice) -> str:
    if wishes.name:
        name = " ".join(wishes.name.split())
        if len(name.split()) == 1 and fold(name) in brief.taken:
            name = f"{name} {family_name(nation, sex, dice)}"
        return name
    # The n-th person takes the n-th name of a shuffled list, so no two are the same. After a
    # rejection any other name is as good.
    index = None if brief.rejected else brief.ordinal
    return full_name(nation, sex, index, dice, (seed, brief.context), brief.taken)


def _interests(
    wishes: Wishes, theme: Theme, age: int, status: str, big_five: dict[str, int], dice: Dice
) -> tuple[Interest, ...]:
    chosen = [_wished_interest(text) for text in wishes.interests[:4]]
    names = {i.name for i in chosen}
    themed = [i for i in interests() if i.name in theme.interests and i.youngest <= age]
    chosen += [i for i in dice.few(themed, 2 if dice.chance(0.6) else 1) if i.name not in names]
    young = status in {"pupil", "student"}
    too_hard = _STRENUOUS if age >= 70 else frozenset()
    free = [
        i
        for i in interests()
        if i.youngest <= age
        and i not in chosen
        and i.name not in too_hard
        and not (young and i.youngest >= 17)
    ]
    number = dice.integer(4, 5) + (1 if big_five["openness"] > 60 else 0)
    return tuple(chosen + dice.few(free, max(1, number - len(chosen))))


_STRENUOUS = frozenset(
    {"climbing", "surfing", "boxing", "skiing", "martial arts", "basketball", "motorcycling",
     "football", "rowing", "volleyball", "running", "ice skating", "cricket"}
)  # fmt: skip


def _wished_interest(text: str) -> Interest:
    plain = re.sub(r"\s+", " ", re.sub(r"[{}<>]", "", text)).strip()[:60]
    stems = {w.rstrip("s") for w in fold(plain).split()}
    for interest in interests():
        if fold(interest.name) == fold(plain):
            return interest
    for interest in interests():
        if stems and stems == {w.rstrip("s") for w in fold(interest.name).split()[-1:]}:
            return Interest(plain, *(getattr(interest, f) for f in Interest.__slots__[1:]))
    return Interest(
        name=plain,
        when="evening",
        youngest=0,
        doing=(f"make time for {plain}", f"find out more about {plain}"),
        skill=f"a practised eye for {plain}",
        likes=f"anything to do with {plain}",
    )


def _temperament(theme: Theme, age: int, dice: Dice) -> dict[str, int]:
    """Big Five scores as percentiles; older people are a little calmer and more careful."""
    drift = {"conscientiousness": (age - 40) * 0.25, "agreeableness": (age - 40) * 0.15,
             "neuroticism": (40 - age) * 0.15, "openness": (40 - age) * 0.08}  # fmt: skip
    shift = theme.archetype.shift if theme.archetype else {}
    return {
        trait: max(3, min(97, round(dice.bell(50 + drift.get(trait, 0) + shift.get(trait, 0), 19))))
        for trait in TRAITS
    }
