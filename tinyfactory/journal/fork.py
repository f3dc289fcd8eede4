"""Parallel work on one object: its line forks into numbered slots, which join in slot order.

Within a slot the object's calls run on a branch of their own. They commit in the order of the
slots, so that what comes out does not depend on whose answer came first. Whoever has its event
on the way to disk lets the next one send its own, so that one write takes many; and each waits
for those before it to have ended. Until all slots have ended the line's head stays, and the
same fork asked for again goes on where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from tinyfactory.errors import Cancelled
from tinyfactory.journal.scope import Line, Scope, Step
from tinyfactory.journal.serializer import digest
from tinyfactory.utils.concurrency import open_after_fork

_slot: ContextVar[tuple[Fork, int] | None] = ContextVar("tinyfactory_slot", default=None)
_rehearsing: ContextVar[bool] = ContextVar("tinyfactory_rehearsing", default=False)


class Rehearsed(Exception):
    """A rehearsal came to where it would have been kept; it is undone."""


class _Front:
    """A place that slots reach in their order, and those who wait for it to come to theirs."""

    def __init__(self, at: int = 0) -> None:
        self.at = at  # all slots before this one have been there
        # Each waits for a bell of its own: of two hundred who wait, a step concerns one.
        self._bells: dict[int, threading.Event] = {}

    def bell(self, number: int) -> threading.Event | None:
        """What rings when all before that number were there; None when they were."""
        if self.at >= number:
            return None
        return self._bells.setdefault(number, threading.Event())

    def reach(self, at: int) -> None:
        """Come to a number, if not there yet, and ring for whoever waits for it."""
        for number in range(self.at + 1, at + 1):
            self.at = number
            self._ring(number)

    def give_up(self, number: int) -> None:
        """Ring for all who wait for someone from that number on, in vain."""
        for other in [other for other in self._bells if other > number]:
            self._ring(other)

    def _ring(self, number: int) -> None:
        if (bell := self._bells.pop(number, None)) is not None:
            bell.set()


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
    one_step : bool
        Whether a slot is one step, and the next may go on as soon as that is on its way to
        disk; after one of several the order of what the rest does would depend on chance.
    """

    def __init__(self, scope: Scope, thing: Any, slots: int) -> None:
        self.thing = thing
        self.slots = slots
        self.results: dict[int, Any] = {}
        self.seen = 0
        self.one_step = True
        self._store = scope.store
        self.line = scope.line_of(thing) if scope.store is not None else Line("none")
        self.head = self.line.head
        self._lines = [
            Line(self.line.root, self.line.origin, digest("slot", self.head, number))
            for number in range(slots)
        ]
        self._lock = open_after_fork(threading.RLock())
        self._sent, self._ended = _Front(), _Front()
        self._first_failed: int | None = None
        self._room: threading.Semaphore | None = None
        self._under_way: set[int] = set()

    def let_in(self, number: int) -> None:
        """From now on so many slots are under way at a time; who waits for its turn is not."""
        self._room, self._under_way = threading.Semaphore(number), set()

    def _enter(self, number: int) -> None:
        if self._room is not None:
            self._room.acquire()
            self._under_way.add(number)

    def _leave(self, number: int) -> None:
        if self._room is not None and number in self._under_way:
            self._under_way.remove(number)
            self._room.release()

    @contextmanager
    def slot(self, number: int) -> Iterator[None]:
        """Within, once there is room: the object's calls run in this slot."""
        self._enter(number)
        token = _slot.set((self, number))
        try:
            yield
        except BaseException:
            self._fail(number)
            raise
        finally:
            _slot.reset(token)
            self._leave(number)

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

    def pass_on(self, number: int) -> None:
        """What a slot keeps is on its way to disk: the next one may send its own along."""
        if self.one_step:
            with self._lock:
                self._sent.reach(number + 1)

    @contextmanager
    def ending(self, number: int, result: Any) -> Iterator[None]:
        """After the block the next slot may commit; this one has ended even if the block fails."""
        with self._lock:
            self.results[number] = result
        yield
        with self._lock:
            self._come_on()

    def _come_on(self) -> None:
        ended = self._ended.at
        while ended in self.results:
            ended += 1
        self._ended.reach(ended)
        self._sent.reach(ended)

    def _fail(self, number: int) -> None:
        """A slot has failed: none behind it may commit."""
        with self._lock:
            failed = self._first_failed
            self._first_failed = number if failed is None else min(number, failed)
            self._sent.give_up(number)
            self._ended.give_up(number)

    def open_slots(self) -> list[int]:
        """The slots that have not ended."""
        return [number for number in range(self.slots) if number not in self.results]

    def mend(self) -> None:
        """Go on after a slot failed; those behind it that had sent something come again."""
        self._first_failed, self._sent = None, _Front(self._ended.at)
        self._come_on()

    def line_of(self, number: int) -> Line:
        """The branch of a slot."""
        return self._lines[number]

    def wait_for_turn(self, number: int) -> None:
        """Wait until all slots before this one have sent what they keep.

        Raises
        ------
        Cancelled
            When one of them failed: what this slot was told is kept, and used when the fork
            goes on.
        """
        self._wait(number, self._sent)

    def wait_for_those_before(self, number: int) -> None:
        """Wait until all slots before this one have ended.

        Raises
        ------
        Cancelled
            As `wait_for_turn`.
        """
        self._wait(number, self._ended)

    def _wait(self, number: int, front: _Front) -> None:
        if _rehearsing.get():
            raise Rehearsed
        self._leave(number)
        with self._lock:
            failed = self._first_failed
            vain = failed is not None and failed < number
            bell = None if vain else front.bell(number)
        if bell is not None:
            bell.wait()
        if vain or front.at < number:
            raise Cancelled(
                "A step before this one failed, so this one was not kept; its replies are, "
                "and doing the same again goes on from there."
            )

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


def wait_for_those_before() -> None:
    """In a slot: wait until all before it have ended; nothing elsewhere."""
    here = _slot.get()
    if here is not None:
        here[0].wait_for_those_before(here[1])


def pass_on() -> None:
    """In a slot: the next one may commit, though this one has not ended; nothing elsewhere."""
    here = _slot.get()
    if here is not None:
        here[0].pass_on(here[1])
