"""The calls and jobs under way in a simulation, which it must not end before."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.utils.concurrency import new_lock, running_loop
from tinyfactory.utils.logs import get_logger

logger = get_logger("tinyfactory")
# Seconds between two looks at the work under way, and until the user is told of it.
_PIECE = 0.2
_QUIET = 0.5


class WorkUnderWay:
    """The calls and jobs under way in one simulation.

    Parameters
    ----------
    name : str
        The simulation's name.

    Examples
    --------
    >>> works = WorkUnderWay("lesson")
    >>> job = object()
    >>> works.add(job)
    >>> works.remove(job)
    >>> works.wait_until_none("ends", within=False)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = new_lock()
        self._changed = threading.Condition(self.lock)
        self._waiting = 0
        # Each with its process: a fork copies the work of all threads.
        self._works: dict[int, tuple[int, Any]] = {}

    def add(self, work: Any) -> None:
        """Begin some work.

        Parameters
        ----------
        work : object
            The call or job; its text names it, and `loop` is the event loop of a coroutine.
        """
        self._works[id(work)] = os.getpid(), work

    def remove(self, work: Any) -> None:
        """End some work."""
        with self.lock:
            self._works.pop(id(work), None)
            if self._waiting:
                self._changed.notify_all()

    def now(self) -> list[Any]:
        """The work under way in this process."""
        return [work for pid, work in list(self._works.values()) if pid == os.getpid()]

    def cancel_jobs(self) -> None:
        """Cancel the jobs under way; they end as soon as they can."""
        for work in self.now():
            getattr(work, "cancel", lambda: None)()

    def wait_until_none(self, what: str, *, within: bool) -> None:
        """Wait until no work is under way. Ctrl-C stops the waiting.

        Parameters
        ----------
        what : str
            What the simulation does then, for messages.
        within : bool
            Whether this was called within such work.

        Raises
        ------
        InvalidInput
            If the work could not end while this thread waits for it.
        """
        began, told = time.monotonic(), False
        while True:
            with self.lock:
                works = self.now()
                if not works:
                    return
                self._check(works, what, within)
                self._waiting += 1
                try:
                    self._changed.wait(_PIECE)
                finally:
                    self._waiting -= 1
            if not told and time.monotonic() - began > _QUIET:
                told = True
                logger.warning(
                    "Simulation %r %s when the work under way has ended: %s. Interrupt (Ctrl-C) "
                    "to stop waiting; job.cancel() stops a job and keeps its people.",
                    self.name,
                    what,
                    ", ".join(map(str, works[:5])),
                )

    def _check(self, works: list[Any], what: str, within: bool) -> None:
        if within:
            raise InvalidInput(
                f"Simulation {self.name!r} {what} only after its calls and jobs have ended, and "
                "this was called within one. Nothing was changed. Call it afterwards."
            )
        loop = running_loop()
        pending = [w for w in works if loop is not None and getattr(w, "loop", None) is loop]
        if pending:
            raise InvalidInput(
                f"Simulation {self.name!r} {what} only after its calls have ended, and "
                f"{pending[0]} is a coroutine of this event loop, which cannot run while this "
                "waits. Nothing was changed. Await it first."
            )
