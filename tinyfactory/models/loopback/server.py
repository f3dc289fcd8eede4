"""A small HTTP server on 127.0.0.1, in a thread of its own.

Not `http.server`, which needs a thread for each of hundreds of connections, and cannot close
connections that are kept alive.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]
_BACKLOG = 512  # connections that may wait to be accepted


@dataclass
class Request:
    """One request: header names in lower case, `body` its JSON, `at` its arrival time."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json
    at: float = 0.0
    content: bytes = b""


@dataclass(frozen=True)
class Answer:
    """A response, sent after `delay` seconds; with `drop` the connection is closed instead.

    `pieces` is an asynchronous generator of a body that is sent piece by piece, in place of `body`;
    with `drop` the connection is closed after the last piece, before the end of the response.
    """

    status: int = 200
    body: Any = b""  # bytes and text are sent as they are, anything else as JSON
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    pieces: Callable[[], AsyncIterator[bytes]] | None = None

    def encoded(self) -> bytes:
        """The body as bytes.

        Examples
        --------
        >>> Answer(200, {"object": "list"}).encoded()
        b'{"object": "list"}'
        """
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, ensure_ascii=False).encode()


class LoopbackServer:
    """Serves 127.0.0.1 from `start` to `close`; subclasses define `answer`.

    Parameters
    ----------
    latency : float
        Seconds before every answer.
    port : int
        0 chooses a free one.

    Attributes
    ----------
    connections : int
        Number of connections so far.
    under_way, most_at_once : int
        Number of requests being answered now, and its maximum so far.
    """

    def __init__(self, *, latency: float = 0.0, port: int = 0) -> None:
        self.latency = latency
        self.port = port
        self.connections = self.under_way = self.most_at_once = 0
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None

    def answer(self, request: Request) -> Answer:
        """Answer a request; called on the server's loop, one request at a time."""
        raise NotImplementedError

    async def linger(self, reply: Answer) -> None:
        """Wait before an answer is sent."""
        if self.latency + reply.delay:
            await asyncio.sleep(self.latency + reply.delay)

    @property
    def origin(self) -> str:
        """The address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The base URL for a client of the OpenAI protocol."""
        return f"{self.origin}/v1"

    def start(self) -> Self:
        """Start to serve; returns when requests are accepted.

        Raises
        ------
        OSError
            If the port is in use.
        """
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main()), name="tinyfactory-loopback", daemon=True
        )
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure
        self._forget_predecessor()
        return self

    def close(self) -> None:
        """Close every connection, even one that hangs, and end the thread."""
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self if self._thread is not None else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _forget_predecessor(self) -> None:
        # Another server of this process may have had this port, with other capabilities.
        from tinyfactory.models.http import capabilities, endpoint

        capabilities.known.forget(self.base_url)
        endpoint.forget(self.base_url)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        try:
            server = await asyncio.start_server(
                self._connected, "127.0.0.1", self.port, backlog=_BACKLOG
            )
        except OSError as error:
            self._failure = error
            self._started.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._closing.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                if not await self._respond(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client closed the connection, for example because it was cancelled
        finally:
            writer.transport.abort()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is to be closed."""
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            reply = self.answer(request)
            await self.linger(reply)
            if reply.pieces is not None:
                await _send_pieces(reply, reply.pieces(), writer)
        finally:
            self.under_way -= 1
        if reply.drop:
            return False
        if reply.pieces is not None:
            return True
        writer.write(_response(reply))
        await writer.drain()
        return reply.headers.get("connection") != "close"


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """One request; None when the client has closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    is_json = bool(content) and "multipart" not in headers.get("content-type", "")
    body = json.loads(content) if is_json else {}
    return Request(method, path, headers, body, time.monotonic(), content)


async def _send_pieces(
    reply: Answer, pieces: AsyncIterator[bytes], writer: asyncio.StreamWriter
) -> None:
    """Send a body in pieces, each as soon as it is there."""
    headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
    writer.write(_head(reply.status, headers | reply.headers))
    async for piece in pieces:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    if not reply.drop:
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _response(reply: Answer) -> bytes:
    body = reply.encoded()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    return _head(reply.status, headers | reply.headers) + body


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def streamed(completion: Json, *, usage: bool, size: int = 24) -> list[bytes]:
    """A completion as the events of a stream, `size` characters of its text in each.

    Examples
    --------
    >>> message = {"role": "assistant", "content": "Hi"}
    >>> choice = {"index": 0, "message": message, "finish_reason": "stop"}
    >>> [event[:8] for event in streamed({"choices": [choice]}, usage=False)]
    [b'data: {"', b'data: {"', b'data: {"', b'data: [D']
    """
    choice = completion["choices"][0]
    message = choice["message"]
    text = message.get("content") or ""
    rest = {name: value for name, value in message.items() if name != "content"}
    deltas: list[Json] = [{**rest, "content": ""}]
    deltas += [{"content": text[at : at + size]} for at in range(0, len(text), size)]
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": choice.get("finish_reason")}])
    names = ("id", "created", "model")
    about: Json = {name: completion[name] for name in names if name in completion}
    about["object"] = "chat.completion.chunk"
    events = [{**about, "choices": each} for each in choices]
    if usage:
        events.append({**about, "choices": [], "usage": completion.get("usage")})
    lines = [json.dumps(event, ensure_ascii=False) for event in events]
    return [f"data: {line}\n\n".encode() for line in [*lines, "[DONE]"]]


def refusal(status: int, message: str, code: str | None = None) -> Answer:
    """An error in OpenAI's format."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Answer(status, {"error": error})
