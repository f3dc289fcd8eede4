"""Where requests run: one event loop of our own, whatever loops the user has, and how to stop.

A connection pool belongs to the loop that it was made on. Notebooks bring a loop of their own,
scripts none, tests a new one each: so requests run on one private loop in a private thread,
and `run` and `arun` carry a coroutine there and its result back.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from tinyfactory.errors import Cancelled, InvalidInput

T = TypeVar("T")

# A cancelled coroutine ends within a tick; this bounds the wait for one that will not end.
_GRACE = 5.0
# A wait without an end cannot be interrupted on Windows; a wait in pieces can, between two.
_PIECE = 0.2


class CancelToken:
    """A switch, shared between threads, that stops what runs under it.

    Hand the same token to the work (``with cancellable(token):``) and to the button.

    Examples
    --------
    >>> token = CancelToken()
    >>> token.cancelled
    False
    >>> token.cancel()
    >>> token.cancelled
    True
    """

    __slots__ = ("_callbacks", "_cancelled", "_lock")

    def __init__(self) -> None:
        # Reentrant: a signal handler may cancel while this very thread registers a callback.
        self._lock = threading.RLock()
        self._cancelled = False
        self._callbacks: dict[object, Callable[[], None]] = {}

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Stop all that runs under this token, now and later. May be called from any thread."""
        with self._lock:
            self._cancelled = True
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if `cancel` was called; for long work between two requests."""
        if self._cancelled:
            raise _stopped()

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, `cancel` also calls `callback`; at once if it was called before."""
        mark = object()
        with self._lock:
            self._callbacks[mark] = callback
            late = self._cancelled
        try:
            if late:
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.pop(mark, None)


# Used where no token is passed to `run` and `arun`.
current_token: ContextVar[CancelToken | None] = ContextVar("tinyfactory_cancel_token", default=None)
token = current_token


@contextmanager
def cancellable(switch: CancelToken) -> Iterator[CancelToken]:
    """Have everything that `run` and `arun` do in the block stop when `switch` is cancelled.

    Raises
    ------
    Cancelled
        Out of the `run` or `arun` that was stopped.
    """
    before = current_token.set(switch)
    try:
        yield switch
    finally:
        current_token.reset(before)


def run(
    function: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    token: CancelToken | None = None,
    **kwargs: Any,
) -> T:
    """Run a coroutine function on the private loop and wait for its result.

    Works whether or not the calling thread has a running loop of its own (a notebook's has).
    An interrupt of the waiting thread cancels the coroutine and is raised when it has ended.

    Parameters
    ----------
    function : callable
        A coroutine function; it sees the context variables of the caller.
    *args, **kwargs
        Arguments of the function.
    token : CancelToken, optional
        Cancelling it cancels the coroutine.

    Raises
    ------
    Cancelled
        When the token was cancelled.
    InvalidInput
        On the private loop itself, where waiting would wait for ever.

    Examples
    --------
    >>> async def double(number):
    ...     return 2 * number
    >>> run(double, 21)
    42
    """
    if _on_private_loop():
        raise InvalidInput(
            "run() was called by a coroutine that already runs on the private loop; nothing was "
            "started. Await the coroutine instead."
        )
    switch = token or current_token.get()
    if switch:
        switch.raise_if_cancelled()
    job: _Job[T] = _Job(lambda: function(*args, **kwargs))
    with switch.calling(job.cancel) if switch else nullcontext():
        try:
            job.start()
            # No signal comes to another thread; hundreds of them need not wake up in between.
            main = threading.current_thread() is threading.main_thread()
            while not job.wait(_PIECE if main else None):
                continue
        except BaseException:
            # An interrupt: what runs there must have rolled back before it is seen here.
            job.cancel()
            job.wait(_GRACE)
            raise
    return job.result(switch)


async def arun(
    function: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    token: CancelToken | None = None,
    **kwargs: Any,
) -> T:
    """`run`, awaited from any event loop; cancelling the await cancels the coroutine there.

    Raises
    ------
    Cancelled
        When the token was cancelled.

    Examples
    --------
    >>> async def double(number):
    ...     return 2 * number
    >>> asyncio.run(arun(double, 21))
    42
    """
    if _on_private_loop():
        return await function(*args, **kwargs)
    switch = token or current_token.get()
    if switch:
        switch.raise_if_cancelled()
    job: _Job[T] = _Job(lambda: function(*args, **kwargs))
    with switch.calling(job.cancel) if switch else nullcontext():
        job.start()
        # `wait` leaves the future alone when this await is cancelled; `wrap_future` alone
        # would report its end before the coroutine there has rolled back.
        ended = asyncio.wrap_future(job.ended)
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.wait([ended], timeout=_GRACE)
            raise
    return job.result(switch)


def kept(key: Hashable, make: Callable[[], T]) -> T:
    """What lives as long as the private loop does, such as a connection pool; made when missed.

    To be called on the private loop, so that no lock is needed.
    """
    belongings = _private_loop().belongings
    if key not in belongings:
        belongings[key] = make()
    made: T = belongings[key]
    return made


class _PrivateLoop:
    """An event loop in a daemon thread of its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.belongings: dict[Hashable, Any] = {}
        thread = threading.Thread(target=self._serve, name="tinyfactory-loop", daemon=True)
        thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


_current: _PrivateLoop | None = None
# By process: a fork may leave the parent's lock held for ever.
_making: dict[int, threading.Lock] = {}


def _private_loop() -> _PrivateLoop:
    """The loop of this process; after a fork a new one, because the thread was not forked."""
    global _current
    mine = _current
    if mine is None or mine.pid != os.getpid():
        with _making.setdefault(os.getpid(), threading.Lock()):
            mine = _current
            if mine is None or mine.pid != os.getpid():
                _current = mine = _PrivateLoop()
    return mine


def _on_private_loop() -> bool:
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:  # no loop runs in this thread
        return False
    return _current is not None and running is _current.loop


class _Job(Generic[T]):
    """One coroutine on the private loop, with an end that any thread can wait for.

    `cancel` may come before, during and after `start`, from any thread.
    """

    def __init__(self, coroutine: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._coroutine = coroutine
        self._loop = _private_loop().loop
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        # Once running it cannot be cancelled from outside: only its task ends it.
        self.ended.set_running_or_notify_cancel()

    def start(self) -> None:
        self._loop.call_soon_threadsafe(self._begin)

    def cancel(self) -> None:
        self._loop.call_soon_threadsafe(self._stop)

    def wait(self, seconds: float | None) -> bool:
        # Not `concurrent.futures.wait`, which takes as long as checking a person does.
        try:
            self.ended.result(seconds)
        except TimeoutError:
            return False
        return True

    def result(self, switch: CancelToken | None) -> T:
        """What the coroutine gave; a result that is there counts, even if it was stopped late."""
        if self._task is None or self._task.cancelled():
            if switch is not None and switch.cancelled:
                raise _stopped() from None
            raise asyncio.CancelledError
        return self._task.result()

    def _begin(self) -> None:
        if self._cancelled:
            self.ended.set_result(None)
            return
        self._task = self._loop.create_task(self._coroutine(), context=self._context)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[T]) -> None:
        # Looked at, so that asyncio does not report it again where nobody waits any more.
        if not task.cancelled():
            task.exception()
        self.ended.set_result(None)

    def _stop(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()


def _stopped() -> Cancelled:
    return Cancelled(
        "The work was stopped on request; the request in flight was given up and what was "
        "finished before is kept. Run it again to go on from there."
    )
