"""Making people through a Batch API: all requests that are open go in one file.

A slot is run until it needs a reply that is not in the journal; then it is undone, and its
request put off. When those are answered, each slot is run again, over the replies that are
kept. So a person is made by the same steps as without a batch, and is the same person.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tinyfactory.budget import Cost
from tinyfactory.errors import EndpointUnavailable, InvalidInput
from tinyfactory.factory import spending
from tinyfactory.factory.job_options import Lane
from tinyfactory.factory.job_runner import fork_of, in_slot, within
from tinyfactory.factory.replies import PutOff, put_off
from tinyfactory.journal.fork import Fork, Rehearsed
from tinyfactory.journal.reply_cache import overlooked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tinyfactory.factory.job import PeopleJob
    from tinyfactory.factory.requests import Json
    from tinyfactory.models.batch.batch import BatchProgress
    from tinyfactory.models.chat import ChatReply

logger = logging.getLogger("tinyfactory")
Waiting = dict[str, PutOff]


def run(job: PeopleJob) -> None:
    """Make the people of a job by batches; stopped at any time, the same call goes on.

    Raises
    ------
    InvalidInput
        Without a simulation, which is where the ids of batches and the replies are kept.
    ModelError
        When no reply is to be had.
    """
    store = job.factory.scope().store
    if store is None:
        raise InvalidInput(
            "A batch takes up to a day, and there is no simulation in which to keep what it "
            "answers. Nothing was sent. Call tinyfactory.control.begin() first."
        )
    job.is_at()
    fork = fork_of(job)
    notes = _Notes(store, fork.head)
    with within(job, Lane(job.way)), _putting_off():
        places = notes.open_places()
        if places:  # submitted by a kernel that did not see the end
            with _overlooking(places):
                waiting = {k: p for k, p in _rehearse(job, fork).items() if k in places}
            _have_answered(job, waiting, notes)
        while waiting := _make(job, fork):
            _have_answered(job, waiting, notes)
    fork.join()


def _make(job: PeopleJob, fork: Fork) -> Waiting:
    """Make people up to the first who lacks a reply; what that one and those behind ask for."""
    for number in fork.open_slots():
        try:
            in_slot(job, fork, number)
        except PutOff as later:
            fork.mend()
            job.factory.scope().uncount()
            return {later.place.key: later} | _rehearse(job, fork, beyond=number)
    return {}


def _rehearse(job: PeopleJob, fork: Fork, beyond: int = -1) -> Waiting:
    """What the open slots ask for that is not in the journal."""
    waiting: Waiting = {}
    for number in fork.open_slots():
        if number <= beyond:
            continue
        job.token.raise_if_cancelled()
        try:
            with fork.rehearsal(number):
                job.factory.generate_person(*job.arguments(number))
        except PutOff as later:
            waiting[later.place.key] = later
        except Rehearsed:
            continue
    return waiting


def _have_answered(job: PeopleJob, waiting: Waiting, notes: _Notes) -> None:
    """Send the requests and keep every reply; those that failed are asked again next time."""
    from tinyfactory.models import event_loop
    from tinyfactory.models.batch.batch import complete_batch

    model, scope, meter = job.factory.chat_model(), job.factory.scope(), job.meter
    known = notes.for_places(waiting)
    requests = [later.request for later in waiting.values()]
    # What another kernel submitted is paid for, and no budget of this run.
    reservation = None if known else spending.set_aside(model, requests, meter, batch=True)
    costs: dict[str, Cost] = {}
    waits: list[Callable[[], Json]] = []

    def arrived(key: str, reply: ChatReply) -> None:
        later = waiting[key]
        costs[key] = spending.cost_of(model, later.request, meter, reply)
        waits.append(later.place.keep(scope.store, reply.to_json(), costs[key].usd))

    def progress(now: BatchProgress) -> None:
        job.note = f", batch {now.status}: {now.done:,} of {now.total:,} answered"

    submitted: Any = None

    def remember(note: Json) -> None:
        nonlocal submitted
        submitted = note
        notes.write(note, waiting)

    try:
        failed = event_loop.run(
            lambda: complete_batch(
                model,  # type: ignore[arg-type]  # it says itself what it can take
                {key: later.request for key, later in waiting.items()},
                remembered=known,
                remember=remember,
                arrived=arrived,
                progress=progress,
                poll=job.way.poll,
            )
        )
    except BaseException:
        if reservation is not None:
            reservation.keep() if submitted is not None else reservation.release()
        raise
    finally:
        for wait in waits:
            wait()
        job.note = ""
        scope.model_calls += len(costs)
    if reservation is not None:
        reservation.settle(_sum(costs.values(), reservation.bound))
    notes.write(None, ())
    if failed:
        logger.warning("%d requests of a batch were not answered; asking again.", len(failed))
    if not costs:
        why = next(iter(failed.values()), "no row was answered")
        raise EndpointUnavailable(
            f"None of {len(waiting)} requests of a batch was answered; the first: {why} What was "
            "finished before is kept. Run it again, or ask one by one: batch=False."
        )


def _sum(costs: Collection[Cost], bound: Cost) -> Cost:
    known = [cost.usd for cost in costs if cost.usd is not None]
    usd = sum(known) if known or bound.usd is not None else None
    return Cost(len(costs), sum(cost.tokens for cost in costs), usd)


class _Notes:
    """What is remembered of batches at the place where a line forks; the last note counts."""

    def __init__(self, store: Any, head: str) -> None:
        self._store = store
        self._head = head
        self._number = 0
        self._last: Json = {}
        while (found := store.get(self._key())) is not None:
            self._last, self._number = found, self._number + 1

    def _key(self) -> str:
        return f"batch:{self._head}:{self._number}"

    def open_places(self) -> Collection[str]:
        """Where the replies belong to a batch whose end nobody has seen."""
        return frozenset(self._last["places"]) if self._last.get("note") else frozenset()

    def for_places(self, waiting: Waiting) -> Json | None:
        """What was remembered of exactly these requests."""
        same = self._last.get("note") and set(self._last["places"]) == set(waiting)
        return self._last["note"] if same else None

    def write(self, note: Json | None, waiting: Collection[str]) -> None:
        """Remember a note; None once a batch has been read to its end."""
        self._last = {"note": note, "places": sorted(waiting)}
        # Another kernel may write here, too: its note stands, and ours comes after it.
        while self._store.add(self._key(), self._last) != self._last:
            self._number += 1
        self._number += 1


@contextmanager
def _putting_off() -> Iterator[None]:
    token = put_off.set(True)
    try:
        yield
    finally:
        put_off.reset(token)


@contextmanager
def _overlooking(places: Collection[str]) -> Iterator[None]:
    token = overlooked.set(places)
    try:
        yield
    finally:
        overlooked.reset(token)
