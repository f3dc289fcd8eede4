"""A line that forks into the slots of a job, one for each person."""

from __future__ import annotations

from typing import Any

from tinyfactory.errors import DamagedRecord
from tinyfactory.journal import key
from tinyfactory.journal.scopes.lines import Line, Slot, Step
from tinyfactory.journal.scopes.scope import Scope


class Fork:
    """A line that forks into numbered slots and is joined when all have ended.

    The key of a slot's event depends only on the place of the fork and the slot's number, so a
    job gives the same events regardless of which reply arrives first. The line's head stays until
    the join, so the same fork made again continues where it stopped.

    Parameters
    ----------
    scope : Scope
        The scope of the object's line.
    thing : object
        The object whose calls run in the slots.
    slots : int
        The number of slots.
    seen : int
        See `Slot`.

    Attributes
    ----------
    results : dict of int to object
        The result of each slot that has ended.
    """

    def __init__(self, scope: Scope, thing: Any, slots: int, seen: int) -> None:
        self.results: dict[int, Any] = {}
        self._store = scope.store
        self._replayed = scope.recorded is not None
        self.line = scope.line_of(thing) if scope.store is not None else Line("none")
        self.head = self.line.head
        root, origin = self.line.root, self.line.origin
        self.slots = [
            Slot(thing, number, seen, Line(root, origin, key.slot_head(self.head, number)))
            for number in range(slots)
        ]

    def open_slots(self) -> list[Slot]:
        """The slots that have not ended."""
        return [slot for slot in self.slots if slot.number not in self.results]

    def join(self) -> None:
        """Move the line's head behind all slots; call it when each has ended."""
        heads = [slot.line.head for slot in self.slots]
        head = key.fork_head(self.head, heads)
        steps: list[Step] = [step for slot in self.slots for step in slot.line.steps]
        if not steps and self._replayed:
            return  # the calls of a cell that is run again are no further events
        if steps:
            steps[-1] = steps[-1]._replace(head=head)  # the line continues from the last one
        if self._store is not None and not self._is_joined(head):
            self._store.add("join:" + head, {"parent": self.head, "heads": heads})
        self.line.move(head, [*self.line.steps, *steps])

    def _is_joined(self, head: str) -> bool:
        try:
            return self._store.get("join:" + head) is not None
        except DamagedRecord:
            return False  # it is replaced
