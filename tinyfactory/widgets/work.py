"""`Work`: one call to a model in a thread of its own, which can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tinyfactory.generation.pipeline import cancellable
from tinyfactory.models.event_loop import CancelToken
from tinyfactory.widgets.later import in_foreground

# Seconds between two looks at the clock; a call to a model takes some of them.
TICK = 0.5


class Work:
    """Runs `do` in a thread, so that the kernel stays usable, and tells how it ended.

    The one who waits is told every half second how long it takes, then once what came of it.
    All three are called from threads that belong to the work. Where nothing that comes from a
    thread is shown, the work is done by the one who starts it, who is told how it ended.

    Parameters
    ----------
    do : callable
        The work; every model call in it stops when the work is cancelled.
    done : callable
        Given what `do` returned.
    failed : callable
        Given what `do` raised; `Cancelled` when it was stopped.
    waiting : callable, optional
        Given the seconds since the start.

    Examples
    --------
    >>> said = []
    >>> Work(lambda: "an answer", said.append, said.append).start().wait()
    >>> said
    ['an answer']
    """

    def __init__(
        self,
        do: Callable[[], Any],
        done: Callable[[Any], object],
        failed: Callable[[BaseException], object],
        waiting: Callable[[float], object] | None = None,
    ) -> None:
        self._do, self._done, self._failed = do, done, failed
        self._waiting = waiting
        self._token = CancelToken()
        self._ended = threading.Event()
        self._told = threading.Event()
        self._telling = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name="tinyfactory-work", daemon=True),
            threading.Thread(target=self._tell, name="tinyfactory-work-clock", daemon=True),
        ]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    def start(self) -> Work:
        """Begin, and return at once; in the foreground when it has ended."""
        if in_foreground():
            self._run()
            return self
        for thread in self._threads if self._waiting is not None else self._threads[:1]:
            thread.start()
        return self

    def cancel(self) -> None:
        """Stop it; what it changed is undone."""
        self._token.cancel()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it was told what came of it; the kernel's interrupt stops the work."""
        # Not the thread's own join: one that was interrupted takes the thread for ended.
        try:
            self._told.wait(timeout)
        except KeyboardInterrupt:
            self.cancel()
            self._told.wait()
            raise

    def _run(self) -> None:
        try:
            try:
                with cancellable(self._token):
                    result = self._do()
            except BaseException as error:  # noqa: BLE001 - it is told; nobody else would see it
                self._end()
                self._failed(error)
            else:
                self._end()
                self._done(result)
        finally:
            self._told.set()

    def _end(self) -> None:
        with self._telling:  # so that nothing is told of the clock after what came of it
            self._ended.set()

    def _tell(self) -> None:
        started = time.monotonic()
        while self._waiting is not None and not self._ended.wait(TICK):
            with self._telling:
                if self.running:
                    self._waiting(time.monotonic() - started)
