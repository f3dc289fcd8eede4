"""Names that are unique among the objects of one kind in a simulation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinyfactory.errors import NameTaken
from tinyfactory.journal.scopes.context import on_rollback
from tinyfactory.utils.concurrency import new_lock
from tinyfactory.utils.text import normalise_name

# Marks a name that stays taken although its object is no longer in memory.
_GONE = object()


class Registry:
    """Objects by name; adding and removing are undone if the transaction rolls back.

    Examples
    --------
    >>> people = Registry("person")
    >>> people.add("José", 1)
    >>> "jose" in people
    True
    >>> people.add("JOSE", 2)
    Traceback (most recent call last):
        ...
    tinyfactory.errors.NameTaken: There is already a person named 'JOSE' here ...
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, Any] = {}
        self._lock = new_lock()

    def add(self, name: str, thing: Any) -> None:
        """Register `thing`; raise `NameTaken` if another object has the name."""
        key = normalise_name(name)
        with self._lock:
            holder = self._things.setdefault(key, thing)
        if holder is thing:
            on_rollback(lambda: self._remove(key, thing))
            return
        raise NameTaken(
            f"There is already a {self.kind} named {name!r} here (names are compared without case, "
            "accents and spacing). Nothing was changed. Choose another name, or clear the "
            f"registry first."
        )

    def remove(self, name: str) -> None:
        """Remove an object; does nothing if there is none of that name."""
        key = normalise_name(name)
        with self._lock:
            thing = self._things.pop(key, None)
        if thing is not None:
            on_rollback(lambda: self._things.setdefault(key, thing))

    def _remove(self, key: str, thing: Any) -> None:
        with self._lock:
            if self._things.get(key) is thing:
                del self._things[key]

    def get(self, name: str) -> Any | None:
        """The object of that name, or None."""
        found = self._things.get(normalise_name(name))
        return None if found is _GONE else found

    def let_go(self, name: str, thing: Any) -> None:
        """Drop the object but keep its name taken; for more people than fit into memory."""
        with self._lock:
            if self._things.get(normalise_name(name)) is thing:
                self._things[normalise_name(name)] = _GONE

    def names(self) -> list[str]:
        """All names that are taken, normalised."""
        return list(self._things)

    def clear(self) -> None:
        """Remove everything; undone if the transaction rolls back."""
        with self._lock:
            before, self._things = self._things, {}
        on_rollback(lambda: self._things.update(before))

    def __contains__(self, name: str) -> bool:
        return normalise_name(name) in self._things

    def __iter__(self) -> Iterator[Any]:
        return iter([thing for thing in self._things.values() if thing is not _GONE])

    def __len__(self) -> int:
        return len(self._things)
