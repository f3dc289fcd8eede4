"""A persona as one flat row."""

from __future__ import annotations

from typing import Any

from tinyfactory.people.layout import PARTS, TIMES
from tinyfactory.people.traits import TRAITS

NUMBERS = ("age", *(f"big_five_{trait}" for trait in TRAITS))
KNOWN = (
    *("name", "age", "gender", "nationality", "residence", "education"),
    *("occupation_title", "occupation_organization", "occupation_description", "style"),
    *("personality_traits", *NUMBERS[1:]),
    *("preferences_interests", "preferences_likes", "preferences_dislikes", "skills", "beliefs"),
    *("behaviors_general", *(f"routines_{time}" for time in TIMES)),
    *("health", "relationships", "long_term_goals", "other_facts"),
)


def row_of(persona: dict[str, Any], provenance: dict[str, Any]) -> dict[str, Any]:
    """The fields of a person by column.

    Examples
    --------
    >>> row_of({"name": "Ana", "occupation": {"title": "nurse"}}, {"source": "offline"})
    {'name': 'Ana', 'occupation_title': 'nurse', 'source': 'offline', 'model': None}
    """
    row: dict[str, Any] = {}
    _flatten(persona, "", row)
    return row | {"source": provenance.get("source"), "model": provenance.get("model")}


def _flatten(part: dict[str, Any], path: str, row: dict[str, Any]) -> None:
    prefix = path.rpartition(".")[2]  # "big_five", not "personality_big_five"
    for key, value in part.items():
        here = f"{path}.{key}" if path else key
        if here in PARTS and isinstance(value, dict):
            _flatten(value, here, row)
            continue
        column = f"{prefix}_{key}" if prefix else key
        # A field that nobody knows must not pass for one that is known.
        while column in row or column in ("source", "model") or (not path and _taken(key, column)):
            column = f"other_{column}"
        row[column] = value


def _taken(key: str, column: str) -> bool:
    return column in KNOWN and "_" in key and key not in ("long_term_goals", "other_facts")
