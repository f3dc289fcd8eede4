"""Scopes: within a scope names are unique, and the events of each object form a line.

Each simulation has a scope. It begins and ends with the run, knows the lines of the objects and
counts their events. Calls while no simulation is open belong to the free scope.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from tinyfactory.budget import Budget, Meter
from tinyfactory.journal import key
from tinyfactory.journal.cells import SecondRuns, births, current_execution
from tinyfactory.journal.parallel.work import WorkUnderWay
from tinyfactory.journal.scopes.context import current_context, within
from tinyfactory.journal.scopes.lines import Line, Step
from tinyfactory.journal.scopes.registry import Registry
from tinyfactory.journal.values.serializer import References, encode, journal_state, type_name
from tinyfactory.journal.values.state import has_own_state, objects_of
from tinyfactory.journal.values.stored_text import digest
from tinyfactory.utils.concurrency import (
    Aside,
    deferred_interrupts,
    new_lock,
    open_after_fork,
)

FREE = "free"
# All factories of this process by name. People find their maker here without the factories'
# package, which is above theirs; `TinyFactory.all_factories` is this dictionary.
factories: dict[str, Any] = {}


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
        self.works.wait_until_none(what, within=current_context().scope is self)

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
            with within(current_context()._replace(scope=mine)), interrupts.allowed():
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
    here: Scope | None = current_context().scope
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
