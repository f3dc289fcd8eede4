"""Making people through a Batch API: the requests that all slots wait for go in one file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tinyfactory.budget import Cost, Meter
from tinyfactory.errors import EndpointUnavailable
from tinyfactory.factory.requests import Json
from tinyfactory.generation.cost import cost_of, reserve
from tinyfactory.generation.pipeline import Saved, Sender
from tinyfactory.journal.reply_cache import SavedReply
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest
from tinyfactory.models.event_loop import CancelToken

logger = logging.getLogger("tinyfactory")


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
        Where the ids of batches are remembered.
    poll : float
        Seconds between two looks at a batch, at first.
    progress : callable
        Told what is being waited for, in words.
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
        """A call that the job does not make itself is sent directly."""
        return Sender(model, self.meter, token=self.token)

    def find(self, place: SavedReply) -> Json | None:
        """A saved reply, unless its batch was submitted by a kernel that did not see the end.

        The batch is found again only by all of its requests, so they are made once more.
        """
        return None if place.key in self._notes.open_places() else place.find()

    async def fetch(self, place: SavedReply, request: ChatRequest) -> Saved:
        """Wait for the batch that the request goes into."""
        waiting = _Waiting(place, request, asyncio.get_running_loop().create_future())
        self._waiting[place.key] = waiting
        if self.on_collected is not None:
            self.on_collected()
        return await waiting.saved

    async def flush(self, active: int) -> None:
        """Send what was collected, once all `active` slots wait for it.

        Raises
        ------
        ModelError
            When no reply is to be had.
        """
        if not self._waiting or len(self._waiting) < active:
            return
        places = self._notes.open_places()
        waiting = {k: w for k, w in self._waiting.items() if not places or k in places}
        if not waiting:  # what that batch was for is not asked any more
            self._notes.write(None, ())
            waiting = dict(self._waiting)
        await self._send_batch(waiting)

    async def _send_batch(self, waiting: dict[str, _Waiting]) -> None:
        """Send requests, and save every reply; requests that failed go on waiting."""
        from tinyfactory.models.batch.batch import BatchProgress, complete_batch

        meter = self.meter or Meter()
        known = self._notes.for_places(waiting)
        requests = {key: one.request for key, one in waiting.items()}
        # What another kernel submitted is paid for, and no budget of this run.
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
                progress=progress,
                poll=self._poll,
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
        if failed:
            logger.warning("%d requests of a batch were not answered; asking again.", len(failed))
        if not costs:
            why = next(iter(failed.values()), "no row was answered")
            raise EndpointUnavailable(
                f"None of {len(waiting)} requests of a batch was answered; the first: {why} What "
                "was finished before is saved. Run it again, or ask one by one: batch=False."
            )


def _sum(costs: Collection[Cost], bound: Cost) -> Cost:
    known = [cost.usd for cost in costs if cost.usd is not None]
    usd = sum(known) if known or bound.usd is not None else None
    return Cost(len(costs), sum(cost.tokens for cost in costs), usd)


class BatchNotes:
    """What is remembered of batches where a line forks; the last note counts.

    Parameters
    ----------
    store : Store
    head : str
        The head of the line where it forks.
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
        """Where the replies of a batch belong whose end nobody has seen."""
        return self._last["places"] if self._last.get("note") else ()

    def for_places(self, places: Collection[str]) -> Json | None:
        """What was remembered of exactly these requests."""
        same = self._last.get("note") and set(self._last["places"]) == set(places)
        return self._last["note"] if same else None

    def write(self, note: Json | None, places: Collection[str]) -> None:
        """Remember a note; None once a batch has been read to its end."""
        self._last = {"note": note, "places": sorted(places)}
        # Another kernel may write here, too: its note stands, and ours comes after it.
        while self._store.add(self._key(), self._last) != self._last:
            self._number += 1
        self._number += 1
