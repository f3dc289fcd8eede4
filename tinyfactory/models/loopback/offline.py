"""The offline writer under the OpenAI protocol: chat completions, models, files and batches."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

from tinyfactory import settings
from tinyfactory.models.chat import ChatReply, ChatRequest
from tinyfactory.models.loopback.batches import Batches
from tinyfactory.models.loopback.serving import Answer, Json, LoopbackServer, Request, refusal
from tinyfactory.models.offline import OfflineModel

# What it is called at this address. "offline" would be the writer itself, with no address.
OFFLINE_WRITER = "offline-writer"
# Seconds after which whoever came when too many were there may come again.
_COME_AGAIN = 0.05


class OfflineEndpoint(LoopbackServer):
    """A server at a loopback address, in a thread of its own; see `serve_offline`.

    Its work is done in this process, in turns with whoever asks: it shows how things go, and
    is no measure of how fast they go.

    Attributes
    ----------
    requests : int
        Chat requests that were answered, without the rows of batches.
    refused : int
        Those that were told to come again (429).
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        at_once: int | None = None,
        batch_seconds: float = 0.0,
        seed: int = 0,
        port: int = 0,
    ) -> None:
        super().__init__(latency=latency, port=port)
        self.at_once = at_once
        self.requests = self.refused = 0
        self._model = OfflineModel(seed)
        self._batches = Batches(self._completion, batch_seconds)

    def answer(self, request: Request) -> Answer:
        """The answer to a request under ``/v1``."""
        path = urlsplit(request.path).path
        if path.startswith(("/v1/files", "/v1/batches")):
            return self._batches.answer(request)
        match request.method, path:
            case "GET", "/v1/models":
                known = {"id": OFFLINE_WRITER, "object": "model", "owned_by": "tinyfactory"}
                return Answer(200, {"object": "list", "data": [known | {"created": 0}]})
            case "POST", "/v1/chat/completions":
                return self._chat(request.body)
        return refusal(404, f"There is nothing at {request.method} {path}.")

    def _chat(self, body: Json) -> Answer:
        if not isinstance(body.get("messages"), list):
            return refusal(400, "'messages' is a list of messages.")
        if self.at_once is not None and self.under_way > self.at_once:
            self.refused += 1
            told = refusal(429, f"{self.at_once} at once are taken.", "rate_limit_exceeded")
            wait = {"retry-after": str(_COME_AGAIN)}
            # At once, or those who are refused would take the places of those who are not.
            return Answer(429, told.body, wait, delay=-self.latency)
        self.requests += 1
        return Answer(200, self._completion(body))

    def _completion(self, body: Json) -> Json:
        """What the writer answers, as a completion; it names who wrote it, whoever was asked."""
        reply = _at_once(self._model.complete(_request(body)))
        tokens = {
            "prompt_tokens": reply.usage.prompt_tokens,
            "completion_tokens": reply.usage.completion_tokens,
            "total_tokens": reply.usage.prompt_tokens + reply.usage.completion_tokens,
        }
        message = {"role": "assistant", "content": reply.text, "refusal": None}
        return {
            "id": "chatcmpl-offline",
            "object": "chat.completion",
            "created": 0,
            "model": settings.OFFLINE,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": tokens,
        }


def _at_once(answering: Coroutine[Any, Any, ChatReply]) -> ChatReply:
    """What a coroutine gives that never waits, as the offline model's does not."""
    try:
        answering.send(None)
    except StopIteration as end:
        reply: ChatReply = end.value
        return reply
    raise RuntimeError("the offline model waited for something")


def _request(body: Json) -> ChatRequest:
    """The request that a body was made of: the writer draws from all of it, so all counts."""
    schema = (body.get("response_format") or {}).get("json_schema") or {}
    length = body.get("max_completion_tokens", body.get("max_tokens"))
    return ChatRequest(
        tuple(body["messages"]),
        body.get("temperature"),
        schema.get("schema"),
        schema.get("name", "reply"),
        length,
    )


def serve_offline(
    *,
    latency: float = 0.0,
    at_once: int | None = None,
    batch_seconds: float = 0.0,
    seed: int = 0,
    port: int = 0,
) -> OfflineEndpoint:
    """Serve the offline writer at an address on this machine, as an endpoint that costs nothing.

    It speaks the OpenAI protocol (chat completions, models, files and batches), so that all
    that happens on the way to a paid endpoint can be tried out and tested: no key, no network
    but loopback. The people are those that ``model="offline"`` makes of the same requests, and
    are marked as the offline writer's.

    Parameters
    ----------
    latency : float
        Seconds that each answer takes.
    at_once : int, optional
        How many chat requests it takes at a time; whoever comes beyond is told 429 and to come
        again. By default it takes all.
    batch_seconds : float
        Seconds that a batch takes.
    seed : int
        That of the offline model.
    port : int
        0 takes a free one.

    Returns
    -------
    OfflineEndpoint
        Already serving. Its `base_url` is for `tinyfactory.configure`; `close`, or the end of a
        ``with``, ends it.

    Examples
    --------
    >>> import tinyfactory
    >>> from tinyfactory.models.loopback import serve_offline
    >>> with serve_offline() as endpoint:
    ...     tinyfactory.configure(
    ...         base_url=endpoint.base_url, api_key="none", model="offline-writer"
    ...     )
    ...     people = tinyfactory.TinyPersonFactory("Bakers in Vienna").generate_people(2)
    >>> endpoint.requests, people[0].provenance["source"]
    (2, 'offline')
    """
    endpoint = OfflineEndpoint(
        latency=latency, at_once=at_once, batch_seconds=batch_seconds, seed=seed, port=port
    )
    endpoint.start()
    return endpoint
