"""A person as one flat row of a table or data frame, and the person in such a row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tinyfactory.errors import InvalidInput, LimitExceeded
from tinyfactory.people.protocols import PersonLike
from tinyfactory.people.schema.big_five import TRAITS
from tinyfactory.people.schema.layout import LISTS, PARTS, TIMES, empty
from tinyfactory.people.schema.normalise import normalise
from tinyfactory.people.schema.values import literal
from tinyfactory.utils import bounded_json
from tinyfactory.utils.imports import require
from tinyfactory.utils.text import clean

Json = dict[str, Any]

NUMBERS = ("age", *(f"big_five_{trait}" for trait in TRAITS))
KNOWN = (
    *("name", "age", "gender", "nationality", "residence", "education"),
    *("occupation_title", "occupation_organization", "occupation_description", "style"),
    *("personality_traits", *NUMBERS[1:]),
    *("preferences_interests", "preferences_professional_interests"),
    *("preferences_likes", "preferences_dislikes", "skills", "beliefs"),
    *("behaviors_general", *(f"routines_{time}" for time in (*TIMES, "daily"))),
    *("health", "relationships", "long_term_goals", "other_facts"),
)
# The path of each column in a persona: `routines_morning` is `behaviors.routines.morning`.
_PARTS = {path.rpartition(".")[2]: path for path in PARTS}
PLACES = {
    column: f"{_PARTS[part]}.{column.removeprefix(f'{part}_')}"
    for column in KNOWN
    for part in _PARTS
    if column.startswith(f"{part}_")
}
MANY = (*(column for column in KNOWN if PLACES.get(column, column) in LISTS), "relationships")
# The whole person as JSON, of which the other columns are a view; `profile` is the target.
WHOLE = ("profile", "provenance", "persona")
_ORIGIN = ("source", "model")
_KNOWN = frozenset(KNOWN)
_SURROGATE = re.compile("[\ud800-\udfff]")
STORED = (*KNOWN, *_ORIGIN, *WHOLE)


def row_of(persona: Json, provenance: Json) -> Json:
    """Return the fields of a person by column.

    Examples
    --------
    >>> row_of({"name": "Ana", "occupation": {"title": "nurse"}}, {"source": "offline"})
    {'name': 'Ana', 'occupation_title': 'nurse', 'source': 'offline', 'model': None}
    """
    row: Json = {}
    _flatten(persona, "", row)
    return row | {"source": provenance.get("source"), "model": provenance.get("model")}


def stored_row(persona: Json, provenance: Json) -> Json:
    """Make the row of a file: the declared columns and, as JSON, the whole person.

    Examples
    --------
    >>> row = stored_row({"name": "Ana", "age": 34, "cats": 2}, {})
    >>> row["age"], row["persona"]
    (34, '{"name": "Ana", "age": 34, "cats": 2}')
    """
    row: Json = dict.fromkeys(STORED)
    row |= {key: value for key, value in row_of(persona, provenance).items() if key in row}
    row |= {key: row[key] if row[key] is None else clean(str(row[key])) for key in _ORIGIN}
    profile = provenance.get("profile")
    row["profile"] = None if profile is None else as_json(profile)
    row["provenance"], row["persona"] = as_json(provenance), as_json(persona)
    return row


def agent_of(row: Json, where: str, *, as_text: bool = False) -> Json:
    """Return the agent (see `TinyPerson.to_dict`) in a row.

    Parameters
    ----------
    row : dict
        Cells by column. If the column ``persona`` holds JSON, as `stored_row` writes it, it
        is the whole person. Otherwise known columns become the fields they stand for, and
        the others stay as they are.
    where : str
        The place of the row, for error messages.
    as_text : bool
        Whether the table holds lists and objects as text, in JSON or Python's notation.

    Raises
    ------
    InvalidInput
        For an invalid person, and if a cell and the column ``persona`` differ: one of them
        was edited, and taking either would silently drop the other.

    Examples
    --------
    >>> agent_of({"name": "Ana", "occupation_title": "nurse", "age": None}, "row 1")
    {'name': 'Ana', 'occupation': {'title': 'nurse'}}
    """
    if not is_stored(row):
        return _unflattened(row, as_text=as_text)
    whole = row["persona"]
    try:
        about = {"version": 1, "provenance": json.loads(row["provenance"] or "{}")}
        agent = {"type": "TinyPerson", "persona": json.loads(whole), "tinyfactory": about}
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{where}: the column persona or provenance is not valid JSON ({error}). Nothing was "
            "loaded. Load the unchanged file, or delete these two columns to read the "
            "others."
        ) from error
    try:
        persona = normalise(agent)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error} Nothing was loaded.") from error
    _check_columns(row, row_of(persona, {}), where)
    return agent


def is_stored(row: Json) -> bool:
    """Tell whether a row has the whole person, as `stored_row` writes it."""
    whole = row.get("persona")
    return isinstance(whole, str) and whole.startswith("{") and "provenance" in row


def is_row(data: Json) -> bool:
    """Tell whether a JSON object is the row of a table: it has columns of parts of a person.

    Examples
    --------
    >>> is_row({"name": "Ana", "big_five_openness": 70}), is_row({"name": "Ana", "age": 34})
    (True, False)
    """
    return not data.keys().isdisjoint(PLACES) or is_stored(data)


def as_json(value: Any) -> str:
    r"""Write a value as JSON that any UTF-8 file can hold.

    Examples
    --------
    >>> as_json({"a": chr(0xD800)})
    '{"a": "\\ud800"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _check_columns(row: Json, stored: Json, where: str) -> None:
    for column in KNOWN:
        if column not in row:
            continue
        cell, expected = _said(_cell(column, row[column])), _said(stored.get(column))
        if cell == expected or (column == "relationships" and cell == _said(brief(expected))):
            continue
        raise InvalidInput(
            f"{where}: the column {column} was changed, and the column persona, which holds "
            "the whole person, was not. Nothing was loaded. To go by the columns, delete "
            "the column persona; to go by the persona, delete the column that was changed."
        )


def brief(relationships: Any) -> Any:
    """Return relationships with name and description only, as columns of one type hold them."""
    if not isinstance(relationships, list):
        return relationships
    return [{key: item.get(key) for key in ("name", "description")} for item in relationships]


def _said(value: Any) -> Any:
    """Return a cell without the differences that spreadsheets make by themselves."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        # A Parquet file has texts alone in a list: there True is written as JSON.
        return [_said(item) if isinstance(item, str | dict) else as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _said(item) for key, item in value.items() if not empty(item)}
    return value


def _cell(column: str, value: Any, *, as_text: bool = False) -> Any:
    """Return the list or object that a cell spells, in columns that can have one."""
    may_spell = column in MANY or (as_text and column not in _KNOWN)
    if not (may_spell and isinstance(value, str) and value[:1] in ("[", "{")):
        return value
    try:
        return bounded_json.parse(value)
    except (ValueError, LimitExceeded):
        found = literal(value)
        return value if found is None else found


def _unflattened(row: Json, *, as_text: bool) -> Json:
    """Return the agent in a row without the column of the whole person."""
    ours = row.keys() >= _KNOWN
    # pandas writes lists in Python's notation, then objects in other columns too.
    as_text = as_text or any(_spells_list(row.get(column)) for column in MANY)
    data: Json = {}
    about: Json = {}
    # Fields come before other columns, so that a column named as a part does not hide them.
    for column, value in sorted(row.items(), key=lambda cell: cell[0] in PLACES):
        if empty(value) or value != value:
            continue
        if (found := _of_provenance(column, value, row, ours=ours)) is not None:
            about |= found
            continue
        *way, leaf = _path(column, ours=ours)
        here: Any = data
        for step in way:
            here = here.setdefault(step, {}) if isinstance(here, dict) else None
        value = _cell(column, value, as_text=as_text)
        if isinstance(here, dict):
            here[leaf] = value
        else:
            data[column] = value  # `occupation` beside `occupation_title`: both are kept
    if not about:
        return data
    return {
        "type": "TinyPerson",
        "persona": data,
        "tinyfactory": {"version": 1, "provenance": about},
    }


def _spells_list(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("[")


def _path(column: str, *, ours: bool) -> list[str]:
    """Return the path that a column holds; in a table with all our columns it undoes `_flatten`."""
    if column in PLACES:
        return PLACES[column].split(".")
    if not ours or column in _KNOWN:
        return [column]
    rest = column
    while rest.startswith("other_"):
        rest = rest.removeprefix("other_")
    if rest != column and (rest in (*KNOWN, *_ORIGIN) or _part_of(rest)):
        return [rest]
    part = _part_of(column)
    return [*_PARTS[part].split("."), column.removeprefix(f"{part}_")] if part else [column]


def _part_of(column: str) -> str | None:
    return next((part for part in _PARTS if column.startswith(f"{part}_")), None)


def _of_provenance(column: str, value: Any, row: Json, *, ours: bool) -> Json | None:
    """Return what a column says on the origin of a person, or None for a field."""
    if column in _ORIGIN:
        told = ours or (row.get("source") in ("model", "offline") and "model" in row)
        return {column: value} if told else None
    if column not in ("profile", "provenance") or not (
        isinstance(value, str) and value.startswith("{")
    ):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {"profile": found} if column == "profile" else found


def _flatten(part: Json, path: str, row: Json) -> None:
    prefix = path.rpartition(".")[2]  # "big_five", not "personality_big_five"
    for key, value in part.items():
        here = f"{path}.{key}" if path else key
        if here in PARTS and isinstance(value, dict):
            _flatten(value, here, row)
            continue
        column = f"{prefix}_{key}" if prefix else key
        # The column of an unknown field must not have the name of a known one.
        while column in row or column in _ORIGIN or (not path and _taken(key, column)):
            column = f"other_{column}"
        row[column] = value


def _taken(key: str, column: str) -> bool:
    """Tell whether the column of a top-level field has the name of a field within a part."""
    return column == key and key not in ("long_term_goals", "other_facts") and bool(_part_of(key))


def to_frame(people: Iterable[PersonLike]) -> Any:
    """Return people as a pandas data frame, one row a person.

    The columns of known fields are always there, in one order: objects are flattened
    (``occupation_title``, ``big_five_openness``), lists stay lists. Then come fields that the
    schema does not know, by name, then ``source`` and ``model``. The rest of the provenance is
    not in the frame. `People.from_frame` reads it.

    Raises
    ------
    MissingPackage
        When pandas is not installed.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> frame = to_frame([TinyPerson("Ana", {"occupation": "nurse"}, register=False)])
    >>> frame.loc[0, "occupation_title"]
    'nurse'
    """
    rows = [row_of(person.persona, person.provenance) for person in people]
    unknown = sorted({column for row in rows for column in row} - {*KNOWN, *_ORIGIN})
    frame = require("pandas", "tables").DataFrame(
        rows, columns=[*KNOWN, *unknown, *_ORIGIN], dtype=object
    )
    return frame.astype(dict.fromkeys(NUMBERS, "Int64"))


def frame_of(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> Any:
    """Return rows of a table as a pandas data frame.

    Raises
    ------
    MissingPackage
        When pandas is not installed.
    """
    return require("pandas", "tables").DataFrame([list(row) for row in rows], columns=list(columns))
