"""People, however they come, as personas; and the prose in a persona."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import InvalidInput, MissingPackage
from tinyfactory.models.offline.mark import OFFLINE_MARK
from tinyfactory.people.columns import KNOWN

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n+")  # noqa: RUF001 (other scripts' signs)

# What stands in these is written by the author of the person; the rest are facts and labels.
_PROSE = {
    *("education", "style", "personality", "preferences", "skills", "beliefs", "behaviors"),
    *("health", "relationships", "long_term_goals", "other_facts"),
}
_TOP = {
    *("name", "age", "gender", "nationality", "residence", "occupation", "demographics"),
    *_PROSE,
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a person: the field it stands in, its text, its words in lower case."""

    field: str
    text: str
    words: tuple[str, ...]


def personas_of(people: Any) -> list[dict[str, Any]]:
    """People, persona dicts or a data frame of people as a list of personas.

    Raises
    ------
    InvalidInput
        For what is no person, and where nobody is.

    Examples
    --------
    >>> personas_of([{"name": "Ana"}, {"persona": {"name": "Bo"}}])
    [{'name': 'Ana'}, {'name': 'Bo'}]
    """
    if hasattr(people, "to_dict") and hasattr(people, "columns"):
        found = [_from_row(row) for row in people.to_dict("records")]
    elif isinstance(people, dict | str) or not isinstance(people, Iterable):
        raise InvalidInput(
            f"A report needs several people, not {type(people).__name__}. Give it People, a "
            "list of persona dicts, or the data frame that People.to_frame() makes."
        )
    else:
        found = [_persona(person, number) for number, person in enumerate(people, 1)]
    if not found:
        raise InvalidInput("There is nobody to report on: the list of people is empty.")
    return found


def _persona(person: Any, number: int) -> dict[str, Any]:
    persona = person if isinstance(person, dict) else getattr(person, "persona", None)
    if isinstance(persona, dict) and isinstance(persona.get("persona"), dict):
        persona = persona["persona"]
    if not isinstance(persona, dict):
        raise InvalidInput(
            f"Person {number} is of type {type(person).__name__}, not a TinyPerson or a dict."
        )
    return persona


def _from_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `to_frame` as a persona: empty cells left out, flattened columns put back."""
    persona: dict[str, Any] = {}
    for column, value in row.items():
        if column in ("source", "model") or _empty(value):
            continue
        if column in KNOWN and column not in _TOP:
            part, _, key = column.rpartition("_")
            if column.startswith("big_five_"):
                big_five = persona.setdefault("personality", {}).setdefault("big_five", {})
                big_five[key] = value
            elif part == "routines":
                routines = persona.setdefault("behaviors", {}).setdefault("routines", {})
                routines[key] = value
            else:
                persona.setdefault(part, {})[key] = value
        else:
            persona[column] = value
    return persona


def _empty(value: Any) -> bool:
    # NaN is the one value that differs from itself; pandas' NA does not say what it is.
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float) and value != value


def own_fields(persona: dict[str, Any]) -> dict[str, Any]:
    """What a profile said of a person: `demographics`, and fields that the schema does not know.

    tinyfactory sets `demographics` from the profile; other people's data has such fields at
    the top.

    Examples
    --------
    >>> own_fields({"name": "Ana", "income": "low", "demographics": {"household": "alone"}})
    {'income': 'low', 'household': 'alone'}
    """
    told = persona.get("demographics")
    own = {key: value for key, value in persona.items() if key not in _TOP}
    return own | told if isinstance(told, dict) else own


def sentences(persona: dict[str, Any]) -> list[Sentence]:
    """The sentences of a person's prose, in order.

    Names, numbers, labels and the fields set from the profile are no prose, nor is the line
    by which the offline model marks what it wrote.

    Examples
    --------
    >>> [s.words for s in sentences({"name": "Ana", "health": "Fine. Sleeps well."})]
    [('fine',), ('sleeps', 'well')]
    """
    return [
        Sentence(field, text, tuple(map(sys.intern, WORD.findall(text.casefold()))))
        for field, leaf in _prose(persona)
        if leaf != OFFLINE_MARK
        for text in _SENTENCE_END.split(leaf)
        if text.strip()
    ]


def _prose(persona: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in persona.items():
        if key == "occupation" and isinstance(value, dict):
            yield from ((key, leaf) for leaf in _leaves(value.get("description")))
        elif key == "relationships" and isinstance(value, list):
            for item in value:
                about = item.get("description") if isinstance(item, dict) else item
                yield from ((key, leaf) for leaf in _leaves(about))
        elif key in _PROSE:
            yield from ((key, leaf) for leaf in _leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif hasattr(value, "tolist"):  # a list that came out of a Parquet file
        yield from _leaves(value.tolist())


def missing(package: str, error: ImportError) -> MissingPackage:
    """The error for a package that is not installed."""
    return MissingPackage(
        f"A report card needs {package}, which is not installed. "
        f"Run: pip install 'tinyfactory[report]' (it reads: {error})"
    )
