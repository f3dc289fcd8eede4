"""Locks that a forked process finds open.

A fork copies a lock as it is, but not the thread that would have opened it: without this,
a child waits for ever for whatever another thread held at that moment.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, TypeVar

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
