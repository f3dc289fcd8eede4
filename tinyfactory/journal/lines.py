"""Lines of events: what an object went through, as a chain of digests.

An event's key is made from the head before it and what was asked; the next head from that
key and what came of it. So looking up costs the same however long a line is, branches lie
side by side, and the same call made twice is two events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinyfactory.journal.canonical import digest
from tinyfactory.journal.locks import new_lock


@dataclass(frozen=True, slots=True)
class Step:
    """One event on the path that a line took in this run: replayed (a hit) or done, and why."""

    key: str
    head: str
    hit: bool
    why: str


class Line:
    """One object's events within one run of a simulation.

    Parameters
    ----------
    root : str
        Digest of where the line begins.
    origin : dict
        What the root is a digest of, to be kept with the line's first event.
    head : str, optional
        Where to go on from, if not from the root.

    Examples
    --------
    >>> line = Line("root")
    >>> base = line.start()
    >>> line.finish(Step("event key", "next head", False, "it is new"))
    >>> line.start() == "next head"
    True
    """

    def __init__(
        self, root: str, origin: dict[str, Any] | None = None, head: str | None = None
    ) -> None:
        self.root = root
        self.origin = origin or {}
        self.head = head or root
        self.steps: list[Step] = []
        self._lock = new_lock()
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

    def finish(self, step: Step | None = None) -> None:
        """End an event: go on to its head, or stay when it was rolled back (None)."""
        with self._lock:
            self._under_way -= 1
            if step is not None:
                # Of two that ran side by side, the second continues from the first.
                alone = self._beside == 0
                self.head = step.head if alone else digest("join", self.head, step.head)
                self.steps.append(step)
            if self._under_way == 0:
                self._beside = 0

    def move(self, head: str, steps: list[Step]) -> None:
        """Go to another place of the line, reached by these steps."""
        with self._lock:
            self.head, self.steps = head, steps
