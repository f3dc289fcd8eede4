"""What a reader left out, renamed or made up, as sentences for the user."""

from __future__ import annotations

import re
from typing import Any

from tinyfactory.people.schema.foreign_layouts import (
    NAMES,
    WRAPPERS,
    infer,
    may_be_place,
    spelling,
    unwrapped,
)
from tinyfactory.people.schema.layout import ALIASES, TOP, empty
from tinyfactory.utils.characters import restored_everywhere, without_split_escapes
from tinyfactory.utils.logs import get_logger

logger = get_logger("tinyfactory")

Json = dict[str, Any]
_OURS = {"type", "persona", "tinyfactory"}


class Notes:
    """Sentences on a file, each with the number of places where it holds and the first of them.

    Examples
    --------
    >>> notes = Notes()
    >>> notes.add("A name is missing; a number took its place", "row 2")
    >>> notes.add("A name is missing; a number took its place", "row 5")
    >>> notes.lines()
    ['A name is missing; a number took its place (2 times, first at row 2).']
    """

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}

    def add(self, sentence: str, where: str) -> None:
        """Add a sentence without its full stop, and the place where it holds."""
        self._found.setdefault(sentence, [0, where])[0] += 1

    def lines(self) -> list[str]:
        """Return the sentences, in the order of their first places."""
        return [
            f"{sentence} ({f'{count} times, first at ' if count > 1 else ''}{where})."
            for sentence, (count, where) in self._found.items()
        ]

    def log(self) -> None:
        """Write all sentences to the log, as one entry."""
        if self._found:
            logger.warning("Read with changes: %s", " ".join(self.lines()))


_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def with_letters(agent: Any, notes: Notes, where: str) -> Any:
    r"""Return an agent with letters in place of control characters; each change is noted.

    Where the letter is not certain, the replacement character shows that one is missing.

    Examples
    --------
    >>> notes = Notes()
    >>> with_letters({"name": "Jos\x00e9", "city": "Lima\x00"}, notes, "row 1")
    {'name': 'José', 'city': 'Lima�'}
    >>> notes.lines()  # doctest: +ELLIPSIS
    ['A control character stood for a letter, which was restored (row 1).', ...]
    """

    def restore(text: str) -> str:
        # People who are saved have no NUL. Other control characters may be theirs.
        found = without_split_escapes(text) if "\x00" in text else text
        if found != text:
            notes.add("A control character stood for a letter, which was restored", where)
        shown = _NO_TEXT.sub("\ufffd", found)
        if shown != found:
            notes.add("A NUL or half a character was replaced by \ufffd; correct it", where)
        return shown

    return restored_everywhere(agent, restore)


def note_changes(agent: Json, persona: Json, notes: Notes, where: str) -> None:
    """Note which fields of an agent have another name in the person, or were made up."""
    ours = agent.keys() == _OURS
    fields = agent["persona"] if ours and isinstance(agent["persona"], dict) else unwrapped(agent)
    for key in fields.keys() - persona.keys():
        if empty(fields[key]) or key == "type":
            continue
        said = re.sub(r"[\s-]+", "_", key.strip().lower())
        path = said if said in TOP else ALIASES.get(said)
        if path is None and spelling(key) in NAMES:
            path = "name"
        if path is not None:
            if said != path:  # "Age" is no other name than "age"
                notes.add(f"{key!r} was read as {path}", where)
        else:
            notes.add(f"{key!r} was read as another field", where)
    if "name" in persona and not _has(fields, "name"):
        _note_name(fields, persona["name"], notes, where)
    if "residence" in persona and not _has(fields, "residence", "country_of_residence"):
        parts = [key for key, value in fields.items() if may_be_place(key, value)]
        notes.add(f"The residence was put together from {', '.join(parts)}", where)


def _has(fields: Json, *names: str) -> bool:
    # Most have the name as it is; other spellings take a pattern for each key.
    return any(not empty(fields.get(name)) for name in names) or any(
        not empty(value) and re.sub(r"[\s-]+", "_", key.strip().lower()) in names
        for key, value in fields.items()
    )


def _note_name(fields: Json, name: str, notes: Notes, where: str) -> None:
    parts = [key for key in fields if spelling(key) in NAMES and not empty(fields[key])]
    if parts:
        if len(parts) > 1:
            notes.add(f"The name was put together from {', '.join(parts)}", where)
    elif isinstance(fields.get("uuid"), str) and name == f"Persona {fields['uuid'].strip()}":
        notes.add("There is no name; the uuid took its place", where)
    else:
        notes.add("There is no field for the name; it was read from the text on the person", where)


def numbered(agent: Any, number: int, notes: Notes, where: str) -> Any:
    """Return an agent without any name under a number: one of EDSL, or a mere text on a person.

    Others are errors: in a list of people a name was forgotten.

    Examples
    --------
    >>> numbered({"traits": {"age": 34}}, 2, Notes(), "agents.json")
    {'traits': {'age': 34}, 'name': 'Unnamed agent 2'}
    """
    if not isinstance(agent, dict) or not empty(agent.get("name")):
        return agent
    inner = next((key for key in WRAPPERS[:3] if isinstance(agent.get(key), dict)), None)
    if inner is not None and not empty(agent[inner].get("name")):
        return agent
    fields = dict(unwrapped(agent))
    infer(fields)
    if _has(fields, "name"):
        return agent
    if inner == "traits":
        name = f"Unnamed agent {number}"
        # An empty name among the traits would hide the new one.
        traits = {key: value for key, value in agent[inner].items() if key != "name"}
        agent = {**agent, inner: traits}
    elif any(_is_told(key, value) for key, value in fields.items()):
        name = f"Unnamed person {number}"
    else:
        return agent
    notes.add("There is no name; a number took its place", where)
    return {**agent, "name": name}


def _is_told(key: str, value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and key.lower().endswith("persona")
