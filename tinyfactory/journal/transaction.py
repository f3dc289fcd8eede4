"""One call under way: what it may undo, what it will change, what it will be kept as."""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from tinyfactory.errors import DamagedRecord, ForkedTransaction, NameTaken
from tinyfactory.journal.call import Call
from tinyfactory.journal.fork import pass_on, rehearsing, slot_of
from tinyfactory.journal.records import NEW, REPLAYED, Record, head_of, outline
from tinyfactory.journal.scope import Scope, Step, Undo, origins, scope, undo_log
from tinyfactory.journal.serializer import (
    Change,
    State,
    apply,
    decode_part,
    difference,
    digest,
    encode,
    inverse,
    journal_state,
    objects_in,
)
from tinyfactory.utils.concurrency import deferred_interrupts, lock_of

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
        self.sent: Sent | None = None
        self._undo: list[Undo] = []
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

    def look_up(self) -> Record | None:
        """The event, when it is in the journal and to be replayed by `take_over`.

        To be called again after `take_over` refused one.
        """
        within = self.parent is not None and not self.parent.rerun
        if self.scope.store is None or within:
            return None
        with deferred_interrupts():
            record = find(self)
            if record is None:
                # Before anything is done that could not be kept, let alone paid for.
                self.scope.store.check_writable()
                if self.parent is None and not rehearsing():
                    self.scope.count(hit=False)
                return None
            if record["composite"]:
                # It is only known to be a hit when its body has run over its steps.
                self.rerun, self.why = True, REPLAYED
                return None
            self.to_change = tuple(record["changes"])
            return record

    def take_over(self, record: Record) -> bool:
        """Replay an event that was found; False when a name in it is taken by another now."""
        with deferred_interrupts():
            try:
                self.result = take_over(self, record)
            except NameTaken as error:
                self.to_change = ()
                skip(self, f"a name in it is taken now: {error}")
                return False
            self.why = REPLAYED
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
                self.sent = send(self, result)
                pass_on()

    def commit(self, result: Any) -> Any:
        """Make the staged changes and keep the event; the result that stands in the journal."""
        with deferred_interrupts():
            self.check_process()
            if self.parent is None:
                record = None
                if self.scope.store is not None and self.kept:
                    published = publish(self, result)
                    if published is None:
                        return OVERTAKEN
                    result, record = published
                else:
                    self.make_staged()
                if self.rerun and not self._overtaken:
                    self.scope.count(hit=record is not None and self.why == REPLAYED)
                self._finish(record)
                return result
            self.make_staged()
            # Who declares what it touches answers for being replayed by that alone.
            keep = self.scope.store is not None and self.parent.call.method.touches is None
            self._hand_up(record_of(self, result) if keep else None)
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
        token, log = _current.set(self), undo_log.set(self._undo)
        try:
            yield
        finally:
            undo_log.reset(log)
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

    def undo_later(self, step: Undo) -> None:
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
            hit = self.why == REPLAYED
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


# The record of a call, and what waits for those that stand in the journal.
Sent = tuple[Record, Callable[[], list[Record]]]
logger = logging.getLogger("tinyfactory")
# What a commit gives when the body is to be run again.
OVERTAKEN = object()
OTHERWISE = "a step within it was done otherwise"


def find(tx: Transaction) -> Record | None:
    """Look an event up; sets `tx.key` to the key that it has or will have, and `tx.why`.

    A key leads on to the next ("again") when what stands there is not to be used: a failure
    that is asked again, or (see `skip`) a person whose name someone else bears now.

    Raises
    ------
    ReplayMiss
        When a recording is only replayed, and does not hold it.
    """
    recorded = tx.scope.recorded
    if recorded is not None and not tx.why:
        tx.key = recorded.key_of(tx.key, tx.base, tx.asked)
    tx.why = tx.why or NEW
    while True:
        try:
            record: Record | None = tx.scope.store.get("event:" + tx.key)
        except DamagedRecord as error:
            logger.warning("%s Event %s is done anew and replaced.", error, tx.key[:12])
            tx.why = "the stored event is damaged"
            return None
        if record is None:
            if recorded is not None:
                line = None if tx.line is None else (tx.line.root, tx.line.origin)
                recorded.missed(tx.asked, tx.why, key=tx.key, base=tx.base, line=line)
            return None
        if record["failure"] is None or not _ask_again(tx):
            return record
        skip(tx, f"it failed before ({record['failure']}) and is asked again")


def skip(tx: Transaction, why: str) -> None:
    """Go on to the next key: what stands under this one is not to be used."""
    logger.info("%s is not replayed: %s", tx.call.method.name, why)
    tx.key, tx.why = _again(tx), why


def _again(tx: Transaction) -> str:
    return digest("again", tx.key)


def _ask_again(tx: Transaction) -> bool:
    return tx.scope.retry_failures or tx.scope.store.get("event:" + _again(tx)) is not None


def take_over(tx: Transaction, record: Record) -> Any:
    """Make an event's changes here and hand out its result, all or nothing."""
    if tx.parent is not None:
        record = dict(record)  # it is handed up, so its parts are copied
    with tx.active():
        try:
            result = decode_part(record, "result", lambda thing: _enter(thing, tx))
        except BaseException:
            tx.undo_all()
            raise
    tx.staged = list(decode_part(record, "changes").items())
    tx.make_staged()
    tx.replies = record["meta"]["replies"]
    return result


def _enter(thing: Any, tx: Transaction) -> Any:
    """Have an object from the journal join the simulation, as it did when it was made."""
    origins.put(thing, tx.key)
    join = getattr(thing, "_join_simulation", None)
    return thing if join is None else join(tx.scope.id)


def publish(tx: Transaction, result: Any) -> tuple[Any, Record] | None:
    """Keep the event. When another kernel was first, go on with what it kept.

    None when that is more than the changes of this call's own objects: the body is then to be
    run again, over the steps within that the other kept.
    """
    mine, standing = _keep(tx, result)
    if standing["composite"] and standing["head"] != mine["head"] and not tx.rerun:
        logger.info("Another kernel did %s first; its steps count.", tx.call.method.name)
        return None
    while standing["composite"] and standing["head"] != mine["head"]:
        # The objects that its steps within changed are no part of its key, and were not as
        # they had been. Its own changes alone would leave those behind: it is another event.
        tx.key = digest("otherwise", tx.key, [key for key, _ in tx.children])
        known = tx.scope.store.get("event:" + tx.key) is not None
        tx.why = REPLAYED if known else OTHERWISE
        mine, standing = _keep(tx, result)
    if standing["head"] == mine["head"]:
        tx.make_staged()
        for thing in objects_in(result):
            origins.put(thing, tx.key)
        return result, standing
    logger.info("Another kernel did %s first; its result counts.", tx.call.method.name)
    tx.undo_all()
    for name, state in tx.before.items():
        tx.call.things[name].decode_complete_state(state)
    try:
        return take_over(tx, standing), standing
    except NameTaken as error:
        raise NameTaken(
            f"Another kernel did {tx.call.method.name} first, and a name in what it made is borne "
            "by someone else here by now. Its result is kept, and so is all that was made here; "
            "doing the same again goes on with both."
        ) from error


def send(tx: Transaction, result: Any) -> Sent:
    """Have the event stored unless it is there: the record of this call, and what then stands."""
    mine = record_of(tx, result)
    items = [("event:" + tx.key, mine)]
    if tx.line is not None and not tx.line.steps:
        items.append(("line:" + tx.line.root, tx.line.origin))
    if tx.composite:
        items += [("event:" + key, record) for key, record in tx.children]
    return mine, tx.scope.store.add_all_soon(items)


def _keep(tx: Transaction, result: Any) -> tuple[Record, Record]:
    sent, tx.sent = tx.sent, None
    mine, standing = sent or send(tx, result)
    return mine, standing()[0]


def record_of(tx: Transaction, result: Any) -> Record:
    """All that is kept of a call: what was asked, what came of it, what it took."""
    changes = _changes(tx)
    encoded = encode(result, "the result")
    asked = tx.asked
    steps = [record["head"] for _, record in tx.children] if tx.composite else []
    return {
        "simulation": tx.scope.id,
        "line": tx.line.root if tx.line is not None else None,
        "parent": tx.parent_head,
        "within": tx.parent.key if tx.parent is not None else None,
        "base": tx.base,
        "class": asked["class"],
        "method": asked["method"],
        "version": asked["version"],
        "arguments": asked["arguments"],
        "request": outline(asked["request"]),
        "state": asked.get("state"),
        "result": encoded,
        "changes": changes,
        "failure": tx.failure,
        "composite": tx.composite,
        "steps": steps,
        "head": head_of(tx.key, encoded, changes, steps),
        "meta": {
            "at": round(tx.started, 3),
            "seconds": round(time.time() - tx.started, 3),
            "why": tx.why,
            "replies": tx.replies,
        },
    }


def _changes(tx: Transaction) -> dict[str, Change]:
    """What changed, by parameter: as staged by a draft, else by comparing before and after."""
    changes: dict[str, Change] = {}
    for name, before in tx.before.items():
        thing = tx.call.things[name]
        change = difference(journal_state(thing, before), journal_state(thing))
        if change:
            changes[name] = encode(change, f"the change of {name}")
    for name, change in tx.staged:
        if name in changes:
            raise ValueError(f"{name} was changed twice in one draft; stage one change.")
        changes[name] = encode(change, f"the change of {name}")
    return changes
