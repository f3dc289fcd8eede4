"""All events of a simulation in order, line by line, in short: made for thousands of events.

Each event is read once and kept without its changes, so that a refresh costs only the new
events. Events of parallel slots that were joined follow one another in the order of the slots;
events that continue from an earlier event instead of the last one are a branch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tinyfactory.errors import DamagedRecord, InvalidInput
from tinyfactory.journal.records import (
    Event,
    History,
    LineInfo,
    Record,
    arguments_in_short,
    name_in,
)
from tinyfactory.journal.scopes.scope import Scope, origin_of
from tinyfactory.utils.concurrency import new_lock


def history_of(scope: Scope, thing: Any, latest: int = 0) -> History:
    """The events of an object in this run; all, or only so many of the latest."""
    if scope.store is None:
        raise InvalidInput(
            "There is no history, because no simulation is open. "
            "Call tinyfactory.control.begin() first."
        )
    history = History()
    for step in scope.line_of(thing).steps[-latest:]:
        record = scope.store.get("event:" + step.key)
        if record is not None:
            history.append(Event.of(step.key, record, hit=step.hit, why=step.why))
    return history


def event_of(scope: Scope, thing: Any) -> Event | None:
    """The event of this run that made an object; None where no event did."""
    step = scope.step_of(origin_of(thing))
    if step is None or scope.store is None:
        return None
    record = scope.store.get("event:" + step.key)
    return None if record is None else Event.of(step.key, record, hit=step.hit, why=step.why)


@dataclass(frozen=True, slots=True)
class Position:
    """The position of an event in its line.

    Attributes
    ----------
    number : int
        From 1, in the order of the line.
    branch : int
        From 1.
    before : str or None
        The event before it; None at the beginning of the line.
    following : int
        How many events follow it directly: more than one where branches part.
    """

    number: int
    branch: int
    before: str | None
    following: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some events. `unpriced` counts the events without a known price."""

    events: int = 0
    replayed: int = 0
    new: int = 0
    failed: int = 0
    attempts: int = 0
    tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, events: Iterable[Event]) -> Totals:
        """The totals of some events."""
        all_of = list(events)
        return cls(
            events=len(all_of),
            replayed=sum(event.hit is True for event in all_of),
            new=sum(event.hit is False for event in all_of),
            failed=sum(event.failure is not None for event in all_of),
            attempts=sum(event.attempts for event in all_of),
            tokens=sum(event.prompt_tokens + event.completion_tokens for event in all_of),
            usd=math.fsum(event.usd or 0.0 for event in all_of),
            unpriced=sum(event.usd is None for event in all_of),
            seconds=math.fsum(event.seconds for event in all_of),
        )


@dataclass(slots=True)
class _Read:
    """An event with the parts of its record that give its position."""

    event: Event
    line: str
    parent: str
    head: str


class Timeline:
    """The lines of a simulation and their events, as of the last refresh.

    Parameters
    ----------
    scope : Scope
        Of a simulation that is open or has ended, also of a replayed recording.

    Examples
    --------
    >>> import tempfile
    >>> from tinyfactory import TinyPersonFactory, control
    >>> from tinyfactory.journal.scopes.scope import scope
    >>> simulation = control.begin(tempfile.mkdtemp())
    >>> factory = TinyPersonFactory("A choir in Cardiff", model="offline")
    >>> _ = factory.generate_people(2)
    >>> timeline = Timeline(scope())
    >>> (line,) = timeline.lines
    >>> [timeline.position(event.key).branch for event in timeline.events(line.root)]
    [1, 1]
    >>> control.end()
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.lines: list[LineInfo] = []
        self._lock = new_lock()
        self._seen: set[str] = set()
        self._read: dict[str, _Read] = {}
        self._origins: dict[str, Record] = {}
        self._within: dict[str, list[Event]] = defaultdict(list)
        self._order: dict[str, list[str]] = {}
        self._positions: dict[str, Position] = {}
        # The event that ends at a head; for an event of a joined slot, the head before it.
        self._at_head: dict[str, str] = {}
        self._after: dict[str, str] = {}
        self._joins: dict[str, Record] = {}  # joins whose events were not read yet
        self.refresh()

    # -- reading -----------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the events that were added since the last refresh."""
        with self._lock:
            changed = set()
            with self.scope.reading() as store:
                for name in store:
                    if name not in self._seen:
                        self._seen.add(name)
                        changed |= self._read_row(store, name)
            for head in list(self._joins):
                changed |= self._join(head)
            for root in changed:
                self._arrange(root)
            if changed:
                self.lines = [self._info(root) for root in self._order]

    def _read_row(self, store: Any, name: str) -> set[str]:
        """Read one row; the root of the line that it changes, if any."""
        kind, _, own = name.partition(":")
        if kind not in ("event", "line", "join"):
            return set()
        try:
            record = store.get(name)
        except DamagedRecord:
            return set()  # `journal verify` lists them all
        if record is None:
            return set()
        if kind == "join":
            self._joins[own] = record
        if record.get("simulation") != self.scope.id:
            return set()
        if kind == "line":
            self._origins[own] = record
            return set()
        event = Event.of(own, record, hit=None, why=record["meta"]["why"])
        if record["line"] is None:
            self._within[record.get("within") or ""].append(event)
            return set()
        self._read[own] = _Read(event, record["line"], record["parent"], record["head"])
        self._at_head[record["head"]] = own
        self._order.setdefault(record["line"], []).append(own)
        return {record["line"]}

    # -- order -------------------------------------------------------------------------

    def _join(self, head: str) -> set[str]:
        """Put the events of joined slots one after the other; the root of their line."""
        join = self._joins[head]
        keys = [key for slot in join["heads"] for key in self._slot(slot, join["parent"])]
        if not keys:
            return set()  # of another simulation, or its events are not here
        for earlier, key in pairwise(keys):
            self._after[key] = self._read[earlier].head
        self._after[keys[0]] = join["parent"]
        self._at_head[head] = keys[-1]
        del self._joins[head]
        return {self._read[keys[0]].line}

    def _slot(self, head: str, fork: str) -> list[str]:
        """The events of one slot, or one of calls that overlapped, in order."""
        keys: dict[str, None] = {}
        # A damaged journal may have a circle of events.
        while head != fork and (key := self._at_head.get(head)) is not None and key not in keys:
            keys[key] = None
            head = self._read[key].parent
        return list(keys)[::-1]

    def _before(self, key: str) -> str | None:
        return self._at_head.get(self._after.get(key, self._read[key].parent))

    def _arrange(self, root: str) -> None:
        """Put the events of a line in order: each after the one before it, branch by branch."""
        before = {key: self._before(key) for key in self._order[root]}
        following: dict[str | None, list[str]] = defaultdict(list)
        for key, earlier in before.items():
            following[earlier].append(key)
        order: list[str] = []
        branches = 0
        waiting = [(key, True) for key in reversed(following[None])]
        while waiting:
            key, begins = waiting.pop()
            branches += begins
            order.append(key)
            after = following.get(key, [])
            self._positions[key] = Position(len(order), branches, before[key], len(after))
            # The first one continues this branch; each other one begins a branch.
            waiting += [(other, other != after[0]) for other in reversed(after)]
        # Events in a circle follow no beginning; they are put at the end.
        for key in self._order[root]:
            if key not in self._positions:
                order.append(key)
                self._positions[key] = Position(len(order), branches, None, 0)
        self._order[root] = order

    def _info(self, root: str) -> LineInfo:
        ends = [key for key in self._order[root] if not self._positions[key].following]
        origin = self._origins.get(root) or {"kind": "object", "class": "?"}
        heads = tuple(self._read[key].head for key in ends)
        return LineInfo(root, origin["kind"], origin, len(self._order[root]), heads)

    # -- looking -----------------------------------------------------------------------

    def events(self, root: str, branch: int | None = None) -> list[Event]:
        """The events of a line in order; for a branch, from the line's beginning to its end."""
        return [self.event(key) for key in self.keys(root, branch)]

    def keys(self, root: str, branch: int | None = None) -> list[str]:
        """The keys of those events."""
        keys = self._order.get(root, [])
        if branch is None:
            return list(keys)
        on_branch = [key for key in keys if self._positions[key].branch == branch]
        path: list[str] = []
        key: str | None = on_branch[-1] if on_branch else None
        while key is not None:
            path.append(key)
            key = self._positions[key].before
        return path[::-1]

    def branches(self, root: str) -> list[int]:
        """The numbers of a line's branches."""
        return sorted({self._positions[key].branch for key in self._order.get(root, [])})

    def position(self, key: str) -> Position:
        """The position of an event in its line."""
        return self._positions[key]

    def line_of(self, key: str) -> str:
        """The root of an event's line."""
        return self._read[key].line

    def arguments(self, key: str, length: int = 2000) -> str:
        """The arguments of an event's call, at length."""
        with self.scope.reading() as store:
            record = store.get("event:" + key)
        return "" if record is None else arguments_in_short(record["arguments"], length)

    def within(self, key: str) -> list[Event]:
        """The events nested in an event."""
        return list(self._within.get(key, ()))

    def find(self, beginning: str) -> Event:
        """The one event whose key begins like that.

        Raises
        ------
        InvalidInput
            When there is none, or more than one.
        """
        found = [key for key in self._read if key.startswith(beginning)] if beginning else []
        if len(found) != 1:
            raise InvalidInput(
                f"{len(found)} events of simulation {self.scope.id!r} begin with "
                f"{beginning!r}. Nothing was changed. Its history lists the events."
            )
        return self.event(found[0])

    def totals(self, root: str | None = None) -> Totals:
        """The totals of a line, or of all lines."""
        keys = self._read if root is None else self._order.get(root, [])
        return Totals.of(self.event(key) for key in keys)

    def began_as(self, root: str) -> tuple[str, str]:
        """The class or method of a line, and its first state or arguments in short."""
        return began_as(self._origins.get(root) or {"class": "?"})

    def title(self, root: str) -> str:
        """Both of these together."""
        kind, words = self.began_as(root)
        return f"{kind}: {words}" if words else kind

    def event(self, key: str) -> Event:
        """An event, marked as replayed or new if it occurred in this run."""
        step = self.scope.step_of(key)
        event = self._read[key].event
        return event if step is None else replace(event, hit=step.hit, why=step.why)


def began_as(origin: Record) -> tuple[str, str]:
    """The class or method of a line, and its first state or arguments in short.

    Examples
    --------
    >>> began_as({"class": "shop.Baker", "state": {"town": "Vienna", "made": []}})
    ('Baker', "town='Vienna'")
    >>> began_as({"class": "TinyPerson", "state": {"persona": {"name": "Ana"}}})
    ('TinyPerson', 'Ana')
    """
    kind = str(origin["class"]).rpartition(".")[2]
    if "method" in origin:
        kind = f"{kind}.{origin['method']}"
    begun = origin["state"] if "state" in origin else origin.get("arguments")
    return kind, name_in(begun) or arguments_in_short(begun, 100)
