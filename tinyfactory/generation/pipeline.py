"""Asks a model: builds the request, sends it, saves the reply, reads it.

People, contexts, twins, rewrites and answers all go through `generate`. If a reply cannot be used,
it asks again with the reason. A `Sender` sends the requests: directly, through an executor, or
collected into batches.
"""

from __future__ import annotations

import contextvars
import inspect
import json
import math
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tinyfactory.budget import Cost, Meter, Reservation
from tinyfactory.errors import (
    BadResponse,
    Cancelled,
    EndpointDown,
    EndpointUnavailable,
    EndpointUnreachable,
    InvalidInput,
    InvalidPersona,
    ModelError,
    NoChatEndpoint,
    NotConfigured,
    PromptRefused,
    ReplyFiltered,
    ReplyRejected,
)
from tinyfactory.generation.reasoning import without_reasoning
from tinyfactory.journal.reply_cache import SavedReply
from tinyfactory.journal.scopes.context import current_context, within
from tinyfactory.journal.scopes.lines import Slot
from tinyfactory.journal.transactions.transaction import Transaction
from tinyfactory.journal.values.serializer import encode
from tinyfactory.journal.values.stored_text import digest
from tinyfactory.models import event_loop
from tinyfactory.models.chat import (
    ONLY_REASONING,
    TOO_LONG,
    UNFINISHED,
    ChatModel,
    ChatReply,
    ChatRequest,
    Json,
    Usage,
    within_limits,
)
from tinyfactory.models.pricing import price
from tinyfactory.models.progress import Progress

if TYPE_CHECKING:
    import asyncio

from tinyfactory import settings
from tinyfactory.utils.logs import get_logger
from tinyfactory.utils.text import clean, count, cut

R = TypeVar("R")
T = TypeVar("T")
logger = get_logger("tinyfactory")
_warned: set[str] = set()
# A reason is sent to the model and saved, and may repeat a part of a reply.
_LONGEST_REASON = 4_000
# Replies to one request that a content filter may stop.
_MOST_FILTERED = 2
# Seconds between two checks whether calls in flight have left room in the budget.
_PAUSE = 0.05
# The schema that most requests share, and its tokens.
_schema_tokens: tuple[Json, int] | None = None


@dataclass(frozen=True, slots=True)
class Task(Generic[R, T]):
    """Something to ask a model for.

    Attributes
    ----------
    request : callable
        Builds the request. Its argument is the reason why the last reply was rejected, or "".
    read : callable
        Reads a reply; raises `ReplyRejected`, `InvalidPersona` or `BadResponse` with a reason
        for the model.
    attempts : int
        The most replies to ask for.
    what : str
        A noun for the log, such as ``"person"``.
    """

    request: Callable[[str], ChatRequest]
    read: Callable[[R], T]
    attempts: int
    what: str


@dataclass(slots=True)
class Outcome(Generic[R, T]):
    """The result of a task so far.

    Attributes
    ----------
    value : object or None
        The value that was read; None if no reply could be used.
    reply : object or None
        The reply that the value was read from.
    reason : str
        Why the last reply was rejected.
    replied : bool
        Whether the last attempt got a reply; a failure is stored only then.
    attempt : int
        The number of the last attempt, from 1.
    filtered : int
        How many times a content filter stopped the prompt or the reply.
    doubts : set of str
        The kinds of doubts for which the model was asked once more.
    spare : tuple or None
        A doubtful value and its reply, which are used if no better reply comes.
    """

    value: T | None = None
    reply: R | None = None
    reason: str = ""
    replied: bool = False
    attempt: int = 0
    filtered: int = 0
    doubts: set[str] = field(default_factory=set)
    spare: tuple[T, R | None] | None = None

    def reject(self, reason: str) -> None:
        """Reject the value; `generate` then asks again with the reason."""
        self.value, self.reply, self.reason, self.replied = None, None, reason, True
        self.spare = None

    def doubt(self, doubt: Doubtful) -> None:
        """Ask again once, and keep the value for the case that nothing better comes."""
        spare = (doubt.value, self.reply)
        self.reject(cut(str(doubt), _LONGEST_REASON))
        self.doubts.add(doubt.kind)
        self.spare = spare


class Doubtful(ReplyRejected):
    """A reply can be used, but is likely to be wrong: it is asked for once more.

    Parameters
    ----------
    reason : str
        For the model.
    kind : str
        A second reply with a doubt of the same kind is accepted.
    value : object
        What was read.
    """

    def __init__(self, reason: str, kind: str, value: Any) -> None:
        super().__init__(reason)
        self.kind = kind
        self.value = value


Fetch = Callable[[ChatRequest, Transaction], Awaitable[R]]


async def generate(
    task: Task[R, T], fetch: Fetch[R], tx: Transaction, outcome: Outcome[R, T]
) -> Outcome[R, T]:
    """Ask until a reply can be used or all attempts of the task are used.

    Parameters
    ----------
    task : Task
    fetch : coroutine function
        Returns the reply to a request; for example `Sender.reply`.
    tx : Transaction
        The transaction of the call; replies are saved below its event.
    outcome : Outcome
        A new ``Outcome()``, or the one of an earlier call whose value was rejected.

    Raises
    ------
    ModelError
        If asking again cannot help.
    BudgetExceeded, ReplayMiss
        Before anything is sent.
    """
    while outcome.value is None and outcome.attempt < task.attempts:
        outcome.attempt += 1
        try:
            outcome.reply = await fetch(task.request(outcome.reason), tx)
            _check_whole(outcome.reply)
            outcome.value = task.read(outcome.reply)
        except Doubtful as doubt:
            outcome.value = doubt.value
            if outcome.attempt == task.attempts or doubt.kind in outcome.doubts:
                return outcome
            outcome.doubt(doubt)
        except (ReplyRejected, InvalidPersona) as error:
            outcome.reason, outcome.replied = cut(str(error), _LONGEST_REASON), True
            outcome.filtered += isinstance(error, ReplyFiltered)
        except PromptRefused as error:
            # The same prompt would be refused again; other calls may go on.
            outcome.reason, outcome.replied = cut(str(error), _LONGEST_REASON), True
            outcome.filtered = _MOST_FILTERED
        except NoChatEndpoint:
            raise  # asking again cannot help
        except BadResponse as error:
            outcome.reason, outcome.replied = cut(str(error), _LONGEST_REASON), False
        else:
            return outcome
        logger.info(
            "Attempt %d of %d gave no %s: %s",
            outcome.attempt,
            task.attempts,
            task.what,
            outcome.reason,
        )
        if outcome.filtered >= _MOST_FILTERED:
            break
    if outcome.value is None and outcome.spare is not None:
        (outcome.value, outcome.reply), outcome.spare = outcome.spare, None
    return outcome


def _check_whole(reply: Any) -> None:
    """Reject a reply that ends within its reasoning, or was cut because it was too long."""
    finish_reason = reply.get("finish_reason") if isinstance(reply, dict) else reply.finish_reason
    if finish_reason == UNFINISHED:
        raise ReplyRejected(
            "The reply was cut off within its reasoning, before the answer. Answer again: reason "
            "less, or not at all, and be shorter."
        )
    if finish_reason == ONLY_REASONING:
        raise ReplyRejected(
            "The reply had only reasoning and no answer. Reason briefly, then answer. (If a model "
            "does so again and again, switch its reasoning off, for example with "
            'tinyfactory.configure(extra_body={"enable_thinking": False}).)'
        )
    if finish_reason == TOO_LONG:
        raise ReplyRejected(
            f"The reply was longer than {settings.limits().reply_characters:,} characters, which "
            "is the limit reply_characters. Answer again and be much shorter."
        )


def ask(task: Task[ChatReply, T], model: ChatModel, tx: Transaction) -> Outcome[ChatReply, T]:
    """Run `generate` in the calling thread, for a single call."""
    outcome: Outcome[ChatReply, T] = Outcome()
    return wait_for(lambda sender: generate(task, sender.reply, tx, outcome), model, tx)


def wait_for(
    work: Callable[[Sender], Coroutine[Any, Any, T]], model: ChatModel, tx: Transaction
) -> T:
    """Run a coroutine that sends requests, and wait for it in the calling thread."""
    with closing(sender_for(model, tx)) as sender:
        return event_loop.run(work, sender, token=sender.token)


def sender_for(model: ChatModel, tx: Transaction) -> Sender:
    """The sender for a call: that of the job around it, else a direct one."""
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
    attempts = count(outcome.attempt, "attempt", "attempts")
    why = f"no usable reply in {attempts}; last: {outcome.reason}"
    tx.fail(why, keep=outcome.replied)
    return why


def request_key(identity: Mapping[str, Any], request: ChatRequest) -> Json:
    """A request and the identity of its model for event keys, with the schema as a digest.

    Raises
    ------
    NotSerialisable
        If the identity of a user's own model is not JSON.
    """
    named = encode(dict(identity), "the identity of the model")
    return {"model": named, **request.to_json(), "schema": _schema_digest(request.schema)}


# The schema that most requests share, and its digest.
_digested: tuple[Json, str] | None = None


def _schema_digest(schema: Json | None) -> str:
    """The digest of a schema; the last one is cached, because most requests share it."""
    global _digested
    if schema is None:
        return digest(schema)
    if _digested is None or _digested[0] is not schema:
        _digested = schema, digest(schema)
    return _digested[1]


def provenance(identity: Mapping[str, Any], reply: ChatReply) -> Json:
    """The source of a reply, as it is stored with a person."""
    # The reply names its model: `serve_offline` is the offline model behind a URL.
    offline = "offline" in (identity.get("kind"), reply.model)
    source = "offline" if offline else "model"
    return {"source": source, "model": reply.model or str(identity.get("model", ""))}


def message_of(identity: Mapping[str, Any], reply: ChatReply) -> Json:
    """A reply and its source as a message, which users' subclasses of a factory may give, too."""
    return {
        "role": "assistant",
        "content": reply.text,
        "finish_reason": reply.finish_reason,
        "refusal": reply.refusal,
        "provenance": provenance(identity, reply),
    }


Saved = Callable[[], Awaitable[Json]]
Transport = Callable[[ChatModel, ChatRequest], Awaitable[ChatReply]]


@dataclass
class Sender:
    """Sends the requests of one call or of one job.

    A reply that is in the journal is returned at once. Otherwise the request waits for the
    concurrency limit, its highest possible cost is reserved, and the reply is saved on arrival.

    Attributes
    ----------
    model : ChatModel
        A model with a synchronous `complete` is called in a thread.
    meter : Meter
        Counts the cost and enforces the budgets.
    concurrency : int
        The most requests in flight.
    transport : callable, optional
        Sends a request in place of the model, such as `ExecutorTransport.send`.
    token : CancelToken, optional
        Stops the requests.
    on_collected : callable, optional
        Called when a request was collected that `flush` will send.
    last_slot : float
        Requests of slots behind this one are not sent any more, because a slot has failed.
    in_flight : set of int or None
        The slots whose request was sent and has no reply yet; None stands for no slot.
    awaited : set of Progress
        The progress of these requests, if the model reports it.
    """

    model: Any
    meter: Meter | None
    concurrency: int = 1
    transport: Transport | None = None
    token: event_loop.CancelToken | None = None
    last_slot: float = math.inf
    on_collected: Callable[[], None] | None = None
    _identity: Json | None = None
    _turns: asyncio.Semaphore | None = None
    _threads: ThreadPoolExecutor | None = None
    in_flight: set[int | None] = field(default_factory=set)
    awaited: set[Progress] = field(default_factory=set)

    @property
    def identity(self) -> Json:
        """The identity of the model: its name, kind and endpoint."""
        if self._identity is None:
            self._identity = dict(self.model.identity)
        return self._identity

    def for_model(self, model: ChatModel) -> Sender:
        """A sender for another call within the job: same budget, token and transport."""
        return Sender(
            model,
            self.meter,
            self.concurrency,
            self.transport,
            self.token,
            awaited=self.awaited,
        )

    async def reply(
        self,
        request: ChatRequest,
        tx: Transaction,
        key_of: Callable[[Json], str] | None = None,
    ) -> ChatReply:
        """The reply to a request without the model's reasoning, saved as it came before.

        Parameters
        ----------
        request : ChatRequest
        tx : Transaction
        key_of : callable, optional
            The key of the call that makes the request, from the request as JSON; by default the
            key of the transaction.

        Raises
        ------
        BudgetExceeded
            If the request could exceed a budget. Nothing was sent.
        ModelError
            If there is no reply; the message says what to do.
        """
        asked = request_key(self.identity, request)
        place = SavedReply(tx, tx.key if key_of is None else key_of(asked), asked)
        stored = self.find(place)
        if stored is None:
            self._warn_when_nothing_is_saved(tx)
            with tx.locks.waiting_for_model():
                wait = await self.fetch(place, request)
                # The reply must be on disk first; other requests are not blocked meanwhile.
                stored = await wait()
        return without_reasoning(ChatReply.from_json(stored))

    async def message(
        self,
        request: ChatRequest,
        tx: Transaction,
        key_of: Callable[[Json], str] | None = None,
    ) -> Json:
        """`reply`, as a message; see `message_of`."""
        return message_of(self.identity, await self.reply(request, tx, key_of))

    def find(self, place: SavedReply) -> Json | None:
        """The saved reply, if there is one."""
        return place.find()

    async def fetch(self, place: SavedReply, request: ChatRequest) -> Saved:
        """Send a request within the concurrency limit; returns a function to await its saving."""
        async with self._turn(place.transaction.slot):
            return await self._send(place, request)

    async def call(self, slot: Slot | None, function: Callable[..., T], *args: Any) -> T:
        """Call a synchronous function that sends a request, within the concurrency limit."""
        number = None if slot is None else slot.number
        async with self._turn(slot):
            self.in_flight.add(number)
            try:
                return await self.in_thread(function, *args)
            finally:
                self.in_flight.discard(number)

    @asynccontextmanager
    async def _turn(self, slot: Slot | None) -> AsyncIterator[None]:
        """Wait until a request of a slot may be sent; raise `Cancelled` if it may not any more."""
        async with self.turns:
            self._check_wanted(slot)
            yield

    def _check_wanted(self, slot: Slot | None) -> None:
        if slot is not None and slot.number > self.last_slot:
            raise Cancelled("A person before this one could not be made. Run it again.")

    @property
    def turns(self) -> asyncio.Semaphore:
        """The semaphore that limits the requests in flight."""
        if self._turns is None:
            import asyncio  # slow to import

            self._turns = asyncio.Semaphore(self.concurrency)
        return self._turns

    async def flush(self, active: int) -> None:
        """Send collected requests once all `active` tasks wait; a direct sender has none."""

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Call a synchronous function in a thread of this sender's own."""
        import asyncio  # slow to import

        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.concurrency, "tinyfactory-model")
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, run, function, *args)

    async def _send(self, place: SavedReply, request: ChatRequest) -> Saved:
        """Reserve the cost, send, settle the cost, and save the reply."""
        meter = self.meter or place.transaction.scope.meter
        reservation = await reserve(self.identity, [request], meter)
        slot = place.transaction.slot
        try:
            self._check_wanted(slot)  # another slot may have failed while this one waited
        except Cancelled:
            reservation.release()
            raise
        number = None if slot is None else slot.number
        self.in_flight.add(number)
        try:
            reply = within_limits(await self._complete(request, reservation.one_more))
            if not reply.usage.prompt_tokens + reply.usage.completion_tokens:
                # Not every stream counts its tokens.
                sent = reply.sent | {"usage": "estimated"}
                reply = replace(reply, usage=_estimated_usage(request, reply), sent=sent)
            cost = cost_of(self.identity, request, meter, reply)
            wait = place.save(reply.to_json(), cost.usd)
        except ModelError as error:
            if reservation.bound.calls == 1 and isinstance(
                error, (NotConfigured, EndpointUnreachable, EndpointDown)
            ):
                reservation.release()  # certainly nothing was sent
            elif isinstance(error, EndpointUnavailable):
                reservation.keep()  # the endpoint may charge for it
            else:
                reservation.settle(Cost(reservation.bound.calls, 0, 0.0))
            raise
        except InvalidInput:
            reservation.release()
            raise
        except BaseException:  # cancelled on the way
            reservation.keep()
            raise
        finally:
            self.in_flight.discard(number)
        # A user's own model may repeat requests without calling `before_retry`.
        calls = max(reservation.bound.calls, reply.requests)
        reservation.settle(Cost(calls, cost.tokens, cost.usd))
        return wait

    async def _complete(self, request: ChatRequest, before_retry: Callable[[], None]) -> ChatReply:
        """The model's reply, through the transport if there is one."""
        model = self.model
        if self.transport is not None:
            return await self.transport(model, request)
        if not type(model).__module__.startswith("tinyfactory."):
            # A user's model may change the request, and the schema is shared.
            request = replace(request, schema=json.loads(json.dumps(request.schema)))
        answer: Any
        if getattr(model, "_tells_before_retry", False):
            progress = Progress()
            self.awaited.add(progress)
            try:
                told: ChatReply = await model.complete(
                    request, before_retry=before_retry, progress=progress
                )
            finally:
                self.awaited.discard(progress)
            return told
        if inspect.iscoroutinefunction(model.complete):
            answer = model.complete(request)
        else:
            answer = await self.in_thread(model.complete, request)
        reply: ChatReply = await answer if inspect.isawaitable(answer) else answer
        return reply

    def _warn_when_nothing_is_saved(self, tx: Transaction) -> None:
        offline = self.identity.get("kind") == "offline"
        if tx.scope.store is not None or offline or "unkept" in _warned:
            return
        _warned.add("unkept")
        logger.warning(
            "No simulation is open, so replies are not saved and running this again asks the model "
            "again. To save them, call tinyfactory.control.begin() before the first call; to "
            "replay a recording, give its path there."
        )

    def close(self) -> None:
        """Shut the threads down without waiting for calls in them."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


# -- costs ------------------------------------------------------------------------------


async def reserve(
    identity: Json, requests: Sequence[ChatRequest], meter: Meter, *, batch: bool = False
) -> Reservation:
    """Reserve the most that these requests can cost; waits for calls in flight if necessary.

    Raises
    ------
    BudgetExceeded, UnknownPrice
        As `Meter.try_reserve`; nothing was sent.
    """
    import asyncio  # slow to import

    prompt = sum(prompt_tokens(request) for request in requests)
    replies = sum(request.bound for request in requests)
    usd = usd_of(identity, Usage(prompt, replies), meter, batch=batch)
    bound = Cost(len(requests), prompt + replies, usd)
    while (reservation := meter.try_reserve(bound)) is None:  # noqa: ASYNC110 - threads settle, too
        await asyncio.sleep(_PAUSE)
    return reservation


def cost_of(identity: Json, request: ChatRequest, meter: Meter, reply: ChatReply) -> Cost:
    """The cost of a reply; estimated if the endpoint does not count tokens."""
    usage = reply.usage
    if not usage.prompt_tokens + usage.completion_tokens:
        usage = _estimated_usage(request, reply)
    batch = reply.sent.get("batch") is True
    usd = usd_of(identity, usage, meter, reply.model, batch=batch)
    return Cost(reply.requests, usage.prompt_tokens + usage.completion_tokens, usd)


def _estimated_usage(request: ChatRequest, reply: ChatReply) -> Usage:
    return Usage(prompt_tokens(request), _tokens(reply.text))


def usd_of(
    identity: Json, usage: Usage, meter: Meter, answered_by: str = "", *, batch: bool = False
) -> float | None:
    """The price of these tokens in US dollars; None if no price is known."""
    found = price(identity, usage, given=meter.prices, answered_by=answered_by, batch=batch)
    return None if found is None else found.usd


def prompt_tokens(request: ChatRequest) -> int:
    """Tokens of a request, schema included, at four characters a token."""
    global _schema_tokens
    tokens = sum(_tokens(message.get("content", "")) for message in request.messages)
    schema = request.schema
    if schema is None:
        return tokens
    if _schema_tokens is None or _schema_tokens[0] is not schema:
        _schema_tokens = schema, _tokens(json.dumps(schema, separators=(",", ":")))
    return tokens + _schema_tokens[1]


def _tokens(text: Any) -> int:
    """Four bytes per token, rounded up. Bytes, so that other scripts are not underestimated."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


# -- arguments --------------------------------------------------------------------------


def check_count(number: Any, what: str) -> int:
    """Check that a number is a whole number of at least 1, and return it."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InvalidInput(
            f"{what} must be a whole number of at least 1, not {number!r}. Nothing was sent."
        )
    return number


def check_asking(particularities: Any, temperature: Any, attempts: Any) -> None:
    """Check the arguments of `generate_person`."""
    check_count(attempts, "attempts")
    check_temperature(temperature)
    if particularities is not None and not isinstance(particularities, (str, dict)):
        raise InvalidInput(
            "agent_particularities must be a string or a dictionary of fields, "
            f"not {type(particularities).__name__}. Nothing was sent."
        )


def check_temperature(temperature: Any) -> None:
    """Check that a temperature is a number from 0 to 2, or None."""
    number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
    if temperature is not None and not (number and 0 <= temperature <= 2):
        raise InvalidInput(
            f"temperature must be a number from 0 to 2, not {temperature!r}. Nothing was sent."
        )


def check_question(question: Any) -> None:
    """Check that a question is a text that is not blank and can be sent."""
    if not isinstance(question, str) or not question.strip():
        raise InvalidInput(
            f"A question must be a text that is not blank, not {question!r}. Nothing was sent."
        )
    if question != clean(question):
        raise InvalidInput(
            "The question has a NUL or half of a surrogate pair, which cannot be sent. Nothing "
            "was sent."
        )
