"""The protocol of a chat model: a request goes in, a reply comes out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from tinyfactory import settings

# A model's name, and why it stopped.
_LONGEST_NAME = 200
# Bounds on the length of a reply in tokens, which are always sent: a small model may write without
# end. A person takes about 800 tokens in English and up to four times as many in scripts that a
# tokenizer knows little of; an answer takes a few hundred, and a context about 60.
_STRUCTURED = 4_000
_FREE_TEXT = 1_000
_PER_CONTEXT = 150
_LONGEST_LIST = 16_000
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A prompt with its parameters.

    Parameters
    ----------
    messages : tuple of dict
        ``{"role": ..., "content": ...}``, fixed part first.
    temperature : float, optional
    schema : dict, optional
        JSON schema (strict form) of the reply.
    schema_name : str
        A short name for the schema, which endpoints require.
    max_tokens : int, optional
        Upper bound of the reply's length.
    seed : int, optional
        Replaces the seed of a model that has one, such as the offline model. It is not sent to
        endpoints, because few of them honour it.
    items : int, optional
        How many texts a reply lists. It only sizes `bound`, and is no part of the key.

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
    items: int | None = None

    @property
    def bound(self) -> int:
        """The most tokens of a reply: as given, else sized to what is asked for.

        Examples
        --------
        >>> ChatRequest(()).bound, ChatRequest((), schema={"type": "object"}).bound
        (1000, 4000)
        """
        if self.max_tokens is not None:
            return self.max_tokens
        if self.items is not None:
            return min(max(_FREE_TEXT, _PER_CONTEXT * self.items), _LONGEST_LIST)
        return _FREE_TEXT if self.schema is None else _STRUCTURED

    def fingerprint(self) -> int:
        """A hash of the request; a model without a seed may use it as one."""
        text = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def to_json(self) -> Json:
        """The request as plain JSON, as it enters an event's key."""
        # Not `asdict`, which would copy the whole schema for every person.
        return {
            "messages": [dict(message) for message in self.messages],
            "temperature": self.temperature,
            "schema": self.schema,
            "schema_name": self.schema_name,
            "max_tokens": self.max_tokens,
        } | ({} if self.seed is None else {"seed": self.seed})


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a request and its reply; 0 if the endpoint does not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A model's reply, and what it took.

    `sent` holds the parameters that were sent in the end, after an endpoint refused some;
    `requests` counts HTTP requests, `seconds` the time from the first request to the reply.
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
        # Not `asdict`, which copies every value.
        return {
            "text": self.text,
            "finish_reason": self.finish_reason,
            "refusal": self.refusal,
            "model": self.model,
            "usage": {
                "prompt_tokens": self.usage.prompt_tokens,
                "completion_tokens": self.usage.completion_tokens,
                "cached_tokens": self.usage.cached_tokens,
            },
            "sent": dict(self.sent),
            "requests": self.requests,
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, data: Json) -> ChatReply:
        """The reply that `to_json` wrote."""
        return cls(**(data | {"usage": Usage(**data["usage"])}))


# The `finish_reason` of a reply that `within_limits` has cut.
TOO_LONG = "too long"
# That of a reply that ended in an error of the endpoint, which other endpoints use as well.
BROKEN_OFF = "error"
# That of a reply without an answer beside its reasoning.
ONLY_REASONING = "only reasoning"
# The `finish_reason` of a reply that ended within the model's reasoning.
UNFINISHED = "unfinished reasoning"


def within_limits(reply: ChatReply) -> ChatReply:
    """A reply whose texts are not longer than the limits of the settings.

    What is cut off is described by its length and a digest of the whole text, so that a rejected
    reply stays evidence without filling the journal.

    Examples
    --------
    >>> within_limits(ChatReply("short")).text
    'short'
    >>> long = within_limits(ChatReply("x" * 2_000_000))
    >>> long.finish_reason, long.text[9_998:10_036]
    ('too long', 'xx[cut: 2,000,000 characters in all, S')
    """
    limits = settings.limits()
    text, refusal = reply.text or "", reply.refusal or ""
    if len(text) > limits.reply_characters:
        text = _evidence(text, limits.evidence_characters)
        reply = replace(reply, text=text, finish_reason=TOO_LONG)
    if len(refusal) > limits.evidence_characters:
        reply = replace(reply, refusal=_evidence(refusal, limits.evidence_characters))
    finish_reason = reply.finish_reason or ""  # a user's own model may give None
    if len(reply.model) > _LONGEST_NAME or len(finish_reason) > _LONGEST_NAME:
        short = (reply.model[:_LONGEST_NAME], finish_reason[:_LONGEST_NAME])
        reply = replace(reply, model=short[0], finish_reason=short[1])
    return reply


def _evidence(text: str, most: int) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return f"{text[:most]}[cut: {len(text):,} characters in all, SHA-256 {digest}]"


@runtime_checkable
class ChatModel(Protocol):
    """Any object that answers chat requests.

    `identity` distinguishes models in the journal (name, kind, endpoint; never a key).
    """

    @property
    def identity(self) -> Json:
        """JSON that names the model and its endpoint, known without a key."""
        ...

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request, or raise a `ModelError`."""
        ...
