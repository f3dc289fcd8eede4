"""The offline model's tables, read from JSON when first used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from tinyfactory.gazetteer import read_rows, read_table


@dataclass(frozen=True, slots=True)
class Occupation:
    """An occupation; `duties` are verb phrases in the base form."""

    title: str
    field: str
    ages: tuple[int, int]
    education: str
    subject: str
    organizations: tuple[str, ...]
    duties: tuple[str, ...]
    skills: tuple[str, ...]
    people: str


@dataclass(frozen=True, slots=True)
class Interest:
    """A pastime; `doing` are verb phrases in the base form."""

    name: str
    when: str
    youngest: int
    doing: tuple[str, ...]
    skill: str
    likes: str


@dataclass(frozen=True, slots=True)
class Activity:
    """An occasion that brings people together, such as a camping trip."""

    name: str
    words: tuple[str, ...]
    interests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Workplace:
    """A kind of organisation; `also` names related kinds whose staff is found there."""

    name: str
    words: tuple[str, ...]
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Archetype:
    """A kind of person within a context; its `cue` stands in the text and is found again."""

    kind: str
    cue: str
    fact: str
    shift: dict[str, int]
    texts: tuple[str, ...]
    ages: tuple[int, int] | None = None
    foreign: bool = False


@cache
def occupations() -> tuple[Occupation, ...]:
    """All occupations."""
    return tuple(Occupation(**row) for row in read_rows("occupations", __file__))


@cache
def interests() -> tuple[Interest, ...]:
    """All interests."""
    return tuple(Interest(**row) for row in read_rows("interests", __file__))


@cache
def activities() -> tuple[Activity, ...]:
    """All occasions."""
    return tuple(Activity(**row) for row in read_rows("activities", __file__))


@cache
def workplaces() -> tuple[Workplace, ...]:
    """All kinds of workplaces that a context may name."""
    return tuple(Workplace(**row) for row in read_rows("workplaces", __file__))


@cache
def archetypes() -> tuple[Archetype, ...]:
    """All kinds of persons that a context may ask for."""
    return tuple(Archetype(**row) for row in read_rows("archetypes", __file__))


@cache
def table(name: str) -> dict[str, Any]:
    """A table that is one JSON object: `prose`, `roles`, `organizations`."""
    found: dict[str, Any] = read_table(name, __file__)
    return found
