"""What a context is about: an occasion, a place of work, customers, a class, a subject."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from tinyfactory.models.offline.load import (
    Archetype,
    Occupation,
    activities,
    archetypes,
    occupations,
    table,
    workplaces,
)
from tinyfactory.models.offline.titles import occupations_in


@dataclass(frozen=True, slots=True)
class Theme:
    """What a context is about.

    `kind` is "activity", "work", "customer", "study", "resident", "topic" or "none";
    `phrase` names the thing ("camping trip", "the hospital", "electric cars"), `role` the
    people who have to do with it ("customers"), `staff` the occupations found there.
    """

    kind: str = "none"
    phrase: str = ""
    role: str = ""
    staff: tuple[Occupation, ...] = ()
    workplace: str = ""
    subject: str = ""
    level: str = ""  # of a class: "pupil" or "student"
    interests: tuple[str, ...] = ()
    archetype: Archetype | None = None


@cache
def _words(*alternatives: str) -> re.Pattern[str]:
    longest = sorted(alternatives, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])", re.IGNORECASE)


_JOURNEYS = frozenset(
    "trip hike tour journey holiday pilgrimage retreat cruise mission expedition walk visit "
    "strike campaign evacuation".split()
)
_GROUPS = frozenset("club choir band class course team project circle group race".split())


def at_occasion(theme: Theme) -> str:
    """The occasion with its preposition: "on the camping trip", "at the wedding".

    Examples
    --------
    >>> at_occasion(Theme("activity", "book club"))
    'in the book club'
    """
    noun = theme.phrase.split(" ")[-1]
    word = "on" if noun in _JOURNEYS else "in" if noun in _GROUPS else "at"
    return f"{word} the {theme.phrase.removeprefix('the ') or 'day'}"


_STUDY = re.compile(
    r"(?<![\w-])(?P<who>students|pupils|schoolchildren|undergraduates|freshmen|sophomores|learners|"
    r"school kids|phd students|graduate students|student|pupil|classmates|teenagers in school)\b",
    re.IGNORECASE,
)
_CLASS = re.compile(
    r"\b(?:an?|the|our|my|their)\s+(?P<class>(?:[a-z-]+ ){0,2}(?:class|classroom|course|seminar|"
    r"degree|lecture|lesson))\b|\b(?:of|studying|study)\s+(?P<subject>[a-z]+(?: [a-z]+)?)",
    re.IGNORECASE,
)
_SUBJECTS = (
    "chemistry physics biology mathematics maths math history geography literature law medicine "
    "nursing engineering economics philosophy psychology sociology music art design architecture "
    "informatics programming statistics journalism theology linguistics business accounting "
    "agriculture pharmacy dentistry education sport politics"
).split()
_SUBJECTS += ["computer science", "political science", "data science", "english", "french", "latin"]
_NOT_A_NOUN = frozenset(
    "people group person someone friend friends man woman men women city town country kind kinds "
    "sort lot number who they them it and or but with for from to in on at of a an the their his "
    "her our my your this that these those some many few several all each every are is was were "
    "be being been have has had do does did go goes going want wants like likes live lives work "
    "works about which while when where as by not no very different various other others young "
    "old typical ordinary average individuals characters personas type types variety set couple "
    "bunch members what how why love loves hate hates enjoy enjoys use uses using learn learning "
    "waiting think thinking feel struggle struggling deal dealing want share sharing meet talk "
    "talking worry care give general same one two three four five six seven eight nine ten "
    "quit quitting stop start give giving become get getting make find finding keep try trying "
    "what how why will would can could should may might must there here team us".split()
)


@lru_cache(maxsize=128)
def read_theme(text: str) -> Theme:
    """What this context is about.

    Examples
    --------
    >>> read_theme("A group of friends are on a camping trip.").phrase
    'camping trip'
    >>> theme = read_theme("Customers of a bank")
    >>> theme.kind, theme.role, theme.phrase
    ('customer', 'customers', 'the bank')
    >>> read_theme("students in a chemistry class in Nairobi").subject
    'chemistry'
    """
    text = text[:4000]
    first = re.split(r"(?<=[.!?])\s", text.strip(), maxsplit=1)[0][:400]
    whole = text
    before, _, after = first.partition(": ")
    if after and any(a.cue in before.lower() for a in archetypes() if a.kind == "general"):
        # One of our own contexts: "Older people, over 65: farmers in Kenya."
        text = first = after
    if not re.search(r"\w", text):
        return Theme()
    named = occupations_in(first)
    study = _STUDY.search(first)
    role = _role(first)
    if study and not (named and first.lower().find(named[0].title.split()[-1]) < study.start()):
        theme = _study(first, study)
    elif role and (not named or role[1] < _position(first, named)):
        theme = _customers(first, role[0], text)
    else:
        theme = _activity(text, first, named) or _work(text, first, named) or _topic(first)
    return _with_archetype(theme, whole)


def _position(text: str, named: tuple[Occupation, ...]) -> int:
    return min(text.lower().find(o.title.split()[-1].lower()) for o in named)


def _activity(text: str, first: str, named: tuple[Occupation, ...]) -> Theme | None:
    for part in (first, text):
        hits = [
            (match.start(), activity)
            for activity in activities()
            if (match := _words(*activity.words).search(part))
        ]
        if hits:
            activity = min(hits, key=lambda hit: hit[0])[1]
            return Theme("activity", activity.name, staff=named, interests=activity.interests)
    return None


def _workplace(part: str) -> tuple[str, str] | None:
    """The kind of workplace that a text names first, and how it is called there."""
    hits = []
    for workplace in workplaces():
        for match in _words(*workplace.words).finditer(part):
            # "a friend from school" is about the friend.
            if not re.search(
                r"(?:friends?|pals?)\s+(?:from|of)\s+(?:\w+\s+)?$", part[: match.start()]
            ):
                hits.append((match.start(), -len(match[0]), workplace.name, match[0].lower()))
                break
    if not hits:
        return None
    _, _, kind, word = min(hits)
    if re.search(r"[^su']s$", word) and word not in {"docks", "army barracks", "barracks"}:
        word = word.removesuffix("ies") + "y" if word.endswith("ies") else word[:-1]
    return kind, f"the {word}"


def _work(text: str, first: str, named: tuple[Occupation, ...]) -> Theme | None:
    found = _workplace(first) or _workplace(text)
    if found is None:
        if not named:
            return None
        return Theme("staff", "", staff=named)
    kind, phrase = found
    return Theme("work", phrase, "staff", named or staff_of(kind), kind)


@cache
def staff_of(kind: str) -> tuple[Occupation, ...]:
    """Who works in this kind of organisation."""
    own = tuple(o for o in occupations() if kind in o.organizations)
    if len(own) >= 4:
        return own
    also = next((w.also for w in workplaces() if w.name == kind), ())
    more = [o for other in also for o in occupations() if other in o.organizations]
    # Small places have cleaners, and someone who keeps the books.
    more += [o for o in occupations() if o.title in {"cleaner", "office manager", "accountant"}]
    return own * 3 + tuple(o for o in dict.fromkeys(more) if o not in own)


def _role(first: str) -> tuple[str, int] | None:
    hits = [
        (match.start(), role, match[0])
        for role, names in table("roles").items()
        if (match := _words(*names).search(first))
    ]
    if not hits:
        return None
    start, role, _ = min(hits)
    return role, start


def _customers(first: str, role: str, text: str) -> Theme:
    found = _workplace(first)
    if role == "residents" and (found is None or found[0] != "care home"):
        home = _HOME.search(first)
        return Theme("resident", f"the {home['home'].lower()}" if home else "the area", "residents")
    if role == "parents":
        return Theme("topic", found[1] if found else "school", "parents")
    if role == "voters":
        return Theme("topic", "the election", "voters", interests=("politics", "podcasts"))
    if found:
        kind, phrase = found
        return Theme("customer", phrase, role, workplace=kind)
    activity = None if role in {"users", "customers"} else _activity(text, first, ())
    if activity:
        return activity
    what = re.search(
        r"\b(?:of|at|in|on|for)\s+(?:an?|the|our|my|one)\s+(?P<np>(?:[a-z][\w-]+ ?){1,3})", first
    )
    if what and (np := _trimmed(what["np"].split())):
        return Theme("customer", f"the {np}", role)
    return Theme("customer", "the company", role)


def _study(first: str, study: re.Match[str]) -> Theme:
    who = study["who"].lower()
    match = _CLASS.search(first)
    named = (match["class"] or "").lower() if match else ""
    lowered = first.lower()
    subject = next((s for s in _SUBJECTS if re.search(rf"\b{s}\b", lowered)), "")
    grown = re.search(
        r"universit|college|campus|undergrad|phd|graduate|degree|seminar|faculty", lowered
    )
    young = re.search(r"pupil|school|class\b|classroom|lesson|teenage|grade\b", lowered)
    level = "student" if grown or not young else "pupil"
    if named:
        phrase = f"the {named.strip()}"
    elif subject:
        phrase = f"the {subject} course"
    else:
        found = _workplace(first)
        phrase = found[1] if found else ("the university" if level == "student" else "the school")
    role = "pupils" if level == "pupil" and "student" not in who else "students"
    return Theme("study", phrase, role, subject=subject, level=level)


_HOME = re.compile(
    r"\b(?P<home>village|small town|neighbou?rhood|suburb|island|block of flats|apartment building|"
    r"tower block|street|favela|township|housing estate|commune)\b",
    re.IGNORECASE,
)


def _topic(first: str) -> Theme:
    """A noun phrase out of a context that fits nothing else, to be talked about."""
    if match := _HOME.search(first):
        return Theme("resident", f"the {match['home'].lower()}", "residents")
    chunks: list[list[str]] = [[]]
    for word in re.findall(r"[^\W\d_][\w'’-]*|[.,;:!?]", first):
        # Capitals name places and people; what remains are the plain words between small ones.
        if word.islower() and word not in _NOT_A_NOUN and len(word) > 2 and word.isascii():
            chunks[-1].append(word)
        else:
            chunks.append([])
    good = [c for c in chunks if 1 <= len(c) <= 3]
    if not good or "<" in first or "{" in first:
        return Theme()
    best = max(good, key=lambda c: (len(c) > 1, chunks.index(c)))
    return Theme("topic", " ".join(best))


def _trimmed(parts: Iterable[str]) -> str:
    kept: list[str] = []
    for part in parts:
        if part.lower() in _NOT_A_NOUN:
            break
        kept.append(part)
    return " ".join(kept)


def _with_archetype(theme: Theme, text: str) -> Theme:
    kind = theme.kind if theme.kind in {"activity", "work", "customer", "study"} else "general"
    hits = [
        (match.start(), archetype)
        for archetype in archetypes()
        if archetype.kind == kind
        and (match := re.search(rf"\b{re.escape(archetype.cue)}", text, re.IGNORECASE))
    ]
    if hits:
        return replace(theme, archetype=min(hits, key=lambda hit: hit[0])[1])
    return theme
