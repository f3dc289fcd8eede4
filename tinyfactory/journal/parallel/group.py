"""The places of calls that run one after another, and of calls that run at the same time.

Calls on one object, and calls within another call, are numbered one after another. Where calls
overlap, their order depends on the schedule, so it must not enter their keys: they form a
*group*. All keys in a group have the same base, the place at which its first call began, and the
nth call of equal content differs by n. So the keys of a group are the same in any order.

A call that runs alone is a group of one, whose key has no trace of the group. When a call overlaps
with another, its record says so (``meta.beside``, the order in which the calls of the group
committed). In a replay calls are so short that they no longer overlap: where a replayed record
says that its call had others beside it, the calls after it are looked up in its group, too, and
their changes are brought into the recorded order.
"""

from __future__ import annotations

import os
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyfactory.journal import key as keys
from tinyfactory.utils.concurrency import new_lock


@dataclass(eq=False, slots=True)
class Member:
    """One call of a group.

    Attributes
    ----------
    first_key : str
        The key of the first call of equal content in the group.
    number : int
        The number among the calls of equal content, from 1.
    order : int
        The number among the calls that committed, from 1; 0 before that.
    step : Step or None
        The event, when it has ended.
    thing, change
        The object and the change of it.
    """

    group: Group
    first_key: str
    number: int
    order: int = 0
    step: Any = None
    thing: Any = None
    change: Any = None

    @property
    def place(self) -> tuple[int, int]:
        """For sorting the calls within one call."""
        return self.group.serial, self.order

    def later(self) -> list[Any]:
        """The changes of the same object that were made after this one when it was recorded."""
        if not self.group.parallel:
            return []
        return [
            other.change
            for other in self.group.ended
            if other.order > self.order and other.thing is self.thing and other.change
        ]


class Group:
    """Calls that overlap, or one call that runs alone.

    Parameters
    ----------
    fork : str
        The place at which the first one began.
    serial : int
        The number of that place.
    join : tuple of str and dict, or None
        The row that explains `fork`, if it is the end of an earlier group.

    Attributes
    ----------
    running : int
        How many calls have begun and not ended.
    parallel : bool
        Whether two of them ever overlapped, in this run or when they were recorded.
    ended : list of Member
        Those that committed, in order.
    seen : dict of int to int
        How many people an object had made when the first call on it began, by its `id`.
    """

    running = 0
    parallel = False
    _failed: tuple[str, ...] = ()
    _last = 0

    def __init__(self, fork: str, serial: int, join: tuple[str, dict[str, Any]] | None) -> None:
        self.pid = os.getpid()
        self.fork = fork
        self.serial = serial
        self.join = join
        self.ended: list[Member] = []
        self.seen: dict[int, int] = {}
        self._taken: list[tuple[str, int]] = []

    def number_for(self, first_key: str) -> int:
        """The lowest number that no call of equal content has."""
        taken = {number for key, number in self._taken if key == first_key}
        return next(number for number in range(1, len(taken) + 2) if number not in taken)

    def has_failed(self, first_key: str) -> bool:
        """Whether such a call was rolled back; made again it finds its saved replies."""
        return first_key in self._failed

    def key(self, first_key: str, number: int, content: Any) -> tuple[str, str]:
        """The base and the key of the call of that number."""
        if number == 1:
            return self.fork, first_key
        base = keys.beside_base(self.fork, number - 1)
        return base, keys.event_key(base, content)

    def enter(self, first_key: str, number: int) -> Member:
        """Add a call."""
        self.running += 1
        self.parallel = self.parallel or self.running > 1
        self._taken.append((first_key, number))
        return Member(self, first_key, number)

    def settle(self, member: Member, order: int | None) -> None:
        """Give a call its order; from now on others do not overlap with it."""
        if member.order:
            return
        self.running -= 1
        self.parallel = self.parallel or order is not None
        member.order = self._last + 1 if order is None else order
        self._last = max(self._last, member.order)

    def leave(self, member: Member, *, failed: bool) -> None:
        """End a call that was rolled back or has committed."""
        if not failed:
            self.settle(member, None)
            if not self.parallel:
                self.ended.append(member)
                return
            insort(self.ended, member, key=lambda one: one.order)
            return
        if not member.order:
            self.running -= 1
        self._taken.remove((member.first_key, member.number))
        self._failed = (*self._failed, member.first_key)

    def joined(self, *more: str) -> tuple[str, dict[str, Any]]:
        """The head behind all calls that have ended, and the row that explains it."""
        heads = [*(one.step.head for one in self.ended), *more]
        return keys.fork_head(self.fork, heads), {"parent": self.fork, "heads": heads}

    def joins(self, head: str) -> list[tuple[str, dict[str, Any]]]:
        """The rows to store with an event that ends at a head: about the fork, and about itself."""
        rows = [] if self.join is None else [self.join]
        if self.ended and not self.running:
            rows.append(self.joined(head))
        return [("join:" + end, row) for end, row in rows]


class Calls:
    """The calls on one object, or within one call: each gets a place.

    Parameters
    ----------
    base : callable
        The base of a call that runs alone, by its number in `serial`.
    """

    def __init__(self, base: Callable[[int], str]) -> None:
        self._base = base
        self.serial = 0
        self.group: Group | None = None
        # Later places that calls have taken already.
        self._ahead: set[int] = set()
        self._lock = new_lock()

    def next_base(self) -> str:
        """The base of a call that begins now and runs alone."""
        return self._base(self._next())

    def _next(self) -> int:
        number = self.serial + 1
        while number in self._ahead:
            number += 1
        return number

    def later_places(self, most: int) -> list[tuple[int, str]]:
        """The number and base of each place behind the next one that is free, up to a number."""
        numbers = range(self._next() + 1, most + 1)
        return [(number, self._base(number)) for number in numbers if number not in self._ahead]

    def enter_ahead(self, number: int, base: str, first_key: str) -> Member | None:
        """Give a call a later place, which it had when it was recorded; None if it is taken."""
        with self._lock:
            if number <= self.serial or number in self._ahead:
                return None
            self._ahead.add(number)
            return Group(base, number, None).enter(first_key, 1)

    def choices(self) -> list[Group | None] | None:
        """The groups in which a call that begins now can be, or None: it runs alone.

        Within the list None stands for running alone, too. The first choice is for a call that
        is in none of them yet.
        """
        group = self.group
        if group is None or not (group.running or group.parallel):
            return None
        if group.pid != os.getpid():  # a fork copies the calls of threads that it does not have
            self.group = None
            return None
        return [group, None] if group.running else [None, group]

    def enter(self, group: Group | None, base: str, first_key: str, number: int) -> Member | None:
        """Give a call its place; None if another call has taken it meanwhile."""
        with self._lock:
            if group is None:
                if self.next_base() != base or (self.group is not None and self.group.running):
                    return None
                if self.group is not None:
                    self.group.ended = []  # they refer to it
                self.serial = self._next()
                self.group = group = Group(base, self.serial, self._join())
                return group.enter(first_key, number)
            if group is not self.group or group.number_for(first_key) != number:
                return None
            self.serial = self._next()
            return group.enter(first_key, number)

    def settle(self, member: Member, order: int | None = None) -> None:
        """Give a call its order among those of its group, before its record is made."""
        with self._lock:
            member.group.settle(member, order)

    def leave(self, member: Member, step: Any = None, *, failed: bool = False) -> None:
        """End a call: with its event, if it has one."""
        with self._lock:
            member.step = step
            member.group.leave(member, failed=failed)
            if step is not None:
                self._move(member, step)

    def _move(self, member: Member, step: Any) -> None:
        """Move behind an event."""

    def _join(self) -> tuple[str, dict[str, Any]] | None:
        return None
