"""The people around a person, with names that fit and ages that are possible."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfactory.models.offline.casting import Cast
from tinyfactory.models.offline.dice import Dice
from tinyfactory.models.offline.names import (
    family_name,
    full_name,
    given_name,
    shares_family_name,
    short_name,
)

YOUNG = ("pupil", "student")
KIN = ("partner", "child", "parent", "parent_child", "sibling", "grandchild")


@dataclass(frozen=True, slots=True)
class Relation:
    """One person around the person; `kind` says which templates describe them."""

    kind: str
    noun: str
    name: str
    short: str
    age: int
    female: bool


def relations(cast: Cast, dice: Dice) -> list[Relation]:
    """Between two and five people, relatives first; a friend is always among them."""
    circle = _Circle(cast, dice)
    circle.add_family()
    circle.add_others()
    # Relatives give way, so that a friend and a colleague are always among them.
    kin = [r for r in circle.found if r.kind in KIN]
    others = [r for r in circle.found if r.kind not in KIN]
    return kin[: 5 - len(others)] + others


class _Circle:
    """The people around one person, as they are found one after the other."""

    def __init__(self, cast: Cast, dice: Dice) -> None:
        self.cast = cast
        self.dice = dice
        self.found: list[Relation] = []

    def add(self, kind: str, nouns: tuple[str, str], age: int, women: float = 0.5) -> None:
        """Add somebody; `nouns` are what a woman and a man are called."""
        cast, dice = self.cast, self.dice
        female = dice.chance(women)
        sex = "female" if female else "male"
        kin = kind in KIN and kind != "partner"
        if kin:
            name = _kin_name(cast, sex, dice)
        else:
            name = full_name(cast.country, sex, None, dice, (), ())
        short = short_name(name, None if kin else cast.country)
        if short != cast.first and all(short != r.short for r in self.found):
            noun = nouns[0] if female else nouns[1]
            self.found.append(Relation(kind, noun, name, short, max(0, age), female))

    def add_family(self) -> None:
        """Partner, children, a parent, a brother or a sister."""
        age, dice = self.cast.age, self.dice
        partnered = age >= 22 and dice.chance(0.25 if age < 28 else 0.68)
        if partnered:
            nouns = ("wife", "husband") if age > 27 else ("girlfriend", "boyfriend")
            women = 0.06 if self.cast.sex == "female" else 0.94
            self.add("partner", nouns, max(20, age + round(dice.bell(0, 4))), women)
        parents = self.cast.theme.role == "parents"
        self._add_children(1.0 if parents else 0.75 if partnered else 0.3)
        parent = age + dice.integer(21, 36)
        if parent <= 90 and (age < 25 or dice.chance(0.55)):
            kind = "parent_child" if age < 18 else "parent"
            self.add(kind, ("mother", "father"), parent)
        if not self.found or dice.chance(0.35):
            gap = dice.integer(2, 7)
            older = age < 5 + gap or dice.chance(0.5)
            word = "older" if older else "younger"
            nouns = (f"{word} sister", f"{word} brother")
            self.add("sibling", nouns, age + gap if older else age - gap)

    def _add_children(self, probability: float) -> None:
        dice = self.dice
        oldest = self.cast.age - dice.integer(21, 34)
        if self.cast.age < 24 or oldest < 0 or not dice.chance(probability):
            return
        self.add("child", ("daughter", "son"), oldest)
        if oldest > 3 and dice.chance(0.35):
            self.add("child", ("daughter", "son"), oldest - dice.integer(2, 3))
        if oldest >= 30 and dice.chance(0.7):
            self.add("grandchild", ("granddaughter", "grandson"), oldest - dice.integer(23, 27))

    def add_others(self) -> None:
        """A friend, and whoever the days bring along."""
        age, status, dice = self.cast.age, self.cast.status, self.dice
        if age < 20:
            self.add("friend_young", ("friend", "friend"), max(age - 1, age + dice.integer(-1, 1)))
        else:
            self.add("friend", ("friend", "friend"), max(18, age + round(dice.bell(0, 5))))
        if status == "work" and age >= 18:
            near = max(19, min(66, age + dice.integer(-12, 12)))
            self.add("colleague", ("colleague", "colleague"), near)
        elif status == "retired" and dice.chance(0.7):
            near = max(58, age + dice.integer(-6, 6))
            self.add("former", ("former colleague", "former colleague"), near)
        elif status in YOUNG and dice.chance(0.5):
            self.add("teacher", ("teacher", "teacher"), dice.integer(29, 61))
        elif dice.chance(0.5):
            self.add("neighbour", ("neighbour", "neighbour"), dice.integer(30, 80))


def _kin_name(cast: Cast, sex: str, dice: Dice) -> str:
    """A relative's name: with the family's name where families share one."""
    given = given_name(cast.nation, sex, dice)
    if shares_family_name(cast.nation) and len(cast.name.split()) > 1:
        return f"{given} {_family_part(cast.name)}"
    return given


def _family_part(name: str) -> str:
    """The family name, with its particles: ``van Dijk``, ``da Silva``."""
    parts = name.split()
    start = len(parts) - 1
    small = {"van", "von", "de", "da", "do", "dos", "der", "den", "del", "di", "la", "el"}
    while start > 1 and parts[start - 1].lower() in small:
        start -= 1
    return " ".join(parts[start:])


def any_family(cast: Cast, dice: Dice) -> str:
    """A family name of the place where the person lives, for firms and schools."""
    return family_name(cast.country, "male", dice)
