"""Things that bear a unique name within one simulation: people, and what users add."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from tinyfactory.errors import NameTaken
from tinyfactory.journal.locks import new_lock
from tinyfactory.journal.undo import on_rollback


def normalise_name(name: str) -> str:
    """A name as it is compared: without case, accents, and differences of spacing.

    Examples
    --------
    >>> normalise_name("  JOSÉ   Núñez ") == normalise_name("José Nunez")
    True
    """
    # Decompose, drop the combining marks, fold the case; NFKC last joins what is equal.
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return " ".join(unicodedata.normalize("NFKC", bare).casefold().split())


# Stands for a thing whose name stays taken, and which nobody needs to find any more.
_GONE = object()


class Registry:
    """Named things; adding and removing are undone when the transaction around rolls back.

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
        """Register `thing`; raise `NameTaken` when another bears the name already."""
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
        """Take a thing out; nothing happens when it is not there."""
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
        """The thing of that name, or None."""
        found = self._things.get(normalise_name(name))
        return None if found is _GONE else found

    def let_go(self, name: str, thing: Any) -> None:
        """Keep the name taken, and the thing no longer; for more than fit into memory."""
        with self._lock:
            if self._things.get(normalise_name(name)) is thing:
                self._things[normalise_name(name)] = _GONE

    def names(self) -> list[str]:
        """All names that are taken, as they are compared."""
        return list(self._things)

    def clear(self) -> None:
        """Forget all; undone when the transaction around rolls back."""
        with self._lock:
            before, self._things = self._things, {}
        on_rollback(lambda: self._things.update(before))

    def __contains__(self, name: str) -> bool:
        return normalise_name(name) in self._things

    def __iter__(self) -> Iterator[Any]:
        return iter([thing for thing in self._things.values() if thing is not _GONE])

    def __len__(self) -> int:
        return len(self._things)
