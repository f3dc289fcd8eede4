"""The calls of a recording, to be found by what was called, on which object, and its number.

A journal's event is found by its exact place. A recording's event can also be found without it, so
that a notebook's cells may be run in any order, and also after a prompt has changed. An event's
*call* is its class, method, version and arguments, and the line of its object. Its *number* counts
equal calls along the object's line, from 0. Events with the same call and number are on different
branches, or of different models.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tinyfactory.journal.key import derived_parameters, fork_head, slot_head
from tinyfactory.journal.recording.recording import Recording
from tinyfactory.journal.records import Record, name_in
from tinyfactory.journal.values.stored_text import digest

# The parts of an event that say what was called.
CALL = ("class", "method", "version", "arguments")


@dataclass(slots=True)
class RecordedCall:
    """What is kept in memory of an event.

    Attributes
    ----------
    key : str
        The event's key.
    call : str
        A digest of what was called, without the object.
    root : str
        The root of the line of its object.
    parent, base, head : str
        Its place in the line, as in the journal.
    cell : str
        The cell that made the call, if it is recorded.
    rank : int
        How seldom its model is in the recording: 0 for the most frequent.
    number : int
        The number among equal calls on its object.
    order : int
        Its place in the order of all calls on its object.
    """

    key: str
    call: str
    root: str
    parent: str
    base: str
    head: str
    cell: str
    rank: int
    number: int = -1
    order: int = -1


@dataclass(slots=True)
class RecordedLine:
    """The root of a line, and the object at its beginning."""

    root: str
    class_name: str
    state: Record
    occurrence: int
    cell: str


class RecordedCalls:
    """The events of a recording by call, the lines by object, and inner events by place.

    Parameters
    ----------
    recording : Recording

    Attributes
    ----------
    calls : dict
        The events by line and call, then by number. Calls on classes are under the line "".
    lines : dict of str to list of RecordedLine
        By the class of the object.
    inner : dict of str to list of str
        The keys of events within others, by base.
    on_line : dict of str to list of RecordedCall
        The events of each line, in no order.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.calls: dict[tuple[str, str], dict[int, list[RecordedCall]]] = {}
        self.lines: dict[str, list[RecordedLine]] = defaultdict(list)
        self.inner: dict[str, list[str]] = defaultdict(list)
        self.on_line: dict[str, list[RecordedCall]] = defaultdict(list)
        # By class, the attributes that recorded calls change: by the way, or at all. Under "" are
        # those of objects that were passed as arguments.
        self._grown: dict[str, set[str]] = defaultdict(set)
        self._changed: dict[str, set[str]] = defaultdict(set)
        # The attributes of each class, and the classes and names of objects that calls made.
        self._attributes: dict[str, set[str]] = defaultdict(set)
        self._made: set[tuple[str, str]] = set()
        self._events: dict[str, list[RecordedCall]] = defaultdict(list)
        self._joins: dict[str, list[list[str]]] = defaultdict(list)
        self._class_lines: dict[str, int] = {}
        with_objects = self._read()
        for event, content in with_objects:
            event.call = self.call_of(content, derived_parameters.get(content["method"], ()))
        on_classes = []
        for root, events in self._events.items():
            self._number(root, events)
            if root in self._class_lines:
                on_classes += events
            else:
                self._enter(root, events)
        # Lines of classes have no order among each other, but a number of equal ones.
        on_classes.sort(key=lambda event: (self._class_lines[event.root], event.rank, event.key))
        self._number_on_classes(on_classes)
        self._enter("", on_classes)
        for lines in self.lines.values():
            lines.sort(key=lambda line: (line.occurrence, line.root))

    # -- reading -----------------------------------------------------------------------

    def _read(self) -> list[tuple[RecordedCall, Record]]:
        """Read all rows; returns the calls with objects as arguments, which need all others."""
        with_objects = []
        ranks = {digest(model): n for n, model in enumerate(self._recording.identities)}
        for name in self._recording:
            kind, _, own = name.partition(":")
            row = self._recording.get(name)
            if row is None:
                continue
            if kind == "event":
                event = self._read_event(own, row, ranks)
                if event is not None and self._note_objects(row["arguments"]):
                    with_objects.append((event, {part: row[part] for part in CALL}))
            elif kind == "join":
                self._joins[row["parent"]].append(row["heads"])
            elif kind == "line" and row.get("kind") == "class":
                self._class_lines[own] = row.get("occurrence", 1)
            elif kind == "line":
                line = RecordedLine(
                    own, row["class"], row["state"], row.get("occurrence", 1), row.get("cell", "")
                )
                self.lines[line.class_name].append(line)
                self._attributes[line.class_name] |= line.state.keys()
        return with_objects

    def _read_event(self, key: str, row: Record, ranks: dict[str, int]) -> RecordedCall | None:
        for name, change in row["changes"].items():
            _add_names(self._changed[row["class"] if name == "self" else ""], change)
        self._note_objects(row["result"], made=True)
        if row["line"] is None:
            self.inner[row["base"]].append(key)
            _add_names(self._grown[row["class"]], row["changes"].get("self", {}))
            return None
        for name, change in row["changes"].items():
            if name != "self":
                _add_names(self._grown[""], change)
        model = (row["request"] or {}).get("model")
        event = RecordedCall(
            key,
            _digest_of_call(row, row["arguments"], derived_parameters.get(row["method"], ())),
            row["line"],
            row["parent"],
            row["base"],
            row["head"],
            row["meta"].get("cell", ""),
            ranks.get(digest(model), len(ranks)),
        )
        self._events[row["line"]].append(event)
        return event

    def _note_objects(self, value: Any, *, made: bool = False) -> bool:
        """Note the attributes of all objects in a value; whether there is one."""
        found = False
        for thing in _objects_in(value):
            found = True
            self._attributes[thing["type"]] |= thing["state"].keys()
            if made and (name := name_in(thing["state"])):
                self._made.add((thing["type"], name))
        return found

    # -- numbers of equal calls --------------------------------------------------------

    def _number(self, root: str, events: list[RecordedCall]) -> None:
        """Number the events of a line along its branches."""
        after: dict[str, list[RecordedCall]] = defaultdict(list)
        for event in events:
            after[event.parent].append(event)
        for group in after.values():
            group.sort(key=lambda event: (event.base != event.parent, event.rank, event.key))
        walk = _Walk(after, self._joins)
        walk.from_head(root)
        # Calls that ran beside each other have joined heads that no row names, and an interrupted
        # job has no join: what comes after them is numbered after all others.
        heads = {event.head for event in events}
        rest = [event for event in events if event.number < 0]
        for event in sorted(rest, key=lambda event: (event.parent in heads, event.key)):
            if event.number < 0:
                walk.from_head(event.parent, walk.most)

    @staticmethod
    def _number_on_classes(events: list[RecordedCall]) -> None:
        numbers: dict[tuple[str, str], int] = {}
        counts: Counter[str] = Counter()
        for event in events:
            place = event.call, event.root  # the models of one call share its line
            if place not in numbers:
                numbers[place] = counts[event.call]
                counts[event.call] += 1
            event.number = numbers[place]

    def _enter(self, root: str, events: list[RecordedCall]) -> None:
        for event in events:
            self.on_line[event.root].append(event)
            numbers = self.calls.setdefault((root, event.call), {})
            numbers.setdefault(event.number, []).append(event)

    # -- calls -------------------------------------------------------------------------

    def call_of(self, content: Record, derived: Iterable[str] = ()) -> str:
        """A digest of what is called, without its object and its request.

        Objects among the arguments are known by what does not change: those that a call made by
        their names, others by their class and the attributes that no recorded call changes.

        Parameters
        ----------
        content : dict
            An event, or the content of a call.
        derived : iterable of str
            Arguments to leave out.
        """
        return _digest_of_call(content, self._plain(content["arguments"]), derived)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._plain(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("$") != "object":
            return {key: self._plain(part) for key, part in value.items()}
        kind, state = value["type"], value["state"]
        name = name_in(state)
        if (kind, name) in self._made:
            return {"type": kind, "name": name}
        changing = self._changed[kind] | self._changed[""]
        names = (state.keys() & self._attributes[kind]) - changing
        return {"type": kind, "state": {name: self._plain(state[name]) for name in names}}

    # -- objects -----------------------------------------------------------------------

    def lines_like(self, class_name: str, state: Record, *, made: bool) -> list[RecordedLine]:
        """The lines that may begin with an object, the surest ones only.

        Parameters
        ----------
        class_name : str
        state : dict
            The object's encoded state.
        made : bool
            Whether a recorded call made the object, so that its name identifies it.
        """
        lines = self.lines.get(class_name, [])
        exact = [line for line in lines if line.state == state]
        if exact:
            return exact
        name = name_in(state)
        if made and name:
            return [line for line in lines if name_in(line.state) == name]
        # Attributes that calls change by the way differ with the order of the cells.
        grown = self._grown[class_name] | self._grown[""]
        return [
            line
            for line in lines
            if not name or name_in(line.state) in ("", name)
            if _alike(line.state, state, grown)
        ]


class _Walk:
    """Numbers the events of one line, from a head on, branch by branch."""

    def __init__(
        self, after: dict[str, list[RecordedCall]], joins: dict[str, list[list[str]]]
    ) -> None:
        self._after = after
        self._joins = joins
        self._seen: set[str] = set()
        self._order = 0
        self.most: dict[str, int] = {}

    def from_head(self, head: str, counts: dict[str, int] | None = None) -> None:
        """Number all events from a head on."""
        waiting = [(head, dict(counts or {}))]
        while waiting:
            head, counts = waiting.pop()
            if head in self._seen:
                continue
            self._seen.add(head)
            # The first branch is numbered first, so it is put on the stack last.
            waiting += reversed([*self._direct(head, counts), *self._slots(head, counts)])

    def _direct(self, head: str, counts: dict[str, int]) -> list[tuple[str, dict[str, int]]]:
        """Number the events directly at a head; the heads after them."""
        following = []
        beside = dict(counts)
        for event in self._after.get(head, ()):
            # Calls that began while another one ran follow it; the others are branches.
            own = dict(counts) if event.base == head else beside
            self._take(event, own)
            if event.base == head:
                beside = {**beside, **own}
            following.append((event.head, dict(own)))
        return following

    def _slots(self, head: str, counts: dict[str, int]) -> list[tuple[str, dict[str, int]]]:
        """Number the events in the slots of jobs that began at a head; the heads after them."""
        counts, after, slot = dict(counts), [dict(counts)], 0
        while (place := slot_head(head, slot)) in self._after:
            places = [place]
            while level := [event for p in places for event in self._after.get(p, ())]:
                before = dict(counts)
                for event in level:
                    self._take(event, counts, before)
                places = [event.head for event in level]
            after.append(dict(counts))
            slot += 1
        found = []
        for heads in self._joins.get(head, ()):
            joined = fork_head(head, heads)
            found.append((joined, dict(after[min(len(heads), slot)])))
        return found

    def _take(
        self, event: RecordedCall, counts: dict[str, int], before: dict[str, int] | None = None
    ) -> None:
        """Give an event its number, counted in `counts`; alternatives have the same `before`."""
        if event.number < 0:
            event.number = (counts if before is None else before).get(event.call, 0)
            event.order = self._order = self._order + 1
        counts[event.call] = event.number + 1
        self.most[event.call] = max(self.most.get(event.call, 0), event.number + 1)


def _digest_of_call(content: Record, arguments: Record, derived: Iterable[str]) -> str:
    compared = {key: part for key, part in arguments.items() if key not in derived}
    return digest(content["class"], content["method"], content["version"], compared)


def _add_names(names: set[str], change: Record) -> None:
    for part in change.values():
        names.update(part)


def _objects_in(value: Any) -> Iterator[Record]:
    """The encoded objects in an encoded value, outermost only."""
    if isinstance(value, dict) and value.get("$") == "object":
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, (dict, list)):
                yield from _objects_in(part)


def _alike(one: Record, other: Record, grown: set[str]) -> bool:
    """Whether two states may be of one object, apart from attributes that calls change."""
    same_names = one.keys() == other.keys()
    for name in (one.keys() & other.keys()) - grown:
        # A class whose encoding changed has other attributes, or attributes of other types.
        encoded_otherwise = not same_names and type(one[name]) is not type(other[name])
        if one[name] != other[name] and not encoded_otherwise:
            return False
    return True
