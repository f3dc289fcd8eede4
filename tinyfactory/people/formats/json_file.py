"""Read the people in JSON: one person, a list, one on each line, or a collection under a key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

from tinyfactory import settings
from tinyfactory.errors import FileTooLarge, InvalidInput, LimitExceeded
from tinyfactory.people.formats.csv_file import GUESSED
from tinyfactory.people.formats.edsl import HEADER, agent_from_lines, original, with_codebook
from tinyfactory.people.formats.notes import Notes
from tinyfactory.people.formats.rows import agent_of, is_row
from tinyfactory.people.schema.foreign_layouts import WRAPPERS, spelling
from tinyfactory.people.schema.layout import ALIASES, TOP
from tinyfactory.utils import bounded_json
from tinyfactory.utils.files import check_size
from tinyfactory.utils.sources import Source

Json = dict[str, Any]

# Keys that hold people, also beside a name or a title of the whole.
_COLLECTIONS = frozenset(
    "agent_list agents personas persona people persons population participants respondents "
    "characters profiles users members data records rows items results".split()
)
_BY_HAND = 1_000_000  # characters
_DEEPEST = 3  # collections within collections


def read_json(source: Source, notes: Notes) -> Iterator[tuple[Json, str]]:
    """Read the agents in a file of JSON or of JSON lines, each with its place.

    Raises
    ------
    InvalidInput
        For text that is not JSON, and for JSON without people.
    """
    for found, where in _documents(source, notes):
        for agent, place in people_in(found, where, notes):
            yield agent_of(agent, place) if _is_flat(agent) else original(agent), place


def people_in(found: Any, where: str, notes: Notes, *, deep: int = 0) -> Iterator[tuple[Json, str]]:
    """Give the people in a JSON value: a person, a list of people, or a collection.

    Raises
    ------
    InvalidInput
        If there are none; the message names the keys.

    Examples
    --------
    >>> [agent for agent, _ in people_in({"personas": [{"name": "Ana"}]}, "a.json", Notes())]
    [{'name': 'Ana'}]
    >>> [agent for agent, _ in people_in({"Ana": {"age": 34}}, "a.json", Notes())]
    [{'name': 'Ana', 'age': 34}]
    """
    if isinstance(found, list):
        for number, item in enumerate(found, 1):
            if isinstance(item, dict) and len(item) == 1 and _is_by_id(item):
                item = next(iter(item.values()))  # {"agent": {...}}
            yield item, f"{where}, person {number}"
        return
    if not isinstance(found, dict):
        raise InvalidInput(
            f"{where}: it holds neither a person nor a list of people. Nothing was loaded."
        )
    if (rows := _rows_of_pandas(found)) is not None:
        yield from people_in(rows, where, notes)
    elif (key := _collection_key(found)) is not None and deep < _DEEPEST:
        beside = {k: v for k, v in found.items() if k != key}
        if key == "agent_list":
            yield from people_in(with_codebook(found), where, notes)
            return
        if beside:
            names = ", ".join(map(repr, beside))
            notes.add(
                f"The people are under {key!r}; what is beside it ({names}) was left out", where
            )
        yield from people_in(found[key], f"{where}, {key}", notes, deep=deep + 1)
    elif _is_by_id(found):
        for key, item in found.items():
            yield _with_key(key, item, where, notes), f"{where}, {key!r}"
    elif found and not _may_be_person(found):
        raise InvalidInput(
            f"{where}: it holds neither a person nor a list of people; its keys are "
            f"{', '.join(map(repr, list(found)[:10]))}. Nothing was loaded. Save the list of "
            'people alone, or under the key "people".'
        )
    else:
        yield found, where


def _is_flat(agent: Any) -> bool:
    return isinstance(agent, dict) and not _is_wrapped(agent) and is_row(agent)


def _is_wrapped(data: Json) -> bool:
    return any(isinstance(data.get(key), dict) for key in WRAPPERS[:3])


def _is_person_field(key: str) -> bool:
    said = spelling(key)
    return said != "name" and (said in TOP or said in ALIASES)


def _may_be_person(data: Json) -> bool:
    """Tell whether an object has any field of a person, or texts or names that make one."""
    return _is_wrapped(data) or any(
        _is_person_field(key) or "name" in key.lower() or key.lower().endswith(("persona", "uuid"))
        for key in data
    )


def _looks_like_person(data: Any) -> bool:
    return isinstance(data, dict) and _may_be_person(data)


def _collection_key(data: Json) -> str | None:
    """Return the key that holds the people of a collection, or None for a person."""
    if isinstance(data.get("agent_list"), list):
        return "agent_list"
    if _is_wrapped(data) or data.get("type") in ("TinyPerson", "Fragment"):
        return None
    if any(_is_person_field(key) for key in data if spelling(key) not in _COLLECTIONS):
        return None
    named = any("name" in spelling(key) for key in data)
    holders = [
        key
        for key, value in data.items()
        if _holds_people(value) or (value == [] and not named and spelling(key) in _COLLECTIONS)
    ]
    known = [key for key in holders if spelling(key) in _COLLECTIONS]
    if len(known) == 1:
        return known[0]
    # A person with a name may have a list of others, such as children.
    if len(holders) == 1 and not named and isinstance(data[holders[0]], list):
        return holders[0]
    within = [
        key for key, value in data.items() if isinstance(value, dict) and _collection_key(value)
    ]
    return within[0] if len(within) == 1 and not named else None


def _holds_people(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_looks_like_person(item) for item in value)
    return isinstance(value, dict) and _is_by_id(value)


def _is_by_id(data: Json) -> bool:
    """Tell whether an object holds people by their names or ids."""
    return bool(data) and all(
        _looks_like_person(value) and not _is_known(key) for key, value in data.items()
    )


def _is_known(key: str) -> bool:
    said = spelling(key)
    return said in TOP or said in ALIASES or said in _COLLECTIONS or key in WRAPPERS


def _with_key(key: str, item: Json, where: str, notes: Notes) -> Json:
    """Return a person with the key as the name, if there is no other and it can be one."""
    inner: Json = next((item[w] for w in WRAPPERS[:3] if isinstance(item.get(w), dict)), {})
    named = any("name" in spelling(k) for k in (*item, *inner))
    if named or not any(c.isalpha() for c in key) or any("persona" in k for k in item if not inner):
        return item
    notes.add("There is no name; the key of the person took its place", where)
    return {"name": key.replace("_", " ") if key.islower() else key, **item}


_SPLIT = {"columns", "index", "data"}


def _rows_of_pandas(data: Json) -> list[Any] | None:
    """Return the rows of a data frame that pandas wrote by columns, or split; else None."""
    columns, cells = data.get("columns"), data.get("data")
    if isinstance(columns, list) and isinstance(cells, list) and data.keys() <= _SPLIT:
        rows = [row for row in cells if isinstance(row, list) and len(row) == len(columns)]
        if len(rows) == len(cells):
            return [dict(zip(map(str, columns), row, strict=True)) for row in rows]
    if isinstance(data.get("schema"), dict) and isinstance(cells, list):  # orient="table"
        return [
            {key: value for key, value in row.items() if key != "index"}
            for row in cells
            if isinstance(row, dict)
        ]
    first: Any = next(iter(data.values()), None)
    by_column = (
        isinstance(first, dict)
        and bool(first)
        and all(key.isdecimal() for key in first)
        and all(isinstance(v, dict) and v.keys() == first.keys() for v in data.values())
        and _may_be_person(data)
    )
    if not by_column:
        return None
    return [{column: cell[row] for column, cell in data.items()} for row in first]


# -- text --------------------------------------------------------------------------------------


def _documents(source: Source, notes: Notes) -> Iterator[tuple[Any, str]]:
    """Give the JSON values in a file, each with its place: one, or one on each line."""
    path = str(source.path)
    with source.text() as file:
        if source.guessed:
            notes.add(GUESSED, path)
        if source.suffix in (".jsonl", ".ndjson"):
            lines = numbered_lines(file, source.path)
            first = next(lines, None)
            if first is None or isinstance(_tried(first[1]), dict | int | float):
                yield from _from_lines(chain([first] if first else [], lines), path, notes)
                return
    text = source.document().removeprefix("\ufeff")
    try:
        yield _parsed(text, path, notes), path
        return
    except InvalidInput as error:
        if source.suffix == ".json" and getattr(error.__cause__, "msg", "") != "Extra data":
            raise
    # Not `splitlines`, which also splits within a text.
    rows = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if rows and _tried(rows[0][1]) is None:
        yield from _after_each_other(text, path, rows[0][0], notes)
    else:
        yield from _from_lines(rows, path, notes)


def _from_lines(
    lines: Iterable[tuple[int, str]], path: str, notes: Notes
) -> Iterator[tuple[Any, str]]:
    values = ((_parsed(line, f"{path}, line {n}", notes, line=True), n) for n, line in lines)
    return _edsl_lines(values, path)


def numbered_lines(file: IO[str], path: Path) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank, with their numbers, within the limit of a line."""
    most = settings.limits().line_bytes
    number = 0
    while line := file.readline(most + 1):
        number += 1
        check_size(path, len(line), "line_bytes")
        if line.strip():
            yield number, line


def _edsl_lines(lines: Iterable[tuple[Any, int]], path: str) -> Iterator[tuple[Any, str]]:
    """Give the values of lines without the header that EDSL writes; put one agent together."""
    header: Json | None = None
    fields: list[Any] = []
    for value, number in lines:
        if number == 1 and isinstance(value, dict) and value.get(HEADER):
            header = value
        elif header is not None and header.get("edsl_class_name") == "Agent":
            fields.append(value)
        elif header is not None:
            yield with_codebook({**header, "agent_list": [value]})[0], f"{path}, line {number}"
        else:
            yield value, f"{path}, line {number}"
    if fields:
        yield agent_from_lines(fields), path


def _after_each_other(text: str, path: str, line: int, notes: Notes) -> Iterator[tuple[Any, str]]:
    bounded_json.check_values(text)
    decoder = json.JSONDecoder()
    found: list[Any] = []
    place = 0
    while place < len(text):
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        if place == len(text):
            break
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            # Say what is wrong with the first line, or with the whole of one document.
            lines = text.split("\n")
            whole = not found and len(lines) > line and lines[line - 1].strip() in ("{", "[")
            _parsed(
                text if whole else lines[line - 1], path if whole else f"{path}, line {line}", notes
            )
            raise
        bounded_json.check_depth(value)
        found.append(value)
    if len(found) == 1:
        yield found[0], path
        return
    for number, value in enumerate(found, 1):
        yield value, f"{path}, person {number}"


def _tried(text: str) -> Any:
    try:
        return bounded_json.parse(text)
    except (ValueError, LimitExceeded):
        return None


def _parsed(text: str, where: str, notes: Notes, *, line: bool = False) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> Json:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            notes.add(f"The key {twice!r} occurs twice in one object; the last one was read", where)
        return found

    try:
        # Only small files are edited by hand; the check would slow down large ones.
        hook = unique if len(text) < _BY_HAND and not line else None
        return bounded_json.parse(text, object_pairs_hook=hook)
    except LimitExceeded as error:
        raise FileTooLarge(f"{where}: {error} Nothing was loaded.") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"{where}: not valid JSON ({error.msg}, line {error.lineno}, column {error.colno}). "
            "Nothing was loaded."
        ) from error
    except ValueError as error:
        raise InvalidInput(f"{where}: JSON with a number too long. Nothing was loaded.") from error
