"""Lines of events: what an object went through, as a chain of digests.

An event's key is made from the head before it and what was asked; the next head from that
key and what came of it. So looking up costs the same however long a line is, branches lie
side by side, and the same call made twice is two events.
"""

from __future__ import annotations

import threading

from tinyfactory.journal.canonical import digest


class Line:
    """One object's events within one run of a simulation.

    Examples
    --------
    >>> line = Line("root")
    >>> base = line.start()
    >>> line.finish("event key", "next head")
    >>> line.start() == "next head"
    True
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.head = root
        self.events: list[str] = []
        self._lock = threading.Lock()
        self._under_way = 0
        self._beside = 0

    def start(self) -> str:
        """The base of a new event: the head, or a place beside it while others are under way."""
        with self._lock:
            self._under_way += 1
            if self._under_way == 1:
                return self.head
            self._beside += 1
            return digest("beside", self.head, self._beside)

    def finish(self, key: str | None = None, head: str | None = None) -> None:
        """End an event: go on to its head, or stay when it was rolled back (no key)."""
        with self._lock:
            self._under_way -= 1
            if key is not None and head is not None:
                # Of two that ran side by side, the second continues from the first.
                self.head = head if self._beside == 0 else digest("join", self.head, head)
                self.events.append(key)
            if self._under_way == 0:
                self._beside = 0
