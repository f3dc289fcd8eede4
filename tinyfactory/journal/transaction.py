"""One call under way: what it may undo, what it will change, what it will be kept as."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from tinyfactory.errors import ForkedTransaction, NameTaken
from tinyfactory.journal import events, undo
from tinyfactory.journal.aside import lock_of
from tinyfactory.journal.call import Call
from tinyfactory.journal.canonical import digest, encode, journal_state
from tinyfactory.journal.changes import Change, State, apply, inverse
from tinyfactory.journal.fork import pass_on, rehearsing, slot_of
from tinyfactory.journal.interrupts import deferred_interrupts
from tinyfactory.journal.lines import Step
from tinyfactory.journal.scope import Scope
from tinyfactory.journal.simulation import scope

_current: ContextVar[Transaction | None] = ContextVar("tinyfactory_transaction", default=None)


def current_transaction() -> Transaction | None:
    """The transaction that is now running here, or None."""
    return _current.get()


class Transaction:
    """A call from its opening to its commit or rollback.

    The objects that the method touches are copied before and restored on failure, under
    their locks. For others it may work on a draft: it calls `stage`, and the change is
    made when all has gone well, so that its failure takes nobody else's change along.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.parent = _current.get()
        owner_scope = getattr(call.owner, "simulation_id", None)
        self.scope: Scope = self.parent.scope if self.parent else scope(owner_scope)
        self.key = ""
        self.asked: dict[str, Any] = {}
        self.line: Any = None
        self.base = self.parent_head = ""
        self.why = ""
        self.before: dict[str, State] = {}
        self.staged: list[tuple[str, Change]] = []
        self.to_change: tuple[str, ...] = ()
        self.result: Any = None
        self.children: list[tuple[str, dict[str, Any]]] = []
        self.replies: list[dict[str, Any]] = []
        self.failure: str | None = None
        self.kept = True
        self.rerun = False
        self.composite = False
        self.started = time.time()
        self.sent: events.Sent | None = None
        self._undo: list[undo.Undo] = []
        self._pid = os.getpid()
        self._held: list[Any] = []
        self._serial = 0
        self._done = False
        self._overtaken = False

    def try_hold(self, seconds: float) -> bool:
        """Take the locks of the objects that will be copied or changed; False if not in time."""
        staged = {name for name, _ in self.staged}
        names = {*staged, *self.to_change, *self.call.participants}
        # In one order everywhere, so that two calls never wait for each other.
        for thing in sorted((self.call.things[name] for name in names), key=id):
            lock = lock_of(thing)
            if not self._holds(lock):
                with deferred_interrupts():
                    if not lock.acquire(timeout=seconds):
                        return False
                    self._held.append(lock)
        return True

    def open(self) -> None:
        """Copy the objects that are touched, and find the call's place in the journal."""
        participants = self.call.participants
        self.before = {n: thing.encode_complete_state() for n, thing in participants.items()}
        if self.scope.store is None:
            return
        asked = self.call.asked()
        if participants:
            # What was changed by hand between two steps counts as asked, too.
            states = {n: journal_state(thing, self.before[n]) for n, thing in participants.items()}
            asked["state"] = digest(encode_states(states))
        self.asked = asked
        with deferred_interrupts():
            self._start(asked)

    def look_up(self) -> events.Record | None:
        """The event, when it is in the journal and to be replayed by `take_over`.

        To be called again after `take_over` refused one.
        """
        within = self.parent is not None and not self.parent.rerun
        if self.scope.store is None or within:
            return None
        with deferred_interrupts():
            record = events.find(self)
            if record is None:
                # Before anything is done that could not be kept, let alone paid for.
                self.scope.store.check_writable()
                if self.parent is None and not rehearsing():
                    self.scope.count(hit=False)
                return None
            if record["composite"]:
                # It is only known to be a hit when its body has run over its steps.
                self.rerun, self.why = True, events.REPLAYED
                return None
            self.to_change = tuple(record["changes"])
            return record

    def take_over(self, record: events.Record) -> bool:
        """Replay an event that was found; False when a name in it is taken by another now."""
        with deferred_interrupts():
            try:
                self.result = events.take_over(self, record)
            except NameTaken as error:
                self.to_change = ()
                events.skip(self, f"a name in it is taken now: {error}")
                return False
            self.why = events.REPLAYED
            if self.parent is None:
                self.scope.count(hit=True)
                self._finish(record)
            else:
                self._hand_up(record)
            return True

    @property
    def holds_others(self) -> bool:
        """Whether it locks, as long as it runs, what those before may want, too."""
        things = self.call.participants.values()
        return any(self.parent is None or slot_of(thing) is not None for thing in things)

    @property
    def changes_others(self) -> bool:
        """Whether its commit is seen outside the call that it is within, if it is within one."""
        return self.parent is None or bool(self.staged)

    def send(self, result: Any) -> None:
        """Send the event on its way to disk ahead of the commit, where it depends on no state.

        A slot that leaves the others' state as it was lets the next one send its own along. One
        that failed does not: what the others stage may depend on that.
        """
        alone = self.parent is None and not self.before and not self.rerun
        if alone and self.scope.store is not None and self.kept and self.failure is None:
            with deferred_interrupts():
                self.check_process()
                self.sent = events.send(self, result)
                pass_on()

    def commit(self, result: Any) -> Any:
        """Make the staged changes and keep the event; the result that stands in the journal."""
        with deferred_interrupts():
            self.check_process()
            if self.parent is None:
                record = None
                if self.scope.store is not None and self.kept:
                    published = events.publish(self, result)
                    if published is None:
                        return events.OVERTAKEN
                    result, record = published
                else:
                    self.make_staged()
                if self.rerun and not self._overtaken:
                    self.scope.count(hit=record is not None and self.why == events.REPLAYED)
                self._finish(record)
                return result
            self.make_staged()
            # Who declares what it touches answers for being replayed by that alone.
            keep = self.scope.store is not None and self.parent.call.method.touches is None
            self._hand_up(events.record_of(self, result) if keep else None)
            return result

    def check_process(self) -> None:
        """Refuse to go on in a forked process with what was begun before the fork.

        Raises
        ------
        ForkedTransaction
            In the child; the parent goes on unharmed.
        """
        tx: Transaction | None = self
        while tx is not None:
            if tx._pid != os.getpid():  # noqa: SLF001 - the same class
                raise ForkedTransaction(
                    f"{tx.call.method.name} was begun in another process, before a fork. Nothing "
                    "was kept here, and the other process goes on unharmed. Call it anew."
                )
            tx = tx.parent

    def begin_anew(self) -> None:
        """Another kernel's steps count: back to the start, to run the body over them."""
        with deferred_interrupts():
            self._put_back()
            self.children, self.replies, self.staged = [], [], []
            self.failure, self.kept, self.composite = None, True, False
            self._serial = 0
            self.rerun = self._overtaken = True

    def roll_back(self) -> None:
        """Put everything back as it was before the call; nothing after a commit."""
        if self._done:
            return
        with deferred_interrupts():
            if self.sent is not None:
                # Once on disk it is found by who does the same again, and not done anew meanwhile.
                with suppress(Exception):  # why this is undone is told already
                    self.sent[1]()
            self._put_back()
            if self.rerun and self.parent is None and not self._overtaken:
                self.scope.count(hit=False)
            self._finish(None)

    def release(self) -> None:
        """Give the locks back."""
        with deferred_interrupts():
            while self._held:
                lock = self._held.pop()
                if self._pid == os.getpid():  # in a forked child it is open already
                    lock.release()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within: this is the current transaction."""
        token, log = _current.set(self), undo.log.set(self._undo)
        try:
            yield
        finally:
            undo.log.reset(log)
            _current.reset(token)

    def stage(self, change: Change, name: str = "self") -> None:
        """Have a change made to the method's object (or another parameter) at commit."""
        self.staged.append((name, change))

    def fail(self, reason: str, *, keep: bool = True) -> None:
        """Mark the result as a failure: one that can be asked again, or that is not kept at all."""
        self.failure, self.kept = reason, keep

    def make_staged(self) -> None:
        """Make the changes; each can be undone until the outermost call has committed."""
        for name, change in self.staged:
            thing = self.call.things[name]
            if self.parent is not None:
                back = inverse(thing.encode_complete_state(), change)
                self._undo.append(functools.partial(make_change, thing, back))
            make_change(thing, change)

    def undo_all(self) -> None:
        """Undo what registries and other bystanders went through, last first."""
        while self._undo:
            self._undo.pop()()

    def undo_later(self, step: undo.Undo) -> None:
        """Have something undone if this call is rolled back."""
        self._undo.append(step)

    def next_base(self) -> str:
        """The base of the next call within this one."""
        self._serial += 1
        return digest("nested", self.key, self._serial)

    # -- inner workings ---------------------------------------------------------------

    def _put_back(self) -> None:
        self.undo_all()
        for name, state in self.before.items():
            self.call.participants[name].decode_complete_state(state)

    def _holds(self, lock: Any) -> bool:
        tx: Transaction | None = self
        while tx is not None:
            if lock in tx._held:  # noqa: SLF001 - the same class
                return True
            tx = tx.parent
        return False

    def _start(self, asked: dict[str, Any]) -> None:
        if self.parent is not None:
            self.base = self.parent.next_base()
        else:
            owner = self.call.owner
            if isinstance(owner, type):
                names = ("class", "method", "arguments")
                self.line = self.scope.new_line("class", {name: asked[name] for name in names})
            else:
                forked = slot_of(owner)
                self.line = forked[0].line_of(forked[1]) if forked else self.scope.line_of(owner)
            self.parent_head = self.line.head
            self.base = self.line.start()
        self.key = digest(self.base, asked)

    def _finish(self, record: dict[str, Any] | None) -> None:
        self._done = True
        if self.line is not None:
            hit = self.why == events.REPLAYED
            step = Step(self.key, record["head"], hit, self.why) if record else None
            self.line.finish(step)
            if step is not None:
                self.scope.went(step)

    def _hand_up(self, record: dict[str, Any] | None) -> None:
        """Committed within another call: the outer one now keeps it, and may yet undo it."""
        parent = self.parent
        self._done = True
        if parent is None:
            return
        for name, state in self.before.items():
            thing = self.call.things[name]
            if not any(thing is other for other in parent.call.participants.values()):
                parent.undo_later(functools.partial(thing.decode_complete_state, state))
        for step in self._undo:
            parent.undo_later(step)
        parent.replies.extend(self.replies)
        if record is None:
            return
        parent.children.append((self.key, record))
        if self.composite:
            parent.children.extend(self.children)
        touched = {id(self.call.things[n]) for n, _ in self.staged} | {
            id(thing) for thing in self.call.participants.values()
        }
        # An outer event that changed more than its own objects cannot be replayed by their
        # changes alone; it is replayed by running its body over the events within.
        if touched - {id(thing) for thing in parent.call.participants.values()}:
            parent.composite = True


def encode_states(states: dict[str, State]) -> dict[str, Any]:
    """States as JSON, each refused by the name of the object that holds what cannot be kept."""
    return {name: encode(state, f"the state of {name}") for name, state in states.items()}


def make_change(thing: Any, change: Change) -> None:
    """Change an object, by its own way where it has one that costs only the change."""
    own = getattr(thing, "_apply_change", None)
    if own is not None:
        own(change)
    else:
        thing.decode_complete_state(apply(thing.encode_complete_state(), change))
