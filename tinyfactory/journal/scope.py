"""Scopes: within a scope names are unique, and the events of each object form a line.

An event's key is a digest of the head of its line and of the call; the next head is a digest of
that key and of the result. So a look-up costs the same for any length of a line, a line can have
several branches, and the same call made twice is two events.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinyfactory.budget import Budget, Meter
from tinyfactory.errors import DamagedRecord, NameTaken
from tinyfactory.journal import key
from tinyfactory.journal.cells import Execution, SecondRuns, births, current_execution
from tinyfactory.journal.group import Calls, Member
from tinyfactory.journal.serializer import (
    References,
    digest,
    encode,
    journal_state,
    type_name,
)
from tinyfactory.journal.state import has_own_state, objects_of
from tinyfactory.journal.work import WorkUnderWay
from tinyfactory.utils.concurrency import (
    Aside,
    deferred_interrupts,
    new_lock,
    open_after_fork,
)
from tinyfactory.utils.text import normalise_name

FREE = "free"
# All factories of this process by name. People find their maker here without the factories'
# package, which is above theirs; `TinyFactory.all_factories` is this dictionary.
factories: dict[str, Any] = {}
Undo = Callable[[], object]


# -- the context of a call --------------------------------------------------------------


class Context(NamedTuple):
    """The call, slot and sender that the running code belongs to.

    Attributes
    ----------
    transaction : Transaction or None
        The innermost transactional call.
    slot : Slot or None
        The slot of a job that this call fills.
    undo : list of callable or None
        The undo log of the innermost transaction, to which `on_rollback` adds functions.
    sender : Sender or None
        The sender of the current job, with its budget and its cancel token. Users' own methods
        and callbacks inherit it.
    scope : Scope or None
        The scope of the simulation that the work belongs to; None if there was none when it began.
    execution : Execution or None
        The execution of the cell that began the current job; None for the one that runs now.
    """

    transaction: Any = None
    slot: Slot | None = None
    undo: list[Undo] | None = None
    sender: Any = None
    scope: Any = None
    execution: Execution | None = None


# The only context variable of the package; each thread and task has a current call.
_context: ContextVar[Context] = ContextVar("tinyfactory_context", default=Context())  # noqa: B039 - a tuple


def current_context() -> Context:
    """The context of the calling thread or task."""
    return _context.get()


@contextmanager
def within(context: Context) -> Iterator[None]:
    """Run the block in another context."""
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


def on_rollback(undo: Undo) -> None:
    """Call `undo` if the current transaction is rolled back; without one do nothing.

    For code that changes something other than the method's object, such as a registry.

    Examples
    --------
    >>> on_rollback(lambda: None)  # outside a transaction: nothing to undo
    """
    log = _context.get().undo
    if log is not None:
        log.append(undo)


@contextmanager
def undone_on_error() -> Iterator[None]:
    """If the block raises, call the functions that `on_rollback` collected in it."""
    log: list[Undo] = []
    with within(_context.get()._replace(undo=log)):
        try:
            yield
        except BaseException:
            while log:
                log.pop()()
            raise


# -- lines of events ----------------------------------------------------------------


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


# -- names ------------------------------------------------------------------------------


# Marks a name that stays taken although its object is no longer in memory.
_GONE = object()


class Registry:
    """Objects by name; adding and removing are undone if the transaction rolls back.

    Examples
    --------
    >>> people = Registry("person")
    >>> people.add("José", 1)
    >>> "jose" in people
    True
    >>> people.add("JOSE", 2)
    Traceback (most recent call last):
        ...
    tinyfactory.errors.NameTaken: There is already a person named 'JOSE' here ...
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, Any] = {}
        self._lock = new_lock()

    def add(self, name: str, thing: Any) -> None:
        """Register `thing`; raise `NameTaken` if another object has the name."""
        key = normalise_name(name)
        with self._lock:
            holder = self._things.setdefault(key, thing)
        if holder is thing:
            on_rollback(lambda: self._remove(key, thing))
            return
        raise NameTaken(
            f"There is already a {self.kind} named {name!r} here (names are compared without case, "
            "accents and spacing). Nothing was changed. Choose another name, or clear the "
            f"registry first."
        )

    def remove(self, name: str) -> None:
        """Remove an object; does nothing if there is none of that name."""
        key = normalise_name(name)
        with self._lock:
            thing = self._things.pop(key, None)
        if thing is not None:
            on_rollback(lambda: self._things.setdefault(key, thing))

    def _remove(self, key: str, thing: Any) -> None:
        with self._lock:
            if self._things.get(key) is thing:
                del self._things[key]

    def get(self, name: str) -> Any | None:
        """The object of that name, or None."""
        found = self._things.get(normalise_name(name))
        return None if found is _GONE else found

    def let_go(self, name: str, thing: Any) -> None:
        """Drop the object but keep its name taken; for more people than fit into memory."""
        with self._lock:
            if self._things.get(normalise_name(name)) is thing:
                self._things[normalise_name(name)] = _GONE

    def names(self) -> list[str]:
        """All names that are taken, normalised."""
        return list(self._things)

    def clear(self) -> None:
        """Remove everything; undone if the transaction rolls back."""
        with self._lock:
            before, self._things = self._things, {}
        on_rollback(lambda: self._things.update(before))

    def __contains__(self, name: str) -> bool:
        return normalise_name(name) in self._things

    def __iter__(self) -> Iterator[Any]:
        return iter([thing for thing in self._things.values() if thing is not _GONE])

    def __len__(self) -> int:
        return len(self._things)


# -- scopes -----------------------------------------------------------------------------

_lines: Aside[tuple[object, Line]] = Aside()
# The key of the event that an object came from.
origins: Aside[str] = Aside()


class Scope:
    """A space of unique names and counted events; the free scope has no journal.

    Parameters
    ----------
    scope_id : str
    retry_failures, budget
        As for `Simulation`.
    simulation : Simulation, optional
        The simulation that has this scope.
    open_store : callable, optional
        Opens a store of the simulation's journal.

    Attributes
    ----------
    hits, misses : int
        The numbers of outermost transactions that were replayed, and that were new.
    model_calls : int
        The number of new replies that were saved.
    """

    def __init__(
        self,
        scope_id: str,
        *,
        retry_failures: bool = False,
        budget: Budget | None = None,
        simulation: Any = None,
        open_store: Callable[[], Any] | None = None,
    ) -> None:
        self.id = scope_id
        self.store: Any = None
        self.retry_failures = retry_failures
        self.budget = budget
        self.simulation = simulation
        self._open_store = open_store
        # The store again if it is a recording, else None.
        self.recorded: Any = None
        self.lock = open_after_fork(threading.RLock())
        self.works = WorkUnderWay(scope_id)
        self._forget()

    def begin(self, store: Any, recorded: Any) -> None:
        """Start a run from the beginning and become the current scope.

        Parameters
        ----------
        store : Store or RecordedStore
        recorded : RecordedStore or None
            The store again if it is a recording.

        Raises
        ------
        InvalidInput
            As `end`. Nothing is changed then.
        """
        others = self.wait_until_free()
        self.store, self.recorded = store, recorded
        if recorded is not None:
            recorded.restart()
        with self.lock:
            self._forget()
        for forget in _at_begin:
            forget(self)
        for other in others:
            other.end()
        with _lock:
            _open[:] = [s for s in _open if s is not self] + [self]

    def end(self) -> None:
        """Close the store; the previous scope becomes the current one.

        Waits for calls and jobs under way, because their events belong to this simulation. Ctrl-C
        stops the waiting, and then the simulation stays open.

        Raises
        ------
        InvalidInput
            Within a call or a job, or beside a coroutine of this thread's event loop, which would
            wait for each other. Nothing is changed then.
        """
        while True:
            self.wait_until_idle("ends")
            with deferred_interrupts(), self.works.lock:
                if self.works.now():
                    continue  # a call began meanwhile
                with _lock:
                    _open[:] = [s for s in _open if s is not self]
                store, self.store = self.store, None
                break
        if store is not None:
            store.close()

    def hold(self, work: Any) -> bool:
        """Keep the simulation open until `let_go`; False if it is not open."""
        with self.works.lock:
            if self.store is None:
                return False
            self.works.add(work)
            return True

    def let_go(self, work: Any) -> None:
        """End some work."""
        self.works.remove(work)

    def wait_until_idle(self, what: str) -> None:
        """Wait until no call and no job is under way; see `end`."""
        self.works.wait_until_none(what, within=_context.get().scope is self)

    def wait_until_free(self) -> list[Scope]:
        """Wait until this can begin, and return those of the same name, which end then."""
        others = [s for s in _open if s.id == self.id and s is not self]
        for one in (self, *others):
            one.wait_until_idle("begins again")
        return others

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """The store; if the scope has ended, a store that is open during the block."""
        if self.store is not None or self._open_store is None:
            yield self.store
            return
        with closing(self._open_store()) as store:
            yield store

    def _forget(self) -> None:
        """Reset to the beginning: no names, no numbers, every line at its root."""
        self.people = Registry("person")
        self.numbers: Counter[str] = Counter()
        self.hits = 0
        self.misses = 0
        self.model_calls = 0
        self.meter = Meter(self.budget)
        self.last_key: str | None = None
        # Versions whose parts were stored in this run.
        self.versions: set[str] = set()
        self._steps: dict[str, Step] = {}
        self._occurrences: Counter[str] = Counter()
        self.second_runs = SecondRuns()
        # Lines are stored together with this token, so that a line of an earlier run is never
        # continued.
        self._run = object()

    def number(self, kind: str) -> int:
        """The next number of a kind, from 1 in each run."""
        with self.lock:
            self.numbers[kind] += 1
            return self.numbers[kind]

    def line_of(self, thing: Any) -> Line:
        """The line of an object; begins one at its present state if it has none."""
        line = self.begun_line_of(thing)
        if line is not None:
            return line
        with self.lock:
            line = self.begun_line_of(thing)
            if line is None:
                origin, refers = _origin(thing)
                line = self._recorded_line(thing, origin) or self.new_line("object", origin, thing)
                line.refers = refers
                _lines.put(thing, (self._run, line))
            return line

    def _recorded_line(self, thing: Any, origin: dict[str, Any]) -> Line | None:
        """The line of an object in the recording that is replayed, or None."""
        if self.recorded is None:
            return None
        born = births.get(thing) or current_execution()
        root = self.recorded.root_of(origin, born, made=bool(origin_of(thing)))
        if root is None:
            return None
        place = self.recorded.get("line:" + root)
        equal = digest(self.recorded.recording.simulation, "object", origin)
        self._occurrences[equal] = max(self._occurrences[equal], place["occurrence"])
        return Line(root, place)

    def begun_line_of(self, thing: Any) -> Line | None:
        """The line of an object in this run, or None; does not begin one."""
        found = _lines.get(thing)
        return found[1] if found is not None and found[0] is self._run else None

    def count(self, *, hit: bool) -> None:
        """Count an outermost transaction as replayed or new."""
        with self.lock:
            self.hits += hit
            self.misses += not hit

    def went(self, step: Step) -> None:
        """Remember an outermost event of this run."""
        self.last_key = step.key
        self._steps[step.key] = step

    def step_of(self, key: str) -> Step | None:
        """The event of this run with that key, or None."""
        return self._steps.get(key)

    def new_line(self, kind: str, origin: dict[str, Any], thing: Any = None) -> Line:
        """A new line; its root depends on its origin and the number of earlier equal lines.

        Parameters
        ----------
        kind : str
            ``"object"`` or ``"class"``.
        origin : dict
        thing : object, optional
            The object. The cell that made it is stored with the line.
        """
        born = None if thing is None else births.get(thing) or current_execution()
        with self.lock:
            recorded = self.recorded
            name = self.id if recorded is None else recorded.recording.simulation
            equal = digest(name, kind, origin)
            self._occurrences[equal] += 1
            place = {"simulation": self.id, "kind": kind, **origin}
            place["occurrence"] = self._occurrences[equal]
            root = key.line_root(equal, place["occurrence"])
            return Line(root, place if born is None else place | {"cell": born.mark})


def _origin(thing: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The origin of an object's line, and the objects that it refers to by name."""
    state, where = journal_state(thing), type(thing).__name__
    refers = {"self": thing}
    if has_own_state(type(thing)):
        refers |= objects_of(thing, "self", state)
    names = {id(other): name for name, other in reversed(refers.items())}
    origin = {"class": type_name(type(thing))}
    if len(refers) > 1:
        # Objects in the state are stored by name only, but tell equal origins apart.
        origin["refers"] = digest(encode(state, where, References(once=False)))
    references = References(lambda other: names.get(id(other)), once=False)
    return origin | {"state": encode(state, where, references)}, refers


# For calls while no simulation is open: they are atomic but not saved.
free = Scope(FREE)
# Scopes that are open, the current one last. A process-wide stack and not a context
# variable: a notebook's cells and a widget's threads share the simulation of the notebook.
_open: list[Scope] = []
_lock = new_lock()
_at_begin: list[Callable[[Scope], None]] = []


def at_begin(forget: Callable[[Scope], None]) -> None:
    """Call `forget(scope)` whenever a simulation begins."""
    _at_begin.append(forget)


@contextmanager
def working(here: Scope, work: Any) -> Iterator[None]:
    """In the block the simulation stays open, and calls in it belong to that simulation.

    Parameters
    ----------
    here : Scope
    work : object
        The call or job; its text names it.
    """
    with deferred_interrupts() as interrupts:
        held = here.hold(work)
        try:
            mine = here if held else None
            with within(_context.get()._replace(scope=mine)), interrupts.allowed():
                yield
        finally:
            if held:
                here.let_go(work)


def current_scope() -> Scope:
    """The scope that was begun last and has not ended; the free scope if there is none."""
    return _open[-1] if _open else free


def scope(simulation_id: str | None = None) -> Scope:
    """The open scope of that id, or the current one; the free scope if there is none.

    Within a call or a job both are the scope in which it began.
    """
    here: Scope | None = _context.get().scope
    if here is not None and here.store is not None and simulation_id in (None, here.id):
        return here
    if simulation_id is None:
        return current_scope()
    for candidate in reversed(_open):
        if candidate.id == simulation_id:
            return candidate
    return free


def origin_of(thing: Any) -> str:
    """The key of the event that an object came from in this run, or an empty string."""
    return origins.get(thing) or ""
