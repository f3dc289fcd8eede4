"""Asking a model for something: build the request, send it, save the reply, read it.

Whatever is asked of a model goes through `generate`: people, contexts, twins, rewrites and
answers. It asks again with the reason where a reply cannot be used. How a request is sent is
the business of a `Sender`: directly, by an executor, or collected into batches.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Self, TypeVar

from tinyfactory.budget import Cost, Meter
from tinyfactory.errors import (
    BadResponse,
    Cancelled,
    EndpointDown,
    EndpointUnavailable,
    EndpointUnreachable,
    InvalidInput,
    InvalidPersona,
    ModelError,
    NotConfigured,
    ReplyRejected,
)
from tinyfactory.generation.cost import cost_of, reserve
from tinyfactory.journal.reply_cache import SavedReply
from tinyfactory.journal.scope import current_context, within
from tinyfactory.journal.serializer import digest, encode
from tinyfactory.journal.transaction import Transaction
from tinyfactory.models import event_loop
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest, before_request

Json = dict[str, Any]
R = TypeVar("R")
T = TypeVar("T")
logger = logging.getLogger("tinyfactory")
_warned: set[str] = set()


@dataclass(frozen=True, slots=True)
class Task(Generic[R, T]):
    """What a model is asked for.

    Attributes
    ----------
    request : callable
        Builds the request; its argument is why the last reply was rejected, or empty.
    read : callable
        Reads a reply; raises `ReplyRejected`, `InvalidPersona` or `BadResponse` with a reason
        that the model is told.
    attempts : int
        How many replies to ask for at most.
    what : str
        For the log: ``"person"``.
    """

    request: Callable[[str], ChatRequest]
    read: Callable[[R], T]
    attempts: int
    what: str


@dataclass(slots=True)
class Outcome(Generic[R, T]):
    """What came of a task so far.

    Attributes
    ----------
    value : object or None
        What was read; None when no reply could be used.
    reply : object or None
        The reply that it was read from.
    reason : str
        Why the last reply was rejected.
    replied : bool
        Whether the last attempt got a reply at all: only then the failure is worth storing.
    attempt : int
        The number of the last attempt, from 1.
    """

    value: T | None = None
    reply: R | None = None
    reason: str = ""
    replied: bool = False
    attempt: int = 0

    def reject(self, reason: str) -> None:
        """Reject what was read; `generate` then asks again with the reason."""
        self.value, self.reply, self.reason, self.replied = None, None, reason, True


Fetch = Callable[[ChatRequest, Transaction], Awaitable[R]]


async def generate(
    task: Task[R, T], fetch: Fetch[R], tx: Transaction, outcome: Outcome[R, T]
) -> Outcome[R, T]:
    """Ask until a reply can be used or the task's attempts are over.

    Parameters
    ----------
    task : Task
    fetch : coroutine function
        Gives the reply to a request, such as `Sender.reply`.
    tx : Transaction
        The call that asks; replies are saved below its event.
    outcome : Outcome
        ``Outcome()``, or that of an earlier call whose value was rejected since.

    Raises
    ------
    ModelError
        When asking again cannot help.
    BudgetExceeded, ReplayMiss
        Before anything is sent.
    """
    while outcome.value is None and outcome.attempt < task.attempts:
        outcome.attempt += 1
        try:
            outcome.reply = await fetch(task.request(outcome.reason), tx)
            outcome.value = task.read(outcome.reply)
        except (ReplyRejected, InvalidPersona) as error:
            outcome.reason, outcome.replied = str(error), True
        except BadResponse as error:
            outcome.reason, outcome.replied = str(error), False
        else:
            return outcome
        logger.info(
            "Attempt %d of %d gave no %s: %s",
            outcome.attempt,
            task.attempts,
            task.what,
            outcome.reason,
        )
    return outcome


def ask(task: Task[ChatReply, T], model: ChatModel, tx: Transaction) -> Outcome[ChatReply, T]:
    """`generate` for a single call, waited for in the calling thread."""
    with sender_for(model, tx) as sender:
        outcome: Outcome[ChatReply, T] = Outcome()
        return event_loop.run(lambda: generate(task, sender.reply, tx, outcome), token=sender.token)


def sender_for(model: ChatModel, tx: Transaction) -> Sender:
    """How a call sends its requests: as the job around it does, else directly."""
    outer: Sender | None = current_context().sender
    return Sender(model, tx.scope.meter) if outer is None else outer.for_model(model)


def current_token() -> event_loop.CancelToken | None:
    """The token that stops model calls here, or None."""
    outer: Sender | None = current_context().sender
    return None if outer is None else outer.token


@contextmanager
def cancellable(token: event_loop.CancelToken) -> Iterator[None]:
    """Run the block so that `token.cancel()` stops the model calls that are made in it.

    Raises
    ------
    Cancelled
        Out of the call that was stopped.
    """
    here = current_context()
    outer = here.sender or Sender(None, None)
    with within(here._replace(sender=replace(outer, token=token))):
        yield


def gave_up(outcome: Outcome[Any, Any], tx: Transaction) -> str:
    """Mark a transaction as failed because no reply could be used; the reason in words.

    The event is stored, and replayed, only when the model did reply.
    """
    why = f"no usable reply in {outcome.attempt} attempts; last: {outcome.reason}"
    tx.fail(why, keep=outcome.replied)
    return why


def request_key(model: ChatModel, request: ChatRequest) -> Json:
    """A request with the identity of its model, as it enters keys; the schema as a digest.

    Raises
    ------
    NotSerialisable
        For a model of one's own whose identity is not JSON.
    """
    identity = encode(dict(model.identity), "the identity of the model")
    return {"model": identity, **request.to_json(), "schema": _schema_digest(request.schema)}


# The schema that most requests share, and its digest.
_digested: tuple[Json, str] | None = None


def _schema_digest(schema: Json | None) -> str:
    """The digest of a schema; that of the last one is remembered, as most requests share it."""
    global _digested
    if schema is None:
        return digest(schema)
    if _digested is None or _digested[0] is not schema:
        _digested = schema, digest(schema)
    return _digested[1]


def provenance(model: ChatModel, reply: ChatReply) -> Json:
    """Where a text comes from, as it is stored with a person."""
    # The reply says who wrote it: the offline model may answer at an address, too.
    offline = "offline" in (model.identity.get("kind"), reply.model)
    source = "offline" if offline else "model"
    return {"source": source, "model": reply.model or str(model.identity.get("model", ""))}


Saved = Callable[[], Awaitable[Json]]
Transport = Callable[[ChatModel, ChatRequest], Awaitable[ChatReply]]


@dataclass
class Sender:
    """Sends the requests of one call or of one job.

    A reply that the journal holds is returned at once. Otherwise the request waits for its
    turn, the most that it can cost is reserved, and the reply is saved on arrival.

    Attributes
    ----------
    model : ChatModel
        One with a synchronous `complete` is called in a thread.
    meter : Meter
        Counts what is spent, and holds it to the budgets.
    concurrency : int
        Requests in flight at most.
    transport : callable, optional
        Sends a request in place of the model, such as `ExecutorTransport.send`.
    token : CancelToken, optional
        Stops the requests.
    on_collected : callable, optional
        Called when a request was collected, to be sent by `flush`.
    last_slot : float
        Requests of slots behind this one are no longer sent, because it has failed.
    """

    model: Any
    meter: Meter | None
    concurrency: int = 1
    transport: Transport | None = None
    token: event_loop.CancelToken | None = None
    last_slot: float = math.inf
    on_collected: Callable[[], None] | None = None
    _turns: asyncio.Semaphore | None = None
    _threads: ThreadPoolExecutor | None = None
    in_flight: set[int] = field(default_factory=set)

    def for_model(self, model: ChatModel) -> Sender:
        """One for another call within the same job: the same budget, token and transport."""
        return Sender(model, self.meter, self.concurrency, self.transport, self.token)

    async def reply(self, request: ChatRequest, tx: Transaction) -> ChatReply:
        """The reply to a request, saved before it is returned.

        Raises
        ------
        BudgetExceeded
            When asking could exceed a budget; nothing is sent then.
        ModelError
            When there is no reply, saying what to do.
        """
        return await self.reply_at(
            SavedReply(tx, tx.key, request_key(self.model, request)), request
        )

    async def reply_at(self, place: SavedReply, request: ChatRequest) -> ChatReply:
        """`reply`, for a request whose place in the journal is known."""
        stored = self.find(place)
        if stored is None:
            self._warn_when_nothing_is_saved(place.transaction)
            wait = await self.fetch(place, request)
            # On the disk before it counts, without holding up other requests.
            stored = await wait()
        return ChatReply.from_json(stored)

    def find(self, place: SavedReply) -> Json | None:
        """The saved reply, if there is one."""
        return place.find()

    async def fetch(self, place: SavedReply, request: ChatRequest) -> Saved:
        """Send a request when it is its turn; gives what waits for the saved reply."""
        slot = place.transaction.slot
        async with self.turns:
            if slot is not None and slot.number > self.last_slot:
                raise Cancelled("A person before this one could not be made. Run it again.")
            if slot is None:
                return await self._send(place, request)
            self.in_flight.add(slot.number)
            try:
                return await self._send(place, request)
            finally:
                self.in_flight.discard(slot.number)

    @property
    def turns(self) -> asyncio.Semaphore:
        """Limits the requests in flight."""
        if self._turns is None:
            self._turns = asyncio.Semaphore(self.concurrency)
        return self._turns

    async def flush(self, active: int) -> None:
        """Send what was collected, if all `active` tasks wait for it; nothing here."""

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Call a synchronous function in a thread of this sender's own."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.concurrency, "tinyfactory-model")
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, run, function, *args)

    async def _send(self, place: SavedReply, request: ChatRequest) -> Saved:
        """Reserve, send, count what it cost, and save the reply."""
        model, meter = self.model, self.meter or place.transaction.scope.meter
        reservation = await reserve(model, [request], meter)
        try:
            reply = await self._complete(request, reservation.one_more)
            cost = cost_of(model, request, meter, reply)
            wait = place.save(reply.to_json(), cost.usd)
        except ModelError as error:
            if reservation.bound.calls == 1 and isinstance(
                error, (NotConfigured, EndpointUnreachable, EndpointDown)
            ):
                reservation.release()  # certainly nothing was sent
            elif isinstance(error, EndpointUnavailable):
                reservation.keep()  # the endpoint may have worked on it, and charge for it
            else:
                reservation.settle(Cost(reservation.bound.calls, 0, 0.0))
            raise
        except InvalidInput:
            reservation.release()
            raise
        except BaseException:  # cancelled on the way
            reservation.keep()
            raise
        # A model of the user's own may repeat requests without asking before.
        calls = max(reservation.bound.calls, reply.requests)
        reservation.settle(Cost(calls, cost.tokens, cost.usd))
        return wait

    async def _complete(self, request: ChatRequest, before_retry: Callable[[], None]) -> ChatReply:
        """The model's reply, however it is reached."""
        model = self.model
        if self.transport is not None:
            return await self.transport(model, request)
        if not type(model).__module__.startswith("tinyfactory."):
            # It may change what it is given, and the schema is shared.
            request = replace(request, schema=json.loads(json.dumps(request.schema)))
        told = before_request.set(before_retry)
        try:
            if inspect.iscoroutinefunction(model.complete):
                reply: ChatReply = await model.complete(request)
                return reply
            answer: Any = await self.in_thread(model.complete, request)
            replied: ChatReply = await answer if inspect.isawaitable(answer) else answer
            return replied
        finally:
            before_request.reset(told)

    def _warn_when_nothing_is_saved(self, tx: Transaction) -> None:
        offline = self.model.identity.get("kind") == "offline"
        if tx.scope.store is not None or offline or "unkept" in _warned:
            return
        _warned.add("unkept")
        logger.warning(
            "No simulation is open, so what the model answers is not kept, and running this again "
            "asks again. To keep it: tinyfactory.control.begin() before the first call."
        )

    def close(self) -> None:
        """Let the threads go; calls in them are not waited for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
