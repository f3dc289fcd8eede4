"""Find misspelt names of fields in what a user writes.

Users may add fields of their own, so an unknown name is refused only if it is nearly that of a
known field: the first letter is right, and one letter is wrong, missing, added or swapped with the
next. Two letters may be wrong in names of eight letters or more, if the last one is right too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.schema.big_five import SPELLINGS, TRAITS
from tinyfactory.people.schema.foreign_layouts import NAMES, PLACES, spelling
from tinyfactory.people.schema.layout import ALIASES, LISTS, PART_ALIASES, PARTS, TEXTS, TOP

_PATHS = (*TEXTS, *LISTS, *PARTS)
# Names that a user may nearly write, by the object that holds the field.
_BY_PART = {
    "": {*TOP, *ALIASES, "city", "country", "location", "citizenship"},
    **{
        part: {
            *(path.rpartition(".")[2] for path in _PATHS if path.rpartition(".")[0] == part),
            *PART_ALIASES.get(part, ()),
            *((*TRAITS, *SPELLINGS) if part.startswith("personality") else ()),
        }
        for part in PARTS
    },
}
# The names with one value for each person, which a table of a population may have.
OF_TABLES = frozenset(
    "age sex gender nationality citizenship residence education education_level occupation "
    "profession job job_title country city".split()
)
FIELDS = frozenset(_BY_PART[""])
# Other words that mean something here, or are often a field of the user's own.
_OTHERS = (
    NAMES | PLACES | {"also", "healthy", "hobby", "interest", "relationship", "residency", "type"}
)
_LONG = 8


def nearest(path: str, own: Iterable[str] = (), known: Iterable[str] | None = None) -> str | None:
    """Return the known field that a name or dotted path nearly is; None if it is one, or none.

    Parameters
    ----------
    path : str
    own : iterable of str
        Other names that are right.
    known : iterable of str, optional
        The names at the top level that it may nearly be; by default those of a person.

    Examples
    --------
    >>> nearest("agee"), nearest("occupation.titel"), nearest("clearance"), nearest("wage")
    ('age', 'occupation.title', None, None)
    """
    own = set(own)
    if path in own:
        return None
    part, steps = "", path.split(".")
    for number, step in enumerate(steps):
        names = _BY_PART.get(part)
        if names is None:
            return None
        said = spelling(step)
        if part == "" and said in own | _OTHERS:
            return None
        if said not in names:
            if said[-1:].isdigit():  # "name2" is a second one
                return None
            among = known or names if part == "" else names
            near = [name for name in sorted(among) if _is_near(said, name)]
            found = min(near, key=lambda name: _slips(said, name), default=None)
            return found and ".".join([*steps[:number], found, *steps[number + 1 :]])
        if part == "":
            part = ALIASES.get(said, said)
        else:
            part = f"{part}.{PART_ALIASES.get(part, {}).get(said, said)}"
    return None


def check_names(
    fields: Mapping[str, Any], own: Iterable[str] = (), known: Iterable[str] | None = None
) -> None:
    """Refuse a misspelt field, also within objects.

    Raises
    ------
    InvalidInput
        With the nearest known field. Nothing was sent or changed.

    Examples
    --------
    >>> check_names({"age": 34, "clearance": "secret"})
    >>> check_names({"personality": {"big_five": {"openes": 70}}})
    ... # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tinyfactory.errors.InvalidInput: There is no field 'personality.big_five.openes'; did you ...
    """
    for path in _paths(fields):
        if near := nearest(path, own, known):
            raise InvalidInput(
                f"There is no field {path!r}; did you mean {near!r}? Nothing was sent or changed. "
                "To have a field of your own, give it a name that is less like it, such as "
                f"'my_{path.rpartition('.')[2]}'."
            )


def _paths(fields: Mapping[str, Any]) -> Iterator[str]:
    for key, value in fields.items():
        if isinstance(key, str):
            yield key
            if isinstance(value, Mapping):
                yield from (f"{key}.{inner}" for inner in _paths(value))


def _is_near(said: str, name: str) -> bool:
    """Tell whether a name is a known one with a slip of the keyboard.

    Examples
    --------
    >>> _is_near("gae", "age"), _is_near("ocupasion", "occupation"), _is_near("ace", "age")
    (True, True, False)
    """
    if sorted(said) == sorted(name) and len(said) < 4:
        return True
    if said[:1] != name[:1] or (len(name) < 4 and len(said) == len(name)):
        return False  # "wage" is no slip of "age", nor is "ace"
    slips = _slips(said, name)
    return slips == 1 or (slips == 2 and len(name) >= _LONG and said[-1] == name[-1])


def _slips(one: str, other: str) -> int:
    """Count the letters to add, remove, change, or swap with the next."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, wanted in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]
