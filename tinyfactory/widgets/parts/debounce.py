"""`Debounced`: a call that waits until nothing has changed for a moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

# A text typed right before the click may arrive after it: the browser sends both at once.
SETTLE = 0.15


def in_foreground() -> bool:
    """Whether the notebook is known to show nothing that comes from a thread.

    Colab has an open issue about it. No other notebook is known to have this limit.
    """
    return "google.colab" in sys.modules


def after_typing(do: Callable[[], object], *, foreground: bool | None = None) -> Debounced:
    """Debounce `do` until what was typed right before a click has arrived.

    In the foreground it is called at once.
    """
    return Debounced(do, 0 if foreground or (foreground is None and in_foreground()) else SETTLE)


class Debounced:
    """Calls `do` in a thread, so many seconds after the last call of `soon`.

    Parameters
    ----------
    do : callable
    seconds : float
        With 0 or less, `soon` calls it at once, in the caller's thread.

    Examples
    --------
    >>> calls = []
    >>> debounced = Debounced(lambda: calls.append("saved"), 0.01)
    >>> debounced.soon(); debounced.soon()
    >>> debounced.join()
    >>> calls
    ['saved']
    """

    def __init__(self, do: Callable[[], object], seconds: float) -> None:
        self._do = do
        self._seconds = seconds
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._calling = threading.Lock()

    def soon(self) -> None:
        """Call it later; a call that is still waiting is dropped."""
        if self._seconds <= 0:
            self._do()
            return
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(self._seconds, self._call)
            self._timer.daemon = True
            self._timer.name = "tinyfactory-debounce"
            self._timer.start()

    def _call(self) -> None:
        # One at a time and in order, so that the latest call has the last word.
        with self._calling:
            self._do()

    def cancel(self) -> None:
        """Drop the call that is waiting."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def join(self) -> None:
        """Wait until the call that was waiting has returned."""
        timer = self._timer
        if timer is not None and timer is not threading.current_thread():
            timer.join()
