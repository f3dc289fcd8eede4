"""Specific contexts out of a general one: kinds of people found there, all different."""

from __future__ import annotations

import re

from tinyfactory.gazetteer.countries import find_place
from tinyfactory.models.offline.grammar import Grammar
from tinyfactory.models.offline.load import Archetype, Occupation, archetypes
from tinyfactory.models.offline.reading import Brief
from tinyfactory.models.offline.theme import Theme, at_occasion, read_theme
from tinyfactory.models.offline.words import listed, plural
from tinyfactory.prompts.particularities import read_particularities
from tinyfactory.utils.random import Dice

_KINDS = {"activity": "activity", "work": "work", "staff": "work", "customer": "customer",
          "study": "study"}  # fmt: skip
_MOODS = (
    "There is hope of {hopeful}, and weariness of {tired}.",
    "The talk is often of {hopeful}, and hardly ever of {tired}.",
    "What helps is {hopeful}; what wears is {tired}.",
    "Behind it stand {tired} and the hope of {hopeful}.",
    "Without {hopeful}, {tired} would be harder to bear.",
)
_HOPEFUL = (
    "a new beginning", "the coming summer", "an old friendship", "a quieter year",
    "a plan that nobody knows of", "a change of place", "some time alone", "a little praise",
    "one good friend", "a small success", "somebody who listens", "a better flat",
    "a good night's sleep", "an honest conversation",
)  # fmt: skip
_TIRED = (
    "other people's advice", "early mornings", "rising prices", "old quarrels", "empty promises",
    "bad news", "doing two things at once", "waiting for answers", "being underestimated",
    "short nights", "long journeys", "pretending to be fine", "saying yes too often",
)  # fmt: skip
_DECADES = ("twenties", "thirties", "forties", "fifties", "sixties")


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
    age = read_particularities(brief.context)
    fixed = bool(age.age or age.age_range)
    written: list[str] = []
    seen = set(brief.already.splitlines())
    turn = 0
    while len(written) < brief.number:
        archetype = order[turn % len(order)]
        text = _one(archetype, brief, theme, dice)
        if not archetype.ages and kind != "study" and not fixed and dice.chance(0.5):
            text = f"{text} Probably in their {dice.pick(_DECADES[: 4 if kind == 'work' else 5])}."
        # Once every kind has had its turn, a mood of their own keeps them apart.
        if turn >= len(order) or dice.chance(0.4):
            text = f"{text} {_mood(dice)}"
        if text not in seen:
            written.append(text)
            seen.add(text)
        turn += 1
    return written


def _mood(dice: Dice) -> str:
    return Grammar(dice, {"hopeful": _HOPEFUL, "tired": _TIRED}, {}, 40).say_one(dice.pick(_MOODS))


def _one(archetype: Archetype, brief: Brief, theme: Theme, dice: Dice) -> str:
    facts = {
        "theme": theme.phrase or "the place",
        "at_theme": at_occasion(theme),
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
    return (
        listed([plural(o.title) for o in dice.few(different, dice.integer(2, 3))]) or "colleagues"
    )


def _where(context: str) -> str:
    """The place that the context names, as words to follow a noun: "in Lisbon, Portugal"."""
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
