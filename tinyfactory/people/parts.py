"""One field or part of a person: where it stands, what may stand there, and the rest."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import InvalidInput, InvalidPersona
from tinyfactory.people import edit
from tinyfactory.people.layout import ALIASES, empty, holder
from tinyfactory.people.spec import reply_schema

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A field at a dotted path, or an object of several."""

    path: str
    schema: Json

    @property
    def key(self) -> str:
        """The last piece of the path."""
        return self.path.rpartition(".")[2]

    def reply_schema(self) -> Json:
        """The strict schema of an object that holds this part alone, under its key."""
        return {
            "type": "object",
            "properties": {self.key: self.schema},
            "required": [self.key],
            "additionalProperties": False,
        }


def part_of(persona: Json, path: Any) -> Part:
    """The part at a path, as the committed schema has it, or a text or list of one's own.

    Raises
    ------
    InvalidInput
        For what is no field.

    Examples
    --------
    >>> part_of({}, "occupation.title").schema["type"], part_of({}, "hobbies").path
    ('string', 'preferences.interests')
    >>> part_of({"motto": "Slowly."}, "motto").schema
    {'type': 'string'}
    """
    if isinstance(path, str):
        path = path.strip()
        for candidate in (path, ALIASES.get(path, path)):
            schema = _schema_at(candidate)
            if schema is not None:
                return Part(candidate, schema)
        value = edit.find(persona, path, None)
        if isinstance(value, str):
            return Part(path, {"type": "string"})
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return Part(path, {"type": "array", "items": {"type": "string"}})
    raise InvalidInput(
        f"{path!r} is no field that can be written anew. Nothing was sent. Name one of the schema, "
        'e.g. "beliefs" or "occupation.title", or a text or list of texts of this person.'
    )


def rest_of(persona: Json, part: Part) -> Json:
    """The persona without the part."""
    rest = copy.deepcopy(persona)
    parent, leaf = (rest, part.path) if part.path in rest else holder(rest, part.path)
    if parent is not None:
        del parent[leaf]
    return {key: value for key, value in rest.items() if not empty(value)}


def with_part(persona: Json, part: Part, value: Any) -> Json:
    """The persona with another value there; fields of an object that are not given stay.

    Raises
    ------
    InvalidPersona
        For a value that cannot be.
    """
    now = edit.find(persona, part.path, None)
    if isinstance(now, dict) and isinstance(value, dict):
        value = {**now, **value}
    return edit.defined(persona, [(part.path, value)])


def check_anew(before: Json, after: Json, part: Part) -> None:
    """Refuse what says nothing, what says the same, and what changes something else.

    Raises
    ------
    InvalidPersona
        With a reason that can be told to the model.
    """
    new = edit.find(after, part.path, None)
    if empty(new):
        raise InvalidPersona(f"{part.path} was empty. Write it.")
    if new == edit.find(before, part.path, None):
        raise InvalidPersona(f"{part.path} was as it stands now. Write something else.")
    if rest_of(before, part) != rest_of(after, part):
        raise InvalidPersona(f"Only {part.path} is to be written. Leave everything else out.")


def _schema_at(path: str) -> Json | None:
    here: Any = reply_schema()
    for step in path.split("."):
        here = here.get("properties", {}).get(step)
        if here is None:
            return None
    found: Json = here
    return found
