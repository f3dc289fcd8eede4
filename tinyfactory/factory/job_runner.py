"""How a job's people are made: one by one, or together in the slots of a fork."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tinyfactory.errors import Cancelled
from tinyfactory.factory.job_options import Lane, surroundings
from tinyfactory.journal.fork import Fork
from tinyfactory.utils.concurrency import deferred_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinyfactory.factory.job import PeopleJob
    from tinyfactory.journal.scope import Line
    from tinyfactory.people import TinyPerson

# Whoever has an answer and waits for those before takes no turn from others; so many wait.
_WAITING = 200
# For so many who ask, one more is prepared to.
_AHEAD = 8


def run(job: PeopleJob) -> None:
    """Make the people of a job; what is finished stays when it raises."""
    job.is_at()
    if job.way.one_by_one and job.profiles is None:
        _one_by_one(job)
    else:
        _together(job)


def within(job: PeopleJob, lane: Lane) -> AbstractContextManager[None]:
    """What a job's calls run in."""
    return surroundings(job.token, job.meter, lane)


def fork_of(job: PeopleJob) -> Fork:
    """The fork that the job's slots are in; the one of the job before, if it goes on."""
    if job.fork is None:
        job.fork = Fork(job.factory.scope(), job.factory, job.order.total)
        job.fork.seen = job.seen
        job.fork.one_step = _in_one_step(job)
    return job.fork


def in_slot(job: PeopleJob, fork: Fork, number: int) -> None:
    """Make the person of a slot, and keep it when its turn has come."""
    with fork.slot(number):
        job.token.raise_if_cancelled()

        def take(person: TinyPerson | None) -> None:
            fork.wait_for_those_before(number)
            with fork.ending(number, person if job.way.keep else None):
                job.made(number, person)

        _make(job, number, fork.line_of(number), take)


def _in_one_step(job: PeopleJob) -> bool:
    """Whether a person is one step; who wrote another way to make one may do several in it."""
    return hasattr(type(job.factory).generate_person, "transactional")


def _make(
    job: PeopleJob, number: int, line: Line, take: Callable[[TinyPerson | None], None]
) -> None:
    """Make the person of that number and have it taken, also when Ctrl-C came as it was kept."""
    factory, head = job.factory, line.head
    known = len(factory.generated_names)
    try:
        person = factory.generate_person(*job.arguments(number))
    except KeyboardInterrupt:
        # Held back during the commit, it is raised after: what is kept now is to be counted.
        unseen = factory.scope().store is None and len(factory.generated_names) > known
        if _in_one_step(job) and (line.head != head or unseen):
            people = factory.scope().registry("person")
            failed = factory.last_failure is not None
            take(None if failed else people.get(factory.generated_names[-1]))
        raise
    take(person)


def _one_by_one(job: PeopleJob) -> None:
    with within(job, Lane(job.way)):
        for number in range(job.ended, job.order.total):
            job.token.raise_if_cancelled()

            def take(person: TinyPerson | None, number: int = number) -> None:
                job.is_at()
                job.made(number, person)

            _make(job, number, job.line, take)


def _together(job: PeopleJob) -> None:
    fork, lane = fork_of(job), Lane(job.way)
    slots = fork.open_slots()
    threads = min(len(slots), job.way.concurrency + min(job.way.concurrency, _WAITING)) or 1
    if job.way.concurrency == 1:
        threads = 1
    # The next few are prepared, so that no turn is lost; more would keep the first ones waiting.
    fork.let_in(job.way.concurrency + -(-job.way.concurrency // _AHEAD))

    def work(number: int) -> None:
        with within(job, lane):
            in_slot(job, fork, number)

    # Ctrl-C stops the waiting, and nothing before or after it: no slot may outlive the job.
    with deferred_interrupts() as interrupts:
        pool = ThreadPoolExecutor(threads, thread_name_prefix="tinyfactory-slot")
        # In order, so that whoever waits for a slot before its own waits for one that runs.
        futures = [pool.submit(work, number) for number in slots]
        try:
            with interrupts.allowed():
                wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:
            job.token.cancel()
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
