"""A real OpenAI-compatible HTTP server on loopback, well-behaved or not, as a test wants it.

    with ChatServer(script=[rate_limited(1)], rules=[rejects_parameter("temperature")]) as server:
        ...  # OPENAI_BASE_URL = server.base_url
        assert len(server.requests) == 3

For each request the standing `rules` are asked first, then the `script` (a list of one-off
behaviours, or a function), and what neither answers gets a good answer: a valid new person, or
as many contexts as were asked for. The behaviours are in `tests.support.answers` and
`tests.support.misbehaviour`, and may be imported from here too.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from tests.support.answers import (
    Answer,
    Behaviour,
    Request,
    answer,
    choices_null,
    empty,
    fenced,
    good_answer,
    html_page,
    huge,
    message_null,
    no_choices,
    prefixed,
    refusal,
    trailing_comma,
    truncated,
)
from tests.support.batches import Batches
from tests.support.misbehaviour import (
    drop_connection,
    hang,
    llama_cpp_500_on_json_schema,
    quota_exhausted,
    rate_limited,
    rejects_json_schema_400,
    rejects_parameter,
    status,
    unknown_model,
    wrong_key,
)

__all__ = [
    "Answer",
    "Behaviour",
    "ChatServer",
    "Request",
    "answer",
    "choices_null",
    "drop_connection",
    "empty",
    "fenced",
    "good_answer",
    "hang",
    "html_page",
    "huge",
    "llama_cpp_500_on_json_schema",
    "message_null",
    "no_choices",
    "prefixed",
    "quota_exhausted",
    "rate_limited",
    "refusal",
    "rejects_json_schema_400",
    "rejects_parameter",
    "status",
    "trailing_comma",
    "truncated",
    "unknown_model",
    "wrong_key",
]

Script = Iterable[Answer | Behaviour] | Behaviour

# Azure has a path for each deployment.
_CHAT = re.compile(r"/(v1|openai/deployments/[^/]+)/chat/completions(\?|$)")
_NOT_FOUND = Answer(404, {"detail": "Not Found"})


class ChatServer:
    """A server in a thread of its own; `with` starts it and closes it completely.

    Parameters
    ----------
    script : list or callable
        One-off answers in the order of the requests that no rule answered; or a function of
        the request that returns an answer, or None for the default.
    rules : list
        What holds for every request: the first that does not return None answers.
    slow : float
        Seconds of latency of every answer.
    port : int
        0 takes a free one.
    batches : Batches, optional
        Serves `/files` and `/batches`; without it the server has no Batch API.

    Attributes
    ----------
    requests : list of Request
        All chat requests so far: `body`, `headers` (lower-case names), `path`, `at`.
    most_at_once : int
        How many requests were under way at the same time, at most.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        rules: Iterable[Answer | Behaviour] = (),
        slow: float = 0.0,
        port: int = 0,
        batches: Batches | None = None,
    ) -> None:
        self._script = script if callable(script) else list(script)
        self.rules = list(rules)
        self.slow = slow
        self.port = port
        self.batches = batches
        self.requests: list[Request] = []
        self.connections = 0
        self.most_at_once = 0
        self.good = good_answer()
        self._under_way = 0
        self._started = threading.Event()
        self._failure: BaseException | None = None

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main()), name="chat-server", daemon=True
        )
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure
        self._forget_predecessor()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every connection, also those that hang, and the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()

    def _forget_predecessor(self) -> None:
        # The port may be one that another server of this run had, with other habits.
        from tinyfactory.models import degrade, traffic

        degrade.forget(self.base_url)
        traffic.forget(self.base_url)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        try:
            server = await asyncio.start_server(
                self._connected, "127.0.0.1", self.port, backlog=512
            )
        except OSError as error:
            self._failure = error
            self._started.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._closing.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                if not await self._respond(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, as one that is cancelled does
        finally:
            writer.transport.abort()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is to be closed."""
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            reply = self._answer(request)
            if self.slow + reply.delay:
                await asyncio.sleep(self.slow + reply.delay)
        finally:
            self._under_way -= 1
        if reply.drop:
            return False
        writer.write(_response(reply))
        await writer.drain()
        return reply.headers.get("connection") != "close"

    def _answer(self, request: Request) -> Answer:
        if request.method == "GET" and request.path.endswith("/models"):
            return Answer(200, {"object": "list", "data": [{"id": "test", "object": "model"}]})
        if self.batches and (found := self.batches.answer(request, self._complete)):
            return found
        if not _CHAT.match(request.path):
            return _NOT_FOUND
        self.requests.append(request)
        return self._complete(request)

    def _complete(self, request: Request) -> Answer:
        for rule in self.rules:
            if (found := _ask(rule, request)) is not None:
                return found
        if (found := self._scripted(request)) is not None:
            return found
        good = self.good(request)
        assert good is not None
        return good

    def _scripted(self, request: Request) -> Answer | None:
        if callable(self._script):
            return self._script(request)
        return _ask(self._script.pop(0), request) if self._script else None


def _ask(behaviour: Answer | Behaviour, request: Request) -> Answer | None:
    return behaviour if isinstance(behaviour, Answer) else behaviour(request)


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


def _response(reply: Answer) -> bytes:
    body = reply.encoded()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    lines = [f"HTTP/1.1 {reply.status} -"]
    lines += [f"{name}: {value}" for name, value in (headers | reply.headers).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def serve_for_ever(make: Callable[[], ChatServer]) -> None:
    """Run a server until it is interrupted, for trying things by hand."""
    with make() as server:
        print(f"export OPENAI_BASE_URL={server.base_url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    serve_for_ever(lambda: ChatServer(port=8099))
