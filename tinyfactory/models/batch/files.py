"""The rows of a batch's files: requests as lines of JSON, and what the lines of answers say."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tinyfactory.errors import BadResponse, InvalidInput
from tinyfactory.models import event_loop
from tinyfactory.models.batch.client import BatchEndpoint
from tinyfactory.models.chat import ChatReply, ChatRequest, Json
from tinyfactory.models.http import capabilities
from tinyfactory.models.http.capabilities import Dialect
from tinyfactory.models.http.completion import decoded
from tinyfactory.models.http.endpoint import Target
from tinyfactory.models.http.request import body, reply
from tinyfactory.models.http.responses import Failure, from_status, scrub
from tinyfactory.models.http.retry import Mendable

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


log = logging.getLogger("tinyfactory.models")

# A download that was cut short is asked for so often.
_READS = 3


class Reader:
    """Hands each reply on once, and notes in `failed` why there is none.

    Parameters
    ----------
    endpoint : BatchEndpoint
    requests : mapping of str to ChatRequest
    dialect : Dialect
        In which the rows were written; what is learnt from the answers is remembered for later.
    arrived : callable
        Given the id and the reply of each answered request.
    """

    def __init__(
        self,
        endpoint: BatchEndpoint,
        requests: Mapping[str, ChatRequest],
        dialect: Dialect,
        arrived: Callable[[str, ChatReply], None],
    ) -> None:
        self.endpoint = endpoint
        self.target = endpoint.target
        self.requests = requests
        self.dialect = dialect
        self.failed: dict[str, str] = {}
        self._arrived = arrived
        self._answered: set[str] = set()

    async def read(self, names: list[str], batch: Json) -> None:
        """What a batch of these requests gave, also one that expired or was cancelled half done.

        Raises
        ------
        BadResponse
            When it names no file of the answers that it counts.
        """
        completed = count(batch, "completed")
        if completed and not batch.get("output_file_id"):
            raise BadResponse(
                f"{self.target.endpoint} has answers to batch {batch['id']} but names no file of "
                "them yet."
            )
        mine = set(names)
        for name, at_least in (
            ("output_file_id", completed),
            ("error_file_id", count(batch, "failed")),
        ):
            if isinstance(file := batch.get(name), str):
                await self._read_file(mine, batch, file, at_least)
        ended = "ended" if batch["status"] == "completed" else batch["status"]
        for name in mine - self._answered - set(self.failed):
            self.failed[name] = f"batch {batch['id']} {ended} before it was answered"

    async def _read_file(self, mine: set[str], batch: Json, file: str, at_least: int) -> None:
        for attempt in range(1, _READS + 1):
            content = await self.endpoint.content(file)
            if content is None:
                log.warning("%s: file %s is no longer there", self.target.what, file)
                return
            rows = whole = 0
            for row in answers(content):
                rows += 1
                if row is not None:
                    whole += 1
                    self._take(mine, batch, *row)
                await _breathe()
            if whole == rows and whole >= at_least:
                return
            log.warning(
                "%s: of file %s, %d of %d rows came (download %d of %d)",
                *(self.target.what, file, whole, max(rows, at_least), attempt, _READS),
            )

    def _take(self, mine: set[str], batch: Json, name: str, row: Json) -> None:
        if name not in mine or name in self._answered:
            return
        began, ended = batch.get("created_at"), batch.get("completed_at")
        seconds = float(ended - began) if isinstance(began, int) and isinstance(ended, int) else 0.0
        sent = self.dialect.parameters(self.requests[name])
        found = outcome(row, self.target, sent, seconds)
        if isinstance(found, Failure):
            self.failed[name] = str(found)
            learnt = self.dialect.after(found, sent, suspect_format=False)
        else:
            # First, so that a caller who fails on it is given it again by the next call.
            self._arrived(name, found)
            self._answered.add(name)
            self.failed.pop(name, None)
            strict = sent.get("response_format", {}).get("type") == "json_schema"
            learnt = replace(self.dialect, proven=self.dialect.proven or strict)
        if learnt is not None:
            capabilities.learn(self.target.endpoint, self.target.model, learnt)


def count(batch: Json, name: str) -> int:
    """How many requests of a batch are "completed" or "failed", as far as it says."""
    counts = batch.get("request_counts")
    number = counts.get(name) if isinstance(counts, dict) else None
    return number if isinstance(number, int) else 0


async def _breathe() -> None:
    """Between two rows of very many: let others run, and see whether to stop."""
    await asyncio.sleep(0)
    if (switch := event_loop.token.get()) is not None:
        switch.raise_if_cancelled()
