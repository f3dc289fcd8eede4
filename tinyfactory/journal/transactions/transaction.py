"""One transactional call: look it up, run it, then store it or roll it back."""

from __future__ import annotations

import functools
import os
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from threading import get_ident
from typing import Any

from tinyfactory.errors import (
    DamagedRecord,
    ForkedTransaction,
    InvalidInput,
    JournalError,
    NameTaken,
    UnknownRecord,
)
from tinyfactory.journal import key as keys
from tinyfactory.journal.cells import current_execution
from tinyfactory.journal.key import Call
from tinyfactory.journal.parallel.group import Calls, Member
from tinyfactory.journal.parallel.locks import Locks
from tinyfactory.journal.records import REPLAYED, Record, called
from tinyfactory.journal.scopes.context import Context, Undo, current_context, within
from tinyfactory.journal.scopes.lines import Line, Slot, Step
from tinyfactory.journal.scopes.scope import FREE, Scope, origins, scope
from tinyfactory.journal.transactions.finder import Finder
from tinyfactory.journal.transactions.participants import (
    Participants,
    references_within,
    together,
    unwatched,
)
from tinyfactory.journal.transactions.place import Placer, bring_in_order, take_alone
from tinyfactory.journal.transactions.recorded import RecordedCall
from tinyfactory.journal.transactions.sent import Sent
from tinyfactory.journal.values.changes import Change, apply, check_change, inverse
from tinyfactory.journal.values.parts import copied
from tinyfactory.journal.values.serializer import (
    Known,
    References,
    State,
    decode,
    encode,
    is_journaled,
    journal_state,
)
from tinyfactory.journal.values.stored_text import Plain, digest, outline
from tinyfactory.journal.verification import contents_of
from tinyfactory.journal.version.version import parts_of
from tinyfactory.utils.concurrency import deferred_interrupts
from tinyfactory.utils.logs import get_logger

Json = dict[str, Any]
logger = get_logger("tinyfactory")
# What follows the parameter in the name of an object, such as "people[2].friend".
_ROOT = re.compile(r"[.\[]")
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
    `release`, and restored by `roll_back`. Another object takes part from the first assignment to
    one of its attributes (`take_part`). A method that declares ``touches=()`` changes nothing
    itself but calls `stage`; its changes are made when its event is stored.

    This class keeps the order of the steps. `Locks` holds the objects, `Participants` copies and
    compares them, `Placer` finds the place of the call among others, `Finder` its stored event,
    `RecordedCall` what a recording had of it, and `Sent` waits for the disk.

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
    # Of the event over which the body runs again: how many places were within it, and its order
    # among the calls beside it.
    _recorded_places = 0
    _order: int | None = None
    composite = False
    # The objects that the changes refer to, by name and by number.
    _objects: tuple[dict[str, Any], list[Any]] | None = None
    # The objects that the result and the changes hold in full, by number.
    _written: Sequence[Any] = ()
    # Those of them that are not within others.
    _outermost: Sequence[Any] = ()
    _sent: Sent | None = None
    # Whether to stop waiting for the disk, as for a job that was cancelled.
    stopped: Callable[[], bool] | None = None
    parent: Transaction | None
    locks: Locks
    member: Member | None = None
    _inner: Calls | None = None
    _done = False
    _rolled_back = False
    _overtaken = False
    _finder: Finder | None = None
    _repeats = ""  # the same for equal new calls

    def __init__(self, call: Call) -> None:
        here = current_context()
        self.call = call
        parent: Transaction | None = here.transaction
        while parent is not None and parent._done:  # noqa: SLF001 - the same class
            parent = parent.parent  # a task or thread that was begun within it goes on
        self.parent = parent
        self.slot: Slot | None = here.slot
        self.execution = here.execution
        owner = getattr(call.owner, "simulation_id", None)
        self.scope: Scope = self.parent.scope if self.parent else scope(owner)
        self.content: Json = {}
        self.parts = Participants(call)
        self.known = self.parts.known
        self.staged: list[tuple[str, Change]] = []
        self.children: list[tuple[str, Record]] = []
        self._places: list[tuple[int, int]] = []  # of each of them
        self.replies: list[Json] = []
        self.started = time.time()
        self.undo: list[Undo] = []
        store = self.scope.recorded
        self.recorded = None if store is None else RecordedCall(store, call)
        self._pid = os.getpid()
        self.locks = Locks(None if self.parent is None else self.parent.locks, call)
        # The outermost call keeps its simulation open.
        self._holds = self.parent is None and self.scope.hold(self.locks)
        if self.parent is None and not self._holds and self.scope.id != FREE:
            self.scope = scope(owner)  # it has ended just now
            self._holds = self.scope.hold(self.locks)
        # Objects that are to be locked before the next step.
        self._to_lock = [*call.participants.values(), *(call.things[n] for n in call.method.locks)]
        self._locks_owner = any(thing is call.owner for thing in self._to_lock)
        self._looks = not self._locks_owner and self._looks_in_line()
        if self._looks:
            self._to_lock.append(call.owner)

    # -- locks --------------------------------------------------------------------------

    def _looks_in_line(self) -> bool:
        """Whether the object is locked for a look-up only, and again for the commit."""
        owner, slot = self.call.owner, self.slot
        if self.parent is not None or self.scope.store is None or isinstance(owner, type):
            return False
        return slot is None or slot.thing is not owner

    def try_lock(self, seconds: float) -> bool:
        """Lock the objects that are copied, looked up or changed; False after a timeout."""
        if self._to_lock:
            if not self.locks.try_lock(self._to_lock, seconds):
                return False
            self._to_lock.clear()
        return True

    async def lock_async(self) -> None:
        """`try_lock` for a coroutine: other tasks run while it waits."""
        if self._to_lock:
            await self.locks.lock_async(self._to_lock)
            self._to_lock.clear()

    def lock(self, thing: Any) -> None:
        """Lock one more object in the middle of the body; Ctrl-C is raised while waiting.

        Raises
        ------
        Deadlock, ObjectLocked
            As `Locks.try_lock`.
        """
        if not self.locks.has(thing):
            with deferred_interrupts() as interrupts:
                while not self.locks.try_lock([thing], 0.1):
                    interrupts.check()

    def has_locked(self, thing: Any) -> bool:
        """Whether this call or one around it has locked an object."""
        return self.locks.has(thing)

    def looked_up(self) -> None:
        """Before the body: release an object that was locked for the look-up only."""
        self.parts.detach(self._takes_part_around)
        if self._looks:
            owner = self.call.owner
            self.locks.release_one(owner)
            self._to_lock.append(owner)  # for the commit

    def _takes_part_around(self, thing: Any) -> bool:
        tx = self.parent
        while tx is not None and id(thing) not in tx.known:
            tx = tx.parent
        return tx is not None

    def release(self) -> None:
        """Unlock the objects; an inner call that has ended hands them up to the outer one."""
        self.locks.release(hand_up=self._done and not self._rolled_back)
        self.known.clear()
        if self._holds:
            self._holds = False
            self.scope.let_go(self.locks)

    # -- look-up and replay -------------------------------------------------------------

    def open(self) -> None:
        """Copy the objects that the method may change, and compute the event's key."""
        states: dict[str, State] = {}
        self.parts.copy()
        for name, before in self.parts.before.items() if self.scope.store is not None else ():
            # The state of an object within an argument enters the key with the argument.
            if not self.call.is_within(name):
                thing = before.thing
                states[name] = encode(
                    journal_state(thing, before.state),
                    f"the state of {name}",
                    functools.partial(references_within, thing),
                )
        if self.scope.store is None:
            return
        self.content = keys.call_content(self.call, states)
        calls = self._calls()
        others = self._places_around()
        alone = None if others else take_alone(calls, self.call.owner, self.content)
        if alone is not None:
            self.base, self.key, self.member = alone
        else:
            self._take_place(calls, states, others)
        if self.parent is None and self.member is not None:
            self.parent_head = self.member.group.fork

    def _places_around(self) -> int:
        """How many places a call in a thread or task of its own looks into; else 0."""
        parent = self.parent
        if parent is None or not parent.rerun or parent.locks.thread == get_ident():
            return 0
        return parent._recorded_places  # noqa: SLF001 - the same class

    def _take_place(self, calls: Calls, states: dict[str, State], others: int) -> None:
        """Find the base, and with it the key, of a call that may have others beside it."""
        placer = Placer(
            self.call,
            self.scope,
            self.content,
            states,
            self.slot,
            looks_up=self.parent is None or self.parent.rerun,
            locks_owner=self._locks_owner,
            others=others,
        )
        place, self.member = placer.take(calls)
        self.base, self.key, self.content = place.base, place.key, place.content
        self.slot = place.slot

    def _calls(self) -> Calls:
        """The calls among which this one has its place: on the same object, or within a call."""
        if self.parent is not None:
            return self.parent.inner
        self.execution = self.execution or current_execution()
        owner, slot = self.call.owner, self.slot
        if isinstance(owner, type):
            origin = {name: self.content[name] for name in ("class", "method", "arguments")}
            self.line = self.scope.new_line("class", origin)
        elif slot is not None and slot.thing is owner:
            self.line = slot.line
        else:
            self.line = self.scope.line_of(owner)
        return self.line

    @property
    def inner(self) -> Calls:
        """The calls within this one."""
        if self._inner is None:
            self._inner = Calls(functools.partial(keys.nested_base, self.key))
        return self._inner

    def next_base(self) -> str:
        """The base of the next request within this call."""
        base = self.inner.next_base()
        self.inner.serial += 1
        return base

    def skip_base(self) -> None:
        """Count an inner call that runs without a transaction of its own."""
        self.inner.serial += 1

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
                self._tell_of_second_run()
            return None
        recorded, state = self.recorded, self.content.get("state")
        if recorded is not None and recorded.runs_anew(self.key, record, state):
            self.key = keys.event_key(self.base, self.content)
            self.rerun, self.why = True, REPLAYED
            return None
        things = self.call.participants.values()
        known = recorded is not None and recorded.was_applied(self.key, things)
        if record["composite"] and not known:
            # Its inner events changed other objects: run the body over these events.
            # It stays one, also where they leave these objects as they are this time.
            self.rerun, self.composite, self.why = True, True, REPLAYED
            self._recorded_places = len(record["steps"])
            self._order = record["meta"].get("beside")
            return None
        self._check_changed(record["changes"])
        try:
            changed = {name: self.parts.thing(name) for name in record["changes"]}
        except DamagedRecord:
            self._skip("an object that it changed is not here")
            return self.look_up()
        more = changed.keys() - self.call.participants.keys()
        self._to_lock += [changed[name] for name in more]
        return record

    def _check_changed(self, names: Iterable[str]) -> None:
        """Refuse an event that changes what is no object of this call, wherever it is now.

        Raises
        ------
        UnknownRecord
        """
        for name in names:
            own = self.call.things.get(_ROOT.split(name)[0])
            if own is None or (own is self.call.things.get(name) and not is_journaled(own)):
                raise UnknownRecord(
                    f"The event {self.key[:8]} changes {name!r:.40}, which is no object of this "
                    "call. Nothing was changed. `journal verify` checks the journal."
                )

    def _find(self) -> Record | None:
        """The stored event; the key and the line become those under which it was found."""
        if self._finder is None:
            self._finder = Finder(
                self.call,
                self.scope,
                self.recorded,
                content=self.content,
                base=self.base,
                key=self.key,
                line=self.line,
                member=self.member,
                execution=self.execution,
                inner=self.parent is not None,
            )
        finder = self._finder
        try:
            return finder.find()
        finally:
            self.key, self.why = finder.key, finder.why
            self.line, self.member = finder.line, finder.member

    def _tell_of_second_run(self) -> None:
        """Say that a call costs again when its cell is run a second time."""
        if self.execution is not None and not self.call.method.edit:
            content = self.content
            self._repeats = digest([content[part] for part in ("class", "method", "arguments")])
            name = called(content["class"], content["method"]).rpartition(".")[2]
            self.scope.second_runs.tell(name, self._repeats, self.execution)

    def _skip(self, why: str) -> None:
        if self._finder is not None:
            self._finder.skip(why)
            self.key, self.why = self._finder.key, why

    def replay(self, record: Record) -> bool:
        """Apply a stored event; False if another object has taken a name in it."""
        try:
            with contents_of("event:" + self.key):
                self._take_over(record)
        except NameTaken as error:
            self._skip(f"a name in it is taken now: {error}")
            return False
        self._set_order(record["meta"].get("beside"))
        if self.member is not None:
            with unwatched():
                before = bring_in_order(self.member, dict(self.staged).get("self"))
            if before is not None and self.parent is not None:
                self.undo.append(before.restore)
        self.why = REPLAYED
        if self.parent is None:
            if record["failure"] is not None and self.slot is None:
                logger.warning(
                    "%s replayed a failure: %s. To ask again: "
                    "control.begin(retry_failures=True), then run the cell again.",
                    self.call.method.name,
                    record["failure"],
                )
            self.scope.count(hit=True)
            self._end(record)
        else:
            self._hand_up(record)
        return True

    def _take_over(self, record: Record) -> None:
        """Apply an event's changes and decode its result, all or nothing."""
        result, changes = record["result"], record["changes"]
        recorded, before = self.recorded, None
        things: dict[str, Any] = {}
        if recorded is not None:
            things = {name: self.parts.thing(name) for name in changes}
            before = recorded.begin_replay(self.key, things.values())
            if recorded.repeated:
                changes = {}
        # Nothing needs decoding in most events; a part that is handed up as well is copied.
        if type(record) is not Plain or self.parent is not None:
            enter = functools.partial(self._enter, known=before is not None)
            join = functools.partial(self._join, known=before is not None)
            known = Known(self.parts.thing, before or (), self.parts.note_made, join)
            with self.active():
                try:
                    result = decode(result, enter, known)
                    uses = known.uses
                    changes = decode(changes, enter, known)
                    if known.uses > uses:
                        self._objects = known.named, known.made
                except BaseException:
                    self._undo_all()
                    raise
            self._written = known.made
        self.result = result
        self.staged = list(changes.items())
        if recorded is not None:
            self.staged, undo = recorded.apply_once(self.key, changes, things, self._written)
            self.undo.append(undo)
        self._make_staged()
        self.replies = record["meta"]["replies"]

    def _set_order(self, order: int | None = None) -> None:
        """Give the call its order among those that overlapped with it."""
        if self.member is not None:
            calls = self.line if self.parent is None else self.parent.inner
            if calls is not None:
                calls.settle(self.member, order)

    def _enter(self, thing: Any, known: bool = False) -> Any:
        """Register an object from the journal, as when it was made."""
        origins.put(thing, self.key)
        return self._join(thing, known)

    def _join(self, thing: Any, known: bool = False) -> Any:
        """Have an object join the simulation; one within another has no origin of its own.

        Its name may be taken if it is `known`, but no longer in memory.
        """
        join = getattr(thing, "_join_simulation", None)
        with suppress(*[NameTaken] if known else []):
            return thing if join is None else join(self.scope.id)
        return thing

    # -- the body -----------------------------------------------------------------------

    def active(self) -> AbstractContextManager[None]:
        """Run the block as the body of this call."""
        here = current_context()
        mine = None if self.scope.store is None else self.scope
        return within(Context(self, self.slot, self.undo, here.sender, mine, self.execution))

    def stage(self, change: Change, name: str = "self") -> None:
        """Add a change of the object (or another parameter), made when the event is stored."""
        self.staged.append((name, change))
        self._to_lock.append(self.call.things[name])

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

    # -- objects that take part later -----------------------------------------------------

    def meet(self, thing: Any, attribute: str) -> None:
        """Called before the body assigns an attribute of an object that is not `known`."""
        if self._done:  # a task or thread that was begun within this call goes on
            if self.parent is not None and id(thing) not in self.parent.known:
                self.parent.meet(thing, attribute)
            return
        own = self.parts.joins_with(thing, attribute)
        if own is not None and not self._is_in_job():
            self.take_part(thing, own=own)

    def take_part(self, thing: Any, *, own: bool = False) -> None:
        """Copy an object that the body is going to change, and lock it.

        Its change is undone by a rollback. It is stored, if a replay can find the object by a name;
        else the event is replayed by running its body.

        Parameters
        ----------
        own : bool
            Whether only attributes will change that no encoder of the package saves.

        Raises
        ------
        InvalidInput
            If the method declares `touches`, and the object cannot be found by a name.
        """
        method, named = self.call.method, self.parts.name_of(thing) is not None
        if not named and method.touches is not None and self.scope.store is not None:
            raise InvalidInput(
                f"{method.name} changes {thing!r}, but declares that it changes only "
                f"{method.touches}. Nothing was changed. Pass the object as an argument, or leave "
                "out touches."
            )
        with deferred_interrupts() as interrupts:
            while not self.locks.try_lock([thing], 0.1):
                interrupts.check()
            # The state of an object without a name does not enter the key, so a replay must run the
            # body even where this call gives it the values that it has.
            self.composite = self.composite or not named
            self.undo.append(self.parts.join(thing, own=own).restore)

    def _is_in_job(self) -> bool:
        """Whether this belongs to one of several people that a job makes at the same time."""
        tx: Transaction | None = self
        while tx is not None:
            if tx.slot is not None and tx.call.method.touches is not None:
                return True
            tx = tx.parent
        return False

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
        if self.parent is not None and self.parent._done:  # noqa: SLF001 - the same class
            raise JournalError(
                f"{self.parent.call.method.name} has ended before {self.call.method.name}, which "
                "was called within it, so it could not be stored, and was rolled back. Await the "
                "tasks and join the threads of a transactional method within the method."
            )
        # What the caller does with the result must not change an object, nor differ in a replay.
        try:
            self.result = copied(result)
        except RecursionError:
            self.result = result  # the journal refuses it
        if self._is_all_recorded():
            return
        if self.parent is None and self.scope.store is not None and self.kept:
            self._sent = self._submit()

    def finish(self) -> bool:
        """Wait until the event is stored, then make the staged changes; see `commit`."""
        record = self._settle_recorded()
        if self.parent is not None:
            self._make_staged()
            # An outer method that declares `touches` is replayed without its inner events.
            keep = self.scope.store is not None and self.parent.call.method.touches is None
            self._hand_up(self._record() if keep else None)
            return True
        if self._sent is None:
            self._make_staged()
        else:
            record = self._publish()
            if record is None:
                return False
            if self.recorded is not None:
                things = map(self.parts.thing, record["changes"])
                self.recorded.note(self.key, things, self._written)
        if self._repeats and self.execution is not None:
            self.scope.second_runs.note(self._repeats, self.execution)
        if self.rerun and not self._overtaken:
            self.scope.count(hit=record is not None and self.why == REPLAYED)
        self._end(record)
        return True

    def _is_all_recorded(self) -> bool:
        """Whether the body ran over events that are all in the recording."""
        own = [self.key, *(key for key, _ in self.children)]
        return self.rerun and self.recorded is not None and self.recorded.holds(own)

    def _settle_recorded(self) -> Record | None:
        """End a call whose body ran over recorded events: with its recorded result."""
        if self.recorded is None or not self._is_all_recorded():
            return None
        references = References(self.parts.name_of, once=True)
        encode(self.result, "the result", references)
        in_result = len(references.objects)
        self._changes(references)
        self._objects = references.named, references.objects
        self._written = references.objects
        for thing in references.outermost:
            origins.put(thing, self.key)
        copies = self.parts.all()
        with unwatched():
            record, undo = self.recorded.settle(self.key, copies, self._written)
        self.undo.append(undo)
        stored = Known(self.parts.thing)
        decode(record["result"], known=stored)
        if len(stored.made) == in_result:
            self.result = decode(record["result"], known=Known(self.parts.thing, self._written))
        return record

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
            for thing in self._outermost:
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

    def _submit(self) -> Sent:
        record = self._record()
        items = [("event:" + self.key, record)]
        if self.line is not None and not self.line.steps:
            items.append(("line:" + self.line.root, self.line.origin))
        if self.line is not None and self.member is not None:
            items += self.member.group.joins(record["head"])
        if self.composite:
            items += [("event:" + key, inner) for key, inner in self.children]
        items += self._new_versions([record, *(inner for _, inner in self.children)])
        return Sent(self.scope.store, record, items)

    def _new_versions(self, records: list[Record]) -> list[tuple[str, Json]]:
        """The parts of the records' versions, each once in a run: what `explain` compares."""
        found: list[tuple[str, Json]] = []
        for version in dict.fromkeys(record["version"] for record in records):
            parts = parts_of(version)
            if parts is not None and version not in self.scope.versions:
                self.scope.versions.add(version)
                found.append(("version:" + version, {"parts": parts}))
        return found

    def _stored(self) -> tuple[Record, Record]:
        """The record of this call, and the record that is stored under its key."""
        sent, self._sent = self._sent or self._submit(), None
        return sent.record, sent.wait(self.call.method.name, self.stopped)

    def _record(self) -> Record:
        """The record of a call: its content, its result and its cost."""
        self._set_order(self._order)
        references = References(self.parts.name_of, once=True)
        encoded = encode(self.result, "the result", references)
        before = references.uses
        changes = self._changes(references)
        if references.uses > before:
            self._objects = references.named, references.objects
        self._written, self._outermost = references.objects, references.outermost
        if self.call.method.touches is None:
            # An object that was there before, and that a replay finds by no name: the body does.
            self.composite = self.composite or not self.parts.has_made(references.objects)
        content = self.content
        steps = [record["head"] for _, record in self.children] if self.composite else []
        member = self.member
        beside = {}
        if member is not None and member.group.parallel:
            beside["beside"] = member.order
        execution = self.execution if self.parent is None else None
        cell = {"cell": execution.mark} if execution is not None else {}
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
                **beside,
                **cell,
            },
        }

    def _changes(self, references: References) -> dict[str, Change]:
        """The changes by name: staged ones, and the differences between before and after."""
        found = self.parts.differences()
        for name, change in self.staged:
            found[name] = together(found.get(name, {}), change, name)
        if self.member is not None:
            self.member.change = found.get("self")
        return {
            name: encode(change, f"the change of {name}", references)
            for name, change in found.items()
        }

    def _make_staged(self) -> None:
        """Make the staged changes; each can be undone until the outermost call is stored."""
        # Names are places before any of the changes.
        staged = [(self.parts.thing(name), change) for name, change in self.staged]
        with unwatched():
            for thing, change in staged:
                if self.parent is not None:
                    back = inverse(thing.encode_complete_state(), change)
                    self.undo.append(functools.partial(_make_change, thing, back))
                _make_change(thing, change)

    def _end(self, record: Record | None) -> None:
        """Move the line's head behind this event; with None leave it unchanged."""
        self._done = True
        if self.line is None or self.member is None:
            return
        replayed = self.why == REPLAYED
        step = Step(self.key, record["head"], replayed, self.why) if record else None
        repeated = self.recorded is not None and self.recorded.repeated
        self.line.leave(self.member, None if repeated else step)
        if step is not None:
            if self._objects is not None:
                self.line.objects[step.key] = self._objects
            self.scope.went(step)

    def _hand_up(self, record: Record | None) -> None:
        """End within another call: the outer call stores this event or rolls it back."""
        parent = self.parent
        self._done = True
        if parent is None:
            return
        if self.member is not None:
            parent.inner.leave(self.member)
        others, parts = parent.parts.stored(), self.parts.all()
        for before in self.parts.before.values():
            if id(before.thing) not in others:
                parent.undo.append(before.restore)
        parent.undo.extend(self.undo)
        parent.replies.extend(self.replies)
        parent.parts.take_made(self.parts)
        if record is None:
            if parent.call.method.touches is not None and not self._is_in_job():
                parent.parts.adopt(parts)
            return
        # In the order of their places, which does not depend on the schedule.
        place = (0, 0) if self.member is None else self.member.place
        new = [(self.key, record), *(self.children if self.composite else ())]
        at = bisect_right(parent._places, place)  # noqa: SLF001 - the same class
        parent._places[at:at] = [place] * len(new)  # noqa: SLF001
        parent.children[at:at] = new
        touched = {id(self.call.things[name]) for name, _ in self.staged}
        touched |= {id(before.thing) for before in parts}
        # The changes of an outer event's own objects cannot replay an inner change of another
        # object. Such an event is replayed by running its body over the inner events.
        if touched - others:
            parent.composite = True

    # -- rollback -----------------------------------------------------------------------

    def begin_again(self) -> None:
        """Go back to the start, to run the body over the inner events of another kernel."""
        self._put_back()
        self.children, self.replies, self.staged = [], [], []
        self.failure, self.kept, self.composite = None, True, True
        self._places, self._inner = [], None
        self.parts.begin_again()
        self.parts.detach(self._takes_part_around)
        self.rerun = self._overtaken = True

    def roll_back(self) -> None:
        """Restore everything as before the call; does nothing after a commit."""
        if self._done:
            return
        if self._sent is not None:
            # The same call made at once must find it, not do it anew.
            self._sent.leave(self.stopped)
        self._put_back()
        if self.recorded is not None:
            self.recorded.give_back()
        if self.rerun and self.parent is None and not self._overtaken:
            self.scope.count(hit=False)
        self._rolled_back = True
        if self.parent is not None and self.member is not None:
            self.parent.inner.leave(self.member, failed=True)
        self._end(None)

    def _put_back(self) -> None:
        self._undo_all()
        with unwatched():
            for before in self.parts.before.values():
                before.restore()

    def _undo_all(self) -> None:
        with unwatched():
            while self.undo:
                self.undo.pop()()


def _make_change(thing: Any, change: Change) -> None:
    """Apply a change to an object, with its faster `_apply_change` if it has one."""
    check_change(type(thing), change)
    own = getattr(thing, "_apply_change", None)
    if own is not None:
        own(change)
    else:
        thing.decode_complete_state(copied(apply(thing.encode_complete_state(), change)))
