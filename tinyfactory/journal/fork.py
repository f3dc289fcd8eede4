"""Parallel work on one object: its line forks into numbered slots, which join in slot order.

Within a slot the object's calls run on a branch of their own. They commit in the order of the
slots, so that what comes out does not depend on whose answer came first. Until all slots have
ended the line's head stays, and the same fork asked for again goes on where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from tinyfactory.errors import Cancelled
from tinyfactory.journal.canonical import digest
from tinyfactory.journal.lines import Line, Step
from tinyfactory.journal.locks import open_after_fork
from tinyfactory.journal.scope import Scope

_slot: ContextVar[tuple[Fork, int] | None] = ContextVar("tinyfactory_slot", default=None)
_rehearsing: ContextVar[bool] = ContextVar("tinyfactory_rehearsing", default=False)


class Rehearsed(Exception):
    """A rehearsal came to where it would have been kept; it is undone."""


class Fork:
    """A line that is forked into slots.

    Parameters
    ----------
    scope : Scope
        Where the object's line is; without a journal only the order of commits is kept.
    thing : object
        Whose calls run in the slots.
    slots : int
        How many.

    Attributes
    ----------
    results : dict of int to object
        What each slot that has ended gave.
    seen : int
        For the one who forks: how much of the object's past the slots may look at, so that
        they see the same whichever of them was first.
    """

    def __init__(self, scope: Scope, thing: Any, slots: int) -> None:
        self.thing = thing
        self.slots = slots
        self.results: dict[int, Any] = {}
        self.seen = 0
        self._store = scope.store
        self.line = scope.line_of(thing) if scope.store is not None else Line("none")
        self.head = self.line.head
        self._lines = [
            Line(self.line.root, self.line.origin, digest("slot", self.head, number))
            for number in range(slots)
        ]
        self._lock = open_after_fork(threading.RLock())
        self._ended = 0  # all slots before this one have ended
        self._first_failed: int | None = None
        # Each waits for a bell of its own: of two hundred who wait, an end concerns one.
        self._bells: dict[int, threading.Event] = {}

    @contextmanager
    def slot(self, number: int) -> Iterator[None]:
        """Within: the object's calls run in this slot."""
        token = _slot.set((self, number))
        try:
            yield
        except BaseException:
            self._fail(number)
            raise
        finally:
            _slot.reset(token)

    @contextmanager
    def rehearsal(self, number: int) -> Iterator[None]:
        """Within: the object's calls run as in this slot, and nothing of them is kept.

        Raises
        ------
        Rehearsed
            Where a call would have been kept.
        """
        slot, rehearsing = _slot.set((self, number)), _rehearsing.set(True)
        try:
            yield
        finally:
            _rehearsing.reset(rehearsing)
            _slot.reset(slot)

    def end(self, number: int, result: Any) -> None:
        """A slot has ended well: the next one may commit."""
        with self._lock:
            self.results[number] = result
            while self._ended in self.results:
                self._ended += 1
            if (bell := self._bells.get(self._ended)) is not None:
                bell.set()

    def _fail(self, number: int) -> None:
        """A slot has failed: none behind it may commit."""
        with self._lock:
            self._first_failed = (
                number if self._first_failed is None else min(number, self._first_failed)
            )
            for other, bell in self._bells.items():
                if other > number:
                    bell.set()

    def open_slots(self) -> list[int]:
        """The slots that have not ended."""
        return [number for number in range(self.slots) if number not in self.results]

    def mend(self) -> None:
        """Go on after a slot failed."""
        self._first_failed = None

    def line_of(self, number: int) -> Line:
        """The branch of a slot."""
        return self._lines[number]

    def wait_for_turn(self, number: int) -> None:
        """Wait until all slots before this one have ended.

        Raises
        ------
        Cancelled
            When one of them failed: what this slot was told is kept, and used when the fork
            goes on.
        """
        if _rehearsing.get():
            raise Rehearsed
        bell = threading.Event()
        with self._lock:
            self._bells[number] = bell
            if self._need_not_wait(number):
                bell.set()
        try:
            bell.wait()
        finally:
            with self._lock:
                self._bells.pop(number, None)
        if self._ended < number:
            raise Cancelled(
                "A step before this one failed, so this one was not kept; its replies are, "
                "and doing the same again goes on from there."
            )

    def _need_not_wait(self, number: int) -> bool:
        failed = self._first_failed
        return self._ended >= number or (failed is not None and failed < number)

    def join(self) -> list[Any]:
        """All slots have ended: the line goes on from them together; their results in order."""
        heads = [line.head for line in self._lines]
        head = digest("join", self.head, heads)
        steps: list[Step] = [step for line in self._lines for step in line.steps]
        if steps:
            steps[-1] = replace(steps[-1], head=head)  # from the last one, all go on together
        if self._store is not None and self._store.get("join:" + head) is None:
            self._store.add("join:" + head, {"parent": self.head, "heads": heads})
        self.line.move(head, [*self.line.steps, *steps])
        return [self.results[number] for number in range(self.slots)]


def slot_of(thing: Any) -> tuple[Fork, int] | None:
    """The fork and the slot that an object's calls run in here, or None."""
    here = _slot.get()
    return here if here is not None and here[0].thing is thing else None


def in_slot() -> bool:
    """Whether this runs in a slot, whose turn it may have to wait for."""
    return _slot.get() is not None


def rehearsing() -> bool:
    """Whether what runs here is a rehearsal, which does not count."""
    return _rehearsing.get()


def wait_for_turn() -> None:
    """In a slot: wait until it may commit; nothing elsewhere."""
    here = _slot.get()
    if here is not None:
        here[0].wait_for_turn(here[1])
