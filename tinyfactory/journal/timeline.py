"""All that a simulation went through, line by line, in short: to look at thousands of events.

Each event is read once and kept without what it changed, so that going back to look costs only
what is new. Work that ran in slots beside each other and joined stands in one row, in the order
of the slots; what went another way from an earlier event is a branch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import DamagedRecord, InvalidInput
from tinyfactory.journal.records import Event, LineInfo, Record, arguments_in_short, name_in
from tinyfactory.utils.concurrency import new_lock

if TYPE_CHECKING:
    from tinyfactory.journal.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands in its line: its number, its branch, and the event before it.

    `before` is None at the beginning of the line; `ways` is how many events follow it.
    """

    number: int
    branch: int
    before: str | None
    ways: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What some events come to. `unpriced` counts those whose price is not known."""

    events: int = 0
    replayed: int = 0
    done: int = 0
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
            done=sum(event.hit is False for event in all_of),
            failed=sum(event.failure is not None for event in all_of),
            attempts=sum(event.attempts for event in all_of),
            tokens=sum(event.prompt_tokens + event.completion_tokens for event in all_of),
            usd=math.fsum(event.usd or 0.0 for event in all_of),
            unpriced=sum(event.usd is None for event in all_of),
            seconds=math.fsum(event.seconds for event in all_of),
        )


@dataclass(slots=True)
class _Read:
    """What is kept of an event's record."""

    event: Event
    line: str
    parent: str
    head: str


class Chronicle:
    """The lines of a simulation and their events, as they were when last refreshed.

    Parameters
    ----------
    simulation : Simulation
        One that has ended is read, too, as is one out of a recording.

    Examples
    --------
    >>> import tempfile
    >>> from tinyfactory import TinyPersonFactory, control
    >>> simulation = control.begin(tempfile.mkdtemp())
    >>> factory = TinyPersonFactory("A choir in Cardiff", model="offline")
    >>> _ = factory.generate_people(2)
    >>> chronicle = Chronicle(simulation)
    >>> (line,) = chronicle.lines
    >>> [chronicle.place(event.key).branch for event in chronicle.events(line.root)]
    [1, 1]
    >>> control.end()
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.lines: list[LineInfo] = []
        self._lock = new_lock()
        self._seen: set[str] = set()
        self._read: dict[str, _Read] = {}
        self._origins: dict[str, Record] = {}
        self._within: dict[str, list[Event]] = defaultdict(list)
        self._order: dict[str, list[str]] = {}
        self._places: dict[str, Place] = {}
        # The event that a head is reached by; the head that one within a join comes after.
        self._at_head: dict[str, str] = {}
        self._after: dict[str, str] = {}
        self._joins: dict[str, Record] = {}  # those not yet seen through
        self.refresh()

    # -- reading -----------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what was added since."""
        with self._lock:
            changed = set()
            with self._store() as store:
                for name in store:
                    if name not in self._seen:
                        self._seen.add(name)
                        changed |= self._take(store, name)
            for head in list(self._joins):
                changed |= self._join(head)
            for root in changed:
                self._arrange(root)
            if changed:
                self.lines = [self._info(root) for root in self._order]

    def _store(self) -> Any:
        simulation = self.simulation
        if simulation.store is not None:
            return nullcontext(simulation.store)
        return closing(simulation._new_store())  # noqa: SLF001 - this very room's

    def _take(self, store: Any, name: str) -> set[str]:
        """Read one row; the line that it adds to."""
        kind, _, own = name.partition(":")
        if kind not in ("event", "line", "join"):
            return set()
        try:
            record = store.get(name)
        except DamagedRecord:
            return set()  # `journal verify` names them all
        if kind == "join" and record is not None:
            self._joins[own] = record
        if record is None or record.get("simulation") != self.simulation.id:
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
        """Put what ran in the slots of a join one behind the other; the line that it is in."""
        join = self._joins[head]
        steps = [key for slot in join["heads"] for key in self._slot(slot)]
        if not steps:
            return set()  # of another simulation, or its events are not here
        for earlier, step in pairwise(steps):
            self._after[step] = self._read[earlier].head
        self._after[steps[0]] = join["parent"]
        self._at_head[head] = steps[-1]
        del self._joins[head]
        return {self._read[steps[0]].line}

    def _slot(self, head: str) -> list[str]:
        """The events of one slot, in order."""
        steps: list[str] = []
        while head in self._at_head:
            steps.append(self._at_head[head])
            head = self._read[steps[-1]].parent
        return steps[::-1]

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
            ways = following.get(key, [])
            self._places[key] = Place(len(order), branches, before[key], len(ways))
            # The first way on comes next; the others wait, and are branches of their own.
            waiting += [(way, way != ways[0]) for way in reversed(ways)]
        self._order[root] = order

    def _info(self, root: str) -> LineInfo:
        ends = [key for key in self._order[root] if not self._places[key].ways]
        origin = self._origins.get(root) or {"kind": "object", "class": "?"}
        heads = tuple(self._read[key].head for key in ends)
        return LineInfo(root, origin["kind"], origin, len(self._order[root]), heads)

    # -- looking -----------------------------------------------------------------------

    def events(self, root: str, branch: int | None = None) -> list[Event]:
        """The events of a line in order; with a branch, the whole way to the end of that one."""
        return [self.event(key) for key in self.keys(root, branch)]

    def keys(self, root: str, branch: int | None = None) -> list[str]:
        """The keys of those events."""
        keys = self._order.get(root, [])
        if branch is None:
            return list(keys)
        return self._way_to([key for key in keys if self._places[key].branch == branch])

    def _way_to(self, branch: list[str]) -> list[str]:
        way: list[str] = []
        key: str | None = branch[-1] if branch else None
        while key is not None:
            way.append(key)
            key = self._places[key].before
        return way[::-1]

    def branches(self, root: str) -> list[int]:
        """The numbers of a line's branches."""
        return sorted({self._places[key].branch for key in self._order.get(root, [])})

    def place(self, key: str) -> Place:
        """Where an event stands in its line."""
        return self._places[key]

    def line_of(self, key: str) -> str:
        """The root of the line of an event."""
        return self._read[key].line

    def arguments(self, key: str, length: int = 2000) -> str:
        """What an event was called with, at length."""
        with self._store() as store:
            record = store.get("event:" + key)
        return "" if record is None else arguments_in_short(record["arguments"], length)

    def within(self, key: str) -> list[Event]:
        """The steps that were done within an event."""
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
                f"{len(found)} events of simulation {self.simulation.id!r} begin with "
                f"{beginning!r}. Nothing was changed. Its history lists what there is."
            )
        return self.event(found[0])

    def totals(self, root: str | None = None) -> Totals:
        """What the events of a line, or of all lines, come to."""
        keys = self._read if root is None else self._order.get(root, [])
        return Totals.of(self.event(key) for key in keys)

    def began_as(self, root: str) -> tuple[str, str]:
        """What a line is of, and what it began from, in short."""
        return began_as(self._origins.get(root) or {"class": "?"})

    def title(self, root: str) -> str:
        """Both of these together."""
        kind, words = self.began_as(root)
        return f"{kind}: {words}" if words else kind

    def event(self, key: str) -> Event:
        """An event with what it was in this run by now: replayed, done, or not met yet."""
        step = self.simulation.step_of(key)
        event = self._read[key].event
        return event if step is None else replace(event, hit=step.hit, why=step.why)


def began_as(origin: Record) -> tuple[str, str]:
    """What a line is of, a class or a method, and what it began from, in short.

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
