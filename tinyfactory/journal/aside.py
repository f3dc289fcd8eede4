"""What the journal remembers of objects, kept aside so that they stay as they are.

An attribute would be copied with the object and would keep it from being pickled; a weak
dictionary would ask that it has a hash. So: by identity, dropped when the object goes.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tinyfactory.journal.locks import new_lock, open_after_fork

Value = TypeVar("Value")


class Aside(Generic[Value]):
    """Values by object.

    Examples
    --------
    >>> class Thing: ...
    >>> thing, notes = Thing(), Aside()
    >>> notes.of(thing, list) is notes.of(thing, list)
    True
    """

    def __init__(self) -> None:
        self._values: dict[int, tuple[weakref.ref[Any], Value]] = {}
        self._lock = open_after_fork(threading.RLock())

    def get(self, thing: Any) -> Value | None:
        """The value of an object, or None."""
        entry = self._values.get(id(thing))
        return entry[1] if entry is not None and entry[0]() is thing else None

    def put(self, thing: Any, value: Value) -> Value:
        """Remember a value for as long as the object lives."""
        number = id(thing)

        def drop(ref: weakref.ref[Any]) -> None:
            entry = self._values.get(number)
            if entry is not None and entry[0] is ref:
                del self._values[number]

        self._values[number] = (weakref.ref(thing, drop), value)
        return value

    def of(self, thing: Any, make: Callable[[], Value]) -> Value:
        """The value of an object, made at the first asking."""
        with self._lock:
            value = self.get(thing)
            return value if value is not None else self.put(thing, make())


locks: Aside[Any] = Aside()


def lock_of(thing: Any) -> Any:
    """The lock of an object: held by a call that copies and may restore it."""
    return locks.of(thing, new_lock)
