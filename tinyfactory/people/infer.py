"""A name and a residence for rows of tables that spell out neither."""

from __future__ import annotations

import re
from typing import Any

from tinyfactory.people.layout import empty
from tinyfactory.people.leaves import name


def infer(person: dict[str, Any]) -> None:
    """Add a name and a residence from other fields, where there is none.

    The name comes from first and last name, else from the beginning of a text about the
    person (Nemotron-Personas has no name column), else from the row's `uuid`.

    Examples
    --------
    >>> row = {"persona": "Mary Alberti, a cook, likes jazz.", "city": "Reno", "state": "NV"}
    >>> infer(row)
    >>> row["name"], row["residence"]
    ('Mary Alberti', 'Reno, NV')
    """
    if empty(person.get("name")):
        parts = [person.get(key) for key in ("first_name", "last_name")]
        found = " ".join(part.strip() for part in parts if isinstance(part, str)).strip()
        found = found or _name_in_texts(person)
        if not found and isinstance(person.get("uuid"), str) and person["uuid"].strip():
            found = f"Persona {person['uuid'].strip()}"
        if found:
            person["name"] = name(found)
    if "residence" not in person:
        keys = ("district", "city", "province", "state", "country")
        places = [person[key].strip() for key in keys if isinstance(person.get(key), str)]
        if joined := ", ".join(dict.fromkeys(place for place in places if place)):
            person["residence"] = joined


# Two to four capitalised words at the beginning of a text, then what follows a name.
_LEADING_NAME = re.compile(
    r"((?:[^\W\d_a-z][\w'\u2019.-]*\s+){1,3}?[^\W\d_a-z][\w'\u2019-]*)"
    r"(?=,|\u2019s|'s|\s+(?:is|has|was|with)\b)"
)


def _name_in_texts(person: dict[str, Any]) -> str:
    """The name that the persona texts of a Nemotron row begin with, or nothing."""
    for key, value in person.items():
        if (key == "persona" or key.endswith("_persona")) and isinstance(value, str):
            found = _LEADING_NAME.match(value.strip()[:200])
            if found and found[1].split()[0] not in ("A", "An", "The"):
                return found[1]
    return ""
