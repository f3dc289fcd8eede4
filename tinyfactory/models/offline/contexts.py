"""Specific contexts out of a general one: kinds of people found there, all different."""

from __future__ import annotations

import re

from tinyfactory.models.offline.dice import Dice
from tinyfactory.models.offline.grammar import Grammar
from tinyfactory.models.offline.load import Archetype, Occupation, archetypes
from tinyfactory.models.offline.places import find_place
from tinyfactory.models.offline.reading import Brief
from tinyfactory.models.offline.theme import Theme, read_theme
from tinyfactory.models.offline.words import listed, plural

_KINDS = {"activity": "activity", "work": "work", "staff": "work", "customer": "customer",
          "study": "study"}  # fmt: skip
_MOODS = (
    "At present {they_are} hopeful about {hopeful}, and tired of {tired}.",
    "What {they} talk about most these days is {hopeful}; what {they} avoid is {tired}.",
    "The last year brought {hopeful} and too much of {tired}.",
    "Asked for a wish, most would name {hopeful}, and less of {tired}.",
    "Some are proud of {hopeful}; nearly all complain about {tired}.",
    "Their days turn on {hopeful}, with {tired} as the price.",
)
_HOPEFUL = (
    "a new beginning", "the children's plans", "a small pay rise", "the coming summer",
    "an old friendship", "a move to a better flat", "a recovery after illness", "a late romance",
    "a course they have begun", "a garden at last", "a debt paid off", "a team that works",
    "a secret hobby", "an honest conversation", "a first own success", "a place to be alone",
)  # fmt: skip
_TIRED = (
    "other people's advice", "early mornings", "rising prices", "old quarrels", "empty promises",
    "the news", "doing two things at once", "waiting for answers", "being underestimated",
    "short nights", "forms", "long journeys", "pretending to be fine", "meetings",
    "the neighbours' noise", "saying yes too often",
)  # fmt: skip


def write_contexts(brief: Brief, dice: Dice) -> list[str]:
    """As many specific contexts as the brief asks for.

    Each keeps what the general one fixes: the occasion or workplace, the place, the group.
    """
    theme = read_theme(brief.context)
    kind = _KINDS.get(theme.kind, "general")
    if theme.kind == "staff" or (kind == "work" and not theme.phrase):
        kind = "general"
    order = dice.few([a for a in archetypes() if a.kind == kind], 100)
    order = [a for a in order if a.cue not in brief.already] or order
    written: list[str] = []
    seen = set(brief.already.splitlines())
    turn = 0
    while len(written) < brief.number:
        text = _one(order[turn % len(order)], brief, theme, dice)
        # Once every kind has had its turn, a mood of their own keeps them apart.
        if turn >= len(order) or dice.chance(0.5):
            text = f"{text} {_mood(dice)}"
        if text not in seen:
            written.append(text)
            seen.add(text)
        turn += 1
    return written


def _mood(dice: Dice) -> str:
    pools = {"hopeful": _HOPEFUL, "tired": _TIRED, "they_are": ("they are",), "they": ("they",)}
    return Grammar(dice, pools, {}, 40).say_one(dice.pick(_MOODS))


def _one(archetype: Archetype, brief: Brief, theme: Theme, dice: Dice) -> str:
    facts = {
        "theme": theme.phrase or "the place",
        "where": _where(brief.context),
        "role": theme.role or "people",
        "staff": _staff(theme, dice),
        "setting": _setting(brief.context),
    }
    grammar = Grammar(dice, {}, facts, 40)
    return " ".join(grammar.say_one(text) for text in archetype.texts)


def _staff(theme: Theme, dice: Dice) -> str:
    """Two or three of the occupations found there, as a phrase."""
    different: list[Occupation] = list(dict.fromkeys(theme.staff))
    return listed([plural(o.title) for o in dice.few(different, dice.integer(2, 3))]) or "colleagues"


def _where(context: str) -> str:
    """ " in Lisbon, Portugal", where the context names a place."""
    place = find_place(context)
    if place.city and place.country:
        return f" in {place.city}, {place.country.name}"
    if place.country:
        name = place.country.name
        article = "the " if name in {"United States", "United Kingdom", "Netherlands",
                                     "Philippines"} else ""  # fmt: skip
        return f" in {article}{name}"
    return f" among {place.nation.adjective} people" if place.nation else ""


def _setting(context: str) -> str:
    """The general context as it can stand inside a sentence."""
    text = re.sub(r"[<>{}\"]+", " ", context)
    text = re.sub(r"\s+", " ", text).strip()
    first = re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0].rstrip(".!?;: ")
    if len(first) > 160:
        first = first[:160].rsplit(" ", 1)[0] + " ..."
    if not first:
        return "people of any kind"
    second = first[1:2]
    small = second.islower() or not second.isalpha()
    starts_name = bool(find_place(first.split(" ")[0]).country)
    common = first.split(" ")[0].lower() in _COMMON or first.split(" ")[0].lower().endswith("s")
    if small and common and not starts_name:
        return first[:1].lower() + first[1:]
    return first


_COMMON = frozenset("a an the people someone some any young old retired two three four".split())
