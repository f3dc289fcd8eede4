"""The private event loop on which all requests run, and how to cancel what runs there.

A connection pool belongs to one event loop. Notebooks bring their own loop, scripts none, tests a
new one each: so requests run on one private loop in a thread of its own, and `run` and `arun`
carry a coroutine there and its result back.

Not anyio's BlockingPortal: its futures report a cancellation before the coroutine has rolled back,
and most of this module (a new loop after a fork, tokens, waiting that Ctrl-C can interrupt) would
remain.
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.utils.concurrency import new_lock

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

# Seconds to wait for a cancelled coroutine to end; it should take no time.
_GRACE = 5.0
# The main thread waits in pieces, because Windows cannot interrupt a wait without a timeout.
_PIECE = 0.2


class CancelToken:
    """Cancels the work that it is passed to; threads may share it.

    Pass the same token to the work (``run(..., token=token)``) and to the button that stops it.

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
        # Reentrant: a signal handler may cancel while the same thread registers a callback.
        self._lock = threading.RLock()
        self._cancelled = False
        self._callbacks: dict[object, Callable[[], None]] = {}

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Cancel everything that has this token, now and later. Any thread may call it."""
        with self._lock:
            self._cancelled = True
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if `cancel` was called."""
        if self._cancelled:
            raise _stopped()

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, `cancel` calls `callback`; at once if it was called before."""
        key = object()
        with self._lock:
            self._callbacks[key] = callback
            late = self._cancelled
        try:
            if late:
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.pop(key, None)


def run(
    function: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    token: CancelToken | None = None,
    **kwargs: Any,
) -> T:
    """Run a coroutine function on the private loop and wait for its result.

    It works whether or not the calling thread runs an event loop, as a notebook's does. An
    interrupt (Ctrl-C) cancels the coroutine and is raised when the coroutine has ended.

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
        If the token was cancelled.
    InvalidInput
        If called on the private loop, where it would wait for ever.

    Examples
    --------
    >>> async def double(number):
    ...     return 2 * number
    >>> run(double, 21)
    42
    """
    if _on_private_loop():
        raise InvalidInput(
            "run() was called by a coroutine on the private loop; nothing was started. Await the "
            "coroutine instead."
        )
    if token is not None:
        token.raise_if_cancelled()
    job: _Job[T] = _Job(lambda: function(*args, **kwargs))
    with token.calling(job.cancel) if token is not None else nullcontext():
        try:
            job.start()
            # Only the main thread gets signals; hundreds of others need not wake up for them.
            main = threading.current_thread() is threading.main_thread()
            while not job.wait(_PIECE if main else None):
                continue
        except BaseException:
            # An interrupt: let the coroutine roll back before the caller sees it.
            job.cancel()
            job.wait(_GRACE)
            raise
    return job.result(token)


async def arun(
    function: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    token: CancelToken | None = None,
    **kwargs: Any,
) -> T:
    """Like `run`, but awaited on any event loop; cancelling the await cancels the coroutine.

    On the private loop itself the coroutine is awaited directly.

    Raises
    ------
    Cancelled
        If the token was cancelled.

    Examples
    --------
    >>> import asyncio
    >>> async def double(number):
    ...     return 2 * number
    >>> asyncio.run(arun(double, 21))
    42
    """
    if _on_private_loop():
        return await function(*args, **kwargs)
    if token is not None:
        token.raise_if_cancelled()
    job: _Job[T] = _Job(lambda: function(*args, **kwargs))
    with token.calling(job.cancel) if token is not None else nullcontext():
        job.start()
        import asyncio  # slow to import

        # `wait` does not cancel the future when this await is cancelled; `wrap_future` alone
        # would report the end before the coroutine has rolled back.
        ended = asyncio.wrap_future(job.ended)
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.wait([ended], timeout=_GRACE)
            raise
    return job.result(token)


def loop_local(key: Hashable, make: Callable[[], T]) -> T:
    """An object that lives as long as the private loop, such as a connection pool.

    Call it on the private loop, so that no lock is needed.

    Parameters
    ----------
    key : hashable
    make : callable
        Creates the object if there is none with this key yet.
    """
    objects = _private_loop().objects
    if key not in objects:
        objects[key] = make()
    found: T = objects[key]
    return found


class _PrivateLoop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        import asyncio  # slow to import

        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.objects: dict[Hashable, Any] = {}
        self.thread = threading.Thread(target=self._serve, name="tinyfactory-loop", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        import asyncio  # slow to import

        asyncio.set_event_loop(self.loop)
        while True:
            # asyncio ends the loop if a task raises one of these; `result` raises it instead.
            with suppress(KeyboardInterrupt, SystemExit):
                self.loop.run_forever()


_current: _PrivateLoop | None = None
_lock = new_lock()


def _private_loop() -> _PrivateLoop:
    """The loop of this process; a new one after a fork, which does not copy threads."""
    global _current
    current = _current
    if current is None or current.pid != os.getpid():
        with _lock:
            current = _current
            if current is None or current.pid != os.getpid():
                _current = current = _PrivateLoop()
    return current


def _on_private_loop() -> bool:
    return _current is not None and threading.current_thread() is _current.thread


class _Job(Generic[T]):
    """One coroutine on the private loop; any thread can wait for its end.

    `cancel` may be called before, during and after `start`, from any thread.
    """

    def __init__(self, coroutine: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._coroutine = coroutine
        self._loop = _private_loop().loop
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        # A running future cannot be cancelled: only the end of the task ends it.
        self.ended.set_running_or_notify_cancel()

    def start(self) -> None:
        self._loop.call_soon_threadsafe(self._begin)

    def cancel(self) -> None:
        self._loop.call_soon_threadsafe(self._stop)

    def wait(self, seconds: float | None) -> bool:
        # Not `concurrent.futures.wait`, which is slower than checking a person.
        try:
            self.ended.result(seconds)
        except TimeoutError:
            return False
        return True

    def result(self, token: CancelToken | None) -> T:
        """The coroutine's result, even if it was cancelled after it had ended."""
        if self._task is None or self._task.cancelled():
            if token is not None and token.cancelled:
                raise _stopped() from None
            import asyncio  # slow to import

            raise asyncio.CancelledError
        return self._task.result()

    def _begin(self) -> None:
        if self._cancelled:
            self.ended.set_result(None)
            return
        self._task = self._loop.create_task(self._coroutine(), context=self._context)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[T]) -> None:
        # Retrieved, so that asyncio does not log it if nobody waits any more.
        if not task.cancelled():
            task.exception()
        self.ended.set_result(None)

    def _stop(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()


def _stopped() -> Cancelled:
    return Cancelled(
        "The work was stopped on request. The request in flight was cancelled, and finished work "
        "is saved. Run it again to continue."
    )
