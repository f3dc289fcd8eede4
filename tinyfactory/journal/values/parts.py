"""The parts of a value: the objects in it, and copies of all but these."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tinyfactory.journal.values.serializer import LEAVES, is_journaled_list, with_state


def objects_in(value: Any) -> list[Any]:
    """The objects of registered classes in a value, outermost only, in order."""
    # A stack and not recursion: arguments come here before anything has checked their depth.
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if type(value) in with_state:
            found.append(value)
        elif isinstance(value, (list, tuple, dict)) and id(value) not in seen:
            seen.add(id(value))
            items = list(value.values() if isinstance(value, dict) else value)
            waiting += [item for item in reversed(items) if type(item) not in LEAVES]
    return found


def objects_by_place(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The objects that `objects_in` gives, each with its place: ``people[2]``, ``by['Ana']``.

    Examples
    --------
    >>> list(objects_by_place({"a": [1, 2]}, "people"))
    []
    """
    # As in `objects_in`. A place is a chain of parts, which is joined where there is an object.
    seen: set[int] = set()
    waiting: list[tuple[Any, Any]] = [(value, (None, where))]
    while waiting:
        value, place = waiting.pop()
        if type(value) in with_state:
            yield _joined(place), value
        elif isinstance(value, (list, tuple, dict)) and id(value) not in seen:
            seen.add(id(value))
            items = list(value.items() if isinstance(value, dict) else enumerate(value))
            waiting += [(v, (place, k)) for k, v in reversed(items) if type(v) not in LEAVES]


def _joined(place: Any) -> str:
    parts: list[str] = []
    while place is not None:
        place, part = place
        parts.append(part if place is None else f"[{part!r}]")
    return "".join(reversed(parts))


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """A copy of a value in which only objects (not lists) are the same as before.

    Parameters
    ----------
    memo : dict, optional
        The copies so far by id: given, a list that occurs twice is copied once.

    Examples
    --------
    >>> inner = [1]
    >>> copied((inner, "a"))[0] is inner
    False
    """
    kind = type(value)
    if kind in LEAVES:
        return value
    if kind is not list and kind is not dict and kind is not tuple:
        if not is_journaled_list(value):
            return _copied_otherwise(value)
    elif memo is None:
        if kind is dict:
            return {
                key: item if type(item) in LEAVES else copied(item) for key, item in value.items()
            }
        copies = [item if type(item) in LEAVES else copied(item) for item in value]
        return copies if kind is list else tuple(copies)
    if memo is None:
        return kind([copied(item) for item in value])
    if id(value) not in memo:
        if kind is tuple:
            memo[id(value)] = tuple([copied(item, memo) for item in value])
        elif kind is dict:
            made: dict[Any, Any] = {}
            memo[id(value)] = made
            made.update((key, copied(item, memo)) for key, item in value.items())
        else:
            memo[id(value)] = items = kind()
            items.extend(copied(item, memo) for item in value)
    return memo[id(value)]


def _copied_otherwise(value: Any) -> Any:
    """A copy of a collection that JSON does not have; other values are returned as they are."""
    if not isinstance(value, (list, dict, set, bytearray)):
        return value
    try:
        return copy.deepcopy(value, {id(thing): thing for thing in objects_in(value)})
    except Exception:  # noqa: BLE001 - any object may be in it; it was not copied before either
        return value
