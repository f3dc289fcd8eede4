"""One transactional call: look it up, run it, then store it or roll it back."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from tinyfactory.errors import DamagedRecord, ForkedTransaction, NameTaken
from tinyfactory.journal import key as keys
from tinyfactory.journal.key import Call
from tinyfactory.journal.records import NEW, REPLAYED, Record
from tinyfactory.journal.rows import is_row
from tinyfactory.journal.scope import (
    Context,
    Line,
    Scope,
    Slot,
    Step,
    Undo,
    current_context,
    origins,
    scope,
    within,
)
from tinyfactory.journal.serializer import (
    Change,
    Plain,
    State,
    apply,
    check_change,
    decode,
    difference,
    encode,
    inverse,
    journal_state,
    objects_in,
    outline,
)
from tinyfactory.utils.concurrency import lock_of
from tinyfactory.utils.logs import get_logger

Json = dict[str, Any]
logger = get_logger("tinyfactory")

OTHERWISE = "a step within it was done otherwise"


def current_transaction() -> Transaction | None:
    """The innermost transactional call in this thread or task, or None."""
    found: Transaction | None = current_context().transaction
    return found


def required_transaction() -> Transaction:
    """Return the current transaction; for code that only runs in a transactional method."""
    found = current_transaction()
    if found is None:
        raise RuntimeError("only called within a transactional method")
    return found


class Transaction:
    """A call of a transactional method, from its look-up to its commit or rollback.

    The steps, in order: `try_lock`, `open`, `look_up`. If there is a stored event, `replay`. If
    not, the body runs within `active`, and `commit` (or `send`, and later `finish`) stores the
    event. After an error `roll_back`; in any case `release`.

    Objects that the method may change (`Call.participants`) are copied by `open`, locked until
    `release`, and restored by `roll_back`. A method that declares ``touches=()`` changes
    nothing itself but calls `stage`; its changes are made when its event is stored.

    No step may be interrupted by Ctrl-C half way: in the main thread each runs within
    `deferred_interrupts`.
    """

    key = ""
    line: Line | None = None
    base = ""
    parent_head = ""
    why = ""
    result: Any = None
    failure: str | None = None
    kept = True
    rerun = False
    composite = False
    _sent: tuple[Record, Callable[[], list[Record]]] | None = None
    _serial = 0
    _done = False
    _overtaken = False

    def __init__(self, call: Call) -> None:
        here = current_context()
        self.call = call
        self.parent: Transaction | None = here.transaction
        self.slot: Slot | None = here.slot
        owner = getattr(call.owner, "simulation_id", None)
        self.scope: Scope = self.parent.scope if self.parent else scope(owner)
        self.content: Json = {}
        self.before: dict[str, State] = {}
        self.staged: list[tuple[str, Change]] = []
        self.children: list[tuple[str, Record]] = []
        self.replies: list[Json] = []
        self.started = time.time()
        self.undo: list[Undo] = []
        self._pid = os.getpid()
        # Names of objects that are to be locked before the next step, and the locks that are held.
        self._to_lock = list(call.participants)
        self._locks: dict[int, Any] = {}

    # -- locks --------------------------------------------------------------------------

    def try_lock(self, seconds: float) -> bool:
        """Lock the objects that are copied or changed; False after a timeout."""
        if not self._to_lock:
            return True
        things = map(self.call.things.__getitem__, self._to_lock)
        # Always in the same order, so that two calls never wait for each other.
        for thing in sorted(things, key=id):
            if not self.has_locked(thing):
                lock = lock_of(thing)
                if not lock.acquire(True, seconds):
                    return False
                self._locks[id(thing)] = lock
        self._to_lock.clear()
        return True

    def has_locked(self, thing: Any) -> bool:
        """Whether this call or one around it has locked an object."""
        if id(thing) in self._locks:
            return True
        return self.parent is not None and self.parent.has_locked(thing)

    def release(self) -> None:
        """Unlock the objects."""
        if self._pid == os.getpid():  # in a forked child they are open already
            for lock in self._locks.values():
                lock.release()
        self._locks.clear()

    # -- look-up and replay -------------------------------------------------------------

    def open(self) -> None:
        """Copy the objects that the method may change, and compute the event's key."""
        states: dict[str, State] = {}
        for name, thing in self.call.participants.items():
            self.before[name] = state = thing.encode_complete_state()
            if self.scope.store is not None:
                states[name] = encode(journal_state(thing, state), f"the state of {name}")
        if self.scope.store is None:
            return
        self.content = keys.call_content(self.call, states)
        self._take_place()
        self.key = keys.event_key(self.base, self.content)

    def _take_place(self) -> None:
        """Find the base of the event: its place in a line, or within the call around it."""
        if self.parent is not None:
            self.base = self.parent.next_base()
            return
        owner, slot = self.call.owner, self.slot
        if isinstance(owner, type):
            origin = {name: self.content[name] for name in ("class", "method", "arguments")}
            self.line = self.scope.new_line("class", origin)
        elif slot is not None and slot.thing is owner:
            self.line = slot.line
        else:
            self.line = self.scope.line_of(owner)
        self.parent_head = self.line.head
        self.base = self.line.start()

    def next_base(self) -> str:
        """The base of the next call within this one."""
        self._serial += 1
        return keys.nested_base(self.key, self._serial)

    def skip_base(self) -> None:
        """Count an inner call that runs without a transaction of its own."""
        self._serial += 1

    def look_up(self) -> Record | None:
        """The stored event to replay, or None; call it again after `replay` returned False.

        Raises
        ------
        ReplayMiss
            If a recording is opened for replay only and does not have the event.
        """
        store = self.scope.store
        if store is None or (self.parent is not None and not self.parent.rerun):
            return None
        record = self._find()
        if record is None:
            # Before anything runs that could not be stored, let alone is paid for.
            store.check_writable()
            if self.parent is None:
                self.scope.count(hit=False)
            return None
        if record["composite"]:
            # Its inner events changed other objects: run the body over these events.
            self.rerun, self.why = True, REPLAYED
            return None
        self._to_lock += record["changes"].keys() - self.call.participants.keys()
        return record

    def _find(self) -> Record | None:
        """The stored event under this key, or under the keys of its retries."""
        recorded = self.scope.recorded
        if recorded is not None and not self.why:
            self.key = recorded.key_of(self.key, self.base, self.content)
        self.why = self.why or NEW
        while True:
            try:
                record: Record | None = self.scope.store.get("event:" + self.key)
            except DamagedRecord as error:
                logger.warning("%s Event %s runs again and is replaced.", error, self.key[:12])
                self.why = "the stored event is damaged"
                return None
            if record is not None and not is_row("event:" + self.key, record):
                logger.warning("Event %s is not one; it runs again.", self.key[:12])
                self.why = "the stored event is damaged"
                return None
            if record is None:
                if recorded is not None:
                    line = None if self.line is None else (self.line.root, self.line.origin)
                    recorded.missed(self.content, self.why, key=self.key, base=self.base, line=line)
                return None
            if record["failure"] is None:
                return record
            again = "event:" + keys.retry_key(self.key)
            if not self.scope.retry_failures and self.scope.store.get(again) is None:
                return record
            self._skip(f"it failed before ({record['failure']}) and is asked again")

    def _skip(self, why: str) -> None:
        logger.info("%s is not replayed: %s", self.call.method.name, why)
        self.key, self.why = keys.retry_key(self.key), why

    def replay(self, record: Record) -> bool:
        """Apply a stored event; False if another object has taken a name in it."""
        try:
            self._take_over(record)
        except NameTaken as error:
            self._skip(f"a name in it is taken now: {error}")
            return False
        self.why = REPLAYED
        if self.parent is None:
            self.scope.count(hit=True)
            self._end(record)
        else:
            self._hand_up(record)
        return True

    def _take_over(self, record: Record) -> None:
        """Apply an event's changes and decode its result, all or nothing."""
        result, changes = record["result"], record["changes"]
        # Nothing needs decoding in most events; a part that is handed up as well is copied.
        if type(record) is not Plain or self.parent is not None:
            with self.active():
                try:
                    result = decode(result, self._enter)
                except BaseException:
                    self._undo_all()
                    raise
            changes = decode(changes)
        self.result = result
        self.staged = list(changes.items())
        self._make_staged()
        self.replies = record["meta"]["replies"]

    def _enter(self, thing: Any) -> Any:
        """Register an object from the journal, as when it was made."""
        origins.put(thing, self.key)
        join = getattr(thing, "_join_simulation", None)
        return thing if join is None else join(self.scope.id)

    # -- the body -----------------------------------------------------------------------

    def active(self) -> AbstractContextManager[None]:
        """Run the block as the body of this call."""
        return within(Context(self, self.slot, self.undo, current_context().sender))

    def stage(self, change: Change, name: str = "self") -> None:
        """Add a change of the object (or another parameter), made when the event is stored."""
        self.staged.append((name, change))
        self._to_lock.append(name)

    def fail(self, reason: str, *, keep: bool = True) -> None:
        """Mark the result as a failure; with ``keep=False`` its event is not stored."""
        self.failure, self.kept = reason, keep

    def check_process(self) -> None:
        """Raise an error in a process that was forked during the call.

        Raises
        ------
        ForkedTransaction
            In the child process; the parent continues.
        """
        tx: Transaction | None = self
        while tx is not None:
            if tx._pid != os.getpid():  # noqa: SLF001 - the same class
                raise ForkedTransaction(
                    f"{tx.call.method.name} began in another process, before a fork. Nothing was "
                    "stored in this process; the other one continues. Call it again."
                )
            tx = tx.parent

    # -- commit -------------------------------------------------------------------------

    def commit(self, result: Any) -> bool:
        """Store the event and make the staged changes; afterwards `result` is the valid result.

        False if another kernel stored a different event first, whose inner events changed other
        objects. Then call `begin_again` and run the body again over those events.
        """
        self.send(result)
        return self.finish()

    def send(self, result: Any) -> None:
        """Hand the event to the writer thread without waiting for the disk."""
        self.check_process()
        self.result = result
        if self.parent is None and self.scope.store is not None and self.kept:
            self._sent = self._submit()

    def finish(self) -> bool:
        """Wait until the event is stored, then make the staged changes; see `commit`."""
        if self.parent is not None:
            self._make_staged()
            # An outer method that declares `touches` is replayed without its inner events.
            keep = self.scope.store is not None and self.parent.call.method.touches is None
            self._hand_up(self._record() if keep else None)
            return True
        record: Record | None = None
        if self._sent is None:
            self._make_staged()
        else:
            record = self._publish()
            if record is None:
                return False
        if self.rerun and not self._overtaken:
            self.scope.count(hit=record is not None and self.why == REPLAYED)
        self._end(record)
        return True

    def _publish(self) -> Record | None:
        """Wait for the stored event; if another kernel was first, continue with its event."""
        mine, standing = self._stored()
        if standing["composite"] and standing["head"] != mine["head"] and not self.rerun:
            logger.info("Another kernel ran %s first; its events count.", self.call.method.name)
            return None
        while standing["composite"] and standing["head"] != mine["head"]:
            # The objects that its inner events changed do not enter its key and were in another
            # state, so its own changes are not enough to replay it: this is a different event.
            self.key = keys.variant_key(self.key, [key for key, _ in self.children])
            known = self.scope.store.get("event:" + self.key) is not None
            self.why = REPLAYED if known else OTHERWISE
            mine, standing = self._stored()
        if standing["head"] == mine["head"]:
            self._make_staged()
            for thing in objects_in(self.result):
                origins.put(thing, self.key)
            return standing
        logger.info("Another kernel ran %s first; its result counts.", self.call.method.name)
        self._put_back()
        try:
            self._take_over(standing)
        except NameTaken as error:
            raise NameTaken(
                f"Another kernel ran {self.call.method.name} first, and a name in its result is "
                "taken here. Both results are saved; run the same call again to continue with "
                "both."
            ) from error
        return standing

    def _submit(self) -> tuple[Record, Callable[[], list[Record]]]:
        record = self._record()
        items = [("event:" + self.key, record)]
        if self.line is not None and not self.line.steps:
            items.append(("line:" + self.line.root, self.line.origin))
        if self.composite:
            items += [("event:" + key, inner) for key, inner in self.children]
        return record, self.scope.store.submit(items).result

    def _stored(self) -> tuple[Record, Record]:
        """The record of this call, and the record that is stored under its key."""
        sent, self._sent = self._sent or self._submit(), None
        record, wait = sent
        return record, wait()[0]

    def _record(self) -> Record:
        """The record of a call: its content, its result and its cost."""
        changes = self._changes()
        encoded = encode(self.result, "the result")
        content = self.content
        steps = [record["head"] for _, record in self.children] if self.composite else []
        return {
            "simulation": self.scope.id,
            "line": self.line.root if self.line is not None else None,
            "parent": self.parent_head,
            "within": self.parent.key if self.parent is not None else None,
            "base": self.base,
            "class": content["class"],
            "method": content["method"],
            "version": content["version"],
            "arguments": content["arguments"],
            "request": outline(content["request"]),
            "state": content.get("state"),
            "result": encoded,
            "changes": changes,
            "failure": self.failure,
            "composite": self.composite,
            "steps": steps,
            "head": keys.next_head(self.key, encoded, changes, steps),
            "meta": {
                "at": round(self.started, 3),
                "seconds": round(time.time() - self.started, 3),
                "why": self.why,
                "replies": self.replies,
            },
        }

    def _changes(self) -> dict[str, Change]:
        """The changes by parameter: staged ones, or the difference between before and after."""
        changes: dict[str, Change] = {}
        for name, before in self.before.items():
            thing = self.call.things[name]
            change = difference(journal_state(thing, before), journal_state(thing))
            if change:
                changes[name] = encode(change, f"the change of {name}")
        for name, change in self.staged:
            if name in changes:
                raise ValueError(f"{name} was changed twice in one call; stage one change.")
            changes[name] = encode(change, f"the change of {name}")
        return changes

    def _make_staged(self) -> None:
        """Make the staged changes; each can be undone until the outermost call is stored."""
        for name, change in self.staged:
            thing = self.call.things[name]
            if self.parent is not None:
                back = inverse(thing.encode_complete_state(), change)
                self.undo.append(functools.partial(_make_change, thing, back))
            _make_change(thing, change)

    def _end(self, record: Record | None) -> None:
        """Move the line's head behind this event; with None leave it unchanged."""
        self._done = True
        if self.line is None:
            return
        replayed = self.why == REPLAYED
        step = Step(self.key, record["head"], replayed, self.why) if record else None
        self.line.finish(step)
        if step is not None:
            self.scope.went(step)

    def _hand_up(self, record: Record | None) -> None:
        """End within another call: the outer call stores this event or rolls it back."""
        parent = self.parent
        self._done = True
        if parent is None:
            return
        others = parent.call.participants.values()
        for name, state in self.before.items():
            thing = self.call.things[name]
            if not any(thing is other for other in others):
                parent.undo.append(functools.partial(thing.decode_complete_state, state))
        parent.undo.extend(self.undo)
        parent.replies.extend(self.replies)
        if record is None:
            return
        parent.children.append((self.key, record))
        if self.composite:
            parent.children.extend(self.children)
        touched = {id(self.call.things[name]) for name, _ in self.staged} | {
            id(thing) for thing in self.call.participants.values()
        }
        # The changes of an outer event's own objects cannot replay an inner change of another
        # object. Such an event is replayed by running its body over the inner events.
        if touched - {id(thing) for thing in others}:
            parent.composite = True

    # -- rollback -----------------------------------------------------------------------

    def begin_again(self) -> None:
        """Go back to the start, to run the body over the inner events of another kernel."""
        self._put_back()
        self.children, self.replies, self.staged = [], [], []
        self.failure, self.kept, self.composite = None, True, False
        self._serial = 0
        self.rerun = self._overtaken = True

    def roll_back(self) -> None:
        """Restore everything as before the call; does nothing after a commit."""
        if self._done:
            return
        if self._sent is not None:
            # Wait for it: the same call made at once must find it, not do it anew.
            with suppress(Exception):  # the original error is raised anyway
                self._sent[1]()
        self._put_back()
        if self.rerun and self.parent is None and not self._overtaken:
            self.scope.count(hit=False)
        self._end(None)

    def _put_back(self) -> None:
        self._undo_all()
        for name, state in self.before.items():
            self.call.participants[name].decode_complete_state(state)

    def _undo_all(self) -> None:
        while self.undo:
            self.undo.pop()()


def _make_change(thing: Any, change: Change) -> None:
    """Apply a change to an object, with its faster `_apply_change` if it has one."""
    check_change(type(thing), change)
    own = getattr(thing, "_apply_change", None)
    if own is not None:
        own(change)
    else:
        thing.decode_complete_state(apply(thing.encode_complete_state(), change))
