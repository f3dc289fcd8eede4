"""Locks that a forked process finds open.

A fork copies a lock as it is, but not the thread that would have opened it: without this,
a child waits for ever for whatever another thread held at that moment.
"""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Generic, Self, TypeVar

Lock = TypeVar("Lock")
_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def open_after_fork(lock: Lock) -> Lock:
    """Have a lock (of `threading.Lock` or `RLock`) be open in a forked process.

    Examples
    --------
    >>> lock = open_after_fork(threading.Lock())
    >>> lock.locked()
    False
    """
    _locks.add(lock)
    return lock


def new_lock() -> Any:
    """A lock that a forked process finds open."""
    return open_after_fork(threading.Lock())


def _open_all() -> None:
    for lock in _locks:
        lock._at_fork_reinit()  # noqa: SLF001 - what Python's own modules call after a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)


# The block that holds back now; of the main thread alone, so it needs no lock.
_holding: deferred_interrupts | None = None


class deferred_interrupts:  # noqa: N801 - reads as the statement that it makes
    """Hold back Ctrl-C until the block has ended, then raise it.

    Only the main thread gets interrupts; in any other this does nothing. For short
    blocks; what waits for a model or a person goes into a block of `allowed` within.

    A class and not a generator: an interrupt between the two halves of a generator would
    leave its second half for the garbage collector.

    Examples
    --------
    >>> with deferred_interrupts() as interrupts:
    ...     with interrupts.allowed():
    ...         pass  # here Ctrl-C is raised, also one that came before
    """

    def __init__(self) -> None:
        self._before: Any = None
        self._pending: list[tuple[int, FrameType | None]] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._hold_back()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._let_through()

    def allowed(self) -> _Allowed:
        """A block within in which Ctrl-C is raised at once."""
        return _Allowed(self)

    def check(self) -> None:
        """Raise an interrupt that came meanwhile."""
        with self.allowed():
            pass

    def _hold_back(self) -> None:
        global _holding
        if _holding is not None:
            return  # held back already, by a block around this one
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):  # else ignored, left to the system, or set from C
            self._before = handler
            _holding = self
            signal.signal(signal.SIGINT, self._note)

    def _let_through(self) -> None:
        global _holding
        handler, self._before = self._before, None
        if handler is None:
            return
        _holding = None
        signal.signal(signal.SIGINT, handler)
        if self._pending:
            first = self._pending[0]
            self._pending.clear()
            handler(*first)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._pending.append((number, frame))


class _Allowed:
    def __init__(self, deferral: deferred_interrupts) -> None:
        self._deferral = deferral
        self._was_held = False

    def __enter__(self) -> None:
        self._was_held = self._deferral._before is not None  # noqa: SLF001 - one idea, two blocks
        self._deferral._let_through()  # noqa: SLF001

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._was_held:
            # Not the handler of before: the block may have set another one.
            self._deferral._hold_back()  # noqa: SLF001


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
