"""Locks of objects: who holds them and until when, in which order, and which deadlocks are found.

Who and until when
    A call locks the objects that it may change: all that it copies at its start, those that it
    stages changes of when it commits, and those that join it on the way. It holds them until the
    *outermost* call ends: an inner call that has ended hands its locks up to the call around it,
    because its changes can still be rolled back. A call that was rolled back, and the outermost
    one, release theirs, after the objects were restored. A method that declares ``touches=()``
    holds its object only while its event is looked up and while it commits, so several of its
    calls run at the same time.
Within a call
    An inner call may lock what a call around it holds. Two inner calls beside each other (in
    tasks, or in threads that were started with the context of the outer call) may not: the second
    waits until the first has ended.
In which order
    Those who wait for an object get it in the order in which they asked for it, so asyncio tasks
    get it in the order of their creation.
Which deadlocks are found
    The calls that wait form a graph: a call waits until another one ends, and that one does not
    end while a call within it waits, or while the thread or event loop that runs it is blocked by
    a call that waits. The call that would close a cycle raises `Deadlock` at once. No graph shows
    that a call waits for a pool of threads which wait for it. So nobody waits longer than
    `lock_timeout` (a setting) without progress of the holder: an inner call that begins or ends, a
    reply that arrives, a request in flight.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinyfactory import settings
from tinyfactory.errors import Deadlock, ObjectLocked
from tinyfactory.utils.concurrency import Aside, deferred_interrupts, open_after_fork, running_loop
from tinyfactory.utils.text import cut

# Guards all locks and the graph. Reentrant: a signal handler may make a call while its own thread
# is in here.
_mutex = open_after_fork(threading.RLock())
_waiters: set[_Waiter] = set()
_locks: Aside[ObjectLock] = Aside()
# The longest time between two looks at the holder's progress.
_LOOK = 1.0


def lock_of(thing: Any) -> ObjectLock:
    """The lock of an object.

    Examples
    --------
    >>> class Thing: ...
    >>> lock_of(Thing()).locked()
    False
    """
    lock = _locks.get(thing)
    return _locks.of(thing, ObjectLock) if lock is None else lock


class ObjectLock:
    """The lock of one object.

    Attributes
    ----------
    holders : list of Locks
        The calls that hold it, the innermost last: each is within the one before it.
    since : float
        When it was locked or released last.
    """

    __slots__ = ("holders", "queue", "since")

    def __init__(self) -> None:
        self.holders: list[Locks] = []
        self.queue: deque[_Waiter] = deque()
        self.since = 0.0

    def locked(self) -> bool:
        """Whether a call holds it."""
        return bool(self.holders)

    def open_to(self, locks: Locks) -> bool:
        """Whether a call may have it now: nobody else holds it but calls around that one."""
        return not self.holders or self.holders[-1] in locks.chain()

    def give_to_next(self) -> None:
        """Give the lock to the first of those who wait that may have it."""
        if not self.queue:
            return
        self.since = time.monotonic()
        for waiter in self.queue:
            if self.open_to(waiter.locks):
                self.queue.remove(waiter)
                waiter.locks.take(waiter.thing, self)
                waiter.end()
                return


class _Waiter:
    """A call that waits for the lock of an object.

    Attributes
    ----------
    blocked_loop : event loop or None
        The event loop that cannot run meanwhile, because its thread waits here.
    """

    __slots__ = ("blocked_loop", "granted", "lock", "locks", "since", "thing", "thread", "wake")

    def __init__(self, locks: Locks, thing: Any, lock: ObjectLock, loop: Any) -> None:
        self.locks = locks
        self.thing = thing
        self.lock = lock
        self.since = time.monotonic()
        self.granted = False
        # A call that awaits the lock blocks neither its thread nor its loop.
        self.thread = None if loop is not None else threading.get_ident()
        self.blocked_loop = running_loop() if loop is None else None
        self.wake: Callable[[], object] = lambda: None

    def end(self) -> None:
        """Wake the call up: it has the lock."""
        self.granted = True
        _waiters.discard(self)
        self.wake()

    def withdraw(self) -> None:
        """Stop waiting."""
        if not self.granted:
            _waiters.discard(self)
            self.lock.queue.remove(self)

    def blocks(self, call: Locks) -> bool:
        """Whether a call cannot end while this one waits."""
        if call in self.locks.chain():
            return True
        if call.loop is not None:
            return call.loop is self.blocked_loop
        return call.thread is not None and call.thread == self.thread

    def awaited(self) -> Locks:
        """The call that must end before this one can have the lock."""
        around = set(map(id, self.locks.chain()))
        call = self.lock.holders[-1]
        while call.outer is not None and id(call.outer) not in around:
            call = call.outer
        return call


class Locks:
    """The objects that one call has locked.

    Parameters
    ----------
    outer : Locks, optional
        Those of the call around it.
    call : Call
        The call, whose method and class are named in messages.

    Attributes
    ----------
    loop : event loop or None
        The loop that runs the call, if it is a coroutine.
    thread : int or None
        The thread that runs the call, if it is not.
    """

    __slots__ = (
        "_call", "_pid", "_root", "_waiter", "ended", "held", "in_flight", "loop", "outer",
        "progress", "thread",
    )  # fmt: skip

    def __init__(self, outer: Locks | None, call: Any) -> None:
        self.outer = outer
        self._call = call
        self._root = None if outer is None else outer.root
        self.held: dict[int, tuple[Any, ObjectLock]] = {}
        self.loop: Any = None
        self.thread: int | None = None
        self.in_flight = 0
        self.ended = False
        self.progress = 0.0
        self._waiter: _Waiter | None = None
        self._pid = os.getpid()
        if outer is not None:
            self.root.progress = time.monotonic()

    @property
    def root(self) -> Locks:
        """Those of the outermost call."""
        return self if self._root is None else self._root

    @property
    def title(self) -> str:
        """The call in messages, such as ``Shop.sell``."""
        return f"{self._call.class_name.rpartition('.')[2]}.{self._call.method.name}"

    def __str__(self) -> str:
        return self.title

    def chain(self) -> Iterator[Locks]:
        """The call and those around it, from the inside."""
        call: Locks | None = self
        while call is not None:
            yield call
            call = call.outer

    def has(self, thing: Any) -> bool:
        """Whether this call or one around it has locked an object."""
        return any(id(thing) in call.held for call in self.chain())

    # -- locking ------------------------------------------------------------------------

    def take(self, thing: Any, lock: ObjectLock) -> None:
        """Take a lock that is open to this call."""
        lock.holders.append(self)
        self.held[id(thing)] = (thing, lock)

    def try_lock(self, things: Sequence[Any], seconds: float) -> bool:
        """Lock objects; False after so many seconds, and then call it again with the same.

        Raises
        ------
        Deadlock
            If this call would wait for ever. Another call may go on when this one has ended.
        ObjectLocked
            After `lock_timeout` without progress of the holder.
        """
        for thing in _in_order(things):  # noqa: SIM110 - a generator would take longer
            if not self._try(thing, seconds):
                return False
        return True

    def _try(self, thing: Any, seconds: float) -> bool:
        waiter = self._waiter
        if waiter is None:
            waiter = self._ask(thing, None)
            if waiter is None:
                return True
        signal = threading.Lock()
        signal.acquire()
        with _mutex:
            if not waiter.granted:
                waiter.wake = signal.release
        if not waiter.granted and not signal.acquire(timeout=max(0.0, min(seconds, _LOOK))):
            with _mutex:
                waiter.wake = lambda: None
                if not waiter.granted:
                    self._check_progress(waiter)
                    return False
        self._waiter = None
        return True

    async def lock_async(self, things: Sequence[Any]) -> None:
        """Lock objects, and let the event loop run while waiting; raises as `try_lock`."""
        for thing in _in_order(things):
            if id(thing) in self.held:
                continue
            with deferred_interrupts():
                waiter = self._ask(thing, self.loop)
            if waiter is not None:
                await self._granted(waiter)
                self._waiter = None

    async def _granted(self, waiter: _Waiter) -> None:
        import asyncio  # slow to import

        loop = asyncio.get_running_loop()
        ready = asyncio.Event()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(ready.set)
            except RuntimeError:  # the loop was closed with this task in it
                self.release()

        waiter.wake = wake
        while not waiter.granted:
            try:
                await asyncio.wait_for(ready.wait(), _LOOK)
            except TimeoutError:
                with _mutex:
                    if not waiter.granted:
                        self._check_progress(waiter)

    def _ask(self, thing: Any, loop: Any) -> _Waiter | None:
        """Take the lock of an object, or queue for it."""
        with _mutex:
            if id(thing) in self.held:
                return None
            lock = lock_of(thing)
            if not lock.queue if not lock.holders else lock.open_to(self):
                self.take(thing, lock)
                return None
            waiter = _Waiter(self, thing, lock, loop)
            self._check_cycle(waiter)
            _waiters.add(waiter)
            lock.queue.append(waiter)
            self._waiter = waiter
            if not lock.holders:
                lock.give_to_next()
            return waiter

    # -- releasing ----------------------------------------------------------------------

    def release_one(self, thing: Any) -> None:
        """Release one object that this call has locked and not changed."""
        with _mutex:
            found = self.held.pop(id(thing), None)
            if found is not None:
                found[1].holders.remove(self)
                found[1].give_to_next()

    def release(self, *, hand_up: bool = False) -> None:
        """Release all objects, or hand them up to the call around this one."""
        self.ended = True
        if not self.held and self._waiter is None:
            return
        with _mutex:
            outer = self.outer if hand_up else None
            while outer is not None and outer.ended:  # it did not wait for this call
                outer = outer.outer
            waiter, self._waiter = self._waiter, None
            if waiter is not None and self._pid == os.getpid():
                waiter.withdraw()
            held, self.held = self.held, {}
            if self._pid != os.getpid():
                return  # in a forked child all locks are new
            for number, (thing, lock) in held.items():
                place = lock.holders.index(self)
                if outer is None or number in outer.held:
                    del lock.holders[place]
                else:
                    lock.holders[place] = outer
                    outer.held[number] = (thing, lock)
                lock.give_to_next()
        if self._root is not None:
            self._root.progress = time.monotonic()

    @contextmanager
    def waiting_for_model(self) -> Iterator[None]:
        """During the block a request is in flight, which counts as progress."""
        root = self.root
        with _mutex:
            root.in_flight += 1
        try:
            yield
        finally:
            with _mutex:
                root.in_flight -= 1
                root.progress = time.monotonic()

    # -- the graph ----------------------------------------------------------------------

    def _check_cycle(self, waiter: _Waiter) -> None:
        """Raise `Deadlock` if the lock could only be given to this call after its own end."""
        if not waiter.lock.holders:
            return
        holder = waiter.awaited()
        for call in _reached(holder):
            if waiter.blocks(call):
                raise Deadlock(_cycle_words(waiter, holder))

    def _check_progress(self, waiter: _Waiter) -> None:
        """Raise `ObjectLocked` if those who are waited for made no progress for too long."""
        limit = float(settings.get("lock_timeout"))
        now = time.monotonic()
        latest = max(waiter.since, waiter.lock.since)
        if now - latest < limit or not waiter.lock.holders:
            return
        holder = waiter.awaited()
        for call in _reached(holder):
            latest = max(latest, now if call.root.in_flight else call.root.progress)
        if now - latest >= limit:
            mine, other, thing = self.title, holder.title, name_of(waiter.thing)
            raise ObjectLocked(
                f"{mine} waits for {thing}, which {other} has locked until it ends. {other} made "
                f"no progress for {limit:g} s, so {mine} was stopped and changed nothing. If "
                f"{other} itself waits for this call, as for a pool of threads, start the threads "
                "within it with its context: pool.submit(contextvars.copy_context().run, ...). "
                "If it only takes long, raise the limit: tinyfactory.configure(lock_timeout=...)."
            )


def _reached(first: Locks) -> list[Locks]:
    """A call, and all calls that must end before it can."""
    found: list[Locks] = []
    rest = [first]
    while rest:
        call = rest.pop()
        if any(call is other for other in found):
            continue
        found.append(call)
        rest += [w.awaited() for w in _waiters if w.lock.holders and w.blocks(call)]
    return found


def _in_order(things: Sequence[Any]) -> Sequence[Any]:
    """Always in the same order: two calls that lock the same objects do not meet half way."""
    return things if len(things) < 2 else sorted(things, key=id)


def name_of(thing: Any) -> str:
    """An object in a message: its class and its name.

    Examples
    --------
    >>> from tinyfactory import TinyPerson
    >>> name_of(TinyPerson("Ana", register=False))
    "TinyPerson 'Ana'"
    """
    if isinstance(thing, type):
        return thing.__name__
    name = getattr(thing, "name", None)
    kind = type(thing).__name__
    return f"{kind} {cut(name, 60)!r}" if isinstance(name, str) else f"a {kind}"


def _cycle_words(waiter: _Waiter, holder: Locks) -> str:
    mine, other = waiter.locks.title, holder.title
    beginning = f"{mine} needs {name_of(waiter.thing)}, which {other} has locked until it ends"
    if waiter.blocked_loop is not None and holder.loop is waiter.blocked_loop:
        return (
            f"{beginning}. {other} is a coroutine of this thread's event loop, which cannot run "
            f"while {mine} waits. {mine} was not run. Await {other} first, or call {mine} in "
            "another thread: await asyncio.to_thread(...)."
        )
    others = [
        f"{other.locks.title} waits for {name_of(other.thing)}"
        for other in _waiters
        if other.lock.holders and any(other.blocks(call) for call in _reached(holder))
    ]
    why = f", and {'; '.join(others[:3])}" if others else ""
    return (
        f"{beginning}{why}. They would wait for each other for ever, so {mine} was stopped and "
        "rolled back. The other call goes on when the calls around this one have ended, too. Make "
        "the outermost call again, and change objects in the same order everywhere."
    )


def _forget_all() -> None:
    """In a forked child no lock is held: the threads that held them do not exist there."""
    global _locks
    _locks = Aside()
    _waiters.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
