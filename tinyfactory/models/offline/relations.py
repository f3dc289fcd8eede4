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
    """Between three and five people, relatives first."""
    age = cast.age
    found: list[Relation] = []

    def add(
        kind: str, nouns: tuple[str, str], years: int, *, kin: bool, women: float = 0.5
    ) -> None:
        female = dice.chance(women)
        sex = "female" if female else "male"
        name = _kin_name(cast, sex, dice) if kin else full_name(
            cast.country, sex, None, dice, (), ()
        )
        short = short_name(name, None if kin else cast.country)
        if short != cast.first and all(short != r.short for r in found):
            noun = nouns[0] if female else nouns[1]
            found.append(Relation(kind, noun, name, short, max(0, years), female))

    partnered = age >= 22 and dice.chance(0.25 if age < 28 else 0.68)
    if partnered:
        near = max(20, age + round(dice.bell(0, 4)))
        add("partner", ("wife", "husband") if age > 27 else ("girlfriend", "boyfriend"), near,
            kin=False, women=0.06 if cast.sex == "female" else 0.94)  # fmt: skip
    if age >= 24:
        oldest = age - dice.integer(21, 34)
        if oldest >= 0 and dice.chance(0.75 if partnered else 0.3):
            add("child", ("daughter", "son"), oldest, kin=True)
            if oldest > 3 and dice.chance(0.35):
                add("child", ("daughter", "son"), oldest - dice.integer(2, 3), kin=True)
            if oldest >= 27 and dice.chance(0.7):
                add("grandchild", ("granddaughter", "grandson"),
                    oldest - dice.integer(23, 27), kin=True)  # fmt: skip
    parent = age + dice.integer(21, 36)
    if parent <= 90 and (age < 25 or dice.chance(0.55)):
        kind = "parent_child" if age < 18 else "parent"
        add(kind, ("mother", "father"), parent, kin=True)
    if not found or dice.chance(0.35):
        gap = dice.integer(2, 7)
        older = age < 5 + gap or dice.chance(0.5)
        nouns = ("older sister", "older brother") if older else ("younger sister", "younger brother")
        add("sibling", nouns, age + gap if older else age - gap, kin=True)
    friend_age = max(age - 1 if age < 20 else 18, age + round(dice.bell(0, 1 if age < 20 else 5)))
    add("friend_young" if age < 18 else "friend", ("friend", "friend"), friend_age, kin=False)
    if cast.status == "work" and age >= 18:
        near = max(19, min(66, age + dice.integer(-12, 12)))
        add("colleague", ("colleague", "colleague"), near, kin=False)
    elif cast.status == "retired" and dice.chance(0.7):
        near = max(58, age + dice.integer(-6, 6))
        add("former", ("former colleague", "former colleague"), near, kin=False)
    elif cast.status in YOUNG and dice.chance(0.5):
        add("teacher", ("teacher", "teacher"), dice.integer(29, 61), kin=False)
    elif dice.chance(0.5):
        add("neighbour", ("neighbour", "neighbour"), dice.integer(30, 80), kin=False)
    # Relatives give way, so that a friend and a colleague are always among them.
    kin, others = [r for r in found if r.kind in KIN], [r for r in found if r.kind not in KIN]
    return kin[: 5 - len(others)] + others


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
