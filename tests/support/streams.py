"""Answers of a chat server as streams of server-sent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Any

from tests.support.answers import Answer, Behaviour, Request
from tests.support.waiting import when
from tinyfactory.models.loopback.server import streamed

Json = dict[str, Any]
# Bytes are sent; an event holds the stream until it is set; None waits for ever.
Piece = bytes | threading.Event | None


def stream(pieces: Iterable[Piece], *, drop: bool = False, headers: Json | None = None) -> Answer:
    """These pieces one by one; with `drop` the connection is closed before the end."""
    listed = list(pieces)

    async def generate() -> AsyncIterator[bytes]:
        for piece in listed:
            if piece is None:
                await asyncio.Event().wait()
            elif isinstance(piece, bytes):
                yield piece
            else:
                await when(piece.is_set)

    return Answer(200, pieces=generate, drop=drop, headers=headers or {})


def event(delta: Json | None = None, reason: str | None = None, **more: Any) -> bytes:
    """One event with one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": reason}
    return line({"id": "chatcmpl-1", "model": "test-model", "choices": [choice], **more})


def line(body: Any) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def words(*texts: str) -> list[bytes]:
    """An event for each text."""
    return [event({"content": text}) for text in texts]


def as_stream(answer: Answer, **options: Any) -> Answer:
    """A completion as a stream."""
    return stream(streamed(answer.body, usage=options.pop("usage", True)), **options)


def streaming(behaviour: Behaviour) -> Behaviour:
    """The completions of a behaviour, as streams where the request asks for one."""

    def reply(request: Request) -> Answer | None:
        found = behaviour(request)
        if found is None or not request.body.get("stream") or found.status != 200:
            return found
        usage = (request.body.get("stream_options") or {}).get("include_usage") is True
        return as_stream(found, usage=usage)

    return reply
