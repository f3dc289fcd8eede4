"""Asking a model within the budget of a run: set aside, ask, count what it took."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tinyfactory.budget import Cost, Meter, Reservation
from tinyfactory.errors import (
    EndpointDown,
    EndpointUnavailable,
    EndpointUnreachable,
    InvalidInput,
    ModelError,
    NotConfigured,
)
from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest, Json, Usage

# What an answer may be long at most, in tokens, where the request does not bound it.
COMPLETION_BOUND = 4_000


def ask(
    model: ChatModel, request: ChatRequest, meter: Meter, arrived: Callable[[Json], None]
) -> ChatReply:
    """The model's reply, within the budget; `arrived` is told of it where it comes in.

    Raises
    ------
    BudgetExceeded
        When the call could exceed the budget, before or while it is repeated; the request that
        would is not sent.
    ModelError
        When no reply is to be had.
    """
    from tinyfactory.models import event_loop
    from tinyfactory.models.chat import before_request, complete

    reservation = set_aside(model, [request], meter)

    async def work() -> ChatReply:
        before_request.set(reservation.one_more)  # in the context of this call alone
        reply = await complete(model, _handed_over(model, request))
        arrived(reply.to_json())
        return reply

    try:
        reply = event_loop.run(work)
    except ModelError as error:
        if reservation.bound.calls == 1 and _nothing_sent(error):
            reservation.release()
        elif isinstance(error, EndpointUnavailable):  # it may have worked on it, and charge for it
            reservation.keep()
        else:
            reservation.settle(Cost(reservation.bound.calls, 0, 0.0))
        raise
    except InvalidInput:
        reservation.release()
        raise
    except BaseException:  # broken off on the way
        reservation.keep()
        raise
    usage = _usage(request, reply)
    usd = usd_of(model.identity, usage, meter, reply.model)
    # A model that sends nothing, such as the offline one, was called all the same; and one of
    # the user's own may repeat requests without saying so before.
    reservation.settle(Cost(max(reservation.bound.calls, reply.requests), _sum(usage), usd))
    return reply


def _handed_over(model: ChatModel, request: ChatRequest) -> ChatRequest:
    """The request; for a model of the user's own, which may change it, with its own schema."""
    if type(model).__module__.startswith("tinyfactory."):
        return request
    return replace(request, schema=json.loads(json.dumps(request.schema)))


def usd_of(
    identity: Json, usage: Usage, meter: Meter, answered_by: str = "", *, batch: bool = False
) -> float | None:
    """What so many tokens cost in US dollars; None where no price is known."""
    from tinyfactory.models.pricing import price

    found = price(identity, usage, given=meter.prices, answered_by=answered_by, batch=batch)
    return None if found is None else found.usd


def usd_of_reply(model: ChatModel, request: ChatRequest, meter: Meter, reply: Json) -> float | None:
    """What a reply cost, as it stands in the journal."""
    answer = ChatReply.from_json(reply)
    usage = _usage(request, answer)
    batch = answer.sent.get("batch") is True
    return usd_of(dict(model.identity), usage, meter, answer.model, batch=batch)


def cost_of(model: ChatModel, request: ChatRequest, meter: Meter, reply: ChatReply) -> Cost:
    """What a reply took."""
    usage = _usage(request, reply)
    usd = usd_of_reply(model, request, meter, reply.to_json())
    return Cost(reply.requests, _sum(usage), usd)


def _nothing_sent(error: ModelError) -> bool:
    """Whether it is certain that the request did not go out."""
    return isinstance(error, (NotConfigured, EndpointUnreachable, EndpointDown))


def set_aside(
    model: ChatModel, requests: Sequence[ChatRequest], meter: Meter, *, batch: bool = False
) -> Reservation:
    """Set aside what these requests can take at most; waits for calls under way where it must.

    Raises
    ------
    BudgetExceeded, UnknownPrice
        As `Meter.try_reserve`; nothing was sent.
    """
    from tinyfactory.models import event_loop

    prompt = sum(prompt_tokens(request) for request in requests)
    answers = sum(request.max_tokens or COMPLETION_BOUND for request in requests)
    most = Usage(prompt, answers)
    usd = usd_of(dict(model.identity), most, meter, batch=batch)
    bound = Cost(len(requests), _sum(most), usd)
    while True:
        reservation = meter.try_reserve(bound, seconds=0.2)
        if reservation is not None:
            return reservation
        # Whether there is room depends on calls under way; a button may stop the wait.
        switch = event_loop.token.get()
        if switch is not None:
            switch.raise_if_cancelled()


def _usage(request: ChatRequest, reply: ChatReply) -> Usage:
    """What the endpoint counted; estimated where it does not say, because that is not nothing."""
    if _sum(reply.usage):
        return reply.usage
    return Usage(prompt_tokens(request), _tokens(reply.text))


def prompt_tokens(request: ChatRequest) -> int:
    """Tokens of a request, schema included, at four characters a token."""
    parts: list[Any] = [message.get("content", "") for message in request.messages]
    if request.schema is not None:
        parts.append(json.dumps(request.schema, separators=(",", ":")))
    return sum(_tokens(part) for part in parts)


def _tokens(text: str) -> int:
    """Four characters a token, rounded up; bytes, so that other scripts are not taken for less."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


def _sum(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens
