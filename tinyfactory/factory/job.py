"""Making several people: one loop, in the foreground or in a thread of its own.

The job belongs to the core; a widget only looks at its snapshot.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from tinyfactory.errors import Cancelled
from tinyfactory.journal.events import origin_of
from tinyfactory.journal.fork import Fork

if TYPE_CHECKING:
    from tinyfactory.factory.person import TinyPersonFactory
    from tinyfactory.people import People, TinyPerson

logger = logging.getLogger("tinyfactory")

State = Literal["waiting", "running", "done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a job is, at one moment.

    `done` counts people, `failed` attempts at a person that gave none, `replayed` how many
    people came out of the journal, `seconds` the time since the start.
    """

    state: State
    total: int
    done: int
    failed: int
    replayed: int
    seconds: float
    error: BaseException | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "cancelled", "failed")


class PeopleJob:
    """People being made; those that are finished stay, whatever happens to the rest.

    Parameters
    ----------
    factory : TinyPersonFactory
    total : int
        How many people.
    arguments : tuple
        For each `generate_person`.
    concurrency : int
        How many are asked for at a time. One by one, each person is told of those before;
        together, each is told of those that were there at the start.
    on_person : callable, optional
        Called with each person, in order, in the thread that makes them.
    before : PeopleJob, optional
        The factory's last job: when it asked the same and was stopped, this one goes on.

    Examples
    --------
    >>> from tinyfactory import TinyPersonFactory
    >>> job = TinyPersonFactory("Bakers in Vienna", model="offline").start_people(2)
    >>> len(job.wait()), job.snapshot().state
    (2, 'done')
    """

    def __init__(
        self,
        factory: TinyPersonFactory,
        total: int,
        arguments: tuple[Any, ...],
        *,
        concurrency: int = 1,
        on_person: Callable[[TinyPerson], object] | None = None,
        before: PeopleJob | None = None,
    ) -> None:
        from tinyfactory.models.flow import CancelToken
        from tinyfactory.people import People

        self.factory = factory
        self.total = total
        self.arguments = arguments
        self.concurrency = concurrency
        self.people: People = People()
        self.fork: Fork | None = None
        self._on_person = on_person
        self._before = before
        self._token = CancelToken()
        self._state: State = "waiting"
        self._failed = 0
        self._replayed = 0
        self._started = self._stopped = 0.0
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Run in a thread of its own, and return at once."""
        self._thread = threading.Thread(
            target=self._run_quietly, name="tinyfactory-job", daemon=True
        )
        self._state, self._started = "running", time.monotonic()
        self._thread.start()
        return self

    def run(self) -> People:
        """Run here; an error or Ctrl-C leaves the finished people in `people`."""
        self._state, self._started = "running", time.monotonic()
        try:
            if self.concurrency == 1:
                self._one_by_one()
            else:
                self._together()
        except BaseException as error:
            self._error = error
            cancelled = isinstance(error, (Cancelled, KeyboardInterrupt))
            self._state = "cancelled" if cancelled else "failed"
            raise
        else:
            self._state = "done"
        finally:
            self._stopped = time.monotonic()
        if self._failed:
            logger.warning(
                "%d of %d people were made; the last failure: %s",
                len(self.people),
                self.total,
                self.factory.last_failure,
            )
        return self.people

    def _one_by_one(self) -> None:
        from tinyfactory.models.flow import cancellable

        with cancellable(self._token):
            for _ in range(self.total):
                self._token.raise_if_cancelled()
                self._made(self.factory.generate_person(*self.arguments))

    def _together(self) -> None:
        fork = self.fork = self._fork()
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="tinyfactory-slot")
        # In order, so that whoever waits for a slot before its own waits for one that runs.
        futures = [pool.submit(self._in_slot, fork, number) for number in fork.open_slots()]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:
            self._token.cancel()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        errors = [f.exception() for f in futures if not f.cancelled() and f.exception()]
        # Those that were cancelled because another failed say less than the one that did.
        errors.sort(key=lambda error: isinstance(error, Cancelled))
        for error in errors:
            if error is not None:
                raise error
        fork.join()

    def _fork(self) -> Fork:
        """A fork of the factory's line; the one of the job before, if that was stopped."""
        before, self._before = self._before, None
        fork = before.fork if before is not None else None
        if before is None or fork is None or not self._goes_on(before, fork):
            fork = Fork(self.factory.scope(), self.factory, self.total)
            fork.seen = len(self.factory.generated_names)
            return fork
        fork.mend()
        for number in sorted(fork.results):
            self._count(fork.results[number])
        return fork

    def _goes_on(self, before: PeopleJob, fork: Fork) -> bool:
        """Whether that fork is still open, at the place where the factory now is."""
        asked_the_same = (before.total, before.arguments) == (self.total, self.arguments)
        here = self.factory.scope()
        moved = here.store is not None and here.line_of(self.factory) is not fork.line
        return (
            asked_the_same
            and bool(fork.open_slots())
            and not moved
            and fork.line.head == fork.head
            and len(self.factory.generated_names) == fork.seen + len(before.people)
        )

    def _in_slot(self, fork: Fork, number: int) -> None:
        from tinyfactory.models.flow import cancellable

        with cancellable(self._token), fork.slot(number):
            self._token.raise_if_cancelled()
            person = self.factory.generate_person(*self.arguments)
            fork.wait_for_turn(number)
            self._made(person)
            fork.end(number, person)

    def _made(self, person: TinyPerson | None) -> None:
        self._count(person)
        if person is not None and self._on_person is not None:
            self._on_person(person)

    def _count(self, person: TinyPerson | None) -> None:
        if person is None:
            self._failed += 1
            return
        self.people.append(person)
        step = self.factory.scope().step_of(origin_of(person))
        self._replayed += step is not None and step.hit

    def _run_quietly(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - kept in the snapshot, raised by wait()
            logger.info("The job stopped after %d people: %s", len(self.people), error)

    def cancel(self) -> None:
        """Stop soon; people who are finished stay, those under way are undone."""
        self._token.cancel()

    def wait(self, timeout: float | None = None) -> People:
        """Wait for the end and give the people; Ctrl-C cancels the job.

        Raises
        ------
        TinyFactoryError
            What stopped the job; the finished people are in `people`.
        TimeoutError
            When it has not ended in time; it goes on.
        """
        thread = self._thread
        if thread is not None:
            try:
                thread.join(timeout)
            except KeyboardInterrupt:
                self.cancel()
                thread.join()
                raise
            if thread.is_alive():
                raise TimeoutError(f"The job has not ended after {timeout} s; it goes on.")
        if self._error is not None:
            raise self._error
        return self.people

    def snapshot(self) -> Snapshot:
        """How far it is; cheap, and safe to call from any thread."""
        running = self._state == "running"
        until = time.monotonic() if running else self._stopped
        return Snapshot(
            self._state,
            self.total,
            len(self.people),
            self._failed,
            self._replayed,
            until - self._started,
            self._error,
        )
