"""Find and set single fields of a persona, by their present and their older names."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tinyfactory.errors import InvalidInput, InvalidPersona
from tinyfactory.people.schema.field_names import check_names
from tinyfactory.people.schema.layout import (
    ALIASES,
    LISTS,
    PARTS,
    TIMES,
    TOP,
    empty,
    holder,
    reply_schema,
)
from tinyfactory.people.schema.normalise import normalise

Json = dict[str, Any]
# Wrappers in other shapes; a field of this name would be read as the whole person.
_WRAPPERS = ("persona", "_configuration", "tinyfactory")


def find(persona: Json, key: str, default: Any) -> Any:
    """Return the field of a name, a dotted path or an older name; else `default`."""
    for path in (key, ALIASES.get(key, key)):
        parent, leaf = (persona, path) if path in persona else holder(persona, path)
        if parent is None or leaf not in parent:
            continue
        if key == "routines" and path != key and isinstance(parent[leaf], dict):
            # One list in the older shape, for all times of day.
            groups = [g for g in parent[leaf].values() if isinstance(g, list)]
            return [routine for group in groups for routine in group]
        return parent[leaf]
    if key == "professional_interests":
        return find(persona, "preferences.interests", default)
    return default


def defined(
    persona: Json, changes: Iterable[tuple[str | None, Any]], group: str | None = None
) -> Json:
    """Return a new persona with fields set, or with values added to a group.

    Raises
    ------
    InvalidPersona
        For invalid values; `persona` is never changed.
    """
    draft = copy.deepcopy(persona)
    for key, value in changes:
        if group is not None:
            _add(draft, _group_path(draft, key, group), key, value)
        elif isinstance(key, str) and key.strip():
            _set(draft, key, value)
        else:
            raise InvalidPersona("A field to define needs a name. Nothing was changed.")
    return normalise(draft, partial="name" not in persona)


def _path(draft: Json, key: str) -> str:
    return key if key in draft or key in TOP else ALIASES.get(key, key)


def _set(draft: Json, key: str, value: Any) -> None:
    path = _path(draft, key)
    if path == "occupation" and isinstance(value, str):
        path = "occupation.title"  # older code sets title and description one by one
    if path in _WRAPPERS and isinstance(value, dict):
        raise InvalidPersona(f"{path!r} is not a field of a person. Nothing was changed.")
    first = path.split(".")[0]
    if path in draft or (first not in TOP and not isinstance(draft.get(first), dict)):
        parent, leaf = draft, "kind" if path == "type" else path  # as `normalise` names it
    else:
        parent, leaf = _reach(draft, path)
    _set_in(parent, leaf, value)


def _reach(draft: Json, path: str) -> tuple[Json, str]:
    """Return the object that holds `path`, created if missing, and the last key."""
    *way, leaf = path.split(".")
    here: Any = draft
    for step in way:
        here = here.setdefault(step, {})
        if not isinstance(here, dict):
            raise InvalidPersona(f"{path}: {step} is not an object. Nothing was changed.")
    return here, leaf


def _group_path(draft: Json, key: str | None, group: str) -> str:
    path = _path(draft, group)
    if path == "behaviors.routines" and group == "routines":  # the older list
        return f"{path}.{key}" if key in TIMES else f"{path}.daily"
    return path


def _add(draft: Json, path: str, key: str | None, value: Any) -> None:
    parent, leaf = (draft, path) if path in draft else _reach(draft, path)
    here = parent.get(leaf)
    if path in PARTS or isinstance(here, dict):
        fields = value if key is None else {key: value}
        if not isinstance(fields, dict):
            raise InvalidPersona(
                f"{path} is an object; name the field of it to define. Nothing was changed."
            )
        for name, item in fields.items():
            if f"{path}.{name}" in LISTS and not isinstance(item, list) and item is not None:
                _add(draft, f"{path}.{name}", None, item)
            else:
                _set_in(parent.setdefault(leaf, {}), name, item)
        return
    if here is not None and not isinstance(here, list):
        raise InvalidPersona(f"{path} is not a list to add to. Nothing was changed.")
    if path.startswith("behaviors.routines."):
        key = None  # the time of day, or the older "routine"
    item = value if key is None else {key: value}
    if not empty(item):
        parent[leaf] = [*(here or []), item]


def _set_in(part: Json, name: str, value: Any) -> None:
    if value is None:
        part.pop(name, None)
    else:
        part[name] = value


def would_hide(state: Json, persona: Json, taken: Iterable[str]) -> bool:
    """Tell whether keys of `state` beside a persona would be read as something else."""
    hidden = {*taken, *TOP, *ALIASES, *persona}
    return any(key in hidden or value in (None, {}) for key, value in state.items())


@dataclass(frozen=True, slots=True)
class Part:
    """A field at a dotted path, or an object of several."""

    path: str
    schema: Json

    @property
    def key(self) -> str:
        """The last key of the path."""
        return self.path.rpartition(".")[2]

    def reply_schema(self) -> Json:
        """Return the strict schema of an object that holds only this part, under its key."""
        return {
            "type": "object",
            "properties": {self.key: self.schema},
            "required": [self.key],
            "additionalProperties": False,
        }


def part_of(persona: Json, path: Any) -> Part:
    """Return the part at a path of the committed schema, or of an unknown text or list.

    Raises
    ------
    InvalidInput
        For an unknown field.

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
        value = find(persona, path, None)
        if isinstance(value, str):
            return Part(path, {"type": "string"})
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return Part(path, {"type": "array", "items": {"type": "string"}})
    if isinstance(path, str):
        check_names({path: None}, persona)
    raise InvalidInput(
        f"{path!r} is not a field that can be rewritten. Nothing was sent. Use one of the schema, "
        'e.g. "beliefs" or "occupation.title", or a text or list of texts of this person.'
    )


def rest_of(persona: Json, part: Part) -> Json:
    """Return the persona without the part."""
    rest = copy.deepcopy(persona)
    parent, leaf = (rest, part.path) if part.path in rest else holder(rest, part.path)
    if parent is not None:
        del parent[leaf]
    return {key: value for key, value in rest.items() if not empty(value)}


def with_part(persona: Json, part: Part, value: Any) -> Json:
    """Return the persona with a new value of the part; missing fields of an object stay.

    Raises
    ------
    InvalidPersona
        For an invalid value.
    """
    now = find(persona, part.path, None)
    if isinstance(now, dict) and isinstance(value, dict):
        value = {**now, **value}
    return defined(persona, [(part.path, value)])


def check_rewrite(before: Json, after: Json, part: Part) -> None:
    """Reject a rewrite that is empty, changes nothing, or changes another field.

    Raises
    ------
    InvalidPersona
        With a reason that can be sent to the model.
    """
    new = find(after, part.path, None)
    if empty(new):
        raise InvalidPersona(f"{part.path} was empty. Write it.")
    if new == find(before, part.path, None):
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
