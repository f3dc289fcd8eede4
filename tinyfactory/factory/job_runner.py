"""Runs a job: creates its people one by one, or several at a time.

Several at a time: each person has a slot. A task on the event loop asks the model for the slot's
person, reads the reply, and asks again after a bad one; one limiter bounds the requests in flight.
While later replies are in flight, the longest finished prefix of slots is committed in slot order,
as one group under one sync of the disk, by a thread that never receives Ctrl-C. If a person's name
is taken, its slot is asked again; the slots behind it wait meanwhile.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.factory.job_options import JobOptions
from tinyfactory.factory.person_generator import PersonDraft, PersonSource, is_overridden
from tinyfactory.generation.pipeline import Sender
from tinyfactory.journal.cells import Execution
from tinyfactory.journal.scopes.context import Context, current_context, within
from tinyfactory.journal.scopes.fork import Fork
from tinyfactory.journal.scopes.lines import Line, Slot
from tinyfactory.journal.transactions.transaction import Transaction, current_transaction
from tinyfactory.models import event_loop
from tinyfactory.utils.concurrency import deferred_interrupts

if TYPE_CHECKING:
    from tinyfactory.people import TinyPerson

# Finished slots that wait for one before them do not count against the concurrency limit; at
# most this many may wait.
_WAITING = 200
Arguments = Callable[[int], tuple[Any, ...]]
Made = Callable[[int, "TinyPerson | None"], None]


class JobRunner:
    """Makes the people of one job.

    Parameters
    ----------
    factory : PersonSource
    options : JobOptions
    sender : Sender
        Sends the job's requests.
    token : CancelToken
        Stops the job.
    arguments : callable
        The arguments of `generate_person` for the person of a number.
    made : callable
        Called with each person, in order; with None for one who was given up.
    execution : Execution or None
        The execution of the notebook's cell that began the job.

    Attributes
    ----------
    arrived : int
        How many people are written and wait for one before them to be committed.
    """

    def __init__(
        self,
        factory: PersonSource,
        options: JobOptions,
        sender: Sender,
        token: event_loop.CancelToken,
        arguments: Arguments,
        made: Made,
        execution: Execution | None = None,
    ) -> None:
        self.factory = factory
        self.options = options
        self.sender = sender
        self.token = token
        self.arguments = arguments
        self.made = made
        self.execution = execution
        self.arrived = 0
        concurrency = options.concurrency
        # The most slots that have begun and not ended.
        self.most_begun = (
            math.inf if options.batch else concurrency + min(concurrency - 1, _WAITING)
        )
        # Whether a person is one event, also in a subclass that overrides the method.
        self.one_event = hasattr(type(factory).generate_person, "transactional")

    def run_one_by_one(self, numbers: range) -> None:
        """Create the people of these numbers; each prompt mentions earlier ones."""
        factory = self.factory
        with self._context(None):
            for number in numbers:
                self._make(
                    number,
                    lambda: factory.scope().begun_line_of(factory),
                    partial(self.made, number),
                )

    def run_together(self, fork: Fork) -> None:
        """Create the people of all open slots of a fork."""
        if not is_overridden(self.factory, "generate_person"):
            self._check_not_locked()
            _Together(self, fork).run()
            fork.join()
            return

        # A user's generate_person may record several events in a slot, so one slot follows the
        # other.
        def end(slot: Slot, person: TinyPerson | None) -> None:
            fork.results[slot.number] = person if self.options.keep else None
            self.made(slot.number, person)

        for slot in fork.open_slots():
            with self._context(slot):
                self._make(slot.number, partial(getattr, slot, "line"), partial(end, slot))
        fork.join()

    def _make(
        self,
        number: int,
        line_of: Callable[[], Line | None],
        end: Callable[[TinyPerson | None], None],
    ) -> None:
        """Call `generate_person` for one person, and count the person who is made.

        Ctrl-C is held back during a commit and raised after it: a person who was committed by
        then counts.
        """
        self.token.raise_if_cancelled()
        factory, scope = self.factory, self.factory.scope()
        line = line_of()
        head = None if line is None else line.head
        known = len(factory.generated_names)
        try:
            person = factory.generate_person(*self.arguments(number))
        except KeyboardInterrupt:
            line = line_of()
            stored = line is not None and line.head != head
            unstored = scope.store is None and len(factory.generated_names) > known
            if self.one_event and (stored or unstored):
                failed = factory.last_failure is not None
                people = scope.people
                end(None if failed else people.get(factory.generated_names[-1]))
            raise
        end(person)

    def _check_not_locked(self) -> None:
        """Raise an error if a call around the job has locked the factory."""
        tx = current_transaction()
        if tx is not None and tx.has_locked(self.factory):
            raise InvalidInput(
                f"{tx.call.method.name} locks this factory until it ends, so people cannot be made "
                "several at a time in it. Nothing was sent. Use concurrency=1 and no demography, "
                "or make the people outside of it."
            )

    def _context(self, slot: Slot | None) -> AbstractContextManager[None]:
        """Calls in the block belong to the slot and send requests through the job's sender."""
        here = current_context()
        return within(here._replace(slot=slot, sender=self.sender, execution=self.execution))

    def draft(self, slot: Slot) -> PersonDraft:
        """The draft of a slot's person, with its transaction opened but not looked up."""
        factory = self.factory
        arguments = self.arguments(slot.number)
        here = current_context().scope
        with within(Context(None, slot, None, self.sender, here, self.execution)):
            method = type(factory).generate_person.transactional  # type: ignore[attr-defined]
            tx = Transaction(method.bind(factory, arguments, {}))
            tx.stopped = lambda: self.token.cancelled
            try:
                tx.open()
                return PersonDraft(factory, tx, *arguments)
            except BaseException:
                tx.roll_back()  # else the slot's next call would count as one beside this one
                tx.release()
                raise


class _Together:
    """One run over the open slots of a fork.

    Its state is changed by the event loop and by the committing thread: the loop adds to
    `ready` and `drafts`, the thread takes from them, both call `_fail`, and each other attribute
    has one writer.
    """

    def __init__(self, runner: JobRunner, fork: Fork) -> None:
        self.runner = runner
        self.fork = fork
        self.open = fork.open_slots()
        self.drafts: dict[int, PersonDraft] = {}
        self.ready: dict[int, PersonDraft] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.errors: dict[int, BaseException] = {}
        self.begun = 0  # how many of the open slots were begun
        self.ended = 0  # how many have ended
        self.failed_at = math.inf  # slots from this number on are not committed
        self.failing = threading.Lock()  # the loop and the committing thread may fail at once
        self.pool = ThreadPoolExecutor(1, "tinyfactory-commit")
        self.loop: asyncio.AbstractEventLoop | None = None
        self.scope = current_context().scope
        self.changed = asyncio.Event()

    def run(self) -> None:
        """Run until all slots have ended or one has failed; raises why."""
        # Ctrl-C is raised only while waiting, so no request and no commit outlives the job.
        with deferred_interrupts() as interrupts:
            try:
                with self._context(), interrupts.allowed():
                    event_loop.run(self._gather, token=self.runner.token)
            except KeyboardInterrupt:
                self.runner.token.cancel()  # stops calls that the user's methods make
                raise
            finally:
                self.pool.submit(self._commit_ready).result()
                self.pool.shutdown()
                for draft in self.drafts.values():
                    draft.transaction.roll_back()
                    draft.transaction.release()
        # Raise the failure itself rather than a cancellation that it caused.
        for error in sorted(self.errors.items(), key=lambda e: (isinstance(e[1], Cancelled), e[0])):
            raise error[1]

    def _context(self) -> AbstractContextManager[None]:
        """Calls of the user's methods and callbacks in the block use the job's budget and token."""
        return within(
            Context(None, None, None, self.runner.sender, self.scope, self.runner.execution)
        )

    # -- on the event loop --------------------------------------------------------------

    async def _gather(self) -> None:
        """Run all slots, and pass finished ones to the committing thread."""
        self.loop = asyncio.get_running_loop()
        self.runner.sender.on_collected = self.changed.set
        committing: asyncio.Future[None] | None = None
        try:
            while True:
                self.changed.clear()
                self._begin_more()
                if committing is not None and committing.done():
                    committing.result()  # it raises nothing, unless a rollback failed
                    committing = None
                if committing is None and self._next_ready(0) is not None:
                    committing = self.loop.run_in_executor(self.pool, self._commit_ready)
                    committing.add_done_callback(lambda _: self.changed.set())
                elif committing is None and not self.tasks:
                    return
                elif committing is None:
                    await self.runner.sender.flush(len(self.tasks))
                await self.changed.wait()
        finally:
            for task in self.tasks.values():
                task.cancel()
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    def _begin_more(self) -> None:
        """Begin slots as far as the limits allow, and the slot that must be asked again."""
        most = self.runner.most_begun
        while (
            self.begun < len(self.open)
            and self.begun - self.ended < most
            and self.open[self.begun].number < self.failed_at
        ):
            self._begin(self.open[self.begun])
            self.begun += 1
        if self.ended < self.begun:
            first = self.open[self.ended]
            idle = first.number not in self.ready and first.number not in self.tasks
            if idle and first.number < self.failed_at:
                self._begin(first)

    def _begin(self, slot: Slot) -> None:
        task = asyncio.get_running_loop().create_task(self._write(slot))
        self.tasks[slot.number] = task

    async def _write(self, slot: Slot) -> None:
        """Look up a slot's event; if there is none, ask the model for the person."""
        number = slot.number
        try:
            draft = self.drafts.get(number)
            if draft is None:
                draft = self.drafts[number] = self.runner.draft(slot)
                draft.record = draft.transaction.look_up()
            if draft.record is None:
                with draft.transaction.active():
                    await draft.write(self.runner.sender)
            self.ready[number] = draft
            self.runner.arrived = len(self.ready)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # A user's model raised it; without an error the slot would begin again and again.
            why = "The call of the model was cancelled, but not by this job. Run it again."
            self._fail(number, Cancelled(why))
        except BaseException as error:  # noqa: BLE001 - raised by `run`
            self._fail(number, error)
        finally:
            del self.tasks[number]
            self.changed.set()

    def _fail(self, number: int, error: BaseException, *, ended: bool = False) -> None:
        """Record a failure: slots before it continue, slots behind it stop."""
        with self.failing:
            self.errors[number] = error
            self.failed_at = min(self.failed_at, number + ended)
            self.runner.sender.last_slot = self.failed_at - 1
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._stop_behind)

    def _stop_behind(self) -> None:
        """Cancel slots behind the failed one, except requests in flight: they are paid for."""
        for number, task in self.tasks.items():
            if number >= self.failed_at and number not in self.runner.sender.in_flight:
                task.cancel()

    # -- in the committing thread -------------------------------------------------------

    def _next_ready(self, sent: int) -> PersonDraft | None:
        """The next draft to commit after `sent` others, or None if it is not ready."""
        if self.ended + sent >= self.begun:
            return None
        number = self.open[self.ended + sent].number
        return self.ready.get(number) if number < self.failed_at else None

    def _commit_ready(self) -> None:
        """Commit the finished prefix of slots, in order, as one group."""
        sent: list[PersonDraft] = []
        with self._context():
            while (draft := self._next_ready(len(sent))) is not None:
                try:
                    if draft.record is not None and sent:
                        # A replay changes the factory at once, so earlier slots must have ended.
                        self._finish(sent)
                    elif draft.record is not None:
                        self._replay(draft)
                    elif self._install(draft):
                        draft.transaction.send(draft.person)
                        sent.append(draft)
                    else:
                        break
                except BaseException as error:  # noqa: BLE001 - raised by `run`
                    self._fail(draft.number, error)
            self._finish(sent)

    def _replay(self, draft: PersonDraft) -> None:
        """Replay a stored person; if its name is taken now, the slot is asked again."""
        tx = draft.transaction
        while draft.record is not None:
            self._lock(tx)
            if tx.replay(draft.record):
                self._end(draft, tx.result)
                return
            draft.record = tx.look_up()
        del self.ready[draft.number]

    def _install(self, draft: PersonDraft) -> bool:
        """Set a person up, or give it up; False if the model must be asked again."""
        with draft.transaction.active():
            if draft.outcome.value is None:
                draft.give_up()
                return True
            draft.person = draft.install()
        if draft.person is None:
            del self.ready[draft.number]
            self.runner.arrived = len(self.ready)
        return draft.person is not None

    def _finish(self, sent: list[PersonDraft]) -> None:
        """Wait until these events are on disk, and end their slots in order."""
        while sent:
            draft = sent.pop(0)
            tx = draft.transaction
            try:
                if draft.number >= self.failed_at:
                    raise Cancelled("A person before this one could not be stored. Run it again.")
                self._lock(tx)
                if not tx.finish():
                    raise Cancelled(
                        "Another kernel made this person at the same time, and its person is the "
                        "one that is saved. Run the same call again to continue with it."
                    )
                self._end(draft, tx.result)
            except BaseException as error:  # noqa: BLE001 - raised by `run`
                if draft.number in self.ready:
                    self._fail(draft.number, error)
                    for other in reversed([draft, *sent]):
                        other.transaction.roll_back()
                    sent.clear()
                    return
                self._fail(draft.number, error, ended=True)

    def _end(self, draft: PersonDraft, person: TinyPerson | None) -> None:
        """End a slot; it has ended even if `made` raises."""
        number = draft.number
        self.fork.results[number] = person if self.runner.options.keep else None
        # First, because the loop begins the first open slot again when it is not ready.
        self.ended += 1
        del self.ready[number], self.drafts[number]
        self.runner.arrived = len(self.ready)
        draft.transaction.release()
        self.runner.made(number, person)

    def _lock(self, tx: Transaction) -> None:
        while not tx.try_lock(0.1):
            self.runner.token.raise_if_cancelled()
