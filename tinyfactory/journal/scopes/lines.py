"""Lines of events: the events of one object, each at its place behind the one before it.

An event's key is a digest of the head of its line and of the call; the next head is a digest of
that key and of the result. So a look-up costs the same for any length of a line, a line can have
several branches, and the same call made twice is two events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tinyfactory.journal import key
from tinyfactory.journal.parallel.group import Calls, Member


class Step(NamedTuple):
    """One event of a line in this run: replayed (a hit) or new, and why."""

    key: str
    head: str
    hit: bool
    why: str


class Line(Calls):
    """One object's events within one run of a simulation.

    Parameters
    ----------
    root : str
        The digest of the line's origin.
    origin : dict
        The origin, which is stored with the line's first event.
    head : str, optional
        The head to continue from; the root by default.

    Examples
    --------
    >>> line = Line("root")
    >>> member = line.enter(None, line.next_base(), "event key", 1)
    >>> line.leave(member, Step("event key", "next head", False, "it is new"))
    >>> line.next_base() == "next head"
    True
    """

    def __init__(
        self, root: str, origin: dict[str, Any] | None = None, head: str | None = None
    ) -> None:
        super().__init__(lambda _: self.head)
        self.root = root
        self.origin = origin or {}
        self.head = head or root
        self.steps: list[Step] = []
        # The objects that the origin refers to, and by event those that the object's change does.
        self.refers: dict[str, Any] = {}
        self.objects: dict[str, tuple[dict[str, Any], list[Any]]] = {}
        self._joined: tuple[str, dict[str, Any]] | None = None

    def leave(self, member: Member, step: Step | None = None, *, failed: bool = False) -> None:
        """End an event and move to its head; with None (rolled back) the head stays."""
        super().leave(member, step, failed=failed or step is None)

    def _move(self, member: Member, step: Step) -> None:
        group = member.group
        if group is not self.group:  # the line was moved meanwhile
            self.head = key.joined_head(self.head, step.head)
            self.steps.append(step)
            return
        self.head = step.head
        if len(group.ended) == 1:
            self.steps.append(step)
            return
        self._joined = group.joined()
        self.head = self._joined[0]
        steps = [one.step for one in group.ended]
        # The line continues from the last one.
        steps[-1] = steps[-1]._replace(head=self.head)
        self.steps[1 - len(steps) :] = steps

    def move(self, head: str, steps: list[Step]) -> None:
        """Move to another head of the line, which these steps lead to."""
        with self._lock:
            self.head, self.steps, self.group = head, steps, None

    def _join(self) -> tuple[str, dict[str, Any]] | None:
        joined = self._joined
        return joined if joined is not None and joined[0] == self.head else None


@dataclass(eq=False, slots=True)
class Slot:
    """One person of a job; calls on the factory in a slot run on a line of their own.

    Attributes
    ----------
    thing : object
        The factory.
    number : int
        The number of the slot, from 0.
    seen : int
        How many of the factory's people the job's prompts may mention. It is fixed at the start,
        so that a prompt does not depend on which reply arrives first.
    line : Line
    """

    thing: Any
    number: int
    seen: int
    line: Line
