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
        self._turn = threading.Condition(open_after_fork(threading.RLock()))
        self._failed: set[int] = set()

    @contextmanager
    def slot(self, number: int) -> Iterator[None]:
        """Within: the object's calls run in this slot."""
        token = _slot.set((self, number))
        try:
            yield
        except BaseException:
            with self._turn:
                self._failed.add(number)
                self._turn.notify_all()
            raise
        finally:
            _slot.reset(token)

    def end(self, number: int, result: Any) -> None:
        """A slot has ended well: the next one may commit."""
        with self._turn:
            self.results[number] = result
            self._turn.notify_all()

    def open_slots(self) -> list[int]:
        """The slots that have not ended."""
        return [number for number in range(self.slots) if number not in self.results]

    def mend(self) -> None:
        """Go on after a slot failed."""
        self._failed.clear()

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
        before = set(range(number))
        with self._turn:
            self._turn.wait_for(lambda: before <= self.results.keys() or before & self._failed)
            if not before <= self.results.keys():
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


def wait_for_turn() -> None:
    """In a slot: wait until it may commit; nothing elsewhere."""
    here = _slot.get()
    if here is not None:
        here[0].wait_for_turn(here[1])
