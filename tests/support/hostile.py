"""An HTTP server whose answers are raw bytes, and files that attack a reader."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from tinyfactory.journal.key import next_head

Respond = Callable[[socket.socket], None]


class RawServer:
    """Reads one request from each connection, then lets `respond` write to it.

    Attributes
    ----------
    requests : list of bytes
        The heads of the requests.
    sent : int
        Bytes that `send_all` wrote.
    """

    def __init__(self, respond: Callable[[RawServer, socket.socket], None]) -> None:
        self._respond = respond
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self.requests: list[bytes] = []
        self.sent = 0
        self.closing = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            head, _, body = head.partition(b"\r\n\r\n")
            self.requests.append(head)
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            # What is not read makes the system reset the connection.
            while length and len(body) < int(length[1]):
                body += connection.recv(65536)
            self._respond(self, connection)

    def send(self, connection: socket.socket, *parts: bytes) -> None:
        for part in parts:
            connection.sendall(part)
            self.sent += len(part)


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def once(body: bytes, *headers: str, status: str = "200 OK") -> Callable[..., None]:
    """Respond with this to every request."""
    return lambda server, connection: server.send(
        connection, response(body, *headers, status=status)
    )


def chained(lines: Iterable[str]) -> str:
    """The lines of a recording with their digests, from compact JSON."""
    chain, out = "", []
    for text in lines:
        chain = hashlib.sha256((chain + text).encode()).hexdigest()[:40]
        out.append(f'{text[:-1]},"chain":"{chain}"}}\n')
    return "".join(out)


def write_recording(path: Path, *lines: dict[str, Any]) -> Path:
    """A recording with these lines and right digests, as anyone could write it."""
    texts = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines)
    path.write_bytes(gzip.compress(chained(texts).encode()))
    return path


def header(rows: int, simulation: str = "default") -> dict[str, Any]:
    """The first line of a recording."""
    return {
        "format": "tinyfactory recording",
        "version": 1,
        "simulation": simulation,
        "models": [],
        "rows": rows,
        "events": rows,
        "replies": 0,
    }


def _fit_head(key: str, event: dict[str, Any]) -> None:
    """Give a changed event the head that fits it, as anyone could."""
    with contextlib.suppress(KeyError, TypeError, RecursionError):
        if isinstance(event["head"], str):
            event["head"] = next_head(key, event["result"], event["changes"], event["steps"])


def rechained(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a recording with each row changed, and right digests."""
    lines = []
    for text in gzip.decompress(source.read_bytes()).decode().splitlines():
        line = json.loads(text)
        del line["chain"]
        if "key" in line:
            change(line)
            if line["key"].startswith("event:"):
                _fit_head(line["key"].removeprefix("event:"), line["value"])
        lines.append(line)
    return write_recording(target, *lines)
