"""What wants to know of a request before it goes out, or to have it go out another way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

from tinyfactory.models.chat import ChatModel, ChatReply, ChatRequest

Send = Callable[[ChatModel, ChatRequest], Coroutine[Any, Any, ChatReply]]

# Called before every HTTP request of a call but the first, which whoever asked has counted.
# What it raises ends the call: the request is not sent.
before_request: ContextVar[Callable[[], None] | None] = ContextVar(
    "tinyfactory_before_request", default=None
)

# Awaited on the private loop instead of the model's `complete`.
sending: ContextVar[Send | None] = ContextVar("tinyfactory_sending", default=None)


async def complete(model: ChatModel, request: ChatRequest) -> ChatReply:
    """The model's reply, by the way that was chosen for this context."""
    send = sending.get()
    return await (model.complete(request) if send is None else send(model, request))
