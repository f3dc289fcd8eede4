"""Locks that a forked process finds open, interrupts that wait, and values beside objects.

A fork copies a lock as it is, but not the thread that holds it: without `open_after_fork`, a
child waits for ever for a lock that another thread held at that moment.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
import weakref

# The functions below `signal.signal` and `signal.getsignal`, which convert every handler to an
# enum and back: most of the time of a replay would go there.
from _signal import getsignal  # type: ignore[import-not-found]
from _signal import signal as set_handler
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Lock = TypeVar("Lock")
Value = TypeVar("Value")
# Seconds between two looks for an interrupt.
_PIECE = 0.1
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
        lock._at_fork_reinit()  # noqa: SLF001 - Python's own modules call it after a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)


def running_loop() -> Any:
    """The event loop of this thread, or None.

    It does not import asyncio, which is slow to import: without it there is no loop.
    """
    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()  # noqa: SLF001 - documented


_SIGINT = int(signal.SIGINT)
# The block that defers interrupts now. Only the main thread sets it, so it needs no lock.
_deferring: deferred_interrupts | None = None


class deferred_interrupts:  # noqa: N801 - used like a statement
    """Defer Ctrl-C until the block has ended, then raise it.

    Only the main thread gets interrupts; in other threads this does nothing. It is for short
    blocks; waiting for a model or a person belongs into a block of `allowed` within.

    A class and not a generator: an interrupt between the two halves of a generator would
    leave its second half to the garbage collector.

    Examples
    --------
    >>> with deferred_interrupts() as interrupts:
    ...     with interrupts.allowed():
    ...         pass  # here Ctrl-C is raised, also one that was deferred
    """

    _before: Any = None
    _pending: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> Self:
        if _deferring is None and threading.current_thread() is threading.main_thread():
            self._defer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._before is not None:
            self._let_through()

    def allowed(self) -> _Allowed:
        """A block within in which Ctrl-C is raised at once."""
        return _Allowed(self)

    @property
    def pending(self) -> bool:
        """Whether an interrupt was deferred."""
        return self._pending is not None

    def check(self) -> None:
        """Raise an interrupt that was deferred."""
        if self._pending is not None:
            with self.allowed():
                pass

    def _defer(self) -> None:
        global _deferring
        if _deferring is not None:
            return  # a block around this one already does
        handler = getsignal(_SIGINT)
        if callable(handler):  # else ignored, left to the system, or set from C
            self._before = handler
            _deferring = self
            set_handler(_SIGINT, self._note)

    def _let_through(self) -> None:
        global _deferring
        handler, self._before = self._before, None
        _deferring = None
        set_handler(_SIGINT, handler)
        if self._pending is not None:
            pending, self._pending = self._pending, None
            handler(*pending)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._pending is None:
            self._pending = (number, frame)


def check_interrupt() -> None:
    """Raise a Ctrl-C that a block around defers; for waiting that may take long."""
    if _deferring is not None and threading.current_thread() is threading.main_thread():
        _deferring.check()


def result_of(
    future: Future[Value], grace: float = 0.0, stopped: Callable[[], bool] | None = None
) -> Value | None:
    """The result of a future, also where Ctrl-C is deferred: it is raised while waiting.

    Parameters
    ----------
    future : Future
    grace : float
        Seconds to wait for the result after Ctrl-C, or after `stopped`.
    stopped : callable, optional
        Whether to stop waiting; the result is None then.
    """
    main = _deferring is not None and threading.current_thread() is threading.main_thread()
    if not main and stopped is None:
        return future.result()
    until = math.inf
    while True:
        try:
            return future.result(_PIECE)
        except TimeoutError:
            if future.done():
                return future.result()
        ended = stopped is not None and stopped()
        if not ended and not (main and _deferring is not None and _deferring.pending):
            until = math.inf
        elif until == math.inf:
            until = time.monotonic() + grace
        if time.monotonic() >= until:
            check_interrupt()  # a handler of the user may swallow it
            if ended:
                return None


class _Allowed:
    __slots__ = ("_deferral", "_was_deferring")

    def __init__(self, deferral: deferred_interrupts) -> None:
        self._deferral = deferral
        self._was_deferring = False

    def __enter__(self) -> None:
        self._was_deferring = self._deferral._before is not None  # noqa: SLF001 - one idea in two
        if self._was_deferring:
            self._deferral._let_through()  # noqa: SLF001

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._was_deferring:
            # Not the handler of before: the block may have set another one.
            self._deferral._defer()  # noqa: SLF001


class Aside(Generic[Value]):
    """Values by the identity of an object, kept as long as the object lives.

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
        """The value of an object; made by `make` when it has none yet."""
        with self._lock:
            value = self.get(thing)
            return value if value is not None else self.put(thing, make())
