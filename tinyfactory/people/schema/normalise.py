"""Bring a person into the one layout: directly if they are nearly in it, else by pydantic.

Replies of models and saved people have the layout already, apart from white space, empty
fields and the order of keys. `_in_layout` reads these in one walk, without the import of
pydantic. Everything it does not expect goes through `shapes.canonical` and `PersonaSpec`,
which also write the error messages. Both give the same result; the property tests compare
them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from tinyfactory.errors import InvalidPersona
from tinyfactory.people.schema.big_five import TRAITS
from tinyfactory.people.schema.foreign_layouts import (
    WRAPPERS,
    canonical,
    may_give_name,
    may_give_residence,
)
from tinyfactory.people.schema.layout import ALIASES, PART_ALIASES, TIMES, TOP
from tinyfactory.people.schema.values import MAX_DEPTH, shown
from tinyfactory.utils.text import clean, composed

Json = dict[str, Any]
_Readers = Mapping[str, Callable[[Any], Any]]


def normalise(data: Any, *, partial: bool = False) -> Json:
    """Return a person in any known shape as plain JSON in the one layout.

    Parameters
    ----------
    data : dict
        See `PersonaSpec`. Unknown fields are kept, empty known fields are left out.
    partial : bool
        Whether the name may be missing, as in a fragment or an unfinished person.

    Returns
    -------
    dict
        A copy: known fields in the order of the schema, then the others sorted by name.
        Normalising it again changes nothing.

    Raises
    ------
    InvalidPersona
        For impossible values (age 190, a blank name), in words that can be sent to a model.

    Examples
    --------
    >>> normalise({"skills": [{"skill": "sewing"}], "Age": "34", "name": " Ana "})
    {'name': 'Ana', 'age': 34, 'skills': ['sewing']}
    >>> normalise({"name": "Ana", "age": 190})
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidPersona: This description of a person cannot be used:
    - age: 190 is not possible; expected a whole number from 0 to 120.
    """
    if (found := _in_layout(data, partial=partial)) is not None:
        return found
    from tinyfactory.people.schema.persona import validated  # slow to import (pydantic)

    return validated(data, partial=partial)


def with_name(persona: Json, name: Any) -> Json:
    """Normalise a person under `name`, whatever name the persona or a wrapper in it has."""
    return normalise({**_fields(persona), "name": name})


def merge(persona: Json, fragment: Any) -> Json:
    """Merge a fragment into a person: objects deeply, lists appended, the rest replaced.

    Raises
    ------
    InvalidPersona
        When the result is invalid; `persona` is never changed.

    Examples
    --------
    >>> merge({"name": "Ana", "skills": ["chess"]}, {"type": "Fragment",
    ...       "persona": {"skills": ["chess", "sewing"]}})
    {'name': 'Ana', 'skills': ['chess', 'sewing']}
    """
    if not isinstance(fragment, dict):
        raise InvalidPersona(f"A fragment must be an object with fields, not {shown(fragment)}.")
    return normalise(_merged(_fields(persona), _fields(fragment)))


def _fields(data: Json) -> Json:
    """Return the fields of `data` in the one layout, not necessarily valid."""
    found = _in_layout(data, partial=True)
    return canonical(data) if found is None else found


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        both = {key: _merged(old[key], new[key]) for key in old if key in new}
        return old | new | both
    if isinstance(old, list) and isinstance(new, list):
        return old + [item for item in new if item not in old]
    return new


def check_generated(persona: Json) -> None:
    """Check that a generated person has the fields that every generated person needs.

    Raises
    ------
    InvalidPersona
        Listing which of age, nationality or residence, and occupation title are missing.

    Examples
    --------
    >>> check_generated({"name": "Ana", "age": 34, "residence": "Recife"})
    Traceback (most recent call last):
        ...
    tinyfactory.errors.InvalidPersona: This description of a person is not complete:
    - occupation.title: missing; expected what the person does, as text.
    """
    missing = []
    if persona.get("age") is None:
        missing.append("age: missing; expected a whole number from 0 to 120.")
    if not persona.get("nationality") and not persona.get("residence"):
        missing.append("nationality or residence: missing; expected at least one, as text.")
    if not persona.get("occupation", {}).get("title"):
        missing.append("occupation.title: missing; expected what the person does, as text.")
    if missing:
        head = "This description of a person is not complete:"
        raise InvalidPersona("\n- ".join([head, *missing]))


# -- the direct reader -----------------------------------------------------------------


class _OtherShape(Exception):
    """The value has another shape than the layout, or is invalid."""


def _in_layout(data: Any, *, partial: bool) -> Json | None:
    """Return a copy of a person who is in the layout already; None for all others."""
    if type(data) is not dict:
        return None
    try:
        found = _object(data, _PERSON, _is_other_top_key, keep_empty=True)
    except _OtherShape:
        return None
    # A missing name or residence is inferred from other fields, if there are any such.
    if "name" not in found and not (partial and not any(map(may_give_name, found))):
        return None
    if "residence" not in found and any(map(may_give_residence, found.keys() - _PERSON.keys())):
        return None
    return found


def _object(
    data: Json, readers: _Readers, is_other: Callable[[str], bool], *, keep_empty: bool = False
) -> Json:
    """Read known fields in their order, leaving out empty ones, then unknown fields by name.

    `is_other` tells which unknown keys may mean a known field. `keep_empty` says whether
    unknown fields may be empty.
    """
    found = {}
    for key, read in readers.items():
        if key in data and (value := read(data[key])) is not None:
            found[key] = value
    rest = data.keys() - readers.keys()
    if rest:
        if not all(type(key) is str for key in rest):
            raise _OtherShape
        for key in sorted(rest):
            value = data[key]
            if is_other(key) or clean(key) != key or not (keep_empty or _says_something(value)):
                raise _OtherShape
            found[key] = _copy(value, 4)  # no part is deeper
    return found


def _part(readers: _Readers, *others: str) -> Callable[[Any], Json | None]:
    """Make the reader of a part; `others` are unknown keys that may mean a known field."""
    is_other = frozenset(others).__contains__

    def read(value: Any) -> Json | None:
        if type(value) is dict:
            return _object(value, readers, is_other) or None
        _require_empty(value)
        return None

    return read


def _require_empty(value: Any) -> None:
    if value is not None and (type(value) not in (str, list, dict) or value):
        raise _OtherShape


def _says_something(value: Any) -> bool:
    if type(value) is str:
        return bool(value.strip())
    return bool(value) if type(value) in (list, dict) else value is not None


def _text(value: Any) -> str | None:
    if type(value) is not str:
        _require_empty(value)
        return None
    return _item(value) or None


def _title(value: Any) -> str | None:
    if (title := _text(value)) and "_" in title:
        raise _OtherShape
    return title


def _texts(value: Any) -> list[str] | None:
    if type(value) is not list:
        _require_empty(value)
        return None
    return [text for item in value if (text := _item(item))] or None


def _item(value: Any) -> str:
    if type(value) is not str:
        raise _OtherShape
    return clean(value).strip()


def _name(value: Any) -> str:
    name = " ".join(composed(_item(value)).split())
    if len(name) > 200 or not any(map(str.isalnum, name)):
        raise _OtherShape
    return name


def _whole(most: int) -> Callable[[Any], int | None]:
    def read(value: Any) -> int | None:
        if type(value) is not int:
            _require_empty(value)
            return None
        if not 0 <= value <= most:
            raise _OtherShape
        return value

    return read


def _relationships(value: Any) -> list[Json] | None:
    if type(value) is not list:
        _require_empty(value)
        return None
    found = []
    for item in value:
        if type(item) is not dict or not item or item.keys() - {"name", "description"}:
            raise _OtherShape
        read = {key: _item(item[key]) for key in ("name", "description") if key in item}
        if not all(read.values()):
            raise _OtherShape
        found.append(read)
    return found or None


def _copy(value: Any, depth: int) -> Any:
    """Copy plain JSON."""
    kind = type(value)
    if kind is str:
        if clean(value) != value:
            raise _OtherShape
        return value
    if value is None or kind is bool or kind is int:
        return value
    if depth > MAX_DEPTH:
        raise _OtherShape
    if kind is float and math.isfinite(value):
        return value
    if kind is list:
        return [_copy(item, depth + 1) for item in value]
    if kind is dict and all(type(key) is str and clean(key) == key for key in value):
        return {key: _copy(item, depth + 1) for key, item in value.items()}
    raise _OtherShape


def _scores(value: Any) -> Json | None:
    if type(value) is dict:
        # Any other key may be a trait in another spelling.
        return _object(value, _SCORES, lambda _: True) or None
    _require_empty(value)
    return None


_SCORES = dict.fromkeys(TRAITS, _whole(100))
_SPELLING = re.compile(r"[\s-]+")


def _is_other_top_key(key: str) -> bool:
    """Tell whether an unknown key is an older name or another spelling of a known field."""
    spelt = _SPELLING.sub("_", key.strip().lower())
    return spelt in ALIASES or spelt in TOP or key in WRAPPERS


# How each field is read, in the order of `PersonaSpec`.
_PERSON: _Readers = {
    "name": _name,
    "age": _whole(120),
    **dict.fromkeys(("gender", "nationality", "residence", "education"), _text),
    "occupation": _part(
        {"title": _title, "organization": _text, "description": _text}, *PART_ALIASES["occupation"]
    ),
    "style": _text,
    "personality": _part(
        {
            "traits": _texts,
            "big_five": _scores,
        },
        *PART_ALIASES["personality"],
        *TRAITS,
    ),
    "preferences": _part(
        dict.fromkeys(("interests", "likes", "dislikes"), _texts),
        *PART_ALIASES["preferences"],
        "professional_interests",
    ),
    "skills": _texts,
    "beliefs": _texts,
    "behaviors": _part(
        {"general": _texts, "routines": _part(dict.fromkeys(TIMES, _texts), "daily")}
    ),
    "health": _text,
    "relationships": _relationships,
    "long_term_goals": _texts,
    "other_facts": _texts,
}
