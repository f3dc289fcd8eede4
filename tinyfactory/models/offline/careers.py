"""Age, status, occupation and title: chosen together, so that they fit one another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinyfactory.models.offline.lines import occupations_of
from tinyfactory.models.offline.load import Occupation, occupations
from tinyfactory.models.offline.reading import Brief
from tinyfactory.models.offline.theme import Theme
from tinyfactory.models.offline.titles import matching
from tinyfactory.models.offline.words import capitalise
from tinyfactory.prompts.particularities import Constraints
from tinyfactory.utils.random import Dice

_RETIRED = re.compile(r"\b(?:retired|retiree|retirees|pensioners?|in retirement)\b", re.IGNORECASE)
_STUDIES = re.compile(r"\b(?:student|undergraduate|freshman|studies at)\b", re.IGNORECASE)
_PUPIL = re.compile(
    r"\b(?:pupil|schoolboy|schoolgirl|schoolchild|high school student)\b", re.IGNORECASE
)
_HOME = re.compile(
    r"\b(?:homemaker|housewife|stay-at-home|househusband|home-maker)\b", re.IGNORECASE
)
_SEEKING = re.compile(r"\b(?:unemployed|jobless|out of work|between jobs)\b", re.IGNORECASE)
_STATUS_WORDS = ((_RETIRED, "retired"), (_PUPIL, "pupil"), (_STUDIES, "student"),
                 (_HOME, "home"), (_SEEKING, "seeking"))  # fmt: skip


def choose_career(
    brief: Brief, wishes: Constraints, theme: Theme, low: int | None, high: int | None, dice: Dice
) -> tuple[int, str, Occupation, str]:
    """Age, status, occupation and its title, fitting one another."""
    said = f"{wishes.occupation or ''} {brief.words}"
    status = next((s for pattern, s in _STATUS_WORDS if pattern.search(said)), None)
    status = brief.profile.status or status
    if status == "student" and high is not None and high < 17:
        status = "pupil"
    if status is None and not wishes.occupation:
        if theme.kind == "study":
            status = theme.level
        else:
            status = next((s for p, s in _STATUS_WORDS if p.search(brief.context)), None)
            if status in {"student", "pupil"}:
                status = None  # a context that merely mentions students
    pool = _pool(wishes, theme, status, brief.others)
    if not wishes.occupation and (own := occupations_of(brief.profile.line)):
        pool = own
    if brief.profile.level and not wishes.occupation:
        steps = _STEPS[brief.profile.level]
        pool = [o for o in pool if o.education in steps] or pool
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


# What people of an education work as: what asks for it, or for a little more or less.
_STEPS = {"none": {"none", "school"}, "school": {"none", "school", "apprentice"},
          "apprentice": {"apprentice", "school"}, "bachelor": {"bachelor"},
          "master": {"master", "bachelor"}, "doctor": {"doctor", "master"}}  # fmt: skip


def _free_age(status: str | None, wishes: Constraints, theme: Theme, dice: Dice) -> tuple[int, str]:
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


def _status_at(age: int, wishes: Constraints, theme: Theme, dice: Dice) -> str:
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
    return "home" if age >= 26 and dice.chance(0.035) else "work"


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
    wishes: Constraints, theme: Theme, status: str | None, others: str
) -> Sequence[Occupation]:
    if wishes.occupation:
        known = matching(wishes.occupation)
        if known or status not in {"student", "pupil", "home", "seeking", "retired"}:
            return known or (_unknown(wishes.occupation),)
    staff = theme.staff if theme.kind in {"work", "staff", "activity"} else ()
    pool = staff or occupations()
    # Whoever was made before had another occupation, as far as there is a choice.
    seen = others.lower()
    return [o for o in pool if o.title.lower() not in seen] or pool


def _unknown(wish: str) -> Occupation:
    """An occupation that is in no table, described in ways that hold for any work."""
    plain = _without_adjectives(re.sub(r"\s+", " ", re.sub(r"[{}<>]", "", wish)).strip())
    title = plain[:60] or "worker"
    return Occupation(
        title=title,
        field="other",
        ages=(18, 75),
        education="bachelor" if re.search(r"(ist|ian|eer|or)$", title.lower()) else "school",
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


def _title(chosen: Occupation, status: str, wishes: Constraints, theme: Theme, age: int) -> str:
    title = wishes.occupation or chosen.title
    if wishes.occupation and "occupation" not in wishes.certain:
        title = _without_adjectives(title)
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


_ADJECTIVES = frozenset(
    "young old pregnant non-binary nonbinary single married divorced widowed happy busy lonely "
    "female male tall small short shy friendly ambitious tired experienced kind poor rich famous "
    "proud local typical ordinary average fictional unemployed jobless gay lesbian queer trans "
    "deaf blind black white bored curious grumpy cheerful".split()
)


def _without_adjectives(title: str) -> str:
    """The occupation in a loose reading: ``shy young painter`` is a painter."""
    kept = [word for word in title.split() if word.lower() not in _ADJECTIVES]
    return " ".join(kept) or title


def student_subject(occupation: Occupation) -> str:
    """What someone studies who will take up this occupation."""
    return occupation.subject if occupation.subject not in {"", "*"} else "economics"


_SCHOOL_SUBJECTS = (
    "mathematics biology history geography chemistry physics music sport art English drawing"
).split()


def subject_of(title: str, status: str, occupation: Occupation, theme: Theme, dice: Dice) -> str:
    """What a student studies: what the title says, else the class, else the occupation."""
    said = re.sub(
        r"(?i)\b(?:ph\.?d|master'?s?|student|pupil|university|college|first-year)\b", "", title
    )
    if re.search(r"(?i)student", title) and len(said.strip()) > 2:
        return said.strip().lower()
    if theme.kind == "study" and theme.subject:
        return theme.subject
    return dice.pick(_SCHOOL_SUBJECTS) if status == "pupil" else student_subject(occupation)
