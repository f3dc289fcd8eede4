"""The cost of requests and replies in tokens and US dollars, before and after a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from tinyfactory.budget import Cost, Meter, Reservation
from tinyfactory.models.chat import ChatReply, ChatRequest, Json, Usage
from tinyfactory.models.pricing import price

# The most tokens assumed for a reply where the request has no bound.
COMPLETION_BOUND = 4_000
# Seconds between two checks whether calls in flight have left room in the budget.
_PAUSE = 0.05
# The schema that most requests share, and its tokens.
_schema_tokens: tuple[Json, int] | None = None


async def reserve(
    identity: Json, requests: Sequence[ChatRequest], meter: Meter, *, batch: bool = False
) -> Reservation:
    """Reserve the most that these requests can cost; waits for calls in flight if necessary.

    Raises
    ------
    BudgetExceeded, UnknownPrice
        As `Meter.try_reserve`; nothing was sent.
    """
    prompt = sum(prompt_tokens(request) for request in requests)
    replies = sum(request.max_tokens or COMPLETION_BOUND for request in requests)
    usd = usd_of(identity, Usage(prompt, replies), meter, batch=batch)
    bound = Cost(len(requests), prompt + replies, usd)
    while (reservation := meter.try_reserve(bound)) is None:  # noqa: ASYNC110 - threads settle, too
        await asyncio.sleep(_PAUSE)
    return reservation


def cost_of(identity: Json, request: ChatRequest, meter: Meter, reply: ChatReply) -> Cost:
    """The cost of a reply; estimated if the endpoint does not count tokens."""
    usage = reply.usage
    if not usage.prompt_tokens + usage.completion_tokens:
        usage = Usage(prompt_tokens(request), _tokens(reply.text))
    batch = reply.sent.get("batch") is True
    usd = usd_of(identity, usage, meter, reply.model, batch=batch)
    return Cost(reply.requests, usage.prompt_tokens + usage.completion_tokens, usd)


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
