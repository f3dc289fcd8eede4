"""The rows of a batch's files: requests as lines of JSON, and what the lines of answers say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.models.call import body, reply
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.completion import decoded
from tinyfactory.models.degrade import Dialect
from tinyfactory.models.endpoint import Target
from tinyfactory.models.failures import Failure, from_status, scrub
from tinyfactory.models.retries import Mendable

# What a file may hold at most, as OpenAI documents it.
MOST_ROWS = 50_000
MOST_BYTES = 200_000_000


def digest(identity: Json, requests: Mapping[str, ChatRequest]) -> str:
    """What tells one set of requests from another, as asked: not as a lesser dialect sends it."""
    total = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for name in sorted(requests):
        total.update(json.dumps([name, requests[name].to_json()], sort_keys=True).encode())
    return total.hexdigest()[:40]


def line(name: str, path: str, target: Target, request: ChatRequest, dialect: Dialect) -> bytes:
    r"""One request, with the very body that is sent online.

    Examples
    --------
    >>> request = ChatRequest(({"role": "user", "content": "Hello"},))
    >>> line("7", "/v1/chat/completions", Target("http://x/v1", "m", None), request, Dialect())[:70]
    b'{"custom_id": "7", "method": "POST", "url": "/v1/chat/completions", "b'
    """
    row = {
        "custom_id": name,
        "method": "POST",
        "url": path,
        "body": body(target, request, dialect.parameters(request)),
    }
    # Escaped to ASCII: some readers of lines also break them at U+2028.
    return json.dumps(row).encode() + b"\n"


def fill(
    lines: Iterable[bytes], *, most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES
) -> tuple[int, bytes]:
    r"""So many lines from the start as one file may hold: their number, and the file.

    Examples
    --------
    >>> fill([b"one\n", b"two\n", b"three\n"], most_bytes=10)
    (2, b'one\ntwo\n')
    """
    taken: list[bytes] = []
    size = 0
    for one in lines:
        size += len(one)
        if len(taken) == most_rows or size > most_bytes:
            break
        taken.append(one)
    if not taken:
        raise InvalidInput(
            f"One request alone takes {size:,} bytes, and a batch may have {most_bytes:,}; it was "
            "not submitted. Shorten the texts that are asked about."
        )
    return len(taken), b"".join(taken)


def answers(content: bytes) -> Iterator[tuple[str, Json] | None]:
    """The rows of a file of answers, each with its `custom_id`; None for a line that is none."""
    for one in content.split(b"\n"):
        if not one.strip():
            continue
        try:
            row: Any = json.loads(one)
        except (ValueError, RecursionError):
            row = None
        name = row.get("custom_id") if isinstance(row, dict) else None
        yield (name, row) if isinstance(name, str) else None


def outcome(row: Json, target: Target, sent: Json, seconds: float) -> ChatReply | Failure:
    """The reply in a row, or why there is none.

    Parameters
    ----------
    row : dict
        ``{"custom_id", "response": {"status_code", "body"}, "error": {"code", "message"}}``. A
        request that was answered with an error has it in the response's body and no `error`; one
        that was never sent, as in a batch that expired, has only `error`.
    target : Target
    sent : dict
        The parameters of the request.
    seconds : float
        How long the batch took.
    """
    response, error = row.get("response"), row.get("error")
    if isinstance(response, dict) and isinstance(status := response.get("status_code"), int):
        if status != 200:
            return from_status(status, response.get("body"), {}, *target.secrets())
        try:
            completion = decoded(json.dumps(response.get("body")).encode(), {}, target)
        except Mendable as bad:
            return Failure(str(bad.error), kind="bad response")
        if isinstance(completion, Failure):
            return completion
        sent = {"batch": True, **sent}
        return reply(completion, target, sent, requests=1, seconds=seconds)
    if isinstance(error, dict):
        code = str(error.get("code") or "failed")
        message = scrub(str(error.get("message") or ""), *target.secrets())
        return Failure(message[:500], code=code, kind=code)
    return Failure("its row holds neither an answer nor an error", kind="bad response")
