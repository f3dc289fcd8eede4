"""Bring a person from any known shape into the one layout, without validating it.

The shapes are those of this package, of TinyTroupe (older and current), of EDSL agents and of
rows of Nemotron-Personas. A value that cannot be converted stays in its place, and the schema
rejects it later. Unknown fields are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tinyfactory.people.schema import big_five
from tinyfactory.people.schema.layout import ALIASES, LISTS, PART_ALIASES, PARTS, TEXTS, TOP, empty
from tinyfactory.people.schema.names_in_text import name_in_texts
from tinyfactory.people.schema.values import age, items, name, plain, relationships, text

Json = dict[str, Any]

# Keys whose value can be the person, and keys that exist only beside such a value.
WRAPPERS = ("persona", "_configuration", "traits", "type", "tinyfactory")
# Keys for a missing name, as `spelling` writes them: the whole, or its parts in their order.
_WHOLE_NAMES = (
    *("full_name", "fullname", "display_name", "person_name", "persona_name", "agent_name"),
    *("character_name", "respondent_name"),
)
_NAME_PARTS = (
    ("first_name", "firstname", "given_name", "given_names", "forename", "forenames"),
    ("middle_name", "middlename", "middle_names"),
    ("last_name", "lastname", "surname", "family_name", "familyname"),
)
NAMES = frozenset((*_WHOLE_NAMES, *(key for part in _NAME_PARTS for key in part)))
# Keys for a missing residence, the smallest place first. The second group says too little alone.
_PLACES = (
    *("neighborhood", "neighbourhood", "district", "village", "town", "city", "municipality"),
    *("commune", "county", "prefecture", "departement", "département", "province", "region"),
    *("state", "country"),
)
_VAGUE = frozenset(("neighborhood", "neighbourhood", "county", "region"))
PLACES = frozenset(_PLACES)


def spelling(key: str) -> str:
    """Return a key in lower case with underscores.

    Examples
    --------
    >>> spelling("First name"), spelling("firstName"), spelling("First-Name")
    ('first_name', 'first_name', 'first_name')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key.strip())
    return re.sub(r"[\s_-]+", "_", apart).lower()


def may_give_name(key: str) -> bool:
    """Tell whether a missing name can be inferred from a field with such a key."""
    return key.endswith(("uuid", "_persona")) or spelling(key) in NAMES


def may_give_residence(key: str) -> bool:
    """Tell whether a missing residence can be inferred from a field with such a key."""
    return (said := spelling(key)) in PLACES and said not in _VAGUE


def canonical(data: Any) -> Json:
    """Return the fields of `data` in the one layout, not validated.

    Parameters
    ----------
    data : dict
        A person in any shape of this package, of TinyTroupe (older and today's), of EDSL, or
        a row of Nemotron-Personas.

    Raises
    ------
    InvalidPersona
        When `data` holds values that JSON cannot.

    Examples
    --------
    >>> canonical({"name": "Ana", "_configuration": {"occupation": "nurse"}})
    {'occupation': {'title': 'nurse'}, 'name': 'Ana'}
    """
    person: Json = plain(data)
    # One pass can free a field that the next one fills (an empty field beside a foreign
    # spelling of it), so repeat until nothing changes.
    while (after := _one_pass(person)) != person:
        person = after
    return after  # 34 and 34.0 are equal, and the first is the one that was converted


def _one_pass(data: Json) -> Json:
    person = {key: value for key, value in unwrapped(data).items() if not _empty_known(key, value)}
    person = _fold_keys(person)
    if "type" in person:  # in an agent file this key is the class, so no field may have it
        kind = person.pop("type")
        if kind not in ("TinyPerson", "Fragment"):
            _keep(person, "kind", kind)
    for part in ("occupation", "personality", "preferences", "behaviors"):
        if part in person:
            person[part] = _as_part(part, person[part])
    for alias, path in ALIASES.items():
        if alias in person:
            left = _place(person, path, person.pop(alias))
            if not empty(left):
                person[alias] = left
    _finish(person)
    infer(person)
    return person


def unwrapped(data: Json) -> Json:
    """Return the person inside an agent file, an older configuration, or an EDSL agent."""
    for wrapper in WRAPPERS[:3]:
        inner = data.get(wrapper)
        if not isinstance(inner, dict):
            continue
        person = dict(inner)
        state: Json = {}
        for key, value in data.items():
            if key in (wrapper, "type", "tinyfactory") or value is None or value == {}:
                continue
            if key in person and person[key] == value:
                continue
            known = key in TOP or key in ALIASES
            _keep(person if known and key not in person else state, key, value)
        if state:  # the rest of the file, such as memories and instructions
            if isinstance(person.get("agent_state"), dict):
                merged = dict(person["agent_state"])
                for key, value in state.items():
                    _keep(merged, key, value)
                person["agent_state"] = merged
            else:
                _keep(person, "agent_state", state)
        return unwrapped(person)
    return data


def _fold_keys(person: Json) -> Json:
    """Rename known fields in other spellings: `Name`, `Country of residence`."""
    out: Json = {}
    for key, value in person.items():
        name_ = re.sub(r"[\s-]+", "_", key.strip().lower())
        known = name_ in TOP or name_ in ALIASES
        free = name_ not in person and name_ not in out
        out[name_ if known and free else key] = value
    return out


def _as_part(path: str, value: Any) -> Any:
    """Convert a part to an object; a value that cannot be converted stays."""
    if path == "occupation" and isinstance(value, list):
        value = value[0] if len(value) == 1 else text(value)
    if isinstance(value, str | list) and PARTS[path]:
        value = {PARTS[path]: value}
    if not isinstance(value, dict):
        return value
    out: Json = {k: v for k, v in value.items() if not empty(v)}
    if path == "personality.big_five":
        return big_five.fold(out)
    for alias, key in PART_ALIASES.get(path, {}).items():
        if alias in out and key not in out:
            out[key] = out.pop(alias)
    if path == "personality":
        loose = {k: out.pop(k) for k in big_five.TRAITS if k in out and "big_five" not in out}
        if loose:
            out["big_five"] = loose
    for inner in PARTS:
        parent, _, key = inner.rpartition(".")
        if parent == path and key in out:
            out[key] = _as_part(inner, out[key])
    return out


def _place(person: Json, path: str, value: Any) -> Any:
    """Put `value` at `path` unless another value is there; return the rest that was not put."""
    if path in PARTS:
        value = _as_part(path, value)
        if isinstance(value, dict):
            left = {k: _place(person, f"{path}.{k}", v) for k, v in value.items()}
            return {k: v for k, v in left.items() if not empty(v)}
    parent: Any = person
    *way, leaf = path.split(".")
    for step in way:
        if not isinstance(parent, dict):
            return value
        parent = parent.setdefault(step, {})
    if not isinstance(parent, dict):
        return value
    here = parent.get(leaf)
    if path in LISTS:
        old, new = items(here), items(value)
        if not (isinstance(old, list) and isinstance(new, list)):
            return value
        parent[leaf] = old + [item for item in new if item not in old]
        return None
    if empty(here) or here == value or (path in TEXTS and text(here) == text(value)):
        parent[leaf] = value if empty(here) else here
        return None
    return value


_CONVERT = {
    "name": name,
    "age": age,
    "relationships": relationships,
    **dict.fromkeys(TEXTS, text),
    **dict.fromkeys(LISTS, items),
}


def _by_holder(paths: Iterable[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Group paths by the object that holds them: its path, deepest first, and the last keys."""
    holders: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        *way, leaf = path.split(".")
        holders.setdefault(tuple(way), []).append(leaf)
    deepest_first = sorted(holders.items(), key=lambda item: -len(item[0]))
    return [(way, tuple(leaves)) for way, leaves in deepest_first]


# The holders of all fields; and the holders of fields that may be removed if empty, deepest
# first, so that a part left empty is removed too.
_LEAVES = _by_holder(_CONVERT)
_MAY_BE_EMPTY = _by_holder(path for path in {**_CONVERT, **PARTS} if path != "name")


def _reach(person: Json, way: tuple[str, ...]) -> Json:
    """Return the object at a path, or an empty one."""
    here: Any = person
    for step in way:
        here = here.get(step) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else {}


def _finish(person: Json) -> None:
    """Convert known fields to their types and remove empty ones."""
    for way, leaves in _LEAVES:
        parent = _reach(person, way)
        for leaf in leaves:
            if leaf in parent:
                parent[leaf] = _CONVERT[".".join((*way, leaf))](parent[leaf])
    occupation = _reach(person, ("occupation",))
    title = str(occupation.get("title"))
    if "title" in occupation and re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", title):
        occupation["title"] = title.replace("_", " ")  # as Nemotron writes them
    if isinstance(person.get("personality"), dict):
        _finish_big_five(person["personality"])
    for way, leaves in _MAY_BE_EMPTY:
        parent = _reach(person, way)
        for leaf in leaves:
            if leaf in parent and empty(parent[leaf]):
                del parent[leaf]


def _finish_big_five(personality: Json) -> None:
    scores = personality.get("big_five")
    if isinstance(scores, str):
        personality["big_five"], found = {}, {"general": scores}
    elif isinstance(scores, dict):
        personality["big_five"], found = big_five.read(scores)
    else:
        return
    notes = personality.get("big_five_notes") or {}
    if found and isinstance(notes, dict):
        notes = dict(notes)
        for trait, words in found.items():
            before = notes.get(trait)
            if empty(before) or before == words:
                notes[trait] = words
            elif words not in str(before):
                notes[trait] = f"{before}; {words}"
        personality["big_five_notes"] = notes


def _keep(record: Json, key: str, value: Any) -> None:
    """Add to `record` under `key`, with underscores appended until it is free."""
    while key in record and record[key] != value:
        key += "_"
    record[key] = value


def _empty_known(key: str, value: Any) -> bool:
    return key != "name" and (key in TOP or key in ALIASES) and empty(value)


def infer(person: dict[str, Any]) -> None:
    """Add a missing name and residence from other fields.

    The name comes from a full name, else from its parts, else from a text about the person
    (Nemotron-Personas has no name column), else from the row's `uuid`.

    Examples
    --------
    >>> row = {"persona": "Mary Alberti, a cook, likes jazz.", "city": "Reno", "state": "NV"}
    >>> infer(row)
    >>> row["name"], row["residence"]
    ('Mary Alberti', 'Reno, NV')
    """
    if empty(person.get("name")) and (found := _inferred_name(person)):
        person["name"] = name(found)
    if "residence" not in person:
        said = {spelling(key): value for key, value in person.items() if may_be_place(key, value)}
        if said.keys() - _VAGUE:
            places = [said[key].strip() for key in _PLACES if key in said]
            person["residence"] = ", ".join(dict.fromkeys(places))


def may_be_place(key: str, value: Any) -> bool:
    """Tell whether a field is part of a residence: its name says so, and its value is a text."""
    return isinstance(value, str) and bool(value.strip()) and spelling(key) in PLACES


def _inferred_name(person: dict[str, Any]) -> str:
    said = {spelling(key): key for key, value in person.items() if isinstance(value, str | dict)}
    for key in _WHOLE_NAMES:
        whole = name(person[said[key]]) if key in said else None
        if isinstance(whole, str) and whole:
            del person[said[key]]  # it is the name now
            return whole
    parts = [next((person[said[k]] for k in part if k in said), None) for part in _NAME_PARTS]
    told = [part.strip() for part in parts if isinstance(part, str)]
    if found := " ".join(part for part in told if part):
        return found
    texts = [
        value
        for key, value in person.items()
        if (key == "persona" or key.endswith("_persona")) and isinstance(value, str)
    ]
    places = [value for key, value in person.items() if may_be_place(key, value)]
    if found := name_in_texts(texts, places):
        return found
    uuid = person.get("uuid")
    return f"Persona {uuid.strip()}" if isinstance(uuid, str) and uuid.strip() else ""
