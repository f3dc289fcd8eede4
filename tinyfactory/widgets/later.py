"""Something done once things have been quiet for a moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

# A text typed right before the click may arrive after it: the browser sends both at once.
SETTLE = 0.15


def in_foreground() -> bool:
    """Whether the host is known to show nothing that comes from a thread.

    Colab has an open issue about it; of no other is it certain.
    """
    return "google.colab" in sys.modules


def after_typing(do: Callable[[], object], *, foreground: bool | None = None) -> Later:
    """`do`, once what was typed right before a click has arrived; at once in the foreground."""
    return Later(do, 0 if foreground or (foreground is None and in_foreground()) else SETTLE)


class Later:
    """Runs `work` in a thread, so many seconds after `soon` was last called.

    Parameters
    ----------
    work : callable
    seconds : float
        0 or less does it at once, in the caller's thread.

    Examples
    --------
    >>> done = []
    >>> later = Later(lambda: done.append("work"), 0.01)
    >>> later.soon(); later.soon()
    >>> later.join()
    >>> done
    ['work']
    """

    def __init__(self, work: Callable[[], object], seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._working = threading.Lock()

    def soon(self) -> None:
        """Do it later, in place of what was put off before."""
        if self._seconds <= 0:
            self._work()
            return
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._seconds, self._in_turn)
            self._timer.daemon = True
            self._timer.name = "tinyfactory-later"
            self._timer.start()

    def _in_turn(self) -> None:
        # What began earlier ends earlier, so that the last word is that of the last call.
        with self._working:
            self._work()

    def cancel(self) -> None:
        """Do not do what was put off."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def join(self) -> None:
        """Wait until what was put off is done."""
        timer = self._timer
        if timer is not None:
            timer.join()
