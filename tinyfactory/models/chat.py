"""What a chat model is: a request goes in, a reply comes out. It knows no person."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked of a model.

    Parameters
    ----------
    messages : tuple of dict
        ``{"role": ..., "content": ...}``, fixed part first.
    temperature : float, optional
    schema : dict, optional
        JSON schema (strict form) that the answer shall have.
    schema_name : str
        A short name for the schema, which endpoints ask for.
    max_tokens : int, optional
        Upper bound of the answer's length.
    seed : int, optional
        For a model that draws from a seed of its own, as the offline one does: draw from this
        one instead. It is not sent to endpoints, few of which keep to it.

    Examples
    --------
    >>> request = ChatRequest(({"role": "user", "content": "Hello"},), temperature=1.0)
    >>> request.to_json()["temperature"]
    1.0
    """

    messages: tuple[dict[str, str], ...]
    temperature: float | None = None
    schema: Json | None = None
    schema_name: str = "reply"
    max_tokens: int | None = None
    seed: int | None = None

    def fingerprint(self) -> int:
        """A number that stands for the request: what a model without a seed may draw from."""
        text = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def to_json(self) -> Json:
        """The request as plain JSON, as it enters an event's key."""
        # Not `asdict`, which would copy the whole schema for each of a thousand people.
        return {
            "messages": [dict(message) for message in self.messages],
            "temperature": self.temperature,
            "schema": self.schema,
            "schema_name": self.schema_name,
            "max_tokens": self.max_tokens,
        } | ({} if self.seed is None else {"seed": self.seed})


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a reply cost; 0 where the endpoint does not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a model answered, and what it took.

    `sent` holds the parameters that were really sent, after an endpoint refused some;
    `requests` counts HTTP requests, `seconds` the time from first request to answer.
    """

    text: str
    finish_reason: str = "stop"
    refusal: str | None = None
    model: str = ""
    usage: Usage = Usage()
    sent: Json = field(default_factory=dict)
    requests: int = 1
    seconds: float = 0.0

    def to_json(self) -> Json:
        """The reply as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Json) -> ChatReply:
        """The reply that `to_json` wrote."""
        return cls(**(data | {"usage": Usage(**data["usage"])}))


@runtime_checkable
class ChatModel(Protocol):
    """Anything that answers chat requests.

    `identity` tells models apart in the journal (name, kind, endpoint; never a key).
    """

    @property
    def identity(self) -> Json:
        """JSON that names the model and where it runs, known without a key."""
        ...

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request, or raise a `ModelError`."""
        ...


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
