"""Making several people: one loop, in the foreground or in a thread of its own.

The job belongs to the core; a widget only looks at its snapshot.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from tinyfactory.errors import Cancelled

if TYPE_CHECKING:
    from tinyfactory.factory.person import TinyPersonFactory
    from tinyfactory.people import People, TinyPerson

logger = logging.getLogger("tinyfactory")

State = Literal["waiting", "running", "done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a job is, at one moment.

    `done` counts people, `failed` attempts at a person that gave none, `seconds` the time
    since the start, `replayed` how many people came out of the journal.
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
    on_person : callable, optional
        Called with each person, in the thread that makes them.

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
        on_person: Callable[[TinyPerson], object] | None = None,
    ) -> None:
        from tinyfactory.models.flow import CancelToken
        from tinyfactory.people import People

        self.factory = factory
        self.total = total
        self.people: People = People()
        self._arguments = arguments
        self._on_person = on_person
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
        from tinyfactory.models.flow import cancellable

        self._state, self._started = "running", time.monotonic()
        try:
            with cancellable(self._token):
                for _ in range(self.total):
                    self._token.raise_if_cancelled()
                    self._make_one()
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

    def _make_one(self) -> None:
        here = self.factory.scope()
        hits = here.hits
        person = self.factory.generate_person(*self._arguments)
        self._replayed += here.hits > hits
        if person is None:
            self._failed += 1
            return
        self.people.append(person)
        if self._on_person is not None:
            self._on_person(person)

    def _run_quietly(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - kept in the snapshot, raised by wait()
            logger.info("The job stopped after %d people: %s", len(self.people), error)

    def cancel(self) -> None:
        """Stop soon; people who are finished stay, the one under way is undone."""
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
