"""A job that creates several people, in the calling thread or in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, Self

from tinyfactory.budget import Meter
from tinyfactory.errors import Cancelled, Deadlock, InvalidInput, NobodyMade, TimeLimitReached
from tinyfactory.factory import profiles
from tinyfactory.factory.job_options import JobOptions, Missing, Order, Snapshot, State
from tinyfactory.factory.person_generator import PersonSource, is_overridden
from tinyfactory.generation.pipeline import Sender
from tinyfactory.journal.cells import current_execution
from tinyfactory.journal.scopes.fork import Fork
from tinyfactory.journal.scopes.lines import Line
from tinyfactory.journal.scopes.scope import Scope, origin_of, working
from tinyfactory.journal.transactions.transaction import current_transaction
from tinyfactory.journal.values.serializer import encode, type_name
from tinyfactory.models.event_loop import CancelToken
from tinyfactory.models.progress import in_words
from tinyfactory.people.people_list import People
from tinyfactory.utils.logs import get_logger
from tinyfactory.utils.text import cost_in_words, count, legible, one_line

if TYPE_CHECKING:
    from tinyfactory.factory.job_runner import JobRunner
    from tinyfactory.factory.person_generator import Json
    from tinyfactory.people.person import TinyPerson

logger = get_logger("tinyfactory")


class PeopleJob:
    """Creates several people; finished people stay, even if the job fails or is stopped.

    Iterating over a job gives its people as they are made, in order.

    Parameters
    ----------
    factory : TinyPersonFactory
    order : Order
        The number of people and the arguments of `generate_person`.
    options : JobOptions, optional
        Concurrency, budget and so on.
    before : PeopleJob, optional
        The factory's last job. If it had the same order and was stopped, this one continues it.

    Attributes
    ----------
    people : People
        The people made so far, in order; empty with ``keep=False``.
    missing : list of Missing
        The people who could not be made, with the reasons.
    meter : Meter
        Counts what the job spends.

    Examples
    --------
    >>> from tinyfactory import TinyPersonFactory
    >>> job = TinyPersonFactory("Bakers in Vienna", model="offline").start_people(2)
    >>> len(list(job)), job.snapshot().state
    (2, 'done')
    """

    def __init__(
        self,
        factory: PersonSource,
        order: Order,
        options: JobOptions | None = None,
        *,
        before: PeopleJob | None = None,
    ) -> None:
        self.factory = factory
        self._scope = factory.scope()
        self.order = order
        self.options = options or JobOptions()
        self.people: People = People()
        self.missing: list[Missing] = []
        self.people._missing = self.missing  # noqa: SLF001 - the people say who is missing
        self.token = CancelToken()
        self.note = ""
        self.meter = Meter(self.options.budget, self._scope.meter)
        self.fork: Fork | None = None
        self.line: Line | None = None
        self.execution = current_execution()
        self._recorded_profiles = 0
        self._head = ""
        self._state: State = "waiting"
        self._done = self._replayed = 0
        self._started = self._stopped = 0.0
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._runner: JobRunner | None = None
        self._changed = threading.Condition()
        self._timed_out = False
        self._begin(before)

    def __repr__(self) -> str:
        now = self.snapshot()
        missing = f", {now.failed} missing" if now.failed else ""
        return f"PeopleJob({now.done} of {now.total} people made{missing}, {now.state})"

    # -- running -----------------------------------------------------------------------

    def start(self) -> Self:
        """Start the job in a background thread and return at once."""
        self._thread = threading.Thread(
            target=self._run_quietly, name="tinyfactory-job", daemon=True
        )
        self._state, self._started = "running", time.monotonic()
        self._scope = self._open_scope()
        self._scope.hold(self)
        self._thread.start()
        return self

    def run(self) -> People:
        """Run the job in this thread; an error or Ctrl-C leaves finished people in `people`."""
        self._scope = self._open_scope()
        with working(self._scope, self):
            return self._run()

    def _open_scope(self) -> Scope:
        """The scope in which the job was made, unless it ended before the job was started."""
        return self.factory.scope() if self._scope.store is None else self._scope

    def _run(self) -> People:
        self._state, self._started = "running", time.monotonic()
        try:
            with ExitStack() as stack:
                self._keep_time(stack)
                self._report(stack)
                self._make_people()
                if self.missing and not self._done:
                    raise self._nobody()
        except BaseException as error:
            late = self._timed_out and isinstance(error, Cancelled)
            self._error = self._too_late() if late else error
            cancelled = isinstance(error, (Cancelled, KeyboardInterrupt))
            self._end("cancelled" if cancelled else "failed")
            if late:
                raise self._error from None
            raise
        self._end("done")
        if self.missing:
            logger.warning("%s", self.account())
        return self.people

    def _make_people(self) -> None:
        from tinyfactory.factory.job_runner import JobRunner  # slow to import: asyncio

        self._note_line()
        sender = self._sender()
        self._runner = runner = JobRunner(
            self.factory,
            self.options,
            sender,
            self.token,
            self._arguments,
            self._made,
            self.execution,
        )
        with closing(sender):
            if self._one_by_one():
                runner.run_one_by_one(range(self.ended, self.order.total))
            else:
                runner.run_together(self._fork())

    def _sender(self) -> Sender:
        """The sender of the job's requests."""
        options, model = self.options, self.factory.chat_model()
        if options.batch:
            store = self._scope.store
            if store is None:
                raise InvalidInput(
                    "batch=True needs an open simulation: a batch takes up to a day, and there is "
                    "no simulation to save its replies in. Nothing was sent. Call "
                    "tinyfactory.control.begin() first."
                )
            if is_overridden(self.factory, "generate_person"):
                raise InvalidInput(
                    f"batch=True does not work with {type(self.factory).__name__}, because it "
                    "overrides generate_person. Nothing was sent. Use batch=False."
                )
            # Slow to import: asyncio.
            from tinyfactory.factory.batch_sender import BatchNotes, BatchSender

            notes = BatchNotes(store, self._fork().head)
            return BatchSender(model, self.meter, self.token, notes, options.poll, self._set_note)
        transport = None
        if options.executor is not None:
            from tinyfactory.models.executor import ExecutorSender

            transport = ExecutorSender(options.executor).send
        return Sender(model, self.meter, options.concurrency, transport, self.token)

    def _fork(self) -> Fork:
        """The fork with the job's slots; the previous job's fork if this one continues it."""
        if self.fork is None:
            self.fork = Fork(self._scope, self.factory, self.order.total, self.seen)
        return self.fork

    def _set_note(self, note: str) -> None:
        self.note = note

    def _end(self, state: State) -> None:
        self._stopped = time.monotonic()
        self._state = state
        with self._changed:
            self._changed.notify_all()

    def _keep_time(self, stack: ExitStack) -> None:
        if self.options.time_limit is not None:
            timer = threading.Timer(self.options.time_limit, self._time_is_up)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)

    def _time_is_up(self) -> None:
        self._timed_out = True
        self.token.cancel()

    def _too_late(self) -> TimeLimitReached:
        return TimeLimitReached(
            f"The time limit of {self.options.time_limit:g} s was reached with {self._done} of "
            f"{self.order.total} people made. They are saved; run the same call again to continue."
        )

    def _nobody(self) -> NobodyMade:
        tried = count(len(self.missing), "person was", "people were")
        return NobodyMade(
            f"Nobody was made: {tried} tried, and the model gave no usable reply to any. The "
            f"last reason: {self.missing[-1].reason.rstrip('.')}. Change the context, "
            "the particularities or the model, or ask again: in a simulation, call "
            "control.begin(retry_failures=True) and run the cell again."
        )

    def _report(self, stack: ExitStack) -> None:
        if self.options.progress:
            stack.enter_context(reporting(self, self._changed))

    def _run_quietly(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - kept in the snapshot, raised by wait()
            logger.info("The job stopped after %d people: %s", self._done, error)

    # -- the people ------------------------------------------------------------------

    def _begin(self, before: PeopleJob | None) -> None:
        """Continue the previous job if it was stopped; else draw the profiles."""
        factory = self.factory
        self.seen = len(factory.generated_names)
        self.profiles: list[Json] | None = None
        if before is not None and self._goes_on(before):
            self.fork, self.profiles, self.seen = before.fork, before.profiles, before.seen
            self.people.extend(before.people)
            self._done = before._done  # noqa: SLF001 - the same class
            self._replayed = before._replayed  # noqa: SLF001 - the same class
            self._recorded_profiles = before._recorded_profiles  # noqa: SLF001 - the same class
            self.missing.extend(before.missing)
        elif factory.demography is not None:
            taken = self._scope.people.names()
            number, seed = self.order.total, factory.seed
            self.profiles = profiles.draw(factory.demography, number, seed, self.seen, taken)
            self._use_recorded_profiles()
            profiles.asked(self.profiles[0], self.order.particularities)  # raises now if they clash

    def _use_recorded_profiles(self) -> None:
        """Take the profiles out of a recording that is replayed.

        Draws depend on the people made before, and cells may be run in any order and again.
        """
        scope, factory, order = self._scope, self.factory, self.order
        if scope.recorded is None or self.profiles is None:
            return
        call = {
            "class": type_name(type(factory)),
            "method": "generate_person",
            "arguments": encode(
                {
                    "agent_particularities": order.particularities,
                    "temperature": order.temperature,
                    "attempts": order.attempts,
                }
            ),
        }
        root = scope.line_of(factory).root
        recorded = scope.recorded.planned(root, call, "profile", self.profiles, self.execution)
        self.profiles[: len(recorded)] = recorded
        self._recorded_profiles = len(recorded)

    def _goes_on(self, before: PeopleJob) -> bool:
        """Whether this job continues that one: same order, stopped, factory unchanged since."""
        if before.order != self.order or not before.was_stopped:
            return False
        if self._scope.recorded is not None and before.execution != self.execution:
            return False  # the cell is run again, and finds its people in the recording
        return (
            self._one_by_one() == (before.fork is None)
            and self.options.keep == before.options.keep
            and (self._scope.store is None or self._is_at_end_of(before))
            and len(self.factory.generated_names) == before.seen + before._done
        )

    def _is_at_end_of(self, before: PeopleJob) -> bool:
        line = self._scope.line_of(self.factory)
        return line is before.line and line.head == before._head

    def _one_by_one(self) -> bool:
        """Whether each prompt mentions the people made before."""
        options = self.options
        alone = options.concurrency == 1 and options.executor is None and not options.batch
        return alone and self.factory.demography is None

    @property
    def was_stopped(self) -> bool:
        """Whether the job ended early."""
        ended_early = self._state in ("cancelled", "failed")
        return ended_early and not isinstance(self._error, NobodyMade)

    @property
    def ended(self) -> int:
        """How many people are made or given up."""
        return self._done + len(self.missing)

    def _arguments(self, number: int) -> tuple[Any, ...]:
        """The arguments of `generate_person` for the person of that number."""
        order = self.order
        arguments = (order.particularities, order.temperature, order.attempts)
        if self.profiles is None:
            return arguments
        profile = self.profiles[number]
        if number < self._recorded_profiles:
            return (*arguments, profile)
        names = self._scope.people
        if profile["name"] in names:
            profile = self.profiles[number] = profiles.another_name(profile, names.names())
        return (*arguments, profile)

    def _made(self, number: int, person: TinyPerson | None) -> None:
        """Count a person; None for one who was given up."""
        if self.fork is None:
            self._note_line()
        if person is None:
            reason = self.factory.last_failure or "the model gave no usable reply"
            profile = self.profiles[number] if self.profiles is not None else None
            self.missing.append(Missing(number, profile, reason))
        else:
            self._count(person)
            if self.options.on_person is not None:
                self.options.on_person(person)
            if not self.options.keep:
                person.let_go()
        with self._changed:
            self._changed.notify_all()

    def _count(self, person: TinyPerson) -> None:
        step = self._scope.step_of(origin_of(person))
        self._replayed += step is not None and step.hit
        if self.options.keep:
            self.people.append(person)
        self._done += 1

    def _note_line(self) -> None:
        """Remember the head of the factory's line, for a job that continues from here."""
        if self._scope.store is not None:
            self.line = self._scope.line_of(self.factory)
            self._head = self.line.head

    # -- waiting for the job ---------------------------------------------------------

    def __iter__(self) -> Iterator[TinyPerson]:
        if not self.options.keep:
            raise InvalidInput(
                "With keep=False people do not stay in memory; use on_person to get them."
            )
        if self._state == "waiting":
            self.start()
        given = 0
        try:
            while True:
                with self._changed:
                    ended = self._ended_or_more(given)
                while given < len(self.people):
                    yield self.people[given]
                    given += 1
                if ended:
                    break
        except KeyboardInterrupt:
            self.cancel()
            raise
        self.wait()

    def _ended_or_more(self, given: int) -> bool:
        """Wait for another person or the end; returns whether the job has ended."""
        self._check_not_locked()
        while len(self.people) == given and not self.snapshot().ended:
            self._changed.wait(0.2)
        return self.snapshot().ended

    def cancel(self) -> None:
        """Stop the job; finished people stay, unfinished ones are rolled back."""
        self.token.cancel()

    def wait(self, timeout: float | None = None) -> People:
        """Wait for the end and return the people; Ctrl-C cancels the job.

        Raises
        ------
        TinyFactoryError
            The error that stopped the job; the finished people are in `people`.
        TimeoutError
            If the job has not ended in time; it continues.
        """
        if self._thread is not None:
            try:
                ended = self._until_ended(timeout)
            except KeyboardInterrupt:
                self.cancel()
                self._until_ended()
                raise
            if not ended:
                raise TimeoutError(f"The job has not ended after {timeout} s; it continues.")
        if self._error is not None:
            raise self._error
        return self.people

    def join(self) -> None:
        """Wait for the end without raising the job's error."""
        if self._thread is not None:
            self._until_ended()

    def _until_ended(self, timeout: float | None = None) -> bool:
        self._check_not_locked()
        # Not Thread.join: after Ctrl-C it reports a running thread as ended.
        with self._changed:
            return self._changed.wait_for(lambda: self.snapshot().ended, timeout)

    def _check_not_locked(self) -> None:
        """Raise an error where the job waits for the end of a call that waits for the job."""
        tx = current_transaction()
        if tx is not None and tx.has_locked(self.factory) and not self.snapshot().ended:
            raise Deadlock(
                f"{tx.locks.title} locks this factory until it ends, so a job that makes people of "
                f"the factory waits for it, and {tx.locks.title} cannot wait for the job. Wait "
                "after the call, or call generate_people(...) with concurrency=1 in its place."
            )

    def snapshot(self) -> Snapshot:
        """The progress of the job; cheap, and safe to call from any thread."""
        running = self._state == "running"
        until = time.monotonic() if running else self._stopped
        return Snapshot(
            self._state,
            self.order.total,
            self._done,
            len(self.missing),
            self._replayed,
            until - self._started,
            self._error,
            self.meter.spent,
            self._note(),
            0 if self._runner is None else self._runner.arrived,
        )

    def _note(self) -> str:
        """What the job waits for."""
        # A copy, because the private loop changes the set.
        awaited = set() if self._runner is None else self._runner.sender.awaited.copy()
        told = in_words(awaited)
        return f"{self.note}, {told}" if told else self.note

    def account(self) -> str:
        """How many people were made and which are missing, in words."""
        told = f"{self._done} of {self.order.total} people were made."
        if not self.missing:
            return told
        lines = [f"Number {one.number + 1} is missing: {one.reason}" for one in self.missing[:5]]
        more = len(self.missing) - len(lines)
        lines += [f"{more} more are missing; see job.missing."] if more else []
        return " ".join(
            [
                told,
                *lines,
                "To ask again: control.begin(retry_failures=True), then run the cell again.",
            ]
        )


# Seconds between two updates.
_PAUSE = 0.25


@contextmanager
def reporting(job: PeopleJob, changed: threading.Condition) -> Iterator[None]:
    """Show the job's progress during the block, from a thread of its own."""
    show, close = _ways(job)
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            show(job.snapshot())
            with changed:
                changed.wait(_PAUSE)

    watcher = threading.Thread(target=watch, name="tinyfactory-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        with changed:
            changed.notify_all()
        watcher.join()
        show(job.snapshot())
        close()


def _ways(job: PeopleJob) -> tuple[Callable[[Snapshot], object], Callable[[], object]]:
    if callable(job.options.progress):
        return job.options.progress, lambda: None
    from tqdm.auto import tqdm

    bar = tqdm(total=job.order.total, unit="person")

    def show(now: Snapshot) -> None:
        bar.n = now.done + now.failed
        spent = now.spent
        cost = cost_in_words(spent.tokens, spent.usd, more=spent.unknown_price)
        missing = f", {now.failed} missing" if now.failed else ""
        arrived = f", {now.arrived} more arrived" if now.arrived else ""
        words = f"{cost}{missing}{arrived}{now.note}"
        bar.set_postfix_str(legible(one_line(words, 300)), refresh=False)
        bar.refresh()

    return show, bar.close
