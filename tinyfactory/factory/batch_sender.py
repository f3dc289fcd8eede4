"""Sends a job's requests through a Batch API: the requests of all slots go in one file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tinyfactory.budget import Cost, Meter
from tinyfactory.errors import EndpointUnavailable, ModelError
from tinyfactory.factory.person_generator import Json
from tinyfactory.generation.pipeline import Saved, Sender, cost_of, reserve
from tinyfactory.journal.reply_cache import SavedReply
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest
from tinyfactory.models.event_loop import CancelToken
from tinyfactory.utils.logs import get_logger

logger = get_logger("tinyfactory")


@dataclass(eq=False, slots=True)
class _Waiting:
    """A request that waits for its batch."""

    place: SavedReply
    request: ChatRequest
    saved: asyncio.Future[Saved]


class BatchSender(Sender):
    """Collects requests until every slot waits for one, then sends them as one batch.

    Parameters
    ----------
    model : ChatModel
    meter : Meter
    token : CancelToken
    notes : BatchNotes
        Stores the ids of batches.
    poll : float
        Seconds between the first two requests for a batch's status.
    progress : callable
        Called with what the job waits for, in words.
    """

    def __init__(
        self,
        model: ChatModel,
        meter: Meter,
        token: CancelToken,
        notes: BatchNotes,
        poll: float,
        progress: Callable[[str], None],
    ) -> None:
        super().__init__(model, meter, token=token)
        self._notes = notes
        self._poll = poll
        self._progress = progress
        self._waiting: dict[str, _Waiting] = {}

    def for_model(self, model: ChatModel) -> Sender:
        """A direct sender, for calls within the job that are not its own."""
        return Sender(model, self.meter, token=self.token)

    def find(self, place: SavedReply) -> Json | None:
        """The saved reply; None while its batch has not been read to the end.

        A batch is found again by the full set of its requests, so all of them are collected.
        """
        return None if place.key in self._notes.open_places() else place.find()

    async def fetch(self, place: SavedReply, request: ChatRequest) -> Saved:
        """Add the request to the next batch and wait for its reply."""
        waiting = _Waiting(place, request, asyncio.get_running_loop().create_future())
        self._waiting[place.key] = waiting
        if self.on_collected is not None:
            self.on_collected()
        return await waiting.saved

    async def flush(self, active: int) -> None:
        """Send the collected requests once all `active` slots wait for one.

        Raises
        ------
        ModelError
            If there is no reply.
        """
        if not self._waiting or len(self._waiting) < active:
            return
        places = self._notes.open_places()
        waiting = {k: w for k, w in self._waiting.items() if not places or k in places}
        if not waiting:  # none of that batch's requests is made any more
            self._notes.write(None, ())
            waiting = dict(self._waiting)
        await self._send_batch(waiting)

    async def _send_batch(self, waiting: dict[str, _Waiting]) -> None:
        """Send requests and save every reply; failed requests stay in the queue."""
        from tinyfactory.models.batch.batch import BatchProgress, complete_batch

        meter = self.meter or Meter()
        known = self._notes.for_places(waiting)
        requests = {key: one.request for key, one in waiting.items()}
        # A batch submitted by another kernel is paid for already, outside this run's budget.
        reservation = (
            None if known else await reserve(self.identity, [*requests.values()], meter, batch=True)
        )
        costs: dict[str, Cost] = {}

        def arrived(key: str, reply: ChatReply) -> None:
            one = waiting[key]
            costs[key] = cost_of(self.identity, one.request, meter, reply)
            saved = one.place.save(reply.to_json(), costs[key].usd)
            del self._waiting[key]
            if not one.saved.done():
                one.saved.set_result(saved)

        refusals: list[str] = []

        def refused(key: str, error: ModelError) -> None:
            refusals.append(key)
            one = self._waiting.pop(key, None)
            if one is not None and not one.saved.done():
                one.saved.set_exception(error)

        def progress(now: BatchProgress) -> None:
            self._progress(f", batch {now.status}: {now.done:,} of {now.total:,} answered")

        submitted = False

        def remember(note: Json) -> None:
            nonlocal submitted
            submitted = True
            self._notes.write(note, waiting)

        try:
            failed = await complete_batch(
                self.model,
                requests,
                remembered=known,
                remember=remember,
                arrived=arrived,
                refused=refused,
                progress=progress,
                poll=self._poll,
                token=self.token,
            )
        except BaseException:
            if reservation is not None:
                reservation.keep() if submitted else reservation.release()
            raise
        finally:
            self._progress("")
        if reservation is not None:
            reservation.settle(_sum(costs.values(), reservation.bound))
        self._notes.write(None, ())
        if len(failed) > len(refusals):
            again = len(failed) - len(refusals)
            logger.warning("%d requests of a batch got no reply; asking again.", again)
        if not costs and not refusals:
            why = next(iter(failed.values()), "there was no reply")
            raise EndpointUnavailable(
                f"None of {len(waiting)} requests of a batch got a reply. The first: {why} People "
                "made before are saved. Run it again, or use batch=False."
            )


def _sum(costs: Collection[Cost], bound: Cost) -> Cost:
    known = [cost.usd for cost in costs if cost.usd is not None]
    usd = sum(known) if known or bound.usd is not None else None
    return Cost(len(costs), sum(cost.tokens for cost in costs), usd)


class BatchNotes:
    """The stored notes about the batches of a fork; the last note is valid.

    Parameters
    ----------
    store : Store
    head : str
        The head of the line at the fork.
    """

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
        """The keys of the replies of a batch that has not been read to the end."""
        return self._last["places"] if self._last.get("note") else ()

    def for_places(self, places: Collection[str]) -> Json | None:
        """The note about the batch of exactly these requests, if there is one."""
        same = self._last.get("note") and set(self._last["places"]) == set(places)
        return self._last["note"] if same else None

    def write(self, note: Json | None, places: Collection[str]) -> None:
        """Store a note; None once a batch has been read to the end."""
        self._last = {"note": note, "places": sorted(places)}
        # Another kernel may write here too; this note goes behind its notes.
        while self._store.add(self._key(), self._last) != self._last:
            self._number += 1
        self._number += 1
