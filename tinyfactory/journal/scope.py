"""A scope: where names are unique and lines of events are counted."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from tinyfactory.journal.aside import Aside
from tinyfactory.journal.budget import Budget, Meter
from tinyfactory.journal.canonical import digest, encode, journal_state, type_name
from tinyfactory.journal.lines import Line, Step
from tinyfactory.journal.locks import open_after_fork
from tinyfactory.journal.registry import Registry

if TYPE_CHECKING:
    from tinyfactory.journal.recorded import RecordedStore

FREE = "free"
_lines: Aside[tuple[object, Line]] = Aside()


class Scope:
    """Where names are unique and lines are counted; the free one has no journal.

    `hits` and `misses` count outermost transactions that were replayed and that ran;
    `model_calls` counts replies that were asked for and kept.
    """

    def __init__(self, scope_id: str) -> None:
        self.id = scope_id
        self.store: Any = None
        self.retry_failures = False
        self.budget: Budget | None = None
        # The store once more, where it is a recording that is replayed.
        self.recorded: RecordedStore | None = None
        self.lock = open_after_fork(threading.RLock())
        self._forget()

    def _forget(self) -> None:
        """Go back to the beginning: no names, no numbers, every line at its root."""
        self.registries: dict[str, Registry] = {}
        self.numbers: Counter[str] = Counter()
        self.hits = 0
        self.misses = 0
        self.model_calls = 0
        self.meter = Meter(self.budget)
        self.last_key: str | None = None
        self._steps: dict[str, Step] = {}
        self._occurrences: Counter[str] = Counter()
        # A line is remembered together with this token, so that one of an earlier run
        # is never taken up again.
        self._run = object()

    def registry(self, kind: str) -> Registry:
        """The registry of one kind of thing, such as ``"person"``."""
        with self.lock:
            return self.registries.setdefault(kind, Registry(kind))

    def number(self, kind: str) -> int:
        """The next number of a kind, from 1; starts again with the simulation."""
        with self.lock:
            self.numbers[kind] += 1
            return self.numbers[kind]

    def line_of(self, thing: Any) -> Line:
        """The line of an object, begun at its present state when it has none yet."""
        with self.lock:
            run, line = _lines.get(thing) or (None, None)
            if run is not self._run or line is None:
                state = encode(journal_state(thing), type(thing).__name__)
                line = self.new_line("object", {"class": type_name(type(thing)), "state": state})
                _lines.put(thing, (self._run, line))
            return line

    def begun_line_of(self, thing: Any) -> Line | None:
        """The line of an object in this run, or None; looking begins none."""
        run, line = _lines.get(thing) or (None, None)
        return line if run is self._run else None

    def count(self, *, hit: bool) -> None:
        """Count an outermost transaction as replayed or done."""
        with self.lock:
            self.hits += hit
            self.misses += not hit

    def uncount(self) -> None:
        """Take back that a transaction ran: it was put off, and will be counted when it runs."""
        with self.lock:
            self.misses -= 1

    def went(self, step: Step) -> None:
        """Remember an outermost event of this run."""
        with self.lock:
            self.last_key = step.key
            self._steps[step.key] = step

    def step_of(self, key: str) -> Step | None:
        """The event of this run with that key, or None."""
        return self._steps.get(key)

    def new_line(self, kind: str, origin: dict[str, Any]) -> Line:
        """A line rooted in where it comes from and in how many equal ones came before."""
        with self.lock:
            recorded = self.recorded
            name = self.id if recorded is None else recorded.recording.simulation
            equal = digest(name, kind, origin)
            self._occurrences[equal] += 1
            place = {"simulation": self.id, "kind": kind, **origin}
            place["occurrence"] = self._occurrences[equal]
            return Line(digest(equal, place["occurrence"]), place)


# For what is done while no simulation is open: atomic, and nothing is kept.
free = Scope(FREE)
