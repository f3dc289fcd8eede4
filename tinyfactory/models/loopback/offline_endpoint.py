"""The offline model behind the OpenAI protocol: chat completions, models, files and batches."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tinyfactory import settings
from tinyfactory.models.chat import ChatReply, ChatRequest
from tinyfactory.models.loopback.server import (
    Answer,
    Json,
    LoopbackServer,
    Request,
    refusal,
    streamed,
)
from tinyfactory.models.offline import OfflineModel

# The model's name at this address. "offline" is the model without a network.
OFFLINE_WRITER = "offline-writer"
# The Retry-After of a 429, in seconds.
_RETRY_AFTER = 0.05


class OfflineEndpoint(LoopbackServer):
    """A server at a loopback address, in a thread of its own; see `serve_offline`.

    It shares this process with its clients, so do not use it to measure speed.

    Attributes
    ----------
    requests : int
        Chat requests answered, without the rows of batches.
    refused : int
        Chat requests refused with 429.
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
        """Answer a request under ``/v1``."""
        path = urlsplit(request.path).path
        if path.startswith(("/v1/files", "/v1/batches")):
            return self._batches.answer(request)
        match request.method, path:
            case "GET", "/v1/models":
                known = {"id": OFFLINE_WRITER, "object": "model", "owned_by": "tinyfactory"}
                return Answer(200, {"object": "list", "data": [known | {"created": 0}]})
            case "POST", "/v1/chat/completions":
                return self._chat(request.body)
        return refusal(404, f"{request.method} {path} does not exist.")

    def _chat(self, body: Json) -> Answer:
        if not isinstance(body.get("messages"), list):
            return refusal(400, "'messages' must be a list of messages.")
        if self.at_once is not None and self.under_way > self.at_once:
            self.refused += 1
            error = refusal(429, f"At most {self.at_once} at once.", "rate_limit_exceeded")
            wait = {"retry-after": str(_RETRY_AFTER)}
            # Without latency, or refused requests would count against the limit.
            return Answer(429, error.body, wait, delay=-self.latency)
        self.requests += 1
        completion = self._completion(body)
        if not body.get("stream"):
            return Answer(200, completion)
        wants_usage = (body.get("stream_options") or {}).get("include_usage") is True
        events = streamed(completion, usage=wants_usage)

        async def pieces() -> AsyncIterator[bytes]:
            for event in events:
                yield event

        return Answer(200, pieces=pieces)

    def _completion(self, body: Json) -> Json:
        """The offline model's reply as a completion; `model` says "offline" for any request."""
        reply = _result(self._model.complete(_request(body)))
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


def _result(coroutine: Coroutine[Any, Any, ChatReply]) -> ChatReply:
    """The result of a coroutine that never waits, such as the offline model's."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        reply: ChatReply = end.value
        return reply
    raise RuntimeError("the offline model must not wait")


def _request(body: Json) -> ChatRequest:
    """The request in a body. All of it matters: the offline model's seed depends on it.

    The bound on the length is left out: it is always sent, and no part of the request elsewhere.
    """
    schema = (body.get("response_format") or {}).get("json_schema") or {}
    return ChatRequest(
        tuple(body["messages"]),
        body.get("temperature"),
        schema.get("schema"),
        schema.get("name", "reply"),
    )


def serve_offline(
    *,
    latency: float = 0.0,
    at_once: int | None = None,
    batch_seconds: float = 0.0,
    seed: int = 0,
    port: int = 0,
) -> OfflineEndpoint:
    """Serve the offline model at an address on this machine, as an endpoint that costs nothing.

    It speaks the OpenAI protocol (chat completions, models, files and batches), so that everything
    on the way to a paid endpoint can be tried without a key and without network access. The
    people are the same as with ``model="offline"`` and the same requests, and their provenance
    says so.

    Parameters
    ----------
    latency : float
        Seconds before each answer.
    at_once : int, optional
        How many chat requests it accepts at a time; it refuses others with 429. By default it
        accepts all.
    batch_seconds : float
        Seconds that a batch takes.
    seed : int
        Seed of the offline model.
    port : int
        0 chooses a free one.

    Returns
    -------
    OfflineEndpoint
        Already serving. Pass its `base_url` to `tinyfactory.configure`; end it with `close` or
        use it in a ``with`` block.

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


@dataclass
class Batch:
    """One batch; its rows are answered one by one over its duration."""

    id: str
    rows: list[Json]
    order: Json  # the body of the request that created it
    began: float = field(default_factory=time.monotonic)
    answers: list[Json] = field(default_factory=list)
    output: str | None = None
    cancelled: bool = False

    @property
    def status(self) -> str:
        """The status in OpenAI's terms."""
        if self.output is None:
            return "in_progress"
        return "cancelled" if self.cancelled else "completed"


class Batches:
    """The files and batches of one endpoint, in memory.

    Parameters
    ----------
    complete : callable
        Answers the body of one chat request.
    seconds : float
        How long a batch takes, regardless of its number of rows.
    """

    def __init__(self, complete: Callable[[Json], Json], seconds: float) -> None:
        self._complete = complete
        self._seconds = seconds
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, Batch] = {}

    def answer(self, request: Request) -> Answer:
        """Answer a request about files or batches."""
        address = urlsplit(request.path)
        match request.method, *address.path.split("/")[2:]:
            case "POST", "files":
                return self._upload(request)
            case "GET", "files", name, "content" if name in self._files:
                binary = {"content-type": "application/octet-stream"}
                return Answer(200, self._files[name], binary)
            case "POST", "batches":
                return self._create(request.body)
            case "GET", "batches":
                return self._list(parse_qs(address.query))
            case "GET", "batches", name if name in self._batches:
                return Answer(200, self._shown(self._batches[name]))
            case "POST", "batches", name, "cancel" if name in self._batches:
                return Answer(200, self._cancel(self._batches[name]))
        return refusal(404, f"{request.method} {address.path} does not exist.")

    def _upload(self, request: Request) -> Answer:
        head = f"content-type: {request.headers.get('content-type')}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(head + request.content)
        parts = {p.get_param("name", header="content-disposition"): p for p in form.iter_parts()}
        content = parts["file"].get_payload(decode=True) if "file" in parts else None
        if not isinstance(content, bytes):
            return refusal(400, "The form must have a part named 'file'.")
        name = self._save(content)
        shown = {"id": name, "object": "file", "bytes": len(content), "purpose": "batch"}
        return Answer(200, shown | {"filename": "rows.jsonl", "created_at": int(time.time())})

    def _save(self, content: bytes) -> str:
        name = f"file-{len(self._files) + 1}"
        self._files[name] = content
        return name

    def _create(self, order: Json) -> Answer:
        content = self._files.get(str(order.get("input_file_id")))
        if content is None:
            return refusal(400, f"File {order.get('input_file_id')!r} does not exist.")
        try:
            rows = [json.loads(line) for line in content.splitlines() if line.strip()]
            valid = all(isinstance(row["body"]["messages"], list) for row in rows)
        except (ValueError, KeyError, TypeError):
            valid = False
        if not valid:
            return refusal(400, "A row of the file is not a chat request.")
        batch = Batch(f"batch_{len(self._batches) + 1}", rows, order)
        self._batches[batch.id] = batch
        return Answer(200, self._shown(batch))

    def _list(self, wanted: dict[str, list[str]]) -> Answer:
        newest = list(self._batches.values())[::-1]
        if "after" in wanted:
            names = [batch.id for batch in newest]
            newest = newest[names.index(wanted["after"][0]) + 1 :]
        page = newest[: int(wanted.get("limit", ["20"])[0])]
        shown = [self._shown(batch) for batch in page]
        return Answer(200, {"object": "list", "data": shown, "has_more": len(newest) > len(page)})

    def _cancel(self, batch: Batch) -> Json:
        self._work(batch)
        if batch.output is None:
            batch.cancelled = True
            self._end(batch)
        return self._shown(batch)

    def _work(self, batch: Batch) -> None:
        """Answer the rows that are due."""
        if batch.output is not None:
            return
        passed = time.monotonic() - batch.began
        share = min(1.0, passed / self._seconds) if self._seconds else 1.0
        for row in batch.rows[len(batch.answers) : int(share * len(batch.rows))]:
            response = {"status_code": 200, "body": self._complete(row["body"])}
            batch.answers.append(
                {"custom_id": row.get("custom_id"), "response": response, "error": None}
            )
        if share == 1.0:
            self._end(batch)

    def _end(self, batch: Batch) -> None:
        lines = (json.dumps(row, ensure_ascii=False) for row in batch.answers)
        batch.output = self._save("".join(f"{line}\n" for line in lines).encode())

    def _shown(self, batch: Batch) -> Json:
        self._work(batch)
        counts = {"total": len(batch.rows), "completed": len(batch.answers), "failed": 0}
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.order.get("endpoint"),
            "input_file_id": batch.order.get("input_file_id"),
            "completion_window": batch.order.get("completion_window"),
            "status": batch.status,
            "errors": None,
            "output_file_id": batch.output,
            "error_file_id": None,
            "created_at": int(time.time()),
            "request_counts": counts,
            "metadata": batch.order.get("metadata"),
        }
