"""A persona as one flat row, and the other way round."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.schema.big_five import TRAITS
from tinyfactory.people.schema.layout import LISTS, PARTS, TIMES, empty
from tinyfactory.utils.text import clean

if TYPE_CHECKING:
    from tinyfactory.people.person import TinyPerson

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
# Where each column stands in a persona: `routines_morning` is `behaviors.routines.morning`.
_PARTS = {path.rpartition(".")[2]: path for path in PARTS}
PLACES = {
    column: f"{_PARTS[part]}.{column.removeprefix(f'{part}_')}"
    for column in KNOWN
    for part in _PARTS
    if column.startswith(f"{part}_")
}
MANY = (*(column for column in KNOWN if PLACES.get(column, column) in LISTS), "relationships")
# The whole person, of which the other columns are a view; `profile` is what was asked for.
WHOLE = ("profile", "provenance", "persona")
_ORIGIN = ("source", "model")
_SURROGATE = re.compile("[\ud800-\udfff]")
STORED = (*KNOWN, *_ORIGIN, *WHOLE)


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


def stored_row(person: TinyPerson) -> dict[str, Any]:
    """What a file keeps of a person: the declared columns and, as JSON, the whole.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> row = stored_row(TinyPerson("Ana", {"age": 34, "cats": 2}, register=False))
    >>> row["age"], row["persona"]
    (34, '{"name": "Ana", "age": 34, "cats": 2}')
    """
    persona, provenance = person.persona, person.provenance
    row: dict[str, Any] = dict.fromkeys(STORED)
    row |= {key: value for key, value in row_of(persona, provenance).items() if key in row}
    row |= {key: row[key] if row[key] is None else clean(str(row[key])) for key in _ORIGIN}
    asked = provenance.get("profile")
    row["profile"] = None if asked is None else as_json(asked)
    row["provenance"], row["persona"] = as_json(provenance), as_json(persona)
    return row


def person_of(row: dict[str, Any], where: str) -> TinyPerson:
    """The person in a row: as it was stored, or as the columns tell.

    Parameters
    ----------
    row : dict
        Cells by column. With a ``persona`` column that holds JSON, as `stored_row` gives it,
        the person is that one, whole. Without, known columns are put where they belong, and
        the others go to `normalise` as they are.
    where : str
        What to name in errors.

    Raises
    ------
    InvalidInput
        For what is no person, and where a cell and the ``persona`` column say different things:
        then somebody changed one of them, and taking either would drop the other in silence.

    Examples
    --------
    >>> person_of({"name": "Ana", "occupation_title": "nurse", "age": None}, "row 1").persona
    {'name': 'Ana', 'occupation': {'title': 'nurse'}}
    """
    from tinyfactory.people.person import TinyPerson

    whole = row.get("persona")
    try:
        if not (isinstance(whole, str) and whole.startswith("{") and "provenance" in row):
            return TinyPerson.from_dict(_unflattened(row))
        about = {"version": 1, "provenance": json.loads(row["provenance"] or "{}")}
        data = {"type": "TinyPerson", "persona": json.loads(whole), "tinyfactory": about}
        person = TinyPerson.from_dict(data)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error} Nothing was loaded.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{where}: the column persona or provenance is not valid JSON ({error}). Nothing was "
            "loaded. Take the file as it was written, or delete these two columns to read the "
            "others."
        ) from error
    _agree(row, stored_row(person), where)
    return person


def as_json(value: Any) -> str:
    r"""`value` as JSON that any UTF-8 file can hold.

    Examples
    --------
    >>> as_json({"a": chr(0xD800)})
    '{"a": "\\ud800"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _agree(row: dict[str, Any], stored: dict[str, Any], where: str) -> None:
    for column in KNOWN:
        if column in row and _said(row[column]) != _said(stored[column]):
            raise InvalidInput(
                f"{where}: the column {column} was changed, and the column persona, which holds "
                "the whole person, was not. Nothing was loaded. To go by the columns, delete "
                "the column persona; to go by the persona, delete the column that was changed."
            )


def _said(value: Any) -> Any:
    """A cell without what spreadsheets and tables change by themselves."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return [_said(item) for item in value]
    if isinstance(value, dict):
        return {key: _said(item) for key, item in value.items() if not empty(item)}
    return value


def _unflattened(row: dict[str, Any]) -> dict[str, Any]:
    """Known columns as the parts that they come from; an empty cell says nothing."""
    data: dict[str, Any] = {}
    # Columns that are fields come first, so that a foreign one named as a part is seen.
    for column, value in sorted(row.items(), key=lambda cell: cell[0] in PLACES):
        # Where a description came from is no part of the person.
        if empty(value) or column in (*_ORIGIN, "profile", "provenance"):
            continue
        *way, leaf = PLACES[column].split(".") if column in PLACES else [column]
        here: Any = data
        for step in way:
            here = here.setdefault(step, {}) if isinstance(here, dict) else None
        if isinstance(here, dict):
            here[leaf] = value
        else:
            data[column] = value  # `occupation` beside `occupation_title`: both are kept
    return data


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
