"""The people around a person, with names that fit and ages that are possible."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfactory.gazetteer.names import (
    family_name,
    full_name,
    given_name,
    shares_family_name,
    short_name,
)
from tinyfactory.models.offline.casting import Cast
from tinyfactory.utils.random import Dice

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
    kin.sort(key=lambda r: r.kind not in {"partner", "child"})  # who must be there stays
    others = [r for r in circle.found if r.kind not in KIN]
    return (
        kin[: max(5, sum(r.kind in {"partner", "child"} for r in kin) + 2) - len(others)] + others
    )


def lives_as_child(cast: Cast) -> bool:
    """Whether the household that the fields tell is that of the person's parents."""
    told = cast.profile
    if not told.household or told.married:
        return False
    with_children = told.children is True or told.parents is True
    return with_children and (cast.age < 18 or (cast.age < 23 and not told.how_many))


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
        age, dice, told = self.cast.age, self.dice, self.cast.profile
        if lives_as_child(self.cast):
            self._add_parents()
            return
        partnered = age >= 22 and dice.chance(0.25 if age < 28 else 0.68)
        if told.partner is not None:
            partnered = told.partner and age >= 16
        if partnered:
            wed = told.married or (age > 27 and "cohabit" not in told.household.lower())
            nouns = ("wife", "husband") if wed else ("girlfriend", "boyfriend")
            women = 0.06 if self.cast.sex == "female" else 0.94
            self.must("partner", nouns, max(min(age, 20), age + round(dice.bell(0, 4))), women)
        if told.children:
            self._add_children_told()
        elif told.children is None:
            parents = self.cast.theme.role == "parents"
            self._add_children(1.0 if parents else 0.75 if partnered else 0.3)
        parent = age + dice.integer(21, 36)
        if parent <= 90 and (age < 25 or told.parents or dice.chance(0.55)):
            kind = "parent_child" if age < 18 else "parent"
            self.add(kind, ("mother", "father"), parent)
        if not self.found or dice.chance(0.35):
            self._add_sibling()

    def must(self, kind: str, nouns: tuple[str, str], age: int, women: float = 0.5) -> None:
        """Add somebody who was asked for, whatever names come up."""
        before = len(self.found)
        for _ in range(20):
            self.add(kind, nouns, age, women)
            if len(self.found) > before:
                return

    def _add_parents(self) -> None:
        """Those with whom a child lives: one parent or both, as the household says."""
        age, dice = self.cast.age, self.dice
        kind = "parent_child" if age < 18 else "parent"
        oldest = age + dice.integer(22, 36)
        first = dice.chance(0.5) or self.cast.profile.partner is False
        self.must(kind, ("mother", "father"), oldest, 0.85 if first else 0.0)
        if self.cast.profile.partner is not False:
            other = 1.0 if self.found and not self.found[0].female else 0.0
            self.must(kind, ("mother", "father"), oldest + dice.integer(-3, 3), other)
        if dice.chance(0.6):
            self._add_sibling()

    def _add_children_told(self) -> None:
        """As many children as the fields say, young enough to live at home where they can be."""
        age, dice = self.cast.age, self.dice
        number = self.cast.profile.how_many or (2 if dice.chance(0.5) else 1)
        youngest_first = min(2 * number - 1, max(0, age - 20))
        oldest = dice.integer(max(youngest_first, age - 45), max(0, min(age - 19, 19)))
        for older in range(number):
            self.must("child", ("daughter", "son"), max(0, oldest - 2 * older))

    def _add_sibling(self) -> None:
        age, dice = self.cast.age, self.dice
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
